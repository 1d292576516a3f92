"""Law: a plain scalar is a number, a truth value or null only where JSON and YAML 1.2 (core schema) both say so.

`no`, `on`, `22:22`, `0644`, `1_000` and dates are texts. So is a number that JSON cannot carry exactly (beyond
2**53 - 1, infinity, NaN): it keeps every digit, and a field that wants a number refuses the text. `1.0` is the
integer 1, as in JSON Schema and RFC 8785.
"""

import re

from edgegitops.core.model.codec import Tree

_NULLS = frozenset({"null", "Null", "NULL", "~", ""})
_TRUES = frozenset({"true", "True", "TRUE"})
_FALSES = frozenset({"false", "False", "FALSE"})
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,15})\Z", re.ASCII)
_OCTAL = re.compile(r"0o[0-7]{1,17}\Z", re.ASCII)
_HEX = re.compile(r"0x[0-9a-fA-F]{1,13}\Z", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?\Z", re.ASCII)
_LARGEST = 2**53 - 1
_LONGEST_NUMBER = 64


def read_plain(text: str) -> Tree:
    """The JSON value of an unquoted scalar."""
    if text in _NULLS:
        return None
    if text in _TRUES:
        return True
    if text in _FALSES:
        return False
    if len(text) > _LONGEST_NUMBER or text[0] not in "+-.0123456789":
        return text
    return _read_number(text)


def _read_number(text: str) -> Tree:
    if _INT.match(text):
        return _exact(int(text), text)
    if _OCTAL.match(text) or _HEX.match(text):
        return _exact(int(text, 0), text)
    if _FLOAT.match(text):
        number = float(text)
        if number.is_integer():
            return _exact(int(number), text)
        return number if abs(number) <= _LARGEST else text
    return text


def _exact(number: int, text: str) -> int | str:
    return number if -_LARGEST <= number <= _LARGEST else text
