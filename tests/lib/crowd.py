# SPDX-License-Identifier: MIT
"""A hostile crowd for a broker on loopback: crowd.py PORT COUNT SECONDS

Some never say CONNECT, some say it a byte at a time, some publish as fast as they can, some subscribe and do not read,
some come and go without end, some send rubbish, some fight for one client id. Prints what it did, and ends by itself.
"""
import random
import socket
import sys
import time

from mqttwire import connect, packet, publish, string, subscribe

TOPIC = "crowd/x"


class Member:
    """One connection that is made again whenever it is lost."""

    def __init__(self, port, number):
        self.port, self.number, self.sock, self.made, self.sent, self.left = port, number, None, 0, 0, b""

    def hello(self):
        return connect(4, f"{type(self).__name__}-{self.number}")

    def opened(self):
        """What it says first."""
        return self.hello()

    def more(self):
        """What it says next; empty: nothing."""
        return b""

    def step(self):
        try:
            if self.sock is None:
                self.sock = socket.create_connection(("127.0.0.1", self.port), 1)
                self.sock.setblocking(False)
                self.made += 1
                self.left = self.opened()
            self.left = self.left or self.more()
            if self.left:
                n = self.sock.send(self.left)
                self.sent += n
                self.left = self.left[n:]
            self.read()
        except BlockingIOError:
            pass
        except OSError:
            self.close()

    def read(self):
        if not self.sock.recv(65536):
            self.close()

    def close(self):
        if self.sock:
            self.sock.close()
        self.sock = None


class Silent(Member):
    def opened(self):
        return b""


class Drip(Member):
    def opened(self):
        self.rest = connect(4, f"drip-{self.number}" + "x" * 500)
        return b""

    def more(self):
        byte, self.rest = self.rest[:1], self.rest[1:]
        return byte


class Flood(Member):
    BURST = publish(4, TOPIC, b"f" * 100) * 200

    def more(self):
        return self.BURST


class Deaf(Member):
    def opened(self):
        return self.hello() + subscribe(4, 1, ("crowd/#", 0))

    def read(self):
        pass


class Churn(Member):
    def step(self):
        super().step()
        if self.sock and not self.left and random.random() < 0.3:
            self.close()

    def opened(self):
        return self.hello() + subscribe(4, 1, (f"crowd/{self.number}/#", 1))


class Rubbish(Member):
    def opened(self):
        return self.hello() + random.choice((b"\xff\xff\xff\xff\xff", packet(0x30, string("a/#")), packet(0x36, b"\0\1a\0\1"),
                                             b"\x30" + b"\xff\xff\xff\x7f" + b"x" * 100))


class Fighter(Member):
    def hello(self):
        return connect(4, f"fight-{self.number % 5}")


SHARES = ((Silent, 25), (Drip, 20), (Flood, 10), (Deaf, 10), (Churn, 15), (Rubbish, 10), (Fighter, 10))


def main():
    port, count, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    random.seed(1)
    crowd = [kind(port, n) for kind, share in SHARES for n in range(count * share // 100)]
    random.shuffle(crowd)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for member in crowd:
            member.step()
            if time.monotonic() > end:
                break
    for kind, _ in SHARES:
        those = [m for m in crowd if isinstance(m, kind) and type(m) is kind]
        print(f"{kind.__name__.lower()}: {len(those)} members, {sum(m.made for m in those)} connections, "
              f"{sum(m.sent for m in those) / 1e6:.1f} MB sent")
    for member in crowd:
        member.close()


if __name__ == "__main__":
    main()
