# SPDX-License-Identifier: MIT
"""How bytes fall into segments makes no difference: one by one, all at once, cut anywhere."""
import random

from broker_rig import *  # noqa: F403


def conversation(v, topic, client_id):
    """Every packet a client may send, and the types the broker must answer with, in order."""
    sent = [connect(v, client_id, will=Will("w", b"x" * 200, 1)), subscribe(v, 1, (topic, 2), (topic + "/+", 1)),
            publish(v, topic, b"p" * 150, 0), publish(v, topic + "/a", b"q" * 3, 1, 2), publish(v, "none", b"", 2, 3),
            ack(PUBREL, 3), unsubscribe(v, 4, topic, topic + "/+"), pingreq()]
    kinds = [CONNACK, SUBACK, PUBLISH, PUBACK, PUBLISH, PUBREC, PUBCOMP, UNSUBACK, PINGRESP]
    return sent, kinds


def answered(s, kinds):
    got = [s.read() for _ in kinds]
    if sorted(p.kind if p else 0 for p in got) != sorted(kinds):
        raise Wrong(f"got {got}")
    replies = [p.kind for p in got if p.kind not in (PUBLISH,)]
    if replies != [k for k in kinds if k != PUBLISH]:
        raise Wrong(f"replies out of order: {got}")


def finish(s, v):
    s.send(disconnect(v))
    s.closed()


@test("3.1.4")
def a_whole_conversation_in_one_segment(b, v):
    s = b.socket(v)
    sent, kinds = conversation(v, fresh(), fresh("c"))
    s.send(*sent)
    answered(s, kinds)
    finish(s, v)


@test("MQTT-3.1.4-5")
def connect_subscribe_publish_and_disconnect_in_one_segment(b, v):
    topic = fresh()
    w = b.client(v)
    w.subscribe(topic, qos=1)
    s = b.socket(v)
    s.send(connect(v, fresh("c")), publish(v, topic, "x", 1, 1), disconnect(v))
    s.expect(CONNACK, reason=0)
    s.expect(PUBACK, pid=1)
    s.closed()
    w.receive(topic, "x", 1)


@test("2.1")
def a_whole_conversation_byte_by_byte(b, v):
    s = b.socket(v)
    sent, kinds = conversation(v, fresh(), fresh("c"))
    for byte in b"".join(sent):
        s.sock.send(bytes([byte]))
    answered(s, kinds)
    finish(s, v)


@rows([(f"seed {n}", n) for n in range(12)])
def a_whole_conversation_cut_anywhere(b, v, seed):
    rng = random.Random(seed)
    s = b.socket(v)
    sent, kinds = conversation(v, fresh(), fresh("c"))
    data = b"".join(sent)
    while data:
        n = rng.choice((1, 2, 3, 5, 17, 60, 200))
        s.sock.send(data[:n])
        data = data[n:]
    answered(s, kinds)
    finish(s, v)


@rows([(f"cut after {n}", n) for n in range(1, 7)])
def a_large_publish_cut_in_its_header(b, v, at):
    topic = fresh()
    w = b.client(v)
    w.subscribe(topic, qos=1)
    c = b.client(v)
    data = publish(v, topic, b"z" * 300000, 1, 1)
    c.send(data[:at])
    w.nothing()
    c.send(data[at:])
    c.expect(PUBACK, pid=1)
    w.receive(topic, b"z" * 300000, 1)


@test()
def ten_thousand_small_packets_in_one_write(b, v):
    topic = fresh()
    w, c = b.client(v), b.client(v)
    w.subscribe(topic)
    c.send(publish(v, topic, "x") * 10000)
    for _ in range(10000):
        w.expect(PUBLISH, topic=topic, payload="x")
    c.nothing()


@test()
def half_a_packet_and_gone(b, v):
    topic = fresh("will")
    w = b.client(5)
    w.subscribe(topic)
    whole = publish(v, "x", "y" * 20, 1, 1)
    for cut in range(1, len(whole)):
        c = b.client(v, will=Will(topic, str(cut)))
        c.send(whole[:cut]).drop()
        w.receive(topic, str(cut))


@test()
def a_client_that_shuts_down_its_sending_side_is_gone(b, v):
    topic = fresh("will")
    w = b.client(5)
    w.subscribe(topic)
    c = b.client(v, will=Will(topic))
    c.sock.shutdown(socket.SHUT_WR)
    w.receive(topic, "gone")
    c.closed()


main(parallel=8)
