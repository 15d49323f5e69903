"""Three database machines as network namespaces on a bridge: etcd, Patroni and PostgreSQL each, and HAProxy in front.

They run on the files of deploy/ha, at the addresses that stand there. `make test-ha` gives the whole run a network and a
process namespace of its own, so that nothing outlives it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import yaml

from support.service import eventually

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy" / "ha"
PATRONI = Path(__file__).parent / ".venv" / "bin"
NAMES = ("db1", "db2", "db3")
NOBODY = 65534  # PostgreSQL refuses to run as root


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def settings(path, name, address, secret):
    """The environment of one machine, made of db1's file: its name and address in each line that is not of all three."""
    found = {}
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            key, _, value = line.partition("=")
            if "db2" not in value:
                value = value.replace("db1", name).replace("10.0.0.11", address)
            found[key] = value or secret
    return found


class Node:
    """One machine: a network namespace with a link to the bridge, and a process namespace."""

    def __init__(self, number, folder, programs, secret):
        self.name = NAMES[number]
        self.address = f"10.0.0.{11 + number}"
        self._folder = folder / self.name
        self._programs = programs
        self._folder.mkdir()
        os.chown(self._folder, NOBODY, NOBODY)
        self._log = (self._folder / "log").open("wb")
        # Its init does nothing but wait for whatever is orphaned in it.
        idle = ["bash", "-c", "while :; do sleep infinity & wait $!; done"]
        alone = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"]
        self._holder = subprocess.Popen([*alone, *idle])
        [self._init] = eventually(psutil.Process(self._holder.pid).children)
        eventually(lambda: self._init.name() == "bash")
        self._connect()
        self._env = {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "HOME": str(self._folder),
            **settings(DEPLOY / "patroni.env", self.name, self.address, secret),
            **settings(DEPLOY / "etcd.env", self.name, self.address, secret),
            "ETCD_DATA_DIR": str(self._folder / "etcd"),
            "PATRONI_POSTGRESQL_DATA_DIR": str(self._folder / "postgres"),
            "PATRONI_POSTGRESQL_BIN_DIR": str(programs),
        }
        self._patroni_yml = self._folder / "patroni.yml"
        said = yaml.safe_load((DEPLOY / "patroni.yml").read_text())
        # A node that is stopped on purpose must not restart the machine that runs the tests.
        said["watchdog"]["mode"] = "off"
        said["postgresql"]["parameters"]["unix_socket_directories"] = str(self._folder)
        self._patroni_yml.write_text(yaml.safe_dump(said))
        self._started = [self._start("etcd")]

    def _connect(self):
        ip("link", "add", self.name, "type", "veth", "peer", "name", "eth0", "netns", str(self._init.pid))
        ip("link", "set", self.name, "up", "master", "cables")
        self._inside("ip", "link", "set", "lo", "up")
        self._inside("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self._inside("ip", "link", "set", "eth0", "up")
        # Across a router nobody is told that a machine is unreachable: packets are lost in silence.
        [link] = json.loads(self._inside("ip", "-json", "link", "show", "eth0"))
        ip("neighbour", "replace", self.address, "lladdr", link["address"], "dev", "cables")

    def _entered(self, *command):
        return ["nsenter", "--target", str(self._init.pid), "--net", "--pid", "--mount", "--", *command]

    def _inside(self, *command, env=None):
        done = subprocess.run(self._entered(*command), capture_output=True, text=True, check=False, env=env)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def _start(self, *command):
        # It may read the checkout wherever that lies, and is not root.
        user = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        may = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
        return subprocess.Popen(
            self._entered("setpriv", *user, *may, *command), stdout=self._log, stderr=self._log, env=self._env
        )

    def start_patroni(self):
        self._started.append(self._start(PATRONI / "patroni", self._patroni_yml))

    def psql(self, sql):
        return self._inside(
            self._programs / "psql",
            *("-h", "127.0.0.1", "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-qAtc", sql),
            env={"PGPASSWORD": self._env["PATRONI_SUPERUSER_PASSWORD"]},
        )

    def patronictl(self, *words):
        return self._inside(PATRONI / "patronictl", "-c", self._patroni_yml, *words, env=self._env)

    def cluster(self):
        """What Patroni on it says of the members; none while it doesn't answer."""
        connection = http.client.HTTPConnection(self.address, 8008, timeout=2)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.request("GET", "/cluster")
            return json.loads(connection.getresponse().read())["members"]
        return []

    def processes(self):
        """Whatever runs in it, but its init."""
        network = Path(f"/proc/{self._init.pid}/ns/net").readlink()
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if (
                    process.uids().real == NOBODY
                    and Path(f"/proc/{process.pid}/ns/net").readlink() == network
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(process)
        return found

    def postmaster(self):
        """PostgreSQL's first process; none while it doesn't run."""
        for process in self.processes():
            with contextlib.suppress(psutil.Error, AttributeError):
                if process.name() == "postgres" and process.parent().name() != "postgres":
                    return process
        return None

    def kill(self):
        """kill -9 of Patroni and of all of PostgreSQL."""
        self._signal(signal.SIGKILL, but="etcd")

    def freeze(self):
        self._signal(signal.SIGSTOP)

    def thaw(self):
        self._signal(signal.SIGCONT)

    def _signal(self, number, but=""):
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.name() != but:
                    process.send_signal(number)

    def cut(self):
        """Pull the cable out of the switch: what is sent to it or by it is lost, and nobody is told."""
        ip("link", "set", self.name, "nomaster")

    def repair(self):
        ip("link", "set", self.name, "master", "cables")

    def end(self):
        self._holder.kill()
        self._holder.wait()
        for started in self._started:
            started.kill()
            started.wait()
        self._log.close()


class Cluster:
    """The three, HAProxy, and a database with its user."""

    def __init__(self, folder, programs):
        missing = [program for program in ("etcd", "haproxy", "ip", "nsenter") if not shutil.which(program)]
        assert not missing, f"not installed: {missing}"
        links = subprocess.run(["ip", "-json", "link"], check=True, stdout=subprocess.PIPE).stdout
        assert [link["ifname"] for link in json.loads(links)] == ["lo"], "run by `make test-ha`"
        folder.chmod(0o711)
        secret = secrets.token_hex(16)
        ip("link", "set", "lo", "up")
        # An address of its own: with one of a cable, the bridge would forget its neighbours with that cable.
        ip("link", "add", "cables", "address", "02:00:00:00:00:01", "type", "bridge")
        ip("address", "add", "10.0.0.1/24", "dev", "cables")
        ip("link", "set", "cables", "up")
        self.nodes: list[Node] = []
        self._haproxy = None
        try:
            self._start(folder, programs, secret)
        except BaseException:
            self.end()
            raise
        hosts = ",".join(f"{node.address}:5432" for node in self.nodes)
        login = f"postgresql://pushkeeper:{secret}"
        self.urls = {
            "haproxy": f"{login}@127.0.0.1:5432/pushkeeper",
            "multihost": f"{login}@{hosts}/pushkeeper?target_session_attrs=read-write",
        }

    def _start(self, folder, programs, secret):
        for number in range(len(NAMES)):
            self.nodes.append(Node(number, folder, programs, secret))
        for node in self.nodes:
            node.start_patroni()
        self.wait_until_whole()
        self.primary().psql(f"create role pushkeeper login createrole password '{secret}'")
        self._haproxy = subprocess.Popen(["haproxy", "-db", "-f", DEPLOY / "haproxy.cfg"])

    def empty_database(self):
        """Pushkeeper's database, with nothing in it."""
        self.primary().psql("drop database if exists pushkeeper with (force)")
        self.primary().psql("create database pushkeeper owner pushkeeper")

    def members(self):
        """The longest list that any Patroni has of the members."""
        return max((node.cluster() for node in self.nodes), key=len)

    def wait_until_whole(self):
        """Wait until there is one primary, and two standbys that stream from it, one of them synchronously."""

        def is_whole():
            lists = [node.cluster() for node in self.nodes]
            return all(
                sorted((member["role"], member["state"]) for member in members)
                == [("leader", "running"), ("replica", "streaming"), ("sync_standby", "streaming")]
                for members in lists
            )

        eventually(is_whole, within_s=120)

    def node(self, role):
        [name] = [member["name"] for member in self.members() if member["role"] == role]
        return self.nodes[NAMES.index(name)]

    def primary(self):
        return self.node("leader")

    def standby(self):
        """The synchronous one."""
        return self.node("sync_standby")

    def logs(self):
        return {node.name: (node._folder / "log").read_text(errors="replace") for node in self.nodes}

    def end(self):
        for node in self.nodes:
            node.end()
        if self._haproxy is not None:
            self._haproxy.kill()
            self._haproxy.wait()
        ip("link", "del", "cables")
