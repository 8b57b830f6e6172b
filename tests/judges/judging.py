"""What the judges share: pictures as Pillow and numpy prepare them, pomona as a process, ONNX Runtime, the table."""
import json
import os
import pathlib
import subprocess
import tempfile

import numpy as np
from PIL import Image

FRUITS = pathlib.Path(os.environ.get("POMONA_FRUITS", pathlib.Path(__file__).resolve().parents[3] / "shared" / "fruits-360"))
TOLERANCE = 1e-4  # of the largest value: what DESIGN.md promises
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR, "nearest": Image.Resampling.NEAREST}
TORCH_MEAN, TORCH_STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
CAFFE_MEAN = np.array([103.939, 116.779, 123.68])
# From their publishers' formulas, in double; rounded once.
PREPROCESS = {
    "torch": lambda x: (x / 255 - TORCH_MEAN) / TORCH_STD,
    "tf": lambda x: x / 127.5 - 1,
    "caffe": lambda x: x[..., ::-1] - CAFFE_MEAN,
    "lite": lambda x: (x - 127) / 128,
    "unit": lambda x: x / 255,
    "raw": lambda x: x,
}


def sample(folder, count):
    """`count` pictures from all over a folder, the same every time."""
    paths = sorted(str(path) for path in pathlib.Path(folder).rglob("*.jpg"))
    return [paths[(2 * i + 1) * len(paths) // (2 * count)] for i in range(count)]


def prepare(paths, preprocess, size, resize="bicubic"):
    """f32 [n, height, width, 3]; size is (width, height)."""
    images = (Image.open(path).convert("RGB").resize(size, FILTERS[resize]) for path in paths)
    pixels = np.stack([np.asarray(image) for image in images]).astype(np.float64)
    return np.ascontiguousarray(PREPROCESS[preprocess](pixels), dtype=np.float32)


class Refused(Exception):
    """pomona ended with another exit code than 0."""

    def __init__(self, code, message):
        super().__init__(f"exit code {code}: {message.strip()}")
        self.code, self.message = code, message


def extract(pomona, paths, *options):
    """Rows of features in the order of `paths` (which must be sorted), and the run record's "features"."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "list.txt").write_text("".join(f"{path}\n" for path in paths))
        command = [pomona, "extract", f"@{folder / 'list.txt'}", "-o", folder / "out.npy", "-q", *options]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace")
        if done.returncode != 0:
            raise Refused(done.returncode, done.stderr)
        rows = np.load(folder / "out.npy")
        record = json.loads((folder / "out.npy.record.json").read_text())
    assert len(rows) == len(paths)
    return rows, record["features"]


class Session:
    """An ONNX file and pictures, run by ONNX Runtime one picture at a time; any tensor of it can be asked for."""

    def __init__(self, path, preprocess, pictures, size=None):
        """`size` (width, height) where the file leaves it open."""
        import onnx

        self.path, self.preprocess, self.pictures = path, preprocess, pictures
        self.model = onnx.load(path)
        graph = self.model.graph
        self.opset = next(opset.version for opset in self.model.opset_import if not opset.domain)
        weights = {tensor.name for tensor in graph.initializer}
        (self.input,) = (given for given in graph.input if given.name not in weights)
        dims = [dim.dim_value for dim in self.input.type.tensor_type.shape.dim]
        self.channels_last = dims[3] == 3 and dims[1] != 3
        height, width = dims[1:3] if self.channels_last else dims[2:]
        self.size = (width, height) if width and height else size
        self.output = graph.output[0].name
        self.writers = {name for node in graph.node for name in node.output}
        self.by_node = {node.name: node.output[0] for node in graph.node if node.name}
        # The convolution in the middle: before its batch norm or activation, which is where folding could show.
        convolutions = [node.output[0] for node in graph.node if node.op_type == "Conv"]
        self.middle = convolutions[len(convolutions) // 2]
        self.known = {}

    def tensor(self, layer):
        """pomona's layer is a tensor's name or that of the node that writes it."""
        return layer if layer in self.writers else self.by_node[layer]

    def values(self, *names):
        """[n, ...] of each tensor."""
        missing = [name for name in dict.fromkeys(names) if name not in self.known]
        if missing:
            self._run(missing)
        return [self.known[name] for name in names]

    def _run(self, names):
        import onnx
        import onnxruntime

        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        given = {output.name for output in model.graph.output}
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in given)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 2
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        x = prepare(self.pictures, self.preprocess, self.size)
        x = x if self.channels_last else np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        rows = [session.run(names, {self.input.name: x[i : i + 1]}) for i in range(len(x))]
        self.known.update((name, np.concatenate(values)) for name, values in zip(names, zip(*rows)))


def compare(pomona, session, backend, pictures=None):
    """Difference of the default features, of the middle convolution and of the output; and a note. `pictures`: so many."""
    paths = session.pictures[:pictures]
    options = ["--features", session.path, "--preprocess", session.preprocess, "--size", "%dx%d" % session.size,
               "--resize", "bicubic", "--backend", backend]
    rows, record = extract(pomona, paths, *options)
    (layer,) = record["layers"]
    names = list(dict.fromkeys([session.middle, session.output]))
    inner, _ = extract(pomona, paths, *options, *(word for name in names for word in ("--layer", name)), "--pool", "none")
    features, *flat = [value[: len(paths)] for value in session.values(session.tensor(layer["layer"]), *names)]
    flat = [value.reshape(len(paths), -1) for value in flat]
    answers = [difference(rows, pooled(features, rows.shape[1]))]
    edges = np.cumsum([0] + [part.shape[1] for part in flat])
    if inner.shape[1] != edges[-1]:
        return answers + [float("inf")] * len(flat), f"{inner.shape[1]} values of layers, not {edges[-1]}"
    answers += [difference(inner[:, a:b], part) for a, b, part in zip(edges, edges[1:], flat)]
    return answers, f"{rows.shape[1]} of {layer['layer']}"


def pooled(values, width):
    """What `--pool avg` makes of a tensor [n, ...]: the mean over pixels, the channels being the axis of `width`."""
    if values.ndim < 4:
        return values.reshape(len(values), -1)
    axis = next(axis for axis in (1, values.ndim - 1) if values.shape[axis] == width)
    others = tuple(i for i in range(1, values.ndim) if i != axis)
    return values.astype(np.float64).mean(axis=others)


def difference(got, expected):
    """Largest difference over largest value; infinite where a value is not a number or the shape is another."""
    if got.shape != expected.shape or not np.isfinite(got).all():
        return float("inf")
    return float(np.abs(got.astype(np.float64) - expected).max() / np.abs(expected).max())


def seeded(source, target):
    """A copy of a light model of the onnx package, whose constants are all equal, with other ones: channels differ."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(source)
    random, graph = np.random.default_rng(360), model.graph
    uses = {}
    for node in graph.node:
        for place, name in enumerate(node.input):
            uses.setdefault(name, []).append((node, place))
    shapes = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        if node.op_type != "ConstantOfShape":
            kept.append(node)
            continue
        name, shape = node.output[0], shapes[node.input[0]]
        user, place = uses[name][0]
        if user.op_type == "Unsqueeze":  # a scale or shift in Caffe's manner
            user, place = uses[user.output[0]][0]
            low, high = (0.8, 1.2) if user.op_type == "Mul" else (-0.1, 0.1)
        elif user.op_type == "BatchNormalization":
            low, high = ((0.8, 1.2), (-0.1, 0.1), (-0.1, 0.1), (0.5, 1.5))[place - 1]
        elif len(shape) > 1:  # keeps the size of what flows through a ReLU
            high = np.sqrt(6.0 / np.prod(shape[1:]))
            low = -high
        else:
            low, high = -0.1, 0.1
        values = random.uniform(low, high, shape).astype(np.float32)
        graph.initializer.append(numpy_helper.from_array(values, name))
    del graph.node[:]
    graph.node.extend(kept)
    model.ir_version = 4  # before, initializers had to be inputs too
    onnx.checker.check_model(model)
    onnx.save(model, target)
    return target
