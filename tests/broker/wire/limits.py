# SPDX-License-Identifier: MIT
"""What the configuration narrows: each test starts a broker of its own with the option it is about."""
import contextlib

from broker_rig import *  # noqa: F403


@contextlib.contextmanager
def broker(*lines):
    b = Broker("broker:\n" + "".join(f"  {line}\n" for line in lines))
    try:
        yield b
    finally:
        faults = b.stop()
    if faults:
        raise Wrong("; ".join(faults))


def announced(b, ident, value):
    c = b.client(5)
    if c.connack.prop(ident) != value:
        raise Wrong(f"expected property 0x{ident:02X} = {value} in {c.connack}")
    return c


@test("MQTT-3.2.2-9", "MQTT-3.2.2-10", "MQTT-3.2.2-11", versions=(5,))
def maximum_qos_1(_, v):
    with broker("max_qos: 1") as b:
        topic = fresh()
        c = announced(b, MAX_QOS, 1)
        c.subscribe((topic, 2), codes=[1])
        b.client(v).publish(topic, "x", 1)
        c.receive(topic, "x", 1)
        c.send(publish(v, topic, "y", 2, 1))
        c.closed(0x9B)
        b.socket(v).send(connect(v, fresh("c"), will=Will("w", qos=2))).expect(CONNACK, reason=0x9B)
        old = b.client(4)
        old.subscribe((topic, 2), codes=[1])
        old.send(publish(4, topic, "y", 2, 1))
        old.closed()


@test("MQTT-3.2.2-11", versions=(5,))
def maximum_qos_0(_, v):
    with broker("max_qos: 0") as b:
        topic = fresh()
        c = announced(b, MAX_QOS, 0)
        c.subscribe((topic, 1), codes=[0])
        b.client(v).publish(topic, "x", 0)
        c.receive(topic, "x", 0)
        c.send(publish(v, topic, "y", 1, 1))
        c.closed(0x9B)


@test("MQTT-3.2.2-13", "MQTT-3.2.2-14", versions=(5,))
def no_retained_messages(_, v):
    with broker("retain_available: false") as b:
        topic = fresh()
        c = announced(b, RETAIN_AVAILABLE, 0)
        c.send(publish(v, topic, "x", 1, 1, retain=True))
        c.closed(0x9A)
        b.socket(v).send(connect(v, fresh("c"), will=Will("w", retain=True))).expect(CONNACK, reason=0x9A)
        s = b.client(v)
        s.subscribe(topic)
        s.nothing()


@test("MQTT-3.3.4-8", versions=(5,))
def a_receive_maximum_of_three(_, v):
    with broker("receive_maximum: 3") as b:
        topic = fresh()
        c = announced(b, RECEIVE_MAX, 3)
        for i in (1, 2, 3):
            c.send(publish(v, topic, "x", 2, i)).expect(PUBREC, pid=i)
        c.send(publish(v, topic, "x", 2, 2, dup=True)).expect(PUBREC, pid=2)
        c.send(ack(PUBREL, 1)).expect(PUBCOMP, pid=1)
        c.send(publish(v, topic, "x", 2, 4)).expect(PUBREC, pid=4)
        c.send(publish(v, topic, "x", 2, 5))
        c.closed(0x93)
        c = b.client(v)
        for i in range(50):  # QoS 1 that was answered is not in the window
            c.publish(topic, "x", 1)


@rows([("3.1.1", 4), ("5", 5)], "3.2.2.3.6", versions=(4,))
def a_maximum_packet_size(_, v, version):
    with broker("max_packet_size: 2KiB") as b:
        if version == 5:
            announced(b, MAX_PACKET, 2048)
        topic = fresh()
        s, c = b.client(4), b.client(version)
        s.subscribe(topic)
        frame = len(publish(version, topic, b"x" * 1000)) - 1000
        c.publish(topic, b"x" * (2048 - frame), 0)
        s.receive(topic, b"x" * (2048 - frame))
        c.send(publish(version, topic, b"x" * (2049 - frame)))
        c.closed(0x95)
        s.nothing()
        big = b.socket(version).send(connect(version, "x" * 3000))
        if version == 5:
            p = big.read()
            if p is not None and (p.kind != CONNACK or p.reason != 0x95):
                raise Wrong(f"{p}")
        else:
            big.closed()


@test("MQTT-3.2.2-18", versions=(5,))
def no_topic_aliases(_, v):
    with broker("topic_alias_maximum: 0") as b:
        c = b.client(v)
        if c.connack.prop(ALIAS_MAX):
            raise Wrong(f"{c.connack}")
        c.send(publish(v, "a", "x", properties=[(ALIAS, 1)]))
        c.closed(0x94)


