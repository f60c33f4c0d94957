# SPDX-License-Identifier: MIT
"""CONNECT and CONNACK: who is let in, with what, and who takes over from whom."""
from broker_rig import *  # noqa: F403


def greet(b, v, data):
    return b.socket(v).send(data)


@test("MQTT-3.2.0-1", "MQTT-3.1.4-5", "MQTT-3.2.0-2")
def a_plain_connect_is_answered_with_one_connack(b, v):
    c = b.client(v, session=0)
    c.nothing()
    c.disconnect()


@test("3.1.1 MQTT-3.2.2-1", versions=(3, 4))
def the_connack_of_old_versions_is_four_bytes(b, v):
    greet(b, v, connect(v, fresh("c"))).expect_bytes(b"\x20\x02\x00\x00")


@test("MQTT-3.1.0-2", "MQTT-3.1.2-8")
def a_second_connect_closes_and_publishes_the_will(b, v):
    topic = fresh("will")
    w = b.client(5)
    w.subscribe(topic)
    c = b.client(v, will=Will(topic))
    c.send(connect(v, c.id))
    c.closed(0x82)
    w.receive(topic, "gone")


@rows([("connack", b"\x20\x02\0\0"), ("publish", publish(4, "a", "x")), ("puback", b"\x40\x02\0\1"),
       ("subscribe", subscribe(4, 1, ("a", 0))), ("pingreq", pingreq()), ("disconnect", b"\xe0\0"),
       ("auth", b"\xf0\0"), ("type 0", b"\0\0"), ("HTTP", b"GET / HTTP/1.1\r\n\r\n"), ("TLS", b"\x16\x03\x01\x02\0\1"),
       ("all ones", b"\xff" * 20), ("connect with flags", b"\x11" + connect(4, "x")[1:])],
      "MQTT-3.1.0-1", versions=(4,))
def a_first_packet_that_is_no_connect_is_closed_without_a_word(b, v, data):
    greet(b, v, data).closed()


@test("MQTT-3.1.0-1", versions=(4,))
def a_first_byte_that_is_no_connect_is_enough_to_close(b, v):
    greet(b, v, b"\x30").closed()
    greet(b, v, b"\x30\xff\xff\xff\x7f").closed()


@rows([("level 6", "MQTT", 6), ("level 2", "MQTT", 2), ("level 0", "MQTT", 0), ("bridge bit on 4", "MQTT", 0x84),
       ("bridge bit on 5", "MQTT", 0x85), ("level 255", "MQTT", 255), ("MQIsdp at level 4", "MQIsdp", 4),
       ("MQTT at level 3", "MQTT", 3)], "MQTT-3.1.2-2", versions=(4,))
def an_unknown_level_is_refused_and_closed(b, v, name, level):
    s = greet(b, v, connect(4, "x", name=name, level=level))
    s.version = 5
    first = s.sock.recv(64)
    if first not in (b"\x20\x02\0\x01", b"\x20\x02\0\x84", b"\x20\x03\0\x84\0"):
        raise Wrong(f"expected a refusal of the version, got {first.hex(' ')}")
    s.closed()


@rows([("mqtt", "mqtt"), ("MQTX", "MQTX"), ("empty", ""), ("MQTTT", "MQTTT"), ("MQT", "MQT"),
       ("not UTF-8", b"MQT\xff")], "MQTT-3.1.2-1", versions=(4,))
def an_unknown_protocol_name_is_not_let_in(b, v, name):
    s = greet(b, v, connect(4, "x", name=name))
    got = s.sock.recv(64)
    if got not in (b"", b"\x20\x02\0\x01", b"\x20\x03\0\x84\0", b"\x20\x03\0\x81\0"):
        raise Wrong(f"got {got.hex(' ')}")


@test("3.1.1 MQTT-3.1.3-8", versions=(4,))
def an_empty_id_without_clean_session_is_refused(b, v):
    s = greet(b, v, connect(v, "", clean=False))
    s.expect_bytes(b"\x20\x02\x00\x02")
    s.closed()


@test(versions=(3,))
def an_empty_id_is_refused_in_3_1(b, v):
    s = greet(b, v, connect(v, "", clean=True))
    s.expect_bytes(b"\x20\x02\x00\x02")
    s.closed()


@test("3.1.1 MQTT-3.1.3-6", versions=(4,))
def several_clients_with_an_empty_id_live_side_by_side(b, v):
    one, two = b.client(v, id=""), b.client(v, id="")
    one.nothing()
    two.nothing()


