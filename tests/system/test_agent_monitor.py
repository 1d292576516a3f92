"""An agent that is watched: its page of metrics, its notices, and its own files, on a node of the lab."""

import sys
from collections.abc import Iterator
from functools import partial

import pytest
from tests.system import agent_plant as look
from tests.system.agent_plant import Plant, eventually, planted, simple

from edgegitops.core.model import events as e
from edgegitops.lab.node import VirtualNode

pytestmark = pytest.mark.system

SCRAPE = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9464/metrics', timeout=9).read().decode())"
SAID = ["env", "EDGEGITOPS_METRICS_LISTEN=127.0.0.1:9464", "EDGEGITOPS_NOTIFY_WEBHOOK=http://127.0.0.1:9/"]


@pytest.fixture(scope="module")
def plant() -> Iterator[Plant]:
    with planted(1, simple("line", "node-1")) as started:
        (node,) = started.nodes
        node.start_agent([*SAID, *node._agent_command()])
        eventually(partial(look.is_serving, node, "line", "1.0.0"), "line", node)
        yield started


def page(node: VirtualNode) -> str:
    return node.run([sys.executable, "-I", "-c", SCRAPE])


def test_page_says_how_the_node_stands(plant: Plant) -> None:
    (node,) = plant.nodes
    eventually(lambda: 'phase="healthy"' in page(node), "the page says that the line is healthy", node)
    lines = page(node).splitlines()
    assert "edgegitops_as_wanted 1" in lines
    assert 'edgegitops_container_health{deployment="line",container="line.web.' in page(node)
    assert "edgegitops_worker_deaths_total 0" in lines


def test_what_was_told_is_remembered(plant: Plant) -> None:
    (node,) = plant.nodes
    eventually(lambda: '"seq"' in (node.state / "told.json").read_text(), "told.json is kept", node)


def test_a_written_file_of_the_node_makes_the_agent_look(plant: Plant) -> None:
    (node,) = plant.nodes
    config = node.home / "node.yaml"
    since = look.ledger(node).seq
    config.write_text(config.read_text() + "# a remark\n")
    eventually(lambda: any(isinstance(one, e.WorkerStarted) for one in look.happened(node, since)), "a look", node)
