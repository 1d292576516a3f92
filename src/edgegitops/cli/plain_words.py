"""Plain words for what the commands at a node show: spans, instants, and what a reason means and asks for.

A reason that is not in the tables is shown as its code: codes are words of their own. Text from outside has its
control characters escaped, so that no log line or error message steers a terminal.
"""

import shutil
import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

from edgegitops.core.model.reasons import Doubt, HoldReason, Refusal
from edgegitops.core.model.release import Release

SHORT = 12
UNBROKEN = 10_000
_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))

# What holds a deployment, and what a person can do about it.
HOLDS: Mapping[str, tuple[str, str]] = {
    HoldReason.PAUSED: ("the manifest pauses it", "take rollout.paused out of the deployment's manifest"),
    HoldReason.LATCHED: (
        "the wanted release failed on this node and is not started again",
        "release a fix, or raise metadata.attempt of the deployment to try the same again",
    ),
    HoldReason.REFUSED_HERE: (
        "this node cannot take the wanted release",
        "release a fix, or raise metadata.attempt of the deployment once the cause is gone",
    ),
    HoldReason.OPERATOR: ("an operator holds it", "edgegitops unhold, or wait until the hold ends"),
    HoldReason.BACK_OFF: ("the last try did not work; it is tried again by itself", "edgegitops reconcile tries now"),
    HoldReason.DISK_FULL: ("the disk is full", "free some space; it goes on by itself"),
    HoldReason.DISK_FAILED: (
        "the disk of the images fails, or turned read-only",
        "look at the storage (dmesg, mount); it goes on by itself",
    ),
    HoldReason.IMAGE_UNAVAILABLE: (
        "the image cannot be downloaded now; it is tried for as long as it takes",
        "check that the registry is reachable from this node; edgegitops reconcile tries now",
    ),
    HoldReason.ARTIFACT_UNAVAILABLE: (
        "an artifact cannot be downloaded now; it is tried for as long as it takes",
        "check that the registry is reachable from this node; edgegitops reconcile tries now",
    ),
    HoldReason.CREDENTIAL_DENIED: (
        "the credentials are not accepted",
        "check the credential files that node.yaml names, then edgegitops reconcile",
    ),
    HoldReason.SECRET_UNREADABLE: (
        "this node cannot read a secret; what runs goes on",
        "check ageKeyFile of node.yaml against trust/nodes, then edgegitops secret rekey in the fleet's repository",
    ),
    HoldReason.ENGINE_UNAVAILABLE: ("Podman does not answer", "check podman.socket; edgegitops node check"),
    HoldReason.DEPENDENCY: ("it waits for another container or deployment", ""),
    HoldReason.RECREATE_LIMIT: (
        "a container had to be created anew too often; it is tried again later",
        "find out who removes or changes it: podman events --filter type=container",
    ),
    HoldReason.DRIFT_PAUSED: (
        "a container is not as wanted, and its manifest says only to report that",
        "set drift: correct in the deployment, or put the container right by hand",
    ),
    HoldReason.MAINTENANCE: ("the site's manifest puts this node in maintenance", "end the maintenance there"),
    HoldReason.UNENROLLED: (
        "the fleet's manifests do not name this node",
        "merge this node's entry under sites/, or correct site and node in node.yaml",
    ),
    HoldReason.IRREVERSIBLE: ("it cannot be undone and failed", "look at it by hand, then release a fix"),
    HoldReason.ADMISSION: (
        "this node's own policy does not allow it",
        "change the deployment, or the policy file that node.yaml names",
    ),
    HoldReason.WINDOW: ("no window for changes is open now", "wait for the next one, or change spec.windows"),
    HoldReason.INTERLOCK: ("the plant does not allow it now", "it is asked again by itself; see spec.interlocks"),
    HoldReason.CLOCK: (
        "this node's clock cannot be trusted, so no window counts as open",
        "set the clock, and start a time service (chrony, timesyncd)",
    ),
    HoldReason.HALTED: ("somebody halted this rollout", "who may, resumes it: edgegitops rollout resume"),
    HoldReason.TOO_MANY_FAILURES: (
        "it failed on more nodes than its waves allow",
        "release a fix, or forgive the failures: edgegitops rollout retry",
    ),
    HoldReason.GATE: ("an earlier wave has not shown yet that it is well", "wait; edgegitops rollout status says who"),
    HoldReason.APPROVAL: ("its wave waits for an approval", "who may, approves it: edgegitops rollout approve"),
    HoldReason.TOO_LITTLE_EVIDENCE: (
        "earlier waves can show too little for it",
        "who may, approves it: edgegitops rollout approve",
    ),
    HoldReason.WAVE_TOO_LARGE: ("its wave has more nodes than it may have", "change the waves, or their max"),
    HoldReason.EXCLUDED: (
        "a rollback or revocation excludes it",
        "release a fix, or end the exclusion: edgegitops rollout retry",
    ),
    HoldReason.EVIDENCE: (
        "this node has not yet read the reports that it needs",
        "it goes on by itself; where it does not: is the place of the reports reachable?",
    ),
    HoldReason.STALE: (
        "the newest freshness statement is too old, so nothing new is opened",
        "is the repository reachable, and does somebody still sign statements (edgegitops trust freshness)?",
    ),
    HoldReason.NO_SPACE: (
        "there is too little room for the copies of volumes",
        "free some space; it goes on by itself",
    ),
    HoldReason.SNAPSHOT_HOOK: (
        "the program that makes a volume ready to be copied did not end well; nothing was stopped",
        "see edgegitops logs, and snapshot.before of the volume; it is tried again by itself",
    ),
    HoldReason.SNAPSHOT_RESTORE: (
        "the data of before the update cannot be put back, and the release before waits for it",
        "free some space, or see what the disk says (dmesg); it is tried again for as long as it takes",
    ),
    HoldReason.NAME_TAKEN: ("something else on this node has its name", "rename or remove that; it is never touched"),
}

