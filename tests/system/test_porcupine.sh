#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The checker of histories tells good ones from bad ones.
#
# One case; status 77 where Porcupine cannot be built.
here=$(dirname "$(readlink -f "$0")")
# Beside the symbolic link that is run, which is in the build.
program=$("$here/porcupine/build" "$(dirname "$0")") || exit $?
failed=0
seen=0

expect() { # STATUS HISTORY
    "$program" "$2" >/dev/null 2>&1
    status=$?
    seen=$((seen + 1))
    if [ $status -ne "$1" ]; then
        echo "FAIL: $(basename "$2"): status $status, expected $1"
        failed=1
    fi
}

for history in "$here"/porcupine/histories/*; do
    case "$(basename "$history")" in
    good-*) expect 0 "$history" ;;
    bad-*) expect 1 "$history" ;;
    wrong-*) expect 2 "$history" ;;
    *) echo "FAIL: $history: what should come of it?"; failed=1 ;;
    esac
done
expect 2 "$here/porcupine/histories/there-is-none"
[ "$seen" -gt 15 ] || { echo "FAIL: only $seen histories were judged"; failed=1; }
echo "$seen histories judged"
exit $failed
