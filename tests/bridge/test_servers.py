# SPDX-License-Identifier: MIT
"""The bridge against servers that have limits and opinions: the presets against what the services document, and MQTT
5's ways to say no.

    test_servers.py HOST_PROGRAM [CASE...]
"""
import base64
import hashlib
import hmac
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import SITE, Host, run_cases, until
from stand_in import StandIn, later, w
from test_tls import Pki

SHARED_KEY = base64.b64encode(b"a shared access key of 32 bytes!").decode()


class ServerRig:
    def __init__(self, program, encrypted=False, alpn=None):
        self.program, self.host = program, None
        self.dir = tempfile.mkdtemp(prefix="weir-server-")
        context = None
        if encrypted:
            self.pki = Pki(self.dir)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.pki.file("server.pem"), self.pki.file("server.key"))
            if alpn:
                context.set_alpn_protocols([alpn])
        self.server = StandIn(context)
        self.more = []

    def begin(self, options):
        self.host = Host(self.program, self.dir, options)
        return self.host

    def end(self):
        if self.host:
            self.host.kill()
        for s in [self.server] + self.more:
            s.close()
        shutil.rmtree(self.dir)


def plain(rig, more="", rules="{out: 'plant/#'}"):
    return rig.begin(f"address: mqtt://127.0.0.1:{rig.server.port}\nstatus: ''\nrules: [{rules}]\n{more}")


def seqs(packets):
    return [int(dict(p.all(0x26))["seq"]) for p in packets]


# --- services -----------------------------------------------------------------------------------------------------


def aws_limits_are_kept(rig):
    def judge(p, size, unacked):
        if size > 128 * 1024:
            return f"packet of {size}"
        if unacked > 100:
            return f"{unacked} unacknowledged"
        return "qos 2" if p.qos == 2 else None

    rig.server.judge = judge
    rig.server.answer = lambda link, p: later(0.2, link.puback, p)
    h = rig.begin(f"preset: aws\naddress: mqtts://localhost:{rig.server.port}\nrules: [{{out: 'plant/#'}}]\n"
                  f"tls: {{ca: {rig.pki.file('ca.pem')}, cert: {rig.pki.file('client.pem')}, "
                  f"key: {rig.pki.file('client.key')}, alpn: x-amzn-mqtt-ca}}\nrate: 100\n")
    h.tell("add 100 200")
    h.tell("add 1 140000")
    h.tell("add 50 200")
    until("the cursor passes", lambda: h.acked() == 151)
    assert not rig.server.breaches, rig.server.breaches
    assert rig.server.hellos[0]["alpn"] == "x-amzn-mqtt-ca", rig.server.hellos
    hello = rig.server.hellos[0]
    assert hello["keep_alive"] <= 1200 and hello["version"] == 5, hello
    assert not hello["clean"] and 0 < hello["props"][0x11] <= 604800, hello  # a persistent session, of a week at most
    assert h.said("quarantine ") == ["quarantine 101 149 packet too large"], h.said("quarantine ")


def azure_gets_its_user_name_its_token_and_its_topics(rig):
    def welcome(hello):
        user = f"localhost/{SITE}/?api-version=2021-04-12"
        fields = dict(f.split("=", 1) for f in (hello["password"] or "").removeprefix("SharedAccessSignature ").split("&"))
        what = f"{fields['sr']}\n{fields['se']}".encode()
        sig = base64.b64encode(hmac.new(base64.b64decode(SHARED_KEY), what, hashlib.sha256).digest()).decode()
        good = (hello["user"] == user and hello["version"] == 4 and hello["client_id"] == SITE and
                urllib.parse.unquote(fields["sr"]) == f"localhost/devices/{SITE}" and
                urllib.parse.unquote(fields["sig"]) == sig and
                3000 < int(fields["se"]) - time.time() < 3700 and "will" not in hello)
        return (0 if good else 5), ()

    def judge(p, size, _unacked):
        if not p.topic.startswith(f"devices/{SITE}/messages/events/"):
            return f"topic {p.topic}"
        return "retained" if p.retain else "too large" if size > 256 * 1024 else None

    rig.server.welcome, rig.server.judge = welcome, judge
    key = os.path.join(rig.dir, "hub.key")
    with open(key, "w", encoding="ascii") as f:
        f.write(SHARED_KEY + "\n")
    h = rig.begin(f"preset: azure\naddress: mqtts://localhost:{rig.server.port}\nclient_id: {SITE}\n"
                  f"tls: {{ca: {rig.pki.file('ca.pem')}}}\ntoken: {{kind: sas, key: {key}}}\n"
                  f"rules: [{{out: 'plant/#'}}]\n")
    h.tell("add 200 200")
    until("drained", lambda: h.acked() == 200)
    assert not rig.server.breaches, rig.server.breaches
    assert rig.server.published[1].topic == f"devices/{SITE}/messages/events/topic=plant%2Fdev%2F1"
    assert '"seq":1' in rig.server.published[0].payload.decode()


