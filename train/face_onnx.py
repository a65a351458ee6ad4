"""MediaPipe's face models for the browser: `python train/face_onnx.py`.

The private mode detects faces in the browser with the very numbers that the server uses. BlazeFace
(Bazarevsky et al. 2019, arXiv 1907.05047; Apache License 2.0) comes inside MediaPipe's wheel as two
TensorFlow Lite files, for near and for far faces; ONNX Runtime takes them when their dozen kinds of
layers have ONNX's names.
"""

import gzip
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tflite
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from train.script import run_script

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "modules/face_detection"
MODELS = {
    "near": "face_detection_short_range.tflite",
    "far": "face_detection_full_range_sparse.tflite",
}
OPSET, IR_VERSION = 17, 8  # old enough for every ONNX Runtime of the last years
ORIGIN = "BlazeFace of MediaPipe (Google), Apache License 2.0, as ONNX"
NUMBERS = {tflite.TensorType.FLOAT16: np.float16, tflite.TensorType.INT32: np.int32}
SPARSE_INDICES = {
    tflite.SparseIndexVector.Int32Vector: tflite.Int32Vector,
    tflite.SparseIndexVector.Uint16Vector: tflite.Uint16Vector,
    tflite.SparseIndexVector.Uint8Vector: tflite.Uint8Vector,
}
FUSED = (tflite.ActivationFunctionType.NONE, tflite.ActivationFunctionType.RELU)


@dataclass(frozen=True)
class FaceJob:
    """Write the face models as ONNX."""

    out: Path = ROOT / "webapp" / "static" / "private" / "third_party"
    """Folder for face-near.onnx.gz and face-far.onnx.gz."""


def main(job: FaceJob) -> None:
    """Do as asked."""
    for name in MODELS:
        model, path = convert(find_model(name).read_bytes()), job.out / f"face-{name}.onnx.gz"
        path.write_bytes(packed(model))
        print(f"{path} holds {len(model.graph.node)} layers, {path.stat().st_size / 1e3:.0f} kB")


def packed(model: onnx.ModelProto) -> bytes:
    """The file of a model, gzipped, always the same."""
    return gzip.compress(model.SerializeToString(), mtime=0)


def find_model(name: str) -> Path:
    """Where MediaPipe keeps a model."""
    spec = find_spec("mediapipe")
    if spec is None or spec.origin is None:
        raise SystemExit("MediaPipe is not installed: run pip install -r requirements.txt.")
    return Path(spec.origin).parent / FOLDER / MODELS[name]


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
        layer = _Layer(file, lite, lite.Operators(place))
        if layer.kind not in CONVERTERS:
            raise ValueError(f"layer {layer.output} is of kind {layer.kind}, not one of BlazeFace")
        CONVERTERS[layer.kind](layer, net)
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
        """Keep an array; gives its name. Halves stay halves in the file."""
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        if value.dtype != np.float16:
            return name
        self.add("Cast", [name], f"{name}/wide", to=TensorProto.FLOAT)
        return f"{name}/wide"

    def end(self, output: str, activation: int) -> str:
        """Give the name for a layer's result before the activation that the file has in it."""
        if activation not in FUSED:
            raise ValueError(f"layer {output} has activation {activation}, which BlazeFace has not")
        return f"{output}/linear" if activation else output

    def activate(self, output: str, activation: int) -> None:
        """Add that activation."""
        if activation:
            self.add("Relu", [f"{output}/linear"], output)


@dataclass(frozen=True)
class _Layer:
    """A layer of the file, whose reader has no types."""

    file: Any
    lite: Any
    raw: Any

    @property
    def kind(self) -> int:
        """Of the operators of TensorFlow Lite."""
        return self.file.OperatorCodes(self.raw.OpcodeIndex()).BuiltinCode()

    @property
    def inputs(self) -> list[str]:
        """Names."""
        return [_name(self.lite, at) for at in self.raw.InputsAsNumpy()]

    @property
    def output(self) -> str:
        """Its name."""
        return _name(self.lite, self.raw.OutputsAsNumpy()[0])

    @property
    def shape(self) -> list[int]:
        """Of the output, channels last."""
        tensor = self.lite.Tensors(self.raw.OutputsAsNumpy()[0])
        return [int(side) for side in tensor.ShapeAsNumpy()]

    def tensor(self, place: int) -> Any:
        """One of its inputs."""
        return self.lite.Tensors(self.raw.InputsAsNumpy()[place])

    def options(self, table: Any) -> Any:
        """Read its options as a table of their kind."""
        found = self.raw.BuiltinOptions()
        table.Init(found.Bytes, found.Pos)
        return table


def _dequantize(layer: _Layer, net: _Net) -> None:
    known = net.known.get(layer.inputs[0])
    net.known[layer.output] = _array(layer.file, layer.tensor(0)) if known is None else known


def _densify(layer: _Layer, net: _Net) -> None:
    net.known[layer.output] = _dense(layer.file, layer.tensor(0))


def _convolve(layer: _Layer, net: _Net) -> None:
    output, (picture, *names) = layer.output, layer.inputs
    kernel, bias = (net.known[name] for name in names)
    if layer.kind == tflite.BuiltinOperator.CONV_2D:
        options, groups = layer.options(tflite.Conv2DOptions()), 1
        kernel = kernel.transpose(0, 3, 1, 2)
    else:
        options, groups = layer.options(tflite.DepthwiseConv2DOptions()), kernel.shape[3]
        kernel = kernel.transpose(3, 0, 1, 2)
    held = [net.hold(f"{output}/kernel", kernel), net.hold(f"{output}/bias", bias)]
    strides = [options.StrideH(), options.StrideW()]
    padding = "SAME_UPPER" if options.Padding() == tflite.Padding.SAME else "VALID"
    activation = options.FusedActivationFunction()
    linear = net.end(output, activation)
    net.add("Conv", [picture, *held], linear, strides=strides, auto_pad=padding, group=groups)
    net.activate(output, activation)


