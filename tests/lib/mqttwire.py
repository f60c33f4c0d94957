# SPDX-License-Identifier: MIT
"""MQTT packets as bytes: builders that can also build what is wrong, and a parser that accepts only what is right.

Written from the three specifications. A version is the protocol level: 3 (MQTT 3.1), 4 (3.1.1), 5 (5.0). The parser
is strict about everything a server may send, so every test that reads a packet checks its flags, its lengths, its
properties and its reason code as well.
"""
import struct

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, \
    PINGRESP, DISCONNECT, AUTH = range(1, 16)
NAME = [None, "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "SUBACK",
        "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"]

# Property: identifier, and how its value is written.
FORMAT, EXPIRY, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION = 0x01, 0x02, 0x03, 0x08, 0x09
SUB_ID, SESSION_EXPIRY, ASSIGNED_ID, SERVER_KEEP_ALIVE = 0x0B, 0x11, 0x12, 0x13
AUTH_METHOD, AUTH_DATA, WANT_PROBLEM, WILL_DELAY, WANT_RESPONSE = 0x15, 0x16, 0x17, 0x18, 0x19
RESPONSE_INFO, SERVER_REF, REASON, RECEIVE_MAX, ALIAS_MAX, ALIAS = 0x1A, 0x1C, 0x1F, 0x21, 0x22, 0x23
MAX_QOS, RETAIN_AVAILABLE, USER, MAX_PACKET = 0x24, 0x25, 0x26, 0x27
WILDCARDS, SUB_IDS, SHARED = 0x28, 0x29, 0x2A

KIND = {
    FORMAT: "u8", EXPIRY: "u32", CONTENT_TYPE: "str", RESPONSE_TOPIC: "str", CORRELATION: "bin", SUB_ID: "var",
    SESSION_EXPIRY: "u32", ASSIGNED_ID: "str", SERVER_KEEP_ALIVE: "u16", AUTH_METHOD: "str", AUTH_DATA: "bin",
    WANT_PROBLEM: "u8", WILL_DELAY: "u32", WANT_RESPONSE: "u8", RESPONSE_INFO: "str", SERVER_REF: "str",
    REASON: "str", RECEIVE_MAX: "u16", ALIAS_MAX: "u16", ALIAS: "u16", MAX_QOS: "u8", RETAIN_AVAILABLE: "u8",
    USER: "pair", MAX_PACKET: "u32", WILDCARDS: "u8", SUB_IDS: "u8", SHARED: "u8",
}

# What a server may put into which packet (MQTT 5, 2.2.2.2), and the reason codes it may send (2.4).
FROM_SERVER = {
    CONNACK: {SESSION_EXPIRY, RECEIVE_MAX, MAX_QOS, RETAIN_AVAILABLE, MAX_PACKET, ASSIGNED_ID, ALIAS_MAX, REASON, USER,
              WILDCARDS, SUB_IDS, SHARED, SERVER_KEEP_ALIVE, RESPONSE_INFO, SERVER_REF, AUTH_METHOD, AUTH_DATA},
    PUBLISH: {FORMAT, EXPIRY, ALIAS, RESPONSE_TOPIC, CORRELATION, USER, SUB_ID, CONTENT_TYPE},
    PUBACK: {REASON, USER}, PUBREC: {REASON, USER}, PUBREL: {REASON, USER}, PUBCOMP: {REASON, USER},
    SUBACK: {REASON, USER}, UNSUBACK: {REASON, USER},
    DISCONNECT: {REASON, USER, SERVER_REF}, AUTH: {AUTH_METHOD, AUTH_DATA, REASON, USER},
}
REASONS = {
    CONNACK: {0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99,
              0x9A, 0x9B, 0x9C, 0x9D, 0x9F},
    PUBACK: {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99},
    PUBREC: {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99},
    PUBREL: {0x00, 0x92}, PUBCOMP: {0x00, 0x92},
    SUBACK: {0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2},
    UNSUBACK: {0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91},
    DISCONNECT: {0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97,
                 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2},
    AUTH: {0x00, 0x18},
}


class Wrong(AssertionError):
    """What the server sent, or did not send, is not what the specification says."""


# --- writing ---------------------------------------------------------------------------------------------------

def varint(n):
    out = bytearray()
    while True:
        n, low = n >> 7, n & 0x7F
        out.append(low | (0x80 if n else 0))
        if not n:
            return bytes(out)


def u16(n):
    return struct.pack(">H", n)


def u32(n):
    return struct.pack(">I", n)


