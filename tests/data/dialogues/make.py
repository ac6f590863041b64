"""A short conversation with this machine, and the dialogue of it that is shipped. To make it anew: `python -m tests.data.dialogues.make`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import cache
from harness.errors import Stable
from harness.measure.link import Local
from harness.measure.recording import Recording
from harness.spec import Zoo
from tests.lab import PACK, RUNTIMES

if TYPE_CHECKING:
    from harness.measure.link import Agent, Link

SHIPPED = Path(__file__).with_name("host.jsonl.gz")
TASK = """
import time


class Task:
    items = {"infer": 1.0}

    def __init__(self, models, samples, options, batch):
        self.options = options

    def core(self, number):
        return [("infer", lambda: time.sleep(self.options["sleep"]))]

    pipeline = core
"""


def loaded(link: Link, agent: Agent, role: str, path: Path) -> None:
    """Send a half."""
    agent.ask("load", 60.0, role=role, path=link.put([path])[0], sha256=cache.sha256(path))


def talk(link: Link, folder: Path, spans: int = 20) -> dict[str, Any]:
    """What a worker and a sampler say while a task that sleeps is measured, and how a runtime that cannot open its model refuses."""
    said: dict[str, Any] = {"rows": []}
    task = folder / "task.py"
    task.write_text(TASK)
    with link.hold():
        with link.start(2) as worker, link.start(1) as sampler:
            for agent in (worker, sampler):
                for role, path in Zoo([PACK]).halves("boards", "host"):
                    loaded(link, agent, role, path)
            loaded(link, worker, "runtime", RUNTIMES / "chatty.py")
            loaded(link, worker, "task", task)
            said["probe"] = worker.ask("probe", 60.0)
            worker.ask("open", 60.0, files={"model": "models/nowhere"}, threads=1, options={}, samples=[], task_options={"sleep": 0.002}, batch=1)
            sampler.begin("sample", hertz=100.0, pid=worker.ask("clock", 60.0)["pid"])
            said["channels"] = sampler.wait("sampling", 60.0)["channels"]
            said["measured"] = worker.ask("measure", 60.0, stage="steady", min_count=spans)
            sampler.begin("close")
            said["sampled"] = sampler.finish(60.0, said["rows"].append)
            said["closed"] = [sampler.finish(60.0), worker.ask("close", 60.0)]
            said["printed"] = worker.stderr()
        with link.start(1) as agent:
            loaded(link, agent, "runtime", RUNTIMES / "raises.py")
            loaded(link, agent, "task", task)
            try:
                agent.ask("open", 60.0, files={"model": "models/nowhere"}, threads=1, options={}, samples=[], task_options={}, batch=1)
            except Stable as error:
                said["refused"] = (error.what, error.fix, error.detail)
    return said


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=cache.folder()) as place, Recording(Local(), SHIPPED) as recording:
        talk(recording, Path(place))
