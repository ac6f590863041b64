"""Crossed random effects: values that share groups (a SoC, a workload, a runtime ...) inform one another.

The model is y = X b + sum over the groupings g of r_g[label] + e, with b ~ N(0, 25), r_g ~ N(0, s_g^2) and e ~ N(0, s_e^2), all independent. Its
best linear unbiased prediction is that of a Gaussian process whose covariance is

    C = 25 X X' + sum_g s_g^2 [same label in g] + s_e^2 I

(C. K. Williams and C. E. Rasmussen, Gaussian Processes for Machine Learning, 2006, chapters 2 and 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

PRIOR = 25.0
"""variance of a fixed effect: wide"""
START_GROUP, START_NOISE = 0.4, 0.25
BOUND = (-5.0, 2.0)
"""of the logarithm of every standard deviation"""
LEVEL = 0.90
NORMAL = 1.6448536269514722
"""half-width of a 90 % interval in standard deviations of a normal distribution"""


class Rows(NamedTuple):
    """Values with what explains them: `x` n x p fixed effects; `labels` one array of n integers per grouping: the same integer is the same label.

    A negative label: the value belongs to no group of that grouping.
    """

    x: Array
    labels: Sequence[Array]


class Model(msgspec.Struct, frozen=True):
    """The standard deviations: one per grouping, and `noise`."""

    groups: tuple[float, ...]
    noise: float


def covariance(model: Model, left: Rows, right: Rows) -> Array:
    """Covariance of the noise-free values of `left` (n rows) with those of `right` (m rows): n x m."""
    found: Array = PRIOR * left.x @ right.x.T
    for scale, one, other in zip(model.groups, left.labels, right.labels, strict=True):
        found += scale * scale * _same(one, other)
    return found


def _same(left: Array, right: Array) -> Array:
    same: Array = (left[:, None] == right[None, :]) & (left[:, None] >= 0)
    return same


def fit(rows: Rows, y: Array, fixed: Model | None = None) -> Fit:
    """Standard deviations of the largest marginal likelihood (unless `fixed`), and what predicting needs. `y` has n values."""
    if fixed is None:
        import numpy as np
        from scipy.optimize import minimize  # two thirds of a second to load: not where the standard deviations are known

        base = PRIOR * rows.x @ rows.x.T
        same = [_same(one, one).astype(float) for one in rows.labels]
        start = np.log([START_GROUP] * len(same) + [START_NOISE])
        best = minimize(_loss, start, args=(y, base, same), jac=True, method="L-BFGS-B", bounds=[BOUND] * len(start))
        *groups, noise = (float(one) for one in np.exp(best.x))
        fixed = Model(tuple(groups), noise)
    return Fit(fixed, rows, y)


def _loss(logs: Array, y: Array, base: Array, same: Sequence[Array]) -> tuple[float, Array]:
    """Negative log marginal likelihood, less a constant, and its gradient by the logarithms: tr(C^-1 dC)/2 - a' dC a / 2 with a = C^-1 y."""
    import numpy as np

    squares = np.exp(2.0 * logs)
    c = base + squares[-1] * np.eye(len(y))
    for square, one in zip(squares[:-1], same, strict=True):
        c += square * one
    inverse, half = _inverse(c)
    a = inverse @ y
    loss = 0.5 * float(y @ a) + half
    slack = inverse - np.outer(a, a)
    slopes = [square * float(np.sum(slack * one)) for square, one in zip(squares[:-1], same, strict=True)]
    return loss, np.array([*slopes, squares[-1] * float(np.trace(slack))])


def _inverse(c: Array) -> tuple[Array, float]:
    """C^-1, and half the logarithm of det C."""
    import numpy as np
    from scipy.linalg import cho_factor
    from scipy.linalg.lapack import dpotri

    factor, _ = cho_factor(c, lower=True)
    half = float(np.sum(np.log(np.diag(factor))))
    lower, _ = dpotri(factor, lower=1)
    return np.tril(lower) + np.tril(lower, -1).T, half


class Fit:
    """A fitted model with the values it knows."""

    def __init__(self, model: Model, rows: Rows, y: Array) -> None:
        import numpy as np

        self.model, self.rows, self.y = model, rows, y
        self.inverse = np.linalg.inv(covariance(model, rows, rows) + model.noise**2 * np.eye(len(y)))
        self.weights = self.inverse @ y

    def predict(self, rows: Rows) -> tuple[Array, Array]:
        """Mean and standard deviation of a new value (its noise included) at each of `rows`."""
        import numpy as np

        cross = covariance(self.model, rows, self.rows)
        own = PRIOR * np.sum(rows.x**2, axis=1)
        for scale, one in zip(self.model.groups, rows.labels, strict=True):
            own = own + scale**2 * (one >= 0)
        left = own - np.sum((cross @ self.inverse) * cross, axis=1)
        return cross @ self.weights, np.sqrt(np.maximum(left, 0.0) + self.model.noise**2)

    def held_out(self, blocks: Array) -> tuple[Array, Array]:
        """Residual and standard deviation of each value, predicted from the values of all other blocks. `blocks`: n integers.

        In closed form: with B the rows of a block, the residuals are (C^-1_BB)^-1 (C^-1 y)_B and their covariance (C^-1_BB)^-1.
        """
        import numpy as np

        residual, spread = np.empty(len(self.y)), np.empty(len(self.y))
        for block in np.unique(blocks):
            of = np.flatnonzero(blocks == block)
            within = np.linalg.inv(self.inverse[np.ix_(of, of)])
            residual[of] = within @ self.weights[of]
            spread[of] = np.sqrt(np.diag(within))
        return residual, spread


def conformal(residual: Array, spread: Array, weights: Array) -> float:
    """The half-width, in standard deviations, that would have held the share LEVEL of the weight of the held-out values.

    Weighted split conformal prediction: one more value, of the mean weight, counts as never held. (R. J. Tibshirani, R. Foygel Barber, E. J.
    Candès and A. Ramdas, Conformal prediction under covariate shift, 2019.) Where that leaves no such width, the widest score.
    """
    import numpy as np

    scores = np.abs(residual) / spread
    order = np.argsort(scores, kind="stable")
    share = np.cumsum(weights[order]) / (np.sum(weights) + np.mean(weights))
    return float(scores[order[min(int(np.searchsorted(share, LEVEL)), len(order) - 1)]])


def conformal_by_block(residual: Array, spread: Array, blocks: Array, weights: Array) -> Array:
    """For each value, `conformal` over the values of all other blocks: what would have been used for it, had its block been unknown."""
    import numpy as np

    found = np.empty(len(residual))
    for block in np.unique(blocks):
        out = blocks == block
        found[out] = conformal(residual[~out], spread[~out], weights[~out])
    return found
