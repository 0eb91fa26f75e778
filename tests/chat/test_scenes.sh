#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The chat's scenarios, on the nodes of this build.
build=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
exec "$(dirname "$(readlink -f "$0")")/run.py" --build "$build"
