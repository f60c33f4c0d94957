#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Reloads at random, right ones and mistakes, under load: the gateway is what the file says after each of them, who is not
concerned notices nothing, and nothing is lost. WEIR_SEED sets what is changed, WEIR_RELOADS how often."""

import collections
import copy
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from harness import Account, Failed, Room, build_dir, free_port, listens, read_arrivals, run, wait

SEED = int(os.environ.get("WEIR_SEED", "20261121"))
RELOADS = int(os.environ.get("WEIR_RELOADS", "50"))
EVENTS, SPARE = "anon_inode:[eventfd]", 10


def point(rng):
    return {"signal": rng.choice(("sine", "walk", "counter", "square")), "high": rng.randrange(1, 1000)}


class Plant(Room):
    """A gateway whose configuration is a tree of Python's, written as JSON, which is YAML as well."""

    def begin(self):
        self.up = self.cloud()
        self.port, self.second = free_port(), free_port()
        self.socket, self.data = self.dir / "weir.sock", self.dir / "data"
        self.data.mkdir()
        self.tree = {
            "site": "plant", "control": str(self.socket), "stop_timeout": "5s",
            "lines": {"steady": {"driver": "sim"}, "l0": {"driver": "sim"}},
            "devices": {"steady": {"line": "steady", "every": "50ms", "points": {"p": {"signal": "counter", "high": 1000000}}},
                        "d0": {"line": "l0", "every": "100ms", "points": {"p0": {"signal": "sine"}}}},
            "broker": {"listeners": [{"bind": f"127.0.0.1:{self.port}"}], "state_bytes": "4MiB"},
            "store": {"dir": str(self.data), "max_bytes": "64MiB"},
            "upstreams": {"cloud": {"address": [f"mqtt://127.0.0.1:{self.up.port}"], "client_id": "plant", "backoff": "100ms",
                                    "backoff_max": "500ms", "rules": [{"out": "plant/#", "qos": 1}, {"out": "load/#", "qos": 1}]}}}
        self.gateway = self.weir(json.dumps(self.tree))
        self.load = self.publishers(self.port, publishers=4, qos=12, rate=50, window=20, mqtt=5, topics=3, first=1)
        self.watch = self.recorder(self.port, topic="plant/steady/#", qos=1, mqtt=5)

    def ask(self, verb):
        return subprocess.run([build_dir() / "gateway/weir", verb, "--socket", self.socket], capture_output=True, text=True,
                              timeout=30, check=False)

    def reload(self, tree):
        """What `weir reload` says of this configuration."""
        self.gateway.config.write_text(json.dumps(tree))
        return self.ask("reload")

    def topics(self):
        return {line.split()[0] for line in self.ask("points").stdout.splitlines()}

    def parts(self):
        """Names of the lines, devices and upstreams in `weir status`."""
        said = [line.split()[:2] for line in self.ask("status").stdout.splitlines()]
        return {tuple(words) for words in said if words and words[0] in ("line", "device", "upstream")}

    def held(self):
        """Descriptors by kind, and numbers of threads and processes."""
        pid, kinds = self.gateway.pid, collections.Counter()
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                kinds[re.sub(r":?\[\d+\]$", "", os.readlink(f"/proc/{pid}/fd/{fd}"))] += 1
            except OSError:
                continue
        return {**kinds, "threads": len(os.listdir(f"/proc/{pid}/task")), "processes": len(self.gateway.descendants())}

    def holds_no_more_than(self, before):
        """What the store keeps for a line that is gone is used for another, so there are as many of those as there were
        lines at once, the old beside the new."""
        now = self.held()
        spare = now.pop(EVENTS, 0) - before[EVENTS]
        return spare <= SPARE and now == {k: n for k, n in before.items() if k != EVENTS}


# --- what may be changed: each takes the tree, and leaves it right --------------------------------------------------


