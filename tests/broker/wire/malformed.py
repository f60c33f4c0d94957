# SPDX-License-Identifier: MIT
"""Malformed packets on a live connection: it closes, with the reason where the version has one; its will goes out; a
client beside it notices nothing; nothing of the packet reaches a subscriber."""
from broker_rig import *  # noqa: F403

MALFORMED, PROTOCOL, EITHER = (0x81,), (0x82,), (0x81, 0x82)
TOPIC = "bad/topic"


def punished(b, v, data, reasons, before=None):
    will = fresh("will")
    w = b.client(5)
    w.subscribe(will, "bad/#")
    c = b.client(v, will=Will(will, b"gone"))
    if before:
        before(c)
    c.send(data)
    c.closed(*reasons)
    w.receive(will, "gone")
    w.nothing()
    w.disconnect()


def pub(v, topic=TOPIC, **how):
    return publish(v, topic, "x", **how)


def p0(v):
    return b"\0" if v == 5 else b""


# --- the fixed header --------------------------------------------------------------------------------------------

@rows([(f"{name} with flags {flags:x}", bytes([first | flags]) + rest)
       for name, first, right, rest in (
           ("PUBACK", 0x40, 0, b"\x02\0\1"), ("PUBREC", 0x50, 0, b"\x02\0\1"), ("PUBREL", 0x60, 2, b"\x02\0\1"),
           ("PUBCOMP", 0x70, 0, b"\x02\0\1"), ("SUBSCRIBE", 0x80, 2, None), ("UNSUBSCRIBE", 0xA0, 2, None),
           ("PINGREQ", 0xC0, 0, b"\0"), ("DISCONNECT", 0xE0, 0, b"\0"))
       for flags in range(16) if flags != right and rest],
      "MQTT-2.1.3-1", "3.1.1 MQTT-2.2.2-2", "MQTT-3.14.1-1", versions=(4, 5))
def fixed_flags_are_fixed(b, v, data):
    punished(b, v, data, MALFORMED)


@rows([(f"{name} with flags {flags:x}", name, flags) for name in ("SUBSCRIBE", "UNSUBSCRIBE")
       for flags in (0, 1, 3, 4, 6, 10, 15)], "MQTT-3.8.1-1", "MQTT-3.10.1-1", versions=(4, 5))
def flags_of_subscribe_are_fixed(b, v, name, flags):
    data = subscribe(v, 1, ("a", 0), flags=flags) if name == "SUBSCRIBE" else unsubscribe(v, 1, "a", flags=flags)
    punished(b, v, data, MALFORMED)


@rows([("type 0", b"\0\0", MALFORMED), ("type 0 with a body", b"\x05\x03abc", MALFORMED),
       ("CONNACK", None, PROTOCOL), ("SUBACK", b"\x90\x03\0\1\0", PROTOCOL), ("UNSUBACK", b"\xb0\x02\0\1", PROTOCOL),
       ("PINGRESP", b"\xd0\0", PROTOCOL)], "MQTT-2.1.2", versions=(4, 5))
def types_that_a_client_must_not_send(b, v, data, reasons):
    data = data or (b"\x20\x03\0\0\0" if v == 5 else b"\x20\x02\0\0")
    punished(b, v, data, EITHER)


@test("3.1.1 MQTT-2.2.1", versions=(3, 4))
def type_15_does_not_exist_before_version_5(b, v):
    punished(b, v, b"\xf0\0", ())


@rows([(f"{first:02x} and five bytes of length", bytes([first]) + b"\x80\x80\x80\x80\x01")
       for first in (0x30, 0x40, 0x82, 0xC0, 0xE0)] + [("ones", b"\x30\xff\xff\xff\xff\xff")],
      "MQTT-1.5.5-1", versions=(3, 4, 5))
def a_remaining_length_of_five_bytes(b, v, data):
    punished(b, v, data, MALFORMED)


@test("MQTT-1.5.5-1", versions=(4, 5))
def four_bytes_of_length_that_go_on_are_enough(b, v):
    punished(b, v, b"\x30\xff\xff\xff\xff", MALFORMED)  # nothing more is waited for


@rows([("PINGREQ in two bytes", b"\xc0\x80\x00"), ("PINGREQ in four", b"\xc0\x80\x80\x80\x00"),
       ("PUBLISH in two", b"\x30\x86\x00" + string("bad") + b"\0x")], "MQTT-1.5.5-1", versions=(5,))
