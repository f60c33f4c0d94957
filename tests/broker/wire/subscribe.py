# SPDX-License-Identifier: MIT
"""SUBSCRIBE and UNSUBSCRIBE: what matches what, options, identifiers, overlaps, codes."""
from broker_rig import *  # noqa: F403

NO_LOCAL, AS_PUBLISHED, NEW_ONLY, NEVER = 0x04, 0x08, 0x10, 0x20

MATCHING = [  # {} is the test's own first level
    ("{}/a", ["{}/a"], ["{}", "{}/", "{}/b", "{}/a/", "{}/a/b", "/{}/a", "{}/A"]),
    ("{}/#", ["{}", "{}/", "{}/a", "{}/a/b/c", "{}//"], ["{}x", "/{}", "x/{}"]),
    ("{}/+", ["{}/a", "{}/", "{}/$x"], ["{}", "{}/a/b", "{}/a/"]),
    ("{}/+/c", ["{}/a/c", "{}//c"], ["{}/c", "{}/a/b/c", "{}/a/c/", "{}/a/d"]),
    ("{}/+/#", ["{}/a", "{}/a/b", "{}/"], ["{}"]),
    ("{}/+/+", ["{}/a/b", "{}//"], ["{}/a", "{}/a/b/c"]),
    ("/{}", ["/{}"], ["{}", "/{}/", "//{}"]),
    ("/{}/#", ["/{}", "/{}/a"], ["{}", "{}/a"]),
    ("+/{}", ["/{}", "a/{}"], ["{}", "a/b/{}", "$a/{}"]),
    ("+/{}/#", ["a/{}", "/{}", "a/{}/b"], ["$SYS/{}", "{}"]),
    ("+/+/{}", ["//{}", "a/b/{}"], ["a/{}", "$a/b/{}"]),
    ("/+/{}", ["/a/{}", "//{}"], ["a/{}", "/{}"]),
    ("{}//a", ["{}//a"], ["{}/a", "{}/x/a"]),
    ("{}/", ["{}/"], ["{}", "{}//"]),
    ("{}/a b", ["{}/a b"], ["{}/a"]),
    ("$own/{}/#", ["$own/{}", "$own/{}/a"], ["own/{}"]),
    ("$own/+/{}", ["$own/x/{}"], ["own/x/{}"]),
]


@rows([(f[0],) + f for f in MATCHING], "MQTT-4.7.1-1", "MQTT-4.7.1-2", "MQTT-4.7.1-3", "MQTT-4.7.2-1", "MQTT-4.7.3-4")
def filters_match_what_they_must_and_nothing_else(b, v, pattern, yes, no):
    own = fresh("f")
    s, p = b.client(v), b.client(v)
    s.subscribe(pattern.format(own))
    for topic in no:
        p.publish(topic.format(own), "no")
    s.nothing()
    for topic in yes:
        p.publish(topic.format(own), "yes")
        s.receive(topic.format(own), "yes")
    s.nothing()


@test("MQTT-4.7.2-1")
def wildcards_at_the_start_do_not_match_dollar_topics(b, v):
    s, p = b.client(v), b.client(v)
    own = fresh("d")
    s.subscribe("#", "+/#", "+/+", "+", f"+/{own}")
    p.publish(f"$other/{own}", "x")
    p.publish(f"plain/{own}", "mark")
    while True:
        got = s.expect(PUBLISH)
        if got.topic.startswith("$"):
            raise Wrong(f"{got}")
        if got.topic == f"plain/{own}":
            break


@rows([(f.decode() if isinstance(f, bytes) else f or "empty", f) for f in
       ("", "a#", "a/#/b", "#/a", "a/#b", "##", "a+", "+a", "a/b+", "a/+b/c", "++", "+#", "a/##", "#+")],
      "MQTT-4.7.1-1", "MQTT-4.7.1-2", "MQTT-4.7.3-1", versions=(4, 5))
