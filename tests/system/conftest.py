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
        self._before = self._routes()

    @staticmethod
    def _routes() -> list[str]:
        return run(["ip", "-4", "route", "show"]).decode().splitlines()

    def traces(self) -> list[str]:
        """A line for each trace; none where nothing is left."""
        place = str(self.directory)
        mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if place in line]
        links = network.links(self.directory)
        links += [line for line in self._routes() if line not in self._before]
        marked = [f"process {one.pid} {processes.command(one)}" for one in processes.marked(place)]
        named = [f"process {path.parent.name} names it" for path in _command_lines(place)]
        files = [str(path) for path in self.directory.parent.glob(f"{self.directory.name}*")]
        return [*mounts, *links, *marked, *named, *files]


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
    assert f"unreachable 10.{started.wiring.slot}." not in "".join(Footprint._routes())


@pytest.fixture
def footprint() -> Iterator[Footprint]:
    """A directory for a lab of one test, which must leave nothing of it."""
    looked = Footprint(labs.DIRECTORY.with_name(f"eglab-test-{uuid.uuid4().hex[:8]}"))
    yield looked
    left = looked.traces()
    if left:
        labs.end(looked.directory)
    assert left == []
