#!/usr/bin/env bash
# One command on a machine with a GPU: what it is, whether our kernels are right on it, how fast networks and a pipeline are,
# and PyTorch on the same card where a Python has it: bench/gpu.sh [OPTION]..., options as in gpu.py --help.
# TORCH_PYTHON names that Python (default python3). Everything lands under build/bench.
set -euo pipefail
cd "$(dirname "$0")/.."

work=build/bench
build=$work/gpu
mkdir -p "$work"

echo "building Pomona (Release, with tests)" >&2
cmake --preset release -B "$build" -DPMN_BUILD_TESTS=ON -DPMN_BUILD_BENCH=ON >"$work/configure.log"
# Tests open the first GPU that OpenCL has, or else its first device; so they run on what is measured.
cmake --build "$build" --target pomona pomona-bench pomona-seeded-weights pomona-orchard test_compute_opencl \
  test_compute_opencl_fp16 test_compute_ocl_blocks test_compute_ocl_half test_compute_ocl_tune test_compute_ocl_narrow \
  test_compute_ocl_orb test_compute_ocl_sift test_compute_ocl_cache test_compute_shared \
  >"$work/build.log"
for model in mobilenet_v2 resnet50 vgg16; do
  weights=$work/$model.safetensors
  [ "$weights" -nt "$build/bin/pomona-seeded-weights" ] || "$build/bin/pomona-seeded-weights" "$model" "$weights"
done
exec python3 bench/gpu.py --build "$build" --work "$work" --torch-python "${TORCH_PYTHON:-python3}" "$@"
