"""Real Git remotes for tests, on loopback or on disk: a fleet repository to push to, and servers that serve or sin.

`FleetSource` is a repository with commits; `HttpServer` serves it by smart HTTP through Git's own `http-backend`, and
can be told to fail: a status, an HTML page, a redirect, silence, a broken off or a dripping answer. `serve_git` runs
Git's own daemon. Each is a context manager and leaves no process and no thread behind.
"""

import base64
import contextlib
import os
import socket
import socketserver
import ssl
import struct
import subprocess
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

MORE_OF_A_BLOB = (b"\0" + struct.pack("<HH", 0xFFFF, 0) + bytes(0xFFFF)) * 8  # stored blocks of a zlib stream
ENDLESS_PACK = b"PACK" + struct.pack(">II", 2, 1) + b"\xbf\xff\xff\xff\xff\x7f" + b"\x78\x01"
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "LC_ALL": "C",
}


def pack_of(*objects: tuple[int, bytes]) -> bytes:
    """A pack of (type, data): 1 is a commit, 2 a tree, 3 a blob."""
    body = b"PACK" + struct.pack(">II", 2, len(objects))
    for kind, data in objects:
        left, head = len(data) >> 4, [kind << 4 | (len(data) & 15)]
        while left:
            head[-1] |= 128
            head.append(left & 127)
            left >>= 7
        body += bytes(head) + zlib.compress(data, 1)
    return body + sha1(body, usedforsecurity=False).digest()


def bare_commit(tree: str) -> bytes:
    return f"tree {tree}\nauthor A <a@example.org> 0 +0000\ncommitter A <a@example.org> 0 +0000\n\nx\n".encode()


def git(folder: Path, *words: str, stdin: bytes = b"") -> str:
    """Run git in a folder without this machine's configuration; what it printed."""
    ended = subprocess.run(
        ["git", "-C", str(folder), *words], env=ENVIRONMENT, input=stdin, capture_output=True, check=False
    )
    assert ended.returncode == 0, ended.stderr.decode(errors="replace")
    return ended.stdout.decode(errors="replace").strip()


class FleetSource:
    """A bare repository `<folder>/fleet.git` that grows by commits made without a work tree."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "fleet.git"
        self.path.mkdir(parents=True)
        git(self.path, "init", "-q", "--bare", "-b", "main")
        self.tip = self.commit("first")

    def commit(self, text: str, *, onto: str | None = "main", branch: str = "main") -> str:
        """A commit with one file of that text on top of `onto` (None: a root commit); the branch moves to it."""
        blob = git(self.path, "hash-object", "-w", "--stdin", stdin=text.encode())
        tree = git(self.path, "mktree", stdin=f"100644 blob {blob}\tfleet.yaml\n".encode())
        parents = git(self.path, "for-each-ref", "--format=%(objectname)", f"refs/heads/{onto}") if onto else ""
        parents = parents or (onto if onto and len(onto) == 40 else "")
        tip = git(self.path, "commit-tree", tree, *(("-p", parents) if parents else ()), stdin=text.encode())
        self.move(tip, branch)
        self.tip = tip
        return tip

    def move(self, revision: str, branch: str = "main") -> None:
        """Move the branch, forwards or not."""
        git(self.path, "update-ref", f"refs/heads/{branch}", revision)

    def tag(self, name: str, *, text: str = "word", target: str = "") -> str:
        """Set or move an annotated tag; its object's id. `text` empty: a lightweight one at `target`."""
        oid = target or git(self.path, "rev-parse", "refs/heads/main")
        if text:
            head = f"object {oid}\ntype commit\ntag {name}\ntagger A <a@example.org> 0 +0000\n\n{text}\n"
            oid = git(self.path, "mktag", stdin=head.encode())
        git(self.path, "update-ref", f"refs/tags/{name}", oid)
        return oid

    def crowd(self, count: int) -> None:
        """Add that many other refs to the same commit."""
        tip = git(self.path, "rev-parse", "refs/heads/main")
        lines = "".join(f"{tip} refs/reports/node{number:06}\n" for number in range(count))
        packed = self.path / "packed-refs"
        packed.write_text("# pack-refs with: peeled fully-peeled sorted \n" + lines)


