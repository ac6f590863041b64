"""What all tests share: generated examples are the same in every run, so that a change is judged by what it changes.

To look for new examples: `HYPOTHESIS_PROFILE=search python -m nox -s tests`.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
os.environ.setdefault("SOCBENCH_BOARD", f"-tests-{os.getpid()}")  # a machine of their own, also while somebody measures this one


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C reaches what the test starts, also where the tests themselves were started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
