# SPDX-License-Identifier: MIT
"""Brokers with a directory for what they keep, which a test ends and starts again."""
import contextlib

from broker_rig import *  # noqa: F403

CONFIG = "broker:\n  state_dir: {dir}\n  state_bytes: {bytes}\n  state_preallocate: {room}\n  max_queued_messages: 1000000\n"


class Kept(Broker):
    """A broker that keeps its state; wrap: a command that it runs under."""

    def __init__(self, state_bytes="8MiB", preallocate=False, wrap=()):
        super(Broker, self).__init__()
        self.host, self.port, self.process = "127.0.0.1", free_port(), None
        self.dir = tempfile.TemporaryDirectory(prefix="weir-kept-")
        self.data = pathlib.Path(self.dir.name, "data")
        self.data.mkdir()
        self.log = open(pathlib.Path(self.dir.name, "log"), "w+b")
        self.config = pathlib.Path(self.dir.name, "weir.yaml")
        self.config.write_text(CONFIG.format(dir=self.data, bytes=state_bytes, room=str(preallocate).lower()))
        self.wrap = list(wrap)
        self.begin()

    def begin(self):
        self.process = subprocess.Popen(
            self.wrap + [os.environ["WEIR"], "broker", "--bind", f"{self.host}:{self.port}", "--config", str(self.config)],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        eventually(self._accepts, f"the broker accepts connections: {self.said()}")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def restart(self, kill=True):
        if kill:
            self.kill()
        else:
            self.process.terminate()
            if self.process.wait(PATIENCE_S) != 0:
                raise Wrong(f"it ended with {self.process.returncode}: {self.said()}")
        self.begin()


@contextlib.contextmanager
def kept(**how):
    b = Kept(**how)
    try:
        yield b
    finally:
        faults = b.stop()
        if faults and sys.exc_info()[0] is None:
            raise Wrong("; ".join(faults))


def stay(broker, v, **how):
    """A client whose session outlives its connection."""
    if v == 5:
        how.setdefault("properties", [(SESSION_EXPIRY, 3600)])
    return broker.client(v, clean=False, **how)
