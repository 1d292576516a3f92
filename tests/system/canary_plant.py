"""Six plants with a gateway each, for stories about waves: real Podman, real Git over HTTP, and the pen of every role.

One canary, two pilots, three others. What a node did is read from its journal, with its instants (all nodes have one
clock), and from what its containers wrote; a node that is installed anew keeps what it did before in this memory.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

from tests.system.agent_plant import (
    PATIENCE,
    READY,
    _document,
    containers,
    eventually,
    happened,
    is_serving,
    ledger,
    record,
    starts,
)

from edgegitops import bootstrap
from edgegitops.core.model import events as e
from edgegitops.core.model.ledger import Transition
from edgegitops.core.model.release import Phase
from edgegitops.core.model.report import Report
from edgegitops.core.trust.objects import Tag, parse_tag
from edgegitops.core.trust.reports import statement_in
from edgegitops.lab import fleet as fleets
from edgegitops.lab.commands import attempt, environment, run
from edgegitops.lab.images import App
from edgegitops.lab.lab import Lab
from edgegitops.lab.node import VirtualNode

SITES = ("a", "b", "c", "d", "e", "f")
WAVES: Mapping[str, tuple[str, ...]] = {"canary": ("a",), "pilot": ("b", "c"), "wide": ("d", "e", "f")}
CANARY, PILOT = "a", WAVES["pilot"]
RINGS = {site: ring for ring, sites in WAVES.items() for site in sites}
WEAK = "c"
"""The site where a release fails that is said to fail at weak sites."""
APP = "line"
SOAK = timedelta(seconds=3)
LONG = PATIENCE * 4


@dataclass(frozen=True)
class Start:
    """A release that a node started to switch to; `phases` are the instants of this transition's moves from then on."""

    version: str
    revision: str
    cause: str
    phases: Mapping[Phase, datetime] = field(default_factory=dict)

    @property
    def at(self) -> datetime:
        """When it was allowed and told to start."""
        return self.phases[Phase.SWITCHING]

    @property
    def soaked_at(self) -> datetime | None:
        """When it had been healthy for long enough."""
        return self.phases.get(Phase.HEALTHY)


def starts_in(entries: Iterable[e.Entry]) -> list[Start]:
    """What a journal says was started, in order."""
    began: dict[str, Transition] = {}
    found: dict[str, Start] = {}
    for entry in entries:
        match entry.event:
            case e.TransitionBegan(_, transition):
                began[transition.id] = transition
            case e.PhaseMoved(_, name, _, phase) if phase is Phase.SWITCHING or name in found:
                new = began[name].new
                assert new is not None
                known = found.get(name) or Start(new.version, new.revision, began[name].cause)
                found[name] = replace(known, phases={**known.phases, phase: entry.at})
    return list(found.values())


class Reports:
    """Where the nodes' reports lie for everyone, and for whoever means ill."""

    def __init__(self, lab: Lab) -> None:
        self._repository = lab.directory / "git" / "reports.git"

    def read(self, site: str) -> bytes:
        """The report that a node published last."""
        return self._git("cat-file", "blob", f"{_ref(site)}:report")

    def told(self, site: str) -> Report:
        """What that says."""
        found = statement_in(self.read(site))
        assert found is not None
        return found.report

    def put(self, site: str, data: bytes) -> None:
        """Put something in place of a node's report."""
        blob = self._git("hash-object", "-w", "--stdin", data=data).decode().strip()
        tree = self._git("mktree", data=f"100644 blob {blob}\treport\n".encode()).decode().strip()
        words = ("-c", "user.name=mallory", "-c", "user.email=mallory@lab.example", "commit-tree", tree)
        self._git("update-ref", _ref(site), self._git(*words, data=b"report\n").decode().strip())

    def delete(self, site: str) -> None:
        """Take a node's report away."""
        self._git("update-ref", "-d", _ref(site))

    def _git(self, *words: str, data: bytes | None = None) -> bytes:
        return run(["git", "--git-dir", str(self._repository), *words], data=data, env=environment({}))


def _ref(site: str) -> str:
    return f"refs/edgegitops/reports/{site}/gw"


