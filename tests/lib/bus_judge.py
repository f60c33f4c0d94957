# SPDX-License-Identifier: MIT
"""A serial line of Modbus RTU slaves on a pty that judges its master by what stands in the standard and in docs/.

It shares no code with the gateway or with weir-sim. Bytes take their time on the wire both ways; each request is held
against the silence before it, the silence after a broadcast and the replies that are under way. What a slave does wrong
is drawn for each request: see FAULTS. A value says who was asked for what and when, so that a sample that is another's,
another register's or an earlier one's is known for what it is.
"""

import multiprocessing
import os
import pty
import random
import select
import time
import tty

T15_US, T35_US, FAST_BAUD = 750, 1750, 19200
BROADCAST_S = 0.09 # slaves are given 0.1 s to work a broadcast off, reckoned from when it was seen
TICK_S = 0.01      # of the clock in the values
LATE_S = 0.003     # a busy machine made the judge itself so late
STALL_S = 0.03     # it did not look for so long: what came meanwhile is not judged
SEEN_S = 0.010     # a request is seen so much after its begin, and what is reckoned from it is late by that
LONGEST = 13       # of the requests that are made here
CROSSED_S = 0.001  # a request can begin together with what nobody could foresee
SOUND = 4          # requests of a unit after a fault: a master may ask more than one to be sure of the next


def crc(frame):
    c = 0xFFFF
    for byte in frame:
        c ^= byte
        for _ in range(8):
            c = c >> 1 ^ 0xA001 if c & 1 else c >> 1
    return bytes((c & 0xFF, c >> 8))


def framed(frame):
    return bytes(frame) + crc(frame)


def tick():
    return int(time.monotonic() / TICK_S) & 0xFFFF


class Asked:
    """One request, and what is to go on the wire upon it: (when, bytes, do they go on with what came before, could nobody
    know that they come now), in order."""

    def __init__(self, judge, frame, ended):
        self.judge, self.frame, self.ended, self.out = judge, frame, ended, []
        self.unit, self.function = frame[0], frame[1]
        self.address, self.count = frame[2] << 8 | frame[3], frame[4] << 8 | frame[5]

    def put(self, data, after_s, lump=None, unforeseen=False):
        """After so long of silence behind what was put before; a lump is handed over when its last byte has come: if
        nothing else is said, what comes within 4 ms."""
        at = (self.out[-1][0] if self.out else self.ended) + after_s
        for i, (at, piece) in enumerate(self.lumps(data, at, lump)):
            self.out.append((at, piece, i > 0, unforeseen and i == 0))

    def lumps(self, data, at, lump=None):
        lump = lump or max(1, int(0.004 / self.judge.char_s))
        for i in range(0, len(data), lump):
            piece = data[i:i + lump]
            at += len(piece) * self.judge.char_s
            yield at, piece

    def reply(self):
        if self.function == 3:
            words = b"".join(bytes((self.unit, (self.address + i) & 0xFF)) if i % 2 == 0 else tick().to_bytes(2, "big")
                             for i in range(self.count))
            return bytes((self.unit, 3, 2 * self.count)) + words
        if self.function in (6, 8):
            return self.frame[:6]
        return bytes((self.unit, self.function | 0x80, 1))


def sound(a, rng):
    a.put(framed(a.reply()), a.judge.turnaround_s)


def odd_chunks(a, rng):
    """As adapters hand them over: a few bytes at a time, at the pace of the wire."""
    a.put(framed(a.reply()), a.judge.turnaround_s, rng.choice((1, 2, 3, 5, 7)))


def lumps(a, rng):
    """The whole reply 16 ms later, or its second half."""
    data = framed(a.reply())
    cut = rng.choice((0, 1, 4, len(data) - 1))
    if cut:
        a.put(data[:cut], a.judge.turnaround_s)
    a.put(data[cut:], a.judge.turnaround_s + 0.016)


