# SPDX-License-Identifier: MIT
"""Who may what: the access rules on the wire, with one broker for most of it."""
import pathlib

from broker_rig import *  # noqa: F403

RULES = """broker:
  acl:
    - {allow: all, topic: "open/#"}
    - {allow: [read, subscribe], topic: "look/#"}
    - {allow: subscribe, topic: "#"}
    - {allow: write, topic: ["drop/#", "will/ok"]}
    - {allow: all, topic: "own/%c/#"}
    - {client: "reader*", allow: read, topic: "shared"}
    - {client: "writer*", allow: write, topic: "shared"}
    - {deny: all, topic: "open/not/#"}
"""


@test()
def a_refused_publish_is_said_or_acknowledged_and_reaches_nobody(b, v):
    watcher, c, topic = b.client(v), b.client(v), "look/" + fresh()
    watcher.subscribe("look/#", qos=2)
    for qos in (0, 1, 2):
        c.publish(topic, "x", qos, retain=True, reasons=(0x87,) if v == 5 else (0,))
    watcher.nothing()
    late = b.client(v)
    late.subscribe(topic)
    late.nothing()


@test()
def a_refused_subscription_does_not_refuse_its_neighbours(b, v):
    c, topic = b.client(v), "open/" + fresh()
    c.subscribe(topic, "open/not/x", "drop/x", "$SYS/#", qos=1, codes=[1] + [0x87 if v == 5 else 0x80] + [1] + [0x87 if v == 5 else 0x80])
    b.client(v).publish(topic, "x", 1)
    c.receive(topic, "x", 1)


@test()
def what_may_not_be_read_passes_by_a_wide_subscription(b, v):
    wide, c, word = b.client(v), b.client(v), fresh()
    c.publish(f"drop/{word}", "secret", 1, retain=True)
    c.publish(f"open/{word}", "kept", 1, retain=True)
    wide.subscribe(f"+/{word}", qos=1)
    wide.receive(f"open/{word}", "kept", 1)
    c.publish(f"drop/{word}", "secret", 1)
    c.publish(f"open/{word}", "fine", 1)
    wide.receive(f"open/{word}", "fine", 1)
    wide.nothing()


@test()
def a_client_has_a_place_of_its_own(b, v):
    mine, other = b.client(v), b.client(v)
    mine.subscribe(f"own/{mine.id}/#")
    mine.send(publish(v, f"own/{mine.id}/x", "x"))
    mine.receive(f"own/{mine.id}/x", "x")
    other.publish(f"own/{mine.id}/x", "y")
    mine.nothing()


@test()
def a_will_needs_the_right_to_write(b, v):
    b.client(v, will=Will("will/ok"))
    s = b.socket(v)
    s.send(connect(v, fresh("c"), will=Will("will/no")))
    s.expect(CONNACK, reason=0x87 if v == 5 else 5)
    s.closed()


@test(versions=(5,))
def members_of_a_share_that_may_not_read_get_nothing(b, v):
    reader, outsider, writer = b.client(v, id=fresh("reader")), b.client(v), b.client(v, id=fresh("writer"))
    for c in (outsider, reader):
        c.subscribe("$share/g/shared")
    for i in range(4):
        writer.publish("shared", str(i))
        reader.receive("shared", str(i))
    outsider.nothing()


