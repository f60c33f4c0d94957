# SPDX-License-Identifier: MIT
"""What outlives the broker's process: killed with -9, stopped, its file damaged, its disk full. Each test starts a broker
of its own, with a directory for what it keeps."""
import random
import re
import shutil

from kept_rig import *  # noqa: F403

@rows([("kill -9", True), ("a stop", False)], versions=(4, 5))
def sessions_queues_and_retained_messages_are_there_again_after(_, v, kill):
    with kept() as b:
        sub = stay(b, v, id="hmi")
        sub.subscribe("q1/#", qos=1)
        sub.subscribe("q2/#", qos=2)
        sub.drop()
        pub = b.client(4)
        for i in range(50):
            pub.publish(f"q{1 + i % 2}/a", str(i), qos=1 + i % 2)
        pub.publish("state", "retained", qos=1, retain=True)
        pub.publish("state/gone", "x", qos=1, retain=True)
        pub.publish("state/gone", "", qos=1, retain=True)
        b.restart(kill)
        sub = stay(b, v, id="hmi", session=1)
        got = {"q1/a": [], "q2/a": []}  # each in its order: QoS 2 goes when its packet id is safe
        for i in range(50):
            p = sub.expect(PUBLISH)
            got[p.topic].append(int(p.payload))
            sub.acknowledge(p)
        if got != {"q1/a": list(range(0, 50, 2)), "q2/a": list(range(1, 50, 2))}:
            raise Wrong(f"got {got}")
        sub.nothing()
        other = b.client(v)
        other.subscribe("state/#")
        other.receive("state", "retained", retain=True)
        other.nothing()
        b.restart(False)  # after kill -9 what was acknowledged in the last second might come again
        stay(b, v, id="hmi", session=1).nothing()


class Device:
    """One end of a flow that keeps its state, as MQTT 3.1.1 wants it, over any number of connections."""

    def __init__(self, broker, name):
        self.broker, self.name, self.socket = broker, name, None

    def connect(self):
        self.socket = Client(self.broker, 4, id=self.name, clean=False)
        self.resume()

    def turn(self):
        """Takes part for a moment; a connection that broke is made again."""
        try:
            if self.socket is None:
                self.connect()
            self.act()
            while self.socket.buffer or select.select([self.socket.sock], [], [], 0)[0]:
                p = self.socket.read()
                if p is None:
                    raise OSError("closed")
                self.hear(p)
        except (OSError, Wrong):
            if self.socket:
                self.socket.drop()
            self.socket = None

    def resume(self):
        pass

    def act(self):
        pass


class Publisher(Device):
    def __init__(self, broker, count):
        super().__init__(broker, "publisher")
        self.left, self.flight, self.pid = list(range(count)), {}, 0

    def resume(self):
        for pid, (i, released) in list(self.flight.items()):
            self.socket.send(ack(PUBREL, pid) if released else publish(4, "flow", str(i), 2, pid, dup=True))

    def act(self):
        while self.left and len(self.flight) < 20:
            self.pid = self.pid % 30 + 1  # ids are used again soon
            if self.pid in self.flight:
                continue
            i = self.left.pop(0)
            self.flight[self.pid] = [i, False]
            self.socket.send(publish(4, "flow", str(i), 2, self.pid))

    def hear(self, p):
        if p.kind == PUBREC:
            self.flight[p.pid][1] = True
            self.socket.send(ack(PUBREL, p.pid))
        elif p.kind == PUBCOMP:
            del self.flight[p.pid]


class Subscriber(Device):
    def __init__(self, broker):
        super().__init__(broker, "subscriber")
        self.seen, self.held = [], set()

    def hear(self, p):
        if p.kind == PUBLISH:
            if p.pid not in self.held:
                self.seen.append(int(p.payload))
            self.held.add(p.pid)
            self.socket.send(ack(PUBREC, p.pid))
        elif p.kind == PUBREL:
            self.held.discard(p.pid)
            self.socket.send(ack(PUBCOMP, p.pid))


