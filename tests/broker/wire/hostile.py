# SPDX-License-Identifier: MIT
"""Clients that mean harm or do not care: memory stays bounded, and a client beside them is served in time."""
import threading

from broker_rig import *  # noqa: F403

MB = 1 << 20


def grown(b, before, bound, what):
    """How much more memory the broker holds than before must stay under a bound."""
    after = b.resident()
    if after - before > bound:
        raise Wrong(f"{what}: {(after - before) / MB:.1f} MB more than before, at most {bound / MB:.0f}")


def gets_in(b):
    try:
        b.client(4).drop()
    except (Wrong, OSError):
        return False
    return True


class Beside:
    """A pair of ordinary clients, whose messages must go through while something happens."""

    def __init__(self, b):
        eventually(lambda: gets_in(b), "a broker that has done with the crowd before lets a client in")
        self.topic = fresh("beside")
        self.s, self.p = b.client(4), b.client(4)
        self.s.subscribe(self.topic, qos=1)

    def works(self):
        self.p.publish(self.topic, "x", 1)
        self.s.receive(self.topic, "x", 1)


@test(versions=(4,))
def announcing_100_mb_costs_nothing_before_it_arrives(b, v):
    beside, before = Beside(b), b.resident()
    socks = []
    for i in range(14):
        s = b.socket(v).send(b"\x10" + varint(100 * MB), connect(4, "x")[2:])
        socks.append(s)
    for i in range(14):
        c = b.client(v)
        c.send(b"\x30" + varint(100 * MB), string("big"), b"x" * 1000)
        socks.append(c)
    beside.works()
    grown(b, before, 8 * MB, "28 packets of 100 MB announced")
    for s in socks:
        s.drop()
    beside.works()


