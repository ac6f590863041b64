"""Writing ONNX graphs by hand, and counting what is in one: operations, parameters, bytes of weights.

A model file in `workloads/models/` builds with `Graph` and returns a `Built`. One multiply-accumulate is two op.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper

from harness.errors import ArtifactError, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from harness.measure.weights import Weights

    Shape = tuple[int, ...]

OPSET = 17
IR_VERSION = 10
CONST = "const/"
"""Initialisers whose names begin so are constants of the architecture, not parameters."""


@dataclass(frozen=True)
class Built:
    """What `build` of a model file wrote."""

    files: dict[str, str]
    """Role to file name, such as {"model": "model.onnx"}."""
    parameters: int
    """As stored: after BatchNorm folding, a tied table once."""
    ops: dict[str, float]
    """Phase to operations [op] in one span of it: one item, at batch 1."""
    weights: str
    """'synthetic' or 'pretrained'."""
    weights_note: str
    weight_bytes: dict[str, int]
    """Phase to the bytes of weights [B] that one span has to read at least once."""


class Graph:
    """An ONNX graph under construction. Every node has a name, and the value it makes carries the same name."""

    def __init__(self, name: str, opsets: Mapping[str, int] | None = None) -> None:
        self.name = name
        # The finished message from the start: assembling it at the end would copy every weight twice more.
        self.model = onnx.ModelProto(ir_version=IR_VERSION, producer_name="socbench")
        for domain, version in (opsets or {"": OPSET}).items():
            self.model.opset_import.append(helper.make_opsetid(domain, version))
        self.model.graph.name = name
        self._values: set[str] = set()
        self._consts: dict[str, NDArray[Any]] = {}

    def input(self, name: str, shape: Sequence[int | str], dtype: DTypeLike = np.float32) -> str:
        """Declare a graph input; a dimension given as text is symbolic."""
        self.model.graph.input.append(_value_info(name, shape, dtype))
        return self._new(name)

    def output(self, value: str, shape: Sequence[int | str], dtype: DTypeLike = np.float32) -> None:
        """Declare an existing value a graph output."""
        self.model.graph.output.append(_value_info(value, shape, dtype))

    def weight(self, name: str, array: NDArray[Any]) -> str:
        """Store a parameter."""
        tensor = self.model.graph.initializer.add()
        tensor.name = self._new(name)
        tensor.data_type = helper.np_dtype_to_tensor_dtype(array.dtype)
        tensor.dims.extend(array.shape)
        # Little-endian and row by row, whatever the array's own order is.
        tensor.raw_data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        return name

    def const(self, name: str, array: ArrayLike, dtype: DTypeLike = np.float32) -> str:
        """Store a constant of the architecture once; asking again for the same name gives the stored one."""
        full = CONST + name
        value = np.asarray(array, dtype=dtype)
        if full not in self._consts:
            self._consts[self.weight(full, value)] = value
        elif not np.array_equal(self._consts[full], value):
            raise ValueError(f"{self.name}: constant {name} has two values")
        return full

    def node(self, op: str, *inputs: str, name: str, **attributes: Any) -> str:
        """Add a node with one output, which is called `name` too."""
        return self.nodes(op, *inputs, name=name, outputs=(name,), **attributes)[0]

    def nodes(self, op: str, *inputs: str, name: str, outputs: Sequence[str], **attributes: Any) -> Sequence[str]:
        """Add a node with several outputs."""
        for value in inputs:
            if value and value not in self._values:
                raise ValueError(f"{self.name}: node {name} reads {value}, which nothing made yet")
        made = [self._new(value) if value else value for value in outputs]
        self.model.graph.node.append(helper.make_node(op, list(inputs), made, name=name, **attributes))
        return made

    def conv(  # noqa: PLR0913 - a convolution is that many facts
        self,
        x: str,
        name: str,
        weight: NDArray[np.float32],
        bias: NDArray[np.float32] | None = None,
        *,
        stride: int = 1,
        groups: int = 1,
    ) -> str:
        """Add a Conv of one or two dimensions with odd kernel k and symmetric padding (k - 1) / 2."""
        kernel = weight.shape[2:]
        inputs = [x, self.weight(f"{name}.weight", weight)]
        if bias is not None:
            inputs.append(self.weight(f"{name}.bias", bias))
        return self.node(
            "Conv",
            *inputs,
            name=name,
            kernel_shape=kernel,
            strides=[stride] * len(kernel),
            pads=[(k - 1) // 2 for k in kernel] * 2,
            group=groups,
        )

    def save(self, path: Path) -> onnx.ModelProto:
        """Write the model to `path`, and return it; equal calls before it give equal bytes."""
        path.write_bytes(self.model.SerializeToString(deterministic=True))
        return self.model

    def _new(self, value: str) -> str:
        if value in self._values:
            raise ValueError(f"{self.name}: two values are called {value}")
        self._values.add(value)
        return value


def single(model: onnx.ModelProto, weights: Weights) -> Built:
    """What was built, where it is one graph, saved as `model.onnx`, with one phase "infer" and a symbolic batch."""
    return Built(
        files={"model": "model.onnx"},
        parameters=count_parameters(model),
        ops={"infer": count_ops(model, {"batch": 1})},
        weights=weights.source,
        weights_note=weights.note,
        weight_bytes={"infer": count_weight_bytes(model)},
    )


def check_request(form: str, writes: Sequence[str], options: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse what a model file cannot write: ArtifactError for a form, SpecError for an option."""
    if form not in writes:
        raise ArtifactError(f"this model cannot be written as {form}", f"ask for {' or '.join(writes)}")
    for key in options:
        if key not in known:
            raise SpecError(f"unknown model option {key!r}", f"known are: {', '.join(known) or 'none'}")


