"""Law: a selector says something, or it is a fault: emptiness never means everything by accident."""

from collections.abc import Iterator, Mapping

from edgegitops.core.documents.judge import Page, Path
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.selector import Requirement, Selector

_FIELDS = frozenset({"selector", "for"})
_WAYS = frozenset({"matchTags", "matchExpressions"})


def read_selector(tree: Mapping[str, Tree]) -> Selector:
    """The selector that a judged tree says; requirements in the order of keys, then as written."""
    requirements = []
    for key, wanted in sorted(tree.get("matchTags", {}).items()):
        values = tuple(wanted) if isinstance(wanted, list) else (wanted,)
        requirements.append(Requirement(key, "In", values))
    requirements += [
        Requirement(entry["key"], entry["operator"], tuple(entry.get("values", ())))
        for entry in tree.get("matchExpressions", ())
    ]
    return Selector(tuple(requirements), is_all=tree.get("all") is True)


def selector_faults(tree: Tree, page: Page) -> Iterator[Fault]:
    """Faults of every selector of a judged document that its schema cannot tell."""
    for path, selector in _selectors(tree):
        has_requirements = bool(selector.get("matchTags") or selector.get("matchExpressions"))
        if not has_requirements and not set(selector) - _WAYS:
            message = "the selector is empty"
            hint = "write all: true if every node is meant"
            yield page.key_fault(FaultCode.EMPTY_SELECTOR, message, path, expected="a requirement", suggestion=hint)
        elif has_requirements and "all" in selector:
            message = "all: true stands beside requirements"
            yield page.key_fault(FaultCode.WRONG_VALUE, message, (*path, "all"), suggestion="keep one of them")


def _selectors(tree: Tree) -> Iterator[tuple[Path, Mapping[str, Tree]]]:
    """Every selector below, but none inside values and patches, whose fields are the application's."""
    stack: list[tuple[Path, Tree]] = [((), tree)]
    while stack:
        path, node = stack.pop()
        below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for step, child in below:
            if step in _FIELDS and isinstance(child, dict):
                yield (*path, step), child
            elif step not in {"values", "patch"}:
                stack.append(((*path, step), child))
