# SPDX-License-Identifier: MIT
"""A server that does what a test wants of one: enforces limits, refuses, says its wishes in CONNACK. It keeps all that
it was sent. What breaks a rule is in `breaches`, and the connection is closed, as the services do it."""
import os
import socket
import ssl
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import mqttwire as w


class Link:
    """One connection to the stand-in."""

    def __init__(self, server, sock):
        self.server, self.sock, self.version, self.unacked = server, sock, 4, 0
        self.lock = threading.Lock()

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise ConnectionError
            data += more
        return data

    def packet(self):
        first, length, shift, head = self.read(1)[0], 0, 0, 1
        while True:
            b = self.read(1)[0]
            head += 1
            length |= (b & 127) << shift
            shift += 7
            if b < 128:
                return first, self.read(length), head + length

    def send(self, data):
        with self.lock:
            self.sock.sendall(data)

    def connect(self, body):
        r = w.Reader(body)
        r.str()
        self.version, flags, keep_alive = r.u8(), r.u8(), r.u16()
        props, inner = {}, w.Reader(r.take(r.var()) if self.version == 5 else b"")
        while inner.left():
            ident = inner.var()
            props[ident] = getattr(inner, w.KIND[ident])()
        hello = {"props": props, "version": self.version, "client_id": r.str(), "keep_alive": keep_alive, "clean": bool(flags & 2),
                 "alpn": self.sock.selected_alpn_protocol() if isinstance(self.sock, ssl.SSLSocket) else None}
        if flags & 4:
            if self.version == 5:
                r.take(r.var())
            hello["will"] = (r.str(), r.bin(), bool(flags & 32))
        hello["user"] = r.str() if flags & 128 else None
        hello["password"] = r.bin().decode() if flags & 64 else None
        self.server.hellos.append(hello)
        code, properties = self.server.welcome(hello)
        tail = w.props(*properties) if self.version == 5 else b""
        self.send(w.packet(0x20, bytes([0, code]) + tail))
        if code:
            raise ConnectionError

    def publish(self, first, body, size):
        p = w.Packet(3, first & 15, body)
        w._read_publish(p, w.Reader(body), self.version)
        self.unacked += 1
        self.server.published.append(p)
        self.server.most_unacked = max(self.server.most_unacked, self.unacked)
        breach = self.server.judge(p, size, self.unacked)
        if breach:
            self.server.breaches.append(breach)
            raise ConnectionError
        if p.qos:
            self.server.answer(self, p)
        else:
            self.unacked -= 1

    def puback(self, p, reason=0):
        self.unacked -= 1
        if reason == 0:
            self.server.accepted.append(p)
        body = w.u16(p.pid) + (bytes([reason]) if reason and self.version == 5 else b"")
        self.send(w.packet(0x40, body))

    def pubrec(self, p, reason=0):
        self.unacked -= 1
        if reason < 0x80:
            self.server.accepted.append(p)
        self.send(w.packet(0x50, w.u16(p.pid) + (bytes([reason]) if reason and self.version == 5 else b"")))

    def pubcomp(self, pid, reason=0):
        self.send(w.packet(0x70, w.u16(pid) + (bytes([reason]) if reason and self.version == 5 else b"")))

    def send_away(self, code, tail=b""):
        """DISCONNECT, and an end that lets it arrive: a close over what was not read yet would reset the connection."""
        self.send(bytes([0xE0, 1 + len(tail), code]) + tail)
        self.sock.shutdown(socket.SHUT_WR)
        self.sock.settimeout(10)
        while self.sock.recv(65536):
            pass
        raise ConnectionError

    def run(self):
        try:
            while True:
                first, body, size = self.packet()
                kind = first >> 4
                if kind == 1:
                    self.connect(body)
                elif kind == 3:
                    self.publish(first, body, size)
                elif kind == 6:
                    self.server.released(self, int.from_bytes(body[:2], "big"))
                elif kind == 8:
                    self.send(w.packet(0x90, body[:2] + (b"\0" if self.version == 5 else b"") + b"\1"))
                elif kind == 12:
                    self.send(w.packet(0xD0, b""))
                elif kind == 14:
                    raise ConnectionError
        except (ConnectionError, OSError):
            pass
        finally:
            self.sock.close()


class StandIn:
    """Override or set welcome, judge, answer."""

    def __init__(self, context=None, port=0):
        self.hellos, self.published, self.accepted, self.breaches = [], [], [], []
        self.most_unacked = 0
        self.context, self.names = context, []
        if context:
            context.sni_callback = lambda _sock, name, _context: self.names.append(name)
        self.links = []
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.greet, args=(sock,), daemon=True).start()

    def greet(self, sock):
        try:
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
        except (OSError, ssl.SSLError):
            return
        link = Link(self, sock)
        self.links.append(link)
        link.run()

    def welcome(self, _hello):
        """(return code, properties)"""
        return 0, ()

    def judge(self, _packet, _size, _unacked):
        """What is wrong with a PUBLISH; None: nothing."""
        return None

    def answer(self, link, packet):
        link.puback(packet)

    def released(self, link, pid):
        link.pubcomp(pid)

    def close(self):
        self.listener.close()
        for link in self.links:
            try:
                link.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def later(seconds, run, *args):
    def wait():
        time.sleep(seconds)
        try:
            run(*args)
        except OSError:
            pass
    threading.Thread(target=wait, daemon=True).start()