def count_ops(model: onnx.ModelProto, dims: Mapping[str, int]) -> int:
    """Operations [op] of one run: 2 x the multiply-accumulates of convolutions and matrix products, nothing else.

    `dims` gives the symbolic dimensions of the inputs a size. Attention is counted in full, masked positions too.
    Only the main graph is counted, not branches of If or Loop. Raises ArtifactError where a shape stays unknown.
    """
    shapes = _shapes(model, dims)
    return 2 * sum(_macs(node, shapes) for node in model.graph.node)


def count_parameters(model: onnx.ModelProto) -> int:
    """Parameters as stored: elements of weights and biases; constants, indices, scales and zero points are none.

    A block-quantised MatMulNBits weight counts its N x K unpacked values.
    """
    skipped: set[str] = set()
    total = 0
    for node in model.graph.node:
        if node.op_type == "MatMulNBits":
            total += _attribute(node, "N") * _attribute(node, "K")
            skipped.update(node.input[1:5])
        elif node.op_type in {"QuantizeLinear", "DequantizeLinear"}:
            skipped.update(node.input[1:])
        elif node.op_type == "GroupQueryAttention":
            skipped.update(node.input[7:9])
    kept = [t for t in model.graph.initializer if t.name not in skipped and _is_weight(t)]
    return total + sum(_elements(t) for t in kept)


def count_weight_bytes(model: onnx.ModelProto) -> int:
    """Bytes of weights [B] that one run reads at least once; a table that is only looked up by row is left out."""
    looked_up: set[str] = set()
    streamed: set[str] = set()
    for node in model.graph.node:
        rows = {0} if node.op_type == "Gather" else {7, 8} if node.op_type == "GroupQueryAttention" else set()
        for position, value in enumerate(node.input):
            (looked_up if position in rows else streamed).add(value)
    unread = looked_up - streamed
    return sum(_nbytes(t) for t in model.graph.initializer if t.name not in unread and _is_weight(t))


def _is_weight(tensor: onnx.TensorProto) -> bool:
    indices = {onnx.TensorProto.INT64, onnx.TensorProto.BOOL, onnx.TensorProto.STRING}
    return tensor.data_type not in indices and not str(tensor.name).startswith(CONST)


def _nbytes(tensor: onnx.TensorProto) -> int:
    half_bytes = {onnx.TensorProto.INT4, onnx.TensorProto.UINT4}
    if tensor.data_type in half_bytes:
        return (_elements(tensor) + 1) // 2
    return _elements(tensor) * int(helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def _elements(tensor: onnx.TensorProto) -> int:
    return math.prod(int(d) for d in tensor.dims)


def _value_info(name: str, shape: Sequence[int | str], dtype: DTypeLike) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), list(shape))


