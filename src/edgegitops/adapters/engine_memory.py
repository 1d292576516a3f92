"""Law: the engine's twin in memory keeps the same promises as Podman, and misbehaves exactly when it is told to.

1. What a step leaves is what the real engine leaves: same states, same reasons of refusal, same idempotence.
2. Time comes from the clock alone. Ends that a behaviour foretells happen at their instant, seen at the next look.
3. How an image behaves is a table (`behaviours`, by image, or by the digest of live configs), and `behave` says it of
   containers that the table does not name; the rest runs for ever.
   Ids, processes and addresses are counted, never drawn, so a run can be repeated.
4. Faults are switches: `is_down`, `is_disk_full`, `unavailable`, `credential_denied`, `wrong_digest`, `lose_replies`,
   `fail_next`. A lost reply is a step that was done and answered with UnavailableError.
5. What a container writes is its image, into every volume that it may write to, when it starts (`data`). `words` is
   what those that were removed had said, by `deployment/container`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import assert_never

from edgegitops.core.model import naming
from edgegitops.core.model.observed import ContainerSeen, ContainerState, Observed
from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.core.model.spec import CreateSpec
from edgegitops.core.model.steps import (
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    DropSnapshot,
    MeasureVolumes,
    PrepareSnapshot,
    PullArtifact,
    PullImage,
    ReloadContainer,
    RemoveArtifact,
    RemoveContainer,
    RemoveImage,
    RemoveNetwork,
    RemoveVolume,
    RestoreSnapshot,
    StartContainer,
    Step,
    StopContainer,
    StoreContent,
    StoreSecret,
    TakeSnapshot,
)
from edgegitops.errors import BrokenInvariantError, DeniedError, UnavailableError
from edgegitops.ports import Clock

PORT = "engine"
NEEDS_DISK = (PullImage, CreateContainer, CreateNetwork, StartContainer)
ALIVE = frozenset({ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.STOPPING})


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How an image's containers act. Spans count from a container's start; None is never."""

    crashes_after: timedelta | None = None
    exit_code: int = 1
    fails_to_create: bool = False
    fails_to_start: bool = False
    ready_after: timedelta = timedelta()
    never_ready: bool = False
    unready_after: timedelta | None = None
    log: str = ""


WELL = Behaviour()


@dataclass(slots=True)
class _Container:
    seen: ContainerSeen
    spec: CreateSpec | None = None
    networks: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()