def a_remaining_length_longer_than_needed(b, v, data):
    punished(b, v, data, MALFORMED)


# --- PUBLISH -----------------------------------------------------------------------------------------------------

BAD_TEXT = [("overlong", b"bad/\xc0\xaf"), ("surrogate", b"bad/\xed\xa0\x80"), ("above U+10FFFF", b"bad/\xf4\x90\x80\x80"),
            ("NUL", b"bad/\0x"), ("cut", b"bad/\xe2\x82"), ("continuation", b"bad/\x80")]


@rows([("QoS 3", lambda v: pub(v, flags=6, pid=1), MALFORMED),
       ("QoS 3 and DUP", lambda v: pub(v, flags=14, pid=1), MALFORMED),
       ("DUP at QoS 0", lambda v: pub(v, dup=True), EITHER),
       ("id 0 at QoS 1", lambda v: pub(v, qos=1, pid=0), EITHER),
       ("id 0 at QoS 2", lambda v: pub(v, qos=2, pid=0), EITHER),
       ("no body", lambda v: b"\x30\0", MALFORMED),
       ("half a length", lambda v: b"\x30\x01\0", MALFORMED),
       ("topic beyond the packet", lambda v: b"\x30\x05\0\x09bad", MALFORMED),
       ("topic of 65535 in 7 bytes", lambda v: b"\x30\x05\xff\xffbad", MALFORMED),
       ("no id at QoS 1", lambda v: b"\x32\x05" + string("bad"), MALFORMED),
       ("half an id at QoS 1", lambda v: b"\x32\x06" + string("bad") + b"\0", MALFORMED),
       ("half an id at QoS 2", lambda v: b"\x34\x06" + string("bad") + b"\0", MALFORMED),
       ("plus", lambda v: pub(v, "bad/+"), (0x81, 0x82, 0x90)),
       ("hash", lambda v: pub(v, "bad/#"), (0x81, 0x82, 0x90)),
       ("plus inside", lambda v: pub(v, "bad/a+b", qos=1, pid=1), (0x81, 0x82, 0x90)),
       ("empty topic", lambda v: pub(v, ""), (0x81, 0x82, 0x90)),
       ("empty topic at QoS 1", lambda v: pub(v, "", qos=1, pid=1), (0x81, 0x82, 0x90))] +
      [(n, lambda v, x=x: pub(v, x), (0x81, 0x90)) for n, x in BAD_TEXT] +
      [(n + ", retained", lambda v, x=x: pub(v, x, qos=1, pid=5, retain=True), (0x81, 0x90)) for n, x in BAD_TEXT],
      "MQTT-3.3.1-2", "MQTT-3.3.1-4", "MQTT-2.2.1-3", "MQTT-3.3.2-1", "MQTT-3.3.2-2", "MQTT-1.5.4-1",
      versions=(4, 5))
def publish_that_breaks_its_rules(b, v, make, reasons):
    punished(b, v, make(v), reasons)


def twice(ident, value):
    return [(ident, value), (ident, value)]


PROPERTY_ROWS = [
    ("subscription identifier", [(SUB_ID, 1)], EITHER),
    ("response topic with plus", [(RESPONSE_TOPIC, "a/+")], (0x81, 0x82, 0x90)),
    ("response topic with hash", [(RESPONSE_TOPIC, "#")], (0x81, 0x82, 0x90)),
    ("bad UTF-8 in the response topic", [(RESPONSE_TOPIC, b"\xff")], EITHER),
    ("alias 0", [(ALIAS, 0)], (0x94,)),
    ("alias above the maximum", [(ALIAS, 65535)], (0x94,)),
    ("alias twice", twice(ALIAS, 1), EITHER),
    ("format 2", [(FORMAT, 2)], EITHER),
    ("format twice", twice(FORMAT, 1), PROTOCOL),
    ("expiry twice", twice(EXPIRY, 9), PROTOCOL),
    ("content type twice", twice(CONTENT_TYPE, "x"), PROTOCOL),
    ("response topic twice", twice(RESPONSE_TOPIC, "x"), PROTOCOL),
    ("correlation twice", twice(CORRELATION, b"x"), PROTOCOL),
    ("bad UTF-8 in the content type", [(CONTENT_TYPE, b"\xc0\xaf")], MALFORMED),
    ("NUL in the content type", [(CONTENT_TYPE, b"a\0")], MALFORMED),
    ("bad UTF-8 in a user key", [(USER, (b"\xed\xbf\xbf", "v"))], MALFORMED),
    ("bad UTF-8 in a user value", [(USER, ("k", b"\xf5"))], MALFORMED),
    ("NUL in a user value", [(USER, ("k", b"\0"))], MALFORMED),
    ("session expiry", [(SESSION_EXPIRY, 1)], EITHER),
    ("reason string", [(REASON, "x")], EITHER),
    ("will delay", [(WILL_DELAY, 1)], EITHER),
    ("unknown", [b"\x7d\x01"], MALFORMED),
    ("unknown in two bytes", [b"\x81\x01\x01"], MALFORMED),
    ("expiry cut off", [b"\x02\0\0"], MALFORMED),
    ("user property cut off", [b"\x26\0\1k"], MALFORMED),
    ("correlation beyond", [b"\x09\xff\xffabc"], MALFORMED),
    ("identifier longer than needed", [b"\x81\x00\x01"], MALFORMED),
]


