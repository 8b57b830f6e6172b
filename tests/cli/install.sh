#!/usr/bin/env bash
# Installs the build into a fresh folder and uses it as a stranger would: the synopsis of pomona.h, compiled as it stands
# there, linked with the shared and the static library by what pkg-config says, run on pictures.
# Usage: install.sh BUILD_DIR ORCHARD CC SANITIZERS
set -eu
build=$1 orchard=$2 cc=$3 flags=${4:+-fsanitize=$4}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/prefix" >/dev/null
export PKG_CONFIG_PATH="$(dirname "$(find "$work/prefix" -name pomona.pc)")"
library=$(pkg-config --variable=libdir pomona)
header=$work/prefix/include/pomona.h

[ "$("$work/prefix/bin/pomona" --version)" = "pomona $(pkg-config --modversion pomona)" ]

# Nothing is visible but what the header declares, and all of that is there. (The sanitizers add names with underscores.)
nm -D --defined-only "$library/libpomona.so" | awk '$3 !~ /^_/ { sub("@.*", "", $3); print $3 }' | sort >"$work/visible"
grep '^PMN_API' "$header" | grep -o 'pmn_[a-z_]*(' | tr -d '(' | sort >"$work/declared"
diff "$work/declared" "$work/visible"
echo "$(wc -l <"$work/visible") functions are visible"

mkdir "$work/run"
"$orchard" "$work/run/orchard" --kinds 2 --views 2 >/dev/null 2>&1
mv "$work/run/orchard/Training" "$work/run/pictures"
sed -n '/^ \*   #include <pomona.h>/,/^ \*   }$/s/^ \* \{0,3\}//p' "$header" >"$work/synopsis.c"
cd "$work/run"
for kind in shared static; do
  libraries=$(pkg-config --libs pomona)
  [ $kind = shared ] || libraries=$(pkg-config --static --libs pomona | sed 's/-lpomona/-l:libpomona.a/')
  "$cc" -std=c11 -Wall -Wextra -Wpedantic -Werror $flags $(pkg-config --cflags pomona) "$work/synopsis.c" \
    -o "$work/$kind" $libraries -Wl,-rpath,"$library"
  rm -f features.parquet
  [ "$("$work/$kind")" = "4 rows" ]
  [ "$(head -c 4 features.parquet)" = PAR1 ]
  # A run that fails says why and leaves what was there.
  if "$work/$kind" 2>message; then exit 1; fi
  grep -q '^features.parquet exists' message
  echo "the synopsis runs with the $kind library"
done
! ldd "$work/static" | grep libpomona
ldd "$work/shared" | grep -q libpomona
