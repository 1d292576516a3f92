"""Joins adapters to the worker: what it fetches with, acts through, asks and reports to. It decides nothing.

It stands apart from `bootstrap`, which the resident keeps in memory for years. Imports of adapters are inside the
functions, as there.
"""

import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from edgegitops import __version__
from edgegitops.bootstrap import NOTES, SHOWN_SECRETS, is_json, load_schemas, open_journal, policy_of, read_config
from edgegitops.core.model.node_config import NodeConfig
from edgegitops.core.model.schemas import SchemaSet
from edgegitops.errors import DeniedError, InvalidConfigError

if TYPE_CHECKING:
    from edgegitops.adapters.artifacts_oci import OciArtifacts
    from edgegitops.adapters.engine_podman_secrets import Vault
    from edgegitops.adapters.image_registry import ImageRegistry
    from edgegitops.adapters.journal_sqlite import SqliteJournal
    from edgegitops.adapters.notes_directory import DesiredNotes, ManifestNotes
    from edgegitops.adapters.repository_access import GitCredentials
    from edgegitops.adapters.repository_mirror import GitRepository
    from edgegitops.core.model.facts import Decision, Facts, Handover
    from edgegitops.core.model.node_config import Remote
    from edgegitops.core.model.plant import Answer, Interlock
    from edgegitops.core.model.policy import NodePolicy
    from edgegitops.core.model.report import Reporting
    from edgegitops.daemon.gear import Gear
    from edgegitops.daemon.order import Order
    from edgegitops.daemon.post import Post
    from edgegitops.ports import ReportTransport, Repository

T = TypeVar("T")
DECIDE_WITHIN = timedelta(seconds=120)  # of CPU; the largest fleets take a few
REPORTERS = 2  # one that hangs is given up, and another goes on
KEPT_ENTRIES = 20_000


def work_for_parent(file: str, order: "Order", is_stopping: Callable[[], bool], *, notes: Path | None = None) -> None:
    """A worker that dies with the resident which started it, and answers it on standard output. `notes` is the folder
    of what earlier workers read.
    """
    from edgegitops.adapters.worker_process import answer, confine, die_with_parent

    die_with_parent()
    confine()
    answer(work(read_config(file, notes=notes), order, is_stopping, tell=answer))


def work(
    config: NodeConfig,
    order: "Order",
    is_stopping: Callable[[], bool],
    *,
    tell: "Callable[[Handover], None]" = lambda _: None,
) -> "Handover":
    """One worker's life in this process, under `worker.lock`. Where it fetches, the rest is loaded meanwhile. `tell`
    hears of every handover that differs from the one before.
    """
    from edgegitops.adapters.lock_flock import FlockLock
    from edgegitops.adapters.repository_early import EarlyFetch

    with FlockLock(Path(config.state) / "worker.lock").take(), ExitStack() as stack:
        mirror = _mirror(config)
        repository = EarlyFetch(mirror) if order.fetch and not order.is_revert_only else mirror
        from edgegitops.daemon.cycle import Cycle
        from edgegitops.daemon.gear import Identity

        policy = policy_of(config, notes=Path(config.state) / NOTES)
        journal = open_journal(config, stack)
        schemas = load_schemas()
        gear = replace(_gear(config, journal, repository, policy), manifests=_manifest_notes(config, schemas))
        journal.prune(KEPT_ENTRIES, gear.clock.now())
        identity = Identity(config.identity(), policy, schemas, __version__, config.remote.interval)
        cycle = Cycle(gear, identity, door=_bounded_door(), tell=tell, side_by_side=config.connections)
        return cycle.run(order, is_stopping=is_stopping)


def _bounded_door() -> "Callable[[Facts], Decision]":
    """The one door to the core; a decision that never ends is ended, and the resident goes on from there."""
    from edgegitops.adapters.worker_process import thinking_for
    from edgegitops.core.decide import decide

    return thinking_for(DECIDE_WITHIN)(decide)


def _mirror(config: NodeConfig) -> "GitRepository":
    from edgegitops.adapters.repository_mirror import FetchLimits, GitRepository

    remote = config.remote
    limits = FetchLimits(bytes=config.fetch_bytes, memory=config.fetch_memory)
    path = str(Path(config.state) / "mirror.git")
    return GitRepository(path, remote.url, remote.branch, credentials=_credentials(remote), limits=limits)


def _credentials(remote: "Remote") -> "GitCredentials":
    from edgegitops.adapters.repository_access import GitCredentials

    return GitCredentials(
        user=remote.user,
        password_file=remote.token_file,
        ca_file=remote.ca_file,
        ssh_key_file=remote.key_file,
        known_hosts_file=remote.known_hosts_file,
        proxy=remote.proxy,
    )


def _notes(config: NodeConfig, policy: "NodePolicy") -> "DesiredNotes":
    from edgegitops.adapters.notes_directory import DesiredNotes, NotesDirectory
    from edgegitops.core.model.codec import to_tree

    return DesiredNotes(NotesDirectory(Path(config.state) / NOTES), to_tree(config.identity()), to_tree(policy))


def _manifest_notes(config: NodeConfig, schemas: SchemaSet) -> "ManifestNotes":
    from edgegitops.adapters.notes_directory import ManifestNotes, NotesDirectory

    return ManifestNotes(NotesDirectory(Path(config.state) / NOTES), dict(schemas.texts))


