"""The artifact store's twin in memory: the same promises, a registry that is a table, and faults that are switches."""

from dataclasses import dataclass, field

from edgegitops.core.model.naming import digest_of
from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.core.model.steps import PullArtifact
from edgegitops.errors import DeniedError, UnavailableError

PORT = "artifacts"


@dataclass(slots=True)
class MemoryArtifacts:
    """`ports.Artifacts` without a disk. Every reference is pulled, but for those that a switch names."""

    is_registry_down: bool = False
    is_disk_full: bool = False
    unavailable: set[str] = field(default_factory=set)
    credential_denied: set[str] = field(default_factory=set)
    wrong_digest: set[str] = field(default_factory=set)
    stored: set[str] = field(default_factory=set)

    def pull(self, step: PullArtifact) -> None:
        """Make it present."""
        action = f"pull {step.subject}"
        if digest_of(step.subject) in self.stored:
            return
        if step.subject in self.wrong_digest:
            raise DeniedError(PORT, action, "these are other bytes", reason=Refusal.DIGEST_MISMATCH)
        if step.subject in self.credential_denied:
            raise UnavailableError(PORT, action, "it is not for us", reason=HoldReason.CREDENTIAL_DENIED)
        if self.is_registry_down or step.subject in self.unavailable:
            raise UnavailableError(PORT, action, "no answer", reason=HoldReason.ARTIFACT_UNAVAILABLE)
        if self.is_disk_full:
            raise UnavailableError(PORT, action, "no space left on device", reason=HoldReason.DISK_FULL)
        self.stored.add(digest_of(step.subject))

    def present(self) -> frozenset[str]:
        """The digests that are there."""
        return frozenset(self.stored)

    def remove(self, digest: str) -> None:
        """Make it absent."""
        self.stored.discard(digest)
