"""Times training steps of Hugging Face's MixtralForCausalLM on the CPU, as a peer for our own trainer.

One step is forward, backward, gradient clipping to norm 1 and fused AdamW on synthetic tokens; the loss has the balance
term. Needs torch and transformers (tests/parity/requirements.txt) and nothing else. Prints one line of JSON:

    OMP_WAIT_POLICY=passive python tests/bench/peer_mixtral.py --experts grouped_mm --dtype f32 --steps 5

--dtype bf16 is autocast with f32 weights, as most people train on a CPU. transformers' grouped_mm does not take part in
autocast and computes the experts in the dtype of the weights; `--dtype bf16-weights` holds weights, gradients and
optimizer state in bf16 as well. batched_mm copies one expert's weights per token and choice: keep it to small shapes.
"""

import argparse
import contextlib
import json
import os
import platform
import resource
import statistics
import sys
import time

import torch
import transformers


def parse_arguments():
    parser = argparse.ArgumentParser(description="Times training steps of Hugging Face's Mixtral on the CPU.")
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--kv-heads", type=int, default=8)
    parser.add_argument("--vocab", type=int, default=8192)
    parser.add_argument("--experts-count", type=int, default=8, help="experts in each layer")
    parser.add_argument("--top-k", type=int, default=2)
    parser.add_argument("--expert-width", type=int, default=1024)
    parser.add_argument("--sequence", type=int, default=512, help="tokens in a sequence")
    parser.add_argument("--batch", type=int, default=4, help="sequences in a step")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--experts", choices=["grouped_mm", "eager", "batched_mm"], default="grouped_mm",
                        help="transformers' experts_implementation")
    parser.add_argument("--attention", choices=["sdpa", "eager"], default="sdpa")
    parser.add_argument("--dtype", choices=["f32", "bf16", "bf16-weights"], default="f32")
    parser.add_argument("--compile", action="store_true", help="run the model through torch.compile")
    parser.add_argument("--balance", type=float, default=0.01, help="router_aux_loss_coef")
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--warmup", type=int, default=2, help="untimed steps")
    parser.add_argument("--steps", type=int, default=5, help="timed steps")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def make_model(arguments):
    """A randomly initialised model of the shape asked for."""
    config = transformers.MixtralConfig(
        vocab_size=arguments.vocab,
        hidden_size=arguments.hidden,
        intermediate_size=arguments.expert_width,
        num_hidden_layers=arguments.layers,
        num_attention_heads=arguments.heads,
        num_key_value_heads=arguments.kv_heads,
        num_local_experts=arguments.experts_count,
        num_experts_per_tok=arguments.top_k,
        max_position_embeddings=max(arguments.sequence, 2048),
        output_router_logits=True,
        router_aux_loss_coef=arguments.balance,
        use_cache=False,
    )
    model = transformers.AutoModelForCausalLM.from_config(
        config,
        dtype=torch.bfloat16 if arguments.dtype == "bf16-weights" else torch.float32,
        attn_implementation=arguments.attention,
        experts_implementation=arguments.experts,
    )
    return model.train()


def cpu_name():
    """The processor as the kernel names it."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def main():
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    transformers.logging.set_verbosity_error()

    model = make_model(arguments)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    idle = arguments.experts_count - arguments.top_k
    active = parameters - arguments.layers * idle * 3 * arguments.hidden * arguments.expert_width
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.lr, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    run_model = torch.compile(model) if arguments.compile else model
    autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=arguments.dtype == "bf16")

    step_seconds = []
    losses = []
    for step in range(arguments.warmup + arguments.steps):
        tokens = torch.randint(0, arguments.vocab, (arguments.batch, arguments.sequence))
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with autocast:
            loss = run_model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        if step >= arguments.warmup:
            step_seconds.append(time.perf_counter() - start)
    if not all(torch.isfinite(torch.tensor(losses))):
        sys.exit(f"peer_mixtral: the loss is not finite: {losses}")

    tokens_per_step = arguments.batch * arguments.sequence
    print(json.dumps({
        "tokens_per_second": round(tokens_per_step / statistics.median(step_seconds), 1),
        "step_seconds": [round(seconds, 4) for seconds in step_seconds],
        "peak_rss_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3),
        "loss_first": round(losses[0], 4),
        "loss_last": round(losses[-1], 4),
        "parameters": parameters,
        "active_parameters": active,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
        "cpu": cpu_name(),
        "cpus_online": os.cpu_count(),
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY", ""),
        "load_average": round(os.getloadavg()[0], 2),
        **vars(arguments),
    }))


if __name__ == "__main__":
    main()