def an_invalid_filter_is_refused_or_closes(b, v, bad):
    c = b.client(v)
    c.send(subscribe(v, 1, (bad, 0)))
    p = c.read()
    if p is None:
        if v == 5:
            raise Wrong("closed without a reason")
        return
    if p.kind == SUBACK:
        if p.reasons != [0x8F if v == 5 else 0x80]:
            raise Wrong(f"{p}")
        c.nothing()
    elif p.kind != DISCONNECT or p.reason not in (0x81, 0x82, 0x8F):
        raise Wrong(f"{p}")


@test("MQTT-3.8.4-5", "MQTT-3.8.4-6", "MQTT-3.9.3-1", "MQTT-3.8.4-2")
def each_filter_has_its_code_in_order(b, v):
    c = b.client(v)
    names = [fresh() for _ in range(6)]
    c.subscribe(*[(n, i % 3) for i, n in enumerate(names)])
    for n in names:
        c.send(publish(v, n, n))
        c.receive(n, n)


@test("MQTT-3.8.4-6")
def a_thousand_filters_in_one_packet(b, v):
    c = b.client(v)
    own = fresh()
    c.subscribe(*[f"{own}/{i}" for i in range(1000)], qos=1)
    c.send(publish(v, f"{own}/999", "x"))
    c.receive(f"{own}/999", "x")
    c.unsubscribe(*[f"{own}/{i}" for i in range(1000)])
    c.send(publish(v, f"{own}/999", "x"))
    c.nothing()


@test("3.1.1 MQTT-3.3.5-1", "MQTT-3.3.4-2")
def overlapping_subscriptions_deliver_once_at_the_highest_qos(b, v):
    own = fresh()
    s, p = b.client(v), b.client(v)
    s.subscribe((f"{own}/#", 0), (f"{own}/a", 1), (f"{own}/+", 2))
    p.publish(f"{own}/a", "x", 2)
    s.receive(f"{own}/a", "x", 2)
    s.nothing()
    p.publish(f"{own}/a", "y", 1)
    s.receive(f"{own}/a", "y", 1)
    s.nothing()


@test("MQTT-3.3.4-3", "MQTT-3.3.4-4", "MQTT-3.3.4-5", versions=(5,))
def overlapping_subscriptions_name_all_their_identifiers(b, v):
    own = fresh()
    s, p = b.client(v), b.client(v)
    for i, f in ((1, "{}/#"), (128, "{}/+"), (268435455, "{}/a"), (7, "{}/b")):
        s.subscribe(f.format(own), qos=1, properties=[(SUB_ID, i)])
    s.subscribe(f"{own}/+/#", qos=0)
    p.publish(f"{own}/a", "x", 1)
    got = s.receive(f"{own}/a", "x", 1)
    if sorted(got.all(SUB_ID)) != [1, 128, 268435455]:
        raise Wrong(f"{got}")
    p.publish(f"{own}/b", "x", 1)
    if sorted(s.receive(f"{own}/b", "x", 1).all(SUB_ID)) != [1, 7, 128]:
        raise Wrong(f"{got}")
    s.nothing()


@test("MQTT-3.8.4-3", versions=(5,))
def subscribing_again_replaces_qos_options_and_identifier(b, v):
    topic = fresh()
    s, p = b.client(v), b.client(v)
    s.subscribe((topic, 2), properties=[(SUB_ID, 5)])
    s.subscribe((topic, 1), properties=[(SUB_ID, 6)])
    p.publish(topic, "x", 2)
    if s.receive(topic, "x", 1).all(SUB_ID) != [6]:
        raise Wrong("not the new identifier")
    s.subscribe((topic, 0))
    p.publish(topic, "y", 2)
    if s.receive(topic, "y", 0).all(SUB_ID):
        raise Wrong("the identifier is not cleared")
    s.subscribe((topic, 0 | NO_LOCAL))
    s.send(publish(v, topic, "mine"))
    s.nothing()


