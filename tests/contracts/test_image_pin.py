"""`image pin` against Debian's own registry on loopback, and against a registry that asks who we are."""

import base64
import hashlib
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import jsonschema
import pytest
from tests.contracts.git_server import make_certificate

from edgegitops.adapters.image_registry import ImageRegistry
from edgegitops.adapters.yaml_edit import replace_file
from edgegitops.errors import DeniedError, UnavailableError
from edgegitops.lab import registry as lab_registry
from edgegitops.lab.images import App
from edgegitops.lab.registry import Registry

TOP = Path(__file__).parents[2]
ADDRESS = "127.77.41.1"
MANIFEST = b'{"schemaVersion": 2, "manifests": []}'
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    home = tmp_path_factory.mktemp("registry")
    found, process = lab_registry.serve(home, ADDRESS, str(home))
    try:
        yield found
    finally:
        process.end()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "no-login.json"))


@pytest.fixture
def fleet(tmp_path: Path, registry: Registry) -> Path:
    """The example fleet, its images at one version, unpinned and named by the registry's address."""
    path = tmp_path / "fleet"
    shutil.copytree(TOP / "fleet-repo-example", path)
    for file in path.glob("apps/*/app.yaml"):
        text = file.read_text(encoding="utf-8").replace("registry.example/", f"{registry.address}/")
        text = text.replace(":16.6@", ":1.0.0@")
        head, *tails = text.split("@sha256:")
        file.write_text(head + "".join(tail[64:] for tail in tails), encoding="utf-8")
    return path


def names_in(fleet: Path) -> set[str]:
    """Repositories of the fleet's images."""
    texts = [file.read_text(encoding="utf-8") for file in fleet.glob("apps/*/app.yaml")]
    return {name for text in texts for name in re.findall(rf"image: {ADDRESS}:5000/(\S+):1\.0\.0", text)}


def pin(*arguments: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "edgegitops", "image", "pin", *arguments]
    return subprocess.run(argv, check=False, capture_output=True, text=True)


def test_every_tag_gets_the_digest_that_the_registry_has_and_no_other_byte_changes(
    registry: Registry, fleet: Path
) -> None:
    pushed = {}
    for name in sorted(names_in(fleet)):
        _, _, digest = registry.publish(App(name, "1.0.0")).partition("@")
        pushed[f"{registry.address}/{name}:1.0.0"] = digest
    before = {file: file.read_text(encoding="utf-8") for file in fleet.rglob("*") if file.is_file()}

    done = pin("--insecure", registry.address, "--json", str(fleet))

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    jsonschema.validate(answer, json.loads((TOP / "schemas/output/image-pin.schema.json").read_text()))
    assert {row["image"]: row["digest"] for row in answer["images"]} == pushed
    for file, text in before.items():
        expected = text
        for image, digest in pushed.items():
            expected = expected.replace(image, f"{image}@{digest}")
        assert file.read_text(encoding="utf-8") == expected
    assert pin("--check", str(fleet)).stdout == "all images are pinned\n"


def test_one_tag_that_nobody_knows_leaves_every_file_as_it_was(registry: Registry, fleet: Path) -> None:
    app = fleet / "apps/broker/app.yaml"
    app.write_text(app.read_text(encoding="utf-8").replace("broker:1.0.0", "broker:9.9.9"), encoding="utf-8")
    before = {file: file.read_bytes() for file in fleet.rglob("*.yaml")}
    done = pin("--insecure", registry.address, str(fleet))
    assert done.returncode == DeniedError.exit_code
    place, advice, why = done.stderr.splitlines()
    assert place == f"{fleet}/apps/broker/app.yaml:36:14: 127.77.41.1:5000/plant/broker:9.9.9"
    assert "nothing was changed" in advice
    assert why.startswith("image-unknown: registry: ask for 127.77.41.1:5000/plant/broker:9.9.9: ")
    assert {file: file.read_bytes() for file in fleet.rglob("*.yaml")} == before