def aws_topics_it_would_hang_up_on_are_set_aside(rig):
    def judge(p, _size, _unacked):
        if len(p.topic.encode()) > 256 or p.topic.count("/") > 7:
            return f"topic {p.topic}"
        return None

    rig.server.judge = judge
    h = rig.begin(f"preset: aws\naddress: mqtts://localhost:{rig.server.port}\nstatus: ''\n"
                  f"rules: [{{out: 'plant/#', batch: {{records: 2, age: 50ms}}}}]\n"
                  f"tls: {{ca: {rig.pki.file('ca.pem')}, cert: {rig.pki.file('client.pem')}, "
                  f"key: {rig.pki.file('client.key')}, alpn: x-amzn-mqtt-ca}}\n")
    for topic in ("plant/1/2/3/4/5/6/7", "plant/1/2/3/4/5/6/7/8", "plant/" + "x" * 250, "plant/" + "x" * 249 + "y", "plant/z"):
        h.tell(f"say {topic[:255]}{'' if len(topic) < 256 else 'z'} 1")
    until("the cursor passes", lambda: h.acked() == 5)
    assert not rig.server.breaches, rig.server.breaches
    assert {p.topic for p in rig.server.published} >= {"plant/1/2/3/4/5/6/7", "plant/z"}
    assert "quarantine 2 144 topic name invalid" in h.said("quarantine "), h.said("quarantine ")


def azure_is_never_sent_a_topic_of_nobody(rig):
    rig.server.judge = lambda p, _s, _u: None if p.topic.startswith(f"devices/{SITE}/messages/events/") else p.topic
    key = os.path.join(rig.dir, "hub.key")
    with open(key, "w", encoding="ascii") as f:
        f.write(SHARED_KEY + "\n")
    h = rig.begin(f"preset: azure\naddress: mqtts://localhost:{rig.server.port}\nclient_id: {SITE}\n"
                  f"tls: {{ca: {rig.pki.file('ca.pem')}}}\ntoken: {{kind: sas, key: {key}}}\n"
                  f"rules: [{{out: 'plant/+/+', topic: 'devices/{SITE}/messages/events/{{1}}', "
                  f"batch: {{records: 10, age: 100ms}}}}, {{in: 'devices/{SITE}/messages/devicebound/#'}}]\n")
    h.tell("add 95 100")
    until("drained", lambda: h.acked() == 95)
    assert not rig.server.breaches, rig.server.breaches
    assert len(rig.server.published) < 20
    assert rig.server.published[0].payload.decode().startswith('[{"topic":"plant/dev/0","seq":1,')


def nats_is_spared_what_it_cannot_name(rig, preset="nats", never=" "):
    """From 2.10 on; before, dots too, and QoS 2. Both answer MQTT 5 by unacceptable protocol version."""
    def judge(p, size, unacked):
        return ("topic" if set(p.topic) & set(never) else "size" if size > 1024 * 1024 else
                f"{unacked} unacked" if unacked > 100 else "qos 2" if p.qos == 2 else None)

    rig.server.welcome = lambda hello: (0 if hello["version"] == 4 else 1, ())
    rig.server.judge = judge
    h = plain(rig, f"preset: {preset}\n", f"{{out: 'plant/v1', topic: 'plant/v{never[0]}1'}}, {{out: 'plant/#'}}")
    for topic in ("plant/a", "plant/v1", "plant/b"):
        h.tell(f"say {topic} 1")
    h.tell("add 1 1100000")
    h.tell("add 30 100")
    until("the cursor passes", lambda: h.acked() == 34)
    assert not rig.server.breaches, rig.server.breaches
    assert [p.topic for p in rig.server.published][:2] == ["plant/a", "plant/b"] and len(rig.server.accepted) == 32
    assert h.said("quarantine ") == ["quarantine 2 144 topic name invalid", "quarantine 4 149 packet too large"]


