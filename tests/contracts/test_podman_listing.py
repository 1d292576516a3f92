"""The resident's light door sees what the engine does, with nothing but the standard library."""

import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.contracts.engine_fixtures import FLEET, PodmanRig

from edgegitops.adapters.podman_listing import Hint, PodmanListing
from edgegitops.core.model.steps import RemoveContainer, StartContainer, StopContainer
from edgegitops.errors import UnavailableError

NAME = "line.app.0123456789ab"
SPAN = timedelta(seconds=5)


@pytest.mark.system
def test_only_our_running_containers_are_listed(podman: PodmanRig) -> None:
    listing = PodmanListing(str(podman.node.socket), proc=podman.node.proc)
    podman.add_foreign("stranger")
    podman.create("line.stopped.0123456789ab")
    assert listing.running() == {}
    seen = podman.run(NAME)
    row = listing.running()[NAME]
    assert (row.id, row.pid, row.digest, row.state) == (seen.id, seen.pid, seen.digest, "running")
    assert row.mark == seen.mark  # else the resident would see drift for ever
    assert len(listing.running()) == 1
    assert set(PodmanListing(str(podman.node.socket), fleet=FLEET).running()) == {NAME}
    assert PodmanListing(str(podman.node.socket), fleet="urn:test:other").running() == {}


@pytest.mark.system
def test_lost_container_does_not_run(podman: PodmanRig) -> None:
    listing = PodmanListing(str(podman.node.socket), proc=podman.node.proc)
    podman.run(NAME)
    podman.lose(NAME)
    assert listing.running() == {}


@pytest.mark.system
def test_events_name_what_happened_until_closed(podman: PodmanRig) -> None:
    podman.create(NAME)
    stream = PodmanListing(str(podman.node.socket)).events()
    hints: list[Hint] = []
    has_removed = threading.Event()

    def listen() -> None:
        for hint in stream:
            hints.append(hint)
            if hint.action == "remove":
                has_removed.set()

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        for step in (StartContainer(NAME), StopContainer(NAME, SPAN), RemoveContainer(NAME)):
            podman.engine.perform(step)
        assert has_removed.wait(30)
    finally:
        stream.close()
        listener.join(30)
    assert not listener.is_alive()
    assert [hint.action for hint in hints if hint.action in {"start", "died", "remove"}] == ["start", "died", "remove"]
    assert {hint.name for hint in hints} == {NAME}


@pytest.mark.system
def test_stream_that_breaks_off_says_so(podman: PodmanRig) -> None:
    stream = PodmanListing(str(podman.node.socket)).events()
    podman.node.restart_service()
    with pytest.raises(UnavailableError):
        list(stream)
    stream.close()


def test_absent_engine_is_an_unavailable_one() -> None:
    listing = PodmanListing("/nowhere/podman.sock")
    acts: tuple[Callable[[], object], ...] = (
        listing.running,
        listing.events,
        lambda: listing.probe_exec(NAME, ["/bin/true"], SPAN),
    )
    for act in acts:
        with pytest.raises(UnavailableError):
            act()


def test_the_light_door_loads_nothing_heavy() -> None:
    probe = (
        "import sys, edgegitops.adapters.podman_listing\n"
        "print(sorted({'podman', 'requests', 'urllib3', 'yaml', 'asyncio', 'rfc8785'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"
