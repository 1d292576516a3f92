"""The reader: any bytes give a tree or faults, places are right, scalars are those of YAML 1.2."""

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from edgegitops.core.documents.marks import to_pointer
from edgegitops.core.documents.yaml_reader import MAX_DEPTH, MAX_NODES, MAX_SIZE, Document, read_yaml
from edgegitops.core.model.faults import Fault, Position


def tree_of(text: str):
    found = read_yaml(text.encode(), "f.yaml")
    assert isinstance(found, Document), found
    return found.tree


def codes_of(data: bytes) -> list[str]:
    found = read_yaml(data, "f.yaml")
    assert isinstance(found, tuple), found
    return [str(fault.code) for fault in found]


# --- any bytes ---

# texts made of what YAML is made of reach deeper than random ones
YAMLISH = st.lists(
    st.sampled_from(
        [*"abc 01.~-:?,[]{}#&*!|>'\"%@`\n\t<=", "- ", ": ", "\n  ", "---\n", "...\n", "<<: ", "!!", "é", "😀"]
    ),
    max_size=60,
).map("".join)


@given(st.binary(max_size=400))
@example(b"\xff\xfe\x00")
@example(b"\xef\xbb\xbfa: 1")
@example(b"[" * 5000)
@example(b"{a: " * 5000)
@example(b"- " * 5000)
@example(b"? " * 5000)
@example(b"'" * 1000)
def test_any_bytes_give_a_document_or_faults(data):
    check_any(data)


@given(st.text(max_size=200) | YAMLISH)
def test_any_text_gives_a_document_or_faults(text):
    check_any(text.encode("utf-8", "surrogatepass"))


def check_any(data: bytes) -> None:
    found = read_yaml(data, "f.yaml")
    if isinstance(found, tuple):
        assert found
        assert all(isinstance(fault, Fault) and fault.position and fault.file == "f.yaml" for fault in found)
        return
    for pointer, position in found.positions.items():
        assert found.positions[pointer] == position
        assert position.line >= 1
        assert position.column >= 1


# --- agreement with another reader ---

KEYS = st.text(alphabet="abcdefgh_-/~é", min_size=1, max_size=8)
TEXTS = st.text(
    alphabet=st.characters(
        blacklist_categories=["Cc", "Cs", "Cf", "Zl", "Zp"], blacklist_characters="\ufeff\ufffe\uffff"
    )
)
LEAVES = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS
TREES = st.dictionaries(
    KEYS,
    st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4)),
    max_size=5,
)


@given(TREES, st.sampled_from([True, False, None]))
def test_what_a_writer_of_yaml_writes_is_read_back(tree, style):
    text = yaml.safe_dump(tree, allow_unicode=True, default_flow_style=style)
    if any(mark in text for mark in ("&id", "!!")):
        return
    assert tree_of(text) == tree == yaml.safe_load(text)


@given(TREES)
def test_every_node_has_a_place_under_its_own_pointer(tree):
    document = read_yaml(yaml.safe_dump(tree, allow_unicode=True).encode(), "f.yaml")
    assert isinstance(document, Document)
    stack, seen = [((), tree)], set()
    while stack:
        path, node = stack.pop()
        pointer = to_pointer(path)
        assert pointer in document.positions
        seen.add(pointer)
        below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        stack.extend(((*path, step), child) for step, child in below)
    assert set(document.positions) == seen


# --- scalars ---


@pytest.mark.parametrize(
    "text",
    ["no", "yes", "on", "off", "y", "22:22", "0644", "00", "1_000", "2024-01-01", "12:30:45", "1.2.3", "0b1", "0x",
     "0o8", "1e", ".", "+", "=", "nan", ".nan", ".inf", "-.Inf", "9007199254740992", "-99999999999999999999", "1e400",
     "nullable", "tRUE", "0x20000000000000"],
)  # fmt: skip
def test_scalar_that_json_does_not_carry_stays_a_text(text):
    assert tree_of(f"a: {text}") == {"a": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("False", False), ("null", None), ("~", None), ("", None), ("0", 0), ("-12", -12), ("+3", 3),
     ("0o17", 15), ("0xfF", 255), ("1.5", 1.5), ("-.5", -0.5), ("1.0", 1), ("1e3", 1000), ("2.5e-1", 0.25),
     ("9007199254740991", 9007199254740991)],
)  # fmt: skip
def test_scalars_of_the_core_schema_are_read(text, value):
    found = tree_of(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ['"true"', "'1'", "'~'", '"1.0"', "|-\n  1"])
