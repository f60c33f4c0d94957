#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Exchanges that were recorded with `weir trace`, played to the real driver: each request is answered by the bytes that
answered it then. tests/captures/NAME.trace holds them, NAME.yaml the line and its device, NAME.want what comes of it."""

import json
import os
import pathlib
import sys
import threading

from test_others import Room  # first: it knows where harness is
import harness
from harness import Failed, run, wait

CAPTURES = pathlib.Path(__file__).resolve().parents[1] / "captures"


def exchanges(path):
    """Request to the replies it got, in order; the last one is given again and again."""
    found, asked = {}, None
    for line in path.read_text().splitlines():
        for arrow in ("-> ", "<- "):
            if arrow not in line:
                continue
            data = line.split(arrow, 1)[1].strip()
            # Bytes as text (ASCII) have their CR and LF in angle brackets; those of RTU are hexadecimal.
            raw = (data.replace("<0d>", "\r").replace("<0a>", "\n").encode() if data.startswith(":")
                   else bytes.fromhex(data.split("  ")[0].strip()))
            if arrow == "-> ":
                asked = raw
                found.setdefault(raw, []).append(b"")
            elif asked is not None:
                found[asked][-1] += raw  # whatever came before the next request, a stranger's frame too
    return {request: [r for r in replies if r] for request, replies in found.items() if any(replies)}


class Player:
    """The device of a recording, on a pty."""

    def __init__(self, room, name):
        self.known = exchanges(CAPTURES / f"{name}.trace")
        self.master, self.slave = os.openpty()
        self.path = room.dir / name
        os.symlink(os.ttyname(self.slave), self.path)
        self.strange = []
        threading.Thread(target=self.play, daemon=True).start()

    def play(self):
        waiting = b""
        try:
            while data := os.read(self.master, 512):
                waiting += data
                for request, replies in self.known.items():
                    if waiting.endswith(request):
                        os.write(self.master, replies.pop(0) if len(replies) > 1 else replies[0])
                        self.strange += [waiting[:-len(request)].hex()] if len(waiting) > len(request) else []
                        waiting = b""
                        break
        except OSError:
            pass  # the room was left


def recordings_replay_to_their_results():
    names = sorted(p.stem for p in CAPTURES.glob("*.trace"))
    if not names:
        raise Failed("there is no recording")
    with Room() as room:
        players = {name: Player(room, name) for name in names}
        texts = [(CAPTURES / f"{name}.yaml").read_text().replace("@PORT@", str(players[name].path)) for name in names]
        parts = [text.split("devices:\n") for text in texts]
        room.gateway([lines.split("lines:\n")[1].rstrip("\n") for lines, _ in parts], [devices for _, devices in parts])
        for name in names:
            want = json.loads((CAPTURES / f"{name}.want").read_text())
            wait(lambda: all(told(room, name).get(k) == v for k, v in want.items()), 30,
                 lambda: f"{name}: {told(room, name)}, and {want} was to come; strange: {players[name].strange}\n"
                         f"{room.ask('trace', name)[-2000:]}")
    return f"{len(names)} recordings"


def told(room, device):
    """A good value as it is, a bad one as its reason."""
    return {k: v["r"] if isinstance(v, dict) else v for k, v in room.values(device).items()}


if __name__ == "__main__":
    sys.exit(run([recordings_replay_to_their_results]))
