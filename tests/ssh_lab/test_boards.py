"""The boards are what they claim to be: machines of their own, reached by ssh, the arm64 ones with arm64 programs."""

from __future__ import annotations

import importlib.metadata
import json
import struct
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.lab import until
from tests.ssh_lab.shell import begun, put, ssh
from tests.ssh_lab.trees import ORIN_NX, RK3588

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ssh_lab.board import Board
    from tests.ssh_lab.conftest import Lab

EM_AARCH64, EM_X86_64 = 183, 62
ABOUT = """
import glob, json, numpy, onnxruntime, os, platform, struct, sys
[library] = glob.glob(os.path.dirname(numpy.__file__) + "/_core/_multiarray_umath*.so")
with open(library, "rb") as file:
    machine = struct.unpack_from("<H", file.read(20), 18)[0]
print(json.dumps({"uname": platform.machine(), "library": machine, "numpy": numpy.__version__, "onnxruntime": onnxruntime.__version__,
                  "python": list(sys.version_info[:2]), "ends": [file for file in os.listdir("/") if file == "work"]}))
"""
RUN = """
import json, numpy, onnxruntime, sys
session = onnxruntime.InferenceSession("/tmp/model.onnx", providers=["CPUExecutionProvider"])
x = numpy.arange(1 * 3 * 16 * 16, dtype=numpy.float32).reshape(1, 3, 16, 16) / 384 - 1
print(json.dumps([output.tolist() for output in session.run(None, {"x": x})]))
"""


@pytest.fixture(scope="module", params=["native", "jetson", "rock"])
def board(request: pytest.FixtureRequest, lab: Lab, native: Board) -> Board:
    return native if request.param == "native" else arm64_board(lab, request.param)


def arm64_board(lab: Lab, name: str) -> Board:
    return lab.boards.get(name) or lab.board(name, {"jetson": ORIN_NX, "rock": RK3588}[name], arch="arm64")


def test_python_and_its_wheels_are_of_the_board_s_architecture_and_of_the_workstation_s_versions(board: Board) -> None:
    found = json.loads(ssh(board.name, "python3 -", data=ABOUT.encode()).stdout)
    wanted = {"uname": "aarch64", "library": EM_AARCH64} if board.arch == "arm64" else {"uname": "x86_64", "library": EM_X86_64}
    assert found == {
        **wanted,
        "numpy": importlib.metadata.version("numpy"),
        "onnxruntime": importlib.metadata.version("onnxruntime"),
        "python": [3, 11],
        "ends": [],
    }


def model() -> bytes:
    """A small network: convolution, pooling, matrix product, softmax; and beside it integers, which leave no room for rounding."""
    random = np.random.default_rng(4)
    numbers = {
        "k": random.standard_normal((8, 3, 3, 3), dtype=np.float32) / 5,
        "w": random.standard_normal((8, 10), dtype=np.float32),
        "scale": np.float32(1 / 127),
        "zero": np.int8(0),
        "q": random.integers(-127, 128, (16, 4), dtype=np.int8),
    }
    make = onnx.helper.make_node
    nodes = [
        make("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1]),
        make("Relu", ["c"], ["r"]),
        make("GlobalAveragePool", ["r"], ["p"]),
        make("Flatten", ["p"], ["f"]),
        make("MatMul", ["f", "w"], ["m"]),
        make("Softmax", ["m"], ["y"]),
        make("QuantizeLinear", ["x", "scale", "zero"], ["xq"]),
        make("MatMulInteger", ["xq", "q"], ["z"]),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "small",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 16, 16])],
        [
            onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 10]),
            onnx.helper.make_tensor_value_info("z", onnx.TensorProto.INT32, [1, 3, 16, 4]),
        ],
        [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in numbers.items()],
    )
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    data: bytes = made.SerializeToString()
    return data


def test_a_network_s_outputs_are_the_workstation_s(board: Board) -> None:
    made = model()
    x = np.arange(3 * 16 * 16, dtype=np.float32).reshape(1, 3, 16, 16) / 384 - 1
    ours = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    put(board.name, "/tmp/model.onnx", made)
    probabilities, integers = json.loads(ssh(board.name, "python3 -; rm /tmp/model.onnx", data=RUN.encode()).stdout)
    np.testing.assert_allclose(probabilities, ours[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(integers, ours[1])


def test_a_board_shows_its_own_name_device_tree_sensors_and_uptime(board: Board) -> None:
    model_name = "Orin NX" if board.name == "jetson" else "ROCK 5B"
    lines = ssh(board.name, "hostname; cat /sys/firmware/devicetree/base/model; echo; cut -d. -f1 /proc/uptime; nproc").stdout.splitlines()
    assert lines[0] == board.name
    assert model_name in lines[1]
    assert int(lines[2]) < 6000, "a board has clocks of its own, that began when it did"


def test_boards_see_neither_each_other_s_processes_nor_files(lab: Lab, native: Board) -> None:
    other = arm64_board(lab, "jetson")
    before = native.files()
    with begun(native.name, "echo mine > /var/tmp/mine; exec sleep 1000") as process:
        until(lambda: "sleep 1000" in native.processes().values(), "the process to run")
        assert not ssh(other.name, "ls /var/tmp").stdout
        look = "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"  # ps cannot be emulated
        assert "sleep 1000" not in ssh(other.name, look).stdout
        assert "sleep 1000" in ssh(native.name, look).stdout
        assert native.files() - before == {"/var/tmp/mine"}
        native.run("rm /var/tmp/mine; kill $(pgrep sleep)")
        process.wait()
    until(lambda: not native.processes(), "all to end")
    assert native.files() == before


@pytest.mark.parametrize("user", ["root", "bench"])
def test_both_users_get_in_by_their_key(native: Board, user: str) -> None:
    assert ssh(f"{user}@{native.name}", "whoami; echo $HOME").stdout.split() == [user, {"root": "/root"}.get(user, f"/home/{user}")]


def test_nobody_gets_in_without_the_key(native: Board, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    words = ["ssh", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i", str(tmp_path / "other"), native.name, "true"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 255
    assert "Permission denied" in done.stderr


def test_no_way_leads_out_of_a_board(native: Board) -> None:
    routes = [struct.unpack("<I", bytes.fromhex(line.split()[1]))[0] for line in native.run("cat /proc/net/route").stdout.splitlines()[1:]]
    assert routes == [struct.unpack("<I", bytes([0, 0, 77, 10]))[0]], "the bridge's network alone, no default route"
