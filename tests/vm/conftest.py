"""One machine for all tests of a run: it boots when the first asks for it, and is gone with the process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.ssh_lab.namespace import LAB
from tests.vm.assets import prepare
from tests.vm.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    if "LAB_CGROUP" not in os.environ or not LAB.is_dir():
        pytest.exit("these tests need an empty home and a network of their own: python -m nox -s tests-vm", returncode=2)
    with Machine(prepare(), tmp_path_factory.mktemp("vm")) as machine:
        yield machine


@pytest.fixture
def vm(booted: Machine) -> Iterator[Machine]:
    """The machine; after the test nothing that the harness started runs there, and nothing lies there but its uploads."""
    yield booted
    booted.await_up()
    assert not booted.left()
