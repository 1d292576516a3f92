"""Law: a real Git server over smart HTTP: Git's own `git http-backend` behind a small threading server, a process of
its own that outlives the command that started it. Everyone who reaches the address may fetch. Pushes to the repository
of reports are taken from everyone, any other only from this machine (whose source address is the server's own).
"""

import http.client
import os
import shutil
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from edgegitops.errors import UnavailableError
from edgegitops.lab.commands import environment, run, until
from edgegitops.lab.processes import MARK, Process, start

PORT = 8080
REPORTS = "reports"
_CHUNK = 64 * 1024
_ARGUMENTS = 3


class _Exchange(BaseHTTPRequestHandler):
    """One request, handed to git http-backend as CGI (RFC 3875)."""

    protocol_version = "HTTP/1.1"
    projects = ""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        url = urlsplit(self.path)
        is_push = "git-receive-pack" in self.path
        is_local = self.client_address[0] == self.connection.getsockname()[0]
        may_push = is_local or url.path.startswith(f"/{REPORTS}.git/")
        if is_push and not may_push:
            self._refuse()
            return
        body = self._body()
        variables = {
            "GIT_PROJECT_ROOT": self.projects,
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": url.path,
            "QUERY_STRING": url.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_ADDR": self.client_address[0],
            "REMOTE_USER": "lab" if may_push else "",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        kept = {key: value for key, value in variables.items() if value}
        done = subprocess.run(  # noqa: S603 - one fixed program; the request goes in as variables and stdin
            [shutil.which("git") or "git", "http-backend"],
            env={**os.environ, **kept},
            input=body,
            capture_output=True,
            check=False,
        )
        if done.stderr:
            sys.stderr.buffer.write(done.stderr)
        self._answer(done.stdout)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, output: bytes) -> None:
        head, _, body = output.partition(b"\r\n\r\n")
        fields = [line.decode().partition(": ")[::2] for line in head.split(b"\r\n") if line]
        status = next((value for key, value in fields if key == "Status"), "200 OK" if head else "500 No answer")
        self.send_response(int(status.split()[0]))
        for key, value in fields:
            if key not in {"Status", "Content-Length"}:
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self) -> None:
        self.send_response(http.HTTPStatus.FORBIDDEN)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def serve(home: Path, address: str, owner: str) -> tuple[str, Process]:
    """Start the server over the bare repositories in `home` and wait until it answers; its URL without a slash."""
    home.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "edgegitops.lab.git_server", str(home), address]
    process = start(argv, env=environment({MARK: owner}), log=home / "log")
    until(lambda: _is_answering(address) or not process.is_alive(), "answer of the Git server", seconds=30)
    if not process.is_alive():
        raise UnavailableError("lab", "start the Git server", (home / "log").read_text(errors="replace")[-500:])
    return f"http://{address}:{PORT}", process


def create(home: Path, name: str) -> Path:
    """Make the empty bare repository `<name>.git` with the branch main."""
    path = home / f"{name}.git"
    run(["git", "init", "-q", "--bare", "--initial-branch=main", str(path)])
    return path


def _is_answering(address: str) -> bool:
    connection = http.client.HTTPConnection(address, PORT, timeout=5)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def main(arguments: list[str]) -> None:
    """`python -m edgegitops.lab.git_server FOLDER ADDRESS`: serve until killed."""
    if len(arguments) != _ARGUMENTS:
        raise SystemExit("usage: git_server FOLDER ADDRESS")
    _Exchange.projects = arguments[1]
    with _Server((arguments[2], PORT), _Exchange) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv)
