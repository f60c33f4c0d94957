# SPDX-License-Identifier: MIT
"""The bridge's process against a mosquitto, through what breaks links: each case ends with an account of every record.

    test_link.py HOST_PROGRAM [CASE...]
"""
import json
import os
import pathlib
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import paho.mqtt.client as mqtt

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import harness
from rig import SITE, free_port, run_cases, until

def drains_in_order_and_says_hello_and_goodbye(rig):
    h = rig.begin()
    h.tell("add 5000 200")
    a = rig.expect(5000)
    assert a["duplicates"] == 0, a
    status = [g for g in rig.watch.got if g[0] == SITE + "/weir/status"]
    first = json.loads(status[0][1])
    assert first["state"] == "online" and first["reason"] == "start" and first["config"] == "0123456789abcdef", status
    assert h.stop() == 0
    until("goodbye", lambda: '"reason":"stopped"' in [g for g in rig.watch.got if g[0] == SITE + "/weir/status"][-1][1])


def records_carry_seq_and_time_and_late(rig):
    rig.broker.stop()
    h = rig.begin()
    h.tell("add 10 50")
    until("a failed dial", lambda: len(h.said("state down")) > 0)
    rig.broker.start()
    rig.expect(10)
    h.tell("add 1 50")
    rig.expect(11)
    first, last = rig.watch.records()[0], rig.watch.records()[-1]
    assert first[2]["seq"] == "1" and first[2]["late"] == "1" and int(first[2]["t"]) > 1e12, first
    assert "late" not in last[2], last


def a_broker_that_is_killed_in_mid_drain_loses_nothing(rig):
    h = rig.begin()
    h.tell("add 20000 200")
    for _ in range(3):
        until("some progress", lambda: h.acked() > 0)
        ups = h.ups()
        rig.broker.stop(signal.SIGTERM)  # it saves its sessions; what the bridge had in flight is cut
        rig.broker.start()
        until("up again", lambda: h.ups() > ups or h.acked() == 20000)
    rig.expect(20000, 60)


def a_silent_broker_is_noticed_and_nothing_is_lost(rig):
    h = rig.begin()
    until("up", lambda: h.ups() == 1)
    rig.broker.send(signal.SIGSTOP)
    h.tell("add 500 200")
    until("silence noticed", lambda: any("ack_timeout" in l for l in h.said("state down")), 10)
    rig.broker.send(signal.SIGCONT)
    rig.expect(500)


def an_idle_silent_link_is_noticed_by_keep_alive(rig):
    h = rig.begin()
    until("up", lambda: h.ups() == 1)
    until("status", lambda: len(rig.watch.got) == 1)
    began = time.monotonic()
    rig.broker.send(signal.SIGSTOP)
    until("silence noticed", lambda: len(h.said("state down")) > 0, 15)
    rig.broker.send(signal.SIGCONT)
    print(f"    silent idle link found after {time.monotonic() - began:.1f} s at keep_alive 4 s")
    h.tell("add 10 50")
    rig.expect(10)


def a_process_killed_in_mid_drain_goes_on_where_it_was(rig):
    h = rig.begin()
    h.tell("add 20000 200")
    for _ in range(3):
        before = h.acked()
        until("progress", lambda: h.acked() > before)
        h.tell("kill")
    a = rig.expect(20000, 60)
    print(f"    {a['duplicates']} duplicates, each with its seq, after 3 kills")
    assert int(h.stats()["starts"]) >= 2


def a_wedged_process_is_killed_and_started_again(rig):
    h = rig.begin()
    until("up", lambda: h.ups() == 1)
    h.tell("freeze")
    h.tell("add 100 50")
    rig.expect(100, 40)


def the_process_dies_with_main(rig):
    h = rig.begin()
    until("up", lambda: h.ups() == 1)
    until("stats", lambda: h.stats()["pid"] != "0")
    pid = int(h.stats()["pid"])
    h.kill()
    until("the process is gone", lambda: not os.path.exists(f"/proc/{pid}"))
    until("the will", lambda: '"reason":"lost"' in rig.watch.got[-1][1])


def mqtt_3_1_1_drains_and_marks_our_own_json(rig):
    h = rig.begin()
    h.tell("add 2000 100")
    until("records", lambda: len(rig.watch.records()) == 2000)
    assert '"seq":1' in rig.watch.records()[0][1], rig.watch.records()[0]
    rig.broker.stop()
    rig.broker.start()
    h.tell("add 100 100")
    until("records", lambda: len({r[1] for r in rig.watch.records()}) >= 2100)


