#!/usr/bin/env python3
"""Operators on constants, as ONNX Runtime computes them: onnx_constants_OPSET.onnx.

Every node of a file reads initializers only, and what it should give is an initializer, too, called "NAME.expected". The
file is a sound model besides: a picture goes in and comes out. test_onnx_constant.c computes every node and compares bit
by bit. So inputs are numbers whose sums and products are exact; where results are rounded (Exp, ...), the expected value
is numpy's or Python's fp64 rounded once, after ONNX Runtime was seen to give the same within 1e-6.

    python make_onnx_constants.py      # onnx, onnxruntime, numpy; versions are written into the files

Deterministic: the same packages give the same bytes.
"""

import math
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
F, D, H, I32, I64, B, U8, I8 = (
    np.float32, np.float64, np.float16, np.int32, np.int64, np.bool_, np.uint8, np.int8)

cases = []  # (opset, op, inputs, attributes, outputs, exact)


def case(opset, op, *inputs, outputs=1, exact=None, **attributes):
    cases.append((opset, op, inputs, attributes, outputs, exact))


def grid(*shape, dtype=F, start=0, step=1):
    return (np.arange(math.prod(shape)) * step + start).reshape(shape).astype(dtype)


def ints(*numbers):
    return np.array(numbers, I64)


# Reshaping and moving, in the forms of all opsets. Values are 0, 1, 2, ...: a wrong place is seen.
for dtype in (F, D, I64, I32):
    case(13, "Transpose", grid(2, 3, 4, dtype=dtype), perm=[2, 0, 1])
case(13, "Transpose", grid(2, 3, 4))
case(13, "Transpose", grid(2, 1, 3, 1, 2, 2), perm=[5, 3, 0, 4, 1, 2])
case(13, "Transpose", np.array(5, F))
case(13, "Identity", grid(0, 3))
for shape in ((6, 4), (-1, 2), (0, -1), (2, 0, 4), (24,), (2, 0, -1, 1)):
    case(13, "Reshape", grid(2, 3, 4), ints(*shape))
case(14, "Reshape", grid(0, 3), ints(3, 0), allowzero=1)
case(14, "Reshape", np.array([7], F), ints())
for axis in (0, 1, 2, 3, -1, -3):
    case(13, "Flatten", grid(2, 3, 4), axis=axis)
case(9, "Squeeze", grid(1, 3, 1, 2), axes=[0, 2])
case(9, "Squeeze", grid(1, 3, 1, 2))
case(11, "Squeeze", grid(1, 3, 1, 2), axes=[-2])
case(13, "Squeeze", grid(1, 3, 1, 2), ints(-4, 2))
case(13, "Squeeze", grid(1, 1))
case(9, "Unsqueeze", grid(3, 2), axes=[0, 3])
case(13, "Unsqueeze", grid(3, 2), ints(-1, 1))
case(13, "Unsqueeze", np.array(3, I64), ints(0))
for axis in (0, 1, -1):
    case(13, "Concat", grid(2, 3, 2), grid(2, 3, 2, start=50), grid(2, 3, 2, start=90), axis=axis)
case(13, "Concat", ints(1), ints(), ints(-1, 7), axis=0)
case(13, "Gather", grid(3, 4), ints(2, 0, -1), axis=0)
case(13, "Gather", grid(3, 4), np.array([[1, -4], [3, 0]], I32), axis=1)
case(13, "Gather", ints(1, 3, 224, 224), np.array(-1, I64))
case(13, "Gather", grid(2, 3, 2), ints(), axis=1)
case(9, "Slice", grid(5, 6), starts=[1, -4], ends=[4, 9999], axes=[0, 1])
case(9, "Slice", grid(5, 6), starts=[1], ends=[-1])
case(13, "Slice", grid(5, 6), ints(4, -1), ints(-100, 0), ints(0, 1), ints(-2, -3))
case(13, "Slice", grid(5, 6), ints(-1), ints(-(2**63)), ints(-1), ints(-1))
case(13, "Slice", grid(5, 6), ints(3), ints(2), ints(0))
case(13, "Slice", grid(5, 6), ints(0), ints(2**63 - 1), ints(1), ints(2**62))
case(13, "Slice", grid(7), ints(1), ints(2**63 - 1), ints(0), ints(3))
case(13, "Slice", grid(0, 6), ints(0), ints(5), ints(0))
case(9, "Split", grid(2, 6), outputs=3, axis=1, split=[1, 2, 3])
case(9, "Split", grid(6, 2), outputs=2)
case(13, "Split", grid(2, 6), ints(4, 0, 2), outputs=3, axis=-1)
case(18, "Split", grid(7, 2), outputs=3, num_outputs=3)
case(13, "Expand", grid(3, 1), ints(2, 1, 4))
case(13, "Expand", np.array(7, I64), ints(2, 2))
case(13, "Expand", grid(2, 3), ints(1, 1))
case(13, "Expand", grid(1, 3), ints(0, 3))
case(13, "Tile", grid(2, 3), ints(2, 2))
case(13, "Tile", grid(2, 1, 2), ints(1, 3, 2))
case(13, "Tile", grid(2, 3), ints(0, 1))

