#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What `./do run` starts: a newcomer sees points, the cloud and the queue; the link can be cut and healed from another
terminal; and Ctrl-C leaves nothing behind."""

import os
import pathlib
import re
import signal
import subprocess
import sys

import site_room
from harness import Failed, Program, Room, build_dir, run, wait

DEMO = pathlib.Path(site_room.__file__).resolve().parents[1] / "sim/demo"


def demo_shows_the_flow_and_leaves_nothing_behind():
    with Room() as room:
        place = room.dir / "demo"
        surroundings = {**os.environ, "WEIR_DEMO_DIR": str(place)}
        demo = room.add(Program(room, "demo", [DEMO, build_dir()], env=surroundings))
        demo.start(r"demo/boiler-bus/boiler-1/flow-temp +\{\"v\":", seconds=20)

        def last(pattern):
            found = re.findall(pattern, demo.text())
            return int(found[-1]) if found else -1

        def tell(word):
            subprocess.run([DEMO, build_dir(), "--tell", word], env=surroundings, check=True, capture_output=True)

        wait(lambda: last(r"the cloud has received (\d+)") > 10, 20, "the cloud receives")
        tell("cut")
        wait(lambda: last(r"(\d+) to send") > 30, 30, "the queue fills")
        tell("heal")
        wait(lambda: last(r"(\d+) to send") < 10, 30, "the queue drains")
        below = demo.descendants()

        def gone_at_last():
            if demo.running():
                demo.signal(signal.SIGINT)  # again and again, as impatient people do
            return not demo.running()

        wait(gone_at_last, 30, "the demo ends")
        if demo.process.returncode != 0:
            raise Failed(f"exit status {demo.process.returncode}{demo.tail()}")
        if place.exists() or any(site_room.alive(pid) for pid in below):
            raise Failed(f"left behind: {place.exists()}, {[pid for pid in below if site_room.alive(pid)]}")


if __name__ == "__main__":
    sys.exit(run([demo_shows_the_flow_and_leaves_nothing_behind]))
