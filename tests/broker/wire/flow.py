# SPDX-License-Identifier: MIT
"""Windows and limits: receive maximum both ways, maximum packet size, topic aliases, message expiry."""
from broker_rig import *  # noqa: F403


def narrow(b, window, **more):
    return b.client(5, properties=[(RECEIVE_MAX, window)] + more.pop("properties", []), **more)


@rows([("1", 1), ("2", 2), ("7", 7)], "MQTT-3.3.4-9", "MQTT-3.1.2-22", versions=(5,))
def what_exceeds_the_clients_window_waits_and_comes_in_order(b, v, window):
    topic = fresh()
    s, p = narrow(b, window), b.client(v)
    s.subscribe(topic, qos=1)
    for i in range(30):
        p.publish(topic, str(i), 1)
    open_ = [s.expect(PUBLISH, payload=str(i), qos=1) for i in range(window)]
    s.nothing()
    for i in range(window, 30):
        s.send(ack(PUBACK, open_.pop(0).pid))
        open_.append(s.expect(PUBLISH, payload=str(i), qos=1))
        s.nothing()
    for p in open_:
        s.send(ack(PUBACK, p.pid))
    s.nothing()


@test("MQTT-3.3.4-10", versions=(5,))
def a_full_window_delays_neither_qos_0_nor_acknowledgements(b, v):
    topic = fresh()
    s, p = narrow(b, 1), b.client(v)
    s.subscribe(topic, qos=2)
    p.publish(topic, "a", 2)
    got = s.expect(PUBLISH, payload="a", qos=2)
    p.publish(topic, "waits", 1)
    p.publish(topic, "passes", 0)
    s.expect(PUBLISH, payload="passes", qos=0)
    s.send(publish(v, fresh(), "x", 1, 9)).expect(PUBACK, pid=9)
    s.send(publish(v, fresh(), "x", 2, 9)).expect(PUBREC, pid=9)
    s.send(ack(PUBREL, 9)).expect(PUBCOMP, pid=9)
    s.subscribe(fresh())
    s.send(ack(PUBREC, got.pid)).expect(PUBREL, pid=got.pid)
    s.nothing()  # QoS 2 holds its place until PUBCOMP
    s.send(ack(PUBCOMP, got.pid))
    s.receive(topic, "waits", 1)


@test("4.9", versions=(5,))
def a_refusing_pubrec_frees_its_place(b, v):
    topic = fresh()
    s, p = narrow(b, 1), b.client(v)
    s.subscribe(topic, qos=2)
    for i in range(3):
        p.publish(topic, str(i), 2)
    for i in range(3):
        got = s.expect(PUBLISH, payload=str(i), qos=2)
        s.nothing()
        s.send(ack(PUBREC, got.pid, 0x83))
    s.nothing()


@test("4.9", versions=(5,))
def the_window_is_full_again_after_a_reconnect(b, v):
    topic = fresh()
    how = dict(clean=False, properties=[(SESSION_EXPIRY, 60)])
    s, p = narrow(b, 2, **how), b.client(v)
    s.subscribe(topic, qos=1)
    for i in range(6):
        p.publish(topic, str(i), 1)
    s.expect(PUBLISH, payload="0")
    s.expect(PUBLISH, payload="1")
    s.drop()
    s = b.client(v, id=s.id, clean=False, session=1, properties=[(RECEIVE_MAX, 1), (SESSION_EXPIRY, 60)])
    for i in range(6):
        got = s.expect(PUBLISH, payload=str(i), dup=i < 2)
        s.nothing()
        s.send(ack(PUBACK, got.pid))
    s.nothing()


