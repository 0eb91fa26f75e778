#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The gateway against `ws` from npm; skipped where npm or its registry is not.
#
#   other.sh BUILD
cd "$(dirname "$0")/../.." || exit 1
if [ ! -d build/npm/node_modules/ws ] && command -v npm >/dev/null 2>&1; then
    npm install --silent --no-audit --no-fund --prefix build/npm ws@8
fi
exec python3 tests/gateway/run.py --build "${1:-build/debug}" other
