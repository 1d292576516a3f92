"""The resolved form of one deployment for one node: what its digest is made of, and nothing else.

`CreateSpec` is what the engine is told; its digest decides whether a container is replaced. `Care` is what the agent
does around it (order, probes, stop, restart): it counts in the release digest only. All quantities are plain
numbers: bytes, seconds, thousandths of a CPU. Fields at their default are not part of the digest (see codec), so a
field may be added here, never removed, renamed or given another default, while the resolver version stays.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from edgegitops.core.model.canonical import digest
from edgegitops.core.model.codec import to_tree
from edgegitops.core.model.secrets import SecretRef


class Condition(StrEnum):
    """What a dependant waits for."""

    STARTED = "started"
    READY = "ready"
    COMPLETED = "completed"


class Restart(StrEnum):
    """What the agent does when a container of a healthy release ends."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "never"


class OnUnhealthy(StrEnum):
    """What a failing live probe leads to."""

    RESTART = "restart"
    REPORT = "report"
    STOP = "stop"


class Required(StrEnum):
    """Whether a container may be created without a device; WAIT: it is created when the device appears."""

    TRUE = "true"
    FALSE = "false"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Port:
    """A published port; `host` None means it is only exposed inside."""

    container: int
    host: int | None = None
    host_ip: str = ""
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A container's place on one network of its deployment. On a shared network its own name is no alias: others may
    have the same; `aliases` holds all that it answers to there.
    """

    aliases: tuple[str, ...] = ()
    ip: str = ""
    mac: str = ""
    is_shared: bool = False


@dataclass(frozen=True, slots=True)
class Device:
    """A device; exactly one of host (path on the node) and cdi (name) is set. `container` empty: the same path there;
    `permissions` of r, w and m, empty is all three.
    """

    host: str = ""
    container: str = ""
    permissions: str = ""
    required: Required = Required.TRUE
    cdi: str = ""

    def __post_init__(self) -> None:
        if bool(self.host) == bool(self.cdi):
            raise ValueError("device: one of host and cdi is needed")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount at `target`; exactly one of volume, file, folder, tmpfs, host, live, artifact,
    secret is set.

    `file` is the SHA-256 of the content, kept in the node's content store; `folder` maps relative paths to such
    digests; `artifact` is `name@sha256:…`, a tree that the node has unpacked; `tmpfs_size` in bytes; `host` is an
    absolute path on the node. `mode`, `uid` and `gid` are those of the file, of the root of the tmpfs or volume, or of
    the host directory that `host_create` makes. `copy_once`: a file or folder is copied into the volume that is mounted
    above it, where it is absent, instead of being mounted.
    `sub_path` is a folder inside the volume, such as `pg/data`: mode and owner are then those of that folder.
    `live` says `file` or `folder` of a config whose content may change while the container runs (`Care.configs`).
    `secret` is shown as a file of its own; `secrets` (name: version) belong into the marks of `file` or `folder`, then
    a template (core/model/secrets.py). Either lies in the node's memory only, 0400 where no mode is said.
    """

    target: str
    volume: str = ""
    file: str = ""
    folder: Mapping[str, str] = field(default_factory=dict)
    tmpfs: bool = False
    tmpfs_size: int | None = None
    host: str = ""
    read_only: bool = False
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    copy_once: bool = False
    populate: bool = True
    host_type: str = ""
    host_create: bool = False
    relabel: str = ""
    propagation: str = ""
    live: str = ""
    artifact: str = ""
    secret: SecretRef | None = None
    secrets: Mapping[str, int] = field(default_factory=dict)
    sub_path: str = ""

    def __post_init__(self) -> None:
        kinds = (self.volume, self.file, self.folder, self.tmpfs, self.host, self.live, self.artifact, self.secret)
        sources = sum(map(bool, kinds))
        if sources != 1:
            raise ValueError(f"mount {self.target}: {sources} sources, one is needed")


@dataclass(frozen=True, slots=True)
class Resources:
    """Limits: bytes, thousandths of a CPU, counts. None is no limit. Weights go from 1 to 10000, 100 is the usual one;
    `hugepages` maps a page size such as `2MB` to bytes.
    """

    memory: int | None = None
    memory_reservation: int | None = None
    memory_swap: int | None = None
    milli_cpus: int | None = None
    cpu_set: str = ""
    pids: int | None = None
    cpu_weight: int | None = None
    memory_nodes: str = ""
    io_weight: int | None = None
    hugepages: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ulimit:
    """A POSIX limit; -1 is unlimited."""

    soft: int
    hard: int


