# SPDX-License-Identifier: MIT
"""The ways to an upstream: what is on the wire of a TLS handshake, WebSocket, proxies with and without a password, a
list of addresses, and credentials that change while the link is up.

    test_ways.py HOST_PROGRAM [CASE...]
"""
import base64
import json
import os
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import SITE, Mosquitto, Subscriber, free_port, run_cases, until
from stand_in import StandIn
from test_servers import SHARED_KEY, ServerRig, plain, seqs

USER, PASSWORD = "weir", "p@ss:/ %41"


class Proxy:
    """An HTTP proxy that knows CONNECT, wants a password if it was given one, and notes who asked for what. Whatever is
    asked for, it leads to `port`."""

    def __init__(self, port, password=None):
        self.leads_to, self.asked, self.turned_away = port, [], 0
        self.key = password and b"Basic " + base64.b64encode(f"{USER}:{password}".encode())
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.lead, args=(client,), daemon=True).start()

    def lead(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            more = client.recv(4096)
            if not more:
                return
            head += more
        lines = head.split(b"\r\n")
        if self.key and b"proxy-authorization: " + self.key.lower() not in [line.lower() for line in lines]:
            self.turned_away += 1
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            client.close()
            return
        self.asked.append(lines[0].decode())
        server = socket.create_connection(("127.0.0.1", self.leads_to))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        for a, b in ((client, server), (server, client)):
            threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    def pump(self, a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()


def written(rig, name, text):
    path = os.path.join(rig.dir, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text + "\n")
    return path


def proxy_of(rig, port, password=None):
    rig.more.append(Proxy(port, password))
    return rig.more[-1]


def through(rig, proxy, password=PASSWORD):
    return (f"proxy: http://{USER}@127.0.0.1:{proxy.port}\n"
            f"proxy_password_file: {written(rig, 'proxy', password)}\n")


# --- TLS ----------------------------------------------------------------------------------------------------------


def aws_on_port_443_is_told_the_name_and_the_protocol(rig):
    """With a certificate; the proxy leads to the stand-in, since port 443 is nobody's to take."""
    proxy = proxy_of(rig, rig.server.port, PASSWORD)
    h = rig.begin(f"preset: aws\naddress: mqtts://localhost:443\nstatus: ''\nrules: [{{out: 'plant/#'}}]\n"
                  f"tls: {{ca: {rig.pki.file('ca.pem')}, cert: {rig.pki.file('client.pem')}, "
                  f"key: {rig.pki.file('client.key')}}}\n{through(rig, proxy)}")
    h.tell("add 20 50")
    until("drained", lambda: h.acked() == 20)
    assert rig.server.names == ["localhost"] and rig.server.hellos[0]["alpn"] == "x-amzn-mqtt-ca", rig.server.hellos
    assert proxy.asked == ["CONNECT localhost:443 HTTP/1.1"], proxy.asked


def aws_with_an_authorizer_speaks_of_mqtt(rig):
    proxy = proxy_of(rig, rig.server.port)
    h = rig.begin(f"preset: aws\naddress: mqtts://localhost:443\nstatus: ''\nrules: [{{out: 'plant/#'}}]\n"
                  f"tls: {{ca: {rig.pki.file('ca.pem')}}}\nproxy: http://127.0.0.1:{proxy.port}\n"
                  f"username: me\npassword_file: {written(rig, 'password', 'secret')}\n")
    until("up", lambda: h.ups() == 1)
    hello = rig.server.hellos[0]
    assert (hello["alpn"], hello["user"], hello["password"]) == ("mqtt", "me", "secret"), hello


# --- WebSocket and proxies ----------------------------------------------------------------------------------------


class WsRig(ServerRig):
    """A mosquitto with a WebSocket listener, encrypted and asking for certificates or plain."""

    def __init__(self, program, encrypted):
        super().__init__(program, encrypted)
        self.ws_port = free_port()
        conf = f"listener {self.ws_port} 127.0.0.1\nprotocol websockets\n"
        if encrypted:
            conf += (f"cafile {self.pki.file('ca.pem')}\ncertfile {self.pki.file('server.pem')}\n"
                     f"keyfile {self.pki.file('server.key')}\nrequire_certificate true\n")
            os.chmod(self.dir, 0o755)
            for name in ("ca.pem", "server.pem", "server.key"):
                os.chmod(self.pki.file(name), 0o644)
        self.broker = Mosquitto(self.dir, conf)
        self.watch = Subscriber(self.broker.port, ("plant/#",))

    def options(self):
        tls = "" if not hasattr(self, "pki") else (
            f"tls: {{ca: {self.pki.file('ca.pem')}, cert: {self.pki.file('client.pem')}, "
            f"key: {self.pki.file('client.key')}}}\n")
        scheme = "wss" if tls else "ws"
        return f"address: {scheme}://localhost:{self.ws_port}/mqtt\nstatus: ''\nrules: [{{out: 'plant/#'}}]\n{tls}"

    def all_arrive(self, h, count):
        h.tell(f"add {count} 100")
        until("acknowledged", lambda: h.acked() == count)
        until("arrived", lambda: len({r[2]["seq"] for r in self.watch.got}) == count)

    def end(self):
        self.watch.close()
        self.broker.stop()
        super().end()


def websocket_goes_straight(rig):
    rig.all_arrive(rig.begin(rig.options()), 500)


def websocket_goes_through_a_proxy(rig):
    proxy = proxy_of(rig, rig.ws_port)
    rig.all_arrive(rig.begin(f"{rig.options()}proxy: http://127.0.0.1:{proxy.port}\n"), 500)
    assert proxy.asked == [f"CONNECT localhost:{rig.ws_port} HTTP/1.1"], proxy.asked


def websocket_goes_through_a_proxy_with_a_password(rig):
    proxy = proxy_of(rig, rig.ws_port, PASSWORD)
    rig.all_arrive(rig.begin(rig.options() + through(rig, proxy)), 500)
    assert len(proxy.asked) == 1 and not proxy.turned_away


def a_proxys_new_password_counts_with_the_next_call(rig):
    proxy = proxy_of(rig, rig.server.port, PASSWORD)
    h = plain(rig, through(rig, proxy, "wrong") + "backoff: 100ms\n")
    until("turned away", lambda: proxy.turned_away > 0 and h.said("state down"))
    written(rig, "proxy", PASSWORD)
    until("up", lambda: h.ups() == 1)


# --- a list of addresses -------------------------------------------------------------------------------------------


def the_first_address_is_gone_back_to(rig):
    first = free_port()
    h = rig.begin(f"address: [mqtt://127.0.0.1:{first}, mqtt://127.0.0.1:{rig.server.port}]\nreturn_after: 1s\n"
                  "status: ''\nrules: [{out: 'plant/#'}]\n")
    h.tell("add 10 50")
    until("the second has them", lambda: h.acked() == 10)
    assert len(rig.server.accepted) == 10
    home = StandIn(port=first)
    rig.more.append(home)
    until("the first is back", lambda: home.hellos)
    h.tell("add 10 50")
    until("the first has the others", lambda: h.acked() == 20 and len(home.accepted) == 10)


# --- credentials that change -----------------------------------------------------------------------------------------


def a_reload_takes_a_new_password_at_once_and_loses_nothing(rig):
    path = written(rig, "password", "old")
    h = plain(rig, f"username: me\npassword_file: {path}\n")
    until("up", lambda: h.ups() == 1)
    h.tell("configured 1")
    h.tell("add 300 50")
    until("drained", lambda: h.acked() == 300)
    assert len(rig.server.hellos) == 1  # a reload that changes none of them leaves the link alone
    written(rig, "password", "new")
    h.tell("add 300 50")
    h.tell("configured 2")
    h.tell("add 300 50")
    until("up anew", lambda: h.ups() == 2)
    until("drained", lambda: h.acked() == 900)
    assert [hello["password"] for hello in rig.server.hellos] == ["old", "new"]
    assert sorted(set(seqs(rig.server.accepted))) == list(range(1, 901))
    assert not h.said("state down")


def a_reload_takes_no_key_that_does_not_fit(rig):
    cert, key = written(rig, "my.pem", ""), written(rig, "my.key", "")

    def put(path, name):
        with open(rig.pki.file(name), encoding="ascii") as f:
            written(rig, os.path.basename(path), f.read())

    put(cert, "client.pem")
    put(key, "client.key")
    h = rig.begin(f"address: mqtts://localhost:{rig.server.port}\nstatus: ''\nrules: [{{out: 'plant/#'}}]\n"
                  f"tls: {{ca: {rig.pki.file('ca.pem')}, cert: {cert}, key: {key}}}\n")
    until("up", lambda: h.ups() == 1)
    put(key, "server.key")
    h.tell("configured 1")
    h.tell("add 10 50")
    until("drained", lambda: h.acked() == 10)
    assert len(rig.server.hellos) == 1 and not h.said("state down")
    put(cert, "server.pem")
    h.tell("configured 2")
    until("up with the new pair", lambda: h.ups() == 2)


def a_shared_access_signature_is_renewed_before_it_expires(rig):
    """The hub ends the link of a token that ran out; it never has to."""
    def welcome(hello):
        fields = dict(f.split("=", 1) for f in hello["password"].removeprefix("SharedAccessSignature ").split("&"))
        rig.server.links[-1].until = int(fields["se"])
        return 0, ()

    rig.server.welcome = welcome
    rig.server.judge = lambda p, _s, _u: ("expired" if time.time() >= rig.server.links[-1].until else
                                          None if "topic=plant%2Fdev%2F" in p.topic else p.topic)
    h = rig.begin(f"preset: azure\naddress: mqtts://localhost:{rig.server.port}\nclient_id: {SITE}\nmark: json\n"
                  f"tls: {{ca: {rig.pki.file('ca.pem')}}}\nrules: [{{out: 'plant/#'}}]\nrate: 100\n"
                  f"token: {{kind: sas, key: {written(rig, 'hub.key', SHARED_KEY)}, lifetime: 8s}}\n")
    h.tell("add 720 50")
    until("drained", lambda: h.acked() == 720, 60)
    assert not rig.server.breaches and not h.said("state down"), (rig.server.breaches, h.said("state down"))
    assert len(rig.server.hellos) > 1 and len({hello["password"] for hello in rig.server.hellos}) > 1
    assert len({p.payload for p in rig.server.accepted}) >= 720


# --- the bridge bit ---------------------------------------------------------------------------------------------------


def a_bridge_is_known_as_one(rig, way="mqtt"):
    """By mosquitto: what was published as retained says so on its way down too, and nothing comes back."""
    port = free_port()
    extra = f"listener {port} 127.0.0.1\n" + ("protocol websockets\n" if way.startswith("ws") else "")
    if way == "wss":
        extra += f"certfile {rig.pki.file('server.pem')}\nkeyfile {rig.pki.file('server.key')}\n"
    broker = Mosquitto(rig.dir, extra)
    watch = Subscriber(broker.port)
    try:
        h = rig.begin(f"address: {way}://localhost:{port}\nversion: 3.1.1\nstatus: ''\n"
                      "rules: [{both: 'plant/#'}, {in: 'down/#'}]\n" +
                      (f"tls: {{ca: {rig.pki.file('ca.pem')}}}\n" if way == "wss" else ""))
        until("up", lambda: h.ups() == 1)
        watch.publish("down/probe", "1")  # granted, since it is answered in order
        until("the probe", lambda: any(l.startswith("inbound down/probe") for l in h.lines))
        h.tell("add 20 50")
        until("drained", lambda: h.acked() == 20 and len(watch.got) >= 21)
        watch.publish("down/kept", "1", retain=True)
        watch.publish("down/last", "1")
        until("the last", lambda: any(l.startswith("inbound down/last") for l in h.lines))
        assert [l for l in h.said("inbound ") if "probe" not in l] == ["inbound down/kept 1 1 1", "inbound down/last 1 0 1"]
        until("it is counted", lambda: h.stats()["sent"] == "20")
        assert h.stats()["looped"] == "0", h.stats()  # none came back to be known by its sum
    finally:
        watch.close()
        broker.stop()


def over_a_web_socket_too(rig):
    a_bridge_is_known_as_one(rig, way="ws")


def over_one_with_tls_too(rig):
    a_bridge_is_known_as_one(rig, way="wss")


def who_does_not_know_the_bit_is_asked_once(rig, hangs_up=False):
    def welcome(hello):
        if hello["version"] & 0x80 and hangs_up:
            raise ConnectionError
        return (1 if hello["version"] & 0x80 else 0), ()

    rig.server.welcome = welcome
    encrypted = hasattr(rig, "pki")
    h = rig.begin(f"address: mqtt{'s' if encrypted else ''}://localhost:{rig.server.port}\nversion: 3.1.1\nstatus: ''\n"
                  "rules: [{out: 'plant/#'}, {in: 'down/#'}]\nbackoff: 50ms\nbackoff_max: 200ms\n" +
                  (f"tls: {{ca: {rig.pki.file('ca.pem')}}}\n" if encrypted else ""))
    h.tell("add 20 50")
    until("drained", lambda: h.acked() == 20)
    rig.server.links[-1].sock.shutdown(socket.SHUT_RDWR)
    until("up again", lambda: h.ups() == 2)
    assert [hello["version"] for hello in rig.server.hellos] == [0x84, 4, 4], rig.server.hellos


def who_hangs_up_at_the_bit_is_asked_once(rig):
    who_does_not_know_the_bit_is_asked_once(rig, hangs_up=True)


def nobody_is_asked_where_it_is_of_no_use(rig):
    for more, rules in (("", "{out: 'plant/#'}"), ("bridge_bit: no\n", "{in: 'down/#'}"),
                        ("preset: rabbitmq\n", "{in: 'down/#'}"), ("version: 5\n", "{in: 'down/#'}")):
        h = rig.begin(f"address: mqtt://127.0.0.1:{rig.server.port}\nstatus: ''\nrules: [{rules}]\n" +
                      (more if "version" in more else more + "version: 3.1.1\n"))
        until("up", lambda: h.ups() == 1)
        assert h.stop() == 0
    assert [hello["version"] for hello in rig.server.hellos] == [4, 4, 4, 5]


def part_of_a_token(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def is_signed(rig, signed, signature):
    """ES256 has the two numbers side by side, openssl wants them in ASN.1."""
    def number(b):
        b = b.lstrip(b"\0") or b"\0"
        return bytes([2, len(b) + (b[0] >> 7)]) + b"\0" * (b[0] >> 7) + b

    body = number(signature[:32]) + number(signature[32:])
    with open(os.path.join(rig.dir, "signature"), "wb") as f:
        f.write(bytes([0x30, len(body)]) + body)
    return subprocess.run(["openssl", "dgst", "-sha256", "-verify", os.path.join(rig.dir, "public"), "-signature", f.name],
                          input=signed, capture_output=True, check=False).returncode == 0


def a_web_token_is_renewed_before_it_expires(rig):
    """As Google's service had it: 3.1.1, a user name that nobody reads, ES256, for at most a day; and the end of the link
    when the token runs out."""
    def welcome(hello):
        head, claims, signature = hello["password"].split(".")
        told = json.loads(part_of_a_token(claims))
        rig.server.links[-1].until = told["exp"]
        good = (json.loads(part_of_a_token(head)) == {"alg": "ES256", "typ": "JWT"} and hello["user"] == "unused" and
                told["aud"] == "my-project" and told["iat"] <= time.time() < told["exp"] <= told["iat"] + 86400 and
                is_signed(rig, f"{head}.{claims}".encode(), part_of_a_token(signature)))
        return (0 if good else 4), ()

    key = os.path.join(rig.dir, "key.pem")
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key], check=True)
    subprocess.run(["openssl", "ec", "-in", key, "-pubout", "-out", os.path.join(rig.dir, "public")], check=True,
                   capture_output=True)
    rig.server.welcome = welcome
    rig.server.judge = lambda p, _s, _u: "expired" if time.time() >= rig.server.links[-1].until else None
    h = rig.begin(f"address: mqtts://localhost:{rig.server.port}\nclient_id: projects/p/locations/l/registries/r/devices/d\n"
                  f"version: 3.1.1\nusername: unused\nstatus: ''\nrules: [{{out: 'plant/#'}}]\nrate: 100\n"
                  f"tls: {{ca: {rig.pki.file('ca.pem')}}}\ntoken: {{kind: jwt, key: {key}, audience: my-project, lifetime: 8s}}\n")
    h.tell("add 720 50")
    until("drained", lambda: h.acked() == 720, 60)
    assert not rig.server.breaches and not h.said("state down"), (rig.server.breaches, h.said("state down"))
    assert len({hello["password"] for hello in rig.server.hellos}) > 1


CASES = {
    aws_on_port_443_is_told_the_name_and_the_protocol: {"encrypted": True, "alpn": "x-amzn-mqtt-ca"},
    aws_with_an_authorizer_speaks_of_mqtt: {"encrypted": True, "alpn": "mqtt"},
    a_proxys_new_password_counts_with_the_next_call: {},
    the_first_address_is_gone_back_to: {},
    a_reload_takes_a_new_password_at_once_and_loses_nothing: {},
    a_reload_takes_no_key_that_does_not_fit: {"encrypted": True},
    a_shared_access_signature_is_renewed_before_it_expires: {"encrypted": True},
    a_web_token_is_renewed_before_it_expires: {"encrypted": True},
    a_bridge_is_known_as_one: {},
    over_a_web_socket_too: {},
    over_one_with_tls_too: {"encrypted": True},
    who_does_not_know_the_bit_is_asked_once: {"encrypted": True},
    who_hangs_up_at_the_bit_is_asked_once: {},
    nobody_is_asked_where_it_is_of_no_use: {},
}

WS_CASES = {
    websocket_goes_through_a_proxy: {"encrypted": False},
    websocket_goes_straight: {"encrypted": True},
    websocket_goes_through_a_proxy_with_a_password: {"encrypted": True},
}

if __name__ == "__main__":
    sys.exit(run_cases(CASES, ServerRig) | run_cases(WS_CASES, WsRig))
