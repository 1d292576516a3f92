"""Law: bytes become a JSON tree, or faults, and never anything else; what is dangerous is refused before it is built.

In order: size; UTF-8; control and direction characters; then the events of libyaml, one at a time: no second
document, no alias, anchor, tag or merge key, no duplicate, empty or collection key, bounded depth and number of nodes.
The tree is built without recursion. All faults that do not stop the reading are collected.

The one door to PyYAML; of it only the event parser is used, because its constructors crash on deep nesting and run
resolvers of YAML 1.1. Meaning is left to `judge`, places in the repository to `snapshot`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from edgegitops.core.documents.marks import Mark, Positions, to_pointer
from edgegitops.core.documents.scalars import read_plain
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.faults import Fault, Position
from edgegitops.core.model.reasons import FaultCode
from edgegitops.errors import BrokenInvariantError

if not yaml.__with_libyaml__:
    raise BrokenInvariantError("PyYAML was installed without libyaml; install a build with it (python3-yaml has it)")

MAX_SIZE = 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 100_000
MAX_FAULTS = 100

# C0 without tab, LF, CR; DEL; C1; line and paragraph separators (they move line numbers); byte order marks inside;
# bidirectional controls (they make a reviewer see another text than the parser); non-characters.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A file as read: the JSON tree, and where each of its nodes stands."""

    file: str
    tree: Tree
    root: Mark

    @property
    def positions(self) -> Positions:
        """JSON pointer -> position."""
        return Positions(self.root)


def read_yaml(data: bytes, file: str) -> Document | tuple[Fault, ...]:
    """The document in `data`, or every fault found, in order of lines. Never raises, whatever the bytes are."""
    text = _decode(data, file)
    if isinstance(text, Fault):
        return (text,)
    if match := _FORBIDDEN.search(text):
        return (_forbidden(text, match.start(), file),)
    builder = _Builder(file)
    try:
        for event in _events(text):
            builder.take(event)
    except _StopReading:
        pass
    except yaml.YAMLError as error:
        builder.faults.append(_syntax_fault(error, file))
    except (ValueError, RecursionError, UnicodeError) as error:
        builder.faults.append(Fault(file, FaultCode.YAML_SYNTAX, f"this is no YAML: {error}", Position(1, 1)))
    if builder.faults:
        return tuple(builder.faults)
    if builder.root is None:
        return (Fault(file, FaultCode.YAML_SYNTAX, "the file is empty", Position(1, 1), expected="one document"),)
    return Document(file, builder.tree, builder.root)


def _decode(data: bytes, file: str) -> str | Fault:
    if len(data) > MAX_SIZE:
        message = f"the file has {len(data)} bytes; a manifest may have {MAX_SIZE}"
        hint = "move large contents into config files beside app.yaml, or into an artifact"
        return Fault(file, FaultCode.TOO_LARGE, message, Position(1, 1), suggestion=hint)
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        position = Position(before.count(b"\n") + 1, column)
        return Fault(
            file, FaultCode.NOT_UTF8, f"byte 0x{data[error.start]:02x} is not UTF-8", position, expected="UTF-8"
        )


def _forbidden(text: str, at: int, file: str) -> Fault:
    line = text.count("\n", 0, at) + 1
    position = Position(line, at - text.rfind("\n", 0, at))
    hint = 'remove it; in a double-quoted text write "\\t" or "\\n" for a tab or a new line'
    message = f"the character U+{ord(text[at]):04X} is not allowed in a manifest"
    return Fault(file, FaultCode.CONTROL_CHARACTER, message, position, suggestion=hint)


def _events(text: str) -> Iterator[yaml.Event]:
    parsed: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.CSafeLoader)
    return parsed


def _syntax_fault(error: yaml.YAMLError, file: str) -> Fault:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    position = Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)
    words = [str(getattr(error, name, None) or "") for name in ("context", "problem")]
    problem = ", ".join(word for word in words if word) or "this is no YAML"
    hint = ""
    if "cannot start any token" in problem:
        hint = "indent with spaces, and quote a text that begins with @, `, % or a tab"
    elif "mapping values are not allowed" in problem:
        hint = "quote a text that contains ': ', and check the indentation"
    return Fault(file, FaultCode.YAML_SYNTAX, problem, position, suggestion=hint)


class _StopReading(Exception):  # noqa: N818 - leaves a loop, no error
    """Reading on would only cost time or repeat the fault."""


class _Frame:
    """An open collection: its value, its mark, and the key that waits for its value."""

    __slots__ = ("key", "key_position", "mark", "step", "value")

    def __init__(self, value: Tree, mark: Mark, step: str | int | None) -> None:
        self.value = value
        self.mark = mark
        self.step = step
        self.key: str | None = None
        self.key_position: Position | None = None