def _sum(layer: _Layer, net: _Net) -> None:
    activation = layer.options(tflite.AddOptions()).FusedActivationFunction()
    net.add("Add", layer.inputs, net.end(layer.output, activation))
    net.activate(layer.output, activation)


def _rectify(layer: _Layer, net: _Net) -> None:
    net.add("Relu", layer.inputs, layer.output)


def _pool(layer: _Layer, net: _Net) -> None:
    options = layer.options(tflite.Pool2DOptions())
    size = [options.FilterHeight(), options.FilterWidth()]
    strides = [options.StrideH(), options.StrideW()]
    how = {"kernel_shape": size, "strides": strides, "auto_pad": "SAME_UPPER"}
    net.add("MaxPool", layer.inputs, layer.output, **how)


def _pad(layer: _Layer, net: _Net) -> None:
    around = _array(layer.file, layer.tensor(1))[[0, 3, 1, 2]]
    pads = net.hold(f"{layer.output}/pads", around.T.ravel().astype(np.int64))
    net.add("Pad", [layer.inputs[0], pads], layer.output)


def _enlarge(layer: _Layer, net: _Net) -> None:
    if not layer.options(tflite.ResizeBilinearOptions()).HalfPixelCenters():
        raise ValueError(f"layer {layer.output} counts pixels from corners, not from their middles")
    _, high, wide, channels = layer.shape
    sizes = net.hold(f"{layer.output}/sizes", np.array([1, channels, high, wide], np.int64))
    net.add("Resize", [layer.inputs[0], "", "", sizes], layer.output, mode="linear")


def _spread(layer: _Layer, net: _Net) -> None:
    size = layer.options(tflite.DepthToSpaceOptions()).BlockSize()
    net.add("DepthToSpace", layer.inputs, layer.output, blocksize=size)


def _reshape(layer: _Layer, net: _Net) -> None:
    last = f"{layer.output}/last"
    net.add("Transpose", layer.inputs[:1], last, perm=[0, 2, 3, 1])
    rows = net.hold(f"{layer.output}/shape", np.array(layer.shape, np.int64))
    net.add("Reshape", [last, rows], layer.output)


def _join(layer: _Layer, net: _Net) -> None:
    axis = layer.options(tflite.ConcatenationOptions()).Axis()
    net.add("Concat", layer.inputs, layer.output, axis=axis)


CONVERTERS = {
    tflite.BuiltinOperator.DEQUANTIZE: _dequantize,
    tflite.BuiltinOperator.DENSIFY: _densify,
    tflite.BuiltinOperator.CONV_2D: _convolve,
    tflite.BuiltinOperator.DEPTHWISE_CONV_2D: _convolve,
    tflite.BuiltinOperator.ADD: _sum,
    tflite.BuiltinOperator.RELU: _rectify,
    tflite.BuiltinOperator.MAX_POOL_2D: _pool,
    tflite.BuiltinOperator.PAD: _pad,
    tflite.BuiltinOperator.RESIZE_BILINEAR: _enlarge,
    tflite.BuiltinOperator.DEPTH_TO_SPACE: _spread,
    tflite.BuiltinOperator.RESHAPE: _reshape,
    tflite.BuiltinOperator.CONCATENATION: _join,
}


def _dense(file: Any, tensor: Any) -> NDArray[Any]:
    """Fill a kernel in that is kept sparse along its last side, as all of these are."""
    shape, sparsity = tensor.ShapeAsNumpy(), tensor.Sparsity()
    order = sparsity.TraversalOrderAsNumpy().tolist()
    *outer, last = (sparsity.DimMetadata(side) for side in range(sparsity.DimMetadataLength()))
    kept = tflite.DimensionType
    is_known = last.Format() == kept.SPARSE_CSR and all(s.Format() == kept.DENSE for s in outer)
    if order != [0, 1, 2, 3] or len(outer) != 3 or not is_known:
        raise ValueError(f"{tensor.Name().decode()} is sparse in a way that BlazeFace is not")
    starts = _indices(last.ArraySegmentsType(), last.ArraySegments())
    columns = _indices(last.ArrayIndicesType(), last.ArrayIndices())
    values = file.Buffers(tensor.Buffer()).DataAsNumpy().view(NUMBERS[tensor.Type()])
    dense = np.zeros((int(np.prod(shape[:3])), int(shape[3])), values.dtype)
    rows = np.repeat(np.arange(len(dense)), np.diff(starts.astype(int)))
    dense[rows, columns] = values
    return dense.reshape(shape)


def _indices(kind: int, table: Any) -> NDArray[Any]:
    found = SPARSE_INDICES[kind]()
    found.Init(table.Bytes, table.Pos)
    return found.ValuesAsNumpy()


def _name(lite: Any, at: int) -> str:
    return lite.Tensors(at).Name().decode()


def _array(file: Any, tensor: Any) -> NDArray[Any]:
    """An array that the file holds."""
    numbers = file.Buffers(tensor.Buffer()).DataAsNumpy()
    return numbers.view(NUMBERS[tensor.Type()]).reshape(tensor.ShapeAsNumpy())


if __name__ == "__main__":
    run_script(main, FaceJob)
