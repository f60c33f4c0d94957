#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Gateways that are bridged with each other, and with mosquitto's own bridge: what is published goes everywhere, and
round and round nowhere."""

import collections
import re
import subprocess
import sys
import threading

import site_room  # noqa: F401
import paho.mqtt.client as mqtt
from harness import Failed, Room, build_dir, free_port, run, wait

WEIR = """\
site: {name}
control: {dir}/{name}.sock
broker:
  listeners: [{{bind: "127.0.0.1:{port}"}}]
store: {{dir: {dir}/{name}, max_bytes: 16MiB}}
upstreams:
{upstreams}
"""

UPSTREAM = """\
  {name}:
    address: mqtt://127.0.0.1:{port}
    client_id: {me}-to-{name}
    version: {version}
    status: ""
    backoff: 100ms
    backoff_max: 500ms
    {more}
    rules: [{{{way}: "ring/#"}}]
"""


class Listener:
    """Counts each message; one that loops is counted without end."""

    def __init__(self, port, version=mqtt.MQTTv5):
        self.count, self.ready = collections.Counter(), threading.Event()
        self.client = mqtt.Client(client_id=f"ear{port}", protocol=version)
        self.client.on_message = lambda _c, _d, m: self.count.update([m.payload.decode()])
        self.client.on_connect = lambda c, *_: c.subscribe("ring/#", 1)
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        if not self.ready.wait(10):
            raise Failed("no subscription")

    def say(self, text, topic="ring/a"):
        self.client.publish(topic, text, 1).wait_for_publish(10)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def weir(room, name, port, upstreams):
    return room.weir(WEIR.format(name=name, dir=room.dir, port=port, upstreams=upstreams), name)


def upstream(me, name, port, way="both", version=5, more=""):
    return UPSTREAM.format(me=me, name=name, port=port, way=way, version=version, more=more)


def links_up(gateways):
    def is_up(g):
        said = subprocess.run([build_dir() / "gateway/weir", "status", "--socket", g.config.with_suffix(".sock")], capture_output=True, text=True)
        return re.search(r"^upstream +\S+ +up ", said.stdout, re.M)

    for g in gateways:
        wait(lambda g=g: is_up(g), 30, f"{g.name} is up")


def rounds(ears, speakers, count=20):
    """Each round is published when the one before it is everywhere: by then the first would have gone round often."""
    for n in range(count):
        for s, speaker in enumerate(speakers):
            text = f"{s}-{n}"
            speaker.say(text)
            wait(lambda: all(e.count[text] >= 1 for e in ears), 30, f"{text} is everywhere")


def check(ears, most):
    for e in ears:
        worst = e.count.most_common(1)[0]
        if worst[1] > most:
            raise Failed(f"{worst[0]} came {worst[1]} times to one place")


def ring(version, way, more=""):
    with Room() as room:
        ports = [free_port() for _ in range(3)]
        gateways = [weir(room, f"g{i}", ports[i],
                         upstream(f"g{i}", f"g{(i + 1) % 3}", ports[(i + 1) % 3], way, version, more)) for i in range(3)]
        links_up(gateways)
        ears = [Listener(p) for p in ports]
        rounds(ears, ears)
        check(ears, 3 if way == "both" else 1)
        for e in ears:
            e.close()


def ring_of_three_both_ways_comes_to_rest():
    ring(5, "both")


def ring_of_three_upwards_brings_each_message_once():
    ring(5, "out", "hops: on")


def two_that_are_bridged_with_each_other_come_to_rest():
    with Room() as room:
        a, b = free_port(), free_port()
        gateways = [weir(room, "a", a, upstream("a", "b", b)), weir(room, "b", b, upstream("b", "a", a))]
        links_up(gateways)
        ears = [Listener(a), Listener(b)]
        rounds(ears, ears)
        check(ears, 3)
        for e in ears:
            e.close()


def mosquittos_bridge(room, name, to, version):
    """A mosquitto that is bridged both ways with the broker on port `to`."""
    port = free_port()
    options = {"connection": "weir", "address": f"127.0.0.1:{to}", "topic": "ring/# both 1", "restart_timeout": "1",
               "bridge_protocol_version": version, "remote_clientid": f"{name}-bridge", "cleansession": "false",
               "notifications": "false"}
    return room.mosquitto(name, port=port, **options)


def mosquittos_bridge_into_weir_comes_to_rest(version="mqttv311"):
    with Room() as room:
        port = free_port()
        weir(room, "g", port, upstream("g", "nowhere", free_port(), "out"))
        m = mosquittos_bridge(room, "m", port, version)
        ears = [Listener(port), Listener(m.port)]
        rounds_when_up(ears)
        check(ears, 2)
        for e in ears:
            e.close()


def rounds_when_up(ears):
    """mosquitto does not say when its bridge is there: until then what is published stays on its side."""
    wait(lambda: ears[0].say("probe") or ears[1].count["probe"] > 0, 30, "there")
    wait(lambda: ears[1].say("back") or ears[0].count["back"] > 0, 30, "and back")
    for e in ears:
        e.count.clear()
    rounds(ears, ears)


def weir_to_a_mosquitto_that_echoes_on_3_1_1_takes_nothing_twice():
    with Room() as room:
        port = free_port()
        m = room.mosquitto("m")
        g = weir(room, "g", port, upstream("g", "m", m.port, version="3.1.1", more="bridge_bit: no"))
        links_up([g])
        ears = [Listener(port), Listener(m.port)]
        rounds(ears, ears)
        check(ears, 1)
        for e in ears:
            e.close()


def weir_and_mosquitto_bridged_with_each_other_come_to_rest():
    """Two links between the same two brokers: with MQTT 5 mosquitto's bridge hands on where a message has been."""
    with Room() as room:
        port = free_port()
        m = mosquittos_bridge(room, "m", port, "mqttv50")
        g = weir(room, "g", port, upstream("g", "m", m.port))
        links_up([g])
        ears = [Listener(port), Listener(m.port)]
        rounds_when_up(ears)
        check(ears, 4)
        for e in ears:
            e.close()


def around_one_mosquitto(count, version, most):
    """Each says and hears everything there: no echo, and nothing goes round."""
    with Room() as room:
        m = room.mosquitto("m")
        ports = [free_port() for _ in range(count)]
        gateways = [weir(room, f"g{i}", ports[i], upstream(f"g{i}", "m", m.port, version=version)) for i in range(count)]
        links_up(gateways)
        ears = [Listener(p) for p in [*ports, m.port]]
        rounds(ears, ears)
        check(ears, most)
        for e in ears:
            e.close()
        return f"{20 * len(ears)} were said, {sum(sum(e.count.values()) for e in ears)} came to {len(ears)} places"


def two_around_one_mosquitto_hear_each_message_once():
    return around_one_mosquitto(2, 5, 1)


def three_around_one_mosquitto_on_3_1_1_hear_each_message_once():
    return around_one_mosquitto(3, '"3.1.1"', 1)


if __name__ == "__main__":
    sys.exit(run([ring_of_three_both_ways_comes_to_rest, ring_of_three_upwards_brings_each_message_once,
                  two_that_are_bridged_with_each_other_come_to_rest, mosquittos_bridge_into_weir_comes_to_rest,
                  weir_to_a_mosquitto_that_echoes_on_3_1_1_takes_nothing_twice,
                  weir_and_mosquitto_bridged_with_each_other_come_to_rest,
                  two_around_one_mosquitto_hear_each_message_once,
                  three_around_one_mosquitto_on_3_1_1_hear_each_message_once]))
