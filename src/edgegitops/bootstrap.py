"""Joins adapters to the resident and to the command line; its neighbours (`bootstrap_…`) do so for others. It decides
nothing.

Every import of an adapter is inside the function that needs it: the resident process must stay small, and `--help`
must not load a Git library.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from edgegitops import __version__
from edgegitops.bootstrap_monitor import hearers
from edgegitops.core.model.node_config import NodeConfig
from edgegitops.core.model.schemas import SchemaSet
from edgegitops.errors import InvalidConfigError, InvalidDocumentError, JournalError, UnavailableError

if TYPE_CHECKING:
    from socket import socket

    from edgegitops.adapters.journal_sqlite import SqliteJournal
    from edgegitops.adapters.podman_listing import PodmanListing
    from edgegitops.adapters.wakeup_signals import Wakeup
    from edgegitops.core.model.facts import Handover
    from edgegitops.core.model.faults import Fault
    from edgegitops.core.model.ledger import Ledger
    from edgegitops.core.model.policy import NodePolicy
    from edgegitops.daemon.resident import Resident, Senses, Worker
    from edgegitops.ports import Log

T = TypeVar("T")
SENSES = 32  # threads are made as they are needed: some probes that hang must not silence the others
POLL_TIMEOUT = timedelta(seconds=10)
NOTES = "notes"
SHOWN_SECRETS = "/run/edgegitops/secrets"
JOURNAL_AGAIN_AFTER = timedelta(seconds=5)


@cache
def load_schemas() -> SchemaSet:
    """The published schemas, from the installed package; InvalidDocumentError where they are missing."""
    folder = Path(__file__).with_name("schemas")  # importlib.resources would stay in the resident's memory
    suffix = ".schema.json"
    texts = {
        one.name.removesuffix(suffix): one.read_text("utf-8")
        for one in (folder.iterdir() if folder.is_dir() else ())
        if one.name.endswith(suffix)
    }
    if not texts:
        raise InvalidDocumentError("the JSON schemas are missing from this installation; install edgegitops again")
    return SchemaSet(texts)


# --- the node's own files ---------------------------------------------------------------------------------------------


def read_config(file: str, *, notes: Path | None = None) -> NodeConfig:
    """The node's configuration. InvalidConfigError names the file, the place and what is wrong. What was read before
    from the same bytes is taken from the folder `notes`, which takes neither YAML nor schemas.
    """

    def read(data: bytes) -> "NodeConfig | tuple[Fault, ...]":
        from edgegitops.core.documents.node_files import read_node_config

        return read_node_config(data, file, load_schemas(), os.environ)

    if not Path(file).exists():
        hint = "this machine is no node yet (`edgegitops node init` makes it one), or --config names another file"
        raise InvalidConfigError(f"there is no such file; {hint}", file=file)
    return _noted(NodeConfig, file, notes, read)


def read_policy(file: str, *, notes: Path | None = None) -> "NodePolicy":
    """The node's own policy; the closed default where there is no file. InvalidConfigError and `notes` as above."""
    from edgegitops.core.model.policy import NodePolicy

    def read(data: bytes) -> "NodePolicy | tuple[Fault, ...]":
        from edgegitops.core.documents.node_files import read_node_policy

        return read_node_policy(data, file, load_schemas())

    return _noted(NodePolicy, file, notes, read) if Path(file).exists() else NodePolicy(file=file)


def policy_of(config: NodeConfig, *, notes: Path | None = None) -> "NodePolicy":
    """The node's own policy, with the folders that this agent and its engine have on this machine sealed."""
    policy = read_policy(config.policy_file, notes=notes)
    files = (config.policy_file, config.socket, config.age_key_file, SHOWN_SECRETS)
    folders = (config.state, *(str(Path(one).parent) for one in files))
    return replace(policy, sealed=(*policy.sealed, *(one for one in folders if one != "/")))


