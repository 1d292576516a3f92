"""Joins adapters to what an operator asks at a node: look, hold, ask the agent, enrol, retire. It decides nothing.

All of it works with the agent dead and without a network, except what is about the network. Imports of adapters are
inside the functions, as in `bootstrap`.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from edgegitops import bootstrap, bootstrap_worker
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.ledger import DeploymentRecord, Ledger
from edgegitops.core.model.node_config import NodeConfig
from edgegitops.errors import (
    DeniedError,
    EdgegitopsError,
    InvalidConfigError,
    JournalError,
    OutsideError,
    UnavailableError,
)

if TYPE_CHECKING:
    from edgegitops.adapters.engine_podman import PodmanEngine
    from edgegitops.adapters.journal_sqlite import SqliteJournal
    from edgegitops.core.documents.overrides import Setting
    from edgegitops.core.model.control import ControlTag
    from edgegitops.core.model.events import Event
    from edgegitops.core.model.facts import Desired, Facts
    from edgegitops.core.model.observed import LastWords, Observed
    from edgegitops.core.model.steps import Step
    from edgegitops.core.model.trust import Refused
    from edgegitops.core.overview.own_gate import OwnGate
    from edgegitops.core.overview.waves import Force
    from edgegitops.core.trust.control_tags import Signers
    from edgegitops.daemon.checkup import Machine

T = TypeVar("T")
REPORT_KEY = "report.key"
IMAGE_POLICY = "containers-policy.json"
STOP_WITHIN = timedelta(seconds=10)
PATIENCE = timedelta(seconds=10)


def now() -> datetime:
    """The wall clock, in UTC."""
    from edgegitops.adapters.clock_system import SystemClock

    return SystemClock().now()


# --- looking ----------------------------------------------------------------------------------------------------------


def remember(config: NodeConfig) -> Ledger:
    """What the node remembers; an empty memory where the agent never ran. JournalError: it cannot be read."""
    return bootstrap.read_ledger(config) if _has_journal(config) else Ledger()


def history(config: NodeConfig) -> "SqliteJournal | None":
    """The journal, to be read only; None where the agent never ran."""
    return bootstrap.read_journal(Path(config.state)) if _has_journal(config) else None


def _has_journal(config: NodeConfig) -> bool:
    try:
        return (Path(config.state) / "journal.db").exists()
    except OSError as error:
        raise JournalError(f"{config.state}: {error.strerror}; run this as the agent's user (root)") from error


def is_agent_running(config: NodeConfig) -> bool:
    """True where an agent holds `agent.lock`; False also where that cannot be told."""
    if not (Path(config.state) / "agent.lock").exists():
        return False
    try:
        return bootstrap.is_daemon_running(config)
    except UnavailableError:
        return False


def state_problem(config: NodeConfig) -> str:
    """Why the state directory cannot be written; empty where it can, or where the agent never ran."""
    from edgegitops.adapters.machine_linux import write_problem

    return write_problem(config.state) if _has_journal(config) else ""


def observe(config: NodeConfig) -> "Observed | None":
    """The engine now; None where it does not answer."""
    with suppress(OutsideError):
        return _engine(config).observe()
    return None


def container_logs(config: NodeConfig, container: str, lines: int) -> str:
    """The last lines that a container (engine name) wrote. OutsideError: the engine did not give them."""
    return _engine(config).logs(container, lines)


def last_words(config: NodeConfig) -> "dict[str, LastWords]":
    """What containers that are gone wrote last, by `deployment/container`."""
    from edgegitops.adapters.engine_podman_words import kept

    return kept(str(Path(config.state) / "contents"))


def wanted(config: NodeConfig, ledger: Ledger) -> "Desired | None":
    """What the revision in force wants of this node, from the local mirror alone; None where that cannot be told."""
    from edgegitops.core.desire import desire

    try:
        facts = _facts(config, ledger)
        return desire(facts)[0] if facts else None
    except EdgegitopsError:
        return None


def said_of(
    config: NodeConfig, ledger: Ledger, desired: "Desired | None", deployment: str
) -> "tuple[tuple[ControlTag, Force], ...]":
    """The control tags of a deployment that this node keeps, by number, each with what it does now."""
    from edgegitops.core.model.trust import Refused
    from edgegitops.core.overview.waves import words_of
    from edgegitops.core.permit import Rollouts

    try:
        facts = _facts(config, ledger) if desired and ledger.controls else None
        rollouts = Rollouts(facts, desired) if facts and desired else None
        history = rollouts.history if rollouts else None
        if rollouts is None or history is None or isinstance(history, Refused):
            return ()
        return words_of(history.chain(deployment), rollouts.log(deployment))
    except EdgegitopsError:
        return ()


def kept_tags(config: NodeConfig, ledger: Ledger, deployment: str) -> "list[tuple[str, str, ControlTag]]":
    """The control tags of a deployment that this node keeps and that still verify: ref, object and tag."""
    from edgegitops.core.model.control import ControlTag
    from edgegitops.core.model.trust import Refused, TrustLimits
    from edgegitops.core.model.view import CONTROL_TAGS
    from edgegitops.core.trust.control_tags import SIZE_MOST, read_control_tag
    from edgegitops.core.trust.lookup import Lookup

    facts = _facts(config, ledger)
    signers = _signers(config, facts) if facts else None
    if facts is None or facts.objects is None or signers is None:
        return []
    lookup = Lookup(facts.objects, TrustLimits())
    kept = [one for one in ledger.controls.values() if one.ref.startswith(f"{CONTROL_TAGS}{deployment}/")]
    data = ((one, lookup.read(one.object, "tag", limit=SIZE_MOST)) for one in kept)
    read = ((one, raw if isinstance(raw, Refused) else read_control_tag(one.ref, raw, signers)) for one, raw in data)
    return [(one.ref, one.object, found) for one, found in read if isinstance(found, ControlTag)]


def _signers(config: NodeConfig, facts: "Facts") -> "Signers | None":
    """Whose signatures count, by the roots of the floor; None before the first belief. DeniedError: no sound roots."""
    from edgegitops.core.model.trust import Refused, TrustLimits
    from edgegitops.core.trust.control_tags import Signers
    from edgegitops.core.trust.lookup import Lookup
    from edgegitops.core.trust.root import roots_ever

    floor = facts.ledger.floor
    if facts.objects is None or floor is None:
        return None
    roots = roots_ever(config.pin, Lookup(facts.objects, TrustLimits()), floor.tree)
    if isinstance(roots, Refused):
        raise DeniedError("trust", "read the roots", f"{roots.subject}: {roots.detail}", reason=roots.doubt)
    return Signers(config.pin.repository, roots, max(facts.now, floor.clock))


def gate_of(
    config: NodeConfig, ledger: Ledger, desired: "Desired | None", record: DeploymentRecord
) -> "tuple[OwnGate, Mapping[str, tuple[str, ...]]] | None":
    """The gate of what the newest revision gives this node of a deployment, from the local mirror and the stored
    reports, and who holds each role that its approvals may have. None where there is none, or it cannot be told.
    """
    from edgegitops.adapters.reports_sqlite import ReportsStore
    from edgegitops.core.model.trust import Refused
    from edgegitops.core.overview.own_gate import own_gate
    from edgegitops.core.permit import Rollouts

    try:
        facts = _facts(config, ledger)
        if facts is None or desired is None:
            return None
        heard = replace(facts, reports=ReportsStore(Path(config.state) / "reports.db").stored())
        rollouts = Rollouts(heard, desired)
        chain = rollouts.history
        found = None if isinstance(chain, Refused) else own_gate(rollouts.question(chain, record.name, record))
        signers = _signers(config, facts) if found else None
    except EdgegitopsError:
        return None
    roles = {*found.asked.roles, *(found.shut.roles if found.shut else ())} if found else set()
    return (found, {role: signers.holders(role) for role in roles}) if found and signers else None


def _facts(config: NodeConfig, ledger: Ledger) -> "Facts | None":
    """What the core is asked with at a node, without a look at the engine; None before the first fetch."""
    from edgegitops.adapters.repository_mirror import GitRepository
    from edgegitops.core.model.facts import Facts
    from edgegitops.core.model.observed import Observed

    mirror = Path(config.state) / "mirror.git"
    if ledger.floor is None or not mirror.is_dir():
        return None
    at = now()
    return Facts(
        now=at,
        boot_id="",
        node=config.identity(),
        policy=bootstrap.policy_of(config),
        ledger=ledger,
        observed=Observed(at),
        objects=GitRepository(str(mirror), config.remote.url, config.remote.branch).objects(),
        schemas=bootstrap.load_schemas(),
        is_reporting=config.reports.is_own,
        fleet_may_say=config.reports.left_to_fleet,
    )


def doubt_anchor(config: NodeConfig, ledger: Ledger, commit: str) -> "Refused | None":
    """Why this node could not begin anew at a commit, judged from the local mirror; `checkpoint-missing` where the
    commit is not there.
    """
    from edgegitops.adapters.repository_mirror import GitRepository
    from edgegitops.core.model.reasons import Doubt
    from edgegitops.core.model.trust import Refused
    from edgegitops.core.trust.walk import walk

    mirror = Path(config.state) / "mirror.git"
    if not mirror.is_dir():
        return Refused(commit, Doubt.CHECKPOINT_MISSING, "there is no local mirror yet")
    objects = GitRepository(str(mirror), config.remote.url, config.remote.branch).objects()
    return walk(config.pin, ledger.floor, commit, objects, now=now(), anchor=commit).refused


def _engine(config: NodeConfig) -> "PodmanEngine":
    from edgegitops.adapters.engine_podman import PodmanEngine

    contents = str(Path(config.state) / "contents")
    vault = bootstrap_worker.vault_of(config)
    return PodmanEngine(f"unix://{config.socket}", contents_dir=contents, answer_within=PATIENCE, vault=vault)


# --- ordering ---------------------------------------------------------------------------------------------------------


def note(config: NodeConfig, events: "Sequence[Event]") -> None:
    """Write an operator's events into the journal. JournalError: nothing was written."""
    from edgegitops.adapters.journal_sqlite import SqliteJournal

    journal = SqliteJournal(Path(config.state) / "journal.db")
    try:
        journal.append(events, now())
    finally:
        journal.close()


