# SPDX-License-Identifier: MIT
"""The unit file, as systemd itself reads it: no unknown key, no missing program, and hardened. Exit 77: no systemd here.

usage: check_unit.py UNIT PROGRAM"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

THRESHOLD = 25  # of 100: what `systemd-analyze security` calls OK


def run(*words):
    return subprocess.run(words, capture_output=True, text=True)


def complaints(result):
    """Man pages are not installed where the tests run; all else counts."""
    lines = (result.stdout + result.stderr).splitlines()
    return [l for l in lines if l.strip() and "Command 'man " not in l]


def main(unit, program):
    program = str(pathlib.Path(program).resolve())
    if not shutil.which("systemd-analyze"):
        print("systemd-analyze is not installed")
        return 77
    text = pathlib.Path(unit).read_text(encoding="utf-8")
    assert "/usr/bin/weir" in text, "the unit does not start /usr/bin/weir"
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder, "weir.service")
        copy.write_text(text.replace("/usr/bin/weir", program), encoding="utf-8")
        verify = run("systemd-analyze", "verify", str(copy))
        bad = complaints(verify)
        copy.write_text(text.replace("/usr/bin/weir", program).replace("WatchdogSec", "WatchdogSecs"), encoding="utf-8")
        if not complaints(run("systemd-analyze", "verify", str(copy))):
            bad.append("this check would not see a misspelled key")
        copy.write_text(text.replace("/usr/bin/weir", program), encoding="utf-8")
        security = run("systemd-analyze", "security", "--offline=true", f"--threshold={THRESHOLD}", str(copy))
    if security.returncode != 0:
        bad += security.stdout.splitlines()[-3:]
    print("\n".join(bad) or security.stdout.splitlines()[-1])
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
