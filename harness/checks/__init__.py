"""Every way a run can be unsound, one file a check. The file is the registration: its `check` is found here."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from functools import cache

import msgspec

from harness.record import Problem, RunRecord

Check = Callable[[RunRecord], Iterator[Problem]]


@cache
def checks() -> tuple[Check, ...]:
    """All checks, in the order of their modules' `ORDER` (default 50), then of their names."""
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    found = [module for module in modules if hasattr(module, "check")]
    return tuple(module.check for module in sorted(found, key=lambda one: (getattr(one, "ORDER", 50), one.__name__)))


def judge(record: RunRecord) -> RunRecord:
    """`record` with the problems that its own data show; its status becomes invalid where one of them says so.

    A check sees the problems found before it in `record.problems` (drift is looked for before two modes, because drift looks like them).
    """
    if record.status != "ok":
        return record
    for check in checks():
        found = list(check(record))
        if found:
            record = msgspec.structs.replace(record, problems=[*record.problems, *found])
    if any(problem.severity == "invalid" for problem in record.problems):
        worst = [problem for problem in record.problems if problem.severity == "invalid"]
        reason, fix = ("; ".join(dict.fromkeys(getattr(problem, name) for problem in worst)) for name in ("what", "fix"))
        record = msgspec.structs.replace(record, status="invalid", reason=reason, fix=fix)
    return record
