# SPDX-License-Identifier: MIT
"""Who gets in: listeners with terms of their own, users and passwords. Each test starts a broker of its own."""
import getpass
import pathlib
import stat
import struct

from broker_rig import *  # noqa: F403
from doors_rig import added_users, at_unix, broker, enter, over, users_file, weir

SIX = "$6$AAECAwQFBgcICQoL$JqsxEv/ucyxjA5DKsQ+Y8CDWaQDNQI9FpAkmfwAqWfwZLk/JEGgM0EpylrJHAZKKyFQjJeZ3nFaHjPzOzPPmPw=="
BAD_LOGIN, NOT_AUTHORIZED = {3: 4, 4: 4, 5: 0x86}, {3: 5, 4: 5, 5: 0x87}


# --- listeners --------------------------------------------------------------------------------------------------

@test(versions=(4,))
def a_version_that_the_listener_does_not_take_is_refused(_, v):
    with broker('broker:\n  listeners: [{bind: "127.0.0.1:{port}", versions: ["3.1.1"]}]\n') as b:
        b.client(4)
        enter(b.socket(5), 5, reason=0x84)
        enter(b.socket(3), 3, reason=1)


@test(versions=(5,))
def a_listener_takes_so_many_connections_and_again_when_one_is_gone(_, v):
    other = free_port()
    config = ('broker:\n  listeners: [{bind: "127.0.0.1:{port}"}, '
              f'{{bind: "127.0.0.1:{other}", max_connections: 2}}]\n')
    with broker(config) as b:
        here = type("At", (), {"host": "127.0.0.1", "port": other})
        first, _second = Client(here, v), Client(here, v)
        Socket(here, v).send(connect(v, fresh("c"))).closed()
        b.client(v)
        first.disconnect()

        def room():
            s = Socket(here, v)
            s.send(connect(v, fresh("c")))
            return s.read() is not None
        eventually(room, "a third connection gets in")


@test()
def at_a_unix_socket_the_user_is_the_one_of_the_process(_, v):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/mqtt.sock"
        config = ('broker:\n  listeners:\n    - {bind: "127.0.0.1:{port}"}\n'
                  f'    - {{bind: "unix:{path}", mode: "0640", peer_user: true, client_id: user}}\n')
        with broker(config) as b:
            eventually(lambda: "listening on unix:" in b.said(), "the socket is there")
            enter(at_unix(b, v, path), v, reason=2 if v < 5 else 0x85, id="somebody-else")
            if stat.S_IMODE(os.stat(path).st_mode) != 0o640:
                raise Wrong(f"mode {os.stat(path).st_mode:o}")
            enter(at_unix(b, v, path), v, id=getpass.getuser())
        if os.path.exists(path):
            raise Wrong("the socket file is left over")


SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
PROXY4 = SIGNATURE + bytes([0x21, 0x11]) + struct.pack(">H", 12) + bytes([192, 0, 2, 7, 10, 0, 0, 1]) + struct.pack(">HH", 4711, 1883)


@test(versions=(5,))
def behind_a_proxy_the_header_comes_first_in_any_pieces(_, v):
    with broker('broker:\n  listeners: [{bind: "127.0.0.1:{port}", proxy_protocol: true, allow_anonymous: true}]\n') as b:
        whole = PROXY4 + connect(v, fresh("c"))
        for size in (1, 16, 20, len(whole)):
            s = b.socket(v)
            for i in range(0, len(whole), size):
                s.send(whole[i:i + size])
            s.expect(CONNACK, reason=0)
            s.nothing()
        six = SIGNATURE + b"\x21\x21" + struct.pack(">H", 36 + 7) + bytes(36) + b"\x04\0\4abcd"  # with a field behind it
        for header in (six, SIGNATURE + b"\x20\0\0\0", SIGNATURE + b"\x21\0\0\0"):  # a health check, a family without
            enter(b.socket(v).send(header), v)
        for bad in (b"", b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 1883\r\n", PROXY4[:12] + b"\x31" + PROXY4[13:],
                    PROXY4[:14] + b"\0\4" + PROXY4[16:]):
            s = b.socket(v)
            s.send(bad + connect(v, fresh("c")))
            s.closed()


@test(versions=(4, 5))
def only_the_proxies_that_are_named_speak_for_others(_, v):
    listener = '{bind: "127.0.0.1:{port}", proxy_protocol: true, allow_anonymous: true, proxies: ["127.0.0.2", "192.0.2.0/24"]}'
    with broker(f"broker:\n  listeners: [{listener}]\n") as b:
        s = b.socket(v)
        s.send(PROXY4 + connect(v, fresh("c")))
        s.closed()
        eventually(lambda: "event=address-refused address 127.0.0.1 came to" in b.said(), "the log says so")
        there = socket.create_connection((b.host, b.port), PATIENCE_S, source_address=("127.0.0.2", 0))
        enter(over(b, v, there).send(PROXY4), v)


