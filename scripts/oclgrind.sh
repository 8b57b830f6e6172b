#!/usr/bin/env bash
# Runs every OpenCL kernel of kernels/, of both families, in oclgrind, an interpreter that sees data races, accesses out of
# bounds and uninitialised values; a few minutes, by hand. Fails on any report, when a test fails, and when a kernel of
# kernels/ was launched by nothing that is named below.
#
#   scripts/oclgrind.sh [FILTER]        only runs whose name holds FILTER; says nothing of kernels not launched then
#
# Each case is three processes of its own: optimised, for races and bounds; by -O0, for uninitialised values; and one that
# counts launches, whose exit code counts for nothing. oclgrind 21.10 wants it so: looking for uninitialised values it does
# not know LLVM's freeze, and after many kernels calls values uninitialised that are not; counting corrupts its own heap.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/packages.sh
filter=${1:-}

# TEST FILTER [CASE]: a program of tests/compute, its test, and of check_ops_table the case of cases.h. One line at least for
# every kernel; more where a kernel has more ways to go.
runs="
test_compute_opencl check_ops_table pointwise_5x7x13_to_11
test_compute_opencl check_ops_table pointwise_residual_clamp
test_compute_opencl check_ops_table conv_3x3_residual
test_compute_opencl check_ops_table conv_3x3_stride_2_one_sided
test_compute_opencl check_ops_table bytes_stem_one_sided
test_compute_opencl check_ops_table depthwise_3x3_same
test_compute_opencl check_ops_table depthwise_5x5_dilation_2x3
test_compute_opencl check_ops_table depthwise_5x5_stride_2_one_sided
test_compute_opencl check_ops_table depthwise_1x40_dilation_1x3
test_compute_opencl check_ops_table pool_7x7x17
test_compute_opencl check_ops_table max_pool_3x3_same_residual
test_compute_opencl check_ops_table average_pool_3x3_same_counted
test_compute_opencl check_ops_table multiply_columns_of_channels
test_compute_opencl check_ops_table copy_shuffle
test_compute_opencl check_ops_table softmax_3x2x33
test_compute_opencl check_ops_table lrn_5
test_compute_opencl check_ops_table layer_norm_35
test_compute_opencl check_ops_table resize_half_5x3_to_10x6
test_compute_opencl_fp16 check_ops_table pointwise_residual
test_compute_opencl_fp16 check_ops_table pointwise_residual_clamp
test_compute_opencl_fp16 check_ops_table depthwise_residual
test_compute_ocl_small orb
test_compute_ocl_small sift
test_compute_ocl_small inverted_residual
test_compute_ocl_small project_fp64
test_compute_ocl_small project_fp32
test_compute_ocl_small resample_pass
test_compute_ocl_small resample_nearest
test_compute_ocl_small convert
"

# Not looked at for uninitialised values, because oclgrind 21.10 is blind there, or sees what is not: with neither its sums nor
# its local memory set to zero, inverted_residual has no report; with the constant 7 stored by orb_shrink for all pixels that
# are ever read, the kernels that read them have.
unseen=" inverted_residual orb "

step() { printf '\n== %s\n' "$*"; }
build=build/oclgrind bin=build/oclgrind/bin logs=build/oclgrind/logs

step "packages"
scripts/install_packages.sh "${BUILD_PACKAGES[@]}" libcmocka-dev oclgrind

step "build"
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DPMN_WERROR=ON -DPMN_BUILD_BENCH=OFF >/dev/null
mapfile -t programs < <(awk 'NF { print $1 }' <<<"$runs" | sort -u)
cmake --build "$build" --target "${programs[@]}" -- --quiet

# in_oclgrind LOG OPTIONS... -- COMMAND...: true if the command succeeds and nothing is reported. No binary of a kernel
# outlives its run: they were built with other options. When there are more reports
# than --max-errors, 21.10 can leave the log empty and succeed: so there is, as good as, no limit.
in_oclgrind() {
  local log=$1 options=() cache code=0
  shift
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  shift
  cache=$(mktemp -d)
  XDG_CACHE_HOME=$cache oclgrind --max-errors 1000000 --log "$log.reports" "${options[@]}" "$@" >"$log" 2>&1 || code=$?
  rm -rf "$cache"
  # A test that skips (77) has shown nothing.
  [ "$code" = 0 ] && [ ! -s "$log.reports" ] && ! grep -q 'OCLGRIND' "$log"
}

step "run"
rm -rf "$logs"
mkdir -p "$logs"
failures=0
while read -r program test case; do
  [ -n "$program" ] || continue
  name=${case:-$test}
  [[ $name == *$filter* ]] || continue
  [ -z "$case" ] || export POMONA_TEST_CASE=$case
  verdict=clean
  in_oclgrind "$logs/$name.races" --data-races --check-api -- "$bin/$program" "$test" || verdict="FAILS (races, bounds)"
  if [[ $unseen == *" $name "* ]]; then
    verdict+=" (not judged for uninitialised values)"
  else
    in_oclgrind "$logs/$name.values" --uninitialized --num-threads 1 --build-options -O0 -- "$bin/$program" "$test" ||
      verdict="${verdict/clean/FAILS} (uninitialised)"
  fi
  in_oclgrind "$logs/$name.counts" --inst-counts -- "$bin/$program" "$test" || true
  unset POMONA_TEST_CASE
  printf '%-36s %s\n' "$name" "$verdict"
  [[ $verdict == clean* ]] && continue
  failures=$((failures + 1))
  tail -n 12 "$logs/$name".{races,values}{,.reports} 2>/dev/null || true
done <<<"$runs"

step "kernels"
launched=$(cat "$logs"/*.counts | sed -n "s/^Instructions executed for kernel 'pmn_\(.*\)':.*/\1/p" | sort | uniq -c)
[ "$failures" = 0 ] && state=clean || state="see above"
for kernel in kernels/*.cl; do
  kernel=$(basename "$kernel" .cl)
  count=$(awk -v kernel="$kernel" '$2 == kernel { print $1 }' <<<"$launched")
  if [ -n "$count" ]; then
    printf '%-24s ran %4d times, %s\n' "$kernel" "$count" "$state"
  elif [ -z "$filter" ]; then
    printf '%-24s was NOT launched: name a test that does in %s\n' "$kernel" "$0"
    failures=$((failures + 1))
  fi
done
if [ "$failures" -gt 0 ]; then
  echo "oclgrind.sh: $failures failures; logs are in $logs" >&2
  exit 1
fi
