"""Law: the doors to the outside, in model words. An adapter and its in-memory twin pass the same contract suite.

Every method may raise UnavailableError (may work later) or DeniedError (will not); journals raise JournalError.
Nothing here decides: a port does what it is told, says what it saw, and is idempotent where its words say "done".
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Protocol

from edgegitops.core.model.events import Entry, Event
from edgegitops.core.model.facts import Desired
from edgegitops.core.model.ledger import Ledger
from edgegitops.core.model.objects import Objects
from edgegitops.core.model.observed import Observed
from edgegitops.core.model.report import StoredReport
from edgegitops.core.model.snapshots import Copied, Room, SnapshotSeen
from edgegitops.core.model.spec import Probe
from edgegitops.core.model.steps import PullArtifact, Step
from edgegitops.core.model.trust import Floor


class Clock(Protocol):
    """Wall time for people and deadlines, monotonic time for spans."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""

    def monotonic(self) -> timedelta:
        """Time since some fixed instant of this boot; never steps back."""

    def boot_id(self) -> str:
        """The kernel's boot id: another one means that the machine went down in between."""


class Repository(Protocol):
    """The local bare mirror of the fleet repository."""

    def fetch(self) -> str:
        """Fetch the branch into quarantine, promote it, and return its tip's commit id."""

    def tip(self) -> str | None:
        """The tip of the last successful fetch, from local storage only."""

    @property
    def tags_failed(self) -> str:
        """Why the last fetch brought no control tags; empty where it did."""

    def tags(self) -> Mapping[str, str]:
        """The control tags that the remote showed last, ref to object, from local storage only."""

    def keep_tags(self, objects: Collection[str]) -> None:
        """Keep these tag objects reachable whatever the remote does, and those that are shown; others may go."""

    def pin(self, revision: str) -> None:
        """Keep this revision's objects reachable whatever the remote does."""

    def objects(self) -> Objects:
        """The lookup of the mirror's objects."""


class Engine(Protocol):
    """The container engine."""

    def observe(self) -> Observed:
        """All containers, networks and volumes, ours and foreign, in one look."""

    def has_image(self, image: str) -> bool:
        """Whether the image is on the node, whoever brought it."""

    def perform(self, step: Step) -> None:
        """Do one step, idempotently. Reasons of the errors are those of core.model.reasons."""

    def probe_exec(self, container: str, argv: Sequence[str], timeout: timedelta) -> bool:
        """Run argv in a running container; True where it ends with 0 in time. A hung command is left behind after
        `timeout` and answers False. UnavailableError: the prober failed, which says nothing of the container.
        """

    def logs(self, container: str, lines: int) -> str:
        """The last lines that the container wrote, both streams."""

    def keep_words(self, deployments: Collection[str]) -> None:
        """Of what removed containers wrote last keep what is of these deployments; drop the rest. It never raises."""


class Prober(Protocol):
    """Asks a container how it is. None: the prober itself failed, which says nothing of the container."""

    def ask(self, probe: Probe, container: str, address: str) -> bool | None:
        """One look at the container (engine id) at an IP address."""


class Journal(Protocol):
    """The append-only, hash-chained record."""

    def append(self, events: Sequence[Event], at: datetime) -> None:
        """Write all of them durably, or none. JournalError: nothing was written."""

    def ledger(self) -> Ledger:
        """The fold of all events so far."""

    def entries(self, since: int = 0) -> Iterator[Entry]:
        """Entries with seq > since, oldest first."""

    def verify(self) -> int | None:
        """The seq of the first entry whose chain does not hold; None where all hold."""


class FloorCopy(Protocol):
    """The second copy of the anti-rollback floor, in a small file beside the journal."""

    def read(self) -> Floor | None:
        """The stored floor; None where there is none or it is unreadable."""

    def write(self, floor: Floor) -> None:
        """Store it durably (fsynced) before returning."""


class Contents(Protocol):
    """The node's store of config files, by SHA-256."""

    def put(self, sha256: str, data: bytes) -> None:
        """Store it durably; DeniedError where the data does not have that digest."""

    def present(self) -> frozenset[str]:
        """The digests that are stored and intact."""


