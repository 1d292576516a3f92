"""Law: an artifact is on the node in whole and as it was asked for, or it is not there.

1. Asked for by digest: the manifest has that digest, each blob has the digest and size that the manifest says. Nothing
   is unpacked before that is so.
2. A download that broke off goes on where it ended. Bytes of the right size and the wrong digest are thrown away and
   asked for once more; if they are wrong again, they are wrong: `digest-mismatch`.
3. Unpacked beside (`artifact_tree`), fsynced, then named by the digest: a power cut leaves no tree or the whole one.
   What a killed pull left is used by the next, or swept.
4. Mirrors are asked in order, then the registry itself, whose words are told where nobody had it. No answer, a login
   that is not accepted, no such name, no space: all of that may change, and is UnavailableError.
5. A layer is a file where it has a title (ORAS), else an archive: OCI image layers, and folders that ORAS packed.

Layout: `<hex>/tree` with the files, `<hex>/index.json` with their sizes, `.blobs/<hex>/`
what is being fetched for it.
Safe for several threads; one pull of a digest at a time.
"""

import hashlib
import json
import os
import platform
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgegitops.adapters.artifact_tree import LARGEST, RefusedError, Tree, files_of, sync_folder, sync_folders
from edgegitops.core.model.naming import digest_of
from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.core.model.steps import PullArtifact
from edgegitops.errors import DeniedError, OutsideError, UnavailableError

if TYPE_CHECKING:
    from edgegitops.adapters.image_registry import ImageRegistry

PORT = "artifacts"
PULL_WITHIN = timedelta(minutes=30)
RESERVE = 64 * 1024**2
MOST_LAYERS = 256
_HEX: Final = 64
_TITLE = "org.opencontainers.image.title"
_UNPACK = "io.deis.oras.content.unpack"
_TARS = ("tar", "tar+gzip", "tar.gzip")
_EMPTY = "application/vnd.oci.empty.v1+json"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "riscv64": "riscv64"}


@dataclass(frozen=True, slots=True)
class Layer:
    """One blob of an artifact: its digest (hex) and size, and what becomes of it."""

    digest: str
    size: int
    title: str
    is_archive: bool


