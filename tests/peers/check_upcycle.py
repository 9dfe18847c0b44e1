#!/usr/bin/env python3
"""transformers sees the same function before and after moe-upcycle.

check_upcycle.py MOE_UPCYCLE

Dense models that transformers makes become Mixtures of Experts in Hugging Face folders, some of them wider and deeper
first; transformers loads them, and its logits differ from those for the dense model by at most 1e-5 of the largest.
"""
import pathlib
import subprocess
import sys
import tempfile

import torch
from transformers import AutoConfig, AutoModelForCausalLM

TOLERANCE = 1e-5

COMMON = dict(vocab_size=300, hidden_size=32, intermediate_size=24, num_hidden_layers=3, num_attention_heads=4,
              num_key_value_heads=2, max_position_embeddings=64, pad_token_id=None)
DENSE = {
    "llama": ("llama", {}, "MixtralForCausalLM"),
    "mistral": ("mistral", dict(sliding_window=5), "MixtralForCausalLM"),
    "qwen2": ("qwen2", {}, "Qwen2MoeForCausalLM"),
    "qwen2-tied": ("qwen2", dict(tie_word_embeddings=True), "Qwen2MoeForCausalLM"),
    "qwen3": ("qwen3", dict(head_dim=12), "Qwen3MoeForCausalLM"),
}
WIDEN = "  - widen: {hidden_size: %d, intermediate_size: 36, num_attention_heads: 6}\n"
PLANS = {
    "copies": "  - sparsify: {num_experts: 4, num_experts_per_tok: 2}\n",
    "shards": "  - sparsify: {method: granular, num_experts: 8, num_experts_per_tok: 4, granularity: 2}\n",
    "wider": WIDEN % 48 + "  - deepen: {num_hidden_layers: 5}\n  - sparsify: {num_experts: 4}\n",
    "more": "  - sparsify: {num_experts: 4}\n  - expand: {num_experts: 8, num_experts_per_tok: 4}\n",
}


def make_model(kind, settings, seed):
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{**COMMON, **settings})).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, 0.2)
            if "norm" in name:
                parameter.add_(1.0)
    return model


def logits(model):
    tokens = torch.tensor([[(i * 37 + 5) % 300 for i in range(20)]])
    with torch.no_grad():
        return model(tokens).logits[0].double()


def check(name, plan, upcycle, work):
    kind, settings, wanted = DENSE[name]
    dense = make_model(kind, settings, seed=len(name))
    dense.save_pretrained(work / "dense")
    (work / "plan.yaml").write_text(f"source: {work / 'dense'}\noutput: {work / 'moe'}\noutput_format: hf\n"
                                    f"stages:\n{PLANS[plan]}verify: {{tokens: 64, require_exact: 1.0e-3}}\n")
    done = subprocess.run([upcycle, work / "plan.yaml", "--quiet"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{name}, {plan}: moe-upcycle ended with {done.returncode}\n{done.stdout}{done.stderr}")
    moe = AutoModelForCausalLM.from_pretrained(work / "moe", dtype="auto", attn_implementation="eager").eval()
    before, after = logits(dense), logits(moe)
    worst = float((after - before).abs().max() / before.abs().max())
    if type(moe).__name__ != wanted:
        sys.exit(f"{name}, {plan}: expected {wanted}, transformers loaded {type(moe).__name__}")
    if not worst <= TOLERANCE:
        sys.exit(f"{name}, {plan}: logits changed by {worst} of the largest")
    print(f"{name}, {plan}: {type(moe).__name__}, logits within {worst:.1e} of the largest")


def main():
    for name in DENSE:
        for plan in PLANS:
            with tempfile.TemporaryDirectory() as folder:
                check(name, plan, sys.argv[1], pathlib.Path(folder))


main()
