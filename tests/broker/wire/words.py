# SPDX-License-Identifier: MIT
"""Reason strings: who hears why a thing was refused, and who does not."""
from broker_rig import *  # noqa: F403
from doors_rig import broker, users_file

RULES = """broker:
  receive_maximum: 5
  topic_alias_maximum: 3
  max_packet_size: 2KiB
  max_subscriptions: 2
  max_topic_levels: 4
  max_sessions: 3
  acl:
    - {allow: all, topic: "open/#"}
    - {allow: write, topic: "$SYS/#"}
"""


def said(packet, *parts):
    text = packet.prop(REASON)
    if text is None or any(p not in text for p in parts) or len(text.encode()) > 200:
        raise Wrong(f"expected a reason string with {parts}, got {packet}")


def silent(packet):
    if packet.prop(REASON) is not None:
        raise Wrong(f"expected no reason string, got {packet}")


@test(versions=(5,))
def a_refused_publish_says_who_may_not_do_what(_, v):
    with broker(RULES) as b:
        c = b.client(v)
        for qos in (1, 2):
            said(c.publish("plant/1/set", "x", qos, reasons=(0x87,)), "clients without a user name may not write plant/1/set")
        said(c.publish("$SYS/x", "x", 1, reasons=(0x87,)), "only the broker itself writes there")
        silent(c.publish("open/x", "x", 1))
        long = "plant/" + "ö" * 300  # cut between characters
        said(c.publish(long, "x", 1, reasons=(0x87,)), "may not write plant/öööö", "...")
        said(c.publish("plant/\u0001b", "x", 1, reasons=(0x87,)), "plant/?b")


@test(versions=(5,))
def refused_filters_are_explained_by_the_first_of_them(_, v):
    with broker(RULES) as b:
        c = b.client(v)
        said(c.subscribe("open/1", "plant/#", "mine", codes=[0, 0x87, 0x87]), "may not subscribe to plant/#")
        said(c.subscribe("open/1/2/3/4", codes=[0x8F]), "no topic filter", "open/1/2/3/4")
        silent(c.subscribe("open/2"))
        said(c.subscribe("open/3", codes=[0x97]), "2 subscriptions already (max_subscriptions)")


@test(versions=(5,))
def what_is_unsubscribed_and_was_not_there_is_named(_, v):
    with broker(RULES) as b:
        c = b.client(v)
        c.subscribe("open/1")
        silent(c.unsubscribe("open/1"))
        said(c.unsubscribe("open/1", codes=[0x11]), "no subscription to open/1")
        said(c.unsubscribe("open/2", "$share/g/open/3", codes=[0x11, 0x11]), "no subscription to open/2")
        said(c.unsubscribe("$share/g/open/3", codes=[0x11]), "no subscription to open/3 in share g")
        said(c.unsubscribe("open/1/2/3/4", codes=[0x8F]), "no topic filter", "open/1/2/3/4")
        silent(b.client(v, properties=[(WANT_PROBLEM, 0)]).unsubscribe("open/1", codes=[0x11]))
        silent(b.client(v, properties=[(MAX_PACKET, 20)]).unsubscribe("open/1", codes=[0x11]))


@test(versions=(5,))
def a_goodbye_says_what_was_wrong(_, v):
    cases = [(0x95, publish(v, "open/x", "x" * 3000), "packet of 30", "at most 2048 (max_packet_size)"),
             (0x93, b"".join(publish(v, "open/x", "x", 2, i) for i in range(1, 7)), "more than 5 messages unanswered"),
             (0x94, publish(v, "open/x", "x", properties=[(ALIAS, 9)]), "not in 1 to 3 (topic_alias_maximum)"),
             (0x81, b"\x62\x01\x00", "a malformed PUBREL"),
             (0x82, connect(v, "again"), "a CONNECT that the protocol does not allow here"),
             (0x90, publish(v, "open/1/2/3/4", "x"), "deeper than max_topic_length and max_topic_levels")]
    with broker(RULES) as b:
        for reason, data, *parts in cases:
            c = b.client(v).send(data)
            while (p := c.read()).kind != DISCONNECT:
                pass
            if p.reason != reason:
                raise Wrong(f"expected 0x{reason:02X}, got {p}")
            said(p, *parts)
            if c.read() is not None:
                raise Wrong("still open")
        c = b.client(v)
        b.client(v, id=c.id)
        said(c.expect(DISCONNECT, reason=0x8E), "another connection came with this client id")


