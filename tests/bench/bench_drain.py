# SPDX-License-Identifier: MIT
"""How fast a backlog drains upstream, beside Paho alone in the same run, same broker, same messages.

    bench_drain.py HOST_PROGRAM PAHO_PROGRAM [RECORDS]

Prints messages a second, CPU of the bridge's process per message, and its memory."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bridge"))
from rig import Host, Mosquitto, until

TICK = os.sysconf("SC_CLK_TCK")
BYTES = 200


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def peak_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(l.split()[1]) for l in f if l.startswith("VmHWM"))


def paho(program, port, version, count, window, notes):
    out = subprocess.run([program, f"tcp://127.0.0.1:{port}", str(version), str(count), str(BYTES), str(window),
                          str(notes)], capture_output=True, text=True, check=True).stdout.split()
    return float(out[0]), float(out[1])


def bridge(program, directory, broker, version, count, extra=""):
    broker.stop()
    home = tempfile.mkdtemp(dir=directory)
    host = Host(program, home, f"address: mqtt://127.0.0.1:{broker.port}\nversion: {version}\n"
                               f"rules: [{{out: 'plant/#'}}]\nbackoff_max: 500ms\n{extra}")
    host.tell(f"add {count} {BYTES}")
    host.tell("stats")  # answered once the records are in
    until("records stored", lambda: host.said("stats "), 120)
    pid = int(host.stats()["pid"])
    before = cpu_s(pid)
    broker.start()
    until("draining", lambda: host.acked() > count // 20, 60)
    began, first = time.monotonic(), host.acked()
    until("drained", lambda: host.acked() == count, 300)
    rate = (count - first) / (time.monotonic() - began)
    result = rate, (cpu_s(pid) - before) * 1e6 / count, peak_kib(pid)
    host.stop()
    return result


def main():
    host_program, paho_program = (os.path.abspath(p) for p in sys.argv[1:3])
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 200000
    directory = tempfile.mkdtemp(prefix="weir-bench-")
    broker = Mosquitto(directory)
    try:
        print(f"drain of {count} records of {BYTES} bytes at QoS 1 over loopback to mosquitto")
        for version, number in (("5", 5), ("3.1.1", 4)):
            best = max(((w,) + paho(paho_program, broker.port, number, count // 4, w, 0) for w in (50, 100, 200)),
                       key=lambda r: r[1])
            print(f"  mqtt {version:5}  Paho alone, best window {best[0]:3}           {best[1]:7.0f}/s "
                  f"{best[2]:5.1f} us CPU")
            if number == 5:
                like = paho(paho_program, broker.port, number, count // 4, best[0], 3)
                print(f"  mqtt {version:5}  Paho alone, 3 user properties         {like[0]:7.0f}/s {like[1]:5.1f} us CPU")
            for mark in ("auto", "none"):
                rate, us, kib = bridge(host_program, directory, broker, version, count,
                                       f"window: {best[0]}\nmark: {mark}\n")
                print(f"  mqtt {version:5}  weir's bridge, mark: {mark:4}              {rate:7.0f}/s {us:5.1f} us CPU, "
                      f"{100 * rate / best[1]:3.0f} % of Paho, {kib / 1024:.1f} MiB")
    finally:
        broker.stop()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