def nats_before_2_10_is_spared_dots_too(rig):
    nats_is_spared_what_it_cannot_name(rig, "nats-2.9", ". ")


def rabbitmq_hears_3_1_1_and_qos_1(rig):
    """As 3.8 to 3.12 do it: the connection is closed under MQTT 5 and no word said, QoS 2 becomes 1."""
    def welcome(hello):
        if hello["version"] != 4:
            raise ConnectionError
        return 0, ()

    rig.server.welcome = welcome
    rig.server.judge = lambda p, _s, _u: None if p.qos == 1 else f"qos {p.qos}"
    h = plain(rig, "preset: rabbitmq\n", rules="{out: 'plant/#', retain: set}")
    h.tell("add 100 100")
    until("drained", lambda: h.acked() == 100)
    assert not rig.server.breaches, rig.server.breaches
    assert h.ups() == 1 and not rig.server.hellos[0]["clean"] and rig.server.published[0].retain


def limits_that_a_broker_tells_are_kept(rig):
    """As HiveMQ, EMQX and Mosquitto do it: receive maximum, maximum packet, no retain, QoS 1 at most."""
    def judge(p, size, unacked):
        return ("window" if unacked > 10 else "size" if size > 4000 else "retain" if p.retain else
                "qos" if p.qos > 1 else None)

    rig.server.welcome = lambda hello: (0, [(0x21, 10), (0x27, 4000), (0x25, 0), (0x24, 1)])
    rig.server.judge = judge
    rig.server.answer = lambda link, p: later(0.01, link.puback, p)
    for n, preset in enumerate(("hivemq", "emqx", "mosquitto")):
        h = rig.begin(f"preset: {preset}\naddress: mqtt://127.0.0.1:{rig.server.port}\nstatus: ''\n"
                      f"rules: [{{out: 'plant/#', retain: set}}]\n")
        h.tell("add 60 100")
        h.tell("add 1 5000")
        h.tell("add 20 100")
        until("the cursor passes", lambda: h.acked() == 81 * (n + 1))
        assert h.said("quarantine ") == [f"quarantine {81 * n + 61} 149 packet too large"], h.said("quarantine ")
        assert h.stop() == 0
    assert not rig.server.breaches, rig.server.breaches


def a_jwt_is_signed_by_the_private_key(rig):
    def part(text):
        return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))

    def welcome(hello):
        head, claims, signature = (hello["password"] or "a.b.c").split(".")
        with open(os.path.join(rig.dir, "sig"), "wb") as f:
            f.write(base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)))
        checked = subprocess.run(["openssl", "dgst", "-sha256", "-verify", public, "-signature", f.name],
                                 input=f"{head}.{claims}".encode(), capture_output=True, check=False)
        claims = part(claims)
        good = (part(head)["alg"] == "RS256" and checked.returncode == 0 and claims["aud"] == "fleet-1" and
                claims["iat"] <= time.time() + 1 and 3500 < claims["exp"] - claims["iat"] <= 3600)
        return (0 if good else 0x86), ()

    key, public = os.path.join(rig.dir, "jwt.key"), os.path.join(rig.dir, "jwt.pub")
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], capture_output=True, check=True)
    subprocess.run(["openssl", "rsa", "-in", key, "-pubout", "-out", public], capture_output=True, check=True)
    rig.server.welcome = welcome
    h = plain(rig, f"username: unused\nclient_id: projects/p/devices/d\n"
                   f"token: {{kind: jwt, key: {key}, audience: fleet-1}}\n")
    h.tell("add 20 50")
    until("drained", lambda: h.acked() == 20)
    assert rig.server.hellos[0]["client_id"] == "projects/p/devices/d"


# --- ways to say no -----------------------------------------------------------------------------------------------


def receive_maximum_is_never_passed(rig):
    rig.server.welcome = lambda hello: (0, [(0x21, 3)])
    rig.server.answer = lambda link, p: later(0.02, link.puback, p)
    h = plain(rig)
    h.tell("add 60 50")
    until("drained", lambda: h.acked() == 60)
    assert 2 <= rig.server.most_unacked <= 3, rig.server.most_unacked


def receive_maximum_of_one_still_drains(rig):
    rig.server.welcome = lambda hello: (0, [(0x21, 1)])
    rig.server.answer = lambda link, p: later(0.01, link.puback, p)
    h = plain(rig, "ack_timeout: 2s\n")
    h.tell("add 20 50")
    until("drained", lambda: h.acked() == 20)
    assert rig.server.most_unacked == 1, rig.server.most_unacked


