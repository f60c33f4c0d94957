# SPDX-License-Identifier: MIT
"""The clients people use: mosquitto_pub, _sub and _rr, Paho for Python, Paho for C, in every version they speak."""
import json
import subprocess
import threading

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from broker_rig import *  # noqa: F403

WORD = {3: "31", 4: "311", 5: "5"}


# --- mosquitto's ---------------------------------------------------------------------------------------------------

class Sub:
    """mosquitto_sub, running; ready once its SUBACK is printed."""

    def __init__(self, b, v, *args, count=0, ready=True):
        command = ["mosquitto_sub", "-d", "-p", str(b.port), "-V", WORD[v], "-W", str(int(PATIENCE_S) + 5)] + list(args)
        if count:
            command += ["-C", str(count)]
        self.process = subprocess.Popen(["stdbuf", "-oL"] + command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.lines = []
        while ready and not any(line.startswith("Subscribed") for line in self.lines):
            self._line()

    def _line(self):
        line = self.process.stdout.readline()
        if not line:
            raise Wrong(f"mosquitto_sub ended: {self.lines}")
        self.lines.append(line.decode(errors="replace").rstrip("\n"))

    def end(self):
        """What it printed that is not its own chatter."""
        rest = self.process.stdout.read().decode(errors="replace").split("\n")  # its -W ends it at the latest
        self.process.wait()
        return [x for x in self.lines + rest if x and not x.startswith(("Client ", "Subscribed", "Timed"))]


def pub(b, v, *args, data=None):
    run = subprocess.run(["mosquitto_pub", "-p", str(b.port), "-V", WORD[v]] + list(args), input=data,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE_S + 10, check=False)
    if run.returncode:
        raise Wrong(f"mosquitto_pub: {run.stdout.decode(errors='replace')}")


@rows([(f"QoS {q}", q) for q in (0, 1, 2)])
def mosquitto_pub_reaches_mosquitto_sub(b, v, qos):
    topic = fresh("mq")
    sub = Sub(b, v, "-t", topic + "/#", "-q", str(qos), "-F", "%t %q %p", count=201)
    pub(b, v, "-t", topic + "/l", "-q", str(qos), "-l", data=b"".join(b"line %d\n" % i for i in range(200)))
    pub(b, v, "-t", topic + "/end", "-q", "2", "-m", "end")
    got = sub.end()
    if got != [f"{topic}/l {qos} line {i}" for i in range(200)] + [f"{topic}/end {qos} end"]:
        raise Wrong(f"{len(got)} lines: {got[:5]}")


@test()
def mosquitto_retained_and_cleared(b, v):
    topic = fresh("mq")
    pub(b, v, "-t", topic, "-r", "-q", "1", "-m", "kept")
    got = Sub(b, v, "-t", topic, "-q", "1", "-F", "%r %p", count=1).end()
    if got != ["1 kept"]:
        raise Wrong(f"not the retained message: {got}")
    pub(b, v, "-t", topic, "-r", "-n")
    sub = Sub(b, v, "-t", topic, "-F", "%r %p", count=1)
    pub(b, v, "-t", topic, "-m", "new")
    if sub.end() != ["0 new"]:
        raise Wrong("a cleared message came back")


@test()
def mosquitto_sub_keeps_its_session(b, v):
    topic, name = fresh("mq"), fresh("id")
    lasting = ["-i", name, "-c", "-q", "1", "-t", topic] + (["-x", "60"] if v == 5 else [])
    first = Sub(b, v, *lasting, count=1)
    pub(b, v, "-t", topic, "-q", "1", "-m", "first")
    if first.end() != ["first"]:
        raise Wrong("not the first")
    pub(b, v, "-t", topic, "-q", "1", "-l", data=b"a\nb\nc\n")
    if Sub(b, v, *lasting, count=3, ready=False).end() != ["a", "b", "c"]:
        raise Wrong("not what came while away")


@test()
def mosquitto_sub_killed_leaves_its_will(b, v):
    will, topic = fresh("will"), fresh("mq")
    watch = Sub(b, 4, "-t", will, "-q", "2", "-F", "%q %p", count=1)
    dying = Sub(b, v, "-t", topic, "--will-topic", will, "--will-payload", "gone", "--will-qos", "1")
    dying.process.kill()
    dying.process.communicate()
    if watch.end() != ["1 gone"]:
        raise Wrong("no will")


@test(versions=(5,))
def mosquitto_passes_properties(b, v):
    topic = fresh("mq")
    sub = Sub(b, v, "-t", topic, "-F", "%j", "-D", "subscribe", "subscription-identifier", "42", count=1)
    pub(b, v, "-t", topic, "-m", "text", "-D", "publish", "user-property", "k", "v", "-D", "publish", "content-type", "t/p",
        "-D", "publish", "response-topic", "r", "-D", "publish", "correlation-data", "c", "-D", "publish",
        "message-expiry-interval", "600", "-D", "publish", "payload-format-indicator", "1")
    got = json.loads(sub.end()[0])
    if got["payload"] != "text" or got["properties"].get("content-type") != "t/p" or \
            "'k': 'v'" not in str(got["properties"].get("user-properties")):
        raise Wrong(f"{got}")


@test(versions=(5,))
def mosquitto_rr_gets_its_answer(b, v):
    ask, answer = fresh("ask"), fresh("answer")
    responder = b.client(5)
    responder.subscribe(ask, qos=1)
    rr = subprocess.Popen(["mosquitto_rr", "-p", str(b.port), "-V", "5", "-t", ask, "-e", answer, "-m", "?", "-q", "1",
                           "-W", str(int(PATIENCE_S))], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    asked = responder.receive(ask, "?", 1)
    responder.publish(asked.prop(RESPONSE_TOPIC), "42", 1, properties=[(CORRELATION, asked.prop(CORRELATION) or b"")])
    if rr.communicate(timeout=PATIENCE_S + 5)[0] != b"42\n":
        raise Wrong("no answer")


# --- Paho for Python -----------------------------------------------------------------------------------------------

class Paho:
    """A paho client on its own thread; what it received, and what it was told."""

    def __init__(self, b, v, name=None, clean=True, **how):
        self.got, self.events, self.changed = [], [], threading.Condition()
        extra = {} if v == 5 else {"clean_session": clean}
        self.c = paho.Client(client_id=name or fresh("paho"), protocol={3: paho.MQTTv31, 4: paho.MQTTv311, 5: paho.MQTTv5}[v],
                             **extra)
        self.v = v
        self.c.max_inflight_messages_set(50)
        self.c.on_message = lambda c, u, m: self._add(self.got, m)
        for event in ("connect", "disconnect", "subscribe", "unsubscribe", "publish"):
            setattr(self.c, f"on_{event}", lambda *a, event=event: self._add(self.events, event))
        if how.get("will"):
            self.c.will_set(*how["will"])
        kw = {}
        if v == 5:
            kw["clean_start"] = clean
            if not clean:
                kw["properties"] = Properties(PacketTypes.CONNECT)
                kw["properties"].SessionExpiryInterval = 60
        self.c.connect(b.host, b.port, keepalive=how.get("keepalive", 60), **kw)
        self.c.loop_start()
        self.wait("connect")

    def _add(self, where, what):
        with self.changed:
            where.append(what)
            self.changed.notify_all()

    def wait(self, event, count=1):
        with self.changed:
            if not self.changed.wait_for(lambda: self.events.count(event) >= count, PATIENCE_S):
                raise Wrong(f"{self.events.count(event)} of {count} times {event}")

    def messages(self, count):
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.got) >= count, PATIENCE_S):
                raise Wrong(f"{len(self.got)} of {count} messages")
            return [(m.topic, m.payload) for m in self.got]

    def subscribe(self, *args, **how):
        before = self.events.count("subscribe")
        self.c.subscribe(*args, **how)
        self.wait("subscribe", before + 1)

    def close(self):
        self.c.disconnect()
        self.c.loop_stop()


