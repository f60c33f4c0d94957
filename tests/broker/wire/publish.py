# SPDX-License-Identifier: MIT
"""PUBLISH at each QoS in both directions: hand-shakes, packet ids, order, unknown ids, what is passed on unaltered."""
from broker_rig import *  # noqa: F403


@rows([(f"{out} to {into}", out, into) for out in (0, 1, 2) for into in (0, 1, 2)], "MQTT-3.8.4-8", "MQTT-4.3.1-1")
def a_message_arrives_at_the_lower_of_both_qos(b, v, out, into):
    topic = fresh()
    s, p = b.client(v), b.client(v)
    s.subscribe(topic, qos=into)
    p.publish(topic, "x", out)
    got = s.receive(topic, "x", min(out, into), dup=False, retain=False)
    s.nothing()
    p.nothing()
    if v == 5 and got.properties:
        raise Wrong(f"properties from nowhere: {got}")


@rows([(f"{a} to {c}", a, c) for a in (3, 4, 5) for c in (3, 4, 5) if a != c], versions=(4,))
def versions_talk_to_each_other(b, v, left, right):
    topic = fresh()
    s, p = b.client(right), b.client(left)
    s.subscribe(topic, qos=2)
    p.publish(topic, b"\x00\xffbinary", 2)
    s.receive(topic, b"\x00\xffbinary", 2)


@test("3.1.1 MQTT-4.3.2", "MQTT-4.3.2-4", versions=(3, 4))
def the_bytes_of_the_hand_shakes_are_exact(b, v):
    topic = fresh()
    c = b.client(v)
    c.send(publish(v, topic, "x", 1, 0x1234)).expect_bytes(b"\x40\x02\x12\x34")
    c.send(publish(v, topic, "x", 2, 0xFFFF)).expect_bytes(b"\x50\x02\xff\xff")
    c.send(ack(PUBREL, 0xFFFF)).expect_bytes(b"\x70\x02\xff\xff")
    c.send(subscribe(v, 0xABCD, (topic, 1))).expect_bytes(b"\x90\x03\xab\xcd\x01")
    c.send(unsubscribe(v, 0xABCE, topic)).expect_bytes(b"\xb0\x02\xab\xce")
    c.send(pingreq()).expect_bytes(b"\xd0\x00")


@test("3.3.2", versions=(3, 4))
def a_delivery_at_qos_0_is_exact(b, v):
    c = b.client(v)
    topic = fresh()
    c.subscribe(topic)
    c.send(publish(v, topic, "payload")).expect_bytes(publish(v, topic, "payload"))


@rows([("empty", 0), ("one byte", 1), ("to the edge of one length byte", 100), ("two length bytes", 128), ("16 kB", 16384),
       ("three length bytes", 70000), ("1 MB", 1 << 20), ("four length bytes", 2200000)])
