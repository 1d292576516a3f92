"""Law: what becomes a text for a program is the text that stands in the file: `1.10` stays `1.10`, `True` stays `True`.

This holds for environment variables, kernel parameters and users, in applications and in patches. A null keeps being a
null, because in a patch it deletes; but a value that is only not written is no deletion, it is a fault.
"""

from collections.abc import Iterator

from edgegitops.core.documents.judge import Page, Path
from edgegitops.core.documents.marks import Mark
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.reasons import FaultCode

_MAPS_OF_TEXT = ("env", "sysctls")


def keep_written(kind: str, tree: Tree, root: Mark) -> None:
    """Put source texts in the place of numbers and truth values where a program will see them; changes `tree`."""
    if kind == "Application":
        _in_application(_at(tree, "spec"), root.find(("spec",)))
    if kind == "Deployment":
        overrides = _at(_at(tree, "spec"), "overrides")
        for number, override in enumerate(overrides if isinstance(overrides, list) else ()):
            _in_application(_at(override, "patch"), root.find(("spec", "overrides", number, "patch")))


def _in_application(spec: Tree, mark: Mark | None) -> None:
    if mark is None:
        return
    defaults = mark.child("containerDefaults")
    if defaults is not None:
        _in_container(_at(spec, "containerDefaults"), defaults)
    for group in ("containers", "jobs"):
        containers, below = _at(spec, group), mark.child(group)
        for name, container in containers.items() if isinstance(containers, dict) and below else ():
            inner = below.child(name) if below else None
            if inner is not None:
                _in_container(container, inner)


def _in_container(container: Tree, mark: Mark) -> None:
    for field in _MAPS_OF_TEXT:
        texts, below = _at(container, field), mark.child(field)
        for name in texts if isinstance(texts, dict) and below else ():
            _keep(texts, name, below)
    if isinstance(container, dict) and "user" in container:
        _keep(container, "user", mark)


def _keep(holder: dict[str, Tree], name: str, mark: Mark | None) -> None:
    value = holder[name]
    inner = mark.child(name) if mark else None
    if inner is not None and inner.source is not None and isinstance(value, bool | int | float):
        holder[name] = inner.source


def _at(tree: Tree, key: str) -> Tree:
    return tree.get(key) if isinstance(tree, dict) else None


def without_nulls(patch: Tree) -> Tree:
    """A patch without its deletions, for a judge that knows no nulls. Lists are left as they are."""
    if not isinstance(patch, dict):
        return patch
    return {key: without_nulls(value) for key, value in patch.items() if value is not None}


def unwritten_faults(patch: Tree, page: Page) -> Iterator[Fault]:
    """A fault for each value of a patch that is only not written."""
    stack: list[tuple[Path, Tree]] = [((), patch)]
    while stack:
        path, node = stack.pop()
        below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        stack.extend(((*path, step), child) for step, child in below)
        mark = page.root.find((*page.path, *path)) if page.root and node is None else None
        if mark is not None and mark.source == "":
            message = f"{path[-1] if path else 'the patch'} has no value"
            hint = 'write null to delete it, "" for an empty text, {} for an empty map'
            yield page.key_fault(FaultCode.WRONG_VALUE, message, path, expected="a value", suggestion=hint)
