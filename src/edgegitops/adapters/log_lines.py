"""The resident's log: the same JSON lines as log_structlog, from the standard library alone.

structlog and what it imports would more than double the memory of a process that idles for years. One line is one
write; a reader that blocks or went away costs the line, never the loop.
"""

import json as json_format
import os
import select
from datetime import UTC, datetime
from typing import TextIO


class LineLog:
    """Lines to a stream: JSON, or `key=value` words; `least` is `info` or `warning`."""

    def __init__(self, stream: TextIO, json: bool, least: str = "info") -> None:  # noqa: FBT001 - the two forms
        self._file = stream.fileno()
        self._is_json = json
        self._least = least

    def info(self, event: str, **fields: object) -> None:
        """Something happened."""
        if self._least == "info":
            self._write("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Something that a person may want to look at."""
        self._write("warning", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")  # noqa: TID251 - the time of a log line
        row = {"timestamp": at, "level": level, "event": event, **fields}
        if self._is_json:
            text = json_format.dumps(row, default=str)
        else:
            text = " ".join(f"{key}={json_format.dumps(value, default=str)}" for key, value in row.items())
        _, writable, _ = select.select([], [self._file], [], 0)
        if writable:
            try:
                os.write(self._file, text.encode()[: select.PIPE_BUF - 1] + b"\n")  # so much never blocks halfway
            except OSError:
                return