def payloads_of_every_size_arrive_whole(b, v, size):
    topic = fresh()
    s, p = b.client(v), b.client(v)
    s.subscribe(topic, qos=1)
    payload = os.urandom(min(size, 997)) * (size // 997 + 1)
    payload = payload[:size]
    for qos in (0, 1):
        p.publish(topic, payload, qos)
        s.receive(topic, payload, qos)


@test("MQTT-4.3.3-10", "MQTT-4.3.3-8")
def qos_2_repeated_before_pubrel_is_delivered_once(b, v):
    topic = fresh()
    s, p = b.client(v), b.client(v)
    s.subscribe(topic, qos=2)
    for dup in (False, True, True):
        p.send(publish(v, topic, "once", 2, 9, dup=dup)).expect(PUBREC, pid=9)
    p.send(ack(PUBREL, 9)).expect(PUBCOMP, pid=9, reason=0)
    s.receive(topic, "once", 2)
    s.nothing()
    p.send(publish(v, topic, "again", 2, 9)).expect(PUBREC, pid=9, reason=0)
    p.send(ack(PUBREL, 9)).expect(PUBCOMP, pid=9, reason=0)
    s.receive(topic, "again", 2)


@test("MQTT-4.3.2-5")
def qos_1_repeated_is_acknowledged_each_time(b, v):
    topic = fresh()
    s, p = b.client(v), b.client(v)
    s.subscribe(topic, qos=1)
    for dup in (False, True):
        p.send(publish(v, topic, "x", 1, 5, dup=dup)).expect(PUBACK, pid=5)
        s.receive(topic, "x", 1, dup=False)


@test("MQTT-3.3.1-3")
def dup_is_not_passed_on(b, v):
    topic = fresh()
    s, p = b.client(v), b.client(v)
    s.subscribe(topic, qos=2)
    p.send(publish(v, topic, "x", 1, 5, dup=True)).expect(PUBACK)
    p.send(publish(v, topic, "y", 2, 6, dup=True)).expect(PUBREC)
    p.send(ack(PUBREL, 6)).expect(PUBCOMP)
    s.receive(topic, "x", 1, dup=False)
    s.receive(topic, "y", 2, dup=False)


@test("MQTT-3.6.2-1", "MQTT-4.3.3-11")
def pubrel_for_an_unknown_id_is_completed(b, v):
    c = b.client(v)
    c.send(ack(PUBREL, 4711)).expect(PUBCOMP, pid=4711, reason=0x92 if v == 5 else 0)
    c.nothing()


@rows([(f"QoS {qos} by {NAME[kind]}", qos, kind) for qos, kind in ((2, PUBACK), (2, PUBCOMP), (1, PUBREC), (1, PUBCOMP))],
      "MQTT-4.3.2-3", "MQTT-4.3.3-5", versions=(4, 5))
def an_acknowledgement_of_the_wrong_kind_ends_no_delivery(b, v, qos, kind):
    how = dict(clean=False, properties=[(SESSION_EXPIRY, 60)] if v == 5 else ())
    topic, s = fresh(), b.client(v, **how)
    s.subscribe(topic, qos=2)
    b.client(v).publish(topic, "x", qos)
    got = s.expect(PUBLISH, payload="x", qos=qos)
    s.send(ack(kind, got.pid), disconnect(v))
    while s.read():
        pass
    b.client(v, id=s.id, session=1, **how).receive(topic, "x", qos, pid=got.pid, dup=True)


@test("3.6.2.1")
def pubrec_for_an_unknown_id_does_not_close(b, v):
    c = b.client(v)
    c.send(ack(PUBREC, 4711)).expect(PUBREL, pid=4711, reason=0x92 if v == 5 else 0)
    c.nothing()


@test("4.3.2")
def puback_and_pubcomp_for_unknown_ids_are_ignored(b, v):
    c = b.client(v)
    c.send(ack(PUBACK, 4711), ack(PUBCOMP, 4712))
    c.nothing()


@rows([(f"0x{r:02X}", r) for r in (0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99)], "MQTT-4.3.3-4", versions=(5,))
def pubrec_with_an_error_ends_the_delivery(b, v, reason):
    topic = fresh()
    s, p = b.client(v), b.client(v)
    s.subscribe(topic, qos=2)
    p.publish(topic, "one", 2)
    got = s.expect(PUBLISH, payload="one", qos=2)
    s.send(ack(PUBREC, got.pid, reason))
    s.nothing()
    p.publish(topic, "two", 2)
    s.receive(topic, "two", 2)


@rows([(f"0x{r:02X}", r) for r in (0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99)], "MQTT-4.3.2", versions=(5,))
def puback_with_any_reason_ends_the_delivery(b, v, reason):
    topic = fresh()
    s = b.client(v, clean=False, properties=[(SESSION_EXPIRY, 60)])
    s.subscribe(topic, qos=1)
    b.client(v).publish(topic, "one", 1)
    p = s.expect(PUBLISH, payload="one", qos=1)
    s.send(ack(PUBACK, p.pid, reason, [(REASON, "no"), (USER, ("a", "b"))]))
    s.nothing()
    s.disconnect()
    s = b.client(v, id=s.id, clean=False, session=1)
    s.nothing()


@rows([("QoS 0", 0), ("QoS 1", 1), ("QoS 2", 2)], "MQTT-4.6.0-5", "MQTT-4.6.0-6")
def order_is_kept_for_a_thousand_in_one_segment(b, v, qos):
    topic = fresh()
    s, p = b.client(v), b.client(v)
    s.subscribe(topic, qos=qos)
    maximum = p.connack.prop(RECEIVE_MAX, 65535) if v == 5 else 100
    batch = min(100, maximum)
    number = 0
    for _ in range(1000 // batch if qos < 2 else 2):
        first = number
        chunk = b""
        for i in range(batch):
            chunk += publish(v, topic, str(number), qos, i + 1 if qos else None)
            number += 1
        p.send(chunk)
        for i in range(batch if qos else 0):
            p.expect(PUBACK if qos == 1 else PUBREC, pid=i + 1)
        if qos == 2:
            for i in range(batch):
                p.send(ack(PUBREL, i + 1))
            for i in range(batch):
                p.expect(PUBCOMP, pid=i + 1)
        _in_order(s, first, number, qos)


def _in_order(s, first, end, qos):
    expected, releases, ids = first, [], set()
    while expected < end or releases:
        p = s.read()
        if p is None:
            raise Wrong("closed")
        if p.kind == PUBLISH:
            if p.payload != str(expected).encode():
                raise Wrong(f"expected {expected}, got {p}")
            if qos and p.pid in ids:
                raise Wrong(f"packet id {p.pid} is in use")
            expected += 1
            if qos == 1:
                s.send(ack(PUBACK, p.pid))
            if qos == 2:
                ids.add(p.pid)
                releases.append(p.pid)
                s.send(ack(PUBREC, p.pid))
        elif p.kind == PUBREL:
            if p.pid != releases.pop(0):
                raise Wrong("PUBREL out of order [MQTT-4.6.0-4]")
            ids.discard(p.pid)
            s.send(ack(PUBCOMP, p.pid))
        else:
            raise Wrong(f"got {p}")


@test("MQTT-4.3.3-6")
def an_id_is_free_again_at_once_when_it_was_released(b, v):
    topic = fresh()
    s, p = b.client(v), b.client(v)
    s.subscribe(topic, qos=1)
    for i in range(5):
        p.send(publish(v, topic, str(i), 2, 1), ack(PUBREL, 1))
        p.expect(PUBREC, pid=1)
        p.expect(PUBCOMP, pid=1, reason=0)
        s.receive(topic, str(i), 1)


@test("MQTT-4.6.0-2", "MQTT-4.6.0-3")
def acknowledgements_come_in_the_order_of_the_messages(b, v):
    topic = fresh()
    p = b.client(v)
    ids = [7, 3, 900, 1, 65535, 12, 8]
    p.send(*[publish(v, topic, "x", 1, i) for i in ids])
    for i in ids:
        p.expect(PUBACK, pid=i)
    p.send(*[publish(v, topic, "x", 2, i) for i in ids])
    for i in ids:
        p.expect(PUBREC, pid=i)


@rows([("SUBSCRIBE", b"\x8a" + subscribe(3, 5, ("a", 1))[1:], SUBACK), ("PUBREL", b"\x6a\x02\0\5", PUBCOMP),
       ("UNSUBSCRIBE", b"\xaa" + unsubscribe(3, 5, "a")[1:], UNSUBACK)], "3.1, 2.1", versions=(3,))
def what_3_1_sends_again_has_dup(b, v, data, answer):
    b.client(v).send(data).expect(answer, pid=5)


@test("MQTT-2.2.1-4")
def ids_of_the_two_directions_do_not_meet(b, v):
    topic = fresh()
    c = b.client(v)
    c.subscribe(topic, qos=2)
    b.client(v).publish(topic, "to me", 2)
    mine = c.expect(PUBLISH, payload="to me", qos=2)
    c.send(publish(v, fresh(), "of mine", 2, mine.pid)).expect(PUBREC, pid=mine.pid)
    c.send(ack(PUBREC, mine.pid)).expect(PUBREL, pid=mine.pid, reason=0)
    c.send(ack(PUBREL, mine.pid)).expect(PUBCOMP, pid=mine.pid, reason=0)
    c.send(ack(PUBCOMP, mine.pid))
    c.nothing()


@test(versions=(5,))
def no_matching_subscribers_is_0x10_or_success(b, v):
    c = b.client(v)
    c.publish(fresh(), "x", 1, reasons=(0, 0x10))
    c.publish(fresh(), "x", 2, reasons=(0, 0x10))


PASSED_ON = [(FORMAT, 1), (CONTENT_TYPE, "text/plain"), (RESPONSE_TOPIC, "to/me"), (CORRELATION, b"\x00\xff\x01"),
             (USER, ("b", "1")), (USER, ("a", "2")), (USER, ("b", "1")), (USER, ("", ""))]


@rows([(f"QoS {q}", q) for q in (0, 1, 2)], "MQTT-3.3.2-4", "MQTT-3.3.2-15", "MQTT-3.3.2-16", "MQTT-3.3.2-17",
      "MQTT-3.3.2-18", "MQTT-3.3.2-20", versions=(5,))
def properties_are_passed_on_unaltered(b, v, qos):
    topic = fresh()
    s, old, p = b.client(v), b.client(4), b.client(v)
    s.subscribe(topic, qos=2)
    old.subscribe(topic, qos=2)
    p.publish(topic, "text", qos, properties=PASSED_ON)
    got = s.receive(topic, "text", qos)
    if [x for x in got.properties if x[0] == USER] != [x for x in PASSED_ON if x[0] == USER]:
        raise Wrong(f"user properties out of order: {got}")
    if sorted(got.properties, key=repr) != sorted(PASSED_ON, key=repr):
        raise Wrong(f"{got}")
    old.receive(topic, "text", qos)


@test("MQTT-3.3.2-4", versions=(5,))
def a_format_indicator_of_zero_is_passed_on_too(b, v):
    topic = fresh()
    s = b.client(v)
    s.subscribe(topic)
    b.client(v).publish(topic, "x", properties=[(FORMAT, 0)])
    got = s.receive(topic, "x")
    if got.prop(FORMAT) != 0:
        raise Wrong(f"{got}")


@test("MQTT-3.3.2-6", versions=(5,))
def an_expiry_just_set_is_passed_on_nearly_whole(b, v):
    topic = fresh()
    s = b.client(v)
    s.subscribe(topic)
    for seconds in (100, 0xFFFFFFFF):
        b.client(v).publish(topic, "x", properties=[(EXPIRY, seconds)])
        got = s.receive(topic, "x").prop(EXPIRY)
        if got is None or not seconds - 1 <= got <= seconds:
            raise Wrong(f"{seconds} became {got}")


@rows([("65535 bytes of one level", "x" * 65535), ("200 levels", "/".join(["b"] * 200)), ("slash", "/"),
       ("spaces", "a b /c "), ("UTF-8", "größe/°C/水"), ("control", "a\x01/\x7f"), ("non-character", "a/\uffff"),
       ("U+FEFF", "\ufeffa"), ("dollar inside", "a/$b")], "MQTT-4.7.3-3", "MQTT-1.5.4-3", versions=(4, 5))
def unusual_topics_are_topics(b, v, topic):
    s = b.client(v)
    s.subscribe(topic, qos=1)
    p = b.client(v)
    p.publish(topic, "x", 1)
    s.receive(topic, "x", 1)


@rows([("30000 levels", "a/" * 30000), ("65535 levels", "/" * 65535), ("1000 levels", "/".join("a" * 1000))],
      versions=(4, 5))
def very_deep_topics_are_refused_and_harm_nobody(b, v, topic):
    w = b.client(5)
    w.subscribe("a/a/a/#", "///#")
    c = b.client(v)
    c.send(publish(v, topic, "x", 1, 1))
    p = c.read()
    if p and p.kind == PUBACK and v == 5 and p.reason < 0x80:
        raise Wrong(f"{p}")
    w.nothing()


@test("MQTT-4.3.1-1")
def a_client_hears_its_own_messages(b, v):
    topic = fresh()
    c = b.client(v)
    c.subscribe(topic, qos=0)
    c.send(publish(v, topic, "x"))
    c.receive(topic, "x")


@test()
def thirty_subscribers_hear_the_same(b, v):
    topic = fresh()
    subs = [b.client(v) for _ in range(30)]
    for i, s in enumerate(subs):
        s.subscribe(topic, qos=i % 3)
    p = b.client(v)
    for n in range(5):
        p.publish(topic, str(n), 2)
    for i, s in enumerate(subs):
        _in_order(s, 0, 5, i % 3)


main(parallel=8)
