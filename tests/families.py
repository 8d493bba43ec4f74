"""Tiny random models of the common families as local folders: ≤ 2 layers, a trained tokenizer, nothing zero."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from affina.core.kinds import Row

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = ("<|im_start|>", "<|im_end|>", "[CLS]", "[SEP]", "[MASK]")
STOP = SPECIAL.index("<|im_end|>")
NOISE = 0.15  # standard deviation: zero biases and unit norms would hide a missing term
SENTENCES = (
    "The parcel has not arrived and I would like to know where it is.",
    "Please send me a new card because the old one is broken.",
    "How do I change the address of my account?",
    "system user assistant answer with exactly one of these labels and nothing else",
    "Perché il pacco non è arrivato? Vorrei saperlo, grazie.",
    "a\n\n",
    "b\n\n",
)

_SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
_GROUPED = {**_SMALL, "num_key_value_heads": 2, "max_position_embeddings": 4096}
_GEMMA = {**_GROUPED, "head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 6}
_ALTERNATING = ["sliding_attention", "full_attention"]
_ENCODER = {**_SMALL, "max_position_embeddings": 128}
_BLOOM = {"hidden_size": 32, "n_layer": 2, "n_head": 4}
_OPT = {"hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "word_embed_proj_dim": 32}
_DISTILBERT = {"dim": 32, "hidden_dim": 48, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 128}
_LATENT = {"q_lora_rank": 8, "kv_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 32}
_RELATIVE = {**_ENCODER, "relative_attention": True, "pos_att_type": ["c2p", "p2c"], "type_vocab_size": 0}
_T5 = {"d_model": 32, "d_ff": 48, "d_kv": 8, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": STOP}
_BART = {
    "d_model": 32, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "encoder_layers": 2, "decoder_layers": 2,
    "encoder_attention_heads": 4, "decoder_attention_heads": 4, "max_position_embeddings": 128,
    "decoder_start_token_id": STOP, "forced_eos_token_id": None,
}  # fmt: skip

SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", {**_GROUPED, "tie_word_embeddings": True}),
    "qwen2": ("Qwen2Config", _GROUPED),
    "qwen3": ("Qwen3Config", {**_GROUPED, "head_dim": 8}),
    "mistral": ("MistralConfig", {**_GROUPED, "sliding_window": 6}),
    "gemma": ("GemmaConfig", {**_GROUPED, "head_dim": 8}),
    "gemma2": (
        "Gemma2Config",
        {**_GEMMA, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0, "layer_types": _ALTERNATING},
    ),
    "gemma3_text": ("Gemma3TextConfig", {**_GEMMA, "layer_types": _ALTERNATING}),
    "gpt2": ("GPT2Config", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 4096}),
    "gpt_neox": ("GPTNeoXConfig", {**_SMALL, "max_position_embeddings": 4096}),
    "opt": ("OPTConfig", {**_OPT, "max_position_embeddings": 4096}),
    "phi3": ("Phi3Config", _GROUPED),
    "stablelm": ("StableLmConfig", _GROUPED),
    "olmo2": ("Olmo2Config", _GROUPED),
    "granite": ("GraniteConfig", {**_GROUPED, "logits_scaling": 4.0, "attention_multiplier": 0.3}),
    "cohere": ("CohereConfig", {**_GROUPED, "logit_scale": 0.25}),
    "deepseek_v3": ("DeepseekV3Config", {**_SMALL, **_LATENT, "num_key_value_heads": 4, "first_k_dense_replace": 2}),
    "bert": ("BertConfig", _ENCODER),
    "distilbert": ("DistilBertConfig", _DISTILBERT),
    "roberta": ("RobertaConfig", {**_ENCODER, "type_vocab_size": 1}),
    "bloom": ("BloomConfig", _BLOOM),
    "lfm2": ("Lfm2Config", {**_GROUPED, "layer_types": ["conv", "full_attention"]}),
    "mpt": ("MptConfig", {"d_model": 32, "n_layers": 2, "n_heads": 4, "expansion_ratio": 2, "max_seq_len": 512}),
    "deberta": ("DebertaConfig", _RELATIVE),
    "deberta-v2": ("DebertaV2Config", _RELATIVE),
    "mpnet": ("MPNetConfig", {**_ENCODER, "pad_token_id": 0}),
    "xlnet": ("XLNetConfig", {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48}),
    "t5": ("T5Config", _T5),
    "bart": ("BartConfig", _BART),
}
ENCODERS = ("bert", "distilbert", "roberta")
SEQ2SEQ = ("t5", "bart")
PADDED_ENCODERS = ("deberta", "deberta-v2", "mpnet", "xlnet", "t5")
PADDED_DECODERS = ("bloom", "mpt", "lfm2")
FOREST_DECODERS = tuple(
    name for name in SETTINGS if name not in (*ENCODERS, *PADDED_ENCODERS, *PADDED_DECODERS, *SEQ2SEQ)
)
DECODERS = (*FOREST_DECODERS, *PADDED_DECODERS)


ROUTED: dict[str, Any] = {
    "first_k_dense_replace": 1, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1,
    "moe_intermediate_size": 16,
}  # fmt: skip
"""Changes of deepseek_v3 that make its second block a mixture of experts."""
ODD: dict[str, tuple[str, dict[str, Any]]] = {
    "smollm3": ("SmolLM3Config", {**_GROUPED, "num_hidden_layers": 4}),
    "starcoder2": ("Starcoder2Config", {**_GROUPED, "sliding_window": 6}),
    "ministral": ("MinistralConfig", {**_GROUPED, "sliding_window": 6, "layer_types": _ALTERNATING}),
    "olmo3": ("Olmo3Config", {**_GROUPED, "sliding_window": 6, "layer_types": _ALTERNATING}),
    "gpt_neo": ("GPTNeoConfig", {
        "hidden_size": 32, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]],
    }),
    "data2vec-text": ("Data2VecTextConfig", {**_ENCODER, "type_vocab_size": 1}),
    "phi": ("PhiConfig", {**_GROUPED, "partial_rotary_factor": 0.5}),
    "cwm": ("CwmConfig", {**_GROUPED, "sliding_window": 6, "layer_types": _ALTERNATING}),
    "seed_oss": ("SeedOssConfig", _GROUPED),
    "exaone4": ("Exaone4Config", {**_GROUPED, "sliding_window": 6, "layer_types": _ALTERNATING}),
    "vaultgemma": ("VaultGemmaConfig", {**_GEMMA, "layer_types": _ALTERNATING}),
    "arcee": ("ArceeConfig", _GROUPED),
    "jais2": ("Jais2Config", _GROUPED),
    "doge": ("DogeConfig", _GROUPED),
    "hyperclovax": ("HyperCLOVAXConfig", {**_GROUPED, "logits_scaling": 0.3}),
    "qwen2_moe": ("Qwen2MoeConfig", {
        **_GROUPED, "use_sliding_window": True, "sliding_window": 6, "max_window_layers": 2, "num_experts": 2,
        "num_experts_per_tok": 2, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16,
    }),
    "recurrent_gemma": ("RecurrentGemmaConfig", {
        **_SMALL, "num_hidden_layers": 3, "num_key_value_heads": 1, "head_dim": 8, "lru_width": 32,
        "attention_window_size": 8, "logits_soft_cap": 2.0, "intermediate_size": 96,
    }),
}  # fmt: skip
"""Families that one test alone is about."""


def _turning(factor: float) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": factor}


FUSED = (
    "llama", "qwen2", "qwen3", "mistral", "gemma", "granite", "gemma2", "gemma3_text", "olmo2", "olmo3", "phi3", "gpt2",
    "ministral", "smollm3", "starcoder2", "phi", "gpt_neox", "opt",
    "stablelm", "cwm", "seed_oss", "exaone4", "vaultgemma", "arcee", "jais2", "hyperclovax",
)  # fmt: skip
"""Decoders whose blocks have a fused form."""
SIZES: dict[str, Any] = {
    "hidden_size": 96, "intermediate_size": 160, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
}  # fmt: skip
"""Sizes that the compiled kernels take."""
SIZED: dict[str, dict[str, Any]] = {
    "gpt2": {
        "n_embd": 128, "n_head": 4, "n_inner": 160, "attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0,
        "scale_attn_by_inverse_layer_idx": True,
    },
    "gpt_neox": {"hidden_size": 128, "intermediate_size": 160, "rope_parameters": _turning(0.25)},
    "phi": {"hidden_size": 128, "intermediate_size": 160, "rope_parameters": _turning(0.5)},
    "stablelm": {"hidden_size": 192, "intermediate_size": 160, "rope_parameters": _turning(0.25)},
    "opt": {"hidden_size": 128, "word_embed_proj_dim": 128, "ffn_dim": 160, "dropout": 0.0},
    "hyperclovax": {**SIZES, "use_post_norm": True, "residual_multiplier": 0.4},
    "smollm3": {**SIZES, "num_hidden_layers": 2, "no_rope_layers": [1, 0]},
    "granite": {**SIZES, "residual_multiplier": 0.22, "attention_bias": True, "mlp_bias": True},
    "phi3": {**SIZES, "head_dim": 64, "rope_parameters": _turning(0.5)},
}  # fmt: skip
"""The same for families that name them otherwise or have more to show; others: `SIZES`."""


@cache
def _learnt() -> str:
    """A byte-level BPE vocabulary learnt from the sentences above, as tokenizer.json."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return str(tokenizer.to_str())