def wake(config: NodeConfig, word: str) -> None:
    """Ask the running agent to `look` or `reconcile`. UnavailableError: none listens; DeniedError: not from us."""
    from edgegitops.adapters.control_socket import say

    say(config.control_socket, word)


# --- the node itself --------------------------------------------------------------------------------------------------


def read_settings(file: str) -> "tuple[Setting, ...]":
    """Every key of the configuration, its value, and where that comes from. InvalidConfigError: it cannot be read."""
    from edgegitops.core.documents import node_files

    try:
        data = Path(file).read_bytes()
    except OSError as error:
        raise InvalidConfigError(f"cannot be read: {error.strerror}", file=file) from error
    read = node_files.read_settings(data, file, bootstrap.load_schemas(), os.environ)
    return tuple(one for one in read if not isinstance(one, Fault))


def examine(config: NodeConfig) -> "Machine":
    """Look at everything that this node needs; what cannot be had is a problem in words, never an exception."""
    from edgegitops.adapters import machine_linux as linux
    from edgegitops.adapters.hook_exec import hook_problem
    from edgegitops.daemon.checkup import Machine

    engine, engine_problem = _tried(lambda: bootstrap.listing_of(config).info())
    tip, tip_problem = _tried(lambda: bootstrap.ask_tip(config))
    state_problem = linux.write_problem(config.state)
    ledger, journal_problem = _tried(lambda: remember(config))
    _, policy_problem = _tried(lambda: bootstrap.read_policy(config.policy_file))
    ledger = ledger or Ledger()
    desired = wanted(config, ledger)
    store = ((engine or {}).get("store") or {}).get("graphRoot")
    remote = config.remote
    named = {
        "repository.keyFile": remote.key_file,
        "repository.tokenFile": remote.token_file,
        "repository.knownHostsFile": remote.known_hosts_file,
        "repository.caFile": remote.ca_file,
        "reports.signingKeyFile": config.reports.signing_key if _is_reporting(config, desired) else "",
        "reports.keyFile": config.reports.key_file,
        "reports.tokenFile": config.reports.token_file,
        "reports.knownHostsFile": config.reports.known_hosts_file,
        "reports.caFile": config.reports.ca_file,
        "registry.authFile": config.registry.auth_file,
        "registry.caFile": config.registry.ca_file,
        "ageKeyFile": config.age_key_file if desired and desired.secrets else "",
        "notify.tokenFile": config.notify.token_file if config.notify else "",
        "notify.caFile": config.notify.ca_file if config.notify else "",
    }
    secret = {
        "repository.keyFile",
        "repository.tokenFile",
        "reports.signingKeyFile",
        "reports.keyFile",
        "reports.tokenFile",
        "registry.authFile",
        "ageKeyFile",
        "notify.tokenFile",
    }
    return Machine(
        now=now(),
        is_clock_synced=linux.is_clock_synced(),
        floor_at=ledger.floor.clock if ledger.floor else None,
        engine=engine or {},
        engine_problem=f"{config.socket}: {engine_problem}" if engine_problem else "",
        state_problem=state_problem,
        state_free=linux.free_bytes(config.state),
        store_free=linux.free_bytes(store) if store else None,
        journal_problem=journal_problem,
        policy_problem=policy_problem or linux.law_problem(config.policy_file),
        files={key: linux.secret_problem(path, is_secret=key in secret) for key, path in named.items() if path},
        hook_problem=hook_problem(config.notify.program) if config.notify and config.notify.program else None,
        tip=tip,
        tip_problem=tip_problem,
        is_agent_running=is_agent_running(config),
        is_enrolled=desired.is_enrolled if desired else None,
    )