@test("MQTT-3.3.4-7", "MQTT-3.3.4-8", "4.9", versions=(5,))
def one_publish_more_than_the_servers_window_closes(b, v):
    c = b.client(v)
    window = c.connack.prop(RECEIVE_MAX, 65535)
    topic = fresh()
    for i in range(1, window + 1):
        c.send(publish(v, topic, "", 2, i))
    for i in range(1, window + 1):
        c.expect(PUBREC, pid=i)
    c.send(publish(v, topic, "", 2, 1, dup=True)).expect(PUBREC, pid=1)  # counts once
    c.send(ack(PUBREL, 1)).expect(PUBCOMP, pid=1)
    if window < 65535:
        c.send(publish(v, topic, "", 2, window + 1)).expect(PUBREC, pid=window + 1)
        c.send(publish(v, topic, "", 2, window + 2))
        c.closed(0x93)


# --- maximum packet size -----------------------------------------------------------------------------------------

@rows([(f"QoS {q}", q) for q in (0, 1, 2)], "MQTT-3.1.2-24", "MQTT-3.1.2-25", versions=(5,))
def what_is_too_large_for_a_client_is_dropped_and_the_rest_arrives(b, v, qos):
    topic = fresh()
    s, other, p = b.client(v, properties=[(MAX_PACKET, 200)]), b.client(v), b.client(v)
    s.subscribe(topic, qos=qos)
    other.subscribe(topic, qos=qos)
    overhead = len(publish(v, topic, b"", qos, 1 if qos else None))
    for payload in (b"small", b"x" * (200 - overhead - 1), b"x" * (201 - overhead), b"x" * 300, b"after"):
        p.publish(topic, payload, qos)
        other.receive(topic, payload, qos)
    s.receive(topic, "small", qos)
    s.receive(topic, b"x" * (200 - overhead - 1), qos)
    s.receive(topic, "after", qos)
    s.nothing()


@test("MQTT-3.1.2-24", versions=(5,))
def answers_that_are_too_large_for_a_client_are_not_sent(b, v):
    s = b.socket(v)
    s.send(connect(v, fresh("c"), properties=[(MAX_PACKET, 8)]))
    s.closed()
    topic, s = fresh(), b.client(v, properties=[(MAX_PACKET, 60)])
    s.subscribe(*(f"{topic}/{i}" for i in range(50)))
    s.send(subscribe(v, 1, *((f"{topic}/{i}", 0) for i in range(100))))
    s.closed(0x95)
    asks = b.socket(v)
    asks.send(connect(v, "i" * 60, properties=[(MAX_PACKET, 60), (WANT_RESPONSE, 1)]))
    asks.expect(CONNACK, reason=0)


@test("MQTT-3.14.2-3", "MQTT-3.2.2-19", versions=(5,))
def words_that_would_make_a_refusal_too_large_are_left_out(b, v):
    c = b.client(v, properties=[(MAX_PACKET, 20)])
    c.send(publish(v, "a/#", "x"))
    c.closed(0x90)
    s = b.socket(v).send(connect(v, fresh("c"), properties=[(MAX_PACKET, 10), (AUTH_METHOD, "x")]))
    s.expect(CONNACK, reason=0x8C)
    if len(s.last) > 10:
        raise Wrong(f"{len(s.last)} bytes where 10 are taken")


@test("MQTT-3.1.2-24", versions=(5,))
def a_packet_of_exactly_the_maximum_fits(b, v):
    topic = fresh()
    s = b.client(v, properties=[(MAX_PACKET, 100)])
    s.subscribe(topic)
    exact = publish(v, topic, b"x" * (98 - len(topic) - 3))
    assert len(exact) == 100
    b.client(v).send(exact)
    s.receive(topic, b"x" * (98 - len(topic) - 3))
    s.nothing()


@test("MQTT-3.1.2-25", versions=(5,))
def too_large_ones_do_not_use_up_the_window(b, v):
    topic = fresh()
    s, p = b.client(v, properties=[(MAX_PACKET, 100), (RECEIVE_MAX, 2)]), b.client(v)
    s.subscribe(topic, qos=1)
    for i in range(5):
        p.publish(topic, b"y" * 200, 1)
    p.publish(topic, "fits", 1)
    s.receive(topic, "fits", 1)