class CanaryPlant:
    """The lab, its fleet, and what is remembered of it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.reports = Reports(lab)
        self.failed_before = 0
        self.told = b""
        self.versions: dict[str, str] = {}
        self._manifests: dict[str, str] = {}
        self._lost: dict[str, list[list[e.Entry]]] = {site: [] for site in SITES}
        self._ran: dict[str, list[str]] = {site: [] for site in SITES}
        fleets.found(lab.fleet.home, lab.git_url)
        lab._learn_keys({(site, "gw"): site for site in SITES})
        self._say("inventory", "six plants", {f"sites/{site}.yaml": self._site(site, RINGS[site]) for site in SITES})
        lab.fleet.push()
        for site in SITES:
            lab.enrol(site, site=site, node="gw", poll="2s", reports={"git"})

    def node(self, site: str) -> VirtualNode:
        """The gateway of a site."""
        return self.lab.nodes[site]

    # --- the pens -----------------------------------------------------------------------------------------------------

    def release(self, version: str, *, fails_if_weak: bool = False, **faults: str) -> str:
        """Commit a version of the application, and once its deployment; the tip. A version that was there before is the
        very same again.
        """
        if version not in self._manifests:
            image = self.lab.registry.publish(App(f"plant/{APP}", version, faults))
            container = {
                "image": image,
                "mounts": {"/data": {"volume": "data"}},
                "probes": {"ready": READY},
                "stop": {"timeout": "3s"},
                **({"env": {"FAIL_AFTER": "${values.weakness}"}} if fails_if_weak else {}),
            }
            spec = {
                "version": version,
                "values": {"weakness": {"type": "string", "default": ""}},
                "update": {"minReady": "1s"},
                "volumes": {"data": {}},
                "containers": {"web": container},
            }
            self._manifests[version] = _document("Application", APP, spec)
        self._say("engineer", version, {f"apps/{APP}/app.yaml": self._manifests[version]})
        if not (self.lab.fleet.work / f"deployments/{APP}.yaml").exists():
            self._say("release-manager", "deploy", {f"deployments/{APP}.yaml": _deployment()})
        return self._push(version)

    def revert(self, version: str) -> str:
        """`git revert` of the newest commit, after which the fleet wants this version; the tip."""
        self.lab.fleet.git("revert", "--no-commit", "HEAD")
        self._say("engineer", f"back to {version}", {})
        return self._push(version)

    def relabel(self, rings: Mapping[str, str]) -> str:
        """Say anew which ring each site is in; the tip."""
        self._say("inventory", "other rings", {f"sites/{site}.yaml": self._site(site, rings[site]) for site in SITES})
        return self._push(list(self.versions.values())[-1])

    def tag(self, number: int, kind: str, *trailers: str, key: str = "release-manager", after: str = "none") -> str:
        """A control tag as a person makes it with `git tag -s`; the digest of its payload."""
        fleet, name = self.lab.fleet, f"rollout/{APP}/{number:06}"
        said = [f"Kind: {kind}", f"Repository: {fleets.REPOSITORY}", f"Deployment: {APP}", f"Previous: {after}"]
        message = "\n".join([f"{kind} {APP}", "", *said, "Reason: the line asks for it", *trailers])
        settings = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={fleet.key(key).path}"]
        fleet.git(*settings, "tag", "-s", "-m", message, name)
        fleet.git("push", "-q", "origin", f"refs/tags/{name}")
        found = parse_tag(f"{fleet.git('cat-file', 'tag', name)}\n".encode())
        assert isinstance(found, Tag)
        return hashlib.sha256(found.payload).hexdigest()

    def command(self, *words: str, key: str = "release-manager", code: int = 0) -> Any:
        """The answer of `edgegitops rollout … --json`, asked in the clone by a person with that key."""
        fleet = self.lab.fleet
        fleet.git("config", "user.signingkey", str(fleet.key(key).path))
        settings = environment({"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "NO_PROXY": "*"})
        argv = [sys.executable, "-m", "edgegitops", "rollout", *words, "--json"]
        done = attempt(argv, env=settings, cwd=str(fleet.work), seconds=PATIENCE)
        assert done.returncode == code, f"{words}: {done.returncode}: {(done.stdout + done.stderr).decode()}"
        return json.loads(done.stdout)

    def shut(self, wave: str) -> set[str]:
        """Why a wave waits, by `edgegitops rollout status` in the clone."""
        settings = environment({"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "NO_PROXY": "*"})
        asked = ["status", APP, "--reports", self.lab.reports_url, "--json"]
        argv = [sys.executable, "-m", "edgegitops", "rollout", *asked]
        done = attempt(argv, env=settings, cwd=str(self.lab.fleet.work), seconds=PATIENCE)
        waves = {one["name"]: one for one in json.loads(done.stdout)["waves"]}
        return {one["reason"] for one in waves[wave]["waiting"]}

    def hold(self, *sites: str) -> None:
        """An operator at the plant holds the application."""
        for site in sites:
            self.node(site).run(["edgegitops", "hold", APP, "--reason", "audit, ask Ada", "--until", "2h"])

    def unhold(self, *sites: str) -> None:
        """The operator lets go."""
        for site in sites:
            self.node(site).run(["edgegitops", "unhold", APP])

    def reinstall(self, site: str) -> None:
        """A new disk: nothing is left but what the seed said and the node's own keys."""
        node = self.node(site)
        node.stop_agent(patience=0)
        self._lost[site].append(_entries(node))
        self._ran[site] += starts(node, APP)
        node.power_cut()
        for folder in ("root", "net", "tmp", "state"):
            shutil.rmtree(node.home / folder)
        node.prepare(self.lab.registry.address, (self.lab.registry.name,))
        node.boot()

    def _say(self, key: str, words: str, files: Mapping[str, str]) -> None:
        self.lab.fleet.commit(f"{key}: {words}", key=key, files=files)

    def _push(self, version: str) -> str:
        tip = self.lab.fleet.push()
        self.versions[tip] = version
        return tip

    def _site(self, site: str, ring: str) -> str:
        values = {"values": {"weakness": "1"}} if site == WEAK else {}
        nodes = {"gw": {"address": self.node(site).address}}
        return _document("Site", site, {"tags": {"ring": ring}, "timeZone": "UTC", "nodes": nodes, **values})

    # --- looking ------------------------------------------------------------------------------------------------------

    def journals(self, site: str) -> list[list[e.Entry]]:
        """Everything that a node of a site ever journalled, a journal an installation."""
        return [*self._lost[site], _entries(self.node(site))]

    def starts(self, site: str, version: str = "") -> list[Start]:
        """The releases that were started at a site, of one version where it is named."""
        found = [one for journal in self.journals(site) for one in starts_in(journal)]
        return [one for one in found if version in {"", one.version}]

    def ran(self, site: str) -> list[str]:
        """The versions that containers wrote down when they started, in order."""
        return [*self._ran[site], *starts(self.node(site), APP)]

    def sites_that_started(self, version: str) -> set[str]:
        """Where a version was ever started, by the journals; containers say the same."""
        started = {site for site in SITES if self.starts(site, version)}
        assert started == {site for site in SITES if version in self.ran(site)}
        return started

    def eventually(self, holds: Callable[[VirtualNode], bool], what: str, sites: Sequence[str] = SITES) -> None:
        """Wait until it holds at each of these sites."""
        for site in sites:
            eventually(partial(holds, self.node(site)), f"{what} at {site}", self.node(site), LONG)

    def runs(self, version: str, sites: Sequence[str] = SITES) -> None:
        """Wait until a version serves at each of these sites and is healthy, and nothing else is there."""
        self.eventually(lambda node: is_serving(node, APP, version), f"{version} healthy", sites)

    def serving(self, site: str) -> str:
        """The version that serves at a site."""
        serving = record(self.node(site), APP).serving
        return serving.version if serving is not None else ""

    def keeps(self, version: str, sites: Sequence[str]) -> None:
        """What serves is this version, and it runs, whatever waits."""
        self.eventually(partial(_is_kept, version=version), f"{version} kept", sites)

    def begins(self, version: str, site: str) -> None:
        """Wait until a version is started at a site."""
        eventually(lambda: bool(self.starts(site, version)), f"{version} starts at {site}", self.node(site), LONG)

    def believes(self, revision: str, sites: Sequence[str] = SITES) -> None:
        """Wait until a revision is in force at each of these sites."""
        self.eventually(lambda node: ledger(node).snapshot == revision, f"revision {revision}", sites)

    def waits_for(self, reason: str, sites: Sequence[str]) -> None:
        """Wait until each of these sites holds for a reason."""
        self.eventually(lambda node: record(node, APP).hold_reason == reason, f"hold {reason}", sites)

    def knows(self, payload: str, sites: Sequence[str]) -> None:
        """Wait until each of these sites keeps a control tag."""
        self.eventually(lambda node: payload in ledger(node).controls, "the control tag", sites)

    def looks(self, sites: Sequence[str]) -> None:
        """Make each of these nodes look, and hear, and wait for the end of it: whatever was there before is seen."""
        since = {site: ledger(self.node(site)).seq for site in sites}
        for site in sites:
            self.node(site).run(["edgegitops", "reconcile"])
        for site in sites:
            node = self.node(site)
            eventually(partial(_has_looked, node, since[site]), f"a whole look at {site}", node, LONG)

    def kept_at(self, site: str, payload: str) -> datetime:
        """When a node first knew of a control tag."""
        journal = self.journals(site)[-1]
        kept = (one for one in journal if isinstance(one.event, e.ControlTagKept))
        return next(one.at for one in kept if one.event.payload == payload)  # type: ignore[union-attr] # narrowed above