# Holds that a clone and the reports are enough to know of; a node that reports one may only not have heard yet.
OF_THE_ROLLOUT = frozenset(
    {
        HoldReason.PAUSED,
        HoldReason.LATCHED,
        HoldReason.HALTED,
        HoldReason.TOO_MANY_FAILURES,
        HoldReason.GATE,
        HoldReason.APPROVAL,
        HoldReason.TOO_LITTLE_EVIDENCE,
        HoldReason.WAVE_TOO_LARGE,
        HoldReason.EXCLUDED,
    }
)

# Why a release failed, was refused or could not be kept.
REFUSALS: Mapping[str, str] = {
    Refusal.ADMISSION_DENIED: "this node's own policy, or that of Podman (policy.json), does not allow it",
    Refusal.NAME_CONFLICT: "something else on this node has its name",
    Refusal.IMAGE_DIGEST_WRONG: "the registry gave another image than the one that was signed",
    Refusal.DIGEST_MISMATCH: "the registry gave other bytes than those that were signed",
    Refusal.ARTIFACT_REFUSED: "an artifact is no tree of files that this version unpacks",
    Refusal.IMAGE_UNKNOWN: "the image is not on this node",
    Refusal.CREATE_FAILED: "Podman could not create a container",
    Refusal.START_FAILED: "Podman could not start a container",
    Refusal.PORT_TAKEN: "a port that it publishes is taken",
    Refusal.ENDED_WHILE_PROVING: "a container ended before the release was proven",
    Refusal.DEADLINE_MISSED: "it was not ready in time",
    Refusal.ATTEMPTS_EXHAUSTED: "the machine or the agent went down while it was starting, too often",
    Refusal.REVERT_ORDERED: "its revert was ordered",
    Refusal.REVERT_FAILED: "the way back to the release before did not work",
    Refusal.NOTHING_TO_REVERT_TO: "there was no release before to go back to",
    Refusal.REGRESSED: "it was proven, and later was not well any more",
    Refusal.UNHEALTHY_TOO_LONG: "it was not ready for too long",
    Refusal.ENDED_TOO_OFTEN: "a container ended too often",
    Refusal.CONTENT_MISSING: "a config file of it is not in the repository",
    Refusal.PROBE_FAILED: "a live probe failed",
    Refusal.VOLUME_TOO_LARGE: "a volume is larger than its snapshot may be",
    Refusal.SNAPSHOT_FAILED: "a volume could not be copied before the update",
    Refusal.JOB_FAILED: "a job of it failed",
}

JOBS: Mapping[str, str] = {
    "onInstall": "at the first installation",
    "beforeSwitch": "before each switch",
    "onUpdate": "after each update",
    "schedule": "by schedule",
}

# What a control tag does now.
FORCES: Mapping[str, str] = {
    "in-force": "in force",
    "ended": "ended by a later tag",
    "expired": "expired",
    "lapsed": "lapsed: a later commit changed what its nodes would run",
    "no-role": "without effect: the key does not hold the role",
    "behind-a-hole-or-in-a-fork": "without effect: the log has a hole or a fork there",
}

