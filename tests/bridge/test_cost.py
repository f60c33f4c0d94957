# SPDX-License-Identifier: MIT
"""What a backlog costs: the memory of the bridge's process while it drains one, and what a burst writes to the disk.

    test_cost.py HOST_PROGRAM [CASE...]
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from rig import run_cases, until

SANITIZED = os.environ.get("WEIR_TEST_MEMORY") == "0"


def peak_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))


def written(pid):
    with open(f"/proc/{pid}/io", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("write_bytes"))


def a_backlog_is_not_taken_into_memory(rig):
    """Fifty thousand records of 1,000 bytes are 50 MB; the process that drains them has its window and its libraries."""
    rig.broker.stop()
    h = rig.begin()
    h.tell("add 50000 1000")
    until("a failed dial", lambda: len(h.said("state down")) > 0)
    rig.broker.start()
    until("drained", lambda: h.acked() == 50000, 60)
    peak = peak_kib(int(h.stats()["pid"]))
    print(f"    50 MB of backlog, {peak / 1024:.1f} MiB at most")
    assert SANITIZED or peak < 32 * 1024, peak


def a_burst_is_written_in_few_bytes(rig):
    """No commit for each record, no rewriting of the whole queue: a record of 200 bytes costs less than 4 kB."""
    rig.broker.stop()
    h = rig.begin()
    h.tell("stats")
    until("there", lambda: h.said("stats "))
    before = written(h.process.pid)
    h.tell("add 20000 200")
    h.tell("stats")
    until("added", lambda: len(h.said("stats ")) == 2)
    rig.broker.start()
    until("drained", lambda: h.acked() == 20000, 60)
    each = (written(h.process.pid) - before) / 20000
    print(f"    {each:.0f} bytes written for a record of 200, in and out")
    assert 0 < each < 4096 or before == written(h.process.pid), each  # a temporary directory in memory writes none


CASES = {
    a_backlog_is_not_taken_into_memory: {},
    a_burst_is_written_in_few_bytes: {},
}

if __name__ == "__main__":
    sys.exit(run_cases(CASES))
