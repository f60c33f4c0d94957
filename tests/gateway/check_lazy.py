# SPDX-License-Identifier: MIT
"""What the executable loads, and when: nothing but libc at the start, and every function that it has a stub for is where
its stub will look for it.

usage: check_lazy.py PROGRAM [STUBS]: without STUBS (a machine or a build that has none) there is little to check"""
import ctypes
import pathlib
import re
import subprocess
import sys
import tempfile
import time

AT_START = {"libc.so.6"}
SEEN_BY_LIBRARIES = {"writev", "SSL_write"}  # bridge/bridge_bit.h


def needed(program):
    text = subprocess.run(["readelf", "-d", program], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"\(NEEDED\).*\[(.+)\]", text))


def stubs(path):
    """soname -> names"""
    text = pathlib.Path(path).read_text(encoding="ascii")
    sonames = dict(re.findall(r'LAZY_LIBRARY\((\d+), "([^"]+)"', text))
    return {sonames[n]: re.findall(rf"LAZY_STUB\({n}, \d+, (\w+)\)", text) for n in sonames}


def exported(program):
    text = subprocess.run(["nm", "-D", "--defined-only", program], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in text.splitlines()}


def mapped(program, *arguments):
    """Names of the files that the broker has in memory when it listens."""
    with tempfile.TemporaryDirectory() as folder:
        at = f"{folder}/socket"
        broker = subprocess.Popen([program, "broker", "--bind", "unix:" + at, *arguments], stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 30
            while not pathlib.Path(at).exists():
                assert broker.poll() is None and time.monotonic() < deadline, "the broker does not listen"
                time.sleep(0.01)
            maps = pathlib.Path(f"/proc/{broker.pid}/maps").read_text(encoding="utf-8")
        finally:
            broker.kill()
            broker.wait()
    return {pathlib.Path(line.split()[-1]).name for line in maps.splitlines() if "/" in line}


def main(program, *rest):
    hidden = [f"no library finds {name} of the program" for name in SEEN_BY_LIBRARIES - exported(program)]
    if hidden or not rest:
        print("\n".join(hidden) or "no stubs in this build")
        return 1 if hidden else 77
    libraries = stubs(rest[0])
    bad = [f"{name} is loaded at the start" for name in needed(program) - AT_START]
    bad += [f"{soname} has no {name}" for soname, names in libraries.items() for name in names
            if not hasattr(ctypes.CDLL(soname), name)]
    here = mapped(program)
    bad += [f"a broker that serves plain MQTT has loaded {file}" for file in here
            for soname in libraries if file.split(".so")[0] == soname.split(".so")[0]]
    if not {"libcrypto.so.3", "libsqlite3.so.0"} <= set(libraries):
        bad.append(f"stubs for {sorted(libraries)} only")
    print("\n".join(bad) or f"{sum(map(len, libraries.values()))} functions of {len(libraries)} libraries")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
