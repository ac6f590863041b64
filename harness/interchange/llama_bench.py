"""The JSON of llama.cpp's benchmark program (`llama-bench -o json`): a list with one object a test.

A test with prompt tokens only is a prefill rate, with generated tokens only a decode rate; a test with both mixes the two and is left out.
The file names the processor, not the SoC: that has to be said beside it.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

import msgspec

from harness.errors import RecordError
from harness.interchange import Format, Import, Origin, Row, plain, positive, printable, slug

TYPES = {
    "all F32": "fp32",
    "F32": "fp32",
    "F16": "fp16",
    "BF16": "bf16",
    "Q2_K - Medium": "q2_k",
    "Q3_K - Small": "q3_k_s",
    "Q3_K - Medium": "q3_k_m",
    "Q3_K - Large": "q3_k_l",
    "Q4_0": "q4_0",
    "Q4_1": "q4_1",
    "Q4_K - Small": "q4_k_s",
    "Q4_K - Medium": "q4_k_m",
    "Q5_0": "q5_0",
    "Q5_1": "q5_1",
    "Q5_K - Small": "q5_k_s",
    "Q5_K - Medium": "q5_k_m",
    "Q6_K": "q6_k",
    "Q8_0": "q8_0",
    "IQ4_NL - 4.5 bpw": "iq4_nl",
    "IQ4_XS - 4.25 bpw": "iq4_xs",
}
"""The end of `model_type` -> precision."""
_GPUS = {"CUDA", "Vulkan", "Metal", "MTL", "OpenCL", "SYCL", "ROCm", "HIP"}
_CPUS = {"CPU", "BLAS", "OpenBLAS", ""}
_ALL = 99
"""layers offloaded: the customary "all"; with fewer, and with -1, a part may stay on the CPU"""
_SUFFIX = re.compile(r"[-_.](?:i?q\d\w*|[fb]+f?(?:16|32)|fp(?:16|32))$", re.IGNORECASE)
_TUNED = re.compile(r"_(?:instruct|it|chat)$")
_FIX = "write it with: llama-bench -o json"


def read(text: str, origin: Origin) -> Import:
    """The rows of one document. Raises RecordError where it is no list of tests."""
    if not origin.soc:
        raise RecordError("the file names a processor, not a SoC", "say which it is: --soc NAME (socbench list socs)")
    try:
        tests = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RecordError(f"not JSON: {error}", _FIX) from error
    if not isinstance(tests, list):
        raise RecordError("not a list of tests", _FIX)
    got = Import()
    for number, test in enumerate(tests):
        if isinstance(test, dict):
            _test(got, f"test {number}", test, origin)
        else:
            got.skip(f"test {number}", "not an object")
    return got


def _whole(test: dict[str, Any], name: str) -> int | None:
    value = test.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else None


def _unit(test: dict[str, Any], *, decode: bool) -> str:
    """Which unit did the work; "" where the file does not settle it."""
    named = {part.strip() for part in str(test.get("backends", "")).split(",")}
    layers = _whole(test, "n_gpu_layers")
    if named <= _CPUS:
        return "cpu"
    if not named <= _CPUS | _GPUS or layers is None:
        return ""
    if layers >= _ALL:
        return "gpu"
    return "cpu" if decode and layers == 0 else ""  # with no layer offloaded a GPU still multiplies the large batches of a prompt


def _model(test: dict[str, Any]) -> tuple[str, str]:
    """The file's name and the workload it stands for; the tuning for a dialogue does not change how fast it runs."""
    name = PurePosixPath(str(test.get("model_filename", "")).replace("\\", "/")).name.removesuffix(".gguf")
    return name, _TUNED.sub("", slug(_SUFFIX.sub("", name)))


def _test(got: Import, place: str, test: dict[str, Any], origin: Origin) -> None:
    prompt, new, threads = (_whole(test, name) for name in ("n_prompt", "n_gen", "n_threads"))
    rate = positive(test.get("avg_ts"))
    name, workload = _model(test)
    kind = str(test.get("model_type", ""))
    precision = next((TYPES[end] for end in sorted(TYPES, key=len, reverse=True) if kind.endswith(f" {end}")), "")
    unit = _unit(test, decode=bool(new))
    for why in (
        "no numbers of tokens" if prompt is None or new is None else "",
        "prompt and generation in one test: neither a prefill nor a decode rate" if prompt and new else "",
        "" if prompt or new else "no tokens",
        "" if rate is not None else "avg_ts is not a positive, finite number",
        "" if precision else "unknown model_type",
        "" if workload and printable(name) else "no name of a model",
        "" if unit else "the file does not settle which unit did the work",
        "" if threads else "no number of threads",
    ):
        if why:
            got.skip(place, why)
            return
    depth = _whole(test, "n_depth")
    conditions = [f"prompt={prompt}" if prompt else f"new_tokens={new}", *([f"depth={depth}"] if depth else []), f"threads={threads}"]
    got.rows.append(
        Row(
            soc=origin.soc,
            board=origin.board,
            workload=workload,
            model_name_in_source=name,
            precision=precision,
            runtime="llama.cpp",
            compute_unit=unit,
            metric="prefill_tok_s" if prompt else "decode_tok_s",
            value=plain(rate or 0.0),
            note=_note(test),
            condition=";".join(conditions),
            soc_variant=origin.variant,
        )
    )


def _note(test: dict[str, Any]) -> str:
    build, samples = str(test.get("build_commit", "")), test.get("samples_ts")
    said = [f"llama-bench, llama.cpp {build}" if re.fullmatch(r"[0-9a-f]{6,40}", build) else "llama-bench"]
    if isinstance(samples, list) and samples:
        said.append(f"mean of {len(samples)}")
    return "; ".join(said)


FORMAT = Format("llama-bench", "document of llama-bench -o json", read, kind="third_party", needs_soc=True)
