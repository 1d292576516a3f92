"""The life of a small fleet: every node is a whole life of its own, and they know one another by reports alone.

Five sites of one node each: a canary, two pilots, two of the rest. Commits, control tags and reports are signed as in a
plant. Each life runs in a thread, one at a time, always the one whose clock is behind: the same seed, the same story.
Between them is mail that loses, keeps back, repeats, mixes up, misdirects and shows old things again until it is calm.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

from tests.core.trust.conftest import Forge
from tests.simulation.laws import Laws
from tests.simulation.life import FLEET, Life, journalled
from tests.simulation.releases import BEHAVIOURS

from edgegitops.adapters.engine_memory import MemoryEngine
from edgegitops.adapters.journal_memory import MemoryJournal
from edgegitops.bootstrap import load_schemas
from edgegitops.core.decide import decide
from edgegitops.core.model.canonical import sha256_hex
from edgegitops.core.model.control import ControlKind, ControlTag
from edgegitops.core.model.events import ControlTagKept, PhaseMoved, TransitionBegan
from edgegitops.core.model.facts import NodeIdentity
from edgegitops.core.model.release import Phase
from edgegitops.core.model.report import StoredReport
from edgegitops.core.model.view import view_of
from edgegitops.core.trust.control_message import message_of
from edgegitops.core.trust.objects import Tag, parse_tag
from edgegitops.core.trust.reports import NAMESPACE
from edgegitops.daemon.post import Post
from edgegitops.errors import UnavailableError
from edgegitops.lab.enrolment import keys_manifest
from edgegitops.lab.fleet import fleet_manifest, site_manifest

RINGS = {"a": "canary", "b": "pilot", "c": "pilot", "d": "rest", "e": "rest"}
VERSIONS = {"1.0.0": "good", "2.0.0": "slow", "3.0.0": "short", "4.0.0": "good"}
BACK = "back"  # between the second and the third: the first release again
ORDER = ("canary", "pilot", "rest")
APP = "line"
SOAK = timedelta(minutes=2)
MINUTE = timedelta(minutes=1)

DEPLOYMENT = f"""apiVersion: edgegitops/v1
kind: Deployment
metadata:
  name: {APP}
spec:
  application: {APP}
  selector:
    all: true
  rollout:
    waves:
      - name: canary
        selector: {{matchTags: {{ring: canary}}}}
        gate: {{soak: 2m}}
      - name: pilot
        selector: {{matchTags: {{ring: pilot}}}}
        gate: {{soak: 2m}}
  rollback:
    deadline: 60s
    soak: 30s
"""


def image(version: str, behaviour: str) -> str:
    """An image of its own for every version."""
    return f"registry.example/web-{behaviour}@sha256:{version[0] * 64}"


def forged() -> Forge:
    """The forge of this fleet, as the laws know it."""
    forge = Forge().enrol(repository=FLEET)
    forge.pin, forge.fleet = replace(forge.pin, repository=FLEET), FLEET
    return forge


def application(version: str, behaviour: str) -> str:
    """An application of one container."""
    return f"""apiVersion: edgegitops/v1
kind: Application
metadata:
  name: {APP}
spec:
  version: {version}
  containers:
    web:
      image: {image(version, behaviour)}
      probes:
        ready:
          tcp:
            port: 80
          interval: 5s
"""


@dataclass
class Mail:
    """What was published, by node: when it can be seen, and the bytes."""

    random: Random
    is_wild: bool = False
    is_down: bool = False
    sent: dict[str, list[tuple[datetime, bytes]]] = field(default_factory=dict)

    def publish(self, name: str, data: bytes, now: datetime) -> None:
        """UnavailableError: the transport says that it failed, and may have done it all the same."""
        self._check()
        fate = self.random.random() if self.is_wild else 1.0
        late = timedelta(minutes=self.random.uniform(0, 20)) if 0.3 < fate < 0.6 else timedelta()
        if fate > 0.15:
            several = 2 if 0.5 < fate < 0.7 else 1
            self.sent.setdefault(name, []).extend([(now + late, data)] * several)
        if fate < 0.3:
            raise UnavailableError("reports", "publish", "the server went away")

    def collect(self, names: Collection[str], now: datetime) -> dict[str, bytes]:
        """One report of each of these nodes."""
        self._check()
        if self.is_wild and self.random.random() < 0.15:
            raise UnavailableError("reports", "collect", "the server went away")
        found = {}
        for name in names:
            of = self.random.choice(sorted(self.sent)) if self.is_wild and self.random.random() < 0.1 else name
            there = [data for at, data in self.sent.get(of, ()) if at <= now]
            if there and not (self.is_wild and self.random.random() < 0.2):
                is_newest = not self.is_wild or self.random.random() < 0.5
                found[name] = there[-1] if is_newest else self.random.choice(there)
        return found

    def _check(self) -> None:
        if self.is_down:
            raise UnavailableError("reports", "ask", "the server is gone")


@dataclass(frozen=True)
class Box:
    """`ports.ReportTransport` of one node."""

    mail: Mail
    life: Life

    def publish(self, name: str, data: bytes) -> None:
        """As the mail does it."""
        self.mail.publish(name, data, self.life.world.now())

    def collect(self, names: Collection[str]) -> Mapping[str, bytes]:
        """As the mail does it."""
        return self.mail.collect(names, self.life.world.now())


class Drawer:
    """`ports.ReportStore` in memory."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[StoredReport, ...]] = {}

    def keep(self, reports: Mapping[str, Sequence[StoredReport]]) -> None:
        """In place of what was there."""
        self._kept |= {name: tuple(several) for name, several in reports.items()}

    def stored(self, name: str = "") -> dict[str, tuple[StoredReport, ...]]:
        """Everything, or what one node said."""
        return {one: several for one, several in self._kept.items() if name in {"", one}}


