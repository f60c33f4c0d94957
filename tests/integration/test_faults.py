#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A fault stays where it is, is noticed, and passes: silent links, dead slaves, vanished ports, full disks, stops and
reloads."""

import contextlib
import ctypes
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

from site_room import Site, good_values  # first: it knows where harness is
from harness import Failed, Skipped, read_lines, run, wait


SECOND = """
  second:
    address: ["mqtt://127.0.0.1:{port}"]
    client_id: plant-2
    rules:
      - {{out: "nothing/#"}}
"""


def silent_link_is_found_by_the_watchdog():
    with Site() as site:
        site.build(field=False)
        site.load(rate=50)
        for way in ("silent", "silent down", "silent up"):
            wait(lambda: site.upstream_is("up"), 20, "the link is up")
            at = site.received()
            wait(lambda: site.received() > at + 50, 30, "messages pass")
            site.link.tell(way)
            # 1.5 x keep_alive, which is 4 s; and time for a busy machine.
            wait(lambda: not site.upstream_is("up"), 6 + 4, lambda: f"{way}: the link is found dead\n{site.status()}")
            site.link.tell("forward")
        site.settle()
        return site.check()


def idle_silent_link_is_found_by_the_watchdog():
    with Site() as site:
        site.build(field=False)
        wait(lambda: site.upstream_is("up"), 20, "the link is up")
        wait(lambda: site.to_send() == 0, 20, "nothing is left to send")
        site.link.tell("silent")
        wait(lambda: not site.upstream_is("up"), 6 + 6, "the idle link is found dead")


def newest(site, topic):
    found = None
    for a in site.arrivals():
        if a.topic == topic:
            found = json.loads(a.payload)
    return found


def requests(site, unit):
    for line in site.bus.tell("stats bus").splitlines():
        words = dict(word.split("=") for word in line.split() if "=" in word)
        if words.get("unit") == str(unit):
            return int(words["requests"])
    raise Failed("no such unit")


def dead_slave_does_not_slow_its_neighbour():
    with Site() as site:
        site.build()
        wait(lambda: newest(site, "plant/bus/b/readings"), 20, "b is read")
        site.bus.tell("fault bus 1 dead")
        wait(lambda: (newest(site, "plant/bus/a/readings") or {}).get("q") == "bad", 20, "a is published as bad")
        dead, neighbour = requests(site, 1), requests(site, 2)
        began = time.monotonic()
        wait(lambda: requests(site, 2) >= neighbour + 50, 30, "the neighbour goes on")
        took = time.monotonic() - began
        asked = requests(site, 1) - dead
        if asked > 5 + 5 * took:
            raise Failed(f"the dead slave was asked {asked} times in {took:.1f} s")
        bad = [a for a in site.arrivals() if a.topic == "plant/bus/a/readings" and '"bad"' in a.payload]
        if len(bad) != 1:
            raise Failed(f"published as bad {len(bad)} times: {[a.payload for a in bad][:4]}")
        site.bus.tell("fault bus 1 none")
        wait(lambda: newest(site, "plant/bus/a/readings")["q"] == "good", 20, "a is good again")
        site.check_readings()
        return f"50 readings of the neighbour took {took:.1f} s of 5 s; the dead one was asked {asked} times: {bad[0].payload}"


def replies_gone_wrong_never_become_values():
    """Late, damaged, foreign: nothing of it may be taken for a value, and the device must recover."""
    with Site() as site:
        site.build()
        wait(lambda: newest(site, "plant/bus/a/readings"), 20, "a is read")
        for fault in ("late arg=150 count=3", "late arg=250 count=2", "bad-crc count=3", "wrong-id count=3", "wrong-fc count=3",
                      "truncated arg=2 count=3", "noise arg=3 count=3", "short count=3", "exception arg=4 count=3"):
            site.bus.tell(f"fault bus * {fault}")
            before = requests(site, 1)
            wait(lambda: requests(site, 1) > before + 3, 30, f"a was asked under: {fault}")
            site.bus.tell("fault bus * none")
            last = newest(site, "plant/bus/a/readings").get("v") or 0
            wait(lambda: (newest(site, "plant/bus/a/readings").get("v") or 0) > last, 20, f"a recovers from: {fault}")
        for device in ("a", "b"):
            values = good_values(site.arrivals(), f"plant/bus/{device}/readings")
            if any(later <= earlier for earlier, later in zip(values, values[1:])):
                raise Failed(f"{device}: not ascending, so a reply was taken for another's: {values}")
        stats = site.bus.stats()
        if stats["t35_violations"]:
            raise Failed(f"silence was broken: {stats}")
        return f"{stats['requests']} requests, least silence {stats['least_silence_us']} us of {stats['t35_us']} us"


def vanished_port_is_bad_and_comes_back():
    with Site() as site:
        site.build()
        wait(lambda: newest(site, "plant/bus/a/readings"), 20, "a is read")
        files = len(os.listdir(f"/proc/{site.gateway.pid}/fd"))
        for _ in range(3):
            site.bus.tell("gone bus")
            wait(lambda: newest(site, "plant/bus/a/readings")["q"] == "bad", 20, "a is bad")
            site.bus.tell("back bus")
            wait(lambda: newest(site, "plant/bus/a/readings")["q"] == "good", 20, "a is good again")
        if len(os.listdir(f"/proc/{site.gateway.pid}/fd")) > files:
            raise Failed("descriptors were leaked")


def sigterm_drains_and_says_goodbye():
    with Site() as site:
        site.build(field=False, stop_timeout="20s")
        site.load(rate=0, count=3000)
        wait(lambda: site.acked() == 12000, 60, "12000 are acknowledged")
        wait(lambda: site.upstream_is("up"), 60, "the link is up, so there is something to drain into")
        began = time.monotonic()
        status = site.gateway.stop(25)
        took = time.monotonic() - began
        if status != 0:
            raise Failed(f"exit status {status}")
        said = site.check()
        goodbye = read_lines(site.journal(), "E")
        if goodbye[-1][2] != "goodbye":
            raise Failed(f"the upstream saw {goodbye[-1]}")
        last = [a for a in site.arrivals() if a.topic == "plant/weir/status"][-1]
        if "offline" not in last.payload:
            raise Failed(f"last status: {last.payload}")
        return f"stopped in {took:.1f} s; {last.payload}; {said}"


def sigterm_without_a_link_ends_in_time_and_keeps_everything():
    with Site() as site:
        site.build(field=False, broken="silent", stop_timeout="2s")
        load = site.load(rate=200)
        wait(lambda: site.acked() > 500, 30, "some are acknowledged")
        if site.gateway.stop(15) != 0:
            raise Failed("it did not end well")
        site.link.tell("forward")
        site.restart()
        wait(lambda: load.stats()["connected"] == 4, 20, "publishers are back")
        site.settle()
        return site.check()


def broker_that_stands_still_is_not_called_alive():
    """systemd would start weir anew; here nobody does, and the thread comes back."""
    with Site() as site, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(site.dir / "systemd"))
        systemd.settimeout(30)
        site.build(field=False, wrap=["env", f"NOTIFY_SOCKET={site.dir}/systemd", "WATCHDOG_USEC=4000000"])
        said = lambda: systemd.recv(4096).decode()  # noqa: E731
        wait(lambda: said() == "WATCHDOG=1", 30, "it is alive")
        with stopped(thread(site.gateway.pid, "broker")):
            wait(lambda: "broker=stuck" in site.gateway.text(), 30, "it is seen")
            systemd.setblocking(False)
            while True:  # what was said before it was seen
                try:
                    said()
                except BlockingIOError:
                    break
            site.status()  # main turns all the while
            try:
                raise Failed(f"systemd was told {said()}")
            except BlockingIOError:
                pass
            systemd.settimeout(30)
        wait(lambda: said() == "WATCHDOG=1", 30, "it is alive again")


def thread(pid, name):
    found = [int(task.name) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
             if (task / "comm").read_text().strip() == name]
    if len(found) != 1:
        raise Failed(f"threads called {name}: {found}")
    return found[0]


@contextlib.contextmanager
def stopped(task):
    """One thread of another process, held by ptrace(2)."""
    seize, interrupt, detach = 0x4206, 0x4207, 17
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(seize, task, None, None) < 0:
        raise Skipped(f"no ptrace here: {os.strerror(ctypes.get_errno())}")
    libc.ptrace(interrupt, task, None, None)
    os.waitpid(task, 0x40000000)  # __WALL: threads are waited for, too
    try:
        yield
    finally:
        libc.ptrace(detach, task, None, None)


def sighup_changes_what_changed_and_nothing_else():
    with Site() as site:
        site.build()
        load = site.load(rate=100)
        wait(lambda: newest(site, "plant/bus/a/readings"), 20, "a is read")
        site.configure(bridge='rate: 100000\n    window: 77')
        field = site.values["field"].replace("readings: {holding: 0, type: uint32}",
                                             "readings: {holding: 0, type: uint32}, unit-id: {holding: 7, type: uint16}", 1)
        site.configure(field=field)
        site.gateway.signal(signal.SIGHUP)
        wait(lambda: good_values(site.arrivals(), "plant/bus/a/unit-id"), 20, "the new point is read")
        if good_values(site.arrivals(), "plant/bus/a/unit-id")[0] != 1:
            raise Failed("the new point has a wrong value")
        bad = site.values["field"].replace("baud: 115200", "baud: fast")
        mark = len(site.gateway.text())
        site.configure(field=bad)
        site.gateway.signal(signal.SIGHUP)
        wait(lambda: "baud" in site.gateway.text(mark), 20, "the mistake is reported")
        before = requests(site, 1)
        wait(lambda: requests(site, 1) > before + 3, 20, "polling goes on with what was good")
        site.configure(field=field)
        site.settle()
        stats = load.stats()
        if stats["connects"] != 4:
            raise Failed(f"local clients noticed: {stats}")
        site.check_readings()
        return site.check()


def sighup_leaves_the_store_where_it_is():
    with Site() as site:
        site.build(field=False)
        site.load(rate=100)
        wait(lambda: site.acked() > 100, 30, "some are acknowledged")
        mark = len(site.gateway.text())
        site.configure(bridge="rate: 100000", data=site.dir / "elsewhere")
        site.gateway.signal(signal.SIGHUP)
        wait(lambda: "reload=done" in site.gateway.text(mark), 20, "it is read again")
        if "reload=partial" not in site.gateway.text(mark):
            raise Failed("nobody was told that the store stays")
        site.settle()
        return site.check()


def on_small_disk(site, store):
    """A gateway whose store is on a file system of 24 MB of its own; where that can be filled."""
    inside = "mount -t tmpfs -o size=24m none \"$0\" && exec \"$@\""
    if subprocess.run(["unshare", "-Urm", "true"], check=False, capture_output=True).returncode != 0:
        raise Skipped("no user and mount namespaces here")
    site.build(field=False, store=store, wrap=["unshare", "-Urm", "sh", "-c", inside, site.dir / "data"])
    return pathlib.Path(f"/proc/{site.gateway.pid}/root{site.data}/fill")


def full_disk_is_not_even_noticed_by_a_preallocated_queue():
    with Site() as site:
        filler = on_small_disk(site, "max_bytes: 12MiB")
        load = site.load(rate=300)
        wait(lambda: site.received() > 100, 30, "messages arrive")
        site.link.tell("silent")
        fill(filler)
        before = load.stats()["acked"]
        wait(lambda: load.stats()["acked"] > before + 2000, 30, lambda: f"still served: {load.stats()}\n{site.status()}")
        site.link.tell("forward")
        site.settle()
        return site.check()


def full_disk_acknowledges_nothing_and_recovers():
    with Site() as site:
        filler = on_small_disk(site, "max_bytes: 12MiB\n  preallocate: false")
        load = site.load(rate=300)
        wait(lambda: site.received() > 100, 30, "messages arrive")
        site.link.tell("silent")
        fill(filler)
        wait(lambda: stuck(load), 60, lambda: f"a full disk stops acknowledgements: {load.stats()}\n{site.status()}")
        second = SECOND.format(port=site.up.port)
        # A cursor may still find room in what the log has already: what counts is that an answer comes.
        reload(site, "reload=(refused|done)", more=second)
        reload(site, "reload=(refused|done)", more="", stop_timeout="11s")
        filler.unlink()
        before = load.stats()["acked"]
        wait(lambda: load.stats()["acked"] > before + 200, 30, lambda: f"served again: {load.stats()}\n{site.status()}")
        site.link.tell("forward")
        site.settle()
        reload(site, "reload=done .*upstreams=2 .*all is as the file says", more=second)
        return site.check()


def reload(site, said, **values):
    """The gateway reads the file again and says so, in time: its main thread waits for no disk."""
    mark = len(site.gateway.text())
    site.configure(**values)
    site.gateway.signal(signal.SIGHUP)
    wait(lambda: re.search(said, site.gateway.text(mark)), 20, lambda: f"{said}: {site.gateway.tail()}")


def fill(path):
    with open(path, "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"\0" * 65536)
        except OSError:
            pass


def stuck(load):
    """Nothing acknowledged for a second, though publishers wait or are refused."""
    before = load.stats()
    time.sleep(1)
    after = load.stats()
    return before["acked"] == after["acked"] and (after["waiting"] > 0 or after["refused"] > before["refused"])


if __name__ == "__main__":
    sys.exit(run([silent_link_is_found_by_the_watchdog, idle_silent_link_is_found_by_the_watchdog,
                  dead_slave_does_not_slow_its_neighbour, replies_gone_wrong_never_become_values,
                  vanished_port_is_bad_and_comes_back, sigterm_drains_and_says_goodbye,
                  sigterm_without_a_link_ends_in_time_and_keeps_everything,
                  broker_that_stands_still_is_not_called_alive, sighup_changes_what_changed_and_nothing_else, sighup_leaves_the_store_where_it_is,
                  full_disk_is_not_even_noticed_by_a_preallocated_queue, full_disk_acknowledges_nothing_and_recovers]))
