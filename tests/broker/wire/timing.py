# SPDX-License-Identifier: MIT
"""What happens because time passes: keep alive, session expiry, a silent socket. All tests run side by side."""
from broker_rig import *  # noqa: F403


def closes_after(client, least, most, *reasons):
    since = client.last_sent
    client.closed(*reasons)
    took = time.monotonic() - since
    if not least <= took <= most:
        raise Wrong(f"closed after {took:.2f} s, expected {least} to {most}")


def client(b, v, **how):
    c = b.client(v, **how)
    c.last_sent = time.monotonic()
    return c


@rows([("1 s", 1), ("2 s", 2), ("3 s", 3)], "MQTT-3.1.2-22", "3.1.1 MQTT-3.1.2-24")
def a_silent_client_is_closed_after_one_and_a_half_times_its_keep_alive(b, v, seconds):
    topic = fresh("will")
    w = b.client(5)
    w.subscribe(topic)
    c = client(b, v, keepalive=seconds, will=Will(topic))
    closes_after(c, seconds * 1.5 - 0.05, seconds * 1.5 + 1, 0x8D)
    w.receive(topic, "gone")


@test("MQTT-3.1.2-22")
def what_is_received_by_the_client_does_not_count(b, v):
    topic = fresh()
    c = client(b, v, keepalive=1)
    c.subscribe(topic)
    c.last_sent = time.monotonic()
    p = b.client(4)
    for _ in range(5):
        p.publish(topic, "x")
        c.receive(topic, "x")
        let_time_pass(0.25)
    closes_after(c, 1.45, 2.6, 0x8D)


@test("MQTT-3.1.2-22")
def any_packet_keeps_a_client_alive(b, v):
    c = b.client(v, keepalive=1)
    topic = fresh()
    for data in (publish(v, topic, "x"), ack(PUBACK, 999), unsubscribe(v, 1, topic), ack(PUBCOMP, 999), pingreq()):
        let_time_pass(1.0)
        c.send(data)
    let_time_pass(1.0)
    c.expect(UNSUBACK)
    c.expect(PINGRESP)
    c.nothing()


@test("MQTT-3.1.2-22")
def half_a_packet_does_not_keep_a_client_alive(b, v):
    c = client(b, v, keepalive=1)
    whole = publish(v, fresh(), b"x" * 50)
    for i in range(8):
        c.send(whole[i:i + 1])
        let_time_pass(0.25)
    closes_after(c, 1.4, 2.9, 0x8D)


@test()
def a_large_packet_that_goes_on_coming_is_not_cut_by_the_keep_alive(b, v):
    c, whole = client(b, v, keepalive=1), publish(v, fresh(), bytes(400_000), 1, 7)
    for i in range(0, len(whole), 40_000):
        c.send(whole[i:i + 40_000])
        let_time_pass(0.4)
    c.expect(PUBACK, pid=7)
    c.send(whole[:200_000])  # and no more
    c.closed(0x8D)


@test("MQTT-3.1.2-22")
def keep_alive_zero_means_for_ever(b, v):
    c = b.client(v, keepalive=0)
    if v == 5 and c.connack.prop(SERVER_KEEP_ALIVE):
        return
    let_time_pass(4.0)
    c.nothing()


@test("3.1.2.11.2", versions=(5,))
def a_session_of_one_second_is_gone_after_two(b, v):
    c = b.client(v, clean=False, properties=[(SESSION_EXPIRY, 1)])
    c.drop()
    let_time_pass(2.0)
    b.client(v, id=c.id, clean=False, session=0)


@test("3.1.2.11.2", versions=(5,))
def a_session_of_three_seconds_is_there_after_two(b, v):
    c = b.client(v, clean=False, properties=[(SESSION_EXPIRY, 3)])
    c.drop()
    let_time_pass(2.0)
    c = b.client(v, id=c.id, clean=False, session=1, properties=[(SESSION_EXPIRY, 3)])
    let_time_pass(4.0)  # a connected session does not expire
    c.nothing()
    c.disconnect()
    b.client(v, id=c.id, clean=False, session=1)


@test("MQTT-3.1.2-23", versions=(5,))
def an_expired_session_publishes_nothing_more_and_forgets_its_subscriptions(b, v):
    topic = fresh()
    c = b.client(v, clean=False, properties=[(SESSION_EXPIRY, 1)])
    c.subscribe(f"$share/g/{topic}", qos=1)
    c.drop()
    let_time_pass(2.2)
    s = b.client(v)
    s.subscribe(f"$share/g/{topic}", qos=1)
    for i in range(4):
        b.client(v).publish(topic, str(i), 1)
        s.receive(topic, str(i), 1)


@test(versions=(4,))
def a_3_1_1_session_does_not_expire(b, v):
    c = b.client(v, clean=False)
    c.drop()
    let_time_pass(2.5)
    b.client(v, id=c.id, clean=False, session=1).disconnect()
    b.client(v, id=c.id, clean=True).disconnect()


@rows([("nothing", b""), ("one byte", b"\x10"), ("half a CONNECT", connect(4, "x" * 20)[:15])], versions=(4,))
def a_socket_that_does_not_connect_is_closed_in_time(b, v, data):
    s = b.socket(v).send(data)
    if s.read(patience=40) is not None:
        raise Wrong("it was answered")


@test(versions=(5,))
def a_keep_alive_the_server_sets_counts(b, v):
    c = client(b, v, keepalive=0)
    seconds = c.connack.prop(SERVER_KEEP_ALIVE)
    if seconds and seconds < 20:
        closes_after(c, seconds * 1.5 - 0.05, seconds * 1.5 + 1, 0x8D)


main(parallel=60)
