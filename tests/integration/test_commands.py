#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Commands to points over the end of weir: each that was acknowledged is written to the device, or its sender hears what
came of it. The device is a server of Modbus TCP that writes down what it is told before it answers."""
import collections
import json
import os
import pathlib
import random
import signal
import socket
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bridge"))
from harness import Failed, build_dir, free_port, run, wait  # noqa: E402
from rig import Mosquitto  # noqa: E402

SITE = "plant"
POINT = f"{SITE}/bus/plc/"
CONFIG = """\
site: plant
control: {dir}/control
command_expiry: {expiry}
store: {{dir: {dir}/data, preallocate: false, durability: process}}
broker: {{listeners: [{{bind: "127.0.0.1:{port}"}}]}}
lines:
  bus: {{driver: modbus-tcp, address: "127.0.0.1:{device}", reply_timeout: {timeout}, retries: 100}}
devices:
  plc:
    line: bus
    unit: 1
    every: 200ms
    points:
      pulse: {{holding: 0, writable: true}}
      value: {{holding: 1, writable: true, repeat_write: true}}
upstreams:
{upstream}
"""
CLOUD = """\
  cloud:
    address: mqtt://127.0.0.1:{cloud}
    version: {version}
    backoff: 50ms
    backoff_max: 100ms
    rules: [{{in: "down/#", qos: 2, strip: "down/"}}]
