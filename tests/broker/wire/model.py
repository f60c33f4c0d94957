# SPDX-License-Identifier: MIT
"""A broker in a hundred lines of Python, and random users who must get from the real one exactly what the model says.

Clients of both versions connect, take over, subscribe, unsubscribe, publish, leave in order or drop, hold back their
acknowledgements and come back. After every step each connected client must have received the messages the model has
for it: no more, no fewer, in order, with QoS, retain flag, DUP and subscription identifiers as they must be. The seeds
are fixed, so a failure comes back.
"""
import random

from broker_rig import *  # noqa: F403

NO_LOCAL, AS_PUBLISHED, NOT_RETAINED = 0x04, 0x08, 0x20
LEVELS = ["a", "b", "", "c"]


def matches(filter_, topic):
    f, t = filter_.split("/"), topic.split("/")
    if topic.startswith("$") and f[0] in ("+", "#"):
        return False
    for i, level in enumerate(f):
        if level == "#":
            return True
        if i >= len(t) or (level != "+" and level != t[i]):
            return False
    return len(f) == len(t)


class Message:
    def __init__(self, topic, payload, qos, retain, source):
        self.topic, self.payload, self.qos, self.retain, self.source = topic, payload, qos, retain, source


class Due:
    """What one client must receive; dup or pid None: whatever they are."""

    def __init__(self, m, qos, retain, ids):
        self.m, self.qos, self.retain, self.ids, self.pid, self.dup = m, qos, retain, ids, None, False

    def check(self, got, version):
        wrong = got.topic != self.m.topic or got.payload != self.m.payload or got.qos != self.qos or \
            (self.retain is not None and got.retain != self.retain) or \
            (self.dup is not None and got.dup != self.dup) or \
            (self.pid is not None and got.pid != self.pid) or \
            (version == 5 and sorted(got.all(SUB_ID)) != sorted(self.ids))
        if wrong:
            raise Wrong(f"expected {self}, got {got}")

    def key(self):
        return self.m.topic, self.m.payload

    def __repr__(self):
        return f"{self.m.payload[:20]} to {self.m.topic} at QoS {self.qos}, retain {self.retain}, dup {self.dup}, " \
               f"ids {self.ids}, from {self.m.source}"


class User:
    """A client id over all its connections: the model's session, and the real connection when there is one."""

    def __init__(self, name):
        self.name, self.conn, self.version, self.lasting, self.will = name, None, 4, False, None
        self.forget()

    def forget(self):
        self.subs, self.queue, self.unacked = {}, [], []

    def exists(self):
        return self.conn is not None or self.lasting