@rows(PROPERTY_ROWS, "MQTT-3.3.4-6", "MQTT-3.3.2-14", "MQTT-3.3.2-8", "MQTT-3.3.2-9", "MQTT-1.5.4-2", "MQTT-2.2.2.2",
      versions=(5,))
def publish_with_a_property_that_breaks_its_rules(b, v, properties, reasons):
    punished(b, v, publish(v, TOPIC, "x", properties=properties), reasons)


@rows([("beyond the packet", b"\x20"), ("longer than needed", b"\x80\x00"), ("five bytes", b"\xff\xff\xff\xff\x01"),
       ("missing", b"")], "MQTT-2.2.2-1", "MQTT-1.5.5-1", versions=(5,))
def publish_whose_property_length_lies(b, v, length):
    punished(b, v, packet(0x30, string(TOPIC) + length), MALFORMED)


@test("MQTT-3.3.2-8", versions=(5,))
def an_unknown_alias_with_an_empty_topic(b, v):
    punished(b, v, publish(v, "", "x", properties=[(ALIAS, 1)]), PROTOCOL)


# --- acknowledgements --------------------------------------------------------------------------------------------

ACKS = [("PUBACK", PUBACK, {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}),
        ("PUBREC", PUBREC, {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}),
        ("PUBREL", PUBREL, {0x00, 0x92}), ("PUBCOMP", PUBCOMP, {0x00, 0x92})]


@rows([(f"{n} {what}", k, body) for n, k, _ in ACKS for what, body in (
    ("empty", b""), ("of one byte", b"\0"))] +
      [(f"{n} left over", k, b"\0\1\0", (4,)) for n, k, _ in ACKS] +
      [(f"{n} long", k, b"\0\1" + b"x" * 50, (4,)) for n, k, _ in ACKS],
      "3.1.1 MQTT-2.2.2-2", versions=(4, 5))
def acknowledgements_of_the_wrong_length(b, v, kind, body):
    punished(b, v, packet(kind << 4 | (2 if kind == PUBREL else 0), body), MALFORMED)


@rows([(f"{n} with reason {bad:02x}", k, bad) for n, k, good in ACKS
       for bad in sorted({0x01, 0x10, 0x7F, 0x81, 0x8E, 0x92, 0x93, 0x98, 0xFF} - good)],
      "MQTT-3.4.2-1", "MQTT-3.5.2-1", "MQTT-3.6.2-1", "MQTT-3.7.2-1", versions=(5,))
def acknowledgements_with_a_reason_of_another_type(b, v, kind, reason):
    punished(b, v, ack(kind, 77, reason), EITHER)


@rows([(f"{n} {what}", k, tail, reasons) for n, k, _ in ACKS for what, tail, reasons in (
    ("with a property of another type", b"\0" + props((EXPIRY, 1)), EITHER),
    ("with an unknown property", b"\0" + props(b"\x7b\0"), MALFORMED),
    ("with two reason strings", b"\0" + props((REASON, "a"), (REASON, "b")), PROTOCOL),
    ("with bad UTF-8 in its reason", b"\0" + props((REASON, b"\xff")), MALFORMED),
    ("with NUL in a user property", b"\0" + props((USER, ("k", b"\0"))), MALFORMED),
    ("with properties beyond the packet", b"\0\x09", MALFORMED),
    ("with bytes after its properties", b"\0\0\0", MALFORMED),
    ("with a property length longer than needed", b"\0\x80\0", MALFORMED))],
      "MQTT-2.2.2.2", "MQTT-1.5.4-1", versions=(5,))
