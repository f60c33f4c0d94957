#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The queue of a whole gateway: a clock that is wrong when the machine starts, and backups while it works."""

import json
import pathlib
import struct
import subprocess
import sys
import time

import site_room  # first: it knows where harness is
import harness
from harness import Failed, read_arrivals, run, wait
from site_room import Site

YEARS = 50 * 365 * 86400 * 1000


def tool(site, *words, config=None):
    done = subprocess.run([harness.build_dir() / "gateway/weir", words[0], "--config", config or site.gateway.config,
                           *words[1:]], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise Failed(f"weir {' '.join(map(str, words))}: {done.stderr or done.stdout}")
    return done.stdout


def clocks(site):
    """How many records of the log say what of their clock."""
    counts = {}
    for line in tool(site, "export", "--format", "json").splitlines():
        said = json.loads(line).get("clock", "")
        counts[said] = counts.get(said, 0) + 1
    return counts


def has_no_clock_of_its_own():
    rtc = pathlib.Path("/sys/class/rtc")
    return rtc.is_dir() and not any(rtc.iterdir())


def clock_that_is_wrong_at_boot_is_told_and_put_right():
    if Site.sanitized():
        return "skipped: nothing can be preloaded under a sanitizer"
    if has_no_clock_of_its_own():
        return "skipped: this machine has no battery-backed clock, so it would not believe the step either"
    with Site() as site:
        step = site.dir / "clockstep"
        step.write_bytes(struct.pack("q", -YEARS))
        site.build(version="3.1.1", broken="refuse", wrap=[
            "env", f"LD_PRELOAD={harness.build_dir()}/tests/lib/clockstep.so", f"WEIR_CLOCKSTEP={step}"])
        wait(lambda: clocks(site).get("unsynced", 0) > 20, 20, "records in doubt")
        if set(clocks(site)) != {"unsynced"}:
            raise Failed(f"all are in doubt: {clocks(site)}")
        with open(step, "r+b") as f:  # mapped: to be written in place
            f.write(struct.pack("q", 1))
        wait(lambda: clocks(site).get("unsynced", 0) == 0, 20, lambda: f"times put right: {clocks(site)}")
        if clocks(site).get("restamped", 0) <= 20:
            raise Failed(f"they say so: {clocks(site)}")
        site.link.tell("forward")
        wait(lambda: any('"clock"' not in a.payload for a in read_arrivals(site.up.journal) if "readings" in a.topic), 30,
             "readings of the right time arrive")
        told = [json.loads(a.payload) for a in read_arrivals(site.up.journal) if "restamped" in a.payload]
        far = [t for t in told if abs(t["restamped"] - time.time() * 1000) > 600_000]
        if not told or far:
            raise Failed(f"{len(told)} were put right, {far[:3]} to some other time")
        seqs = [json.loads(a.payload)["seq"] for a in read_arrivals(site.up.journal) if '"seq"' in a.payload]
        if seqs != sorted(seqs):
            raise Failed("the order is that of the log, whatever the clock says")
        return f"{len(told)} records put right"


def keys_in(journal):
    """Publisher and number of each message of the load that arrived."""
    bodies = (json.loads(a.payload) for a in read_arrivals(journal) if a.topic.startswith("load/"))
    return {(body["p"], body["n"]) for body in bodies}


def backup_under_load_has_all_that_was_acknowledged_before():
    """For the upstream, which never saw any of it, and for a subscriber that was away."""
    with Site() as site:
        site.build(field=False, broken="refuse")
        away = site.recorder(site.broker, name="away", topic="load/#", qos=1, mqtt=5)
        away.kill()
        load = site.load(rate=400)
        wait(lambda: load.stats()["acked"] > 1500, 30, "there is something to be saved")
        before = site.account().acknowledged
        archive = site.dir / "archive.tar"
        said = tool(site, "backup", archive)
        if archive.stat().st_mode & 0o077:
            raise Failed(f"others may read the backup: {archive.stat().st_mode:o}")
        wait(lambda: load.stats()["acked"] > 2500, 30, "the publishers go on")
        load.kill()
        site.kill()

        (site.dir / "restored").mkdir()
        site.configure(data=site.dir / "restored")
        said += tool(site, "restore", archive)
        site.restart()
        away.start(r"^ready$")
        site.link.tell("forward")
        wait(lambda: site.to_send() == 0, 60, lambda: f"what was restored is sent\n{site.status()}")
        wait(lambda: before <= keys_in(site.up.journal), 30,
             lambda: f"in the cloud: {len(before - keys_in(site.up.journal))} are missing\n{said}")
        wait(lambda: before <= keys_in(away.journal), 30,
             lambda: f"with who was away: {len(before - keys_in(away.journal))} are missing\n{said}")
        if list(site.dir.glob("archive.tar.*")):
            raise Failed("nothing is left beside the archive")
        return f"{len(before)} before, {len(keys_in(site.up.journal))} in it; {said.splitlines()[0]}"


if __name__ == "__main__":
    sys.exit(run([clock_that_is_wrong_at_boot_is_told_and_put_right,
                  backup_under_load_has_all_that_was_acknowledged_before]))
