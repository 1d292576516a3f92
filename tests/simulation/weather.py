"""What befalls a node in its life, drawn from one seed: releases come and go, and everything outside fails.

Weather is a list of dated acts on the life's agenda; each fault that lasts puts its own end there. After `CALM_AT`
nothing new happens: what is broken is mended (a wrong clock stays wrong), and the node has to find its rest.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from tests.simulation.laws import Laws, names
from tests.simulation.life import BIRTH, DaemonDies, Life, PowerCut, Slow, WorkerDies
from tests.simulation.releases import BAD, GOOD, behaviours, desired, image, release

from edgegitops.core.model.naming import LABEL_DEPLOYMENT, LABEL_FLEET
from edgegitops.core.model.observed import ContainerSeen, ContainerState
from edgegitops.core.model.release import Release
from edgegitops.errors import JournalError

CALM_AT = timedelta(hours=1)
DEPLOYMENTS = ("line", "vision")
CONTAINERS = ("db", "web", "cache")
LONGEST = 300
CONFIGS = (*GOOD, *GOOD, "dead", "short", "mute", "fading")


@dataclass
class Weather:
    """One seed's fate. `told` is what happened, for the failure message."""

    seed: int
    life: Life
    laws: Laws
    random: Random
    wanted: dict[str, Release | None] = field(default_factory=dict)
    history: dict[str, list[Release]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    has_tampered: bool = False
    _blow: tuple[type[BaseException], int] | None = None
    _is_journal_broken: bool = False

    @classmethod
    def of(cls, seed: int) -> "Weather":
        """The weather of a seed, put on the agenda of a new life."""
        life = Life()
        weather = cls(seed, life, Laws(life), Random(seed))
        if weather.random.random() < 0.5:
            life.steps = Slow(weather.random, life.pass_time)
        weather.draw()
        return weather

    def draw(self) -> None:
        """Fill the agenda."""
        life, random = self.life, self.random
        life.journal.before_append = self._before_append
        life.journal.after_append = self._point
        life.before_step.append(self._point)
        life.after_step.append(self._point)
        self._push()
        acts: list[Callable[[], None]] = [
            self._push,
            self._push,
            self._strike,
            self._strike,
            self._engine_down,
            self._registry_down,
            self._offline,
            self._disk_full,
            self._journal_broken,
            self._lose_replies,
            self._clock_jumps,
            self._prober_broken,
            self._somebody_tampers,
            self._somebody_tampers,
            self._stranger_comes,
        ]
        mood = [*random.sample(acts, random.randint(2, len(acts))), self._push]
        for _ in range(random.randint(5, 40)):
            life.at(timedelta(seconds=random.uniform(1, CALM_AT.total_seconds())), random.choice(mood))
        life.at(CALM_AT + timedelta(seconds=LONGEST), self._calm)

    def tell(self, what: str) -> None:
        """Remember for the failure message."""
        self.told.append(f"{self.life.age.total_seconds():8.1f} {what}")

    # --- what the fleet wants

    def _push(self) -> None:
        random = self.random
        for name in DEPLOYMENTS[: random.randint(1, len(DEPLOYMENTS))]:
            self.wanted[name] = self._release(name)
        releases = [one for one in self.wanted.values() if one is not None]
        self.life.push(lambda tip: desired(tip, *releases))
        self.tell(f"push {[(one.short, one.version, one.spec.attempt) for one in releases]}")

    def _release(self, name: str) -> Release | None:
        random = self.random
        before = self.history.setdefault(name, [])
        if before and random.random() < 0.12:
            return None
        if before and random.random() < 0.3:
            chosen = random.choice(before)
            if random.random() < 0.3:
                versions = dict(zip(chosen.spec.containers, chosen.version.split("+"), strict=True))
                return self._known(release(name, versions, attempt=chosen.spec.attempt + 1))
            return chosen
        kinds = list(GOOD) if random.random() < 0.6 else [one for one in BAD if one != "late"]
        count = random.randint(1, len(CONTAINERS))
        versions = {one: f"good-{random.randint(1, 3)}" for one in CONTAINERS[:count]}
        versions[random.choice(list(versions))] = f"{random.choice(kinds)}-{random.randint(1, 3)}"
        if count > 1 and random.random() < 0.5:
            changed = random.choice([one for one, version in versions.items() if version.partition("-")[0] in GOOD])
            versions[changed] += f"/{random.choice(CONFIGS)}-{random.randint(1, 3)}"
        return self._known(release(name, versions))

    def _known(self, made: Release) -> Release:
        for container, version in zip(made.spec.containers, made.version.split("+"), strict=True):
            if image(container, version) not in self.life.engine.behaviours and self.random.random() < 0.1:
                self.laws.foreign_images.add(image(container, version))  # somebody put it there by hand before
                self.life.engine.images.add(image(container, version))
            self.life.engine.behaviours |= behaviours(container, version)
        self.history[made.deployment].append(made)
        return made

    # --- blows

    def _strike(self) -> None:
        blow = self.random.choice([WorkerDies, WorkerDies, DaemonDies, PowerCut])
        self._blow = (blow, self.random.randint(0, 25))

    def _point(self, *_: object) -> None:
        if self._blow is None:
            return
        blow, left = self._blow
        self._blow = (blow, left - 1) if left else None
        if not left:
            self.tell(f"{blow.__name__}")
            raise blow

    def _before_append(self, *_: object) -> None:
        if self._is_journal_broken:
            raise JournalError("no space left on device")
        self._point()

    # --- what lasts

    def _last(self, what: str, begin: Callable[[], None], end: Callable[[], None]) -> None:
        span = timedelta(seconds=self.random.choice([5, 60, LONGEST]) * self.random.random())
        self.tell(f"{what} for {span.total_seconds():.0f} s")
        begin()
        self.life.at(self.life.age + span, end)

    def _engine_down(self) -> None:
        engine = self.life.engine
        self._last("engine down", lambda: setattr(engine, "is_down", True), lambda: setattr(engine, "is_down", False))

    def _registry_down(self) -> None:
        def be(is_down: bool) -> None:
            self.life.engine.is_registry_down = self.life.artifacts.is_registry_down = is_down

        self._last("registry down", lambda: be(True), lambda: be(False))

    def _offline(self) -> None:
        self._last("offline", self.life.repository.go_offline, self.life.repository.come_back)

    def _disk_full(self) -> None:
        def be(is_full: bool) -> None:
            self.life.engine.is_disk_full = self.life.artifacts.is_disk_full = is_full

        self._last("disk full", lambda: be(True), lambda: be(False))

    def _journal_broken(self) -> None:
        self._last(
            "journal broken",
            lambda: setattr(self, "_is_journal_broken", True),
            lambda: setattr(self, "_is_journal_broken", False),
        )

    def _prober_broken(self) -> None:
        life = self.life
        self._last(
            "prober broken",
            lambda: setattr(life, "is_prober_broken", True),
            lambda: setattr(life, "is_prober_broken", False),
        )

    # --- what happens at once

    def _lose_replies(self) -> None:
        count = self.random.randint(1, 5)
        self.tell(f"lose {count} replies")
        self.random.choice([self.life.engine.lose_replies, self.life.engine.fail_next])(count)

    def _clock_jumps(self) -> None:
        clock = self.life.clock
        to = self.random.choice(
            [
                clock.now() + timedelta(days=3650),
                datetime(1970, 1, 1, tzinfo=UTC),
                clock.now() + timedelta(hours=1),
                clock.now() - timedelta(hours=1) if clock.now().year > 1970 else clock.now(),
                self.life.world.now(),
            ]
        )
        self.tell(f"clock set to {to:%Y-%m-%d %H:%M:%S}")
        clock.step(to)

    def _somebody_tampers(self) -> None:
        mine = sorted(name for deployment in DEPLOYMENTS for name in self.life.running(deployment))
        if not mine:
            return
        self.has_tampered = True
        name, how = self.random.choice(mine), self.random.choice(["remove", "stop", "kill", "lose"])
        self.tell(f"somebody: {how} {name}")
        engine = self.life.engine
        match how:
            case "remove":
                engine.remove(name)
            case "stop":
                engine.end(name, 0)
            case "kill":
                engine.end(name, 137)
            case _:
                engine.lose(name)

    def _stranger_comes(self) -> None:
        """Somebody else's container, sometimes under a label or name that looks like ours."""
        number = len(self.laws.strangers)
        labels = self.random.choice([{}, {LABEL_DEPLOYMENT: "line"}, {LABEL_FLEET: "urn:another:fleet"}])
        state = self.random.choice([ContainerState.RUNNING, ContainerState.EXITED, ContainerState.CREATED])
        ours = [name for known in self.history.values() for one in known for name in sorted(names(one))]
        free = [name for name in ours if name not in self.life.engine._containers]
        name = self.random.choice([f"line.stranger.{number}", *free])
        self.laws.add_stranger(ContainerSeen(name, f"{number:x}".rjust(64, "f"), state, labels, started_at=BIRTH))
        self.tell(f"stranger {name} comes, {state}")

    def _calm(self) -> None:
        """Nothing more befalls it."""
        self._blow = None
        self.life.engine.fail_next(0)
        self.life.engine.lose_replies(0)
        for name in list(self.laws.strangers):  # the names that they took are free again
            del self.laws.strangers[name]
            self.life.engine.remove(name)
        self.tell("calm")
