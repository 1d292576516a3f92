"""A notice goes to a URL: one POST of its body, and any 2xx says that it was taken.

The id is sent as Idempotency-Key as well. Redirects are not followed, the answer is not read. The token file is read
each time, so that it can be rotated. One deadline a step of the exchange; it runs beside the loop.
"""

import http.client
import socket
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from edgegitops.errors import UnavailableError

TIMEOUT: Final = 10.0
GOOD_STATUS: Final = range(200, 300)


def post(url: str, notice_id: str, body: bytes, *, token_file: str = "", ca_file: str = "") -> None:
    """Send it once. UnavailableError: nobody took it."""
    parts = urlsplit(url)
    headers = {"Content-Type": "application/json", "Idempotency-Key": notice_id, "Connection": "close"}
    try:
        if token_file:
            headers["Authorization"] = f"Bearer {Path(token_file).read_text('utf-8').strip()}"
        with closing(_connection(parts.scheme, parts.hostname or "", parts.port, ca_file)) as connection:
            target = f"{parts.path or '/'}{'?' * bool(parts.query)}{parts.query}"
            connection.request("POST", target, body, headers)
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        words = "no answer in time" if isinstance(error, socket.timeout) else str(error) or type(error).__name__
        raise UnavailableError("hook", "post", f"{parts.hostname}: {words}") from error
    if status not in GOOD_STATUS:
        raise UnavailableError("hook", "post", f"{parts.hostname} answered {status}")


def _connection(scheme: str, host: str, port: int | None, ca_file: str) -> http.client.HTTPConnection:
    if scheme != "https":
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    import ssl

    context = ssl.create_default_context(cafile=ca_file or None)
    return http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=context)
