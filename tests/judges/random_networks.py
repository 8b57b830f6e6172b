"""Networks at random: chains of what convolutional networks are made of, each with an output of its own, on one input.

Every number comes from the seed, so a chain that fails can be looked at again: its nodes are called CHAIN.0, CHAIN.1, ...
"""
import random

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LARGEST = 20000  # values of a tensor
ACTIVATIONS = ["Relu", "Sigmoid", "Tanh", "HardSwish", "LeakyRelu", "Elu", "Softplus", "Clip", "PRelu", "SiLU", "BatchNormalization"]


class Chain:
    """A chain under construction: its last tensor and the shape (channels, height, width) of that."""

    def __init__(self, name, seed, given, shape):
        self.name, self.random, self.tensor, self.shape = name, random.Random(seed), given, shape
        self.numbers = np.random.default_rng(seed)
        self.nodes, self.constants, self.seen = [], [], [(given, shape)]

    def constant(self, values, kind=np.float32):
        name = f"{self.name}.k{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def weights(self, *shape, low=-1.0, high=1.0):
        return self.constant(self.numbers.uniform(low, high, shape))

    def add(self, op, inputs, **attributes):
        name = f"{self.name}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name, **attributes))
        return name

    def step(self, op, inputs, shape, **attributes):
        if min(shape) < 1 or np.prod(shape) > LARGEST:
            return
        self.tensor, self.shape = self.add(op, inputs, **attributes), tuple(shape)
        self.seen.append((self.tensor, self.shape))

    def windows(self, kernel, stride, dilation, pads, up=0):
        """Height and width of what a window gives; `up` rounds up."""
        return [
            (size + pads[i] + pads[i + 2] - (kernel[i] - 1) * dilation - 1 + up * (stride - 1)) // stride + 1
            for i, size in enumerate(self.shape[1:])
        ]

    def convolution(self):
        r, (c, h, w) = self.random, self.shape
        groups = r.choice([1, 1, c, r.choice([g for g in range(1, c + 1) if c % g == 0])])
        filters = groups * r.choice([1, 2]) if groups > 1 else r.choice([3, 5, 8, 16, 33])
        kernel = r.choice([(1, 1), (1, 1), (3, 3), (3, 3), (5, 5), (7, 7), (1, 3), (3, 1), (2, 2), (1, 7)])
        stride, dilation = r.choice([1, 1, 2, 3]), r.choice([1, 1, 1, 2])
        # of every side by itself: a kernel of one pixel, too, and padding as large as the kernel
        pads = r.choice([[(k - 1) // 2 for k in kernel * 2], [r.randint(0, k) for k in kernel * 2], [0, 0, 0, 0]])
        inputs = [self.tensor, self.weights(filters, c // groups, *kernel)]
        scale = np.sqrt(c // groups * kernel[0] * kernel[1])
        self.constants[-1] = numpy_helper.from_array(numpy_helper.to_array(self.constants[-1]) / np.float32(scale), inputs[1])
        if r.random() < 0.7:
            inputs.append(self.weights(filters))
        shape = (filters, *self.windows(kernel, stride, dilation, pads))
        self.step("Conv", inputs, shape, strides=[stride] * 2, dilations=[dilation] * 2, pads=pads, group=groups)

    def pool(self):
        r, (c, h, w) = self.random, self.shape
        if min(h, w) < 4:
            return
        kernel, stride, up = [r.choice([2, 3])] * 2, r.choice([1, 2]), r.randint(0, 1)
        pads = [r.randint(0, 1) for _ in range(4)]
        sizes = [
            size - (up and (size - 1) * stride >= self.shape[1 + i] + pads[i])
            for i, size in enumerate(self.windows(kernel, stride, 1, pads, up))
        ]
        attributes = {"count_include_pad": r.randint(0, 1)} if r.random() < 0.5 else {}
        op = "AveragePool" if attributes else "MaxPool"
        self.step(op, [self.tensor], (c, *sizes), kernel_shape=kernel, strides=[stride] * 2, pads=pads, ceil_mode=up, **attributes)

    def pad(self):
        c, h, w = self.shape
        mode = self.random.choice(["constant", "edge", "reflect"])
        top, left, bottom, right = (self.random.randint(0, min(2, size - 1)) for size in (h, w, h, w))
        pads = self.constant([0, 0, top, left, 0, 0, bottom, right], np.int64)
        self.step("Pad", [self.tensor, pads], (c, h + top + bottom, w + left + right), mode=mode)

    def activation(self):
        op, channels = self.random.choice(ACTIVATIONS), self.shape[0]
        inputs = [self.tensor]
        if op == "Clip":
            inputs += [self.constant(0.0), self.constant(0.6)]
        elif op == "PRelu":
            inputs.append(self.weights(channels, 1, 1))
        elif op == "BatchNormalization":
            inputs += [self.weights(channels, low=0.5, high=1.5) for _ in range(4)]
        elif op == "SiLU":
            op = "Mul"
            inputs.append(self.add("Sigmoid", [self.tensor]))
        self.step(op, inputs, self.shape)

    def join(self):
        """Concat with an earlier tensor or a constant, or a sum with one of the same shape."""
        r, axis = self.random, self.random.randrange(3)
        others = [
            (name, shape) for name, shape in self.seen if all(shape[i] == self.shape[i] for i in range(3) if i != axis)
        ]
        name, shape = r.choice(others)  # at least the tensor itself
        if r.random() < 0.3:
            name = self.weights(1, *shape)
        if shape == self.shape and r.random() < 0.5:
            self.step(r.choice(["Add", "Mul", "Sub"]), [self.tensor, name], shape)
        else:
            joined = [size + (shape[i] if i == axis else 0) for i, size in enumerate(self.shape)]
            self.step("Concat", r.sample([self.tensor, name], 2), joined, axis=axis + 1)

    def part(self):
        r, axis = self.random, self.random.randrange(3)
        size = self.shape[axis]
        step = r.choice([1, 1, 2, -1, -2])
        first, last = sorted(r.sample(range(size), 2)) if size > 1 else (0, 0)
        kept = range(first, last + 1, step) if step > 0 else range(last, first - 1, step)
        shape = [len(kept) if i == axis else size for i, size in enumerate(self.shape)]
        if r.random() < 0.3:
            indices = self.constant([r.randrange(-size, size) for _ in kept], np.int64)
            self.step("Gather", [self.tensor, indices], shape, axis=axis + 1)
        else:
            end = last + 1 if step > 0 else first - 1 - size
            bounds = [self.constant([number], np.int64) for number in (kept[0], end, axis + 1, step)]
            self.step("Slice", [self.tensor, *bounds], shape)

    def gate(self):
        c = self.shape[0]
        mean = self.add(self.random.choice(["GlobalAveragePool", "GlobalMaxPool"]), [self.tensor])
        gate = self.add("Conv", [mean, self.weights(c, c, 1, 1)])
        self.step("Mul", self.random.sample([self.tensor, self.add("Sigmoid", [gate])], 2), self.shape)

    def grow(self, steps):
        kinds = [self.convolution] * 4 + [self.activation] * 3 + [self.pool, self.pad, self.join, self.join, self.part, self.gate]
        for _ in range(steps):
            self.random.choice(kinds)()
        if not self.nodes:
            self.convolution()
        return self


def model(seed, count, size):
    """`count` chains on pictures of `size` (width, height); the outputs are the chains' last tensors."""
    chains = [Chain(f"{seed}_{i}", seed * 1000 + i, "pictures", (3, size[1], size[0])) for i in range(count)]
    chains = [chain for chain in chains if chain.grow(chain.random.randint(1, 7)).nodes]
    given = helper.make_tensor_value_info("pictures", TensorProto.FLOAT, (1, 3, size[1], size[0]))
    outputs = [helper.make_tensor_value_info(chain.tensor, TensorProto.FLOAT, None) for chain in chains]
    nodes = [node for chain in chains for node in chain.nodes]
    constants = [constant for chain in chains for constant in chain.constants]
    graph = helper.make_graph(nodes, f"seed {seed}", [given], outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
