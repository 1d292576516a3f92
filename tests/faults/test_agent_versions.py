"""Another version of the agent takes over in the midst of an update, a newer or an older one: it goes on where the
first was told to stop, and no container notices.

The other version is a copy of the package under another number; its record of the journal's ledger is made anew, as
after every change of version.
"""

import shutil
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.system import agent_plant as look
from tests.system.agent_plant import Plant, drawn, eventually, planted, simple, wait_for_rows

import edgegitops
from edgegitops.core.model import events as e
from edgegitops.lab.node import VirtualNode

pytestmark = pytest.mark.system

ROWS = 18  # about as many entries as an update writes before it is healthy
MOVES = [("99.0.0", "1.1.0", 1), ("0.0.1", "1.2.0", 2), ("99.0.0", "1.3.0", 3), ("0.0.1", "1.4.0", 4)]


@pytest.fixture(scope="module")
def plant() -> Iterator[Plant]:
    """One node that runs two applications, and an agent."""
    with planted(1, simple("moved", "node-1", soak="3s"), simple("quiet", "node-1")) as started:
        (node,) = started.nodes
        node.start_agent()
        for name in ("moved", "quiet"):
            eventually(partial(look.is_serving, node, name, "1.0.0"), name, node)
        yield started


def installed(folder: Path, version: str) -> list[str]:
    """The same program under another number; what begins a command that means that one."""
    here = Path(edgegitops.__file__).parent
    shutil.copytree(here, folder / "edgegitops", ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "edgegitops" / "__init__.py"
    file.write_text(file.read_text().replace(f'"{edgegitops.__version__}"', f'"{version}"'))
    return ["env", f"PYTHONPATH={folder}", sys.executable, "-m", "edgegitops"]


def start(node: VirtualNode, program: list[str]) -> None:
    node.start_agent([*program, "agent", "run", "--config", str(node.home / "node.yaml")])


@pytest.mark.parametrize(("version", "release", "seed"), MOVES)
def test_other_version_that_takes_over_in_an_update_ends_it_and_touches_nothing_else(
    plant: Plant, tmp_path: Path, version: str, release: str, seed: int
) -> None:
    (node,) = plant.nodes
    program = installed(tmp_path, version)
    before, since = look.ids(node, "quiet"), look.ledger(node).seq
    plant.wish(simple("moved", "node-1", soak="3s").at(release))
    rows, moment = drawn(seed, ROWS)
    wait_for_rows(node, since, rows, "moved")
    time.sleep(moment)
    node.stop_agent()
    start(node, program)
    eventually(partial(look.is_serving, node, "moved", release), f"{release} by {version}", node)
    versions = [one.version for one in look.happened(node, since) if isinstance(one, e.DaemonStarted)]
    assert versions == [version]
    assert look.starts(node, "moved").count(release) == 1
    assert (look.ids(node, "quiet"), look.starts(node, "quiet")) == (before, ["1.0.0"])
    assert look.is_chain_whole(node)
