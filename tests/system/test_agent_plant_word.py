"""The plant has the last word on a real node: a window that is shut and a line that runs hold an update, each by name;
the old release goes on, and the update begins as soon as both allow it.
"""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from tests.system.agent_plant import (
    Plant,
    _document,
    eventually,
    happened,
    is_serving,
    ledger,
    planted,
    record,
    simple,
)

from edgegitops.adapters.clock_system import SystemClock
from edgegitops.core.model.events import WorkerStarted
from edgegitops.core.model.reasons import HoldReason

pytestmark = pytest.mark.system
FLAG = "line-stopped"


@pytest.fixture(scope="module")
def plant() -> Iterator[Plant]:
    """One node that runs the first release, its agent alive."""
    with planted(1, simple("line", "node-1")) as made:
        (node,) = made.nodes
        node.start_agent()
        eventually(lambda: is_serving(node, "line", "1.0.0"), "the first release", node)
        yield made


def say(plant: Plant, windows: dict[str, object]) -> None:
    """The site's rules: these windows, and an interlock that asks for a file."""
    (node,) = plant.nodes
    nodes = {node.name: {"address": node.address, "tags": {"seat": node.name}}}
    asks = {"line-stopped": {"file": {"path": str(node.home / FLAG), "exists": True}}}
    spec = {"tags": {"lab": "true"}, "timeZone": "UTC", "nodes": nodes, "windows": windows, "interlocks": asks}
    plant.commit("inventory: the plant's rules", "inventory", {"sites/lab.yaml": _document("Site", "lab", spec)})


def shut() -> dict[str, object]:
    """A window that opens in twelve hours."""
    later = SystemClock().now() + timedelta(hours=12)
    return {"night": {"kind": "allow", "schedule": f"{later.minute} {later.hour} * * *", "duration": "1h"}}


def test_shut_window_and_running_line_hold_an_update_in_turn(plant: Plant) -> None:
    (node,) = plant.nodes
    say(plant, shut())
    plant.wish(simple("line", "node-1").at("2.0.0"))
    eventually(lambda: record(node, "line").hold_reason == HoldReason.WINDOW, "a hold by the window", node)
    assert is_running(plant, "1.0.0")

    say(plant, {"always": {"kind": "allow", "schedule": "0 * * * *", "duration": "2h"}})
    eventually(lambda: record(node, "line").hold_reason == HoldReason.INTERLOCK, "a hold by the interlock", node)
    assert "line-stopped" in node.run(["edgegitops", "explain", "line"])
    assert is_running(plant, "1.0.0")

    since = ledger(node).seq
    (node.home / FLAG).write_text("stopped\n")  # nobody tells the agent: it watches the file
    eventually(lambda: any(isinstance(one, WorkerStarted) for one in happened(node, since)), "a look", node, 12)
    eventually(lambda: is_serving(node, "line", "2.0.0"), "the update once the line stands", node, 90)


def is_running(plant: Plant, version: str) -> bool:
    """The old release serves and runs while the new one waits."""
    (node,) = plant.nodes
    serving = record(node, "line").serving
    return serving is not None and serving.version == version and "running" in node.engine.containers().values()