@test(versions=(4, 5))
def who_comes_through_a_proxy_is_not_of_this_machine(_, v):
    with broker('broker:\n  listeners: [{bind: "127.0.0.1:{port}", proxy_protocol: true}]\n') as b:
        enter(b.socket(v).send(PROXY4), v, reason=NOT_AUTHORIZED[v])


@test(versions=(4,))
def a_socket_of_systemd_serves_by_its_name(_, v):
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        config = pathlib.Path(folder, "weir.yaml")
        config.write_text('broker: {listeners: [{bind: "systemd:mqtt", allow_anonymous: true}]}\n')
        fd = server.fileno()
        start = ("import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid()); "
                 "os.execv(sys.argv[2], sys.argv[2:])")
        run = subprocess.Popen([sys.executable, "-c", start, str(fd), os.environ["WEIR"], "broker", "--config",
                                str(config)], pass_fds=(fd,), stderr=subprocess.PIPE,
                               env=dict(os.environ, LISTEN_FDS="1", LISTEN_FDNAMES="mqtt"))
        try:
            Client(type("At", (), {"host": "127.0.0.1", "port": port}), v)
        finally:
            run.terminate()
            said = run.communicate(timeout=PATIENCE_S)[1]
        if run.returncode != 0:
            raise Wrong(said.decode())


@test(versions=(4,))
def without_a_word_about_it_only_this_machine_gets_in_unnamed(_, v):
    with broker('broker:\n  listeners: [{bind: "0.0.0.0:{port}"}]\n') as b:
        enter(b.socket(v), v, reason=5)
    done = weir("broker", "--bind", "0.0.0.0:0")
    if done.returncode != 2 or "--anonymous" not in done.stderr:
        raise Wrong(f"status {done.returncode}: {done.stderr}")


# --- users ------------------------------------------------------------------------------------------------------

@test()
def a_password_of_weir_user_opens_and_a_wrong_one_does_not(_, v):
    with tempfile.TemporaryDirectory() as folder:
        path = added_users(folder, anna="secret", ben="geheim: ü")
        if stat.S_IMODE(os.stat(path).st_mode) != 0o600:
            raise Wrong("the file of users can be read by others")
        with broker(f'broker:\n  users: {path}\n  listeners: [{{bind: "0.0.0.0:{{port}}"}}]\n'.replace("{{", "{").replace("}}", "}")) as b:
            for _again in range(2):
                enter(b.socket(v), v, user="anna", password="secret")
            enter(b.socket(v), v, user="ben", password="geheim: ü")
            enter(b.socket(v), v, reason=BAD_LOGIN[v], user="anna", password="geheim: ü")
            enter(b.socket(v), v, reason=BAD_LOGIN[v], user="nobody", password="secret")
            enter(b.socket(v), v, reason=NOT_AUTHORIZED[v])


@test(versions=(4,))
def files_of_mosquitto_passwd_are_read_as_they_are(_, v):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "passwd")
        subprocess.run(["mosquitto_passwd", "-b", "-c", str(path), "anna", "secret"], check=True, capture_output=True)
        with open(path, "a", encoding="ascii") as f:
            f.write(f"# the old format\n\nben:{SIX}\n")
        with broker(f'broker:\n  users: {path}\n') as b:
            enter(b.socket(v), v, user="anna", password="secret")
            enter(b.socket(v), v, user="ben", password="secret")
            enter(b.socket(v), v, reason=4, user="ben", password="secreT")
            b.client(v)  # at a loopback address, without a name


@test(versions=(4,))
def passwords_are_scrypt_unless_mosquitto_shall_read_them_too(_, v):
    with tempfile.TemporaryDirectory() as folder:
        path = added_users(folder, anna="secret")
        done = weir("user", "add", "--mosquitto", path, "ben", input="geheim\n")
        lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
        if done.returncode != 0 or [l.split("$")[:2] for l in lines] != [["anna:", "scrypt"], ["ben:", "7"]]:
            raise Wrong(f"{done.stderr}{lines}")
        with broker(f'broker:\n  users: {path}\n') as b:
            enter(b.socket(v), v, user="anna", password="secret")
            enter(b.socket(v), v, user="ben", password="geheim")
            enter(b.socket(v), v, reason=4, user="ben", password="secret")


