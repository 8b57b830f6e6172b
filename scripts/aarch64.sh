#!/usr/bin/env bash
# Builds Pomona for aarch64 on another Debian or Ubuntu machine and runs its tests under QEMU, by hand: a quarter of an hour.
# What needs an OpenCL device or Python is skipped; left out are the tests of whole networks, which take QEMU too long, and
# those that start Pomona's programs, which only QEMU can. The target's libraries are arm64 packages that an apt of its own
# fetches; they are unpacked in build/aarch64/sysroot, not installed.
#
#   scripts/aarch64.sh [SOURCES]
# SOURCES is an apt .list or .sources file, for machines whose own sources have no arm64 packages, such as Ubuntu's.
set -euo pipefail
sources=$(realpath -e "${1:-/dev/null}")
cd "$(dirname "$0")/.."
source scripts/packages.sh

step() { printf '\n== %s\n' "$*"; }
home=$PWD/build/aarch64 apt=$PWD/build/aarch64/apt sysroot=$PWD/build/aarch64/sysroot

step "packages"
scripts/install_packages.sh "${BUILD_PACKAGES[@]}" gcc-aarch64-linux-gnu qemu-user

# The machine's own sources, keys and proxies; everything that apt writes is below build/aarch64.
fetch() {
  mkdir -p "$apt"/state/lists/partial "$apt"/cache/archives/partial
  : >"$apt/status"
  cat >"$apt/apt.conf" <<CONF
APT::Architecture "arm64";
#clear APT::Architectures;
APT::Architectures { "arm64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
CONF
  [ "$sources" = /dev/null ] ||
    printf 'Dir::Etc::SourceList "%s";\nDir::Etc::SourceParts "/dev/null";\n' "$sources" >>"$apt/apt.conf"
  apt-get --config-file="$apt/apt.conf" update &&
    apt-get --config-file="$apt/apt.conf" install --yes --download-only "${libraries[@]}"
}

step "libraries for aarch64 (in build/aarch64/sysroot)"
libraries=(libcmocka-dev)
for package in "${BUILD_PACKAGES[@]}"; do
  case $package in *-dev | *-headers) libraries+=("$package") ;; esac
done
if [ "${libraries[*]}" != "$(cat "$sysroot/packages" 2>/dev/null)" ]; then
  rm -rf "$home"
  mkdir -p "$apt" "$sysroot/usr/lib"
  if ! fetch >"$apt/log" 2>&1; then
    tail -n 30 "$apt/log" >&2
    echo "aarch64.sh: no arm64 packages, see above; give an apt file that names sources of them: $0 SOURCES" >&2
    exit 1
  fi
  ln -s usr/lib "$sysroot/lib"
  for package in "$apt"/cache/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$sysroot"
  done
  # Absolute links lead into the sysroot, not into this machine.
  find "$sysroot" -lname '/*' -printf '%p %l\n' | while read -r link target; do ln -sfnr "$sysroot$target" "$link"; done
  # What update-alternatives would link on an installed system.
  (cd "$sysroot/usr/lib/aarch64-linux-gnu" && ln -s openblas-pthread/lib*.so* . &&
    cd pkgconfig && ln -s ../openblas-pthread/pkgconfig/*.pc . &&
    ln -s blas-openblas.pc blas.pc && ln -s lapack-openblas.pc lapack.pc && ln -s hdf5-serial.pc hdf5.pc)
  echo "${libraries[*]}" >"$sysroot/packages"
fi

step "build"
cmake -S . -B "$home/build" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64.cmake" -DCMAKE_BUILD_TYPE=Release \
  -DPMN_WERROR=ON -DPMN_BUILD_BENCH=OFF >/dev/null
cmake --build "$home/build" -- --quiet

step "test"
ctest --test-dir "$home/build" --output-on-failure --parallel "$(nproc)" \
  --exclude-regex '^cli_|^test_(extract|features|networks|zoo)'
# A program counts as skipped above when one of its cases is, so the cases are counted too.
cases() { grep -c "^\[ $1 \] " "$home/build/Testing/Temporary/LastTest.log"; }
printf '\n%s of %s test cases passed, the others were skipped\n' "$(cases '      OK')" "$(cases 'RUN     ')"
