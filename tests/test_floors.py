"""The house keeps its floors: what may import what."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from harness.spec import Zoo, uses

ROOT = Path(__file__).parents[1]
PLACES = ("targets/boards/**/*.py", "targets/runtimes/*.py", "workloads/tasks/**/*.py", "harness/measure/compare.py")
SENT = sorted(path for place in PLACES for path in ROOT.glob(place))
RUNTIMES = {"onnxruntime", "cyllama"}


def imported(path: Path) -> set[str]:
    """Top-level names that a file imports when it is run; what stands under TYPE_CHECKING is not run."""
    found: set[str] = set()

    def visit(nodes: list[ast.stmt]) -> None:
        for node in nodes:
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                visit(node.orelse)
            elif isinstance(node, ast.Import):
                found.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").partition(".")[0])
            else:
                for field in ("body", "orelse", "finalbody"):
                    visit(getattr(node, field, []) or [])
                for handler in getattr(node, "handlers", []):
                    visit(handler.body)

    visit(ast.parse(path.read_text()).body)
    return found


def test_no_room_imports_from_a_floor_above_it() -> None:
    done = subprocess.run([Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", SENT, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_sent_to_a_board_imports_only_what_a_board_has(path: Path) -> None:
    allowed = sys.stdlib_module_names | {"numpy"} | {f"socbench_{name}" for name in uses(path)}
    if "runtimes" in path.parts:
        allowed |= RUNTIMES
    if path.parent.name == "lib":
        allowed |= {f"socbench_{other.stem}" for other in path.parent.glob("*.py")}
    if "boards" in path.parts:
        allowed -= {"numpy"}
    assert imported(path) <= allowed


@pytest.mark.parametrize("path", SENT, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_sent_to_a_board_is_python_3_8(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 8))


def test_every_half_that_a_target_or_a_task_names_is_there() -> None:
    zoo = Zoo()
    for name in zoo.target_files:
        target, toml = zoo.target(name), zoo.target_files[name]
        assert zoo.halves("boards", target.board, toml)
        for runtime, use in target.runtimes.items():
            assert zoo.halves("runtimes", runtime, toml)
            assert all(zoo.halves("toolchains", convert.toolchain, toml) for convert in use.convert.values())
    for name in zoo.workload_files:
        assert len(zoo.workload_sha256(name)) == 64
