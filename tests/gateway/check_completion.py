#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""check_completion.py WEIR SCRIPT: what bash offers behind the first letters of a verb, an option or a name."""
import os
import pathlib
import subprocess
import sys
import tempfile

weir, script = (pathlib.Path(p).resolve() for p in sys.argv[1:])

# Says what a gateway that runs would; all else is weir's own.
STAND_IN = f"""#!/bin/sh
if [ "$*" = status ]; then
	echo 'weir 0.0   site plant   up 1 s'
	echo 'upstream  cloud                up         mqtt://x'
	echo 'line      boiler-bus           up         1 samples'
	echo 'device    boiler-2             up         1 requests'
else
	exec {weir} "$@"
fi
"""

CASES = [
    (("weir", "sta"), {"status"}),
    (("weir", "re"), {"read", "reload", "replay", "restore"}),
    (("weir", "check", "--pl"), {"--plan"}),
    (("weir", "scan", "--"), {"--units", "--timeout", "--settings", "--config", "--socket"}),
    (("weir", "status", "b"), {"boiler-bus", "boiler-2"}),
    (("weir", "trace", ""), {"boiler-bus"}),
    (("weir", "replay", "c"), {"cloud"}),
    (("weir", "user", "a"), {"add"}),
    (("weir", "help", "quar"), {"quarantine"}),
    (("weir", "nonsense", "--"), set()),
]

with tempfile.TemporaryDirectory() as room:
    stand_in = pathlib.Path(room, "weir")
    stand_in.write_text(STAND_IN, encoding="utf-8")
    stand_in.chmod(0o755)
    for words, wanted in CASES:
        ask = f'. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _weir; printf "%s\\n" "${{COMPREPLY[@]}}"'
        done = subprocess.run(["bash", "-c", ask, script, *words], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "PATH": f"{room}:{os.environ['PATH']}"})
        offered = {line for line in done.stdout.splitlines() if line}
        if offered != wanted or done.stderr:
            sys.exit(f"check_completion: {words}: {offered} in place of {wanted}; {done.stderr}")