@test("MQTT-3.8.4-3", versions=(3, 4))
def subscribing_again_replaces_the_qos(b, v):
    topic = fresh()
    s, p = b.client(v), b.client(v)
    for qos in (2, 0, 1):
        s.subscribe(topic, qos=qos)
        p.publish(topic, "x", 2)
        s.receive(topic, "x", qos)
        s.nothing()


@test("MQTT-3.8.3-3", versions=(5,))
def no_local_keeps_ones_own_messages_away(b, v):
    topic = fresh()
    s, p = b.client(v), b.client(v)
    s.subscribe((topic, 1 | NO_LOCAL))
    p.subscribe((topic, 1 | NO_LOCAL))
    s.publish(topic, "from s", 1)
    s.nothing()
    p.receive(topic, "from s", 1)
    p.publish(topic, "from p", 1)
    p.nothing()
    s.receive(topic, "from p", 1)


@test("MQTT-3.8.3-3", versions=(5,))
def no_local_overlapping_with_a_plain_one_still_delivers(b, v):
    own = fresh()
    s = b.client(v)
    s.subscribe((f"{own}/#", NO_LOCAL))
    s.subscribe((f"{own}/a", 0), properties=[(SUB_ID, 3)])
    s.send(publish(v, f"{own}/a", "x"))
    if s.receive(f"{own}/a", "x").all(SUB_ID) != [3]:
        raise Wrong("identifier of the plain subscription is missing")
    s.nothing()


@test("MQTT-3.10.4-1", "MQTT-3.10.4-2", "MQTT-3.11.3-1", "MQTT-3.11.3-2")
def unsubscribing_ends_delivery_and_tells_what_was_there(b, v):
    one, two = fresh(), fresh()
    s, p = b.client(v), b.client(v)
    s.subscribe(one, two + "/#")
    s.unsubscribe(one, "never/" + one, two, two + "/#", codes=[0, 0x11, 0x11, 0])
    p.publish(one, "x")
    p.publish(two + "/a", "x")
    s.nothing()
    s.unsubscribe(one, codes=[0x11])


@test("MQTT-3.10.4-1")
def unsubscribing_compares_filters_byte_by_byte(b, v):
    own = fresh()
    s, p = b.client(v), b.client(v)
    s.subscribe(own + "/#", qos=1)
    s.unsubscribe(own + "/+", own + "/a", own, codes=[0x11] * 3)
    p.publish(own + "/a", "x", 1)
    s.receive(own + "/a", "x", 1)


@test("MQTT-3.10.4-5")
def a_delivery_begun_before_unsubscribe_is_finished(b, v):
    topic = fresh()
    s, p = b.client(v), b.client(v)
    s.subscribe(topic, qos=2)
    p.publish(topic, "x", 2)
    got = s.expect(PUBLISH, payload="x", qos=2)
    s.unsubscribe(topic)
    s.send(ack(PUBREC, got.pid)).expect(PUBREL, pid=got.pid)
    s.send(ack(PUBCOMP, got.pid))
    s.nothing()


@test(versions=(5,))
def user_properties_on_subscribe_are_let_in(b, v):
    s = b.client(v)
    s.subscribe(fresh(), properties=[(USER, ("a", "b")), (SUB_ID, 9), (USER, ("a", "b"))])


@rows([("30000 levels", "a/" * 30000 + "#"), ("65535 levels", "/" * 65535), ("201 levels", "/".join("+" * 201))],
      versions=(4, 5))
def very_deep_filters_are_refused_and_harm_nobody(b, v, deep):
    c = b.client(v)
    c.send(subscribe(v, 1, (deep, 0)))
    p = c.read()
    if p and p.kind == SUBACK and p.reasons[0] < 0x80:
        raise Wrong(f"{p.reasons}")
    b.client(v).nothing()


@test("MQTT-3.8.4-1")
def the_same_filter_twice_in_one_packet_is_one_subscription(b, v):
    topic = fresh()
    s = b.client(v)
    s.subscribe((topic, 2), (topic, 1))
    b.client(v).publish(topic, "x", 2)
    s.receive(topic, "x", 1)
    s.nothing()


