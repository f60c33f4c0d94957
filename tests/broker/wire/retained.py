# SPDX-License-Identifier: MIT
"""Retained messages: kept, replaced, cleared, and sent as the subscription's options say."""
from broker_rig import *  # noqa: F403

KEPT = 4  # rounds in which a kept message would have come
NO_LOCAL, AS_PUBLISHED, NEW_ONLY, NEVER = 0x04, 0x08, 0x10, 0x20


@rows([(f"QoS {q}, subscribed at {s}", q, s) for q in (0, 1, 2) for s in (0, 1, 2)], "MQTT-3.3.1-5", "MQTT-3.3.1-6")
def a_retained_message_waits_for_its_subscriber(b, v, qos, at):
    topic = fresh()
    b.client(v).publish(topic, "kept", qos, retain=True)
    s = b.client(v)
    s.subscribe(topic, qos=at)
    s.receive(topic, "kept", min(qos, at), retain=True)
    s.nothing(KEPT)


@test("MQTT-3.3.1-8", "3.1.1 MQTT-3.3.1-9")
def an_existing_subscriber_gets_it_without_the_flag(b, v):
    topic = fresh()
    s, p = b.client(v), b.client(v)
    s.subscribe(topic)
    p.publish(topic, "x", retain=True)
    s.receive(topic, "x", retain=False)


@test("MQTT-3.3.1-12", "MQTT-3.3.1-13", versions=(5,))
def retain_as_published_keeps_the_flag(b, v):
    topic = fresh()
    s, p = b.client(v), b.client(v)
    s.subscribe((topic, AS_PUBLISHED))
    p.publish(topic, "x", retain=True)
    s.receive(topic, "x", retain=True)
    p.publish(topic, "y")
    s.receive(topic, "y", retain=False)
    p.publish(topic, "", retain=True)
    s.receive(topic, "", retain=True)


@test("MQTT-3.3.1-6", "MQTT-3.3.1-7", "3.1.1 MQTT-3.3.1-10", "3.1.1 MQTT-3.3.1-11")
def an_empty_payload_clears_and_is_delivered_but_not_kept(b, v):
    topic = fresh()
    s, p = b.client(v), b.client(v)
    p.publish(topic, "x", 1, retain=True)
    s.subscribe(topic)
    s.receive(topic, "x", retain=True)
    p.publish(topic, "", 1, retain=True)
    s.receive(topic, "", retain=False)
    late = b.client(v)
    late.subscribe(topic, qos=1)
    late.nothing(KEPT)
    p.publish(topic, "", 1, retain=True)
    late.receive(topic, "", 1)


@test("MQTT-3.3.1-8")
def a_message_without_the_flag_neither_replaces_nor_clears(b, v):
    topic = fresh()
    p = b.client(v)
    p.publish(topic, "kept", 1, retain=True)
    p.publish(topic, "other", 1)
    p.publish(topic, "", 1)
    s = b.client(v)
    s.subscribe(topic, qos=1)
    s.receive(topic, "kept", 1, retain=True)
    s.nothing(KEPT)


@test("MQTT-3.3.1-5")
def the_last_one_replaces_whatever_its_qos(b, v):
    topic = fresh()
    p, s = b.client(v), b.client(v)
    for qos in (2, 1, 0):
        p.publish(topic, f"q{qos}", qos, retain=True)
    s.subscribe(topic, qos=2)
    s.receive(topic, "q0", 0, retain=True)
    s.nothing(KEPT)


@test("MQTT-3.3.1-9", "3.1.1 MQTT-3.8.4-3")
def it_is_sent_again_at_each_subscribe(b, v):
    topic = fresh()
    b.client(v).publish(topic, "x", 1, retain=True)
    s = b.client(v)
    for _ in range(3):
        s.subscribe(topic, qos=1)
        s.receive(topic, "x", 1, retain=True)
    s.nothing(KEPT)


@test("MQTT-3.3.1-9", "MQTT-3.3.1-10", "MQTT-3.3.1-11", versions=(5,))
def retain_handling_says_when(b, v):
    topic = fresh()
    b.client(v).publish(topic, "x", 1, retain=True)
    s = b.client(v)
    s.subscribe((topic, NEVER))
    s.nothing(KEPT)
    s.subscribe((topic, NEW_ONLY))
    s.nothing(KEPT)  # there already
    s.subscribe((topic, 0))
    s.receive(topic, "x", retain=True)
    s.unsubscribe(topic)
    s.subscribe((topic, NEW_ONLY))
    s.receive(topic, "x", retain=True)
    s.subscribe((topic, 1 | NEW_ONLY))
    s.nothing(KEPT)


@test("MQTT-3.3.1-10", versions=(5,))
def new_means_new_to_the_session_also_after_a_reconnect(b, v):
    topic = fresh()
    b.client(v).publish(topic, "x", 1, retain=True)
    how = dict(clean=False, properties=[(SESSION_EXPIRY, 60)])
    s = b.client(v, **how)
    s.subscribe((topic, NEW_ONLY))
    s.receive(topic, "x", retain=True)
    s.disconnect()
    s = b.client(v, id=s.id, session=1, **how)
    s.nothing(KEPT)
    s.subscribe((topic, NEW_ONLY))
    s.nothing(KEPT)