class World:
    WILL_QOS = (0, 1, 2)

    def __init__(self, b, seed):
        self.b, self.rng, self.number, self.retained = b, random.Random(seed), 0, {}
        self.root = fresh("m")
        self.users = [User(fresh("u")) for _ in range(5)]
        self.watch_all()

    def watch_all(self):
        self.watch = self.b.client(5)
        self.watch.subscribe((f"{self.root}/#", NOT_RETAINED), (f"${self.root}/#", NOT_RETAINED))

    # --- the model ---

    def topic(self):
        depth = self.rng.choice((1, 1, 2, 2, 3))
        return "/".join([self.rng.choice((self.root, self.root, self.root, "$" + self.root))] +
                        [self.rng.choice(LEVELS) for _ in range(depth)])

    def filter(self):
        levels = self.topic().split("/")
        for i in range(1, len(levels)):
            if self.rng.random() < 0.3:
                levels[i] = "+"
        if self.rng.random() < 0.3:
            levels[self.rng.randrange(1, len(levels)):] = ["#"]
        return "/".join(levels)

    def route(self, m):
        """Puts a message where it belongs, and waits until the broker has done so."""
        if m.retain:
            self.retained.pop(m.topic, None)
            if m.payload:
                self.retained[m.topic] = m
        for u in self.users:
            if not u.exists():
                continue
            hits = [s for f, s in u.subs.items() if matches(f, m.topic) and not (s["no_local"] and u.name == m.source)]
            if not hits:
                continue
            qos = min(m.qos, max(s["qos"] for s in hits))
            kept = {bool(m.retain) and s["as_published"] for s in hits}
            due = Due(m, qos, kept.pop() if len(kept) == 1 else None, [s["id"] for s in hits if s["id"]])
            if u.conn or qos > 0:
                u.queue.append(due)

    def publish(self, source, topic, payload, qos, retain):
        self.route(Message(topic, payload, qos, retain, source))

    def leave(self, u, in_order):
        will, u.will, conn, u.conn = u.will, None, u.conn, None
        for d in u.unacked:
            d.dup = True
        u.queue = u.unacked + [d for d in u.queue if d.qos > 0]
        u.unacked = []
        if in_order:
            conn.send(disconnect(u.version))
            conn.closed()
        else:
            conn.drop()
        if not u.lasting:
            u.forget()
        if will and not in_order:
            self.publish(None, *will)  # it is the broker that publishes it: No Local does not apply
            self.watch.expect(PUBLISH, topic=will[0], payload=will[1])

    # --- what the users do ---

    def payload(self):
        self.number += 1
        return str(self.number).encode() * self.rng.choice((1, 1, 1, 40))

    def act_connect(self, u):
        if u.conn:
            return self.act_publish(u)
        rng = self.rng
        clean, u.version, stays = rng.random() < 0.3, rng.choice((4, 5)), rng.random() < 0.7
        had = u.lasting and not clean
        if not had:
            u.forget()
        will = (self.topic(), self.payload(), rng.choice(self.WILL_QOS), rng.random() < 0.3) if rng.random() < 0.4 else None
        properties = [(SESSION_EXPIRY, 600)] if u.version == 5 and stays else ()
        u.lasting = stays if u.version == 5 else not clean
        u.conn = self.b.client(u.version, id=u.name, clean=clean, session=int(had), properties=properties,
                               will=Will(*will) if will else None)
        u.will = will

    def act_take_over(self, u):
        """Another connection with the same id, version and clean start or not."""
        if not u.conn:
            return self.act_connect(u)
        old, will, lasting = u.conn, u.will, u.lasting
        for d in u.unacked:
            d.dup = True
        u.queue = u.unacked + [d for d in u.queue if d.qos > 0]
        u.unacked, u.conn, u.will = [], None, None
        if not lasting:
            u.forget()
        if will:
            self.publish(None, *will)  # it is the broker that publishes it: No Local does not apply
        resumed, u.lasting = lasting, True
        u.conn = self.b.client(u.version, id=u.name, clean=False, session=int(resumed) if not (will and not lasting) else None,
                               properties=[(SESSION_EXPIRY, 600)] if u.version == 5 else ())
        old.closed(0x8E)
        if will:
            self.watch.expect(PUBLISH, topic=will[0], payload=will[1])

    def act_disconnect(self, u):
        if u.conn:
            self.settle()
            self.leave(u, True)

    def act_drop(self, u):
        if u.conn:
            self.settle()
            self.leave(u, False)

    def act_subscribe(self, u):
        if not u.conn:
            return self.act_connect(u)
        rng = self.rng
        qos, v5 = rng.choice((0, 1, 2)), u.version == 5
        sub = {"qos": qos, "no_local": v5 and rng.random() < 0.2, "as_published": v5 and rng.random() < 0.3,
               "id": rng.choice((0, 0, 1, 2, 300)) if v5 else 0}
        handling = rng.choice((0, 0, 1, 2)) if v5 else 0
        f = rng.choice(list(u.subs)) if u.subs and rng.random() < 0.2 else self.filter()
        new = f not in u.subs
        u.subs[f] = sub
        options = qos | (NO_LOCAL if sub["no_local"] else 0) | (AS_PUBLISHED if sub["as_published"] else 0) | handling << 4
        u.conn.subscribe((f, options), properties=[(SUB_ID, sub["id"])] if sub["id"] else ())
        kept = [m for t, m in self.retained.items() if matches(f, t)]
        if handling == 2 or (handling == 1 and not new):
            kept = []
        due = [Due(m, min(m.qos, qos), True, [sub["id"]] if sub["id"] else []) for m in kept]
        self.receive(u, due, ordered=False)

    def act_unsubscribe(self, u):
        if not u.conn:
            return self.act_connect(u)
        f = self.rng.choice(list(u.subs)) if u.subs and self.rng.random() < 0.8 else self.filter()
        there = u.subs.pop(f, None) is not None
        u.conn.unsubscribe(f, codes=[0 if there else 0x11])

    def act_publish(self, u):
        if not u.conn:
            return self.act_connect(u)
        rng = self.rng
        for _ in range(rng.choice((1, 1, 1, 5))):
            topic = rng.choice(list(self.retained)) if self.retained and rng.random() < 0.2 else self.topic()
            qos, retain = rng.choice((0, 1, 2)), rng.random() < 0.3
            payload = b"" if retain and rng.random() < 0.3 else self.payload()
            self.publish(u.name, topic, payload, qos, retain)
            self.shake_hands(u, topic, payload, qos, retain)
            self.watch.expect(PUBLISH, topic=topic, payload=payload)

    def shake_hands(self, u, topic, payload, qos, retain):
        """Publishes while messages for this very client may come in between: they are kept for receive()."""
        c = u.conn
        pid = c.pid() if qos else None
        c.send(publish(u.version, topic, payload, qos, pid, retain))
        for want in {0: (), 1: (PUBACK,), 2: (PUBREC, PUBCOMP)}[qos]:
            self.until(c, want, pid)
            if want == PUBREC:
                c.send(ack(PUBREL, pid))

    @staticmethod
    def until(c, kind, pid=None):
        passed = []
        while True:
            p = c.read()
            if p is None:
                raise Wrong("closed")
            if p.kind == kind:
                break
            passed.append(p)
        if pid is not None and p.pid != pid:
            raise Wrong(f"expected packet id {pid}, got {p}")
        c.stash = passed + c.stash

    # --- what they must have received ---

    @staticmethod
    def one_more(u, due, got):
        try:
            p = u.conn.read()
        except Wrong as fault:
            raise Wrong(f"{u.name} should have {due}, has {got}: {fault}") from fault
        if p is None:
            raise Wrong(f"{u.name} was closed")
        return p

    def settle_order(self, due, got):
        """What a broker may send in another order; this one has a single one."""

    def receive(self, u, due, ordered=True, acknowledge=True):
        """All that is due, and nothing else before the PINGRESP of a ping sent then."""
        c, got = u.conn, []
        pings = releases = 0
        asked = False
        while not asked or pings or releases:
            if len(got) >= len(due) and not asked:
                c.send(pingreq())
                pings, asked = 1, True
            p = self.one_more(u, due, got)
            if p.kind == PUBLISH:
                got.append(p)
                if p.qos and acknowledge:
                    c.send(ack(PUBACK if p.qos == 1 else PUBREC, p.pid))
                    releases += p.qos == 2
            elif p.kind == PUBREL:
                c.send(ack(PUBCOMP, p.pid))
                releases -= 1
            elif p.kind == PINGRESP:
                pings -= 1
            else:
                raise Wrong(f"{p}")
        if len(got) != len(due):
            raise Wrong(f"{u.name} should have {due}, has {got}")
        if not ordered:
            due.sort(key=Due.key)
            got.sort(key=lambda p: (p.topic, p.payload))
        self.settle_order(due, got)
        for d, p in zip(due, got):
            d.check(p, u.version)
            d.pid = p.pid
        if not acknowledge:
            u.unacked += [d for d in due if d.qos]

    def settle(self):
        for u in self.users:
            if u.conn and not u.unacked:
                due, u.queue = u.queue, []
                self.receive(u, due)

    def act_hold_back(self, u):
        """Receives without acknowledging, and drops: all of it must come again."""
        if not u.conn:
            return self.act_connect(u)
        for _ in range(3):
            topic, payload = self.topic(), self.payload()
            self.publish("watch", topic, payload, 2, False)
            self.watch.send(publish(5, topic, payload, 2, 1))
            self.until(self.watch, PUBREC, 1)
            self.watch.send(ack(PUBREL, 1))
            self.until(self.watch, PUBCOMP, 1)
            self.watch.expect(PUBLISH, topic=topic, payload=payload)
        due, u.queue = u.queue, []
        self.receive(u, due, acknowledge=False)
        self.leave(u, False)

    ACTS = {"connect": 4, "take_over": 1, "disconnect": 1, "drop": 1, "subscribe": 6, "unsubscribe": 3, "publish": 14,
            "hold_back": 1}

    def step(self):
        u = self.rng.choice(self.users)
        getattr(self, "act_" + self.rng.choices(list(self.ACTS), self.ACTS.values())[0])(u)
        self.settle()


def live(world, steps):
    for step in range(steps):
        try:
            world.step()
        except Wrong as fault:
            raise Wrong(f"step {step}: {fault}") from fault
    for u in world.users:
        if u.conn:
            world.leave(u, True)


STEPS = int(os.environ.get("WEIR_TEST_STEPS", "250"))


@rows([(f"seed {n}", n) for n in range(int(os.environ.get("WEIR_TEST_SEEDS", "24")))], versions=(5,))
def random_users_get_what_the_model_says(b, v, seed):
    live(World(b, seed), STEPS)


if __name__ == "__main__":
    main(parallel=2)
