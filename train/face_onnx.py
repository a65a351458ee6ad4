"""MediaPipe's near face model for the browser: `python train/face_onnx.py`.

The private mode detects faces in the browser with the very numbers that the server uses. BlazeFace
(Bazarevsky et al. 2019, arXiv 1907.05047; Apache License 2.0) comes inside MediaPipe's wheel as a
TensorFlow Lite file; ONNX Runtime takes it when its nine kinds of layers have ONNX's names.
"""

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tflite
import tyro
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parent.parent
MODEL = "modules/face_detection/face_detection_short_range.tflite"
OPSET, IR_VERSION = 17, 8  # old enough for every ONNX Runtime of the last years
ORIGIN = "BlazeFace of MediaPipe (Google), Apache License 2.0, as ONNX"
NUMBERS = {tflite.TensorType.FLOAT16: np.float16, tflite.TensorType.INT32: np.int32}
PLAIN = {tflite.BuiltinOperator.ADD: "Add", tflite.BuiltinOperator.RELU: "Relu"}


@dataclass(frozen=True)
class FaceJob:
    """Write the face model as ONNX."""

    out: Path = ROOT / "webapp" / "static" / "private" / "third_party" / "face.onnx"
    """File to write."""


def main(job: FaceJob) -> None:
    """Do as asked."""
    model = convert(find_model().read_bytes())
    job.out.write_bytes(model.SerializeToString())
    print(f"{job.out} holds {len(model.graph.node)} layers, {job.out.stat().st_size / 1e3:.0f} kB")


def find_model() -> Path:
    """Where MediaPipe keeps the model."""
    spec = find_spec("mediapipe")
    if spec is None or spec.origin is None:
        raise SystemExit("MediaPipe is not installed: run pip install -r requirements.txt.")
    return Path(spec.origin).parent / MODEL


def convert(content: bytes) -> onnx.ModelProto:
    """Turn a TensorFlow Lite file of convolutions and what lies between them into ONNX.

    Args:
        content: The file. It takes a picture of shape (1, H, W, 3).

    Returns:
        A network with the same names and shapes of inputs and outputs.

    Raises:
        ValueError: It has a layer of another kind.
    """
    file: Any = tflite.Model.GetRootAsModel(content, 0)  # its reader has no types
    lite, net = file.Subgraphs(0), _Net()
    (picture,), outputs = lite.InputsAsNumpy(), lite.OutputsAsNumpy()
    described = [
        helper.make_tensor_value_info(
            _name(lite, at), TensorProto.FLOAT, [int(n) for n in lite.Tensors(at).ShapeAsNumpy()]
        )
        for at in (picture, *outputs)
    ]
    net.add("Transpose", [_name(lite, picture)], "picture", perm=[0, 3, 1, 2])
    net.alias[_name(lite, picture)] = "picture"
    for place in range(lite.OperatorsLength()):
        layer = lite.Operators(place)
        kind = file.OperatorCodes(layer.OpcodeIndex()).BuiltinCode()
        _convert_layer(file, lite, layer, kind, net)
    graph = helper.make_graph(net.nodes, "blazeface", described[:1], described[1:], net.weights)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="kdphys",
        doc_string=ORIGIN,
    )
    onnx.checker.check_model(model)
    return model


@dataclass
class _Net:
    """Layers of ONNX so far. Pictures have their channels first in between."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    known: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Arrays that the file holds, by name."""
    alias: dict[str, str] = field(default_factory=dict)
    """What a tensor of the file is called here, where it is called otherwise."""

    def add(self, kind: str, inputs: list[str], output: str, **options: Any) -> None:
        """Add a layer."""
        named = [self.alias.get(name, name) for name in inputs]
        self.nodes.append(helper.make_node(kind, named, [output], **options))

    def hold(self, name: str, value: NDArray[Any]) -> str:
        """Keep an array; gives its name."""
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name


