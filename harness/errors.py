"""Every error socbench raises on purpose.

::

    SocbenchError              one message for the user; exit code 2
    +-- UsageError             a command line that cannot be carried out
    +-- SpecError              a TOML file: names file, key and what to write instead
    +-- WeightsError           model weights that are missing, misshapen or unreadable
    +-- ArtifactError          a model file that could not be built, converted or fetched
        +-- NotGiven           the user's weights do not hold what this model file is made from
    +-- RecordError            a result file that cannot be read
    +-- StoreError             a results folder that is locked, full or not writable
    +-- LinkError              the agent's process: start, ask, answer
        +-- Transient          worth one retry: a time-out, a lost link
        |   +-- Cut            the link stayed cut: our hold of the machine ends by itself
        +-- Stable             a retry would fail the same way: the agent said no
            +-- Lost           our hold of the machine is gone, and what ran there: it restarted
"""

from __future__ import annotations


class SocbenchError(Exception):
    """A failure the user can act on: `what` went wrong in one line and the `fix`; `detail` is a trace or another program's output."""

    def __init__(self, what: str, fix: str = "", detail: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.detail = detail

    def __str__(self) -> str:
        return "\n".join([*([self.detail] if self.detail else []), self.what, *([f"  fix: {self.fix}"] if self.fix else [])])


class UsageError(SocbenchError):
    """A command line that cannot be carried out."""


class SpecError(SocbenchError):
    """A TOML file that does not say what it must: file, key, fix."""


class WeightsError(SocbenchError):
    """Model weights that are missing, misshapen or unreadable."""


class ArtifactError(SocbenchError):
    """A model file that could not be built, converted or fetched."""


class NotGiven(ArtifactError):
    """The user's weights do not hold what this model file is made from: nothing failed, there is nothing to measure."""


class RecordError(SocbenchError):
    """A result file that cannot be read."""


class StoreError(SocbenchError):
    """A results folder that is locked, full or not writable."""


class LinkError(SocbenchError):
    """The agent's process could not be started or asked."""


class Transient(LinkError):
    """Worth one retry: a time-out, a lost link."""


class Cut(Transient):
    """The link stayed cut for longer than is waited. The hold ends by itself or is ended when the machine is held again, which is worth a try."""


class Stable(LinkError):
    """A retry would fail the same way: the agent refused or the code raised."""


class Lost(Stable):
    """Our hold of the machine is gone, and what ran there: it restarted, or the process that held it was killed. It can be held again."""