@test("MQTT-3.1.3-6", "MQTT-3.1.3-7", "MQTT-3.2.2-16", versions=(5,))
def an_empty_id_is_assigned_one_of_its_own(b, v):
    for clean in (True, False):
        one, two = b.client(v, id="", clean=clean), b.client(v, id="", clean=clean)
        ids = {c.connack.prop(ASSIGNED_ID) for c in (one, two)}
        if len(ids) != 2 or None in ids or "" in ids:
            raise Wrong(f"assigned {ids}")
        one.nothing()


@test("MQTT-3.1.3-6", versions=(5,))
def an_assigned_id_is_good_for_a_session(b, v):
    c = b.client(v, id="", properties=[(SESSION_EXPIRY, 60)])
    name = c.connack.prop(ASSIGNED_ID)
    c.disconnect()
    b.client(v, id=name, clean=False, session=1)


@test(versions=(5,))
def a_client_with_an_id_is_not_assigned_one(b, v):
    if b.client(v).connack.prop(ASSIGNED_ID) is not None:
        raise Wrong("Assigned Client Identifier for a client that has one")


@rows([("long", "x" * 400), ("UTF-8", "zähler-7-°C"), ("spaces and signs", "a b/c+d#e$f"), ("control", "a\x01b"),
       ("U+FEFF", "\ufeffc")], "MQTT-3.1.3-5", "MQTT-1.5.4-3", versions=(4, 5))
def unusual_ids_are_let_in(b, v, name):
    b.client(v, id=name + fresh("c")).nothing()


@test()
def names_and_passwords_do_no_harm_where_anybody_is_let_in(b, v):
    b.client(v, user="u", password="p").nothing()
    b.client(v, user="u").nothing()
    b.client(v, user="", password="").nothing()


@test(versions=(5,))
def a_password_without_a_name_is_allowed_in_5(b, v):
    b.client(v, password=b"\x00\xff").nothing()


# --- what a malformed CONNECT gets -------------------------------------------------------------------------------

def body_of(v, flags, payload, keepalive=b"\0\x3c", properties=None):
    head = string("MQTT") + bytes([v, flags]) + keepalive
    if v == 5:
        head += props(*properties) if properties is not None else b"\0"
    return packet(0x10, head + payload)


def refused(b, v, data, *reasons):
    """Version 5 hears the reason in a CONNACK; 3.1.1 has no code for it, so the connection just closes."""
    s = greet(b, v, data)
    if v == 5:
        s.expect(CONNACK, reason=reasons, session=0)
    s.closed()


BAD_TEXT = [("overlong", b"a\xc0\xaf"), ("surrogate", b"a\xed\xa0\x80"), ("above U+10FFFF", b"\xf4\x90\x80\x80"),
            ("NUL", b"a\0b"), ("cut", b"a\xe2\x82"), ("stray continuation", b"\x80")]
WILLTAIL = string("t") + string("p")


@rows([("reserved flag", 0x03, string("x")),
       ("will QoS 3", 0x1e, None),
       ("will QoS without will", 0x0a, string("x")),
       ("will retain without will", 0x22, string("x")),
       ("no id", 0x02, b""),
       ("id longer than the packet", 0x02, b"\x00\x05abc"),
       ("half a length", 0x02, b"\x00"),
       ("left over", 0x02, string("x") + b"\0"),
       ("user flag and no user", 0x82, string("x")),
       ("user longer than the packet", 0x82, string("x") + b"\0\x09u"),
       ("password flag and no password", 0xc2, string("x") + string("u")),
       ("user without its flag", 0x02, string("x") + string("u")),
       ("will flag and no will", 0x06, string("x"))],
      "MQTT-3.1.2-3", "MQTT-3.1.2-11", "MQTT-3.1.2-12", "MQTT-3.1.2-13", "MQTT-3.1.2-16..19", versions=(4, 5))
def a_malformed_connect_is_refused(b, v, flags, payload):
    if payload is None:
        payload = string("x") + (b"\0" if v == 5 else b"") + WILLTAIL
    refused(b, v, body_of(v, flags, payload), 0x81, 0x82)


@test("3.1.1 MQTT-3.1.2-22", versions=(4,))
def a_password_without_a_name_is_malformed_in_3_1_1(b, v):
    refused(b, v, body_of(v, 0x42, string("x") + string("p")))


