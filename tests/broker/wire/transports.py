# SPDX-License-Identifier: MIT
"""Clients that others wrote, over every transport and every version that they speak: mosquitto's, Paho for Python, Paho
for C. One broker with a listener of each kind."""
import threading

import paho.mqtt.client as mqtt

from broker_rig import *  # noqa: F403
from certs import Authority

FOLDER = tempfile.TemporaryDirectory(prefix="weir-transports-")
CA = Authority(FOLDER.name)
CERT, KEY = CA.issue("server", "IP:127.0.0.1,IP:::1,DNS:localhost")
UNIX = f"{FOLDER.name}/mqtt.sock"
WORD = {3: "mqttv31", 4: "mqttv311", 5: "mqttv5"}
PAHO = {3: mqtt.MQTTv31, 4: mqtt.MQTTv311, 5: mqtt.MQTTv5}
_listeners = {"tls": "tls: {cert: %s, key: %s}" % (CERT, KEY), "ws": "protocol: websocket",
              "wss": "protocol: websocket, tls: {cert: %s, key: %s}" % (CERT, KEY), "six": ""}
PORT = {kind: free_port() for kind in _listeners}


def config():
    text = f'broker:\n  listeners:\n    - {{bind: "127.0.0.1:{{port}}"}}\n    - {{bind: "unix:{UNIX}"}}\n'
    for kind, more in _listeners.items():
        host = "[::1]" if kind == "six" else "127.0.0.1"
        text += f'    - {{bind: "{host}:{PORT[kind]}"{", " + more if more else ""}}}\n'
    return text


MOSQUITTO = {"tcp": lambda b: ["-h", "127.0.0.1", "-p", str(b.port)], "six": lambda b: ["-h", "::1", "-p", str(PORT["six"])],
             "tls": lambda b: ["-h", "127.0.0.1", "-p", str(PORT["tls"]), "--cafile", CA.cert],
             "unix": lambda b: ["--unix", UNIX]}


@rows([(kind, kind) for kind in MOSQUITTO])
def mosquitto_publishes_and_subscribes(b, v, kind):
    there, topic = MOSQUITTO[kind](b), fresh("mq")
    for qos in (0, 1, 2):
        done = subprocess.run(["mosquitto_pub", *there, "-V", WORD[v], "-q", str(qos), "-r", "-t", f"{topic}/{qos}", "-m",
                               "x" * 70000 + str(qos)], capture_output=True, text=True, timeout=PATIENCE_S + 10, check=False)
        if done.returncode:
            raise Wrong(done.stderr + done.stdout)
    got = subprocess.run(["mosquitto_sub", *there, "-V", WORD[v], "-q", "2", "-t", f"{topic}/+", "-C", "3", "-W",
                          str(int(PATIENCE_S) + 5), "-F", "%t %q %r %l"], capture_output=True, text=True, check=False)
    if sorted(got.stdout.split("\n")) != ["", *(f"{topic}/{q} {q} 1 70001" for q in (0, 1, 2))]:
        raise Wrong(got.stdout + got.stderr)


class Talker:
    """A Paho client that sends to itself, every QoS and sizes from nothing to more than a buffer."""

    SIZES = (0, 1, 100, 65536, 200000)

    def __init__(self, v, topic, transport, tls):
        self.topic, self.got, self.done = topic, [], threading.Event()
        self.c = mqtt.Client(fresh("paho"), transport=transport, protocol=PAHO[v])
        if transport == "websockets":
            self.c.ws_set_options(path="/mqtt", headers=lambda h: {k: x for k, x in h.items() if k != "Origin"})
        if tls:
            self.c.tls_set(ca_certs=CA.cert)
        self.c.on_connect = lambda *_: self.c.subscribe(topic, 2)
        self.c.on_subscribe = lambda *_: self.send()
        self.c.on_message = lambda _c, _u, m: self.take(m)

    def send(self):
        for qos in (0, 1, 2):
            for size in self.SIZES:
                self.c.publish(self.topic, b"p" * size, qos)

    def take(self, m):
        self.got.append((m.qos, len(m.payload)))
        if len(self.got) == 3 * len(self.SIZES):
            self.done.set()

    def run(self, host, port):
        self.c.connect(host, port)
        self.c.loop_start()
        fine = self.done.wait(2 * PATIENCE_S)
        self.c.disconnect()
        self.c.loop_stop()
        if not fine or sorted(self.got) != sorted((q, n) for q in (0, 1, 2) for n in self.SIZES):
            raise Wrong(f"paho got {self.got}")


@rows([("tcp", "tcp", False), ("tls", "tcp", True), ("ws", "websockets", False),
       ("wss", "websockets", True)])
def paho_python_talks_to_itself(b, v, transport, tls):
    kind = {("tcp", True): "tls", ("websockets", False): "ws", ("websockets", True): "wss"}.get((transport, tls))
    Talker(v, fresh(), transport, tls).run("127.0.0.1", PORT[kind] if kind else b.port)


@test()
def paho_python_talks_to_itself_over_ipv6(_, v):
    Talker(v, fresh(), "tcp", False).run("::1", PORT["six"])


@rows([("tcp", "tcp"), ("tls", "ssl"), ("ws", "ws"), ("wss", "wss")])
def paho_c_goes_through_its_paces(b, v, scheme):
    port = {"tcp": b.port, "ssl": PORT["tls"], "ws": PORT["ws"], "wss": PORT["wss"]}[scheme]
    path = "/mqtt" if scheme.startswith("ws") else ""
    run = subprocess.run([os.environ["WEIR_PAHO_C"], f"{scheme}://127.0.0.1:{port}{path}", str(v), fresh("c"), CA.cert],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    if run.returncode:
        raise Wrong(run.stdout)


@test()
def what_comes_over_any_transport_reaches_the_others(b, v):
    topic, listener = fresh(), b.client(v)
    listener.subscribe(topic)
    for kind, where in MOSQUITTO.items():
        subprocess.run(["mosquitto_pub", *where(b), "-V", WORD[v], "-t", topic, "-m", kind], check=True, capture_output=True,
                       timeout=PATIENCE_S + 10)
        listener.receive(topic, kind)


main(config(), parallel=6)
