# SPDX-License-Identifier: MIT
"""The faults of the torture: each takes the site and the dice, and lets its time go by. What it broke is whole when it
returns, but for what the site itself heals at the end."""

import os
import signal
import struct
import subprocess
import time

import names
from harness import Failed



def pause(dice, low=0.1, high=2.5):
    time.sleep(dice.uniform(low, high))


def link(mode):
    def fault(site, dice):
        site.link.tell(mode)
        pause(dice)
        site.link.tell("forward")
    return fault


def dead_cable(site, dice):
    """Nothing is answered, not even by the kernel: TCP waits longer and longer, and a new call gets no answer."""
    site.link.tell("dead")
    pause(dice, 1, 9)
    site.link.tell("forward")


def freeze_cloud(site, dice):
    """Its kernel takes what comes, and it does not."""
    site.up.signal(signal.SIGSTOP)
    pause(dice, 0.5, 5)
    site.up.signal(signal.SIGCONT)


def small_packets(site, dice):
    """What is longer is set aside, which is no loss; so it is told, and nothing that long is sent."""
    site.up.tell("max-packet 100000", "disconnect")
    pause(dice, 0.1, 1.5)
    site.up.tell("accept", "disconnect")


def long_silence(site, dice):
    """Longer than the watchdog needs, so that the gateway gives the connection up."""
    site.link.tell(dice.choice(("silent", "silent up", "silent down")))
    pause(dice, 4, 8)
    site.link.tell("forward")


def reset(site, dice):
    for _ in range(dice.randint(1, 5)):
        site.link.tell("reset")
        pause(dice, 0.02, 0.5)


def cut(site, dice):
    for _ in range(dice.randint(1, 4)):
        site.link.tell(f"cut {dice.randint(1, 20000)}")
        pause(dice, 0.05, 0.8)
    site.link.tell("forward")


def delay(site, dice):
    site.link.tell(f"delay {dice.randint(20, 400)}")
    pause(dice)
    site.link.tell("delay 0")


def slow_link(site, dice):
    site.link.tell("rate 8000")
    pause(dice, 1, 4)
    site.link.tell("rate 0")


def kill_gateway(site, dice):
    site.kill()
    pause(dice, 0, 0.5)
    site.restart()


def kill_at_once(site, dice):
    """Again while it is still starting."""
    for _ in range(dice.randint(2, 4)):
        site.kill()
        site.gateway.start()
        pause(dice, 0, 0.3)
    site.kill()
    site.restart()


def stop_gateway(site, dice):
    if site.gateway.stop(30) != 0:
        raise Failed(f"SIGTERM: exit status {site.gateway.process.returncode}")
    pause(dice, 0, 0.5)
    site.restart()


def kill_bridge(site, dice):
    for _ in range(dice.randint(1, 3)):
        pid = site.bridge_pid()
        if pid:
            os.kill(pid, signal.SIGKILL)
        pause(dice, 0.05, 1)


def freeze_gateway(site, dice):
    site.gateway.signal(signal.SIGSTOP)
    pause(dice)
    site.gateway.signal(signal.SIGCONT)


def kill_cloud(site, dice):
    site.up.kill()
    pause(dice, 0, 1.5)
    site.up.start(r"^ready")


def cloud(*modes, seconds=1.5):
    def fault(site, dice):
        site.up.tell(dice.choice(modes))
        if seconds > 2:
            site.link.tell("reset")
        pause(dice, 0.1, seconds)
        site.up.tell("accept", "disconnect")
    return fault


def amnesia(site, dice):
    """Each time it is called it has lost the session."""
    site.up.tell("amnesia")
    reset(site, dice)
    site.up.tell("accept")


def forget(site, dice):
    site.up.tell("forget")
    pause(dice, 0, 0.3)


def fill(site):
    filler = site.data / "filler"
    try:
        with open(filler, "wb", buffering=0) as f:
            while True:
                f.write(bytes(65536))
    except OSError:
        pass
    return filler


def full_disk(site, dice):
    filler = fill(site)
    pause(dice, 0.3, 3)
    if dice.random() < 0.3:
        kill_gateway(site, dice)  # it must start on a full disk
    filler.unlink()


def full_disk_away(site, dice):
    """While nothing can leave."""
    site.link.tell(dice.choice(("silent", "refuse")))
    pause(dice, 0, 0.5)
    full_disk(site, dice)
    site.link.tell("forward")


def full_disk_killed(site, dice):
    """Full, and not full, and full, with a kill at any moment of it."""
    if dice.random() < 0.5:
        site.link.tell(dice.choice(("silent", "refuse")))
    for _ in range(dice.randint(2, 4)):
        filler = fill(site)
        pause(dice, 0, 1)
        site.kill()
        if dice.random() < 0.5:
            filler.unlink()
        site.restart()
        pause(dice, 0, 1)
        filler.unlink(missing_ok=True)
    site.link.tell("forward")


def set_clock(site, dice):
    step_ms = dice.choice((-86400000, -3600000, -5000, 5000, 3600000, 86400000, 0))
    with open(site.dir / "clockstep", "r+b") as f:
        f.write(struct.pack("<q", step_ms))


def step_clock(site, dice):
    set_clock(site, dice)
    pause(dice, 0, 0.5)