def server_keep_alive_is_followed(rig):
    rig.server.welcome = lambda hello: (0, [(0x13, 5)])
    h = plain(rig, "keep_alive: 60s\n")
    until("up", lambda: h.ups() == 1)
    assert len(rig.server.hellos) == 2 and rig.server.hellos[1]["keep_alive"] <= 5, rig.server.hellos


def not_authorised_is_retried_then_set_aside_and_the_rest_goes_on(rig):
    rig.server.answer = lambda link, p: link.puback(p, 0x87 if p.topic == "plant/secret" else 0)
    h = plain(rig)
    h.tell("add 20 50")
    h.tell("add 1 50 plant/secret")
    h.tell("add 20 50")
    until("the cursor passes", lambda: h.acked() == 41, 30)
    assert h.said("quarantine ") == ["quarantine 21 135 not authorised"], h.said("quarantine ")
    assert sum(p.topic == "plant/secret" for p in rig.server.published) == 5
    assert [s for s in seqs(rig.server.accepted)] == [s for s in range(1, 42) if s != 21]


def quota_exceeded_waits_and_loses_nothing(rig):
    state = {"until": time.monotonic() + 3}
    rig.server.answer = lambda link, p: link.puback(p, 0x97 if time.monotonic() < state["until"] else 0)
    h = plain(rig)
    h.tell("add 300 50")
    until("drained", lambda: h.acked() == 300, 30)
    assert sorted(set(seqs(rig.server.accepted))) == list(range(1, 301))
    assert len(rig.server.published) < 1000, len(rig.server.published)  # it was not hammered
    assert not h.said("quarantine ")


def use_another_server_is_obeyed_at_once(rig):
    other = StandIn()
    rig.more.append(other)
    rig.server.welcome = lambda hello: (0x9C, ())
    h = rig.begin(f"address: [mqtt://127.0.0.1:{rig.server.port}, mqtt://127.0.0.1:{other.port}]\n"
                  f"status: ''\nrules: [{{out: 'plant/#'}}]\n")
    h.tell("add 10 50")
    until("drained", lambda: h.acked() == 10)
    assert "use another server" in h.said("state down")[0]
    assert len(rig.server.hellos) == 1 and len(other.accepted) == 10


def sends_away(rig, code, port):
    """After 50 records, as a DISCONNECT: of a CONNACK that refuses, Paho 1.3.12 does not hand the properties on."""
    def answer(link, p):
        if len(rig.server.published) == 50:
            link.send_away(code, w.props((0x1C, f"127.0.0.1:{port}")))
        link.puback(p)

    rig.server.answer = answer


def drains_through(rig, *others):
    addresses = ", ".join(f"mqtt://127.0.0.1:{s.port}" for s in (rig.server, *others))
    h = rig.begin(f"address: [{addresses}]\nstatus: ''\nrules: [{{out: 'plant/#'}}]\n")
    h.tell("add 200 50")
    until("drained", lambda: h.acked() == 200)
    accepted = [p for s in (rig.server, *others) for p in s.accepted]
    assert sorted(set(seqs(accepted))) == list(range(1, 201))


def a_reference_to_a_listed_server_is_followed(rig):
    others = [StandIn(), StandIn()]
    rig.more.extend(others)
    sends_away(rig, 0x9C, others[1].port)
    drains_through(rig, *others)
    assert others[1].accepted and not others[0].hellos


def a_reference_to_a_stranger_is_not_followed_without_tls(rig):
    other, stranger = StandIn(), StandIn()
    rig.more.extend([other, stranger])
    sends_away(rig, 0x9D, stranger.port)
    drains_through(rig, other)
    assert other.accepted and not stranger.hellos


def a_server_disconnect_with_a_reason_is_told_and_survived(rig):
    def answer(link, p):
        if len(rig.server.published) == 50:
            link.send_away(0x8B)
        link.puback(p)

    rig.server.answer = answer
    h = plain(rig)
    h.tell("add 200 50")
    until("drained", lambda: h.acked() == 200)
    assert any("shutting down" in l for l in h.said("state down")), h.said("state down")
    assert sorted(set(seqs(rig.server.accepted))) == list(range(1, 201))


