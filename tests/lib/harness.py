# SPDX-License-Identifier: MIT
"""What the tests with real processes stand on: a room with a directory of its own, programs that are started and
surely stopped, ports, waiting for a condition with a deadline, and the account of what was acknowledged against what
arrived.

Nothing here sleeps for a thing to happen: wait() asks for it until its deadline.
"""

import collections
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from ports import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Failed(Exception):
    """A condition did not come true, or an account does not balance."""


def build_dir():
    return pathlib.Path(os.environ.get("WEIR_BUILD", ROOT / "build")).resolve()


def wait(condition, seconds, what):
    """Asks until condition() is true, and returns what it said."""
    deadline = time.monotonic() + seconds
    while True:
        said = condition()
        if said:
            return said
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds:g} s: {what() if callable(what) else what}")
        time.sleep(0.02)


def working_s(pid):
    """Processor time of a process; its clock is its number in a form that only the kernel and libc know."""
    return time.clock_gettime((~pid << 3) | 2)


def listens(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


class Program:
    """One process with its output in a file of the room."""

    def __init__(self, room, name, argv, **popen):
        self.room, self.name, self.argv, self.popen = room, name, [str(a) for a in argv], popen
        self.log = room.dir / f"{name}.log"
        self.process = None
        self.peak_rss_kib = 0

    def start(self, ready=None, seconds=20):
        mark = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            start_new_session=True, **self.popen)
        if ready:
            return wait(lambda: self._said(ready, mark), seconds, lambda: f"{self.name} says {ready!r}; {self.tail()}")
        return None

    def _said(self, pattern, mark=0):
        if self.process.poll() is not None:
            raise Failed(f"{self.name} ended with {self.process.returncode}: {self.tail()}")
        return re.search(pattern, self.text(mark), re.M)

    def text(self, mark=0):
        with open(self.log, "rb") as f:
            f.seek(mark)
            return f.read().decode(errors="replace")

    def tail(self, lines=25):
        return "\n" + "\n".join("    " + line for line in self.text().splitlines()[-lines:])

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def children(self):
        with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="ascii") as f:
            return [int(pid) for pid in f.read().split()]

    def descendants(self):
        """Processes below this one, whichever thread started them."""
        below, todo = [], [self.pid]
        while todo:
            pid = todo.pop()
            for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    found = [int(child) for child in task.read_text().split()]
                except OSError:
                    continue
                below += found
                todo += found
        return below

    def rss_kib(self):
        """Resident memory of it and of all below it."""
        total = 0
        for pid in [self.pid, *self.descendants()]:
            try:
                found = re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())
            except OSError:
                continue
            total += int(found.group(1)) if found else 0
        self.peak_rss_kib = max(self.peak_rss_kib, total)
        return total

    def signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        """-9, and it is gone when this returns; what it started is left to notice."""
        if self.running():
            self.process.kill()
        if self.process:
            self.process.wait()

    def stop(self, seconds=30):
        """SIGTERM; its exit status."""
        if self.running():
            self.process.terminate()
        if not self.process:
            return None
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"{self.name} did not stop within {seconds} s: {self.tail()}") from None


