"""Structured lines on a stream: JSON for machines, key=value for people. The one door to structlog.

1. One event, one line: what came from outside cannot begin another line or steer a terminal (control characters,
   bidirectional marks and the like are written as escapes).
2. Logging never fails and never waits: a full or closed stream loses lines, and the next line that fits says how many.
3. structlog and what it loads come with the first line: most workers have nothing to say and should start fast.
4. No line is longer than 4096 bytes (PIPE_BUF), which a writable pipe takes as a whole; long values are cut.
"""

import json as json_format
import select
from collections.abc import Mapping, MutableMapping
from functools import cached_property
from typing import Any, Final, TextIO

LINE: Final = 4096
VALUE: Final = 1000
_FIRST: Final = ("timestamp", "level", "event")
_QUOTED: Final = frozenset(' "=')


class StructlogLog:
    """`ports.Log` on a text stream; `json` asks for JSON lines, else key=value; `least` is `info` or `warning`."""

    def __init__(self, stream: TextIO, json: bool, least: str = "info") -> None:  # noqa: FBT001 - the two forms
        self._least = least
        self._lines = _Lines(stream)
        self._form: _Form = _JsonForm() if json else _PairForm()

    @cached_property
    def _logger(self) -> Any:  # noqa: ANN401 - structlog's own proxy
        import structlog

        processors: list[Any] = [
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            self._lines.count_lost,
            self._form,
        ]
        return structlog.wrap_logger(self._lines, processors=processors, wrapper_class=structlog.BoundLogger)

    def info(self, event: str, **fields: object) -> None:
        """Something happened."""
        if self._least == "info":
            self._logger.info(event, **fields)

    def warning(self, event: str, **fields: object) -> None:
        """Something that a person may want to look at."""
        self._logger.warning(event, **fields)


class _Lines:
    """The stream behind structlog: whole lines, or none."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lost = 0

    def count_lost(self, _logger: object, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Add how many lines found no room since the last that did."""
        if self._lost:
            fields["lost_lines"] = self._lost
        return fields

    def info(self, line: str) -> None:
        """Write one line."""
        try:
            if self._is_writable():
                self._stream.write(f"{line}\n")
                self._stream.flush()
                self._lost = 0
                return
        except (OSError, ValueError):  # ValueError: the stream was closed
            pass
        self._lost += 1

    warning = info

    def _is_writable(self) -> bool:
        try:
            number = self._stream.fileno()
        except OSError:  # a stream in memory
            return True
        poll = select.poll()
        poll.register(number, select.POLLOUT)
        return any(state & select.POLLOUT for _, state in poll.poll(0))


class _Form:
    """The last processor: fields to one line that fits."""

    def __call__(self, _logger: object, _method: str, fields: MutableMapping[str, Any]) -> str:
        ordered = {key: _cut(fields[key]) for key in sorted(fields, key=_place)}
        line = self.write(ordered)
        if len(line) < LINE:
            return line
        return self.write({**{key: ordered[key] for key in _FIRST}, "cut": True})

    def write(self, fields: Mapping[str, Any]) -> str:
        """The fields as ASCII or printable text."""
        raise NotImplementedError


class _JsonForm(_Form):
    def write(self, fields: Mapping[str, Any]) -> str:
        return json_format.dumps(fields, default=str)


class _PairForm(_Form):
    def write(self, fields: Mapping[str, Any]) -> str:
        return " ".join(f"{_printable(key)}={_quoted(value)}" for key, value in fields.items())


def _place(key: str) -> int:
    return _FIRST.index(key) if key in _FIRST else len(_FIRST)


def _cut(value: object) -> object:
    """Plain values as they are, all else as text of bounded length."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else _text(value)
    return text if len(text) <= VALUE else f"{text[:VALUE]}…"


def _text(value: object) -> str:
    if isinstance(value, Mapping | list | tuple):
        return json_format.dumps(value, default=str)
    if isinstance(value, set | frozenset):
        return json_format.dumps(sorted(map(str, value)))
    return str(value)


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else json_format.dumps(value)
    if text and not _QUOTED & set(text):
        return _printable(text)
    return '"' + _printable(text).replace('"', '\\"') + '"'


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
