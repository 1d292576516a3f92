"""A step is one act on the outside; a work is what one deployment does next.

A work's events are journalled first, together with the intents of its steps; then the steps run side by side (their
order does not matter within one work), and each outcome is journalled. The next work is decided after a new look.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar, TypeAlias

from edgegitops.core.model.events import Event
from edgegitops.core.model.spec import CreateSpec, Mount, NetworkSpec


@dataclass(frozen=True, slots=True)
class PullImage:
    """Make the image present; `subject` is `name@sha256:…`. No network where it is present.

    `mirrors` are the same image under other names, asked first, in order; it is known as `subject` wherever it came
    from.
    """

    kind: ClassVar[str] = "pull-image"
    subject: str
    mirrors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PullArtifact:
    """Make the artifact present, unpacked; `subject` is `name@sha256:…`. No network where it is present. `mirrors` as
    of an image.
    """

    kind: ClassVar[str] = "pull-artifact"
    subject: str
    mirrors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoveArtifact:
    """Remove the artifact; `subject` is the hex of its digest; done where it does not exist."""

    kind: ClassVar[str] = "remove-artifact"
    subject: str


@dataclass(frozen=True, slots=True)
class StoreContent:
    """Put a config file's content into the node's content store; `subject` is its SHA-256."""

    kind: ClassVar[str] = "store-content"
    subject: str


@dataclass(frozen=True, slots=True)
class StoreSecret:
    """Put the age file of a secret into the node's store, if the node can read it; `subject` is `db.2`."""

    kind: ClassVar[str] = "store-secret"
    subject: str


@dataclass(frozen=True, slots=True)
class CreateNetwork:
    """Create the network `subject` (engine name). `is_chosen`: its subnet is the agent's choice, and may be another."""

    kind: ClassVar[str] = "create-network"
    subject: str
    spec: NetworkSpec
    labels: Mapping[str, str]
    is_chosen: bool = False


@dataclass(frozen=True, slots=True)
class CreateVolume:
    """Create the volume `subject` (engine name); `size` in bytes is its limit, None is none."""

    kind: ClassVar[str] = "create-volume"
    subject: str
    labels: Mapping[str, str]
    size: int | None = None


@dataclass(frozen=True, slots=True)
class CreateContainer:
    """Create, not start, the container `subject` (engine name), replacing one of that name that is ours.

    `networks` and `volumes` map names of the spec to engine names; `alias` is the container's DNS name there.
    `configs` are the contents of its live mounts (see `Care`), `configs_digest` their name.
    """

    kind: ClassVar[str] = "create-container"
    subject: str
    alias: str
    create: CreateSpec
    labels: Mapping[str, str]
    networks: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    stop_timeout: timedelta = timedelta(seconds=30)
    configs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    configs_digest: str = ""


@dataclass(frozen=True, slots=True)
class ReloadContainer:
    """Put these contents where the container's live mounts show them, then send it the signal if it runs."""

    kind: ClassVar[str] = "reload-container"
    subject: str
    mounts: tuple[Mount, ...]
    configs: Mapping[str, Mapping[str, str]]
    configs_digest: str
    signal: str


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Start the container; done where it runs already. Where the engine refuses without a known cause, it is made
    anew as `again` says and started once more.
    """

    kind: ClassVar[str] = "start-container"
    subject: str
    again: CreateContainer | None = None


@dataclass(frozen=True, slots=True)
class StopContainer:
    """Stop the container, by force after `timeout`; done where it does not run or does not exist. `pre` is a program
    that is run inside first, for at most `timeout`; how it ends changes nothing.
    """

    kind: ClassVar[str] = "stop-container"
    subject: str
    timeout: timedelta
    pre: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    """Remove the container by force; done where it does not exist."""

    kind: ClassVar[str] = "remove-container"
    subject: str


@dataclass(frozen=True, slots=True)
class RemoveNetwork:
    """Remove the network; done where it does not exist."""

    kind: ClassVar[str] = "remove-network"
    subject: str


@dataclass(frozen=True, slots=True)
class RemoveVolume:
    """Remove the volume and its data; done where it does not exist; refused by the engine while in use."""

    kind: ClassVar[str] = "remove-volume"
    subject: str


@dataclass(frozen=True, slots=True)
class RemoveImage:
    """Remove the image unless a container uses it; done where it does not exist."""

    kind: ClassVar[str] = "remove-image"
    subject: str


@dataclass(frozen=True, slots=True)
class MeasureVolumes:
    """Measure volumes (engine names) and the room for copies of them; `subject` is the deployment."""

    kind: ClassVar[str] = "measure-volumes"
    subject: str
    volumes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PrepareSnapshot:
    """Run a program in a running container (engine name) before the volume `subject` is copied; it has to end with 0
    within `timeout`.
    """

    kind: ClassVar[str] = "prepare-snapshot"
    subject: str
    container: str
    argv: tuple[str, ...]
    timeout: timedelta


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Copy the volume `subject` under `key`; done where that copy is whole already."""

    kind: ClassVar[str] = "take-snapshot"
    subject: str
    key: str


@dataclass(frozen=True, slots=True)
class RestoreSnapshot:
    """Put the copy under `key` in the place of the data of volume `subject`, which goes into the volume `failed` (both
    exist). Done where that is done already, however often it was interrupted.
    """

    kind: ClassVar[str] = "restore-snapshot"
    subject: str
    key: str
    failed: str


@dataclass(frozen=True, slots=True)
class DropSnapshot:
    """Remove the copy of volume `subject` under `key`, and what is left of its making; done where there is none."""

    kind: ClassVar[str] = "drop-snapshot"
    subject: str
    key: str


SnapshotStep: TypeAlias = MeasureVolumes | TakeSnapshot | RestoreSnapshot | DropSnapshot

Step: TypeAlias = (
    PullImage
    | PullArtifact
    | StoreContent
    | StoreSecret
    | CreateNetwork
    | CreateVolume
    | CreateContainer
    | ReloadContainer
    | StartContainer
    | StopContainer
    | RemoveContainer
    | RemoveNetwork
    | RemoveVolume
    | RemoveImage
    | MeasureVolumes
    | PrepareSnapshot
    | TakeSnapshot
    | RestoreSnapshot
    | DropSnapshot
    | RemoveArtifact
)


@dataclass(frozen=True, slots=True)
class Work:
    """What one deployment does next: events to journal, then steps to run side by side."""

    deployment: str
    events: tuple[Event, ...] = ()
    steps: tuple[Step, ...] = ()
