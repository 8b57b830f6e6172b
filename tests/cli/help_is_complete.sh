# Every option that the parser knows is in the help, and every one in the help is known to the parser.
pomona extract --help >help
sed -n 's/^    {"\([a-z-]*\)", \(required\|no\)_argument.*/--\1 \2/p' "$SOURCE/host/cli/cmd_extract.c" | sort >parser
sed -n 's/^  \(-[a-z],\|   \) \(--[a-z-]*\) \([A-Z]\)\?.*/\2 \3/p' help | sed 's/ [A-Z]$/ required/; s/ $/ no/' | sort >shown
diff parser shown
[ "$(wc -l <parser)" -gt 20 ] && echo "at least 20 options"
awk 'length($0) > 120 { print "too long: " $0 }' help
for code in 0 1 2 3 4 6 7; do grep -qE "(Exit code: |; )$code " help || echo "exit code $code is not in the help"; done
