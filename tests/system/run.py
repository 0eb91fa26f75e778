#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Scenarios on real hardtack processes.

usage: run.py [--build BUILD] [--suite kv] [--list] [NAME...]

Each scenario has a private directory and ends whatever it started.  A failure
shows the nodes' logs.
"""
import argparse
import os
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402
import kv_scenarios  # noqa: E402
import scenarios  # noqa: E402


def run_one(name, fn, build):
    scene = harness.Scene(build)
    began = time.monotonic()
    word, text = "ok", ""
    try:
        fn(scene)
        harness.no_sanitizer_spoke(scene.logs())
    except harness.Skipped as e:
        word, text = "skip", str(e)
    except harness.Failed as e:
        word, text = "FAIL", "%s\n%s" % (e, scene.logs())
    except Exception:  # pylint: disable=broad-except
        word, text = "FAIL", traceback.format_exc() + scene.logs()
    finally:
        scene.close()
    print("%-4s %-40s %6.2f s%s" % (word, name, time.monotonic() - began,
                                    "  " + text if word == "skip" else ""),
          flush=True)
    if word == "FAIL":
        print(text, flush=True)
    return word


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build/debug")
    parser.add_argument("--suite", choices=["nodes", "kv"], default="nodes")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    table = kv_scenarios.TABLE if options.suite == "kv" else scenarios.TABLE
    if options.list:
        print("\n".join(name for name, _ in table))
        return 0
    unknown = set(options.names) - {name for name, _ in table}
    if unknown:
        sys.exit("run.py: no scenario named %s" % ", ".join(sorted(unknown)))
    words = [run_one(name, fn, options.build) for name, fn in table
             if not options.names or name in options.names]
    skipped = words.count("skip")
    print("%d passed, %d failed%s" % (words.count("ok"), words.count("FAIL"),
                                      ", %d skipped" % skipped if skipped
                                      else ""))
    return 1 if words.count("FAIL") or not words.count("ok") else 0


if __name__ == "__main__":
    sys.exit(main())
