# SPDX-License-Identifier: MIT
"""A port for a server that a test is going to start."""

import socket

_reserved = []


def free_port():
    """A port that nobody else is given while this process lives: not another test's server, which would answer in place
    of the right one, and no connection's near end. Who listens with SO_REUSEADDR may have it all the same."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", 0))
    _reserved.append(s)
    return s.getsockname()[1]
