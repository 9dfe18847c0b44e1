"""The list of tiny models that make_fixtures.py writes, one entry per fixture folder.

Every entry holds the seed, the batch, the optimizer settings and the keyword arguments of the transformers
configuration class. Together they cover the switches that change the numbers: see the `covers` line of each entry,
which is copied into fixture.json.

`seed` is pinned. A seed is accepted only when no token sits close to a tie between its k-th and its next expert, and
when transformers' own f32 rounding stays well below the tolerance of the parity test; make_fixtures.py checks both and
`make_fixtures.py --search NAME` looks for a new seed after a change of a setting.
"""

ADAMW = {"lr": 0.003, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.1}


def adamw(**changes):
    """The default optimizer settings with some of them changed."""
    return {**ADAMW, **changes}


SETTINGS = {
    # ------------------------------------------------------------------------------------------------ Mixtral
    "mixtral-gqa": {
        "covers": "grouped-query attention, 4 experts top-2, untied head, output_router_logits in the config",
        "model": "MixtralForCausalLM",
        "seed": 0,
        "batch": 2, "length": 10,
        "adamw": adamw(),
        "config": {
            "vocab_size": 61, "hidden_size": 24, "intermediate_size": 16, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "num_local_experts": 4, "num_experts_per_tok": 2,
            "rms_norm_eps": 1e-5, "router_aux_loss_coef": 0.02, "output_router_logits": True,
            "max_position_embeddings": 64, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
        },
    },
    "mixtral-window-top1": {
        "covers": "sliding window 5 shorter than the sequence, top-1 (gate weight always 1), tied head, "
                  "head_dim 10 != hidden/heads, multi-head attention, gelu_pytorch_tanh",
        "model": "MixtralForCausalLM",
        "seed": 3,
        "batch": 2, "length": 14, "ignored": 0.4,
        "adamw": adamw(lr=0.002, weight_decay=0.01),
        "config": {
            "vocab_size": 48, "hidden_size": 24, "intermediate_size": 12, "num_hidden_layers": 2,
            "num_attention_heads": 3, "num_key_value_heads": 3, "head_dim": 10, "num_local_experts": 5,
            "num_experts_per_tok": 1, "sliding_window": 5, "tie_word_embeddings": True,
            "hidden_act": "gelu_pytorch_tanh", "rms_norm_eps": 1e-3, "router_aux_loss_coef": 0.1,
            "output_router_logits": True, "max_position_embeddings": 64,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        },
    },
    "mixtral-idle-experts": {
        "covers": "16 experts for 7 tokens top-2: some experts get no token and have a zero gradient; one sequence; "
                  "linear rope scaling; relu2; output_router_logits false in the config (the loss has the term anyway)",
        "model": "MixtralForCausalLM",
        "seed": 0,
        "batch": 1, "length": 7, "ignored": 0.0,
        "adamw": adamw(),
        "config": {
            "vocab_size": 40, "hidden_size": 20, "intermediate_size": 8, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 1, "num_local_experts": 16, "num_experts_per_tok": 2,
            "hidden_act": "relu2", "rms_norm_eps": 1e-5, "router_aux_loss_coef": 0.01, "output_router_logits": False,
            "max_position_embeddings": 64,
            "rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0},
        },
    },
    # --------------------------------------------------------------------------------------------- Qwen3-MoE
    "qwen3_moe-headdim": {
        "covers": "8 experts top-4 renormalised, head_dim 16 != hidden/heads, one key/value head, untied head",
        "model": "Qwen3MoeForCausalLM",
        "seed": 9,
        "batch": 2, "length": 9,
        "adamw": adamw(beta2=0.999),
        "config": {
            "vocab_size": 53, "hidden_size": 24, "intermediate_size": 40, "moe_intermediate_size": 8,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 16,
            "num_experts": 8, "num_experts_per_tok": 4, "norm_topk_prob": True, "rms_norm_eps": 1e-6,
            "router_aux_loss_coef": 0.01, "output_router_logits": True, "max_position_embeddings": 64,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
        },
    },
    "qwen3_moe-sparse-step": {
        "covers": "decoder_sparse_step 2 (layers 0 and 2 dense), top-1 not renormalised, attention_bias, tied head, "
                  "labels unrelated to the inputs",
        "model": "Qwen3MoeForCausalLM",
        "seed": 0,
        "batch": 3, "length": 8, "labels": "random",
        "adamw": adamw(lr=0.005, weight_decay=0.0),
        "config": {
            "vocab_size": 50, "hidden_size": 16, "intermediate_size": 28, "moe_intermediate_size": 12,
            "num_hidden_layers": 4, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8,
            "num_experts": 4, "num_experts_per_tok": 1, "norm_topk_prob": False, "decoder_sparse_step": 2,
            "attention_bias": True, "tie_word_embeddings": True, "rms_norm_eps": 1e-3,
            "router_aux_loss_coef": 0.05, "output_router_logits": True, "max_position_embeddings": 64,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        },
    },
    "qwen3_moe-mlp-only": {
        "covers": "mlp_only_layers [1], sliding window 4 on every layer, llama3 rope scaling, gelu, "
                  "top-2 not renormalised",
        "model": "Qwen3MoeForCausalLM",
        "seed": 2,
        "batch": 2, "length": 12,
        "adamw": adamw(),
        "config": {
            "vocab_size": 45, "hidden_size": 20, "intermediate_size": 30, "moe_intermediate_size": 10,
            "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16,
            "num_experts": 6, "num_experts_per_tok": 2, "norm_topk_prob": False, "mlp_only_layers": [1],
            "use_sliding_window": True, "sliding_window": 4, "hidden_act": "gelu", "rms_norm_eps": 1e-6,
            "router_aux_loss_coef": 0.02, "output_router_logits": False, "max_position_embeddings": 128,
            "rope_parameters": {
                "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
            },
        },
    },
    # ------------------------------------------------------------------------------------------------- OLMoE
    "olmoe-clip": {
        "covers": "clip_qkv that clips, full-width q/k norms, multi-head attention, 8 experts top-4 not renormalised",
        "model": "OlmoeForCausalLM",
        "seed": 4,
        "batch": 2, "length": 9,
        "adamw": adamw(),
        "config": {
            "vocab_size": 47, "hidden_size": 24, "intermediate_size": 8, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 4, "num_experts": 8, "num_experts_per_tok": 4,
            "norm_topk_prob": False, "clip_qkv": 1.25, "rms_norm_eps": 1e-5, "router_aux_loss_coef": 0.01,
            "output_router_logits": True, "max_position_embeddings": 64, "pad_token_id": None, "eos_token_id": 2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        },
    },
    "olmoe-gqa-pad": {
        "covers": "grouped-query attention, attention_bias, top-2 renormalised, tied head, pad_token_id 1 which occurs "
                  "in the inputs (the lookup gives that row no gradient, the tied head does)",
        "model": "OlmoeForCausalLM",
        "seed": 0,
        "batch": 2, "length": 8, "always": 1,
        "adamw": adamw(eps=1e-6),
        "config": {
            "vocab_size": 40, "hidden_size": 24, "intermediate_size": 12, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "num_experts": 5, "num_experts_per_tok": 2,
            "norm_topk_prob": True, "attention_bias": True, "tie_word_embeddings": True, "rms_norm_eps": 1e-3,
            "router_aux_loss_coef": 0.03, "output_router_logits": True, "max_position_embeddings": 64,
            "pad_token_id": 1, "eos_token_id": 2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0},
        },
    },
    # --------------------------------------------------------------------------------------------- Qwen2-MoE
    "qwen2_moe-shared": {
        "covers": "shared expert wider than the routed ones, 6 experts top-4 not renormalised, qkv bias, "
                  "grouped-query attention, untied head",
        "model": "Qwen2MoeForCausalLM",
        "seed": 4,
        "batch": 2, "length": 9,
        "adamw": adamw(),
        "config": {
            "vocab_size": 47, "hidden_size": 24, "intermediate_size": 32, "moe_intermediate_size": 8,
            "shared_expert_intermediate_size": 20, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "num_experts": 6, "num_experts_per_tok": 4, "norm_topk_prob": False,
            "rms_norm_eps": 1e-6, "router_aux_loss_coef": 0.01, "output_router_logits": True,
            "max_position_embeddings": 64, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
        },
    },
    "qwen2_moe-mixed": {
        "covers": "no qkv bias, decoder_sparse_step 2 and mlp_only_layers [3] together (only layer 1 routes), sliding "
                  "window on layers 0 and 2 of 4 (max_window_layers 3), top-2 renormalised, tied head, "
                  "shared expert narrower than the routed ones, linear rope scaling",
        "model": "Qwen2MoeForCausalLM",
        "seed": 0,
        "batch": 2, "length": 11,
        "adamw": adamw(),
        "config": {
            "vocab_size": 36, "hidden_size": 16, "intermediate_size": 24, "moe_intermediate_size": 12,
            "shared_expert_intermediate_size": 6, "num_hidden_layers": 4, "num_attention_heads": 2,
            "num_key_value_heads": 2, "num_experts": 5, "num_experts_per_tok": 2, "norm_topk_prob": True,
            "qkv_bias": False, "decoder_sparse_step": 2, "mlp_only_layers": [3], "use_sliding_window": True,
            "sliding_window": 4, "max_window_layers": 3, "tie_word_embeddings": True, "rms_norm_eps": 1e-2,
            "router_aux_loss_coef": 0.04, "output_router_logits": True, "max_position_embeddings": 64,
            "rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0},
        },
    },
    # ------------------------------------------------------------------------------------------------- Llama
    "llama-rope3": {
        "covers": "llama3 rope scaling with all three frequency bands in use, grouped-query attention, untied head",
        "model": "LlamaForCausalLM",
        "seed": 0,
        "batch": 2, "length": 16,
        "adamw": adamw(),
        "config": {
            "vocab_size": 61, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 1, "rms_norm_eps": 1e-5,
            "max_position_embeddings": 128,
            "rope_parameters": {
                "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
            },
        },
    },
    "llama-bias-tied": {
        "covers": "attention_bias on q, k, v and o, head_dim 8 != hidden/heads, multi-head attention, tied head, "
                  "linear rope scaling, relu2, one sequence not counted at all",
        "model": "LlamaForCausalLM",
        "seed": 0,
        "batch": 3, "length": 9, "ignored_sequence": 1,
        "adamw": adamw(lr=0.002, beta2=0.999, weight_decay=0.05),
        "config": {
            "vocab_size": 45, "hidden_size": 24, "intermediate_size": 36, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 8, "attention_bias": True,
            "tie_word_embeddings": True, "hidden_act": "relu2", "rms_norm_eps": 1e-3, "max_position_embeddings": 64,
            "rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0},
        },
    },
    # ----------------------------------------------------------------------------------------------- Mistral
    "mistral-window": {
        "covers": "sliding window 4 shorter than the sequence, grouped-query attention, untied head",
        "model": "MistralForCausalLM",
        "seed": 0,
        "batch": 2, "length": 13,
        "adamw": adamw(),
        "config": {
            "vocab_size": 55, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "sliding_window": 4, "rms_norm_eps": 1e-2,
            "max_position_embeddings": 64, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        },
    },
    "mistral-full": {
        "covers": "no sliding window, head_dim 16 != hidden/heads, one key/value head, tied head, gelu",
        "model": "MistralForCausalLM",
        "seed": 0,
        "batch": 2, "length": 10,
        "adamw": adamw(),
        "config": {
            "vocab_size": 55, "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 2,
            "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 16, "sliding_window": None,
            "tie_word_embeddings": True, "hidden_act": "gelu", "rms_norm_eps": 1e-6, "max_position_embeddings": 64,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
        },
    },
    # ------------------------------------------------------------------------------------------------- Qwen2
    "qwen2-tied": {
        "covers": "qkv bias, grouped-query attention, tied head, full attention",
        "model": "Qwen2ForCausalLM",
        "seed": 0,
        "batch": 2, "length": 10,
        "adamw": adamw(),
        "config": {
            "vocab_size": 64, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": True, "rms_norm_eps": 1e-6,
            "max_position_embeddings": 64, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
        },
    },
    "qwen2-window": {
        "covers": "sliding window 5 from layer 1 on (max_window_layers 1), multi-head attention, untied head",
        "model": "Qwen2ForCausalLM",
        "seed": 0,
        "batch": 2, "length": 14,
        "adamw": adamw(),
        "config": {
            "vocab_size": 50, "hidden_size": 20, "intermediate_size": 28, "num_hidden_layers": 3,
            "num_attention_heads": 2, "num_key_value_heads": 2, "use_sliding_window": True, "sliding_window": 5,
            "max_window_layers": 1, "rms_norm_eps": 1e-3, "max_position_embeddings": 64,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        },
    },
    # ------------------------------------------------------------------------------------------------- Qwen3
    "qwen3-headdim": {
        "covers": "q/k norms per head, head_dim 16 != hidden/heads, grouped-query attention, untied head",
        "model": "Qwen3ForCausalLM",
        "seed": 0,
        "batch": 2, "length": 10,
        "adamw": adamw(),
        "config": {
            "vocab_size": 61, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "rms_norm_eps": 1e-6,
            "max_position_embeddings": 64, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
        },
    },
    "qwen3-bias-window": {
        "covers": "attention_bias on q, k, v and o, explicit layer_types (sliding, full, sliding), window 4, tied head",
        "model": "Qwen3ForCausalLM",
        "seed": 2,
        "batch": 2, "length": 12,
        "adamw": adamw(),
        "config": {
            "vocab_size": 50, "hidden_size": 16, "intermediate_size": 28, "num_hidden_layers": 3,
            "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8, "attention_bias": True,
            "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 3,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
            "tie_word_embeddings": True, "rms_norm_eps": 1e-2, "max_position_embeddings": 64,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        },
    },
}
