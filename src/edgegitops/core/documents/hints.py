"""Law: a hint proposes what was most likely meant, in the words of this format; where nothing is likely it is empty.

Pure functions from what was written and what the schema wanted to a sentence. A hint never changes a verdict.
"""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from edgegitops.core.documents.words import FOREIGN_FIELDS, FOREIGN_VALUES, MISPLACED_FIELDS, TRUTH_WORDS
from edgegitops.core.documents.yaml_reader import shown
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.quantities import suggest_cpus, suggest_duration, suggest_memory

TYPE_WORDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a map",
    "array": "a list",
    "null": "null",
}
BOUND_WORDS = {
    "minimum": "must be at least {limit}",
    "maximum": "must be at most {limit}",
    "exclusiveMinimum": "must be more than {limit}",
    "minLength": "must have at least {limit} characters",
    "maxLength": "must have at most {limit} characters",
    "minItems": "must have at least {limit} entries",
    "maxItems": "must have at most {limit} entries",
    "minProperties": "must have at least {limit} entries",
    "maxProperties": "must have at most {limit} entries",
    "uniqueItems": "must not have an entry twice",
}
_SHOWN_WORDS = 12
_CLOSE = 0.6


def listed(words: Sequence[Any]) -> str:
    """Words in a sentence, cut where they are many."""
    texts = [_yaml(word) for word in words[:_SHOWN_WORDS]]
    return ", ".join(texts) + (", ..." if len(words) > _SHOWN_WORDS else "")


def expected_by(schema: Mapping[str, Any]) -> str:
    """What a schema wants, in the words of its description and its first example."""
    description = str(schema.get("description", ""))
    examples = schema.get("examples") or ()
    example = _yaml(examples[0]) if examples else ""
    if len(example) > _LONGEST_EXAMPLE:
        example = ""
    return f"{description}, such as {example}" if description and example else description or example


_LONGEST_EXAMPLE = 60


def kind_of(instance: Tree, source: str | None) -> str:
    """What kind of value stands there, in words."""
    match instance:
        case None:
            return "empty" if not source else "null"
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "a map"


def written(instance: Tree, source: str | None) -> str:
    """A value as it was written, cut to what fits in a sentence."""
    if isinstance(instance, dict | list) or instance is None:
        return kind_of(instance, source)
    return shown(source if source is not None else f'"{instance}"')


def about_field(name: str, known: Sequence[str], *, parent: str) -> str:
    """Which field was meant by an unknown one; `parent` is the field that holds it."""
    if found := MISPLACED_FIELDS.get((parent, name)):
        return found
    plain = {_plain(word): word for word in known}
    if found := plain.get(_plain(name)):
        return found
    foreign = FOREIGN_FIELDS.get(name, "")
    if foreign and (re.split(r"[. :,]", foreign, maxsplit=1)[0] in known or " " in foreign):
        return foreign
    close = get_close_matches(name[:64].lower(), [word.lower() for word in known], n=1, cutoff=_CLOSE)
    return next((word for word in known if close and word.lower() == close[0]), foreign)


def _plain(word: str) -> str:
    return word[:64].lower().replace("_", "").replace("-", "")


def about_value(value: Tree, allowed: Sequence[Any], *, field: str) -> str:
    """Which of the allowed words was meant."""
    if field == "apiVersion":
        hint = "edgegitops/v1"
        return f"{hint}; this is no Kubernetes manifest" if "/" in str(value) and value != hint else hint
    text = str(value)[:64]
    words = [word for word in allowed if isinstance(word, str)]
    foreign = FOREIGN_VALUES.get(text, "")
    if foreign in words:
        return foreign
    plain = {_plain(word): word for word in words}
    close = plain.get(_plain(text)) or next(iter(get_close_matches(text, words, n=1, cutoff=_CLOSE)), "")
    return close or (_yaml(allowed[0]) if len(allowed) == 1 else "")


def about_format(form: str, text: str) -> str:
    """How a text should be written, by the `format` note of its schema."""
    match form:
        case "duration":
            return suggest_duration(text)
        case "memory":
            return suggest_memory(text)
        case "cpus":
            return suggest_cpus(text)
        case "image":
            return _about_image(text)
        case "name":
            name = re.sub(r"[^a-z0-9-]+", "-", text.lower()[:63]).strip("-")
            return name if name != text else ""
        case "percent":
            return f"{text}%" if text.isdecimal() else ""
        case "mode":
            return f'"0{text[2:]}"' if text.startswith("0o") else ""
        case "port":
            return _about_port(text)
        case _:
            return ""


def _about_image(text: str) -> str:
    if "@" not in text:
        return f"{shown(text)}@sha256:<64 hex digits>; `edgegitops image pin` writes the digest"
    if not re.search(r"@sha256:[0-9a-f]{64}\Z", text):
        return "a digest is sha256: and 64 lower-case hex digits"
    return "the name is lower-case, without https:// and without spaces"


