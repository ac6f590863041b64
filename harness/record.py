"""What one session leaves behind: raw spans and samples, and everything needed to judge them.

Nothing derived is stored. A latency, a rate or an energy is a function in `harness/metrics` over these fields, so a new metric re-reads
old files. Times are nanoseconds of the machine's monotonic clock unless a name says otherwise.

Schema history (`SCHEMA`):
  1  2026-11: first version.
  2  2026-11: `board`; the stages "idle" and "sustain"; a channel's `quantum` and `mean`, telemetry's `totals` and `read_error_ns`. A version 1 record
     reads as it is.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

SCHEMA = 2

Status = Literal["ok", "invalid", "unsupported", "failed", "skipped"]
"""ok: measured. invalid: measured, but a check says the figures may not be used. unsupported: this target cannot run it.
failed: it should have run and did not. skipped: not tried, with the reason."""

Stage = Literal["load", "first", "idle", "warmup", "steady", "pipeline", "sustain"]
"""load: the model is opened. first: the first inference. idle: nothing runs, the model open and the clocks as in the steady stage; one span of
phase "idle". warmup: discarded. steady: what latency and rate are read from, inputs already prepared in memory. pipeline: the whole way of an item,
pre- and post-processing included. sustain: the steady work for many minutes; a span may hold several items there, see its `items`."""

ChannelKind = Literal["power", "energy", "temperature", "frequency", "memory", "load", "pressure", "throttle"]
Scope = Literal["wall", "board", "module", "card", "rail", "die", "process", "system"]
"""module: a system-on-module, its CPU included. card: an add-in accelerator, beside the CPU. die: a CPU package or SoC."""
Scenario = Literal["single-stream", "offline"]


class Spans(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The spans of one phase in one stage, in the order they happened. `begin_ns`, `end_ns`: shape [n]; each span handled `items`."""

    stage: Stage
    phase: str
    begin_ns: list[int]
    end_ns: list[int]
    items: float = 1.0


class Blocks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the operating system says of stretches of at least a millisecond of one stage; all lists have shape [n].

    `cpu_ns`: CPU time of the whole worker process. `switches`: involuntary context switches. `faults`: major page faults.
    """

    stage: Stage
    begin_ns: list[int]
    end_ns: list[int]
    cpu_ns: list[int]
    switches: list[int]
    faults: list[int]


class Channel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One column of telemetry: `site` names the sensor ("package-0"), `unit` is a base unit (W, J, °C, Hz, B, 1)."""

    site: str
    kind: ChannelKind
    unit: str
    scope: Scope
    wraps_at: float | None = None
    """For a counter: the value after which it starts again from 0."""
    quantum: float | None = None
    """The smallest step the sensor can show, in `unit`, where its maker or its driver says it."""
    mean: bool = False
    """Whether a value is the mean since the one before, as a meter that integrates gives it; else it is of one moment."""


