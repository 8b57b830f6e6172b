"""What the peers share: how a network wants its pictures, how ONNX Runtime is opened, and on what machine we are."""
import os
import platform
import time

import numpy as np
import onnxruntime

SIZE = 224


def normalise(model, x):
    """f32 pixels 0..255, changed in place into what the network was trained on."""
    if model == "mobilenet_v2":
        x /= np.float32(127.5)
        x -= np.float32(1)
    elif model == "efficientnet_lite0":
        x -= np.float32(127)
        x /= np.float32(128)
    else:
        raise ValueError(f"no preprocessing is known for the network {model!r}")


def open_session(path, threads, spin=True):
    """(session, the network's name).  All graph optimisations on; one operator at a time, on `threads` threads."""
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