def raw(text):
    return text.encode() if isinstance(text, str) else bytes(text)


def string(text):
    text = raw(text)
    return u16(len(text)) + text


def packet(first, body):
    """First byte, remaining length, body."""
    return bytes([first]) + varint(len(body)) + body


WRITE = {"u8": lambda v: bytes([v]), "u16": u16, "u32": u32, "var": varint, "str": string, "bin": string,
         "pair": lambda v: string(v[0]) + string(v[1])}


def prop(ident, value):
    return varint(ident) + WRITE[KIND[ident]](value)


def props(*items):
    """The properties of a packet behind their length: pairs (identifier, value), or bytes as they are."""
    body = b"".join(i if isinstance(i, (bytes, bytearray)) else prop(*i) for i in items)
    return varint(len(body)) + body


def _props(version, items):
    return props(*items) if version == 5 else b""


class Will:
    def __init__(self, topic, payload=b"gone", qos=0, retain=False, properties=()):
        self.topic, self.payload, self.qos, self.retain, self.properties = topic, payload, qos, retain, properties


def connect(version, client_id, clean=True, keepalive=60, will=None, user=None, password=None, properties=(),
            flags=None, name=None, level=None):
    bits = 2 if clean else 0
    payload = string(client_id)
    if will:
        bits |= 0x04 | will.qos << 3 | (0x20 if will.retain else 0)
        payload += _props(version, will.properties) + string(will.topic) + string(will.payload)
    if user is not None:
        bits |= 0x80
        payload += string(user)
    if password is not None:
        bits |= 0x40
        payload += string(password)
    head = string(name if name is not None else "MQIsdp" if version == 3 else "MQTT")
    head += bytes([version if level is None else level, bits if flags is None else flags]) + u16(keepalive)
    return packet(CONNECT << 4, head + _props(version, properties) + payload)


def publish(version, topic, payload=b"", qos=0, pid=None, retain=False, dup=False, properties=(), flags=None):
    first = PUBLISH << 4 | (qos << 1 | (8 if dup else 0) | (1 if retain else 0) if flags is None else flags)
    body = string(topic) + (u16(pid) if pid is not None else b"") + _props(version, properties) + raw(payload)
    return packet(first, body)


def ack(kind, pid, reason=None, properties=None, flags=None):
    """PUBACK, PUBREC, PUBREL, PUBCOMP; short when there is no reason."""
    body = u16(pid)
    if reason is not None:
        body += bytes([reason])
    if properties is not None:
        body += props(*properties)
    return packet(kind << 4 | ((2 if kind == PUBREL else 0) if flags is None else flags), body)


def subscribe(version, pid, *filters, properties=(), flags=2):
    """Filters are (filter, options) pairs."""
    body = u16(pid) + _props(version, properties)
    return packet(SUBSCRIBE << 4 | flags, body + b"".join(string(f) + bytes([o]) for f, o in filters))


def unsubscribe(version, pid, *filters, properties=(), flags=2):
    return packet(UNSUBSCRIBE << 4 | flags, u16(pid) + _props(version, properties) + b"".join(map(string, filters)))


def pingreq():
    return b"\xC0\x00"


def disconnect(version=4, reason=None, properties=None):
    body = b""
    if reason is not None:
        body += bytes([reason])
    if properties is not None:
        body += props(*properties)
    return packet(DISCONNECT << 4, body)


# --- reading ---------------------------------------------------------------------------------------------------

class Packet:
    """One parsed packet; only the fields of its type are set."""
    topic = payload = pid = reason = reasons = session = None
    dup = retain = False
    qos = 0

    def __init__(self, kind, flags, body):
        self.kind, self.flags, self.body, self.properties = kind, flags, body, []

    def prop(self, ident, default=None):
        return next((v for i, v in self.properties if i == ident), default)

    def all(self, ident):
        return [v for i, v in self.properties if i == ident]

    def __repr__(self):
        shown = {k: v for k, v in vars(self).items() if k not in ("kind", "flags", "body") and v not in (None, [])}
        if isinstance(shown.get("payload"), bytes) and len(shown["payload"]) > 60:
            shown["payload"] = shown["payload"][:60] + b"..."
        if self.reason is not None:
            shown["reason"] = f"0x{self.reason:02X}"
        return f"{NAME[self.kind]}({', '.join(f'{k}={v}' for k, v in shown.items())})"


