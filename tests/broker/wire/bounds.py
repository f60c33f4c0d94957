# SPDX-License-Identifier: MIT
"""Bounds on what one address, one user and one client may do, and on all of them together. A broker for each test."""
import contextlib
import struct

from broker_rig import *  # noqa: F403
from doors_rig import at, broker, enter, over, users_file

QUOTA = {3: 3, 4: 3, 5: 0x97}


def proxied(host):
    return (b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x21, 0x11]) + struct.pack(">H", 12) + socket.inet_aton(host)
            + socket.inet_aton("10.0.0.1") + struct.pack(">HH", 4711, 1883))


def is_open(b, v):
    """Whether a connection gets an answer."""
    s = b.socket(v)
    s.send(connect(v, fresh("c")))
    return s.read() is not None


@test(versions=(4,))
def one_address_has_so_many_connections_and_another_its_own(_, v):
    with broker("broker:\n  max_connections_per_address: 3\n") as b:
        first = [b.client(v) for _ in range(3)]
        b.socket(v).send(connect(v, fresh("c"))).closed()
        other = socket.create_connection((b.host, b.port), PATIENCE_S, source_address=("127.0.0.2", 0))
        enter(over(b, v, other), v)
        first[0].disconnect()
        eventually(lambda: is_open(b, v), "there is room again")
        eventually(lambda: "event=address-refused" in b.said(), "the log says so")


@test()
def behind_a_proxy_the_address_in_its_header_counts(_, v):
    with broker('broker:\n  max_connections_per_address: 1\n  listeners: [{bind: "127.0.0.1:{port}", proxy_protocol: true, allow_anonymous: true}]\n') as b:
        def come(host, reason):
            s = b.socket(v)
            s.send(proxied(host) + connect(v, fresh("c")))
            s.expect(CONNACK, reason=reason)
            return s
        kept = come("192.0.2.1", 0)
        come("192.0.2.1", QUOTA[v])
        come("192.0.2.2", 0)
        kept.send(pingreq()).expect(PINGRESP)


@test()
def one_user_has_so_many_connections_and_may_take_over_its_own(_, v):
    with tempfile.TemporaryDirectory() as folder:
        path = users_file(folder, anna="secret", ben="geheim")
        with broker(f"broker:\n  users: {path}\n  max_connections_per_user: 2\n") as b:
            name = fresh("c")
            first = b.client(v, id=name, user="anna", password="secret")
            second = b.client(v, user="anna", password="secret")
            for _ in range(2):
                enter(b.socket(v), v, reason=QUOTA[v], user="anna", password="secret")
            b.client(v, user="ben", password="geheim")
            again = b.client(v, id=name, user="anna", password="secret")
            first.closed(0x8E if v == 5 else None)
            enter(b.socket(v), v, reason=QUOTA[v], user="anna", password="secret")
            second.disconnect()
            again.nothing()
            eventually(lambda: comes(b, v), "there is room again")


def comes(b, v):
    s = b.socket(v)
    s.send(connect(v, fresh("c"), user="anna", password="secret"))
    return s.read().reason == 0


@test(versions=(4,))
def who_connects_too_fast_is_turned_away_and_let_in_later(_, v):
    with broker("broker:\n  connect_rate_per_address: 20\n") as b:
        refused = 0
        for _ in range(200):
            refused += not is_open(b, v)
        if refused == 0:
            raise Wrong("200 connections, and none was too fast")
        eventually(lambda: is_open(b, v), "it is let in again")


@test(versions=(4,))
def a_rate_of_all_makes_them_wait_and_loses_nobody(_, v):
    with broker("broker:\n  connect_rate: 50\n") as b:
        start = time.monotonic()
        crowd = [b.socket(v) for _ in range(120)]
        for s in crowd:
            s.send(connect(v, fresh("c")))
        for s in crowd:
            s.expect(CONNACK, reason=0)
        if time.monotonic() - start < 0.9:  # a second's worth at once, the other 70 after it
            raise Wrong("they did not wait")


