# SPDX-License-Identifier: MIT
"""$SYS: the names that users of mosquitto know, with values that make sense."""
import re

from broker_rig import *  # noqa: F403

NUMBER, REAL = r"-?\d+", r"-?\d+(\.\d+)?"
KNOWN = [("version", r"weir .*"), ("uptime", r"\d+ seconds"),
         ("clients/total", NUMBER), ("clients/connected", NUMBER), ("clients/disconnected", NUMBER),
         ("clients/active", NUMBER), ("clients/inactive", NUMBER), ("clients/maximum", NUMBER),
         ("clients/expired", NUMBER), ("messages/received", NUMBER), ("messages/sent", NUMBER),
         ("messages/stored", NUMBER), ("store/messages/count", NUMBER), ("store/messages/bytes", NUMBER),
         ("subscriptions/count", NUMBER), ("shared_subscriptions/count", NUMBER), ("retained messages/count", NUMBER),
         ("publish/messages/received", NUMBER), ("publish/messages/sent", NUMBER), ("publish/messages/dropped", NUMBER),
         ("publish/bytes/received", NUMBER), ("publish/bytes/sent", NUMBER), ("bytes/received", NUMBER),
         ("bytes/sent", NUMBER)] + \
        [(f"load/{what}/{span}min", REAL) for what in
         ("messages/received", "messages/sent", "publish/received", "publish/sent", "publish/dropped", "bytes/received",
          "bytes/sent", "sockets", "connections") for span in (1, 5, 15)]


@rows([(k, k, p) for k, p in KNOWN], versions=(4,))
def a_known_name_has_a_value(b, v, name, pattern):
    c = b.client(v)
    topic = f"$SYS/broker/{name}"
    c.subscribe(topic)
    text = c.expect(PUBLISH, topic=topic, patience=20).payload.decode()
    if not re.fullmatch(pattern, text):
        raise Wrong(f"{topic} is {text!r}")


@test("MQTT-4.7.2-1")
def they_are_found_by_their_own_wildcard_and_not_by_hash(b, v):
    c = b.client(v)
    c.subscribe("#")
    c.subscribe("$SYS/#")
    if not c.expect(PUBLISH, patience=20).topic.startswith("$SYS/"):
        raise Wrong("not $SYS")


@test(versions=(4, 5))
def a_client_cannot_write_them(b, v):
    s, p = b.client(4), b.client(v)
    p.send(publish(v, "$SYS/broker/version", "evil", 1, 1, retain=True))
    p.read()
    s.subscribe("$SYS/broker/version")
    text = s.expect(PUBLISH, topic="$SYS/broker/version", patience=20).payload
    if text == b"evil":
        raise Wrong("a client changed $SYS")


main(parallel=30)