def _about_port(text: str) -> str:
    match = re.fullmatch(r"(?:(?P<ip>[0-9.]+):)?(?P<host>\d+):(?P<inside>\d+)(?:/(?P<protocol>\w+))?", text)
    if match is None:
        return ""
    parts = [f"container: {match['inside']}", f"host: {match['host']}"]
    parts += [f"hostIP: {match['ip']}"] if match["ip"] else []
    parts += [f"protocol: {match['protocol']}"] if match["protocol"] else []
    return "{" + ", ".join(parts) + "}"


def about_type(
    instance: Tree,
    wanted: Sequence[str],
    *,
    source: str | None,
    schema: Mapping[str, Any],
    path: Sequence[str | int],
) -> str:
    """How a value of the wrong kind should be written; `wanted` are the JSON types that would do."""
    if instance is None:
        return _for_null(wanted) if not source else "remove the field"
    field = next((str(step) for step in reversed(path) if isinstance(step, str)), "")
    if isinstance(instance, list) and "object" in wanted and "string" not in wanted:
        return _map_for_list(field, instance)
    if isinstance(instance, str) and ("object" in wanted or "array" in wanted):
        return _structure_for_text(field, instance, wanted)
    if isinstance(instance, str):
        return _scalar_for_text(instance, wanted)
    if isinstance(instance, dict):
        return "a list: begin each entry with -" if tuple(wanted) == ("array",) else ""
    return _text_for_scalar(instance, wanted, source, schema)


def _for_null(wanted: Sequence[str]) -> str:
    if "object" in wanted and "string" not in wanted:
        return "{} for an empty map"
    if "array" in wanted and "string" not in wanted:
        return "[] for an empty list"
    return 'write a value after the colon, "" for an empty text'


def _text_for_scalar(instance: Tree, wanted: Sequence[str], source: str | None, schema: Mapping[str, Any]) -> str:
    if "string" in wanted:
        text = source if source is not None else _yaml(instance)
        form = str(schema.get("format", ""))
        if form == "mode":
            return f'"0{text.removeprefix("0o").removeprefix("0")}"'
        return about_format(form, text) or f'quote it: "{shown(text)}"'
    return ""


def _scalar_for_text(text: str, wanted: Sequence[str]) -> str:
    word = text.strip().lower()[:64]
    if "boolean" in wanted:
        return TRUTH_WORDS.get(word, word if word in {"true", "false"} else "")
    if "integer" in wanted or "number" in wanted:
        if re.fullmatch(r"0[0-9]+", word):
            return f"{int(word)}; a number has no leading zero"
        if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", word):
            return f"{word} without quotes" if len(word) < _EXACT_DIGITS else "a smaller number"
    return ""


_EXACT_DIGITS = 16


def _map_for_list(field: str, entries: Sequence[Tree]) -> str:
    first = entries[0] if entries else ""
    name = str(first.get("name", "<name>")) if isinstance(first, dict) else str(first)
    if field in {"env", "labels", "annotations", "sysctls", "extraHosts"} and isinstance(first, str):
        key, _, value = name.partition(":" if field == "extraHosts" else "=")
        return f'a map by name: {{{shown(key)}: "{shown(value)}"}}'
    if field == "dependsOn":
        return f"a map by name: {{{shown(name)}: ready}}"
    if field == "mounts" and isinstance(first, str):
        return f"a map by target path: {_mount(first)}"
    if field == "networks":
        return f"a map by name: {{{shown(name)}: {{}}}}"
    return f"a map by name: {{{shown(name)}: ...}}" if field else "a map"


def _mount(text: str) -> str:
    source, _, rest = text[:200].partition(":")
    target, _, options = rest.partition(":")
    what = "hostPath" if source.startswith(("/", ".", "~")) else "volume"
    read_only = ", readOnly: true" if "ro" in options.split(",") else ""
    return f"{{{shown(target or source)}: {{{what}: {shown(source)}{read_only}}}}}"


def _structure_for_text(field: str, text: str, wanted: Sequence[str]) -> str:
    if field == "ports":
        return _about_port(text) or (f"{{container: {text}}}" if text.isdecimal() else "{container: <port>}")
    if field.startswith("/"):
        return _mount(f"{text}:{field}")
    if field == "env" and "=" in text:
        return _map_for_list(field, [text])
    if tuple(wanted) == ("array",) and text:
        return "[" + ", ".join(_quoted(word) for word in text[:200].split()) + "]"
    return ""


def _quoted(word: str) -> str:
    return word if re.fullmatch(r"[A-Za-z./_-][A-Za-z0-9./_-]*", word) else f'"{word}"'


def _yaml(value: Any) -> str:  # noqa: ANN401 - an example is any JSON
    """A value in one line of YAML, for people."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(_yaml(item) for item in value) + "]"
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case _:
            return str(value)
