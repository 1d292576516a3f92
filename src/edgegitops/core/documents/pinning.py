"""Law: an image is pinned by writing its digest behind it, and not one other byte of the file changes.

An image stands under `image` of a container, a job, the container defaults, or the same in the patch of an override;
an artifact, which is pinned alike, under `artifact` of a declared one.
One without a digest is not pinned, nor one whose digest is all zeros: that is a place kept for one, and no image has
it. One with a reference (`${…}`) is refused elsewhere and passed over here. Where the text is written over several
lines, so that its end cannot be told from its beginning, a person writes the digest.
What a tag means is asked outside.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgegitops.core.documents.marks import Mark
from edgegitops.core.documents.yaml_reader import Document, read_yaml
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.faults import Fault, Position

_LINES = re.compile(r"(?<=\n)|(?<=\r)(?!\n)")
_BOM = b"\xef\xbb\xbf"
PLACEHOLDER = f"@sha256:{'0' * 64}"


@dataclass(frozen=True, slots=True)
class Unpinned:
    """An image without a digest, where its text begins; `written` is that text, with its zeros if it has them."""

    file: str
    position: Position
    image: str
    written: str = ""


def unpinned_images(data: bytes, file: str) -> tuple[Unpinned, ...] | tuple[Fault, ...]:
    """The images of a manifest that are not pinned, in the order of lines; or why the file cannot be read."""
    document = read_yaml(data, file)
    if not isinstance(document, Document):
        return document
    found = [
        Unpinned(file, mark.position, image.removesuffix(PLACEHOLDER), image)
        for image, mark in _images(document.tree, document.root)
        if "@" not in image.removesuffix(PLACEHOLDER) and "${" not in image
    ]
    return tuple(sorted(found, key=lambda one: (one.position.line, one.position.column)))


def pinned(data: bytes, spots: Sequence[Unpinned], digests: Mapping[str, str]) -> bytes | Unpinned:
    """The file with the digest (`sha256:…`) behind each image, in place of zeros; the first spot whose text cannot be
    found there.
    """
    head, body = (_BOM, data[len(_BOM) :]) if data.startswith(_BOM) else (b"", data)
    lines = _LINES.split(body.decode("utf-8"))
    for spot in sorted(spots, key=lambda one: (one.position.line, one.position.column), reverse=True):
        row, line = spot.position.line - 1, lines[spot.position.line - 1]
        start = spot.position.column - 1
        start += line[start : start + 1] in {'"', "'"}
        written = spot.written or spot.image
        end = start + len(written)
        if line[start:end] != written:
            return spot
        lines[row] = f"{line[:start]}{spot.image}{_tag(spot.image)}@{digests[spot.image]}{line[end:]}"
    return head + "".join(lines).encode()


def _tag(image: str) -> str:
    """The tag that an engine takes where none is written, so that people see what was resolved."""
    return "" if ":" in image.rpartition("/")[2] else ":latest"


def _images(tree: Tree, root: Mark) -> Iterator[tuple[str, Mark]]:
    spec, mark = _below(tree, root, "spec")
    yield from _in_application(spec, mark)
    overrides, rows = _below(spec, mark, "overrides")
    for number, override in enumerate(overrides if isinstance(overrides, list) else ()):
        yield from _in_application(*_below(override, rows.child(number) if rows else None, "patch"))


def _in_application(spec: Tree, mark: Mark | None) -> Iterator[tuple[str, Mark]]:
    yield from _in_container(*_below(spec, mark, "containerDefaults"))
    for group, key in (("containers", "image"), ("jobs", "image"), ("artifacts", "artifact")):
        containers, below = _below(spec, mark, group)
        for name in containers if isinstance(containers, dict) else ():
            yield from _in_container(*_below(containers, below, name), key)


def _in_container(container: Tree, mark: Mark | None, key: str = "image") -> Iterator[tuple[str, Mark]]:
    image, below = _below(container, mark, key)
    if isinstance(image, str) and image and below is not None:
        yield image, below


def _below(tree: Tree, mark: Mark | None, key: str) -> tuple[Tree, Mark | None]:
    return (tree.get(key) if isinstance(tree, dict) else None), (mark.child(key) if mark else None)
