"""Invariant 13: whatever a server shows, and in whatever order, only revisions on one verified chain ever run.

The server has good commits and a fork of them, commits without a signature, by strangers, by people whose role this is
not, and good commits on top of those. It shows drawn ones at drawn times. `EDGEGITOPS_DEEP=1` asks for many seeds.
"""

import os
from datetime import timedelta
from random import Random

import pytest
from tests.simulation.laws import Laws
from tests.simulation.life import Life, journalled
from tests.simulation.whole_lives import APP, DEPLOYMENT, application, forged, image

from edgegitops.bootstrap import load_schemas
from edgegitops.core.decide import decide
from edgegitops.core.model.events import FloorMoved, TransitionBegan
from edgegitops.core.model.facts import NodeIdentity
from edgegitops.lab.fleet import fleet_manifest, site_manifest

IS_DEEP = os.environ.get("EDGEGITOPS_DEEP", "") not in {"", "0"}
ONE = os.environ.get("EDGEGITOPS_SEED")
SEEDS = [int(ONE)] if ONE else range(300 if IS_DEEP else 8)
MINUTE = timedelta(minutes=1)


class Server:
    """Commits by name: `good-0` and so on, their fork, and bad ones; `parents` has the one that each stands on."""

    def __init__(self) -> None:
        self.forge = forged()
        self.commits: dict[str, str] = {}
        self.parents: dict[str, str] = {}
        staff = self.forge.staff
        site = site_manifest("plant", [("gw", "192.0.2.1")]).encode()
        plain = DEPLOYMENT[: DEPLOYMENT.index("  rollout:")] + DEPLOYMENT[DEPLOYMENT.index("  rollback:") :]
        self.forge.commit(staff["security"][0], add={"fleet.yaml": fleet_manifest(self.forge.fleet).encode()})
        self.forge.commit(staff["inventory"][0], add={"sites/plant.yaml": site})
        self.forge.commit(staff["release-manager"][0], add={f"deployments/{APP}.yaml": plain.encode()})
        engineer = staff["engineer"][0]
        self._commit("good-0", "", engineer)
        for at in range(1, 4):
            self._commit(f"good-{at}", f"good-{at - 1}", engineer)
        for at in range(2, 4):
            self._commit(f"fork-{at}", "good-1" if at == 2 else f"fork-{at - 1}", engineer)
        for parent in ("good-0", "good-2", "fork-2"):
            keys = {"nobody": None, "stranger": self.forge.signer("eve"), "max": staff["release-manager"][0]}
            for who, key in keys.items():
                self._commit(f"bad-{who}-{parent}", parent, key)
                self._commit(f"late-{who}-{parent}", f"bad-{who}-{parent}", engineer)

    def _commit(self, name: str, parent: str, key: object) -> None:
        """A release of its own, that says its name."""
        app = application("1.0.0", "good").replace("  version: 1.0.0", f"  version: {len(self.commits)}.0.0")
        app = app.replace(image("1.0.0", "good"), image("1.0.0", name))
        if parent:
            self.forge.tip = self.commits[parent]
        self.commits[name] = self.forge.commit(key, add={f"apps/{APP}/app.yaml": app.encode()})
        self.parents[name] = parent

    def line(self, name: str) -> list[str]:
        """A commit and all that it stands on."""
        return [name, *self.line(self.parents[name])] if name else []

    def life(self) -> Life:
        """A node that is enrolled, and has fetched nothing."""
        life = Life()
        life.node = NodeIdentity(self.forge.fleet, "plant", "gw", self.forge.pin)
        life.schemas, life.door = load_schemas(), decide
        for raw in self.forge.store.kept.values():
            life.repository.put(raw.kind, raw.data)
        return life

    def show(self, life: Life, name: str) -> None:
        """The branch is there now."""
        life.repository.set_remote_tip(self.commits[name])
        life.remote_tip = self.commits[name]
        life.worked_at = None


@pytest.fixture(scope="module")
def server() -> Server:
    return Server()


@pytest.mark.parametrize("seed", SEEDS)
def test_only_revisions_of_one_verified_chain_ever_run(server: Server, seed: int) -> None:
    random, life = Random(seed), server.life()
    Laws(life)
    names = {commit: name for name, commit in server.commits.items()}
    shown = random.choices(sorted(names.values()), k=random.randint(4, 12))
    for at, name in enumerate(shown):
        life.at(2 * MINUTE * at + MINUTE * random.random(), lambda name=name: server.show(life, name))
    life.live(2 * MINUTE * len(shown) + 5 * MINUTE)
    floors = [names.get(one.floor.commit, "") for one in journalled(life, FloorMoved)]
    runs = [names[one.transition.new.revision] for one in journalled(life, TransitionBegan) if one.transition.new]
    story = f"seed {seed}: shown {shown}, believed {floors}, run {runs}"
    assert all(name.startswith(("good-", "fork-")) for name in runs), story
    last = floors[-1] if floors else ""
    assert set(floors) - {""} <= set(server.line(last)), f"two chains: {story}"
    assert set(runs) <= set(server.line(last)), f"not of the chain: {story}"
    if any(name.startswith("good-") for name in shown) or any(name.startswith("fork-") for name in shown):
        assert runs, f"nothing ever ran: {story}"
