"""One look at a container, with one hard deadline over connecting, asking and answering. Standard library only.

True: it answers as its probe says. False: it refuses, is silent for too long, or answers wrongly. None: the looking
itself failed (no file descriptor left, no route because this host has no network, the engine did not run the command),
which says nothing of the container.

Redirects are an answer, not a road: they are judged by their status. Certificates are not judged, as in Kubernetes: a
container is asked at its address, which no certificate names. With `tlsVerify` they are, by the node's own authorities
and for the `Host` header's name, else for the address. gRPC is spoken by whoever is handed in (probe_grpc).
"""

import errno
import io
import socket
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from edgegitops.core.model.spec import Probe
from edgegitops.errors import OutsideError

if TYPE_CHECKING:
    from http.client import HTTPResponse

GrpcProbe: TypeAlias = Callable[[socket.socket, str, float], bool]
ExecProbe: TypeAlias = Callable[[str, Sequence[str], timedelta], bool]

BODY_LIMIT: Final = 64 * 1024
GOOD_STATUS: Final = range(200, 400)
OURS: Final = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EADDRNOTAVAIL,
        errno.EACCES,
        errno.EPERM,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EAFNOSUPPORT,
    }
)


class _TimedSocket(io.RawIOBase):
    """A socket for http.client whose every read and write ends at one instant."""

    def __init__(self, sock: socket.socket, ends_at: float) -> None:
        super().__init__()
        self._sock = sock
        self._ends_at = ends_at

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._sock.settimeout(_left(self._ends_at))
        return self._sock.recv_into(buffer)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(_left(self._ends_at))
        self._sock.sendall(data)

    def close(self) -> None:
        """The response still reads after http.client has closed its side; the prober closes the socket."""


class NetworkProber:
    """Prober over the network; commands are run by `exec_probe(container, argv, timeout)`, gRPC services are asked by
    `grpc_probe(connected socket, service, instant on the monotonic clock at which it ends)`.
    """

    def __init__(self, exec_probe: ExecProbe, grpc_probe: GrpcProbe) -> None:
        self._exec_probe = exec_probe
        self._grpc_probe = grpc_probe

    def ask(self, probe: Probe, container: str, address: str) -> bool | None:
        """One look at the container (engine id) at an IP address, within the probe's timeout."""
        try:
            if probe.exec:
                return self._exec_probe(container, probe.exec, probe.timeout)
            ends_at = time.monotonic() + probe.timeout.total_seconds()
            if probe.tcp_port is not None:
                _connect(address, probe.tcp_port, ends_at).close()
                return True
            if probe.grpc_port is not None:
                with _connect(address, probe.grpc_port, ends_at) as sock:
                    return self._grpc_probe(sock, probe.grpc_service, ends_at)
            return _ask_http(probe, address, ends_at)
        except OutsideError:
            return None
        except ValueError:
            return False
        except OSError as error:
            return None if _is_ours(error) else False


def _is_ours(error: OSError) -> bool:
    """Errors of TLS have numbers of their own that look like EPERM; a text that is no IP address is nobody's answer."""
    if isinstance(error, socket.gaierror):
        return True
    return error.errno in OURS and type(error).__module__ != "ssl"


def _ask_http(probe: Probe, address: str, ends_at: float) -> bool:
    """False too where the answer is not HTTP. The library comes with the first such probe: it is a third of all that
    the resident needs.
    """
    import http.client

    port = probe.http_port or 0
    sock = _connect(address, port, ends_at)
    try:
        sock = _secured(sock, probe, address, ends_at) if probe.http_scheme == "https" else sock
        connection = http.client.HTTPConnection(address, port)
        connection.sock = _TimedSocket(sock, ends_at)
        headers = {"User-Agent": "edgegitops-probe", "Connection": "close"} | dict(probe.http_headers)
        connection.request("GET", probe.http_path, headers=headers)
        response = connection.getresponse()
        if response.status not in (probe.http_status or GOOD_STATUS):
            return False
        if not probe.http_body_contains:
            return True
        return probe.http_body_contains.encode() in _body(response)
    except http.client.HTTPException:
        return False
    finally:
        sock.close()


def _body(response: "HTTPResponse") -> bytes:
    """The first 64 KiB of the body; what came where it breaks off."""
    from http.client import IncompleteRead

    try:
        return response.read(BODY_LIMIT)
    except IncompleteRead as error:
        return error.partial


def _secured(sock: socket.socket, probe: Probe, address: str, ends_at: float) -> socket.socket:
    import ssl

    name = None
    if probe.http_tls_verify:
        context = ssl.create_default_context()
        hosts = (value for key, value in probe.http_headers.items() if key.lower() == "host")
        name = next(hosts, "").partition(":")[0] or address
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    sock.settimeout(_left(ends_at))
    return context.wrap_socket(sock, server_hostname=name)


def _connect(address: str, port: int, ends_at: float) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        socket.inet_pton(family, address)
    except (OSError, ValueError) as error:  # connect() would take "" for this host, and look other texts up
        raise socket.gaierror(socket.EAI_NONAME, f"{address!r} is no IP address") from error
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(_left(ends_at))
        sock.connect((address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def _left(ends_at: float) -> float:
    left = ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


__all__ = ["NetworkProber"]