@test()
def a_reload_takes_and_gives_rights_at_once(_, v):
    def rules(*lines):
        return "broker:\n  acl:\n    - {allow: [write, subscribe], topic: \"#\"}\n" + "".join(f"    - {line}\n" for line in lines)
    b = Broker(rules('{allow: read, topic: "a"}'))
    try:
        config = pathlib.Path(b.dir.name, "weir.yaml")
        c, away, p = b.client(v), b.client(v, clean=False, id=fresh("away"), **({"properties": [(SESSION_EXPIRY, 60)]} if v == 5 else {})), b.client(v)
        for one in (c, away):
            one.subscribe("a", "b", qos=1)
        p.publish("a", "1", 1)
        p.publish("b", "1", 1)
        c.receive("a", "1", 1)
        away.receive("a", "1", 1)
        away.disconnect()
        p.publish("a", "queued", 1)
        c.receive("a", "queued", 1)
        config.write_text(rules('{allow: read, topic: "b"}'), encoding="utf-8")
        b.process.send_signal(signal.SIGHUP)
        eventually(lambda: "reload=done" in b.said(), "the reload is done")

        def taken():
            p.publish("b", "2", 1)
            got = c.read(0.2) if select.select([c.sock], [], [], 0.2)[0] else None
            if got:
                c.acknowledge(got)
            return got and got.topic == "b"
        eventually(taken, "what is allowed now comes")
        p.publish("a", "3", 1)
        c.nothing()
        again = Client(b, v, id=away.id, clean=False)
        got = again.read()
        while got is not None and got.topic == "b":  # never what was queued while it was allowed
            again.acknowledge(got)
            if not select.select([again.sock], [], [], 0.2)[0] and not again.buffer and not again.stash:
                got = None
            else:
                got = again.read()
        if got is not None:
            raise Wrong(f"{got} came, and may not be read any more")
    finally:
        faults = b.stop()
    if faults:
        raise Wrong("; ".join(faults))


@test()
def what_waits_when_a_right_is_taken_away_is_asked_for_again(_, v):
    """Wills, retained messages, what a member of a share has in its queue and what would be sent again."""
    ours = {"clean": False, **({"properties": [(SESSION_EXPIRY, 60)]} if v == 5 else {})}
    rules = 'broker:\n  acl:\n    - {allow: all, topic: "#"}\n'
    b = Broker(rules)
    try:
        p, watch, slow = b.client(v), b.client(v), b.client(v, id=fresh("slow"), **ours)
        watch.subscribe("w")
        slow.subscribe("a", qos=1)
        dying = b.client(v, will=Will("w", "gone"))
        member = b.client(v, id=fresh("member"), **ours)
        member.subscribe("$share/g/a", qos=1)
        member.disconnect()
        p.publish("kept", "r", 1, retain=True)
        p.publish("a", "1", 1)
        slow.expect(PUBLISH, topic="a", payload="1")  # and no PUBACK
        slow.drop()
        pathlib.Path(b.dir.name, "weir.yaml").write_text(
            rules + '    - {deny: read, topic: "a"}\n    - {deny: read, topic: "kept"}\n    - {deny: write, topic: "w"}\n')
        b.process.send_signal(signal.SIGHUP)
        eventually(lambda: "reload=done" in b.said(), "the reload is done")
        dying.drop()
        eventually(lambda: f"client={dying.id} user=anonymous refused=write topic=w" in b.said(), "the will is refused")
        p.publish("w", "x", 1, reasons=(0x87,) if v == 5 else (0,))
        for c in (watch, Client(b, v, id=slow.id, session=None if v == 3 else 1, clean=False),
                  Client(b, v, id=member.id, session=None if v == 3 else 1, clean=False)):
            c.nothing(rounds=4)
        asking = b.client(v)
        asking.subscribe("kept", "a", "#", qos=1)
        asking.nothing(rounds=4)
    finally:
        faults = b.stop()
    if faults:
        raise Wrong("; ".join(faults))


LISTENERS = """  listeners:
    - {bind: "127.0.0.1:{port}"}
    - {bind: "127.0.0.1:{other}"}
  acl:
    - {allow: [write, subscribe], topic: "#"}
"""


class Elsewhere:
    """The same broker at another of its listeners."""

    def __init__(self, b, port):
        self.host, self.port, self.stop, self.said = "127.0.0.1", port, b.stop, b.said


