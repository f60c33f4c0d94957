#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""However much some want at once, the broker gives each of its turns a small part of it: who comes meanwhile waits for the
rest of one turn and not of all the work.

Measured is the processor time of the turns (tests/lib/turnmeter.c), while the broker is told that others wait. The longest
must be a small part of what the whole took, on any machine. What the machine does can only add to a turn, so the best of a
few tries decides."""

import os
import pathlib
import resource
import signal
import socket
import ssl
import struct
import sys
import threading

import site_room
from harness import Failed, Program, Room, Skipped, build_dir, free_port, listens, run, wait, working_s
from certs import Authority
from mqttwire import Will, connect, publish, subscribe, unsubscribe
from turns import Meter, told

TRIES, PARTS, LEAST_NS = 4, 5, 3_000_000
CONFIG = """\
broker:
  max_subscriptions: 1000000
  max_connections: 5000
  queue_memory: 64MiB
  max_queued_messages: 100000
  max_packet_size: 16MiB
  listeners:
    - {{bind: "127.0.0.1:{port}"}}
    - {{bind: "127.0.0.1:{tls}", tls: {{cert: {cert}, key: {key}}}}}
"""
CASES = []
ABRUPTLY = struct.pack("ii", 1, 0)


class Client:
    def __init__(self, port, name, will=None, greets=True):
        self.sock = socket.create_connection(("127.0.0.1", port), 60)
        if greets:
            self.sock.sendall(connect(4, name, keepalive=0, will=will))
            self.take(4)

    def take(self, size):
        while size > 0:
            got = self.sock.recv(min(size, 1 << 20))
            if not got:
                raise Failed("the broker closed a connection")
            size -= len(got)

    def subscribe(self, *filters):
        self.sock.sendall(subscribe(4, 1, *[(f, 0) for f in filters]))
        self.take(4 + len(filters) + (len(filters) > 125) + (len(filters) > 16381))

    def unsubscribe(self, *filters):
        self.sock.sendall(unsubscribe(4, 1, *filters))
        self.take(4)

    def vanish(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABRUPTLY)
        self.sock.close()


class Site(Room):
    def start(self):
        self.port, self.tls = free_port(), free_port()
        cert, key = Authority(self.dir).issue("server", "IP:127.0.0.1")
        config = self.dir / "broker.yaml"
        config.write_text(CONFIG.format(port=self.port, tls=self.tls, cert=cert, key=key))
        self.meter = Meter(self.dir, build_dir(), pressed=True)
        self.broker = self.add(Program(self, "broker", [build_dir() / "gateway/weir", "broker", "--config", config],
                                       env=self.meter.environment()))
        self.broker.start()
        wait(lambda: self.broker.running() and listens(self.port), 20, "the broker listens")
        return self

    def client(self, name="c", **how):
        return Client(self.port, name, **how)

    def stands_still(self):
        """Whatever is done meanwhile comes at once when it goes on."""
        site = self

        class Still:
            def __enter__(self):
                site.broker.signal(signal.SIGSTOP)

            def __exit__(self, *_):
                site.broker.signal(signal.SIGCONT)
        return Still()

    def rests(self):
        """All threads sleep: none has work that it was only not given a core for."""
        def asleep():
            tasks = pathlib.Path(f"/proc/{self.broker.pid}/task").glob("*/stat")
            return all(t.read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] == "S" for t in tasks)
        wait(lambda: all(asleep() for _ in range(20)), 60, "the broker has done its work")

    def spreads(self, prepare, act, after=lambda it: None):
        """act(what prepare returned) is work for many turns."""
        seen = []
        for _ in range(TRIES):
            it = prepare()
            self.rests()
            before = self.meter.look()
            act(it)
            self.rests()
            span = self.meter.since(before)
            longest = self.meter.longest(before)
            after(it)
            if span.ns < LEAST_NS:
                raise Failed(f"it was no work: {span.ns / 1e6:.2f} ms in {span.turns} turns")
            seen.append(f"{span.longest_ns / 1e6:.2f} of {span.ns / 1e6:.2f} ms")
            if span.longest_ns * PARTS < span.ns:
                print("the longest turn took", seen[-1])
                return
        raise Failed(f"the longest turns took {', '.join(seen)}; the last: {told(longest[0]) if longest else 'none'}")


def measured(case):
    def with_site():
        if site_room.Site.sanitized():
            raise Skipped("what a sanitizer does is not the broker's work")
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        with Site() as site:
            case(site.start())
    with_site.__name__ = case.__name__
    CASES.append(with_site)
    return with_site


def takes_all(client):
    """What comes for it is read, whenever it comes."""
    room = bytearray(1 << 16)

    def read():
        try:
            while client.sock.recv_into(room):
                pass
        except OSError:
            pass
    threading.Thread(target=read, daemon=True).start()


def gone(clients):
    for c in clients:
        c.vanish()


# --- the cases --------------------------------------------------------------------------------------------------


@measured
def many_messages_in_one_write_are_spread_over_turns(site):
    receivers = [site.client(f"r{n}") for n in range(4)]
    for r in receivers:
        r.subscribe("flood")
    sender, burst = site.client("sender"), publish(4, "flood", b"f") * 50000

    def act(_):
        readers = [threading.Thread(target=r.take, args=(len(burst),)) for r in receivers]
        for r in readers:
            r.start()
        sender.sock.sendall(burst)
        for r in readers:
            r.join()
    site.spreads(lambda: None, act)


@measured
def many_questions_in_one_write_are_spread_over_turns(site):
    asker, burst = site.client("asker"), b"\xc0\0" * 400000

    def act(_):
        sender = threading.Thread(target=asker.sock.sendall, args=(burst,))
        sender.start()
        asker.take(len(burst))
        sender.join()
    site.spreads(lambda: None, act)


def receivers_of_one_topic(site):
    receivers = [site.client(f"r{n}") for n in range(1000)]
    for r in receivers:
        r.subscribe("wide")
    return receivers


WIDE = publish(4, "wide", b"w")


@measured
def message_for_a_thousand_is_written_over_many_turns(site):
    receivers = receivers_of_one_topic(site)

    def act(sender):
        sender.sock.sendall(WIDE)
        for r in receivers:
            r.take(len(WIDE))
    site.spreads(lambda: site.client("sender"), act)


@measured
def those_who_publish_to_a_thousand_wait_for_each_other(site):
    """From their second message on: it was not known before."""
    receivers, senders = receivers_of_one_topic(site), [site.client(f"s{n}") for n in range(200)]

    def send():
        with site.stands_still():
            for s in senders:
                s.sock.sendall(WIDE)
        for r in receivers:
            r.take(len(WIDE) * len(senders))
    send()
    site.spreads(lambda: None, lambda _: send())


def connected(port, count):
    """So many, of whom nothing is known yet; they are accepted when the broker rests."""
    return [Client(port, "", greets=False) for _ in range(count)]


@measured
def hundreds_of_connects_at_once_are_answered_over_many_turns(site):
    def act(made):
        with site.stands_still():
            for n, c in enumerate(made):
                c.sock.sendall(connect(4, f"c{n}", keepalive=0))
        for c in made:
            c.take(4)
    site.spreads(lambda: connected(site.port, 600), act, gone)


@measured
def hand_shakes_are_made_beside_the_turns_and_not_within(site):
    """Of the processor time that a crowd of them takes, the turns have the lesser part: they read, write and close."""
    context, out = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.MemoryBIO()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        context.wrap_bio(ssl.MemoryBIO(), out).do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = out.read()

    seen = []
    for _ in range(TRIES):
        made = connected(site.tls, 60)
        site.rests()
        before, start_s = site.meter.look(), working_s(site.broker.pid)
        with site.stands_still():
            for c in made:
                c.sock.sendall(hello)
        for c in made:
            c.take(100)
        site.rests()
        whole_ns, turns_ns = (working_s(site.broker.pid) - start_s) * 1e9, site.meter.since(before).ns
        gone(made)
        if whole_ns < LEAST_NS:
            raise Failed(f"it was no work: {whole_ns / 1e6:.2f} ms")
        seen.append(f"{turns_ns / 1e6:.2f} of {whole_ns / 1e6:.2f} ms")
        if turns_ns * 3 < whole_ns:
            print("the turns took", seen[-1])
            return
    raise Failed(f"the turns took {', '.join(seen)}")


@measured
def clients_that_leave_together_are_cleared_over_many_turns(site):
    receivers = [site.client(f"r{n}") for n in range(10)]
    for r in receivers:
        r.subscribe("will")
        takes_all(r)

    def leave(made):
        with site.stands_still():
            gone(made)
    site.spreads(lambda: [site.client(f"w{n}", will=Will("will", b"w" * 100)) for n in range(500)], leave)


@measured
def client_with_many_subscriptions_is_cleared_over_many_turns(site):
    def prepare():
        c = site.client("many")
        for first in range(0, 100000, 10000):
            c.subscribe(*[f"many/{n}/x" for n in range(first, first + 10000)])
        return c
    site.spreads(prepare, lambda c: c.vanish())


FILTERS = [f"many/{n}/x" for n in range(20000)]


@measured
def subscribe_of_many_filters_is_gone_through_over_many_turns(site):
    c = site.client("many")
    site.spreads(lambda: None, lambda _: c.subscribe(*FILTERS), lambda _: c.unsubscribe(*FILTERS))


@measured
def unsubscribe_of_many_filters_is_gone_through_over_many_turns(site):
    c = site.client("many")
    site.spreads(lambda: c.subscribe(*FILTERS), lambda _: c.unsubscribe(*FILTERS))


@measured
def what_is_retained_goes_to_a_new_subscription_over_many_turns(site):
    c, topics = site.client("keeper"), [f"kept/{n % 100}/{n}" for n in range(100000)]
    for topic in topics:
        c.sock.sendall(publish(4, topic, b"k", retain=True))
    size = sum(len(publish(4, topic, b"k", retain=True)) for topic in topics)

    def act(c):
        c.subscribe("kept/#")
        c.take(size)
    site.spreads(lambda: site.client("reader"), act)


@measured
def large_packets_are_read_and_written_over_many_turns(site):
    """Of megabytes a hundred kilobytes go to each receiver in one turn."""
    receivers = [site.client(f"r{n}") for n in range(5)]
    for r in receivers:
        r.subscribe("large")
    sender, large = site.client("sender"), publish(4, "large", b"l" * (1 << 20))

    def act(_):
        readers = [threading.Thread(target=r.take, args=(8 * len(large),)) for r in receivers]
        for r in readers:
            r.start()
        for _ in range(8):
            sender.sock.sendall(large)
        for r in readers:
            r.join()
    site.spreads(lambda: None, act)


@measured
def parts_of_large_packets_are_read_and_thrown_away_over_many_turns(site):
    """Dozens send most of a packet, and are gone."""
    part = publish(4, "part", b"p" * (2 << 20))[:1 << 20]

    def act(made):
        for c in made:
            c.sock.sendall(part)
        with site.stands_still():
            gone(made)
    site.spreads(lambda: [site.client(f"h{n}") for n in range(60)], act)


@measured
def sessions_with_long_queues_are_cleared_over_many_turns(site):
    names = [f"away{n}" for n in range(4)]

    def greet(name, clean):
        c = site.client(name, greets=False)
        c.sock.sendall(connect(4, name, clean=clean, keepalive=0))
        c.take(4)
        return c

    def prepare():
        sender = site.client("sender")
        for name in names:
            away = greet(name, False)
            away.sock.sendall(subscribe(4, 1, ("queue/#", 1)))
            away.take(5)
            away.vanish()
        for _ in range(50):
            sender.sock.sendall(b"".join(publish(4, f"queue/{n}", b"q", 1, n + 1) for n in range(1000)))
            sender.take(4000)

    def act(_):
        for name in names:
            greet(name, True).vanish()
    site.spreads(prepare, act)


@measured
def what_members_of_a_share_left_is_passed_on_over_many_turns(site):
    """One write for each member that gets some of it, and many leave at once."""
    stay = [site.client(f"s{n}") for n in range(300)]
    sender = site.client("sender")
    for s in stay:
        s.sock.sendall(subscribe(4, 1, ("$share/g/work", 1)))
        s.take(5)
        takes_all(s)

    def prepare():
        leave = [site.client(f"l{n}") for n in range(100)]
        for c in leave:
            c.sock.sendall(subscribe(4, 1, ("$share/g/work", 1)))
            c.take(5)
        for _ in range(8):
            sender.sock.sendall(b"".join(publish(4, "work", b"w", 1, n + 1) for n in range(1000)))
            sender.take(4000)
        return leave

    def act(leave):
        with site.stands_still():
            gone(leave)
    site.spreads(prepare, act)


if __name__ == "__main__":
    sys.exit(run(CASES))
