#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The same device as modbusd, made of pymodbus: `pymodbusd.py tcp PORT`, `pymodbusd.py rtu|ascii PATH`. It answers to
every unit, and says who it is. Ends with whoever started it."""

import asyncio
import ctypes
import signal
import sys


def context():
    from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext

    cells = 1000
    registers = [256 + i for i in range(cells)]
    bits = [i % 2 == 1 for i in range(cells)]
    tables = {"di": bits, "co": bits, "hr": registers, "ir": registers}
    blocks = {name: ModbusSequentialDataBlock(0, list(values)) for name, values in tables.items()}
    return ModbusServerContext(slaves=ModbusSlaveContext(zero_mode=True, **blocks), single=True)


def identity():
    from pymodbus.device import ModbusDeviceIdentification

    who = ModbusDeviceIdentification()
    who.VendorName, who.ProductCode, who.MajorMinorRevision = "pymodbus", "PM", "3.0"
    return who


async def main(kind, where):
    from pymodbus.server import StartAsyncSerialServer, StartAsyncTcpServer
    from pymodbus.transaction import ModbusAsciiFramer, ModbusRtuFramer

    if kind == "tcp":
        server = await StartAsyncTcpServer(context=context(), identity=identity(), address=("127.0.0.1", int(where)),
                                           allow_reuse_address=True, defer_start=True)
        print("ready", flush=True)
        await server.serve_forever()
        return
    framer = {"rtu": ModbusRtuFramer, "ascii": ModbusAsciiFramer}[kind]
    server = await StartAsyncSerialServer(context=context(), identity=identity(), framer=framer, port=where,
                                          baudrate=19200, bytesize=8, parity="N", stopbits=1, timeout=1,
                                          defer_start=True)
    await server.start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    asyncio.run(main(*sys.argv[1:3]))
