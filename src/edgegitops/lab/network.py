"""Law: a lab's links are named after its directory, so that whoever cleans up knows them without any record.

A bridge without ports, `eg<hash>`, carries the lab's own address 10.S.0.1, where registry and Git server listen: only
this machine and the nodes reach it. Node N hangs on a veth pair, `eg<hash>n<N>` 10.S.N.1/30 here and eth0 10.S.N.2
inside. S, 200 to 231, is the first one that no address or route of this machine touches; two labs that start at once
are kept apart by an abstract socket, which the kernel frees.

Nothing of a lab leaves the machine: this machine does not forward for nodes, and an address of the lab that is not
there (a node that is off or unplugged) is unreachable at once instead of being asked for on the way to the world.
"""

import hashlib
import ipaddress
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgegitops.errors import InvalidConfigError
from edgegitops.lab.commands import attempt, run, until

MOST_NODES = 200
_SLOTS = range(200, 232)
_PREFIX = 16


@dataclass(frozen=True, slots=True)
class Wiring:
    """The addresses and link names of one lab. `slot` is the second number of all its addresses."""

    stem: str
    slot: int

    @property
    def address(self) -> str:
        """Where the lab's own servers listen."""
        return f"10.{self.slot}.0.1"

    def gateway(self, number: int) -> str:
        """The end of the wire to a node at this machine."""
        return f"10.{self.slot}.{number}.1"

    def node(self, number: int) -> str:
        """The node's address."""
        return f"10.{self.slot}.{number}.2"

    def link(self, number: int) -> str:
        """The link to a node at this machine."""
        return f"{self.stem}n{number}"


def stem_of(directory: Path) -> str:
    """The beginning of all link names of the lab in this directory (a link name has at most 15 bytes)."""
    return "eg" + hashlib.sha256(str(directory).encode()).hexdigest()[:8]


def lay(directory: Path) -> Wiring:
    """Make the lab's bridge and give it an address that is free."""
    stem = stem_of(directory)
    with _alone():
        slot = _free_slot()
        run(["ip", "link", "add", stem, "type", "bridge"])
        run(["ip", "address", "add", f"10.{slot}.0.1/32", "dev", stem])
        run(["ip", "route", "replace", "unreachable", f"10.{slot}.0.0/16"])
    run(["ip", "link", "set", stem, "up"])
    return Wiring(stem, slot)


def connect(wiring: Wiring, number: int, pid: int) -> None:
    """Wire node `number`, whose first process is `pid`, to this machine."""
    link = wiring.link(number)
    attempt(["ip", "link", "del", link])
    run(["ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(pid)])
    run(["ip", "address", "add", f"{wiring.gateway(number)}/30", "dev", link])
    Path(f"/proc/sys/net/ipv4/conf/{link}/forwarding").write_text("0")
    run(["ip", "link", "set", link, "up"])
    inside = ["nsenter", "-t", str(pid), "-n", "ip"]
    run([*inside, "address", "add", f"{wiring.node(number)}/30", "dev", "eth0"])
    run([*inside, "link", "set", "eth0", "up"])
    run([*inside, "route", "add", "default", "via", wiring.gateway(number)])


def switch(wiring: Wiring, number: int, *, up: bool) -> None:
    """Plug or unplug a node's wire at this machine's end. UnavailableError where the node is off."""
    run(["ip", "link", "set", wiring.link(number), "up" if up else "down"])


def is_plugged(wiring: Wiring, number: int) -> bool:
    """Whether this machine's end of the wire is up."""
    shown = attempt(["ip", "-json", "link", "show", wiring.link(number)])
    return shown.returncode == 0 and "UP" in json.loads(shown.stdout)[0]["flags"]


def links(directory: Path) -> list[str]:
    """The lab's links that this machine has now."""
    stem = stem_of(directory)
    names = [str(row["ifname"]) for row in json.loads(run(["ip", "-json", "link", "show"]))]
    return [name for name in names if name == stem or name.startswith(f"{stem}n")]


def remove(directory: Path) -> None:
    """Remove all of the lab's links and its route; a node's end goes with ours. The bridge, which says S, is last."""
    stem = stem_of(directory)
    for name in sorted(links(directory), key=lambda name: name == stem):
        if name == stem:
            for network in _addresses(stem):
                attempt(["ip", "route", "del", "unreachable", str(network.supernet(new_prefix=_PREFIX))])
        attempt(["ip", "link", "del", name])
    until(lambda: not links(directory), "end of the lab's links")


def _free_slot() -> int:
    # A wider route, such as 10.0.0.0/8 of a company, does not clash: the lab's are nearer and win.
    taken = [network for network in _taken() if network.prefixlen >= _PREFIX]
    for slot in _SLOTS:
        wanted = ipaddress.ip_network(f"10.{slot}.0.0/16")
        if not any(wanted.overlaps(network) for network in taken):
            return slot
    raise InvalidConfigError("no free addresses: every network from 10.200.0.0/16 to 10.231.0.0/16 is in use here")


def _taken() -> Iterator[ipaddress.IPv4Network]:
    yield from _addresses()
    for row in json.loads(run(["ip", "-4", "-json", "route", "show"])):
        if row["dst"] != "default" and row.get("type") != "unreachable":
            yield ipaddress.IPv4Network(row["dst"], strict=False)


def _addresses(link: str = "") -> Iterator[ipaddress.IPv4Network]:
    """The networks of a link's addresses, or of all links'."""
    for row in json.loads(run(["ip", "-4", "-json", "address", "show", *([link] if link else [])])):
        for entry in row.get("addr_info", ()):
            yield ipaddress.IPv4Network(entry["local"])
            yield ipaddress.IPv4Network(f"{entry['local']}/{entry['prefixlen']}", strict=False)


@contextmanager
def _alone() -> Iterator[None]:
    """Only one lab of this machine chooses its addresses at a time."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mutex:

        def is_mine() -> bool:
            try:
                mutex.bind("\0edgegitops-lab-addresses")
            except OSError:
                return False
            return True

        until(is_mine, "turn to choose addresses", seconds=30)
        yield