@test()
def what_a_client_may_goes_by_the_listener_it_came_in_by(_, v):
    other = free_port()

    def rules(*lines):
        return "broker:\n" + LISTENERS.replace("{other}", str(other)) + "".join(f"    - {line}\n" for line in lines)
    here, there, ours = '"127.0.0.1:{port}"', f'"127.0.0.1:{other}"', {"properties": [(SESSION_EXPIRY, 60)]} if v == 5 else {}
    b = Broker(rules(f'{{listener: {here}, allow: read, topic: "a/#"}}', f'{{listener: {there}, allow: read, topic: "b"}}',
                     f'{{listener: {there}, deny: write, topic: "a/no"}}'))
    try:
        config, at = pathlib.Path(b.dir.name, "weir.yaml"), Elsewhere(b, other)
        c, d, p = Client(b, v), Client(at, v, id=fresh("d"), clean=False, **ours), b.client(v)
        for one in (c, d):
            one.subscribe("a/#", "b", qos=1)
        p.publish("a/x", "1", 1)
        p.publish("b", "1", 1)
        c.receive("a/x", "1", 1)
        d.receive("b", "1", 1)
        d.publish("a/no", "2", 1, reasons=(0x87,) if v == 5 else (0,))
        c.nothing()
        p.publish("a/no", "3", 1)
        c.receive("a/no", "3", 1)
        s = Socket(at, v).send(connect(v, fresh("w"), will=Will("a/no")))
        s.expect(CONNACK, reason=0x87 if v == 5 else 5)
        # what is queued for it is for the listener that it left by: it comes back by the other, and may not read it
        d.disconnect()
        p.publish("b", "queued", 1)
        d = Client(b, v, id=d.id, clean=False, session=None if v == 3 else 1)
        p.publish("a/x", "4", 1)
        d.receive("a/x", "4", 1)
        d.nothing()
        c.receive("a/x", "4", 1)
        e = Client(at, v)
        e.subscribe("a/#", "b", qos=1)
        # a reload changes it for those who are there
        text = rules(f'{{listener: {there}, allow: read, topic: "a/#"}}')
        first, second = [f'    - {{bind: "127.0.0.1:{port}"}}\n' for port in ("{port}", other)]
        text = text.replace(first + second, second + first).replace("{port}", str(b.port))  # in another order, too
        config.write_text(text, encoding="utf-8")
        b.process.send_signal(signal.SIGHUP)
        eventually(lambda: "reload=done" in b.said(), "the reload is done")
        p.publish("a/x", "5", 1)
        e.receive("a/x", "5", 1)
        for one in (c, d, e):
            one.nothing()
    finally:
        faults = b.stop()
    if faults:
        raise Wrong("; ".join(faults))


@test(versions=(4,))
def a_rule_for_a_listener_that_is_not_there_is_a_mistake(_, v):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "weir.yaml")
        path.write_text('broker:\n  listeners: [{bind: ":1883"}]\n  acl: [{listener: ":1884", deny: all, topic: "#"}]\n')
        done = subprocess.run([os.environ["WEIR"], "broker", "--config", str(path)], capture_output=True, text=True, check=False)
        if done.returncode == 0 or "there is no listener with `bind: :1884`" not in done.stderr:
            raise Wrong(f"status {done.returncode}: {done.stderr}")


@test(versions=(4,))
def a_refusal_is_told_once_with_what_would_have_been_needed(b, v):
    c, topic = b.client(v), "look/" + fresh()
    for _ in range(3):
        c.publish(topic, "x", 1)
    line = f'refused=write topic={topic}; it would need in broker.acl: {{user: anonymous, allow: [write], topic: {topic}}}'
    if b.said().count(line) != 1:
        raise Wrong(f"{b.said().count(line)} times {line}")


@test(versions=(4,))
def a_refusal_names_the_rule_that_denies_and_what_is_the_brokers(_, v):
    b = Broker('broker:\n  acl:\n    - {allow: all, topic: "#"}\n    - {deny: write, topic: "no"}\n')
    try:
        c = b.client(v)
        for topic in ("no", "$SYS/x"):
            c.publish(topic, "x", 1)
        for line in ("refused=write topic=no; the rule in weir.yaml:4 denies it",
                     "refused=write topic=$SYS/x; only the broker itself writes there"):
            if line not in b.said():
                raise Wrong(f"no {line} in {b.said()}")
    finally:
        faults = b.stop()
    if faults:
        raise Wrong("; ".join(faults))


@test(versions=(4,))
def a_client_that_tries_topic_after_topic_does_not_fill_the_log(_, v):
    b = Broker('broker:\n  acl: [{allow: all, topic: "open"}]\n')
    try:
        c = b.client(v)
        c.send(*[publish(v, f"closed/{i}", "x") for i in range(300)])
        c.nothing()
        told = pathlib.Path(b.dir.name, "log").read_text(encoding="utf-8").count("refused=write topic=closed/")
        if told != 100:
            raise Wrong(f"{told} of 300 refusals in the log")
    finally:
        b.stop()


main(RULES, parallel=6)