def _noted(kind: "type[T]", file: str, folder: Path | None, reader: "Callable[[bytes], T | tuple[Fault, ...]]") -> T:
    if folder is None:
        return _read(file, reader)
    from edgegitops.adapters.notes_directory import NotesDirectory, key_of

    notes, made = NotesDirectory(folder), []
    said = {name: value for name, value in os.environ.items() if name.startswith("EDGEGITOPS_")}

    def read(data: bytes) -> "T | tuple[Fault, ...]":
        key = key_of(file, data.hex(), said)
        known = notes.recall(kind, kind.__name__, key)
        if known is None:
            made.append(key)
        return reader(data) if known is None else known

    value = _read(file, read)
    for key in made:
        notes.keep(kind.__name__, key, value)
    return value


def _read(file: str, reader: "Callable[[bytes], T | tuple[Fault, ...]]") -> T:
    try:
        data = Path(file).read_bytes()
    except OSError as error:
        raise InvalidConfigError(f"cannot be read: {error.strerror}", file=file) from error
    read = reader(data)
    if isinstance(read, tuple):
        first = read[0]
        at = f" (line {first.position.line}, column {first.position.column})" if first.position else ""
        raise InvalidConfigError(f"{first.code}: {first.message}{at}", key=first.pointer, file=first.file or file)
    return read


# --- the resident -----------------------------------------------------------------------------------------------------


def config_by_child(file: str) -> NodeConfig:
    """The node's configuration, read in a child: YAML and schemas would stay in the resident's memory for years."""
    from edgegitops.core.model.codec import from_tree

    argv = [sys.executable, "-m", "edgegitops", "agent", "read-config", "--config", file]
    child = subprocess.run(argv, stdout=subprocess.PIPE, check=False)  # noqa: S603 - our own program, no shell
    if child.returncode:
        sys.exit(child.returncode)
    return from_tree(NodeConfig, json.loads(child.stdout))


def reside(config: NodeConfig, file: str, *, once: bool) -> "Handover":
    """The resident in this process, under `agent.lock`. DeniedError: another one runs, named by its process id.

    JournalError: the journal cannot be opened, or not used with `once`. One that fails later ends everything that acts;
    what runs is left alone, and the resident begins anew when the journal can be written again (or ends when told to).
    """
    from edgegitops.adapters.lock_flock import FlockLock
    from edgegitops.adapters.log_lines import LineLog
    from edgegitops.adapters.memory_glibc import share_one_heap
    from edgegitops.core.model.facts import Handover

    share_one_heap()
    Path(config.state).mkdir(mode=0o700, parents=True, exist_ok=True)
    lock: AbstractContextManager[None] = FlockLock(Path(config.state) / "agent.lock").take()
    with lock, ExitStack() as stack:
        log, listing = LineLog(sys.stderr, is_json(config), config.log_level), listing_of(config)
        wakeup, follow_files = _ears(config, file, log, stack)
        senses = _senses(config, file, listing, wakeup)
        senses = replace(senses, publish=hearers(config, log, stack), follow_files=follow_files)
        journal = open_journal(config, stack)
        while True:
            try:
                return _session(config, journal, senses, listing, log).run(once=once)
            except JournalError as error:
                if once:
                    raise
                journal.close()
                log.warning("journal-failed", detail=str(error))
            reopened = _reopened(config, senses, stack)
            if reopened is None:
                return Handover()
            journal = reopened


def _session(
    config: NodeConfig, journal: "SqliteJournal", senses: "Senses", listing: "PodmanListing", log: "Log"
) -> "Resident":
    from edgegitops.adapters.clock_system import SystemClock
    from edgegitops.adapters.pool_threads import DaemonPool
    from edgegitops.adapters.probe_http import NetworkProber
    from edgegitops.daemon.resident import Resident
    from edgegitops.daemon.watch import Watcher

    clock, pool = SystemClock(), DaemonPool(SENSES, "sense")
    return Resident(
        watcher=Watcher(journal, NetworkProber(listing.probe_exec, _ask_grpc), clock, pool),
        journal=journal,
        clock=clock,
        log=log,
        senses=senses,
        pool=pool,
        interval=config.remote.interval,
        version=__version__,
    )


