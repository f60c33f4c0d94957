# SPDX-License-Identifier: MIT
"""Sessions: what survives a reconnect, what is sent again, what waits for a client that is away."""
from broker_rig import *  # noqa: F403


def stay(v, seconds=60):
    """How a client connects whose session shall outlive the connection."""
    return dict(clean=False, properties=[(SESSION_EXPIRY, seconds)] if v == 5 else ())


@test("MQTT-3.2.2-2", "MQTT-3.2.2-3", versions=(4, 5))
def session_present_is_one_only_when_there_was_a_session(b, v):
    c = b.client(v, session=0, **stay(v))
    c.disconnect()
    c = b.client(v, id=c.id, session=1, **stay(v))
    c.disconnect()
    c = b.client(v, id=c.id, clean=True, session=0)
    c.disconnect()
    c = b.client(v, id=c.id, session=0, **stay(v))
    c.drop()
    b.client(v, id=c.id, session=1, **stay(v)).disconnect()


@test("MQTT-3.1.2-4")
def clean_start_forgets_subscriptions_and_messages(b, v):
    topic = fresh()
    c = b.client(v, **stay(v))
    c.subscribe(topic, qos=1)
    c.disconnect()
    b.client(v).publish(topic, "x", 1)
    c = b.client(v, id=c.id, clean=True)
    c.nothing()
    b.client(v).publish(topic, "y", 1)
    c.nothing()


@test("MQTT-3.1.2-5", "MQTT-4.1.0-1")
def subscriptions_survive_and_need_not_be_made_again(b, v):
    topic = fresh()
    c = b.client(v, **stay(v))
    c.subscribe(topic, qos=1)
    c.disconnect()
    c = b.client(v, id=c.id, **stay(v))
    b.client(v).publish(topic, "x", 1)
    c.receive(topic, "x", 1)


@test("MQTT-3.1.2-23", versions=(5,))
def options_and_identifiers_survive_too(b, v):
    topic = fresh()
    c = b.client(v, **stay(v))
    c.subscribe((topic, 1 | 4 | 8), properties=[(SUB_ID, 1234)])
    c.disconnect()
    c = b.client(v, id=c.id, session=1, **stay(v))
    c.publish(topic, "mine", 1)
    c.nothing()
    b.client(v).publish(topic, "x", 1, retain=True)
    if c.receive(topic, "x", 1, retain=True).all(SUB_ID) != [1234]:
        raise Wrong("the identifier is gone")


@test("MQTT-4.1.0-1", "3.1.1 MQTT-3.1.2-4")
def what_came_while_away_is_delivered_in_order(b, v):
    topic = fresh()
    c = b.client(v, **stay(v))
    c.subscribe(topic, qos=2)
    c.disconnect()
    p = b.client(v)
    for i in range(50):
        p.publish(topic, str(i), 1 + i % 2)
    c = b.client(v, id=c.id, **stay(v))
    arrived, to_release = 0, 25
    while arrived < 50 or to_release:
        got = c.read()  # a PUBREL may come at any time between
        if got.kind == PUBREL:
            c.send(ack(PUBCOMP, got.pid))
            to_release -= 1
            continue
        if got.kind != PUBLISH or got.payload != str(arrived).encode() or got.qos != 1 + arrived % 2 or got.dup:
            raise Wrong(f"expected message {arrived}, got {got}")
        c.send(ack(PUBACK if got.qos == 1 else PUBREC, got.pid))
        arrived += 1
    c.nothing()


@test("MQTT-4.3.1-1")
def qos_0_need_not_wait_but_must_not_come_twice(b, v):
    topic = fresh()
    c = b.client(v, **stay(v))
    c.subscribe(topic, qos=1)
    c.disconnect()
    p = b.client(v)
    p.publish(topic, "zero", 0)
    p.publish(topic, "one", 1)
    c = b.client(v, id=c.id, **stay(v))
    got = c.expect(PUBLISH)
    if got.payload == b"zero":
        got = c.expect(PUBLISH)
    if got.payload != b"one":
        raise Wrong(f"{got}")
    c.acknowledge(got)
    c.nothing()


@test("MQTT-4.4.0-1", "MQTT-3.3.1-1", "MQTT-4.6.0-1")
def unacknowledged_messages_come_again_with_dup_and_the_same_id_in_order(b, v):
    topic = fresh()
    c = b.client(v, **stay(v))
    c.subscribe(topic, qos=2)
    p = b.client(v)
    for i in range(6):
        p.publish(topic, str(i), 1 + i % 2)
    first = [c.expect(PUBLISH, payload=str(i), dup=False) for i in range(6)]
    c.send(ack(PUBACK, first[0].pid))
    c.nothing()
    c.drop()
    c = b.client(v, id=c.id, **stay(v))
    for was in first[1:]:
        c.expect(PUBLISH, payload=was.payload, qos=was.qos, pid=was.pid, dup=True)
    for was in first[1:]:
        c.acknowledge(was)
    c.nothing()
    c.disconnect()
    b.client(v, id=c.id, **stay(v)).nothing()


