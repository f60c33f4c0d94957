# SPDX-License-Identifier: MIT
"""Wills: when they go out, when they do not, and with what."""
from broker_rig import *  # noqa: F403


def watcher(b, topic, qos=2, v=5):
    w = b.client(v)
    w.subscribe(topic, qos=qos)
    return w


@rows([(f"QoS {q}", q) for q in (0, 1, 2)], "MQTT-3.1.2-8", "MQTT-3.1.2-14", "3.1.2.6")
def a_lost_connection_publishes_the_will(b, v, qos):
    topic = fresh("will")
    w = watcher(b, topic)
    b.client(v, will=Will(topic, b"lost\0\xff", qos)).drop()
    w.receive(topic, b"lost\0\xff", qos, retain=False)
    w.nothing()


@test("MQTT-3.1.2-8")
def a_reset_connection_publishes_the_will(b, v):
    topic = fresh("will")
    w = watcher(b, topic)
    b.client(v, will=Will(topic, b"lost", 1)).reset()
    w.receive(topic, "lost", 1)


@test("MQTT-3.14.4-3", "MQTT-3.1.2-10")
def a_normal_disconnect_drops_the_will(b, v):
    topic = fresh("will")
    w = watcher(b, topic)
    b.client(v, will=Will(topic)).disconnect()
    w.nothing()


@test("3.14.4-3", versions=(5,))
def disconnect_with_0x04_publishes_the_will(b, v):
    topic = fresh("will")
    w = watcher(b, topic)
    b.client(v, will=Will(topic)).disconnect(0x04)
    w.receive(topic, "gone")


@rows([(f"0x{r:02X}", r) for r in (0x80, 0x81, 0x82, 0x83, 0x90, 0x97)], "3.1.2.5", versions=(5,))
def disconnect_with_an_error_publishes_the_will(b, v, reason):
    topic = fresh("will")
    w = watcher(b, topic)
    b.client(v, will=Will(topic)).disconnect(reason)
    w.receive(topic, "gone")


@test("MQTT-3.1.2-15", "MQTT-3.1.2-14")
def a_will_is_retained_when_it_says_so(b, v):
    topic = fresh("will")
    w = watcher(b, topic)
    b.client(v, will=Will(topic, b"state", 1, True)).drop()
    w.receive(topic, "state", 1, retain=False)
    late = b.client(v)
    late.subscribe(topic, qos=1)
    late.receive(topic, "state", 1, retain=True)
    b.client(v, will=Will(topic, b"", 0, True)).drop()
    w.receive(topic, b"")
    late = b.client(v)
    late.subscribe(topic, qos=1)
    late.nothing()


@test("3.1.1 MQTT-3.1.2-8", "3.1.3.2.2")
def takeover_publishes_the_will(b, v):
    topic = fresh("will")
    w = watcher(b, topic)
    c = b.client(v, will=Will(topic))
    b.client(v, id=c.id)
    w.receive(topic, "gone")
    w.nothing()


@test("3.1.3.2.2", versions=(5,))
def takeover_that_resumes_the_session_within_the_delay_does_not(b, v):
    topic = fresh("will")
    w = watcher(b, topic)
    how = dict(clean=False, properties=[(SESSION_EXPIRY, 60)])
    c = b.client(v, will=Will(topic, properties=[(WILL_DELAY, 30)]), **how)
    d = b.client(v, id=c.id, session=1, **how)
    c.closed(0x8E)
    w.nothing()
    d.disconnect()
    w.nothing()


@test("3.1.3.2.2", versions=(5,))
def takeover_that_resumes_a_session_without_delay_does(b, v):
    topic = fresh("will")
    w = watcher(b, topic)
    how = dict(clean=False, properties=[(SESSION_EXPIRY, 60)])
    c = b.client(v, will=Will(topic), **how)
    b.client(v, id=c.id, session=1, **how)
    w.receive(topic, "gone")


@test("3.1.3.2.2", versions=(5,))
def a_new_session_sends_the_delayed_will_of_the_old_one(b, v):
    topic = fresh("will")
    w = watcher(b, topic)
    c = b.client(v, clean=False, properties=[(SESSION_EXPIRY, 60)], will=Will(topic, properties=[(WILL_DELAY, 30)]))
    c.drop()
    b.client(v, id=c.id, clean=True, session=0)
    w.receive(topic, "gone")
    w.nothing()


@test("MQTT-3.1.3-9", versions=(5,))
def coming_back_in_time_cancels_the_will(b, v):
    topic = fresh("will")
    w = watcher(b, topic)
    how = dict(clean=False, properties=[(SESSION_EXPIRY, 60)])
    c = b.client(v, will=Will(topic, properties=[(WILL_DELAY, 1)]), **how)
    c.drop()
    c = b.client(v, id=c.id, session=1, **how)
    quiet_for(w, 2.2)
    c.drop()  # without a will this time
    w.nothing()


@test("3.1.3.2.2", versions=(5,))
def the_session_ending_sends_the_will_before_its_delay(b, v):
    topic = fresh("will")
    w = watcher(b, topic)
    b.client(v, will=Will(topic, properties=[(WILL_DELAY, 600)])).drop()  # expiry 0: it ends at once
    w.receive(topic, "gone")


@test("3.14.2.2.2", "3.1.3.2.2", versions=(5,))
def a_disconnect_that_ends_the_session_sends_the_will_before_its_delay(b, v):
    topic = fresh("will")
    w = watcher(b, topic)
    c = b.client(v, clean=False, properties=[(SESSION_EXPIRY, 60)], will=Will(topic, properties=[(WILL_DELAY, 30)]))
    c.disconnect(4, [(SESSION_EXPIRY, 0)])
    w.receive(topic, "gone")