@dataclass(frozen=True, slots=True)
class Security:
    """The resolved security profile: what remains after baseline or restricted and additions are worked out. Empty
    texts are the engine's own choice; `seccomp` is `unconfined` or a path on the node; `user_namespace` auto or host.
    """

    profile: str = "baseline"
    privileged: bool = False
    capabilities_add: tuple[str, ...] = ()
    capabilities_drop: tuple[str, ...] = ()
    read_only_root: bool = False
    no_new_privileges: bool = True
    host_pid: bool = False
    host_ipc: bool = False
    ipc: str = ""
    seccomp: str = ""
    app_armor: str = ""
    selinux: Mapping[str, str] = field(default_factory=dict)
    user_namespace: str = ""
    mask: tuple[str, ...] = ()
    unmask: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Logging:
    """The engine's log of a container; `max_size` in bytes."""

    driver: str = "k8s-file"
    max_size: int = 10 * 1024 * 1024
    tag: str = ""


@dataclass(frozen=True, slots=True)
class CreateSpec:
    """What the engine is told when it creates the container. `image` ends in `@sha256:<64 hex>`. Variables of
    `env_secrets` are secrets; of each in `env_from`, every key that nothing else gives becomes a variable.
    """

    image: str
    entrypoint: tuple[str, ...] | None = None
    args: tuple[str, ...] = ()
    working_dir: str = ""
    hostname: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    groups: tuple[str, ...] = ()
    timezone: str = ""
    init: bool = True
    tty: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[Port, ...] = ()
    networks: Mapping[str, Attachment] = field(default_factory=dict)
    host_network: bool = False
    dns_servers: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    extra_hosts: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    device_cgroup_rules: tuple[str, ...] = ()
    resources: Resources = Resources()
    shm_size: int | None = None
    ulimits: Mapping[str, Ulimit] = field(default_factory=dict)
    sysctls: Mapping[str, str] = field(default_factory=dict)
    oom_score_adj: int | None = None
    security: Security = Security()
    logging: Logging = Logging()
    stop_signal: str = ""
    env_secrets: Mapping[str, SecretRef] = field(default_factory=dict)
    env_from: tuple[SecretRef, ...] = ()

    def secrets(self) -> frozenset[str]:
        """Every secret that it is given, by name and version (`db.2`)."""
        mounted = [mount.secret for mount in self.mounts if mount.secret]
        named = [SecretRef(*pair) for mount in self.mounts for pair in mount.secrets.items()]
        return frozenset(one.file for one in (*mounted, *named, *self.env_secrets.values(), *self.env_from))


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe: exactly one of http (port and path), tcp (port), grpc (port and service), exec (argv). Counts are
    consecutive results.
    """

    http_port: int | None = None
    http_path: str = "/"
    http_scheme: str = "http"
    http_headers: Mapping[str, str] = field(default_factory=dict)
    http_status: tuple[int, ...] = ()
    http_body_contains: str = ""
    tcp_port: int | None = None
    exec: tuple[str, ...] = ()
    interval: timedelta = timedelta(seconds=10)
    timeout: timedelta = timedelta(seconds=2)
    start_period: timedelta = timedelta(seconds=60)
    failure_threshold: int = 3
    success_threshold: int = 1
    http_tls_verify: bool = False
    grpc_port: int | None = None
    grpc_service: str = ""

    def __post_init__(self) -> None:
        ports = (self.http_port, self.tcp_port, self.grpc_port)
        ways = sum((*(port is not None for port in ports), bool(self.exec)))
        if ways != 1:
            raise ValueError(f"probe: {ways} ways to ask, one is needed")


@dataclass(frozen=True, slots=True)
class RestartLimit:
    """More ends than `attempts` within a time make the release count as regressed."""

    attempts: int
    within: timedelta


@dataclass(frozen=True, slots=True)
class Care:
    """What the agent does around a container. `depends_on` maps names of containers and jobs of the same deployment;
    `stop_pre` is run inside before the stop signal, for at most `stop_timeout`. `configs` are the contents of its live
    mounts, by target: relative path (empty for a file) to SHA-256. `config_signal` tells the program that they changed.
    """

    ready: Probe | None = None
    live: Probe | None = None
    startup: Probe | None = None
    on_unhealthy: OnUnhealthy = OnUnhealthy.RESTART
    restart: Restart = Restart.ALWAYS
    depends_on: Mapping[str, Condition] = field(default_factory=dict)
    stop_timeout: timedelta = timedelta(seconds=30)
    stop_pre: tuple[str, ...] = ()
    restart_limit: RestartLimit | None = None
    config_signal: str = ""
    configs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def configs_digest(self) -> str:
        """Names the contents of the live mounts; empty where there are none."""
        return digest(to_tree(self.configs)) if self.configs else ""


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """A network of a deployment, or (shared) one of the node's fleet that several deployments join."""

    driver: str = "bridge"
    parent: str = ""
    subnet: str = ""
    internal: bool = False
    ipv6: bool = False
    mtu: int | None = None
    dns: bool = True
    is_shared: bool = False


