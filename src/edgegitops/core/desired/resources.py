"""Law: limits become plain numbers: bytes, thousandths of a CPU, counts. What is left out is no limit."""

import re
from enum import StrEnum
from typing import Any

from edgegitops.core.desired.reading import Cursor, Keys
from edgegitops.core.model.quantities import parse_cpus, parse_memory
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.spec import Logging, Resources, Ulimit

_MEMORY = (("memory", "memory"), ("memoryReservation", "memory_reservation"), ("memorySwap", "memory_swap"))
_WEIGHTS = (("cpuWeight", "cpu_weight"), ("ioWeight", "io_weight"))
_KEYS = Keys(
    frozenset({*(key for key, _ in (*_MEMORY, *_WEIGHTS)), "cpus", "cpuSet", "pids", "memoryNodes", "hugepages"}),
    frozenset(),
    (("limits", "memory and cpus, without limits around them"), ("cpu", "cpus"), ("cpuset", "cpuSet")),
)
_LIMIT_KEYS = Keys(frozenset({"soft", "hard"}))
_LOGGING_KEYS = Keys(frozenset({"driver", "maxSize", "tag"}))
_ULIMITS = frozenset(
    {"as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss"}
    | {"rtprio", "rttime", "sigpending", "stack"}
)
_CPU_SET = re.compile(r"[0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*\Z")
_PAGE_SIZE = re.compile(r"[0-9]{1,6}[KMG]B\Z")
_TAG = re.compile(r"[^\s{}]{1,255}\Z")
_UNLIMITED = -1
_HEAVIEST = 10_000
_SMALLEST_LOG = 8 * 1024
"""The engine's log writer ends with an error below its own buffer, in bytes."""


class Driver(StrEnum):
    """Where the engine keeps what a container writes."""

    FILE = "k8s-file"
    JOURNAL = "journald"
    NONE = "none"


def read_resources(spot: Cursor) -> Resources:
    """The limits of a container."""
    fields = spot.fields(_KEYS)
    told: dict[str, Any] = {}
    for key, name in _MEMORY:
        if key in fields:
            told[name] = fields[key].quantity(parse_memory, 1)
    if "cpus" in fields:
        told["milli_cpus"] = fields["cpus"].quantity(parse_cpus, 1)
    if "cpuSet" in fields:
        told["cpu_set"] = fields["cpuSet"].expanded(_CPU_SET, "such as 0-2,4")
    if "pids" in fields:
        told["pids"] = fields["pids"].whole(1)
    for key, name in _WEIGHTS:
        if key in fields:
            told[name] = fields[key].whole(1, _HEAVIEST)
    if "memoryNodes" in fields:
        told["memory_nodes"] = fields["memoryNodes"].text(_CPU_SET, "such as 0-1")
    if "hugepages" in fields:
        told["hugepages"] = _hugepages(fields["hugepages"])
    for key in ("memory", "cpus"):
        if key in fields and told[{"memory": "memory", "cpus": "milli_cpus"}[key]] == 0:
            fields[key].note(FaultCode.WRONG_VALUE, "a limit of nothing", "more than 0, or no limit at all")
    swap, memory = told.get("memory_swap"), told.get("memory")
    if swap is not None and (memory is None or swap < memory):
        fields["memorySwap"].note(FaultCode.WRONG_VALUE, "memory and swap together", "at least memory, which is needed")
    return Resources(**told)


def _hugepages(spot: Cursor) -> dict[str, int]:
    for size, entry in spot.entries().items():
        if not _PAGE_SIZE.match(size):
            entry.note(FaultCode.WRONG_FORMAT, f"{size!r} is no size of a page", "such as 2MB or 1GB")
    return {size: entry.quantity(parse_memory, 0) for size, entry in spot.entries().items()}


def read_ulimits(spot: Cursor) -> dict[str, Ulimit]:
    """POSIX limits by name."""
    limits = {}
    for name, entry in spot.entries().items():
        if name not in _ULIMITS:
            entry.note(FaultCode.UNKNOWN_FIELD, f"there is no limit {name!r}", ", ".join(sorted(_ULIMITS)))
        limits[name] = _ulimit(entry)
    return limits


def _ulimit(spot: Cursor) -> Ulimit:
    if not isinstance(spot.tree, dict):
        one = _count(spot)
        return Ulimit(one, one)
    fields = spot.fields(_LIMIT_KEYS)
    if set(fields) != {"soft", "hard"}:
        spot.note(FaultCode.MISSING_FIELD, "a limit has two sides", "soft and hard")
        return Ulimit(0, 0)
    limit = Ulimit(_count(fields["soft"]), _count(fields["hard"]))
    is_upside_down = limit.hard != _UNLIMITED and (limit.soft == _UNLIMITED or limit.soft > limit.hard)
    if is_upside_down:
        spot.note(FaultCode.WRONG_VALUE, "soft is above hard", "soft at most hard")
    return limit


def _count(spot: Cursor) -> int:
    return _UNLIMITED if spot.tree == "unlimited" else spot.whole(_UNLIMITED)


def read_logging(spot: Cursor) -> Logging:
    """The engine's log of a container."""
    fields = spot.fields(_LOGGING_KEYS)
    told: dict[str, Any] = {}
    if "driver" in fields:
        told["driver"] = fields["driver"].choice(Driver, default=Driver.FILE).value
    if "maxSize" in fields:
        told["max_size"] = fields["maxSize"].quantity(parse_memory, _SMALLEST_LOG)
        if told["max_size"] < _SMALLEST_LOG:
            fields["maxSize"].note(FaultCode.WRONG_VALUE, "the log would be too small to write", "8Ki or more")
    if "tag" in fields:
        told["tag"] = fields["tag"].text(_TAG, "a word without braces")
        if told.get("driver") != Driver.JOURNAL:
            fields["tag"].note(FaultCode.WRONG_VALUE, "only the journal has tags", "driver: journald")
    return Logging(**told)