def _ask_grpc(sock: "socket", service: str, ends_at: float) -> bool:
    """Loaded when the first gRPC probe is due: most nodes have none, and the resident stays small."""
    from edgegitops.adapters.probe_grpc import ask_grpc

    return ask_grpc(sock, service, ends_at)


def _reopened(config: NodeConfig, senses: "Senses", stack: ExitStack) -> "SqliteJournal | None":
    """The journal, as soon as it can be written again; None where a stop was asked for before."""
    while not senses.is_stopping():
        senses.notify("WATCHDOG=1")
        ends_at = time.monotonic() + JOURNAL_AGAIN_AFTER.total_seconds()
        while not senses.is_stopping() and time.monotonic() < ends_at:
            senses.sleep(JOURNAL_AGAIN_AFTER)
        with suppress(JournalError):
            return open_journal(config, stack)
    return None


def listing_of(config: NodeConfig) -> "PodmanListing":
    """The light door to Podman, for this fleet's containers."""
    from edgegitops.adapters.podman_listing import PodmanListing

    return PodmanListing(config.socket, fleet=config.identity().fleet)


def _ears(
    config: NodeConfig, file: str, log: "Log", stack: ExitStack
) -> "tuple[Wakeup, Callable[[Sequence[str]], None]]":
    """What ends the resident's sleep early: signals, words at the control socket, and changes of the node's own files
    (without the last two it goes on); and how to name more files.
    """
    from edgegitops.adapters.control_socket import listening
    from edgegitops.adapters.files_watchdog import FileHints
    from edgegitops.adapters.wakeup_signals import Wakeup

    wakeup = Wakeup()
    wakeup.install()
    try:
        stack.enter_context(listening(config.control_socket, wakeup.ask))
    except UnavailableError as error:
        log.warning("no-control-socket", detail=error.message)
    hints = FileHints((file, config.policy_file), wakeup.files_changed)
    missed = hints.start()
    stack.callback(hints.stop)
    if missed:
        log.warning("files-not-watched", files=", ".join(missed))
    return wakeup, hints.follow


def _looking(
    config: NodeConfig, listing: "PodmanListing", wakeup: "Wakeup"
) -> "tuple[Callable[[], Mapping[str, str]], Callable[[], None]]":
    """How to look at what runs, and how to hear of its end: from the kernel where containers' processes can be seen
    from here, else from Podman's events, which cost Podman more than all else that is asked of it.
    """
    from edgegitops.adapters.deaths_pidfd import Deaths
    from edgegitops.adapters.engine_podman_process import is_same_machine

    guard, chosen = Lock(), list[Deaths | None]()

    def look() -> Mapping[str, str]:
        running = listing.running()
        with guard:  # only now is it known that somebody listens at the socket, and who
            if not chosen:
                chosen.append(Deaths(wakeup.hint) if is_same_machine(config.socket) else None)
                if chosen[0] is None:
                    wakeup.follow(lambda: iter(listing.events()))
            if chosen[0] is not None:
                chosen[0].watch([seen.pid for seen in running.values()])
        return {name: seen.mark for name, seen in running.items()}

    def attend() -> None:
        if chosen != [None]:
            look()

    return look, attend


