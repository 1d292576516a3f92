"""Law: an image is made from files in memory, byte for byte the same each time, so its digest is known before any
registry or engine has seen it. OCI image format 1.0: one gzipped layer, one config, one manifest.
"""

import gzip
import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping
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


def build(files: Mapping[str, Content], settings: Mapping[str, Any]) -> Image:
    """The image of these files (absolute paths) with the `config` object of the OCI configuration (Entrypoint …)."""
    plain = _tar(files)
    layer = gzip.compress(plain, compresslevel=6, mtime=0)
    config = _json(
        {
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": dict(settings),
            "rootfs": {"type": "layers", "diff_ids": [digest_of(plain)]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "edgegitops lab"}],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": _CONFIG_TYPE, "digest": digest_of(config), "size": len(config)},
            "layers": [{"mediaType": _LAYER_TYPE, "digest": digest_of(layer), "size": len(layer)}],
        }
    )
    return Image(manifest, {digest_of(layer): layer, digest_of(config): config})


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