@test("MQTT-4.4.0-1")
def nothing_is_sent_again_on_a_living_connection(b, v):
    topic = fresh()
    c = b.client(v)
    c.subscribe(topic, qos=1)
    b.client(v).publish(topic, "x", 1)
    c.expect(PUBLISH, payload="x")
    quiet_for(c, 1.2)


@test("MQTT-4.4.0-1", "MQTT-4.3.3-7")
def after_pubrec_it_is_pubrel_that_comes_again(b, v):
    topic = fresh()
    c = b.client(v, **stay(v))
    c.subscribe(topic, qos=2)
    p = b.client(v)
    p.publish(topic, "a", 2)
    p.publish(topic, "b", 2)
    one, two = c.expect(PUBLISH, payload="a"), c.expect(PUBLISH, payload="b")
    c.send(ack(PUBREC, one.pid)).expect(PUBREL, pid=one.pid)
    c.drop()
    for _ in range(2):
        c = b.client(v, id=c.id, **stay(v))
        got = [c.read(), c.read()]
        kinds = {p.kind: p for p in got}
        if set(kinds) != {PUBREL, PUBLISH} or kinds[PUBREL].pid != one.pid or kinds[PUBLISH].pid != two.pid:
            raise Wrong(f"{got}")
        if not kinds[PUBLISH].dup:
            raise Wrong("PUBLISH again without DUP")
        c.drop()
    c = b.client(v, id=c.id, **stay(v))
    c.read(), c.read()
    c.send(ack(PUBCOMP, one.pid), ack(PUBREC, two.pid)).expect(PUBREL, pid=two.pid)
    c.send(ack(PUBCOMP, two.pid))
    c.nothing()


@test("MQTT-4.3.3-10")
def an_incoming_qos_2_id_survives_a_reconnect(b, v):
    topic = fresh()
    s = b.client(v)
    s.subscribe(topic, qos=2)
    c = b.client(v, **stay(v))
    c.send(publish(v, topic, "once", 2, 77)).expect(PUBREC, pid=77)
    c.drop()
    c = b.client(v, id=c.id, **stay(v))
    c.send(publish(v, topic, "once", 2, 77, dup=True)).expect(PUBREC, pid=77)
    c.send(ack(PUBREL, 77)).expect(PUBCOMP, pid=77, reason=0)
    s.receive(topic, "once", 2)
    s.nothing()
    c.send(ack(PUBREL, 77)).expect(PUBCOMP, pid=77, reason=0x92 if v == 5 else 0)


@test("MQTT-3.1.2-4")
def clean_start_forgets_an_incoming_qos_2_id(b, v):
    topic = fresh()
    s = b.client(v)
    s.subscribe(topic, qos=2)
    c = b.client(v, **stay(v))
    c.send(publish(v, topic, "one", 2, 77)).expect(PUBREC)
    c.send(ack(PUBREL, 77)).expect(PUBCOMP)
    c.send(publish(v, fresh(), "lost", 2, 78)).expect(PUBREC)
    c.drop()
    c = b.client(v, id=c.id, clean=True)
    c.send(publish(v, topic, "two", 2, 78)).expect(PUBREC, pid=78)
    c.send(ack(PUBREL, 78)).expect(PUBCOMP, reason=0)
    s.receive(topic, "one", 2)
    s.receive(topic, "two", 2)


@test("MQTT-3.1.4-3", "MQTT-4.4.0-1")
def a_takeover_of_a_session_in_flight_sends_it_again(b, v):
    topic = fresh()
    c = b.client(v, **stay(v))
    c.subscribe(topic, qos=1)
    b.client(v).publish(topic, "x", 1)
    was = c.expect(PUBLISH, payload="x", qos=1)
    d = b.client(v, id=c.id, session=1 if v > 3 else None, **stay(v))
    c.closed(0x8E)
    d.expect(PUBLISH, payload="x", qos=1, pid=was.pid, dup=True)
    d.send(ack(PUBACK, was.pid))
    d.nothing()


@test("MQTT-4.6.0-5")
def new_messages_do_not_overtake_what_is_sent_again(b, v):
    topic = fresh()
    c = b.client(v, **stay(v))
    c.subscribe(topic, qos=1)
    p = b.client(v)
    for i in range(3):
        p.publish(topic, str(i), 1)
    for i in range(3):
        c.expect(PUBLISH, payload=str(i))
    c.drop()
    for i in range(3, 6):
        p.publish(topic, str(i), 1)
    c = b.client(v, id=c.id, **stay(v))
    for i in range(6):
        got = c.expect(PUBLISH, payload=str(i), dup=(True,) if i < 3 else (False, True))  # 3 may have met the dead socket
        c.send(ack(PUBACK, got.pid))
    c.nothing()


