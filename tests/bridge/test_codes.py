#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Each way of MQTT to say no, once, from a server that says it: of a record, at QoS 1 and 2, and of a connection, in
both versions. What the table of docs/bridge.md says of it must be what happens.

    test_codes.py HOST_PROGRAM [CASE...]
"""
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import run_cases, until
from test_servers import ServerRig

TAKEN = (0x00, 0x10, 0x01, 0x7f)  # below 0x80 nothing is refused, whatever it may mean
RETRIED = (0x80, 0x83, 0x87, 0x91, 0x93, 0x81, 0xa5, 0xff)  # the last two are nobody's
HELD = (0x97, 0x96)
SET_ASIDE = (0x90, 0x95, 0x99, 0x9a, 0x9b)
TRIES = 5


def topic_of(kind, code):
    return f"plant/{kind}/{code}"


class Refusals:
    """Answers each record with the code in its topic: `twice` twice and then takes it, `always` always."""

    def __init__(self, qos):
        self.qos, self.tries, self.taken, self.times = qos, {}, [], {}

    def answer(self, link, p):
        _, kind, code = (p.topic.split("/") + ["", ""])[:3]
        n = self.tries[p.topic] = self.tries.get(p.topic, 0) + 1
        self.times.setdefault(p.topic, []).append(time.monotonic())
        refused = kind == "always" or (kind == "twice" and n <= 2)
        code = int(code) if kind in ("always", "twice") and refused else 0
        if code < 0x80:
            self.taken.append(p.topic)
        if self.qos == 1:
            link.puback(p, code)
        else:
            link.pubrec(p, code)


def records_are_judged_by_their_code(rig, qos=1):
    told = Refusals(qos)
    rig.server.answer = told.answer
    h = rig.begin(f"address: mqtt://127.0.0.1:{rig.server.port}\nstatus: ''\nversion: 5\n"
                  f"rules: [{{out: 'plant/#', qos: {qos}}}]\n")
    until("up", lambda: h.ups() == 1)
    calls = len(rig.server.hellos)  # at QoS 2 the first one clears the session
    asked = [("always", c) for c in TAKEN + RETRIED + SET_ASIDE] + [("twice", c) for c in RETRIED + HELD + SET_ASIDE]
    for kind, code in asked:
        h.tell(f"say {topic_of(kind, code)} 1")
    until("all are done with", lambda: h.acked() == len(asked), 60)
    aside = {int(said.split()[1]): int(said.split()[2]) for said in h.said("quarantine ")}
    for seq, (kind, code) in enumerate(asked, 1):
        topic = topic_of(kind, code)
        want = (1 if code < 0x80 or code in SET_ASIDE else 3 if kind == "twice" else TRIES)
        assert told.tries[topic] == want, (topic, told.tries[topic], want)
        lost = code >= 0x80 and (kind == "always" or code in SET_ASIDE)
        assert (seq in aside) == lost and (topic in told.taken) != lost, (topic, seq in aside, topic in told.taken)
        assert not lost or aside[seq] == code, (topic, aside[seq])
    assert h.ups() == 1 and len(rig.server.hellos) == calls  # none of this costs the link


def at_qos_2_they_are_too(rig):
    records_are_judged_by_their_code(rig, qos=2)


def a_pubcomp_for_an_unknown_id_is_an_end_as_well(rig):
    rig.server.released = lambda link, pid: link.pubcomp(pid, 0x92)
    rig.server.answer = lambda link, p: link.pubrec(p)
    h = rig.begin(f"address: mqtt://127.0.0.1:{rig.server.port}\nstatus: ''\nversion: 5\nrules: [{{out: 'plant/#', qos: 2}}]\n")
    h.tell("add 20 50")
    until("drained", lambda: h.acked() == 20)
    assert h.ups() == 1 and not h.said("quarantine ")


def everything_waits_where_the_server_has_had_enough(rig):
    """Quota exceeded is not about the record that it is said of: nothing goes for a second at least."""
    told = Refusals(1)
    rig.server.answer = told.answer
    h = rig.begin(f"address: mqtt://127.0.0.1:{rig.server.port}\nstatus: ''\nversion: 5\nwindow: 4\nrules: [{{out: 'plant/#'}}]\n")
    h.tell(f"say {topic_of('twice', 0x97)} 1")
    h.tell("add 40 50")
    until("drained", lambda: h.acked() == 41, 30)
    at = sorted(t for times in told.times.values() for t in times)
    pauses = [b - a for a, b in zip(at, at[1:]) if b - a > 0.9]
    assert len(pauses) >= 2 and not h.said("quarantine "), pauses


# --- connections --------------------------------------------------------------------------------------------------

SOON = (0x80, 0x83, 0x88, 0x8b, 0x90, 0x95, 0x99, 0xa5)
LATER = {0x81: "malformed packet", 0x82: "protocol error", 0x84: "unsupported protocol version",
         0x85: "client identifier not valid", 0x86: "bad user name or password", 0x87: "not authorised", 0x89: "server busy",
         0x8a: "banned", 0x8c: "bad authentication method", 0x96: "message rate too high", 0x97: "quota exceeded",
         0x9a: "retain not supported", 0x9b: "qos not supported", 0x9f: "connection rate exceeded"}
RETURN_CODES = {1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87}  # of 3.1.1, and what they are in version 5
BACKOFF_MAX = 0.6


class Doorman:
    """Refuses one call with each code, and takes one after each, which begins the waits anew."""

    def __init__(self, rig, codes):
        self.rig, self.codes, self.waits, self.refused = rig, list(codes), {}, None
        rig.server.welcome = self.welcome
        rig.server.answer = self.answer

    def welcome(self, _hello):
        now = time.monotonic()
        if self.refused:
            code, since = self.refused
            self.waits[code], self.refused = now - since, None
            return 0, ()
        if not self.codes:
            return 0, ()
        self.refused = (self.codes.pop(0), now)
        return self.refused[0], ()

    def answer(self, link, p):
        link.puback(p)
        if self.codes:
            raise ConnectionError


def calls_are_made_again_by_their_code(rig, version=5, codes=SOON + tuple(LATER)):
    door = Doorman(rig, codes)
    h = rig.begin(f"address: mqtt://127.0.0.1:{rig.server.port}\nversion: {version}\nrules: [{{out: 'plant/#'}}]\n"
                  "backoff: 50ms\nbackoff_max: 600ms\n")
    until("each was refused once", lambda: len(door.waits) == len(codes), 60)
    downs = h.said("state down")
    for code in codes:
        meant = RETURN_CODES[code] if version != 5 else code
        if meant in LATER:
            assert door.waits[code] >= BACKOFF_MAX / 2 - 0.02, (hex(code), door.waits[code])
            assert any(LATER[meant] in said for said in downs), (hex(code), downs)
    h.tell("add 20 50")
    until("drained", lambda: h.acked() == 20)


def with_3_1_1_they_are_too(rig):
    calls_are_made_again_by_their_code(rig, "3.1.1", tuple(RETURN_CODES))


CASES = {
    records_are_judged_by_their_code: {},
    at_qos_2_they_are_too: {},
    a_pubcomp_for_an_unknown_id_is_an_end_as_well: {},
    everything_waits_where_the_server_has_had_enough: {},
    calls_are_made_again_by_their_code: {},
    with_3_1_1_they_are_too: {},
}

if __name__ == "__main__":
    sys.exit(run_cases(CASES, ServerRig))
