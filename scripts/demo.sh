#!/usr/bin/env bash
# Shows the main job on pictures that it makes itself: installs what is missing, builds, makes a set of fruit-like pictures,
# extracts features, and says what came out. Run again, it does only what is left to do.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/packages.sh

step() { printf '\n== %s\n' "$*"; }

step "packages"
scripts/install_packages.sh "${BUILD_PACKAGES[@]}"

step "build (Release)"
[ -f build/release/build.ninja ] || cmake --preset release -DPMN_BUILD_TESTS=OFF -DPMN_BUILD_BENCH=OFF >/dev/null
cmake --build build/release
pomona=build/release/bin/pomona

step "pictures: 12 kinds, 25 views of each"
mkdir -p demo
build/release/bin/pomona-orchard demo/pictures --kinds 12 --views 25

# Each command's result is made once: delete demo/ to start over.
extract() {
  if [ -e "$1" ]; then
    echo "$1 is there already"
  else
    echo "$pomona extract demo/pictures -o $1 --standardize --pca 16"
    "$pomona" extract demo/pictures -o "$1" --standardize --pca 16
  fi
}
step "features as Parquet"
extract demo/features.parquet
step "the same as CSV, to look at"
extract demo/features.csv

step "what came out"
rows=$(($(wc -l <demo/features.csv) - 1))
# Leave one out: is the picture whose features are nearest of the same kind? The generated names hold no commas.
neighbours=$(awk -F, 'NR > 1 { label[NR] = $2; for (i = 3; i <= NF; i++) x[NR, i] = $i; n = NR; last = NF }
  END {
    for (a = 2; a <= n; a++) {
      best = -1
      for (b = 2; b <= n; b++) {
        if (a == b) continue
        d = 0
        for (i = 3; i <= last; i++) { t = x[a, i] - x[b, i]; d += t * t }
        if (best < 0 || d < best) { best = d; nearest = b }
      }
      same += label[a] == label[nearest]
    }
    printf "%.1f", 100 * same / (n - 1)
  }' demo/features.csv)
cat <<END
demo/features.parquet   $rows rows: path, label (the folder's name), features (16 principal components of 1280)
demo/features.csv       the same, one column a feature; how it was made stands in demo/features.csv.record.json
demo/pictures           the pictures

For $neighbours % of the pictures the nearest other picture, by these 16 numbers, is of the same kind.

Your own pictures:  $pomona extract FOLDER -o features.parquet --standardize --pca 100
END
