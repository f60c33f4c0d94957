#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Batches, with the whole gateway: what a publisher on site was told is safe arrives in one of them, whatever is killed."""

import json
import subprocess
import sys
import threading

import site_room  # noqa: F401
import paho.mqtt.client as mqtt
from harness import Failed, Room, free_port, listens, run, wait

CONFIG = """\
site: plant
control: {dir}/weir.sock
broker:
  listeners: [{{bind: "127.0.0.1:{port}"}}]
store: {{dir: {dir}/data, max_bytes: 64MiB}}
upstreams:
  cloud:
    address: mqtt://127.0.0.1:{cloud}
    client_id: plant
    backoff: 100ms
    backoff_max: 500ms
    bytes_per_day: 1GiB
    schedule: "00:00-12:00, 12:00-24:00"
    exempt: [alarm, event]
    rules:
      - {{out: "load/+/+", topic: "up/{{1}}", batch: {{records: 20, age: 100ms, format: lines, zstd: true}}}}
      - {{out: "alarm/#", class: alarm, payload: envelope}}
"""


class Publisher:
    """Its own numbers, and of those which were acknowledged."""

    def __init__(self, port):
        self.mids, self.numbers, self.sent = set(), {}, 0
        self.client = mqtt.Client(client_id="load", clean_session=False, protocol=mqtt.MQTTv311)
        self.client.on_publish = lambda _c, _d, mid: self.mids.add(mid)
        self.client.reconnect_delay_set(1, 1)
        self.client.max_inflight_messages_set(100)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def send(self, count):
        for _ in range(count):  # fewer than there are packet ids, so none is used twice
            info = self.client.publish(f"load/{self.sent % 3}/x", json.dumps({"n": self.sent}), 1)
            self.numbers[info.mid] = self.sent
            self.sent += 1

    def acknowledged(self):
        return {self.numbers[mid] for mid in self.mids.copy() if mid in self.numbers}

    def all_acknowledged(self):
        wait(lambda: len(self.acknowledged()) == self.sent, 60, "all are acknowledged")


class Cloud:
    def __init__(self, port):
        self.messages, self.alarms, ready = [], [], threading.Event()
        self.client = mqtt.Client(client_id="watch", clean_session=False)
        self.client.on_message = lambda _c, _d, m: (self.messages if m.topic.startswith("up/") else self.alarms).append(
            m.payload)
        self.client.on_connect = lambda c, *_: c.subscribe([("up/#", 1), ("alarm/#", 1)])
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        if not ready.wait(10):
            raise Failed("no subscription")
        self.opened = []

    def records(self):
        while len(self.opened) < len(self.messages):
            data = subprocess.run(["zstd", "-dqc"], input=self.messages[len(self.opened)], capture_output=True, check=True)
            self.opened.append([json.loads(line) for line in data.stdout.decode().splitlines()])
        return [r for batch in self.opened for r in batch]


def told(load, cloud):
    """What went wrong with what arrived; empty: nothing."""
    wait(lambda: {r["payload"]["n"] for r in cloud.records()} >= load.acknowledged(), 60, "all arrive")
    wait(lambda: cloud.alarms, 20, "the alarm arrives")
    seqs = {}
    for r in cloud.records():
        if seqs.setdefault(r["seq"], r["payload"]["n"]) != r["payload"]["n"]:
            return f"seq {r['seq']} is of two records"
    alarm = json.loads(cloud.alarms[0])
    return "" if alarm["class"] == "alarm" and alarm["payload"] == {"v": 1} else str(alarm)


def three_kills(gateway, port, load, cloud):
    for _ in range(3):
        load.send(1000)
        wait(lambda: len(cloud.messages) > 0 and len(load.acknowledged()) > load.sent - 900, 30, "some arrive")
        gateway.kill()
        gateway.start(r"state=ready")
        wait(lambda: listens(port), 10, "it listens")
    load.send(500)
    load.client.publish("alarm/door", '{"v":1}', 1)
    load.all_acknowledged()


def batches_keep_what_was_acknowledged_over_kill_9():
    with Room() as room:
        cloud_port, port = free_port(), free_port()
        room.mosquitto("cloud", port=cloud_port)
        gateway = room.weir(CONFIG.format(dir=room.dir, port=port, cloud=cloud_port))
        cloud, load = Cloud(cloud_port), Publisher(port)
        try:
            three_kills(gateway, port, load, cloud)
            wrong = told(load, cloud)
        finally:
            load.client.loop_stop()
            cloud.client.loop_stop()
        if wrong:
            raise Failed(wrong)
        return f"{load.sent} records in {len(cloud.messages)} messages"


if __name__ == "__main__":
    sys.exit(run([batches_keep_what_was_acknowledged_over_kill_9]))