class OciArtifacts:
    """`ports.Artifacts` in the directory `path`. `registry` makes what asks registries, once something is to be asked
    for: that takes TLS and HTTP, and few workers have to. `auth_file` is named where a login is not accepted.
    """

    def __init__(
        self,
        path: str | Path,
        registry: "Callable[[], ImageRegistry]",
        *,
        auth_file: str = "",
        within: timedelta = PULL_WITHIN,
    ) -> None:
        self._path = Path(path).absolute()
        self._registry = cache(registry)
        self._auth_file = auth_file
        self._within = within
        self._intact: set[str] = set()
        self._pulling: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    # --- the port

    def pull(self, step: PullArtifact) -> None:
        """Make it present. OutsideError: see the law above."""
        digest = digest_of(step.subject)
        with self._lock:
            alone = self._pulling.setdefault(digest, threading.Lock())
        with alone, self._told(step.subject):
            if self._is_intact(digest):
                return
            for name in step.mirrors:
                with suppress(OutsideError, RefusedError):
                    self._pull(name, digest)
                    return
            self._pull(step.subject, digest)

    def present(self) -> frozenset[str]:
        """The digests that are unpacked in whole."""
        try:
            names = [one.name for one in self._path.iterdir() if len(one.name) == _HEX]
        except FileNotFoundError:
            return frozenset()
        except OSError as error:
            raise UnavailableError(PORT, "list", f"{self._path}: {error.strerror}") from error
        return frozenset(name for name in names if self._is_intact(name))

    def remove(self, digest: str) -> None:
        """Remove it, under another name first, so that half of it is never taken for the whole."""
        self._intact.discard(digest)
        target, gone = self._path / digest, self._path / f".gone-{digest}"
        try:
            for rest in (gone, self._path / f".new-{digest}", self._path / ".blobs" / digest):
                _drop(rest)
            with suppress(FileNotFoundError):
                target.rename(gone)
            _drop(gone)
        except OSError as error:
            raise UnavailableError(PORT, f"remove {digest}", f"{target}: {error.strerror}") from error

    # --- pulling

    @contextmanager
    def _told(self, subject: str) -> Iterator[None]:
        """Errors in the words of the port."""
        action = f"pull {subject}"
        try:
            yield
        except RefusedError as refused:
            raise DeniedError(PORT, action, str(refused), reason=Refusal.ARTIFACT_REFUSED) from refused
        except OutsideError as error:
            if error.reason == Refusal.DIGEST_MISMATCH:
                raise DeniedError(PORT, action, error.message, reason=error.reason) from error
            known = error.reason in {HoldReason.CREDENTIAL_DENIED, HoldReason.DISK_FULL}
            reason = error.reason if known else HoldReason.ARTIFACT_UNAVAILABLE
            file = f" (registry.authFile: {self._auth_file})" if self._auth_file else ""
            words = error.message + (file if reason == HoldReason.CREDENTIAL_DENIED else "")
            raise UnavailableError(PORT, action, words, reason=HoldReason(reason)) from error
        except OSError as error:
            words = f"{self._path}: {error.strerror}; check the disk's space and mount options"
            raise UnavailableError(PORT, action, words, reason=HoldReason.DISK_FULL) from error

    def _pull(self, name: str, digest: str) -> None:
        reference = name.partition("@")[0]
        layers = self._layers(reference, digest)
        ends_at = time.monotonic() + self._within.total_seconds()
        blobs, beside = self._path / ".blobs" / digest, self._path / f".new-{digest}"
        self._path.mkdir(mode=0o711, parents=True, exist_ok=True)
        blobs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._demand_space(layers, blobs)
        for layer in layers:
            self._fetch(reference, layer, blobs / layer.digest, ends_at)
        _drop(beside)
        try:
            _unpack(beside, layers, blobs)
        except RefusedError:
            _drop(beside)
            _drop(blobs)
            raise
        _drop(self._path / digest)
        beside.rename(self._path / digest)
        sync_folder(self._path)
        _drop(blobs)

    def _layers(self, reference: str, digest: str) -> tuple[Layer, ...]:
        """What the manifest names, after the way through an index of architectures."""
        for _ in range(2):
            tree = _json(self._registry().manifest(reference, f"sha256:{digest}"))
            if "manifests" not in tree:
                return _read_layers(tree)
            digest = _chosen(tree)
        raise RefusedError("it is an index of indexes")

    def _demand_space(self, layers: tuple[Layer, ...], blobs: Path) -> None:
        """At least the blobs and as much again unpacked; what is there already is not asked for twice."""
        wanted = 2 * sum(layer.size for layer in layers)
        have = sum(one.stat().st_size for one in blobs.iterdir())
        state = os.statvfs(self._path)
        free = state.f_bavail * state.f_frsize
        if wanted - have + RESERVE > free:
            words = f"{wanted - have + RESERVE} bytes are needed and {free} are free in {self._path}"
            raise UnavailableError(PORT, "pull", words, reason=HoldReason.DISK_FULL)

    def _fetch(self, reference: str, layer: Layer, file: Path, ends_at: float) -> None:
        """The blob in a file of its own, verified."""
        for _ in range(2):
            self._download(reference, layer, file, ends_at)
            if _sha256(file) == layer.digest:
                return
            file.unlink()
        words = f"the bytes of sha256:{layer.digest} have another digest, twice"
        raise DeniedError(PORT, f"pull {reference}", words, reason=Refusal.DIGEST_MISMATCH)

    def _download(self, reference: str, layer: Layer, file: Path, ends_at: float) -> None:
        """Fetch what is missing of a blob. UnavailableError: it broke off, or takes too long; what came stays."""
        have = file.stat().st_size if file.exists() else 0
        if have > layer.size:
            file.unlink()
            have = 0
        if have == layer.size and file.exists():
            return
        with (
            self._registry().blob(reference, f"sha256:{layer.digest}", have) as (begin, pieces),
            file.open("ab") as part,
        ):
            part.truncate(min(begin, have))
            got = min(begin, have)
            if begin > have:
                raise _interrupted(reference, f"it began at byte {begin} instead of {have}")
            for piece in pieces:
                got += len(piece)
                if got > layer.size:
                    part.truncate(0)
                    raise _interrupted(reference, f"a blob has more than the {layer.size} bytes that it should have")
                part.write(piece)
                if time.monotonic() > ends_at:
                    raise _interrupted(reference, "it takes too long; what came is kept")
        if got < layer.size:
            raise _interrupted(reference, f"it broke off after {got} of {layer.size} bytes; what came is kept")

    def _is_intact(self, digest: str) -> bool:
        """Whether every file is there with its size; looked at once a process, for only root can write there."""
        place = self._path / digest
        if digest in self._intact:
            return (place / "tree").is_dir()
        try:
            index = json.loads((place / "index.json").read_text("utf-8"))
            is_whole = (place / "tree").is_dir() and files_of(place / "tree") == index
        except (OSError, ValueError):
            return False
        if is_whole:
            self._intact.add(digest)
        return is_whole


