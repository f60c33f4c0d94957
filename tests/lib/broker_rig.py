# SPDX-License-Identifier: MIT
"""A broker process, clients on raw sockets, and the list of tests of a file.

A test is a function (broker, version) under @test, and runs once for each protocol version it applies to. Nothing
waits by sleeping: a test expects bytes until a deadline, and expects nothing by a PINGREQ whose PINGRESP comes first.
"""
import concurrent.futures
import itertools
import os
import pathlib
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

from mqttwire import *  # noqa: F403 the vocabulary of every test
import mqttwire as wire
from ports import free_port

PATIENCE_S = float(os.environ.get("WEIR_TEST_PATIENCE", "30"))
_serial = itertools.count(1)


def sockets_at_most(wanted):
    """As many sockets as a test wants, or as the system lets this process have, which is then said."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    most = wanted if hard == resource.RLIM_INFINITY else max(50, min(wanted, hard - 100))
    if most < wanted:
        print(f"(with {most} sockets and not {wanted}: the limit on open files is {hard})")
    return most


def fresh(word="t"):
    """A topic, client id or user that no other test uses."""
    return f"{word}-{os.getpid() % 1000}-{next(_serial)}"


def eventually(condition, what, patience=None):
    """Waits until condition() is true; its last value."""
    end = time.monotonic() + (patience or PATIENCE_S)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Wrong(f"never came true: {what}")
        select.select([], [], [], 0.02)


def let_time_pass(seconds):
    """For what only time can bring about, an expiry: there is nothing to poll until it is over."""
    select.select([], [], [], seconds)


def quiet_for(client, seconds):
    """Nothing comes to this client for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        client.nothing()
        select.select([client.sock], [], [], min(0.2, max(0, end - time.monotonic())))