def test_check_asks_nobody_and_says_what_is_not_pinned(fleet: Path) -> None:
    done = pin("--check", str(fleet))
    assert done.returncode == 1
    assert f"{fleet}/apps/broker/app.yaml:36:14: 127.77.41.1:5000/plant/broker:1.0.0 is not pinned" in done.stdout


def test_a_folder_that_is_no_fleet_is_not_said_to_be_pinned(tmp_path: Path) -> None:
    done = pin("--check", str(tmp_path))
    assert done.returncode == 2
    assert "there is no fleet.yaml" in done.stderr


def test_plain_http_is_spoken_only_where_it_was_asked_for(registry: Registry) -> None:
    with pytest.raises(UnavailableError, match=f"add --insecure {registry.address}"):
        ImageRegistry().digest(f"{registry.address}/plant/broker:1.0.0")


class _Guarded(BaseHTTPRequestHandler):
    """A registry that wants a token for `app` and a password for `login/app`; `claims` is its digest header."""

    claims = DIGEST
    realm = ""
    token = "let-me-in"  # noqa: S105 - of a server that lives for a second
    seen: list[tuple[str, str]]

    def do_GET(self) -> None:
        authorization = self.headers.get("Authorization", "")
        self.seen.append((self.path, authorization))
        if self.path.startswith("/token"):
            self._answer(200, json.dumps({"token": self.token}).encode())
        elif "/login/" in self.path and authorization != "Basic " + base64.b64encode(b"anna:secret").decode():
            self._answer(401, b"", {"WWW-Authenticate": 'Basic realm="registry"'})
        elif "/login/" not in self.path and authorization != "Bearer let-me-in":
            realm = self.realm or f"http://{self.headers['Host']}/token"
            self._answer(
                401, b"", {"WWW-Authenticate": f'Bearer realm="{realm}",service="s",scope="repository:app:pull"'}
            )
        else:
            self._answer(200, MANIFEST, {"Docker-Content-Digest": self.claims})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the overridden method
        pass


