# SPDX-License-Identifier: MIT
"""Listeners with a mount point, users, rates and sizes of their own. Each test starts a broker of its own."""
from broker_rig import *  # noqa: F403
from doors_rig import at, broker, enter, users_file, weir


def mounted(mount="tenants/a", more=""):
    """A broker with a plain listener and one with a mount point, at which the second value connects."""
    other = free_port()
    config = ('broker:\n  listeners:\n    - {bind: "127.0.0.1:{port}"}\n'
              f'    - {{bind: "127.0.0.1:{other}", mount_point: {mount}}}\n{more}')
    return broker(config), at(other)


@test()
def topics_lie_below_the_mount_point_both_ways(_, v):
    running, inside = mounted(mount="tenants/a/")
    with running as b:
        whole, own, sender = b.client(v), Client(inside, v), Client(inside, v)
        whole.subscribe(("#", 2))
        own.subscribe(("x/+", 2))
        for qos in (0, 1, 2):
            sender.publish("x/y", "up", qos)
            whole.receive("tenants/a/x/y", "up", qos)
            own.receive("x/y", "up", qos)
            b.client(v).publish("tenants/a/x/z", "down", qos)
            own.receive("x/z", "down", qos)
            whole.receive("tenants/a/x/z", "down", qos)
        for outside in ("x/y", "tenants/b/x/y", "tenants/a", "tenants/ax/y"):
            b.client(v).publish(outside, "not here")
            whole.receive(outside, "not here")
        own.nothing()
        own.unsubscribe("x/+")
        sender.publish("x/y", "gone")
        whole.receive("tenants/a/x/y", "gone")
        own.nothing()


@test()
def everything_is_all_below_and_nothing_of_sys(_, v):
    running, inside = mounted()
    with running as b:
        whole, own = b.client(v), Client(inside, v)
        own.subscribe("#", "$SYS/#")
        whole.publish("tenants/a", "the mount point itself has no name there")
        whole.publish("tenants/a/deep/er", "this has")
        own.receive("deep/er", "this has")
        own.nothing()


@test()
def retained_messages_and_wills_are_below_too(_, v):
    running, inside = mounted()
    with running as b:
        whole = b.client(v)
        whole.publish("tenants/a/state", "on", 1, retain=True)
        whole.publish("state", "elsewhere", 1, retain=True)
        own = Client(inside, v, will=Will("last", "words", retain=True))
        own.subscribe(("#", 1))
        own.receive("state", "on", 1, retain=True)
        own.nothing()
        Client(inside, v).publish("state", "", 1, retain=True)
        own.receive("state", "", 1)
        whole.subscribe("tenants/#", "state")
        whole.receive("state", "elsewhere", retain=True)
        whole.nothing()
        own.sock.close()
        whole.receive("tenants/a/last", "words")


@test(versions=(5,))
def response_topics_find_their_way_and_other_properties_stay(_, v):
    running, inside = mounted()
    with running as b:
        whole, own = b.client(v), Client(inside, v)
        whole.subscribe("tenants/a/ask")
        own.subscribe("reply", "ask")
        Client(inside, v).publish("ask", "?", properties=(prop(0x26, ("k", "v")), prop(0x08, "reply"), prop(0x09, b"7"),
                                                          prop(0x26, ("k", "w"))))
        seen = whole.receive("tenants/a/ask", "?")
        if seen.properties != [(0x26, ("k", "v")), (0x08, "tenants/a/reply"), (0x09, b"7"), (0x26, ("k", "w"))]:
            raise Wrong(str(seen.properties))
        back = own.receive("ask", "?")
        if back.properties != [(0x26, ("k", "v")), (0x08, "reply"), (0x09, b"7"), (0x26, ("k", "w"))]:
            raise Wrong(str(back.properties))
        whole.publish("tenants/a/reply", "!")
        own.receive("reply", "!")
        crowd = [[b.client(v), "tenants/a/"] if i % 3 == 2 else [Client(inside, v), ""] for i in range(9)]
        for c, mount in crowd:
            c.subscribe(mount + "all")
        Client(inside, v).publish("all", "?", properties=(prop(0x08, "reply"), prop(0x26, ("k", "v"))))
        for c, mount in crowd:
            if c.receive(mount + "all", "?").properties != [(0x08, mount + "reply"), (0x26, ("k", "v"))]:
                raise Wrong("another receiver's mount point has changed it")