def _senses(config: NodeConfig, file: str, listing: "PodmanListing", wakeup: "Wakeup") -> "Senses":
    from edgegitops.adapters.notify_systemd import notify
    from edgegitops.adapters.worker_process import WorkerProcess
    from edgegitops.daemon.resident import Senses

    look, attend = _looking(config, listing, wakeup)
    notes = str(Path(config.state) / NOTES)
    worker = [sys.executable, "-m", "edgegitops", "agent", "worker", "--config", file, "--notes", notes]

    def launch(fetch: bool, revert_only: bool) -> "Worker":  # noqa: FBT001 - the two words of an order
        flags = ["--fetch"] * fetch + ["--revert-only"] * revert_only
        return WorkerProcess([*worker, *flags])

    return Senses(
        listing=look,
        attend=attend,
        tip=lambda: ask_tip(config),
        launch=launch,
        has_hint=wakeup.has_hint,
        asked=wakeup.asked,
        has_changed_files=wakeup.has_changed_files,
        sleep=wakeup.sleep,
        is_stopping=wakeup.is_stopping,
        notify=notify,
    )


def ask_tip(config: NodeConfig) -> str | None:
    """The tip of the branch at the remote; None where there is no such branch. UnavailableError: no answer."""
    from edgegitops.adapters.tip_listing import list_tip

    remote = config.remote
    ca_file, ssh = remote.ca_file or None, (remote.key_file, remote.known_hosts_file)
    return list_tip(
        remote.url,
        remote.branch,
        timeout=POLL_TIMEOUT,
        ca_file=ca_file,
        login=login_of(config),
        ssh=ssh,
        proxy=remote.proxy,
    )


def login_of(config: NodeConfig) -> tuple[str, str] | None:
    """User and password for http(s); the token file is read each time, so it can be rotated."""
    remote = config.remote
    if not remote.token_file:
        return None
    try:
        token = Path(remote.token_file).read_text("utf-8").strip()
    except OSError:
        return None
    return remote.user or "edgegitops", token


def is_json(config: NodeConfig) -> bool:
    """True where log lines are JSON: as configured, else where nobody reads along at a terminal."""
    return config.log_format == "json" or (config.log_format == "auto" and not sys.stderr.isatty())


def open_journal(config: NodeConfig, stack: ExitStack) -> "SqliteJournal":
    """The journal, to be written until the stack ends. JournalError: it cannot be."""
    from edgegitops.adapters.journal_sqlite import SqliteJournal

    journal = SqliteJournal(Path(config.state) / "journal.db")
    stack.callback(journal.close)
    return journal


# --- looking, for people ----------------------------------------------------------------------------------------------


def validate_directory(path: Path, schemas: SchemaSet) -> "tuple[Fault, ...]":
    """All faults and warnings of the fleet repository in a directory; DeniedError where it cannot be read."""
    from edgegitops.adapters.objects_directory import DirectoryObjects
    from edgegitops.adapters.zones_zoneinfo import InstalledZones
    from edgegitops.core.documents.yaml_reader import MAX_SIZE
    from edgegitops.core.trust.rules import MANIFEST_FILES, MANIFEST_FOLDERS
    from edgegitops.core.validate import validate_tree

    objects = DirectoryObjects(path, MANIFEST_FILES | MANIFEST_FOLDERS, largest=MAX_SIZE)
    return validate_tree(objects.tree, objects, schemas, InstalledZones())


def read_ledger(config: NodeConfig) -> "Ledger":
    """What the node remembers, also with the daemon dead. JournalError where there is no journal to read."""
    from edgegitops.adapters.journal_sqlite import SqliteJournal

    journal = SqliteJournal(Path(config.state) / "journal.db", read_only=True)
    try:
        return journal.ledger()
    finally:
        journal.close()


def read_journal(state: Path) -> "SqliteJournal":
    """The journal of a state directory, to be read only. JournalError where there is none to read."""
    from edgegitops.adapters.journal_sqlite import SqliteJournal

    return SqliteJournal(state / "journal.db", read_only=True)


def is_daemon_running(config: NodeConfig) -> bool:
    """True where a daemon holds `agent.lock`."""
    from edgegitops.adapters.lock_flock import FlockLock

    return FlockLock(Path(config.state) / "agent.lock").is_taken()