class Reader:
    def __init__(self, body):
        self.body, self.at = body, 0

    def take(self, n):
        if self.at + n > len(self.body):
            raise Wrong(f"a field ends beyond its packet: {self.body[:80].hex()}")
        self.at += n
        return self.body[self.at - n:self.at]

    def left(self):
        return len(self.body) - self.at

    def u8(self):
        return self.take(1)[0]

    def u16(self):
        return struct.unpack(">H", self.take(2))[0]

    def u32(self):
        return struct.unpack(">I", self.take(4))[0]

    def bin(self):
        return self.take(self.u16())

    def str(self):
        text = self.bin().decode("utf-8")  # strict: no overlong forms, no surrogates
        if "\0" in text:
            raise Wrong("U+0000 in a string")
        return text

    def pair(self):
        return self.str(), self.str()

    def var(self):
        value = shift = 0
        while True:
            b = self.u8()
            value |= (b & 0x7F) << shift
            if not b & 0x80:
                if shift and not b:
                    raise Wrong("a variable byte integer longer than needed")
                return value
            shift += 7
            if shift > 21:
                raise Wrong("a variable byte integer of five bytes")

    def properties(self, kind):
        inner = Reader(self.take(self.var()))
        out = []
        while inner.left():
            ident = inner.var()
            if ident not in FROM_SERVER[kind]:
                raise Wrong(f"property 0x{ident:02X} in {NAME[kind]}")
            if ident not in (USER, SUB_ID) and any(i == ident for i, _ in out):
                raise Wrong(f"property 0x{ident:02X} twice in {NAME[kind]}")
            out.append((ident, getattr(inner, KIND[ident])()))
        return out


def _read_publish(p, r, version):
    p.dup, p.qos, p.retain = bool(p.flags & 8), p.flags >> 1 & 3, bool(p.flags & 1)
    if p.qos == 3 or (p.qos == 0 and p.dup):
        raise Wrong(f"PUBLISH with flags {p.flags:x}")
    p.topic = r.str()
    if "+" in p.topic or "#" in p.topic:
        raise Wrong(f"PUBLISH to {p.topic}")
    if p.qos:
        p.pid = r.u16()
        if p.pid == 0:
            raise Wrong("PUBLISH with packet id 0")
    if version == 5:
        p.properties = r.properties(PUBLISH)
    p.payload = r.take(r.left())


def _read_connack(p, r, version):
    flags = r.u8()
    if flags & 0xFE:
        raise Wrong("reserved CONNACK flags")
    p.session, p.reason = flags & 1, r.u8()
    if version == 5:
        p.properties = r.properties(CONNACK)
    if p.reason and p.session:
        raise Wrong("Session Present in a refusal [MQTT-3.2.2-6]")


def _read_ack(p, r, version):
    p.pid, p.reason = r.u16(), 0
    if version == 5 and r.left():
        p.reason = r.u8()
        if r.left():
            p.properties = r.properties(p.kind)


def _read_suback(p, r, version):
    p.pid = r.u16()
    if version == 5:
        p.properties = r.properties(p.kind)
    p.reasons = list(r.take(r.left()))


def _read_unsuback(p, r, version):
    if version == 5:
        _read_suback(p, r, version)
    else:
        p.pid = r.u16()


def _read_disconnect(p, r, version):
    p.reason = r.u8() if r.left() else 0
    if r.left():
        p.properties = r.properties(p.kind)


READ = {CONNACK: _read_connack, PUBLISH: _read_publish, PUBACK: _read_ack, PUBREC: _read_ack, PUBREL: _read_ack,
        PUBCOMP: _read_ack, SUBACK: _read_suback, UNSUBACK: _read_unsuback, DISCONNECT: _read_disconnect,
        AUTH: _read_disconnect, PINGRESP: lambda p, r, version: None}


def parse(first, body, version):
    """One packet from a server; Wrong when the specification does not allow it."""
    p = Packet(first >> 4, first & 15, body)
    if p.kind not in READ or (version < 5 and p.kind in (DISCONNECT, AUTH)):
        raise Wrong(f"a server must not send type {p.kind}")
    if p.kind != PUBLISH and p.flags != (2 if p.kind == PUBREL else 0):
        raise Wrong(f"{NAME[p.kind]} with flags {p.flags:x}")
    r = Reader(body)
    READ[p.kind](p, r, version)
    if r.left():
        raise Wrong(f"{NAME[p.kind]} with {r.left()} bytes left over")
    if version == 5 and p.kind in REASONS:
        for reason in p.reasons if p.reasons is not None else [p.reason]:
            if reason not in REASONS[p.kind]:
                raise Wrong(f"{NAME[p.kind]} with reason 0x{reason:02X}")
    return p