@test(versions=(5,))
def who_wants_no_problem_information_hears_the_code_alone(_, v):
    with broker(RULES) as b:
        c = b.client(v, properties=[(WANT_PROBLEM, 0)])
        silent(c.publish("plant", "x", 1, reasons=(0x87,)))
        silent(c.subscribe("plant", codes=[0x87]))
        silent(c.send(b"\x62\x01\x00").expect(DISCONNECT, reason=0x81))
        old = b.client(4)
        old.subscribe("plant", codes=[0x80])
        old.publish("plant", "x", 1)


@rows([("16", 16), ("40", 40)], versions=(5,))
def words_never_make_a_packet_larger_than_the_client_takes(_, v, most):
    with broker("broker:\n  topic_alias_maximum: 0\n  receive_maximum: 65535\n  max_packet_size: 256MiB\n  acl: [{allow: all, topic: \"open\"}]\n") as b:
        c = b.client(v, properties=[(MAX_PACKET, most)])
        silent(c.publish("plant", "x", 1, reasons=(0x87,)))
        silent(c.subscribe("plant", codes=[0x87]))
        p = c.send(publish(v, "", "x", properties=[(ALIAS, 1)])).expect(DISCONNECT, reason=0x94)
        silent(p)


@test(versions=(5,))
def a_stranger_hears_nothing_and_one_whose_name_is_proven_why(_, v):
    def refused(b, reason, **how):
        s = b.socket(v)
        s.send(connect(v, how.pop("id", None) or fresh("c"), **how))
        return s.expect(CONNACK, reason=reason)
    with tempfile.TemporaryDirectory() as folder:
        path = users_file(folder, anna="secret", ben="geheim")
        with broker(f"broker:\n  users: {path}\n  max_connections_per_user: 1\n"
                    "  acl: [{allow: all, topic: open}]\n  listeners: [{bind: \"127.0.0.1:{port}\", allow_anonymous: false}]\n") as b:
            silent(refused(b, 0x87))
            silent(refused(b, 0x86, user="anna", password="wrong"))
            silent(refused(b, 0x86, user="eve", password="x"))
            eventually(lambda: "was not let in: it gives no user name, and one is needed there" in b.said(), "the log says who was refused")
            anna = {"user": "anna", "password": "secret"}
            said(refused(b, 0x87, will=Will("plant"), **anna), "user anna may not leave a will to plant")
            silent(refused(b, 0x87, will=Will("plant"), properties=[(WANT_PROBLEM, 0)], **anna))
            silent(refused(b, 0x87, will=Will("plant"), properties=[(MAX_PACKET, 30)], **anna))
            c = b.client(v, **anna)
            said(refused(b, 0x97, **anna), "1 connections of this user already (max_connections_per_user)")
            said(refused(b, 0x87, id=c.id, user="ben", password="geheim"), "belongs to another user until it ends")


@test(versions=(5,))
def below_a_mount_point_the_client_hears_its_own_topic(_, v):
    with broker("broker:\n  acl: [{allow: all, topic: \"tenants/a/open\"}]\n"
                "  listeners: [{bind: \"127.0.0.1:{port}\", mount_point: tenants/a}]\n") as b:
        c = b.client(v)
        for packet in (c.publish("plant", "x", 1, reasons=(0x87,)), c.subscribe("plant", codes=[0x87]),
                       c.subscribe("plant" + "/x" * 198, codes=[0x8F])):
            said(packet, "plant")
            if "tenants" in packet.prop(REASON):
                raise Wrong(f"the mount point is told: {packet}")


main(parallel=6)
