#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What a gateway tells of itself, and of what it did not send: the retained status upstream, through every way to begin
and to end, as a subscriber of mosquitto sees it; `weir queue`; and a password that systemd hands over, changed while
the gateway runs.

    test_told.py [CASE...]
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import paho.mqtt.client as mqtt

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import SITE, Mosquitto, children, free_port, until

CONFIG = """\
site: {site}
control: {dir}/control
log: {log}
store: {{dir: {dir}/data, preallocate: false, durability: process}}
broker: {{listeners: [{{bind: "127.0.0.1:{port}"}}]}}
upstreams:
  cloud:
    address: mqtt://127.0.0.1:{cloud}
    username: {site}
    password_file: credential:cloud
    backoff: 50ms
    backoff_max: 100ms
    rules:
      - {{out: "changes/#", deadband: 1}}
      - {{out: "latest/#", rate: 1, over_rate: latest}}
      - {{out: "old/#", expiry: 1s}}
      - {{out: "no/#", topic: "{{#}}"}}
      - {{out: "all/#"}}
"""


class Gateway:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="weir-told-")
        os.chmod(self.dir, 0o755)
        os.mkdir(os.path.join(self.dir, "credentials"))
        self.passwords = os.path.join(self.dir, "passwords")
        self.let_in("first")
        self.cloud = Mosquitto(self.dir, f"allow_anonymous false\npassword_file {self.passwords}\n")
        self.port, self.process = free_port(), None
        self.said = []  # of the status upstream: (retained, document)
        self.watch = mqtt.Client(client_id="watch", protocol=mqtt.MQTTv5)
        self.watch.username_pw_set("watch", "watch")
        self.watch.on_connect = lambda c, *_: c.subscribe(f"{SITE}/weir/status", 1)
        self.watch.on_message = lambda _c, _d, m: self.said.append((m.retain, json.loads(m.payload)))
        self.watch.reconnect_delay_set(1, 1)
        self.watch.connect("127.0.0.1", self.cloud.port)
        self.watch.loop_start()
        self.hands_over("first")
        self.configure()
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.start()

    def let_in(self, password):
        """The upstream knows the gateway by this one from now on."""
        plain = f"{SITE}:{password}\nwatch:watch\n"
        with open(self.passwords, "w", encoding="ascii") as f:
            f.write(plain)
        os.chmod(self.passwords, 0o644)
        subprocess.run(["mosquitto_passwd", "-U", self.passwords], check=True)
        os.chmod(self.passwords, 0o644)

    def hands_over(self, password):
        with open(os.path.join(self.dir, "credentials", "cloud"), "w", encoding="ascii") as f:
            f.write(password + "\n")

    def configure(self, log="info"):
        with open(os.path.join(self.dir, "weir.yaml"), "w", encoding="utf-8") as f:
            f.write(CONFIG.format(site=SITE, dir=self.dir, port=self.port, cloud=self.cloud.port, log=log))

    def start(self):
        program = os.path.join(os.environ["WEIR_BUILD"], "gateway", "weir")
        env = dict(os.environ, CREDENTIALS_DIRECTORY=os.path.join(self.dir, "credentials"))
        self.process = subprocess.Popen([program, "run", "--config", os.path.join(self.dir, "weir.yaml")],
                                        stdout=self.log, stderr=self.log, env=env)

    def ask(self, *words):
        program = os.path.join(os.environ["WEIR_BUILD"], "gateway", "weir")
        env = dict(os.environ, CREDENTIALS_DIRECTORY=os.path.join(self.dir, "credentials"))
        return subprocess.run([program, *words, "--config", os.path.join(self.dir, "weir.yaml")], env=env,
                              capture_output=True, text=True, check=True).stdout

    def text(self):
        return pathlib.Path(self.dir, "log").read_text(errors="replace")

    def hears(self, state, reason, seconds=40):
        """The next status of that kind, and all before it are gone."""
        def index():
            return next((i for i, (_, s) in enumerate(self.said) if (s["state"], s["reason"]) == (state, reason)), -1)
        until(f"{state} {reason}, not {self.said}", lambda: index() >= 0, seconds)
        status = self.said[index()][1]
        del self.said[:index() + 1]
        return status

    def child(self):
        return next(iter(children(self.process.pid)), None)

    def publish(self, *messages):
        """On site; all of them acknowledged, so all of them stand in the queue."""
        client = mqtt.Client(client_id="site", protocol=mqtt.MQTTv5)
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        for topic, payload in messages:
            client.publish(topic, payload, 1).wait_for_publish(30)
        client.disconnect()
        client.loop_stop()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(20)
        self.watch.disconnect()
        self.watch.loop_stop()
        self.cloud.stop()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def the_status_tells_how_each_link_began_and_ended(g):
    first = g.hears("online", "start")
    assert first["version"] and len(first["config"]) == 16 and "queued" not in first, first
    g.configure(log="debug")
    g.process.send_signal(signal.SIGHUP)
    assert g.hears("online", "reload")["config"] != first["config"]
    g.cloud.stop()
    g.publish(*((f"all/{i}", f"{i}") for i in range(50)))
    g.cloud.start()
    again = g.hears("online", "reconnect")
    assert again["queued"] >= 50 and again["since"] > first["since"], again
    os.kill(g.child(), signal.SIGKILL)
    g.hears("offline", "lost")  # the will
    g.hears("online", "crash")
    g.process.terminate()
    assert g.process.wait(30) == 0
    g.hears("offline", "stopped")
    g.start()
    g.hears("online", "start")
    g.process.kill()
    g.process.wait(20)
    g.hears("offline", "lost")
    late = subprocess.run(["mosquitto_sub", "-p", str(g.cloud.port), "-u", "watch", "-P", "watch", "-C", "1", "-F", "%r %p",
                           "-W", "10", "-t", f"{SITE}/weir/status"], capture_output=True, text=True, check=True).stdout
    assert late.startswith("1 {") and json.loads(late[2:])["state"] == "offline", late