# Making.
case(13, "ConstantOfShape", ints(2, 3))
case(13, "ConstantOfShape", ints(), value=numpy_helper.from_array(np.array([7], I64)))
case(13, "ConstantOfShape", ints(2, 0), value=numpy_helper.from_array(np.array([True], B)))
case(13, "Constant", value=numpy_helper.from_array(grid(2, 2, dtype=D)))
case(13, "Constant", value_float=0.1)
case(13, "Constant", value_floats=[0.5, -1.0])
case(13, "Constant", value_int=-3)
case(13, "Constant", value_ints=[1, -(2**40)])
for start, limit, delta in ((0, 5, 1), (10, 4, -2), (3, 3, 1), (5, 3, 1), (2**40, 2**40 + 5, 2)):
    case(13, "Range", *(np.array(x, I64) for x in (start, limit, delta)))
case(13, "Range", *(np.array(x, F) for x in (1, 10, 2.5)))
case(13, "Range", *(np.array(x, I32) for x in (-3, 6, 4)))
case(13, "Shape", grid(2, 0, 4))
case(15, "Shape", grid(2, 3, 4, 5), start=1, end=-1)
case(15, "Shape", grid(2, 3, 4, 5), start=-9, end=99)
case(15, "Shape", grid(2, 3, 4, 5), start=3, end=1)
case(13, "Size", grid(2, 3, 4))

# Casting. Real numbers to whole ones only within range, which is all that is defined.
reals = np.array([-2.75, -1, -0.5, 0, 0.5, 1.5, 100.99], F)
for to in ("DOUBLE", "FLOAT16", "INT64", "INT32", "INT8", "BOOL", "FLOAT"):
    case(13, "Cast", reals, to=getattr(TensorProto, to))
halves = np.array([65504, 65519.996, 65520, 1e-8, 2.0**-24, 2.0**-25, 3 * 2.0**-25, 1.00048828125, 1.0014648, -0.0,
                   np.inf, -np.inf, 2049, 2051, 6.1e-5], F)
case(13, "Cast", halves, to=TensorProto.FLOAT16)
case(13, "Cast", halves.astype(H), to=TensorProto.FLOAT)
wholes = np.array([0, 1, -1, 127, 128, 255, 256, -129, 2**31 - 1, 2**31, -(2**31) - 1, 2**53 + 1], I64)
for to in ("INT32", "UINT8", "INT8", "BOOL", "FLOAT", "DOUBLE"):
    case(13, "Cast", wholes, to=getattr(TensorProto, to))
case(13, "Cast", np.array([True, False]), to=TensorProto.FLOAT)

# Arithmetic with broadcasting.
a, b = grid(2, 3, start=-2), np.array([[4], [-0.5]], F)
for op in ("Add", "Sub", "Mul", "Div"):
    case(13, op, a, b)
    case(13, op, grid(3, 1, 2, dtype=D), np.array([3, 7], D))
    case(13, op, np.array(5, F), np.array([2, 4], F))
    case(14, op, grid(2, 3, dtype=I64, start=-7, step=3), np.array([2, -3, 5], I64))
    case(14, op, grid(2, 2, dtype=I32, start=-7, step=5), np.array([[2], [-3]], I32))
case(14, "Mul", np.array([2**31 - 1, -(2**31)], I32), np.array([3, 3], I32))
case(14, "Add", np.array([2**63 - 1], I64), np.array([1], I64))
case(13, "Add", grid(0, 3), grid(1, 3))
m, n = np.array([[7, -7, 8, -8]], I64), np.array([[3], [-3], [2]], I64)
case(13, "Mod", m, n)
case(13, "Mod", m, n, fmod=1)
case(13, "Mod", m.astype(F) + F(0.5), n.astype(F), fmod=1)
case(13, "Pow", np.array([2, 3, 0.5, 9], F), np.array([3, 2, -2, 0.5], F))
case(13, "Pow", np.array([2, 3, -2], F), np.array(3, I64))
case(13, "Pow", np.array([2, 3, -2, 0], I64), np.array([10, 3, 5, 0], I64))
case(13, "Pow", np.array([2, 3, -2], I32), np.array(2, F))
x = np.array([-2.5, -0.5, -0.0, 0, 0.5, 1.5, 30], F)
for op in ("Neg", "Abs", "Floor", "Ceil", "Relu"):
    case(13, op, x)
