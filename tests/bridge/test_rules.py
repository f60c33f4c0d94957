# SPDX-License-Identifier: MIT
"""What rules make of records on their way up, with the real process, store and a mosquitto: batches, compression,
report by change, a day's bytes. Where it matters the process, or main with it, is killed in between.

    test_rules.py HOST_PROGRAM [CASE...]
"""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from rig import run_cases, until


def opened(payload, zstd=False):
    """The records of a message."""
    data = payload.encode("utf-8", "surrogateescape")
    if zstd:
        data = subprocess.run(["zstd", "-d", "-q", "-c"], input=data, capture_output=True, check=True).stdout
    text = data.decode()
    return json.loads(text) if text[0] == "[" else [json.loads(line) for line in text.splitlines()]


def unpacked(rig, zstd=False):
    return [r for m in rig.watch.records() for r in opened(m[1], zstd)]


def check(records, count):
    """None lost, each duplicate with its seq and marked, every topic in order."""
    by_seq, last, again = {}, {}, 0
    for r in records:
        n = r["payload"]["n"]
        if r["seq"] in by_seq:
            assert by_seq[r["seq"]] == n, f"seq {r['seq']} is of {by_seq[r['seq']]} and of {n}"
            again += 1
            continue
        by_seq[r["seq"]] = n
        assert last.get(r["topic"], -1) < n, f"{r['topic']}: {n} came behind {last[r['topic']]}"
        last[r["topic"]] = n
    missing = set(range(count)) - set(by_seq.values())
    assert not missing and len(by_seq) == count, f"lost: {sorted(missing)[:10]} of {count}, got {len(by_seq)}"
    return again


def all_there(rig, count, zstd=False, seconds=60):
    until(f"cursor at {count}", lambda: rig.host.acked() >= count, seconds)
    until(f"{count} records", lambda: len({r["seq"] for r in unpacked(rig, zstd)}) >= count, seconds)
    return check(unpacked(rig, zstd), count)


def batches_over_kill_9_lose_nothing(rig):
    h = rig.begin()
    h.tell("add 20000 100")
    for _ in range(3):
        before = h.acked()
        until("progress", lambda: h.acked() > before)
        h.tell("kill")
    again = all_there(rig, 20000)
    messages = len(rig.watch.records())
    assert messages < 20000 / 10, f"{messages} messages"
    print(f"    20000 records in {messages} messages; {again} came twice, each with its seq")


def batches_over_kill_9_of_everything(rig):
    h = rig.begin()
    h.tell("add 5000 100")
    until("progress", lambda: h.acked() > 0)
    h.kill()
    h = rig.begin()
    until("the rest", lambda: h.acked() >= 5000, 30)
    check(unpacked(rig), 5000)


def a_batch_that_waits_for_its_age_goes_after_a_stop(rig):
    h = rig.begin()
    until("up", lambda: h.ups() == 1)
    h.tell("add 3 50")
    assert h.stop() == 0
    h = rig.begin()
    until("up", lambda: h.ups() == 1)
    h.tell("add 47 50")
    until("cursor", lambda: h.acked() >= 50, 20)
    assert {r["seq"] for r in unpacked(rig)} == set(range(1, 51))


def compressed_lines_are_read_by_the_zstd_tool(rig):
    h = rig.begin()
    h.tell("add 1000 200")
    assert all_there(rig, 1000, zstd=True) == 0
    sent = sum(len(m[1].encode("utf-8", "surrogateescape")) for m in rig.watch.records())
    print(f"    1000 records of 200 bytes in {sent} bytes")
    assert sent < 1000 * 200 / 8, sent


def what_is_not_reported_is_not_lost(rig):
    h = rig.begin()
    for value in ("10", "10.2", "10.4", "12", "12.1"):
        h.tell(f"say plant/t {value}")
    h.tell("say plant/other 10")
    until("cursor", lambda: h.acked() == 6)
    got = [(m[0], m[1], m[2]["seq"]) for m in rig.watch.records()]
    assert got == [("plant/t", "10", "1"), ("plant/t", "12", "4"), ("plant/other", "10", "6")], got


def a_day_of_bytes_holds_over_kill_and_stop(rig):
    quota, seen = 20000, lambda: sum(len(m[0]) + len(m[1]) + 7 for m in rig.watch.records())
    h = rig.begin()
    h.tell("add 2000 100")
    until("progress", lambda: h.acked() > 20)
    h.tell("kill")
    until("it comes again", lambda: h.stats()["starts"] == "2" and h.ups() >= 2)
    until("the quota is used", lambda: seen() > quota * 3 // 5)
    before = h.acked()
    assert h.stop() == 0
    h = rig.begin()
    until("up", lambda: h.ups() == 1)
    until("stats", lambda: h.stats()["links"] == "1")
    h.tell("add 1 50")
    until("stats", lambda: h.stats()["links"] == "1")
    assert seen() <= quota, seen()
    print(f"    {seen()} of {quota} bytes, {before} records")


BATCH = '[{out: "plant/#", topic: "up/batch", batch: {records: 50, age: 200ms}}]'
SLOW = '[{out: "plant/#", topic: "up/batch", batch: {records: 50, age: 1h}}]'
LINES = '[{out: "plant/#", topic: "up/batch", batch: {records: 100, age: 200ms, format: lines, zstd: true}}]'

CASES = {
    batches_over_kill_9_lose_nothing: {"rules": BATCH, "extra": "rate: 200\n"},
    batches_over_kill_9_of_everything: {"rules": BATCH, "extra": "rate: 60\n"},
    a_batch_that_waits_for_its_age_goes_after_a_stop: {"rules": SLOW},
    compressed_lines_are_read_by_the_zstd_tool: {"rules": LINES},
    what_is_not_reported_is_not_lost: {"rules": '[{out: "plant/#", deadband: "0.5"}]'},
    a_day_of_bytes_holds_over_kill_and_stop: {"extra": "bytes_per_day: 20000\nmark: none\n"},
}

if __name__ == "__main__":
    sys.exit(run_cases(CASES))
