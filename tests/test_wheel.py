"""The installed wheel is the checkout: it carries the zoo and runs from any folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(ROOT)], check=True, capture_output=True)
    return next(out.glob("socbench-*.whl"))


def test_the_wheel_carries_every_file_of_the_zoo_the_evidence_and_no_results(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    zoo = [path for folder in ("targets", "workloads") for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    zoo += (ROOT / "results/evidence").iterdir()
    assert {f"harness/pack/{path.relative_to(ROOT)}" for path in zoo} <= names
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "reports/scenarios").glob("*.toml")} <= names
    assert not [name for name in names if name.startswith(("results", "tests", "benchmarks"))]
    assert max(file.file_size for file in zipfile.ZipFile(wheel).infolist()) < 2_000_000


def test_the_wheel_in_an_empty_environment_measures_and_reports_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    venv, empty = tmp_path / "venv", tmp_path / "empty"
    empty.mkdir()
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run([venv / "bin/python", "-m", "pip", "install", "-q", str(wheel)], check=True)
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}

    def socbench(*command: str) -> str:
        done = subprocess.run([venv / "bin/socbench", *command], cwd=empty, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    here = subprocess.run([sys.executable, "-m", "harness", "list", "workloads", "--json"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert socbench("list", "workloads", "--json") == here.stdout
    choice = ("--workload", "yolov8n", "--precision", "fp32", "--scenario", "single-stream", "--seconds", "0.1")
    measured = json.loads(socbench("bench", "host", *choice, "--json"))
    assert [record["status"] in {"ok", "invalid"} for record in measured["boards"][0]["records"]] == [True]
    assert json.loads(socbench("select", "edge-llm", "--json"))["decision"]["entries"]
    socbench("report")
    assert (empty / "results/report.html").stat().st_size > 10_000
