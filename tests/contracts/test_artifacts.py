"""The store of artifacts: one suite for its twin and the real one over Debian's registry; then what only bytes show."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from edgegitops.adapters import artifacts_oci
from edgegitops.adapters.artifact_tree import RefusedError, Tree
from edgegitops.adapters.artifacts_memory import MemoryArtifacts
from edgegitops.adapters.artifacts_oci import OciArtifacts
from edgegitops.adapters.image_registry import ImageRegistry
from edgegitops.core.model.naming import digest_of
from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.core.model.steps import PullArtifact
from edgegitops.errors import DeniedError, UnavailableError
from edgegitops.lab import registry as lab_registry
from edgegitops.lab.oci import MANIFEST_TYPE, Content, Image, artifact, build
from edgegitops.lab.registry import Registry

ADDRESS = "127.77.43.1"
FILES = {"defects.onnx": b"model" * 1000, "labels/sv.txt": b"repa\n"}
Entry = tuple[str, bytes, bytes | str]


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.fixture(autouse=True)
def _no_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "no-login.json"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    home = tmp_path_factory.mktemp("registry")
    found, process = lab_registry.serve(home, ADDRESS, str(home))
    try:
        yield found
    finally:
        process.end()


class MemoryRig:
    """The twin."""

    def __init__(self) -> None:
        self.store = MemoryArtifacts()
        self.first, self.second = (f"registry.example/m@sha256:{one * 64}" for one in "ab")
        self.missing = f"registry.example/none@sha256:{'c' * 64}"
        self.store.unavailable.add(self.missing)

    def stop_registry(self) -> None:
        self.store.is_registry_down = True

    def again(self) -> MemoryArtifacts:
        return self.store


class RealRig:
    """A directory, and a registry that may be taken away."""

    def __init__(self, served: Registry, path: Path) -> None:
        self.path, self.host = path, served.address
        self.first = reference(served, "models/defects", artifact(FILES))
        self.second = reference(served, "models/other", artifact({"a": b"other"}))
        self.missing = f"{served.address}/models/none@sha256:{'c' * 64}"
        self.store = self.again()

    def stop_registry(self) -> None:
        self.store = OciArtifacts(self.path, lambda: ImageRegistry(["127.0.0.1:1"]))
        self.first, self.second = ("127.0.0.1:1/" + one.partition("/")[2] for one in (self.first, self.second))

    def again(self) -> OciArtifacts:
        return OciArtifacts(self.path, lambda: ImageRegistry([self.host]))


def reference(served: Registry, name: str, what: Image) -> str:
    served.push(name, "1", what)
    return f"{served.address}/{name}@{what.digest}"


@pytest.fixture(params=["memory", pytest.param("oci", marks=pytest.mark.system)])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryRig | RealRig:
    if request.param == "memory":
        return MemoryRig()
    return RealRig(request.getfixturevalue("served"), tmp_path / "artifacts")


# --- the contract


def test_what_is_pulled_is_present_until_it_is_removed(rig: MemoryRig | RealRig) -> None:
    assert rig.store.present() == frozenset()
    for name in (rig.first, rig.second, rig.first):
        rig.store.pull(PullArtifact(name))
    assert rig.again().present() == {digest_of(rig.first), digest_of(rig.second)}
    for _ in range(2):
        rig.store.remove(digest_of(rig.first))
    assert rig.store.present() == {digest_of(rig.second)}
    rig.store.pull(PullArtifact(rig.first))
    assert digest_of(rig.first) in rig.store.present()


def test_present_artifact_needs_no_registry_and_an_absent_one_waits_for_it(rig: MemoryRig | RealRig) -> None:
    rig.store.pull(PullArtifact(rig.first))
    rig.stop_registry()
    rig.store.pull(PullArtifact(rig.first))
    with pytest.raises(UnavailableError) as refusal:
        rig.store.pull(PullArtifact(rig.second))
    assert refusal.value.reason == HoldReason.ARTIFACT_UNAVAILABLE
    assert rig.store.present() == {digest_of(rig.first)}


def test_artifact_that_the_registry_does_not_have_may_come_later(rig: MemoryRig | RealRig) -> None:
    with pytest.raises(UnavailableError) as refusal:
        rig.store.pull(PullArtifact(rig.missing))
    assert refusal.value.reason == HoldReason.ARTIFACT_UNAVAILABLE
    rig.store.remove(digest_of(rig.missing))


# --- real bytes


class Scripted(BaseHTTPRequestHandler):
    """A registry whose answers a test writes: `blobs` and `manifests` by digest; `cut` bytes end an answer early."""

    protocol_version = "HTTP/1.1"
    blobs: dict[str, bytes]
    manifests: dict[str, bytes]
    seen: list[tuple[str, str]]
    cut: int
    kind: str
    status: int

    def do_GET(self) -> None:
        which = self.path.rpartition("/")[2]
        asked = self.headers.get("Range", "")
        self.seen.append((self.path, asked))
        is_manifest = "/manifests/" in self.path
        data = (self.manifests if is_manifest else self.blobs).get(which)
        if data is None or self.status:
            self.send_response(self.status or 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        begin = int(asked.removeprefix("bytes=").rstrip("-") or 0)
        self.send_response(206 if asked else 200)
        self.send_header("Content-Type", self.kind if is_manifest else "application/octet-stream")
        self.send_header("Content-Length", str(len(data) - begin))
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        is_cut = self.cut and not is_manifest
        self.wfile.write(data[begin : begin + type(self).cut] if is_cut else data[begin:])
        if is_cut:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the overridden method
        pass


class Script:
    """A scripted registry with one artifact, and a store that knows it."""

    def __init__(self, path: Path) -> None:
        start = {"seen": [], "blobs": {}, "manifests": {}, "cut": 0, "kind": MANIFEST_TYPE, "status": 0}
        self.handler = type("One", (Scripted,), start)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler)
        self.thread = Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.path = path
        self.store = OciArtifacts(path, lambda: ImageRegistry([self.host]))

    def serve(self, what: Image) -> str:
        self.handler.blobs = dict(what.blobs)
        self.handler.manifests = {what.digest: what.manifest}
        return f"{self.host}/m@{what.digest}"

    def tree(self, name: str) -> Path:
        return self.path / digest_of(name) / "tree"

    def pull(self, name: str, *mirrors: str) -> None:
        self.store.pull(PullArtifact(name, mirrors))

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    made = Script(tmp_path / "artifacts")
    try:
        yield made
    finally:
        made.close()


def test_titled_layers_become_files_that_nobody_can_write(script: Script) -> None:
    name = script.serve(artifact(FILES))
    script.pull(name)
    for path, data in FILES.items():
        assert (script.tree(name) / path).read_bytes() == data
        assert (script.tree(name) / path).stat().st_mode & 0o777 == 0o444
    assert sorted(one.name for one in script.path.iterdir()) == [".blobs", digest_of(name)]
    assert list((script.path / ".blobs").iterdir()) == []


def test_image_made_of_one_layer_is_an_artifact_too(script: Script) -> None:
    name = script.serve(build({"/plc/run": Content(b"#!/bin/sh\n", 0o755), "/plc/now": Content(link="run")}, {}))
    script.pull(name)
    assert (script.tree(name) / "plc/run").stat().st_mode & 0o777 == 0o555
    assert str((script.tree(name) / "plc/now").readlink()) == "run"


def test_download_that_broke_off_goes_on_where_it_ended(script: Script) -> None:
    name = script.serve(artifact({"big": bytes(range(256)) * 40_000}))
    script.handler.cut = 4_000_000
    for _ in range(2):
        with pytest.raises(UnavailableError, match="broke off") as refusal:
            script.pull(name)
        assert refusal.value.reason == HoldReason.ARTIFACT_UNAVAILABLE
    script.handler.cut = 0
    script.pull(name)
    ranges = [asked for path, asked in script.handler.seen if "/blobs/" in path]
    assert ranges == ["", "bytes=4000000-", "bytes=8000000-"]
    assert (script.tree(name) / "big").read_bytes() == bytes(range(256)) * 40_000


def test_download_goes_on_in_another_process(script: Script) -> None:
    name = script.serve(artifact({"big": b"x" * 100_000}))
    script.handler.cut = 60_000
    with pytest.raises(UnavailableError):
        script.pull(name)
    script.handler.cut = 0
    OciArtifacts(script.path, lambda: ImageRegistry([script.host])).pull(PullArtifact(name))
    assert script.store.present() == {digest_of(name)}


def test_kept_bytes_that_went_bad_are_fetched_once_more(script: Script) -> None:
    name = script.serve(artifact({"big": b"x" * 100_000}))
    script.handler.cut = 60_000
    with pytest.raises(UnavailableError):
        script.pull(name)
    (part,) = (script.path / ".blobs" / digest_of(name)).iterdir()
    part.write_bytes(b"y" * 60_000)
    script.handler.cut = 0
    script.pull(name)
    assert (script.tree(name) / "big").read_bytes() == b"x" * 100_000


def test_wrong_bytes_of_the_right_size_are_final(script: Script) -> None:
    what = artifact({"model": b"good"})
    name = script.serve(what)
    script.handler.blobs = {digest: b"evil" if data == b"good" else data for digest, data in what.blobs.items()}
    with pytest.raises(DeniedError, match="another digest, twice") as refusal:
        script.pull(name)
    assert refusal.value.reason == Refusal.DIGEST_MISMATCH
    assert script.store.present() == frozenset()


def test_manifest_of_another_digest_is_final_and_a_page_of_a_proxy_is_not(script: Script) -> None:
    name = script.serve(artifact({"model": b"good"}))
    script.handler.manifests = {f"sha256:{digest_of(name)}": artifact({"model": b"evil"}).manifest}
    with pytest.raises(DeniedError) as refusal:
        script.pull(name)
    assert refusal.value.reason == Refusal.DIGEST_MISMATCH
    script.handler.kind = "text/html"
    with pytest.raises(UnavailableError, match="no manifest, but text/html"):
        script.pull(name)


def test_blob_that_is_longer_than_said_is_never_kept(script: Script) -> None:
    what = artifact({"model": b"good"})
    name = script.serve(what)
    script.handler.blobs = dict.fromkeys(what.blobs, b"good" * 100_000)
    with pytest.raises(UnavailableError, match="more than the 4 bytes"):
        script.pull(name)
    assert sum(one.stat().st_size for one in (script.path / ".blobs").rglob("*") if one.is_file()) == 0


@pytest.mark.parametrize("status", [401, 403])
def test_login_that_is_not_accepted_is_a_hold_that_names_its_file(script: Script, tmp_path: Path, status: int) -> None:
    login = tmp_path / "auth.json"
    login.write_text('{"auths": {}}')
    name = script.serve(artifact({"model": b"good"}))
    script.handler.status = status
    store = OciArtifacts(script.path, lambda: ImageRegistry([script.host], auth_file=str(login)), auth_file=str(login))
    with pytest.raises(UnavailableError, match=rf"registry\.authFile: {login}") as refusal:
        store.pull(PullArtifact(name))
    assert refusal.value.reason == HoldReason.CREDENTIAL_DENIED
    login.write_text("secret words")
    asking = ImageRegistry([script.host], auth_file=str(login))
    with pytest.raises(UnavailableError) as unread:
        asking._authorization("Basic", f"{script.host}/m")
    assert unread.value.reason == HoldReason.CREDENTIAL_DENIED
    assert "secret words" not in str(unread.value)


def test_mirror_is_asked_first_and_its_lies_do_not_count(script: Script, tmp_path: Path) -> None:
    other = Script(tmp_path / "other")
    try:
        script.store = OciArtifacts(script.path, lambda: ImageRegistry([script.host, other.host]))
        what = artifact({"model": b"good"})
        name, mirror = script.serve(what), other.serve(what)
        other.handler.blobs = dict.fromkeys(what.blobs, b"evil")
        script.pull(name, "127.0.0.1:1/m@" + what.digest, mirror)
        assert (script.tree(name) / "model").read_bytes() == b"good"
        script.store.remove(digest_of(name))
        other.serve(what)
        script.handler.seen.clear()
        script.pull(name, mirror)
        assert script.handler.seen == []
    finally:
        other.close()


def test_full_disk_is_seen_before_it_is_full(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    name = script.serve(artifact({"model": b"good"}))
    monkeypatch.setattr(artifacts_oci, "RESERVE", 2**62)
    with pytest.raises(UnavailableError, match="bytes are needed") as refusal:
        script.pull(name)
    assert refusal.value.reason == HoldReason.DISK_FULL
    assert not [path for path, _ in script.handler.seen if "/blobs/" in path]


def test_half_a_tree_does_not_count_and_is_pulled_again(script: Script) -> None:
    name = script.serve(artifact(FILES))
    script.pull(name)
    (script.tree(name) / "defects.onnx").unlink()
    again = OciArtifacts(script.path, lambda: ImageRegistry([script.host]))
    assert again.present() == frozenset()
    again.pull(PullArtifact(name))
    assert (script.tree(name) / "defects.onnx").exists()


def test_remains_of_a_killed_pull_are_nothing(script: Script) -> None:
    name = script.serve(artifact(FILES))
    beside = script.path / f".new-{digest_of(name)}" / "tree"
    beside.mkdir(parents=True)
    (beside / "half").write_text("half")
    assert script.store.present() == frozenset()
    script.pull(name)
    assert sorted(one.name for one in script.tree(name).iterdir()) == ["defects.onnx", "labels"]


# --- archives that mean harm


def tar(*entries: Callable[[tarfile.TarFile], None]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for add in entries:
            add(archive)
    return buffer.getvalue()


def file(name: str, data: bytes = b"x") -> Callable[[tarfile.TarFile], None]:
    def add(archive: tarfile.TarFile) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(data), 0o6777
        archive.addfile(entry, io.BytesIO(data))

    return add


def special(name: str, kind: bytes, link: str = "") -> Callable[[tarfile.TarFile], None]:
    def add(archive: tarfile.TarFile) -> None:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname, entry.mode = kind, link, 0o777
        archive.addfile(entry)

    return add


LINK, HARD, FOLDER = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE
HARMFUL: Mapping[str, bytes] = {
    "a path that climbs": tar(file("../evil")),
    "a path that climbs later": tar(file("a/../../evil")),
    "an absolute path": tar(file("/evil")),
    "a link out": tar(special("out", LINK, "../..")),
    "an absolute link": tar(special("out", LINK, "/etc")),
    "a file through a link": tar(special("out", LINK, "inside"), file("out/evil")),
    "a way out by two links": tar(
        file("p/q/r/f"), special("p/q/r/s", LINK, "../../.."), special("m", LINK, "p/q/r/s/../evil")
    ),
    "a link in a circle": tar(special("a", LINK, "b"), special("b", LINK, "a")),
    "a hard link to nothing": tar(special("out", HARD, "etc/passwd")),
    "a hard link out": tar(special("out", HARD, "../../etc/passwd")),
    "a device": tar(special("dev", tarfile.CHRTYPE)),
    "a block device": tar(special("dev", tarfile.BLKTYPE)),
    "a pipe": tar(special("pipe", tarfile.FIFOTYPE)),
    "a whiteout": tar(file(".wh.base")),
    "a folder in place of a file": tar(file("a"), special("a", FOLDER)),
    "a file in place of a folder": tar(file("a/b"), file("a")),
    "too deep": tar(file("/".join(["d"] * 70))),
    "no archive": b"no archive at all" * 100,
    "half a gzip": gzip.compress(tar(file("a", b"x" * 10_000)))[:-20],
}


@pytest.mark.parametrize("what", HARMFUL)
def test_archive_that_leads_out_is_refused_whole(script: Script, what: str) -> None:
    data = HARMFUL[what]
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": sha256(data), "size": len(data)}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "layers": [layer]}).encode()
    before = sorted(script.path.parent.iterdir())
    name = script.serve(Image(manifest, {sha256(data): data}))
    with pytest.raises(DeniedError) as refusal:
        script.pull(name)
    assert refusal.value.reason == Refusal.ARTIFACT_REFUSED
    assert script.store.present() == frozenset()
    assert sorted(script.path.parent.iterdir()) == sorted({*before, script.path})
    assert [one.name for one in script.path.iterdir()] == [".blobs"]


def test_owner_and_special_bits_of_an_archive_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar(file("run"), special("again", HARD, "run")))
    root = tmp_path / "tree"
    root.mkdir()
    Tree(root).add_archive(tmp_path / "a.tar")
    assert {one.stat().st_mode & 0o7777 for one in root.iterdir()} == {0o555}
    assert {one.stat().st_nlink for one in root.iterdir()} == {1}


@pytest.mark.parametrize("bounds", [{"left": 9_999}, {"entries": 2}])
def test_archive_that_unpacks_to_more_than_it_may_is_refused(tmp_path: Path, bounds: dict[str, int]) -> None:
    bomb = gzip.compress(tar(file("a", b"\0" * 9_000), file("b", b"\0" * 1_000), file("c", b"")))
    (tmp_path / "a.tgz").write_bytes(bomb)
    root = tmp_path / "tree"
    root.mkdir()
    with pytest.raises(RefusedError, match="more than"):
        Tree(root, **bounds).add_archive(tmp_path / "a.tgz")


@pytest.mark.parametrize(
    "manifest",
    [
        b"[]",
        b"{",
        b'{"layers": []}',
        b'{"layers": [{"mediaType": "application/x", "size": 1, "digest": "sha256:' + b"a" * 64 + b'"}]}',
        b'{"layers": [{"mediaType": "x/tar", "size": -1, "digest": "sha256:' + b"a" * 64 + b'"}]}',
        b'{"layers": [{"mediaType": "x/tar", "size": 1, "digest": "sha256:../../etc/passwd"}]}',
        b'{"manifests": []}',
    ],
)
def test_manifest_that_names_no_tree_is_refused(script: Script, manifest: bytes) -> None:
    name = script.serve(Image(manifest, {}))
    with pytest.raises(DeniedError) as refusal:
        script.pull(name)
    assert refusal.value.reason == Refusal.ARTIFACT_REFUSED
