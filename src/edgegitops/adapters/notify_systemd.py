"""Tell systemd how the service is, if systemd asked (sd_notify(3)): one datagram, never an error, no library."""

import os
import socket


def notify(state: str) -> None:
    """Send e.g. `READY=1` to the socket that NOTIFY_SOCKET names; nothing where there is none."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sock:
        try:
            sock.sendto(state.encode(), address)
        except OSError:
            return
