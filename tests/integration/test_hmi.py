#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""docs/hmi.md is true: its configuration runs, and each message that it shows comes, with the same keys and the same words."""

import json
import pathlib
import re
import sys

import site_room  # first: it knows where harness is
import harness
import paho.mqtt.client as mqtt
from harness import Failed, run, wait

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "hmi.md"


def shape(text):
    """Keys of a payload with what does not change from run to run; the text itself where it is no object."""
    said = json.loads(text)
    words = {"q", "u", "ok", "outcome", "reason", "state", "line"}
    return {key: said[key] if key in words else None for key in said} if isinstance(said, dict) else said


def each_message_of_the_page_comes():
    text = PAGE.read_text(encoding="utf-8")
    port = harness.free_port()
    with harness.Room() as room:
        config = re.search(r"```yaml\n(.*?)```", text, re.S)[1].replace("127.0.0.1:9001", f"127.0.0.1:{port}")
        room.weir(f"{config}\ncontrol: {room.dir}/weir.sock\nstore: {{dir: {room.dir}, max_bytes: 64MiB}}\n")
        heard = []
        client = mqtt.Client("hmi", transport="websockets")
        client.ws_set_options(headers={"Origin": "http://127.0.0.1:8000"})  # as a page of the one site that may
        client.on_message = lambda _c, _u, m: heard.append((m.topic, m.payload.decode()))
        client.connect("127.0.0.1", port)
        client.subscribe("plant-04/#", 1)
        client.loop_start()
        lines = [line.split(" ", 1) for block in re.findall(r"```json\n(.*?)```", text, re.S)
                 for line in block.splitlines()]
        for topic, payload in lines:
            if topic.endswith("/set"):
                client.publish(topic, payload, 1)
            else:
                wait(lambda: any(t == topic and shape(p) == shape(payload) for t, p in heard), 30,
                     f"{topic} {payload}")
        client.loop_stop()
        if len(lines) < 10:
            raise Failed("the page has lost its messages")


if __name__ == "__main__":
    sys.exit(run([each_message_of_the_page_comes]))
