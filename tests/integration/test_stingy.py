#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A system that gives less than is asked for: waits are interrupted, reads and writes do a part, memory runs out, now and
then, in every process of the gateway. What was acknowledged arrives all the same, and nothing ends."""

import mmap
import struct

from site_room import Site  # first: it knows where harness is
import harness
from harness import Failed, Skipped, run, wait

TERMS = struct.Struct("6I")


class Stingy:
    """What tests/lib/stingy.so is told and tells."""

    def __init__(self, folder):
        self.path = folder / "terms"
        self.path.write_bytes(bytes(TERMS.size))
        with open(self.path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 0)
        self.wrap = ["env", f"LD_PRELOAD={harness.build_dir()}/tests/lib/stingy.so", f"WEIR_STINGY={self.path}"]

    def ask(self, calls=0, memory=0):
        """One call in so many, one allocation in so many; 0: none."""
        struct.pack_into("2I", self.map, 0, calls, memory)

    def done(self):
        return dict(zip(("interrupted", "cut reads", "cut writes", "denied"), TERMS.unpack(self.map)[2:]))


def live_with(enough, in_order=True, **terms):
    """Load in both ways while the terms hold; `enough` says when they have been felt."""
    if Site.sanitized():
        raise Skipped("nothing can be preloaded before a sanitizer")
    with Site() as site:
        stingy = Stingy(site.dir)
        site.build(wrap=stingy.wrap, every="50ms")
        pid = site.gateway.pid
        for mqtt in (5, 4):
            site.load(rate=200, qos=12, mqtt=mqtt)
        wait(lambda: site.received() > 100, 30, lambda: f"messages arrive\n{site.status()}")
        stingy.ask(**terms)
        for fault in ("forward", "silent", "forward", "reset", "forward"):
            site.link.tell(fault)
            before = site.acked()
            wait(lambda: site.acked() > before + 600, 30, lambda: f"publishers are served\n{site.status()}")
        wait(lambda: enough(stingy.done()), 30, lambda: f"it was felt: {stingy.done()}")
        stingy.ask()
        site.settle()
        account = site.account()
        if not in_order:
            account.reordered.clear()
        account.check()
        if in_order:
            site.check_readings()
        if site.gateway.pid != pid or site.gateway.stop() != 0:
            raise Failed(f"the gateway ended by itself, or with {site.gateway.process.returncode}")
        return f"{stingy.done()}; {account}"


def calls_that_end_early_lose_nothing():
    return live_with(lambda done: min(done[k] for k in ("interrupted", "cut reads", "cut writes")) > 100, calls=10)


def memory_that_runs_out_loses_nothing():
    # What finds no room is refused, and a refusal that does not reach its publisher is sent again: behind what it had in
    # flight. And what weir itself says of a reading is dropped then, so those are not compared.
    return live_with(lambda done: done["denied"] > 100, in_order=False, memory=20)


if __name__ == "__main__":
    run([calls_that_end_early_lose_nothing, memory_that_runs_out_loses_nothing])
