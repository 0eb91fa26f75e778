#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Scenarios of clients and nodes; tests/system/run.py runs them."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "system"))
import run  # noqa: E402
import clients  # noqa: E402
import seen  # noqa: E402


class Scenarios:
    TABLE = clients.TABLE + [(name, clients.to_the_end(scenario))
                             for name, scenario in seen.TABLE]


run.scenarios = Scenarios

if __name__ == "__main__":
    sys.exit(run.main())
