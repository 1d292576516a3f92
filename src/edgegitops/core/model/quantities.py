"""Law: a quantity has one spelling per unit, and a near miss is refused with the spelling that was meant.

Memory: whole bytes, or a decimal number with Ki Mi Gi Ti (1024) or K M G T (1000). CPUs: a decimal number of CPUs, or
`500m` for thousandths. Durations: a whole number with s, m, h or d. Nothing is guessed: `256mb` is an error that
proposes `256M`. The patterns are for the schemas; the parsers accept exactly what the patterns accept.
"""

import re
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal

DURATION_PATTERN = r"^(0|[1-9][0-9]{0,8})[smhd]$"
MEMORY_PATTERN = r"^(0|[1-9][0-9]{0,17})(\.[0-9]{1,9})?(Ki|Mi|Gi|Ti|K|M|G|T)?$"
CPUS_PATTERN = r"^((0|[1-9][0-9]{0,6})(\.[0-9]{1,3})?|[1-9][0-9]{0,8}m)$"

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {
    "": 1,
    "K": 1000,
    "M": 1000**2,
    "G": 1000**3,
    "T": 1000**4,
    "Ki": 1024,
    "Mi": 1024**2,
    "Gi": 1024**3,
    "Ti": 1024**4,
}
_DURATION_WORDS = {
    "s": "s",
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "m": "m",
    "min": "m",
    "mins": "m",
    "minute": "m",
    "minutes": "m",
    "h": "h",
    "hr": "h",
    "hrs": "h",
    "hour": "h",
    "hours": "h",
    "d": "d",
    "day": "d",
    "days": "d",
}
_MEMORY_WORDS = {"b": "", "bytes": ""} | {
    f"{letter}{rest}": letter.upper() + ("i" if rest.startswith("i") else "")
    for letter in "kmgt"
    for rest in ("", "b", "i", "ib")
}
_DURATION = re.compile(DURATION_PATTERN.replace("$", r"\Z"))
_MEMORY = re.compile(MEMORY_PATTERN.replace("$", r"\Z"))
_CPUS = re.compile(CPUS_PATTERN.replace("$", r"\Z"))
_SPANS = re.compile(r"(\d+)\s*([a-z]+)\s*", re.ASCII)
_NUMBER_AND_WORD = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)\Z", re.ASCII)
_LONGEST_TEXT = 64


def parse_duration(text: str) -> timedelta:
    """`30s`, `5m`, `2h`, `7d`; ValueError says what was expected and, where it can be told, what was meant."""
    if not _DURATION.match(text):
        raise ValueError(_refusal(text, "a duration such as 30s, 5m, 2h or 7d", suggest_duration(text)))
    return timedelta(seconds=int(text[:-1]) * _SECONDS[text[-1]])


def parse_memory(value: str | int) -> int:
    """Bytes of `512Mi`, `1.5Gi`, `200M` or a plain count; ValueError where it is none, or no whole number of bytes."""
    text = str(value)
    match = None if isinstance(value, bool) else _MEMORY.match(text)
    if match is None:
        raise ValueError(_refusal(text, "an amount of memory such as 256Mi, 1Gi or 500M", suggest_memory(text)))
    unit = match.group(3) or ""
    amount = Decimal(text.removesuffix(unit)) * _BYTES[unit]
    if amount != amount.to_integral_value():
        raise ValueError(f"{text!r} is not a whole number of bytes")
    return int(amount)


def parse_cpus(value: str | float) -> int:
    """Thousandths of a CPU of `0.5`, `2` or `500m`; ValueError where it is none, or finer than a thousandth."""
    text = str(value)
    if isinstance(value, bool) or not _CPUS.match(text.removesuffix(".0")):
        raise ValueError(_refusal(text, "a number of CPUs such as 2, 0.5 or 500m", suggest_cpus(text)))
    if text.endswith("m"):
        return int(text[:-1])
    return int((Decimal(text) * 1000).to_integral_value(ROUND_HALF_EVEN))


def suggest_duration(text: str) -> str:
    """What `text` most likely means as a duration (`5min` -> `5m`, `1m30s` -> `90s`), else an empty string."""
    word = text.strip().lower()
    if len(word) > _LONGEST_TEXT:
        return ""
    if re.fullmatch(r"[0-9]{1,9}", word):
        return f"{int(word)}s"
    spans = _SPANS.findall(word)
    if not spans or "".join(_SPANS.split(word)[::3]) or any(unit not in _DURATION_WORDS for _, unit in spans):
        return ""
    if len(spans) == 1:
        return _if_valid(_DURATION, f"{int(spans[0][0])}{_DURATION_WORDS[spans[0][1]]}")
    return _if_valid(_DURATION, f"{sum(int(number) * _SECONDS[_DURATION_WORDS[unit]] for number, unit in spans)}s")


def suggest_memory(text: str) -> str:
    """What `text` most likely means as memory (`256mb` -> `256M`, `1 GiB` -> `1Gi`), else an empty string."""
    match = _NUMBER_AND_WORD.match(text.strip().lower()[:_LONGEST_TEXT])
    if match is None or match.group(2) not in {"", *_MEMORY_WORDS}:
        return ""
    return _if_valid(_MEMORY, match.group(1) + _MEMORY_WORDS.get(match.group(2), ""))


def suggest_cpus(text: str) -> str:
    """What `text` most likely means as CPUs (`50%` -> `500m`, `2 cpus` -> `2`), else an empty string."""
    word = text.strip().lower()[:_LONGEST_TEXT]
    if re.fullmatch(r"[0-9]{1,6}%", word):
        return _if_valid(_CPUS, f"{int(word[:-1]) * 10}m")
    match = _NUMBER_AND_WORD.match(word)
    if match is None or match.group(2) not in {"", "c", "cpu", "cpus", "core", "cores", "m"}:
        return ""
    return _if_valid(_CPUS, match.group(1) + ("m" if match.group(2) == "m" else ""))


def _if_valid(pattern: re.Pattern[str], text: str) -> str:
    return text if pattern.match(text) else ""


def _refusal(text: str, expected: str, suggestion: str) -> str:
    shown = text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."
    return f"{shown!r} is not {expected}" + (f"; did you mean {suggestion}?" if suggestion else "")
