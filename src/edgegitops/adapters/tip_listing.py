"""One question to a Git server, asked by the small resident process: where the branch and the control tags are.

Standard library only.

1. Protocol v2 `ls-refs` with ref-prefixes, so that the answer is as small for 10^5 refs as for one. Over HTTP the
   advertisement is left out: one POST. A server that does not speak v2 is asked for its v0 advertisement.
2. Everything is counted: the wall time of the whole exchange, and the bytes. Answers are pkt-lines, read strictly.
3. A redirect is not followed. Files are read, ssh is left to `git ls-remote`.

The answer is a hint: nobody believes it, it only decides whether a fetch is worth its cost. The time of a name lookup
is that of the system's resolver, so this is called beside the loop, not in it.
Protocol: git's gitprotocol-v2(5), gitprotocol-pack(5), gitprotocol-http(5).
"""

import base64
import io
import os
import re
import socket
import subprocess
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, unquote, urlsplit

from edgegitops.core.model.view import CONTROL_TAGS, MOST_CONTROL_TAGS, view_of
from edgegitops.errors import UnavailableError

if TYPE_CHECKING:
    from http.client import HTTPResponse

ANSWER_LIMIT: Final = 8 * 1024 * 1024
OID: Final = re.compile(r"[0-9a-f]{40}")
OK: Final = 200
FLUSH: Final = b"0000"
DELIMITER: Final = b"0001"
SYMBOLIC_DEPTH: Final = 5
PROXY_HEAD: Final = 8192
UNSPOKEN: Final = frozenset({400, 405, 406, 411, 415, 500, 501})
V2_HEADERS: Final = {
    "Git-Protocol": "version=2",
    "Content-Type": "application/x-git-upload-pack-request",
    "Accept": "application/x-git-upload-pack-result",
}
STATUS_WORDS: Final = {
    401: "the server did not accept the credentials (401); check the token file that node.yaml names",
    403: "the server forbids this repository (403); ask its owner",
    404: "there is no repository at this address (404); check the URL",
    429: "the server asks to slow down (429)",
}


class _NotSpokenError(Exception):
    """The server does not speak protocol v2; ask in v0."""


class _TimedSocket(io.RawIOBase):
    """A socket to read from whose every read ends at one instant, and whose bytes are limited."""

    def __init__(self, sock: socket.socket, ends_at: float) -> None:
        super().__init__()
        self._sock = sock
        self._ends_at = ends_at
        self._left = ANSWER_LIMIT

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._sock.settimeout(_left(self._ends_at))
        count = self._sock.recv_into(buffer)
        self._left -= count
        if self._left < 0:
            raise OSError(f"more than {ANSWER_LIMIT} bytes")
        return count

    # What http.client asks of a socket.
    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(_left(self._ends_at))
        self._sock.sendall(data)

    def close(self) -> None:
        """The response still reads after http.client has closed its side; `_hang_up` closes the socket."""


def list_tip(  # noqa: PLR0913 - one keyword for each kind of proof
    url: str,
    branch: str,
    *,
    timeout: timedelta,
    ca_file: str | None = None,
    login: tuple[str, str] | None = None,
    ssh: tuple[str, str] = ("", ""),
    proxy: str = "",
) -> str | None:
    """What a remote shows (`core.model.view`); None where there is no such branch. `login` is user and password,
    `ssh` the files of the key and of the known hosts, empty for OpenSSH's own. `proxy` is `http://host:port`, for
    https alone.

    UnavailableError(port="repository", action="list") with reason `fetch-failed` or `credential-denied` otherwise.
    """
    ends_at = time.monotonic() + timeout.total_seconds()
    ref = f"refs/heads/{branch}"
    parts = urlsplit(url)
    try:
        if parts.scheme in {"http", "https"}:
            return _Http(parts, ends_at, ca_file, login=login, proxy=proxy).tip(ref)
        if parts.scheme == "git":
            return _over_git(parts, ref, ends_at)
        if parts.scheme == "file" or url.startswith("/"):
            return _from_disk(Path(unquote(parts.path) if parts.scheme else url), ref)
        return _over_ssh(url, ref, timeout, ssh)
    except TimeoutError as error:
        raise _failed(url, f"no whole answer within {timeout.total_seconds():g} s") from error
    except (OSError, ValueError) as error:
        raise _failed(url, _words(error)) from error