@rows([(n, x) for n, x in BAD_TEXT], "MQTT-1.5.4-1", "MQTT-1.5.4-2", "MQTT-3.1.3-4", versions=(4, 5))
def bad_utf8_in_the_id_is_refused(b, v, text):
    refused(b, v, body_of(v, 0x02, string(text)), 0x81, 0x85)


@rows([(n, x) for n, x in BAD_TEXT], "MQTT-3.1.3-12", versions=(4, 5))
def bad_utf8_in_the_user_name_is_refused(b, v, text):
    refused(b, v, body_of(v, 0x82, string("x") + string(text)), 0x81)


@rows([("empty", b""), ("plus", b"a/+"), ("hash", b"#"), ("NUL", b"a\0"), ("bad UTF-8", b"a\xff"),
       ("surrogate", b"\xed\xa0\x80")], "MQTT-3.1.3-11", "MQTT-3.3.2-2", versions=(4, 5))
def a_will_topic_that_cannot_be_published_is_refused(b, v, topic):
    payload = string("x") + (b"\0" if v == 5 else b"") + string(topic) + string("p")
    refused(b, v, body_of(v, 0x06, payload), 0x81, 0x82, 0x90)


@test("MQTT-3.1.2-9")
def an_empty_will_payload_is_fine(b, v):
    topic = fresh("will")
    w = b.client(4)
    w.subscribe(topic)
    b.client(v, will=Will(topic, b"")).drop()
    w.receive(topic, b"")


def twice(ident, value):
    return [(ident, value), (ident, value)]


@rows([("receive maximum 0", [(RECEIVE_MAX, 0)], (0x82,)), ("maximum packet size 0", [(MAX_PACKET, 0)], (0x82,)),
       ("problem information 2", [(WANT_PROBLEM, 2)], (0x82, 0x81)),
       ("response information 2", [(WANT_RESPONSE, 2)], (0x82, 0x81)),
       ("authentication data alone", [(AUTH_DATA, b"x")], (0x82,)),
       ("session expiry twice", twice(SESSION_EXPIRY, 1), (0x82,)),
       ("receive maximum twice", twice(RECEIVE_MAX, 1), (0x82,)),
       ("maximum packet size twice", twice(MAX_PACKET, 100), (0x82,)),
       ("alias maximum twice", twice(ALIAS_MAX, 1), (0x82,)),
       ("problem information twice", twice(WANT_PROBLEM, 1), (0x82,)),
       ("response information twice", twice(WANT_RESPONSE, 1), (0x82,)),
       ("method twice", twice(AUTH_METHOD, "x"), (0x82,)),
       ("an unknown property", [b"\x7f\0"], (0x81,)), ("property 0", [b"\0\0"], (0x81,)),
       ("a long unknown property", [b"\xff\x7f\0"], (0x81,)),
       ("expiry, which is PUBLISH's", [(EXPIRY, 1)], (0x81, 0x82)),
       ("alias, which is PUBLISH's", [(ALIAS, 1)], (0x81, 0x82)),
       ("will delay outside the will", [(WILL_DELAY, 1)], (0x81, 0x82)),
       ("assigned id, which is the server's", [(ASSIGNED_ID, "x")], (0x81, 0x82)),
       ("maximum QoS, which is the server's", [(MAX_QOS, 1)], (0x81, 0x82)),
       ("a property cut off", [b"\x11\0\0"], (0x81,)),
       ("a user property cut off", [b"\x26\0\x01a\0\x09b"], (0x81,)),
       ("bad UTF-8 in a user property", [(USER, (b"k\xff", "v"))], (0x81,)),
       ("NUL in a user property", [(USER, ("k", b"\0"))], (0x81,)),
       ("bad UTF-8 in the method", [(AUTH_METHOD, b"\xff")], (0x81,)),
       ("an identifier longer than needed", [b"\x91\x00\0\0\0\1"], (0x81,))],
      "MQTT-3.1.2-24", "MQTT-1.5.4-1", "MQTT-1.5.5-1", "MQTT-2.2.2.2", versions=(5,))
def a_property_that_must_not_be_there_is_refused(b, v, properties, reasons):
    refused(b, v, connect(v, fresh("c"), properties=properties), *reasons)


