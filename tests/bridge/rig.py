# SPDX-License-Identifier: MIT
"""One bridge, its store and the broker it drains to: started on fresh ports and directories, and an account of what
arrived by a subscriber of its own. Everything started here is ended here."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import paho.mqtt.client as mqtt
from paho.mqtt.properties import Properties
from paho.mqtt.packettypes import PacketTypes

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ports import free_port  # noqa: E402

SITE = "plant-04"


def children(pid):
    """Of this process, whichever of its threads started them."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except OSError:
            continue  # that thread has ended
    return found


def until(what, condition, seconds=20.0):
    """Polls; the deadline only bounds a failure."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


class Mosquitto:
    """A broker of its own; persistent so that it may be killed and started again."""

    def __init__(self, directory, extra="", port=None):
        self.port = port or free_port()
        self.directory = tempfile.mkdtemp(dir=directory, prefix="broker")
        self.conf = os.path.join(self.directory, "m.conf")
        self.process = None
        user = "user root\n" if os.geteuid() == 0 else ""
        with open(self.conf, "w", encoding="ascii") as f:
            f.write(f"{user}listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
                    f"max_inflight_messages 0\npersistence true\npersistence_location {self.directory}/\n"
                    f"set_tcp_nodelay true\n{extra}")
        self.start()

    def start(self):
        self.process = subprocess.Popen(["mosquitto", "-c", self.conf], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        until("mosquitto listens", self.listens)

    def listens(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def send(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait(20)


class Joined:
    """`weir run` with a broker of its own, and a cloud that mosquitto plays."""

    def __init__(self, name, config, **words):
        self.dir = tempfile.mkdtemp(prefix=f"weir-{name}-")
        self.cloud = Mosquitto(self.dir)
        self.port = free_port()
        self.config = os.path.join(self.dir, "weir.yaml")
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(config.format(site=SITE, dir=self.dir, port=self.port, cloud=self.cloud.port, **words))
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.process, self.listened = None, 0

    def start(self):
        program = os.path.join(os.environ["WEIR_BUILD"], "gateway", "weir")
        self.listened = self.text().count("state=ready")
        self.process = subprocess.Popen([program, "run", "--config", self.config], stdout=self.log, stderr=self.log)

    def listens(self):
        return self.text().count("state=ready") > self.listened

    def text(self):
        return pathlib.Path(self.dir, "log").read_text(errors="replace")

    def kill(self):
        self.process.kill()
        self.process.wait(20)

    def end(self):
        """Its exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        self.cloud.stop()
        self.log.close()
        if os.environ.get("WEIR_KEEP"):
            print(f"kept: {self.dir}")
        else:
            shutil.rmtree(self.dir)
        return status


