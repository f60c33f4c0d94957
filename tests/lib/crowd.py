# SPDX-License-Identifier: MIT
"""A hostile crowd for a broker on loopback: crowd.py PORT COUNT SECONDS [TLS_PORT [KIND]...]

Some never say CONNECT, some say it a byte at a time, some publish as fast as they can, some subscribe and do not read,
some come and go without end, some send rubbish, some fight for one client id; some leave large packets lying, subscribe
so that every topic is hard to match, flood what is retained, leave wills behind, spoil shared subscriptions, or ask and do
not read the answers. With TLS_PORT some begin hand-shakes there that they do not end. Prints what it did, and ends by
itself.
"""
import functools
import itertools
import random
import socket
import ssl
import struct
import sys
import time

from mqttwire import Will, connect, packet, publish, string, subscribe, varint

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


class Hoarder(Member):
    """Most of a large packet, and no more of it."""

    def opened(self):
        self.pieces = 100
        return self.hello() + b"\x30" + varint(9 << 20) + string(TOPIC)

    def more(self):
        self.pieces -= 1
        return b"h" * 65536 if self.pieces > 0 else b""


class Bomber(Member):
    """Each level of eight may match in two ways."""
    FILTERS = ["/".join(levels) for levels in itertools.product("a+", repeat=8)]

    def opened(self):
        self.count = 0
        return self.hello() + subscribe(4, 1, *[(f, 0) for f in self.FILTERS])

    def more(self):
        self.count += 1
        return publish(4, f"a/a/a/a/a/a/a/{self.number}-{self.count}", b"b")


class Retainer(Member):
    def opened(self):
        return self.hello() + subscribe(4, 1, ("crowd/kept/#", 0))

    def more(self):
        return b"".join(publish(4, f"crowd/kept/{self.number}/{random.randrange(100)}", b"r" * 100, retain=True)
                        for _ in range(20))


class Wilful(Churn):
    """Always gone without a word, so that its will goes out."""

    def opened(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return connect(4, f"wilful-{self.number}", will=Will(TOPIC, b"w" * 1000, qos=1))


class Sharer(Churn):
    """A member of a group that takes its share and acknowledges nothing."""

    def opened(self):
        return self.hello() + subscribe(4, 1, (f"$share/g{self.number % 3}/crowd/#", 1))


class Pinger(Member):
    BURST = b"\xc0\0" * 5000

    def more(self):
        return self.BURST

    def read(self):
        pass


class Shaker(Member):
    """Half of a hand-shake, or one that lets the server sign and is gone."""

    @staticmethod
    @functools.cache
    def client_hello():
        out, context = ssl.MemoryBIO(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            context.wrap_bio(ssl.MemoryBIO(), out).do_handshake()
        except ssl.SSLWantReadError:
            pass
        return out.read()

    def opened(self):
        hello = self.client_hello()
        return hello[:len(hello) // 2] if self.number % 4 == 0 else hello

    def read(self):
        super().read()
        if self.number % 4 != 0:
            self.close()


SHARES = ((Silent, 20), (Drip, 15), (Flood, 8), (Deaf, 8), (Churn, 12), (Rubbish, 8), (Fighter, 8), (Hoarder, 3), (Bomber, 1),
          (Retainer, 4), (Wilful, 5), (Sharer, 5), (Pinger, 3))
SHAKERS = 5  # of a hundred more, at the other port


def main():
    port, count, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    only = [name.lower() for name in sys.argv[5:]]
    random.seed(1)
    shares = [(kind, share, port) for kind, share in SHARES]
    if len(sys.argv) > 4:
        shares.append((Shaker, SHAKERS, int(sys.argv[4])))
    shares = [s for s in shares if not only or s[0].__name__.lower() in only]
    crowd = [kind(at, n) for kind, share, at in shares for n in range(count * share // 100)]
    random.shuffle(crowd)
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            for member in crowd:
                member.step()
                if time.monotonic() > end:
                    break
    except KeyboardInterrupt:
        pass  # that is enough
    for kind, _, _ in shares:
        those = [m for m in crowd if type(m) is kind]
        print(f"{kind.__name__.lower()}: {len(those)} members, {sum(m.made for m in those)} connections, "
              f"{sum(m.sent for m in those) / 1e6:.1f} MB sent")
    for member in crowd:
        member.close()


if __name__ == "__main__":
    main()
