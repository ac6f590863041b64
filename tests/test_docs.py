"""What the documents promise is there."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest

from harness.cli import parser
from harness.metrics import metrics

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
MEASURING = (ROOT / "docs/measuring.md").read_text()


def shell_lines(text: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [line.split("  #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def test_the_readme_sets_up_everything_with_one_command_for_each_of_its_two_jobs() -> None:
    lines = shell_lines(README)
    assert "python -m pip install nox && python -m nox -s bench-host" in lines
    assert "python -m pip install nox && python -m nox -s tests lint types" in lines


def test_ci_runs_the_test_command_of_the_readme_word_for_word() -> None:
    command = next(line for line in shell_lines(README) if "-s tests" in line)
    assert command in (ROOT / ".ci/run").read_text().splitlines()


@pytest.mark.parametrize("line", [line for line in shell_lines(README) if line.startswith("socbench ")])
def test_every_command_of_the_readme_is_one(line: str) -> None:
    assert parser().parse_args(shlex.split(line)[1:]).run


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.name)
def test_every_link_between_documents_leads_somewhere(path: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", path.read_text()) if "://" not in link]
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_metric_is_explained() -> None:
    assert [one.id for one in metrics() if f"`{one.id}`" not in MEASURING] == []


def test_every_problem_is_explained_and_no_other() -> None:
    codes = set()
    for path in (ROOT / "harness/checks").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "code":
                codes.add(ast.literal_eval(node.value))
    table = MEASURING.split("| code | says |")[1].split("\n\n")[0]
    assert set(re.findall(r"`([a-z-]+)`", table)) == codes


def test_every_metric_of_every_column_of_the_table_is_documented_in_records() -> None:
    from harness.table import COLUMNS

    text = (ROOT / "docs/records.md").read_text()
    assert [column for column in COLUMNS if f"`{column}`" not in text] == []


def test_no_document_or_source_names_a_place_on_a_developers_machine() -> None:
    bad = re.compile(r"/(?:work|home|root)/|\b(?:architecture|targets|statistics|peers|zoo|roadmap)\.md")
    files = [path for folder in ("harness", "reports", "targets", "workloads", "benchmarks", "docs") for path in (ROOT / folder).rglob("*.*")]
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in [*files, ROOT / "README.md", ROOT / "noxfile.py", ROOT / ".ci/run"]
        if path.suffix in {".py", ".md", ".toml", ".html", ".js", ".css", ""} and (match := bad.search(path.read_text()))
    ]
    assert found == []