def test_quoted_scalar_is_a_text_whatever_it_says(text):
    assert isinstance(tree_of(f"a: {text}")["a"], str)


def test_keys_are_texts_as_written():
    assert tree_of("1: a\ntrue: b\n1.10: c\nno: d") == {"1": "a", "true": "b", "1.10": "c", "no": "d"}


# --- places ---


def test_places_count_lines_and_characters_from_one():
    document = read_yaml("é: {ü: 1, 'x/y~': [😀, b]}\n# c\nz:\n  - k: v\n".encode(), "f.yaml")
    assert isinstance(document, Document)
    assert dict(document.positions) == {
        "": Position(1, 1),
        "/é": Position(1, 4),
        "/é/ü": Position(1, 8),
        "/é/x~1y~0": Position(1, 19),
        "/é/x~1y~0/0": Position(1, 20),
        "/é/x~1y~0/1": Position(1, 23),
        "/z": Position(4, 3),
        "/z/0": Position(4, 5),
        "/z/0/k": Position(4, 8),
    }
    assert "/z/1" not in document.positions
    assert "/z/x" not in document.positions
    assert "z" not in document.positions


def test_keys_have_places_of_their_own():
    document = read_yaml(b"a:\n  b: 1\n", "f.yaml")
    assert isinstance(document, Document)
    assert document.root.find(("a", "b")).key == Position(2, 3)
    assert document.root.key is None


def test_windows_line_ends_and_a_leading_byte_order_mark_are_taken():
    document = read_yaml(b"\xef\xbb\xbfa: 1\r\nb: x\r\n", "f.yaml")
    assert isinstance(document, Document)
    assert document.tree == {"a": 1, "b": "x"}
    assert document.positions["/b"] == Position(2, 4)


# --- limits ---


def test_size_is_limited_to_the_byte():
    assert isinstance(read_yaml(b"a: " + b"x" * (MAX_SIZE - 3), "f.yaml"), Document)
    assert codes_of(b"a: " + b"x" * (MAX_SIZE - 2)) == ["too-large"]


def test_depth_is_limited_to_the_level():
    assert isinstance(read_yaml(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, "f.yaml"), Document)
    assert codes_of(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)) == ["too-deep"]


def test_number_of_nodes_is_limited_to_the_node():
    assert isinstance(read_yaml(b"- a\n" * (MAX_NODES - 1), "f.yaml"), Document)
    assert codes_of(b"- a\n" * MAX_NODES) == ["too-large"]


def test_long_keys_over_many_nodes_cost_no_more_than_the_file():
    document = read_yaml(b"? " + b"k" * 500_000 + b"\n: \n" + b"  - \n" * 90_000, "f.yaml")
    assert isinstance(document, Document)
    assert len(document.tree["k" * 500_000]) == 90_000
    assert len(next(iter(document.positions))) == 0


def test_many_faults_of_one_file_are_cut():
    assert len(codes_of(b"- &a 1\n" * 500)) == 100


def test_faults_that_stop_nothing_are_collected():
    assert codes_of(b"a: 1\na: 2\nb: &x !!str 1\n<<: *x\n") == [
        "duplicate-key",
        "yaml-alias",
        "yaml-tag",
        "yaml-merge-key",
        "yaml-alias",
    ]


def test_fault_names_the_pointer_of_what_it_is_about():
    (fault,) = read_yaml(b"spec:\n  list:\n    - x: &a 1\n", "f.yaml")
    assert fault.pointer == "/spec/list/0/x"


@pytest.mark.parametrize("data", ["a: 1".encode("utf-16"), "a: 1".encode("utf-16-le"), "é: 1".encode("latin-1")])
def test_other_encodings_are_refused(data):
    assert codes_of(data)[0] in {"not-utf8", "control-character"}