@dataclass
class Behaviour:
    """How the HTTP server behaves from the next request on. Empty: it serves.

    `status` answers so; `html` answers 200 with a page; `redirect` names another place; `hang` answers nothing;
    `cut_after` breaks the body of a pack off after so many bytes; `drip` sends one byte at a time, for ever;
    `password` is asked for as Basic authentication; `is_v2_off` hides protocol v2; `hold_pack` waits with the pack;
    with `pack` the branch main is said to be at `tip`, and whoever asks gets these bytes; with `is_endless` they are
    the beginning of a pack that never ends.
    """

    status: int = 0
    html: bool = False
    redirect: str = ""
    hang: bool = False
    cut_after: int | None = None
    drip: bool = False
    password: str = ""
    is_v2_off: bool = False
    hold_pack: bool = False
    tip: str = ""
    pack: bytes = b""
    is_endless: bool = False
    requests: list[str] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Server"

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        behaviour = self.server.behaviour
        behaviour.requests.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or self._chunks()
        if behaviour.hang:
            self.close_connection = True
            self.server.is_over.wait()
        elif behaviour.password and not self._is_known(behaviour.password):
            self._say(401, "text/plain", b"who?", (("WWW-Authenticate", 'Basic realm="fleet"'),))
        elif behaviour.redirect:
            self._say(301, "text/plain", b"", (("Location", behaviour.redirect + self.path),))
        elif behaviour.status:
            self._say(behaviour.status, "text/plain", b"no\n")
        elif behaviour.html:
            self._say(200, "text/html", b"<html><body>Please log in</body></html>")
        elif behaviour.pack:
            self._lie(behaviour)
        else:
            self._backend(body, behaviour)

    def _chunks(self) -> bytes:
        """A body in chunked transfer coding; empty where there is none."""
        body = b""
        while self.headers.get("Transfer-Encoding", "") == "chunked":
            size = int(self.rfile.readline(), 16)
            body += self.rfile.read(size)
            self.rfile.readline()
            if size == 0:
                break
        return body

    def _is_known(self, password: str) -> bool:
        word = self.headers.get("Authorization", "").removeprefix("Basic ")
        return base64.b64decode(word).decode().endswith(f":{password}") if word else False

    def _say(self, status: int, kind: str, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> None:
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _lie(self, behaviour: Behaviour) -> None:
        """A server without capabilities that sends a pack of its own."""
        kind = "result" if self.command == "POST" else "advertisement"
        ref = f"{behaviour.tip} refs/heads/main\0\n".encode()
        advertised = b"001e# service=git-upload-pack\n0000%04x%b0000" % (len(ref) + 4, ref)
        body = b"0008NAK\n" + behaviour.pack if self.command == "POST" else advertised
        if behaviour.is_endless and self.command == "POST":
            self._never_end(body, behaviour)
        else:
            self._say(200, f"application/x-git-upload-pack-{kind}", body)

    def _never_end(self, body: bytes, behaviour: Behaviour) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "application/x-git-upload-pack-result")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while self.server.behaviour is behaviour and not self.server.is_over.is_set():
            self.wfile.write(b"%x\r\n%b\r\n" % (len(body), body))
            body = MORE_OF_A_BLOB

    def _backend(self, body: bytes, behaviour: Behaviour) -> None:
        """One request to Git's CGI program."""
        path, _, query = self.path.partition("?")
        environment = ENVIRONMENT | {
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        if not behaviour.is_v2_off:
            environment["GIT_PROTOCOL"] = self.headers.get("Git-Protocol", "")
        said = subprocess.run(
            ["git", "http-backend"], env=environment, input=body, capture_output=True, check=False
        ).stdout
        head, _, answer = said.partition(b"\r\n\r\n")
        headers = [tuple(line.decode().split(": ", 1)) for line in head.split(b"\r\n") if b": " in line]
        status = next((int(value[:3]) for name, value in headers if name == "Status"), 200)
        self.send_response(status)
        for name, value in headers:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self._send(answer, behaviour, is_pack=self.command == "POST" and b"PACK" in answer)

    def _send(self, answer: bytes, behaviour: Behaviour, *, is_pack: bool) -> None:
        behaviour.seen[self.path.partition("?")[0]] = len(answer)
        self.close_connection = behaviour.drip or (is_pack and (behaviour.hold_pack or behaviour.cut_after is not None))
        if behaviour.drip:
            for at in range(len(answer)):
                self.wfile.write(answer[at : at + 1])
                if self.server.is_over.wait(0.2) or self.server.behaviour is not behaviour:
                    return
        elif is_pack and behaviour.hold_pack:
            self.wfile.write(answer[: len(answer) // 2])
            self.wfile.flush()
            self.server.is_held.set()
            while not self.server.is_over.wait(0.1) and self.server.behaviour is behaviour:
                """Half of it is on its way."""
        elif is_pack and behaviour.cut_after is not None:
            self.wfile.write(answer[: behaviour.cut_after])
        else:
            self.wfile.write(answer)


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def __init__(self, root: Path, host: str) -> None:
        self.root = root
        self.behaviour = Behaviour()
        self.is_over = threading.Event()
        self.is_held = threading.Event()
        super().__init__((host, 0), _Answer)

    def handle_error(self, *_: object) -> None:
        """A client that went away is what tests are about."""


class HttpServer:
    """Smart HTTP over loopback for all bare repositories below `root`; `behave` changes what it does."""

    def __init__(self, root: Path, *, certificate: Path | None = None, host: str = "127.0.0.1") -> None:
        self._server = _Server(root, host)
        self._host = host
        self._scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self._scheme = "https"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.is_over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"{self._scheme}://{self._host}:{self.port}/fleet.git"

    @property
    def behaviour(self) -> Behaviour:
        return self._server.behaviour

    def behave(self, **fields: object) -> Behaviour:
        """From the next request on; nothing given: it serves."""
        self._server.is_held.clear()
        self._server.behaviour = Behaviour(**fields)
        return self._server.behaviour

    def wait_until_held(self) -> None:
        """Until half of a pack is on its way (`hold_pack`)."""
        assert self._server.is_held.wait(60)


class GitServer:
    """The git protocol for the bare repositories below `root`, by Git's own `upload-pack`; `behave` changes what it
    does: `hang`, `cut_after` so many bytes of any answer, `drip`, or a `tip` with a `pack` that may be endless.
    """

    def __init__(self, root: Path, *, host: str = "127.0.0.1") -> None:
        self.behaviour = Behaviour()
        self.is_over = threading.Event()
        outer = self

        class Answer(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    outer._serve(self, root)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self._server = Server((host, 0), Answer)
        self.url = f"git://{host}:{self._server.server_address[1]}/fleet.git"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def behave(self, **fields: object) -> Behaviour:
        """From the next request on; nothing given: it serves."""
        self.behaviour = Behaviour(**fields)
        return self.behaviour

    def _serve(self, exchange: socketserver.StreamRequestHandler, root: Path) -> None:
        behaviour = self.behaviour
        words = exchange.rfile.read(int(exchange.rfile.read(4), 16) - 4)
        behaviour.requests.append(words.decode())
        if behaviour.hang:
            self._while(behaviour)
        elif behaviour.pack:
            self._lie(exchange, behaviour)
        else:
            self._upload(exchange, root / words.split(b"\0")[0].split(b"/")[-1].decode(), behaviour, words)

    def _while(self, behaviour: Behaviour, seconds: float = 0.1) -> None:
        while self.behaviour is behaviour and not self.is_over.wait(seconds):
            """It says nothing."""

    def _lie(self, exchange: socketserver.StreamRequestHandler, behaviour: Behaviour) -> None:
        """A server without capabilities that sends a pack of its own."""
        ref = f"{behaviour.tip} refs/heads/main\0\n".encode()
        exchange.wfile.write(b"%04x%b0000" % (len(ref) + 4, ref))
        while b"done" not in (said := exchange.connection.recv(65536)):
            if not said or said == b"0000":
                return
        exchange.wfile.write(b"0008NAK\n" + behaviour.pack)
        while behaviour.is_endless and self.behaviour is behaviour and not self.is_over.is_set():
            exchange.wfile.write(MORE_OF_A_BLOB)

    def _upload(
        self, exchange: socketserver.StreamRequestHandler, path: Path, behaviour: Behaviour, words: bytes
    ) -> None:
        environment = ENVIRONMENT | ({"GIT_PROTOCOL": "version=2"} if b"version=2" in words else {})
        with subprocess.Popen(
            ["git", "-c", "safe.directory=*", "upload-pack", str(path)],
            env=environment,
            stdin=exchange.connection.fileno(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as child:
            left = behaviour.cut_after
            while chunk := child.stdout.read1(1 if behaviour.drip else 65536)[:left]:
                exchange.wfile.write(chunk)
                left = None if left is None else left - len(chunk)
                if left == 0 or self.behaviour is not behaviour or self.is_over.wait(0.2 if behaviour.drip else 0):
                    break
            child.kill()


def make_certificate(file: Path) -> Path:
    """A PEM file with a new key and its self-signed certificate for 127.0.0.1."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(file), "-out", str(file.with_suffix(".crt"))),
        ],
        check=True,
        capture_output=True,
    )
    file.write_text(file.read_text() + file.with_suffix(".crt").read_text())
    return file


def pretend_ssh(folder: Path) -> Path:
    """A program `ssh` in `folder` that runs its last word here and writes its words to `folder/said`."""
    folder.mkdir()
    program = folder / "ssh"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {folder}/said\nfor word; do :; done\nexec sh -c "$word"\n')
    program.chmod(0o755)
    return folder


@contextmanager
def serve_git(root: Path) -> Iterator[str]:
    """`git daemon` for all repositories below `root`; the URL of `fleet.git`."""
    port = free_port()
    log = root / "daemon.log"
    with log.open("wb") as stderr:
        daemon = subprocess.Popen(
            [
                *("git", "daemon", "--export-all", "--reuseaddr", "--listen=127.0.0.1", f"--port={port}"),
                *(f"--base-path={root}", str(root)),
            ],
            env=ENVIRONMENT,
            stderr=stderr,
            start_new_session=True,
        )
    try:
        _wait_for(port, daemon)
        yield f"git://127.0.0.1:{port}/fleet.git"
    finally:
        os.killpg(daemon.pid, 9)
        daemon.wait()


def free_port() -> int:
    """A TCP port of loopback that nobody listens at."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    pause = threading.Event()
    for _ in range(500):
        assert process.poll() is None, "the daemon ended"
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        pause.wait(0.02)
    raise AssertionError(f"nobody listens at {port}")


class RawServer:
    """A TCP server on loopback that reads a request and answers with these bytes, over and over with `is_endless`."""

    def __init__(self, answer: bytes, *, is_endless: bool = False) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.recv(65536)
                try:
                    self.request.sendall(answer)
                    while is_endless:
                        self.request.sendall(answer)
                except OSError:
                    return

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        return self._server.server_address[1]
