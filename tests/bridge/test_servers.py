# SPDX-License-Identifier: MIT
"""The bridge against servers that have limits and opinions: the presets against what the services document, and MQTT
5's ways to say no.

    test_servers.py HOST_PROGRAM [CASE...]
"""
import base64
import hashlib
import hmac
import os
import shutil
import ssl
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import SITE, Host, run_cases, until
from stand_in import StandIn, later
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
    assert rig.server.hellos[0]["keep_alive"] <= 1200 and rig.server.hellos[0]["version"] == 5
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
                  f"rules: [{{out: 'plant/#', topic: 'devices/{SITE}/messages/events/{{#}}'}}]\n")
    h.tell("add 200 200")
    until("drained", lambda: h.acked() == 200)
    assert not rig.server.breaches, rig.server.breaches
    assert '"seq":1' in rig.server.published[0].payload.decode()


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


def a_server_disconnect_with_a_reason_is_told_and_survived(rig):
    def answer(link, p):
        if len(rig.server.published) == 50:
            link.send(bytes([0xE0, 1, 0x8B]))
            raise ConnectionError
        link.puback(p)

    rig.server.answer = answer
    h = plain(rig)
    h.tell("add 200 50")
    until("drained", lambda: h.acked() == 200)
    assert any("shutting down" in l or "connection lost" in l for l in h.said("state down")), h.said("state down")
    assert sorted(set(seqs(rig.server.accepted))) == list(range(1, 201))


def acknowledgements_in_any_order_move_the_cursor_rightly(rig):
    held = []

    def answer(link, p):
        held.append((link, p))
        if len(held) == 20:
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
    receive_maximum_is_never_passed: {},
    receive_maximum_of_one_still_drains: {},
    server_keep_alive_is_followed: {},
    not_authorised_is_retried_then_set_aside_and_the_rest_goes_on: {},
    quota_exceeded_waits_and_loses_nothing: {},
    use_another_server_is_obeyed_at_once: {},
    a_server_disconnect_with_a_reason_is_told_and_survived: {},
    acknowledgements_in_any_order_move_the_cursor_rightly: {},
    a_password_file_that_changes_counts_with_the_next_call: {},
    many_refused_calls_are_spread_and_end_with_the_link: {},
}

if __name__ == "__main__":
    sys.exit(run_cases(CASES, ServerRig))
