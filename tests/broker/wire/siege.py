# SPDX-License-Identifier: MIT
"""A hostile crowd beside clients that behave: nobody of these is dropped, everything arrives in order, memory is bounded.
What it does to their latency is measured by `./do bench crowd`, where nothing else runs."""
import pathlib

from broker_rig import *  # noqa: F403
from certs import Authority
from doors_rig import broker

CROWD = pathlib.Path(__file__).resolve().parent.parent.parent / "lib" / "crowd.py"
SECONDS = 4
BOUNDS = """broker:
  max_queued_bytes: 256KiB
  queue_memory: 16MiB
  output_memory: 16MiB
  input_memory: 16MiB
  connect_timeout: 3s
  listeners:
    - bind: "127.0.0.1:{port}"
    - {{bind: "127.0.0.1:{tls}", tls: {{cert: {cert}, key: {key}}}}}
"""
MOST = 150 << 20  # the three bounds, stock, sessions and hand-shakes of the crowd, and as much again


@test(versions=(5,))
def clients_that_behave_live_through_a_siege(_, v):
    members = min(2000, sockets_at_most(2200) - 200)
    tls = free_port()
    with tempfile.TemporaryDirectory() as folder:
        cert, key = Authority(folder).issue("server", "IP:127.0.0.1")
        besiege(v, members, tls, BOUNDS.format(port="{port}", tls=tls, cert=cert, key=key))


def besiege(v, members, tls, config):
    with broker(config) as b:
        well = [(b.client(v), b.client(v), fresh()) for _ in range(3)]
        for receiver, _sender, topic in well:
            receiver.subscribe((topic, 1))
        before, most = b.resident(), 0
        crowd = subprocess.Popen([sys.executable, str(CROWD), str(b.port), str(members), str(SECONDS), str(tls)],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            n = 0
            while crowd.poll() is None:
                for receiver, sender, topic in well:
                    sender.publish(topic, str(n), 1)
                    receiver.receive(topic, str(n), 1)
                n += 1
                most = max(most, b.resident())
        finally:
            crowd.kill()
            said = crowd.communicate()[0].decode()
        if crowd.returncode != 0:
            raise Wrong(said)
        if n < 20:
            raise Wrong(f"only {n} rounds in {SECONDS} s")
        if b.resident() and most - before > MOST:
            raise Wrong(f"it grew by {(most - before) >> 20} MiB")
        for receiver, sender, _topic in well:
            receiver.nothing()
            sender.nothing()
        descriptors = f"/proc/{b.process.pid}/fd"
        eventually(lambda: len(os.listdir(descriptors)) < 40, "the crowd's connections are gone", patience=4 * PATIENCE_S)


main(parallel=1)
