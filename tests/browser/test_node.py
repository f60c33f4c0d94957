# SPDX-License-Identifier: MIT
"""mqtt.js under node goes through its paces over TCP, TLS, ws, wss and a unix socket, with MQTT 3.1, 3.1.1 and 5.

    test_node.py BUILD_FOLDER        WEIR names the binary. Skips (77) without node or npm.
"""
import json
import shutil
import sys

from broker_rig import *  # noqa: F403
from certs import Authority
from mqttjs import HERE, fetch, skip


def listeners(folder, cert, key):
    """What to bind, and how a client gets there."""
    port = {kind: free_port() for kind in ("tls", "ws", "wss")}
    tls = f", tls: {{cert: {cert}, key: {key}}}"
    config = ('broker:\n  listeners:\n    - {bind: "127.0.0.1:{port}"}\n' f'    - {{bind: "unix:{folder}/sock"}}\n'
              f'    - {{bind: "127.0.0.1:{port["tls"]}"{tls}}}\n'
              f'    - {{bind: "127.0.0.1:{port["ws"]}", protocol: websocket}}\n'
              f'    - {{bind: "127.0.0.1:{port["wss"]}", protocol: websocket{tls}}}\n')
    return config, {"tls": f"mqtts://127.0.0.1:{port['tls']}", "ws": f"ws://127.0.0.1:{port['ws']}/mqtt",
                    "wss": f"wss://127.0.0.1:{port['wss']}/mqtt", "unix": f"mqtt+unix://{folder}/sock"}


def main(build):
    if not shutil.which("node"):
        skip("no node")
    folder = fetch(build)
    shutil.copy(HERE / "talk.js", folder)
    with tempfile.TemporaryDirectory(prefix="weir-node-") as tmp:
        authority = Authority(tmp)
        config, ways = listeners(tmp, *authority.issue("server", "IP:127.0.0.1"))
        b = Broker(config)
        ways["tcp"] = f"mqtt://127.0.0.1:{b.port}"
        jobs = [{"name": f"{way}-{v}", "url": url, "version": v, "options": {}} for way, url in sorted(ways.items()) for v in (3, 4, 5)]
        done = subprocess.run(["node", str(folder / "talk.js"), json.dumps(jobs)], capture_output=True, text=True, timeout=200,
                              env=dict(os.environ, NODE_EXTRA_CA_CERTS=authority.cert), check=False)
        faults = b.stop()
    print(done.stdout + done.stderr + "\n".join(faults))
    return 1 if faults or done.returncode != 0 or done.stdout.count(": fine\n") != len(jobs) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
