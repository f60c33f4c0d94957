# SPDX-License-Identifier: MIT
"""Runs `weir check` on every *.yaml here (and every directory with a weir.yaml) and compares what it says, to the
letter, with the .err beside it. A difference is printed as a diff.

    run.py CHECK             compare; CHECK is the program and the words before the file: "weir check"
    run.py --write CHECK     after a change of a sentence that was meant: write the .err files anew, and read the diff
"""
import difflib
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def cases():
    for path in sorted(HERE.glob("*.yaml")):
        yield path.name, path.with_suffix(".err")
    for path in sorted(HERE.glob("*/weir.yaml")):
        yield f"{path.parent.name}/weir.yaml", path.parent.with_suffix(".err")


def say(check, name):
    done = subprocess.run([*check, name], cwd=HERE, capture_output=True, text=True, timeout=20)
    if done.returncode not in (0, 1) or (done.returncode == 0) != (": fine" in done.stdout):
        return f"exit status {done.returncode}\n{done.stderr}{done.stdout}"
    return done.stderr + done.stdout


def main(args):
    write = args[:1] == ["--write"]
    check = args[1:] if write else args
    if not check:
        sys.exit(__doc__)
    check[0] = str(pathlib.Path(check[0]).resolve())
    total = wrong = mistakes = 0
    for name, err in cases():
        said = say(check, name)
        total += 1
        mistakes += sum(": " in line and not line.endswith(" advice)") for line in said.splitlines())
        if write:
            err.write_text(said)
            continue
        want = err.read_text() if err.exists() else ""
        if said != want:
            wrong += 1
            sys.stdout.writelines(difflib.unified_diff(want.splitlines(True), said.splitlines(True),
                                                       f"{err.name} (wanted)", f"{name} (said)"))
    print(f"golden: {total} files, {mistakes} sentences, {wrong} differ")
    if total < 100:
        sys.exit("golden: most of the cases are missing")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