def _unpack(beside: Path, layers: tuple[Layer, ...], blobs: Path) -> None:
    root = beside / "tree"
    root.mkdir(mode=0o755, parents=True)
    beside.chmod(0o755)
    root.chmod(0o755)
    tree = Tree(root)
    for layer in layers:
        if layer.is_archive:
            tree.add_archive(blobs / layer.digest)
        else:
            tree.add_file(layer.title, blobs / layer.digest)
    tree.demand_no_way_out()
    index = beside / "index.json"
    with index.open("w", encoding="utf-8") as file:
        json.dump(files_of(root), file)
        file.flush()
        os.fsync(file.fileno())
    sync_folders(beside)


def _drop(folder: Path) -> None:
    """Remove a folder of ours, where there is one."""
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _interrupted(reference: str, words: str) -> UnavailableError:
    return UnavailableError(PORT, f"pull {reference}", words, reason=HoldReason.ARTIFACT_UNAVAILABLE)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _json(data: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError) as broken:
        raise RefusedError(f"its manifest is no JSON: {broken}") from broken
    if not isinstance(tree, dict):
        raise RefusedError("its manifest is no JSON object")
    return tree


def _chosen(index: Mapping[str, Any]) -> str:
    """The manifest of an index for this machine, or the only one."""
    rows = [row for row in _rows(index, "manifests") if "digest" in row]
    own = {"architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()), "os": "linux"}
    fitting = [row for row in rows if isinstance(row.get("platform"), dict) and own.items() <= row["platform"].items()]
    if len(fitting or rows) != 1:
        raise RefusedError(f"it is an index with {len(fitting or rows)} manifests that fit {own['architecture']}")
    return _digest(fitting[0] if fitting else rows[0])


def _read_layers(manifest: Mapping[str, Any]) -> tuple[Layer, ...]:
    rows = [row for row in _rows(manifest, "layers") if row.get("mediaType") != _EMPTY]
    layers = tuple(map(_layer, rows))
    if not layers:
        raise RefusedError("it has no layers")
    if len(layers) > MOST_LAYERS or sum(layer.size for layer in layers) > LARGEST:
        raise RefusedError(f"it has more than {MOST_LAYERS} layers or {LARGEST} bytes")
    return layers


def _layer(row: Mapping[str, Any]) -> Layer:
    notes = row.get("annotations")
    notes = notes if isinstance(notes, dict) else {}
    kind, title, size = str(row.get("mediaType", "")), str(notes.get(_TITLE, "")), row.get("size")
    is_archive = str(notes.get(_UNPACK, "")).lower() == "true" or (not title and kind.endswith(_TARS))
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise RefusedError("a layer does not say its size")
    if not is_archive and not title:
        raise RefusedError(f"a layer of type {kind or 'unknown'} has no name and is no tar or tar+gzip archive")
    return Layer(_digest(row), size, title, is_archive)


def _digest(row: Mapping[str, Any]) -> str:
    kind, _, digest = str(row.get("digest", "")).partition(":")
    if kind != "sha256" or len(digest) != _HEX or set(digest) - set("0123456789abcdef"):
        raise RefusedError(f"{row.get('digest')!r} is no SHA-256 digest")
    return digest


def _rows(tree: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    rows = tree.get(key)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise RefusedError(f"its manifest has no list of {key}")
    return rows