@test(versions=(4,))
def one_address_does_not_use_up_the_rate_of_all(_, v):
    """Four hundred of one address would take twenty seconds. Some are turned away: no more than 256 wait."""
    with broker("broker:\n  connect_rate: 20\n") as b:
        crowd = []
        for _ in range(400):
            crowd.append(b.socket(v))
            with contextlib.suppress(OSError):
                crowd[-1].send(connect(v, fresh("c")))
        other = over(b, v, socket.create_connection((b.host, b.port), PATIENCE_S, source_address=("127.0.0.2", 0)))
        other.send(connect(v, fresh("c")))
        other.expect(CONNACK, reason=0)
        let_in = 0
        for s in crowd:
            s.sock.setblocking(False)
            with contextlib.suppress(OSError):
                let_in += len(s.sock.recv(4)) == 4
        if let_in > 200:
            raise Wrong(f"it waited behind {let_in} of another address")


@test()
def topics_are_as_long_and_as_deep_as_the_options_say(_, v):
    with broker("broker:\n  max_topic_length: 20\n  max_topic_levels: 3\n") as b:
        c = b.client(v)
        bad = 0x8F if v == 5 else 0x80
        c.subscribe("a/b/c", "a/b/c/d", "x" * 20, "x" * 21, "a/b/#", codes=[0, bad, 0, bad, 0])
        for topic in ("a/b/c/d", "x" * 21):
            s = b.client(v)
            s.send(publish(v, topic, b"1"))
            s.closed(0x90)
            s = b.socket(v)
            s.send(connect(v, fresh("c"), will=Will(topic)))
            if v == 5:
                s.expect(CONNACK, reason=0x90)
            s.closed()
        b.client(v).publish("a/b/c", "1")
        c.receive("a/b/c", "1")


@test()
def a_packet_that_never_ends_is_given_up_whatever_the_keep_alive(_, v):
    with broker("broker:\n  packet_timeout: 1s\n") as b:
        whole, slow = publish(v, "t", b"x" * 100), b.client(v, keepalive=0)
        for part in (whole[:1], whole[:20]):
            s = b.client(v, keepalive=0)
            s.send(part)
            s.closed(0x83)
        slow.publish("t", "a client that only is quiet stays")


@test(versions=(4,))
def who_takes_no_answers_is_not_read_on(_, v):
    with broker("broker:\n  output_memory: 64MiB\n") as b:
        s = b.client(v)
        before, sent, burst = b.resident(), 0, pingreq() * 32768
        s.sock.settimeout(0.5)
        try:
            while sent < 64 << 20:
                sent += s.sock.send(burst)
        except TimeoutError:
            pass
        grown = b.resident() - before
        if sent >= 64 << 20 or grown > 8 << 20:
            raise Wrong(f"it took {sent} bytes of questions and grew by {grown}")
        got = 0
        s.sock.settimeout(PATIENCE_S)
        while got < sent - 1:
            got += len(s.sock.recv(1 << 20))
        b.client(v).nothing()


@test(versions=(5,))
def what_clients_do_not_read_is_bounded_for_all_together(_, v):
    with broker("broker:\n  output_memory: 4MiB\n  queue_memory: 4MiB\n  max_queued_bytes: 64KiB\n") as b:
        deaf = []
        for _ in range(40):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # before it connects: a small window
            sock.connect((b.host, b.port))
            deaf.append(over(b, v, sock))
            enter(deaf[-1], v)
            deaf[-1].send(subscribe(v, 1, ("flood", 0)))
            deaf[-1].expect(SUBACK)
        well = b.client(v)
        well.subscribe("small")
        before, sender = b.resident(), b.client(v)
        for _ in range(400):
            sender.send(publish(v, "flood", b"f" * 65536))
        sender.publish("small", "still here", 1)
        well.receive("small", "still here")
        grown = b.resident() - before
        if grown > 40 << 20:
            raise Wrong(f"{grown} bytes for 40 that do not read")
        # what each may keep for itself is more in all than what all may: those with the most were given up
        given_up = sum(is_over(s.sock) for s in deaf)
        if not 10 <= given_up < 40:
            raise Wrong(f"{given_up} of 40 were given up")


def is_over(sock):
    """Whether the broker has closed, behind all that it has sent. One that is served still goes on sending."""
    sock.settimeout(0.2)
    got = 0
    try:
        while got < 8 << 20:
            data = sock.recv(1 << 20)
            if not data:
                return True
            got += len(data)
    except TimeoutError:
        return False
    except OSError:
        return True
    return False