@rows([(f"QoS {q}", q) for q in (0, 1, 2)])
def paho_python_sends_five_hundred_each_way(b, v, qos):
    topic = fresh("paho")
    one, two = Paho(b, v), Paho(b, v)
    one.subscribe(topic + "/two", qos)
    two.subscribe(topic + "/one", qos)
    for i in range(500):
        one.c.publish(topic + "/one", str(i), qos)
        two.c.publish(topic + "/two", str(i), qos)
    for who, end in ((one, "/two"), (two, "/one")):
        numbers = [int(payload) for name, payload in who.messages(500) if name == topic + end]
        if numbers != list(range(500)):
            at = next((i for i, n in enumerate(numbers) if n != i), len(numbers))
            raise Wrong(f"{len(numbers)} messages, at {at}: {numbers[max(0, at - 3):at + 6]}")
    one.wait("publish", 500)
    one.close()
    two.close()


@test()
def paho_python_comes_back_to_its_session(b, v):
    topic, name = fresh("paho"), fresh("id")
    first = Paho(b, v, name, clean=False)
    first.subscribe(topic, 2)
    first.close()
    sender = Paho(b, v)
    for i in range(100):
        sender.c.publish(topic, str(i), 2)
    sender.wait("publish", 100)
    back = Paho(b, v, name, clean=False)
    if back.messages(100) != [(topic, str(i).encode()) for i in range(100)]:
        raise Wrong("not what came while away")
    back.close()
    sender.close()


