"""Random numbers by name: one stream a variable, the same whatever else is drawn.

The stream of a variable depends on the seed and its name only. So a draw of one SoC is the same in every scenario and in whatever company, which
is why adding a SoC cannot change the order of the others by chance.
"""

from __future__ import annotations

import hashlib
import math
from functools import cached_property
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from harness.errors import UsageError

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.intp]


def quantiles(levels: Floats) -> Floats:
    """The standard normal quantiles at `levels`. The standard library's: loading scipy takes longer than ten thousand of them."""
    inverse = NormalDist().inv_cdf
    return np.array([inverse(level) for level in levels.tolist()], np.float32)


class Streams:
    """Streams of `draws` numbers each, by name.

    A stream is stratified: its numbers are the quantiles at (k + 1/2) / `draws` in random order, so every mean over one variable is exact up to
    the grid, and any thousand draws of it spread as they should.
    """

    def __init__(self, draws: int = 10_000, seed: int = 1) -> None:
        if not 100 <= draws <= 1_000_000:
            raise UsageError(f"draws is {draws}", "take from 100 to 1000000 draws; 10000 is the default")
        self.draws = draws
        self.seed = seed
        self._shares: dict[tuple[str, float], Floats] = {}

    @cached_property
    def levels(self) -> Floats:
        """The probabilities (k + 1/2) / N, ascending, shape (N,)."""
        return ((np.arange(self.draws) + 0.5) / self.draws).astype(np.float32)

    @cached_property
    def grid(self) -> Floats:
        """The standard normal quantiles at `levels`, ascending, shape (N,)."""
        return quantiles(self.levels)

    @cached_property
    def _bases(self) -> Whole:
        """Random permutations of 0 .. N-1, each written twice in a row so that a rotation is a slice: shape (bases, 2 N)."""
        generator = np.random.Generator(np.random.PCG64(self._hash("")))
        bases = max(4, min(1024, 640_000 // self.draws))
        return np.stack([np.tile(generator.permutation(self.draws), 2) for _ in range(bases)])

    def _hash(self, name: str) -> int:
        return int.from_bytes(hashlib.blake2b(f"{self.seed}\0{name}".encode(), digest_size=16).digest(), "little")

    def order(self, name: str) -> Whole:
        """Which quantile of the grid each draw of `name` takes: a random permutation of 0 .. N-1.

        One of some random permutations (64 where N is 10 000), begun somewhere, both chosen by the name. Where two streams share the permutation
        the one is the other some draws later, which of a random permutation is as good as another one, and costs nothing.
        """
        rest, base = divmod(self._hash(name), len(self._bases))
        turn = rest % self.draws
        return self._bases[base, turn : turn + self.draws]

    def coin(self, name: str, chance: float = 0.5) -> Bools:
        """A coin a draw for the unknown of variable `name`, shape (N,): that share of them is True."""
        return self.order("?" + name) >= round(self.draws * (1 - chance))

    def share(self, name: str, shape: float) -> Floats:
        """Gamma numbers of that shape for the weight of criterion `name`, shape (N,): normalised over the criteria they are Dirichlet."""
        found = self._shares.get((name, shape))
        if found is None:
            generator = np.random.Generator(np.random.PCG64(self._hash("w/" + name)))
            found = self._shares[name, shape] = generator.standard_gamma(shape, self.draws).astype(np.float32)
        return found

    def weights(self, names: tuple[str, ...], stated: tuple[float, ...], concentration: float) -> Floats:
        """Weights around `stated` (which add up to 1), shape (criteria, N): Dirichlet(concentration * stated); exact where it is infinite.

        Raises UsageError for a concentration that is not above zero.
        """
        if not concentration > 0:
            raise UsageError(f"concentration is {concentration}", "write a number above zero; inf takes the weights as exact")
        exact = np.array(stated, np.float32)[:, None]
        if math.isinf(concentration):
            return np.repeat(exact, self.draws, axis=1)
        drawn = np.stack([self.share(name, concentration * weight) for name, weight in zip(names, stated, strict=True)])
        total = drawn.sum(axis=0)
        # Gamma numbers of tiny shapes can all underflow to zero: such a draw says nothing, and the stated weights stand.
        return np.where(total > 0, drawn / np.where(total > 0, total, 1), exact)
