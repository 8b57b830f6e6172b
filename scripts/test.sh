#!/usr/bin/env bash
# The whole suite, as CI runs it: installs what is missing, builds, and runs every test three times over: as a Release build,
# under ThreadSanitizer where there are threads, and under AddressSanitizer and UndefinedBehaviorSanitizer. The last lines are
# the last run's own count.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/packages.sh

step() { printf '\n== %s\n' "$*"; }

step "packages"
scripts/install_packages.sh "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"

step "readers and judges (Python packages, in build/venv)"
requirements=(tests/*/requirements.txt)
stamp=build/venv/pomona-requirements
if ! cat "${requirements[@]}" | cmp -s - "$stamp"; then
  rm -rf build/venv
  python3 -m venv build/venv
  build/venv/bin/python -m pip install --quiet --disable-pip-version-check "${requirements[@]/#/--requirement=}"
  cat "${requirements[@]}" >"$stamp"
fi
python=$PWD/build/venv/bin/python

run() {
  local preset=$1
  shift
  step "$preset: build"
  cmake --preset "$preset" -DPMN_TEST_PYTHON="$python" >/dev/null
  cmake --build "build/$preset" -- --quiet
  step "$preset: test"
  # More tests than processors: many wait for a server or for time to pass.
  ctest --test-dir "build/$preset" --output-on-failure --parallel "$(($(nproc) + 2))" "$@"
}
# PoCL compiles kernels ten times slower under the sanitizers: they take what the Release build has made.
export POCL_CACHE_DIR=$PWD/build/pocl
run ci
run tsan --label-regex threads
run dev
