#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""QoS 2 upstream: exactly once, over kill -9 of the bridge's process, of main with it, and over links cut in the middle of
an exchange; counted by a subscriber of the upstream's own."""
import os
import pathlib
import random
import signal
import sys
import time

import paho.mqtt.client as mqtt

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import harness  # noqa: E402
from rig import SITE, Host, Mosquitto, Subscriber, account, run_cases, until  # noqa: E402

RULES = '[{out: "plant/#", qos: 2}]'
QUICK = "backoff: 50ms\nbackoff_max: 100ms\n"


def exactly_once(rig, count, seconds=60):
    rig.expect_all(count, seconds)
    a = account(rig.watch.records(), count)
    assert a["lost"] == 0 and a["duplicates"] == 0 and a["reordered"] == 0, a


def a_link_that_holds_brings_each_once(rig):
    host = rig.begin()
    host.tell("add 3000 100")
    exactly_once(rig, 3000)
    assert host.stop() == 0
    host = rig.begin()
    host.tell("add 10 100 plant/again")
    until("a second start", lambda: len(rig.watch.records()) == 3010 and host.acked() >= 3010)
    assert int(host.stats()["resent"]) == 0


def killed_with_main_many_times_each_arrives_once(rig):
    dice = random.Random(int(os.environ.get("WEIR_SEED", time.time_ns())))
    host = rig.begin()
    host.tell("add 4000 100")
    until("stored", lambda: host.stats())
    for _ in range(int(os.environ.get("WEIR_KILLS", 12))):
        until("it is up", host.ups, 30)
        time.sleep(dice.uniform(0, 0.08))  # somewhere in the exchange
        host.kill()
        rig.host = host = Host(rig.program, rig.dir, rig.options)
    until("all have arrived", lambda: len(rig.watch.records()) >= 4000, 60)
    host.tell("add 10 100 plant/last")  # numbered from 0 again, so counted apart
    until("and the cursor is behind them", lambda: host.acked() >= 4010, 30)
    until("the last ones", lambda: len([r for r in rig.watch.got if r[0] == "plant/last"]) >= 10)
    last = [r for r in rig.watch.got if r[0] == "plant/last"]
    a = account([r for r in rig.watch.records() if r[0] != "plant/last"], 4000)
    assert a["lost"] == 0 and a["duplicates"] == 0 and a["reordered"] == 0 and len(last) == 10, (a, len(last))


def killed_alone_each_arrives_once(rig):
    host = rig.begin()
    host.tell("add 4000 100")
    for kills in range(1, 4):
        before = host.acked()
        until("it moves on", lambda: host.acked() > before, 30)
        host.tell("kill")
        until("the end is told", lambda: len([l for l in host.said("state down") if "signal 9" in l]) >= kills)
    exactly_once(rig, 4000)


def a_session_that_the_upstream_lost_loses_nothing(rig):
    """Somebody else begins it anew: what was in flight is sent again, as anything else would be a loss."""
    host = rig.begin()
    host.tell("add 4000 100")
    until("it moves", lambda: host.acked() > 500)
    thief = mqtt.Client(client_id=SITE, protocol=mqtt.MQTTv5)
    thief.connect("127.0.0.1", rig.broker.port, clean_start=True)
    thief.loop_start()
    until("the link is down", lambda: host.said("state down"))
    thief.disconnect()
    thief.loop_stop()
    rig.expect_all(4000, 60)
    a = account(rig.watch.records(), 4000)
    assert a["lost"] == 0 and a["unmarked"] == 0, a


def with_3_1_1_too(rig):
    killed_alone_each_arrives_once(rig)


def cut_in_mid_exchange_each_arrives_once(rig):
    """PUBLISH, PUBREC, PUBREL and PUBCOMP are each torn off somewhere."""
    dice = random.Random(int(os.environ.get("WEIR_SEED", time.time_ns())))
    with harness.Room() as room:
        link = room.linkcut(rig.broker.port)
        rig.options = rig.options.replace(str(rig.broker.port), str(link.port))
        host = rig.begin()
        host.tell("add 4000 100")
        for _ in range(8):
            before = host.acked()
            until("it moves on", lambda: host.acked() > before, 30)
            link.tell("reset" if dice.random() < 0.3 else f"cut {dice.randint(1, 20000)}")
        exactly_once(rig, 4000)
        assert host.stop() == 0


def another_address_is_another_session(rig):
    """And what the first one still holds of ours must not swallow what is new when we come back to it."""
    other = Mosquitto(rig.dir)
    watch = Subscriber(other.port)
    rig.options = rig.options.replace("address: ", "address: [").replace("\nrules", f", mqtt://127.0.0.1:{other.port}]\nrules", 1)
    try:
        host = rig.begin()
        host.tell("add 2000 100")
        until("it moves", lambda: host.acked() > 200, 30)
        rig.broker.send(signal.SIGSTOP)
        until("it moves elsewhere", lambda: watch.records() and host.acked() > 600, 30)
        rig.broker.send(signal.SIGCONT)
        other.stop(signal.SIGKILL)
        until("it is back, and through", lambda: host.acked() >= 2000, 60)
        until("all arrived", lambda: len({r[1] for r in watch.records() + rig.watch.records()}) == 2000)
    finally:
        watch.close()
        other.stop()


CASES = {
    cut_in_mid_exchange_each_arrives_once: {"rules": RULES, "extra": QUICK + "rate: 1500\n"},
    another_address_is_another_session: {"rules": RULES, "extra": QUICK + "rate: 400\nack_timeout: 1s\nconnect_timeout: 1s\n"},
    a_session_that_the_upstream_lost_loses_nothing: {"rules": RULES, "extra": QUICK + "rate: 2000\n"},
    with_3_1_1_too: {"rules": RULES, "extra": QUICK + "version: 3.1.1\nrate: 1500\n"},
    a_link_that_holds_brings_each_once: {"rules": RULES},
    killed_with_main_many_times_each_arrives_once: {"rules": RULES, "extra": QUICK + "rate: 1500\n"},
    killed_alone_each_arrives_once: {"rules": RULES, "extra": QUICK + "rate: 1500\n"},
}

if __name__ == "__main__":
    sys.exit(run_cases(CASES))
