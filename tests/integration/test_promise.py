#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Nothing acknowledged is lost: outages under load, kill -9 of the gateway, of the bridge, of the upstream."""

import json
import os
import random
import signal
import sys
import time

from site_room import Site, seconds as from_environment  # first: it knows where harness is
from harness import Failed, run, wait

SEED = int(os.environ.get("WEIR_SEED", "20261121"))


def moment(rng, low, high):
    """Lets a time go by that is drawn at random: not waiting for a thing, but striking whenever."""
    time.sleep(rng.uniform(low, high))


def outage(upstream, version, seconds):
    with Site() as site:
        site.build(upstream=upstream, version=version)
        load = site.load()
        wait(lambda: site.received() > 200, 30, lambda: f"messages arrive\n{site.status()}")
        rng = random.Random(SEED)
        for fault in ("silent", "refuse"):
            site.link.tell(fault)
            moment(rng, seconds / 2, seconds / 2)
            site.link.tell("forward")
        before = load.stats()["acked"]
        wait(lambda: load.stats()["acked"] > before, 20, "publishers are served during all of it")
        site.settle()
        said = site.check()
        readings = site.check_readings()
        if readings < seconds:
            raise Failed(f"only {readings} readings in an outage of {seconds} s")
        return f"{seconds:g} s; {said}"


def outage_with_the_stand_in_loses_nothing():
    return outage("stub", 5, from_environment("WEIR_OUTAGE_S", 60))


def outage_with_mosquitto_loses_nothing():
    return outage("mosquitto", 5, 10)


def kill_ten_times(site, rng):
    for kill in range(10):
        site.link.tell(rng.choice(("forward", "forward", "silent", "refuse", "reset")))
        moment(rng, 0.05, 1.5)
        site.kill()
        if rng.random() < 0.5:
            site.link.tell("forward")
        site.restart()
        before = site.acked()
        wait(lambda: site.acked() > before, 20, f"publishers are served again after kill {kill + 1}")
    site.link.tell("forward")
    site.settle()


def kill_9_ten_times_loses_nothing():
    print(f"seed {SEED}")
    with Site() as site:
        site.build()
        site.load(rate=200, qos=1)
        site.load(rate=200, qos=1, mqtt=4)
        site.once = lambda p: False  # at QoS 1 what is sent again may be there twice
        kill_ten_times(site, random.Random(SEED))
        said = site.check()
        # A sample counts as taken once it is committed, some milliseconds after it was read and seen.
        site.check_readings(uncommitted=10 * 2)
        return said


def kill_9_keeps_qos_2_exactly_once():
    print(f"seed {SEED}")
    with Site() as site:
        site.build(field=False)
        site.load(rate=200, qos=2)
        site.load(rate=200, qos=2, mqtt=4)
        site.once = lambda p: True
        kill_ten_times(site, random.Random(SEED))
        return site.check()


def kill_9_of_the_upstream_in_mid_drain_loses_nothing():
    rng = random.Random(SEED)
    with Site() as site:
        site.build(broken="refuse", field=False)
        site.up.argv.append("slow 20")  # so that much is in flight when it dies
        site.up.tell("slow 20")
        site.load(rate=0, count=10000)
        wait(lambda: site.acked() >= 20000, 60, "a backlog")
        site.link.tell("forward")
        for _ in range(4):
            at = site.received()
            wait(lambda: site.received() > at + 500, 30, lambda: f"it drains\n{site.status()}")
            site.up.kill()
            moment(rng, 0.1, 0.5)
            site.up.start(r"^ready")
        wait(lambda: site.acked() == 40000, 60, "all of the load is acknowledged")
        site.settle()
        return site.check()


