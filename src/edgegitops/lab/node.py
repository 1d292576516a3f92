"""Law: a virtual node is a gateway with its own power switch.

It is a process tree in its own mount, pid, network, host name and ipc namespaces; its first process is catatonit, and
the kernel ends all the others when that one is killed: a power cut. /run, /dev/shm and /etc are its own and lost with
the power; storage, networks and state live on in its home directory. Podman's service and the agent enter the same
namespaces. The virtual nodes share one kernel and so its boot id: each power-on draws a fresh one and lays it over the
kernel's file inside the node, so that a power cut looks to the agent as it would on a gateway. It keeps hold of no disk
that was mounted for a node of another lab.
"""

import subprocess
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgegitops.errors import DeniedError, InvalidConfigError, UnavailableError
from edgegitops.lab import cgroups, engine_files, network, processes
from edgegitops.lab.commands import attempt, environment, run, until
from edgegitops.lab.engine_socket import EngineSocket
from edgegitops.lab.network import Wiring
from edgegitops.lab.processes import Process

LONGEST_SOCKET = 100
_NAMESPACES = ("-m", "-n", "-p", "-u", "-i")
_POWER_ON = """set -eu
mounts=$(cat /proc/self/mounts)
printf '%s\\n' "$mounts" | while read -r _ place _; do
  case $place in
    "$1"/*) ;;
    */eglab-*/n/*) umount -l "$(printf '%b' "$place")" || true ;;
  esac
done
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mkdir -p /run/netns /run/lock /run/etc/upper /run/etc/work
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work overlay /etc
rm -rf /etc/resolv.conf /etc/containers
mkdir -p /etc/containers
cp "$1/policy.json" /etc/containers/policy.json
printf 'nameserver %s\\n' "$2" >/etc/resolv.conf
printf '127.0.0.1 localhost\\n%s lab\\n%s %s\\n' "$2" "$3" "$4" >/etc/hosts
printf '%s\\n' "$4" >/etc/hostname
if grep -q ' /sys/fs/cgroup/unified cgroup2 ' /proc/self/mounts; then umount /sys/fs/cgroup/unified; fi
mount --bind "$1/boot_id" /proc/sys/kernel/random/boot_id
hostname "$4"
ip link set lo up
cd /proc/sys/net/ipv4
echo 1 >ip_forward
for each in all default; do echo 1 >conf/$each/arp_notify; echo 1 >conf/$each/route_localnet; done
cd /
exec catatonit -P
"""


