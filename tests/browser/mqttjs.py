# SPDX-License-Identifier: MIT
"""mqtt.js, as package-lock.json has it, in the build folder; fetched once for all tests that want it."""
import fcntl
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def fetch(build):
    """The folder with node_modules in it. Skips the test where npm is missing or cannot fetch."""
    folder = pathlib.Path(build).resolve()
    if not shutil.which("npm"):
        skip("no npm")
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "fetching", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder / name)
        if not (folder / "node_modules/mqtt/dist/mqtt.min.js").exists():
            done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1",
                                   "--fetch-retry-maxtimeout=2000", "--fetch-timeout=20000"], cwd=folder, timeout=60,
                                  capture_output=True, text=True, check=False)
            if done.returncode != 0:
                skip(f"npm cannot fetch mqtt.js: {done.stderr[-300:]}")
    return folder