class Told(Program):
    """A program that takes commands on a control socket."""

    def __init__(self, room, name, argv):
        self.socket = room.dir / f"{name}.sock"
        super().__init__(room, name, [*argv, "--control", self.socket])

    def tell(self, *lines):
        said = ""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(str(self.socket))
            try:
                s.sendall("".join(line + "\n" for line in lines).encode())
                while len(re.findall(r"^(?:ok|error: .*)$", said, re.M)) < len(lines):
                    got = s.recv(65536)
                    if not got:
                        raise Failed(f"{self.name} hung up on {lines}")
                    said += got.decode()
            except OSError as error:
                raise Failed(f"{self.name}: {lines}: {error}") from None
        if "error:" in said:
            raise Failed(f"{self.name}: {lines}: {said}")
        return said

    def stats(self):
        """The numbers of its first line of `stats`."""
        return {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", self.tell("stats").splitlines()[0])}


class Room:
    """A directory and the programs in it. Leaving stops them all; after a failure the logs are shown."""

    def __init__(self, keep=bool(os.environ.get("WEIR_KEEP"))):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="weir-room-"))
        self.programs, self.keep = [], keep

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind and kind is not KeyboardInterrupt:
            for p in self.programs:
                if p.log.exists():
                    print(f"--- {p.name}{p.tail(40)}", file=sys.stderr)
        for p in reversed(self.programs):
            below = p.descendants() if p.running() else []
            if p.running():
                p.process.terminate()
                try:
                    p.process.wait(5)
                except subprocess.TimeoutExpired:
                    p.kill()
            for pid in below:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        if self.keep:
            print(f"kept: {self.dir}", file=sys.stderr)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    def add(self, program):
        self.programs.append(program)
        return program

    # --- programs of the simulated site

    def sim(self, *commands, name="sim"):
        sim = self.add(Told(self, name, [build_dir() / "tests/sim/weir-sim", *commands]))
        sim.argv[1:] = ["--control", sim.socket, *commands]
        sim.start(r"^ready$")
        return sim

    def cloud(self, name="cloud", port=0):
        journal = self.dir / f"{name}.journal"
        cloud = self.add(Told(self, name, [build_dir() / "tests/lib/cloudstub", "--port", port, "--journal", journal]))
        cloud.journal = journal
        cloud.port = int(cloud.start(r"^ready port=(\d+)").group(1))
        cloud.argv[cloud.argv.index("--port") + 1] = str(cloud.port)  # a restart comes back on the same one
        return cloud

    def linkcut(self, to, name="link", listen=0):
        link = self.add(Told(self, name, [build_dir() / "tests/lib/linkcut", "--listen", listen, "--to", to]))
        link.port = int(link.start(r"^ready port=(\d+)").group(1))
        return link

    def publishers(self, port, name="load", **options):
        journal = self.dir / f"{name}.journal"
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        load = self.add(Told(self, name, [build_dir() / "tests/lib/mqttload", "pub", "--to", port, "--name", name,
                                          "--journal", journal, *words]))
        load.journal = journal
        load.start(r"^ready$")
        return load

    def recorder(self, port, name="recorder", **options):
        """A persistent subscriber that writes down what arrives, in the form of the stand-in's journal."""
        journal = self.dir / f"{name}.journal"
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        sub = self.add(Told(self, name, [build_dir() / "tests/lib/mqttload", "sub", "--to", port, "--name", name,
                                         "--journal", journal, *words]))
        sub.journal = journal
        sub.start(r"^ready$")
        wait(lambda: sub.stats()["connected"], 10, "the recorder is connected")
        return sub

    def mosquitto(self, name="mosquitto", port=None, **options):
        port = port or free_port()
        where = self.dir / name
        where.mkdir(exist_ok=True)
        lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "persistence true",
                 f"persistence_location {where}/", "max_queued_messages 0", "max_inflight_messages 0",
                 "user root", *[f"{key} {value}" for key, value in options.items()]]
        (where / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        server = self.add(Program(self, name, ["mosquitto", "-c", where / "mosquitto.conf"]))
        server.port = port
        server.start()
        wait(lambda: listens(port), 10, f"{name} listens")
        return server

    def weir(self, config, name="weir", wrap=()):
        path = self.dir / f"{name}.yaml"
        path.write_text(config)
        gateway = self.add(Program(self, name, [*wrap, build_dir() / "gateway/weir", "run", "--config", path]))
        gateway.config = path
        gateway.start(r"state=ready")
        return gateway


# --- the account ------------------------------------------------------------------------------------------------


Arrival = collections.namedtuple("Arrival", "wall_ms client version qos dup retain id seq late topic payload")


def unescape(text):
    return re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m.group(1), 16)), text)


def read_arrivals(journal, kinds="P"):
    """The messages of a stand-in's or a recorder's journal, in the order of their arrival."""
    with open(journal, encoding="utf-8", errors="replace") as f:
        for line in f:
            fields = line.rstrip("\n").split("\t")
            if fields[0] in kinds and len(fields) == 12:
                wall, client, version, qos, dup, retain, ident, seq, late, topic, payload = fields[1:]
                yield Arrival(int(wall), client, int(version), int(qos), dup == "1", retain == "1", int(ident), seq,
                              late == "1", unescape(topic), unescape(payload))


def read_lines(journal, kind):
    with open(journal, encoding="utf-8", errors="replace") as f:
        return [line.rstrip("\n").split("\t")[1:] for line in f if line.startswith(kind + "\t")]