@test(versions=(4, 5))
def packets_that_never_end_are_bounded_together(b, v):
    beside, before = Beside(b), b.resident()
    crowd = []
    for i in range(30):
        c = b.client(v)
        c.sock.settimeout(0.5)
        c.send(b"\x30" + varint(5 * MB), string("big"))
        crowd.append(c)
    for part in range(20):  # 4 MB each, of 5
        for c in crowd:
            try:
                c.sock.sendall(b"x" * (MB // 5))
            except OSError:
                pass  # given up already
    beside.works()
    grown(b, before, 30 * MB, "120 MB of packets in part")
    whole = b.client(v)
    topic = fresh()
    whole.subscribe(topic)
    whole.send(publish(v, topic, b"z" * (2 * MB)))
    whole.receive(topic, b"z" * (2 * MB))
    for c in crowd:
        c.drop()


@test(versions=(4,))
def thousands_of_sockets_that_never_connect(b, v):
    beside, before = Beside(b), b.resident()
    socks = [b.socket(v) for _ in range(sockets_at_most(2000))]
    for s in socks[::2]:
        s.send(b"\x10")
    beside.works()
    grown(b, before, 10 * MB, "half-open connections")
    for s in socks:
        s.drop()
    beside.works()


@test(versions=(4, 5))
def connecting_and_leaving_without_end(b, v):
    beside = Beside(b)
    for i in range(300):
        b.socket(v).send(connect(v, fresh("c"), will=Will("w", b"x" * 100))).drop()
    before = b.resident()
    for i in range(1500):
        b.socket(v).send(connect(v, fresh("c"), will=Will("w", b"x" * 100))).reset()
    beside.works()
    grown(b, before, 8 * MB, "1500 clients that came and went")


@rows([("30000 levels", "a/" * 30000), ("65535 levels", "/" * 65535), ("plus levels", "+/" * 32767)], versions=(4, 5))
def deep_topics_and_filters_by_the_hundred(b, v, deep):
    beside, before = Beside(b), b.resident()
    for i in range(100):
        c = b.socket(v).send(connect(v, fresh("c")), subscribe(v, 1, (deep, 1)))
        c.expect(CONNACK)
        c.read()
        c.drop()
        if "+" not in deep:
            c = b.socket(v).send(connect(v, fresh("c")), publish(v, deep, "x", 1, 1, retain=True))
            c.expect(CONNACK)
            c.read()
            c.drop()
    beside.works()
    grown(b, before, 16 * MB, "200 deep topics")


@rows([("QoS 0", 0), ("QoS 1", 1)], versions=(4, 5))
def a_subscriber_that_does_not_read(b, v, qos):
    topic = fresh()
    slow = b.client(v)
    slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.subscribe(topic, qos=qos)
    beside, before = Beside(b), b.resident()
    p = b.client(v)
    payload = b"x" * 10000
    for i in range(60):
        _burst(p, v, topic, payload, qos, 100)
        beside.works()
        if i % 10 == 9:
            grown(b, before, 20 * MB, f"{(i + 1)} MB for a client that does not read")
    slow.drop()
    beside.works()


def _burst(p, v, topic, payload, qos, count):
    """Sends and waits for the acknowledgements; at QoS 0 for a PINGRESP."""
    window = min(20, p.connack.prop(RECEIVE_MAX, 65535)) if v == 5 else 20
    if qos == 0:
        p.send(publish(v, topic, payload) * count)
        p.nothing()
        return
    for start in range(0, count, window):
        p.send(*[publish(v, topic, payload, 1, i + 1) for i in range(window)])
        for i in range(window):
            p.expect(PUBACK, pid=i + 1)


@test(versions=(4, 5))
def a_subscriber_that_reads_and_never_acknowledges(b, v):
    topic = fresh()
    greedy = b.client(v)
    greedy.subscribe(topic, qos=1)
    drain = threading.Thread(target=_swallow, args=(greedy.sock,), daemon=True)
    drain.start()
    beside, before = Beside(b), b.resident()
    p = b.client(v)
    for i in range(40):
        _burst(p, v, topic, b"x" * 10000, 1, 100)
        if i % 10 == 9:
            beside.works()
            grown(b, before, 20 * MB, f"{i + 1} MB unacknowledged")
    greedy.sock.shutdown(socket.SHUT_RDWR)
    drain.join(PATIENCE_S)
    beside.works()


def _swallow(sock):
    try:
        while sock.recv(65536):
            pass
    except OSError:
        pass


@test(versions=(4, 5))
def a_queue_for_a_client_that_is_away_is_bounded(b, v):
    topic = fresh()
    away = b.client(v, clean=False, properties=[(SESSION_EXPIRY, 600)] if v == 5 else ())
    away.subscribe(topic, qos=1)
    away.disconnect()
    beside, before = Beside(b), b.resident()
    p = b.client(v)
    for i in range(40):
        _burst(p, v, topic, b"x" * 10000, 1, 100)
    beside.works()
    grown(b, before, 20 * MB, "40 MB for a client that is away")
    b.client(v, id=away.id, clean=True).disconnect()


@test(versions=(4,))
def a_client_that_asks_and_does_not_read_the_answers(b, v):
    c = b.client(v)
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    beside, before = Beside(b), b.resident()
    c.sock.settimeout(0.5)
    chunk = pingreq() * 32768
    try:
        for _ in range(200):
            c.sock.sendall(chunk)
    except OSError:
        pass  # held back, or closed: both are fine
    beside.works()
    grown(b, before, 16 * MB, "6.5 million pings without reading")
    c.drop()
    beside.works()


@test(versions=(5,))
def a_flood_of_acknowledgements_for_nothing(b, v):
    c, beside, before = b.client(v), Beside(b), b.resident()
    for kind in (PUBACK, PUBCOMP):
        c.send(b"".join(ack(kind, i % 65535 + 1) for i in range(50000)))
    c.nothing()
    beside.works()
    grown(b, before, 8 * MB, "100,000 stray acknowledgements")


@test(versions=(4, 5))
def a_flood_does_not_starve_the_one_beside_it(b, v):
    topic = fresh("flood")
    sink, flooder, beside = b.client(v), b.client(v), Beside(b)
    sink.subscribe(topic)
    drain = threading.Thread(target=_swallow, args=(sink.sock,), daemon=True)
    drain.start()
    going = threading.Event()
    going.set()
    chunk = publish(v, topic, b"x" * 64) * 2000

    def flood():
        left = b""  # of a chunk of which the kernel took a part
        flooder.sock.settimeout(0.2)
        while going.is_set():
            left = left or chunk
            try:
                left = left[flooder.sock.send(left):]
            except socket.timeout:
                continue
            except OSError:
                return

    t = threading.Thread(target=flood, daemon=True)
    t.start()
    try:
        for _ in range(200):
            beside.works()
    finally:
        going.clear()
        t.join(PATIENCE_S)
        sink.sock.shutdown(socket.SHUT_RDWR)
        drain.join(PATIENCE_S)
        flooder.drop()
    beside.works()


@test(versions=(4, 5))
def more_than_a_turn_has_room_for_arrives_whole_and_in_order(b, v):
    """150,000 deliveries asked for at once: they are spread over turns of the loop, and others are served between."""
    root, beside = fresh("wide"), Beside(b)
    subs, pubs, count = [b.client(v) for _ in range(20)], [b.client(v) for _ in range(5)], 1500
    for s in subs:
        s.subscribe(f"{root}/#")
    size = len(publish(v, f"{root}/0", b"0000"))
    threads = [threading.Thread(target=p.sock.sendall, args=(b"".join(
        publish(v, f"{root}/{n}", b"%04d" % i) for i in range(count)),)) for n, p in enumerate(pubs)]
    for t in threads:
        t.start()
    beside.works()
    for s in subs:
        data = s.buffer
        while len(data) < size * count * len(pubs):
            data += s.sock.recv(1 << 20)
        packets = [data[i:i + size] for i in range(0, len(data), size)]
        for n in range(len(pubs)):
            mine = [p[-4:] for p in packets if f"{root}/{n}".encode() in p]
            if mine != [b"%04d" % i for i in range(count)]:
                raise Wrong(f"publisher {n}: {len(mine)} messages, or out of order")
    for t in threads:
        t.join(PATIENCE_S)


@test(versions=(4,))
def a_hundred_thousand_subscriptions_come_and_go(b, v):
    own = fresh()
    beside = Beside(b)
    for round in range(2):
        c = b.client(v)
        for start in range(0, 50000, 1000):
            c.subscribe(*[f"{own}/{i}/x" for i in range(start, start + 1000)])
        beside.works()
        if round == 0:
            c.drop()
            eventually(lambda: beside.works() is None, "service")
            before = b.resident()
        else:
            c.drop()
    beside.works()
    grown(b, before, 24 * MB, "50,000 subscriptions a second time")


@test(versions=(5,))
def user_properties_by_the_thousand(b, v):
    topic = fresh()
    s, p = b.client(v), b.client(v)
    s.subscribe(topic, qos=1)
    many = [(USER, (f"k{i}", "v" * 10)) for i in range(2000)]
    p.publish(topic, "x", 1, properties=many)
    got = s.receive(topic, "x", 1)
    if got.properties != many:
        raise Wrong("not all, or not in order")


@test(versions=(4, 5))
def retained_floods_are_bounded_or_refused(b, v):
    own, beside, before = fresh(), Beside(b), b.resident()
    p = b.client(v)
    for start in range(0, 20000, 500):
        p.send(*[publish(v, f"{own}/{i}", b"r" * 100, retain=True) for i in range(start, start + 500)])
    p.nothing()
    beside.works()
    grown(b, before, 24 * MB, "20,000 retained messages of 100 bytes")
    slow = b.client(v)
    slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.send(subscribe(v, 1, (f"{own}/#", 0)))
    beside.works()
    slow.drop()
    p.send(*[publish(v, f"{own}/{i}", b"", retain=True) for i in range(20000)])
    p.nothing()
    beside.works()


main("broker:\n  input_memory: 16MiB\n  max_queued_bytes: 8MiB\n  queue_memory: 16MiB\n")
