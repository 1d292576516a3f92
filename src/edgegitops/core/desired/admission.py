"""Law: the node's own policy is a closed allow-list over the resolved spec; Git can only narrow it.

Judged is what the engine would be told, not what a manifest says. Each refusal names the field, the rule and the file
in which a person with access to the node may change it. Some things no rule allows: an engine's socket, the folders of
the agent and the engine and all above them, an image
without a digest, annotations that the runtime obeys, kernel settings of the whole node.
Paths are compared part by part after they are cleaned; a path that climbs or is not clean is refused, not repaired.
Whether updates may happen at all (`updates`) is asked when one begins, not here.
"""

from collections.abc import Iterator, Mapping

from edgegitops.core.desired.confinement import UNCONFINED
from edgegitops.core.desired.mounts import clean_path, is_engine_socket
from edgegitops.core.desired.security import BASELINE_DROP, ENGINE_ANNOTATIONS, ENGINE_LABELS, Profile, is_namespaced
from edgegitops.core.desired.subnets import is_private
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.spec import CreateSpec, DeploymentSpec, Security

_DIGEST_MARK = "@sha256:"
_NEVER = ""


def admit(spec: DeploymentSpec, policy: NodePolicy) -> tuple[Fault, ...]:
    """Why this node refuses the spec; empty where it admits it."""
    return tuple(_refusals(spec, policy))


def _refusals(spec: DeploymentSpec, policy: NodePolicy) -> Iterator[Fault]:
    for name, network in sorted(spec.networks.items()):
        if network.driver != "bridge" and not policy.host_network:
            field = f"networks.{name}.driver"
            yield _refusal(policy, field, f"{network.driver} puts containers on the node's network", "hostNetwork")
        if network.driver == "bridge" and network.subnet and not is_private(network.subnet):
            message = f"{network.subnet} would hide public addresses from the node; take private ones"
            yield _refusal(policy, f"networks.{name}.subnet", message, _NEVER)
    told = {f"containers.{name}": one.create for name, one in sorted(spec.containers.items())}
    told |= {f"jobs.{name}": one.create for name, one in sorted(spec.jobs.items())}
    for field, create in told.items():
        yield from _image(create, policy, field)
        yield from _privileges(create, policy, field)
        yield from _confinement(create.security, policy, f"{field}.security")
        yield from _devices(create, policy, field)
        yield from _mounts(create, policy, field)
        yield from _ports(create, policy, field)
        yield from _limits(create, policy, field)


def _refusal(policy: NodePolicy, field: str, message: str, rule: str) -> Fault:
    """`rule` is the key under `spec` of the policy that would allow it; empty where none does."""
    expected = f"spec.{rule} of {policy.file} to allow it" if rule else "nothing allows it"
    return Fault(
        file=policy.file,
        code=FaultCode.ADMISSION_DENIED,
        message=f"{field}: {message}",
        pointer=f"/spec/{rule.replace('.', '/')}" if rule else "",
        expected=expected,
    )


def _image(create: CreateSpec, policy: NodePolicy, field: str) -> Iterator[Fault]:
    for where, reference in sources_of(create):
        name, mark, digest = reference.partition(_DIGEST_MARK)
        if not mark or not digest:
            yield _refusal(policy, f"{field}.{where}", f"{reference} has no digest", _NEVER)
        if policy.registries and not any(is_from(name, registry) for registry in policy.registries):
            yield _refusal(policy, f"{field}.{where}", f"{name} is from no allowed registry", "registries")


def sources_of(create: CreateSpec) -> Iterator[tuple[str, str]]:
    """What a container takes from registries: the field, and the image or artifact."""
    yield "image", create.image
    for mount in create.mounts:
        if mount.artifact:
            yield f"mounts.{mount.target}", mount.artifact


def is_from(image: str, registry: str) -> bool:
    """Whether an image or artifact comes from a registry, or from below a path of it."""
    prefix = registry.rstrip("/")
    return bool(prefix) and (image == prefix or image.startswith(f"{prefix}/"))


def _privileges(create: CreateSpec, policy: NodePolicy, field: str) -> Iterator[Fault]:
    security = create.security
    if not policy.privileged:
        if security.privileged or security.profile == Profile.PRIVILEGED:
            yield _refusal(policy, f"{field}.security.profile", "privileged", "privileged")
        elif not security.no_new_privileges:
            yield _refusal(policy, f"{field}.security.noNewPrivileges", "new privileges are asked for", "privileged")
        elif missing := _kept(create):
            yield _refusal(policy, f"{field}.security.capabilities", f"{missing} are not dropped", "privileged")
    allowed = {name.upper().removeprefix("CAP_") for name in policy.capabilities}
    for capability in security.capabilities_add:
        if capability not in allowed and "ALL" not in allowed:
            yield _refusal(policy, f"{field}.security.capabilities.add", f"{capability} is added", "capabilities")
    if create.host_network and not policy.host_network:
        yield _refusal(policy, f"{field}.hostNetwork", "the node's network is asked for", "hostNetwork")
    for name in sorted(create.sysctls):
        if not is_namespaced(name) or (create.host_network and name.startswith("net.")):
            yield _refusal(policy, f"{field}.sysctls.{name}", "a setting of the whole node", _NEVER)
    yield from _words(create, policy, field)