class Account:
    """Acknowledged against arrived, by publisher and number.

    lost        acknowledged to the publisher, never arrived
    duplicates  arrived again: `marked` when its seq says so, or DUP where it has none, `resent` when the publisher itself
                sent it again at QoS 1 and so may have caused it, `twice` when it did so at QoS 2, which excuses nothing,
                `unmarked` else
    reordered   arrived for the first time behind a later message of the same publisher and topic
    """

    def __init__(self, prefix, once=lambda publisher: False, streams=False):
        """once: does this publisher send at QoS 2, where its sending again excuses nothing? streams: with `order:
        live-first` what is late is a stream of its own."""
        self.prefix, self.once, self.streams = prefix, once, streams
        self.acknowledged, self.resent, self.refused, self.halfway = set(), set(), set(), set()
        self.lost, self.unmarked, self.twice, self.reordered = [], [], [], []
        self.arrived = self.marked = self.by_publisher = self.strangers = 0

    def publishers(self, *journals):
        for journal in journals:
            if not os.path.exists(journal):
                continue
            with open(journal, encoding="utf-8") as f:
                for line in f:
                    fields = line.rstrip("\n").split("\t")
                    if len(fields) < 3 or not line.endswith("\n"):
                        continue
                    key = (int(fields[1]), int(fields[2]))
                    {"A": self.acknowledged, "X": self.resent, "N": self.refused, "H": self.halfway}[fields[0]].add(key)
        return self

    def against(self, arrivals):
        seen, newest = {}, {}
        for a in arrivals:
            if not a.topic.startswith(self.prefix):
                continue
            try:
                body = json.loads(a.payload)
                key = (body["p"], body["n"])
            except (ValueError, KeyError, TypeError):
                self.strangers += 1
                continue
            seq = a.seq if a.seq != "-" else str(body.get("seq", "-"))  # MQTT 3.1.1 has it in the payload
            if key in seen:
                if seq in seen[key] if seq != "-" else a.dup:  # under another seq its publisher sent it again
                    self.marked += 1
                elif key in self.resent and not self.once(body["p"]):
                    self.by_publisher += 1
                elif key in self.resent:
                    self.twice.append(key)
                else:
                    self.unmarked.append(key)
                seen[key].add(seq)
                continue
            seen[key] = {seq}
            self.arrived += 1
            lane = (body["p"], a.topic, self.streams and (a.late or "late" in body))
            if newest.get(lane, 0) > body["n"]:
                self.reordered.append((a.topic, body["n"], newest[lane]))
            newest[lane] = max(newest.get(lane, 0), body["n"])
        self.lost = sorted(self.acknowledged - seen.keys())
        return self

    def __str__(self):
        return (f"acknowledged={len(self.acknowledged)} arrived={self.arrived} lost={len(self.lost)} "
                f"duplicates: marked={self.marked} resent={self.by_publisher} twice={len(self.twice)} "
                f"unmarked={len(self.unmarked)} "
                f"reordered={len(self.reordered)} refused={len(self.refused)}")

    def clean(self):
        return not (self.lost or self.twice or self.unmarked or self.reordered)

    def check(self):
        print(self)
        if not self.clean():
            raise Failed(f"{self}\n  lost {self.lost[:10]}\n  twice {self.twice[:10]}\n"
                         f"  unmarked {self.unmarked[:10]}\n"
                         f"  reordered {self.reordered[:10]}")
        if not self.acknowledged:
            raise Failed("nothing was acknowledged: that proves nothing")


def run(tests):
    """Runs the named functions of a test file, or those named on its command line; the exit status."""
    wanted, failed = sys.argv[1:], 0
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        began = time.monotonic()
        try:
            said = test()
        except Skipped as why:
            print(f"SKIP {test.__name__}: {why}", flush=True)
            if len(wanted) == 1:
                return 77
            continue
        except Failed as error:
            print(f"FAIL {test.__name__}: {error}", flush=True)
            failed += 1
            continue
        print(f"ok   {test.__name__} {time.monotonic() - began:.1f} s{': ' + said if said else ''}", flush=True)
    return 1 if failed else 0


class Skipped(Exception):
    """This machine cannot do it; the reason."""