class _Http:
    """Smart HTTP: ls-refs in one POST, or the v0 advertisement."""

    def __init__(
        self, parts: SplitResult, ends_at: float, ca_file: str | None, *, login: tuple[str, str] | None, proxy: str
    ) -> None:
        self._parts = parts
        self._proxy = urlsplit(proxy) if proxy else None
        self._ends_at = ends_at
        self._ca_file = ca_file
        self._login = login

    def tip(self, ref: str) -> str | None:
        try:
            with closing(self._ask("POST", "/git-upload-pack", _ls_refs(ref), V2_HEADERS)) as lines:
                return _pick(lines, ref)
        except (_NotSpokenError, ValueError):
            with closing(self._ask("GET", "/info/refs?service=git-upload-pack", None, {})) as lines:
                return _pick(_advertised(lines), ref)

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Generator[bytes, None, None]:
        """The pkt-lines of the answer. UnavailableError by status; ValueError where it is not Git. The library comes
        with the first such remote: it brings TLS, and is a third of all that the resident needs.
        """
        import http.client

        host = self._parts.hostname or ""
        port = self._parts.port or (443 if self._parts.scheme == "https" else 80)
        sock = self._secured(self._reach(host, port), host)
        try:
            connection = http.client.HTTPConnection(host, port)
            connection.sock = _TimedSocket(sock, self._ends_at)
            connection.request(method, self._parts.path.rstrip("/") + path, body, {**headers, **self._authorization()})
            response = connection.getresponse()
            self._judge(response, is_v2=method == "POST")
            yield from _pkt_lines(response)
        except http.client.HTTPException as error:
            raise OSError(f"the answer is not HTTP ({type(error).__name__})") from error
        finally:
            sock.close()

    def _reach(self, host: str, port: int) -> socket.socket:
        """A connection to the server; through a proxy it is a tunnel (RFC 9110, 9.3.6)."""
        if self._proxy is None or self._parts.scheme == "http":
            return _connect(host, port, self._ends_at)
        sock = _connect(self._proxy.hostname or "", self._proxy.port or 80, self._ends_at)
        try:
            _tunnel(_TimedSocket(sock, self._ends_at), host, port)
        except BaseException:
            sock.close()
            raise
        return sock

    def _secured(self, sock: socket.socket, host: str) -> socket.socket:
        if self._parts.scheme == "http":
            return sock
        import ssl

        try:
            sock.settimeout(_left(self._ends_at))
            return ssl.create_default_context(cafile=self._ca_file or None).wrap_socket(sock, server_hostname=host)
        except BaseException:
            sock.close()
            raise

    def _authorization(self) -> dict[str, str]:
        if self._login is None:
            return {}
        word = base64.b64encode(":".join(self._login).encode()).decode()
        return {"Authorization": f"Basic {word}"}

    def _judge(self, response: "HTTPResponse", *, is_v2: bool) -> None:
        """Let only Git's own answers through."""
        status = response.status
        url = self._parts.geturl()
        if status in {401, 403}:
            raise _failed(url, STATUS_WORDS[status], "credential-denied")
        if is_v2 and status in UNSPOKEN:
            raise _NotSpokenError
        if 300 <= status < 400:  # noqa: PLR2004 - the class of redirects
            where = response.getheader("Location", "")[:200]
            raise _failed(url, f"the server redirects to {where!r}; put the final address into node.yaml")
        if status != OK:
            raise _failed(url, STATUS_WORDS.get(status, f"the server failed (HTTP {status})"))
        kind = response.getheader("Content-Type", "")
        if not kind.startswith("application/x-git-upload-pack-"):
            raise ValueError(f"the answer is not Git but {kind[:60]!r} (a proxy or a login page?)")


