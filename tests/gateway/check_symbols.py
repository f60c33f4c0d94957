# SPDX-License-Identifier: MIT
"""No two folders may give one name to a public symbol: the linker takes the first from an archive without a word.

usage: check_symbols.py ARCHIVE..."""
import subprocess
import sys


def defined(archive):
    out = subprocess.run(["nm", "--extern-only", "--defined-only", archive], capture_output=True, text=True, check=True)
    fields = (line.split() for line in out.stdout.splitlines())
    return {f[2] for f in fields if len(f) == 3 and f[1] in "TDBR"}


def twice(archives):
    seen = {}
    for archive, names in archives:
        for name in sorted(names):
            if name in seen:
                yield f"{name}: in {seen[name]} and {archive}"
            seen[name] = archive


assert list(twice([("a", {"x"}), ("b", {"x", "y"})])) == ["x: in a and b"]
archives = [(a, defined(a)) for a in sys.argv[1:]]
assert all(names for _, names in archives), "an archive defines nothing: nm was not understood"
bad = list(twice(archives))
print("\n".join(bad) or f"{sum(len(n) for _, n in archives)} names, none twice")
sys.exit(1 if bad else 0)