def acknowledgements_with_bad_properties(b, v, kind, tail, reasons):
    punished(b, v, packet(kind << 4 | (2 if kind == PUBREL else 0), u16(78) + tail), reasons)


# --- SUBSCRIBE, UNSUBSCRIBE ---------------------------------------------------------------------------------------

def sub(v, tail, pid=1):
    return packet(0x82, u16(pid) + p0(v) + tail)


def unsub(v, tail, pid=1):
    return packet(0xA2, u16(pid) + p0(v) + tail)


@rows([("id 0", lambda v: sub(v, string("bad") + b"\0", 0), EITHER), ("empty", lambda v: b"\x82\0", MALFORMED),
       ("id only", lambda v: sub(v, b""), EITHER), ("half an id", lambda v: b"\x82\1\0", MALFORMED),
       ("no options", lambda v: sub(v, string("bad")), MALFORMED),
       ("filter beyond the packet", lambda v: sub(v, b"\0\x09bad\0"), MALFORMED),
       ("second filter without options", lambda v: sub(v, string("bad") + b"\0" + string("bad/2")), MALFORMED),
       ("one byte left over", lambda v: sub(v, string("bad") + b"\0\0"), MALFORMED),
       ("QoS 3", lambda v: sub(v, string("bad") + b"\3"), EITHER),
       ("bit 6", lambda v: sub(v, string("bad") + b"\x40"), EITHER),
       ("bit 7", lambda v: sub(v, string("bad") + b"\x80"), EITHER),
       ("QoS 3 in the second", lambda v: sub(v, string("bad/#") + b"\0" + string("bad/2") + b"\3"), EITHER),
       ("no local", lambda v: sub(v, string("bad") + b"\4"), (), (4,)),
       ("retain as published", lambda v: sub(v, string("bad") + b"\x08"), (), (4,)),
       ("retain handling 1", lambda v: sub(v, string("bad") + b"\x10"), (), (4,)),
       ("retain handling 3", lambda v: sub(v, string("bad") + b"\x30"), EITHER, (5,)),
       ("no local on a shared one", lambda v: sub(v, string("$share/g/bad") + b"\4"), PROTOCOL, (5,))] +
      [(n, lambda v, x=x: sub(v, string(x) + b"\0"), (0x81, 0x8F)) for n, x in BAD_TEXT],
      "MQTT-3.8.3-1", "MQTT-3.8.3-2", "MQTT-3.8.3-4", "MQTT-3.8.3-5", "3.1.1 MQTT-3.8.3-4", "MQTT-2.2.1-3",
      versions=(4, 5))
def subscribe_that_breaks_its_rules(b, v, make, reasons):
    punished(b, v, make(v), reasons)


@rows([("identifier 0", [(SUB_ID, 0)], PROTOCOL), ("identifier twice", twice(SUB_ID, 1), PROTOCOL),
       ("identifier longer than needed", [b"\x0b\x81\0"], MALFORMED),
       ("identifier of five bytes", [b"\x0b\xff\xff\xff\xff\1"], MALFORMED),
       ("identifier without end", [b"\x0b\xff"], MALFORMED),
       ("reason string", [(REASON, "x")], EITHER), ("unknown", [b"\x7a\0"], MALFORMED),
       ("bad UTF-8 in a user property", [(USER, (b"\x80", ""))], MALFORMED)],
      "MQTT-3.8.2.1.2", "MQTT-1.5.5-1", versions=(5,))
def subscribe_with_bad_properties(b, v, properties, reasons):
    punished(b, v, subscribe(v, 1, ("bad", 0), properties=properties), reasons)


@rows([("id 0", lambda v: unsub(v, string("bad"), 0), EITHER), ("empty", lambda v: b"\xa2\0", MALFORMED),
       ("id only", lambda v: unsub(v, b""), EITHER), ("half an id", lambda v: b"\xa2\1\0", MALFORMED),
       ("filter beyond the packet", lambda v: unsub(v, b"\0\x09bad"), MALFORMED),
       ("half a length", lambda v: unsub(v, b"\0"), MALFORMED),
       ("left over", lambda v: unsub(v, string("bad") + b"\0"), MALFORMED),
       ("bad UTF-8", lambda v: unsub(v, string(b"\xff")), (0x81, 0x8F)),
       ("NUL", lambda v: unsub(v, string(b"a\0b")), (0x81, 0x8F))],
      "MQTT-3.10.3-1", "MQTT-3.10.3-2", "MQTT-2.2.1-3", versions=(4, 5))
