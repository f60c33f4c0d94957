#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What an upstream may do: refuse, choke on a message, be several, send commands."""

import json
import socket
import sys

import site_room
from site_room import Site
import mqttwire
from harness import Failed, read_arrivals, run, unescape, wait

OTHER = """\
  other:
    address: ["mqtt://127.0.0.1:{port}"]
    client_id: plant-other
    keep_alive: 4s
    connect_timeout: 2s
    rules:
      - {{out: "load/#", qos: 1}}
  nowhere:
    address: ["mqtt://no-such-host.invalid:1883"]
    client_id: plant-nowhere
    rules:
      - {{out: "load/#", qos: 1}}
"""


def quarantined(site):
    """The records in quarantine, as weir keeps them."""
    found = []
    for path in sorted(site.data.glob("quarantine-cloud.jsonl*")):
        found += [json.loads(line) for line in path.read_text().splitlines()]
    return found


def split(site, kept):
    """The account without those records: what is in quarantine is not lost."""
    account = site.account()
    lost = set(account.lost) - kept
    # Those that were in flight with a record when it was refused may arrive before it; nothing sent later may.
    again = {(words[3], json.loads(unescape(words[4]))["n"]) for words in refusals(site)}
    account.reordered = [late for late in account.reordered if late[:2] not in again]
    if lost or account.unmarked or account.reordered:
        raise Failed(f"{account}; not in quarantine either: {sorted(lost)[:10]}")
    return account


def keys_of(records):
    keys = set()
    for record in records:
        body = json.loads(record["payload"]) if isinstance(record["payload"], str) else record["payload"]
        keys.add((body["p"], body["n"]))
    return keys


def message_too_large_for_the_upstream_blocks_nothing():
    with Site() as site:
        site.build(field=False, broken="refuse")
        site.up.tell("max-packet 2000")
        site.load(rate=100)
        site.load(rate=20, size=6000)
        wait(lambda: site.loads[1].stats()["acked"] > 20, 20, "some are too large")
        site.link.tell("forward")
        at = site.received()
        wait(lambda: site.received() > at + 200, 30, lambda: f"the others go on\n{site.status()}")
        site.settle()
        kept = keys_of(quarantined(site))
        large = {key for key in site.account().acknowledged if key[0] > 100}
        if not large or kept != large:
            raise Failed(f"{len(large)} too large, {len(kept)} in quarantine; only there: {sorted(kept - large)[:5]}, "
                         f"only here: {sorted(large - kept)[:5]}")
        return f"{split(site, kept)}; {len(kept)} in quarantine"


def refusal_for_good_is_quarantined_and_a_passing_one_is_not():
    with Site() as site:
        site.build(field=False)
        site.load(rate=100)
        wait(lambda: site.received() > 50, 30, "messages arrive")
        site.up.tell("puback 0x97 load/2/#")  # quota exceeded: later
        wait(lambda: any("load/2/" in words[3] for words in refusals(site)), 30, "one was refused with quota exceeded")
        site.up.tell("accept", "puback 0x87 load/1/#")  # not authorized: never
        wait(lambda: quarantined(site), 30, lambda: f"one is in quarantine\n{site.status()}")
        site.up.tell("accept")
        site.settle()
        kept = keys_of(quarantined(site))
        if {publisher for publisher, _ in kept} != {1}:
            raise Failed(f"in quarantine: {sorted(kept)[:10]}")
        return f"{split(site, kept)}; {len(kept)} in quarantine"


def refusals(site):
    with open(site.journal(), encoding="utf-8") as f:
        return [line.rstrip("\n").split("\t")[1:] for line in f if line.startswith("N\t")]


def dead_upstreams_leave_another_alone():
    with Site() as site:
        second = site.cloud(name="second")
        site.build(field=False, more=OTHER.format(port=second.port), broken="silent")
        load = site.load(rate=100)
        wait(lambda: load.stats()["acked"] > 1000, 40, "a thousand are acknowledged")
        wait(lambda: second.stats()["messages"] >= load.stats()["acked"] - 200, 20,
             lambda: f"the living upstream keeps up: {second.stats()}, {load.stats()}\n{site.status()}")
        site.link.tell("forward")
        load.tell("stop")
        wait(lambda: load.stats()["waiting"] == 0, 20, "all is acknowledged")
        wait(lambda: site.account().lost == [], 40, "the first has caught up")
        said = site.check()
        other = site_room.harness.Account("load/").publishers(load.journal).against(read_arrivals(second.journal))
        other.check()
        return f"first: {said}; second: {other}"


def commands_from_the_cloud_reach_the_site():
    """At QoS 1 with a link that breaks: nothing that the cloud was acknowledged for is lost on its way down."""
    with Site() as site:
        site.build(field=False, more='      - {in: "plant/cmd/#", qos: 1}')
        below = site.recorder(site.broker, name="hmi", topic="plant/cmd/#", qos=1, mqtt=5)
        wait(lambda: site.upstream_is("up"), 20, "the link is up")
        for number in range(60):
            site.up.tell(f"publish 1 0 plant/cmd/{number % 3} {{\"p\":9,\"n\":{number}}}")
            if number % 13 == 7:
                site.link.tell("reset")
        wait(lambda: len({a.payload for a in read_arrivals(below.journal)}) == 60, 30,
             lambda: f"all came down: {below.stats()}\n{site.status()}")
        newest, again = {}, 0
        for a in read_arrivals(below.journal):
            n = json.loads(unescape(a.payload))["n"]
            again += n in newest.values() or n < newest.get(a.topic, -1)
            newest[a.topic] = max(n, newest.get(a.topic, -1))
        return f"60 commands, {again} again"


def stop_waits_for_what_is_not_in_the_log_yet():
    """A record may wait two seconds for others to share its flush: a stop before that sends it all the same."""
    with Site() as site:
        site.build(field=False, store="max_bytes: 256MiB\n  commit_ms: 2000")
        below = site.recorder(site.broker, name="hmi", topic="load/#", mqtt=5)
        wait(lambda: site.upstream_is("up"), 20, "the link is up")
        with socket.create_connection(("127.0.0.1", site.broker), 5) as client:
            client.sendall(mqttwire.connect(4, "hasty") + b"".join(mqttwire.publish(4, f"load/{n}", b"{}") for n in range(20)))
            wait(lambda: below.stats()["received"] == 20, 20, "the site has them")
            site.gateway.stop()
        there = [a.topic for a in site.arrivals() if a.topic.startswith("load/")]
        if len(there) != 20:
            raise Failed(f"{len(there)} of 20 in the cloud after the stop")


if __name__ == "__main__":
    sys.exit(run([message_too_large_for_the_upstream_blocks_nothing,
                  refusal_for_good_is_quarantined_and_a_passing_one_is_not, dead_upstreams_leave_another_alone,
                  commands_from_the_cloud_reach_the_site, stop_waits_for_what_is_not_in_the_log_yet]))