@dataclass(slots=True)
class MemoryEngine:
    """`ports.Engine` without an engine. Everything public is a switch or a look for tests and simulations."""

    clock: Clock
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    behave: Callable[[ContainerSeen], Behaviour] = lambda _: WELL
    images: set[str] = field(default_factory=set)
    unavailable: set[str] = field(default_factory=set)
    credential_denied: set[str] = field(default_factory=set)
    wrong_digest: set[str] = field(default_factory=set)
    is_down: bool = False
    is_registry_down: bool = False
    is_disk_full: bool = False
    open_secret: Callable[[str], bytes] | None = None
    performed: list[Step] = field(default_factory=list)
    pulls: list[str] = field(default_factory=list)
    data: dict[str, tuple[str, ...]] = field(default_factory=dict)
    subnets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    _containers: dict[str, _Container] = field(default_factory=dict)
    _networks: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _volumes: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _made: int = 0
    _started: int = 0
    _lost_replies: int = 0
    _failures: int = 0

    # --- the port

    def observe(self) -> Observed:
        """All containers, networks and volumes, after what was due has happened."""
        self._demand_up("observe")
        self._let_time_pass()
        return Observed(
            at=self.clock.now(),
            containers=tuple(map(_shown, self._containers.values())),
            networks=dict(self._networks),
            volumes=dict(self._volumes),
            subnets={name: self.subnets.get(name, ()) for name in self._networks},
        )

    def has_image(self, image: str) -> bool:
        """Whether the image is there."""
        self._demand_up(f"look for {image}")
        return image in self.images

    def perform(self, step: Step) -> None:
        """Do one step, idempotently."""
        self._demand_up(f"{step.kind} {step.subject}")
        if self._failures:
            self._failures -= 1
            raise _later(step, "told to fail", HoldReason.ENGINE_UNAVAILABLE)
        if self.is_disk_full and isinstance(step, NEEDS_DISK) and not self._is_done(step):
            raise _later(step, "no space left on device", HoldReason.DISK_FULL)
        self._let_time_pass()
        self._do(step)
        self.performed.append(step)
        if self._lost_replies:
            self._lost_replies -= 1
            raise _later(step, "the reply was lost", HoldReason.ENGINE_UNAVAILABLE)

    def probe_exec(self, container: str, argv: Sequence[str], timeout: timedelta) -> bool:
        """Whether the container (name or id) answers now; what it runs does not matter here, but for `false` and what
        takes longer than `timeout` (`sleep`), so that a test may ask for either.
        """
        self._demand_up(f"exec in {container}")
        self._let_time_pass()
        found = self._find(container)
        if found is None or found.seen.state is not ContainerState.RUNNING:
            raise UnavailableError(PORT, "exec", f"{container} does not run", reason=HoldReason.ENGINE_UNAVAILABLE)
        program = argv[0].rpartition("/")[2]
        if program == "false" or (program == "sleep" and float(argv[1]) > timeout.total_seconds()):
            return False
        return self.is_answering(container)

    def logs(self, container: str, lines: int) -> str:
        """The last lines that the behaviour says the container wrote."""
        self._demand_up(f"logs of {container}")
        found = self._find(container)
        if found is None:
            raise UnavailableError(PORT, "logs", f"no container {container}", reason=HoldReason.ENGINE_UNAVAILABLE)
        text = self._behaviour(found).log if found.seen.started_at else ""
        return "".join(text.splitlines(keepends=True)[-lines:])

    def keep_words(self, deployments: Collection[str]) -> None:
        """Drop the last words of containers of other deployments."""
        self.words = {name: text for name, text in self.words.items() if name.partition("/")[0] in deployments}

    # --- switches and looks

    def is_answering(self, container: str) -> bool:
        """Whether a probe of the container (name or id) would pass now."""
        self._let_time_pass()
        found = self._find(container)
        if found is None or found.seen.state is not ContainerState.RUNNING or found.seen.started_at is None:
            return False
        behaviour = self._behaviour(found)
        running_for = self.clock.now() - found.seen.started_at
        is_spent = behaviour.unready_after is not None and running_for >= behaviour.unready_after
        return not behaviour.never_ready and running_for >= behaviour.ready_after and not is_spent

    def changes_at(self) -> datetime | None:
        """When the next container ends by itself, or a probe of it would answer otherwise than now; None: never."""
        now = self.clock.now()
        running = (one for one in self._containers.values() if one.seen.state is ContainerState.RUNNING)
        found = [
            one.seen.started_at + span
            for one in running
            for span in _turns(self._behaviour(one))
            if one.seen.started_at is not None
        ]
        return min((at for at in found if at > now), default=None)

    def lose_replies(self, count: int) -> None:
        """Answer the next `count` steps with UnavailableError after doing them."""
        self._lost_replies = count

    def fail_next(self, count: int) -> None:
        """Answer the next `count` steps with UnavailableError without doing them."""
        self._failures = count

    def add_foreign(self, seen: ContainerSeen) -> None:
        """Put somebody else's container there."""
        self._containers[seen.name] = _Container(seen)

    def end(self, name: str, exit_code: int) -> None:
        """The container's process ends now."""
        one = self._containers[name]
        if one.seen.state in ALIVE:
            one.seen = _ended(one.seen, self.clock.now(), exit_code)

    def lose(self, name: str) -> None:
        """Process and monitor are killed: the engine says running, and it is not."""
        one = self._containers[name]
        if one.seen.state in ALIVE:
            one.seen = replace(one.seen, state=ContainerState.LOST, pid=None, addresses={})

    def remove(self, name: str) -> None:
        """Somebody removes a container, network or volume behind our back."""
        for kind in (self._containers, self._networks, self._volumes):
            kind.pop(name, None)

    def power_cut(self) -> None:
        """As Podman shows it after the next boot: what ran is `created`, what had ended stays so; nothing starts."""
        self._let_time_pass()
        for one in self._containers.values():
            if one.seen.state in ALIVE | {ContainerState.LOST}:
                one.seen = replace(
                    one.seen, state=ContainerState.CREATED, pid=None, started_at=None, exit_code=None, addresses={}
                )

    # --- acting

    def _demand_up(self, action: str) -> None:
        if self.is_down:
            raise UnavailableError(PORT, action, "the engine does not answer", reason=HoldReason.ENGINE_UNAVAILABLE)

    def _is_done(self, step: Step) -> bool:
        if isinstance(step, StartContainer):
            one = self._containers.get(step.subject)
            return one is not None and one.seen.state is ContainerState.RUNNING
        return isinstance(step, PullImage) and step.subject in self.images

    def _do(self, step: Step) -> None:  # noqa: PLR0912 - one branch a kind of step is the table
        match step:
            case PullImage():
                self._pull(step)
            case CreateNetwork():
                self._demand_free(step)
                self._add(self._networks, step)
                self.subnets.setdefault(step.subject, tuple(filter(None, [step.spec.subnet])))
            case CreateVolume():
                self._add(self._volumes, step)
            case CreateContainer():
                self._create(step)
            case ReloadContainer():
                self._reload(step)
            case StartContainer():
                self._start(step)
            case StopContainer():
                self._stop(step)
            case RemoveContainer():
                self._ours(step)
                gone = self._containers.pop(step.subject, None)
                if gone is not None and gone.seen.started_at and (text := self._behaviour(gone).log):
                    self.words[f"{gone.seen.deployment}/{gone.seen.container}"] = text
            case RemoveNetwork():
                self._drop(self._networks, step, [one.networks for one in self._containers.values()])
                self.subnets.pop(step.subject, None)
            case RemoveVolume():
                self._drop(self._volumes, step, [one.volumes for one in self._containers.values()])
            case RemoveImage():
                if all(one.seen.image != step.subject for one in self._containers.values()):
                    self.images.discard(step.subject)
            case (
                StoreContent()
                | StoreSecret()
                | PullArtifact()
                | RemoveArtifact()
                | MeasureVolumes()
                | PrepareSnapshot()
                | TakeSnapshot()
                | RestoreSnapshot()
                | DropSnapshot()
            ):
                raise BrokenInvariantError(f"{step.kind} {step.subject} is no step of the engine's")
            case _:
                assert_never(step)

    def _pull(self, step: PullImage) -> None:
        if step.subject in self.images:
            return
        self.pulls.append(step.subject)
        if step.subject in self.wrong_digest:
            raise _never(step, "digest did not match", Refusal.IMAGE_DIGEST_WRONG)
        if step.subject in self.credential_denied:
            raise _later(step, "unauthorized", HoldReason.CREDENTIAL_DENIED)
        if self.is_registry_down or step.subject in self.unavailable:
            raise _later(step, "manifest unknown", HoldReason.IMAGE_UNAVAILABLE)
        self.images.add(step.subject)

    def _add(self, things: dict[str, Mapping[str, str]], step: CreateNetwork | CreateVolume) -> None:
        present = things.get(step.subject)
        if present is not None and not _is_same_owner(present, step.labels):
            raise _never(step, "exists without our labels", Refusal.NAME_CONFLICT)
        things.setdefault(step.subject, dict(step.labels))

    def _demand_free(self, step: CreateNetwork) -> None:
        """A subnet is one network's alone; `subnets` also holds what the machine uses for itself."""
        others = [one for name, each in self.subnets.items() if name != step.subject for one in each]
        asked = step.spec.subnet
        if asked and any(ip_network(asked).overlaps(ip_network(one)) for one in others):
            words = f"subnet {asked} is already used on the host or by another config"
            raise (
                _later(step, words, HoldReason.DEPENDENCY)
                if step.is_chosen
                else _never(step, words, Refusal.CREATE_FAILED)
            )

    def _drop(
        self, things: dict[str, Mapping[str, str]], step: RemoveNetwork | RemoveVolume, uses: list[tuple[str, ...]]
    ) -> None:
        present = things.get(step.subject)
        if present is None:
            return
        if not present.get(naming.LABEL_FLEET):
            raise _never(step, "exists without our labels", Refusal.NAME_CONFLICT)
        if any(step.subject in names for names in uses):
            raise _later(step, "a container uses it", HoldReason.DEPENDENCY)
        del things[step.subject]

    def _create(self, step: CreateContainer) -> None:
        present = self._containers.get(step.subject)
        if present is not None and not _is_same_owner(present.seen.labels, step.labels):
            raise _never(step, "exists without our labels", Refusal.NAME_CONFLICT)
        volumes = tuple(step.volumes.get(one.volume, one.volume) for one in step.create.mounts if one.volume)
        missing = [name for name in volumes if name not in self._volumes]
        if missing:
            raise _later(step, f"volume {missing[0]} is not there yet", HoldReason.DEPENDENCY)
        if step.create.image not in self.images:
            raise _never(step, f"{step.create.image}: image not known", Refusal.IMAGE_UNKNOWN)
        networks = tuple(step.networks.get(name, name) for name in step.create.networks)
        unknown = [name for name in networks if name not in self._networks]
        if unknown:
            raise _later(step, f"network {unknown[0]} is not there yet", HoldReason.DEPENDENCY)
        if self.behaviours.get(step.create.image, Behaviour()).fails_to_create:
            raise _never(step, "told to fail", Refusal.CREATE_FAILED)
        self._demand_secrets(step.create)
        self._containers.pop(step.subject, None)
        self._made += 1
        seen = ContainerSeen(
            name=step.subject,
            id=f"{self._made:064x}",
            state=ContainerState.CREATED,
            labels={**step.create.labels, **step.labels},
            image=step.create.image,
            configs=step.configs_digest,
        )
        self._containers[step.subject] = _Container(seen, step.create, networks, volumes)

    def _demand_secrets(self, spec: CreateSpec | None) -> None:
        """A container is made and started with its secrets in place, or not at all."""
        if spec is not None and self.open_secret is not None:
            for file in sorted(spec.secrets()):
                self.open_secret(file)

    def _reload(self, step: ReloadContainer) -> None:
        one = self._ours(step)
        if one is None:
            raise _later(step, "there is no such container (any more)", HoldReason.DEPENDENCY)
        one.seen = replace(one.seen, configs=step.configs_digest)

    def _start(self, step: StartContainer) -> None:
        one = self._ours(step)
        if one is None:
            raise _later(step, "there is no such container (any more)", HoldReason.DEPENDENCY)
        if one.seen.state is ContainerState.LOST:
            del self._containers[step.subject]
            raise _later(step, "removed what was lost; it has to be created again", HoldReason.DEPENDENCY)
        if one.seen.state in ALIVE:
            return
        self._demand_secrets(one.spec)
        if self._behaviour(one).fails_to_start:
            raise _never(step, "told to fail", Refusal.START_FAILED)
        taken = self._host_ports(one) & {
            port for other in self._containers.values() if other.seen.state in ALIVE for port in self._host_ports(other)
        }
        if taken:
            raise _never(step, f"port {min(taken)}: address already in use", Refusal.PORT_TAKEN)
        self._started += 1
        one.seen = replace(
            one.seen,
            state=ContainerState.RUNNING,
            pid=1000 + self._started,
            started_at=self.clock.now(),
            ended_at=None,
            exit_code=None,
            addresses=self._place(one),
        )
        self._write(one)

    def _write(self, one: _Container) -> None:
        """Each image is noted once in a volume, in the order of first starts."""
        mounts = one.spec.mounts if one.spec is not None else ()
        places = [mount for mount in mounts if mount.volume]
        for mount, volume in zip(places, one.volumes, strict=True):
            if not mount.read_only:
                self.data[volume] = tuple(dict.fromkeys((*self.data.get(volume, ()), one.seen.image)))

    def _place(self, one: _Container) -> Mapping[str, str]:
        if one.spec is not None and one.spec.host_network:
            return {"host": "127.0.0.1"}
        high, low = divmod(self._started % 65024 + 256, 256)
        return dict.fromkeys(one.networks or ("podman",), f"10.89.{high}.{low}")

    def _stop(self, step: StopContainer) -> None:
        one = self._ours(step)
        if one is None:
            return
        if one.seen.state is ContainerState.LOST:
            del self._containers[step.subject]
        elif one.seen.state in ALIVE:
            one.seen = _ended(one.seen, self.clock.now(), 0)

    def _ours(self, step: ReloadContainer | StartContainer | StopContainer | RemoveContainer) -> _Container | None:
        one = self._containers.get(step.subject)
        if one is not None and not one.seen.labels.get(naming.LABEL_FLEET):
            raise _never(step, "exists without our labels", Refusal.NAME_CONFLICT)
        return one

    # --- what passes by itself

    def _let_time_pass(self) -> None:
        now = self.clock.now()
        for one in self._containers.values():
            started_at = one.seen.started_at
            if started_at is None or one.seen.state is not ContainerState.RUNNING:
                continue
            span = self._behaviour(one).crashes_after
            if span is not None and now >= started_at + span:
                one.seen = _ended(one.seen, started_at + span, self._behaviour(one).exit_code)

    def _behaviour(self, one: _Container) -> Behaviour:
        told = self.behaviours.get(one.seen.configs) or self.behaviours.get(one.seen.image)
        return told or self.behave(one.seen)

    def _find(self, container: str) -> _Container | None:
        by_name = self._containers.get(container)
        return by_name or next((one for one in self._containers.values() if one.seen.id == container), None)

    def _host_ports(self, one: _Container) -> set[tuple[str, int]]:
        ports = one.spec.ports if one.spec is not None else ()
        return {(port.protocol, port.host) for port in ports if port.host}


def _turns(behaviour: Behaviour) -> list[timedelta]:
    """The ages at which something changes."""
    spans = (behaviour.crashes_after, behaviour.unready_after, behaviour.ready_after)
    return [span for span in spans if span]


def _shown(one: _Container) -> ContainerSeen:
    """What is listed of a container: the very same value as long as nothing about it changes."""
    joined = tuple(sorted(one.seen.addresses))
    if one.seen.networks != joined:
        one.seen = replace(one.seen, networks=joined)
    return one.seen


def _ended(seen: ContainerSeen, at: datetime, exit_code: int) -> ContainerSeen:
    return replace(seen, state=ContainerState.EXITED, pid=None, ended_at=at, exit_code=exit_code, addresses={})


def _is_same_owner(present: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    fleet = wanted.get(naming.LABEL_FLEET, "")
    return present.get(naming.LABEL_FLEET, "") == fleet and bool(fleet)


def _later(step: Step, message: str, reason: HoldReason) -> UnavailableError:
    return UnavailableError(PORT, f"{step.kind} {step.subject}", message, reason=reason)


def _never(step: Step, message: str, reason: Refusal) -> DeniedError:
    return DeniedError(PORT, f"{step.kind} {step.subject}", message, reason=reason)
