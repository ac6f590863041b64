"""Whisper-tiny agrees with transformers' implementation, which was written by others and shares no code with ours.

This proves both graphs, the reading of the published tensor names, the folded query scale, the cross-attention tensors
made ahead and the cache: our decoder takes a token a step, the reference sees all tokens at once behind a causal mask.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import WhisperConfig, WhisperForConditionalGeneration

LAYERS, HEADS, STEPS = 4, 6, 12


@pytest.fixture(scope="module")
def reference() -> Any:
    """Whisper-tiny with random weights of a size that makes attention choose: the initialisation is almost uniform."""
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=51_865,
        num_mel_bins=80,
        d_model=384,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=1536,
        decoder_ffn_dim=1536,
        max_source_positions=1500,
        max_target_positions=448,
        activation_function="gelu",
        attn_implementation="eager",
    )
    model = WhisperForConditionalGeneration(config).eval()
    for name, tensor in model.named_parameters():
        if "layer_norm.weight" in name:
            tensor.data.uniform_(0.5, 1.5)
        elif name.endswith("bias"):
            tensor.data.normal_(0.0, 0.2)
        elif "embed_tokens" in name or "decoder.embed_positions" in name:
            tensor.data.normal_(0.0, 0.5)
        elif "embed_positions" not in name:
            wide = 2.0 if "q_proj" in name or "k_proj" in name else 1.0
            tensor.data.normal_(0.0, wide / tensor[0].numel() ** 0.5)
    return model


def test_whisper_agrees_with_transformers(reference: Any, build: Any, pretrained: Any, agree: Any) -> None:
    state = {name: tensor for name, tensor in reference.state_dict().items() if name != "proj_out.weight"}
    ours = build("whisper", pretrained(state), {"size": "tiny"})
    rng = np.random.default_rng(0)
    windows = rng.uniform(-1.0, 1.5, (2, 80, 3000)).astype(np.float32)
    tokens = rng.integers(0, 51_865, STEPS)
    model = reference.double()
    with torch.inference_mode():
        hidden = model.model.encoder(torch.from_numpy(windows).double()).last_hidden_state
        ids = torch.from_numpy(tokens)[None]
        logits = model(encoder_outputs=(hidden[:1],), decoder_input_ids=ids, use_cache=False).logits[0].numpy()
        theirs = {}
        for i, layer in enumerate(model.model.decoder.layers):
            attention = layer.encoder_attn
            theirs[f"cross_k_{i}"] = attention.k_proj(hidden).view(2, 1500, HEADS, 64).permute(0, 2, 3, 1).numpy()
            theirs[f"cross_v_{i}"] = attention.v_proj(hidden).view(2, 1500, HEADS, 64).transpose(1, 2).numpy()

    made = [ours["encoder"]({"input_features": window[None]}) for window in windows]
    for name, tensor in theirs.items():
        agree(f"Whisper-tiny {name}", np.concatenate([cross[name] for cross in made]), tensor)

    cache = {f"past_self_{t}_{i}": np.zeros((1, HEADS, 0, 64), np.float32) for t in "kv" for i in range(LAYERS)}
    rows = []
    for step, token in enumerate(tokens):
        now = {"input_ids": np.array([[token]]), "position_ids": np.array([[step]])}
        answer = ours["decoder"]({**now, **made[0], **cache})
        rows.append(answer.pop("logits")[0, 0])
        cache = {name.replace("present", "past"): tensor for name, tensor in answer.items()}
    agree(f"Whisper-tiny logits of {STEPS} steps", np.stack(rows), logits)