def _gear(config: NodeConfig, journal: "SqliteJournal", repository: "Repository", policy: "NodePolicy") -> "Gear":
    from edgegitops.adapters.clock_system import SystemClock
    from edgegitops.adapters.contents_directory import ContentsDirectory
    from edgegitops.adapters.engine_podman import PodmanEngine
    from edgegitops.adapters.floor_file import FloorFile
    from edgegitops.adapters.log_structlog import StructlogLog
    from edgegitops.adapters.secrets_pyrage import SecretsDirectory
    from edgegitops.adapters.snapshots_directory import SnapshotsDirectory
    from edgegitops.adapters.zones_zoneinfo import InstalledZones
    from edgegitops.daemon.gear import Gear

    state = Path(config.state)
    contents = state / "contents"
    secrets = SecretsDirectory(state / "secrets", config.age_key_file)
    engine = PodmanEngine(
        f"unix://{config.socket}", contents_dir=str(contents), registry=config.registry, vault=vault_of(config)
    )
    log = StructlogLog(sys.stderr, is_json(config), config.log_level)
    return Gear(
        clock=SystemClock(),
        repository=repository,
        engine=engine,
        journal=journal,
        floor=FloorFile(state / "floor.json"),
        contents=ContentsDirectory(contents),
        artifacts=_artifacts(config, policy),
        secrets=secrets,
        snapshots=SnapshotsDirectory(state / "snapshots", engine.place, log),
        log=log,
        zones=InstalledZones(),
        askers=_askers(),
        notes=_notes(config, policy),
        post=_post(config, policy),
    )


def _post(config: NodeConfig, policy: "NodePolicy") -> "Post":
    """What reports are sent with."""
    from edgegitops.adapters.pool_threads import DaemonPool
    from edgegitops.adapters.reports_sqlite import ReportsStore
    from edgegitops.daemon.post import Post

    key = Path(config.reports.signing_key)

    def with_key(use: "Callable[[bytes], T]") -> "T":
        try:
            return use(key.read_bytes())
        except (OSError, ValueError) as error:
            raise DeniedError("reports", f"sign with {key}", str(error), reason="credential-denied") from error

    def sign(payload: bytes) -> bytes:
        from edgegitops.core.trust import signing
        from edgegitops.core.trust.reports import NAMESPACE

        return with_key(lambda private: signing.sign(payload, private, NAMESPACE))

    def key_line() -> str:
        from edgegitops.core.trust import signing

        return with_key(signing.public_line)

    return Post(
        lambda said: report_transports(config, said, policy),
        ReportsStore(Path(config.state) / "reports.db"),
        sign,
        key_line,
        DaemonPool(REPORTERS, "report"),
        config.reports.is_own,
        config.reports.left_to_fleet,
    )


def report_transports(config: NodeConfig, said: "Reporting", policy: "NodePolicy") -> "list[ReportTransport]":
    """Where this node's reports go under what its fleet says. A way that is said and not taken denies each call."""
    if not (config.reports.is_own or said.git or said.directory):
        return []
    from edgegitops.core.reporting import ways_of

    ways = ways_of(config, said, policy)
    found: list[ReportTransport] = []
    refused = ways.refused
    if ways.git is not None:
        from edgegitops.adapters.repository_reports import LIMITS, GitReports

        try:
            place, most = Path(config.state) / "reports.git", min(LIMITS.bytes, config.fetch_bytes)
            limits = replace(LIMITS, bytes=most, memory=config.fetch_memory)
            found.append(GitReports(place, ways.git.url, credentials=_credentials(ways.git), limits=limits))
        except InvalidConfigError as error:
            refused = "; ".join(word for word in (refused, str(error)) if word)
    if ways.directory:
        from edgegitops.adapters.reports_share import ReportsShare

        found.append(ReportsShare(Path(ways.directory)))
    if refused:
        from edgegitops.adapters.reports_refused import RefusedReports

        found.append(RefusedReports(refused))
    return found


def vault_of(config: NodeConfig) -> "Vault":
    """Where secrets are shown from, and how they are opened."""
    from edgegitops.adapters.engine_podman_secrets import Vault, is_in_memory
    from edgegitops.adapters.secrets_pyrage import SecretsDirectory

    opened = SecretsDirectory(Path(config.state) / "secrets", config.age_key_file).open
    return Vault(SHOWN_SECRETS, opened, is_in_memory)


def _artifacts(config: NodeConfig, policy: "NodePolicy") -> "OciArtifacts":
    from edgegitops.adapters.artifacts_oci import OciArtifacts

    access = config.registry

    def registry() -> "ImageRegistry":
        from edgegitops.adapters.image_registry import ImageRegistry

        return ImageRegistry(
            access.insecure, auth_file=access.auth_file, ca_file=access.ca_file, trusted=policy.registries
        )

    return OciArtifacts(Path(config.state) / "contents" / "artifacts", registry, auth_file=access.auth_file)


def _askers() -> "Mapping[str, Callable[[Interlock], Answer]]":
    """Who asks interlocks, by their way. Few nodes ask a URL, which takes TLS and HTTP."""
    from edgegitops.adapters.interlock_exec import ask_program
    from edgegitops.adapters.interlock_file import ask_file

    def ask_url(interlock: "Interlock") -> "Answer":
        from edgegitops.adapters import interlock_http

        return interlock_http.ask_url(interlock)

    return {"exec": ask_program, "file": ask_file, "http": ask_url}
