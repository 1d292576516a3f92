"""Law: an image is made from files in memory, byte for byte the same each time, so its digest is known before any
registry or engine has seen it. OCI image format 1.0: gzipped layers, one config, one manifest.
"""

import gzip
import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "riscv64": "riscv64"}


@dataclass(frozen=True, slots=True)
class Content:
    """A file of an image, or a symbolic link where `link` says where to."""

    data: bytes = b""
    mode: int = 0o644
    link: str = ""


@dataclass(frozen=True, slots=True)
class Image:
    """A whole image: blobs by digest (`sha256:…`), and the manifest's exact bytes."""

    manifest: bytes
    blobs: Mapping[str, bytes] = field(repr=False)

    @property
    def digest(self) -> str:
        """The digest to pull by."""
        return digest_of(self.manifest)


def digest_of(data: bytes) -> str:
    """`sha256:` and 64 hex characters."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Layer:
    """Some files of an image, gzipped; `diff_id` is the digest of what is in the gzip."""

    data: bytes = field(repr=False)
    diff_id: str

    @property
    def digest(self) -> str:
        """The digest to fetch it by."""
        return digest_of(self.data)


def layer(files: Mapping[str, Content]) -> Layer:
    """The layer of these files (absolute paths)."""
    plain = _tar(files)
    return Layer(gzip.compress(plain, compresslevel=6, mtime=0), digest_of(plain))


def build(files: Mapping[str, Content], settings: Mapping[str, Any], *, on: Sequence[Layer] = ()) -> Image:
    """The image of these files (absolute paths), `on` layers that others may have too, with the `config` object of the
    OCI configuration (Entrypoint …).
    """
    layers = [*on, layer(files)]
    config = _json(
        {
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": dict(settings),
            "rootfs": {"type": "layers", "diff_ids": [one.diff_id for one in layers]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "edgegitops lab"} for _ in layers],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": _CONFIG_TYPE, "digest": digest_of(config), "size": len(config)},
            "layers": [{"mediaType": _LAYER_TYPE, "digest": one.digest, "size": len(one.data)} for one in layers],
        }
    )
    return Image(manifest, {**{one.digest: one.data for one in layers}, digest_of(config): config})


def artifact(files: Mapping[str, bytes]) -> Image:
    """An artifact of these files (relative paths), as ORAS makes it: a layer each, with its path as title."""
    config = b"{}"
    layers = [
        {
            "mediaType": "application/octet-stream",
            "digest": digest_of(data),
            "size": len(data),
            "annotations": {"org.opencontainers.image.title": path},
        }
        for path, data in sorted(files.items())
    ]
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": "application/vnd.edgegitops.lab",
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(config), "size": 2},
            "layers": layers,
        }
    )
    return Image(manifest, {digest_of(data): data for data in (config, *files.values())})


def _json(tree: Mapping[str, Any]) -> bytes:
    return json.dumps(tree, sort_keys=True, separators=(",", ":")).encode()


def _tar(files: Mapping[str, Content]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for folder in sorted({parent for path in files for parent in _parents(path)}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            archive.addfile(entry)
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.mode = content.mode
            if content.link:
                entry.type, entry.linkname = tarfile.SYMTYPE, content.link
                archive.addfile(entry)
            else:
                entry.size = len(content.data)
                archive.addfile(entry, io.BytesIO(content.data))
    return buffer.getvalue()


def _parents(path: str) -> list[str]:
    parts = path.strip("/").split("/")[:-1]
    return ["/".join(parts[: at + 1]) for at in range(len(parts))]