@test(versions=(4, 5))
def a_packet_has_no_more_than_fifty_thousand_filters(_, v):
    with broker("broker:\n  max_packet_size: 1MiB\n") as b:
        c = b.client(v)
        c.send(subscribe(v, 1, *[("a", 0)] * 50000))
        c.expect(SUBACK, pid=1)
        c.send(subscribe(v, 2, *[("a", 0)] * 50001))
        c.closed(0x97)
        c = b.client(v).send(unsubscribe(v, 3, *["a"] * 50001))
        c.closed(0x97)


# What a client makes the broker know: of one megabyte in all.
SESSIONS = "broker:\n  session_memory: 1MiB\n"
LONG = "x" * 60000


@test(versions=(4, 5))
def subscriptions_of_one_client_leave_room_for_those_of_others(_, v):
    def take(c):
        for i in range(100):
            pid = c.pid()
            c.send(subscribe(v, pid, (f"{c.id}/{i}/{LONG}", 0)))
            if c.expect(SUBACK, pid=pid).reasons[0] >= 0x80:
                return i
        raise Wrong("a hundred filters of 60,000 bytes, and all were taken")
    with broker(SESSIONS) as b:
        greedy, other = b.client(v), b.client(v)
        if (count := take(greedy)) != 8:
            raise Wrong(f"the first has {count}")
        if (count := take(other)) != 4:
            raise Wrong(f"the second has {count}")
        b.client(v).subscribe("small")
        greedy.subscribe(f"{greedy.id}/0/{LONG}")  # it has that one
        greedy.unsubscribe(f"{greedy.id}/0/{LONG}")
        greedy.disconnect()
        other.disconnect()

        def all_again():
            c = b.client(v)
            count = take(c)
            c.disconnect()
            return count == 8
        eventually(all_again, "one that comes when they are gone gets as much as the first")


@test()
def client_ids_and_wills_of_all_are_bounded(_, v):
    def come(b, i, **more):
        s = b.socket(v)
        s.send(connect(v, f"{i}-{LONG}", **more))
        answer = s.expect(CONNACK)
        return s if answer.reason == 0 else answer.reason
    for more, most in (({}, 17), ({"will": Will("w", LONG)}, 8)):
        with broker(SESSIONS) as b:
            there = []
            while isinstance(s := come(b, len(there), **more), Socket) and len(there) < 50:
                there.append(s)
            if s != QUOTA[v] or len(there) != most:
                raise Wrong(f"{len(there)} were let in, then {s}")
            b.client(v).nothing()
            for s in there:
                s.send(disconnect(v))
                s.closed()
            eventually(lambda: isinstance(come(b, 0, **more), Socket), "there is room again")


@test(versions=(5,))
def topic_aliases_of_all_are_bounded(_, v):
    with broker(SESSIONS) as b:
        c, count = b.client(v), 0
        for count in range(1, 33):
            c.send(publish(v, f"{count}/{LONG}", "", properties=[(ALIAS, count)]), pingreq())
            p = c.read()
            if p.kind == DISCONNECT:
                break
        if p.kind != DISCONNECT or p.reason != 0x97 or count != 18:
            raise Wrong(f"{p} after {count}")
        c = b.client(v)  # what they took is free again
        c.send(publish(v, f"1/{LONG}", "", properties=[(ALIAS, 1)]))
        c.nothing()


@test(versions=(4,))
def retained_messages_of_deep_topics_count_their_levels(_, v):
    with broker("broker:\n  max_retained_bytes: 1MiB\n") as b:
        c, root = b.client(v), fresh("deep")
        for i in range(400):
            c.send(publish(v, f"{root}/{i}" + "/a" * 190, "x", retain=True))
        c.nothing()
        c.subscribe(f"{root}/#")
        count = 0
        c.send(subscribe(v, 2, ("none", 0)))  # which waits for what is still to come; a PINGREQ would not
        while (p := c.read()) and p.kind == PUBLISH:
            count += 1
        if p is None or p.kind != SUBACK:
            raise Wrong(f"{p} after {count}")
        if not 50 < count < 200:
            raise Wrong(f"{count} of 400 are kept")


main(parallel=4)
