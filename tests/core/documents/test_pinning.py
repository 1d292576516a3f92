"""Pinning inserts a digest behind an image and changes nothing else, wherever and however the image is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegitops.core.documents.pinning import Unpinned, pinned, unpinned_images
from edgegitops.core.documents.yaml_reader import Document, read_yaml
from edgegitops.core.model.faults import Fault, Position

DIGEST = f"sha256:{'d' * 64}"
APP = """# kept
kind: Application
spec:
  containerDefaults: {image: "r.example/base:1"}   # and kept
  containers:
    a:
      image: r.example:5000/a:1.0   # why this one
      env: {image: not-an-image}
    b: {image: 'r.example/b'}
    c:
      image: r.example/c:1@sha256:0000
    d: {image: "r.example/${values.x}:1"}
  jobs:
    j: {image: r.example/j:2}
"""
PATCH = """kind: Deployment
spec:
  overrides:
  - selector: {all: true}
    patch: {containers: {a: {image: r.example/a:2}, b: null}}
"""


def spots(text: str) -> tuple[Unpinned, ...]:
    found = unpinned_images(text.encode(), "f.yaml")
    assert all(isinstance(one, Unpinned) for one in found)
    return found


def test_images_are_found_where_containers_are_and_nowhere_else() -> None:
    found = [(one.image, one.position) for one in spots(APP)]
    assert found == [
        ("r.example/base:1", Position(4, 30)),
        ("r.example:5000/a:1.0", Position(7, 14)),
        ("r.example/b", Position(9, 16)),
        ("r.example/j:2", Position(14, 16)),
    ]
    assert [one.image for one in spots(PATCH)] == ["r.example/a:2"]


def test_a_tag_that_is_not_written_is_the_one_that_engines_take() -> None:
    text = "spec: {containers: {a: {image: 'r.example:5000/b'}}}\n"
    done = pinned(text.encode(), spots(text), {"r.example:5000/b": DIGEST})
    assert done == f"spec: {{containers: {{a: {{image: 'r.example:5000/b:latest@{DIGEST}'}}}}}}\n".encode()


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_a_byte_order_mark_are_kept(ends: str, mark: bytes) -> None:
    data = mark + APP.replace("\n", ends).encode()
    found = unpinned_images(data, "f.yaml")
    done = pinned(data, found, dict.fromkeys([one.image for one in found], DIGEST))
    assert isinstance(done, bytes)
    assert done.replace(f"@{DIGEST}".encode(), b"").replace(b"b:latest", b"b") == data
    assert done.count(DIGEST.encode()) == 4


def test_a_text_over_several_lines_is_left_to_a_person() -> None:
    text = "spec:\n  containers:\n    a:\n      image: >-\n        r.example/a:1\n"
    (spot,) = spots(text)
    assert pinned(text.encode(), [spot], {"r.example/a:1": DIGEST}) == spot


def test_a_file_that_cannot_be_read_is_told() -> None:
    found = unpinned_images(b"a: [", "f.yaml")
    assert found
    assert isinstance(found[0], Fault)


NAMES = st.from_regex(r"[a-z][a-z0-9]{0,5}(:[0-9]{1,4})?/[a-z]{1,6}:[0-9]{1,3}", fullmatch=True)
STYLES = st.sampled_from(["{}", '"{}"', "'{}'", "{}   # ärger @ home", '"{}" # x'])


@given(st.lists(st.tuples(NAMES, STYLES), min_size=1, max_size=6), st.booleans())
def test_only_digests_are_added_and_the_file_reads_as_before(rows: list[tuple[str, str]], has_comments: bool) -> None:
    lines = ["spec:", "  containers:"]
    for number, (name, style) in enumerate(rows):
        lines += ["    # über"] * has_comments + [f"    c{number}:", f"      image: {style.format(name)}"]
    text = "\n".join(lines) + "\n"
    done = pinned(text.encode(), spots(text), {name: DIGEST for name, _ in rows})
    assert isinstance(done, bytes)
    assert done.decode().replace(f"@{DIGEST}", "") == text
    read = read_yaml(done, "f.yaml")
    assert isinstance(read, Document)
    images = [one["image"] for one in read.tree["spec"]["containers"].values()]
    assert images == [f"{name}@{DIGEST}" for name, _ in rows]
    assert unpinned_images(done, "f.yaml") == ()


def test_digest_of_zeros_is_a_placeholder_and_is_replaced() -> None:
    """Red where a digest of zeros counts as one."""
    zeros, real = f"@sha256:{'0' * 64}", f"sha256:{'5' * 64}"
    text = f"kind: Application\nspec:\n  containers:\n    web: {{image: 'reg.example/web:1{zeros}'}} # ours\n"
    (spot,) = unpinned_images(text.encode(), "app.yaml")
    assert isinstance(spot, Unpinned)
    assert spot.image == "reg.example/web:1"
    new = pinned(text.encode(), [spot], {"reg.example/web:1": real})
    assert new == text.replace(zeros, f"@{real}").encode()
