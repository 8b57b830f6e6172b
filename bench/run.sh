#!/usr/bin/env bash
# Sets up everything that the comparison needs, then runs it: bench/run.sh [OPTION]..., options as in compare.py --help.
# Everything lands under build/: the Release build, a Python environment with the peers, weights, pictures, results.
set -euo pipefail
cd "$(dirname "$0")/.."

work=build/bench
build=$work/release
venv=build/bench-venv
bin=$build/bin
mkdir -p "$work"

echo "building Pomona (Release)" >&2
# A build of its own: what build/release was last configured for does not matter here.
cmake --preset release -B "$build" -DPMN_BUILD_TESTS=OFF -DPMN_BUILD_BENCH=ON >"$work/configure.log"
cmake --build "$build" --target pomona pomona-bench pomona-seeded-weights pomona-orchard >"$work/build.log"

if ! cmp -s bench/peers/requirements.txt "$venv/requirements.txt"; then
  echo "installing the peers" >&2
  "${PYTHON:-python3}" -m venv --clear "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r bench/peers/requirements.txt
  cp bench/peers/requirements.txt "$venv/requirements.txt"
fi

weights=$work/mobilenet_v2.safetensors
if [ ! -e "$weights" ] || [ "$bin/pomona-seeded-weights" -nt "$weights" ]; then
  "$bin/pomona-seeded-weights" mobilenet_v2 "$weights"
fi
for model in mobilenet_v2 efficientnet_lite0; do
  onnx=$work/$model.onnx
  if [ ! -e "$onnx" ] || [ bench/peers/make_onnx.py -nt "$onnx" ]; then
    "$venv/bin/python" bench/peers/make_onnx.py "$model" "$onnx" >&2
  fi
done

exec "$venv/bin/python" bench/compare.py --build "$build" --work "$work" "$@"
