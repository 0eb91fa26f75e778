#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The checkers of histories, Porcupine and ours, tell good ones from bad ones.
#
# One case; status 77 where Porcupine cannot be built.
here=$(dirname "$(readlink -f "$0")")
# Beside the symbolic link that is run, which is in the build.
program=$("$here/porcupine/build" "$(dirname "$0")") || exit $?
failed=0
seen=0

expect() { # STATUS HISTORY [CHECKER]
    "${3:-$program}" "$2" >/dev/null 2>&1
    status=$?
    seen=$((seen + 1))
    if [ $status -ne "$1" ]; then
        echo "FAIL: $(basename "${3:-porcupine}") $(basename "$2"):" \
            "status $status, expected $1"
        failed=1
    fi
}

for history in "$here"/porcupine/histories/*; do
    case "$(basename "$history")" in
    good-revisions*) expect 0 "$history" "$here/kv_check.py" ;;
    bad-revisions*) expect 1 "$history" "$here/kv_check.py" ;;
    # Some order explains the values, but not the one of the revisions.
    order-*) expect 1 "$history" "$here/kv_check.py" ;;
    esac
    case "$(basename "$history")" in
    order-*) expect 0 "$history" ;;
    good-*) expect 0 "$history" ;;
    bad-*) expect 1 "$history" ;;
    wrong-*) expect 2 "$history" ;;
    *) echo "FAIL: $history: what should come of it?"; failed=1 ;;
    esac
done
expect 2 "$here/porcupine/histories/there-is-none"
[ "$seen" -gt 25 ] || { echo "FAIL: only $seen histories were judged"; failed=1; }
echo "$seen histories judged"
exit $failed