@dataclass(frozen=True, slots=True)
class SnapshotSpec:
    """A volume is copied before each update. `before` is run first inside of `container`, while it still runs; a volume
    of more than `max_size` bytes is not copied, and then there is no update.
    """

    container: str = ""
    before: tuple[str, ...] = ()
    max_size: int | None = None


@dataclass(frozen=True, slots=True)
class VolumeSpec:
    """A named volume of a deployment. `size` in bytes is asked of the engine when it is made; `retain` keeps the data
    when the deployment goes; `snapshot` None is never copied. Owner and mode of its root stand in the mounts.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None
    retain: bool = False
    snapshot: SnapshotSpec | None = None


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One container: how it is created and how it is cared for."""

    create: CreateSpec
    care: Care = Care()

    def contents(self) -> frozenset[str]:
        """SHA-256 of every config file that it mounts or copies."""
        folders = [*(mount.folder for mount in self.create.mounts), *self.care.configs.values()]
        files = {mount.file for mount in self.create.mounts if mount.file}
        return frozenset(files.union(*(folder.values() for folder in folders)))


class Runs(StrEnum):
    """When a job runs."""

    ON_INSTALL = "onInstall"
    BEFORE_SWITCH = "beforeSwitch"
    ON_UPDATE = "onUpdate"
    SCHEDULE = "schedule"


class Concurrency(StrEnum):
    """What a run that is due does while the last one still goes on."""

    FORBID = "forbid"
    ALLOW = "allow"
    REPLACE = "replace"


class Missed(StrEnum):
    """What becomes of a run whose time passed while nothing could start it."""

    SKIP = "skip"
    RUN_ONCE = "runOnce"


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A container that runs to its end. `schedule` (cron text) and `zone` (IANA name) are those of a scheduled one;
    `timeout` None is the default of core/reconcile/jobs.py. `retries` are further tries after the first.
    """

    create: CreateSpec
    runs: Runs
    care: Care = Care()
    schedule: str = ""
    zone: str = "UTC"
    concurrency: Concurrency = Concurrency.FORBID
    missed: Missed = Missed.SKIP
    timeout: timedelta | None = None
    retries: int = 0

    def container(self) -> ContainerSpec:
        """The container that it is while it runs."""
        return ContainerSpec(self.create, self.care)


@dataclass(frozen=True, slots=True)
class DeploymentSpec:
    """`spec(D, n, c)`: deployment D resolved for node n at revision c. Its canonical digest is the release digest."""

    deployment: str
    containers: Mapping[str, ContainerSpec]
    networks: Mapping[str, NetworkSpec] = field(default_factory=dict)
    volumes: Mapping[str, VolumeSpec] = field(default_factory=dict)
    attempt: int = 1
    jobs: Mapping[str, JobSpec] = field(default_factory=dict)

    def digest(self) -> str:
        """The release digest, 64 hex characters."""
        return digest(to_tree(self))

    def network_digest(self, network: str) -> str:
        """Digest of one network's definition."""
        return digest(to_tree(self.networks[network]))

    def container_digest(self, container: str) -> str:
        """The container's own digest: what the engine is told, with the definitions of the networks it joins."""
        return digest(self._created(self.containers[container].create))

    def job_digest(self, job: str, release: str) -> str:
        """A job's own digest. One that belongs to a release (`release`, its digest) is another one in each; what is
        scheduled stays the same one while the engine is told the same.
        """
        tree = self._created(self.jobs[job].create)
        return digest(tree if self.jobs[job].runs is Runs.SCHEDULE else {**tree, "release": release})

    def creates(self) -> tuple[CreateSpec, ...]:
        """What the engine is told of every container and every job."""
        return (*(one.create for one in self.containers.values()), *(one.create for one in self.jobs.values()))

    def _created(self, create: CreateSpec) -> dict[str, object]:
        joined = {name: to_tree(self.networks[name]) for name in create.networks}
        return {"create": to_tree(create), "networks": joined}
