"""Law: what Podman's lists say, in model words; nothing here asks, everything is a function of an answer.

A list row gives seconds, and year 1 where nothing happened yet. States are folded: what has no process and can be
started is `created`, what had one is `exited`, and what Podman itself is about to remove is `unknown`.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from edgegitops.core.model import naming
from edgegitops.core.model.observed import ContainerSeen, ContainerState

STATES: Mapping[str, ContainerState] = {
    "configured": ContainerState.CREATED,
    "created": ContainerState.CREATED,
    "initialized": ContainerState.CREATED,
    "running": ContainerState.RUNNING,
    "paused": ContainerState.PAUSED,
    "stopping": ContainerState.STOPPING,
    "stopped": ContainerState.EXITED,
    "exited": ContainerState.EXITED,
}

WITH_PROCESS = frozenset({ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.STOPPING})
HOST_ADDRESS = {"host": "127.0.0.1"}


def container_seen(row: Mapping[str, Any]) -> ContainerSeen:
    """One row of the container list, without addresses."""
    state = STATES.get(str(row.get("State", "")).lower(), ContainerState.UNKNOWN)
    has_ended = state is ContainerState.EXITED
    return ContainerSeen(
        name=(row.get("Names") or [""])[0],
        id=row["Id"],
        state=state,
        labels=row.get("Labels") or {},
        image=row.get("Image") or "",
        pid=(row.get("Pid") or None) if state in WITH_PROCESS else None,
        exit_code=row.get("ExitCode") if has_ended else None,
        started_at=_instant(row.get("StartedAt")),
        ended_at=_instant(row.get("ExitedAt")) if has_ended else None,
        networks=tuple(sorted(row.get("Networks") or ())),
    )


def is_ours(labels: Mapping[str, str] | None, fleet: str = "") -> bool:
    """Whether labels say that a thing belongs to this fleet; with no fleet named, to any fleet of ours."""
    owner = (labels or {}).get(naming.LABEL_FLEET, "")
    return owner == fleet if fleet else bool(owner)


def labels_by_name(rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, str]]:
    """Networks or volumes: name -> labels. Their lists spell the keys differently."""
    return {(row.get("name") or row.get("Name") or ""): (row.get("labels") or row.get("Labels") or {}) for row in rows}


def subnets_by_name(rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Networks: name -> the subnets that they take."""
    return {row["name"]: tuple(one["subnet"] for one in row.get("subnets") or () if one.get("subnet")) for row in rows}


def addresses(inspected: Mapping[str, Any]) -> Mapping[str, str]:
    """Network name -> IP address of a container; `host` -> loopback where it uses the host's network."""
    if (inspected.get("HostConfig") or {}).get("NetworkMode") == "host":
        return HOST_ADDRESS
    networks = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    found = {name: place.get("IPAddress") or place.get("GlobalIPv6Address") for name, place in networks.items()}
    return {name: address for name, address in found.items() if address}


def log_text(stream: bytes) -> str:
    """The text of a log answer: frames of an 8-byte head (stream, 0, 0, 0, length) each, or raw from a terminal."""
    if len(stream) < 8 or stream[0] > 2 or stream[1:4] != b"\0\0\0":  # noqa: PLR2004 - the frame's head
        return stream.decode(errors="replace")
    parts = []
    at = 0
    while at + 8 <= len(stream):
        size = int.from_bytes(stream[at + 4 : at + 8], "big")
        parts.append(stream[at + 8 : at + 8 + size])
        at += 8 + size
    return b"".join(parts).decode(errors="replace")


def _instant(seconds: object) -> datetime | None:
    if not isinstance(seconds, int) or seconds <= 0:
        return None
    return datetime.fromtimestamp(seconds, UTC)