def unsubscribe_that_breaks_its_rules(b, v, make, reasons):
    punished(b, v, make(v), reasons)


@rows([("a subscription identifier", [(SUB_ID, 1)], EITHER), ("unknown", [b"\x79\0"], MALFORMED),
       ("a reason", [(REASON, "x")], EITHER)], "MQTT-3.10.2.1", versions=(5,))
def unsubscribe_with_bad_properties(b, v, properties, reasons):
    punished(b, v, unsubscribe(v, 1, "bad", properties=properties), reasons)


# --- PINGREQ, DISCONNECT, AUTH -----------------------------------------------------------------------------------

@rows([("PINGREQ with a body", b"\xc0\x01x", MALFORMED), ("PINGREQ with a long body", b"\xc0\x0a" + b"x" * 10, MALFORMED),
       ("DISCONNECT with a body", b"\xe0\x01\0", (), (4,)), ("DISCONNECT with two bytes", b"\xe0\x02\0\0", (), (4,))],
      "MQTT-3.12", "3.1.1 MQTT-3.14.1-1", versions=(4, 5))
def bodies_where_none_belongs(b, v, data, reasons):
    punished(b, v, data, reasons)


@rows([("an unknown reason", b"\x01", EITHER), ("the server's reason", b"\x89", EITHER), ("reason ff", b"\xff", EITHER),
       ("properties beyond the packet", b"\0\x05", MALFORMED), ("bytes after the properties", b"\0\0x", MALFORMED),
       ("expiry twice", b"\0" + props(*twice(SESSION_EXPIRY, 0)), PROTOCOL),
       ("a receive maximum", b"\0" + props((RECEIVE_MAX, 1)), EITHER),
       ("an unknown property", b"\0" + props(b"\x78\0"), MALFORMED),
       ("bad UTF-8 in its reason", b"\0" + props((REASON, b"\xed\xa0\x80")), MALFORMED),
       ("an expiry raised from 0", b"\0" + props((SESSION_EXPIRY, 10)), PROTOCOL)],
      "MQTT-3.14.2-1", "MQTT-3.14.2-2", "3.14.2.2.2", versions=(5,))
def a_malformed_disconnect_is_none_so_the_will_goes_out(b, v, body, reasons):
    punished(b, v, packet(0xE0, body), reasons)


@rows([("empty", b"", PROTOCOL + (0x8C,)), ("continue", b"\x18" + props((AUTH_METHOD, "x")), PROTOCOL + (0x8C,)),
       ("re-authenticate", b"\x19" + props((AUTH_METHOD, "x"), (AUTH_DATA, b"y")), PROTOCOL + (0x8C,)),
       ("an unknown reason", b"\x01\0", EITHER), ("no method", b"\x19\0", EITHER),
       ("bad UTF-8", b"\x18" + props((AUTH_METHOD, b"\xff")), EITHER)],
      "MQTT-4.12.1-1", "MQTT-3.15.1-1", versions=(5,))
def auth_where_none_was_agreed(b, v, body, reasons):
    punished(b, v, packet(0xF0, body), reasons)


@test("MQTT-3.15.1-1", versions=(5,))
def auth_with_flags(b, v):
    punished(b, v, packet(0xF1, b""), EITHER)


# --- and the way a close must be made ------------------------------------------------------------------------------

@test("4.13.1", versions=(5,))
def the_disconnect_arrives_although_the_peer_is_still_sending(b, v):
    for _ in range(20):
        c = b.client(v)
        c.send(pub(v, qos=1, pid=0), publish(v, "bad/x", b"y" * 60000) * 3)
        c.closed(0x81, 0x82)


@test("MQTT-3.3.1-4", versions=(4, 5))
def what_stood_before_the_malformed_packet_was_done(b, v):
    topic = fresh()
    w = b.client(5)
    w.subscribe(topic, "bad/#")
    c = b.client(v)
    c.send(publish(v, topic, "one", 1, 7), pub(v, flags=6, pid=8), publish(v, "bad/x", "three", 1, 9))
    c.expect(PUBACK, pid=7)
    c.closed(0x81)
    w.receive(topic, "one")
    w.nothing()


main(parallel=8)
