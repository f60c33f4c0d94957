# SPDX-License-Identifier: MIT
"""The documents of the configuration are true.

configuration.md, security.md, hmi.md: each ```yaml block is a file, named in its first line (`# weir.yaml` begins a new site); each ```text
block that begins with `$ weir ...` is what weir says of the files so far. reference.md and weir.yaml.5: what
`weir check --reference` and `--manual` print. README.md: its examples are fine.

    test_docs.py WEIR [--write]     --write: what weir says, into both documents anew; then read the diff
"""
import difflib
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import textwrap

DOCS = pathlib.Path(__file__).resolve().parent.parent.parent / "docs"
BLOCK = re.compile(r"^```(yaml|text)\n(.*?)^```$", re.M | re.S)


def differ(want, said, what):
    if want == said:
        return 0
    sys.stdout.writelines(difflib.unified_diff(want.splitlines(True), said.splitlines(True), f"{what} (written)",
                                               f"{what} (said)"))
    return 1


def clear(root):
    for path in sorted(root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def put_files(root, text):
    """What a configuration names besides: `check` says which is not there."""
    for name in re.findall(r"\b(?:cert|key|ca|crl|users|password_file): ([a-z][\w/.-]*)", text):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("something\n", encoding="utf-8")
        (root / name).chmod(0o600)


def check_examples(weir, write, name, least):
    wrong = commands = 0
    page = DOCS / name
    fresh = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as tmp:
        root = pathlib.Path(tmp)
        for kind, text in BLOCK.findall(fresh):
            first, rest = text.split("\n", 1)
            if kind == "yaml":
                name = first.removeprefix("# ")
                assert name.endswith(".yaml"), f"a block begins with {first!r}, not with the name of a file"
                if name == "weir.yaml":
                    clear(root)
                (root / name).parent.mkdir(exist_ok=True)
                (root / name).write_text(text, encoding="utf-8")
                put_files(root, text)
            elif first.startswith("$ weir "):
                done = subprocess.run([weir, *shlex.split(first)[2:]], cwd=root, capture_output=True, text=True,
                                      timeout=20)
                said = done.stderr + done.stdout
                fresh = fresh.replace(f"{first}\n{rest}```", f"{first}\n{said}```", 1) if write else fresh
                wrong += 0 if write else differ(rest, said, first)
                commands += 1
    if write:
        page.write_text(fresh, encoding="utf-8")
    assert commands >= least, f"{name} has lost its examples"
    return wrong


def check_readme(weir):
    """Each example of the README is a whole configuration."""
    blocks = re.findall(r"^ *```yaml\n(.*?)^ *```$", (DOCS.parent / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    wrong = 0
    with tempfile.TemporaryDirectory() as tmp:
        path = pathlib.Path(tmp) / "README.yaml"
        for block in blocks:
            path.write_text(textwrap.dedent(block), encoding="utf-8")
            done = subprocess.run([weir, "check", path], capture_output=True, text=True, timeout=20)
            wrong += differ("", done.stderr if done.returncode else "", "README.md")
    assert blocks, "README.md has lost its point map"
    return wrong


def check_reference(weir, write, option, name, key):
    said = subprocess.run([weir, "check", option], capture_output=True, text=True, timeout=20, check=True).stdout
    assert said.count(key) > 100, "the reference has hardly any keys"
    page = DOCS / name
    if write:
        page.write_text(said, encoding="utf-8")
    wrong = differ(page.read_text(encoding="utf-8"), said, f"docs/{name}")
    if wrong:
        print(f"a table has changed: print the page anew with  weir check {option} > docs/{name}")
    return wrong


def main(args):
    weir = str(pathlib.Path(args[0]).resolve())
    write = "--write" in args
    wrong = check_examples(weir, write, "configuration.md", 4) + check_examples(weir, write, "security.md", 2)
    wrong += check_examples(weir, write, "hmi.md", 1)
    wrong += check_readme(weir)
    wrong += check_reference(weir, write, "--reference", "reference.md", "\n| `")
    wrong += check_reference(weir, write, "--manual", "weir.yaml.5", "\n.TP\n")
    print("docs: as the program has it" if not wrong else f"docs: {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