# Why a commit is not believed.
DOUBTS: Mapping[str, str] = {
    Doubt.UNSIGNED: "a commit is not signed",
    Doubt.MALFORMED_OBJECT: "it cannot be read",
    Doubt.MALFORMED_SIGNATURE: "a signature cannot be read",
    Doubt.WRONG_NAMESPACE: "a signature was made for another purpose",
    Doubt.ALGORITHM_REFUSED: "a key or signature of a kind that is not taken (DSA, SHA-1, short RSA)",
    Doubt.NO_USER_PRESENCE: "it is signed by a token that asks nobody to touch it",
    Doubt.SIGNATURE_MISMATCH: "a signature does not fit its commit",
    Doubt.KEY_UNKNOWN: "it is signed by a key that the trust root does not name",
    Doubt.KEY_REVOKED: "it is signed by a revoked key",
    Doubt.KEY_EXPIRED: "it is signed by a key whose time is over",
    Doubt.KEY_NOT_YET_VALID: "it is signed by a key whose time has not come; is this node's clock right?",
    Doubt.ROLE_MISSING: "the signer does not hold the role that this change needs",
    Doubt.PATH_DENIED: "the signer may not change these files",
    Doubt.TREE_REFUSED: "a manifest folder has something else in it than plain files",
    Doubt.OBJECT_MISSING: "a part of the history is missing here",
    Doubt.OBJECT_TOO_LARGE: "it is larger than nodes read",
    Doubt.LIMIT_EXCEEDED: "it is more than nodes read",
    Doubt.WORKER_DIED: "the agent's worker died over it twice, so it is passed over",
    Doubt.HISTORY_DIVERGED: "history was rewritten: the newest commit does not follow what was believed before",
    Doubt.CHECKPOINT_MISSING: "the checkpoint of node.yaml is not in the history of the branch",
    Doubt.ROOT_PIN: "the trust root is not the one that this node was enrolled with",
    Doubt.REPOSITORY_MISMATCH: "the trust root belongs to another fleet",
    Doubt.ROOT_MALFORMED: "the trust root cannot be read",
    Doubt.ROOT_VERSION: "the trust root skips a version",
    Doubt.ROOT_EXPIRED: "the trust root's time is over",
    Doubt.STATEMENT_MALFORMED: "the freshness statement cannot be read",
    Doubt.STATEMENT_EARLY: "the freshness statement is from the future; is this node's clock right?",
    Doubt.STATEMENT_ELSEWHERE: "the freshness statement is about another history",
    Doubt.ROOT_THRESHOLD: "too few root keys signed the new trust root",
}


def terminal_width() -> int:
    """The columns of the terminal (or of $COLUMNS); a pipe gets whole lines."""
    return shutil.get_terminal_size((UNBROKEN, 0)).columns


def folded(line: str, width: int, indent: int | None = None) -> list[str]:
    """A line in the width of a terminal; what is left of it stands below, at `indent` or two columns behind its own."""
    own = len(line) - len(line.lstrip()) + 2 if indent is None else indent
    parts = textwrap.wrap(line, max(width, own + 20), subsequent_indent=" " * own, break_on_hyphens=False)
    return parts or [""]


def span(length: timedelta) -> str:
    """The two largest units: `2 h 5 min`; below a second, `0 s`."""
    left = max(0, int(length.total_seconds()))
    parts: list[str] = []
    for unit, size in _UNITS:
        count, rest = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
            left = rest
        elif parts:
            break
        if len(parts) == 2:  # noqa: PLR2004 - two units are enough for people
            break
    return " ".join(parts)


def clock(at: datetime) -> str:
    """`2026-11-20 21:02:11 UTC`."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def until(at: datetime | None, now: datetime) -> str:
    """`until 2026-… UTC (1 h 59 min left)`; empty where there is no end."""
    if at is None:
        return ""
    left = f" ({span(timedelta(seconds=ceil((at - now).total_seconds())))} left)" if at > now else ""
    return f"until {clock(at)}{left}"


def release_words(release: Release | None) -> str:
    """`2.3.1 (vision-qa@1a2b3c4d5e6f)`."""
    if release is None:
        return "nothing"
    return f"{release.version} ({release.short})" if release.version else release.short


def why(reason: str, detail: str = "") -> str:
    """`it was not ready in time (deadline-missed): status 500`; the detail alone where it says the same."""
    words = REFUSALS.get(reason) or DOUBTS.get(reason) or HOLDS.get(reason, ("", ""))[0]
    head = f"{words} ({reason})" if words and reason else reason
    return visible(f"{head}: {detail}" if head and detail else head or detail)


def visible(text: str, *, keep: str = "") -> str:
    """Text from outside without control characters, other than those of `keep`."""
    return "".join(
        one if one.isprintable() or one in keep else one.encode("unicode_escape").decode("ascii") for one in text
    )


def job_words(job: dict[str, Any], now: datetime) -> str:
    """`every 0 3 * * * UTC: succeeded 2 h 5 min ago`; of a job as node_view tells it."""
    last, when = job["last"], JOBS.get(job["runs"], job["runs"])
    told = f"{when} {job['schedule']}" if job["schedule"] else when
    left_out = f"; the newest one was left out: {job['leftOut']}" if job["leftOut"] else ""
    if last is None:
        return visible(f"{told}: has not run{left_out}")
    is_open = last["endedAt"] is None
    at = datetime.fromisoformat(last["beganAt"] if is_open else last["endedAt"])
    since = f"for {span(now - at)}" if is_open else f"{span(now - at)} ago"
    tries = f", try {last['tries']}" if last["tries"] > 1 else ""
    detail = f": {last['detail']}" if last["detail"] else ""
    return visible(f"{told}: {last['result']} {since}{tries}{detail}{left_out}")