@pytest.fixture
def guarded() -> Iterator[tuple[str, type[_Guarded]]]:
    handler = type("Guarded", (_Guarded,), {"seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", handler
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_registry_that_asks_for_a_token_gets_one_and_keeps_to_its_repository(
    guarded: tuple[str, type[_Guarded]],
) -> None:
    host, handler = guarded
    asking = ImageRegistry([host])
    assert asking.digest(f"{host}/app:1") == DIGEST
    assert asking.digest(f"{host}/app:2") == DIGEST
    paths = [path.partition("?")[0] for path, _ in handler.seen]
    assert paths == ["/v2/app/manifests/1", "/token", "/v2/app/manifests/1", "/v2/app/manifests/2"]


def test_a_kept_login_is_shown_to_its_own_registry_and_never_to_an_open_token_service(
    guarded: tuple[str, type[_Guarded]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, handler = guarded
    file = tmp_path / "auth.json"
    file.write_text(json.dumps({"auths": {host: {"auth": base64.b64encode(b"anna:secret").decode()}}}))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(file))
    assert ImageRegistry([host]).digest(f"{host}/login/app:1") == DIGEST
    assert ImageRegistry([host]).digest(f"{host}/app:1") == DIGEST
    assert all(not authorization for path, authorization in handler.seen if path.startswith("/token"))


@pytest.fixture
def service(guarded: tuple[str, type[_Guarded]], tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The token service of that registry, at another name and over https: its address and its certificate."""
    _, handler = guarded
    certificate = make_certificate(tmp_path / "tls.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    handler.realm = f"https://127.0.0.1:{server.server_port}/token"
    try:
        yield f"127.0.0.1:{server.server_port}", certificate
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("trusted", "is_shown"), [((), False), (("127.0.0.1:1/acme",), True)])
def test_a_registry_does_not_choose_who_learns_a_login(
    guarded: tuple[str, type[_Guarded]], service: tuple[str, Path], tmp_path: Path, trusted: tuple, *, is_shown: bool
) -> None:
    host, handler = guarded[0].replace("127.0.0.1", "localhost"), guarded[1]
    login = base64.b64encode(b"anna:secret").decode()
    file = tmp_path / "auth.json"
    file.write_text(json.dumps({"auths": {host: {"auth": login}}}))
    asking = ImageRegistry([host], auth_file=str(file), ca_file=str(service[1]), trusted=trusted)
    assert asking.digest(f"{host}/app:1") == DIGEST
    told = [authorization for path, authorization in handler.seen if path.startswith("/token")]
    assert told == [f"Basic {login}" * is_shown]
    if not is_shown:
        handler.token = "nothing"  # noqa: S105 - the same
        with pytest.raises(DeniedError, match=f"its token service {service[0]} is another's"):
            ImageRegistry([host], auth_file=str(file), ca_file=str(service[1])).digest(f"{host}/app:1")


@pytest.mark.parametrize(
    ("registry", "realm", "may_see"),
    [
        ("ghcr.io", "https://ghcr.io/token", True),
        ("ghcr.io", "http://ghcr.io/token", False),
        ("docker.io", "https://auth.docker.io/token", True),
        ("registry.gitlab.example", "https://gitlab.example/jwt/auth", True),
        ("registry.example:5000", "https://registry.example/token", True),
        ("10.1.0.5:5000", "https://10.1.0.5/token", True),
        ("10.1.0.5:5000", "https://5/token", False),
        ("registry.example", "https://example/token", False),
        ("registry.example", "https://evil.test/registry.example", False),
        ("registry.example", "https://registry.example@evil.test/token", False),
        ("registry.example", "https://registry.example.evil.test/token", False),
        ("registry.example", "https://evilregistry.example/token", False),
        ("a.registry.example", "https://b.registry.example/token", False),
    ],
)
def test_token_services_that_may_see_a_login(registry: str, realm: str, *, may_see: bool) -> None:
    assert ImageRegistry()._may_see(realm, f"{registry}/acme/app") is may_see


def test_without_a_login_the_registry_says_no(guarded: tuple[str, type[_Guarded]]) -> None:
    with pytest.raises(DeniedError, match="podman login") as refusal:
        ImageRegistry([guarded[0]]).digest(f"{guarded[0]}/login/app:1")
    assert refusal.value.reason == "credential-denied"


def test_a_registry_whose_header_contradicts_its_bytes_is_not_believed(guarded: tuple[str, type[_Guarded]]) -> None:
    guarded[1].claims = f"sha256:{'0' * 64}"
    with pytest.raises(UnavailableError, match="its bytes are"):
        ImageRegistry([guarded[0]]).digest(f"{guarded[0]}/app:1")


def test_a_registry_that_does_not_answer_is_told_in_words_and_not_by_number() -> None:
    with pytest.raises(UnavailableError) as told:
        ImageRegistry(["127.0.0.1:1"]).digest("127.0.0.1:1/line/web:1")
    assert told.value.message == "Connection refused"


def test_an_image_that_names_no_registry_is_not_guessed() -> None:
    with pytest.raises(DeniedError, match=r"write docker\.io/busybox:1"):
        ImageRegistry().digest("busybox:1")


def test_a_file_that_changed_meanwhile_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "app.yaml"
    file.write_bytes(b"new")
    with pytest.raises(DeniedError, match="has changed"):
        replace_file(file, b"old", b"pinned")
    assert file.read_bytes() == b"new"
    file.chmod(0o640)
    replace_file(file, b"new", b"pinned")
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"pinned", 0o640)
    assert list(tmp_path.iterdir()) == [file]


def test_what_a_registry_lets_drip_is_handed_on_at_once_so_that_whoever_waits_can_give_up():
    server = socket.create_server(("127.0.0.1", 0))
    is_over = Event()

    def drip() -> None:
        caller, _ = server.accept()
        with caller:
            caller.recv(65536)
            caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx")
            is_over.wait(60)

    Thread(target=drip, daemon=True).start()
    host = f"127.0.0.1:{server.getsockname()[1]}"
    try:
        with ImageRegistry({host}).blob(f"{host}/acme/app", "sha256:" + "0" * 64) as (begin, pieces):
            assert (begin, next(pieces)) == (0, b"x")
    finally:
        is_over.set()
        server.close()