case(13, "Neg", np.array([5, -5, 0, -(2**63)], I64))
case(13, "Abs", np.array([5, -5, 0], I32))
case(14, "Relu", np.array([5, -5, 0], I32))
case(13, "Sqrt", np.array([0, 1, 2, 2.25, 1e30], F))
case(13, "Reciprocal", np.array([1, 2, -4, 0.3], F))
case(13, "Exp", x, exact=np.exp)
case(13, "Log", np.array([0.5, 1, 2, 1e10], F), exact=np.log)
case(13, "Erf", x, exact=np.vectorize(math.erf))
case(13, "Sigmoid", x, exact=lambda v: 1 / (1 + np.exp(-v)))
case(13, "Min", a, b, np.array(0.25, F))
case(13, "Max", a, b, np.array([0.25, 1, -1], F))
case(13, "Max", ints(3, -5), ints(1, 9))
case(13, "Min", a)
case(13, "Sum", a, b, a)
case(9, "Clip", a, min=-1.0, max=1.5)
case(9, "Clip", a, max=1.5)
case(13, "Clip", a, np.array(-1, F), np.array(2, F))
case(13, "Clip", a, None, np.array(0, F))
case(13, "Clip", a, np.array(0, F))
case(13, "Clip", ints(-9, 3, 9), np.array(-5, I64), np.array(5, I64))
for op in ("Equal", "Less", "Greater"):
    case(13, op, grid(3, 1), grid(1, 3))
    case(13, op, grid(3, 1, dtype=I64), np.array(1, I64))
for op in ("LessOrEqual", "GreaterOrEqual"):
    case(16, op, grid(3, 1, dtype=I64), np.array(1, I64))
case(13, "Equal", np.array([True, False]), np.array([True, True]))
p, q = np.array([[True], [False]]), np.array([True, False])
for op in ("And", "Or", "Xor"):
    case(13, op, p, q)
case(13, "Not", q)
case(13, "Where", p, grid(1, 3), np.array(-1, F))
case(16, "Where", q, ints(1, 2), ints(-1))

# Reductions; means divide by powers of two.
r = grid(2, 4, 4, start=-7)
for op in ("ReduceSum", "ReduceMean", "ReduceMin", "ReduceMax", "ReduceProd"):
    small = r if op != "ReduceProd" else np.array([[[1, 2], [-1, 0.5]], [[2, 2], [3, 4]]], F)
    case(11, op, small, axes=[1], keepdims=0)
    case(11, op, small, axes=[-1, 0])
    case(11, op, small)
    case(11, op, small.astype(I32), axes=[0, 2], keepdims=0)
    case(18, op, small, ints(1, 2), keepdims=1)
    case(18, op, small, ints(), noop_with_empty_axes=1)
    case(18, op, small, ints(), keepdims=0)
case(13, "ReduceSum", r, ints(-2), keepdims=0)
case(13, "ReduceProd", ints(3, 224, 224), axes=[0], keepdims=0)
for left, right in (((2, 3), (3, 4)), ((3,), (3, 2)), ((2, 3), (3,)), ((3,), (3,)), ((2, 1, 2, 3), (3, 3, 2)),
                    ((5, 2, 3), (3, 1)), ((0, 3), (3, 2)), ((2, 0), (0, 3))):
    case(13, "MatMul", grid(*left, start=-2), grid(*right, start=1))
case(13, "MatMul", grid(2, 3, dtype=I64), grid(3, 2, dtype=I64))


def answer(node, opset, initializers, names):
    """What ONNX Runtime makes of one node."""
    graph = helper.make_graph(
        [node], "case", [], [onnx.ValueInfoProto(name=name) for name in names], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {})


def main():
    files, skipped = {}, []
    for number, (opset, op, inputs, attributes, outputs, exact) in enumerate(cases):
        name = f"{op}_{number}"
        initializers = [numpy_helper.from_array(np.asarray(x), f"{name}.in{i}")
                        for i, x in enumerate(inputs) if x is not None]
        names = [name] if outputs == 1 else [f"{name}.{i}" for i in range(outputs)]
        node = helper.make_node(
            op, ["" if x is None else f"{name}.in{i}" for i, x in enumerate(inputs)], names, name, **attributes)
        try:
            answers = answer(node, opset, initializers, names)
        except Exception as problem:  # no kernel for this type
            skipped.append(f"{op} opset {opset} {[x.dtype for x in inputs if x is not None]}: {str(problem)[:160]}")
            continue
        if exact is not None:
            wide = exact(inputs[0].astype(np.float64))
            np.testing.assert_allclose(answers[0], wide, rtol=1e-6, atol=1e-7)
            answers = [wide.astype(inputs[0].dtype)]
        expected = [numpy_helper.from_array(x, f"{n}.expected") for n, x in zip(names, answers)]
        nodes, tensors = files.setdefault(opset, ([], []))
        nodes.append(node)
        tensors.extend(initializers + expected)
    for opset, (nodes, tensors) in sorted(files.items()):
        picture = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3, 4, 4]) for n in ("x", "y")]
        nodes.append(helper.make_node("Identity", ["x"], ["y"], "picture"))
        graph = helper.make_graph(nodes, "constants", picture[:1], picture[1:], tensors)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, producer_name="make_onnx_constants.py",
            producer_version=f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}, numpy {np.__version__}")
        onnx.checker.check_model(model)
        path = HERE / f"onnx_constants_{opset}.onnx"
        path.write_bytes(model.SerializeToString(deterministic=True))
        print(f"{path.name}: {len(nodes) - 1} cases, {path.stat().st_size} bytes")
    for line in skipped:
        print("skipped", line)


main()
