# SPDX-License-Identifier: MIT
"""Records put back from quarantine, with the real process, store and a mosquitto: ahead of what waits, in their order,
none lost and none twice without the mark, whatever is killed meanwhile.

    test_putback.py HOST_PROGRAM [CASE...]
"""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from rig import SITE, Host, run_cases, until

REFUSED = 60


def refuse(rig):
    """All of them are longer than the upstream is said to take."""
    host = Host(rig.program, rig.dir, rig.options + "max_packet: 200\n")
    rig.host = host
    host.tell(f"add {REFUSED} 300")
    until("all are set aside", lambda: host.acked() >= REFUSED)
    assert len(host.said("quarantine ")) == REFUSED and not rig.watch.records()
    assert host.stop() == 0


def quarantined(rig):
    path = os.path.join(rig.dir, "store", "quarantine-cloud.jsonl")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as f:
        return [json.loads(line)["seq"] for line in f]


def runs(rig):
    return [n for n in os.listdir(os.path.join(rig.dir, "store")) if ".back." in n or n.endswith((".moving", ".temp"))]


def arrived(rig):
    """(number, marked as sent again), in the order of arrival."""
    return [(json.loads(r[1])["n"], "again" in r[2]) for r in rig.watch.records()]


def put_back_they_go_ahead_of_what_waits(rig):
    refuse(rig)
    rig.broker.stop()
    host = rig.begin()
    host.tell("add 100 50")  # numbered from 0 again, but shorter
    until("dialled", lambda: host.said("state down"))
    host.tell("back")
    until("put back", lambda: host.said("back "))
    assert host.said("back ") == [f"back {REFUSED}"] and quarantined(rig) == []
    rig.broker.start()
    until("all", lambda: len(rig.watch.records()) >= REFUSED + 100)
    got = rig.watch.records()
    assert [len(r[1]) > 200 for r in got] == [True] * REFUSED + [False] * 100
    assert all(("again" in r[2]) == (len(r[1]) > 200) for r in got)
    assert [int(r[2]["seq"]) for r in got] == list(range(1, REFUSED + 101))
    until("the run is gone", lambda: not runs(rig))


def killed_meanwhile_none_is_lost(rig):
    refuse(rig)
    host = rig.begin()
    host.tell("back")
    for kills in range(1, 4):
        before = len(rig.watch.records())
        until("progress", lambda: len(rig.watch.records()) > before)
        if kills == 2:  # main with it
            host.kill()
            rig.host = host = Host(rig.program, rig.dir, rig.options)
        else:
            host.tell("kill")
    until("all", lambda: len(set(arrived(rig))) >= REFUSED)
    until("the run is gone", lambda: not runs(rig))
    got = arrived(rig)
    assert {n for n, _ in got} == set(range(REFUSED)) and all(again for _, again in got), got
    firsts = list(dict.fromkeys(n for n, _ in got))
    assert firsts == sorted(firsts)
    print(f"    {len(got) - REFUSED} came twice, each with its mark")
    return len(got) - REFUSED


def killed_meanwhile_at_qos_2_each_arrives_once(rig):
    assert killed_meanwhile_none_is_lost(rig) == 0


def refused_again_they_are_in_quarantine_again(rig):
    refuse(rig)
    before = sorted(quarantined(rig))
    host = Host(rig.program, rig.dir, rig.options + "max_packet: 200\n")
    rig.host = host
    host.tell("back 7")
    until("it is back where it was", lambda: host.said("quarantine 7 ") and not runs(rig))
    assert sorted(quarantined(rig)) == before and not rig.watch.records()


def by_the_tool_some_or_all(rig):
    refuse(rig)
    config = os.path.join(rig.dir, "weir.yaml")
    with open(config, "w", encoding="utf-8") as f:
        f.write(f"site: {SITE}\nstore: {{dir: {rig.dir}/store}}\nupstreams:\n  cloud:\n    address: mqtt://127.0.0.1:1\n"
                f"    rules: [{{out: 'plant/#'}}]\n")

    def weir(*words):
        done = subprocess.run([os.environ["WEIR_BUILD"] + "/gateway/weir", *words[:1], "--config", config, *words[1:]],
                              capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    assert weir("quarantine", "--retry", "cloud", "5", "3") == (0, "", "upstream cloud: 2 put back\n")
    status, out, err = weir("quarantine", "cloud")
    assert status == 0 and len(out.splitlines()) == REFUSED - 2
    assert err == f"upstream cloud: {REFUSED - 2} in quarantine, 2 put back and not acknowledged yet\n", err
    assert weir("quarantine", "--retry", "cloud", "3")[0] == 1
    for wrong in (["--retry"], ["--retry", "--drop", "cloud"], ["cloud", "3"], ["--retry", "cloud", "x"]):
        assert weir("quarantine", *wrong)[0] == 2, wrong
    rig.begin()
    until("the two", lambda: [n for n, _ in arrived(rig)] == [2, 4])
    assert weir("quarantine", "--retry", "cloud")[2] == f"upstream cloud: {REFUSED - 2} put back\n"
    until("the others", lambda: len(arrived(rig)) == REFUSED)
    until("the run is gone", lambda: not runs(rig))


SLOW = {"extra": "rate: 60\nbackoff: 50ms\nbackoff_max: 100ms\n"}

CASES = {
    put_back_they_go_ahead_of_what_waits: {"extra": "backoff: 50ms\nbackoff_max: 100ms\n"},
    killed_meanwhile_none_is_lost: SLOW,
    killed_meanwhile_at_qos_2_each_arrives_once: SLOW | {"rules": '[{out: "plant/#", qos: 2}]'},
    refused_again_they_are_in_quarantine_again: {},
    by_the_tool_some_or_all: {},
}

if __name__ == "__main__":
    sys.exit(run_cases(CASES))
