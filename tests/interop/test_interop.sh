#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A short selection of the interoperability scenarios for `make test`: a
# handshake and calls, each side dialling.  `make interop` runs them all.
# Needs no network: where the Rust peer is not built and cannot be built
# offline, C nodes talk to each other, and the rest is a skip.
set -u
build=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
here=$(dirname "$(readlink -f "$0")")
export PEER_C="$build/tests/interop/cpeer"

"$here/build-peers" --offline tests/interop/peer
case $? in
0) exec "$here/run.py" --pairs c-rust16,rust16-c --kinds c,rust16 "handshake " calls_special groups_after ;;
77)
    "$here/run.py" --pairs c-c --kinds c "handshake " calls_special groups_after || exit 1
    exit 77
    ;;
*) exit 1 ;;
esac