def change_line(rng, tree, _):
    name = f"l{rng.randrange(4)}"
    if tree["lines"].pop(name, None):
        tree["devices"] = {n: d for n, d in tree["devices"].items() if d["line"] != name}
    else:
        tree["lines"][name] = {"driver": "sim"}
        tree["devices"][f"d{name[1:]}"] = {"line": name, "every": f"{rng.randrange(50, 500)}ms", "points": {"p0": point(rng)}}


def change_device(rng, tree, _):
    names = [n for n in tree["devices"] if n != "steady"]
    if not names:
        return
    device = tree["devices"][rng.choice(names)]
    what = rng.randrange(4)
    if what == 0:
        device["every"] = f"{rng.randrange(20, 500)}ms"
    elif what == 1:
        device["payload"] = rng.choice(("json", "value"))
    elif what == 2:
        device["topic"] = rng.choice(("{site}/{line}/{device}/{point}", "{site}/other/{device}/{point}"))
    else:
        device["points"] = {f"p{n}": point(rng) for n in range(rng.randrange(1, 5))}


def change_listener(rng, tree, plant):
    listeners = tree["broker"]["listeners"]
    if len(listeners) > 1 and rng.random() < 0.5:
        del listeners[1:]
        return
    more = rng.choice(({}, {"protocol": "websocket"}, {"max_connections": rng.randrange(1, 9)}, {"mount_point": "below"}))
    listeners[1:] = [{"bind": f"127.0.0.1:{plant.second}", **more}]


def change_limits(rng, tree, _):
    tree["broker"].update(rng.choice((
        {"max_inflight": rng.randrange(50, 1000)}, {"max_queued_messages": rng.randrange(1000, 100000)},
        {"receive_maximum": rng.randrange(50, 1000)}, {"sys_interval": f"{rng.randrange(5)}s"},
        {"max_packet_size": f"{rng.randrange(1, 9)}MiB"}, {"max_sessions": rng.randrange(100, 1000)})))


def change_rights(rng, tree, _):
    if tree["broker"].pop("acl", None) is None:
        tree["broker"]["acl"] = [{"allow": "all", "topic": "#"}, {"deny": "write", "user": "nobody", "topic": f"t{rng.random()}"}]


def change_upstream(rng, tree, _):
    tree["upstreams"]["cloud"].update(rng.choice(({"window": rng.randrange(10, 500)}, {"keep_alive": f"{rng.randrange(5, 60)}s"},
                                                  {"max_packet": f"{rng.randrange(64, 512)}KiB"})))


def change_upstreams(_, tree, __):
    if tree["upstreams"].pop("dead", None) is None:
        tree["upstreams"]["dead"] = {"address": ["mqtt://127.0.0.1:1"], "client_id": "dead", "rules": [{"out": "plant/#"}]}


def change_main(rng, tree, _):
    tree.update(rng.choice(({"command_expiry": f"{rng.randrange(1, 60)}s"}, {"stop_timeout": f"{rng.randrange(2, 9)}s"})))


RIGHT = (change_line, change_line, change_device, change_device, change_device, change_listener, change_limits, change_rights,
         change_upstream, change_upstreams, change_main)
WRONG = (lambda t: t["devices"]["steady"].update(every="soon"), lambda t: t["lines"].update(x={"driver": "none"}),
         lambda t: t["devices"].update(y={"line": "nowhere", "points": {}}), lambda t: t.pop("site"),
         lambda t: t["broker"]["listeners"].append(dict(t["broker"]["listeners"][0])),
         lambda t: t["upstreams"]["cloud"].pop("address"), lambda t: t["broker"].update(max_inflight=0))


# --- what must be so after it ------------------------------------------------------------------------------------------


def expected_topics(tree):
    return {d.get("topic", "{site}/{line}/{device}/{point}").format(site="plant", line=d["line"], device=name, point=p)
            for name, d in tree["devices"].items() for p in d["points"]}


def expected_parts(tree):
    return {(kind, name) for kind, key in (("line", "lines"), ("device", "devices"), ("upstream", "upstreams")) for name in tree[key]}


