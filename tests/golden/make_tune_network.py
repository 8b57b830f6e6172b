"""Writes tune.onnx: the smallest network that has something to tune and takes pictures, for tests/cli/tune.sh.

One 3x3 convolution, ReLU, and the mean of each channel. Run with onnx 1.23.2; deterministic.
"""
import pathlib

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

rng = np.random.default_rng(1)
weights = rng.standard_normal((6, 3, 3, 3)).astype(np.float32)
graph = helper.make_graph(
    [
        helper.make_node("Conv", ["pictures", "weights"], ["wide"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["wide"], ["positive"], "relu"),
        helper.make_node("GlobalAveragePool", ["positive"], ["features"], "pool"),
    ],
    "tune",
    [helper.make_tensor_value_info("pictures", TensorProto.FLOAT, [1, 3, 16, 16])],
    [helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, 6, 1, 1])],
    [numpy_helper.from_array(weights, "weights")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, producer_name="pomona")
save(model, pathlib.Path(__file__).parent / "tune.onnx")
