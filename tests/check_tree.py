# SPDX-License-Identifier: MIT
"""The shape of the tree, as a test: includes point one way, a library header has one includer, every file says its
licence, and nothing is left unfinished. Prints each breach as file:line: what, and counts them."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Who may include whom, besides itself. config/key.h and broker/persist.h, store/store.h are seams with a name, and so is broker/ledger.h.
MAY = {
    "base": set(),
    "config": {"base"},
    "store": {"base"},
    "broker": {"base"},
    "drivers": {"base"},
    "bridge": {"base"},
    "gateway": {"base", "config", "store", "broker", "drivers", "bridge"},
}
SEAMS = {"config/key.h": set(MAY), "store/store.h": {"bridge"}, "broker/persist.h": {"store"}, "broker/ledger.h": {"store"}}

# A library header is included by one file of the product, or by one in each of two processes.
ONE_INCLUDER = {
    "yaml.h": "config/yaml.c",
    "sqlite3.h": "store/sql.h",
    "modbus.h": "drivers/rtu.c",
    "modbus/modbus.h": "drivers/rtu.c",
    "libserialport.h": "drivers/port.c",
    "MQTTAsync.h": "bridge/paho_connect.h",
    "zstd.h": "bridge/squeeze.c",
    "openssl/ssl.h": ("broker/tls_terms.h", "bridge/paho_trust.c"),  # of two processes
}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def tracked():
    out = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    names = out.stdout.split("\n") if out.returncode == 0 else []
    return [ROOT / n for n in names if n] or [p for p in ROOT.rglob("*.[ch]") if "build" not in p.parts[0]]


def breaches_of_includes(name, lines):
    folder = name.split("/")[0]
    if folder not in MAY:
        return
    for number, line in enumerate(lines, 1):
        m = INCLUDE.match(line)
        if not m:
            continue
        header = m.group(2)
        may = ONE_INCLUDER.get(header, name)
        if name not in (may if isinstance(may, tuple) else (may,)):
            yield number, f"includes <{header}>, which only {may} may"
        other = header.split("/")[0]
        if m.group(1) == '"' and other in MAY and other != folder and other not in MAY[folder]:
            if folder not in SEAMS.get(header, ()):
                yield number, f"includes {header}: {folder}/ must not know {other}/"


def breaches(path):
    name = str(path.relative_to(ROOT))
    lines = path.read_text(encoding="utf-8").split("\n")
    if not any("SPDX-License-Identifier: MIT" in l for l in lines[:3]):
        yield 1, "has no SPDX-License-Identifier: MIT line"
    yield from breaches_of_includes(name, lines)
    if name == "tests/check_tree.py":
        return
    for number, line in enumerate(lines, 1):
        if UNFINISHED.search(line):
            yield number, "says that something is unfinished"


def self_test():
    """The rules must be able to fail."""
    found = list(breaches_of_includes("base/x.c", ['#include "store/store.h"', "#include <sqlite3.h>"]))
    assert len(found) == 2, found
    assert not list(breaches_of_includes("bridge/x.c", ['#include "store/store.h"', '#include "config/key.h"']))


def main():
    self_test()
    files = [p for p in tracked() if p.suffix in (".c", ".h", ".py", ".sh", ".js") or p.name in ("do", "meson.build")]
    bad = [(p.relative_to(ROOT), n, what) for p in files if p.is_file() for n, what in breaches(p)]
    for path, number, what in bad:
        print(f"{path}:{number}: {what}")
    print(f"tree: {len(files)} files, {len(bad)} breaches")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