def latency_timer(a, rng):
    """As an adapter does that hands over what it has every 16 ms, or 62 bytes at once when it has so many sooner."""
    data, at = framed(a.reply()), a.ended + a.judge.turnaround_s
    while data:
        piece, data = data[:62], data[62:]
        at += len(piece) * a.judge.char_s
        if len(piece) < 62:
            at = (int(at / 0.016) + 1) * 0.016
        a.out.append((at, piece, bool(a.out), False))


def pause_inside(a, rng):
    """Longer than t1.5, and than t3.5."""
    data = framed(a.reply())
    cut = rng.randrange(1, len(data))
    a.put(data[:cut], a.judge.turnaround_s)
    a.out += [(at + rng.choice((2, 5, 12)) * a.judge.char_s, piece, True, False)
              for at, piece in a.lumps(data[cut:], a.out[-1][0])]


def glitch(a, rng):
    """Somebody begins to drive the line, or leaves off: a byte that nobody sent, before the reply and behind it."""
    a.put(rng.choice((b"\0", b"\xff", b"\xfe", b"\0\xff")) + framed(a.reply()) + rng.choice((b"", b"\0", b"\xff")),
          a.judge.turnaround_s)


def byte_too_much(a, rng):
    a.put(framed(a.reply()) + bytes((rng.randrange(256),)), a.judge.turnaround_s)


def byte_lost(a, rng):
    data = bytearray(framed(a.reply()))
    del data[rng.randrange(len(data))]
    a.put(bytes(data), a.judge.turnaround_s)


def other_baud(a, rng):
    """What is left of a reply where the device was set to another rate."""
    a.put(bytes(rng.choice((0, 0x80, 0xC0, 0xE0, 0xF8, 0xFE, 0xFF)) for _ in range(rng.randrange(2, 12))),
          a.judge.turnaround_s)


def twins(a, rng):
    """Two have the same unit id, and both drive the line: what is low of either is low."""
    data, shift = framed(a.reply()), rng.randrange(1, 4)
    twin = bytes(shift) + framed(a.reply()[:3] + bytes(rng.randrange(256) for _ in a.reply()[3:]))
    a.put(bytes(x & y for x, y in zip(data + b"\xff" * shift, b"\xff" * shift + twin[shift:])), a.judge.turnaround_s)


def another_master(a, rng):
    """It asks another unit, before ours has begun to answer; and is answered."""
    unit = a.unit % 10 + 1
    a.put(framed((unit, 3, 0, 0, 0, 6)), 0.0003, unforeseen=True)
    a.put(framed(bytes((unit, 3, 12)) + bytes(12)), 2 * a.judge.t35_s)
    a.put(framed(a.reply()), 2 * a.judge.t35_s)


def about_the_timeout(a, rng):
    a.put(framed(a.reply()), a.judge.timeout_s * rng.choice((0.9, 0.97, 0.99, 1, 1.01)), unforeseen=True)


def noise_behind(a, rng):
    sound(a, rng)
    a.put(bytes(rng.randrange(256) for _ in range(rng.randrange(1, 6))), rng.choice((0.0001, 0.001, 0.004)), unforeseen=True)


def noise_before(a, rng):
    a.put(bytes(rng.randrange(256) for _ in range(rng.randrange(1, 6))), 0.0005)
    sound(a, rng)


def another_unit(a, rng):
    other = bytes((a.unit % 10 + 1,)) + a.reply()[1:]
    a.put(framed(other), a.judge.turnaround_s)


def another_unit_first(a, rng):
    another_unit(a, rng)
    a.put(framed(a.reply()), 2 * a.judge.t35_s)


def wrong_function(a, rng):
    frame = bytearray(a.reply())
    frame[1] = 4
    a.put(framed(frame), a.judge.turnaround_s)


def wrong_crc(a, rng):
    data = bytearray(framed(a.reply()))
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    a.put(bytes(data), a.judge.turnaround_s)


