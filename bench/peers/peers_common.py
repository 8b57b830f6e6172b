"""What the peers share: how a network wants its pictures, how ONNX Runtime is opened, and on what machine we are."""
import os
import platform
import time

import numpy as np
import onnxruntime

SIZE = 224
FEATURES = {"mobilenet_v2": 1280, "efficientnet_lite0": 1280, "resnet50": 2048, "vgg16": 512}
FEATURES_TOLERANCE = 1e-3  # of what check_features returns, between programs; bf16 is off by more


def normalise(model, x):
    """f32 pixels 0..255, changed in place into what the network was trained on."""
    if model == "mobilenet_v2":
        x /= np.float32(127.5)
        x -= np.float32(1)
    elif model == "efficientnet_lite0":
        x -= np.float32(127)
        x /= np.float32(128)
    elif model in ("resnet50", "vgg16"):
        x[...] = x[..., ::-1, :, :].copy()  # blue first
        x -= np.float32([103.939, 116.779, 123.68])[:, None, None]
    else:
        raise ValueError(f"no preprocessing is known for the network {model!r}")


def random_pictures(model, count):
    """Normalised f32 [count, 3, 224, 224]; the first are the same for every count."""
    x = np.random.default_rng(1).integers(0, 256, (count, 3, SIZE, SIZE), np.uint8).astype(np.float32)
    normalise(model, x)
    return x


def check_features(y):
    """A broken network must not pass for a fast one.  Returns the first picture's mean magnitude, to compare."""
    if not (np.isfinite(y).all() and y.std() > 0):
        raise SystemExit("the features are not numbers worth timing")
    return round(float(np.abs(y[0]).mean()), 7)


def open_session(path, threads, spin=True):
    """(session, the network's name) of a file or its bytes.  All optimisations on; one operator at a time, on `threads`."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spin else "0")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session, session.get_modelmeta().custom_metadata_map["model"]


def machine():
    """The processor's name and the cores we may use."""
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            name = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {"cpu": name, "cores": len(os.sched_getaffinity(0))}


class Neighbours:
    """How much processor time went to others while we measured.

    The load average is no judge of that: it stood at 0.4 in a run that came out three times too slow.
    """

    def __init__(self):
        self.start, self.before = time.perf_counter(), self._others()

    @staticmethod
    def _others():
        """Core-seconds since boot that were neither idle nor ours; stolen ones count."""
        with open("/proc/stat") as file:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, file.readline().split()[1:9])
        return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK") - time.process_time()

    def share(self):
        """Others' part of one core, on average since the start; a clean run is below 0.05."""
        return round(max(0.0, self._others() - self.before) / (time.perf_counter() - self.start), 3)
