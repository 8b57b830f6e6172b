#!/usr/bin/env bash
# Runs the cases beside it and compares what they print. Usage: run.sh POMONA ORCHARD [CASE...]
#
# A case is NAME.sh, run by bash in an empty folder, with NAME.out, NAME.err (what it prints; no file: nothing) and NAME.code
# (its exit code; no file: 0). The expected texts are compared line by line, where {n} stands for a number and {text} for any
# text. A case finds `pomona` in its PATH, six good pictures of two kinds in $PICTURES, the same and two bad ones in $MIXED,
# the project in $SOURCE. No case may leave a temporary file behind.
set -u
here=$(cd "$(dirname "$0")" && pwd)
pomona=$(realpath "$1") orchard=$(realpath "$2")
shift 2
[ $# -gt 0 ] || set -- "$here"/*.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"
ln -s "$pomona" "$work/bin/pomona"
export PATH="$work/bin:$PATH" PICTURES="$work/orchard/Training" MIXED="$work/mixed" SOURCE="$here/../.." LC_ALL=C
export XDG_CACHE_HOME="$work/cache"
mkdir "$XDG_CACHE_HOME"
"$orchard" "$work/orchard" --kinds 2 --views 3 >/dev/null 2>&1 || exit 1
cp -r "$PICTURES" "$MIXED"
: >"$MIXED/empty.jpg"
echo "no picture" >"$MIXED/text.jpg"

# An expected line as a regular expression.
pattern() {
  sed -e 's/[][\.*^$+?(){}|]/\\&/g' -e 's/\\{n\\}/-?[0-9]+(\\.[0-9]+)?/g' -e 's/\\{text\\}/.*/g' <<<"$1"
}

# same NAME EXPECTED ACTUAL: says where they differ.
same() {
  local line=0 expected actual more_expected more_actual
  [ -e "$2" ] || : >"$2"
  exec 3<"$2" 4<"$3"
  while :; do
    line=$((line + 1))
    IFS= read -r -u 3 expected && more_expected=1 || more_expected=${#expected}
    IFS= read -r -u 4 actual && more_actual=1 || more_actual=${#actual}
    [ "$more_expected" = 0 ] && [ "$more_actual" = 0 ] && return 0
    if [ "$more_expected" = 0 ] || [ "$more_actual" = 0 ] || ! [[ $actual =~ ^$(pattern "$expected")$ ]]; then
      printf '%s, line %d\n  expected: %s\n  actual:   %s\n' "$1" "$line" "$expected" "$actual"
      return 1
    fi
  done
}

cases=0 failures=0
for script in "$@"; do
  name=$(basename "$script" .sh)
  case $name in run | install) continue ;; esac
  [ -e "$here/$name.sh" ] || { echo "no case $name"; exit 1; }
  mkdir "$work/$name"
  for kind in out err; do
    if [ -e "$here/$name.$kind" ]; then cp "$here/$name.$kind" "$work/$name.expected_$kind"; fi
  done
  (cd "$work/$name" && exec bash "$here/$name.sh") >"$work/$name.out" 2>"$work/$name.err" </dev/null
  code=$?
  expected_code=$(cat "$here/$name.code" 2>/dev/null || echo 0)
  good=1
  [ "$code" = "$expected_code" ] || { echo "$name: exit code $code, expected $expected_code"; good=0; }
  same "$name, standard output" "$work/$name.expected_out" "$work/$name.out" || good=0
  same "$name, standard error" "$work/$name.expected_err" "$work/$name.err" || good=0
  left=$(find "$work/$name" -name '.*.tmp')
  [ -z "$left" ] || { echo "$name: left behind $left"; good=0; }
  [ $good = 1 ] || { failures=$((failures + 1)); sed 's/^/  | /' "$work/$name.err" | head -20; }
  cases=$((cases + 1))
done
echo "$cases cases, $failures failed"
[ "$cases" -gt 0 ] && [ "$failures" = 0 ]