def a_lost_session_means_send_again(rig):
    h = rig.begin()
    h.tell("add 20000 200")
    for _ in range(3):
        before, ups = h.acked(), h.ups()
        until("progress", lambda: h.acked() > before or before == 20000)
        thief = mqtt.Client(client_id=SITE, protocol=mqtt.MQTTv5)  # takes the name over, and the session with it
        thief.connect("127.0.0.1", rig.broker.port, clean_start=True)
        thief.loop_start()
        until("lost to the thief", lambda: len(h.said("state down")) > 0)
        thief.disconnect()
        thief.loop_stop()
        until("up again", lambda: h.ups() > ups)
    rig.expect(20000, 60)


def inbound_messages_reach_main_in_order(rig):
    h = rig.begin()
    until("up", lambda: h.ups() == 1)
    rig.watch.publish("cloud/cmd/a", "one")
    until("inbound", lambda: h.said("inbound ") == ["inbound local/cmd/a 1 0 one"])
    for i in range(50):
        rig.watch.publish("cloud/cmd/a", f"more {i}")
    until("all of them", lambda: len(h.said("inbound ")) == 51)
    assert [l.split()[-1] for l in h.said("inbound ")[1:]] == [str(i) for i in range(50)]


def a_message_main_does_not_take_is_not_acknowledged_and_comes_again(rig):
    h = rig.begin()
    until("up", lambda: h.ups() == 1)
    h.tell("take 0")
    rig.watch.publish("cloud/cmd/a", "one")
    until("the process gave up", lambda: any("status 3" in l for l in h.said("state down")))
    assert not h.said("inbound ")
    h.tell("take 1")
    until("it comes again", lambda: h.said("inbound ")[:1] == ["inbound local/cmd/a 1 0 one"])


def a_start_asks_for_nothing_that_the_session_has_and_leaves_what_no_rule_wants(rig):
    """What is retained comes once, not with each start; a rule that is gone lets nothing more in."""
    rig.watch.publish("cloud/cmd/kept", "retained", retain=True)
    h = rig.begin()
    until("inbound", lambda: h.said("inbound ") == ["inbound local/cmd/kept 1 1 retained"])
    assert h.stop() == 0
    rig.watch.publish("cloud/cmd/a", "while it was away")
    h = rig.begin()
    until("what waited", lambda: len(h.said("inbound ")) > 0)
    rig.watch.publish("cloud/cmd/a", "last")
    until("the last", lambda: any("last" in l for l in h.said("inbound ")))
    assert [l.split(" ", 4)[4] for l in h.said("inbound ")] == ["while it was away", "last"]
    assert h.stop() == 0
    rig.options = rig.options.replace('in: "cloud/cmd/#"', 'in: "cloud/other/#"')
    h = rig.begin()
    until("up", lambda: h.ups() == 1)
    rig.watch.publish("cloud/other/a", "of the new rule")
    until("the new rule", lambda: any("of the new rule" in l for l in h.said("inbound ")))
    assert h.stop() == 0
    rig.watch.publish("cloud/cmd/a", "unwanted")
    rig.options = rig.options.replace('in: "cloud/other/#"', 'in: "cloud/#"')
    h = rig.begin()
    until("the widest rule", lambda: rig.watch.publish("cloud/probe", "probe") or any("probe" in l for l in h.said("inbound ")))
    assert not any("unwanted" in l for l in h.said("inbound ")), h.said("inbound ")


def a_record_too_large_for_the_server_is_set_aside(rig):
    h = rig.begin()
    until("up", lambda: h.ups() == 1)
    h.tell("add 1 50")
    h.tell("add 1 5000")
    h.tell("add 1 50")
    until("the cursor passes", lambda: h.acked() == 3)
    assert h.said("quarantine ") == ["quarantine 2 149 packet too large"], h.said("quarantine ")
    assert len(rig.watch.records()) == 2
    with open(os.path.join(rig.dir, "store", "quarantine-cloud.jsonl"), encoding="utf-8") as f:
        kept = [json.loads(line) for line in f]
    assert [k["seq"] for k in kept] == [2] and len(kept[0]["payload"]) == 5000, kept


def live_first_is_fresh_while_a_limited_backlog_drains(rig):
    rig.broker.stop()
    h = rig.begin()
    h.tell("add 12000 200")
    until("a failed dial", lambda: h.said("state down"))
    rig.broker.start()
    until("draining", lambda: h.acked() > 0)
    began = time.monotonic()
    for _ in range(120):
        h.tell("add 1 200")
        time.sleep(0.03)
    rig.expect_all(12120)
    drain_ms = 1000 * (time.monotonic() - began)
    live = [r for r in rig.watch.stamped if "late" not in r[1]]
    ages = sorted(at * 1000 - int(props["t"]) for at, props in live)
    p99 = ages[int(len(ages) * 0.99)]
    print(f"    {len(live)} live records beside a backlog at 1000/s: p99 {p99:.0f} ms, worst {ages[-1]:.0f} ms old")
    assert len(live) >= 100 and p99 < drain_ms / 4, (len(live), ages[-5:], drain_ms)
    numbers = [json.loads(r[1])["n"] for r in rig.watch.records() if r[2].get("late")]
    assert numbers == sorted(numbers)