def expect(plant, tree, what):
    wait(lambda: plant.parts() == expected_parts(tree), 20,
         lambda: f"{what}: status shows {plant.parts()}, not {expected_parts(tree)}")
    wait(lambda: plant.topics() == expected_topics(tree), 20,
         lambda: f"{what}: points are {plant.topics()}, not {expected_topics(tree)}")
    there = len(tree["broker"]["listeners"]) > 1
    wait(lambda: listens(plant.second) == there, 20, lambda: f"{what}: the second listener is{' not' if there else ''} there")


def apply(plant, rng, tree):
    """One reload; the tree that is in force then."""
    fresh = copy.deepcopy(tree)
    changes = [rng.choice(RIGHT) for _ in range(rng.choice((1, 1, 2, 4)))]
    for change in changes:
        change(rng, fresh, plant)
    mistake = rng.random() < 0.2
    for _ in range(rng.choice((0, 0, 0, 3))):
        plant.gateway.signal(signal.SIGHUP)  # of the file as it was: nothing changes
    if mistake:
        rng.choice(WRONG)(fresh)
    said = plant.reload(fresh)
    what = f"{[c.__name__ for c in changes]}{' and a mistake' if mistake else ''}: {said.stdout}{said.stderr}"
    if (said.returncode != 0) != mistake:
        raise Failed(f"{what} ended with {said.returncode}: {json.dumps(fresh)}")
    now = tree if mistake else fresh
    expect(plant, now, what)
    return now


def settled(plant):
    """The figures of what is held, once they are twice the same."""
    last = []

    def same():
        last.append(plant.held())
        return len(last) > 5 and all(one == last[-1] for one in last[-5:])
    wait(same, 20, lambda: f"what is held settles: {last[-5:]}")
    return last[-1]


def random_reloads_lose_nothing_and_do_what_the_file_says():
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    with Plant() as plant:
        plant.begin()
        expect(plant, plant.tree, "at the start")
        wait(lambda: plant.load.stats()["acked"] > 50 and plant.up.stats()["messages"] > 50, 20, "messages flow")
        plant.reload(plant.tree)
        before, pid, tree = settled(plant), plant.gateway.pid, plant.tree
        for _ in range(RELOADS):
            tree = apply(plant, rng, tree)
        plant.reload(plant.tree)
        expect(plant, plant.tree, "back at the start")
        wait(lambda: plant.holds_no_more_than(before), 20, lambda: f"nothing more is held: {before} before, {plant.held()} now")
        check_flow(plant)
        if plant.gateway.pid != pid or "line=steady state=stopping" in plant.gateway.text():
            raise Failed("what did not change was started anew")
        return check_account(plant)


def check_flow(plant):
    """Clients that were there from the start are, and the steady line has gone on."""
    for program, connects in ((plant.load, 4), (plant.watch, 1)):
        stats = program.stats()
        if stats["connects"] != connects:
            raise Failed(f"{program.name} was thrown out: {stats}")
    at = plant.watch.stats()["received"]
    wait(lambda: plant.watch.stats()["received"] > at + 10, 20, "the steady line is read on")


def check_account(plant):
    plant.load.tell("stop")
    wait(lambda: plant.load.stats()["waiting"] == 0, 30, lambda: f"all is acknowledged: {plant.load.stats()}")
    account = Account("load/", once=lambda p: p % 2 == 0).publishers(plant.load.journal)
    wait(lambda: not Account("load/").publishers(plant.load.journal).against(read_arrivals(plant.up.journal)).lost, 30,
         "all has arrived")
    account.against(read_arrivals(plant.up.journal)).check()
    if plant.gateway.stop() != 0:
        raise Failed(f"it ended with {plant.gateway.process.returncode}")
    return f"{RELOADS} reloads; {account}"


if __name__ == "__main__":
    run([random_reloads_lose_nothing_and_do_what_the_file_says])