@test("MQTT-3.1.2-24", versions=(5,))
def retained_and_queued_ones_that_are_too_large_are_dropped_too(b, v):
    own = fresh()
    p = b.client(v)
    p.publish(f"{own}/big", b"y" * 200, 1, retain=True)
    p.publish(f"{own}/small", b"y", 1, retain=True)
    how = dict(clean=False, properties=[(SESSION_EXPIRY, 60), (MAX_PACKET, 100)])
    s = b.client(v, **how)
    s.subscribe(f"{own}/#", qos=1)
    s.receive(f"{own}/small", "y", 1)
    s.nothing()
    s.disconnect()
    p.publish(f"{own}/big", b"y" * 200, 1)
    p.publish(f"{own}/small", b"z", 1)
    s = b.client(v, id=s.id, session=1, **how)
    s.receive(f"{own}/small", "z", 1)
    s.nothing()


@test("3.2.2.3.6")
def more_than_the_servers_maximum_closes_from_the_header_alone(b, v):
    limit = b.client(5).connack.prop(MAX_PACKET)
    topic = fresh("will")
    w = b.client(5)
    w.subscribe(topic)
    c = b.client(v, will=Will(topic))
    if limit is None:
        c.nothing()
        return
    c.send(b"\x30" + varint(min(limit + 1, 268435455)) + string("a"))
    c.closed(0x95)
    w.receive(topic, "gone")


# --- topic aliases -----------------------------------------------------------------------------------------------

def alias_client(b, least=3):
    c = b.client(5)
    if c.connack.prop(ALIAS_MAX, 0) < least:
        raise Wrong("the server takes no topic aliases")
    return c


@test("MQTT-3.3.2-7", "MQTT-3.3.2-12", versions=(5,))
def an_alias_stands_for_its_topic_until_it_is_set_anew(b, v):
    one, two = fresh(), fresh()
    s, c = b.client(4), alias_client(b)
    s.subscribe(one, two)
    last = c.connack.prop(ALIAS_MAX)
    c.send(publish(5, one, "1", properties=[(ALIAS, 1)]), publish(5, "", "2", properties=[(ALIAS, 1)]))
    c.send(publish(5, two, "3", properties=[(ALIAS, 1)]), publish(5, "", "4", properties=[(ALIAS, 1)]))
    c.send(publish(5, one, "5", properties=[(ALIAS, last)]), publish(5, "", "6", properties=[(ALIAS, last)]))
    c.send(publish(5, "", "7", properties=[(ALIAS, 1)]))
    for topic, payload in ((one, "1"), (one, "2"), (two, "3"), (two, "4"), (one, "5"), (one, "6"), (two, "7")):
        s.receive(topic, payload)


@test("3.3.2.3.4", versions=(5,))
def an_alias_works_at_every_qos_and_is_not_passed_on(b, v):
    topic = fresh()
    s, c = b.client(5), alias_client(b)
    s.subscribe(topic, qos=2)
    c.publish(topic, "0", 0, properties=[(ALIAS, 2)])
    for qos in (1, 2):
        c.publish("", str(qos), qos, properties=[(ALIAS, 2)])
    for qos in (0, 1, 2):
        if s.receive(topic, str(qos), qos).prop(ALIAS) is not None:
            raise Wrong("an alias to a client that allows none [MQTT-3.1.2-27]")


@test("MQTT-3.3.2-7", versions=(5,))
def an_alias_ends_with_its_connection(b, v):
    topic = fresh()
    how = dict(clean=False, properties=[(SESSION_EXPIRY, 60)])
    c = b.client(5, **how)
    c.publish(topic, "x", 1, properties=[(ALIAS, 1)])
    c.disconnect()
    c = b.client(5, id=c.id, session=1, **how)
    c.send(publish(5, "", "x", 1, 5, properties=[(ALIAS, 1)]))
    c.closed(0x82)