def a_cable_that_is_mended_is_used_before_tcp_tries_again(rig):
    """Seven seconds without a link: TCP's next try is five later, and nothing else says that the link is back."""
    with harness.Room() as room:
        link = room.linkcut(rig.broker.port)
        rig.options = rig.options.replace(str(rig.broker.port), str(link.port))
        h = rig.begin()
        h.tell("add 50 200")
        rig.expect(50)
        link.tell("dead")
        h.tell("add 50 200")
        time.sleep(7)  # the outage itself
        assert h.ups() == 1 and not h.said("state down"), h.lines[-5:]
        link.tell("forward")
        began = time.monotonic()
        until("it is left for a new one", lambda: any("answers a new connection" in l for l in h.said("state down")))
        rig.expect(100)
        print(f"    sending again {time.monotonic() - began:.1f} s after the link's return")


def a_call_that_nobody_answers_is_made_anew(rig):
    with harness.Room() as room:
        link = room.linkcut(rig.broker.port)
        rig.options = rig.options.replace(str(rig.broker.port), str(link.port))
        link.tell("dead")
        h = rig.begin()
        h.tell("add 50 200")
        until("given up before connect_timeout", lambda: any("nobody answers" in l for l in h.said("state down")))
        link.tell("forward")
        rig.expect(50)


class Proxy:
    """An HTTP proxy that knows CONNECT, and who asked for what."""

    def __init__(self):
        self.asked = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            client, _ = self.listener.accept()
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096)
            self.asked.append(head.split(b"\r\n")[0].decode())
            host, port = head.split()[1].decode().rsplit(":", 1)
            server = socket.create_connection((host, int(port)))
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            for a, b in ((client, server), (server, client)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    def pump(self, a, b):
        while data := a.recv(65536):
            b.sendall(data)


def a_proxy_is_asked_to_connect(rig):
    proxy = Proxy()
    rig.options += f"proxy: http://127.0.0.1:{proxy.port}\n"
    h = rig.begin()
    h.tell("add 500 200")
    rig.expect(500)
    assert proxy.asked == [f"CONNECT 127.0.0.1:{rig.broker.port} HTTP/1.1"], proxy.asked


def websocket_drains(rig):
    rig.broker.stop()
    port = free_port()
    with open(rig.broker.conf, "a", encoding="ascii") as f:
        f.write(f"listener {port} 127.0.0.1\nprotocol websockets\n")
    rig.broker.start()
    rig.options = rig.options.replace(f"mqtt://127.0.0.1:{rig.broker.port}", f"ws://127.0.0.1:{port}/mqtt")
    h = rig.begin()
    h.tell("add 2000 200")
    rig.expect(2000)


CASES = {
    live_first_is_fresh_while_a_limited_backlog_drains: {"extra": "order: live-first\nrate: 1000\n"},
    a_proxy_is_asked_to_connect: {},
    websocket_drains: {},
    drains_in_order_and_says_hello_and_goodbye: {},
    records_carry_seq_and_time_and_late: {},
    a_broker_that_is_killed_in_mid_drain_loses_nothing: {},
    a_silent_broker_is_noticed_and_nothing_is_lost: {"extra": "ack_timeout: 1s\nconnect_timeout: 1s\n"},
    a_cable_that_is_mended_is_used_before_tcp_tries_again: {"extra": "ack_timeout: 60s\n"},
    a_call_that_nobody_answers_is_made_anew: {"extra": "connect_timeout: 60s\n"},
    an_idle_silent_link_is_noticed_by_keep_alive: {"extra": "keep_alive: 4s\n"},
    a_process_killed_in_mid_drain_goes_on_where_it_was: {},
    a_start_asks_for_nothing_that_the_session_has_and_leaves_what_no_rule_wants:
        {"rules": '[{in: "cloud/cmd/#", strip: "cloud/", prefix: "local/"}]'},
    a_wedged_process_is_killed_and_started_again: {},
    the_process_dies_with_main: {},
    mqtt_3_1_1_drains_and_marks_our_own_json: {"extra": "version: 3.1.1\n"},
    a_lost_session_means_send_again: {},
    inbound_messages_reach_main_in_order:
        {"rules": '[{in: "cloud/cmd/#", strip: "cloud/", prefix: "local/"}]'},
    a_message_main_does_not_take_is_not_acknowledged_and_comes_again:
        {"rules": '[{in: "cloud/cmd/#", strip: "cloud/", prefix: "local/"}]'},
    a_record_too_large_for_the_server_is_set_aside: {"broker_conf": "max_packet_size 1000\n"},
}


if __name__ == "__main__":
    sys.exit(run_cases(CASES))