class _Builder:
    """Takes events and keeps the tree under construction; nothing here calls itself."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.tree: Tree = None
        self.root: Mark | None = None
        self.faults: list[Fault] = []
        self.stack: list[_Frame] = []
        self.nodes = 0
        self.documents = 0

    def take(self, event: yaml.Event) -> None:
        """One event; raises _StopReading where nothing after it can be read with sense."""
        if isinstance(event, yaml.ScalarEvent):
            self._take_scalar(event)
        elif isinstance(event, yaml.MappingStartEvent):
            self._open(event, {})
        elif isinstance(event, yaml.SequenceStartEvent):
            self._open(event, [])
        elif isinstance(event, yaml.CollectionEndEvent):
            self.stack.pop()
        elif isinstance(event, yaml.AliasEvent):
            self._refuse(FaultCode.YAML_ALIAS, event, "aliases are not allowed", "write the value out")
            self._place(None, Mark(_position(event)), event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._start_document(event)

    def _start_document(self, event: yaml.DocumentStartEvent) -> None:
        self.documents += 1
        if event.tags or event.version:
            self._refuse(FaultCode.YAML_TAG, event, "directives (%YAML, %TAG) are not allowed", "remove the line")
        if self.documents > 1:
            self._refuse(
                FaultCode.YAML_SECOND_DOCUMENT, event, "a second document begins here", "one document a file: split it"
            )
            raise _StopReading

    def _take_scalar(self, event: yaml.ScalarEvent) -> None:
        position = _position(event)
        self._check_node(event)
        is_plain = not event.style  # libyaml says "" where PyYAML says None
        text: str = event.value
        if not is_plain and (match := _FORBIDDEN.search(text)):
            message = f"the text holds the character U+{ord(match.group()):04X}"
            self._refuse(FaultCode.CONTROL_CHARACTER, event, message, "keep binary contents in a config file")
        frame = self.stack[-1] if self.stack else None
        if frame is not None and isinstance(frame.value, dict) and frame.key is None:
            self._take_key(frame, event, position)
            return
        self._place(read_plain(text) if is_plain else text, Mark(position, None, text if is_plain else None), event)

    def _take_key(self, frame: _Frame, event: yaml.ScalarEvent, position: Position) -> None:
        key: str = event.value
        if not event.style and key == "<<":
            self._refuse(FaultCode.YAML_MERGE_KEY, event, "merge keys are not allowed", "write the fields out")
        elif not key:
            self._refuse(FaultCode.YAML_SYNTAX, event, "a key is empty", "name the field")
        elif key in frame.value:
            first = frame.mark.child(key)
            line = (first.key or first.position).line if first else position.line
            self._refuse(FaultCode.DUPLICATE_KEY, event, f"{shown(key)} stands twice here, first at line {line}", "")
        frame.key = key
        frame.key_position = position

    def _open(self, event: yaml.CollectionStartEvent, value: Tree) -> None:
        self._check_node(event)
        if len(self.stack) >= MAX_DEPTH:
            self._refuse(FaultCode.TOO_DEEP, event, f"more than {MAX_DEPTH} levels are nested", "")
            raise _StopReading
        frame = self.stack[-1] if self.stack else None
        if frame is not None and isinstance(frame.value, dict) and frame.key is None:
            hint = "quote a text that begins with { or [, such as a template"
            self._refuse(FaultCode.YAML_SYNTAX, event, "a map or list stands where a key must be", hint)
            raise _StopReading
        mark = Mark(_position(event))
        mark.children = {} if isinstance(value, dict) else []
        step = self._place(value, mark, event)
        self.stack.append(_Frame(value, mark, step))

    def _place(self, value: Tree, mark: Mark, event: yaml.Event) -> str | int | None:
        """Put a finished or opened node where it belongs; answers its key or index."""
        if not self.stack:
            if self.root is None:
                self.tree, self.root = value, mark
            return None
        frame = self.stack[-1]
        children = frame.mark.children
        if isinstance(children, list):
            frame.value.append(value)
            children.append(mark)
            return len(children) - 1
        if frame.key is None or children is None:
            self._refuse(FaultCode.YAML_SYNTAX, event, "a key must be a text", "")
            raise _StopReading
        key, mark.key = frame.key, frame.key_position
        frame.key = None
        if key not in frame.value:
            frame.value[key] = value
            children[key] = mark
        return key

    def _check_node(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self._refuse(FaultCode.TOO_LARGE, event, f"the file has more than {MAX_NODES} values", "split it")
            raise _StopReading
        if event.anchor is not None:
            self._refuse(FaultCode.YAML_ALIAS, event, "anchors are not allowed", f"remove &{shown(event.anchor)}")
        if event.tag is not None:
            hint = "remove it; quote the value where it must stay a text"
            self._refuse(FaultCode.YAML_TAG, event, f"the tag {shown(event.tag)} is not allowed", hint)

    def _refuse(self, code: FaultCode, event: yaml.Event, message: str, suggestion: str) -> None:
        path: list[str | int] = [frame.step for frame in self.stack if frame.step is not None]
        if self.stack and self.stack[-1].key is not None:
            path.append(self.stack[-1].key)
        pointer = to_pointer([_cut(step) for step in path])
        self.faults.append(Fault(self.file, code, message, _position(event), pointer, suggestion=suggestion))
        if len(self.faults) >= MAX_FAULTS:
            raise _StopReading


def _cut(step: str | int) -> str | int:
    return step[:256] if isinstance(step, str) else step


def shown(text: str, most: int = 60) -> str:
    """A text from a file, cut to what fits in a sentence."""
    return text if len(text) <= most else f"{text[:most]}..."


def _position(event: yaml.Event) -> Position:
    mark = event.start_mark
    return Position(1, 1) if mark is None else Position(mark.line + 1, mark.column + 1)
