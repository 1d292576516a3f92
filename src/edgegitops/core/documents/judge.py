"""Law: every error of a schema becomes one fault, at the place that a person has to change, and noise becomes none.

A choice (`oneOf`) is answered with the errors of the branch that was meant: the one whose kind of value stands there
and that fits best. A word that is wrong stands at its key, a missing field at the thing that lacks it. What to say
about a value is `hints`; which words of other tools we know is `words`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from jsonschema.exceptions import ValidationError

from edgegitops.core.documents.hints import (
    BOUND_WORDS,
    TYPE_WORDS,
    about_field,
    about_format,
    about_type,
    about_value,
    expected_by,
    kind_of,
    listed,
    written,
)
from edgegitops.core.documents.marks import Mark, to_pointer
from edgegitops.core.documents.validators import Validators, required_choice, schema_problem, value_problems
from edgegitops.core.documents.yaml_reader import MAX_FAULTS, shown
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.faults import Fault, Position
from edgegitops.core.model.reasons import FaultCode

Path = tuple[str | int, ...]
_BEGINNING = Position(1, 1)
_CHOICES = ("oneOf", "anyOf")
_SHAPES = ("type", "const", "enum")


@dataclass(frozen=True, slots=True)
class Page:
    """Where a tree stands: its file, the marks of the whole file (None: no places are known), the path inside it."""

    file: str
    root: Mark | None = None
    path: Path = ()

    def fault(
        self, code: FaultCode, message: str, below: Path = (), *, expected: str = "", suggestion: str = ""
    ) -> Fault:
        """A fault at the value at `below`."""
        return self._fault(code, message, below, expected=expected, suggestion=suggestion)

    def key_fault(
        self, code: FaultCode, message: str, below: Path = (), *, expected: str = "", suggestion: str = ""
    ) -> Fault:
        """A fault at the key whose value is at `below`."""
        found = self._fault(code, message, below, expected=expected, suggestion=suggestion)
        mark = self.root.nearest((*self.path, *below)) if self.root else None
        return replace(found, position=mark.key) if mark and mark.key else found

    def _fault(self, code: FaultCode, message: str, below: Path, *, expected: str, suggestion: str) -> Fault:
        path = (*self.path, *below)
        pointer = to_pointer([step[:_LONGEST_STEP] if isinstance(step, str) else step for step in path])
        position = self.root.nearest(path).position if self.root else None
        return Fault(self.file, code, message, position, pointer, expected=expected, suggestion=suggestion)


_LONGEST_STEP = 256


def judge(validators: Validators, kind: str, tree: Tree, page: Page) -> tuple[Fault, ...]:
    """All faults of a tree by the schema of `kind`, in the order of lines; at most MAX_FAULTS and one that counts the
    rest.
    """
    faults: list[Fault] = []
    for error in validators.errors(kind, tree):
        for leaf, path in _leaves(error, ()):
            faults.extend(_tell(_Case(page, leaf, path)))
    unique = sorted(dict.fromkeys(faults), key=in_order)
    if len(unique) > MAX_FAULTS:
        rest = len(unique) - MAX_FAULTS
        last = unique[MAX_FAULTS - 1]
        more = replace(last, message=f"… and {rest} more faults that are not shown", expected="", suggestion="")
        return (*unique[:MAX_FAULTS], more)
    return tuple(unique)


def in_order(fault: Fault) -> tuple[str, int, int, str, str]:
    """The order in which people read faults: file, line, column."""
    position = fault.position or _BEGINNING
    return (fault.file, position.line, position.column, fault.pointer, fault.message)


def _leaves(error: ValidationError, above: Path) -> Iterator[tuple[ValidationError, Path]]:
    """The errors that say something, each with its whole path."""
    path: Path = (*above, *error.relative_path)
    if error.validator not in _CHOICES or not error.context or required_choice(error.validator_value):
        yield error, path
        return
    branch = _meant(error)
    if branch is None:
        yield error, path
        return
    for inner in branch:
        yield from _leaves(inner, path)


def _meant(error: ValidationError) -> list[ValidationError] | None:
    """The errors of the branch that was meant, None where the value has the shape of no branch."""
    branches: dict[object, list[ValidationError]] = {}
    for inner in error.context or ():
        branches.setdefault(inner.schema_path[0], []).append(inner)
    fitting = [branch for branch in branches.values() if not any(_is_shape(inner) for inner in branch)]
    return min(fitting, key=_badness) if fitting else None


def _badness(branch: Sequence[ValidationError]) -> tuple[int, int, int]:
    """Fewest things wrong right here first; then most unknown fields that look like fields of the branch."""
    here, near = 0, 0
    for error in branch:
        if not error.relative_path:
            unknown = _unknown(error) if error.validator == "additionalProperties" else []
            here += len(unknown) or 1
            near += sum(bool(get_close_matches(key, _schema(error).get("properties", {}), n=1)) for key in unknown[:9])
    return here, -near, len(branch)


def _is_shape(error: ValidationError) -> bool:
    return error.validator in _SHAPES and not error.relative_path


def _unknown(error: ValidationError) -> list[str]:
    instance, schema = _instance(error), _schema(error)
    return [key for key in instance if key not in schema.get("properties", {})] if isinstance(instance, dict) else []


def _instance(error: ValidationError) -> Any:  # noqa: ANN401 - a document is any JSON
    return error.instance


def _schema(error: ValidationError) -> dict[str, Any]:
    schema: Any = error.schema
    return schema if isinstance(schema, dict) else {}


@dataclass(frozen=True, slots=True)
class _Case:
    """One error with all that is needed to tell it: where it is, what stands there, what the schema wanted."""

    page: Page
    error: ValidationError
    path: Path

    @property
    def schema(self) -> dict[str, Any]:
        return _schema(self.error)

    @property
    def instance(self) -> Any:  # noqa: ANN401 - a document is any JSON
        return _instance(self.error)

    @property
    def rule(self) -> Any:  # noqa: ANN401 - a schema is any JSON
        """The value of the keyword that was broken."""
        return self.error.validator_value

    @property
    def source(self) -> str | None:
        root = self.page.root
        mark = root.find((*self.page.path, *self.path)) if root else None
        return mark.source if mark else None

    @property
    def field(self) -> str:
        """The name of what is spoken of, for sentences."""
        path = (*self.page.path, *self.path)
        if not path:
            return "the document"
        if isinstance(path[-1], int) and len(path) > 1:
            return f"{shown(str(path[-2]))}[{path[-1]}]"
        return shown(str(path[-1]))

    @property
    def parent(self) -> str:
        """The field that holds the fields of this object: its own name, or that of the map that it is an entry of."""
        names = [step for step in (*self.page.path, *self.path) if isinstance(step, str)]
        if len(names) >= _DEPTH_OF_ENTRY and names[-2] in _MAPS:
            return names[-2]
        return names[-1] if names else ""

    def fault(
        self, code: FaultCode, message: str, *, expected: str = "", suggestion: str = "", key: str | None = None
    ) -> Fault:
        """A fault at this value, or at the key `key` inside it."""
        if key is not None:
            return self.page.key_fault(code, message, (*self.path, key), expected=expected, suggestion=suggestion)
        tell = self.page.key_fault if code is FaultCode.MISSING_FIELD else self.page.fault
        return tell(code, message, self.path, expected=expected, suggestion=suggestion)


def _tell(case: _Case) -> Iterator[Fault]:
    error = case.error
    if "propertyNames" in error.absolute_schema_path:
        yield _bad_key(case)
        return
    match error.validator:
        case "additionalProperties":
            yield from _unknown_fields(case)
        case "required":
            yield _missing(case)
        case "type":
            yield _wrong_type(case)
        case "const" | "enum":
            yield _wrong_word(case)
        case "oneOf" | "anyOf":
            # a value that is no map is told by the `type` beside this choice
            if isinstance(case.instance, dict) or required_choice(case.rule) is None:
                yield _wrong_choice(case)
        case "pattern":
            yield _wrong_format(case)
        case _:
            yield _out_of_bounds(case)


def _unknown_fields(case: _Case) -> Iterator[Fault]:
    known = sorted(case.schema.get("properties", {}))
    for number, key in enumerate(_unknown(case.error)):
        # nobody reads more hints than faults are shown, and each costs a comparison with all known words
        suggestion = about_field(key, known, parent=case.parent) if number < MAX_FAULTS else ""
        expected = f"one of {listed(known)}"
        message = f"{case.field} has no field {shown(key)}" if case.parent else f"there is no field {shown(key)} here"
        yield case.fault(FaultCode.UNKNOWN_FIELD, message, expected=expected, suggestion=suggestion, key=key)


_MAPS = frozenset({"nodes", "containers", "jobs", "networks", "volumes", "configs", "mounts"})
_DEPTH_OF_ENTRY = 2


def _bad_key(case: _Case) -> Fault:
    key = str(case.instance)
    suggestion = about_format(case.schema.get("format", ""), key)
    message = f"{shown(key)!r} cannot be a key of {case.field}"
    return case.fault(
        FaultCode.WRONG_FORMAT, message, expected=expected_by(case.schema), suggestion=suggestion, key=key
    )


def _missing(case: _Case) -> Fault:
    instance, wanted = case.instance, case.rule
    missing = [name for name in wanted if name not in instance]
    # one error a missing field, all with the same list: the message of the library names the field first
    name = next((name for name in missing if case.error.message.startswith(repr(name))), "".join(missing[:1]))
    what = case.schema.get("properties", {}).get(name, {})
    example = expected_by(what)
    message = f"{case.field} lacks the field {name}" if case.parent else f"the field {name} is missing"
    near = about_field(name, [key for key in instance if isinstance(key, str)], parent="")
    suggestion = f"add {name}" + (f"; is {near} meant to be it?" if near in instance else "")
    return case.fault(FaultCode.MISSING_FIELD, message, expected=example, suggestion=suggestion)


def _wrong_type(case: _Case) -> Fault:
    types = case.rule
    wanted = (types,) if isinstance(types, str) else tuple(types)
    found = kind_of(case.instance, case.source)
    message = f"{case.field} is {found}, not {' or '.join(TYPE_WORDS[name] for name in wanted)}"
    suggestion = about_type(case.instance, wanted, source=case.source, schema=case.schema, path=case.path)
    return case.fault(FaultCode.WRONG_TYPE, message, expected=expected_by(case.schema), suggestion=suggestion)


def _wrong_word(case: _Case) -> Fault:
    value = case.rule
    allowed = [value] if case.error.validator == "const" else list(value)
    suggestion = about_value(case.instance, allowed, field=case.field)
    message = f"{case.field} cannot be {written(case.instance, case.source)}"
    return case.fault(FaultCode.WRONG_VALUE, message, expected=f"one of {listed(allowed)}", suggestion=suggestion)


def _wrong_choice(case: _Case) -> Fault:
    names = required_choice(case.rule)
    if names is not None:
        there = [name for name in names if name in case.instance]
        problem = f"has {listed(there)} at once" if there else f"has none of {listed(names)}"
        code = FaultCode.WRONG_VALUE if there else FaultCode.MISSING_FIELD
        return case.fault(code, f"{case.field} {problem}", expected=f"exactly one of {listed(names)}")
    shapes = [inner for inner in case.error.context or () if _is_shape(inner)]
    words = [word for inner in shapes if inner.validator != "type" for word in _listed(inner.validator_value)]
    types = [name for inner in shapes if inner.validator == "type" for name in _listed(inner.validator_value)]
    suggestion = about_value(case.instance, words, field=case.field) if isinstance(case.instance, str) and words else ""
    if not suggestion:
        suggestion = about_type(case.instance, types, source=case.source, schema=case.schema, path=case.path)
    message = f"{case.field} cannot be {written(case.instance, case.source)}"
    return case.fault(FaultCode.WRONG_TYPE, message, expected=expected_by(case.schema), suggestion=suggestion)


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 - a schema is any JSON
    return value if isinstance(value, list) else [value]


def _wrong_format(case: _Case) -> Fault:
    text = str(case.instance)
    form = str(case.schema.get("format", ""))
    code = FaultCode.IMAGE_NOT_PINNED if form == "image" and "@" not in text else FaultCode.WRONG_FORMAT
    if code is FaultCode.IMAGE_NOT_PINNED:
        message = f"{case.field} {shown(text)!r} is not pinned by a digest"
    else:
        message = f"{case.field} {shown(text)!r} does not have the form that it needs"
    suggestion = about_format(form, text)
    return case.fault(code, message, expected=expected_by(case.schema), suggestion=suggestion)


def _out_of_bounds(case: _Case) -> Fault:
    limit = case.rule
    bound = BOUND_WORDS.get(str(case.error.validator), f"against the rule {case.error.validator} {limit}")
    message = f"{case.field} {bound.format(limit=limit)}"
    return case.fault(FaultCode.WRONG_VALUE, message, expected=expected_by(case.schema))


def value_judge(schema: Tree, value: Tree) -> tuple[str, ...]:
    """What is wrong with a value by the JSON Schema that its application declares; empty where nothing is.

    Never raises: a schema that cannot be used is told as a sentence too.
    """
    problem = schema_problem(schema)
    if problem:
        return (f"its schema is no JSON Schema: {problem}",)
    return tuple(f"{where} {message}".strip() for where, message in value_problems(schema, value))
