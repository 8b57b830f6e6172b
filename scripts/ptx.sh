#!/usr/bin/env bash
# Compiles every OpenCL kernel of kernels/ for NVIDIA's cards, without one: clang to PTX, and NVIDIA's own assembler from
# there; half a minute, by hand. A line for each says how many registers a work-item takes, how much local memory a
# group has, and how many of its loads and stores move several numbers. Fails where a kernel does not build, or needs
# memory because registers do not suffice.
#
#   scripts/ptx.sh [ARCHITECTURE]       sm_80 (A100) unless told otherwise; sm_90 is the H100; tensor cores from sm_80 on
#
# It shows what a compiler makes of the source, not how fast that is; a card's driver has a compiler of its own, which may
# do otherwise. clang knows asm in OpenCL C as __asm__ alone, and libclc rounds halves in whole numbers where NVIDIA has an
# instruction, which costs kernels that store halves some registers here.
set -euo pipefail
cd "$(dirname "$0")/.."
arch=${1:-sm_80}
number=${arch#sm_}
clang_arch=$([ "$number" -gt 86 ] && echo sm_86 || echo "$arch") # the last that clang 15 knows; the assembler goes on from there
llvm=15 assembler=nvidia-cuda-nvcc-cu12==12.9.86
build=build/ptx

scripts/install_packages.sh clang-$llvm libclc-$llvm python3-venv
if [ ! -x $build/venv/bin/python ] || ! $build/venv/bin/python -m pip show --quiet "${assembler%%==*}"; then
  python3 -m venv $build/venv
  $build/venv/bin/python -m pip install --quiet --disable-pip-version-check $assembler
fi
ptxas=$(find $build/venv -name ptxas -type f)

weight_bits=$(sed -n 's/.*PMN_WEIGHT_BITS \([0-9]*\)$/\1/p' host/resample/pmn_resample_rules.h)
halves="-DPMN_STORAGE=16"
tile="-DPMN_ALIGNED=1 -DPMN_TILE_M" tensor="$halves -DPMN_PTX=1 -DPMN_TILE_M"
depthwise="-DPMN_KERNEL_H=5 -DPMN_KERNEL_W=5 -DPMN_DILATION_W=1 -DPMN_STRIDE_W"
block="-DPMN_KERNEL_H=5 -DPMN_KERNEL_W=5 -DPMN_STRIDE_H=1 -DPMN_STRIDE_W=1"
# KERNEL OPTIONS: what is compiled beside each kernel of the family "tile" as it is. Other sizes of tiles come from
# pmn_ocl_tuning.c, of blocks from pmn_ocl_block.c.
more="
conv2d_tile -DPMN_BYTES=1 -DPMN_ALIGNED=1
conv2d_tile $tile=64 -DPMN_TILE_N=64 -DPMN_TILE_K=16 -DPMN_ITEM_M=4 -DPMN_ITEM_N=4
conv2d_tile $tile=64 -DPMN_TILE_N=64 -DPMN_TILE_K=16 -DPMN_ITEM_M=8 -DPMN_ITEM_N=8
conv2d_tile $tile=64 -DPMN_TILE_N=64 -DPMN_TILE_K=16 -DPMN_ITEM_M=8 -DPMN_ITEM_N=8 $halves
conv2d_tile $tile=128 -DPMN_TILE_N=128 -DPMN_TILE_K=8 -DPMN_ITEM_M=8 -DPMN_ITEM_N=8
conv2d_tile $tile=128 -DPMN_TILE_N=32 -DPMN_TILE_K=16 -DPMN_ITEM_M=8 -DPMN_ITEM_N=4
conv2d_tensor $tensor=128 -DPMN_TILE_N=64 -DPMN_TILE_K=32 -DPMN_WARPS_M=2 -DPMN_WARPS_N=2
conv2d_tensor $tensor=64 -DPMN_TILE_N=64 -DPMN_TILE_K=32 -DPMN_WARPS_M=2 -DPMN_WARPS_N=2
conv2d_tensor $tensor=128 -DPMN_TILE_N=128 -DPMN_TILE_K=32 -DPMN_WARPS_M=2 -DPMN_WARPS_N=2
depthwise_conv2d_tile $halves
depthwise_conv2d_tile $halves -DPMN_VECTOR=8
depthwise_conv2d_tile $depthwise=1
depthwise_conv2d_tile $depthwise=2
inverted_residual $halves
inverted_residual $block -DPMN_ITEM_M=4 -DPMN_SUMS=3
inverted_residual -DPMN_EXPAND=0 -DPMN_ITEM_M=1 -DPMN_SUMS=2
inverted_residual -DPMN_ITEM_M=4 -DPMN_SUMS=6
project -DPMN_FP64=1
"

failures=0
# compile KERNEL OPTIONS...
compile() {
  local kernel=$1 header=/dev/null out=$build/$1 log
  shift
  case $kernel in
    orb_* | sift_* | resample_*) header=kernels/${kernel%%_*}.clh ;;
  esac
  cat kernels/common.clh "$header" "kernels/$kernel.cl" >"$out.cl"
  if ! { clang-$llvm -x cl -cl-std=CL1.2 -target nvptx64-unknown-nvidiacl -Dasm=__asm__ -DPMN_WEIGHT_BITS="$weight_bits" "$@" -O3 \
    -Xclang -target-cpu -Xclang "$clang_arch" -Xclang -target-feature -Xclang +ptx75 -Xclang -finclude-default-header \
    -Xclang -mlink-builtin-bitcode -Xclang /usr/lib/clc/nvptx64--nvidiacl.bc -S -o "$out.ptx" "$out.cl" &&
    log=$("$ptxas" -v -arch="$arch" -o "$out.cubin" "$out.ptx" 2>&1); }; then
    printf '%s\n%s DOES NOT BUILD: %s\n' "${log:-}" "$kernel" "$*"
    failures=$((failures + 1))
    return
  fi
  awk -v kernel="$kernel" -v options="$*" '
    FNR == NR && /[ \t](ld|st)\.(global|shared)/ { if (/\.v[248]\./) many++; else one++ }
    FNR != NR {
      if (match($0, /Used [0-9]+ registers/)) registers = substr($0, RSTART + 5, RLENGTH - 15)
      if (match($0, /[0-9]+ bytes smem/)) shared = substr($0, RSTART, RLENGTH - 11)
      if (match($0, /[0-9]+ bytes stack frame/)) stack = substr($0, RSTART, RLENGTH - 18)
    }
    END {
      gsub(/-DPMN_/, "", options)
      if (stack + 0 != 0) options = "STACK " stack " " options
      printf("%-24s %4d registers %6d bytes local %4d vectors %4d scalars  %s\n", kernel, registers, shared, many, one, options)
      exit (stack + 0 != 0) }' "$out.ptx" - <<<"$log" || failures=$((failures + 1))
}

mkdir -p $build
for kernel in kernels/*.cl; do
  kernel=$(basename "$kernel" .cl)
  case $kernel in
    *_vector | conv2d_tensor) ;; # for processors; for halves alone
    *) compile "$kernel" ;;
  esac
done
while read -r kernel options; do
  # shellcheck disable=SC2086  # options are several words
  case $kernel in
    '') ;;
    conv2d_tensor) [ "$number" -lt 80 ] || compile "$kernel" $options ;;
    *) compile "$kernel" $options ;;
  esac
done <<<"$more"
if [ "$failures" -gt 0 ]; then
  echo "ptx.sh: $failures failures" >&2
  exit 1
fi