def _words(create: CreateSpec, policy: NodePolicy, field: str) -> Iterator[Fault]:
    """Annotations and labels that are orders to the runtime or the engine."""
    for name in sorted(create.annotations):
        if name.startswith(tuple(ENGINE_ANNOTATIONS)):
            yield _refusal(policy, f"{field}.annotations.{name}", "the container runtime would obey it", _NEVER)
    for name in sorted(create.labels):
        if name.startswith(tuple(ENGINE_LABELS)):
            yield _refusal(policy, f"{field}.labels.{name}", "the engine would obey it", _NEVER)


def _confinement(security: Security, policy: NodePolicy, field: str) -> Iterator[Fault]:
    """What loosens the engine's own confinement. A profile of another name may hold anything, so it is judged alike."""
    loosened = {
        "hostPID": security.host_pid,
        "hostIPC": security.host_ipc,
        "seccomp": security.seccomp == UNCONFINED,
        "appArmor": bool(security.app_armor),
        "selinux": bool(security.selinux.keys() - {"level"}),
        "unmask": bool(security.unmask),
    }
    for key in [key for key, is_loose in loosened.items() if is_loose and not policy.privileged]:
        yield _refusal(policy, f"{field}.{key}", "the confinement of the engine is changed", "privileged")
    is_known = security.seccomp in policy.seccomp_profiles or policy.privileged
    if security.seccomp.startswith("/") and not is_known:
        message = f"the profile {security.seccomp} is not allowed"
        yield _refusal(policy, f"{field}.seccomp", message, "seccompProfiles")


def _devices(create: CreateSpec, policy: NodePolicy, field: str) -> Iterator[Fault]:
    for device in create.devices:
        asked = device.cdi or device.host
        is_allowed = any(
            asked == one or is_inside(device.host, one) or (device.cdi and asked.startswith(f"{one}="))
            for one in policy.devices
        )
        if device.host and clean_path(device.host) != device.host:
            yield _refusal(policy, f"{field}.devices", f"{device.host} is no clean absolute path", _NEVER)
        elif not is_allowed:
            yield _refusal(policy, f"{field}.devices", f"the device {asked} is not allowed", "devices")
    for rule in create.device_cgroup_rules:
        if rule not in policy.devices:
            yield _refusal(policy, f"{field}.deviceCgroupRules", f"the rule {rule!r} is not allowed", "devices")


def _kept(create: CreateSpec) -> str:
    """Capabilities that the baseline drops and this container neither drops nor asks for in the open."""
    security = create.security
    if "ALL" in security.capabilities_drop:
        return ""
    return ", ".join(sorted(BASELINE_DROP - {*security.capabilities_drop, *security.capabilities_add}))


def _mounts(create: CreateSpec, policy: NodePolicy, field: str) -> Iterator[Fault]:
    for mount in create.mounts:
        where = f"{field}.mounts.{mount.target}"
        if mount.propagation.endswith("shared") and not policy.privileged:
            yield _refusal(policy, where, "mounts made inside would appear on the node", "privileged")
        if not mount.host:
            continue
        if clean_path(mount.host) != mount.host:
            yield _refusal(policy, where, f"{mount.host} is no clean absolute path", _NEVER)
        elif is_engine_socket(mount.host):
            yield _refusal(policy, where, f"{mount.host} gives the container the whole node", _NEVER)
        elif sealed := next((one for one in policy.sealed if _meets(mount.host, one)), ""):
            what = f"{mount.host} would show {sealed}, which belongs to the agent or the engine"
            yield _refusal(policy, where, what, _NEVER)
        elif not any(is_inside(mount.host, folder) for folder in policy.host_paths):
            yield _refusal(policy, where, f"the host path {mount.host} is not allowed", "hostPaths")


def _meets(path: str, folder: str) -> bool:
    """Whether a mount of one shows something of the other."""
    return is_inside(path, folder) or is_inside(folder, path)


def is_inside(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies in it, compared part by part; False where one of them is not absolute."""
    inner, outer = clean_path(path), clean_path(folder)
    if not inner or not outer:
        return False
    return inner == outer or inner.startswith(f"{outer.rstrip('/')}/")


def _ports(create: CreateSpec, policy: NodePolicy, field: str) -> Iterator[Fault]:
    if not policy.ports:
        return
    for port in create.ports:
        if port.host is not None and not any(bounds[0] <= port.host <= bounds[-1] for bounds in policy.ports):
            yield _refusal(policy, f"{field}.ports", f"the host port {port.host} is not allowed", "ports")


def _limits(create: CreateSpec, policy: NodePolicy, field: str) -> Iterator[Fault]:
    ceilings: Mapping[str, tuple[int | None, int | None]] = {
        "memory": (create.resources.memory, policy.max_memory),
        "cpus": (create.resources.milli_cpus, policy.max_milli_cpus),
    }
    for key, (asked, ceiling) in ceilings.items():
        if ceiling is None or (asked is not None and asked <= ceiling):
            continue
        unit = "bytes" if key == "memory" else "thousandths of a CPU"
        what = "no limit is set" if asked is None else f"{asked} {unit} are asked for"
        message = f"{what}, at most {ceiling} {unit} are allowed"
        yield _refusal(policy, f"{field}.resources.{key}", message, f"ceilings.{key}")
