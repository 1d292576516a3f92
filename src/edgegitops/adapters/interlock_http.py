"""An interlock that asks a URL: its status, or a field of its JSON answer, within one hard deadline.

Only an answer is an answer: no connection, a redirect, a broken or too long body, or a field that is not there are
unknown. A status that was not asked for is unknown too where a field should be read, else it is a no. Proxies and
certificates of strangers are not used: the node's own certificate store judges https.
"""

import http.client
import json
import socket
import time
from contextlib import closing
from typing import Any, Final
from urllib.parse import urlsplit

from edgegitops.core.model.plant import Answer, Interlock

TIMEOUT: Final = 2.0
BODY_LIMIT: Final = 64 * 1024
GOOD_STATUS: Final = range(200, 300)
_PIECE: Final = 4096


def ask_url(interlock: Interlock, timeout: float = TIMEOUT) -> Answer:
    """Ask `interlock.url` once; `timeout` in seconds holds for the whole of it."""
    ends_at = time.monotonic() + timeout
    try:
        status, body = _get(interlock.url, ends_at)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(None, detail=f"no answer: {_kind(error)}")
    is_good = status in (interlock.status or GOOD_STATUS)
    if not interlock.field:
        return Answer(is_good, detail=f"status {status}")
    if not is_good:
        return Answer(None, detail=f"status {status}")
    return _field(interlock, body)


def _field(interlock: Interlock, body: bytes) -> Answer:
    try:
        found: Any = json.loads(body)
        for part in interlock.field.split("."):
            found = found[part]
    except (ValueError, TypeError, KeyError, RecursionError):
        return Answer(None, detail=f"the answer has no field {interlock.field}")
    if isinstance(found, dict | list) or found is None:
        return Answer(None, detail=f"{interlock.field} is no text, number, true or false")
    text = found if isinstance(found, str) else json.dumps(found)
    is_equal = text == interlock.equals
    return Answer(is_equal, detail=f"{interlock.field} is {'not ' * (not is_equal)}{interlock.equals}")


def _get(url: str, ends_at: float) -> tuple[int, bytes]:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    with closing(kind(parts.hostname or "", parts.port, timeout=_left(ends_at))) as connection:
        target = f"{parts.path or '/'}{'?' * bool(parts.query)}{parts.query}"
        connection.request("GET", target, headers={"User-Agent": "edgegitops-interlock", "Connection": "close"})
        sock = connection.sock
        response = connection.getresponse()
        return response.status, _body(response, sock, ends_at)


def _body(response: http.client.HTTPResponse, sock: socket.socket, ends_at: float) -> bytes:
    body = b""
    while piece := response.read1(_PIECE):
        body += piece
        if len(body) > BODY_LIMIT:
            raise ValueError("the answer is too long")
        if sock.fileno() >= 0:
            sock.settimeout(_left(ends_at))
    return body


def _left(ends_at: float) -> float:
    left = ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _kind(error: Exception) -> str:
    """A wording that stays the same from try to try."""
    return "in time" if isinstance(error, TimeoutError) else getattr(error, "strerror", "") or type(error).__name__


__all__ = ["ask_url"]
