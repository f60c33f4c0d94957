# SPDX-License-Identifier: MIT
"""What tests of listeners and users share: brokers with a configuration each, and how one gets in."""
import base64
import contextlib
import hashlib
import pathlib

from broker_rig import *  # noqa: F403


def at(port):
    """Another listener of a broker on this machine, for Client and Socket."""
    return type("At", (), {"host": "127.0.0.1", "port": port})


@contextlib.contextmanager
def broker(config):
    b = Broker(config)
    try:
        yield b
    finally:
        faults = b.stop()
    if faults:
        raise Wrong("; ".join(faults))


def over(b, v, sock):
    """A Socket of the rig on a connection made otherwise."""
    s = Socket.__new__(Socket)
    s.broker, s.version, s.buffer, s.stash, s.sock = b, v, b"", [], sock
    return s


def at_unix(b, v, path):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    return over(b, v, sock)


def enter(s, v, reason=0, **how):
    s.send(connect(v, how.pop("id", None) or fresh("c"), **how))
    return s.expect(CONNACK, reason=reason)


def weir(*args, **how):
    """A command of weir's; to hash a password takes it a quarter of a second of a core that it may have to share."""
    return subprocess.run([os.environ["WEIR"], *args], capture_output=True, text=True, timeout=2 * PATIENCE_S, **how)


def added_users(folder, **users):
    """A file of users as `weir user add` writes it: each password costs what it costs an attacker, each time it is checked."""
    path = str(pathlib.Path(folder, "users"))
    for name, password in users.items():
        done = weir("user", "add", path, name, input=password + "\n")
        if done.returncode != 0:
            raise Wrong(done.stderr)
    return path


def users_file(folder, **users):
    """A file of users as mosquitto_passwd writes it, with few rounds: for tests of something else than the hashing."""
    path = pathlib.Path(folder, "users")
    with open(path, "w", encoding="utf-8", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
        for name, password in users.items():
            salt = os.urandom(12)
            key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101)
            f.write(f"{name}:$7$101${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}\n")
    return str(path)