def cut_short(a, rng):
    data = framed(a.reply())
    a.put(data[:rng.randrange(1, len(data))], a.judge.turnaround_s)


def late(a, rng):
    """After the reply_timeout."""
    a.put(framed(a.reply()), a.judge.timeout_s * rng.choice((1.02, 1.1, 1.5)), unforeseen=True)


def very_late(a, rng):
    """So late that it may well be called gone."""
    a.put(framed(a.reply()), a.judge.timeout_s * rng.choice((2.5, 5, 12)), unforeseen=True)


def acknowledged(a, rng):
    a.put(framed((a.unit, a.function | 0x80, 5)), a.judge.turnaround_s)


def busy(a, rng):
    a.put(framed((a.unit, a.function | 0x80, 6)), a.judge.turnaround_s)


def mute(a, rng):
    pass


class Bench:
    """The judge at work, in a process of its own: nobody else's work makes it late."""

    def __init__(self, path, baud, units, faults, rarely, timeout_s, turnaround_s, echo, seed, answer_all):
        self.path, self.units, self.faults, self.rarely, self.echo = path, set(units), faults, rarely, echo
        self.answer_all = answer_all
        self.timeout_s, self.turnaround_s = timeout_s, turnaround_s
        self.char_s = 11 / baud
        self.t35_s = (T35_US if baud > FAST_BAUD else 3.5e6 * self.char_s) / 1e6
        self.rng = random.Random(seed)
        self.dead = set()
        self.requests, self.violations, self.stalls = 0, [], 0
        self.busy_until = 0  # nothing may begin before, but for the silence
        self.slack_s = 0     # of that moment
        self.crossed_s = -10  # silence that is shorter is nobody's fault
        self.free = {}       # by unit: when it has answered all
        self.failed = {}     # by unit: sound replies to come
        self.pending = []    # as in Asked.out
        self.excused = False
        self.looked = time.monotonic()
        self.plug_in()

    # --- the port

    def plug_in(self):
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        tty.setraw(self.master)
        name = os.ttyname(slave)
        os.close(slave)
        scratch = f"{self.path}.new"
        os.symlink(name, scratch)
        os.replace(scratch, self.path)
        self.pending, self.busy_until = [], 0

    def unplug(self):
        """The adapter is gone; what comes back has another name."""
        os.unlink(self.path)
        os.close(self.master)
        self.master = -1

    # --- the verdicts

    def blame(self, what):
        self.violations.append(f"request {self.requests}: {what}")

    def look_at(self, began):
        silence = began - self.busy_until
        if self.excused:
            self.excused = False
        elif self.crossed_s <= silence < self.t35_s - self.slack_s:
            self.blame(f"{1e6 * silence:.0f} us of silence before it, {1e6 * self.t35_s:.0f} are due")
        # A reply that has begun must be heard to its end; one that has not may be given up.
        elif self.pending and self.pending[0][2]:
            self.blame("while a reply comes")

    # --- the slaves

    def take(self, frame, began):
        ended = began + len(frame) * self.char_s
        self.requests += 1
        self.busy_until, self.slack_s = ended, SEEN_S
        self.crossed_s = -10
        if self.echo:
            self.pending.append((ended, frame, False, False))
        if len(frame) < 4 or crc(frame[:-2]) != frame[-2:]:
            self.blame(f"it is none: {frame.hex()}")
            return
        asked = Asked(self, frame, ended)
        if asked.unit == 0:
            self.busy_until = ended + BROADCAST_S - self.t35_s
            if self.answer_all:
                asked.put(framed(bytes((self.rng.choice(sorted(self.units)),)) + frame[1:6]), 0.005)
                self.pending += asked.out
        if asked.unit in self.units and asked.unit not in self.dead:
            self.serve(asked)

    def serve(self, asked):
        """A device does one thing after the other: what comes while it is at work waits, or is not even heard."""
        free = self.free.get(asked.unit, 0)
        if asked.ended < free and self.rng.randrange(2):
            return
        asked.ended = max(asked.ended, free)
        self.pick(asked)(asked, self.rng)
        self.pending += asked.out
        if asked.out:
            self.free[asked.unit] = asked.out[-1][0]

    def pick(self, asked):
        if self.rarely == 1:
            return self.rng.choice(self.faults)
        draw = self.faults and self.rng.randrange(self.rarely) == 0
        if not draw or self.failed.get(asked.unit, 0) > 0:
            self.failed[asked.unit] = self.failed.get(asked.unit, 0) - 1
            return sound
        self.failed[asked.unit] = SOUND
        return self.rng.choice(self.faults)

    def send_due(self):
        self.pending.sort(key=lambda p: p[0])
        while self.pending and self.pending[0][0] <= time.monotonic():
            due, data, goes_on, unforeseen = self.pending.pop(0)
            now = time.monotonic()
            # The master may have given up what came so late by our fault; it sees bytes no sooner than they are written.
            self.excused = now - due > LATE_S
            self.stalls += now - due > STALL_S / 3
            if now > self.busy_until:  # else it is still reckoned from the request
                self.busy_until, self.slack_s = now, 0
            self.crossed_s = CROSSED_S if unforeseen else -10
            if not goes_on and select.select([self.master], [], [], 0)[0]:
                self.excused = True  # both began at once
            os.write(self.master, data)

    def turn(self, ear):
        self.pending.sort(key=lambda p: p[0])
        left = self.pending[0][0] - time.monotonic() if self.pending else 0.02
        wanted = [ear] if self.master < 0 else [self.master, ear]
        ready = select.select(wanted, [], [], min(max(left - 0.0001, 0), 0.02))[0]
        began = time.monotonic()
        if began - self.looked > STALL_S:
            self.stalls, self.excused = self.stalls + 1, True
        self.looked = began
        if ear in ready:
            return self.obey(ear)
        if self.master in ready:
            self.hear(began)
        elif self.master >= 0:
            self.send_due()
        return True

    def hear(self, began):
        try:
            frame = os.read(self.master, 300)
        except OSError:  # nobody has it open
            time.sleep(0.002)
            return
        if len(frame) > LONGEST and frame[6:8] == crc(frame[:6]):
            self.stalls, self.excused = self.stalls + 1, True  # each is read when it comes, unless we do not run
            return
        self.look_at(began)
        self.take(frame, began)

    def obey(self, ear):
        word, *rest = ear.recv()
        if word == "dead":
            self.dead = rest[0]
        elif word == "unplug":
            self.unplug()
        elif word == "plug in":
            self.plug_in()
        self.looked = time.monotonic()
        ear.send((self.requests, self.violations, self.stalls))
        return word != "end"


def sit(ear, *how):
    try:  # before others, where that is allowed: so does the master
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        pass
    bench = Bench(*how)
    ear.send("ready")
    while bench.turn(ear):
        pass


class Judge:
    """units: who is there. faults: what may go wrong, drawn for one request in `rarely`, and for one unit rarely enough
    that a master that tries again gets its answer, so that no point is to be told bad; 1: each time. answer_all: one
    answers to a broadcast, which none may."""

    def __init__(self, path, baud, units, faults=(), rarely=4, timeout_s=0.1, turnaround_s=0.002, echo=False, seed=1,
                 answer_all=False):
        self.mouth, ear = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=sit, daemon=True, args=(
            ear, path, baud, units, faults, rarely, timeout_s, turnaround_s, echo, seed, answer_all))
        self.process.start()
        self.mouth.recv()

    def tell(self, *words):
        """dead UNITS, unplug, plug in, end, or nothing of these: what it has seen so far."""
        self.mouth.send(words)
        self.requests, self.violations, self.stalls = self.mouth.recv()

    def end(self):
        if self.process.is_alive():
            self.tell("end")
        self.process.join(5)
