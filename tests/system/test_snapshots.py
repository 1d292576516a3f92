"""A bad release that spoils its data is undone with its data, on a real node, also when the worker dies in between."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.system import agent_plant as look
from tests.system.agent_plant import Plant, Wish, eventually, planted, simple

from edgegitops.core.model import events as e
from edgegitops.core.model.release import Phase
from edgegitops.lab.images import App
from edgegitops.lab.node import VirtualNode

pytestmark = pytest.mark.system

PREPARE = ["/bin/sh", "-c", "echo prepared >> /data/prepared"]
COPIED = {"snapshot": {"before": {"container": "web", "exec": PREPARE}, "maxSize": "2Gi"}}
NAMES = ("spoiled", "copying", "going-back", "held", "fine", "migrated")
MEGABYTES = 300


def wish(name: str) -> Wish:
    return simple(name, "node-1", volume=COPIED, soak="2s", deadline="15s")


@pytest.fixture(scope="module")
def plant() -> Iterator[Plant]:
    with planted(1, *(wish(name) for name in NAMES)) as started:
        node = started.nodes[0]
        node.start_agent()
        for name in NAMES:
            eventually(lambda name=name: look.is_serving(node, name, "1.0.0"), f"{name} at 1.0.0", node)  # type: ignore[misc]
        yield started


def data(node: VirtualNode, name: str) -> Path:
    return node.home / "root/volumes" / f"{name}.data" / "_data"


def failed(node: VirtualNode, name: str) -> Path:
    """The folder of the volume that keeps what the failed release left."""
    (found,) = (node.home / "root/volumes").glob(f"{name}.data.failed-*")
    return found / "_data"


def spoil(plant: Plant, name: str) -> None:
    """Want a release that writes to the volume and then dies."""
    plant.wish(wish(name).at("2.0.0", FAIL_AFTER="2"))


def is_reverted(node: VirtualNode, name: str) -> bool:
    return look.is_serving(node, name, "1.0.0", Phase.REVERTED)


def assert_data_is_back(node: VirtualNode, name: str) -> None:
    assert set(look.starts(node, name)) == {"1.0.0"}
    assert "2.0.0" in (failed(node, name) / "starts").read_text()
    assert (data(node, name) / "prepared").read_text() == "prepared\n"
    eventually(lambda: not (node.state / "snapshots" / f"{name}.data").exists(), "the copy goes", node)


def kill_worker(node: VirtualNode, when: Callable[[], bool], what: str) -> None:
    eventually(when, what, node)
    worker = look.worker_of(node)
    assert worker is not None, f"no worker works at: {what}"
    os.kill(worker.pid, signal.SIGKILL)


def has_begun(node: VirtualNode, name: str, step: str) -> bool:
    told = (one for one in look.happened(node) if isinstance(one, e.IntentRecorded))
    return any((one.deployment, one.step) == (name, step) for one in told)


def test_bad_release_loses_what_it_wrote_and_that_is_kept(plant: Plant) -> None:
    node = plant.nodes[0]
    spoil(plant, "spoiled")
    eventually(lambda: is_reverted(node, "spoiled"), "spoiled reverted", node)
    assert_data_is_back(node, "spoiled")
    plant.wish(wish("spoiled").at("3.0.0"))
    eventually(lambda: look.is_serving(node, "spoiled", "3.0.0"), "the fix", node)
    eventually(lambda: not list((node.home / "root/volumes").glob("*spoiled.data.failed-*")), "failed data goes", node)
    assert look.is_chain_whole(node)


def test_good_release_keeps_its_data_and_no_copy(plant: Plant) -> None:
    node = plant.nodes[0]
    plant.wish(wish("fine").at("2.0.0"))
    eventually(lambda: look.is_serving(node, "fine", "2.0.0"), "fine at 2.0.0", node)
    assert look.starts(node, "fine") == ["1.0.0", "2.0.0"]
    assert not list((node.home / "root/volumes").glob("fine.data.failed-*"))
    eventually(lambda: not (node.state / "snapshots" / "fine.data").exists(), "the copy goes", node)


def test_migration_that_spoils_the_data_and_fails_is_undone(plant: Plant) -> None:
    node = plant.nodes[0]
    spoiler = {
        "image": App("plant/migrated", "2.0.0"),
        "runs": "beforeSwitch",
        "entrypoint": ["/bin/sh", "-c", "echo migrated >> /data/prepared; rm /data/starts; exit 3"],
        "mounts": {"/data": {"volume": "data"}},
    }
    web = {"image": App("plant/migrated", "2.0.0"), "dependsOn": {"migrate": "completed"}}
    plant.wish(replace(wish("migrated"), version="2.0.0", containers={"web": web}, jobs={"migrate": spoiler}))
    eventually(lambda: look.record(node, "migrated").phase is Phase.REVERTED, "migrated reverted", node)
    eventually((data(node, "migrated") / "starts").exists, "the old release starts", node)
    (latch,) = look.record(node, "migrated").latches.values()
    assert latch.detail == "job migrate: ended with exit code 3"
    assert set(look.starts(node, "migrated")) == {"1.0.0"}
    assert (data(node, "migrated") / "prepared").read_text() == "prepared\n"
    assert (failed(node, "migrated") / "prepared").read_text() == "prepared\nmigrated\n"
    assert not (failed(node, "migrated") / "starts").exists()


def test_worker_that_is_killed_while_it_copies_is_followed_by_one_that_copies_anew(plant: Plant) -> None:
    node = plant.nodes[0]
    for number in range(MEGABYTES):
        (data(node, "copying") / f"block-{number}").write_bytes(os.urandom(1_000_000))
    spoil(plant, "copying")
    folder = node.state / "snapshots" / "copying.data"
    kill_worker(node, lambda: bool(list(folder.glob("*/data.part/*"))), "a half-made copy")
    eventually(lambda: is_reverted(node, "copying"), "copying reverted", node, 90)
    assert_data_is_back(node, "copying")
    assert len(list(data(node, "copying").glob("block-*"))) == MEGABYTES


def test_worker_that_is_killed_on_the_way_back_is_followed_by_one_that_ends_it(plant: Plant) -> None:
    node = plant.nodes[0]
    spoil(plant, "going-back")
    kill_worker(node, lambda: has_begun(node, "going-back", "restore-snapshot"), "the way back")
    eventually(lambda: is_reverted(node, "going-back"), "going-back reverted", node, 90)
    assert_data_is_back(node, "going-back")


def test_program_that_fails_holds_the_update_and_nothing_is_stopped(plant: Plant) -> None:
    node = plant.nodes[0]
    before = look.ids(node, "held")
    snapshot = {"before": {"container": "web", "exec": ["/bin/false"]}}
    changed = simple("held", "node-1", volume={"snapshot": snapshot}, soak="2s", deadline="15s")
    plant.wish(changed.at("2.0.0"))
    eventually(lambda: look.record(node, "held").hold_reason == "snapshot-hook", "the hold", node)
    assert set(before.items()) <= set(look.ids(node, "held").items())
    assert look.starts(node, "held") == ["1.0.0"]