@rows([("beyond the packet", b"\x7f"), ("longer than needed", b"\x80\x00"), ("five bytes", b"\x80\x80\x80\x80\x01"),
       ("into the payload", b"\x02")], "MQTT-1.5.5-1", "MQTT-2.2.2-1", versions=(5,))
def a_property_length_that_lies_is_refused(b, v, length):
    refused(b, v, packet(0x10, string("MQTT") + b"\x05\x02\0\x3c" + length + string("x")), 0x81, 0x82)


@rows([("session expiry", [(SESSION_EXPIRY, 1)]), ("receive maximum", [(RECEIVE_MAX, 1)]),
       ("will delay twice", twice(WILL_DELAY, 1)), ("format twice", twice(FORMAT, 1)), ("format 2", [(FORMAT, 2)]),
       ("expiry twice", twice(EXPIRY, 1)), ("content type twice", twice(CONTENT_TYPE, "x")),
       ("response topic twice", twice(RESPONSE_TOPIC, "x")), ("correlation twice", twice(CORRELATION, b"x")),
       ("response topic with a wildcard", [(RESPONSE_TOPIC, "a/#")]), ("alias", [(ALIAS, 1)]),
       ("subscription identifier", [(SUB_ID, 1)]), ("unknown", [b"\x7e\0"]),
       ("bad UTF-8 in the content type", [(CONTENT_TYPE, b"\xff")]),
       ("bad UTF-8 in a user property", [(USER, ("k", b"\xed\xa0\x80"))])],
      "MQTT-3.1.3.2", "MQTT-3.3.2-14", versions=(5,))
def a_will_property_that_must_not_be_there_is_refused(b, v, properties):
    refused(b, v, connect(v, fresh("c"), will=Will("t", properties=properties)), 0x81, 0x82, 0x90)


@test("MQTT-4.12.0-1", versions=(5,))
def an_unknown_authentication_method_is_refused_with_8c(b, v):
    for more in ([], [(AUTH_DATA, b"x")]):
        refused(b, v, connect(v, fresh("c"), properties=[(AUTH_METHOD, "GSSAPI")] + more), 0x8C)


@test(versions=(5,))
def every_allowed_property_is_let_in(b, v):
    c = b.client(v, properties=[(SESSION_EXPIRY, 1), (RECEIVE_MAX, 1), (MAX_PACKET, 1000), (ALIAS_MAX, 5),
                                (WANT_RESPONSE, 1), (WANT_PROBLEM, 0), (USER, ("a", "b")), (USER, ("a", "b"))],
                 will=Will("t", properties=[(WILL_DELAY, 1), (FORMAT, 1), (EXPIRY, 5), (CONTENT_TYPE, "x"),
                                            (RESPONSE_TOPIC, "r"), (CORRELATION, b"\0"), (USER, ("", ""))]))
    c.nothing()
    c.disconnect()


@test("MQTT-3.1.2-28", versions=(5,))
def response_information_is_only_for_those_who_asked(b, v):
    for asked in ([], [(WANT_RESPONSE, 0)]):
        if b.client(v, properties=asked).connack.prop(RESPONSE_INFO) is not None:
            raise Wrong("Response Information unasked")
    told = b.client(v, properties=[(WANT_RESPONSE, 1)])
    if told.id not in (told.connack.prop(RESPONSE_INFO) or ""):
        raise Wrong(f"no Response Information: {told.connack}")
    for name in ("+", "#", "a+b"):  # which cannot be part of a response topic
        if b.client(v, id=fresh(name), properties=[(WANT_RESPONSE, 1)]).connack.prop(RESPONSE_INFO) is not None:
            raise Wrong(f"Response Information with {name} in it")


@test("MQTT-3.1.2-29", versions=(5,))
def no_problem_information_for_those_who_want_none(b, v):
    c = b.client(v, properties=[(WANT_PROBLEM, 0)])
    p = c.publish(fresh(), "x", 1)
    q = c.subscribe(fresh())
    u = c.unsubscribe("never", codes=[0x11])
    c.send(ack(PUBREL, 99))
    r = c.expect(PUBCOMP, pid=99, reason=0x92)
    for got in (p, q, u, r):
        if got.properties:
            raise Wrong(f"properties in {got}")