@test(versions=(5,))
def aliases_and_shared_subscriptions_work_below_it(_, v):
    running, inside = mounted()
    with running as b:
        whole, own = b.client(v), Client(inside, v, properties=(prop(0x22, 5),))
        own.subscribe("$share/g/a-long-enough-topic/#")
        whole.subscribe("tenants/a/#")
        own.send(publish(v, "a-long-enough-topic/x", b"1", properties=(prop(0x23, 1),)))
        own.send(publish(v, "", b"2", properties=(prop(0x23, 1),)))
        own.receive("a-long-enough-topic/x", "1")
        own.receive("", "2")
        whole.receive("tenants/a/a-long-enough-topic/x", "1")
        whole.receive("tenants/a/a-long-enough-topic/x", "2")


@test()
def a_session_that_comes_back_elsewhere_gets_nothing_from_outside(_, v):
    running, inside = mounted()
    with running as b:
        name = fresh("c")
        how = {"properties": (prop(0x11, 100),)} if v == 5 else {}
        before = b.client(v, id=name, clean=False, **how)
        before.subscribe(("#", 1))
        before.disconnect()
        b.client(v).publish("secret", "of the others", 1)
        after = Client(inside, v, id=name, clean=False, **how)
        b.client(v).publish("secret", "again", 1)
        after.nothing()
        b.client(v).publish("tenants/a/open", "for it", 1)
        after.receive("open", "for it", 1)


@test()
def names_that_become_too_long_or_too_deep_are_refused(_, v):
    running, inside = mounted()
    with running as b:
        own = Client(inside, v)
        own.subscribe("x" * 65530, "/".join("x" * 199), codes=[0x8F, 0x8F] if v == 5 else [0x80, 0x80])
        own.send(publish(v, "x" * 65530, b"1"))
        own.closed(0x90)
        b.client(v).nothing()


@test(versions=(4,))
def rules_and_why_speak_of_the_whole_name(_, v):
    running, inside = mounted(more='  acl:\n    - {allow: all, topic: "tenants/a/open/#"}\n')
    with running:
        own = Client(inside, v)
        own.subscribe("open/#", "shut/#", codes=[0, 0x80])
        Client(inside, v).publish("open/x", "1")
        own.receive("open/x", "1")
        Client(inside, v).publish("shut/x", "1")
        own.nothing()


@test()
def a_listener_has_users_of_its_own(_, v):
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as second:
        common, special = users_file(folder, anna="secret"), users_file(second, ben="geheim")
        other = free_port()
        config = (f'broker:\n  users: {common}\n  listeners:\n    - {{bind: "127.0.0.1:{{port}}"}}\n'
                  f'    - {{bind: "127.0.0.1:{other}", users: {special}}}\n').replace("{port}", "{port}")
        bad = {3: 4, 4: 4, 5: 0x86}[v]
        with broker(config.replace("{{", "{").replace("}}", "}")) as b:
            enter(b.socket(v), v, user="anna", password="secret")
            enter(b.socket(v), v, reason=bad, user="ben", password="geheim")
            enter(Socket(at(other), v), v, reason=bad, user="anna", password="secret")
            ben = Client(at(other), v, user="ben", password="geheim")
            anna = b.client(v, user="anna", password="secret")
            weir("user", "remove", special, "ben")
            b.process.send_signal(signal.SIGHUP)
            ben.closed(0x87)
            anna.nothing()


@test(versions=(5,))
def users_of_a_listener_are_enough_where_the_broker_has_none(_, v):
    with tempfile.TemporaryDirectory() as folder:
        with broker(f'broker:\n  listeners: [{{bind: "127.0.0.1:{{port}}", users: {users_file(folder, anna="secret")}}}]\n') as b:
            enter(b.socket(v), v, user="anna", password="secret")
            enter(b.socket(v), v, reason=0x86, user="anna", password="wrong")


@test(versions=(5,))
def a_listener_has_a_packet_size_of_its_own(_, v):
    other = free_port()
    config = ('broker:\n  listeners:\n    - {bind: "127.0.0.1:{port}"}\n'
              f'    - {{bind: "127.0.0.1:{other}", max_packet_size: 2KiB}}\n')
    with broker(config) as b:
        small = Client(at(other), v)
        if dict(small.connack.properties).get(0x27) != 2048:
            raise Wrong(str(small.connack))
        small.publish("x", b"y" * 2000)
        b.client(v).publish("x", b"y" * 3000)
        small.send(publish(v, "x", b"y" * 3000))
        small.closed(0x95)


@test(versions=(4,))
def a_mount_point_that_is_none_is_a_mistake(_, v):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "weir.yaml")
        for mount, why in (("a/#", "wildcard"), ("$SYS", "below it"), ("/", "below it")):
            path.write_text(f'broker:\n  listeners: [{{bind: "127.0.0.1:0", mount_point: "{mount}"}}]\n', encoding="utf-8")
            done = weir("broker", "--config", str(path))
            if done.returncode != 1 or why not in done.stderr:
                raise Wrong(f"{mount}: {done.returncode} {done.stderr}")


main(parallel=4)