def a_takeover_is_told_on_a_link_that_was_idle(rig):
    """The code is the last thing that comes; mosquitto 2.0.11 ends the connection without it."""
    def answer(link, p):
        link.puback(p)
        if len(rig.server.published) == 1:
            link.send_away(0x8E)

    rig.server.answer = answer
    h = rig.begin(f"address: mqtt://127.0.0.1:{rig.server.port}\nstatus: ''\nrules: [{{out: 'plant/#'}}]\n")
    h.tell("say plant/a 1")
    until("the link has ended", lambda: h.said("state down"))
    assert "session taken over: another client uses this client_id" in h.said("state down")[0], h.said("state down")


def a_busy_server_is_left_alone_for_longer_each_time(rig):
    """By CONNACK, and by DISCONNECT on a link that was up."""
    at = []

    def welcome(_hello):
        at.append(time.monotonic())
        return (0x89 if len(at) <= 2 else 0), ()

    def answer(link, p):
        if len(rig.server.published) == 10:
            link.send_away(0x97)
        link.puback(p)

    rig.server.welcome, rig.server.answer = welcome, answer
    h = plain(rig)
    h.tell("add 30 50")
    until("drained", lambda: h.acked() == 30, 30)
    waits = [b - a for a, b in zip(at, at[1:])]
    assert len(waits) == 3 and waits[0] >= 1 and waits[1] >= 2 and waits[2] >= 1, waits


def timed(rig, more, count):
    """What came of a backlog: how long it took from the first on, how many, their bytes as packets."""
    times, sizes = [], []

    def judge(_p, size, _unacked):
        times.append(time.monotonic())
        sizes.append(size)

    rig.server.judge = judge
    h = plain(rig, more)
    h.tell(f"add {count} 200")
    until("the cursor passes", lambda: h.acked() == count, 60)
    return times[-1] - times[0], len(sizes), sum(sizes)


def a_rate_is_what_comes_over_the_wire(rig):
    """A busy machine may make it less, so only more is a fault; but for the tenth of a second that may come at once."""
    took, count, _ = timed(rig, "rate: 200\n", 800)
    print(f"    rate: 200 brought {count / took:.1f} a second")
    assert count - 1 <= 200 * (took + 0.1) * 1.05, (took, count)


def a_rate_of_bytes_is_what_comes_over_the_wire(rig):
    took, _, size = timed(rig, "rate_bytes: 50000\n", 600)
    print(f"    rate_bytes: 50000 brought {size / took:.0f} a second")
    assert size <= 50000 * (took + 0.1) * 1.05 + 1000, (took, size)


def a_day_of_bytes_is_kept_over_kills(rig):
    sizes = []
    rig.server.judge = lambda _p, size, _unacked: sizes.append(size)
    h = plain(rig, "bytes_per_day: 200000\nrate: 300\nbackoff: 50ms\nbackoff_max: 100ms\n")
    h.tell("add 2000 200")
    for share in (0.2, 0.4, 0.6, 0.8):
        until("a part of the day", lambda: sum(sizes) > 200000 * share, 30)
        ups = h.ups()
        h.tell("kill")
        until("another process", lambda: h.ups() > ups, 30)
    settled = [0]

    def quiet():
        before, settled[0] = settled[0], len(sizes)
        time.sleep(0.5)
        return before == settled[0] and sum(sizes) > 150000

    until("the day is full", quiet, 30)
    print(f"    bytes_per_day: 200000 brought {sum(sizes)} over 4 kills")
    assert 180000 <= sum(sizes) <= 200000, sum(sizes)


def what_the_server_hangs_up_on_is_set_aside(rig):
    """As AWS does it for a topic that its policy does not allow: no code, no word, the connection ends."""
    rig.server.judge = lambda p, _size, _unacked: "not allowed" if p.topic == "plant/secret" else None
    h = rig.begin(f"address: mqtt://127.0.0.1:{rig.server.port}\nrules: [{{out: 'plant/#'}}]\nversion: 3.1.1\n"
                  "backoff_max: 500ms\n")
    h.tell("add 40 50")
    h.tell("say plant/secret 1")
    h.tell("add 40 50")
    until("the cursor passes", lambda: h.acked() == 81, 90)
    assert [l.split()[1] for l in h.said("quarantine ")] == ["41"], h.said("quarantine ")
    got = {json.loads(p.payload)["n"] for p in rig.server.accepted if "weir" not in p.topic}
    assert len(got) == 80 and len(rig.server.breaches) < 15, (len(got), len(rig.server.breaches))


