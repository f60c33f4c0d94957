# SPDX-License-Identifier: MIT
"""The model's random users before a broker that keeps its state, is killed with -9 between two steps, and starts again.

What was answered before a kill holds after it: sessions with their subscriptions, what waits for them, packet ids of
QoS 2 in both directions, retained messages and the wills of sessions that are kept.
"""
from kept_rig import *  # noqa: F403
import model
from model import NOT_RETAINED

TESTS.clear()  # the model's own are not run again


class KeptWorld(model.World):
    ACTS = dict(model.World.ACTS, kill=1)
    WILL_QOS = (1, 2)  # so that a client that is kept and away sees when a will has come

    def settle_order(self, due, got):
        """QoS 2 waits for its packet id to be safe, so only what has one topic and QoS has one order [MQTT-4.6.0-6]."""
        due.sort(key=lambda d: (d.m.topic, d.qos))
        got.sort(key=lambda p: (p.topic, p.qos))

    def wait_for_the_disk(self):
        """Every acknowledgement of a client has been heard; then CONNACK of a new session waits for all before it."""
        for u in self.users:
            if u.conn:
                u.conn.send(pingreq())
                self.until(u.conn, PINGRESP)
        stay(self.b, 5).disconnect()

    def lose(self, u):
        """What a kill leaves of a user: nothing, or a session, and the will, due when the broker is there again."""
        will, lasting = u.will, u.lasting and u.exists()
        if u.conn:
            u.conn.drop()
        u.conn = u.will = None
        if not lasting:
            u.forget()
        for d in u.queue:
            d.dup = None  # that it was sent is not written down
            d.pid = d.pid if d.qos == 2 else None
        return will if lasting else None

    def act_kill(self, _):
        topics = [u.will[0] for u in self.users if u.will]
        if len(topics) != len(set(topics)):
            return  # which of two to one topic comes first is nobody's to say
        for u in self.users:
            if u.will and not u.lasting:
                self.leave(u, True)  # whether a will is known that no session outlives is not promised
        witness = stay(self.b, 5)
        witness.subscribe((f"{self.root}/#", 1 | NOT_RETAINED), (f"${self.root}/#", 1 | NOT_RETAINED), codes=[1, 1])
        witness.drop()
        self.wait_for_the_disk()
        self.b.kill()
        wills = [w for w in [self.lose(u) for u in self.users] if w]
        self.watch.drop()
        self.b.begin()
        for w in wills:
            self.publish(None, *w)
        witness = stay(self.b, 5, id=witness.id, session=1)
        came = self.wills_of(witness, len(wills))
        if came != sorted((w[0], w[1]) for w in wills):
            raise Wrong(f"wills {wills}, came {came}")
        witness.disconnect(0, [(SESSION_EXPIRY, 0)])
        self.watch_all()

    @staticmethod
    def wills_of(witness, count):
        came = []
        for _ in range(count):
            p = witness.expect(PUBLISH, qos=1)
            witness.acknowledge(p)
            came.append((p.topic, p.payload))
        witness.nothing()
        return sorted(came)


@rows([(f"seed {n}", n) for n in range(int(os.environ.get("WEIR_TEST_SEEDS", "12")))], versions=(5,))
def random_users_get_what_the_model_says_over_kill_9(_, v, seed):
    with kept() as b:
        model.live(KeptWorld(b, seed), model.STEPS)


main(parallel=2)
