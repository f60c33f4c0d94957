# SPDX-License-Identifier: MIT
"""Writes the stubs through which the executable calls its libraries (base/lazy.h).

usage: lazy.py CC OUTPUT LIBRARY... -- ARCHIVE...

For each function that the archives call, that none of them defines, nor libc, and that one of the libraries does: a row
of names and a stub. Nothing has to be kept up to date by hand, and what no library defines is left to the linker to
complain about.
"""
import json
import re
import subprocess
import sys


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def names(*command):
    """Symbols as nm prints them, without versions."""
    return {line.split()[-1].split("@")[0] for line in run("nm", *command).splitlines() if line[:1] in (" ", "0")}


def path_of(cc, library):
    return run(*cc.split(), f"-print-file-name={library}").strip()


def soname_of(path):
    return re.search(r"\(SONAME\).*\[(.+)\]", run("readelf", "-d", path)).group(1)


def note(sonames):
    """For those who make packages: https://systemd.io/ELF_DLOPEN_METADATA/."""
    text = json.dumps([{"soname": [s], "priority": "required"} for s in sonames]).replace('"', r'\\\"')
    return f'LAZY_NOTE("{text}")'


def main():
    cc, output, *rest = sys.argv[1:]
    split = rest.index("--")
    libraries, archives = [path_of(cc, l) for l in rest[:split]], rest[split + 1:]
    wanted = names("-g", "--undefined-only", *archives) - names("-g", "--defined-only", *archives)
    wanted -= names("-D", "--defined-only", path_of(cc, "libc.so.6"))
    out, sonames = ['#include "gateway/lazy_stub.h"'], []
    for number, path in enumerate(libraries):
        found = sorted(wanted & names("-D", "--defined-only", path))
        wanted -= set(found)
        if not found:
            continue
        sonames.append(soname_of(path))
        row = ", ".join(f'"{name}"' for name in found)
        out += ["", f"static const char *const names_{number}[] = {{{row}}};",
                f'LAZY_LIBRARY({number}, "{sonames[-1]}", names_{number})']
        out += [f"LAZY_STUB({number}, {i}, {name})" for i, name in enumerate(found)]
    out += ["", note(sonames)]
    with open(output, "w", encoding="ascii") as f:
        f.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
