#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""check_help.py WEIR: each verb that `weir --help` names says itself how it is used, without a gateway or a file; and
what cannot be asked says what helps."""
import re
import subprocess
import sys
import tempfile

weir = sys.argv[1]


def said(*words):
    return subprocess.run([weir, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)


def expect(true, what):
    if not true:
        sys.exit(f"check_help: {what}")


verbs = [v for v in re.findall(r"^  weir (\w+) ", said("--help").stdout, re.M) if v != "version"]
expect(len(verbs) > 15, f"only {verbs} are told")
for verb in verbs:
    for words in ((verb, "--help"), (verb, "-h"), ("help", verb)):
        page = said(*words)
        expect(page.returncode == 0 and not page.stderr, f"weir {' '.join(words)}: {page}")
        expect(re.match(rf"weir {verb}: .*\n\nuse it as: weir {verb}", page.stdout), f"{words}: {page.stdout}")
with tempfile.TemporaryDirectory() as room:
    page = said("status", "--socket", f"{room}/nobody")
    expect(page.returncode == 1 and "no gateway runs here" in page.stderr and "systemctl status weir" in page.stderr,
           f"weir status without a gateway: {page}")
    config, control = f"{room}/weir.yaml", f"{room}/control"
    with open(config, "w", encoding="ascii") as f:
        f.write(f"site: plant\ncontrol: {control}\n")
    with open(f"{room}/wrong.yaml", "w", encoding="ascii") as f:
        f.write("site: plant\ncontroll: x\n")
    for words in (("status",), ("points",), ("read", "a", "id"), ("write", "a", "b", "1"), ("reload",), ("why", "a", "b"),
                  ("replay", "a", "2h"), ("clients",), ("trace", "a"), ("scan", "a")):
        for option in (("--config", config), (f"--config={config}",), ("--config", "/none", "--socket", control)):
            page = said(*words, *option)
            expect(page.returncode == 1 and f"nobody answers at {control};" in page.stderr, f"{words} {option}: {page}")
        page = said(*words, "--config", f"{room}/none.yaml")
        expect(page.returncode == 1 and f"{room}/none.yaml: there is no such file" in page.stderr, f"{words}, no file: {page}")
        page = said(*words, "--config", f"{room}/wrong.yaml")
        expect(page.returncode == 1 and "wrong.yaml:2" in page.stderr, f"{words}, a file with mistakes: {page}")
    page = said("why", "--", "--config", config)
    expect("/run/weir/control.sock" in page.stderr, f"what follows -- is taken as it is: {page}")
for words in (("help",), ("version",), ("status", "--help")):
    with open("/dev/full", "w", encoding="ascii") as full:
        page = subprocess.run([weir, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    expect(page.returncode == 1 and "cannot be written" in page.stderr, f"weir {words} > /dev/full: {page}")
expect(said("nonsense").returncode == 2, "a verb that does not exist")
