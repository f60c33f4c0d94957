# SPDX-License-Identifier: MIT
"""The documents are true.

Each ```yaml block of docs/*.md is a file, named in its first line (`# weir.yaml` begins a new site), and weir finds no
mistake in it, unless a ```text block behind it that begins with `$ weir ...` is what weir says of the files so far.
reference.md and weir.yaml.5: what `weir check --reference` and `--manual` print. README.md: its point map is fine, and its
mistakes are told as it says. Each command of weir that a document names exists, with its options, and those of ```sh
blocks, and of `weir import`, do what they are there for.

    test_docs.py WEIR [--write]     --write: what weir says, into the documents anew; then read the diff
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


def must_be_fine(weir, root, page):
    done = subprocess.run([weir, "check", "weir.yaml"], cwd=root, capture_output=True, text=True, timeout=20)
    return differ("", done.stderr if done.returncode else "", f"{page}: what is wrong with an example")


def check_examples(weir, write, path):
    """Blocks in order; a site is looked at when its last file is there."""
    wrong = blocks = 0
    fresh = path.read_text(encoding="utf-8")
    open_site = False
    with tempfile.TemporaryDirectory() as tmp:
        root = pathlib.Path(tmp)
        for kind, text in BLOCK.findall(fresh):
            first, rest = text.split("\n", 1)
            if kind == "yaml":
                name = first.removeprefix("# ")
                assert name.endswith(".yaml"), f"a block begins with {first!r}, not with the name of a file"
                if name == "weir.yaml":
                    wrong += must_be_fine(weir, root, path.name) if open_site else 0
                    clear(root)
                (root / name).parent.mkdir(exist_ok=True)
                (root / name).write_text(text, encoding="utf-8")
                put_files(root, text)
                blocks += 1
                open_site = True
            elif first.startswith("$ weir "):
                done = subprocess.run([weir, *shlex.split(first)[2:]], cwd=root, capture_output=True, text=True,
                                      timeout=20)
                said = done.stderr + done.stdout
                fresh = fresh.replace(f"{first}\n{rest}```", f"{first}\n{said}```", 1) if write else fresh
                wrong += 0 if write else differ(rest, said, first)
                open_site = False
        wrong += must_be_fine(weir, root, path.name) if open_site else 0
    if write and blocks:
        path.write_text(fresh, encoding="utf-8")
    return wrong, blocks


def check_all_examples(weir, write):
    wrong = total = 0
    for path in sorted(DOCS.glob("*.md")):
        bad, blocks = check_examples(weir, write, path)
        wrong += bad
        total += blocks
    assert total > 15, f"the documents have {total} examples left"
    return wrong


def readme():
    return (DOCS.parent / "README.md").read_text(encoding="utf-8")


def check_readme(weir):
    """Its point map is a whole configuration; with the mistakes that it shows it is told what it says."""
    blocks = [textwrap.dedent(block) for block in re.findall(r"^ *```(?:yaml)?\n(.*?)^ *```$", readme(), re.M | re.S)]
    point_map = next(block for block in blocks if block.startswith("site:"))
    told = next(block for block in blocks if block.startswith("weir.yaml:"))
    mistaken = point_map.replace("parity:", "pariti:").replace("unit: 17", "unit: 300").replace("every: 1s", "every: 1")
    with tempfile.TemporaryDirectory() as tmp:
        path = pathlib.Path(tmp) / "weir.yaml"
        path.write_text(point_map, encoding="utf-8")
        wrong = must_be_fine(weir, tmp, "README.md")
        path.write_text(mistaken, encoding="utf-8")
        done = subprocess.run([weir, "check", "weir.yaml"], cwd=tmp, capture_output=True, text=True, timeout=20)
        return wrong + differ(told, done.stderr + done.stdout, "README.md")


def commands():
    """(document, verb, options) of each command of weir that stands in code."""
    pages = [*sorted(DOCS.glob("*.md")), DOCS.parent / "README.md"]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for code in re.findall(r"```(?:sh|text)?\n(.*?)```|`([^`\n]+)`", text, re.S):
            for line in "".join(code).splitlines():
                found = re.match(r"(?:\$ |sudo )*weir ([a-z]+)\b(.*)", line.strip())
                if found:
                    yield page.name, found[1], re.findall(r"(?<=\s)--[a-z-]+", found[2])


def check_commands(weir):
    manual = (DOCS / "weir.1").read_text(encoding="utf-8").replace("\\-", "-")
    wrong, seen = 0, set()
    for page, verb, options in commands():
        done = subprocess.run([weir, verb, "--help"], capture_output=True, text=True, timeout=20)
        known = done.returncode == 0 or verb == "version"
        missing = [o for o in options if o not in manual]
        if not known or missing:
            print(f"{page}: weir {verb}: {'there is no such verb' if not known else f'{missing} not in weir.1'}")
            wrong += 1
        seen.add(verb)
    assert len(seen) > 15, f"the documents name {seen} and no other verb"
    return wrong


def check_shell(weir):
    """The ```sh blocks, at a place of our own: the files are made, and none of the commands fails."""
    wrong = 0
    with tempfile.TemporaryDirectory() as tmp:
        for block in re.findall(r"^```sh\n(.*?)^```$", (DOCS / "security.md").read_text(encoding="utf-8"), re.M | re.S):
            for line in block.splitlines():
                words = shlex.split(line.replace("/etc/weir/", f"{tmp}/"), comments=True)[1:]
                if words[0] == "weir":
                    done = subprocess.run([weir, *words[1:]], input="open sesame\n", capture_output=True, text=True,
                                          timeout=60)
                    wrong += differ("", done.stderr if done.returncode else "", line)
        assert (pathlib.Path(tmp) / "users").exists(), "no shell block makes a file of users"
    return wrong


def check_import(weir):
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    table, command = re.search(r"^```text\n(name;.*?)\n\$ weir (import .*?)\n```$", page, re.M | re.S).groups()
    with tempfile.TemporaryDirectory() as tmp:
        root = pathlib.Path(tmp)
        (root / "templates").mkdir()
        source, target = command.split()[1], command.split()[3]
        (root / source).write_text(table, encoding="utf-8")
        done = subprocess.run([weir, "import", source], cwd=root, capture_output=True, text=True, timeout=20)
        (root / target).write_text(done.stdout, encoding="utf-8")
        (root / "weir.yaml").write_text("site: s\nlines: {b: {driver: modbus-rtu, port: /dev/ttyS0}}\n"
                                        "devices: {m: {line: b, unit: 1, template: meter}}\n", encoding="utf-8")
        return differ("", done.stderr if done.returncode else "", command) + must_be_fine(weir, root, command)


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
    wrong = check_all_examples(weir, write) + check_readme(weir)
    wrong += check_commands(weir) + check_shell(weir) + check_import(weir)
    wrong += check_reference(weir, write, "--reference", "reference.md", "\n| `")
    wrong += check_reference(weir, write, "--manual", "weir.yaml.5", "\n.TP\n")
    print("docs: as the program has it" if not wrong else f"docs: {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