class Subscriber:
    """Everything under a filter, in the order of arrival: (topic, payload, {property: value}, retain)."""

    def __init__(self, port, filters=("#",)):
        self.got, self.stamped = [], []  # stamped: (wall clock, properties) of records
        self.filters = filters
        self.ready = threading.Event()
        self.client = mqtt.Client(client_id=f"watch{port}", protocol=mqtt.MQTTv5)
        self.client.on_message = self.message
        self.client.on_connect = self.connected
        self.client.on_subscribe = lambda *a: self.ready.set()
        props = Properties(PacketTypes.CONNECT)
        props.SessionExpiryInterval = 3600
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", port, clean_start=False, properties=props)
        self.client.loop_start()
        assert self.ready.wait(10)

    def connected(self, client, *_):
        client.subscribe([(f, mqtt.SubscribeOptions(qos=1)) for f in self.filters])

    def message(self, _client, _data, m):
        props = dict(getattr(m.properties, "UserProperty", []))
        self.got.append((m.topic, m.payload.decode("utf-8", "surrogateescape"), props, m.retain))
        if "seq" in props:
            self.stamped.append((time.time(), props))

    def records(self):
        return [g for g in self.got if not g[0].startswith(SITE + "/weir/")]

    def publish(self, topic, payload, qos=1, retain=False):
        info = self.client.publish(topic, payload, qos, retain)
        info.wait_for_publish(10)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class Host:
    """tests/bridge/host.c"""

    def __init__(self, program, directory, options):
        self.lines = []
        self.path = os.path.join(directory, "options.yaml")
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(options)
        store = os.path.join(directory, "store")
        os.makedirs(store, exist_ok=True)
        self.process = subprocess.Popen([program, self.path, store, SITE], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def said(self, start):
        return [l for l in self.lines if l.startswith(start)]

    def acked(self):
        said = self.said("acked ")
        return int(said[-1].split()[1]) if said else 0

    def ups(self):
        return len(self.said("state up"))

    def stats(self):
        before = len(self.said("stats "))
        self.tell("stats")
        until("stats", lambda: len(self.said("stats ")) > before)
        return dict(kv.split("=") for kv in self.said("stats ")[-1].split()[1:])

    def stop(self):
        if self.process.poll() is None:
            self.tell("stop")
            self.process.wait(20)
        return self.process.returncode

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(20)


def account(records, count):
    """Lost, duplicates, and records out of order per topic, by the publisher's own number and by seq."""
    numbers = [json.loads(r[1])["n"] for r in records]
    seqs = [int(r[2]["seq"]) for r in records if "seq" in r[2]]
    lost = count - len(set(numbers))
    duplicates = len(numbers) - len(set(numbers))
    seen, last, reordered = set(), {}, 0
    for record, number in zip(records, numbers):
        if number in seen:
            continue
        seen.add(number)
        if number < last.get(record[0], -1):
            reordered += 1
        last[record[0]] = number
    unmarked = duplicates - (len(seqs) - len(set(seqs))) if seqs else duplicates
    return {"lost": lost, "duplicates": duplicates, "unmarked": unmarked, "reordered": reordered}


class Rig:
    """A broker, somebody who watches it, and, from begin() on, a bridge."""

    def __init__(self, program, extra="", broker_conf="", rules='[{out: "plant/#"}]'):
        self.program = program
        self.dir = tempfile.mkdtemp(prefix="weir-bridge-")
        self.broker = Mosquitto(self.dir, broker_conf)
        self.watch = Subscriber(self.broker.port)
        self.options = f"address: mqtt://127.0.0.1:{self.broker.port}\nrules: {rules}\n{extra}"
        self.host = None

    def begin(self):
        self.host = Host(self.program, self.dir, self.options)
        return self.host

    def end(self):
        if self.host:
            self.host.kill()
        self.watch.close()
        self.broker.stop()
        shutil.rmtree(self.dir)

    def expect_all(self, count, seconds=30):
        until(f"{count} records", lambda: len({r[1] for r in self.watch.records()}) >= count, seconds)
        until("the cursor at the end", lambda: self.host.acked() >= count, seconds)

    def expect(self, count, seconds=30):
        """All of them, in order per topic, once or marked."""
        self.expect_all(count, seconds)
        a = account(self.watch.records(), count)
        assert a["lost"] == 0 and a["reordered"] == 0 and a["unmarked"] == 0, a
        return a


def run_cases(cases, make=Rig):
    """test_X.py HOST_PROGRAM [CASE...]: each case with a rig of its own settings."""
    program, wanted, failed = os.path.abspath(sys.argv[1]), sys.argv[2:], 0
    for case, settings in cases.items():
        if wanted and case.__name__ not in wanted:
            continue
        began = time.monotonic()
        rig = make(program, **settings)
        try:
            case(rig)
            assert rig.host.process.poll() is not None or rig.host.stop() == 0, "main's end did not end well"
            print(f"ok   {case.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception:
            failed += 1
            traceback.print_exc()
            print(f"FAIL {case.__name__}: {rig.host.lines[-5:] if rig.host else ''}", flush=True)
        finally:
            rig.end()
    return 1 if failed else 0