@test()
def many_filters_come_and_go(b, v):
    own = fresh()
    s, p = b.client(v), b.client(v)
    for round in range(3):
        filters = [f"{own}/{i}/{'+' if i % 3 else '#'}" for i in range(200)]
        s.subscribe(*filters)
        p.publish(f"{own}/7/x", str(round))
        s.receive(f"{own}/7/x", str(round))
        s.unsubscribe(*reversed(filters))
        p.publish(f"{own}/7/x", "no")
        s.nothing()


# --- shared subscriptions ------------------------------------------------------------------------------------------

@test("4.8.2", versions=(5,))
def each_message_goes_to_one_member_fairly(b, v):
    topic = fresh()
    members = [b.client(v) for _ in range(4)]
    plain, p = b.client(v), b.client(v)
    for m in members:
        m.subscribe(f"$share/g/{topic}", qos=1)
    plain.subscribe(topic, qos=1)
    for i in range(100):
        p.publish(topic, str(i), 1)
        plain.receive(topic, str(i), 1)
    heard = []
    for m in members:
        m.send(pingreq())
        mine = []
        while True:
            got = m.read()
            if got.kind == PINGRESP:
                break
            m.acknowledge(got)
            mine.append(int(got.payload))
        if mine != sorted(mine):
            raise Wrong("out of order within a member")
        heard.append(mine)
    if sorted(sum(heard, [])) != list(range(100)):
        raise Wrong(f"{sorted(sum(heard, []))}")
    if any(not 15 <= len(m) <= 35 for m in heard):
        raise Wrong(f"shares of 100: {[len(m) for m in heard]}")


@test("4.8.2", versions=(5,))
def groups_and_plain_subscriptions_do_not_meet(b, v):
    topic = fresh()
    c, p = b.client(v), b.client(v)
    c.subscribe((f"$share/one/{topic}", 1), (f"$share/two/{topic}", 2), (topic, 0), properties=[(SUB_ID, 4)])
    p.publish(topic, "x", 2)
    got = []
    for _ in range(3):
        m = c.expect(PUBLISH, topic=topic, payload="x")
        if m.all(SUB_ID) != [4]:
            raise Wrong(f"{m}")
        got.append(m.qos)
        if m.qos == 1:
            c.send(ack(PUBACK, m.pid))
    if sorted(got) != [0, 1, 2]:
        raise Wrong(f"{got}")


@rows([("no name", "$share//a"), ("no filter", "$share/g/"), ("only a name", "$share/g"), ("plus in the name", "$share/g+/a"),
       ("hash in the name", "$share/g#/a"), ("just the prefix", "$share/"), ("a bad filter", "$share/g/a#"),
       ("a bad filter behind", "$share/g/a/#/b")], "MQTT-4.8.2-1", "MQTT-4.8.2-2", versions=(5,))
def a_malformed_share_is_refused_or_closes(b, v, bad):
    c = b.client(v)
    c.send(subscribe(v, 1, (bad, 0)))
    p = c.read()
    if p is None or (p.kind == SUBACK and p.reasons != [0x8F]) or \
            (p.kind == DISCONNECT and p.reason not in (0x81, 0x82, 0x8F)):
        raise Wrong(f"{p}")


@test("4.8.2", versions=(5,))
def a_share_of_a_slash_and_of_wildcards(b, v):
    own = fresh()
    c, p = b.client(v), b.client(v)
    c.subscribe(f"$share/g//{own}", f"$share/g/{own}/+/#")
    p.publish(f"/{own}", "1")
    c.receive(f"/{own}", "1")
    p.publish(f"{own}/x", "2")
    c.receive(f"{own}/x", "2")
    c.unsubscribe(f"$share/g//{own}", f"$share/h/{own}/+/#", codes=[0, 0x11])
    p.publish(f"/{own}", "1")
    c.nothing()