@test(versions=(5,))
def aliases_belong_to_one_connection(b, v):
    a, c = alias_client(b), alias_client(b)
    one, two = fresh(), fresh()
    s = b.client(4)
    s.subscribe(one, two)
    a.publish(one, "1", 1, properties=[(ALIAS, 1)])
    c.publish(two, "2", 1, properties=[(ALIAS, 1)])
    a.publish("", "3", 1, properties=[(ALIAS, 1)])
    for topic, payload in ((one, "1"), (two, "2"), (one, "3")):
        s.receive(topic, payload)


@test(versions=(5,))
def what_was_published_by_alias_is_retained_and_queued_by_name(b, v):
    topic = fresh()
    s = b.client(5, clean=False, properties=[(SESSION_EXPIRY, 60)])
    s.subscribe(topic, qos=1)
    s.disconnect()
    c = alias_client(b)
    c.publish(topic, "1", 1, properties=[(ALIAS, 1)])
    c.publish("", "2", 1, retain=True, properties=[(ALIAS, 1)])
    s = b.client(5, id=s.id, clean=False, session=1)
    s.receive(topic, "1", 1)
    s.receive(topic, "2", 1)
    late = b.client(4)
    late.subscribe(topic)
    late.receive(topic, "2", retain=True)


@test("MQTT-3.1.2-26", versions=(5,))
def the_server_uses_aliases_up_to_the_clients_maximum(b, v):
    own = fresh()
    s, p = b.client(5, properties=[(ALIAS_MAX, 2)]), b.client(4)
    s.subscribe(f"{own}/#")
    known = {}
    for round in range(3):
        for n in range(4):
            p.publish(f"{own}/{n}", f"{round}")
            got = s.expect(PUBLISH, payload=str(round))
            number = got.prop(ALIAS)
            if number is not None:
                if not 1 <= number <= 2:
                    raise Wrong(f"alias {number} of 2")
                if got.topic:
                    known[number] = got.topic
            topic = got.topic or known.get(number)
            if topic != f"{own}/{n}":
                raise Wrong(f"expected {own}/{n}, got {got}")


@test("MQTT-3.1.2-24", versions=(5,))
def who_cannot_take_its_connack_hears_nothing_and_nothing_of_it_is_done(b, v):
    topic, name = fresh(), fresh("c")
    watcher = b.client(v)
    watcher.subscribe(topic)
    kept = b.client(v, id=name, clean=False, properties=[(SESSION_EXPIRY, 60)])
    kept.subscribe(topic, qos=2)
    b.client(v).publish(topic, "1", 2)
    watcher.receive(topic, "1")
    kept.send(ack(PUBREC, kept.expect(PUBLISH).pid))
    kept.expect(PUBREL)
    for clean in (False, True):  # with something to send again, and without
        s = b.socket(v)
        s.send(connect(v, name, clean=clean, properties=[(MAX_PACKET, 4)]), subscribe(v, 1, (topic, 0)),
               publish(v, topic, "2", 1, 2), publish(v, topic, "", 3), pingreq())
        s.closed()
    watcher.nothing()


@test("MQTT-3.1.2-24", versions=(5,))
def an_alias_told_for_the_first_time_makes_no_packet_too_large(b, v):
    p = b.client(v)
    for length in (40, 119, 122):  # where the lengths around it take a byte more, too
        topic = fresh().ljust(length, "x")
        size = len(publish(v, topic, "abc"))
        for room in range(7):
            s = b.client(v, properties=[(MAX_PACKET, size + room), (ALIAS_MAX, 1)])
            s.subscribe(topic)
            for _ in range(2):
                p.publish(topic, "abc")
                s.expect(PUBLISH, payload="abc")
                if len(s.last) > size + room:
                    raise Wrong(f"{len(s.last)} bytes where {size + room} are taken")
            s.nothing()


# --- message expiry ----------------------------------------------------------------------------------------------

