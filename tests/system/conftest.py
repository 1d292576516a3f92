"""What system tests share: a lab that runs for one file, and a look at what a lab has on this machine."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgegitops.lab import lab as labs
from edgegitops.lab import network, processes
from edgegitops.lab.commands import run
from edgegitops.lab.lab import Lab


class Footprint:
    """Everything on this machine that belongs to the lab of one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def traces(self) -> list[str]:
        """A line for each trace; none where nothing is left."""
        place = str(self.directory)
        mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if place in line]
        links = network.links(self.directory)
        marked = [f"process {one.pid} {processes.command(one)}" for one in processes.marked(place)]
        named = [f"process {path.parent.name} names it" for path in _command_lines(place)]
        files = [str(path) for path in self.directory.parent.glob(f"{self.directory.name}*")]
        return [*mounts, *links, *ownerless_routes(), *marked, *named, *files]


def ownerless_routes() -> list[str]:
    """Routes that a lab, any lab, left behind: the lab's address of the same network is nowhere."""

    def shown(*words: str) -> str:
        return run(["ip", "-4", "-oneline", *words]).decode()

    before = shown("address", "show")
    routes = [line.split()[1] for line in shown("route", "show", "type", "unreachable").splitlines()]
    addresses = before + shown("address", "show")
    return [f"route {net}" for net in routes if net.replace(".0.0/16", ".0.1/32") not in addresses]


def _command_lines(words: str) -> Iterator[Path]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes()
        except OSError:
            continue
        if words.encode() in text:
            yield path


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab with two nodes, shared by the tests of a file; a node may be off or unplugged: ask for what you need."""
    with Lab.start(2) as started:
        yield started
    assert Footprint(started.directory).traces() == []


@pytest.fixture
def footprint() -> Iterator[Footprint]:
    """A directory for a lab of one test, which must leave nothing of it."""
    looked = Footprint(labs.DIRECTORY.with_name(f"eglab-test-{uuid.uuid4().hex[:8]}"))
    yield looked
    left = looked.traces()
    if left:
        labs.end(looked.directory)
    assert left == []
