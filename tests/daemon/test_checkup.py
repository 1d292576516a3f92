"""Can this machine be a node? A table of machines, and what each is told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edgegitops.adapters.machine_linux import law_problem
from edgegitops.bootstrap_node import examine
from edgegitops.core.model.node_config import NodeConfig, Notify, RegistryAccess, Remote
from edgegitops.core.model.trust import Pin
from edgegitops.daemon.checkup import GIB, MIB, Machine, Verdict, findings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENGINE = {
    "version": {"Version": "5.4.0"},
    "host": {"cgroupVersion": "v2", "cgroupControllers": ["cpu", "memory", "pids"]},
    "store": {"graphDriverName": "overlay"},
}
GOOD = Machine(
    now=NOW,
    is_clock_synced=True,
    engine=ENGINE,
    state_free=8 * GIB,
    store_free=8 * GIB,
    tip="c" * 40,
    is_agent_running=True,
    is_enrolled=True,
)


def told(machine: Machine) -> dict[str, Verdict]:
    return {one.name: one.verdict for one in findings(machine) if one.verdict is not Verdict.OK}


def test_good_machine_is_fit() -> None:
    assert told(GOOD) == {}


@pytest.mark.parametrize(
    ("machine", "name", "verdict"),
    [
        (replace(GOOD, engine={}, engine_problem="no socket"), "podman", Verdict.FAIL),
        (replace(GOOD, engine={**ENGINE, "version": {"Version": "3.4.4"}}), "podman", Verdict.FAIL),
        (replace(GOOD, engine={**ENGINE, "version": {}}), "podman", Verdict.FAIL),
        (replace(GOOD, engine={**ENGINE, "host": {"cgroupVersion": "v1"}}), "cgroups", Verdict.WARN),
        (replace(GOOD, engine={**ENGINE, "store": {"graphDriverName": "vfs"}}), "storage driver", Verdict.WARN),
        (replace(GOOD, is_clock_synced=False), "clock", Verdict.WARN),
        (replace(GOOD, now=datetime(1970, 1, 1, tzinfo=UTC)), "clock", Verdict.FAIL),
        (replace(GOOD, floor_at=NOW + timedelta(minutes=6)), "clock", Verdict.FAIL),
        (replace(GOOD, state_free=10 * MIB), "disk of the state", Verdict.FAIL),
        (replace(GOOD, state_free=100 * MIB), "disk of the state", Verdict.WARN),
        (replace(GOOD, store_free=700 * MIB), "disk of the images", Verdict.WARN),
        (replace(GOOD, state_problem="read-only"), "state", Verdict.FAIL),
        (replace(GOOD, journal_problem="damaged"), "state", Verdict.FAIL),
        (replace(GOOD, policy_problem="unknown-field"), "policy", Verdict.FAIL),
        (replace(GOOD, files={"repository.keyFile": "gone"}), "repository.keyFile", Verdict.FAIL),
        (replace(GOOD, hook_problem="others may write to it"), "notify.exec", Verdict.FAIL),
        (replace(GOOD, tip=None), "repository", Verdict.FAIL),
        (replace(GOOD, tip=None, tip_problem="no route"), "repository", Verdict.FAIL),
        (replace(GOOD, is_enrolled=False), "seat", Verdict.WARN),
        (replace(GOOD, is_agent_running=False), "agent", Verdict.WARN),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_fault_of_a_machine_is_the_one_that_is_told(machine: Machine, name: str, verdict: Verdict) -> None:
    assert told(machine) == {name: verdict}


def test_whatever_is_not_ok_says_what_to_do() -> None:
    worst = Machine(now=datetime(1970, 1, 1, tzinfo=UTC), engine_problem="x", state_problem="x", tip_problem="x")
    worst = replace(worst, files={"a": "x"}, policy_problem="x", state_free=0, is_enrolled=False)
    assert all(one.advice for one in findings(worst) if one.verdict is not Verdict.OK)
    assert len(told(worst)) == 9


def test_clock_that_is_a_little_behind_the_floor_is_right() -> None:
    assert told(replace(GOOD, floor_at=NOW + timedelta(minutes=4))) == {}


@pytest.mark.parametrize(
    "lacking",
    ["repository.keyFile", "repository.caFile", "registry.authFile", "registry.caFile", "notify.tokenFile"],
)
def test_every_credential_file_that_node_yaml_names_is_looked_at(lacking: str, tmp_path: Path) -> None:
    names = ("repository.keyFile", "repository.caFile", "registry.authFile", "registry.caFile", "notify.tokenFile")
    paths = {name: tmp_path / name for name in names}
    for path in paths.values():
        path.write_text("x")
        path.chmod(0o600)
    paths[lacking].unlink()
    files = {name: str(path) for name, path in paths.items()}
    config = NodeConfig(
        site="plant",
        node="gw",
        remote=Remote(
            url=f"file://{tmp_path}/none", key_file=files["repository.keyFile"], ca_file=files["repository.caFile"]
        ),
        pin=Pin("urn:x", "0" * 64, "c" * 40),
        registry=RegistryAccess(files["registry.authFile"], files["registry.caFile"]),
        notify=Notify(webhook="https://x", token_file=files["notify.tokenFile"]),
        socket=str(tmp_path / "no.sock"),
        state=str(tmp_path / "state"),
        policy_file=str(tmp_path / "policy.yaml"),
    )
    looked = examine(config).files
    assert looked.keys() == set(names)
    assert [name for name, problem in looked.items() if problem] == [lacking]


def test_policy_that_others_may_write_is_told(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    assert law_problem(str(policy)) == ""
    policy.write_text("x")
    policy.chmod(0o644)
    assert law_problem(str(policy)) == ""
    policy.chmod(0o664)
    assert "others than its owner" in law_problem(str(policy))