@test("MQTT-3.3.2-5", versions=(5,))
def an_expired_message_is_not_sent_and_the_rest_counts_down(b, v):
    topic = fresh()
    how = dict(clean=False, properties=[(SESSION_EXPIRY, 60)])
    s = b.client(v, **how)
    s.subscribe(topic, qos=1)
    s.disconnect()
    p = b.client(v)
    p.publish(topic, "short", 1, properties=[(EXPIRY, 1)])
    p.publish(topic, "long", 1, properties=[(EXPIRY, 100)])
    p.publish(topic, "ever", 1)
    p.publish(fresh("k"), "x", 1)
    let_time_pass(2.1)
    s = b.client(v, id=s.id, session=1, **how)
    left = s.receive(topic, "long", 1).prop(EXPIRY)
    if left not in (97, 98):
        raise Wrong(f"{left} left of 100 after 2.1 s [MQTT-3.3.2-6]")
    if s.receive(topic, "ever", 1).prop(EXPIRY) is not None:
        raise Wrong("an expiry from nowhere")
    s.nothing()


@test("MQTT-3.3.2-5", versions=(5,))
def an_expiry_of_zero_is_for_who_is_there(b, v):
    topic = fresh()
    how = dict(clean=False, properties=[(SESSION_EXPIRY, 60)])
    s, away, late = b.client(v), b.client(v, **how), b.client(v)
    s.subscribe(topic, qos=1)
    away.subscribe(topic, qos=1)
    away.disconnect()
    b.client(v).publish(topic, "x", 1, retain=True, properties=[(EXPIRY, 0)])
    s.receive(topic, "x", 1)
    late.subscribe(topic, qos=1)
    late.nothing()
    b.client(v, id=away.id, session=1, **how).nothing()


@test("MQTT-3.3.2-5", "MQTT-3.3.2-6", versions=(5,))
def a_retained_message_expires_too(b, v):
    short, long = fresh(), fresh()
    p = b.client(v)
    p.publish(short, "x", 1, retain=True, properties=[(EXPIRY, 1)])
    p.publish(long, "x", 1, retain=True, properties=[(EXPIRY, 100)])
    s = b.client(v)
    s.subscribe(short, qos=1)
    s.receive(short, "x", 1, retain=True)
    let_time_pass(2.1)
    s.subscribe(short, long, qos=1)
    left = s.receive(long, "x", 1, retain=True).prop(EXPIRY)
    if left not in (97, 98):
        raise Wrong(f"{left} left of 100 after 2.1 s")
    s.nothing()


@test("MQTT-3.3.2-5", versions=(5,))
def one_that_expires_behind_a_full_window_does_not_stall_the_next(b, v):
    topic = fresh()
    s, p = narrow(b, 1), b.client(v)
    s.subscribe(topic, qos=1)
    p.publish(topic, "first", 1)
    p.publish(topic, "expires", 1, properties=[(EXPIRY, 1)])
    p.publish(topic, "last", 1)
    got = s.expect(PUBLISH, payload="first")
    let_time_pass(2.1)
    s.send(ack(PUBACK, got.pid))
    s.receive(topic, "last", 1)
    s.nothing()


@test("3.3.2.3.3", versions=(5,))
def what_is_in_flight_may_expire_without_harm(b, v):
    topic = fresh()
    how = dict(clean=False, properties=[(SESSION_EXPIRY, 60), (RECEIVE_MAX, 1)])
    s, p = b.client(v, **how), b.client(v)
    s.subscribe(topic, qos=1)
    p.publish(topic, "in flight", 1, properties=[(EXPIRY, 1)])
    p.publish(topic, "next", 1)
    s.expect(PUBLISH, payload="in flight")
    s.drop()
    let_time_pass(2.1)
    s = b.client(v, id=s.id, session=1, **how)
    got = s.expect(PUBLISH)
    if got.payload == b"in flight":
        s.acknowledge(got)
        got = s.expect(PUBLISH)
    if got.payload != b"next":
        raise Wrong(f"{got}")
    s.acknowledge(got)
    s.nothing()


main(parallel=16)
