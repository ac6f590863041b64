"""The lab of a test run: made when the first test asks for it, gone with the process."""

from __future__ import annotations

import itertools
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.ssh_lab.assets import Assets, prepare
from tests.ssh_lab.board import Board
from tests.ssh_lab.namespace import LAB
from tests.ssh_lab.trees import RK3588

if TYPE_CHECKING:
    from collections.abc import Iterator

SSH_CONFIG = """\
Host {name}
  HostName {address}
  User root
"""


class Lab:
    """Boards by name, and what ssh is told of them: an entry in ~/.ssh/config, a host key in ~/.ssh/known_hosts."""

    def __init__(self, assets: Assets) -> None:
        self.assets, self.boards, self._numbers = assets, dict[str, Board](), itertools.count(11)
        self.ssh = LAB / "home/.ssh"
        if not (self.ssh / "id_ed25519").exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.ssh / "id_ed25519")], check=True)

    def board(self, name: str, tree: dict[str, str] = RK3588, **more: Any) -> Board:
        """A board that has booted and that ssh knows."""
        board = Board(self.assets, name, next(self._numbers), tree, **more)
        self.boards[name] = board
        board.boot()
        self.introduce()
        return board

    def introduce(self, **keys: str) -> None:
        """Write what ssh knows; `keys` gives a board, by name, another line of known_hosts than its own."""
        (self.ssh / "config").write_text("".join(SSH_CONFIG.format(name=board.name, address=board.address) for board in self.boards.values()))
        (self.ssh / "known_hosts").write_text("".join(keys.get(board.name, board.host_key()) + "\n" for board in self.boards.values()))

    def scrap(self, board: Board) -> None:
        """Take a board away."""
        del self.boards[board.name]
        board.scrap()
        self.introduce()


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The lab. Raises what is wrong where the tests do not run in one."""
    if "LAB_CGROUP" not in os.environ or not LAB.is_dir():
        pytest.exit("these tests need the lab: python -m nox -s tests-lab", returncode=2)
    found = Lab(prepare())
    yield found
    for board in list(found.boards.values()):
        found.scrap(board)


@pytest.fixture(scope="session")
def native(lab: Lab) -> Board:
    """A board of this machine's own kind of processor, that tests share and leave as they found it."""
    return lab.board("native")


@pytest.fixture
def spare(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Board]:
    """A native board of the test's own."""
    board = lab.board(f"spare{next(lab._numbers)}")
    yield board
    lab.scrap(board)
