"""Llama's float truth agrees with transformers' implementation, which was written by others and shares no code with ours.

This proves the architecture, the reading of the published tensor names, grouped heads, the stretched rotary frequencies
and the tied table. What llama.cpp computes from the same stored weights is then compared too: it proves that the rows
of queries and keys, which GGUF wants in another order, are in that order for weights that were not made by us.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from workloads.models import llama

OPTIONS: dict[str, Any] = {"layers": 3, "d": 256, "heads": 4, "kv_heads": 2, "ffn": 768, "vocab": 514, "rope_context": 64}
TOKENS = np.random.default_rng(0).integers(0, 512, 60)


def configured(**options: Any) -> LlamaConfig:
    """Build transformers' configuration of the same options."""
    ours = llama.Config.of(options)
    stretch = {
        "rope_type": "llama3",
        "rope_theta": ours.rope_theta,
        "factor": ours.rope_factor,
        "low_freq_factor": ours.rope_low,
        "high_freq_factor": ours.rope_high,
        "original_max_position_embeddings": ours.rope_context,
    }
    return LlamaConfig(
        vocab_size=ours.vocab,
        hidden_size=ours.d,
        intermediate_size=ours.ffn,
        num_hidden_layers=ours.layers,
        num_attention_heads=ours.heads,
        num_key_value_heads=ours.kv_heads,
        head_dim=ours.head_dim,
        max_position_embeddings=ours.context,
        rms_norm_eps=ours.eps,
        tie_word_embeddings=True,
        rope_parameters=stretch,
        attn_implementation="eager",
    )


@pytest.fixture(scope="module")
def theirs() -> Any:
    """A small Llama whose random weights make attention choose: the usual initialisation is almost uniform."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(configured(**OPTIONS)).eval()
    for name, tensor in model.named_parameters():
        if "norm" in name:
            tensor.data.uniform_(0.5, 1.5)
        else:
            wide = 1.5 if "q_proj" in name or "k_proj" in name else 1.0
            tensor.data.normal_(0.0, wide / tensor.shape[1] ** 0.5)
    return model


def stored(model: Any) -> dict[str, Any]:
    """Keep of a state_dict what a hub stores: a tied matrix once."""
    return {name: tensor for name, tensor in model.float().state_dict().items() if name != "lm_head.weight"}


def logits(model: Any) -> Any:
    """Compute the logits [n, vocab] in float64."""
    with torch.inference_mode():
        return model.double()(torch.from_numpy(TOKENS)[None], use_cache=False).logits[0].numpy()


def test_the_float_truth_agrees_with_transformers(theirs: Any, pretrained: Any, agree: Any) -> None:
    weights = pretrained(stored(theirs))
    ours, wanted = llama.reference(weights, OPTIONS, TOKENS), logits(theirs)
    agree(f"Llama logits at {len(TOKENS)} positions", ours, wanted)
    assert np.abs(ours - wanted).max() <= 1e-4 * wanted.std()


def test_the_stretched_frequencies_are_transformers() -> None:
    config = llama.Config()
    theirs = LlamaRotaryEmbedding(configured()).inv_freq.double().numpy()
    ours = config.rope_theta ** (-np.arange(0, 64, 2) / 64) / llama.rope_factors(config)
    assert np.allclose(ours, theirs, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("mix", "least"), [("f16", 0.9999), ("q8_0", 0.99)])
def test_llama_cpp_agrees_with_transformers(mix: str, least: float, theirs: Any, pretrained: Any, tmp_path: Path) -> None:
    llama_cpp = pytest.importorskip("cyllama.llama.llama_cpp", reason="llama.cpp (cyllama) is not installed here")
    llama_cpp.disable_logging()
    llama.write_gguf(tmp_path, pretrained(stored(theirs)), llama.Config.of(OPTIONS), mix)
    # This release of cyllama forgot the attribute that its own get_logits_ith reads.
    named = type("Model", (llama_cpp.LlamaModel,), {"n_vocab": OPTIONS["vocab"]})
    parameters = llama_cpp.LlamaContextParams()
    parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = 64
    parameters.n_threads = parameters.n_threads_batch = 1
    model = named(str(tmp_path / "model.gguf"), llama_cpp.LlamaModelParams(), verbose=False)
    context = llama_cpp.LlamaContext(model, parameters, verbose=False)
    batch = llama_cpp.LlamaBatch(n_tokens=64, embd=0, n_seq_max=1, verbose=False)
    batch.set_batch(TOKENS.tolist(), 0, True)
    context.decode(batch)
    ours = np.array([context.get_logits_ith(i) for i in range(len(TOKENS))])
    context.close()
    model.close()
    wanted = logits(theirs)
    cosine = (ours * wanted).sum(-1) / np.linalg.norm(ours, axis=-1) / np.linalg.norm(wanted, axis=-1)
    assert cosine.min() > least
