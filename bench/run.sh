#!/usr/bin/env bash
# Sets up everything that the comparison needs, then runs it: bench/run.sh [OPTION]..., options as in compare.py --help.
# Everything lands under build/: the Release build, Python environments with the peers, weights, pictures, results.
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

# set_up VENV REQUIREMENTS: a Python environment, made anew when its requirements change.
set_up() {
  cmp -s "$2" "$1/requirements.txt" && return
  echo "installing what $2 names" >&2
  "${PYTHON:-python3}" -m venv --clear "$1"
  "$1/bin/pip" install --quiet --disable-pip-version-check -r "$2"
  cp "$2" "$1/requirements.txt"
}
set_up "$venv" bench/peers/requirements.txt
if [[ " $* " == *spark* ]]; then
  java -version >"$work/java.log" 2>&1 || { echo "bench/run.sh: Spark needs a Java runtime, 17 or later" >&2; exit 1; }
  set_up build/bench-venv-spark bench/peers/requirements-spark.txt
fi

for model in mobilenet_v2 efficientnet_lite0 resnet50 vgg16; do
  weights=$work/$model.safetensors
  onnx=$work/$model.onnx
  # Pomona ships those of efficientnet_lite0.
  if [ "$model" != efficientnet_lite0 ] && [ ! "$weights" -nt "$bin/pomona-seeded-weights" ]; then
    "$bin/pomona-seeded-weights" "$model" "$weights"
  fi
  if [ ! -e "$onnx" ] || [ bench/peers/make_onnx.py -nt "$onnx" ]; then
    "$venv/bin/python" bench/peers/make_onnx.py "$model" "$onnx" --weights "$weights" --pomona "$bin/pomona" >&2
  fi
done

exec "$venv/bin/python" bench/compare.py --build "$build" --work "$work" "$@"