@test()
def a_refused_connect_does_nothing_to_the_client_of_that_name(_, v):
    with tempfile.TemporaryDirectory() as folder:
        path = users_file(folder, anna="secret")
        with broker(f'broker:\n  users: {path}\n') as b:
            topic, name = fresh(), fresh("c")
            watcher = b.client(v)
            watcher.subscribe(topic)
            victim = b.client(v, id=name, user="anna", password="secret")
            s = b.socket(v)
            s.send(connect(v, name, user="anna", password="wrong", will=Will(topic)))
            s.expect(CONNACK, reason=BAD_LOGIN[v])
            s.closed()
            victim.nothing()
            watcher.nothing()
            # nor may another user, or none, take the client id of hers
            enter(b.socket(v), v, reason=NOT_AUTHORIZED[v], id=name)
            victim.nothing()


@test(versions=(5,))
def failures_make_the_next_attempt_of_the_address_wait_but_not_a_known_password(_, v):
    with tempfile.TemporaryDirectory() as folder:
        path = users_file(folder, anna="secret")
        with broker(f'broker:\n  users: {path}\n') as b:
            enter(b.socket(v), v, user="anna", password="secret")
            for _ in range(4):
                enter(b.socket(v), v, reason=0x86, user="anna", password="wrong")
            waiting = b.socket(v)
            waiting.send(connect(v, fresh("c"), user="anna", password="wrong"))
            enter(b.socket(v), v, user="anna", password="secret")
            if select.select([waiting.sock], [], [], 0)[0]:
                raise Wrong("the failing address was answered at once")
            waiting.expect(CONNACK, reason=0x86)
            crowd = [b.socket(v) for _ in range(20)]
            for s in crowd:
                s.send(connect(v, fresh("c"), user="anna", password="wrong"))
            if 0x89 not in [s.expect(CONNACK, reason=(0x86, 0x89)).reason for s in crowd[-4:]]:
                raise Wrong("nobody of the crowd was told to come again later")


@test(versions=(5,))
def each_failure_of_an_address_makes_the_next_wait_twice_as_long(_, v):
    with tempfile.TemporaryDirectory() as folder, broker(f'broker:\n  users: {users_file(folder, anna="secret")}\n') as b:
        began_s, answered_s = [], []
        for _ in range(6):
            began_s.append(time.monotonic())
            enter(b.socket(v), v, reason=0x86, user="anna", password="wrong")
            answered_s.append(time.monotonic())
        for attempt, least_s in ((3, 0.25), (4, 0.5), (5, 1.0)):  # three are free
            took_s = answered_s[attempt] - began_s[attempt - 1]  # which failed at some time after that
            if took_s < least_s - 0.005:
                raise Wrong(f"attempt {attempt + 1} was answered {took_s:.3f} s after the one before began")


@test(versions=(5,))
def passwords_that_wait_are_bounded_in_all(_, v):
    """Eight of each address are taken: more than 256 together are not."""
    with tempfile.TemporaryDirectory() as folder, broker(f'broker:\n  users: {added_users(folder, anna="secret")}\n') as b:
        crowd = []
        for i in range(320):
            here = socket.create_connection((b.host, b.port), PATIENCE_S, source_address=(f"127.0.1.{1 + i // 8}", 0))
            crowd.append(over(b, v, here).send(connect(v, fresh("c"), user="anna", password="wrong")))

        def busy():
            return [s for s in crowd if select.select([s.sock], [], [], 0)[0] and s.read().reason == 0x89]
        eventually(lambda: len(busy()) > 0, "one was told to come again later")


@test()
def who_is_gone_from_the_file_is_shown_out_at_the_reload(_, v):
    with tempfile.TemporaryDirectory() as folder:
        path = users_file(folder, anna="secret", ben="geheim")
        with broker(f'broker:\n  users: {path}\n') as b:
            anna = b.client(v, user="anna", password="secret")
            ben = b.client(v, user="ben", password="geheim")
            if weir("user", "remove", path, "anna").returncode != 0 or weir("user", "list", path).stdout != "ben\n":
                raise Wrong("anna is still in the file")
            b.process.send_signal(signal.SIGHUP)
            anna.closed(0x87)
            ben.nothing()
            enter(b.socket(v), v, reason=BAD_LOGIN[v], user="anna", password="secret")


@test(versions=(4,))
def a_file_that_cannot_be_read_stops_the_start_and_not_the_running_broker(_, v):
    with tempfile.TemporaryDirectory() as folder:
        path = users_file(folder, anna="secret")
        with broker(f'broker:\n  users: {path}\n') as b:
            pathlib.Path(path).write_text("anna:secret\n")
            b.process.send_signal(signal.SIGHUP)
            eventually(lambda: "users:1: not a line of" in b.said(), "the log says what is wrong")
            enter(b.socket(v), v, user="anna", password="secret")
            config = pathlib.Path(folder, "weir.yaml")
            config.write_text(f"broker:\n  users: {path}\n")
            if weir("broker", "--bind", "127.0.0.1:0", "--config", str(config)).returncode != 1:
                raise Wrong("it starts with a file of users that it cannot read")


main(parallel=6)