class Member(Life):
    """A life that lets the others live whenever it sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self.rests: Callable[[], None] = lambda: None

    def _sleep(self, span: timedelta, until: timedelta, is_enough: Callable[[], bool]) -> None:
        super()._sleep(span, until, is_enough)
        self.rests()


class Fleet:
    """Five lives, what they are shown, and the laws of waves. `started` tells of every start of a new release."""

    def __init__(self, seed: int = 0) -> None:
        self.random = Random(seed)
        self.mail = Mail(self.random)
        self.forge = forged()
        self.commits: dict[str, str] = {}
        self.tags: list[ControlTag] = []
        self.soaked: set[tuple[str, str]] = set()
        self.started: list[tuple[str, str, str]] = []
        self._signed()
        self.lives = {site: self._life(site) for site in RINGS}
        self._read = dict.fromkeys(RINGS, 0)
        self._coming: dict[tuple[str, str], str] = {}

    def _signed(self) -> None:
        staff = {name: self.forge.staff[name][0] for name in ("security", "inventory", "release-manager", "engineer")}
        sites = {site: site_manifest(site, [("gw", "192.0.2.1")], {"ring": ring}) for site, ring in RINGS.items()}
        keys = {site: keys_manifest(site, {"gw": _line(self.forge, site)}) for site in RINGS}
        commit = self.forge.commit
        commit(staff["security"], add={"fleet.yaml": fleet_manifest(self.forge.fleet).encode()})
        commit(staff["security"], add={f"trust/nodes/{site}.yaml": text.encode() for site, text in keys.items()})
        commit(staff["inventory"], add={f"sites/{site}.yaml": text.encode() for site, text in sites.items()})
        for version, behaviour in VERSIONS.items():
            app = application(version, behaviour).encode()
            self.commits[version] = commit(staff["engineer"], add={f"apps/{APP}/app.yaml": app})
            if version == "2.0.0":
                add = {f"apps/{APP}/app.yaml": application("1.0.0", "good").encode()}
                self.commits[BACK] = commit(staff["engineer"], add=add)
            if version == "1.0.0":
                add = {f"deployments/{APP}.yaml": DEPLOYMENT.encode()}
                self.commits[version] = commit(staff["release-manager"], add=add)

    def _life(self, site: str) -> Member:
        life = Member()
        life.node = NodeIdentity(self.forge.fleet, site, "gw", self.forge.pin)
        life.schemas = load_schemas()
        life.door = decide
        life.interval = 2 * MINUTE
        for raw in self.forge.store.kept.values():
            life.repository.put(raw.kind, raw.data)
        for version, word in VERSIONS.items():
            life.engine.behaviours[image(version, word)] = BEHAVIOURS[word]
        sign = lambda payload: self.forge.signer(f"node-{site}").sign(payload, NAMESPACE)  # noqa: E731 - an expression
        life.post = Post(lambda _: (Box(self.mail, life),), Drawer(), sign, lambda: _line(self.forge, site))
        life.on_rest.append(lambda: self._look(site))
        return life

    # --- what they are shown

    def show(self, site: str, version: str) -> None:
        """The node's remote is at this release now."""
        life = self.lives[site]
        life.repository.set_remote_tip(self.commits[version])
        self._listed(life)

    def publish(self, version: str, at: timedelta, *, apart: timedelta = timedelta()) -> None:
        """Every node's remote shows this release at some time within `apart` of `at`."""
        for site, life in self.lives.items():
            life.at(at + apart * self.random.random(), lambda site=site: self.show(site, version))

    def tag(self, kind: ControlKind, version: str, **more: object) -> str:
        """The release manager signs one more word; its ref."""
        ref = f"refs/tags/rollout/{APP}/{len(self.tags) + 1:06}"
        before = (self.tags[-1].payload,) if self.tags else ()
        target = self.commits[version]
        said = ControlTag("", 0, APP, kind, target, "max", previous=before, reason="asked", **more)
        name = ref.removeprefix("refs/tags/")
        head = f"object {target}\ntype commit\ntag {name}\ntagger Max <max@example> 1780000000 +0000\n\n"
        payload = head.encode() + message_of(said, self.forge.fleet).encode()
        data = payload + self.forge.signer("max").sign(payload, "git")
        for life in self.lives.values():
            oid = life.repository.put("tag", data)
        parsed = parse_tag(data)
        assert isinstance(parsed, Tag)
        self.tags.append(ControlTag(sha256_hex(parsed.payload), len(self.tags) + 1, APP, kind, oid, "max"))
        return ref

    def tell(self, site: str, ref: str, number: int) -> None:
        """The node's remote shows the tag of that number."""
        self.lives[site].repository.set_remote_tag(ref, self.tags[number - 1].target)
        self._listed(self.lives[site])

    def _listed(self, life: Life) -> None:
        """What its resident sees of the remote has changed."""
        life.remote_tip = view_of(life.repository._remote_tip or "", life.repository._remote_tags)
        life.worked_at = None

    def forget(self, site: str, *, is_new: bool) -> None:
        """The node has lost its journal; `is_new`: and its containers."""
        life = self.lives[site]
        life.journal = MemoryJournal()
        self._read[site] = 0
        if is_new:
            behaviours, life.engine = life.engine.behaviours, MemoryEngine(life.world)
            life.engine.behaviours = behaviours

    # --- living

    def live(self, until: timedelta, version: str = "") -> None:
        """All go on until this age, or until all rest at this version."""
        turns = {site: threading.Semaphore(0) for site in RINGS}
        back = threading.Semaphore(0)
        alive, errors = set(RINGS), []

        def run(site: str) -> None:
            turns[site].acquire()
            try:
                self.lives[site].live(until, lambda: bool(version) and self.are_all_at(version))
            except BaseException as error:  # noqa: BLE001 - told to who waits
                errors.append(error)
            alive.discard(site)
            back.release()

        def rests(site: str) -> None:
            back.release()
            turns[site].acquire()

        threads = [threading.Thread(target=run, args=(site,), daemon=True) for site in RINGS]
        for thread, (site, life) in zip(threads, self.lives.items(), strict=True):
            life.rests = lambda site=site: rests(site)
            thread.start()
        while alive and not errors:
            turns[min(alive, key=lambda site: (self.lives[site].age, site))].release()
            back.acquire()
        if errors:
            raise errors[0]

    def version(self, site: str) -> str:
        """What serves there."""
        serving = self.lives[site].record(APP).serving
        return serving.version if serving else ""

    def are_all_at(self, version: str) -> bool:
        """Whether it serves everywhere, and is healthy."""
        records = [life.record(APP) for life in self.lives.values()]
        return all(one.phase is Phase.HEALTHY and one.serving and one.serving.version == version for one in records)

    # --- the laws of waves

    def _look(self, site: str) -> None:
        life = self.lives[site]
        for entry in life.journal.entries(self._read[site]):
            self._read[site] = entry.seq
            match entry.event:
                case TransitionBegan(transition=way) if way.new is not None:
                    self._coming[site, way.id] = way.new.version
                case PhaseMoved(transition=way, new=Phase.SWITCHING) as moved if (site, way) in self._coming:
                    self._judge(site, self._coming[site, way], moved.cause)
                case _:
                    pass
        record = life.record(APP)
        if record.serving and record.soaking == record.serving.digest and record.soaked_for >= SOAK:
            self.soaked.add((site, record.serving.version))

    def _judge(self, site: str, version: str, cause: str) -> None:
        """A start by the gate comes after the soak of all of the earlier waves: really, not only in reports."""
        self.started.append((site, version, cause))
        if cause != "gate":
            return
        wave = ORDER.index(RINGS[site])
        earlier = [one for one, ring in RINGS.items() if ORDER.index(ring) < wave]
        missing = [one for one in earlier if (one, version) not in self.soaked]
        assert not missing, f"{site} starts {version}, and it did not soak on {missing}"

    def has_kept(self, site: str, number: int) -> bool:
        """Whether the node believes the tag of that number."""
        return self.tags[number - 1].payload in {one.payload for one in journalled(self.lives[site], ControlTagKept)}

    def laws(self) -> dict[str, Laws]:
        """The promises of each node, looking on."""
        return {site: Laws(life) for site, life in self.lives.items()}


def _line(forge: Forge, site: str) -> str:
    return " ".join(forge.signer(f"node-{site}").line.split()[:2])
