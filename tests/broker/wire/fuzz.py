# SPDX-License-Identifier: MIT
"""Random packets, right and wrong, in random pieces, from several clients at once, with fixed seeds.

Whatever is sent, the broker lives, what it answers is well-formed (the parser is strict), a client beside it is served,
and its memory stays where it was.
"""
import random

from broker_rig import *  # noqa: F403
from doors_rig import at

BELOW = at(free_port())  # a listener with a mount point: its clients' `a` is `f/a`

TOPICS = ["f", "f/a", "f/a/b", "/f", "f//", "$f/x", "f/" + "x" * 300]
FILTERS = TOPICS + ["#", "f/#", "f/+", "+/a", "+", "$f/#", "$share/g/f/#", "$share/h/f/a", "f/#/x", "$share//x", ""]
TEXTS = ["", "x", "größe", b"\xff", b"a\0b", "y" * 70]
ANY_PROPERTY = list(KIND)


class Gen:
    """Makes packets; about one in five is wrong somewhere."""

    def __init__(self, rng, version, client_id):
        self.rng, self.version, self.id = rng, version, client_id

    def pid(self):
        return self.rng.choice((0, 1, 1, 2, 2, 3, 3, 4, 5, 65535))

    def value(self, ident):
        rng = self.rng
        return {"u8": lambda: rng.choice((0, 1, 1, 2)), "u16": lambda: rng.choice((0, 1, 2, 10, 65535)),
                "u32": lambda: rng.choice((0, 1, 5, 100, 0xFFFFFFFF)), "var": lambda: rng.choice((0, 1, 127, 268435455)),
                "str": lambda: rng.choice(TEXTS), "bin": lambda: rng.choice((b"", b"\0\xff", b"x" * 100)),
                "pair": lambda: (rng.choice(TEXTS[:3]), rng.choice(TEXTS))}[KIND[ident]]()

    def properties(self, *allowed):
        rng = self.rng
        if self.version != 5 or rng.random() < 0.5:
            return ()
        pool = allowed if rng.random() < 0.9 else ANY_PROPERTY
        return [(i, self.value(i)) for i in (rng.choice(pool) for _ in range(rng.choice((1, 1, 2, 4))))]

    def connect(self):
        rng = self.rng
        will = None
        if rng.random() < 0.4:
            will = Will(rng.choice(TOPICS), b"will", rng.choice((0, 1, 2)), rng.random() < 0.3,
                        self.properties(WILL_DELAY, FORMAT, EXPIRY, CONTENT_TYPE, USER))
        return connect(self.version, self.id, rng.random() < 0.5, rng.choice((0, 60)), will,
                       properties=[(SESSION_EXPIRY, rng.choice((0, 5)))] + list(self.properties(
                           RECEIVE_MAX, MAX_PACKET, ALIAS_MAX, USER, WANT_PROBLEM, WANT_RESPONSE)) if self.version == 5 else ())

    def publish(self):
        rng = self.rng
        qos = rng.choice((0, 1, 2))
        payload = rng.choice((b"", b"x", b"y" * 200, b"z" * 20000)) if rng.random() < 0.95 else b"w" * 200000
        return publish(self.version, rng.choice(TOPICS), payload, qos, self.pid() if qos else None, rng.random() < 0.3,
                       qos > 0 and rng.random() < 0.2,
                       self.properties(FORMAT, EXPIRY, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION, USER, ALIAS))

    def subscribe(self):
        rng = self.rng
        filters = [(rng.choice(FILTERS), rng.choice((0, 1, 2, 0, 1, 2, 0x29 if self.version == 5 else 3)))
                   for _ in range(rng.choice((1, 1, 3)))]
        return subscribe(self.version, self.pid() or 1, *filters, properties=self.properties(SUB_ID, USER))

    def unsubscribe(self):
        return unsubscribe(self.version, self.pid() or 1, self.rng.choice(FILTERS), properties=self.properties(USER))

    def ack(self):
        rng = self.rng
        kind = rng.choice((PUBACK, PUBREC, PUBREL, PUBCOMP))
        if self.version == 5 and rng.random() < 0.3:
            return ack(kind, self.pid(), rng.choice((0, 0x10, 0x80, 0x92)), self.properties(REASON, USER) or None)
        return ack(kind, self.pid())

    def noise(self):
        rng = self.rng
        return packet(rng.randrange(256), bytes(rng.randrange(256) for _ in range(rng.choice((0, 1, 2, 5, 30)))))

    def next(self):
        rng = self.rng
        data = rng.choices((self.publish, self.subscribe, self.unsubscribe, self.ack, pingreq, self.noise, self.connect,
                            lambda: disconnect(self.version, rng.choice((None, 0, 4)) if self.version == 5 else None)),
                           (40, 12, 5, 30, 6, 1.5, 0.5, 1))[0]()
        return self.mutate(data) if rng.random() < 0.05 else data

    def mutate(self, data):
        rng, data = self.rng, bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 4))):
            at = rng.randrange(len(data))
            what = rng.randrange(4)
            if what == 0:
                data[at] ^= 1 << rng.randrange(8)
            elif what == 1:
                data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
            elif what == 2 and len(data) > 2:
                del data[at]
            else:
                data.insert(at, rng.randrange(256))
        return bytes(data)