def _attribute(node: onnx.NodeProto, name: str, default: int = 0) -> int:
    return next((int(a.i) for a in node.attribute if a.name == name), default)


def _macs(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> int:  # noqa: PLR0911 - one a kind of operator
    """Multiply-accumulates of one node; 0 for every operator that is not a convolution or a matrix product."""

    def size(value: str) -> Shape:
        if value not in shapes:
            raise ArtifactError(
                f"the shape of {value} (node {node.name or node.op_type}) cannot be inferred, so its work is unknown",
                "give every symbolic input dimension a size, or export the model with fixed shapes",
            )
        return shapes[value]

    match node.op_type:
        case "Conv":
            return math.prod(size(node.output[0])) * math.prod(size(node.input[1])[1:])
        case "ConvTranspose":
            return math.prod(size(node.input[0])) * math.prod(size(node.input[1])[1:])
        case "MatMul":
            return math.prod(size(node.output[0])) * size(node.input[0])[-1]
        case "Gemm":
            return math.prod(size(node.output[0])) * size(node.input[0])[0 if _attribute(node, "transA") else 1]
        case "MatMulNBits":
            return math.prod(size(node.input[0])) * _attribute(node, "N")
        case "GroupQueryAttention":
            batch, steps, _ = size(node.input[0])
            _, _, total, head = size(node.output[1])
            return 2 * batch * steps * total * head * _attribute(node, "num_heads")
        case _:
            return 0


def _shapes(model: onnx.ModelProto, dims: Mapping[str, int]) -> dict[str, Shape]:
    """The shape of every value that onnx's inference can tell, after `dims` went in.

    Works on a skeleton: the weights stay behind as typed inputs, because inference serialises whatever it is given.
    """
    skeleton = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    graph = skeleton.graph
    graph.name = model.graph.name
    graph.node.extend(stand_in for node in model.graph.node for stand_in in _stand_ins(node))
    names = {t.name for t in model.graph.initializer}
    graph.input.extend(i for i in model.graph.input if i.name not in names)
    graph.output.extend(model.graph.output)
    for tensor in model.graph.initializer:
        # Small integer tensors may be the target of a Reshape: inference needs their values.
        if tensor.data_type == onnx.TensorProto.INT64 or (_elements(tensor) <= 8 and not _external(tensor)):
            graph.initializer.append(tensor)
        else:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    for node in model.graph.node:
        if node.op_type == "MatMulNBits":
            kn = [_attribute(node, "K"), _attribute(node, "N")]
            graph.input.append(helper.make_tensor_value_info(_unpacked(node), onnx.TensorProto.FLOAT, kn))
    for value in (*graph.input, *graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in dims:
                dim.dim_value = dims[dim.dim_param]
    inferred = onnx.shape_inference.infer_shapes(skeleton, data_prop=True).graph
    found = {t.name: tuple(t.dims) for t in model.graph.initializer}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        dimensions = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(d.HasField("dim_value") for d in dimensions):
            found[value.name] = tuple(d.dim_value for d in dimensions)
    return found


def _stand_ins(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """Standard operators with the same output shapes, for those of com.microsoft that onnx's inference does not know.

    GroupQueryAttention's present keys and values are graph outputs, so their shapes come from `dims`.
    """
    match node.op_type:
        case "MatMulNBits":
            yield helper.make_node("MatMul", [node.input[0], _unpacked(node)], node.output[:1])
        case "GroupQueryAttention" | "SimplifiedLayerNormalization" | "RotaryEmbedding":
            yield helper.make_node("Identity", node.input[:1], node.output[:1])
        case "SkipSimplifiedLayerNormalization" | "SkipLayerNormalization":
            # Outputs 1 and 2 are statistics for training; output 3 is the sum of the inputs.
            for output in filter(None, (*node.output[:1], *node.output[3:4])):
                yield helper.make_node("Identity", node.input[:1], [output])
        case _:
            yield node


def _unpacked(node: onnx.NodeProto) -> str:
    return f"{node.output[0]}/unpacked"


def _external(tensor: onnx.TensorProto) -> bool:
    return tensor.data_location == onnx.TensorProto.EXTERNAL
