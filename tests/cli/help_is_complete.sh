# Every option that the parsers know is in the help, and every one in the help is known to the parser.
cli=$SOURCE/host/cli
# The options of a command's table, where a macro stands for those of its definition, and of others in that.
expand() {
  awk '
    /^#define CLI_[A-Z0-9]*_OPTIONS/ { inside = $2; sub("#define " $2, "") }
    inside { body[inside] = body[inside] $0; if ($0 !~ /\\$/) inside = ""; next }
    /long_options\[\] = /, /^};/ { table = table $0 }
    END {
      while (match(table, /CLI_[A-Z0-9]*_OPTIONS/)) {
        name = substr(table, RSTART, RLENGTH)
        table = substr(table, 1, RSTART - 1) body[name] substr(table, RSTART + RLENGTH)
      }
      print table
    }' "$cli"/cli_*.h "$cli/cmd_$1.c"
}
for command in extract reduce merge train evaluate predict tune; do
  pomona $command --help >help
  expand $command | grep -oE '\{"[a-z-]+", (required|optional|no)_argument' |
    sed 's/{"/--/; s/",//; s/_argument//; s/optional/no/' | sort -u >parser
  sed -n 's/^  \(-[a-z],\|   \) \(--[a-z-]*\)\(\[=[A-Z]*\]\)\? \?\([A-Z]\)\?.*/\2 \4/p' help |
    sed 's/ [A-Z]$/ required/; s/ $/ no/' | sort >shown
  diff parser shown
  awk 'length($0) > 120 { print "too long: " $0 }' help
  [ "$(grep -c . parser)" -gt 5 ] || echo "$command: only $(grep -c . parser) options"
done
pomona extract --help >help
[ "$(grep -c -- '^      --' help)" -gt 20 ] && echo "at least 20 options"
for code in 0 1 2 3 4 5 6 7; do grep -qE "(Exit code: |; )$code " help || echo "exit code $code is not in the help"; done
