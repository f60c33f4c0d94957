#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What a message from the cloud keeps on its way to a client on site, through the whole gateway: how long it is good for,
whether it is retained, and the topic that a rule gives it; at each QoS, over MQTT 5 and 3.1.1."""
import sys
import threading
import time
import traceback

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from rig import Joined, until

LONG_S = 10000
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
    rules:
      - {{in: "q0/#", qos: 0, prefix: "local/"}}
      - {{in: "q1/#", qos: 1, prefix: "local/"}}
      - {{in: "q2/#", qos: 2, prefix: "local/"}}
      - {{in: "set/#", prefix: "local/", retain: set}}
      - {{in: "clear/#", prefix: "local/", retain: clear}}
      - {{in: "short/#", prefix: "local/", expiry: 5000s}}
      - {{in: "far/off/#", strip: "far/", prefix: "local/"}}
      - {{in: "from/+/to/#", topic: "local/{{1}}-{{#}}"}}
      - {{in: "plain/#"}}
"""


class Client:
    """(topic, payload, qos, retain, expiry in seconds or None), as it comes."""

    def __init__(self, port, name, filters=(), keep=False):
        self.got, self.ready = [], threading.Event()
        self.client = mqtt.Client(client_id=name, protocol=mqtt.MQTTv5)
        self.client.on_message = self.message
        self.client.on_connect = lambda c, *_: c.subscribe(
            [(f, mqtt.SubscribeOptions(qos=2, retainAsPublished=True)) for f in filters]) if filters else self.ready.set()
        self.client.on_subscribe = lambda *_: self.ready.set()
        props = Properties(PacketTypes.CONNECT)
        props.SessionExpiryInterval = 3600 if keep else 0
        self.client.connect("127.0.0.1", port, clean_start=not keep, properties=props)
        self.client.loop_start()
        assert self.ready.wait(20)

    def message(self, _client, _data, m):
        expiry = getattr(m.properties, "MessageExpiryInterval", None)
        self.got.append((m.topic, m.payload.decode(), m.qos, m.retain, expiry))

    def publish(self, topic, payload, qos=1, retain=False, expiry_s=None):
        props = Properties(PacketTypes.PUBLISH)
        if expiry_s is not None:
            props.MessageExpiryInterval = expiry_s
        self.client.publish(topic, payload, qos, retain, props).wait_for_publish(20)

    def of(self, topic):
        return [g for g in self.got if g[0] == topic]

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class Site(Joined):
    def __init__(self, version):
        super().__init__("terms", CONFIG, version=version)
        self.v5 = version == 5
        self.operator = Client(self.cloud.port, "operator")
        self.looks = 0
        self.start()
        self.hmi = Client(self.port, "hmi", ["local/#", "plain/#"])
        self.probe()

    def start(self):
        super().start()
        until("it listens", self.listens, 60)

    def probe(self):
        """The link is up and has subscribed: something came down."""
        def came():
            self.operator.publish("plain/probe", "x")
            return len(self.hmi.of("plain/probe")) > 0
        until("the link is up", came, 60)

    def arrived(self, topic, count=1):
        until(f"{topic} has arrived", lambda: len(self.hmi.of(topic)) >= count, 30)
        return self.hmi.of(topic)[-1]

    def retained(self, port, topic):
        """What a client that comes now is given of that topic."""
        self.looks += 1
        late = Client(port, f"late{self.looks}", [topic, f"{topic}/look"])
        late.publish(f"{topic}/look", "x", 2)  # one of QoS 1 would overtake a retained one of QoS 2
        until("what is retained has gone by", lambda: late.of(f"{topic}/look"), 20)
        late.close()
        return late.of(topic)[:1]

    def end(self):
        for c in (self.hmi, self.operator):
            c.close()
        return super().end()


def each_arrives_at_its_qos_under_its_new_topic(s):
    for qos in range(3):
        s.operator.publish(f"q{qos}/a/b", f"{qos}", 2)
        assert s.arrived(f"local/q{qos}/a/b")[1:4] == (f"{qos}", qos, False), s.hmi.got
    s.operator.publish("far/off/x", "stripped")
    assert s.arrived("local/off/x")[1] == "stripped"
    s.operator.publish("from/boiler/to/a/b", "written anew")
    assert s.arrived("local/boiler-a/b")[1] == "written anew"
    s.operator.publish("plain/as/it/is", "as it is")
    assert s.arrived("plain/as/it/is")[1] == "as it is"
    assert not [g for g in s.hmi.got if g[0].split("/")[0] not in ("local", "plain")], s.hmi.got


