"""How good the estimates are on held-out figures, and how long fitting them takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import spec
from harness.decide import figures, workloads
from harness.decide.catalogue import Catalogue
from harness.decide.estimate import Estimates, Quality
from harness.decide.terms import Figure


def inputs() -> tuple[tuple[Figure, ...], Catalogue, dict[str, workloads.Work]]:
    shipped = [spec.home() / "results" / "evidence"]
    return figures.read(shipped), Catalogue.read(shipped), workloads.read(shipped)


@pytest.fixture(scope="module")
def quality(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Quality]:
    return Estimates.fit(*inputs(), tmp_path_factory.mktemp("fit")).quality


def test_time_of_the_fit(benchmark: Any, tmp_path: Path) -> None:
    given = inputs()
    benchmark.pedantic(lambda: Estimates.fit(*given, tmp_path), rounds=1)
    benchmark.extra_info.update(what="estimates fitted, nothing cached", value=benchmark.stats.stats.data[0], unit="s", bound=10.0)


@pytest.mark.parametrize(
    ("name", "said", "bound"),
    [
        ("latency", "latency estimates, one (SoC, workload) held out", 0.15),
        ("latency unseen", "latency estimates, a whole SoC held out", None),
        ("decode", "LLM decode estimates, one (SoC, model) held out", None),
        ("decode unseen", "LLM decode estimates, a whole SoC held out", None),
    ],
)
def test_error_of_held_out_figures(benchmark: Any, quality: dict[str, Quality], name: str, said: str, bound: float | None) -> None:
    one = benchmark.pedantic(lambda: quality[name], rounds=1)
    detail = {field: getattr(one, field) for field in one.__struct_fields__}
    limits = {} if bound is None else {"bound": bound}
    benchmark.extra_info.update(what=f"{said}: median absolute error", value=one.error, unit="ratio", quality=detail, **limits)


def test_misses_of_the_intervals(benchmark: Any, quality: dict[str, Quality]) -> None:
    """The share outside; a share below 6 % would mean intervals wider than they need be."""
    one = benchmark.pedantic(lambda: quality["latency"], rounds=1)
    benchmark.extra_info.update(
        what="latency estimates: held-out figures outside their 90 % interval", value=1.0 - one.coverage, unit="ratio", bound=0.12
    )
    assert 0.88 <= one.coverage <= 0.94
