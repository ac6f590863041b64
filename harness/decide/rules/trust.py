"""Rules about the source: whether it stands by the number, and whether it is the number of this row."""

from __future__ import annotations

from harness.decide.rules._case import BOTH, Case, rule


@rule("low-confidence", sigma=0.50)
def low_confidence(case: Case) -> bool:
    """A second-hand, rounded or approximate value, or one the collection doubts."""
    return case.notes(r"low confidence|\bsecondary\b|\bapproximate\b|reported with ~|\(about \d|\brounded\b")


@rule("superseded", bars=BOTH)
def superseded(case: Case) -> bool:
    """A value its source replaced or took away."""
    return "superseded" in case.said("version") or case.notes(r"removed by this commit|later removed")


@rule("unstable-source", bars=BOTH)
def unstable_source(case: Case) -> bool:
    """The source rewrote the same cell several times, up to tenfold: no version of it can be believed more than another."""
    return case.notes(r"rewritten several times")


@rule("suspected-copy", bars=BOTH)
def suspected_copy(case: Case) -> bool:
    """The time to first token equals that of another model in the same table, digit for digit."""
    return case.of("ttft") and case.notes(r"may be a copy")


@rule("copy-error", sigma=0.25)
def copy_error(case: Case) -> bool:
    """A label of the source contradicts itself: a delegate this chip does not have, swapped columns, a file of another size or data set."""
    ethos = case.figure.soc == "i.MX 93" and case.notes(r"delegate: VX delegate")
    return ethos or case.notes(r"columns are swapped|is labelled \d+ in the table|though the timing table says|the model link names")


@rule("unofficial-run", sigma=0.25)
def unofficial_run(case: Case) -> bool:
    """The cTuning results are NVIDIA's code in a default configuration, run by others: slower than the vendor's own."""
    return case.notes(r"submitter cTuning")


@rule("short-run", sigma=0.25)
def short_run(case: Case) -> bool:
    """The log warns that the run was shorter than ten seconds."""
    return case.notes(r"runs under 10 s")


@rule("range-upper", sigma=0.25)
def range_upper(case: Case) -> bool:
    """The upper end of an estimated range of memory: it is the safe end."""
    return case.of("peak_memory") and case.notes(r"upper end of AI Hub estimated range")
