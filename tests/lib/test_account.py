#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The account must find what a gateway loses, doubles and mixes up: exactly that. The gateway here does it on purpose,
and says what it did."""

import asyncio
import pathlib
import struct
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402


def packet(kind, body):
    length, out = len(body), bytes([kind])
    while True:
        out += bytes([length % 128 | (128 if length > 127 else 0)])
        length //= 128
        if not length:
            return out + body


async def read_packet(reader):
    kind, length, shift = (await reader.readexactly(1))[0], 0, 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return kind, await reader.readexactly(length)


class Liar:
    """Acknowledges every publish; drops, doubles (marked by DUP or not) and swaps some on the way up."""

    def __init__(self, up_port):
        self.up_port, self.count, self.held, self.id = up_port, 0, None, 0
        self.dropped, self.marked, self.unmarked, self.swapped = [], 0, [], 0

    async def up(self, topic, payload, dup=False):
        self.id = self.id % 65535 + 1
        self.writer.write(packet(0x3a if dup else 0x32, struct.pack(">H", len(topic)) + topic
                                 + struct.pack(">H", self.id) + payload))
        await self.writer.drain()
        kind, _ = await read_packet(self.reader)
        assert kind == 0x40, kind

    async def pass_on(self, topic, payload):
        self.count += 1
        if self.held:  # its successor goes first
            await self.up(topic, payload)
            await self.up(*self.held)
            self.held = None
            return
        if self.count % 41 == 0:
            self.dropped.append(payload)
        elif self.count % 53 == 0:
            self.held = (topic, payload)
            self.swapped += 1
        else:
            await self.up(topic, payload)
            if self.count % 31 == 0:
                await self.up(topic, payload, dup=True)
                self.marked += 1
            elif self.count % 37 == 0:
                await self.up(topic, payload)
                self.unmarked.append(payload)

    async def serve(self, reader, writer):
        try:
            while True:
                kind, body = await read_packet(reader)
                if kind >> 4 == 1:
                    writer.write(packet(0x20, b"\0\0"))
                elif kind >> 4 == 3:
                    cut = 2 + struct.unpack(">H", body[:2])[0]
                    await self.pass_on(body[2:cut], body[cut + 2:])
                    writer.write(packet(0x40, body[cut:cut + 2]))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass

    async def run(self, started):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.up_port)
        self.writer.write(packet(0x10, struct.pack(">H4sBBHH4s", 4, b"MQTT", 4, 2, 60, 4, b"liar")))
        kind, _ = await read_packet(self.reader)
        assert kind == 0x20, kind
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        started(server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()


def start_liar(up_port):
    liar, port, loop = Liar(up_port), [], asyncio.new_event_loop()
    threading.Thread(target=lambda: loop.run_until_complete(liar.run(port.append)), daemon=True).start()
    harness.wait(lambda: port, 10, "the liar listens")
    return liar, port[0]


def account_finds_exactly_what_a_lying_gateway_does():
    with harness.Room() as room:
        cloud = room.cloud()
        liar, port = start_liar(cloud.port)
        load = room.publishers(port, publishers=1, count=2000, window=1)
        harness.wait(lambda: load.stats()["acked"] == 2000, 60, lambda: f"2000 acknowledged: {load.stats()}")
        account = harness.Account("load/").publishers(load.journal).against(harness.read_arrivals(cloud.journal))
        found = (len(account.acknowledged), len(account.lost), account.marked, len(account.unmarked),
                 len(account.reordered))
        did = (2000, len(liar.dropped), liar.marked, len(liar.unmarked), liar.swapped)
        if found != did or account.clean() or min(did) == 0:
            raise harness.Failed(f"found {found}, done {did}")
        try:
            account.check()
        except harness.Failed:
            return f"acknowledged, lost, marked, unmarked, reordered: {found}"
        raise harness.Failed("check() is content")


def account_is_content_with_an_honest_link():
    with harness.Room() as room:
        cloud = room.cloud()
        link = room.linkcut(cloud.port)
        load = room.publishers(link.port, publishers=4, qos=12, mqtt=5, count=20000, window=50)
        for fault in ("reset", "cut 777", "silent", "forward", "reset"):
            link.tell(fault)
            at = load.stats()["made"]
            if fault != "silent":
                harness.wait(lambda: load.stats()["made"] > min(at + 3000, 79999), 20, "more was made")
        harness.wait(lambda: load.stats()["acked"] == 80000, 60, lambda: f"80000 acknowledged: {load.stats()}")
        account = harness.Account("load/", once=lambda p: p % 2 == 0).publishers(load.journal)
        account.against(harness.read_arrivals(cloud.journal)).check()


def killed_cloud_keeps_what_it_acknowledged():
    with harness.Room() as room:
        cloud = room.cloud()
        load = room.publishers(cloud.port, publishers=4, qos=12, count=5000, window=50)
        for _ in range(3):
            at = load.stats()["acked"]
            harness.wait(lambda: load.stats()["acked"] > min(at + 1000, 19999), 20, "some were acknowledged")
            cloud.kill()
            cloud.start(r"^ready")
        harness.wait(lambda: load.stats()["acked"] == 20000, 60, lambda: f"20000 acknowledged: {load.stats()}")
        account = harness.Account("load/", once=lambda p: p % 2 == 0).publishers(load.journal)
        account.against(harness.read_arrivals(cloud.journal)).check()


if __name__ == "__main__":
    sys.exit(harness.run([account_finds_exactly_what_a_lying_gateway_does, account_is_content_with_an_honest_link,
                          killed_cloud_keeps_what_it_acknowledged]))
