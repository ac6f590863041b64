"""Runtime half: llama.cpp through the prebuilt binding cyllama. Sent to the board; needs numpy and cyllama there."""

from __future__ import annotations

from typing import Any

import cyllama
import numpy as np
from cyllama.llama import llama_cpp


def probe() -> dict[str, Any]:
    """The binding's version, and which llama.cpp it holds."""
    return {
        "version": cyllama.__version__,
        "llama.cpp": f"ggml {llama_cpp.ggml_version()} {llama_cpp.ggml_commit()}",
        "devices": [f"{device['type']}: {device['description']}" for device in llama_cpp.ggml_backend_dev_info()],
        "gpu_offload": bool(llama_cpp.llama_supports_gpu_offload()),
    }


class Gguf(llama_cpp.LlamaModel):
    """cyllama 0.2.18 reads the attribute `n_vocab` of its own model, which has none."""

    n_vocab = property(lambda self: self.get_vocab().n_vocab)


class Model:
    """A language model with one sequence and its cache."""

    def __init__(self, path: str, threads: int, options: dict[str, Any]) -> None:
        llama_cpp.disable_logging()
        parameters = llama_cpp.LlamaModelParams()
        parameters.n_gpu_layers = 0
        self._model = Gguf(path, parameters, verbose=False)
        settings = llama_cpp.LlamaContextParams()
        context = max(512, int(options.get("prefill", 0)) + int(options.get("decode", 0)))
        settings.n_ctx = settings.n_batch = settings.n_ubatch = context
        settings.n_threads = settings.n_threads_batch = threads
        self._context = llama_cpp.LlamaContext(self._model, settings, verbose=False)
        self._batch = llama_cpp.LlamaBatch(n_tokens=context, embd=0, n_seq_max=1, verbose=False)
        self._greedy = llama_cpp.LlamaSampler(llama_cpp.LlamaSamplerChainParams())
        self._greedy.add_greedy()
        self._past = 0

    def describe(self) -> dict[str, Any]:
        """What llama.cpp says of the file and of the context it opened."""
        return {"model": self._model.desc, "parameters": self._model.n_params, "context": self._context.n_ctx, "threads": self._context.n_threads()}

    def offload(self) -> dict[str, dict[str, float]]:
        """The build has no accelerator and no layer was asked to leave the CPU."""
        return {} if llama_cpp.llama_supports_gpu_offload() else {"cpu": {"layers": float(self._model.n_layer)}}

    def reset(self) -> None:
        """Forget the context."""
        self._context.kv_cache_clear()
        self._past = 0

    def _run(self, tokens: list[int], every: bool) -> None:
        self._batch.set_batch(tokens, self._past, every)
        self._context.decode(self._batch)
        self._past += len(tokens)

    def prefill(self, tokens: list[int]) -> int:
        """Process the prompt; the most probable token that follows it."""
        self._run(tokens, False)
        return int(self._greedy.sample(self._context, -1))

    def decode(self, token: int) -> int:
        """Process one token; the most probable one that follows it."""
        self._run([token], False)
        return int(self._greedy.sample(self._context, -1))

    def logits(self, tokens: list[int]) -> Any:
        """float32 [len(tokens), vocabulary]: what follows each of `tokens`."""
        self.reset()
        self._run(tokens, True)
        return np.array([self._context.get_logits_ith(row) for row in range(len(tokens))], np.float32)

    def close(self) -> None:
        """Free context and model, in this order."""
        self._greedy.close()
        self._context.close()
        self._model.close()


def open(path: str, threads: int, options: dict[str, Any]) -> Model:
    """Open the GGUF file at `path` with `threads` threads; `options`: prefill, decode (tokens, for the size of the context)."""
    return Model(path, threads, options)
