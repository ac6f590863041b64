"""Which channels together are one power: the meters of a record, widest first.

A board half promises that channels of one kind and one scope never overlap, except rails: rails lie inside one another, and only the sums that
`Telemetry.totals` names may be made of them. A wider scope contains the narrower ones: scopes are never added. "Parts" is the one exception: dies,
and beside them the add-in cards on which the work ran. A card alone says nothing of work that the CPU did, and rails alone give no figure of a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.record import Channel, ChannelKind, RunRecord, Telemetry

WHOLE = ("wall", "board", "module")
SLOW_HERTZ = 2.0


@dataclass(frozen=True)
class Meter:
    """The columns of one instrument that together are one power of `scope`."""

    telemetry: Telemetry
    columns: list[int]
    scope: str

    @property
    def channels(self) -> list[Channel]:
        """Those of the columns."""
        return [self.telemetry.channels[column] for column in self.columns]

    @property
    def seconds(self) -> float:
        """Length [s] a window must have: that of the channel that needs most."""
        return max(needed_seconds(one.kind, self.telemetry.hertz) for one in self.channels)

    @property
    def sites(self) -> str:
        """Such as "VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0"."""
        return " + ".join(one.site for one in self.channels)

    def __str__(self) -> str:
        return f"{self.scope}: {self.sites} ({self.telemetry.instrument})"


def needed_seconds(kind: ChannelKind, hertz: float) -> float:
    """Length [s] a window must have: 2 s of a counter, 10 s and 100 samples of a power, or 60 s and 60 samples at 2 Hz or slower."""
    if kind == "energy":
        return max(2.0, 10 / hertz)
    return max(10.0, 100 / hertz) if hertz > SLOW_HERTZ else max(60.0, 60 / hertz)


def _columns(telemetry: Telemetry, scope: str) -> list[int]:
    """The energy counters of a scope; its powers where there are none."""
    for kind in ("energy", "power"):
        found = [i for i, one in enumerate(telemetry.channels) if one.kind == kind and one.scope == scope]
        if found:
            return found
    return []


def totals(telemetry: Telemetry) -> Iterator[Meter]:
    """The sums of rails that may be made and whose rails are all there, all powers or all counters."""
    for total in telemetry.totals:
        for kind in ("energy", "power"):
            at = {one.site: i for i, one in enumerate(telemetry.channels) if one.kind == kind}
            if total.sites and all(site in at for site in total.sites):
                yield Meter(telemetry, [at[site] for site in total.sites], total.scope)
                break


def _of_scope(record: RunRecord, scope: str) -> Iterator[Meter]:
    """The meters that see all of a scope; those that do so in one channel before the sums of rails."""
    for telemetry in record.telemetry:
        if columns := _columns(telemetry, scope):
            yield Meter(telemetry, columns, scope)
    for telemetry in record.telemetry:
        yield from (one for one in totals(telemetry) if one.scope == scope)


def widest(record: RunRecord) -> Meter | str:
    """The widest meter of the record, or why there is none."""
    for scope in WHOLE:
        if whole := next((one for one in _of_scope(record, scope)), None):
            return whole
    used = {unit for unit, share in record.offload.items() if any(share.values())}
    for telemetry in record.telemetry:
        dies, cards = _columns(telemetry, "die"), _columns(telemetry, "card")
        if used - {"cpu"}:
            dies += cards
        if dies:
            return Meter(telemetry, dies, " + ".join(dict.fromkeys(telemetry.channels[i].scope for i in dies)))
        if cards:
            where = "ran on the CPU" if used else "ran where the runtime does not say"
            return f"only {', '.join(telemetry.channels[i].site for i in cards)} was metered, and the work {where}: attach a power meter"
    return _why_none(record)


def every(record: RunRecord) -> dict[str, Meter]:
    """Each power or counter by its site, and each sum of rails by its scope; of a site with both, the counter. For comparing, never for adding."""
    found: dict[str, Meter] = {}
    for telemetry in record.telemetry:
        own: dict[str, Meter] = {}
        for kind in ("energy", "power"):
            for i, one in enumerate(telemetry.channels):
                if one.kind == kind:
                    own.setdefault(one.site, Meter(telemetry, [i], one.scope))
        own.update((f"{one.scope}, sum of rails", one) for one in totals(telemetry))
        for name, meter in own.items():
            found[name if name not in found else f"{name} ({telemetry.instrument})"] = meter
    return found


def _why_none(record: RunRecord) -> str:
    rails = [one.site for telemetry in record.telemetry for one in telemetry.channels if one.scope == "rail" and one.kind in ("power", "energy")]
    if rails:
        sums = [(one.formula, one.sites) for telemetry in record.telemetry for one in telemetry.totals]
        lacking = [f"{formula} lacks {', '.join(sorted(set(sites) - set(rails)))}" for formula, sites in sums if set(sites) - set(rails)]
        why = f"; {lacking[0]}" if lacking else ""
        return f"only rails were metered ({', '.join(rails)}): parts that do not add up to the board{why}; attach a power meter"
    for telemetry in record.telemetry:
        for absent in telemetry.absent:
            if absent.kind in ("power", "energy"):
                return f"{absent.reason}; to get it: {absent.fix}"
    return "no power or energy was recorded" if record.telemetry else "no telemetry was recorded"