class Secrets(Protocol):
    """The node's store of age files, by name and version (`db.2`), and the key that opens them."""

    def put(self, file: str, data: bytes) -> None:
        """Store an age file durably. UnavailableError (secret-unreadable): this node cannot read it now."""

    def present(self) -> frozenset[str]:
        """Those that are stored and can be read."""

    def open(self, file: str) -> bytes:
        """The secret itself. UnavailableError (secret-unreadable): it is not stored, or cannot be read."""

    def keep(self, files: Iterable[str]) -> None:
        """Remove all but these."""


class DesiredNotes(Protocol):
    """What earlier workers worked out of revisions, for one node with one policy."""

    def recall(self, revision: str) -> Desired | None:
        """What this revision made of the node; None where that is not known."""

    def keep(self, desired: Desired) -> None:
        """Note it for the next worker."""


class ManifestNotes(Protocol):
    """What earlier workers read in manifest files."""

    @property
    def known(self) -> MutableMapping[str, object]:
        """What is known, by blob id and path; texts in it can be kept."""

    def keep(self) -> None:
        """Note it for the next worker."""


class Snapshots(Protocol):
    """Copies of volumes on this node, each under a key. Two threads may ask at once, but not about one volume."""

    def present(self) -> tuple[SnapshotSeen, ...]:
        """Every copy, whole or half made, sorted."""

    def measure(self, volumes: Sequence[str]) -> Room:
        """What these volumes (engine names) take on disk, and what is free."""

    def take(self, volume: str, key: str) -> Copied:
        """Copy the volume, which nothing writes to now. Done where a whole copy is there; a half-made one is made anew.
        DeniedError: it cannot be copied.
        """

    def restore(self, volume: str, key: str, failed: str) -> None:
        """Exchange the data of `volume` for the copy, and put what was there into the volume `failed`. It ends at the
        same place however often it is interrupted and asked again. UnavailableError whatever goes wrong.
        """

    def drop(self, volume: str, key: str) -> None:
        """Remove the copy; done where there is none."""


class Artifacts(Protocol):
    """The node's store of artifacts: file trees from registries, unpacked, by the SHA-256 of their manifests (hex)."""

    def pull(self, step: PullArtifact) -> None:
        """Bring it here and unpack it, durably; done where it is present. What may work later (registry, credential,
        disk) is UnavailableError; other bytes than were asked for, or what is no tree, is DeniedError.
        """

    def present(self) -> frozenset[str]:
        """The digests that are unpacked in whole."""

    def remove(self, digest: str) -> None:
        """Remove it, and what an unfinished pull left; done where it is absent."""


class ReportTransport(Protocol):
    """A way for reports from node to node; nobody trusts it."""

    def publish(self, name: str, data: bytes) -> None:
        """Put the report of a node (`<site>/<node>`) in place of its last one."""

    def collect(self, names: Collection[str]) -> Mapping[str, bytes]:
        """What the transport shows of these nodes; empty bytes where something is, or may be, that did not come."""


class ReportStore(Protocol):
    """The node's own union of all reports that it has seen, as far as they are worth keeping."""

    def keep(self, reports: Mapping[str, Sequence[StoredReport]]) -> None:
        """Have exactly these of each of these nodes, durably, in place of what was there."""

    def stored(self, name: str = "") -> Mapping[str, tuple[StoredReport, ...]]:
        """All of them by node, or those of one node, as they are at the first look at the answer."""


class Lock(Protocol):
    """A lock that the kernel frees when its owner dies."""

    def take(self) -> AbstractContextManager[None]:
        """Hold it while inside. DeniedError names the process that holds it."""


class Log(Protocol):
    """Structured lines for people and machines; never secrets."""

    def info(self, event: str, **fields: object) -> None:
        """Something happened."""

    def warning(self, event: str, **fields: object) -> None:
        """Something that a person may want to look at."""


class NodeFiles(Protocol):
    """The host directory where the engine finds content-addressed config files: `<path>/<sha256>`."""

    def path(self, sha256: str) -> str:
        """Absolute path of a stored content on the host."""


__all__ = [
    "Artifacts",
    "Clock",
    "Contents",
    "DesiredNotes",
    "Engine",
    "FloorCopy",
    "Journal",
    "Lock",
    "Log",
    "ManifestNotes",
    "NodeFiles",
    "Prober",
    "ReportStore",
    "ReportTransport",
    "Repository",
    "Secrets",
    "Snapshots",
]