@test("MQTT-3.1.2-23", "3.1.2.11.2", versions=(5,))
def an_absent_or_zero_expiry_ends_the_session_with_the_connection(b, v):
    for properties in ((), [(SESSION_EXPIRY, 0)]):
        for leave in (Client.disconnect, Client.drop):
            c = b.client(v, clean=False, properties=properties)
            c.subscribe(fresh(), qos=1)
            leave(c)
            eventually(lambda: b.client(v, id=c.id, clean=False).connack.session == 0, "the session is gone")


@test("3.1.2.4", versions=(5,))
def clean_start_with_an_expiry_keeps_the_new_session(b, v):
    topic = fresh()
    c = b.client(v, clean=True, properties=[(SESSION_EXPIRY, 60)], session=0)
    c.subscribe(topic, qos=1)
    c.drop()
    b.client(v).publish(topic, "x", 1)
    c = b.client(v, id=c.id, clean=False, session=1)
    c.receive(topic, "x", 1)
    c.disconnect()  # absent expiry this time: 0
    b.client(v, id=c.id, clean=False, session=0)


@test("3.14.2.2.2", versions=(5,))
def disconnect_may_change_the_expiry(b, v):
    c = b.client(v, **stay(v, 60))
    c.disconnect(0, [(SESSION_EXPIRY, 0)])
    c = b.client(v, id=c.id, session=0, **stay(v, 1))
    c.disconnect(0, [(SESSION_EXPIRY, 0xFFFFFFFF)])
    c = b.client(v, id=c.id, session=1, **stay(v, 0xFFFFFFFF))
    c.disconnect()
    b.client(v, id=c.id, session=1, clean=False).disconnect()


@test(versions=(4,))
def a_session_crosses_versions(b, v):
    topic = fresh()
    c = b.client(4, clean=False)
    c.subscribe(topic, qos=2)
    c.disconnect()
    b.client(5).publish(topic, "x", 2, properties=[(USER, ("a", "b")), (CONTENT_TYPE, "t")])
    d = b.client(5, id=c.id, clean=False, session=1, properties=[(SESSION_EXPIRY, 60)])
    got = d.receive(topic, "x", 2)
    if got.all(USER) != [("a", "b")]:
        raise Wrong(f"{got}")
    d.disconnect()
    e = b.client(4, id=c.id, clean=False, session=1)
    b.client(5).publish(topic, "y", 1, properties=[(USER, ("a", "b"))])
    e.receive(topic, "y", 1)


@test("MQTT-3.10.4-1", "MQTT-4.1.0-1")
def unsubscribing_keeps_what_was_queued_from_becoming_more(b, v):
    topic = fresh()
    c = b.client(v, **stay(v))
    c.subscribe(topic, qos=1)
    c.unsubscribe(topic)
    c.disconnect()
    b.client(v).publish(topic, "x", 1)
    b.client(v, id=c.id, **stay(v)).nothing()


@test("MQTT-3.3.1-8")
def retained_messages_that_came_while_away_have_no_flag(b, v):
    topic = fresh()
    c = b.client(v, **stay(v))
    c.subscribe(topic, qos=1)
    c.disconnect()
    b.client(v).publish(topic, "x", 1, retain=True)
    c = b.client(v, id=c.id, **stay(v))
    c.receive(topic, "x", 1, retain=False)
    c.nothing()


@test("4.1.0-1")
def five_hundred_wait_for_one_client(b, v):
    topic = fresh()
    c = b.client(v, **stay(v))
    c.subscribe(topic, qos=1)
    c.drop()
    p = b.client(v)
    for start in range(0, 500, 20):
        p.send(*[publish(v, topic, str(i), 1, 1 + i) for i in range(start, start + 20)])
        for i in range(start, start + 20):
            p.expect(PUBACK, pid=1 + i)
    c = b.client(v, id=c.id, **stay(v))
    for i in range(500):
        c.receive(topic, str(i), 1, dup=False)
    c.nothing()


@test(versions=(5,))
def reason_codes_of_puback_in_flight_do_not_block_the_next_session(b, v):
    topic = fresh()
    c = b.client(v, **stay(v))
    c.subscribe(topic, qos=2)
    b.client(v).publish(topic, "x", 2)
    got = c.expect(PUBLISH, payload="x", qos=2)
    c.send(ack(PUBREC, got.pid, 0x97))
    c.nothing()
    c.drop()
    b.client(v, id=c.id, session=1, **stay(v)).nothing()


main(parallel=8)
