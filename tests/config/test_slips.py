# SPDX-License-Identifier: MIT
"""What slips of the hand do to a configuration: each of some hundred, one at a time, is told by `weir check` at the place
where it was made or beside it, with a remedy, and hardly ever with anything that only follows from it.

    test_slips.py WEIR
"""
import pathlib
import random
import re
import subprocess
import sys
import tempfile

SAMPLE = """\
site: plant-04
lines:
  boiler-bus:
    driver: modbus-rtu
    port: /dev/ttyUSB0
    baud: 19200
    parity: even
  hall-net:
    driver: modbus-tcp
    address: 192.0.2.10:502
devices:
  boiler-2:
    line: boiler-bus
    unit: 17
    every: 1s
    points:
      flow-temp:
        holding: 100
        type: float32
        order: CDAB
      pressure: {input: 30, type: int16, scale: 0.01, unit: bar}
      alarm: {discrete: 3, class: alarm, report: change}
  meter-1:
    line: hall-net
    unit: 1
    template: em3
templates:
  em3:
    every: 5s
    points:
      volt-l1: {input: 0, type: float32, unit: V}
      power:
        input: 12
        type: float32
broker:
  listeners:
    - bind: 127.0.0.1:1883
    - bind: "127.0.0.1:9001"
      protocol: websocket
upstreams:
  cloud:
    address: mqtts://broker.example:8883
    client_id: plant-04
    rules:
      - {out: "plant-04/#", qos: 1}
      - in: "plant-04/+/+/+/set"
        qos: 1
store:
  dir: /var/lib/weir
  max_bytes: 4GiB
""".splitlines()
KEY = re.compile(r"([a-z_]+):(?= |$)")
NAMES = {"boiler", "bus", "net", "temp", "pressure", "alarm", "l", "power", "em", "cloud", "meter"}  # anything may be one
ONE_IN = 3  # of all slips: the others differ little


def slips():
    """(what, line, text of the line, or None to leave it out, or a list of lines)"""
    draw = random.Random(1)
    for i, line in enumerate(SAMPLE):
        indent = len(line) - len(line.lstrip())
        yield "a column too far", i, " " + line
        yield "two columns too far", i, "  " + line
        if indent:
            yield "a column short", i, line[1:]
            yield "a tab", i, "\t" * (indent // 2) + line.lstrip()
        yield "twice", i, [line, line]
        if line.endswith("}"):
            yield "no brace", i, line[:-1]
        if line.count('"') == 2:
            yield "no closing quote", i, line[:line.rindex('"')] + line[line.rindex('"') + 1:]
        for m in KEY.finditer(line):
            yield "no colon", i, line[:m.end() - 1] + line[m.end():]
            if line[m.end():]:
                yield "no space", i, line[:m.end()] + line[m.end() + 1:]
                yield "an equals sign", i, line[:m.end() - 1] + " =" + line[m.end():]
            word = m[1]
            if len(word) > 3 and word not in NAMES:
                at = draw.randrange(1, len(word))
                yield "a letter less", i, line[:m.start()] + word[:at] + word[at + 1:] + line[m.end() - 1:]
                yield "a capital", i, line[:m.start()] + word.capitalize() + line[m.end() - 1:]


def told(weir, room, lines):
    (room / "weir.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = subprocess.run([weir, "check", "weir.yaml"], cwd=room, capture_output=True, text=True, timeout=20)
    mistakes = [s for s in done.stderr.splitlines() if s.startswith("weir.yaml:") and ": advice: " not in s]
    if done.returncode != (1 if mistakes else 0):
        return None, f"exit status {done.returncode}: {done.stderr}{done.stdout}"
    if not all("; " in s or " did you mean " in s for s in mistakes):
        return None, f"no remedy: {mistakes}"
    return [int(s.split(":")[1]) for s in mistakes], "\n".join(mistakes)


def main(weir):
    weir = str(pathlib.Path(weir).resolve())
    total = alone = placed = 0
    with tempfile.TemporaryDirectory() as tmp:
        room = pathlib.Path(tmp)
        assert told(weir, room, SAMPLE)[0] == [], f"the sample itself: {told(weir, room, SAMPLE)}"
        for number, (what, i, text) in enumerate(slips()):
            if number % ONE_IN:
                continue
            lines, said = told(weir, room, SAMPLE[:i] + (text if isinstance(text, list) else [text]) + SAMPLE[i + 1:])
            if lines is None or len(lines) > 6:
                sys.exit(f"{what} in line {i + 1}, {text!r}: {said}")
            if lines:
                total += 1
                alone += len(lines) == 1
                placed += any(abs(n - i - 1) <= 1 for n in lines)
    print(f"slips: {total} are mistakes, {alone} told with nothing that follows from them, {placed} where they are")
    assert total > 150, "hardly any slip is a mistake"
    assert alone >= 0.9 * total and placed >= 0.95 * total, "what is told of slips does not help any more"


if __name__ == "__main__":
    main(sys.argv[1])