def _is_reporting(config: NodeConfig, desired: "Desired | None") -> bool:
    said = desired.reporting if desired is not None else None
    return config.reports.is_own or any(getattr(said, way) for way in config.reports.left_to_fleet if said is not None)


def _tried(look: "Callable[[], T]") -> "tuple[T | None, str]":
    try:
        return look(), ""
    except EdgegitopsError as error:
        return None, str(getattr(error, "message", error))


def enrol(file: str, keys: "Mapping[tuple[str, ...], str]") -> tuple[str, str]:
    """Make a node of this machine: its keys, policy.yaml, state directory, and node.yaml last. The public line of the
    report key, and the age recipient. InvalidConfigError: a key is wrong or missing, or there is a node.yaml already,
    which stays.
    """
    from edgegitops.adapters import machine_linux as linux
    from edgegitops.adapters.secrets_pyrage import make_identity
    from edgegitops.core.documents.node_files import closed_policy_text, node_config_text, read_node_config

    if Path(file).exists():
        words = "this machine is a node already and nothing was changed; edgegitops node retire ends that"
        raise InvalidConfigError(words, file=file)
    text = node_config_text(keys)
    config = read_node_config(text.encode(), file, bootstrap.load_schemas())
    if not isinstance(config, NodeConfig):
        faults = "; ".join(f"{fault.pointer or '/'}: {fault.message}" for fault in config)
        raise InvalidConfigError(f"{faults} (edgegitops node init --help)", file="what was asked for")
    public = linux.make_ssh_key(Path(file).parent / REPORT_KEY, f"{config.site}/{config.node}")
    recipient = make_identity(Path(config.age_key_file))
    linux.write_new(config.policy_file, closed_policy_text(), mode=0o644)
    problem = linux.write_problem(config.state)
    if problem:
        raise InvalidConfigError(problem, key="stateDirectory")
    if not linux.write_new(file, text, mode=0o644):
        raise InvalidConfigError("another command made it meanwhile", file=file)
    return public, recipient