def tokenizer_of(encoder: bool = False) -> Tokenizer:
    """A small byte-level BPE; for encoders it puts [CLS] before and [SEP] after a text."""
    tokenizer = Tokenizer.from_str(_learnt())
    if encoder:
        ends = [(token, SPECIAL.index(token)) for token in ("[CLS]", "[SEP]")]
        tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return tokenizer


def write_tokenizer(folder: Path, encoder: bool = False, template: str | None = CHATML) -> int:
    """tokenizer.json and tokenizer_config.json, `<|im_end|>` being stop and padding at once; returns the size."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tokenizer_of(encoder)
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {"eos_token": "<|im_end|>", "pad_token": "<|im_end|>", "mask_token": "[MASK]"}
    named["tokenizer_class"] = "PreTrainedTokenizerFast"
    settings = named | ({"chat_template": template} if template else {})
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return int(tokenizer.get_vocab_size())


def noisy(model: torch.nn.Module, seed: int = 0, noise: float = NOISE) -> None:
    """Adds seeded noise to every parameter."""
    drawn = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=drawn) * noise)


def build(name: str, folder: Path, **changes: Any) -> Path:
    """Writes a random model of a family with its tokenizer into `folder`; `bert+words` with its masked-LM head."""
    name, _, words = name.partition("+")
    kind, settings = {**SETTINGS, **ODD}[name]
    encoder = name in (*ENCODERS, *PADDED_ENCODERS, *SEQ2SEQ)
    size = write_tokenizer(folder, encoder)
    ids = {"vocab_size": size, "eos_token_id": STOP, "pad_token_id": STOP, "bos_token_id": 0}
    config = getattr(transformers, kind)(**{**ids, **settings, **changes})
    torch.manual_seed(0)
    auto: Any = transformers.AutoModelForCausalLM
    if encoder:
        auto = transformers.AutoModelForSeq2SeqLM if name in SEQ2SEQ else transformers.AutoModel
    if words:
        auto = transformers.AutoModelForCausalLM if name == "xlnet" else transformers.AutoModelForMaskedLM
    model = auto.from_config(config)
    noisy(model)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    return folder


def store(root: Path) -> Callable[[str], Path]:
    """A function from a family's name to its folder, built on first use below `root`."""

    @cache
    def folder(name: str) -> Path:
        return build(name, root / name)

    return folder


