#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The scenarios in a browser; skipped where npm or Chromium is not.
#
#   run.sh [BUILD] [NAME...]
build=$(realpath -m "${1:-build/debug}")
[ $# -gt 0 ] && shift
cd "$(dirname "$0")" || exit 1
skip() {
    echo "skip browser: $1"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
}
command -v node >/dev/null 2>&1 || skip "no node"
command -v npm >/dev/null 2>&1 || skip "no npm"
chromium=${CHROMIUM:-$(command -v chromium || command -v chromium-browser)}
[ -n "$chromium" ] || skip "no chromium"
modules=../../build/browser
if ! cmp -s package-lock.json "$modules/package-lock.json" || [ ! -d "$modules/node_modules" ]; then
    mkdir -p "$modules"
    cp package.json package-lock.json .npmrc "$modules/"
    if ! npm ci --silent --no-audit --no-fund --prefix "$modules"; then
        rm -f "$modules/package-lock.json"
        skip "playwright-core is not to be had from npm"
    fi
fi
NODE_PATH=$(realpath "$modules/node_modules") CHROMIUM=$chromium exec node run.js "$build" "$@"
