"""Releases as a simulation draws them: small, canonical, and with images whose behaviour the engine's twin knows."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from edgegitops.adapters.engine_memory import Behaviour
from edgegitops.core.model.canonical import sha256_hex
from edgegitops.core.model.facts import Desired
from edgegitops.core.model.release import Release, UpdatePolicy
from edgegitops.core.model.secrets import SecretRef
from edgegitops.core.model.spec import (
    Attachment,
    Care,
    Condition,
    ContainerSpec,
    CreateSpec,
    DeploymentSpec,
    Mount,
    NetworkSpec,
    Probe,
    SnapshotSpec,
    VolumeSpec,
)

SECONDS = timedelta(seconds=1)
POLICY = UpdatePolicy(deadline=60 * SECONDS, soak=30 * SECONDS, min_ready=5 * SECONDS)
READY = Probe(tcp_port=80, interval=5 * SECONDS, start_period=10 * SECONDS)

GOOD = {
    "good": Behaviour(),
    "slow": Behaviour(ready_after=20 * SECONDS),
}
BAD = {
    "dead": Behaviour(crashes_after=timedelta()),
    "short": Behaviour(crashes_after=12 * SECONDS),
    "mute": Behaviour(never_ready=True),
    "fading": Behaviour(unready_after=15 * SECONDS),
    "late": Behaviour(unready_after=80 * SECONDS),
    "uncreatable": Behaviour(fails_to_create=True),
    "unstartable": Behaviour(fails_to_start=True),
}
BEHAVIOURS = {**GOOD, **BAD}


def image(container: str, version: str) -> str:
    """`registry.example/<container>-<version>@sha256:…`; the version's word before the dash names its behaviour. What
    stands after a slash is a config that changes under the running program, and names its behaviour alike.
    """
    name = f"{container}-{version.partition('/')[0]}"
    return f"registry.example/{name}@sha256:{sha256_hex(name.encode())}"


def model(version: str) -> str:
    """The artifact that the first container of a release of this version mounts."""
    return f"registry.example/model@sha256:{sha256_hex(version.partition('/')[0].encode())}"


def secret(version: str) -> SecretRef:
    """The secret that the first container of a release of this version is given."""
    return SecretRef("db", int(version.partition("/")[0].rpartition("-")[2]))


def behaviours(container: str, version: str) -> dict[str, Behaviour]:
    """How an image of this version acts, and how it does with the version's config."""
    of_image, _, config = version.partition("/")
    found = {image(container, version): BEHAVIOURS[of_image.partition("-")[0]]}
    if config:
        found[_care(config).configs_digest()] = BEHAVIOURS[config.partition("-")[0]]
    return found


def _care(config: str) -> Care:
    if not config:
        return Care()
    return Care(config_signal="SIGHUP", configs={"/etc/app.conf": {"": sha256_hex(config.encode())}})


def release(
    deployment: str,
    versions: Mapping[str, str],
    *,
    attempt: int = 1,
    policy: UpdatePolicy = POLICY,
    snapshot: SnapshotSpec | None = None,
) -> Release:
    """A release of containers in the order given: each depends on the one before, the first has an artifact and a
    secret, and the last a volume.
    """
    containers: dict[str, ContainerSpec] = {}
    before = ""
    for at, (name, version) in enumerate(versions.items()):
        config = version.partition("/")[2]
        mounts = (Mount(target="/data", volume="data"),) if at == len(versions) - 1 else ()
        mounts += (Mount(target="/etc/app.conf", live="file"),) if config else ()
        mounts += (Mount(target="/model", artifact=model(version), read_only=True),) if at == 0 else ()
        mounts += (Mount(target="/run/db", secret=secret(version), read_only=True),) if at == 0 else ()
        create = CreateSpec(image=image(name, version), mounts=mounts, networks={"net": Attachment(aliases=(name,))})
        needs = {before: Condition.READY if at % 2 else Condition.STARTED} if before else {}
        containers[name] = ContainerSpec(create, replace(_care(config), ready=READY, depends_on=needs))
        before = name
    spec = DeploymentSpec(
        deployment, containers, {"net": NetworkSpec()}, {"data": VolumeSpec(snapshot=snapshot)}, attempt
    )
    return Release(spec.digest(), "", spec, version="+".join(versions.values()), policy=policy)


def desired(revision: str, *releases: Release) -> Desired:
    """What a revision wants of the node."""
    configs = [version.partition("/")[2].encode() for one in releases for version in one.version.split("+")]
    contents = {sha256_hex(config): config for config in configs if config}
    secrets = {file: b"sealed" for one in releases for create in one.spec.creates() for file in create.secrets()}
    wanted = {one.deployment: replace(one, revision=revision) for one in releases}
    return Desired(revision, wanted, contents, secrets=secrets)


def is_good(wanted: Release) -> bool:
    """Whether every image and every config of it behaves."""
    parts = [part for version in wanted.version.split("+") for part in version.split("/")]
    return all(part.partition("-")[0] in GOOD for part in parts)