@test("MQTT-3.2.2", versions=(5,))
def the_limits_in_connack_make_sense(b, v):
    k = b.client(v).connack
    for ident in (MAX_QOS, RETAIN_AVAILABLE, WILDCARDS, SUB_IDS, SHARED):
        if k.prop(ident, 0) not in (0, 1):
            raise Wrong(f"0x{ident:02X} is {k.prop(ident)}")
    if k.prop(RECEIVE_MAX) == 0 or k.prop(MAX_PACKET) == 0:
        raise Wrong("a limit of 0")


# --- takeover ----------------------------------------------------------------------------------------------------

@test("MQTT-3.1.4-3")
def a_second_client_of_that_id_takes_over(b, v):
    one = b.client(v)
    two = b.client(v, id=one.id)
    one.closed(0x8E)
    two.nothing()


@test("MQTT-3.1.4-3", versions=(4,))
def takeover_crosses_versions(b, v):
    name = fresh("c")
    one = b.client(5, id=name)
    two = b.client(4, id=name)
    one.closed(0x8E)
    three = b.client(5, id=name)
    two.closed()
    three.nothing()


@test("MQTT-3.1.4-3")
def a_takeover_of_one_that_still_sends_takes_its_own_name(b, v):
    if not b.process:
        return
    for _ in range(5):
        old, new = b.client(5), b.socket(v)
        flood = publish(5, "x" * 20, b"#" * 60000) * 10  # more than one read takes
        os.kill(b.process.pid, signal.SIGSTOP)
        try:
            old.sock.setblocking(False)
            old.sock.send(flood)
            new.send(connect(v, old.id), subscribe(v, 1, (old.id, 0)), publish(v, old.id, "mine"))
        finally:
            os.kill(b.process.pid, signal.SIGCONT)
        new.expect(CONNACK, reason=0)
        new.expect(SUBACK, pid=1)
        new.expect(PUBLISH, topic=old.id, payload="mine")
        b.client(v, id=old.id)  # who is found by its name
        new.closed(0x8E)


@test("MQTT-3.1.4-3")
def takeover_by_a_hundred_leaves_the_last(b, v):
    name = fresh("c")
    socks = [b.socket(v).send(connect(v, name)) for _ in range(100)]
    alive = []
    for s in socks:
        s.send(pingreq())
    for s in socks:
        p, last = s.read(), None
        while p is not None and p.kind != DISCONNECT:
            last, p = p, s.read() if p.kind != PINGRESP else None
        if last is not None and last.kind == PINGRESP:
            alive.append(s)
    if socks[-1] not in alive:
        raise Wrong("the last one is not served")
    socks[-1].send(pingreq()).expect(PINGRESP)


@test("MQTT-3.1.4-2", versions=(4, 5))
def a_refused_connect_does_not_touch_the_running_session(b, v):
    topic = fresh("will")
    w = b.client(5)
    w.subscribe(topic)
    c = b.client(v, will=Will(topic), clean=False, properties=[(SESSION_EXPIRY, 60)] if v == 5 else ())
    refused(b, v, connect(v, c.id, will=Will("a/#")), 0x81, 0x82, 0x90)
    if v == 5:
        refused(b, v, connect(v, c.id, properties=[(AUTH_METHOD, "x")]), 0x8C)
    c.nothing()
    w.nothing()
    c.disconnect()
    b.client(v, id=c.id, clean=False, session=1, properties=[(SESSION_EXPIRY, 0)] if v == 5 else ()).nothing()


# --- leaving -----------------------------------------------------------------------------------------------------

@test("MQTT-3.14.4-1", "MQTT-3.14.4-2")
def what_follows_a_disconnect_is_not_heard(b, v):
    topic = fresh()
    w = b.client(v)
    w.subscribe(topic)
    c = b.client(v)
    c.send(disconnect(v), publish(v, topic, "late"), pingreq())
    c.closed()
    w.nothing()


@rows([("normal", 0x00), ("with will", 0x04), ("unspecified", 0x80), ("malformed", 0x81), ("protocol", 0x82),
       ("implementation", 0x83), ("topic name", 0x90), ("receive maximum", 0x93), ("alias", 0x94), ("too large", 0x95),
       ("rate", 0x96), ("quota", 0x97), ("administrative", 0x98), ("format", 0x99)],
      "MQTT-3.14.2-1", versions=(5,))
def every_reason_a_client_may_leave_with_is_accepted(b, v, reason):
    c = b.client(v)
    c.send(disconnect(v, reason, [(REASON, "bye"), (USER, ("a", "b")), (USER, ("a", "c"))]))
    c.closed()


main(parallel=8)