@test("4.8.2", versions=(5,))
def unacknowledged_qos_1_goes_to_another_member_when_one_leaves(b, v):
    topic = fresh()
    one, two, p = b.client(v), b.client(v), b.client(v)
    one.subscribe(f"$share/g/{topic}", qos=1)
    p.publish(topic, "x", 1)
    one.expect(PUBLISH, payload="x", qos=1)
    two.subscribe(f"$share/g/{topic}", qos=1)
    one.disconnect()
    two.receive(topic, "x", 1)
    two.nothing()


@rows([("QoS 1", 1, PUBACK), ("QoS 2", 2, PUBREC)], "MQTT-4.8.2-6", versions=(5,))
def what_a_member_refuses_goes_to_no_other(b, v, qos, kind):
    topic = fresh()
    one, two = b.client(v), b.client(v)
    one.subscribe(f"$share/g/{topic}", qos=qos)
    b.client(v).publish(topic, "x", qos)
    got = one.expect(PUBLISH, payload="x", qos=qos)
    two.subscribe(f"$share/g/{topic}", qos=qos)
    one.send(ack(kind, got.pid, 0x80))
    one.nothing()
    one.disconnect()
    two.nothing()


@test("MQTT-4.8.2-5", versions=(5,))
def qos_2_in_flight_ends_with_the_session_of_its_member(b, v):
    topic = fresh()
    one, two, p = b.client(v), b.client(v), b.client(v)
    one.subscribe(f"$share/g/{topic}", qos=2)
    p.publish(topic, "lost", 2)
    one.expect(PUBLISH, payload="lost", qos=2)
    two.subscribe(f"$share/g/{topic}", qos=2)
    one.disconnect()
    p.publish(topic, "next", 2)
    two.receive(topic, "next", 2)
    two.nothing()


@test("MQTT-4.7.2-1")
def a_share_of_a_wildcard_does_not_match_dollar_topics(b, v):
    own = fresh()
    s, p = b.client(v), b.client(v)
    s.subscribe(f"$share/{own}/+/{own}", f"$share/{own}/+/{own}/#")
    p.publish(f"$x/{own}", "no")
    p.publish(f"x/{own}/y", "yes")
    s.receive(f"x/{own}/y", "yes")
    s.nothing()


@test("MQTT-3.3.1-12", versions=(5,))
def a_share_may_keep_the_retain_flag(b, v):
    topic = fresh()
    s = b.client(v)
    s.subscribe((f"$share/g/{topic}", 1 | AS_PUBLISHED), properties=[(SUB_ID, 9)])
    b.client(v).publish(topic, "x", 1, retain=True)
    if s.receive(topic, "x", 1, retain=True).all(SUB_ID) != [9]:
        raise Wrong("the identifier is missing")


@test("MQTT-4.8.2-5", versions=(5,))
def qos_2_of_a_member_that_comes_back_is_finished_with_it(b, v):
    topic = fresh()
    how = dict(clean=False, properties=[(SESSION_EXPIRY, 60)])
    one, two, p = b.client(v, **how), b.client(v), b.client(v)
    one.subscribe(f"$share/g/{topic}", qos=2)
    p.publish(topic, "x", 2)
    got = one.expect(PUBLISH, payload="x", qos=2)
    two.subscribe(f"$share/g/{topic}", qos=2)
    one.send(ack(PUBREC, got.pid)).expect(PUBREL, pid=got.pid)
    one.drop()
    two.nothing()
    one = b.client(v, id=one.id, session=1, **how)
    one.expect(PUBREL, pid=got.pid)
    one.send(ack(PUBCOMP, got.pid))
    one.nothing()
    two.nothing()


@test("4.8.2", versions=(5,))
def a_member_that_is_away_does_not_starve_the_group(b, v):
    topic = fresh()
    one, two, p = b.client(v, clean=False, properties=[(SESSION_EXPIRY, 60)]), b.client(v), b.client(v)
    one.subscribe(f"$share/g/{topic}", qos=1)
    two.subscribe(f"$share/g/{topic}", qos=1)
    one.disconnect()
    for i in range(20):
        p.publish(topic, str(i), 1)
    for i in range(20):
        two.receive(topic, str(i), 1)


main(parallel=8)