@dataclass(frozen=True, slots=True)
class VirtualNode:
    """One node of a lab: `number` from 1 gives its addresses, `owner` is the mark of the lab's processes."""

    name: str
    number: int
    home: Path
    wiring: Wiring
    owner: str

    @property
    def address(self) -> str:
        """Its IP address, reachable from this machine."""
        return self.wiring.node(self.number)

    @property
    def socket(self) -> Path:
        """Where its Podman listens."""
        return self.home / "podman.sock"

    @property
    def engine(self) -> EngineSocket:
        """Its Podman, asked from outside."""
        return EngineSocket(self.socket)

    @property
    def state(self) -> Path:
        """The agent's state directory."""
        return self.home / "state"

    def prepare(self, registry: str, names: tuple[str, ...]) -> None:
        """Write its configuration files; `registry` is host:port. InvalidConfigError where its path is too long."""
        if len(str(self.socket)) > LONGEST_SOCKET:
            raise InvalidConfigError(f"{self.socket} is too long for a socket; choose a shorter lab directory")
        self.home.mkdir(parents=True, exist_ok=True)
        engine_files.write(self.home, registry, names)

    def is_on(self) -> bool:
        """Whether it has power."""
        return self._process("init") is not None

    def power_on(self) -> None:
        """Power, wires, a new boot id; neither Podman nor the agent. Nothing where it is on."""
        if self.is_on():
            return
        (self.home / "boot_id").write_text(f"{uuid.uuid4()}\n")
        log = self.home / "init.log"
        unshare = [
            "unshare",
            *_NAMESPACES,
            "--fork",
            "--kill-child=SIGKILL",
            "--mount-proc",
            "--propagation",
            "private",
        ]
        boot = ["sh", "-c", _POWER_ON, "power-on", str(self.home), self.wiring.address, self.address, self.name]
        outer = processes.start([*unshare, *boot], env=self._environment(), log=log)
        outer.write(self.home / "outer.pid")
        init = processes.child(outer, log)
        until(lambda: _is_init(init, log), f"power-on of {self.name}")
        network.connect(self.wiring, self.number, init.pid)
        init.write(self.home / "init.pid")

    def boot(self, *, agent: bool = True) -> None:
        """Power on, start Podman, and the agent where it is wanted and configured."""
        self.power_on()
        self.start_podman()
        if agent and (self.home / "node.yaml").exists():
            self.start_agent()

    def power_cut(self) -> None:
        """Cut the power: every process of the node is gone at once, without a word. Nothing where it is off."""
        for name in ("init", "outer"):
            process = self._process(name)
            if process is not None:
                process.end()
            (self.home / f"{name}.pid").unlink(missing_ok=True)
        for name in ("podman", "agent"):
            process = self._process(name)
            if process is not None:
                until(lambda gone=process: not gone.is_alive(), f"power cut of {self.name}")  # type: ignore[misc]
            (self.home / f"{name}.pid").unlink(missing_ok=True)
        processes.reap()
        cgroups.sweep(self.home / "root")

    def start_podman(self) -> None:
        """Start Podman's service and wait until it answers. Nothing where it runs."""
        if self._process("podman") is None:
            self.socket.unlink(missing_ok=True)
            self._start(
                "podman", ["podman", "--log-level=error", "system", "service", "-t", "0", f"unix://{self.socket}"]
            )
        try:
            until(self.engine.is_answering, f"answer of Podman on {self.name}", seconds=30)
        except UnavailableError as error:
            raise UnavailableError("lab", f"start Podman on {self.name}", _tail(self.home / "podman.log")) from error

    def start_agent(self, command: Sequence[str] | None = None) -> None:
        """Start `edgegitops agent run`, or another command in its place. Nothing where it runs."""
        if self._process("agent") is None:
            self._start("agent", command or self._agent_command())

    def stop_agent(self, *, patience: float = 15) -> None:
        """End the agent: SIGTERM, then SIGKILL after `patience` seconds (0: at once). Nothing where it is not."""
        process = self._process("agent")
        if process is not None:
            process.end(patience=patience)
        (self.home / "agent.pid").unlink(missing_ok=True)

    def is_agent_running(self) -> bool:
        """Whether the agent runs."""
        return self._process("agent") is not None

    def require_reach(self, address: str) -> None:
        """UnavailableError where a program on the node cannot connect to this host:port of the lab."""
        host, _, port = address.partition(":")
        connect = f"import socket; socket.create_connection(({host!r}, {port}), 5)"
        try:
            self.run([sys.executable, "-I", "-S", "-c", connect], seconds=20)
        except UnavailableError as error:
            words = f"{self.name} cannot reach {address}; does a firewall of this machine drop it? {error.message}"
            raise UnavailableError("lab", "start", words) from error

    def unplug(self) -> None:
        """Pull the wire: registry, Git and this machine are out of reach; containers go on."""
        network.switch(self.wiring, self.number, up=False)

    def plug(self) -> None:
        """Put the wire back."""
        network.switch(self.wiring, self.number, up=True)

    def is_plugged(self) -> bool:
        """Whether the wire is in."""
        return network.is_plugged(self.wiring, self.number)

    def inside(self, argv: Sequence[str]) -> list[str]:
        """The command that runs `argv` inside the node. DeniedError where it is off."""
        init = self._process("init")
        if init is None:
            raise DeniedError("lab", f"enter {self.name}", f"the node has no power: edgegitops lab boot {self.name}")
        return ["nsenter", "-t", str(init.pid), *_NAMESPACES, "--", *argv]

    def run(self, argv: Sequence[str], *, seconds: float = 60) -> str:
        """Run a program inside and return its stdout; UnavailableError carries its stderr."""
        return run(self.inside(argv), env=self._environment(), seconds=seconds).decode(errors="replace")

    def attempt(self, argv: Sequence[str], *, seconds: float = 60) -> "subprocess.CompletedProcess[bytes]":
        """Run a program inside, whatever its end."""
        return attempt(self.inside(argv), env=self._environment(), seconds=seconds)

    def environment(self) -> dict[str, str]:
        """What programs inside are started with."""
        return self._environment()

    def _environment(self) -> dict[str, str]:
        config = {"EDGEGITOPS_CONFIG": str(self.home / "node.yaml"), "EDGEGITOPS_STATE": str(self.state)}
        return environment({**engine_files.environment(self.home), **config, processes.MARK: self.owner})

    def _start(self, name: str, argv: Sequence[str]) -> None:
        log = self.home / f"{name}.log"
        outer = processes.start(self.inside(argv), env=self._environment(), log=log)
        processes.child(outer, log).write(self.home / f"{name}.pid")

    def _process(self, name: str) -> Process | None:
        return processes.read(self.home / f"{name}.pid")

    def _agent_command(self) -> list[str]:
        return [sys.executable, "-m", "edgegitops", "agent", "run", "--config", str(self.home / "node.yaml")]


def _is_init(init: Process, log: Path) -> bool:
    if not init.is_alive():
        raise UnavailableError("lab", "power on", _tail(log))
    return processes.command(init) == "catatonit"


def _tail(log: Path, lines: int = 5) -> str:
    """The last words of a log."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) or f"no words in {log}"
    except FileNotFoundError:
        return f"no log {log}"