@rows([("asks for more", 60), ("asks for none", 0)], "MQTT-3.2.2-21", "MQTT-3.1.2-21", versions=(5,))
def a_maximum_keep_alive(_, v, wanted):
    with broker("max_keep_alive: 1s") as b:
        c = b.client(v, keepalive=wanted)
        if c.connack.prop(SERVER_KEEP_ALIVE) != 1:
            raise Wrong(f"{c.connack}")
        since = time.monotonic()
        c.closed(0x8D)
        if not 1.4 < time.monotonic() - since < 2.6:
            raise Wrong(f"closed after {time.monotonic() - since:.2f} s")
        b.client(4, keepalive=0).nothing()


@test("MQTT-3.1.3-8", versions=(5,))
def no_empty_client_ids(_, v):
    with broker("allow_empty_client_id: false") as b:
        s = b.socket(v).send(connect(v, ""))
        s.expect(CONNACK, reason=0x85)
        s.closed()
        s = b.socket(4).send(connect(4, ""))
        s.expect_bytes(b"\x20\x02\0\x02")
        s.closed()


@test("3.2.2.3.2", versions=(5,))
def a_maximum_session_expiry(_, v):
    with broker("max_session_expiry: 1s") as b:
        c = b.client(v, clean=False, properties=[(SESSION_EXPIRY, 600)])
        if c.connack.prop(SESSION_EXPIRY) != 1:
            raise Wrong(f"{c.connack}")
        d = b.client(v, clean=False, properties=[(SESSION_EXPIRY, 600)])
        c.drop()
        d.disconnect(0, [(SESSION_EXPIRY, 600)])
        let_time_pass(2.1)
        b.client(v, id=c.id, clean=False, session=0)
        b.client(v, id=d.id, clean=False, session=0)


@test(versions=(4,))
def more_connections_than_allowed_are_closed(_, v):
    with broker("max_connections: 5") as b:
        held = [b.client(v) for _ in range(5)]
        s = b.socket(v).send(connect(v, "one-more"))
        p = s.read()
        if p is not None and (p.kind != CONNACK or not p.reason):
            raise Wrong(f"{p}")
        held[0].disconnect()
        eventually(lambda: _let_in(b, v), "there is room again")
        held[1].nothing()


def _let_in(b, v):
    s = b.socket(v).send(connect(v, fresh("c")))
    p = s.read()
    s.drop()
    return p is not None and p.reason == 0


@test("connect timeout", versions=(4,))
def a_connect_timeout(_, v):
    with broker("connect_timeout: 300ms") as b:
        s, since = b.socket(v), time.monotonic()
        s.send(b"\x10\x20\x00")
        s.closed()
        if not 0.25 < time.monotonic() - since < 2:
            raise Wrong(f"closed after {time.monotonic() - since:.2f} s")


def away(b, v, topic, **more):
    c = b.client(v, clean=False, **more)
    c.subscribe(topic, qos=1)
    c.disconnect()
    return c


@rows([("drop-oldest", "drop-oldest", 10, 20), ("drop-newest", "drop-newest", 0, 10)], versions=(4,))
def a_full_queue_follows_its_policy(_, v, policy, first, end):
    with broker("max_queued_messages: 10", f"queue_policy: {policy}", "sys_interval: 1s") as b:
        topic = fresh()
        c, p = away(b, v, topic), b.client(v)
        for i in range(20):
            p.publish(topic, str(i), 1)
        c = b.client(v, id=c.id, clean=False, session=1)
        for i in range(first, end):
            c.receive(topic, str(i), 1)
        c.nothing()
        p.subscribe("$SYS/broker/publish/messages/dropped")
        eventually(lambda: p.expect(PUBLISH).payload == b"10", "ten are counted as dropped")


@test(versions=(4,))
def a_queue_is_bounded_in_bytes(_, v):
    with broker("max_queued_bytes: 64KiB") as b:
        topic = fresh()
        c, p = away(b, v, topic), b.client(v)
        for i in range(200):
            p.publish(topic, str(i).rjust(1000), 1)
        c = b.client(v, id=c.id, clean=False, session=1)
        c.send(pingreq())
        got = []
        while True:
            m = c.read()
            if m.kind == PINGRESP:
                break
            c.acknowledge(m)
            got.append(int(m.payload))
        # What the window lets out after the PINGRESP belongs to it as well.
        c.send(pingreq())
        while (m := c.read()).kind != PINGRESP:
            c.acknowledge(m)
            got.append(int(m.payload))
        if got != list(range(got[0], 200)) or not 30 <= len(got) <= 66:
            raise Wrong(f"{len(got)} messages from {got[0]}")