class Socket:
    """Bytes to and from a broker, cut into packets; no knowledge of sessions."""

    def __init__(self, broker, version):
        self.broker, self.version, self.buffer, self.stash = broker, version, b"", []
        self.sock = socket.create_connection((broker.host, broker.port), timeout=PATIENCE_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, *chunks):
        self.sock.settimeout(PATIENCE_S)
        try:
            self.sock.sendall(b"".join(chunks))
        except (BrokenPipeError, ConnectionResetError):
            pass  # the broker closed already: what it said first is still there to be read
        return self

    def _fill(self, end):
        left = end - time.monotonic()
        if left <= 0 or not select.select([self.sock], [], [], left)[0]:
            raise Wrong("nothing came before the deadline")
        data = self.sock.recv(262144)
        self.buffer += data
        return bool(data)

    def _cut(self):
        """The first whole packet in the buffer as (first byte, body), or None."""
        length = 0
        for i in range(1, 5):
            if len(self.buffer) <= i:
                return None
            length |= (self.buffer[i] & 0x7F) << 7 * (i - 1)
            if not self.buffer[i] & 0x80:
                break
        else:
            raise Wrong("a remaining length of five bytes")
        if len(self.buffer) < i + 1 + length:
            return None
        first, body = self.buffer[0], self.buffer[i + 1:i + 1 + length]
        self.buffer = self.buffer[i + 1 + length:]
        self.last = bytes([first]) + wire.varint(length) + body
        return first, body

    def read(self, patience=None):
        """The next packet; None at the end of the stream."""
        if self.stash:
            return self.stash.pop(0)
        end = time.monotonic() + (patience or PATIENCE_S)
        while True:
            cut = self._cut()
            if cut:
                return parse(*cut, self.version)
            try:
                if not self._fill(end):
                    if self.buffer:
                        raise Wrong(f"closed in the middle of a packet: {self.buffer[:40].hex()}")
                    return None
            except ConnectionResetError:
                return None

    def expect(self, kind, patience=None, **fields):
        """The next packet must be of this kind with these fields; a tuple allows several values."""
        p = self.read(patience)
        shown = f"{NAME[kind]}({', '.join(f'{k}={v}' for k, v in fields.items())})"
        if p is None:
            raise Wrong(f"expected {shown}, the connection was closed")
        if p.kind != kind:
            raise Wrong(f"expected {shown}, got {p}")
        for name, value in fields.items():
            got = getattr(p, name)
            if name == "payload":
                value = raw(value)
            if got != value and not (isinstance(value, (tuple, set)) and got in value):
                raise Wrong(f"expected {shown}, got {p}")
        return p

    def expect_bytes(self, data):
        """The next bytes must be exactly these."""
        end = time.monotonic() + PATIENCE_S
        while len(self.buffer) < len(data):
            if not self._fill(end):
                break
        got, self.buffer = self.buffer[:len(data)], self.buffer[len(data):]
        if got != data:
            raise Wrong(f"expected {data.hex(' ')}, got {got.hex(' ')}")

    def nothing(self, rounds=1):
        """Nothing has come and nothing is on its way: what the broker had to say came before the PINGRESP. Several
        rounds for what a broker may do piece by piece, such as looking for retained messages."""
        for _ in range(rounds):
            self.send(pingreq())
            self.expect(PINGRESP)

    def closed(self, *reasons):
        """The broker closes. A version 5 connection hears one of these reasons first, when any are named."""
        p = self.read()
        if self.version == 5 and reasons:
            if p is None:
                raise Wrong(f"closed without DISCONNECT {'/'.join(f'0x{r:02X}' for r in reasons)}")
            if p.kind != DISCONNECT or p.reason not in reasons:
                raise Wrong(f"expected DISCONNECT {'/'.join(f'0x{r:02X}' for r in reasons)}, got {p}")
            p = self.read()
        if p is not None:
            raise Wrong(f"expected the connection to be closed, got {p}")
        self.sock.close()

    def drop(self):
        """Gone without a word."""
        self.sock.close()

    def reset(self):
        """Gone with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()


class Client(Socket):
    """A connection whose CONNECT was accepted, with packet ids and whole hand-shakes."""

    def __init__(self, broker, version, id=None, clean=True, session=None, reason=0, **connect):
        super().__init__(broker, version)
        self.id, self.next_pid = fresh("c") if id is None else id, 0
        self.send(wire.connect(version, self.id, clean=clean, **connect))
        self.connack = self.expect(CONNACK, reason=reason)
        if session is not None and self.connack.session != session:
            raise Wrong(f"expected Session Present {session}, got {self.connack}")

    def pid(self):
        self.next_pid = self.next_pid % 65535 + 1
        return self.next_pid

    def subscribe(self, *filters, qos=0, properties=(), codes=None):
        """Each filter is a text, or a (text, options) pair; SUBACK is checked and returned."""
        pairs = [(f, qos) if isinstance(f, str) else f for f in filters]
        pid = self.pid()
        self.send(wire.subscribe(self.version, pid, *pairs, properties=properties))
        granted = self.expect(SUBACK, pid=pid)
        if granted.reasons != (codes if codes is not None else [o & 3 for _, o in pairs]):
            raise Wrong(f"expected codes {codes}, got {granted}")
        return granted

    def unsubscribe(self, *filters, codes=None):
        pid = self.pid()
        self.send(wire.unsubscribe(self.version, pid, *filters))
        done = self.expect(UNSUBACK, pid=pid)
        if self.version == 5 and done.reasons != (codes or [0] * len(filters)):
            raise Wrong(f"expected codes {codes}, got {done}")
        return done

    def publish(self, topic, payload=b"", qos=0, retain=False, properties=(), reasons=(0, 0x10)):
        """The whole hand-shake; at QoS 0 a PINGREQ makes sure that the broker has seen it."""
        if qos == 0:
            self.send(wire.publish(self.version, topic, payload, retain=retain, properties=properties))
            return self.nothing()
        pid = self.pid()
        self.send(wire.publish(self.version, topic, payload, qos, pid, retain, properties=properties))
        done = self.expect(PUBACK if qos == 1 else PUBREC, pid=pid, reason=tuple(reasons))
        if qos == 2 and done.reason < 0x80:
            self.send(wire.ack(PUBREL, pid))
            self.expect(PUBCOMP, pid=pid, reason=0)
        return done

    def receive(self, topic, payload=None, qos=0, **fields):
        """The next packet must be this PUBLISH; it is acknowledged in full."""
        if payload is not None:
            fields["payload"] = payload
        p = self.expect(PUBLISH, topic=topic, qos=qos, **fields)
        self.acknowledge(p)
        return p

    def acknowledge(self, p):
        if p.qos == 1:
            self.send(wire.ack(PUBACK, p.pid))
        elif p.qos == 2:
            self.send(wire.ack(PUBREC, p.pid))
            self._await_release(p.pid)
            self.send(wire.ack(PUBCOMP, p.pid))

    def _await_release(self, pid):
        """Other messages may stand before the PUBREL: they are kept for later."""
        passed = []
        while True:
            p = self.read()
            if p is None or (p.kind == PUBREL and p.pid != pid) or p.kind not in (PUBREL, PUBLISH):
                raise Wrong(f"expected PUBREL(pid={pid}), got {p}")
            if p.kind == PUBREL:
                break
            passed.append(p)
        self.stash = passed + self.stash

    def disconnect(self, reason=None, properties=None):
        self.send(wire.disconnect(self.version, reason, properties))
        self.closed()


class Broker:
    """The broker under test: `weir broker` on a fresh port, or one that listens already (MQTT_PORT)."""

    def __init__(self, config=""):
        self.host, self.port, self.process = "127.0.0.1", int(os.environ.get("MQTT_PORT", "0")), None
        self.dir = tempfile.TemporaryDirectory(prefix="weir-wire-")
        if not self.port:
            self._start(config)

    def _start(self, config):
        """A configuration with listeners of its own has {port} where it wants the port."""
        self.port = free_port()
        command = [os.environ["WEIR"], "broker"]
        if "listeners:" not in config:
            command += ["--bind", f"{self.host}:{self.port}"]
        if config:
            path = pathlib.Path(self.dir.name, "weir.yaml")
            path.write_text(config.replace("{port}", str(self.port)), encoding="utf-8")
            command += ["--config", str(path)]
        self.log = open(pathlib.Path(self.dir.name, "log"), "w+b")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL,
                                        cwd=self.dir.name)
        try:
            eventually(self._accepts, "the broker accepts connections")
        except Wrong:
            self.process.kill()
            raise Wrong(f"the broker did not start: {self.said()}") from None

    def _accepts(self):
        if self.process.poll() is not None:
            raise Wrong("it has ended")
        try:
            socket.create_connection((self.host, self.port), 1).close()
            return True
        except OSError:
            return False

    def said(self):
        self.log.flush()
        self.log.seek(0)
        return self.log.read().decode(errors="replace")[-4000:]

    def client(self, version, **how):
        return Client(self, version, **how)

    def socket(self, version=4):
        return Socket(self, version)

    def resident(self):
        """Bytes of memory it holds, or 0 where that cannot be seen or a sanitizer is part of it."""
        if not self.process or os.environ.get("WEIR_TEST_MEMORY") == "0":
            return 0
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def stop(self):
        """Ends it as systemd would; the failures that shows."""
        if not self.process:
            return []
        faults = []
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(PATIENCE_S)
            if status != 0:
                faults.append(f"the broker ended with status {status}: {self.said()}")
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            faults.append("the broker did not end within its time after SIGTERM")
        self.log.close()
        self.dir.cleanup()
        return faults


# --- the list of tests ------------------------------------------------------------------------------------------

TESTS = []


def test(*statements, versions=(3, 4, 5)):
    """Marks a test; statements are the ones of the specification it holds the broker to."""
    def mark(function):
        for version in versions:
            TESTS.append((f"{function.__name__}[{version}]", statements, function, version))
        return function
    return mark


def rows(table, *statements, versions=(3, 4, 5)):
    """One test for each row of a table: a row is (name, ..., [versions]) and reaches the test behind the version."""
    def mark(function):
        for row in table:
            own = versions
            if isinstance(row[-1], tuple) and row[-1] and set(row[-1]) <= {3, 4, 5}:
                row, own = row[:-1], row[-1]
            for version in own:
                TESTS.append((f"{function.__name__}[{version}] {row[0]}", statements,
                              lambda b, v, row=row: function(b, v, *row[1:]), version))
        return function
    return mark


def _run(broker, item):
    name, statements, function, version = item
    try:
        function(broker, version)
        return None
    except Exception as fault:  # noqa: BLE001 a test may fail in any way
        where = traceback.extract_tb(fault.__traceback__)
        at = next((f for f in where if f.filename == where[-1].filename or "wire/" in f.filename), where[-1])
        lines = [f for f in where if "/wire/" in f.filename] or [at]
        cited = f"  [{', '.join(statements)}]" if statements else ""
        return f"FAILED {name}: {type(fault).__name__ if not isinstance(fault, Wrong) else ''} {fault} " \
               f"(line {lines[-1].lineno}){cited}"


def main(config="", parallel=1):
    """Runs the tests of this file against one broker: all, or those whose name has a word of argv in it."""
    words = sys.argv[1:]
    chosen = [t for t in TESTS if not words or any(w in t[0] for w in words)]
    broker = Broker(config)
    with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
        results = list(pool.map(lambda t: _run(broker, t), chosen))
    faults = [r for r in results if r]
    try:
        Client(broker, 4).nothing()
    except Exception as fault:  # noqa: BLE001
        faults.append(f"FAILED afterwards: the broker does not serve: {fault}")
    faults += [f"FAILED at the end: {f}" for f in broker.stop()]
    for fault in faults:
        print(fault)
    print(f"{os.path.basename(sys.argv[0])}: {len(chosen) - len([r for r in results if r])} passed, {len(faults)} failed")
    sys.exit(1 if faults or not chosen else 0)