def weir_queue_tells_what_was_not_sent(g):
    g.hears("online", "start")
    assert "link:" not in g.ask("queue")
    g.cloud.stop()
    until("told why the link is down", lambda: re.search(r"^ +link: (down|connecting) .*mqtt://.*: look at the address",
                                                         g.ask("queue"), re.M), 40)
    g.publish(("old/a", "1"), ("changes/a", "1"), ("changes/a", "1.5"), ("changes/a", "5"), ("latest/a", "1"),
              ("latest/a", "2"), ("latest/a", "3"), ("all/a", "1"))
    g.publish(("no/", "1"))  # its new topic is empty
    time.sleep(1.1)  # until `expiry` of the first has passed
    g.cloud.start()
    g.hears("online", "reconnect")
    want = ("in quarantine: 1",
            "not sent since the start: 1 unchanged, 1 replaced by newer ones, 1 expired, 1 set aside, 0 came round")
    said = []

    def told():
        said.append(g.ask("queue"))
        return all(w in said[-1] for w in want)

    try:
        until("told", told, 40)
    except AssertionError as e:
        raise AssertionError(said[-1]) from e
    os.kill(g.child(), signal.SIGKILL)  # what it counted stays
    g.hears("online", "crash")
    until("told still", told, 40)
    g.process.terminate()
    g.process.wait(30)
    assert want[0] in g.ask("queue") and "since the start" not in g.ask("queue")


def a_password_of_systemd_is_taken_by_a_reload(g):
    g.hears("online", "start")
    g.let_in("second")
    g.cloud.send(signal.SIGHUP)
    g.process.send_signal(signal.SIGHUP)
    g.publish(("all/a", "1"))
    g.hands_over("second")
    g.process.send_signal(signal.SIGHUP)
    g.hears("online", "reconnect")
    assert "credentials changed" in g.text() and "bad user name" not in g.text(), g.text()[-2000:]
    g.hands_over("")
    g.process.send_signal(signal.SIGHUP)
    until("it is said that this is none", lambda: "has no password in its first line; the link stays" in g.text())


CASES = [the_status_tells_how_each_link_began_and_ended, weir_queue_tells_what_was_not_sent,
         a_password_of_systemd_is_taken_by_a_reload]


def main():
    wanted, failed = sys.argv[1:], 0
    for case in CASES:
        if wanted and case.__name__ not in wanted:
            continue
        began = time.monotonic()
        g = Gateway()
        try:
            case(g)
            print(f"ok   {case.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception:
            failed += 1
            traceback.print_exc()
            print(f"FAIL {case.__name__}: {g.text()[-3000:]}", flush=True)
        finally:
            g.end()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