class Fuzzed:
    """One client that lives as long as it lasts, and is followed by the next."""

    def __init__(self, b, rng, number, root):
        self.b, self.rng, self.number, self.root, self.sock = b, rng, number, root, None

    def step(self):
        rng = self.rng
        if self.sock is None:
            version = rng.choice((3, 4, 5, 5))
            self.gen = Gen(rng, version, f"{self.root}-{self.number % 4}")  # ids meet: takeovers
            self.sock = Socket(rng.choice((self.b, self.b, BELOW)), version)
            self.send(self.gen.connect() if rng.random() < 0.95 else self.gen.next())
            return
        self.send(b"".join(self.gen.next() for _ in range(rng.choice((1, 1, 2, 5, 20)))))
        if self.sock and rng.random() < 0.02:
            (self.sock.drop if rng.random() < 0.5 else self.sock.reset)()
            self.sock = None

    def send(self, data):
        pieces = self.rng.choice((1, 1, 1, 2, 4))
        cuts = sorted(self.rng.randrange(len(data)) for _ in range(pieces - 1))
        for start, end in zip([0] + cuts, cuts + [len(data)]):
            try:
                self.sock.sock.settimeout(0.5)
                self.sock.sock.sendall(data[start:end])
            except OSError:
                break  # closed, or held back: what it says is read next
        self.listen()

    def listen(self):
        """Reads what is there; answers sometimes, so that hand-shakes go on."""
        while self.sock and (self.sock.buffer or select.select([self.sock.sock], [], [], 0)[0]):
            try:
                p = self.sock.read(patience=0.05)
            except Wrong as fault:
                if "deadline" in str(fault):
                    return  # a part of a packet: the rest comes later
                if "middle of a packet" not in str(fault):
                    raise
                p = None  # it was told to go with more on its way than the kernel takes
            except OSError:
                p = None
            if p is None:
                self.sock.drop()
                self.sock = None
                return
            if p.kind == PUBLISH and p.qos and self.rng.random() < 0.7:
                self.answer(ack(PUBACK if p.qos == 1 else PUBREC, p.pid))
            elif p.kind == PUBREL and self.rng.random() < 0.7:
                self.answer(ack(PUBCOMP, p.pid))

    def answer(self, data):
        try:
            self.sock.sock.sendall(data)
        except OSError:
            pass


@rows([(f"seed {n}", n) for n in range(int(os.environ.get("WEIR_TEST_SEEDS", "12")))], versions=(5,))
def anything_is_survived_and_answered_in_good_form(b, v, seed):
    rng = random.Random(seed)
    root, beside = fresh("z"), fresh("beside")
    s, p = b.client(4), b.client(4)
    s.subscribe(beside, qos=1)
    crowd = [Fuzzed(b, rng, n, root) for n in range(8)]
    for step in range(1200):
        rng.choice(crowd).step()
        if step % 50 == 49:
            p.publish(beside, "x", 1)
            s.receive(beside, "x", 1)
    for f in crowd:
        if f.sock:
            f.sock.drop()
    p.publish(beside, "end", 1)
    s.receive(beside, "end", 1)


main("broker:\n  max_queued_bytes: 1MiB\n  queue_memory: 8MiB\n  max_retained_bytes: 8MiB\n  max_packet_size: 128KiB\n"
     f'  listeners:\n    - {{bind: "127.0.0.1:{{port}}"}}\n    - {{bind: "127.0.0.1:{BELOW.port}", mount_point: f}}\n')
