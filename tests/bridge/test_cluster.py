# SPDX-License-Identifier: MIT
"""The bridge against a cluster of three, whose node it is connected to is killed under load: NATS JetStream, or
RabbitMQ with its MQTT plugin. Skipped, with the reason, where the server is not installed or does not start.

    test_cluster.py HOST_PROGRAM nats|rabbitmq
"""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import paho.mqtt.client as mqtt

from rig import Host, account, free_port, until

NODES, RECORDS, SKIP = 3, 6000, 77


def skip(why):
    print(f"SKIP: {why}")
    sys.exit(SKIP)


class Nats:
    """Three servers with the MQTT streams on all three."""
    patience = 20
    account = {}

    def __init__(self, directory):
        if not shutil.which("nats-server"):
            skip("nats-server is not installed")
        self.mqtt = [free_port() for _ in range(NODES)]
        client, route = [free_port() for _ in range(NODES)], [free_port() for _ in range(NODES)]
        routes = ", ".join(f'"nats://127.0.0.1:{p}"' for p in route)
        self.nodes = []
        for i in range(NODES):
            conf = os.path.join(directory, f"n{i}.conf")
            with open(conf, "w", encoding="ascii") as f:
                f.write(f'server_name: n{i}\nlisten: 127.0.0.1:{client[i]}\n'
                        f'jetstream {{ store_dir: "{directory}/js{i}", max_mem: 64M, max_file: 256M }}\n'
                        f'cluster {{ name: c, listen: 127.0.0.1:{route[i]}, routes: [{routes}] }}\n'
                        f'mqtt {{ listen: "127.0.0.1:{self.mqtt[i]}", ack_wait: "5s", max_ack_pending: 1000, '
                        f'stream_replicas: 3, consumer_replicas: 3 }}\n')
            self.nodes.append(subprocess.Popen(["nats-server", "-c", conf], stdout=subprocess.DEVNULL,
                                               stderr=subprocess.DEVNULL))

    def kill(self, i):
        self.nodes[i].send_signal(signal.SIGKILL)
        self.nodes[i].wait(10)

    def stop(self):
        for n in self.nodes:
            if n.poll() is None:
                n.kill()
                n.wait(10)