"""


class Device:
    """Two registers. `hold` keeps the answer to a write back; what was written is noted when it has come."""

    def __init__(self):
        self.written, self.registers, self.hold, self.slow = [], [0, 0], False, 0.0
        self.peers = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for peer in self.peers:
            peer.shutdown(socket.SHUT_RDWR)

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.peers.append(peer)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        try:
            with peer, peer.makefile("rb") as stream:
                while True:
                    head = stream.read(7)
                    if len(head) < 7:
                        return
                    self.answer(peer, head, stream.read(struct.unpack(">H", head[4:6])[0] - 1))
        except OSError:
            return

    def answer(self, peer, head, pdu):
        if pdu[0] == 3:
            at, count = struct.unpack(">HH", pdu[1:5])
            words = (self.registers + [0] * 200)[at:at + count]
            reply = struct.pack(">BB", 3, 2 * count) + struct.pack(f">{count}H", *words)
        else:
            at, word = struct.unpack(">HH", pdu[1:5]) if pdu[0] == 6 else (pdu[2], int.from_bytes(pdu[6:8], "big"))
            self.written.append((at, word))
            self.registers[at] = word
            time.sleep(self.slow)
            if self.hold:
                return
            reply = pdu[:5]
        peer.sendall(head[:4] + struct.pack(">HB", len(reply) + 1, head[6]) + reply)


class Site:
    def __init__(self, expiry="30s", timeout="400ms", cloud=None):
        self.dir = tempfile.mkdtemp(prefix="weir-commands-")
        self.cloud = Mosquitto(self.dir) if cloud else None
        self.device, self.port = Device(), free_port()
        self.config = os.path.join(self.dir, "weir.yaml")
        text = CONFIG.format(dir=self.dir, expiry=expiry, port=self.port, device=self.device.port, timeout=timeout,
                             upstream=CLOUD.format(cloud=self.cloud.port, version=cloud) if cloud else "  {}")
        pathlib.Path(self.config).write_text(text, encoding="utf-8")
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.process = None
        self.events = collections.defaultdict(list)  # by what was asked: (outcome, reason)
        self.results, self.acked = [], set()
        self.clients = []

    def begin(self):
        self.start()
        self.watch()

    def start(self):
        ready = self.text().count("state=ready") + 1
        self.process = subprocess.Popen([os.path.join(build_dir(), "gateway", "weir"), "run", "--config", self.config],
                                        stdout=self.log, stderr=self.log)
        wait(lambda: self.text().count("state=ready") >= ready, 60, "weir is ready")

    def kill(self):
        self.process.kill()
        self.process.wait(20)

    def text(self):
        return pathlib.Path(self.dir, "log").read_text(errors="replace")

    def watch(self):
        """Hears all outcomes, in a session that is kept: what is told while it is away waits for it."""
        c = mqtt.Client(client_id="watch", clean_session=False, protocol=mqtt.MQTTv311)
        c.on_connect = lambda c, _d, flags, _rc: flags["session present"] or c.subscribe(
            [(f"{SITE}/weir/event", 1), (f"{POINT}+/set/result", 1), ("answers/#", 1)])
        ready = threading.Event()
        c.on_subscribe = lambda *_: ready.set()
        c.on_message = self.heard
        self.run_client(c)
        if not ready.wait(20):
            raise Failed("no SUBACK")

    def heard(self, _client, _data, m):
        said = json.loads(m.payload)
        if m.topic.endswith("/event"):
            if said["event"] == "command":
                self.events[said["asked"]].append((said["outcome"], said["reason"]))
        else:
            self.results.append((m.topic, said))

    def run_client(self, c, port=None):
        c.reconnect_delay_set(1, 1)
        c.max_inflight_messages_set(1000)
        c.connect("127.0.0.1", port or self.port)
        c.loop_start()
        self.clients.append(c)
        return c

    def operator(self, port=None, **how):
        c = mqtt.Client(client_id="operator", **how)
        c.on_publish = lambda _c, _d, mid: self.acked.add(mid)
        return self.run_client(c, port)

    def outcomes(self, asked):
        return {outcome for outcome, _ in self.events[str(asked)]}

    def end(self):
        for c in self.clients:
            c.disconnect()
            c.loop_stop()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        must(status == 0, f"weir ended with {status}")

    def clear(self):
        for c in self.clients:
            c.loop_stop()
        if self.process and self.process.poll() is None:
            self.kill()
        if self.cloud:
            self.cloud.stop()
        self.log.close()
        if not os.environ.get("WEIR_KEEP"):
            shutil.rmtree(self.dir)


def must(truth, what):
    if not truth:
        raise Failed(what)


def with_site(**how):
    def around(case):
        def one():
            site = Site(**how)
            try:
                site.begin()
                case(site)
                site.end()
            except Exception:
                print(site.text()[-4000:], dict(site.events), site.device.written[-20:])
                raise
            finally:
                site.clear()
        one.__name__ = case.__name__
        return one
    return around


def held_in_the_write(site, operator):
    """One is at the device, which does not answer; behind it wait one that may be repeated and one that may not."""
    site.device.hold = True
    first = operator.publish(POINT + "pulse/set", "1", 1)
    wait(lambda: (0, 1) in site.device.written, 20, "the first is at the device")
    second = operator.publish(POINT + "pulse/set", "2", 1)
    wait(lambda: {first.mid, second.mid} <= site.acked, 20, "both are acknowledged")


@with_site(timeout="10s")
def what_was_begun_is_told_and_what_was_not_is_written(site):
    operator = site.operator()
    held_in_the_write(site, operator)
    site.kill()
    site.device.hold = False
    site.start()
    wait(lambda: site.outcomes(1) and site.outcomes(2), 30, "both have an outcome")
    must(site.outcomes(1) == {"unknown"}, "the first may have been written: nobody knows")
    must(site.outcomes(2) == {"written"}, "the second was never begun, and is written now")
    must([w for _, w in site.device.written] == [1, 2], f"each once: {site.device.written}")
    must(any(t == POINT + "pulse/set/result" and r["outcome"] == "unknown" for t, r in site.results), "it is answered")


@with_site(timeout="10s", expiry="1s")
def what_has_expired_meanwhile_is_not_written(site):
    operator = site.operator()
    held_in_the_write(site, operator)
    site.kill()
    site.device.hold = False
    time.sleep(1.1)  # the time limit of the commands passes
    site.start()
    wait(lambda: site.outcomes(1) and site.outcomes(2), 30, "both have an outcome")
    must(site.outcomes(1) == {"unknown"} and site.outcomes(2) == {"expired"}, "neither is carried out")
    must([w for _, w in site.device.written] == [1], f"nothing is written now: {site.device.written}")


@with_site(timeout="10s")
def what_may_be_repeated_is_written_again(site):
    operator = site.operator()
    site.device.hold = True
    one = operator.publish(POINT + "value/set", "5", 1)
    wait(lambda: (1, 5) in site.device.written and one.mid in site.acked, 20, "it is at the device")
    site.kill()
    site.device.hold = False
    site.start()
    wait(lambda: site.outcomes(5), 30, "it has an outcome")
    must(site.outcomes(5) == {"written"} and site.device.written == [(1, 5)] * 2, f"{site.device.written}")


@with_site(timeout="10s")
def a_stop_answers_what_was_not_written(site):
    operator = site.operator()
    held_in_the_write(site, operator)
    site.process.send_signal(signal.SIGTERM)
    must(site.process.wait(30) == 0, "it stops in order")
    site.device.hold = False
    site.start()
    wait(lambda: site.outcomes(1) and site.outcomes(2), 30, "both have an outcome")
    must(site.outcomes(2) == {"stopped"}, f"the second was not written: {site.outcomes(2)}")
    must(site.outcomes(1) <= {"unknown", "written"}, f"{site.outcomes(1)}")
    must([w for _, w in site.device.written] == [1], f"nothing is written by itself: {site.device.written}")


@with_site()
def an_answer_finds_its_sender_after_the_crash(site):
    """The response topic and the correlation data of the command outlive the process with it."""
    props = Properties(PacketTypes.PUBLISH)
    props.ResponseTopic, props.CorrelationData = "answers/me", b"\x07"
    got = []
    hmi = mqtt.Client(client_id="hmi", protocol=mqtt.MQTTv5)
    hmi.on_message = lambda _c, _d, m: got.append((json.loads(m.payload)["outcome"], m.properties.CorrelationData))
    hmi.on_connect = lambda c, *_: c.subscribe("answers/me", 1)
    site.run_client(hmi)
    operator = site.operator(protocol=mqtt.MQTTv5)
    site.device.hold = True
    one = operator.publish(POINT + "pulse/set", "1", 1, properties=props)
    wait(lambda: (0, 1) in site.device.written and one.mid in site.acked, 20, "it is at the device")
    site.kill()
    site.device.hold = False
    site.start()
    wait(lambda: any(t == "answers/me" for t, _ in site.results), 30, "it is answered there")


def killed_many_times(site, send, count, kills):
    """Commands come all the time; the process ends at random moments."""
    dice = random.Random(int(os.environ.get("WEIR_SEED", time.time_ns())))
    site.device.slow = 0.004
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    for _ in range(kills):
        before = len(site.device.written)
        wait(lambda: len(site.device.written) > before or not thread.is_alive(), 60, "something is written")
        time.sleep(dice.uniform(0, 0.06))
        site.kill()
        site.start()
    thread.join(120)
    must(not thread.is_alive(), "all are sent")


def account(site, numbers):
    """What each of these came to; numbers were acknowledged to their sender."""
    wait(lambda: all(site.outcomes(n) for n in numbers), 60, "each has an outcome")
    written = collections.Counter(w for _, w in site.device.written)
    for n in numbers:
        told = site.outcomes(n)
        must(written[n] > 0 or told & {"unknown", "expired", "failed", "stopped"}, f"{n} is lost: {told}")
        must(written[n] > 0 or "written" not in told, f"{n} was not written: {told}")
        must(written[n] == 0 or told & {"written", "unknown", "mismatch"}, f"{n} was written: {told}")
    return written


@with_site()
def kill_9_many_times_loses_no_acknowledged_command(site):
    operator, sent = site.operator(clean_session=False), {}

    def send():
        for n in range(1, 401):
            sent[n] = operator.publish(POINT + "pulse/set", str(n), 1).mid
            time.sleep(0.01)

    killed_many_times(site, send, 400, 10)
    wait(lambda: len(site.acked) >= 400, 60, "all are acknowledged")
    account(site, sent)
    told = collections.Counter(outcome for n in sent for outcome in site.outcomes(n))
    print(f"     outcomes: {dict(told)}")


@with_site()
def kill_9_many_times_writes_each_of_qos_2_once(site):
    operator = site.operator(clean_session=False)

    def send():
        for n in range(1, 301):
            operator.publish(POINT + "pulse/set", str(n), 2)
            time.sleep(0.01)

    killed_many_times(site, send, 300, 8)
    wait(lambda: len(site.acked) >= 300, 60, "all are acknowledged")
    written = account(site, range(1, 301))
    must(max(written.values()) == 1, f"twice: {[n for n in written if written[n] > 1]}")


def cloud_operator(site):
    """Its commands reach the device from now on."""
    operator, probe = site.operator(site.cloud.port), 1000

    def arrives():
        nonlocal probe
        probe += 1
        operator.publish("down/" + POINT + "value/set", str(probe), 1)
        time.sleep(0.05)
        return any(at == 1 for at, _ in site.device.written)

    wait(arrives, 30, "the upstream has subscribed")
    return operator


@with_site(cloud="5", timeout="5s")
def burst_from_the_cloud_is_held_back_and_holds_up_no_client(site):
    """The device takes some 40 a second: 700 wait in the cloud, not here, and what is said on site goes before them."""
    cloud, operator = cloud_operator(site), site.operator(protocol=mqtt.MQTTv5)
    site.device.slow = 0.02
    before = len(site.device.written)
    for n in range(1, 701):
        cloud.publish("down/" + POINT + "pulse/set", str(n), 1)
    wait(lambda: len(site.device.written) > before + 20, 30, "it has begun")
    for n in range(5001, 5011):
        operator.publish(POINT + "value/set", str(n), 1)
        at = len(site.device.written)
        wait(lambda n=n: (1, n) in site.device.written, 20, "the client's is written")
        must(site.device.written.index((1, n)) - at <= 60, "no more than some went before it")
    must(sum(at == 0 for at, _ in site.device.written) < 690, "the burst is still going on")
    site.device.slow = 0.0
    wait(lambda: all(site.outcomes(n) == {"written"} for n in range(1, 701)), 60, "all of the burst is written")
    must([w for at, w in site.device.written if at == 0] == list(range(1, 701)), "in its order, each once")


@with_site(cloud="5", timeout="200ms")
def commands_to_a_line_that_is_not_there_are_answered(site):
    cloud = cloud_operator(site)
    site.device.close()
    for n in range(1, 301):
        cloud.publish("down/" + POINT + "pulse/set", str(n), 1)
    wait(lambda: all(site.outcomes(n) for n in range(1, 301)), 60, "each has an outcome")
    told = set().union(*(site.outcomes(n) for n in range(1, 301)))
    must(told <= {"failed", "refused", "expired", "unknown"} and "failed" in told, f"{told}")


def from_the_cloud(site):
    """At QoS 2 all the way: each is written once at most, and has an outcome."""
    operator = cloud_operator(site)

    def send():
        for n in range(1, 201):
            operator.publish("down/" + POINT + "pulse/set", str(n), 2)
            time.sleep(0.01)

    killed_many_times(site, send, 200, 6)
    written = account(site, range(1, 201))
    must(max(written[n] for n in range(1, 201)) == 1, f"twice: {[n for n in written if written[n] > 1]}")


@with_site(cloud="5")
def kill_9_many_times_writes_each_from_the_cloud_once(site):
    from_the_cloud(site)


@with_site(cloud='"3.1.1"')
def kill_9_many_times_writes_each_from_a_3_1_1_cloud_once(site):
    from_the_cloud(site)


if __name__ == "__main__":
    sys.exit(run([what_was_begun_is_told_and_what_was_not_is_written, what_has_expired_meanwhile_is_not_written,
                  what_may_be_repeated_is_written_again, a_stop_answers_what_was_not_written,
                  an_answer_finds_its_sender_after_the_crash, kill_9_many_times_loses_no_acknowledged_command,
                  kill_9_many_times_writes_each_of_qos_2_once, kill_9_many_times_writes_each_from_the_cloud_once,
                  kill_9_many_times_writes_each_from_a_3_1_1_cloud_once,
                  burst_from_the_cloud_is_held_back_and_holds_up_no_client,
                  commands_to_a_line_that_is_not_there_are_answered]))
