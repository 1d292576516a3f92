"""Law: which principals an allowed_signers file names for a key (ssh-keygen(1), ALLOWED SIGNERS).

    principal[,principal…] [option[,option…]] key

1. Lines are asked in their order; the first that is about the key answers. A line with a fault is told and passed over.
2. Principals are patterns with `*` and `?`; `!` before one excludes. Options: cert-authority, namespaces="pattern,…",
   valid-after="time", valid-before="time". Times are YYYYMMDD[HHMM[SS]][Z]; without Z in the local zone.
3. A line with cert-authority is about certificates that its key signed, and only about them; the certificate's own
   principals must match the line's.

The lenient side of the product: people's tools ask it, a node never does.
"""

import base64
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

from edgegitops.core.model.trust import Refused
from edgegitops.core.trust.certificates import Signing, read_signing

Zone: TypeAlias = Callable[[datetime], datetime]
"""Gives a naive local time its zone."""

_BLANK = " \t\r\n"
_TIME = re.compile(r"([0-9]{8})(?:([0-9]{4})([0-9]{2})?)?(Z|UTC)?")
_OPTION = re.compile(r'(cert-authority)|(namespaces|valid-after|valid-before)="((?:[^"\\]|\\.)*)"', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Line:
    """A line: where it stands, whom it names, its key, and its options (instants in seconds since 1970)."""

    number: int
    principals: str
    key: Signing
    is_authority: bool = False
    namespaces: str | None = None
    valid_after: int | None = None
    valid_before: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """Who made a signature: with which key, when (seconds since 1970); empty texts ask for nothing in particular."""

    key: Signing
    at: int
    principal: str = ""
    namespace: str = ""


@dataclass(slots=True)
class Complaints:
    """What was wrong with lines, for stderr."""

    path: str
    told: list[str] = field(default_factory=list)

    def add(self, number: int, words: str) -> None:
        """Tell one more."""
        self.told.append(f"{self.path}:{number}: {words}")


def parse_time(text: str, zone: Zone) -> int | None:
    """Seconds since 1970 of a time as ssh-keygen writes it; None where it is none."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    digits = f"{found[1]}{found[2] or '0000'}{found[3] or '00'}"
    try:
        at = datetime.strptime(digits, "%Y%m%d%H%M%S")  # noqa: DTZ007 - its zone comes next
        return int((at.replace(tzinfo=UTC) if found[4] else zone(at)).timestamp())
    except (ValueError, OverflowError):
        return None


def matches(name: str, patterns: str) -> bool:
    """Whether a comma-separated list of patterns names it; one that excludes it wins."""
    is_named = False
    for entry in patterns.split(","):
        pattern = entry.removeprefix("!")
        words = "".join(".*" if one == "*" else "." if one == "?" else re.escape(one) for one in pattern)
        if re.fullmatch(words, name, re.DOTALL):
            if entry.startswith("!"):
                return False
            is_named = True
    return is_named


def ask(lines: Iterator[Line], question: Question, complaints: Complaints) -> str | None:
    """The principals of the first line that is about this key, separated by commas; None where none is."""
    for line in lines:
        found = _ask_line(line, question, complaints)
        if found is not None:
            return found
    return None


def _ask_line(line: Line, question: Question, complaints: Complaints) -> str | None:
    if question.principal and not matches(question.principal, line.principals):
        return None
    principals = _principals(line, question, complaints)
    if principals is None:
        return None
    if line.namespaces is not None and question.namespace and not matches(question.namespace, line.namespaces):
        words = f'key is not permitted for use in signature namespace "{question.namespace}"'
        complaints.add(line.number, words)
    elif line.valid_after is not None and question.at < line.valid_after:
        complaints.add(line.number, "key is not yet valid")
    elif line.valid_before is not None and question.at > line.valid_before:
        complaints.add(line.number, "key has expired")
    else:
        return principals
    return None


def _principals(line: Line, question: Question, complaints: Complaints) -> str | None:
    """Whom the line names for this key; None where it is not about it."""
    certificate = question.key.certificate
    if not line.is_authority:
        return line.principals if line.key.blob == question.key.blob else None
    if certificate is None or certificate.authority.blob != line.key.key.blob:
        return None
    why = certificate.why_not(question.at)
    if not why and question.principal and question.principal not in certificate.principals:
        why = "Certificate invalid: name is not a listed principal"
    named = [one for one in certificate.principals if matches(one, line.principals)]
    if not why and not named and not question.principal:
        why = "Certificate has no principal that this line names"
    if why:
        complaints.add(line.number, f"certificate not authorized: {why}")
        return None
    return line.principals if question.principal else ",".join(named)


def find_names(text: str, name: str, zone: Zone) -> list[str] | str:
    """The principals of every line that names this identity, in the order of the file (match-principals); what is wrong
    with the first line that names it and is not sound.
    """
    found = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.lstrip(_BLANK)
        if not line or line.startswith("#"):
            continue
        principals, rest = _first_word(line)
        if principals is None or rest is None:
            return f"{number}: invalid line"
        if matches(name, principals):
            read = _read_line(line, number, zone)
            if isinstance(read, str):
                return f"{number}: {read}"
            found.append(principals)
    return found


def read_lines(text: str, zone: Zone, complaints: Complaints) -> Iterator[Line]:
    """The sound lines of a file."""
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.lstrip(_BLANK)
        if not line or line.startswith("#"):
            continue
        read = _read_line(line, number, zone)
        if isinstance(read, Line):
            yield read
        else:
            complaints.add(number, read)


def _read_line(line: str, number: int, zone: Zone) -> Line | str:
    principals, rest = _first_word(line)
    if principals is None or rest is None:
        return "invalid line"
    key = read_key_words(rest)
    options = ""
    if key is None:
        options, rest = _split_options(rest)
        key = read_key_words(rest)
    if key is None:
        return "invalid key"
    fields = _read_options(options, zone)
    if isinstance(fields, str):
        return f"bad options: {fields}"
    return Line(number, principals, key, **fields)  # type: ignore[arg-type]  # the reader of options names them


def _first_word(line: str) -> tuple[str | None, str | None]:
    """A word, that may have a part in double quotes, and what follows it; None, None: a quote without its end."""
    at = next((at for at, one in enumerate(line) if one in _BLANK or one == '"'), None)
    if at is None:
        return line, None
    if line[at] != '"':
        return line[:at], line[at:].lstrip(_BLANK)
    end = line.find('"', at + 1)
    return (None, None) if end < 0 else (line[:at] + line[at + 1 : end], line[end + 1 :].lstrip(_BLANK))


def read_key_words(text: str) -> Signing | None:
    """The key at the beginning of `type base64 [comment]`."""
    words: Sequence[str] = text.split(None, 2)
    if len(words) < 2:  # noqa: PLR2004 - a type and a blob
        return None
    try:
        blob = base64.b64decode(words[1], validate=True)
    except ValueError:
        return None
    found = read_signing(blob)
    return None if isinstance(found, Refused) or found.kind != words[0] else found


def _split_options(text: str) -> tuple[str, str]:
    is_quoted, at = False, 0
    while at < len(text) and (is_quoted or text[at] not in " \t"):
        if text[at] == "\\" and text[at + 1 : at + 2] == '"':
            at += 1
        elif text[at] == '"':
            is_quoted = not is_quoted
        at += 1
    return text[:at], text[at:].lstrip(_BLANK)


def _read_options(text: str, zone: Zone) -> dict[str, object] | str:
    """The fields of a line that its options say, or what is wrong with them."""
    fields: dict[str, object] = {}
    at = 0
    while at < len(text):
        found = _OPTION.match(text, at)
        if found is None:
            return "unknown key option"
        name = (found[1] or found[2]).lower()
        problem = _take_option(name, (found[3] or "").replace('\\"', '"'), fields, zone)
        if problem:
            return problem
        at = found.end()
        if at < len(text) and text[at] != ",":
            return "unknown key option"
        if at < len(text) and at + 1 == len(text):
            return "unexpected end-of-options"
        at += 1
    after, before = fields.get("valid_after"), fields.get("valid_before")
    if isinstance(after, int) and isinstance(before, int) and before <= after:
        return '"valid-after" time must be before "valid-before"'
    return fields


def _take_option(name: str, value: str, fields: dict[str, object], zone: Zone) -> str:
    if name == "cert-authority":
        fields["is_authority"] = True
        return ""
    key = name.replace("-", "_")
    if key in fields:
        return f'multiple "{name}" clauses'
    found: object = value if name == "namespaces" else parse_time(value, zone)
    if found is None or found == 0:
        return f'invalid "{name}" time'
    fields[key] = found
    return ""
