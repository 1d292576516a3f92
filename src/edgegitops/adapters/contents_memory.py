"""The content store's twin in memory."""

from edgegitops.core.model.canonical import sha256_hex
from edgegitops.core.model.reasons import Refusal
from edgegitops.errors import DeniedError


class MemoryContents:
    """`ports.Contents` and `ports.NodeFiles` without a disk; `data` is what is stored, by digest."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}

    def put(self, sha256: str, data: bytes) -> None:
        """Store it; DeniedError where the digest is another one."""
        if sha256_hex(data) != sha256:
            raise DeniedError("contents", "put", f"the bytes do not have the digest {sha256!r}")
        self.data[sha256] = data

    def present(self) -> frozenset[str]:
        """The digests that are stored and intact."""
        return frozenset(name for name, data in self.data.items() if sha256_hex(data) == name)

    def path(self, sha256: str) -> str:
        """A path that names the content; DeniedError (content-missing) where there is none."""
        if sha256 not in self.data:
            raise DeniedError("contents", "path", f"no content {sha256!r} in memory", reason=Refusal.CONTENT_MISSING)
        return f"/memory/{sha256}"
