"""Rules about how it was run: power mode, clocks, cores, batches, units."""

from __future__ import annotations

import re

from harness.decide.rules._case import BOTH, ESTIMATE, RANK, Case, rule

FULL_MODES = ("MAXN", "MAXN_SUPER", "Super")
SUPER_SINCE = "2024-12"
"""the month of the Jetson Orin Nano Super Developer Kit and of the software with the Super modes; nothing older can have been run in one"""
SUPER_MODULES = ("Jetson Orin NX", "Jetson Orin Nano")
GENERATED = ("decode", "decode_e2e", "prefill", "ttft")
LATENCIES = ("latency", "latency_p90", "latency_p99")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 0


@rule("reduced-power-mode", bars=BOTH)
def reduced_power_mode(case: Case) -> bool:
    """A mode below the part's maximum: MLPerf MaxQ, a wattage, the original mode of a module that has a Super mode.

    The power of the part is that of its maximum mode, and the speed of one mode must not be set beside the power of another. A figure of an
    Orin NX or Orin Nano that was published before the Super modes is of the original mode. Memory does not depend on the mode.
    """
    figure, mode = case.figure, case.said("power_mode")
    older = figure.soc in SUPER_MODULES and "" < figure.source.date[:7].ljust(7, "9") < SUPER_SINCE
    board = re.search(r"MaxQ|\b\d+W$", figure.board) is not None
    named = board or case.said("maxq") == "True" or (bool(mode) and mode not in FULL_MODES)
    return not case.of("peak_memory") and (named or older or case.notes(r"\b\d+ W mode\b|pre-Super|before Super mode"))


@rule("unstated-power-mode", sigma=0.25)
def unstated_power_mode(case: Case) -> bool:
    """The source does not say in which power mode the board was; a recommendation of MAXN is no record of it."""
    return case.notes(r"power mode not stated|recommends MAXN")


@rule("pinned-clocks", sigma=0.40)
def pinned_clocks(case: Case) -> bool:
    """Rockchip's RKLLM figures are taken with processor, NPU and memory clocks pinned to the maximum; users report a third to a half of them.

    Reports: issues 409 and 532 of airockchip/rknn-llm, and Radxa's page of TinyLlama.
    """
    return case.of(*GENERATED) and case.figure.runtime == "rkllm" and case.figure.source.kind == "vendor"


@rule("not-reproduced", sigma=0.40)
def not_reproduced(case: Case) -> bool:
    """A vendor's value that the user who quotes it could not reach."""
    return case.said("origin") == "vendor table"


@rule("cpu-fallback", bars=BOTH)
def cpu_fallback(case: Case) -> bool:
    """On AI Hub every layer ran on the processor although the runtime was asked for the accelerator: no figure of the accelerator."""
    return case.figure.compute_unit == "cpu" and bool(case.said("aihub_runtime"))


@rule("partial-offload", sigma=0.25)
def partial_offload(case: Case) -> bool:
    """A part of the layers ran on another unit than the one the figure is listed under."""
    layers = dict(re.findall(r"'(\w+)': (\d+)", case.figure.note))
    return "total" in layers and layers.get(case.figure.compute_unit, layers["total"]) != layers["total"]


@rule("npu-collapse", bars=ESTIMATE)
def npu_collapse(case: Case) -> bool:
    """Less than half of the operators were converted for the NPU: the figure shows the compiler, not the NPU."""
    found = re.search(r"only ([0-9]{1,6})/([0-9]{1,6}) operators converted", case.figure.note)
    return found is not None and 2 * int(found.group(1)) < int(found.group(2))


@rule("single-core")
def single_core(case: Case) -> bool:
    """One core of several: the latency is that of one inference, the throughput is less than the chip can give."""
    return case.said("npu_cores") == "1" or case.notes(r"\b1 NPU core\b|single NPU core(?! column)")


@rule("multi-thread")
def multi_thread(case: Case) -> bool:
    """Several threads keep the accelerator busy together: a throughput from which no latency follows."""
    return case.of("throughput") and case.figure.compute_unit == "npu" and _number(case.said("threads")) > 1


@rule("loaded-latency", bars=BOTH)
def loaded_latency(case: Case) -> bool:
    """A latency while several threads share the accelerator holds the waiting for one another. Threads beside a GPU are the host's own."""
    return case.of(*LATENCIES) and case.figure.compute_unit == "npu" and _number(case.said("threads")) > 1


@rule("batched", bars=ESTIMATE)
def batched(case: Case) -> bool:
    """Several items a call, or MLPerf Offline, where the batch is free: a throughput or an energy per item, from which no latency follows."""
    offline = case.said("scenario").lower() == "offline"
    return not case.of(*LATENCIES, *GENERATED) and (offline or (case.figure.batch or 1) > 1)


@rule("batch-latency", bars=BOTH)
def batch_latency(case: Case) -> bool:
    """The latency of a call or a query of several items is not that of one."""
    return case.of(*LATENCIES) and (case.figure.batch or 1) > 1


@rule("server-concurrency", bars=BOTH)
def server_concurrency(case: Case) -> bool:
    """Tokens of several requests added up, or one request among several: not what a single user sees."""
    return _number(case.said("concurrency")) > 1 or (case.of(*GENERATED) and (case.figure.batch or 1) > 1)


@rule("speculative", bars=ESTIMATE)
def speculative(case: Case) -> bool:
    """With a draft model the rate depends on how often it guesses right, and no longer on the memory bandwidth alone."""
    return case.said("mode") == "eagle3"


@rule("inferred-unit")
def inferred_unit(case: Case) -> bool:
    """Which unit computed was concluded from the text, not stated in the table."""
    stated = case.said("export").startswith("TensorRT")
    return (case.notes(r"placement of non-TensorRT exports inferred") and not stated) or case.notes(r"compute unit for SingleStream taken as GPU")


@rule("energy-run", bars=BOTH)
def energy_run(case: Case) -> bool:
    """MLPerf Tiny measures speed and energy in separate runs, with other clocks and supplies: the speed of the energy run is not the part's."""
    return case.of("throughput") and case.said("run") == "energy"


@rule("sparse-weights", bars=BOTH)
def sparse_weights(case: Case) -> bool:
    """Weights of which two in four are zero: another model than the dense one, and twice the peak."""
    return "sparse" in case.said("weights")


@rule("range-end", bars=RANK)
def range_end(case: Case) -> bool:
    """One end of a quoted range, or of the range from a short prompt to a full context."""
    return case.said("range") in ("low", "high") or case.said("ttft") in ("min", "max")
