# Every option that the parsers know is in the help, and every one in the help is known to the parser.
cli=$SOURCE/host/cli
macros() { sed -n "/define CLI_FIT_OPTIONS/,/define CLI_STATISTICS_OPTIONS/p; $1" "$cli/cli_options.h"; }
for command in extract reduce merge; do
  pomona $command --help >help
  statistics='/define CLI_STATISTICS_OPTIONS/,/^extern/p'
  [ $command != merge ] || statistics=
  { cat "$cli/cmd_$command.c"; macros "$statistics" | grep -v 'define CLI_STATISTICS'; } |
    grep -oE '\{"[a-z-]+", (required|optional|no)_argument' | sed 's/{"/--/; s/",//; s/_argument//; s/optional/no/' | sort -u >parser
  sed -n 's/^  \(-[a-z],\|   \) \(--[a-z-]*\)\(\[=[A-Z]*\]\)\? \?\([A-Z]\)\?.*/\2 \4/p' help |
    sed 's/ [A-Z]$/ required/; s/ $/ no/' | sort >shown
  diff parser shown
  awk 'length($0) > 120 { print "too long: " $0 }' help
done
pomona extract --help >help
[ "$(grep -c -- '^      --' help)" -gt 20 ] && echo "at least 20 options"
for code in 0 1 2 3 4 5 6 7; do grep -qE "(Exit code: |; )$code " help || echo "exit code $code is not in the help"; done