def what_the_server_never_acknowledges_is_set_aside(rig):
    """It takes the topic, says nothing of it, and acknowledges all that comes behind."""
    rig.server.answer = lambda link, p: None if p.topic == "plant/never" else link.puback(p)
    h = rig.begin(f"address: mqtt://127.0.0.1:{rig.server.port}\nrules: [{{out: 'plant/#'}}]\n"
                  "ack_timeout: 500ms\nbackoff_max: 500ms\n")
    h.tell("add 40 50")
    h.tell("say plant/never 1")
    h.tell("add 40 50")
    until("the cursor passes", lambda: h.acked() == 81, 90)
    assert [l.split()[1] for l in h.said("quarantine ")] == ["41"], h.said("quarantine ")
    got = [json.loads(p.payload)["n"] for p in rig.server.accepted if "weir" not in p.topic]
    assert len(set(got)) == 80 and 4 <= len(rig.server.hellos) <= 8, (len(set(got)), len(rig.server.hellos))


def acknowledgements_in_any_order_move_the_cursor_rightly(rig):
    held = []

    def answer(link, p):
        held.append((link, p))
        if len(held) == 4:  # no window is ever smaller
            for l, q in reversed(held):
                l.puback(q)
            held.clear()

    rig.server.answer = answer
    h = plain(rig, "window: 20\n")
    h.tell("add 200 50")
    until("drained", lambda: h.acked() == 200)


def a_password_file_that_changes_counts_with_the_next_call(rig):
    path = os.path.join(rig.dir, "password")
    with open(path, "w", encoding="ascii") as f:
        f.write("old\n")
    rig.server.welcome = lambda hello: (0 if hello["password"] == "new" else 0x86, ())
    h = plain(rig, f"username: me\npassword_file: {path}\nbackoff_max: 500ms\n")
    until("refused", lambda: any("bad user name" in l for l in h.said("state down")))
    with open(path, "w", encoding="ascii") as f:
        f.write("new\n")
    until("up", lambda: h.ups() == 1)


def many_refused_calls_are_spread_and_end_with_the_link(rig):
    state = {"until": time.monotonic() + 3}
    rig.server.welcome = lambda hello: (0 if time.monotonic() > state["until"] else 0x88, ())
    h = plain(rig)
    h.tell("add 10 50")
    until("up", lambda: h.ups() == 1)
    late = time.monotonic() - state["until"]
    assert late < 3, late  # sending within 3 s of the link's return
    assert len(rig.server.hellos) < 20, len(rig.server.hellos)
    until("drained", lambda: h.acked() == 10)


CASES = {
    aws_limits_are_kept: {"encrypted": True, "alpn": "x-amzn-mqtt-ca"},
    azure_gets_its_user_name_its_token_and_its_topics: {"encrypted": True},
    aws_topics_it_would_hang_up_on_are_set_aside: {"encrypted": True, "alpn": "x-amzn-mqtt-ca"},
    azure_is_never_sent_a_topic_of_nobody: {"encrypted": True},
    nats_is_spared_what_it_cannot_name: {},
    nats_before_2_10_is_spared_dots_too: {},
    rabbitmq_hears_3_1_1_and_qos_1: {},
    limits_that_a_broker_tells_are_kept: {},
    a_jwt_is_signed_by_the_private_key: {},
    receive_maximum_is_never_passed: {},
    receive_maximum_of_one_still_drains: {},
    server_keep_alive_is_followed: {},
    not_authorised_is_retried_then_set_aside_and_the_rest_goes_on: {},
    quota_exceeded_waits_and_loses_nothing: {},
    use_another_server_is_obeyed_at_once: {},
    a_reference_to_a_listed_server_is_followed: {},
    a_reference_to_a_stranger_is_not_followed_without_tls: {},
    a_server_disconnect_with_a_reason_is_told_and_survived: {},
    a_takeover_is_told_on_a_link_that_was_idle: {},
    a_busy_server_is_left_alone_for_longer_each_time: {},
    a_rate_is_what_comes_over_the_wire: {},
    a_rate_of_bytes_is_what_comes_over_the_wire: {},
    a_day_of_bytes_is_kept_over_kills: {},
    what_the_server_hangs_up_on_is_set_aside: {},
    what_the_server_never_acknowledges_is_set_aside: {},
    acknowledgements_in_any_order_move_the_cursor_rightly: {},
    a_password_file_that_changes_counts_with_the_next_call: {},
    many_refused_calls_are_spread_and_end_with_the_link: {},
}

if __name__ == "__main__":
    sys.exit(run_cases(CASES, ServerRig))