def random_rows(size: int, seed: int = 0) -> list[Row]:
    """Rows over a vocabulary of `size`: prefixes shared three deep, a copy, a prefix, one token, one alone."""
    draw = np.random.default_rng(seed)

    def tokens(count: int) -> list[int]:
        return [int(token) for token in draw.integers(0, size, count)]

    system, first, second = tokens(12), tokens(10), tokens(9)
    shared = [[*system, *first, *second], [*system, *first, *second], [*system, *first], [*system, *tokens(3)]]
    answers = [5, 3, 7, 1]
    rows = [row(f"shared:{n}", head, tokens(answers[n])) for n, head in enumerate(shared)]
    copy = row("copy", rows[0].tokens[:-5].tolist(), rows[0].tokens[-5:].tolist())
    return [*rows, copy, row("alone", tokens(4), tokens(2)), row("one", tokens(1), []), row("prefix", system, [])]


def row(name: str, given: list[int], answer: list[int], weight: float = 1.0) -> Row:
    """A row whose targets are the tokens of `answer`, each of the same weight."""
    weights = np.array([0.0] * len(given) + [weight] * len(answer), np.float32)
    return Row(name, np.array([*given, *answer], np.int32), weights)


def labelled(given: Row, label: int) -> Row:
    """The row's tokens with a label instead of targets."""
    return Row(given.id, given.tokens, np.zeros(len(given.tokens), np.float32), label)