class Rabbitmq:
    patience = 90
    account = {"username": "guest", "password": "guest"}

    def __init__(self, directory):
        self.program = "/usr/lib/rabbitmq/bin/rabbitmq-server"
        if not os.path.exists(self.program):
            skip("rabbitmq-server is not installed")
        self.mqtt = [free_port() for _ in range(NODES)]
        amqp, dist, epmd = [free_port() for _ in range(NODES)], [free_port() for _ in range(NODES)], free_port()
        self.nodes = []
        # A node that finds no port mapper starts one as a daemon, which would outlive the test.
        mapper = shutil.which("epmd")
        if not mapper:
            skip("epmd is not installed")
        self.mapper = subprocess.Popen([mapper, "-port", str(epmd), "-address", "127.0.0.1"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("the port mapper listens", lambda: connects(epmd))
        plugins = os.path.join(directory, "plugins")
        with open(plugins, "w", encoding="ascii") as f:
            f.write("[rabbitmq_mqtt].")
        for i in range(NODES):
            home = os.path.join(directory, f"home{i}")
            os.makedirs(home)
            with open(os.path.join(home, ".erlang.cookie"), "w", encoding="ascii") as f:
                f.write("weirtest")
            os.chmod(os.path.join(home, ".erlang.cookie"), 0o400)
            conf = os.path.join(directory, f"c{i}.conf")
            with open(conf, "w", encoding="ascii") as f:
                f.write(f"listeners.tcp.1 = 127.0.0.1:{amqp[i]}\nmqtt.listeners.tcp.1 = 127.0.0.1:{self.mqtt[i]}\n"
                        "mqtt.allow_anonymous = true\nmqtt.default_user = guest\nmqtt.default_pass = guest\n"
                        "cluster_formation.peer_discovery_backend = classic_config\n" +
                        "".join(f"cluster_formation.classic_config.nodes.{k + 1} = w{k}@localhost\n"
                                for k in range(NODES)) +
                        "cluster_formation.randomized_startup_delay_range.min = 0\n"
                        "cluster_formation.randomized_startup_delay_range.max = 1\n"
                        "cluster_partition_handling = pause_minority\n")
            env = dict(os.environ, HOME=home, RABBITMQ_NODENAME=f"w{i}@localhost", RABBITMQ_NODE_PORT=str(amqp[i]),
                       RABBITMQ_NODE_IP_ADDRESS="127.0.0.1", RABBITMQ_DIST_PORT=str(dist[i]),
                       RABBITMQ_MNESIA_BASE=os.path.join(directory, f"m{i}"),
                       RABBITMQ_LOG_BASE=os.path.join(directory, f"l{i}"),
                       RABBITMQ_ENABLED_PLUGINS_FILE=plugins, RABBITMQ_CONFIG_FILE=conf,
                       ERL_EPMD_ADDRESS="127.0.0.1", ERL_EPMD_PORT=str(epmd),
                       RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}")
            self.nodes.append(subprocess.Popen([self.program], env=env, stdout=subprocess.DEVNULL,
                                               stderr=subprocess.DEVNULL, start_new_session=True))

    def kill(self, i):
        os.killpg(self.nodes[i].pid, signal.SIGKILL)
        self.nodes[i].wait(10)

    def stop(self):
        for i, n in enumerate(self.nodes):
            if n.poll() is None:
                self.kill(i)
        self.mapper.kill()
        self.mapper.wait(10)


class Watch:
    """A subscriber on a node that lives, with a session that is kept. MQTT 3.1.1 is all these servers speak."""

    def __init__(self, port, account_of):
        self.got, self.repeated, self.ready = [], set(), threading.Event()
        self.client = mqtt.Client(client_id="watch", clean_session=False, protocol=mqtt.MQTTv311)
        if account_of:
            self.client.username_pw_set(account_of["username"], account_of["password"])
        self.client.on_message = self.take
        self.client.on_subscribe = lambda *a: self.ready.set()
        self.client.on_connect = lambda c, *a: c.subscribe("plant/#", 1)
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def take(self, _client, _data, m):
        self.got.append((m.topic, m.payload.decode(), {}, m.retain))
        if m.dup:
            self.repeated.add(len(self.got) - 1)

    def firsts(self):
        """Without what the server delivered a second time: the first was lost between its nodes, and the second comes
        when it comes, whatever the order that the server has them in."""
        return [g for i, g in enumerate(self.got) if i not in self.repeated]

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def connects(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def subscribed_watch(cluster):
    """The cluster is ready when a subscription is granted; until then it refuses or drops connections."""
    end = time.monotonic() + cluster.patience
    while time.monotonic() < end:
        if all(connects(p) for p in cluster.mqtt):
            try:
                watch = Watch(cluster.mqtt[2], cluster.account)
            except OSError:
                continue
            if watch.ready.wait(5):
                return watch
            watch.close()
        time.sleep(0.2)
    skip("the cluster did not come up")


def failover(cluster, directory, program):
    watch = subscribed_watch(cluster)
    password = os.path.join(directory, "password")
    with open(password, "w", encoding="ascii") as f:
        f.write(cluster.account.get("password", "") + "\n")
    login = f"username: guest\npassword_file: {password}\n" if cluster.account else ""
    addresses = ", ".join(f"mqtt://127.0.0.1:{p}" for p in cluster.mqtt)
    host = Host(program, directory, f"address: [{addresses}]\nversion: 3.1.1\nrules: [{{out: 'plant/#'}}]\n"
                                    f"status: ''\nrate: 2000\nwindow: 50\n{login}")
    try:
        until("up", lambda: host.ups() == 1, 60)
        host.tell(f"add {RECORDS} 200")
        until("some acknowledged", lambda: host.acked() > RECORDS // 6, 60)
        assert f":{cluster.mqtt[0]}" in host.said("state up")[0], host.said("state up")
        cluster.kill(0)
        killed = time.monotonic()
        until("up elsewhere", lambda: host.ups() > 1, 60)
        print(f"  connected to another node {time.monotonic() - killed:.1f} s after the kill")
        until("all acknowledged", lambda: host.acked() == RECORDS, 120)
        until("all arrived", lambda: len({g[1].split(',')[0] for g in watch.got}) >= RECORDS, 60)
        a = account(watch.got, RECORDS)
        reordered = account(watch.firsts(), RECORDS)["reordered"]
        print(f"  {RECORDS} records: {a['lost']} lost, {a['duplicates']} duplicates, {reordered} reordered")
        assert a["lost"] == 0 and reordered == 0, (a, reordered)
        assert host.stop() == 0
    finally:
        host.kill()
        watch.close()


def main():
    program, kind = os.path.abspath(sys.argv[1]), sys.argv[2]
    directory = tempfile.mkdtemp(prefix="weir-cluster-")
    cluster = None
    try:
        cluster = {"nats": Nats, "rabbitmq": Rabbitmq}[kind](directory)
        failover(cluster, directory, program)
    finally:
        if cluster:
            cluster.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