class Total(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rails of one instrument that together are a wider scope: the only sums that may be made of rails.

    `sites` are added; all of them must be there. `source`: who says that they neither overlap nor leave anything of the scope out.
    """

    scope: Scope
    sites: list[str]
    source: str
    note: str = ""

    @property
    def formula(self) -> str:
        """Such as "VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0"."""
        return " + ".join(self.sites)


class Absent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sensor that was looked for and is not there, and how to get it."""

    kind: ChannelKind
    site: str
    reason: str
    fix: str


class Telemetry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Samples of all channels: `t_ns` shape [n], `rows` shape [n][channels]; None is a read that failed.

    `clock_offset_ns` is to be added to `t_ns` to get the worker's clock, 0 where both read the same clock; `clock_error_ns` is the most by which that
    may be wrong. `read_error_ns`: the most by which a stamp may be off from the moment its row was taken, half the time of the slowest read.
    """

    instrument: str
    hertz: float
    channels: list[Channel]
    t_ns: list[int]
    rows: list[list[float | None]]
    absent: list[Absent]
    clock_offset_ns: int = 0
    clock_error_ns: int = 0
    read_error_ns: int = 0
    totals: list[Total] = []


class Problem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way in which a run is unsound. `spoils` names the metrics it makes doubtful ("*": all of them)."""

    code: str
    severity: Literal["note", "warning", "invalid"]
    what: str
    why: str
    fix: str
    spoils: list[str]


class Artifact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The model files of a run. `sha256` and `bytes` by role ("model", "encoder"); `ops` [op] and `weight_bytes` [B] by phase, per span."""

    key: str
    format: str
    sha256: dict[str, str]
    bytes: dict[str, int]
    parameters: int
    ops: dict[str, float]
    weight_bytes: dict[str, int]
    weights: str
    weights_note: str
    toolchain: str
    calibration_sha256: str = ""


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One setting and where it was made: default < file < environment < command line."""

    value: bool | int | float | str | None
    source: Literal["default", "file", "environment", "command line", "power meter"]


class Comparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sums over one output tensor x against its fp32 reference y: enough for cosine and SQNR without keeping the tensors.

    `matches` of `decisions` top-1 (or next-token) choices agreed; both 0 where the output has no such reading.
    """

    sample: str
    output: str
    xx: float
    yy: float
    xy: float
    error: float
    """Sum of (x - y)^2."""
    matches: int = 0
    decisions: int = 0


class Quality(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Outputs on the real inputs against the fp32 reference; without comparisons, the `reason` why there is none."""

    reference: str
    comparisons: list[Comparison]
    reason: str = ""


class RunRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One session: a target x a workload x an artifact x settings, and how it went."""

    schema: int = SCHEMA
    run_id: str
    campaign: str
    """The command that this session belongs to; `--resume` continues a campaign."""
    begun_at: str
    """ISO 8601, UTC."""
    socbench: str
    target: str
    module: str
    """The silicon variant as recognised, or the CPU's model name on a host."""
    board: str = ""
    """The name its owner gave the board, for telling boards of one kind apart; "" for the machine that socbench runs on."""
    workload: str
    workload_sha256: str
    title: str
    task: str
    item: str
    runtime: str
    runtime_version: str
    precision: str
    scenario: Scenario
    status: Status
    reason: str = ""
    fix: str = ""
    artifact: Artifact | None = None
    settings: dict[str, Setting] = {}
    environment: dict[str, Any] = {}
    """What the board half and the runtime half saw, before and after: "before", "after", "runtime", "requested", "achieved"."""
    spans: list[Spans] = []
    blocks: list[Blocks] = []
    telemetry: list[Telemetry] = []
    memory: dict[str, int] = {}
    """Peak bytes by source: rss, pss, pss_file, device ..."""
    offload: dict[str, dict[str, float]] = {}
    """Unit ("cpu", "npu", "gpu") -> {"nodes": n, "ops": op}; empty where the runtime does not say."""
    quality: Quality | None = None
    problems: list[Problem] = []
    detail: str = ""
    """For a failed session: the end of the worker's stderr and the traceback."""

    def identity(self) -> tuple[str, ...]:
        """What must be equal for two records to be the same cell of a table."""
        settings = self.settings
        return (
            self.target,
            self.board,
            self.workload,
            self.runtime,
            self.precision,
            self.scenario,
            str(settings["threads"].value) if "threads" in settings else "",
            str(settings["batch"].value) if "batch" in settings else "",
            self.artifact.weights if self.artifact else str(settings["weights"].value) if "weights" in settings else "",
        )

    def flaw(self) -> str | None:
        """What makes this record's own lists contradict one another, or None."""
        for one in self.spans:
            if len(one.begin_ns) != len(one.end_ns):
                return f"spans {one.stage}/{one.phase}: {len(one.begin_ns)} begins, {len(one.end_ns)} ends"
            if any(end < begin for begin, end in zip(one.begin_ns, one.end_ns, strict=True)):
                return f"spans {one.stage}/{one.phase}: a span ends before it begins"
        for block in self.blocks:
            if len({len(block.begin_ns), len(block.end_ns), len(block.cpu_ns), len(block.switches), len(block.faults)}) != 1:
                return f"blocks {block.stage}: lists of unequal length"
        for telemetry in self.telemetry:
            if len(telemetry.t_ns) != len(telemetry.rows) or any(len(row) != len(telemetry.channels) for row in telemetry.rows):
                return f"telemetry {telemetry.instrument}: rows that do not fit its channels"
        return None

    def phase(self, stage: Stage, phase: str) -> Spans | None:
        """The spans of one phase in one stage, or None."""
        return next((one for one in self.spans if one.stage == stage and one.phase == phase), None)
