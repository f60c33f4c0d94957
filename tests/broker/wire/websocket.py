# SPDX-License-Identifier: MIT
"""WebSocket listeners: the request, frames however they are cut, control frames, who may ask; paho over ws and wss."""
import base64
import contextlib
import hashlib
import ssl
import threading

from broker_rig import *  # noqa: F403
from certs import Authority

FOLDER = tempfile.TemporaryDirectory(prefix="weir-ws-")
CA = Authority(FOLDER.name)
CERT, KEY = CA.issue("server", "IP:127.0.0.1,DNS:localhost")
LISTENER = 'broker:\n  listeners: [{bind: "127.0.0.1:{port}", protocol: websocket%s}]\n'
ASK_KEY = base64.b64encode(bytes(range(16))).decode()
ACCEPT = base64.b64encode(hashlib.sha1((ASK_KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()


@contextlib.contextmanager
def broker(more=""):
    b = Broker(LISTENER.replace("%s", more))
    try:
        yield b
    finally:
        faults = b.stop()
    if faults:
        raise Wrong("; ".join(faults))


def ask(b, path="/mqtt", protocol="mqtt", origin=None, drop=(), **more):
    lines = {"Host": f"127.0.0.1:{b.port}", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
             "Sec-WebSocket-Key": ASK_KEY, "Sec-WebSocket-Protocol": protocol, **({"Origin": origin} if origin else {}), **more}
    return f"GET {path} HTTP/1.1\r\n".encode() + b"".join(f"{k}: {v}\r\n".encode() for k, v in lines.items() if k not in drop) + b"\r\n"


def frame(op, data, fin=True, mask=b"\x11\x22\x33\x44"):
    n = len(data)
    size = bytes([0x80 | n]) if n < 126 else b"\xfe" + n.to_bytes(2, "big") if n < 65536 else b"\xff" + n.to_bytes(8, "big")
    key = int.from_bytes(mask * (n // 4 + 1), "big") >> 8 * (4 - n % 4) if n else 0
    body = (int.from_bytes(data, "big") ^ key).to_bytes(n, "big") if n else b""
    return bytes([(0x80 if fin else 0) | op]) + size + mask + body


class Framed:
    """A socket whose bytes are the payload of binary frames; control frames are kept aside."""

    def __init__(self, sock, b, **how):
        self.sock, self.raw, self.control = sock, b"", []
        sock.sendall(ask(b, **how))
        while b"\r\n\r\n" not in self.raw:
            self.more()
        head, self.raw = self.raw.split(b"\r\n\r\n", 1)
        self.head = head.decode()
        if f"Sec-WebSocket-Accept: {ACCEPT}" not in self.head or "101 " not in self.head.split("\r\n")[0]:
            raise Wrong(self.head)

    def __getattr__(self, name):
        return getattr(self.sock, name)

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionResetError
        self.raw += data

    def one(self):
        while len(self.raw) < 2 or len(self.raw) < self.need():
            self.more()
        n, head = self.need(), self.need() - self.length()
        op, data, self.raw = self.raw[0], self.raw[head:n], self.raw[n:]
        return op, data

    def length(self):
        n = self.raw[1]
        return n if n < 126 else int.from_bytes(self.raw[2:4], "big") if n == 126 else int.from_bytes(self.raw[2:10], "big")

    def need(self):
        n = self.raw[1]
        size = 2 if n < 126 else 4 if n == 126 else 10
        return size if len(self.raw) < size else size + self.length()

    def sendall(self, data):
        self.sock.sendall(frame(2, data))

    def recv(self, _n):
        data = b""
        while not data or self.raw:
            try:
                op, more = self.one()
            except ConnectionResetError:
                return data
            if op == 0x82:
                data += more
            else:
                self.control.append((op & 15, more))
                if op == 0x88:
                    return data
                if not self.raw:
                    return data or self.recv(_n)
        return data


def over_ws(b, v, **how):
    s = Socket(b, v)
    s.sock = Framed(s.sock, b, **how)
    return s


def enter(s, v):
    s.send(connect(v, fresh("c")))
    s.expect(CONNACK, reason=0)
    return s


def answer(b, request):
    with socket.create_connection(("127.0.0.1", b.port), timeout=PATIENCE_S) as s:
        s.sendall(request)
        data = b""
        with contextlib.suppress(ConnectionResetError):
            while more := s.recv(65536):
                data += more
                if b" 101 " in data:
                    break
    return int(data.split(b" ")[1]) if data.startswith(b"HTTP/1.1 ") else 0


@test(versions=(5,))
def requests_are_accepted_or_refused_for_a_reason(_, v):
    with broker() as b, broker(', path: "/", origins: ["https://hmi.example", "http://other"]') as listed:
        here = f"127.0.0.1:{b.port}"
        for status, request in [
            (101, ask(b)), (101, ask(b, path="/mqtt?x=1")), (101, ask(b, protocol="foo, mqtt")), (101, ask(b, protocol="mqttv3.1")),
            (101, ask(b, Connection="keep-alive, Upgrade")), (101, ask(b, origin=f"http://{here}")),
            (404, ask(b, path="/")), (404, ask(b, path="/mqttx")), (400, ask(b, protocol="chat")), (400, ask(b, drop=("Sec-WebSocket-Protocol",))),
            (400, ask(b, **{"Sec-WebSocket-Key": "short"})), (426, ask(b, drop=("Upgrade",))), (426, ask(b, **{"Sec-WebSocket-Version": "8"})),
            (426, b"GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n"), (403, ask(b, origin="http://evil.example")), (403, ask(b, origin="null")),
            (403, ask(b, origin=f"http://{here}.evil.example")), (400, b"POST /mqtt HTTP/1.1\r\n\r\n"), (400, connect(v, "x")),
            (431, b"GET /" + b"x" * 9000),
        ]:
            got = answer(b, request)
            if got != status:
                raise Wrong(f"{request[:200]} got {got}, not {status}")
        for status, origin in ((101, "https://hmi.example"), (101, "http://other"), (403, f"http://127.0.0.1:{listed.port}"), (101, None)):
            if answer(listed, ask(listed, path="/", origin=origin)) != status:
                raise Wrong(f"origin {origin} did not get {status}")


@test()
def packets_come_whole_however_frames_cut_them(_, v):
    with broker() as b:
        c, topic = enter(over_ws(b, v), v), fresh()
        c.send(subscribe(v, 1, (topic, 0)))
        c.expect(SUBACK)
        stream = b"".join(publish(v, topic, str(i) * (i % 7)) for i in range(60))
        for size in (1, 3, 125, 126, len(stream)):
            for i in range(0, len(stream), size):
                c.send(stream[i:i + size])
            for i in range(60):
                c.expect(PUBLISH, topic=topic, payload=str(i) * (i % 7))
        raw = c.sock.sock
        one = publish(v, topic, "in pieces")
        raw.sendall(frame(2, one[:5], fin=False) + frame(9, b"ping") + frame(0, one[5:9], fin=False) + frame(0, b"", fin=False) + frame(0, one[9:]))
        c.expect(PUBLISH, topic=topic, payload="in pieces")
        if (10, b"ping") not in c.sock.control:
            raise Wrong(f"no pong: {c.sock.control}")
        for byte in frame(2, one):
            raw.sendall(bytes([byte]))
        c.expect(PUBLISH, topic=topic, payload="in pieces")
        large = publish(v, topic, bytes(2_000_000))
        c.send(large)
        c.expect(PUBLISH, topic=topic, payload=bytes(2_000_000), patience=30)


@test(versions=(4,))
def frames_that_no_client_may_send_end_the_connection(_, v):
    with broker() as b:
        watcher = enter(over_ws(b, v), v)
        for bad in (frame(1, b"text"), b"\x82\x02ab", b"\xc2\x80abcd", frame(9, b"x", fin=False), frame(0, b"x"), frame(3, b"x"),
                    frame(2, b"", fin=False) + frame(2, b""), b"\x89\xfe\x00\x80abcd", b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xffabcd"):
            c = enter(over_ws(b, v), v)
            c.sock.sock.sendall(bad)
            with contextlib.suppress(ConnectionResetError):
                c.sock.recv(1)
            if not c.sock.control or c.sock.control[-1][0] != 8:
                raise Wrong(f"{bad[:20]} was not answered with a close frame: {c.sock.control}")
        watcher.nothing()


@test(versions=(4, 5))
def a_close_frame_is_answered_and_the_will_goes_out(_, v):
    with broker() as b:
        watcher, topic = enter(over_ws(b, v), v), fresh()
        watcher.send(subscribe(v, 1, (topic, 0)))
        watcher.expect(SUBACK)
        c = over_ws(b, v)
        c.send(connect(v, fresh("c"), will=Will(topic)))
        c.expect(CONNACK, reason=0)
        c.sock.sock.sendall(frame(8, b"\x03\xe9"))
        c.sock.recv(1)
        if c.sock.control != [(8, b"\x03\xe8")]:
            raise Wrong(f"{c.sock.control}")
        watcher.expect(PUBLISH, topic=topic)
        d = enter(over_ws(b, v), v)
        d.send(wire.disconnect(v))
        d.sock.recv(1)
        if d.sock.control != [(8, b"\x03\xe8")]:
            raise Wrong(f"after DISCONNECT: {d.sock.control}")


def paho(b, v, tls):
    import paho.mqtt.client as mqtt
    topic, got, done = fresh(), [], threading.Event()
    c = mqtt.Client(fresh("paho"), transport="websockets", protocol={4: mqtt.MQTTv311, 5: mqtt.MQTTv5}[v])
    c.ws_set_options(path="/mqtt", headers=lambda h: {k: x for k, x in h.items() if k != "Origin"})
    if tls:
        c.tls_set(ca_certs=CA.cert)
    c.on_connect = lambda *_: c.subscribe(topic, 2)
    c.on_subscribe = lambda *_: [c.publish(topic, bytes([i]) * (10 ** i), qos=i % 3) for i in range(6)]
    c.on_message = lambda _c, _u, m: (got.append(len(m.payload)), len(got) == 6 and done.set())
    c.connect("127.0.0.1", b.port)
    c.loop_start()
    fine = done.wait(PATIENCE_S)
    c.disconnect()
    c.loop_stop()
    if not fine or sorted(got) != [10 ** i for i in range(6)]:
        raise Wrong(f"paho got {got}")


@test(versions=(4, 5))
def paho_talks_over_websocket(_, v):
    with broker() as b:
        paho(b, v, False)


@test(versions=(4, 5))
def paho_talks_over_secure_websocket(_, v):
    with broker(f", tls: {{cert: {CERT}, key: {KEY}}}") as b:
        paho(b, v, True)


main(LISTENER.replace(", protocol: websocket%s", ""), parallel=4)
