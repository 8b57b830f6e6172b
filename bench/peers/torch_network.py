#!/usr/bin/env python3
"""Networks alone in PyTorch on CUDA, in pictures per second: a JSON line for every way.  Exit code 77: no PyTorch or CUDA here.

Weights are random: they do not change the time.  Measured: a batch in memory of the card to features in memory of the card,
which favours PyTorch: Pomona's figure has both copies in it.  Ways, all channels_last: eager, torch.compile, and a CUDA graph of
eager; fp32 without and with TF32, and fp16.  The clock stops after torch.cuda.synchronize.
"""
import argparse
import json
import statistics
import sys
import time

try:
    import torch
    import torchvision
except ImportError as error:
    print(f"PyTorch: {error}", file=sys.stderr)
    sys.exit(77)
if not torch.cuda.is_available():
    print("PyTorch is here, but it has no CUDA device", file=sys.stderr)
    sys.exit(77)


def build(model):
    """The network without its classifier; None where nobody has it."""
    if model == "efficientnet_lite0":
        try:
            import timm
        except ImportError:
            return None
        return timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)
    network = getattr(torchvision.models, model)(weights=None)
    if model == "resnet50":
        network.fc = torch.nn.Identity()
        return network
    if model == "vgg16":
        return torch.nn.Sequential(network.features, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    network.classifier = torch.nn.Identity()
    return network


def graphed(network, x):
    """A function that replays the network on x; warmed up beside the default stream, as CUDA graphs want it."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            network(x)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        network(x)
    return graph.replay


def rate(call, batch, seconds):
    start, pictures = time.perf_counter(), 0
    while True:
        for _ in range(4):
            call()
        torch.cuda.synchronize()
        pictures += 4 * batch
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return pictures / elapsed


def measure(model, batch, precision, way, args):
    what = f"network {model}, 224, batch {batch}, {precision}, channels_last, {way}"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.benchmark = True
    network = build(model)
    if network is None:
        return {"what": what, "left_out": "efficientnet_lite0 needs the package timm"}
    kind = torch.float16 if precision == "fp16" else torch.float32
    network = network.eval().to("cuda", kind, memory_format=torch.channels_last)
    x = torch.rand(batch, 3, 224, 224, device="cuda", dtype=kind).to(memory_format=torch.channels_last)
    try:
        with torch.inference_mode():
            if way == "compile":
                network = torch.compile(network)
            call = graphed(network, x) if way == "CUDA graph" else lambda: network(x)
            rate(call, batch, args.seconds)
            rates = [rate(call, batch, args.seconds) for _ in range(args.repeats)]
    except Exception as error:  # a way that this machine cannot go (no compiler, no memory) is a line, not the end
        return {"what": what, "left_out": str(error).strip().splitlines()[0] if str(error).strip() else repr(error)}
    return {
        "what": what, "img_s": rates, "img_s_median": statistics.median(rates), "device": torch.cuda.get_device_name(),
        "driver": f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}",
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description="Networks in PyTorch on CUDA; JSON lines on stdout.")
    parser.add_argument("--model", nargs="+", required=True)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32, 256])
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    for model in args.model:
        for batch in args.batch:
            for precision in ("fp32", "tf32", "fp16"):
                for way in ("eager", "compile", "CUDA graph"):
                    print(json.dumps(measure(model, batch, precision, way, args)), flush=True)


if __name__ == "__main__":
    main()
