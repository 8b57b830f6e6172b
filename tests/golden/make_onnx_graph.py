"""Tiny ONNX models, one or more for each operator and opset in which its meaning changed, and what ONNX Runtime
answers for them: onnx_graph/*.onnx, onnx_graph.csv (model, tensor, height, width, number of values) and onnx_graph.npy
(the values, one after the other). Models named refuse_* must not be taken; their line holds a part of the message.

Usage: make_onnx_graph.py FOLDER, with the packages of requirements-onnx.txt. The picture is that of tests/net/onnx/test_onnx_graph.c.
"""
import csv
import pathlib
import sys
import zlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

H, W = 7, 6
cases = []



class Case:
    """A model under construction; constants are drawn from a generator seeded by its name."""

    def __init__(self, name, opset, size=(H, W), dims=None, tensors=("y",), message=None):
        self.name, self.opset, self.size, self.tensors, self.message = name, opset, size, tensors, message
        self.dims = dims or [1, 3, *size]
        self.random = np.random.default_rng(zlib.crc32(name.encode()))
        self.nodes, self.constants = [], []
        cases.append(self)

    def weights(self, name, *shape, low=-1.0, high=1.0):
        self.constants.append(numpy_helper.from_array(self.random.uniform(low, high, shape).astype(np.float32), name))
        return self

    def constant(self, name, values, kind=np.float32):
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return self

    def ints(self, name, *values):
        return self.constant(name, np.array(values, np.int64), np.int64)

    def add(self, op, inputs, outputs="y", **attributes):
        # "-" stands for an input that is left out
        made = helper.make_node(
            op, [i.replace("-", "") for i in inputs.split()], [o.replace("-", "") for o in outputs.split()], **attributes
        )
        self.nodes.append(made)
        return self

    def model(self, outputs):
        dims = [d if isinstance(d, int) else str(d) for d in self.dims]
        graph = helper.make_graph(
            self.nodes,
            self.name,
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
            [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs],
            self.constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


def windows():
    c = lambda name, opset=13, **k: Case("conv_" + name, opset, **k)
    c("same").weights("w", 4, 3, 3, 3).weights("b", 4).add("Conv", "x w b", pads=[1, 1, 1, 1], kernel_shape=[3, 3])
    c("no_shape", 7).weights("w", 4, 3, 2, 3).add("Conv", "x w")
    c("asymmetric", 9).weights("w", 2, 3, 3, 2).weights("b", 2).add("Conv", "x w b", pads=[2, 0, 1, 1], strides=[2, 1])
    c("dilated").weights("w", 2, 3, 2, 3).add("Conv", "x w", pads=[1, 2, 1, 2], dilations=[2, 2])
    c("same_upper").weights("w", 2, 3, 3, 2).add("Conv", "x w", auto_pad="SAME_UPPER", strides=[2, 2])
    c("same_lower").weights("w", 2, 3, 2, 4).add("Conv", "x w", auto_pad="SAME_LOWER", strides=[2, 3])
    c("valid", 22).weights("w", 2, 3, 3, 3).add("Conv", "x w", auto_pad="VALID", strides=[3, 2])
    c("grouped").weights("w", 6, 3, 1, 1).weights("v", 4, 3, 3, 3).add("Conv", "x w", "a").add("Conv", "a v", group=2)
    c("depthwise").weights("w", 3, 1, 3, 3).weights("b", 3).add("Conv", "x w b", group=3, pads=[1, 1, 1, 1])
    c("multiplied").weights("w", 6, 1, 3, 3).add("Conv", "x w", group=3)
    c("weights_cast").constant("h", np.linspace(-1, 1, 24).reshape(2, 3, 2, 2), np.float16).add(
        "Cast", "h", "w", to=TensorProto.FLOAT).add("Conv", "x w")
    Case("conv_open", 17, dims=["n", 3, "h", "w"], size=(9, 5)).weights("w", 2, 3, 3, 3).add("Conv", "x w", pads=[1, 1, 1, 1])
    p = lambda name, opset, op, **k: Case("pool_" + name, opset).add(op, "x", **k)
    p("max", 7, "MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    p("max_plain", 8, "MaxPool", kernel_shape=[2, 3])
    p("max_ceil", 10, "MaxPool", kernel_shape=[3, 2], strides=[3, 4], ceil_mode=1)
    p("max_ceil_padded", 13, "MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1)
    p("max_dilated", 12, "MaxPool", kernel_shape=[2, 2], dilations=[3, 2])
    p("max_same", 11, "MaxPool", kernel_shape=[3, 2], strides=[2, 2], auto_pad="SAME_UPPER")
    p("max_lower", 22, "MaxPool", kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_LOWER")
    p("average", 7, "AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    p("average_padded", 11, "AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    p("average_counted", 10, "AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 1, 1], count_include_pad=1)
    p("average_ceil", 19, "AveragePool", kernel_shape=[2, 3], strides=[2, 2], ceil_mode=1)
    p("average_ceil_counted", 19, "AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1, count_include_pad=1)
    p("average_same", 13, "AveragePool", kernel_shape=[2, 3], strides=[2, 2], auto_pad="SAME_UPPER")
    p("average_all", 13, "AveragePool", kernel_shape=[H, W])
    p("global_average", 7, "GlobalAveragePool")
    p("global_max", 7, "GlobalMaxPool")
    Case("pool_padded", 13).ints("p", 0, 0, 1, 1, 0, 0, 1, 1).constant("v", -np.inf).add(
        "Pad", "x p v", "a").add("MaxPool", "a", kernel_shape=[3, 3], strides=[2, 2])


def dense():
    c = lambda name, opset=13, **k: Case("dense_" + name, opset, **k)
    c("gemm", 9).weights("w", 5, 126).weights("b", 5).add("Flatten", "x", "f").add("Gemm", "f w b", transB=1)
    c("gemm_scaled", 13).weights("w", 126, 4).weights("b", 1, 4).add("Flatten", "x", "f").add(
        "Gemm", "f w b", alpha=0.5, beta=3.0)
    c("gemm_number", 11).weights("w", 126, 4).weights("b").add("Flatten", "x", "f").add("Gemm", "f w b")
    c("gemm_rows").weights("w", 6, 4).weights("b", 4).ints("s", 21, 6).add("Reshape", "x s", "r").add("Gemm", "r w b")
    c("matmul_nhwc").weights("w", 3, 5).add("Transpose", "x", "t", perm=[0, 2, 3, 1]).add("MatMul", "t w")
    c("matmul_rows").weights("w", 6, 5).add("MatMul", "x w")
    c("matmul_tokens").weights("w", 3, 4).ints("s", 0, 3, -1).add("Reshape", "x s", "r").add(
        "Transpose", "r", "t", perm=[0, 2, 1]).add("MatMul", "t w")
    c("keras", dims=["n", H, W, 3]).weights("w", 126, 4).weights("b", 4).ints("s", -1, 126).add(
        "Reshape", "x s", "f").add("MatMul", "f w", "m").add("Add", "m b")


def channels():
    c = lambda name, opset=13, **k: Case("channel_" + name, opset, **k)
    for opset in (7, 9, 14, 15):
        b = c(f"batch_norm_{opset}", opset).weights("g", 3).weights("b", 3).weights("m", 3).weights("v", 3, low=0.1)
        b.add("BatchNormalization", "x g b m v", epsilon=1e-3)
    c("batch_norm_row").weights("g", 126).weights("b", 126).weights("m", 126).weights("v", 126, low=0.1).add(
        "Flatten", "x", "f").add("BatchNormalization", "f g b m v")
    c("layer_norm", 17).weights("g", 3).weights("b", 3).add("Transpose", "x", "t", perm=[0, 2, 3, 1]).add(
        "LayerNormalization", "t g b", epsilon=1e-3)
    c("layer_norm_all", 17).weights("g", 3, 7, 6).add("LayerNormalization", "x g", axis=1)
    c("layer_norm_written", 13).ints("k", 0).constant("two", 2).constant("e", 1e-3).weights("g", 3).weights("b", 3).add(
        "Transpose", "x", "t", perm=[0, 2, 3, 1]).add("ReduceMean", "t", "m", axes=[-1]).add("Sub", "t m", "d").add(
        "Pow", "d two", "p").add("ReduceMean", "p", "v", axes=[-1]).add("Add", "v e", "q").add("Sqrt", "q", "s").add(
        "Div", "d s", "n").add("Mul", "n g", "o").add("Add", "o b")
    c("lrn").weights("w", 8, 3, 1, 1).add("Conv", "x w", "a").add("LRN", "a", size=5, alpha=0.3, beta=0.6, bias=2.0)
    c("lrn_defaults", 7).weights("w", 8, 3, 1, 1).add("Conv", "x w", "a").add("LRN", "a", size=3)
    c("softmax_11", 11).add("GlobalMaxPool", "x", "a").add("Softmax", "a")
    c("softmax_11_all", 11).add("Softmax", "x", axis=-3)
    c("softmax_13", 13).add("Softmax", "x", axis=1)
    c("softmax_13_width", 13).add("Softmax", "x")
    for op in ("ReduceMean", "ReduceMax"):
        c(f"{op}_7", 7).add(op, "x", axes=[2, 3], keepdims=0)
        c(f"{op}_18", 18).ints("a", -1, -2).add(op, "x a")
        c(f"{op}_all", 13).add(op, "x")
        c(f"{op}_channels", 13).add(op, "x", axes=[1])
        c(f"{op}_height", 13).add(op, "x", axes=[2], keepdims=0)
    c("reduce_none", 18).ints("a").add("ReduceMean", "x a", noop_with_empty_axes=1)
    c("reduce_nhwc", dims=[1, H, W, 3]).add("ReduceMean", "x", axes=[1, 2], keepdims=0)


def pointwise():
    c = lambda name, opset=13, **k: Case("point_" + name, opset, **k)
    for op, opset, attributes in (
        ("Relu", 7, {}), ("Sigmoid", 7, {}), ("Tanh", 13, {}), ("HardSwish", 14, {}), ("LeakyRelu", 7, {}),
        ("LeakyRelu", 16, {"alpha": 0.3}), ("Elu", 7, {}), ("Elu", 22, {"alpha": 0.7}), ("Softplus", 7, {}),
        ("Mish", 18, {}), ("Gelu", 20, {}), ("Gelu", 21, {"approximate": "tanh"}), ("HardSigmoid", 7, {}),
        ("HardSigmoid", 22, {"alpha": 0.3, "beta": 0.4}), ("Selu", 7, {}), ("Selu", 22, {"alpha": 1.1, "gamma": 2.0}),
        ("Neg", 13, {}), ("Identity", 16, {}), ("Dropout", 7, {}),
    ):
        if op == "Mish":  # which ONNX Runtime does not have: its definition
            c("mish", 13).add("Softplus", "x", "s").add("Tanh", "s", "t").add("Mul", "x t")
            continue
        c(f"{op}_{opset}", opset).add(op, "x", **attributes)
    c("clip_7", 7).add("Clip", "x", min=-0.3, max=0.4)
    c("clip_11", 11).constant("a", -0.3).constant("b", 0.4).add("Clip", "x a b")
    c("clip_13", 13).constant("b", 0.4).add("Clip", "x - b")
    c("clip_crossed", 13).constant("a", 0.5).constant("b", 0.25).add("Clip", "x a b")
    c("min_max", 13).constant("a", [-0.3]).constant("b", 0.4).add("Max", "a x", "m").add("Min", "m b")
    c("prelu", 9).weights("s", 3, 1, 1).add("PRelu", "x s")
    c("prelu_number", 16).weights("s", 1).add("PRelu", "x s")
    c("prelu_pixels", 16).weights("s", 7, 1).add("PRelu", "x s")
    c("dropout_13", 13).constant("r", 0.5).constant("t", False, np.bool_).add("Dropout", "x r t")
    c("cast", 13).add("Cast", "x", "d", to=TensorProto.DOUBLE).add("Cast", "d", to=TensorProto.FLOAT)
    c("silu").add("Sigmoid", "x", "s").add("Mul", "s x")
    c("hard_swish").add("HardSigmoid", "x", "s", alpha=1 / 6, beta=0.5).add("Mul", "x s")
    c("gate_of_another").weights("w", 3, 3, 1, 1).add("Conv", "x w", "a").add("Sigmoid", "a", "s").add("Mul", "x s")
    gelu = lambda name: c("gelu_" + name).constant("r", np.sqrt(2)).constant("i", np.sqrt(0.5)).constant("one", 1).constant("half", 0.5)
    gelu("torch").add("Div", "x r", "d").add("Erf", "d", "e").add("Add", "e one", "g").add("Mul", "x g", "m").add("Mul", "m half")
    gelu("dynamo").add("Div", "x r", "d").add("Erf", "d", "e").add("Add", "e one", "g").add("Mul", "half g", "m").add("Mul", "x m")
    gelu("first").add("Mul", "x half", "h").add("Mul", "x i", "d").add("Erf", "d", "e").add("Add", "one e", "g").add("Mul", "h g")
    c("gelu_tanh").constant("three", 3).constant("a", 0.044715).constant("b", np.sqrt(2 / np.pi)).constant("one", 1).constant(
        "half", 0.5).add("Pow", "x three", "p").add("Mul", "p a", "q").add("Add", "x q", "s").add("Mul", "s b", "t").add(
        "Tanh", "t", "u").add("Add", "u one", "v").add("Mul", "x v", "w").add("Mul", "w half")


def arithmetic():
    c = lambda name, opset=13, **k: Case("sum_" + name, opset, **k)
    for op in ("Add", "Sub", "Mul", "Div"):
        c(f"{op}_channel", 7).weights("k", 3, 1, 1, low=0.5).add(op, "x k")
        c(f"{op}_number", 14).weights("k", low=0.5).add(op, "x k")
        c(f"{op}_pixel").weights("k", 1, 7, 1, low=0.5).add(op, "x k")
        c(f"{op}_all").weights("k", 1, 3, 7, 6, low=0.5).add(op, "x k")
    c("sub_from").weights("k", 1, 3, 1, 1).add("Sub", "k x")
    c("row").weights("k", 126).add("Flatten", "x", "f").add("Add", "k f")
    c("rank").weights("k", 1, 1, 1, 1, 126).add("Flatten", "x", "f").add("Mul", "f k")
    two = lambda name, opset=13, **k: c(name, opset, **k).weights("w", 3, 3, 1, 1).add("Conv", "x w", "a")
    for op in ("Add", "Sub", "Mul"):
        two(f"{op}_two").add(op, "x a")
        two(f"{op}_channels").add("GlobalAveragePool", "a", "b").add(op, "x b")
        two(f"{op}_pixels").add("ReduceMean", "a", "b", axes=[1]).add(op, "x b")
        two(f"{op}_rows").add("ReduceMean", "a", "b", axes=[3]).add(op, "x b")
    two("swapped").add("GlobalAveragePool", "a", "b").add("Mul", "b x")
    two("narrow").ints("s", 3, 1, 1).add("GlobalAveragePool", "a", "b").add("Reshape", "b s", "r").add("Mul", "r x")
    two("several").add("Relu", "x", "r").add("Sum", "x a r x")
    two("one").add("Sum", "a")
    two("layouts").add("Transpose", "a", "t", perm=[0, 2, 3, 1]).add("Flatten", "t", "f").add(
        "Transpose", "x", "u", perm=[0, 2, 3, 1]).add("Flatten", "u", "g").add("Add", "f g")
    two("mixed").add("Flatten", "a", "f").add("Transpose", "x", "u", perm=[0, 2, 3, 1]).add("Flatten", "u", "g").add("Add", "f g")
    c("square").constant("two", 2).add("Pow", "x two")
    c("scales").constant("k", 3).constant("third", 0.25).add("Mul", "x k", "m").add("Neg", "m", "n").add("Div", "n third")


def shapes():
    c = lambda name, opset=13, **k: Case("shape_" + name, opset, **k)
    c("reshape", 7).ints("s", 0, -1, 2, 7).add("Reshape", "x s")
    c("reshape_zero", 14).ints("s", 1, 126).add("Reshape", "x s", allowzero=1)
    c("flatten_0", 9).add("Flatten", "x", axis=0)
    c("flatten_last", 13).add("Flatten", "x", axis=-1)
    c("squeeze", 11).add("GlobalMaxPool", "x", "a").add("Squeeze", "a", axes=[2, -1])
    c("squeeze_all", 13).add("GlobalMaxPool", "x", "a").add("Squeeze", "a")
    c("squeeze_13", 13).ints("d", 0, 3).add("GlobalMaxPool", "x", "a").add("Squeeze", "a d")
    c("unsqueeze", 11).add("Unsqueeze", "x", axes=[1, 5])
    c("unsqueeze_13", 13).ints("d", -1).add("Unsqueeze", "x d")
    c("transpose").add("Transpose", "x")
    c("transpose_twice").add("Transpose", "x", "t", perm=[0, 3, 1, 2]).add("Transpose", "t", perm=[0, 3, 2, 1])
    c("across").ints("s", 1, 4, 9, -1).ints("r", 1, 6, 21).ints("q", 7, 18).add("Transpose", "x", "t", perm=[0, 1, 3, 2]).add(
        "Reshape", "t r", "u").add("Transpose", "u", "v", perm=[0, 2, 1]).add("Reshape", "v q")
    c("uneven").ints("r", 1, 14, 9).ints("q", 1, 21, 6).add("Reshape", "x r", "u").add("Transpose", "u", "v", perm=[0, 2, 1]).add(
        "Reshape", "v q", "w").add("Transpose", "w", perm=[0, 2, 1])
    c("shuffle", tensors=("y", "r", "t", "s")).weights("w", 6, 3, 1, 1).weights("v", 2, 6, 1, 1).ints("a", 1, 2, 3, 7, 6).ints("b", 1, 6, 7, 6).add(
        "Conv", "x w", "c").add("Reshape", "c a", "r").add("Transpose", "r", "t", perm=[0, 2, 1, 3, 4]).add(
        "Reshape", "t b", "s").add("Conv", "s v")
    for mode in ("DCR", "CRD"):
        c(f"depth_to_space_{mode}").weights("w", 8, 3, 1, 1).add("Conv", "x w", "a").add("DepthToSpace", "a", blocksize=2, mode=mode)
    c("space_to_depth", size=(6, 4)).add("SpaceToDepth", "x", blocksize=2)
    c("computed", 13, dims=["n", 3, "h", "w"]).ints("i", 0).ints("o", -1).add("Shape", "x", "s").add("Gather", "s i", "b").add(
        "Concat", "b o", "d", axis=0).add("Reshape", "x d")
    c("nhwc", dims=[1, H, W, 3]).weights("w", 4, 3, 3, 3).add("Transpose", "x", "t", perm=[0, 3, 1, 2]).add(
        "Conv", "t w", "c").add("Relu", "c", "r").add("Transpose", "r", perm=[0, 2, 3, 1])
    names = c("names", tensors=("c", "r", "t", "f", "y")).weights("w", 4, 3, 3, 3).weights("v", 80, 2)
    names.add("Conv", "x w", "c", name="stem").add("Relu", "c", "r", name="act").add(
        "Transpose", "r", "t", perm=[0, 2, 3, 1], name="turn").add("Flatten", "r", "f", name="flat").add("MatMul", "f v", "m").add("Softmax", "m")


def moves():
    c = lambda name, opset=13, **k: Case("move_" + name, opset, **k)
    two = lambda name, opset=13, **k: c(name, opset, **k).weights("w", 2, 3, 1, 1).add("Conv", "x w", "a")
    two("concat", 7).add("Concat", "x a x", axis=1)
    two("concat_negative", 11).add("Concat", "a x", axis=-3)
    c("concat_height").add("Relu", "x", "r").add("Concat", "x r", axis=2)
    c("concat_width").add("Relu", "x", "r").add("Concat", "x r", axis=3)
    c("concat_nhwc", dims=[1, H, W, 3]).add("Relu", "x", "r").add("Concat", "x r", axis=3)
    two("concat_rows").add("Flatten", "x", "f").add("Flatten", "a", "g").add("Concat", "f g", axis=1)
    c("split_7", 7, tensors=("y", "z")).add("Split", "x", "z y", axis=1, split=[1, 2])
    c("split_equal", 11, tensors=("y", "z")).add("Split", "x", "y z", axis=3)
    c("split_13", 13, tensors=("y", "z")).ints("s", 2, 1).add("Split", "x s", "y z", axis=1)
    c("split_18", 18, tensors=("y", "z")).add("Split", "x", "y z", axis=2, num_outputs=2)
    c("slice_9", 9).add("Slice", "x", axes=[1], starts=[1], ends=[3])
    c("slice_10", 10).ints("s", 1, -3).ints("e", 9223372036854775807, -1).ints("d", 2, 3).add("Slice", "x s e d")
    c("slice_steps").ints("s", 0, 1).ints("e", 7, 6).ints("d", -2, -1).ints("t", 2, 3).add("Slice", "x s e d t")
    c("slice_all_axes").ints("s", 0, 1, 2, 3).ints("e", 1, 3, 4, 5).add("Slice", "x s e")
    c("slice_turned").ints("s", 1).ints("e", 5).ints("d", 1).add("Transpose", "x", "t", perm=[0, 2, 1, 3]).add("Slice", "t s e d")
    c("slice_nhwc", dims=[1, H, W, 3]).ints("s", 1, 0).ints("e", 5, 2).ints("d", 1, 3).add("Slice", "x s e d")
    c("slice_row").ints("s", 5).ints("e", 100).ints("d", 1).ints("t", 7).add("Flatten", "x", "f").add("Slice", "f s e d t")
    c("gather").ints("i", 0, 2).add("Gather", "x i", axis=1)
    c("gather_number").constant("i", -1, np.int64).add("Gather", "x i", axis=2)
    pads = [0, 0, 1, 2, 0, 0, 3, 0]
    c("pad_7", 7).add("Pad", "x", pads=pads)
    c("pad_11", 11).ints("p", *pads).constant("v", 0).add("Pad", "x p v")
    c("pad_18", 18).ints("p", 1, 0, 2, 3).ints("d", 2, -1).add("Pad", "x p - d")
    c("pad_crop", 13).ints("p", 0, 0, -1, 2, 0, 0, 1, -3).add("Pad", "x p")
    c("pad_nhwc", 13, dims=[1, H, W, 3]).ints("p", 0, 1, 2, 0, 0, 1, 0, 0).add("Pad", "x p")
    c("pad_none", 13).ints("p", *[0] * 8).add("Pad", "x p")
    c("pad_conv", 13).ints("p", *pads).weights("w", 2, 3, 3, 3).add("Pad", "x p", "a").add("Conv", "a w", strides=[2, 2])


def resizes():
    c = lambda name, opset, **k: Case("resize_" + name, opset, **k)
    c("upsample_7", 7).add("Upsample", "x", scales=[1.0, 1.0, 2.0, 3.0], mode="nearest")
    c("upsample_9", 9).constant("s", [1, 1, 2, 1.5]).add("Upsample", "x s", mode="linear")
    c("10_nearest", 10).constant("s", [1, 1, 1.7, 2]).add("Resize", "x s")
    c("10_shrink", 10).constant("s", [1, 1, 0.6, 0.5]).add("Resize", "x s", mode="nearest")
    c("10_linear", 10).constant("s", [1, 1, 1.7, 0.5]).add("Resize", "x s", mode="linear")
    for place in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"):
        c(f"linear_{place}", 11).constant("roi", []).constant("s", [1, 1, 1.6, 0.7]).add("Resize", "x roi s", mode="linear", coordinate_transformation_mode=place)
        for rounds in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
            if place != "align_corners" or rounds == "floor":
                c(f"{place}_{rounds}", 13).constant("s", [1, 1, 1.6, 0.7]).add(
                    "Resize", "x - s", mode="nearest", coordinate_transformation_mode=place, nearest_mode=rounds)
    c("for_nn", 11).constant("roi", []).constant("s", [1, 1, 2, 0.5]).add("Resize", "x roi s", coordinate_transformation_mode="tf_half_pixel_for_nn", nearest_mode="floor")
    c("sizes", 13).ints("s", 1, 3, 10, 4).add("Resize", "x - - s", mode="linear")
    c("axes", 18).ints("s", 10, 9).add("Resize", "x - - s", mode="linear", axes=[2, 3])
    c("axes_scales", 19).constant("s", [2, 2]).add("Resize", "x - s", axes=[3, 2])
    c("nhwc", 13, dims=[1, H, W, 3]).constant("s", [1, 2, 2, 1]).add("Resize", "x - s", mode="linear")
    c("same", 13).constant("s", [1, 1, 1, 1]).add("Resize", "x - s", mode="linear")
    c("one_pixel", 11).constant("roi", []).constant("s", [1, 1, 0.2, 0.2]).add("Resize", "x roi s", mode="linear", coordinate_transformation_mode="pytorch_half_pixel")


def spreads():
    c = lambda name, opset=13, **k: Case("spread_" + name, opset, **k)
    for op in ("Add", "Sub", "Mul"):
        c(f"both_{op}").add("ReduceMean", "x", "a", axes=[1]).add("GlobalAveragePool", "x", "b").add(op, "a b")
    c("both_rows").add("ReduceMean", "x", "a", axes=[3]).add("ReduceMean", "x", "b", axes=[1, 2]).add("Add", "b a")
    c("by_constant").weights("k", 1, 7, 6).add("GlobalAveragePool", "x", "a").add("Add", "a k")
    c("by_uniform").constant("k", np.full((1, 1, 7, 6), 0.5)).add("GlobalAveragePool", "x", "a").add("Mul", "k a")
    c("batch").add("Concat", "x x x", "a", axis=0).add("Mul", "x a")
    c("rank_5").weights("k", 2, 1, 3, 1, 1).add("GlobalAveragePool", "x", "a").add("Mul", "a k")
    for opset in (11, 13):
        sums = c(f"reduce_sum_{opset}", opset)
        sums.add("ReduceSum", "x", axes=[2, 3]) if opset < 13 else sums.ints("a", 1, 3).add("ReduceSum", "x a", keepdims=0)
    c("sum_constant").weights("k", 3, 1, 1).add("Relu", "x", "a").add("Sum", "x k a")


def heads():
    """Ends of networks: which tensor is the features."""
    def c(name):
        case = Case("head_" + name, 13).weights("s", 4, 3, 3, 3).weights("w", 5, 4, 1, 1).weights("b", 5, 1, 1)
        return case.add("Conv", "x s", "c")

    c("conv").ints("f", -1, 5).add("GlobalAveragePool", "c", "p").add("Conv", "p w", "q").add("Add", "q b", "r").add(
        "Reshape", "r f", "l").add("Softmax", "l")
    c("conv_squeeze").ints("a", 2, 3).add("ReduceMean", "c", "p", axes=[2, 3]).add("Conv", "p w", "q").add("Squeeze", "q a")
    c("conv_pixels").add("Conv", "c w", "q").add("GlobalAveragePool", "q", "p").add("Softmax", "p", axis=1)
    c("conv_map").add("Conv", "c w", "q").add("Flatten", "q")
    c("conv_gate").add("GlobalAveragePool", "c", "p").add("Conv", "p w", "q").add("Relu", "q")
    c("conv_taps").add("MaxPool", "c", "p", kernel_shape=[5, 4]).weights("v", 2, 4, 3, 3).add("Conv", "p v", pads=[1, 1, 1, 1])


def picks():
    c = lambda name, opset=13, **k: Case("pick_" + name, opset, **k)
    for layout, dims in (("", None), ("_nhwc", [1, H, W, 3])):
        axis = 3 if layout else 1
        c("gather_bgr" + layout, dims=dims).ints("i", 2, 1, 0).add("Gather", "x i", axis=axis)
        c("slice_bgr" + layout, dims=dims).ints("s", -1).ints("e", -100).ints("a", axis).ints("t", -1).add("Slice", "x s e a t")
        c("reflect" + layout, 18, dims=dims).ints("p", 2, 3, 1, 0).ints("a", *((1, 2) if layout else (2, 3))).add("Pad", "x p - a", mode="reflect")
    c("gather_any").ints("i", 4, 0, 0, -1, 3, 3, 3).add("Gather", "x i", axis=2)
    c("gather_batch").ints("i", 0, 0).add("Gather", "x i", axis=0)
    c("gather_pairs").ints("i", 0, 2, 1, 1).ints("s", 2, 2).add("Reshape", "i s", "j").add("Gather", "x j", axis=1)
    c("gather_rows").ints("i", 125, 3, 3, 7).add("Flatten", "x", "f").add("Gather", "f i", axis=1)
    c("gather_bgr_conv").ints("i", 2, 1, 0).weights("w", 4, 3, 3, 3).add("Gather", "x i", "a", axis=1).add("Conv", "a w")
    c("slice_back").ints("s", 6, 5).ints("e", 0, -100).ints("a", 2, 3).ints("t", -2, -1).add("Slice", "x s e a t")
    c("edge", 11).ints("p", 0, 0, 2, 0, 0, 0, 0, 5).add("Pad", "x p", mode="edge")
    c("reflect_9", 9).weights("w", 2, 3, 3, 3).add("Pad", "x", "a", pads=[0, 0, 1, 1, 0, 0, 1, 1], mode="reflect").add("Conv", "a w")
    c("edge_channels", 13).ints("p", 0, 1, 0, 0, 0, 2, 0, 0).add("Pad", "x p", mode="edge")
    c("concat_constant").weights("k", 1, 2, 7, 6).add("Concat", "k x", axis=1)
    c("concat_constants").weights("k", 1, 3, 1, 6).weights("l", 1, 3, 2, 6).add("Concat", "k x l", axis=2)
    c("concat_token").weights("k", 1, 1, 3).ints("s", 1, 3, -1).add("Reshape", "x s", "r").add(
        "Transpose", "r", "t", perm=[0, 2, 1]).add("Concat", "k t", axis=1)
    for scale in (2.0, -0.5):
        c(f"gelu_scaled_{scale}").constant("k", scale).constant("r", np.sqrt(2)).constant("one", 1).constant("half", 0.5).add(
            "Mul", "x k", "a").add("Div", "a r", "d").add("Erf", "d", "e").add("Add", "e one", "f").add("Mul", "a f", "g").add("Mul", "g half")
    c("gelu_negative").constant("r", np.sqrt(2)).constant("one", 1).add("Neg", "x", "a").add("Div", "a r", "d").add(
        "Erf", "d", "e").add("Add", "e one", "f").add("Mul", "x f")


def ties():
    """Pixels that lie between two, exactly or but for rounding: of 13 to 1 pixel, 6.5 is 6.4999995 in f32."""
    c = lambda name, opset=11, **k: Case("tie_" + name, opset, size=(13, 11), **k)
    for rounds in ("round_prefer_floor", "round_prefer_ceil"):
        for place in ("half_pixel", "asymmetric", "tf_half_pixel_for_nn"):
            for h, w in ((1, 1), (7, 13)):
                c(f"{place}_{rounds}_{h}").constant("roi", []).constant("e", []).ints("s", 1, 3, h, w).add(
                    "Resize", "x roi e s", coordinate_transformation_mode=place, nearest_mode=rounds)
    for mode in ("nearest", "linear"):
        for h, w in ((0.6, 1.7), (2.0, 0.35)):
            c(f"symmetric_{mode}_{h}", 19).constant("s", [1, 1, h, w]).add(
                "Resize", "x - s", mode=mode, coordinate_transformation_mode="half_pixel_symmetric")


def refusals():
    def c(name, message, opset=13, **k):
        return Case("refuse_" + name, opset, message=message, **k)

    c("operator", "2 nodes cannot be taken; the first: Det node that writes y, opset 13").add("Det", "x").add("NonZero", "x", "z").add("Relu", "z", "v")
    c("late", "an operator that Pomona does not take", 13).weights("w", 1, 3, 1, 1).add("Conv", "x w", "a").add("Acos", "a")
    # what follows an operator that is not taken is looked at too, and so is what follows a layer that cannot be
    z = c("list", "5 nodes cannot be taken; the first: Acos node cos").ints("p", 0, 0, 1, 1, 0, 0, 1, 1).constant("s", [1, 1, 2, 2]).ints("e", 0, 3)
    z.weights("w", 8, 3, 3, 3).add("Acos", "x", "a", name="cos").add("Pad", "a p", "b", mode="wrap", name="pad").add(
        "Resize", "b - s", "c", mode="cubic", name="resize").add("Shape", "c", "t").add("Range", "t t t", "u").add(
        "Reshape", "c e", "v").add("Conv", "x w", "d", pads=[1 << 20] * 4, name="large").add("Relu", "d").add(
        "Softmax", "x", "q", axis=9, name="axis")
    c("domain", "an operator of domain com.example").add("FusedConv", "x", domain="com.example")
    c("transpose_conv", "ConvTranspose node up, opset 13").weights("w", 3, 3, 2, 2).add("ConvTranspose", "x w", name="up")
    c("mish_too_early", "the operator has another meaning, or none, in this opset").add("Mish", "x")
    c("conv_nan", "weights that are not finite numbers").constant("w", np.full((1, 3, 1, 1), np.nan)).add("Conv", "x w")
    c("gemm_infinite", "biases that are not finite").weights("w", 126, 1).constant("b", [np.inf]).add("Flatten", "x", "f").add("Gemm", "f w b")
    c("add_infinite", "times 1 plus -inf").constant("k", -np.inf).add("Add", "x k")
    c("norm_epsilon", "epsilon nan", 17).weights("g", 6).add("LayerNormalization", "x g", epsilon=float("nan"))
    c("conv_1d", "weights of 3 dimensions, where those of a 2-dimensional kernel have 4").weights("w", 3, 3, 2).add("Conv", "x w")
    c("conv_no_weights", "node that writes y, opset 13: has no weights").add("Conv", "x")
    c("conv_computed", "weights are computed").add("Conv", "x x")
    c("conv_channels", "weights [2, 4, 1, 1] in 1 groups on 3 channels").weights("w", 2, 4, 1, 1).add("Conv", "x w")
    c("conv_groups", "in 2 groups").weights("w", 2, 3, 1, 1).add("Conv", "x w", group=2)
    c("conv_no_groups", "in 0 groups").weights("w", 2, 3, 1, 1).add("Conv", "x w", group=0)
    c("conv_bias", "3 biases of 2 filters").weights("w", 2, 3, 1, 1).weights("b", 3).add("Conv", "x w b")
    c("conv_shape", "kernel_shape is not that of its weights").weights("w", 2, 3, 1, 1).add("Conv", "x w", kernel_shape=[3, 3])
    c("conv_stride", "strides has 0").weights("w", 2, 3, 1, 1).add("Conv", "x w", strides=[0, 1])
    c("conv_pads", "pads has 4611686018427387904").weights("w", 2, 3, 1, 1).add("Conv", "x w", pads=[1 << 62, 0, 1 << 62, 0])
    c("conv_pad_count", "3 pads").weights("w", 2, 3, 1, 1).add("Conv", "x w", pads=[1, 1, 1])
    c("conv_large", "a window of 9 pixels on a picture of 7").weights("w", 2, 3, 9, 1).add("Conv", "x w")
    c("conv_auto", "auto_pad ROUND").weights("w", 2, 3, 1, 1).add("Conv", "x w", auto_pad="ROUND")
    c("conv_empty", "weights [0, 3, 1, 1]").weights("w", 0, 3, 1, 1).add("Conv", "x w")
    c("conv_row", "its input has 2 dimensions").weights("w", 2, 3, 1, 1).add("Flatten", "x", "f").add("Conv", "f w")
    c("pool_places", "gives the places of its maxima", 12).add("MaxPool", "x", "a i", kernel_shape=[2, 2]).add("MaxUnpool", "a i", kernel_shape=[2, 2])
    c("pool_shape", "has no kernel_shape").add("MaxPool", "x")
    c("pool_padding", "padding as large as the window").add("MaxPool", "x", kernel_shape=[2, 2], pads=[2, 0, 2, 0])
    c("pool_dilated", "an average with dilation", 19).add("AveragePool", "x", kernel_shape=[2, 2], dilations=[2, 2])
    c("gemm_size", "weights of 125 x 4 for 126 values").weights("w", 125, 4).add("Flatten", "x", "f").add("Gemm", "f w")
    c("gemm_image", "a first factor of 4 dimensions, not 2").weights("w", 6, 4).add("Gemm", "x w")
    c("gemm_turned", "(transA)").weights("w", 1, 4).add("Flatten", "x", "f").add("Gemm", "f w", transA=1)
    c("gemm_bias", "3 biases of 4 columns").weights("w", 126, 4).weights("b", 3).add("Flatten", "x", "f").add("Gemm", "f w b")
    c("matmul_computed", "weights are computed").add("Transpose", "x", "t", perm=[0, 1, 3, 2]).add("MatMul", "x t")
    c("batch_norm", "are not 3 constants each").weights("g", 3).weights("b", 4).add("BatchNormalization", "x g b g g")
    c("batch_norm_training", "is in training mode", 14).weights("g", 3).add("BatchNormalization", "x g g g g", "y m v", training_mode=1)
    c("layer_norm", "scale and bias are not 6 constants", 17).weights("g", 5).add("LayerNormalization", "x g")
    c("lrn", "size 0").add("LRN", "x", size=0)
    c("erf", "or is a step inside of GELU").add("Erf", "x")
    c("both_spread", "two tensors of 6 and 3 along dimension 3").weights("w", 3, 3, 1, 4).add("Conv", "x w", "a").add("Add", "x a")
    c("erf_alone", "reads Erf").constant("i", np.sqrt(0.5)).add("Mul", "x i", "d").add("Erf", "d", "e").add("Relu", "e")
    c("sqrt", "is only taken as a part of LayerNorm").add("Sqrt", "x")
    c("axis", "axis 4 of 4 dimensions").add("Softmax", "x", axis=4)
    c("divide", "divides by a tensor").add("Div", "x x")
    c("broadcast", "a constant of 5 along dimension 3").weights("k", 5).add("Add", "x k")
    c("power", "an exponent that is neither 2 nor 3").constant("k", 1.5).add("Pow", "x k")
    c("clip", "a bound that is not a constant number").add("GlobalMaxPool", "x", "a").add("Clip", "x a")
    c("reshape", "126 elements for a shape of 100").ints("s", 10, 10).add("Reshape", "x s")
    c("reshape_negative", "dimension 1 becomes -2").ints("s", 1, -2).add("Reshape", "x s")
    c("reshape_huge", "dimension 1 becomes 4611686018427387904").ints("s", 4, 1 << 62).add("Reshape", "x s")
    c("reshape_batch", "125").ints("s", 0, 125).add("Reshape", "x s")
    c("transpose", "a dimension twice").add("Transpose", "x", perm=[0, 1, 1, 2])
    c("transpose_rank", "a permutation of 3").add("Transpose", "x", perm=[0, 1, 2])
    c("squeeze", "126 elements for a shape of 42").ints("a", 1).add("Squeeze", "x a")
    c("blocks", "blocks of 2").add("DepthToSpace", "x", blocksize=2)
    c("cast", "casts a tensor to data type 7").add("Cast", "x", to=TensorProto.INT64)
    c("dropout", "is in training mode").constant("r", 0.5).constant("t", True, np.bool_).add("Dropout", "x r t")
    c("concat", "input 1 is of another shape").weights("w", 1, 3, 2, 2).add("Conv", "x w", "a").add("Concat", "x a", axis=1)
    c("concat_constant", "a constant of another shape").weights("k", 1, 3, 7, 5).add("Concat", "x k", axis=1)
    c("split_count", "3 sizes of 2 outputs").ints("s", 1, 1, 1).add("Split", "x s", "y z", axis=1)
    c("split_short", "sizes of 2 together, of 3").ints("s", 1, 1).add("Split", "x s", "y z", axis=1)
    c("split_outputs", "num_outputs is 3, but it has 2", 18).add("Split", "x", "y z", axis=1, num_outputs=3)
    c("split", "output 1 of 3, at 2 of 3").ints("s", 2, 3).add("Split", "x s", "y z", axis=1)
    c("slice_empty", "nothing from 3 to 3 by 1 of 7").ints("s", 3).ints("e", 3).ints("a", 2).add("Slice", "x s e a")
    c("gather", "index 5 of 3").ints("i", 0, 5).add("Gather", "x i", axis=1)
    c("pad_wrap", "mode wrap", 19).ints("p", 0, 0, 1, 1, 0, 0, 1, 1).add("Pad", "x p", mode="wrap")
    c("pad_reflect", "pads of 0 and 7 around 7").ints("p", 0, 0, 0, 0, 0, 0, 7, 0).add("Pad", "x p", mode="reflect")
    c("pad_value", "value 1: only zeros").ints("p", 0, 0, 1, 1, 0, 0, 1, 1).constant("v", 1).add("Pad", "x p v")
    c("pad_infinity", "which only MaxPool may").ints("p", 0, 0, 1, 1, 0, 0, 1, 1).constant("v", -np.inf).add("Pad", "x p v", "a").add("Relu", "a")
    c("pad_channels", "channels would change").ints("p", 0, 1, 1, 1, 0, 1, 1, 1).add("Pad", "x p")
    c("pad_crop", "crops everything").ints("p", 0, 0, -4, 0, 0, 0, -4, 0).add("Pad", "x p")
    c("pad_huge", "pads of 9223372036854775807").ints("p", 0, 0, (1 << 63) - 1, 0, 0, 0, 0, 0).add("Pad", "x p")
    c("resize_cubic", "mode cubic").constant("s", [1, 1, 2, 2]).add("Resize", "x - s", mode="cubic")
    c("resize_place", "places pixels by tf_crop_and_resize").constant("s", [1, 1, 2, 2]).add("Resize", "x - s", coordinate_transformation_mode="tf_crop_and_resize")
    c("resize_jump", "places pixels by half_pixel_symmetric and ceil", 19).constant("s", [1, 1, 2, 2]).add(
        "Resize", "x - s", coordinate_transformation_mode="half_pixel_symmetric", nearest_mode="ceil")
    c("resize_none", "has neither scales nor sizes").add("Resize", "x")
    c("resize_zero", "dimension 2 becomes 0").constant("s", [1, 1, 0, 2]).add("Resize", "x - s")
    c("resize_nan", "dimension 3 becomes").constant("s", [1, 1, 1, np.nan]).add("Resize", "x - s")
    c("resize_channels", "channels would change").constant("s", [1, 2, 2, 2]).add("Resize", "x - s")
    c("no_picture", "does not depend on the picture").constant("k", [1.0, 2.0]).add("Identity", "k")
    c("range", "opset 13: steps of 0").ints("a", 1).constant("s", 0, np.int64).add("Range", "s s s", "r").add("Gather", "x r", axis=1)
    c("constant", "opset 13: no axis 3 in 1 dimensions").ints("a", 1).add("Softmax", "x", "y").add("Concat", "a a", "b", axis=3)
    c("budget", "too many for a file of").ints("s", 1 << 28).add(
        "ConstantOfShape", "s", "k", value=numpy_helper.from_array(np.zeros(1, np.float64))).add("Cos", "k", "r").add("Relu", "x")
    c("batch", "is not of the shape of pictures", dims=[8, 3, H, W]).add("Relu", "x")
    c("inputs", "1 inputs").weights("k", 3).add("Add", "x")


def main(folder):
    for build in (windows, dense, channels, pointwise, arithmetic, shapes, moves, resizes, spreads, picks, ties, heads, refusals):
        build()
    models = folder / "onnx_graph"
    models.mkdir(exist_ok=True)
    for old in models.glob("*.onnx"):
        old.unlink()
    rows, values = [], []
    for case in cases:
        height, width = case.size
        y, x, c = np.ogrid[:height, :width, :3]
        picture = (y * 37 + x * 91 + c * 53 + y * x * 11 + 7) % 256
        picture = (picture.astype(np.float32) / 128 - 1)[None]
        if case.dims[1] == 3:
            picture = picture.transpose(0, 3, 1, 2).copy()
        (models / f"{case.name}.onnx").write_bytes(case.model(["y"]).SerializeToString(deterministic=True))
        if case.message is not None:
            rows.append([case.name, case.message, height, width, 0])
            continue
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(
            case.model(case.tensors).SerializeToString(), options, providers=["CPUExecutionProvider"])
        for name, answer in zip(case.tensors, session.run(list(case.tensors), {"x": picture})):
            rows.append([case.name, name, height, width, answer.size])
            values.append(answer.astype(np.float32).ravel())
    with open(folder / "onnx_graph.csv", "w", newline="") as file:
        csv.writer(file, delimiter="\t", quoting=csv.QUOTE_NONE, lineterminator="\n").writerows(
            [["model", "tensor", "height", "width", f"values by onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}"], *rows])
    np.save(folder / "onnx_graph.npy", np.concatenate(values))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
