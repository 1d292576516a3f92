"""Law: a name on the engine is a function of deployment, part and digest, so two releases never fight for one.

Volumes carry data from release to release and have no digest in their names. Ownership is told by labels, never by
names: a thing with our name and without our labels belongs to somebody else.
"""

from datetime import UTC, datetime

LABEL_FLEET = "io.edgegitops.fleet"
LABEL_DEPLOYMENT = "io.edgegitops.deployment"
LABEL_CONTAINER = "io.edgegitops.container"
LABEL_DIGEST = "io.edgegitops.digest"
LABEL_NETWORK = "io.edgegitops.network"
LABEL_VOLUME = "io.edgegitops.volume"
LABEL_RETAIN = "io.edgegitops.retain"
LABEL_FAILED = "io.edgegitops.failed"
LABEL_KEPT_FOR = "io.edgegitops.kept-for"
LABEL_SHARES = "io.edgegitops.shares"
LABEL_JOB = "io.edgegitops.job"
LABEL_NETWORKS = "io.edgegitops.networks"

SHORT = 12


def container_name(deployment: str, container: str, digest: str) -> str:
    """Engine name of a container; `digest` is the container's own digest (64 hex characters)."""
    return f"{deployment}.{container}.{digest[:SHORT]}"


def run_name(deployment: str, job: str, digest: str, due_at: datetime) -> str:
    """Engine name of the container of one scheduled run: a function of the time at which it was due, so no run is
    ever made twice.
    """
    return f"{container_name(deployment, job, digest)}.{due_at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def network_name(deployment: str, network: str, digest: str) -> str:
    """Engine name of a network; `digest` is that of the network's definition."""
    return f"{deployment}.{network}.{digest[:SHORT]}"


def shared_network_name(network: str, digest: str) -> str:
    """Engine name of a network that deployments share; no deployment's name has an underscore."""
    return f"shared_{network}.{digest[:SHORT]}"


def failed_name(volume: str, digest: str) -> str:
    """Engine name of the volume that keeps what a failed release made of a volume."""
    return f"{volume}.failed-{digest[:SHORT]}"


def volume_name(deployment: str, volume: str) -> str:
    """Engine name of a volume: stable over releases."""
    return f"{deployment}.{volume}"


def digest_of(name: str) -> str:
    """The hex digest that an image or artifact reference ends in."""
    return name.rpartition(":")[2]
