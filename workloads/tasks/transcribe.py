"""Task half: speech recognition, Whisper's way: log-mel, encoder, greedy decoder with caches. Sent to the board; numpy only."""

from __future__ import annotations

from typing import Any

import numpy as np

RATE, WINDOW, FFT, HOP, BINS = 16_000, 480_000, 400, 160, 80


def mel_filters() -> Any:
    """Slaney-normalised triangular mel filters, float32 [80, 201] (Slaney 1998, Auditory Toolbox)."""

    def to_hertz(mel: Any) -> Any:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))

    top = 15 + np.log(RATE / 2 / 1000) * 27 / np.log(6.4)
    edges = to_hertz(np.linspace(0, top, BINS + 2))
    frequency = np.linspace(0, RATE / 2, FFT // 2 + 1)
    rising = (frequency[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequency[None]) / (edges[2:] - edges[1:-1])[:, None]
    triangles = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return triangles.astype(np.float32)


def log_mel(wave: Any, filters: Any) -> Any:
    """Whisper's input features. wave: float32 [n] in -1..1 at 16 kHz, cut or padded to 30 s -> float32 [1, 80, 3000]."""
    padded = np.zeros(WINDOW, np.float32)
    padded[: min(len(wave), WINDOW)] = wave[:WINDOW]
    framed = np.lib.stride_tricks.sliding_window_view(np.pad(padded, FFT // 2, mode="reflect"), FFT)[::HOP][: WINDOW // HOP]
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)).astype(np.float32)
    power = np.abs(np.fft.rfft(framed * window)).astype(np.float32) ** 2
    logs = np.log10(np.maximum(filters @ power.T, 1e-10))
    return np.ascontiguousarray(((np.maximum(logs, logs.max() - 8) + 4) / 4)[None].astype(np.float32))


class Task:
    """Roles: encoder, decoder. options: layers, heads, head_size, prompt (token ids forced first), steps.

    The number of decoder steps is fixed: how many a window needs depends on what is said, and its cost must not.
    """

    def __init__(self, models: dict[str, Any], samples: list[str], options: dict[str, Any], batch: int) -> None:
        if batch != 1:
            raise ValueError("transcribe runs one window at a time: batch must be 1")
        self.encoder, self.decoder, self.samples = models["encoder"], models["decoder"], samples
        self.prompt, self.steps = [int(token) for token in options["prompt"]], int(options["steps"])
        self.layers = int(options["layers"])
        self.filters = mel_filters()
        self.waves = [np.load(path).astype(np.float32) / np.float32(32768) for path in samples]
        self.items = {"preprocess": 30.0, "encode": 30.0, "decode": 1.0, "postprocess": 30.0}
        self.features = [self.encoder.put(log_mel(wave, self.filters)) for wave in self.waves]
        self.empty = self.decoder.put(np.zeros((1, int(options["heads"]), 0, int(options["head_size"])), np.float32))
        self.self_cache = [f"past_self_{half}_{layer}" for layer in range(self.layers) for half in "kv"]
        self.cross_cache = [f"cross_{half}_{layer}" for layer in range(self.layers) for half in "kv"]

    def _begin(self, features: Any) -> dict[str, Any]:
        """The decoder's feeds before its first step: cross caches from the encoder, empty own caches."""
        crossed = dict(zip(self.encoder.outputs, self.encoder.step({"input_features": features})))
        return {**dict.fromkeys(self.self_cache, self.empty), **{name: crossed[name] for name in self.cross_cache}}

    def _step(self, feeds: dict[str, Any], token: int, position: int) -> Any:
        """One decoder step; moves the caches on in `feeds`. Returns logits [1, 1, vocabulary]."""
        feeds["input_ids"] = self.decoder.put(np.array([[token]], np.int64))
        feeds["position_ids"] = self.decoder.put(np.array([[position]], np.int64))
        found = dict(zip(self.decoder.outputs, self.decoder.step(feeds)))
        for name in self.self_cache:
            feeds[name] = found[name.replace("past", "present")]
        return self.decoder.get(found["logits"])

    def _decode(self) -> None:
        """The next step of the window: its token forced by the prompt, else the most probable one."""
        position = len(self.tokens) - 1
        logits = self._step(self.feeds, self.tokens[position], position)
        following = position + 1
        self.tokens.append(self.prompt[following] if following < len(self.prompt) else int(logits[0, -1].argmax()))

    def _encode(self) -> None:
        self.feeds = self._begin(self.input)
        self.tokens = [self.prompt[0]]

    def core(self, index: int) -> Any:
        """One window whose features lie ready: the encoder, then `steps` decoder steps, as (phase, call)."""
        self.input = self.features[index % len(self.features)]
        return [("encode", self._encode), *[("decode", self._decode)] * self.steps]

    def pipeline(self, index: int) -> Any:
        """One window from its samples to its text's token ids."""
        wave = self.waves[index % len(self.waves)]

        def preprocess() -> None:
            self.input = self.encoder.put(log_mel(wave, self.filters))

        def postprocess() -> None:
            self.text_ids = [token for token in self.tokens if token < self.prompt[0]]

        return [("preprocess", preprocess), *self.core(index), ("postprocess", postprocess)]

    def _teacher(self, index: int) -> list[int]:
        """A fixed token sequence, equal for every precision, so that one early difference does not decide all the rest."""
        rest = np.random.default_rng(index).integers(256, self.prompt[0] - 1000, self.steps)
        return [*self.prompt, *(int(token) for token in rest)][: self.steps]

    def calibration(self) -> Any:
        """(role, feed) for static quantisation: every window's features, and its decoder steps."""
        for index, features in enumerate(self.features):
            yield "encoder", {"input_features": self.encoder.get(features)}
            feeds = self._begin(features)
            for position, token in enumerate(self._teacher(index)):
                if position % 16 == 8:  # a few steps, and never the first: an empty cache has no range to calibrate on
                    step = {name: self.decoder.get(feeds[name]) for name in self.self_cache + self.cross_cache}
                    yield "decoder", {**step, "input_ids": np.array([[token]]), "position_ids": np.array([[position]])}
                self._step(feeds, token, position)

    def outputs(self) -> Any:
        """The encoder's last cross cache, and the logits of a fixed token sequence, on every sample."""
        for index, (path, features) in enumerate(zip(self.samples, self.features)):
            feeds = self._begin(features)
            yield path, self.cross_cache[-1], self.decoder.get(feeds[self.cross_cache[-1]]), None
            steps = [self._step(feeds, token, position)[0] for position, token in enumerate(self._teacher(index))]
            yield path, "logits", np.concatenate(steps), -1
