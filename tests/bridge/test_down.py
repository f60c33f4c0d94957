#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""From the cloud to a client on site, through the whole gateway: exactly once at QoS 2, none lost at QoS 1, over kill -9
of the gateway and of the bridge's process; counted by a client with a session that is kept, whose own end never dies."""
import os
import random
import signal
import sys
import threading
import time
import traceback

import paho.mqtt.client as mqtt

from rig import SITE, Joined, children, until

CONFIG = """\
site: {site}
control: {dir}/control
store: {{dir: {dir}/data, preallocate: false, durability: process}}
broker: {{listeners: [{{bind: "127.0.0.1:{port}"}}]}}
upstreams:
  cloud:
    address: mqtt://127.0.0.1:{cloud}
    version: {version}
    backoff: 50ms
    backoff_max: 100ms
    rules: [{{in: "down/#", qos: 2, prefix: "local/"}}]
"""


class Gateway(Joined):
    def __init__(self, version):
        super().__init__("down", CONFIG, version=version)
        self.got = []
        self.start()
        until("it listens", self.listens, 60)
        self.local, self.publisher = self.subscriber(), mqtt.Client(client_id="operator", protocol=mqtt.MQTTv5)
        self.publisher.max_inflight_messages_set(1000)
        self.publisher.connect("127.0.0.1", self.cloud.port)
        self.publisher.loop_start()
        until("the link is up, and has subscribed", self.link_is_up, 60)

    def subscriber(self):
        """QoS 2 on this side too: what it was given twice it would show twice."""
        ready = threading.Event()
        c = mqtt.Client(client_id="hmi", clean_session=False, protocol=mqtt.MQTTv311)
        c.on_message = lambda _c, _d, m: self.got.append(m.payload.decode())
        c.on_connect = lambda c, _d, flags, _rc: None if flags["session present"] else c.subscribe("local/#", 2)
        c.on_subscribe = lambda *_: ready.set()
        c.reconnect_delay_set(1, 1)
        c.connect("127.0.0.1", self.port)
        c.loop_start()
        assert ready.wait(20)
        return c

    def link_is_up(self):
        self.publisher.publish("down/probe", "probe", 1)
        time.sleep(0.05)
        return "probe" in self.got

    def publish(self, first, count, qos, pace=0.0):
        for n in range(first, first + count):
            self.publisher.publish(f"down/{n % 3}", f"{n}", qos)
            time.sleep(pace)

    def numbers(self):
        return [int(p) for p in self.got if p.isdigit()]

    def child(self):
        return next(iter(children(self.process.pid)), None)

    def kill(self):
        super().kill()
        self.start()

    def expect(self, count, once=True):
        until(f"{count} have arrived", lambda: len(set(self.numbers())) >= count, 60)
        self.publisher.publish("down/end", "end", 1)
        until("and nothing is behind them", lambda: "end" in self.got, 30)
        got = self.numbers()
        firsts = list(dict.fromkeys(got))
        assert sorted(firsts) == list(range(count)), "lost"
        assert not once or len(got) == count, f"twice: {sorted(n for n in set(got) if got.count(n) > 1)}"
        for lane in range(3):
            mine = [n for n in firsts if n % 3 == lane]
            assert mine == sorted(mine), "out of order"

    def end(self):
        for c in (self.local, self.publisher):
            c.disconnect()
            c.loop_stop()
        return super().end()


def in_background(work):
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def killed_many_times(g, qos, kills=10, count=600):
    dice = random.Random(int(os.environ.get("WEIR_SEED", time.time_ns())))
    thread = in_background(lambda: g.publish(0, count, qos, 0.005))
    for _ in range(int(os.environ.get("WEIR_KILLS", kills))):
        before = len(g.got)
        until("something arrives", lambda: len(g.got) > before or not thread.is_alive(), 60)
        time.sleep(dice.uniform(0, 0.05))
        g.kill()
    thread.join(60)


def killed_many_times_each_arrives_once(g):
    killed_many_times(g, 2)
    g.expect(600)


def with_3_1_1_too(g):
    killed_many_times(g, 2)
    g.expect(600)


def at_qos_1_killed_many_times_none_is_lost(g):
    killed_many_times(g, 1)
    g.expect(600, once=False)


def its_process_killed_alone_each_arrives_once(g):
    dice = random.Random(int(os.environ.get("WEIR_SEED", time.time_ns())))
    thread = in_background(lambda: g.publish(0, 600, 2, 0.005))
    for _ in range(5):
        before = len(g.got)
        until("something arrives", lambda: len(g.got) > before or not thread.is_alive(), 60)
        time.sleep(dice.uniform(0, 0.1))
        pid = g.child()
        if pid:
            os.kill(pid, signal.SIGKILL)
    thread.join(60)
    g.expect(600)


def ids_of_a_lost_session_mean_nothing_in_the_next(g):
    """The upstream begins a session anew, with the same packet ids for other messages: none of them is taken for known."""
    g.publish(0, 50, 2)
    until("all of them", lambda: len(g.numbers()) == 50, 30)
    g.process.send_signal(signal.SIGSTOP)  # what is on its way now is not released
    child = g.child()
    os.kill(child, signal.SIGSTOP)
    thief, stolen = mqtt.Client(client_id=SITE, protocol=mqtt.MQTTv5), threading.Event()
    thief.on_connect = lambda *_: stolen.set()
    thief.connect("127.0.0.1", g.cloud.port, clean_start=True)
    thief.loop_start()
    assert stolen.wait(20)
    thief.disconnect()
    thief.loop_stop()
    os.kill(child, signal.SIGCONT)
    g.process.send_signal(signal.SIGCONT)
    g.got.remove("probe")
    while "probe" in g.got:
        g.got.remove("probe")
    until("it is back", g.link_is_up, 30)
    g.publish(50, 100, 2)
    g.expect(150)


CASES = {
    killed_many_times_each_arrives_once: 5,
    with_3_1_1_too: "3.1.1",
    at_qos_1_killed_many_times_none_is_lost: 5,
    its_process_killed_alone_each_arrives_once: 5,
    ids_of_a_lost_session_mean_nothing_in_the_next: 5,
}


def main():
    wanted, failed = sys.argv[1:], 0
    for case, version in CASES.items():
        if wanted and case.__name__ not in wanted:
            continue
        began, g = time.monotonic(), Gateway(version)
        try:
            case(g)
            print(f"ok   {case.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception:
            failed += 1
            traceback.print_exc()
            print(f"FAIL {case.__name__}: {len(g.numbers())} arrived\n{g.text()[-3000:]}", flush=True)
        finally:
            failed += g.end() != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