def walking_clock(site, dice):
    """Again and again, while nothing goes up, and once over a kill."""
    site.link.tell(dice.choice(("silent", "refuse", "forward")))
    for _ in range(dice.randint(3, 8)):
        set_clock(site, dice)
        pause(dice, 0, 0.4)
    if dice.random() < 0.5:
        site.kill()
        set_clock(site, dice)
        site.restart()
    site.link.tell("forward")


def flap(site, dice):
    """Up for a moment, down for a moment, for long; each time as another kind of down."""
    end = time.monotonic() + dice.uniform(5, 20)
    while time.monotonic() < end:
        site.link.tell(dice.choice(("silent", "silent down", "silent up", "dead", "refuse", "reset")))
        pause(dice, 0.05, 2)
        site.link.tell("forward")
        pause(dice, 0.05, 2)


def bad_records(site, dice):
    """A record that the upstream hangs up on, or takes and never acknowledges, or both; all others must pass."""
    for word, topic in dice.choice(((("hang-up", HANGS_UP),), (("never", NEVER),), (("hang-up", HANGS_UP), ("never", NEVER)))):
        site.up.tell(f"{word} {topic}")
        for _ in range(dice.randint(1, 3)):
            site.publish(topic)
    pause(dice, 3, 30)
    site.up.tell("accept")


# --- names and addresses ------------------------------------------------------------------------------------------


def nameless(site, dice):
    """Nobody knows the name of the upstream, or nobody says so; a link that is up is cut somewhere in it."""
    with names.Resolver(dice.choice(("silent", "nxdomain", "servfail", "absent"))):
        names.forget()
        pause(dice, 0, 1)
        site.link.tell("reset")
        pause(dice, 0.5, 8)
        names.tell(site.HERE)


def moved(site, dice):
    """The name leads elsewhere from now on, and back again; where it was, nobody answers or somebody refuses."""
    for here, there, old in ((site.HERE, site.THERE, site.link), (site.THERE, site.HERE, site.link_there)):
        names.tell(there)
        old.tell(dice.choice(("dead", "refuse", "silent", "reset")))
        pause(dice, 2, 7)
        old.tell("forward")
        names.tell(here)
        pause(dice, 0, 0.2)
    names.tell(site.HERE)


def one_of_two(site, dice):
    """The name has two addresses, and one is dead."""
    names.tell(*dice.sample((site.HERE, site.THERE), 2))
    dead = dice.choice((site.link, site.link_there))
    dead.tell(dice.choice(("dead", "refuse")))
    pause(dice, 3, 9)
    dead.tell("forward")
    names.tell(site.HERE)


def reload(site, dice):
    site.configure(bridge=site.bridge(dice.randint(1, 500)))
    site.gateway.signal(signal.SIGHUP)
    pause(dice, 0, 1)


def dead_slaves(site, dice):
    site.bus.tell(f"fault bus {dice.randint(1, 2)} {dice.choice(('dead', 'bad-crc every=3', 'late arg=150 every=5'))}")
    pause(dice)
    site.bus.tell("fault bus * none")


def vanished_port(site, dice):
    site.bus.tell("gone bus")
    pause(dice, 0, 1)
    site.bus.tell("back bus")


HANGS_UP, NEVER = "plant/hangs-up", "plant/never"  # topics of the records that an upstream does not like

FAULTS = {  # name: (weight, what, for mosquitto's bridge too)
    "blackhole": (3, link("silent"), True),
    "up-silent": (2, link("silent up"), True),
    "down-silent": (2, link("silent down"), True),
    "long-silence": (2, long_silence, True),
    "dead": (2, dead_cable, True),
    "freeze-cloud": (2, freeze_cloud, True),
    "max-packet": (1, small_packets, True),
    "refuse": (2, link("refuse"), True),
    "reset": (3, reset, True),
    "cut": (3, cut, True),
    "delay": (2, delay, True),
    "slow": (2, slow_link, True),
    "kill": (4, kill_gateway, True),
    "kill-starting": (1, kill_at_once, True),
    "term": (2, stop_gateway, True),
    "freeze": (1, freeze_gateway, True),
    "kill-bridge": (3, kill_bridge, False),
    "kill-cloud": (3, kill_cloud, True),
    "stall": (1, cloud("stall"), True),
    "no-acks": (2, cloud("mute", "lose-acks"), True),
    "refused": (1, cloud("refuse 3", "refuse 0x89"), True),
    "small-window": (1, cloud("receive-maximum 1", "receive-maximum 7", "slow 50"), True),
    "forget": (2, forget, True),
    "flap": (3, flap, True),
    "shuffled-acks": (2, cloud("shuffle 20", "shuffle 300"), True),
    "ack-reset": (2, cloud("ack-reset 1", "ack-reset 3", "ack-reset 40"), True),
    "amnesia": (2, amnesia, True),
    "slow-cloud": (1, cloud("pace 50", seconds=6), True),
    "half-open": (2, cloud("no-welcome", seconds=6), True),
    "bad-records": (2, bad_records, False),
    "no-name": (2, nameless, True),
    "moved": (1, moved, True),
    "one-of-two": (1, one_of_two, True),
    "full-disk": (2, full_disk, True),
    "full-disk-away": (1, full_disk_away, True),
    "full-disk-killed": (2, full_disk_killed, True),
    "clock": (2, step_clock, False),
    "clock-walks": (1, walking_clock, False),
    "reload": (1, reload, False),
    "slaves": (1, dead_slaves, False),
    "port": (1, vanished_port, False),
}



NAMED = ("no-name", "moved", "one-of-two")  # those that want names of their own
