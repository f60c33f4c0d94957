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


@test(versions=(4,))
def a_refusal_is_told_once_with_what_would_have_been_needed(b, v):
    c, topic = b.client(v), "look/" + fresh()
    for _ in range(3):
        c.publish(topic, "x", 1)
    line = f'refused=write topic={topic}; it would need in broker.acl: {{user: anonymous, allow: [write], topic: {topic}}}'
    if b.said().count(line) != 1:
        raise Wrong(f"{b.said().count(line)} times {line}")


main(RULES, parallel=6)