@test(versions=(4,))
def qos_2_is_exactly_once_on_both_legs_over_ten_times_kill_9(_, v):
    seed = int(os.environ.get("WEIR_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    chance, count = random.Random(seed), 6000
    with kept() as b:
        sub, pub = Subscriber(b), Publisher(b, count)
        sub.connect()
        sub.socket.subscribe("flow", qos=2)
        kills, due = 0, time.monotonic() + 0.2
        end = time.monotonic() + 6 * PATIENCE_S
        while len(set(sub.seen)) < count or pub.flight:
            if time.monotonic() > end:
                raise Wrong(f"seed {seed}: {len(sub.seen)} of {count} arrived, {len(pub.flight)} unanswered: {b.said()}")
            pub.turn()
            sub.turn()
            if kills < 10 and time.monotonic() > due:
                b.restart()
                kills += 1
                due = time.monotonic() + chance.uniform(0.02, 0.2)
            select.select([], [], [], 0.001)
        if sub.seen != list(range(count)):
            raise Wrong(f"seed {seed}: {len(sub.seen)} came of {count}, {len(set(sub.seen))} different, "
                        f"first out of place at {next(i for i, n in enumerate(sub.seen) if n != i)}")


@test(versions=(5,))
def a_will_of_who_was_connected_at_a_kill_9_comes_after_its_delay(_, v):
    with kept() as b:
        watch = stay(b, 4, id="watch")
        watch.subscribe("wills/#", qos=1)
        watch.drop()
        for name, delay in (("now", 0), ("late", 1), ("never", 60)):
            stay(b, v, id=name, will=Will(f"wills/{name}", "gone", qos=1, properties=[(WILL_DELAY, delay)]))
        b.restart()
        watch = stay(b, 4, id="watch", session=1)
        watch.receive("wills/now", "gone", qos=1)
        watch.receive("wills/late", "gone", qos=1)
        stay(b, v, id="never", session=1).disconnect()
        watch.nothing()


@test(versions=(5,))
def session_and_message_expiry_count_while_the_broker_is_down(_, v):
    with kept() as b:
        for name, expiry in (("short", 1), ("long", 3600)):
            s = stay(b, v, id=name, properties=[(SESSION_EXPIRY, expiry)])
            s.subscribe("a", qos=1)
            s.drop()
        pub = b.client(v)
        pub.publish("a", "fleeting", qos=1, properties=[(EXPIRY, 1)])
        pub.publish("a", "lasting", qos=1, properties=[(EXPIRY, 3600)])
        b.kill()
        let_time_pass(1.2)
        b.begin()
        stay(b, v, id="short", session=0)
        s = stay(b, v, id="long", session=1)
        s.receive("a", "lasting", qos=1)
        s.nothing()


@test(versions=(4,))
def mosquitto_and_paho_find_their_sessions_again(_, v):
    if not shutil.which("mosquitto_sub"):
        raise Wrong("mosquitto_sub is needed: apt-get install mosquitto-clients")
    import paho.mqtt.client as paho
    with kept() as b:
        port = ["-h", b.host, "-p", str(b.port)]
        subprocess.run(["mosquitto_sub", *port, "-i", "m", "-c", "-q", "2", "-t", "x/#", "-E"], check=True, timeout=20)
        got, c = [], paho.Client("p", clean_session=False)
        c.on_connect = lambda c, *_: c.subscribe("x/#", 1)
        c.on_subscribe = lambda c, *_: got.append("subscribed")
        c.on_message = lambda c, u, m: got.append(m.payload.decode())
        c.connect(b.host, b.port)
        eventually(lambda: (c.loop(0.05), got)[1], "paho has subscribed")
        c.disconnect()
        c.loop(0.1)
        for i in range(5):
            subprocess.run(["mosquitto_pub", *port, "-q", "2", "-t", "x/y", "-m", str(i)], check=True, timeout=20)
        b.restart()
        said = subprocess.run(["mosquitto_sub", *port, "-i", "m", "-c", "-q", "2", "-t", "x/#", "-C", "5", "-W", "15"],
                              check=True, stdout=subprocess.PIPE, text=True, timeout=20)
        if said.stdout.split() != list("01234"):
            raise Wrong(f"mosquitto_sub got {said.stdout.split()}")
        c.connect(b.host, b.port)
        eventually(lambda: (c.loop(0.05), [g for g in got if g.isdigit()] == list("01234"))[1], f"paho gets them: {got}")
        c.disconnect()


@test(versions=(4,))
def a_damaged_file_is_set_aside_and_the_broker_serves(_, v):
    with kept() as b:
        sub = stay(b, v, id="hmi")
        sub.subscribe("a", qos=1)
        sub.drop()
        b.client(v).publish("a", "x", qos=1)
        b.process.terminate()
        b.process.wait(PATIENCE_S)
        file = b.data / "broker.db"
        with open(file, "r+b") as f:
            f.seek(0)
            f.write(os.urandom(min(3 * 4096, file.stat().st_size)))
        b.begin()
        sub = stay(b, v, id="hmi")
        sub.subscribe("a", qos=1)
        b.client(v).publish("a", "y", qos=1)
        b.restart()
        stay(b, v, id="hmi", session=1)
        if not [p for p in b.data.iterdir() if re.match(r"broker-.*\.(db|page1)", p.name)]:
            raise Wrong(f"nothing was set aside: {list(b.data.iterdir())}")


@test(versions=(5,))
def at_its_bound_it_refuses_and_takes_again_when_there_is_room(_, v):
    with kept(state_bytes="1MiB") as b:
        sub = stay(b, v, id="hmi")
        sub.subscribe("a", qos=1)
        sub.drop()
        pub, taken = b.client(v), 0
        while pub.publish("a", "x" * 4000, qos=1, reasons=(0, 0x97)).reason == 0:
            taken += 1
            if taken > 1000:
                raise Wrong("1,000 messages of 4,000 bytes in a file of 1 MiB")
        if taken < 50:
            raise Wrong(f"only {taken} messages of 4,000 bytes in a file of 1 MiB")
        pub.publish("elsewhere", "x", qos=1)
        sub = stay(b, v, id="hmi", session=1)
        for _ in range(taken):
            sub.receive("a", qos=1)
        sub.drop()
        eventually(lambda: pub.publish("a", "x" * 4000, qos=1, reasons=(0, 0x97)).reason == 0, "there is room again")


def fill(path):
    with open(path, "wb", buffering=0) as f:
        with contextlib.suppress(OSError):
            while True:
                f.write(b"\0" * 4096)


@test(versions=(4,))
def a_full_disk_holds_the_acknowledgement_and_not_the_message(_, v):
    if subprocess.run(["unshare", "-Urm", "true"], check=False, capture_output=True).returncode != 0:
        print("(no user and mount namespaces here: the full disk is not tried)")
        return

    class Small(Kept):
        def begin(self):
            inside = "mount -t tmpfs -o size=6m none \"$0\" && exec \"$@\""
            self.wrap = ["unshare", "-Urm", "sh", "-c", inside, str(self.data)]
            super().begin()
    b = Small(state_bytes="4MiB")
    try:
        here, gone = b.client(v), stay(b, v, id="away")
        here.subscribe("a", qos=1)
        gone.subscribe("a", qos=1)
        gone.drop()
        pub = b.client(v)
        pub.publish("a", "before", qos=1)
        here.receive("a", "before", qos=1)
        filler = pathlib.Path(f"/proc/{b.process.pid}/root{b.data}/fill")
        fill(filler)
        while True:  # what room the file has of its own is used up
            pid = pub.pid()
            pub.send(publish(v, "a", "x" * 60000, 1, pid))
            here.receive("a", qos=1)
            try:
                pub.expect(PUBACK, patience=1, pid=pid)
            except Wrong:
                break
        filler.unlink()
        pub.expect(PUBACK, pid=pid)
        pub.publish("a", "after", qos=1)
        here.receive("a", "after", qos=1)
    finally:
        b.kill()
        b.stop()


if __name__ == "__main__":
    main(parallel=3)
