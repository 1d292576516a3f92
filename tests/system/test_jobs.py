"""Jobs on a real node: a migration after the database and before the application, an installation once, a failure that
is undone, and a run by the clock. What ran, and in which order, stands in the volume that all of them write to.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from tests.system import agent_plant as look
from tests.system.agent_plant import Plant, Wish, eventually, planted

from edgegitops.core.model.ledger import JobResult, JobRun
from edgegitops.core.model.release import Phase
from edgegitops.lab.images import App
from edgegitops.lab.node import VirtualNode

pytestmark = pytest.mark.system

NAME = "press"
TOOL = App("plant/tool", "1.0.0")


def job(line: str, code: int = 0, **fields: Any) -> dict[str, Any]:
    """A job that writes a line into the volume and onto its log, and ends."""
    script = f"echo job {line} | tee -a /data/starts; exit {code}"
    return {
        "image": TOOL,
        "entrypoint": ["/bin/sh", "-c"],
        "args": [script],
        "networks": {"net": {}},
        "mounts": {"/data": {"volume": "data"}},
        **fields,
    }


def wish(version: str, code: int = 0) -> Wish:
    """A database, a migration that needs it, an application that needs the migration."""
    return Wish(
        NAME,
        ("node-1",),
        {
            "db": App("plant/db", "1.0.0"),
            "web": {"image": App("plant/web", version), "dependsOn": {"migrate": "completed"}},
        },
        version=version,
        jobs={
            "init": job("init", runs="onInstall", dependsOn={"db": "ready"}),
            "migrate": job(
                f"migrate-{version}", code, runs="beforeSwitch", dependsOn={"db": "ready", "init": "completed"}
            ),
            "announce": job(f"announce-{version}", runs="onUpdate"),
            "often": job("tick", runs="schedule", schedule="* * * * *"),
        },
    )


@pytest.fixture(scope="module")
def plant() -> Iterator[Plant]:
    """A node whose agent has installed the first release."""
    with planted(1, wish("1.0.0")) as started:
        started.nodes[0].start_agent()
        yield started


def told(node: VirtualNode) -> list[str]:
    """What ran, in order, but for what the clock began."""
    return [line for line in look.starts(node, NAME) if line != "tick"]


def runs(node: VirtualNode, name: str) -> list[JobRun]:
    return [run for run in look.record(node, NAME).jobs.values() if run.job == name]


def is_at(node: VirtualNode, version: str, phase: Phase = Phase.HEALTHY) -> bool:
    """At rest at this version, and no job that belongs to it goes on."""
    record = look.record(node, NAME)
    is_over = not any(run.is_open and not run.due_at for run in record.jobs.values())
    serving = record.serving
    return (
        record.phase is phase and record.transition is None and bool(serving) and serving.version == version and is_over
    )


def test_jobs_run_in_their_order_and_once(plant: Plant) -> None:
    node = plant.nodes[0]
    eventually(partial(is_at, node, "1.0.0"), "the first release", node)
    first = ["1.0.0", "init", "migrate-1.0.0", "1.0.0", "announce-1.0.0"]
    eventually(lambda: told(node) == first, "all jobs of the first release", node)
    plant.wish(wish("2.0.0"))
    eventually(partial(is_at, node, "2.0.0"), "the second release", node)
    second = ["migrate-2.0.0", "2.0.0", "announce-2.0.0"]
    eventually(lambda: told(node) == [*first, *second], "no job twice, and no installation again", node)


def test_run_by_the_clock_begins_within_its_minute(plant: Plant) -> None:
    node = plant.nodes[0]

    def has_ticked() -> bool:
        return any(run.result is JobResult.SUCCEEDED and run.due_at for run in runs(node, "often"))

    eventually(has_ticked, "a run of the schedule", node, seconds=100)
    (row,) = [one for one in look.status(node)["deployments"] if one["name"] == NAME]
    (often,) = [one for one in row["jobs"] if one["job"] == "often"]
    assert often["last"]["result"] in {"succeeded", "running"}
    assert "tick" in node.run(["edgegitops", "logs", f"{NAME}/often"])


def test_job_that_fails_undoes_its_release_and_leaves_its_log(plant: Plant) -> None:
    node = plant.nodes[0]
    before = look.record(node, NAME).serving
    assert before is not None
    plant.wish(replace(wish("3.0.0", code=3)))
    eventually(partial(is_at, node, before.version, Phase.REVERTED), "the release before", node)
    (latch,) = look.record(node, NAME).latches.values()
    assert (latch.reason, latch.detail) == ("job-failed", "job migrate: ended with exit code 3")
    assert "3.0.0" not in told(node)
    assert told(node).count("migrate-3.0.0") == 1
    eventually(lambda: "migrate-3.0.0" in node.run(["edgegitops", "logs", f"{NAME}/migrate"]), "its log", node)
    explained = node.attempt(["edgegitops", "explain", NAME]).stdout.decode()
    assert "job migrate: ended with exit code 3" in " ".join(explained.split())