@rows([("by number", "max_inflight: 50", 50, 50), ("by bytes", "max_queued_bytes: 64KiB", 30, 70),
       ("by bytes of all", "queue_memory: 64KiB", 30, 70)], versions=(4,))
def what_is_on_its_way_to_a_client_that_does_not_acknowledge_is_bounded(_, v, config, least, most):
    with broker(config) as b:
        c, p, topic = b.client(v, clean=False), b.client(v), fresh()
        c.subscribe(topic, qos=1)
        for i in range(200):
            p.publish(topic, str(i).rjust(1000), 1)
        c.send(pingreq())
        count = 0
        while c.read().kind == PUBLISH:
            count += 1
        if not least <= count <= most:
            raise Wrong(f"{count} are on their way")


@test(versions=(4,))
def all_queues_together_are_bounded(_, v):
    with broker("queue_memory: 256KiB") as b:
        topics = [fresh() for _ in range(10)]
        clients, p = [away(b, v, t) for t in topics], b.client(v)
        for i in range(100):
            for t in topics:
                p.publish(t, b"x" * 1000, 1)
        total = 0
        for c in clients:
            c = b.client(v, id=c.id, clean=False, session=1)
            for _ in range(2):
                c.send(pingreq())
                while (m := c.read()).kind != PINGRESP:
                    c.acknowledge(m)
                    total += 1
        if not 50 <= total <= 270:
            raise Wrong(f"{total} messages of 1000 bytes came out of 256 KiB")


@test(versions=(4,))
def retained_messages_are_bounded(_, v):
    with broker("max_retained_messages: 10", "sys_interval: 0ms") as b:
        own, p = fresh(), b.client(v)
        for i in range(20):
            p.publish(f"{own}/{i}", "x", 0, retain=True)
        p.publish(f"{own}/0", "replaced", 0, retain=True)
        p.publish(f"{own}/1", "", 0, retain=True)
        p.publish(f"{own}/30", "room", 0, retain=True)
        s = b.client(v)
        s.subscribe(f"{own}/#")
        got = {}
        for _ in range(10):
            m = s.expect(PUBLISH, retain=True)
            got[m.topic] = m.payload
        s.nothing(rounds=4)
        if len(got) != 10 or got.get(f"{own}/0") != b"replaced" or got.get(f"{own}/30") != b"room":
            raise Wrong(f"{got}")


@test(versions=(5,))
def retained_messages_past_the_bound_are_refused_with_0x97(_, v):
    with broker("max_retained_messages: 1", "sys_interval: 0ms") as b:
        p = b.client(v)
        p.publish(fresh(), "x", 1, retain=True)
        p.publish(fresh(), "x", 1, retain=True, reasons=(0x97,))
        p.nothing()


@test(versions=(5,))
def a_retained_message_makes_way_for_a_larger_one_within_the_bound_alone(_, v):
    with broker("max_retained_bytes: 64KiB", "sys_interval: 0ms") as b:
        p, topic = b.client(v), fresh()
        p.publish(topic, "x" * 1000, 1, retain=True)
        p.publish(topic, "y" * 70000, 1, retain=True, reasons=(0x97,))
        p.publish(topic, "z" * 40000, 1, retain=True)
        p.publish(topic, "w" * 41000, 1, retain=True)  # in its place, not beside it
        s = b.client(v)
        s.subscribe(topic)
        s.receive(topic, "w" * 41000, retain=True)


@test(versions=(4, 5))
def subscriptions_of_one_client_are_bounded(_, v):
    with broker("max_subscriptions: 3") as b:
        c = b.client(v)
        names = [fresh() for _ in range(5)]
        c.subscribe(*names, codes=[0, 0, 0] + [0x97 if v == 5 else 0x80] * 2)
        c.unsubscribe(names[0])
        c.subscribe(names[4])
        c.subscribe(names[1])  # replacing needs no room


@test(versions=(4, 5))
def sessions_are_bounded_whether_their_clients_are_there_or_not(_, v):
    kept = {"properties": [(SESSION_EXPIRY, 600)]} if v == 5 else {}
    with broker("max_sessions: 2") as b:
        gone, there = b.client(v, clean=False, **kept), b.client(v)
        gone.disconnect()
        s = b.socket(v).send(connect(v, fresh("third")))
        s.expect(CONNACK, reason=0x97 if v == 5 else 3)
        gone = b.client(v, id=gone.id, session=1, clean=False, **kept)  # which is no new one
        there.disconnect()
        eventually(lambda: _let_in(b, v), "there is room for another")
        gone.nothing()


