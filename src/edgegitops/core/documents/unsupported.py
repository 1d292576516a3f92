"""Law: a field that this release cannot obey is refused by name, never passed over in silence.

The schemas know the whole format; this table holds what of it is still to come. A row leaves the table in the change
that makes its field work. `*` stands for one step of a path.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edgegitops.core.documents.judge import Page, Path
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.reasons import FaultCode


@dataclass(frozen=True, slots=True)
class Gap:
    """A pattern of paths, what is missing there, and for which values (None: any)."""

    path: tuple[str, ...]
    sentence: str
    applies: Callable[[Tree], bool] | None = None


def _is_other_than(*allowed: Tree) -> Callable[[Tree], bool]:
    return lambda value: value not in allowed


def _rows(prefix: str, rows: dict[str, str]) -> tuple[Gap, ...]:
    return tuple(Gap(tuple(f"{prefix}{path}".split("/")), sentence) for path, sentence in rows.items())


_CONTAINER_ROWS: dict[str, str] = {}
_CONTAINER = _rows("", _CONTAINER_ROWS)
_APPLICATION = (
    *(
        Gap((*prefix, *gap.path), gap.sentence, gap.applies)
        for prefix in (("containerDefaults",), ("containers", "*"), ("jobs", "*"))
        for gap in _CONTAINER
    ),
    Gap(("update", "strategy"), "only recreate is done yet", _is_other_than("recreate")),
)
_BY_KIND: dict[str, tuple[Gap, ...]] = {
    "Application": tuple(Gap(("spec", *gap.path), gap.sentence, gap.applies) for gap in _APPLICATION),
    "Deployment": (
        *(Gap(("spec", "overrides", "*", "patch", *gap.path), gap.sentence, gap.applies) for gap in _APPLICATION),
    ),
    "Site": (),
    "Fleet": (),
    "Policy": (),
}


def unsupported_faults(kind: str, tree: Tree, page: Page) -> Iterator[Fault]:
    """A fault for each field of a judged document that this release does not obey. Nulls (deletions) are no fields."""
    for gap in _BY_KIND.get(kind, ()):
        for path, value in _matches(tree, gap.path):
            if gap.applies is None or gap.applies(value):
                where = next(step for step in reversed(path) if isinstance(step, str))
                message = gap.sentence if where in gap.sentence else f"{where}: {gap.sentence}"
                hint = "leave the field out"
                yield page.key_fault(FaultCode.NOT_SUPPORTED_YET, message, path, suggestion=hint)


def _matches(tree: Tree, pattern: tuple[str, ...]) -> list[tuple[Path, Tree]]:
    found: list[tuple[Path, Tree]] = [((), tree)]
    for step in pattern:
        below: list[tuple[Path, Tree]] = []
        for path, node in found:
            if isinstance(node, dict):
                keys = node if step == "*" else (step,)
                below += [((*path, key), node[key]) for key in keys if node.get(key) is not None]
            elif isinstance(node, list) and step == "*":
                below += [((*path, index), child) for index, child in enumerate(node)]
        found = below
    return found