def went_in_waves(plant: CanaryPlant, version: str) -> None:
    """Every node has started this version at last, none before all of the wave before had soaked it."""
    last = {site: plant.starts(site, version)[-1] for site in SITES}
    for one in last.values():
        assert one.soaked_at is not None
        assert one.soaked_at - one.phases[Phase.PROVING] >= SOAK
    for before, after in pairwise(WAVES.values()):
        soaked_at = max(at for site in before if (at := last[site].soaked_at))
        assert min(last[site].at for site in after) >= soaked_at, f"{version} came to {after} too soon"


def is_newest(plant: CanaryPlant, site: str) -> bool:
    """Whether every start at a site was of what the newest revision in force then wanted, but for what its fellows ran
    when the node had nothing.
    """
    return all(_starts_newest(journal, plant.versions) for journal in plant.journals(site))


def _starts_newest(journal: list[e.Entry], versions: Mapping[str, str]) -> bool:
    in_force = ""
    began: dict[str, Transition] = {}
    for entry in journal:
        match entry.event:
            case e.SnapshotAccepted(revision):
                in_force = revision
            case e.TransitionBegan(_, transition):
                began[transition.id] = transition
            case e.PhaseMoved(_, name, _, Phase.SWITCHING):
                new = began[name].new
                is_of_fellows = began[name].cause == "fellows"
                if new is not None and not is_of_fellows and versions[in_force] != new.version:
                    return False
    return True


def _entries(node: VirtualNode) -> list[e.Entry]:
    journal = bootstrap.read_journal(node.state)
    try:
        return list(journal.entries())
    finally:
        journal.close()


def _has_looked(node: VirtualNode, since: int) -> bool:
    events = happened(node, since)
    began = next((at for at, one in enumerate(events) if isinstance(one, e.WorkerStarted)), len(events))
    return any(isinstance(one, e.WorkerStopped) for one in events[began:])


def _is_kept(node: VirtualNode, version: str) -> bool:
    serving = record(node, APP).serving
    if serving is None or serving.version != version:
        return False
    names = {f"{APP}.web.{serving.spec.container_digest('web')[:12]}"}
    return {name for name, state in containers(node, APP).items() if state == "running"} == names


def _deployment() -> str:
    waves = [
        {"name": ring, "selector": {"matchTags": {"ring": ring}}, "gate": {"soak": f"{SOAK.seconds}s"}}
        for ring in WAVES
    ]
    spec = {
        "application": APP,
        "selector": {"all": True},
        "rollout": {"waves": waves},
        "rollback": {"deadline": "60s", "soak": f"{SOAK.seconds}s"},
    }
    return _document("Deployment", APP, spec)