@test("3.1.3.2.2", versions=(5,))
def a_takeover_with_clean_start_sends_the_delayed_will(b, v):
    topic = fresh("will")
    w = watcher(b, topic)
    c = b.client(v, clean=False, properties=[(SESSION_EXPIRY, 0xFFFFFFFF)],
                 will=Will(topic, properties=[(WILL_DELAY, 0xFFFFFFFF)]))
    b.client(v, id=c.id, clean=True, session=0)
    c.closed(0x8E)
    w.receive(topic, "gone")
    w.nothing()


@rows([(f"{d} s", d) for d in (1, 2, 3)], "3.1.3.2.2", versions=(5,))
def a_delayed_will_is_neither_early_nor_lost(b, v, delay):
    topic = fresh("will")
    w = watcher(b, topic)
    c = b.client(v, clean=False, properties=[(SESSION_EXPIRY, 60)], will=Will(topic, properties=[(WILL_DELAY, delay)]))
    gone = time.monotonic()
    c.drop()
    w.receive(topic, "gone")
    waited = time.monotonic() - gone
    if waited < delay - 0.02:
        raise Wrong(f"after {waited:.3f} s of {delay}")


@test("3.1.3.2.2", versions=(5,))
def the_end_of_the_session_is_earlier_than_the_delay(b, v):
    topic = fresh("will")
    w = watcher(b, topic)
    c = b.client(v, clean=False, properties=[(SESSION_EXPIRY, 1)], will=Will(topic, properties=[(WILL_DELAY, 600)]))
    gone = time.monotonic()
    c.drop()
    w.receive(topic, "gone")
    if time.monotonic() - gone < 0.98:
        raise Wrong("before the session ended")


GIVEN = [(FORMAT, 1), (CONTENT_TYPE, "text"), (RESPONSE_TOPIC, "to"), (CORRELATION, b"\0\1"), (USER, ("b", "1")),
         (USER, ("a", "2")), (USER, ("b", "1"))]


@rows([("format 1", GIVEN), ("format 0", [(FORMAT, 0)] + GIVEN[1:]), ("none", [])], "MQTT-3.3.2-4", versions=(5,))
def all_properties_but_the_delay_are_passed_on(b, v, given):
    topic = fresh("will")
    w = watcher(b, topic)
    b.client(v, will=Will(topic, b"text", properties=given + [(WILL_DELAY, 0)])).drop()
    got = w.receive(topic, "text")
    if got.all(USER) != [x for i, x in given if i == USER] or sorted(got.properties, key=repr) != sorted(given, key=repr):
        raise Wrong(f"{got}")


@test("3.1.3.2.4", versions=(5,))
def expiry_of_a_will_counts_from_its_publication(b, v):
    topic = fresh("will")
    w = watcher(b, topic)
    c = b.client(v, clean=False, properties=[(SESSION_EXPIRY, 60)],
                 will=Will(topic, properties=[(WILL_DELAY, 1), (EXPIRY, 100)]))
    c.drop()
    left = w.receive(topic, "gone").prop(EXPIRY)
    if left not in (99, 100):
        raise Wrong(f"expiry {left}")


@test("MQTT-3.1.2-10")
def a_will_goes_out_once(b, v):
    topic = fresh("will")
    w = watcher(b, topic)
    how = dict(clean=False, properties=[(SESSION_EXPIRY, 60)] if v == 5 else ())
    c = b.client(v, will=Will(topic), **how)
    c.drop()
    w.receive(topic, "gone")
    c = b.client(v, id=c.id, **how)
    c.drop()
    b.client(v, id=c.id, **how).nothing()
    w.nothing()


@test("MQTT-3.1.2-8")
def the_will_of_the_latest_connect_counts(b, v):
    topic = fresh("will")
    w = watcher(b, topic)
    how = dict(clean=False, properties=[(SESSION_EXPIRY, 60)] if v == 5 else ())
    c = b.client(v, will=Will(topic, b"first"), **how)
    c.disconnect()
    b.client(v, id=c.id, will=Will(topic, b"second"), **how).drop()
    w.receive(topic, "second")
    w.nothing()


@test("3.1.2.5")
def a_client_may_hear_its_own_will_later(b, v):
    topic = fresh("will")
    how = dict(clean=False, properties=[(SESSION_EXPIRY, 60)] if v == 5 else ())
    c = b.client(v, will=Will(topic, b"mine", 1), **how)
    c.subscribe(topic, qos=1)
    c.drop()
    c = b.client(v, id=c.id, **how)
    c.receive(topic, "mine", 1)


@test("MQTT-3.1.4-2", versions=(4, 5))
def a_client_that_was_never_let_in_has_no_will(b, v):
    topic = fresh("will")
    w = watcher(b, topic)
    if v == 5:
        b.socket(v).send(connect(v, fresh("c"), will=Will(topic), properties=[(AUTH_METHOD, "x")])).expect(
            CONNACK, reason=0x8C)
    whole = connect(v, fresh("c"), will=Will(topic))
    for cut in (len(whole) - 1, len(whole) // 2, 5):
        b.socket(v).send(whole[:cut]).drop()
    b.socket(v).send(connect(v, "x", will=Will(topic), flags=0x07)).drop()
    w.nothing()


@test()
def a_will_cannot_write_what_only_the_broker_writes(b, v):
    for topic in ("$SYS", "$SYS/broker/" + fresh()):
        b.socket(v).send(connect(v, fresh("c"), will=Will(topic, b"evil", retain=True))).expect(
            CONNACK, reason=0x87 if v == 5 else 5)
        w = b.client(5)
        w.subscribe(topic)
        w.nothing()
    topic = "$SYStem/" + fresh()
    w = watcher(b, topic)
    b.client(v, will=Will(topic, b"fine")).drop()
    w.receive(topic, "fine")


main(parallel=16)