def upstream_that_loses_acknowledgements_gets_marked_duplicates_only():
    with Site() as site:
        site.build(field=False)
        site.load(rate=300)
        wait(lambda: site.received() > 100, 30, "messages arrive")
        for fault in ("lose-acks", "mute"):
            at = site.received()
            site.up.tell(fault)
            wait(lambda: site.received() > at, 30, "more came, unacknowledged")
            site.up.tell("accept", "disconnect")
        site.settle()
        return site.check()


def session_forgotten_by_the_upstream_loses_nothing():
    with Site() as site:
        site.build(field=False)
        site.load(rate=300)
        for _ in range(3):
            at = site.received()
            wait(lambda: site.received() > at + 100, 30, "messages arrive")
            site.up.tell("forget")
        site.settle()
        return site.check()


def first_boot_without_a_link_keeps_everything():
    with Site() as site:
        site.build(broken="refuse", field=False)
        site.load(rate=200)
        wait(lambda: site.acked() > 400, 30, "publishers are served though the upstream was never there")
        site.kill()
        site.restart()
        before = site.acked()
        wait(lambda: site.acked() > before + 100, 30, "and again after a kill")
        site.link.tell("forward")
        site.settle()
        return site.check()


def what_a_full_queue_evicts_is_told_in_gap_records():
    """Every seq either arrives or is counted by a gap record, and what publishers miss is not more than that."""
    with Site() as site:
        site.build(broken="silent", field=False, store="max_bytes: 2MiB")
        load = site.load(rate=0, size=500, count=8000)
        wait(lambda: load.stats()["acked"] == 32000, 90, lambda: f"the queue takes it all: {load.stats()}")
        site.link.tell("forward")
        site.settle()
        seqs = {int(a.seq) for a in site.arrivals() if a.seq != "-"}
        gaps = {}
        for a in site.arrivals():
            if a.topic == "plant/weir/event" and "evicted" in a.payload:
                gaps[a.seq] = json.loads(a.payload)
        covered = {seq for gap in gaps.values() for seq in range(gap["first"], gap["last"] + 1)}
        # A gap record has the seq of the last that it stands for; the status of an earlier run is held back.
        gone, untold = len(covered - seqs) + len(gaps), set(range(1, max(seqs))) - seqs - covered
        told, account = sum(gap["count"] for gap in gaps.values()), site.account()
        print(f"{account}\n{len(gaps)} gap records tell of {told}, {gone} did not come: {list(gaps.values())[:1]}")
        if not gaps or gone != told or len(untold) > 2 or len(account.lost) > told or account.unmarked or account.reordered:
            raise Failed(f"what is missing and what is told differ; not told of: {sorted(untold)[:20]}")
        return f"{told} evicted, all told"


def killing_the_bridge_process_disturbs_nobody():
    with Site() as site:
        site.build()
        load = site.load(rate=200)
        wait(lambda: site.received() > 200, 30, "messages arrive")
        for _ in range(3):
            pid = wait(site.bridge_pid, 10, "there is a bridge process")
            os.kill(pid, signal.SIGKILL)
            at = site.received()
            wait(lambda: site.bridge_pid() not in (None, pid), 20, "there is a new one")
            wait(lambda: site.received() > at + 100, 20, lambda: f"messages arrive again\n{site.status()}")
        stats = load.stats()
        if stats["connects"] != 4 or stats["resent"]:
            raise Failed(f"local clients noticed: {stats}")
        site.settle()
        site.check_readings()
        return site.check()


if __name__ == "__main__":
    sys.exit(run([outage_with_the_stand_in_loses_nothing, outage_with_mosquitto_loses_nothing,
                  kill_9_ten_times_loses_nothing, kill_9_keeps_qos_2_exactly_once,
                  kill_9_of_the_upstream_in_mid_drain_loses_nothing,
                  upstream_that_loses_acknowledgements_gets_marked_duplicates_only,
                  session_forgotten_by_the_upstream_loses_nothing, first_boot_without_a_link_keeps_everything,
                  killing_the_bridge_process_disturbs_nobody,
                  what_a_full_queue_evicts_is_told_in_gap_records]))