def _tunnel(stream: _TimedSocket, host: str, port: int) -> None:
    """Ask a proxy for a way to the server. OSError: it said no."""
    stream.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode("ascii"))
    said = b""
    while not said.endswith(b"\r\n\r\n") and len(said) < PROXY_HEAD:
        said += stream.read(1) or b"\r\n\r\n"  # byte by byte: what follows is TLS
    words = said.partition(b"\r\n")[0].decode("ascii", "replace")
    if not re.match(r"HTTP/1\.[01] 2\d\d", words):
        raise OSError(f"the proxy said no: {words[:100]}")


def _over_git(parts: SplitResult, ref: str, ends_at: float) -> str | None:
    """git://: v2 if the server answers so, else its v0 advertisement."""
    host = parts.hostname or ""
    sock = _connect(host, parts.port or 9418, ends_at)
    try:
        stream = _TimedSocket(sock, ends_at)
        stream.sendall(_pkt(f"git-upload-pack {unquote(parts.path)}\0host={host}\0\0version=2\0".encode()))
        lines = _pkt_lines(stream.makefile("rb"))
        first = next(lines, b"")
        if first.strip() != b"version 2":
            return _pick(_advertised(chain([first], lines)), ref)
        for line in lines:
            if line == FLUSH:
                break
        stream.sendall(_ls_refs(ref))
        tip = _pick(lines, ref)
        stream.sendall(FLUSH)
        return tip
    finally:
        sock.close()


