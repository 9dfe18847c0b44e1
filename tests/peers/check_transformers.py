#!/usr/bin/env python3
"""transformers and moe-convert read each other's folders, for every architecture.

check_transformers.py MOE_CONVERT PEER_LOGITS

For each model that transformers makes and saves (in one file, in shards, with experts fused, in bf16):
it becomes a checkpoint, that becomes a folder again, transformers loads it, and
  - every weight is the same, bit for bit;
  - transformers' logits for it, and ours for the checkpoint and both folders, differ from its logits for
    the first folder by at most 1e-5 (f32).
Folders also carry a tokenizer: AutoTokenizer gives the same ids before and after.
"""
import inspect
import pathlib
import subprocess
import sys
import tempfile

import numpy
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

TOLERANCE = 1e-5
VOCABULARY = 300
TEXT = "Größe, 数 and emoji \U0001f600: the  quick brown\tfox\n don't 12345 stop."

COMMON = dict(vocab_size=VOCABULARY, hidden_size=32, intermediate_size=24, num_hidden_layers=3,
              num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
              bos_token_id=1, eos_token_id=2, pad_token_id=None)
LLAMA3 = dict(rope_type="llama3", rope_theta=1e4, factor=8.0, low_freq_factor=1.0,
              high_freq_factor=4.0, original_max_position_embeddings=16)

CASES = {
    "llama": ("llama", dict(rope_parameters=LLAMA3)),
    "llama-tied-bias": ("llama", dict(tie_word_embeddings=True, attention_bias=True)),
    "llama-linear": ("llama", dict(rope_parameters=dict(rope_type="linear", rope_theta=1e4,
                                                       factor=2.0))),
    "mistral": ("mistral", dict(sliding_window=5, head_dim=6)),
    "qwen2": ("qwen2", dict(tie_word_embeddings=True)),
    "qwen2-window": ("qwen2", dict(use_sliding_window=True, sliding_window=4, max_window_layers=1)),
    "qwen3": ("qwen3", dict(head_dim=12)),
    "mixtral": ("mixtral", dict(num_local_experts=4, num_experts_per_tok=2, sliding_window=None)),
    "qwen2_moe": ("qwen2_moe", dict(num_experts=6, num_experts_per_tok=3, moe_intermediate_size=12,
                                    shared_expert_intermediate_size=20, decoder_sparse_step=1)),
    "qwen2_moe-mixed": ("qwen2_moe", dict(num_experts=4, num_experts_per_tok=2,
                                          moe_intermediate_size=12, norm_topk_prob=True,
                                          shared_expert_intermediate_size=20,
                                          decoder_sparse_step=2, qkv_bias=False)),
    "qwen3_moe": ("qwen3_moe", dict(num_experts=5, num_experts_per_tok=2, moe_intermediate_size=12,
                                    norm_topk_prob=True, head_dim=10, mlp_only_layers=[1])),
    "olmoe": ("olmoe", dict(num_experts=4, num_experts_per_tok=2, clip_qkv=2.5)),
}


def make_model(kind, settings, seed):
    torch.manual_seed(seed)
    config = AutoConfig.for_model(kind, **{**COMMON, **settings})
    config.architectures = None
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, 0.2)
            if "norm" in name:
                parameter.add_(1.0)
    return model


def make_tokenizer():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=["<unk>", "<s>", "</s>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([TEXT, "the quick brown fox, the lazy dog"] * 4, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>",
                                   unk_token="<unk>")


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stderr}")


def our_logits(program, model, tokens, folder):
    (folder / "tokens").write_text(" ".join(map(str, tokens)))
    run(program, model, folder / "tokens", folder / "logits")
    return numpy.fromfile(folder / "logits", dtype=numpy.float32).reshape(len(tokens), -1)


def their_logits(model, tokens):
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0].float().numpy()


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype="auto",
                                                attn_implementation="eager").eval()


def require(good, message):
    if not good:
        sys.exit(message)


def same_weights(a, b, where):
    left, right = a.state_dict(), b.state_dict()
    require(left.keys() == right.keys(), f"{where}: other tensors")
    for name, value in left.items():
        require(value.dtype == right[name].dtype, f"{where}: {name} is {right[name].dtype}")
        require(torch.equal(value, right[name]), f"{where}: {name} differs")


def check(name, kind, settings, convert, program, work, how):
    label = f"{name} ({how})"
    model = make_model(kind, settings, seed=len(name))
    if how == "bf16":
        model = model.to(torch.bfloat16)
    saving = {"shards": dict(max_shard_size="60KB"), "fused": dict(save_original_format=False)}
    source = work / "source"
    model.save_pretrained(source, **saving.get(how, {}))
    make_tokenizer().save_pretrained(source)
    convert_one = [convert, "--quiet"]
    run(*convert_one, source, work / "native", "--to", "native")
    run(*convert_one, work / "native", work / "export", "--to", "hf",
        *(["--max-shard-size", "50KB"] if how == "shards" else []))
    exported = load(work / "export")
    same_weights(model, exported, label)
    if how == "bf16":
        print(f"{label}: equal weights")
        return
    tokens = [(i * 37 + 5) % VOCABULARY for i in range(20)]
    wanted = their_logits(load(source), tokens)
    back = their_logits(exported, tokens)
    # Equal weights; products of expert groups may still be summed in another order.
    worst = float(numpy.abs(back - wanted).max())
    require(worst <= TOLERANCE, f"{label}: transformers' logits changed by {worst}")
    for folder in ("source", "native", "export"):
        ours = our_logits(program, work / folder, tokens, work)
        difference = float(numpy.abs(ours - wanted).max())
        require(difference <= TOLERANCE,
                f"{label}: logits of {folder} differ by {difference}")
        worst = max(worst, difference)
    ids = AutoTokenizer.from_pretrained(source)(TEXT).input_ids
    require(AutoTokenizer.from_pretrained(work / "export")(TEXT).input_ids == ids and len(ids) > 10,
            f"{label}: other token ids")
    require(exported.generation_config.eos_token_id == 2, f"{label}: generation_config is lost")
    print(f"{label}: largest difference of logits {worst:.2e}, of {numpy.abs(wanted).max():.2f}")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    ways = ["one file", "shards", "bf16"]
    fused = "save_original_format" in inspect.signature(
        transformers.PreTrainedModel.save_pretrained).parameters
    for name, (kind, settings) in CASES.items():
        sparse = "num_experts_per_tok" in settings
        for how in ways + (["fused"] if sparse and fused else []):
            with tempfile.TemporaryDirectory() as work:
                check(name, kind, settings, sys.argv[1], sys.argv[2], pathlib.Path(work), how)
    print(f"all good, transformers {transformers.__version__}")


if __name__ == "__main__":
    main()
