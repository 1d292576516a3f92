"""Law: a selector means what the same Kubernetes label selector means, in its fields and in its string form.

All requirements must hold. An absent key satisfies NotIn and DoesNotExist and nothing else. Gt and Lt compare whole
numbers; a tag that is none never matches. Keys and values follow the Kubernetes label grammars. Two differences, both
towards safety: an empty selector does not exist, and everything is said by `all: true`, which is `*` as a string.
Tags come from Git only: the site's, overlaid by the node's, and then `site` and `node`, which nobody can overlay.
"""

import re
from collections.abc import Mapping

from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import NodeEntry, Site
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.selector import Requirement, Selector

EVERYTHING = "*"
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_PREFIX = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*/"
_KEY = re.compile(rf"(?:{_PREFIX})?{_NAME}\Z")
_VALUE = re.compile(rf"(?:{_NAME})?\Z")
_NUMBER = re.compile(r"-?[0-9]{1,18}\Z")
_SET = re.compile(r"(?P<key>[^\s,()=!<>]+)\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)\Z")
_PAIR = re.compile(r"(?P<key>[^\s,()=!<>]+)\s*(?P<operator>==|=|!=|>|<)\s*(?P<value>[^\s,()=!<>]*)\Z")
_BARE = re.compile(r"(?P<absent>!?)\s*(?P<key>[^\s,()=!<>]+)\Z")
_OPERATORS = {"=": "In", "==": "In", "!=": "NotIn", ">": "Gt", "<": "Lt", "in": "In", "notin": "NotIn"}
_FORMS = "key=value, key!=value, key in (a,b), key notin (a,b), key, !key, key>1 or key<9, joined by commas"
_LONGEST_PREFIX = 253


def node_tags(site: Site, node: NodeEntry) -> dict[str, str]:
    """The tags that selectors see on a node of a site."""
    return {**site.tags, **node.tags, "site": site.name, "node": node.name}


def matches(selector: Selector, tags: Mapping[str, str]) -> bool:
    """Whether the selector selects something with these tags. An unknown operator or an empty selector: nothing."""
    if not selector.requirements:
        return selector.is_all
    return all(_holds(requirement, tags.get(requirement.key)) for requirement in selector.requirements)


def _holds(requirement: Requirement, tag: str | None) -> bool:
    match requirement.operator:
        case "In":
            return tag is not None and tag in requirement.values
        case "NotIn":
            return tag is None or tag not in requirement.values
        case "Exists":
            return tag is not None
        case "DoesNotExist":
            return tag is None
        case "Gt" | "Lt":
            return tag is not None and _compares(requirement, tag)
        case _:
            return False


def _compares(requirement: Requirement, tag: str) -> bool:
    limits = requirement.values
    if len(limits) != 1 or not _NUMBER.match(tag) or not _NUMBER.match(limits[0]):
        return False
    return int(tag) > int(limits[0]) if requirement.operator == "Gt" else int(tag) < int(limits[0])


def parse_selector(text: str) -> Selector | Fault:
    """The selector that the string form says; a fault without a file where it says none."""
    if text.strip() == EVERYTHING:
        return Selector(is_all=True)
    if not text.strip():
        return _fault(FaultCode.EMPTY_SELECTOR, "the selector is empty", f"a selector; {EVERYTHING} selects everything")
    requirements = []
    for part in _parts(text):
        parsed = _requirement(part)
        if isinstance(parsed, Fault):
            return parsed
        requirements.append(parsed)
    return Selector(tuple(requirements))


def selector_text(selector: Selector) -> str:
    """The string form; `parse_selector` reads it back to an equal selector."""
    if not selector.requirements:
        return EVERYTHING if selector.is_all else ""
    return ",".join(_requirement_text(requirement) for requirement in selector.requirements)


def _requirement_text(requirement: Requirement) -> str:
    key, values = requirement.key, requirement.values
    match requirement.operator:
        case "Exists":
            return key
        case "DoesNotExist":
            return f"!{key}"
        case "Gt" | "Lt":
            return f"{key}{'>' if requirement.operator == 'Gt' else '<'}{values[0]}"
        case _ if len(values) == 1:
            return f"{key}{'=' if requirement.operator == 'In' else '!='}{values[0]}"
        case _:
            return f"{key} {requirement.operator.lower()} ({','.join(values)})"


def _parts(text: str) -> list[str]:
    """Split at the commas that stand outside of brackets."""
    parts, start, is_inside = [], 0, False
    for at, letter in enumerate(text):
        if letter in "()":
            is_inside = letter == "("
        elif letter == "," and not is_inside:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def _requirement(part: str) -> Requirement | Fault:
    text = part.strip()
    if match := _SET.match(text):
        values = tuple(value.strip() for value in match["values"].split(","))
        return _judged(Requirement(match["key"], _OPERATORS[match["operator"]], values))
    if match := _PAIR.match(text):
        return _judged(Requirement(match["key"], _OPERATORS[match["operator"]], (match["value"],)))
    if match := _BARE.match(text):
        return _judged(Requirement(match["key"], "DoesNotExist" if match["absent"] else "Exists"))
    return _fault(FaultCode.WRONG_FORMAT, f"{text!r} is no selector", _FORMS)


def _judged(requirement: Requirement) -> Requirement | Fault:
    key = requirement.key
    if not _KEY.match(key) or len(key.partition("/")[0]) > _LONGEST_PREFIX:
        return _fault(FaultCode.WRONG_FORMAT, f"{key!r} is no tag name", "letters, digits, '-', '_' and '.'")
    if requirement.operator in {"Gt", "Lt"}:
        if not _NUMBER.match(requirement.values[0]):
            return _fault(FaultCode.WRONG_VALUE, f"{requirement.values[0]!r} is no whole number", f"{key}>1")
        return requirement
    for value in requirement.values:
        if not _VALUE.match(value):
            return _fault(FaultCode.WRONG_FORMAT, f"{value!r} is no tag value", "letters, digits, '-', '_' and '.'")
    return requirement


def _fault(code: FaultCode, message: str, expected: str) -> Fault:
    return Fault(file="", code=code, message=message, expected=expected)
