# SPDX-License-Identifier: MIT
"""Runs files of this folder, each against a broker of its own: run.py [-k WORD] [NAME...]; all when none is named.

WEIR names the binary (build/gateway/weir when unset). With MQTT_PORT set the tests go to a broker that listens there already.
Prints each failure and ends with a line of counts.
"""
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent


def main():
    names, words = sys.argv[1:], []
    if names[:1] == ["-k"]:
        words, names = [names[1]], names[2:]
    files = [HERE / f"{n}.py" for n in names] or sorted(p for p in HERE.glob("*.py") if p.name != "run.py")
    env = dict(os.environ, PYTHONPATH=str(ROOT / "tests" / "lib"), PYTHONDONTWRITEBYTECODE="1")
    env.setdefault("WEIR", str(ROOT / "build" / "gateway" / "weir"))
    passed = failed = 0
    for path in files:
        run = subprocess.run([sys.executable, str(path)] + words, env=env, stdout=subprocess.PIPE, text=True, check=False)
        print(run.stdout, end="", flush=True)
        counts = re.search(r"(\d+) passed, (\d+) failed$", run.stdout.strip())
        passed += int(counts[1]) if counts else 0
        failed += int(counts[2]) if counts else 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
