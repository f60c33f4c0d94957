#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""check_user.py WEIR: `weir user add` at a terminal shows nothing of a password, and leaves the terminal as it was however
it ends; what it writes is readable by its owner, and by nobody whom its owner does not name."""
import os
import pathlib
import pty
import select
import signal
import stat
import subprocess
import sys
import tempfile
import termios
import time

weir = sys.argv[1]


def expect(true, what):
    if not true:
        sys.exit(f"check_user: {what}")


class Terminal:
    def __init__(self, *words):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            for number in (signal.SIGINT, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)  # a job in the background has them ignored
            os.execv(weir, [weir, *words])
        self.said = b""

    def until(self, done, what):
        end = time.monotonic() + 30
        while not done():
            expect(time.monotonic() < end, f"{what}; it said {self.said}")
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    self.said += os.read(self.fd, 4096)
                except OSError:
                    pass  # the other end is closed; whoever waits for a word waits for the end now

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def asked(self, prompt):
        self.until(lambda: self.said.endswith(prompt) and not self.echoes(), f"{prompt} is asked")

    def type(self, text):
        os.write(self.fd, text)

    def end(self):
        """Its exit status as subprocess has it."""
        ended = []

        def gone():
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                ended.append(os.waitstatus_to_exitcode(status))
            return ended

        self.until(gone, "it ends")
        return ended[0]


def typed_twice(users):
    t = Terminal("user", "add", str(users), "anna")
    for prompt in (b"password: ", b"again: "):
        t.asked(prompt)
        t.type(b"open sesame\n")
    expect(t.end() == 0, "a password typed twice is taken")
    expect(b"sesame" not in t.said, f"it was shown: {t.said}")
    expect(t.echoes(), "the terminal stays silent after it")


def typed_differently(users):
    before = users.read_bytes()
    t = Terminal("user", "add", str(users), "ben")
    for prompt, word in ((b"password: ", b"one\n"), (b"again: ", b"two\n")):
        t.asked(prompt)
        t.type(word)
    expect(t.end() == 1 and users.read_bytes() == before, "two that differ change nothing")


def interrupted(users, key, number):
    before = users.read_bytes()
    t = Terminal("user", "add", str(users), "ben")
    t.asked(b"password: ")
    t.type(b"half" + key)
    expect(t.end() == -number, f"{key} ends it")
    expect(t.echoes(), f"the terminal stays silent after {key}")
    expect(users.read_bytes() == before, f"{key} changes nothing")


def stopped_and_continued(users):
    t = Terminal("user", "add", str(users), "carl")
    t.asked(b"password: ")
    os.kill(t.pid, signal.SIGTSTP)  # which stops nobody without a shell to continue it: it goes on at once
    t.until(lambda: t.said.count(b"password: ") == 2 and not t.echoes(), "it asks again")
    t.type(b"word\n")
    t.asked(b"again: ")
    t.type(b"word\n")
    expect(t.end() == 0, "it goes on after a stop")


with tempfile.TemporaryDirectory() as room:
    file = pathlib.Path(room, "users")
    typed_twice(file)
    typed_differently(file)
    interrupted(file, b"\x03", signal.SIGINT)
    interrupted(file, b"\x1c", signal.SIGQUIT)
    stopped_and_continued(file)
    mode = stat.S_IMODE(file.stat().st_mode)
    expect(mode in (0o600, 0o640), f"it is there for others: {mode:o}")
    file.chmod(0o600)
    piped = subprocess.run([weir, "user", "add", file, "dora"], input="word\n", text=True, capture_output=True, timeout=60)
    expect(piped.returncode == 0 and stat.S_IMODE(file.stat().st_mode) == 0o600, f"permissions stay: {piped}")
    listed = subprocess.run([weir, "user", "list", file], text=True, capture_output=True, timeout=60)
    expect(listed.stdout == "anna\ncarl\ndora\n", f"the users are {listed.stdout}")
