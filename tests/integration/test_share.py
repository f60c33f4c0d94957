#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A line whose devices others may ask (`share:`), before the judge of the bus: clients that others wrote, clients that
mean harm, and polls that go on beside them."""

import ctypes
import json
import random
import socket
import sys
import time

import site_room  # first: it knows where harness is
import harness
from harness import Failed, run, wait
from pymodbus.client import ModbusTcpClient
from test_judge import UNITS, Court

READ = bytes((0, 1, 0, 0, 0, 6, 3, 3, 0, 0, 0, 6))  # of unit 3, six registers
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, NO_PORT, NO_ANSWER = 1, 2, 10, 11


class Shared(Court):
    def open(self, keys="", baud=115200, **judge):
        self.port = harness.free_port()
        more = f", share: {{bind: '127.0.0.1:{self.port}'{keys}}}"
        super().open(baud, more=more, **judge)
        return self

    def client(self):
        c = ModbusTcpClient("127.0.0.1", port=self.port)
        if not c.connect():
            raise Failed("nobody takes the connection")
        return c

    def socket(self):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def good(self):
        return len(self.told(lambda unit, point, said: said["q"] != "bad"))

    def polls_go_on(self):
        before = {unit: 0 for unit in UNITS}
        for unit, _, _ in self.told(lambda unit, point, said: said["q"] != "bad"):
            before[unit] += 1

        def all_came():
            now = dict(before)
            for unit, _, _ in self.told(lambda unit, point, said: said["q"] != "bad"):
                now[unit] += 1
            return all(now[unit] >= 2 * before[unit] + 3 for unit in UNITS)

        wait(all_came, 20, "each unit is polled on")


def expect(answer, code=None):
    got = getattr(answer, "exception_code", None)
    if got != code:
        raise Failed(f"exception {got} where {code} was due: {answer}")
    return answer


def check_read(client, unit):
    """A machine that stands still for a moment makes a unit look silent: it is asked again, as a master does."""
    for _ in range(5):
        answer = client.read_holding_registers(0, 6, slave=unit)
        if getattr(answer, "exception_code", None) != NO_ANSWER:
            break
    check_registers(unit, expect(answer).registers)


def check_registers(unit, registers):
    if any(word >> 8 != unit or word & 0xFF != i for i, word in enumerate(registers) if i % 2 == 0):
        raise Failed(f"not what unit {unit} holds: {registers}")


class Libmodbus:
    """A master of libmodbus, without a wrapper."""

    def __init__(self, port):
        self.lib = ctypes.CDLL("libmodbus.so.5")
        self.lib.modbus_new_tcp.restype = ctypes.c_void_p
        self.ctx = ctypes.c_void_p(self.lib.modbus_new_tcp(b"127.0.0.1", port))
        self.lib.modbus_set_response_timeout(self.ctx, 20, 0)
        if self.lib.modbus_connect(self.ctx) != 0:
            raise Failed("libmodbus does not connect")

    def read(self, unit, address, count):
        words = (ctypes.c_uint16 * count)()
        self.lib.modbus_set_slave(self.ctx, unit)
        for _ in range(5):
            if self.lib.modbus_read_registers(self.ctx, address, count, words) == count:
                return list(words)
        raise Failed("libmodbus is not answered")

    def close(self):
        self.lib.modbus_close(self.ctx)
        self.lib.modbus_free(self.ctx)


def masters_that_others_wrote_read_while_weir_polls():
    with Shared() as room:
        room.open()
        other, client, asked = Libmodbus(room.port), room.client(), 0
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            for unit in UNITS:
                check_read(client, unit)
                check_registers(unit, other.read(unit, 0, 6))
                asked += 2
        room.polls_go_on()
        other.close()
        client.close()
        return f"{asked} readings for others; " + room.verdict()


def what_is_not_allowed_does_not_reach_the_line():
    with Shared() as room:
        room.open()
        client = room.client()
        expect(client.write_register(7, 1, slave=3), ILLEGAL_FUNCTION)
        expect(client.write_coils(7, [True] * 3, slave=3), ILLEGAL_FUNCTION)
        expect(client.read_holding_registers(0, 6, slave=11), ILLEGAL_ADDRESS)
        expect(client.read_holding_registers(0, 6, slave=0), ILLEGAL_ADDRESS)
        client.close()
        log = room.gateway.log.read_text()
        if log.count("refused: not among `functions`") != 1:
            raise Failed("it is to be told once for a connection")
        return room.verdict()


def what_is_allowed_is_written_and_told():
    with Shared() as room:
        room.open(keys=", functions: [1-4, 6], units: 1-5")
        told = room.recorder(room.broker, name="events", topic="plant/weir/event", qos=1)

        def events():
            return [json.loads(a.payload) for a in harness.read_arrivals(told.journal)]

        client = room.client()
        expect(client.write_register(7, 4711, slave=3))
        expect(client.write_registers(7, [1, 2], slave=3), ILLEGAL_FUNCTION)
        expect(client.write_register(7, 4711, slave=6), ILLEGAL_ADDRESS)
        client.close()
        wait(lambda: "register=holding 7 by function 6 by=\"share client 127.0.0.1\" ok=yes"
             in room.gateway.log.read_text(), 20, "the write is in the log")
        wait(lambda: any(e.get("by") == "share client 127.0.0.1" and e["asked"] == "4711" and e["outcome"] == "written"
                         and e["topic"] == "plant/bus/all-3" for e in events()), 20, "and an event")
        share = json.loads(room.weir_tell("status", "bus", "--json").stdout)["line"]["share"]
        if (share["requests"], share["refused"], share["writes"], share["unanswered"]) != (3, 2, 1, 0):
            raise Failed(str(share))
        if "3 requests, 2 not allowed, 1 writes" not in room.weir_tell("status").stdout:
            raise Failed(room.weir_tell("status").stdout)
        return room.verdict()


def unit_that_is_silent_is_told_and_harms_no_other():
    with Shared() as room:
        room.open()
        room.judge.tell("dead", {4})
        wait(lambda: room.told(lambda unit, point, said: unit == 4 and said["q"] == "bad"), 20, "unit 4 is bad")
        client = room.client()
        for _ in range(20):
            expect(client.read_holding_registers(0, 6, slave=4), NO_ANSWER)
            check_read(client, 5)
        client.close()
        return room.verdict({4})


def line_that_is_gone_and_a_reload_are_told():
    with Shared() as room:
        room.open()
        client = room.client()
        room.judge.tell("unplug")
        wait(lambda: getattr(client.read_holding_registers(0, 6, slave=4), "exception_code", None) == NO_PORT, 20,
             "the port is said to be gone")
        room.judge.tell("plug in")
        wait(lambda: not client.read_holding_registers(0, 6, slave=4).isError(), 20, "it is read again")
        config = room.gateway.config.read_text()
        room.gateway.config.write_text(config.replace("baud:", "bawd:"))
        said = room.weir_tell("reload")
        if said.returncode == 0 or "nothing was changed" not in said.stdout + said.stderr:
            raise Failed(f"what a reload of mistakes says: {said}")
        check_read(client, 4)
        client.close()
        return room.verdict(UNITS)


def clients_that_mean_harm_disturb_nobody():
    rng = random.Random(1)
    with Shared() as room:
        room.open(keys=", max_clients: 3")
        client = room.client()
        for i in range(60):
            with room.socket() as s:
                s.sendall(rng.choice((READ * 21, READ[:rng.randrange(1, 12)], rng.randbytes(300), b"GET / HTTP/1.1\r\n")))
                if i % 3 == 0:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, in the middle
            check_read(client, 5)
        greedy = [room.socket() for _ in range(6)]
        wait(lambda: sum(is_closed(s) for s in greedy) >= 4, 20, "what is too many is turned away")
        check_read(client, 5)
        for s in greedy:
            s.close()
        room.polls_go_on()
        client.close()
        return room.verdict()


def is_closed(s):
    s.setblocking(False)
    try:
        return s.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def requests_in_one_piece_are_answered_in_order():
    with Shared() as room:
        room.open()
        with room.socket() as s:
            s.sendall(b"".join(i.to_bytes(2, "big") + READ[2:] for i in range(40)))
            for i in range(40):
                answer = b""
                while len(answer) < 21:
                    more = s.recv(21 - len(answer))
                    if not more:
                        raise Failed(f"it ends in answer {i}")
                    answer += more
                if answer[:9] != i.to_bytes(2, "big") + b"\0\0\0\x0f\3\3\x0c":
                    raise Failed(f"answer {i} is {answer.hex()}")
        return room.verdict()


if __name__ == "__main__":
    sys.exit(run([masters_that_others_wrote_read_while_weir_polls, what_is_not_allowed_does_not_reach_the_line,
                  what_is_allowed_is_written_and_told, unit_that_is_silent_is_told_and_harms_no_other,
                  line_that_is_gone_and_a_reload_are_told, clients_that_mean_harm_disturb_nobody, requests_in_one_piece_are_answered_in_order]))
