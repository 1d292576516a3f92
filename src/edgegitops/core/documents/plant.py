"""Law: windows and interlocks are read where their schema cannot tell everything: schedules, spans, addresses, zones.

Whether a zone is known is not judged here: it depends on the machine. A written `site` and an unwritten zone are both
the site's, which resolution fills in.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta

from edgegitops.core.documents.judge import Page, Path
from edgegitops.core.documents.selectors import read_selector
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import PlantRules, ScopedInterlock, ScopedWindow
from edgegitops.core.model.plant import Interlock, Window, WindowKind
from edgegitops.core.model.quantities import parse_duration
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.schedule import parse_schedule
from edgegitops.core.model.selector import Selector

SITE_ZONE = "site"
PROGRAMS = "/etc/edgegitops/interlocks/"
_SHORTEST, _LONGEST = timedelta(minutes=1), timedelta(days=366)
_LONGEST_AGREEMENT = timedelta(hours=1)
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}\Z")
_PROGRAM = re.compile(rf"{PROGRAMS}[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_URL = re.compile(r"https?://[^\s/?#@]+(?:[/?][^\s#]*)?\Z")


def read_rules(spec: Mapping[str, Tree], file: str) -> PlantRules:
    """The windows and interlocks of a judged spec."""
    return PlantRules(
        tuple(
            ScopedWindow(_read_window(name, tree, file), _scope(tree))
            for name, tree in sorted(spec.get("windows", {}).items())
        ),
        tuple(
            ScopedInterlock(_read_interlock(name, tree, file), _scope(tree))
            for name, tree in sorted(spec.get("interlocks", {}).items())
        ),
    )


def _scope(tree: Mapping[str, Tree]) -> Selector | None:
    return read_selector(tree["for"]) if "for" in tree else None


def _read_window(name: str, tree: Mapping[str, Tree], file: str) -> Window:
    zone = tree.get("timeZone", SITE_ZONE)
    return Window(
        name=name,
        file=file,
        kind=WindowKind(tree["kind"]),
        schedule=tree["schedule"],
        duration=parse_duration(tree["duration"]),
        zone="" if zone == SITE_ZONE else zone,
    )


def _read_interlock(name: str, tree: Mapping[str, Tree], file: str) -> Interlock:
    http, watched = tree.get("http", {}), tree.get("file", {})
    return Interlock(
        name=name,
        file=file,
        url=http.get("url", ""),
        status=tuple(http.get("status", ())),
        field=http.get("field", ""),
        equals=_text(http.get("equals", "")),
        path=watched.get("path", ""),
        exists=watched.get("exists", True),
        fresher_than=_span(watched, "fresherThan"),
        exec=tuple(tree.get("exec", ())),
        for_at_least=_span(tree, "for-at-least") or timedelta(),
        max_defer=_span(tree, "maxDefer"),
        forces=tree.get("onMaxDefer") == "force-in-window",
    )


def _text(scalar: Tree) -> str:
    """A scalar as people read it: texts without quotes, true and false in small letters."""
    return scalar if isinstance(scalar, str) else json.dumps(scalar)


def _span(tree: Mapping[str, Tree], key: str) -> timedelta | None:
    return parse_duration(tree[key]) if key in tree else None


def rule_faults(spec: Mapping[str, Tree], page: Page) -> Iterator[Fault]:
    """Faults of windows and interlocks that their schema cannot tell; what it refuses is passed over."""
    for name, tree in _named(spec, "windows"):
        yield from _window_faults(tree, ("spec", "windows", name), page)
    for name, tree in _named(spec, "interlocks"):
        yield from _interlock_faults(tree, ("spec", "interlocks", name), page)


def _named(spec: Mapping[str, Tree], key: str) -> list[tuple[str, Mapping[str, Tree]]]:
    found = spec.get(key)
    return [(name, tree) for name, tree in found.items() if isinstance(tree, dict)] if isinstance(found, dict) else []


def _window_faults(tree: Mapping[str, Tree], path: Path, page: Page) -> Iterator[Fault]:
    schedule, zone = tree.get("schedule"), tree.get("timeZone", SITE_ZONE)
    if isinstance(schedule, str):
        try:
            parse_schedule(schedule)
        except ValueError as refusal:
            hint = "0 2 * * * is every night at two"
            yield page.fault(FaultCode.WRONG_FORMAT, str(refusal), (*path, "schedule"), suggestion=hint)
    yield from _span_faults(tree, (*path, "duration"), page, _SHORTEST, _LONGEST)
    if isinstance(zone, str) and not _ZONE.match(zone):
        yield page.fault(
            FaultCode.WRONG_FORMAT, f"{zone[:64]!r} is no time zone", (*path, "timeZone"), expected="Europe/Stockholm"
        )


def _interlock_faults(tree: Mapping[str, Tree], path: Path, page: Page) -> Iterator[Fault]:
    yield from _span_faults(tree, (*path, "for-at-least"), page, timedelta(), _LONGEST_AGREEMENT)
    if tree.get("onMaxDefer") == "force-in-window" and "maxDefer" not in tree:
        message = "nothing is ever forced without maxDefer"
        yield page.key_fault(FaultCode.MISSING_FIELD, message, (*path, "onMaxDefer"), expected="maxDefer: 8h")
    http, watched, argv = tree.get("http"), tree.get("file"), tree.get("exec")
    if isinstance(http, dict):
        url = http.get("url")
        if isinstance(url, str) and not _URL.match(url):
            message = f"{url[:64]!r} is no address that can be asked"
            expected = "http://10.1.2.3/state, without user, password and fragment"
            yield page.fault(FaultCode.WRONG_FORMAT, message, (*path, "http", "url"), expected=expected)
        if ("field" in http) != ("equals" in http):
            message = "field and equals belong together: what to read, and what it must be"
            yield page.key_fault(FaultCode.MISSING_FIELD, message, (*path, "http"), expected="both, or only a status")
    if isinstance(watched, dict) and watched.get("exists") is False and "fresherThan" in watched:
        message = "a file that must not exist cannot be fresh"
        yield page.key_fault(FaultCode.WRONG_VALUE, message, (*path, "file", "fresherThan"), suggestion="leave it out")
    if isinstance(argv, list) and argv and isinstance(argv[0], str) and not _PROGRAM.match(argv[0]):
        message = f"{argv[0][:64]!r} is none of the programs that a node offers"
        yield page.fault(FaultCode.WRONG_VALUE, message, (*path, "exec", 0), expected=f"{PROGRAMS}<name>")


def _span_faults(
    tree: Mapping[str, Tree], path: Path, page: Page, shortest: timedelta, longest: timedelta
) -> Iterator[Fault]:
    text = tree.get(str(path[-1]))
    try:
        span = parse_duration(text) if isinstance(text, str) else shortest
    except ValueError:
        return
    if not shortest <= span <= longest:
        expected = f"{shortest.total_seconds() / 60:g} to {longest.total_seconds() / 60:g} minutes"
        yield page.fault(FaultCode.WRONG_VALUE, f"{text} is out of range", path, expected=expected)