AT = '{bind: "127.0.0.1:{port}", '


@rows([("of the broker", ["publish_rate: 100"]), ("in bytes", ["publish_byte_rate: 1KiB"]),
       ("of the listener", ["publish_rate: 100000", f"listeners: [{AT}publish_rate: 100}}]"]),
       ("of the listener in bytes", [f"listeners: [{AT}publish_byte_rate: 1KiB}}]"])], versions=(4, 5))
def a_publisher_beyond_its_rate_is_slowed_and_loses_nothing(_, v, config):
    with broker(*config) as b:
        topic = fresh()
        s, p, beside = b.client(4), b.client(v), b.client(v)
        s.subscribe(topic)
        start = time.monotonic()
        p.send(*[publish(v, topic, str(i)) for i in range(200)])
        beside.publish(fresh(), "x", 1)
        for i in range(200):
            s.expect(PUBLISH, topic=topic, payload=str(i))
        if time.monotonic() - start < 0.9:  # a hundred at once, a hundred in a second
            raise Wrong("it was not slowed")
        p.nothing()


@test("MQTT-3.3.2-4", versions=(5,))
def a_payload_that_is_not_the_utf8_it_says_is_refused(_, v):
    with broker("check_payload_format: true") as b:
        topic = fresh()
        s, p = b.client(v), b.client(v)
        s.subscribe(topic)
        p.publish(topic, "größe", 1, properties=[(FORMAT, 1)])
        s.receive(topic, "größe", 0)
        p.publish(topic, b"\xff", 1, properties=[(FORMAT, 0)])
        s.receive(topic, b"\xff", 0)
        p.publish(topic, b"\xff", 1, properties=[(FORMAT, 1)], reasons=(0x99,))
        for will, said in ((b"\xff", 0x99), ("größe".encode(), 0)):
            c = b.socket(v).send(connect(v, fresh("c"), will=Will(topic, will, properties=[(FORMAT, 1)])))
            c.expect(CONNACK, reason=said)
            c.drop()
        s.receive(topic, "größe")
        s.nothing()


@test("3.1.4", versions=(4, 5))
def nobody_without_a_name_where_names_are_wanted(_, v):
    with broker("listeners:", '  - {bind: "127.0.0.1:{port}", allow_anonymous: false}') as b:
        s = b.socket(v).send(connect(v, fresh("c"), will=Will("w")))
        s.expect(CONNACK, reason=(0x86, 0x87) if v == 5 else (4, 5), session=0)
        s.closed()


@test(versions=(4,))
def it_stops_within_its_time_and_tells_version_5_why(_, v):
    with broker() as b:
        five, four = b.client(5), b.client(4)
        b.process.send_signal(signal.SIGTERM)
        five.closed(0x8B)
        four.closed()


@test(versions=(4,))
def it_listens_on_ipv6_and_unix_sockets_too(_, v):
    port = free_port()
    path = f"/tmp/weir-wire-{os.getpid()}.sock"
    with broker("listeners:", '  - bind: "127.0.0.1:{port}"', f'  - bind: "[::1]:{port}"', f'  - bind: "unix:{path}"') as b:
        topic = fresh()
        pair = []
        for family, address in ((socket.AF_INET6, ("::1", port)), (socket.AF_UNIX, path)):
            s = Socket(b, v)
            s.sock.close()
            s.sock = socket.socket(family)
            s.sock.connect(address)
            s.send(connect(v, fresh("c")), subscribe(v, 1, (topic, 0)))
            s.expect(CONNACK, reason=0)
            s.expect(SUBACK)
            pair.append(s)
        pair[0].send(publish(v, topic, "x"))
        for s in pair:
            s.expect(PUBLISH, topic=topic, payload="x")


@test(versions=(5,))
def localhost_is_both_of_its_addresses_and_counts_as_one_listener(_, v):
    port = free_port()
    with broker("listeners:", '  - bind: "127.0.0.1:{port}"', f'  - {{bind: "localhost:{port}", max_connections: 2}}') as b:
        topic = fresh()
        pair = [Client(type("At", (), {"host": host, "port": port}), v) for host in ("127.0.0.1", "::1")]
        for c in pair:
            c.subscribe(topic)
        b.client(v).publish(topic, "x", 0)
        for c in pair:
            c.receive(topic, "x")
        Socket(type("At", (), {"host": "::1", "port": port}), v).send(connect(v, fresh("c"))).closed()


main(parallel=6)