def _over_ssh(url: str, ref: str, timeout: timedelta, files: tuple[str, str]) -> str | None:
    """`git ls-remote`, with nobody to ask for a password."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "SSH_AUTH_SOCK") if name in os.environ}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_SSH_COMMAND": _ssh_command(*files)}
    argv = ["git", "-c", "protocol.allow=never", "-c", "protocol.ssh.allow=always", "ls-remote", "--", url]
    argv += [ref, f"{CONTROL_TAGS}*"]
    try:
        ended = subprocess.run(  # noqa: S603 - an argument list, and `--` ends the options
            argv, env=environment, capture_output=True, timeout=timeout.total_seconds(), check=False
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError from error
    except FileNotFoundError as error:
        raise _failed(url, "ssh addresses need the program git; install git and openssh-client") from error
    if ended.returncode != 0:
        said = " ".join(ended.stderr[-300:].decode(errors="replace").split())
        is_denied = "Permission denied" in said or "Host key" in said
        raise _failed(url, said, "credential-denied" if is_denied else "fetch-failed")
    lines = (line.partition("\t") for line in ended.stdout[:ANSWER_LIMIT].decode(errors="replace").splitlines())
    return _view({name: oid for oid, _, name in lines if OID.fullmatch(oid)}, ref)


def _ssh_command(key: str, known_hosts: str) -> str:
    """The command line for git, which splits it as a shell does."""
    words = ["ssh", "-oBatchMode=yes", "-oClearAllForwardings=yes"]
    words += ["-oIdentitiesOnly=yes", f"-i{key}"] if key else []
    words += ["-oStrictHostKeyChecking=yes", f"-oUserKnownHostsFile={known_hosts}"] if known_hosts else []
    return " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)


def _from_disk(folder: Path, ref: str) -> str | None:
    """The branch of a repository on this disk, bare or not: its own file, or its line in packed-refs."""
    folder = folder / ".git" if (folder / ".git").exists() else folder
    if not (folder / "objects").is_dir():
        raise ValueError(f"{folder} is no Git repository; check the URL")
    for _ in range(SYMBOLIC_DEPTH):
        try:
            value = (folder / ref).read_text("ascii").strip()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return _view({ref: _packed(folder).get(ref, ""), **_tags_on_disk(folder)}, ref)
        if not value.startswith("ref: "):
            return _view({ref: value, **_tags_on_disk(folder)}, ref) if OID.fullmatch(value) else None
        ref = value.removeprefix("ref: ").strip()
    return None


def _packed(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / "packed-refs").read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return {}
    return {line[40:].strip(): line[:40] for line in lines if OID.fullmatch(line[:40])}


def _tags_on_disk(folder: Path) -> dict[str, str]:
    loose = {}
    for file in (folder / CONTROL_TAGS).rglob("*"):
        if file.is_file():
            loose[file.relative_to(folder).as_posix()] = file.read_text("ascii", "replace").strip()
    return {ref: oid for ref, oid in {**_packed(folder), **loose}.items() if ref.startswith(CONTROL_TAGS)}


def _pkt(data: bytes) -> bytes:
    return b"%04x" % (len(data) + 4) + data


def _ls_refs(ref: str) -> bytes:
    prefixes = b"".join(_pkt(f"ref-prefix {prefix}\n".encode()) for prefix in (ref, CONTROL_TAGS))
    return _pkt(b"command=ls-refs\n") + DELIMITER + prefixes + FLUSH


def _pkt_lines(stream: io.BufferedIOBase) -> Iterator[bytes]:
    """The payloads, and FLUSH for each flush packet. ValueError: this is not Git."""
    while size := stream.read(4):
        if not re.fullmatch(rb"[0-9a-f]{4}", size):
            raise ValueError("the answer is not Git (a proxy or a login page?)")
        if size == FLUSH:
            yield FLUSH
            continue
        count = int(size, 16) - 4
        line = stream.read(count) if count > 0 else b""
        if count <= 0 or len(line) != count:
            raise ValueError("the answer breaks off")
        if line.startswith(b"ERR "):
            raise OSError(f"the server says: {line[4:204].decode(errors='replace').strip()}")
        yield line


def _advertised(lines: Iterator[bytes]) -> Iterator[bytes]:
    """The ref lines of a v0 or v1 advertisement, without the preamble of HTTP and the capabilities."""
    for line in lines:
        if line.startswith(b"# service="):
            next(lines, FLUSH)
        elif not line.startswith(b"version 1"):
            yield line.partition(b"\0")[0]


def _pick(lines: Iterator[bytes], ref: str) -> str | None:
    """What a list of refs shows; None where it ends without the ref; ValueError where there is no end."""
    found: dict[str, str] = {}
    for line in lines:
        if line == FLUSH:
            return _view(found, ref)
        oid, _, name = line.decode("utf-8", "replace").rstrip("\n").partition(" ")
        if not OID.fullmatch(oid):
            raise ValueError("the answer is not a list of refs")
        name = name.partition(" ")[0]
        if name == ref or (name.startswith(CONTROL_TAGS) and not name.endswith("^{}")):
            found[name] = oid
        if len(found) > MOST_CONTROL_TAGS + 1:
            if ref in found:
                return _view(found, ref)
            found.popitem()
    raise ValueError("the answer breaks off")


def _view(found: Mapping[str, str], ref: str) -> str | None:
    """One word for the tip and the control tags among these refs; too many of them are not taken, as by a fetch."""
    tags = {name: oid for name, oid in found.items() if name.startswith(CONTROL_TAGS) and not name.endswith("^{}")}
    tip = found.get(ref)
    return view_of(tip, tags if len(tags) <= MOST_CONTROL_TAGS else {}) if tip else None


def _connect(host: str, port: int, ends_at: float) -> socket.socket:
    """A TCP connection to the first address that takes it."""
    trouble: OSError = OSError(f"no address for {host!r}")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(_left(ends_at))
            sock.connect(address)
        except OSError as error:
            sock.close()
            trouble = error
        else:
            return sock
    raise trouble


def _left(ends_at: float) -> float:
    left = ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _words(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "the server's name cannot be resolved (DNS)"
    if isinstance(error, ConnectionRefusedError):
        return "the server refused the connection"
    return str(error) or type(error).__name__


def _failed(url: str, words: str, reason: str = "fetch-failed") -> UnavailableError:
    where = re.sub(r"//[^/\s]*@", "//", url)
    return UnavailableError("repository", "list", f"{where}: {words}", reason=reason)


__all__ = ["list_tip"]