@test()
def paho_python_reconnects_by_itself_after_a_takeover(b, v):
    name = fresh("id")
    one = Paho(b, v, name)
    one.c.reconnect_delay_set(1, 1)
    two = b.client(v, id=name)
    one.wait("connect", 2)
    two.closed(0x8E)
    one.close()


@test()
def paho_python_dies_and_leaves_its_will(b, v):
    topic = fresh("will")
    watch = Paho(b, 4)
    watch.subscribe(topic, 1)
    dying = Paho(b, v, will=(topic, b"gone", 1, False))
    dying.c.socket().shutdown(socket.SHUT_RDWR)
    if watch.messages(1) != [(topic, b"gone")]:
        raise Wrong("no will")
    dying.close()
    watch.close()


@test()
def paho_python_keeps_itself_alive(b, v):
    c = Paho(b, v, keepalive=1)
    let_time_pass(3.5)
    if "disconnect" in c.events:
        raise Wrong("it was closed")
    c.close()


@test(versions=(5,))
def paho_python_with_options_and_properties(b, v):
    topic = fresh("paho")
    c, sender = Paho(b, v), Paho(b, v)
    p = Properties(PacketTypes.SUBSCRIBE)
    p.SubscriptionIdentifier = 7
    c.subscribe(topic, options=SubscribeOptions(qos=1, noLocal=True, retainAsPublished=True), properties=p)
    c.c.publish(topic, "mine", 1)
    sent = Properties(PacketTypes.PUBLISH)
    sent.UserProperty = [("b", "1"), ("a", "2")]
    sent.TopicAlias = 3
    sent.MessageExpiryInterval = 100
    sender.c.publish(topic, "one", 1, True, properties=sent)
    again = Properties(PacketTypes.PUBLISH)
    again.TopicAlias = 3
    sender.wait("publish")
    sender.c.publish(topic, "two", 1, properties=again)
    if c.messages(2) != [(topic, b"one"), (topic, b"two")]:
        raise Wrong(f"{c.messages(2)}")
    m = c.got[0]
    if not m.retain or m.properties.UserProperty != [("b", "1"), ("a", "2")] or m.properties.SubscriptionIdentifier != [7]:
        raise Wrong(f"{m.properties}")
    c.close()
    sender.close()


@rows([("1 MB", 1 << 20), ("9 MB", 9 << 20)])
def paho_python_sends_large_payloads(b, v, size):
    topic = fresh("paho")
    c = Paho(b, v)
    c.subscribe(topic, 1)
    payload = os.urandom(1024) * (size // 1024)
    c.c.publish(topic, payload, 1)
    if c.messages(1) != [(topic, payload)]:
        raise Wrong("it is not the same")
    c.close()


# --- Paho for C ----------------------------------------------------------------------------------------------------

@test()
def paho_c_goes_through_its_paces(b, v):
    """The program prints what went wrong, or nothing."""
    run = subprocess.run([os.environ["WEIR_PAHO_C"], f"tcp://{b.host}:{b.port}", str(v), fresh("c")], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    if run.returncode:
        raise Wrong(run.stdout)


main(parallel=6)