def image_policy(file: str) -> str:
    """The policy.json for Podman that belongs to this policy.yaml. InvalidConfigError: it names no registries."""
    from edgegitops.core.documents.image_policy import image_policy_text

    registries = bootstrap.read_policy(file).registries
    if not registries:
        raise InvalidConfigError("it names no registries, so images from any are allowed: name them first", file=file)
    return image_policy_text(registries)


def offer_image_policy(file: str) -> str:
    """Write that beside policy.yaml, where Podman does not look by itself; its path, empty where there is nothing to
    offer. A file that is there stays.
    """
    from edgegitops.adapters import machine_linux as linux

    place = Path(file).with_name(IMAGE_POLICY)
    try:
        text = image_policy(file)
    except InvalidConfigError:
        return ""
    linux.write_new(place, text, mode=0o644)
    return str(place)


def possessions(config: NodeConfig, *, volumes: bool) -> "tuple[Step, ...]":
    """The steps that take all that is this fleet's from the engine, in their order. UnavailableError: no answer."""
    from edgegitops.core.model import naming
    from edgegitops.core.model.steps import RemoveContainer, RemoveNetwork, RemoveVolume, StopContainer

    fleet, observed = config.identity().fleet, _engine(config).observe()
    names = [one.name for one in observed.owned(fleet)]
    nets = [name for name, labels in observed.networks.items() if labels.get(naming.LABEL_FLEET) == fleet]
    kept = [name for name, labels in observed.volumes.items() if labels.get(naming.LABEL_FLEET) == fleet]
    return (
        *(StopContainer(name, STOP_WITHIN) for name in names),
        *(RemoveContainer(name) for name in names),
        *(RemoveNetwork(name) for name in nets),
        *(RemoveVolume(name) for name in kept if volumes),
    )


def retire(config: NodeConfig, steps: "Sequence[Step]") -> None:
    """Do the steps, then remove the state directory. DeniedError: an agent runs, or something could not be removed."""
    from edgegitops.adapters.lock_flock import FlockLock
    from edgegitops.adapters.machine_linux import remove_tree

    state = Path(config.state)
    names = {one.name for one in state.iterdir()} if state.is_dir() else set()
    if names and not names & {"journal.db", "agent.lock", "mirror.git"}:
        raise DeniedError("files", "remove", f"{state} does not look like a state directory; remove it by hand")
    if not state.is_dir():
        engine = _engine(config)
        for step in steps:
            engine.perform(step)
        return
    with FlockLock(state / "agent.lock").take(), FlockLock(state / "worker.lock").take():
        engine = _engine(config)
        for step in steps:
            engine.perform(step)
        remove_tree(state)
