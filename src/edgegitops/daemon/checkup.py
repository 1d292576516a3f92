"""Law: can this machine be a node? Facts in, findings out: ok, warn (it works, look at it) or fail (it will not work).

Nothing here looks at the machine; what was found there is a value. Each finding that is not ok says what to do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

GIB = 1024**3
MIB = 1024**2
OLDEST_ENGINE = 4
LEAST_FREE = 64 * MIB
TIGHT = 512 * MIB
TIGHT_STORE = GIB
BUILT_AFTER = datetime(2025, 1, 1, tzinfo=UTC)
SKEW = timedelta(minutes=5)
COPYING = ("vfs",)
CONTROLLERS = ("cpu", "memory", "pids")
# Keys of node.yaml that a later version obeys; what stands there is judged and has no effect yet.


class Verdict(StrEnum):
    """How a look came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One look at the machine: what was looked at, how it is, and what to do."""

    name: str
    verdict: Verdict
    detail: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What was found. An `…_problem` says why a fact could not be had; sizes in bytes, None where not known.

    `engine` is Podman's own account of itself; `files` maps keys of node.yaml that name files to what is wrong with
    the file (empty: nothing). `hook_problem` None: no program is told of anything. `floor_at` is an instant that has
    certainly passed.
    """

    now: datetime
    is_clock_synced: bool | None = None
    floor_at: datetime | None = None
    engine: Mapping[str, Any] = field(default_factory=dict)
    engine_problem: str = ""
    state_problem: str = ""
    state_free: int | None = None
    store_free: int | None = None
    journal_problem: str = ""
    policy_problem: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    hook_problem: str | None = None
    tip: str | None = None
    tip_problem: str = ""
    is_agent_running: bool = False
    is_enrolled: bool | None = None


def findings(machine: Machine) -> tuple[Finding, ...]:
    """Every finding, in the order in which a person would repair."""
    return (
        *_engine(machine),
        _clock(machine),
        *_disks(machine),
        _state(machine),
        *_files(machine),
        _repository(machine),
        *_seat(machine),
    )


def _engine(machine: Machine) -> list[Finding]:
    if machine.engine_problem:
        advice = "systemctl enable --now podman.socket, or correct engine.socket in node.yaml"
        return [Finding("podman", Verdict.FAIL, machine.engine_problem, advice)]
    version = str((machine.engine.get("version") or {}).get("Version", ""))
    host = machine.engine.get("host") or {}
    major = version.partition(".")[0]
    is_old = not major.isdecimal() or int(major) < OLDEST_ENGINE
    advice = f"install Podman {OLDEST_ENGINE} or newer (Debian 12 has it)" if is_old else ""
    found = [Finding("podman", Verdict.FAIL if is_old else Verdict.OK, f"answers, version {version or '?'}", advice)]
    missing = [name for name in CONTROLLERS if name not in (host.get("cgroupControllers") or ())]
    is_modern = host.get("cgroupVersion") == "v2"
    words = f"cgroups {host.get('cgroupVersion', '?')}" + (f", without {', '.join(missing)}" if missing else "")
    advice = "" if is_modern and not missing else "limits of containers may not hold; boot with cgroups v2"
    found.append(Finding("cgroups", Verdict.WARN if advice else Verdict.OK, words, advice))
    driver = str((machine.engine.get("store") or {}).get("graphDriverName") or "")
    if driver:
        advice = f"{driver} copies every layer whole; set driver = overlay in storage.conf" if driver in COPYING else ""
        found.append(Finding("storage driver", Verdict.WARN if advice else Verdict.OK, driver, advice))
    return found


def _clock(machine: Machine) -> Finding:
    least = max(BUILT_AFTER, machine.floor_at or BUILT_AFTER)
    shown = f"{machine.now:%Y-%m-%d %H:%M:%S} UTC"
    if machine.now < least - SKEW:
        detail = f"{shown} is before {least:%Y-%m-%d %H:%M}, which has certainly passed"
        return Finding("clock", Verdict.FAIL, detail, "set the clock, and start a time service (chrony, timesyncd)")
    if machine.is_clock_synced is False:
        return Finding("clock", Verdict.WARN, f"{shown}, not synchronised", "start a time service (chrony, timesyncd)")
    return Finding("clock", Verdict.OK, f"{shown}{', synchronised' if machine.is_clock_synced else ''}")


def _disks(machine: Machine) -> list[Finding]:
    found = []
    for name, free, least, tight in (
        ("disk of the state", machine.state_free, LEAST_FREE, TIGHT),
        ("disk of the images", machine.store_free, LEAST_FREE, TIGHT_STORE),
    ):
        if free is None:
            continue
        verdict = Verdict.FAIL if free < least else Verdict.WARN if free < tight else Verdict.OK
        advice = "" if verdict is Verdict.OK else "free some space"
        found.append(Finding(name, verdict, f"{free / GIB:.1f} GiB free", advice))
    return found


def _state(machine: Machine) -> Finding:
    problem = machine.state_problem or machine.journal_problem
    if problem:
        return Finding("state", Verdict.FAIL, problem, "run this as root, or correct stateDirectory in node.yaml")
    return Finding("state", Verdict.OK, "may be written, its journal holds")


def _files(machine: Machine) -> list[Finding]:
    found = [
        Finding(key, Verdict.FAIL if problem else Verdict.OK, problem or "may be read", _file_advice(problem))
        for key, problem in machine.files.items()
    ]
    if machine.hook_problem is not None:
        advice = "leave it and the folders above it to root alone (chown root, chmod 755)" * bool(machine.hook_problem)
        verdict = Verdict.FAIL if machine.hook_problem else Verdict.OK
        found.append(Finding("notify.exec", verdict, machine.hook_problem or "may be run", advice))
    if machine.policy_problem:
        advice = "correct the policy file, and leave it to root alone (chown root, chmod 644)"
        found.append(Finding("policy", Verdict.FAIL, machine.policy_problem, advice))
    return found


def _file_advice(problem: str) -> str:
    return "put the file where node.yaml names it, for root only (chmod 600)" if problem else ""


def _repository(machine: Machine) -> Finding:
    if machine.tip_problem:
        advice = "check the URL, the network, and the credential files; what runs is kept meanwhile"
        return Finding("repository", Verdict.FAIL, machine.tip_problem, advice)
    if machine.tip is None:
        return Finding("repository", Verdict.FAIL, "answers, but has no such branch", "correct repository.branch")
    return Finding("repository", Verdict.OK, f"answers, the branch is at {machine.tip[:12]}")


def _seat(machine: Machine) -> list[Finding]:
    found = []
    if machine.is_enrolled is False:
        detail = "the fleet's manifests do not name this node"
        found.append(Finding("seat", Verdict.WARN, detail, "merge its entry under sites/, or correct site and node"))
    elif machine.is_enrolled:
        found.append(Finding("seat", Verdict.OK, "the fleet's manifests name this node"))
    running = "runs" if machine.is_agent_running else "does not run"
    verdict = Verdict.OK if machine.is_agent_running else Verdict.WARN
    advice = "" if machine.is_agent_running else "systemctl enable --now edgegitops"
    found.append(Finding("agent", verdict, running, advice))
    return found
