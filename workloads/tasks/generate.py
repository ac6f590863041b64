"""Task half: text generation, prefill then greedy decode. Sent to the board; numpy only."""

from __future__ import annotations

from typing import Any

import numpy as np


class CachedDecoder:
    """A tensor runtime's decoder graph with past and present caches, as the language model that the task drives.

    Inputs input_ids [1, s], attention_mask [1, t], past_key_values.<layer>.key|value [1, kv heads, p, head size];
    outputs logits [1, s, vocabulary], present.<layer>.key|value.
    """

    def __init__(self, model: Any, options: dict[str, Any]) -> None:
        self.model = model
        self.names = [name for name in model.inputs if name.startswith("past_key_values.")]
        self.empty = model.put(np.zeros((1, int(options["kv_heads"]), 0, int(options["head_size"])), np.float32))
        self.reset()

    def reset(self) -> None:
        """Forget the context."""
        self.cache, self.length = dict.fromkeys(self.names, self.empty), 0

    def _run(self, tokens: list[int]) -> Any:
        self.length += len(tokens)
        feeds = dict(self.cache)
        feeds["input_ids"] = self.model.put(np.array([tokens], np.int64))
        feeds["attention_mask"] = self.model.put(np.ones((1, self.length), np.int64))
        found = dict(zip(self.model.outputs, self.model.step(feeds)))
        self.cache = {name: found[name.replace("past_key_values", "present")] for name in self.names}
        return self.model.get(found["logits"])

    def prefill(self, tokens: list[int]) -> int:
        """Process the prompt; the token that follows it."""
        return int(self._run(tokens)[0, -1].argmax())

    def decode(self, token: int) -> int:
        """Process one token; the token that follows it."""
        return int(self._run([token])[0, -1].argmax())

    def logits(self, tokens: list[int]) -> Any:
        """float32 [len(tokens), vocabulary]: what follows each of `tokens`."""
        self.reset()
        return np.concatenate([self._run([token])[0, -1:] for token in tokens])  # a graph may give the last position's logits only


class Task:
    """One prompt an item: `prefill` tokens in, `decode` tokens out, the first of which the prefill yields. options: prefill, decode, compare."""

    def __init__(self, models: dict[str, Any], samples: list[str], options: dict[str, Any], batch: int) -> None:
        if batch != 1:
            raise ValueError("generate runs one sequence at a time: batch must be 1")
        model = models["model"]
        self.model = model if hasattr(model, "prefill") else CachedDecoder(model, options)
        self.samples = samples
        ids = [[int(token) for token in np.load(path)] for path in samples]
        length = int(options["prefill"])
        self.prompts = [(one * -(-length // len(one)))[:length] for one in ids]
        self.compared = [one[: int(options["compare"])] for one in ids]
        self.count = int(options["decode"])
        self.items = {"prefill": float(length), "decode": 1.0}

    def _prefill(self) -> None:
        self.token = self.model.prefill(self.prompt)

    def _decode(self) -> None:
        self.token = self.model.decode(self.token)

    def core(self, index: int) -> Any:
        """Prefill, then one step a token, as (phase, call). Ends after a fixed number of tokens, whatever they are."""
        self.model.reset()
        self.prompt = self.prompts[index % len(self.prompts)]
        return [("prefill", self._prefill), *[("decode", self._decode)] * (self.count - 1)]

    pipeline = core

    def first(self, index: int) -> Any:
        """The first inference after loading: the prefill of a prompt, that is the cold model TTFT."""
        return self.core(index)[:1]

    def outputs(self) -> Any:
        """The logits that follow each token of a fixed text."""
        for path, tokens in zip(self.samples, self.compared):
            yield path, "logits", self.model.logits(tokens), -1