def _convert_layer(file: Any, lite: Any, layer: Any, kind: int, net: _Net) -> None:
    """Add what a layer of the file (whose reader has no types) is in ONNX."""
    inputs = [_name(lite, at) for at in layer.InputsAsNumpy()]
    output = _name(lite, layer.OutputsAsNumpy()[0])
    shape = [int(n) for n in lite.Tensors(layer.OutputsAsNumpy()[0]).ShapeAsNumpy()]
    if kind == tflite.BuiltinOperator.DEQUANTIZE:
        net.known[output] = _array(file, lite, layer.InputsAsNumpy()[0]).astype(np.float32)
    elif kind in (tflite.BuiltinOperator.CONV_2D, tflite.BuiltinOperator.DEPTHWISE_CONV_2D):
        _convolve(layer, kind, inputs, output, net)
    elif kind in PLAIN:
        net.add(PLAIN[kind], inputs, output)
    elif kind == tflite.BuiltinOperator.MAX_POOL_2D:
        options = _options(layer, tflite.Pool2DOptions())
        size = [options.FilterHeight(), options.FilterWidth()]
        strides = [options.StrideH(), options.StrideW()]
        net.add(
            "MaxPool", inputs, output, kernel_shape=size, strides=strides, auto_pad="SAME_UPPER"
        )
    elif kind == tflite.BuiltinOperator.PAD:
        around = _array(file, lite, layer.InputsAsNumpy()[1])[[0, 3, 1, 2]]
        pads = net.hold(f"{output}/pads", around.T.ravel().astype(np.int64))
        net.add("Pad", [inputs[0], pads], output)
    elif kind == tflite.BuiltinOperator.RESHAPE:
        net.add("Transpose", inputs[:1], f"{output}/last", perm=[0, 2, 3, 1])
        rows = net.hold(f"{output}/shape", np.array(shape, np.int64))
        net.add("Reshape", [f"{output}/last", rows], output)
    elif kind == tflite.BuiltinOperator.CONCATENATION:
        axis = _options(layer, tflite.ConcatenationOptions()).Axis()
        net.add("Concat", inputs, output, axis=axis)
    else:
        raise ValueError(f"layer {output} is of kind {kind}, which is none of BlazeFace's")


def _convolve(layer: Any, kind: int, inputs: list[str], output: str, net: _Net) -> None:
    kernel, bias = net.known[inputs[1]], net.known[inputs[2]]
    if kind == tflite.BuiltinOperator.CONV_2D:
        options, groups = _options(layer, tflite.Conv2DOptions()), 1
        kernel = kernel.transpose(0, 3, 1, 2)
    else:
        options, groups = _options(layer, tflite.DepthwiseConv2DOptions()), kernel.shape[3]
        kernel = kernel.transpose(3, 0, 1, 2)
    names = [inputs[0], net.hold(f"{output}/kernel", kernel), net.hold(f"{output}/bias", bias)]
    strides = [options.StrideH(), options.StrideW()]
    padding = "SAME_UPPER" if options.Padding() == tflite.Padding.SAME else "VALID"
    acts = options.FusedActivationFunction()
    if acts != tflite.ActivationFunctionType.NONE:
        raise ValueError(f"layer {output} has activation {acts} inside, which BlazeFace has not")
    net.add("Conv", names, output, strides=strides, auto_pad=padding, group=groups)


def _options(layer: Any, table: Any) -> Any:
    """Read a layer's options as a table of their kind."""
    found = layer.BuiltinOptions()
    table.Init(found.Bytes, found.Pos)
    return table


def _name(lite: Any, at: int) -> str:
    return lite.Tensors(at).Name().decode()


def _array(file: Any, lite: Any, at: int) -> NDArray[Any]:
    """An array that the file holds."""
    tensor = lite.Tensors(at)
    numbers = file.Buffers(tensor.Buffer()).DataAsNumpy()
    return numbers.view(NUMBERS[tensor.Type()]).reshape(tensor.ShapeAsNumpy())


if __name__ == "__main__":
    main(tyro.cli(FaceJob))