def retain_is_kept_set_or_cleared_as_the_rule_says(s):
    for qos in range(3):
        topic = f"q{qos}/r"
        s.operator.publish(topic, "stays", 2, True)
        # Of a live message a server says it with MQTT 5 where the subscription asks for it, and with 3.1.1 to a bridge.
        assert s.arrived(f"local/{topic}")[3], s.hmi.got
        assert s.retained(s.port, f"local/{topic}")[0][1] == "stays"
        s.operator.publish(topic, "", 2, True)
        s.arrived(f"local/{topic}", 2)
        assert s.retained(s.port, f"local/{topic}") == []
    s.operator.publish("set/r", "set", 1, False)
    assert s.arrived("local/set/r")[3]
    assert s.retained(s.port, "local/set/r")[0][1] == "set"
    s.operator.publish("clear/r", "cleared", 1, True)
    assert not s.arrived("local/clear/r")[3]
    assert s.retained(s.port, "local/clear/r") == []


def the_time_that_is_left_comes_with_it_and_runs_on_here(s):
    for qos in range(3):
        topic = f"q{qos}/e"
        s.operator.publish(topic, "good for long", 2, True, LONG_S)
        left = s.arrived(f"local/{topic}")[4]
        assert (0 < left <= LONG_S) if s.v5 else left is None, left
        s.operator.publish(f"{topic}/never", "good for ever", 2)
        assert s.arrived(f"local/{topic}/never")[4] is None
    if s.v5:
        until("it is counted down", lambda: s.retained(s.port, "local/q2/e")[0][4] < LONG_S, 30)
    s.operator.publish("short/e", "by the rule", 1)
    assert 0 < s.arrived("local/short/e")[4] <= 5000
    s.operator.publish("short/e", "the shorter of both", 1, False, 3000)
    assert 0 < s.arrived("local/short/e", 2)[4] <= (3000 if s.v5 else 5000)
    s.operator.publish("short/e", "the longer is cut", 1, False, LONG_S)
    assert 0 < s.arrived("local/short/e", 3)[4] <= 5000


def what_expired_for_a_client_that_was_away_is_not_delivered(s):
    """At QoS 0 nothing is kept for who is away."""
    away = Client(s.port, "away", ["local/q1/#", "local/q2/#"], True)
    away.close()
    for qos in (1, 2):
        s.operator.publish(f"q{qos}/x/brief", "gone", 2, False, 1)
        s.operator.publish(f"q{qos}/x/long", "there", 2, False, LONG_S)
    s.operator.publish("q2/x/mark", "mark", 2, True, 1)
    s.arrived("local/q2/x/mark")
    if s.v5:  # it came behind the others, so they have expired when it has
        until("they have expired", lambda: not s.retained(s.port, "local/q2/x/mark"), 30)
    back = Client(s.port, "away", ["local/q1/#", "local/q2/#"], True)
    until("what was kept for it came", lambda: len(back.of("local/q1/x/long") + back.of("local/q2/x/long")) == 2, 30)
    back.close()
    for qos in (1, 2):
        left = back.of(f"local/q{qos}/x/long")[0][4]
        assert (0 < left < LONG_S) if s.v5 else left is None, left
        assert len(back.of(f"local/q{qos}/x/brief")) == (0 if s.v5 else 1), back.got


def what_waited_in_the_cloud_comes_with_less_time_or_not_at_all(s):
    waiter = Client(s.port, "waiter", ["local/q1/w/#", "local/q2/w/#"], True)
    waiter.close()
    s.kill()
    for qos in (1, 2):
        s.operator.publish(f"q{qos}/w/brief", "gone", 2, False, 1)
        s.operator.publish(f"q{qos}/w/long", "there", 2, False, LONG_S)
    s.operator.publish("mark", "mark", 2, True, 2)
    until("they have expired", lambda: not s.retained(s.cloud.port, "mark"), 30)
    s.start()
    waiter = Client(s.port, "waiter", ["local/q1/w/#", "local/q2/w/#"], True)
    until("what is good still came", lambda: len(waiter.of("local/q1/w/long") + waiter.of("local/q2/w/long")) == 2, 60)
    waiter.close()
    for qos in (1, 2):
        left = waiter.of(f"local/q{qos}/w/long")[0][4]
        assert (0 < left < LONG_S) if s.v5 else left is None, left
        assert not waiter.of(f"local/q{qos}/w/brief"), waiter.got


CASES = [
    each_arrives_at_its_qos_under_its_new_topic,
    retain_is_kept_set_or_cleared_as_the_rule_says,
    the_time_that_is_left_comes_with_it_and_runs_on_here,
    what_expired_for_a_client_that_was_away_is_not_delivered,
    what_waited_in_the_cloud_comes_with_less_time_or_not_at_all,
]


def main():
    wanted, failed = sys.argv[1:], 0
    for version in (5, "3.1.1"):
        s = Site(version)
        for case in CASES:
            if wanted and case.__name__ not in wanted:
                continue
            began = time.monotonic()
            try:
                case(s)
                print(f"ok   {version} {case.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
            except Exception:
                failed += 1
                traceback.print_exc()
                print(f"FAIL {version} {case.__name__}\n{s.text()[-3000:]}", flush=True)
        failed += s.end() != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
