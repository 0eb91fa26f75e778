#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Scenarios of the chat; tests/system/run.py runs them."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "system"))
import run  # noqa: E402
import scenes  # noqa: E402

run.scenarios = scenes

if __name__ == "__main__":
    sys.exit(run.main())