@test()
def a_resumed_session_gets_no_retained_message_of_itself(b, v):
    topic = fresh()
    b.client(v).publish(topic, "x", 1, retain=True)
    how = dict(clean=False, properties=[(SESSION_EXPIRY, 60)] if v == 5 else ())
    s = b.client(v, **how)
    s.subscribe(topic, qos=1)
    s.receive(topic, "x", 1, retain=True)
    s.disconnect()
    b.client(v, id=s.id, **how).nothing(KEPT)


@test("MQTT-3.3.1-9")
def wildcards_find_all_that_is_kept(b, v):
    own = fresh()
    p, s = b.client(v), b.client(v)
    topics = [f"{own}", f"{own}/", f"{own}/a", f"{own}/a/b", f"{own}/b/b", f"{own}/b/b/c"]
    for t in topics:
        p.publish(t, t, 1, retain=True)
    for f, want in ((f"{own}/#", topics), (f"{own}/+", topics[1:3]), (f"{own}/+/b", topics[3:5]),
                    (f"{own}/+/b/#", topics[3:6]), (f"{own}/a/#", topics[2:4]), (f"{own}/+/b/c", topics[5:6])):
        s.subscribe(f)
        got = sorted(s.expect(PUBLISH, retain=True).topic for _ in want)
        if got != sorted(want):
            raise Wrong(f"{f}: {got}")
        s.nothing(KEPT)
        s.unsubscribe(f)


@test("MQTT-4.7.2-1")
def a_hash_finds_no_kept_dollar_topic(b, v):
    own = fresh("$kept")
    p, s = b.client(v), b.client(v)
    p.publish(own + "/x", "x", 1, retain=True)
    s.subscribe("+/x")
    while True:
        s.send(pingreq())
        got = s.read()
        if got.kind == PINGRESP:
            break
        if got.topic.startswith("$"):
            raise Wrong(f"{got}")
    s.subscribe(own + "/#")
    s.expect(PUBLISH, topic=own + "/x", retain=True)


@test("4.8.2", versions=(5,))
def shared_subscriptions_get_none(b, v):
    topic = fresh()
    b.client(v).publish(topic, "x", 1, retain=True)
    s = b.client(v)
    s.subscribe(f"$share/g/{topic}", qos=1)
    s.nothing(KEPT)


@test("MQTT-3.3.2-4", "MQTT-3.3.1-9", versions=(5,))
def properties_are_kept_and_the_identifier_is_the_new_ones(b, v):
    topic = fresh()
    given = [(FORMAT, 1), (CONTENT_TYPE, "t"), (RESPONSE_TOPIC, "r"), (CORRELATION, b"c"), (USER, ("b", "1")),
             (USER, ("a", "2"))]
    b.client(v).publish(topic, "x", 1, retain=True, properties=given)
    s = b.client(v)
    s.subscribe(topic, properties=[(SUB_ID, 77)])
    got = s.receive(topic, "x", retain=True)
    if sorted(got.properties, key=repr) != sorted(given + [(SUB_ID, 77)], key=repr) or \
            got.all(USER) != [("b", "1"), ("a", "2")]:
        raise Wrong(f"{got}")
    plain = b.client(v)
    plain.subscribe(topic)
    if plain.receive(topic, "x", retain=True).all(SUB_ID):
        raise Wrong("an identifier that nobody gave")


@test("MQTT-3.3.1-5")
def a_large_retained_message_comes_back_whole(b, v):
    topic, payload = fresh(), os.urandom(1000) * 300
    b.client(v).publish(topic, payload, 1, retain=True)
    s = b.client(v)
    s.subscribe(topic, qos=1)
    s.receive(topic, payload, 1, retain=True)


@test("MQTT-3.3.4-9")
def a_thousand_retained_messages_reach_a_new_subscriber(b, v):
    own = fresh()
    p = b.client(v)
    p.send(*[publish(v, f"{own}/{i}", str(i), retain=True) for i in range(1000)])
    p.nothing(KEPT)
    s = b.client(v)
    s.subscribe(f"{own}/+", qos=1)
    got = set()
    for _ in range(1000):
        got.add(s.expect(PUBLISH, retain=True, qos=0).topic)
    if len(got) != 1000:
        raise Wrong(f"{len(got)} of 1000")
    s.nothing(KEPT)


@test("MQTT-3.3.1-5", versions=(4,))
def it_outlives_its_publisher_and_its_session(b, v):
    topic = fresh()
    p = b.client(v)
    p.send(publish(v, topic, "x", retain=True), disconnect(v))
    p.closed()
    s = b.client(v)
    s.subscribe(topic)
    s.receive(topic, "x", retain=True)


@test("MQTT-3.8.3-3", versions=(5,))
def no_local_keeps_back_what_it_publishes_and_not_what_the_topic_holds(b, v):
    topic = fresh()
    s = b.client(v)
    s.publish(topic, "mine", 1, retain=True)
    s.subscribe((topic, 1 | 4))
    s.receive(topic, "mine", 1, retain=True)
    s.publish(topic, "mine again", 1, retain=True)
    s.nothing()
    s = b.client(v, id=s.id)
    s.subscribe((topic, 1 | 4))
    s.receive(topic, "mine again", 1, retain=True)


main(parallel=8)
