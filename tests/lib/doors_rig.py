# SPDX-License-Identifier: MIT
"""What tests of listeners and users share: brokers with a configuration each, and how one gets in."""
import contextlib
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
    return subprocess.run([os.environ["WEIR"], *args], capture_output=True, text=True, timeout=PATIENCE_S, **how)


def users_file(folder, **users):
    path = str(pathlib.Path(folder, "users"))
    for name, password in users.items():
        done = weir("user", "add", path, name, input=password + "\n")
        if done.returncode != 0:
            raise Wrong(done.stderr)
    return path
