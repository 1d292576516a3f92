"""The node's own policy: what is closed by default, what each rule opens, and tricks with paths."""

from dataclasses import replace

import pytest

from edgegitops.core.desired.admission import admit, is_inside
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.spec import (
    ContainerSpec,
    CreateSpec,
    DeploymentSpec,
    Device,
    Mount,
    NetworkSpec,
    Port,
    Resources,
    Security,
)

IMAGE = "registry.example/line/app@sha256:" + "ab" * 32
BASELINE = Security(capabilities_drop=("AUDIT_WRITE", "MKNOD", "NET_RAW"))
CLOSED = NodePolicy()


def spec(*, networks=None, **create):
    told = {"image": IMAGE, "security": BASELINE, **create}
    return DeploymentSpec("line", {"web": ContainerSpec(CreateSpec(**told))}, networks or {})


CASES = [
    ({"mounts": (Mount("/x", host="/srv/data"),)}, {"host_paths": ("/srv",)}, "hostPaths"),
    ({"security": replace(BASELINE, privileged=True)}, {"privileged": True}, "privileged"),
    ({"security": replace(BASELINE, profile="privileged")}, {"privileged": True}, "privileged"),
    ({"security": replace(BASELINE, no_new_privileges=False)}, {"privileged": True}, "privileged"),
    ({"security": Security()}, {"privileged": True}, "privileged"),
    (
        {"security": replace(BASELINE, capabilities_add=("SYS_TIME",))},
        {"capabilities": ("CAP_SYS_TIME",)},
        "capabilities",
    ),
    ({"security": replace(BASELINE, capabilities_add=("SYS_TIME",))}, {"capabilities": ("ALL",)}, "capabilities"),
    ({"host_network": True}, {"host_network": True}, "hostNetwork"),
    ({"networks": {"l": NetworkSpec("macvlan", "eth0")}}, {"host_network": True}, "hostNetwork"),
    ({"devices": (Device("/dev/ttyUSB0"),)}, {"devices": ("/dev/ttyUSB0",)}, "devices"),
    ({"devices": (Device("/dev/serial/by-id/x"),)}, {"devices": ("/dev/serial",)}, "devices"),
    ({"devices": (Device(cdi="nvidia.com/gpu=all"),)}, {"devices": ("nvidia.com/gpu",)}, "devices"),
    ({"devices": (Device(cdi="nvidia.com/gpu=0"),)}, {"devices": ("nvidia.com/gpu=0",)}, "devices"),
    ({"device_cgroup_rules": ("c 188:* rw",)}, {"devices": ("c 188:* rw",)}, "devices"),
    ({"security": replace(BASELINE, host_pid=True)}, {"privileged": True}, "privileged"),
    ({"security": replace(BASELINE, host_ipc=True)}, {"privileged": True}, "privileged"),
    ({"security": replace(BASELINE, seccomp="unconfined")}, {"privileged": True}, "privileged"),
    ({"security": replace(BASELINE, seccomp="/etc/s/x")}, {"seccomp_profiles": ("/etc/s/x",)}, "seccompProfiles"),
    ({"security": replace(BASELINE, app_armor="line")}, {"privileged": True}, "privileged"),
    ({"security": replace(BASELINE, selinux={"type": "spc_t"})}, {"privileged": True}, "privileged"),
    ({"security": replace(BASELINE, unmask=("/proc/kcore",))}, {"privileged": True}, "privileged"),
    (
        {"mounts": (Mount("/x", volume="data", propagation="rshared"),)},
        {"privileged": True},
        "privileged",
    ),
]


@pytest.mark.parametrize(("fields", "opened", "rule"), CASES)
def test_closed_by_default_and_opened_by_its_rule(fields, opened, rule):
    """Red where core/desired/admission.py has `elif False:` for `elif not any(is_inside(mount.host, folder) for
    folder in policy.host_paths):`.
    Red where core/desired/admission.py has `if False:` for `if security.privileged or security.profile ==
    Profile.PRIVILEGED:`.
    """
    refused = spec(**fields)
    (fault,) = admit(refused, CLOSED)
    assert (fault.code, fault.file, fault.pointer) == ("admission-denied", CLOSED.file, f"/spec/{rule}")
    assert rule in fault.expected
    assert CLOSED.file in fault.expected
    assert fault.message.startswith(("containers.web", "networks.l"))
    assert admit(refused, NodePolicy(**opened)) == ()


NARROWED = [
    ({}, {"registries": ("other.example",)}, {"registries": ("registry.example",)}, "registries"),
    ({}, {"registries": ("registry.example:5000",)}, {"registries": ("registry.example/line/",)}, "registries"),
    ({}, {"registries": ("registry.example/li", "")}, {"registries": ("x", "registry.example/line/app")}, "registries"),
    ({"ports": (Port(80, 80),)}, {"ports": ((1024, 65535),)}, {"ports": ((1024, 65535), (80,))}, "ports"),
    ({"ports": (Port(80, 8080),)}, {"ports": ((1, 8079), (8081, 9000))}, {"ports": ((8080, 8080),)}, "ports"),
    ({}, {"max_memory": 100}, {}, "ceilings/memory"),
    ({"resources": Resources(memory=101)}, {"max_memory": 100}, {"max_memory": 101}, "ceilings/memory"),
    ({"resources": Resources(milli_cpus=501)}, {"max_milli_cpus": 500}, {"max_milli_cpus": 501}, "ceilings/cpus"),
    ({}, {"max_milli_cpus": 500}, {}, "ceilings/cpus"),
]


@pytest.mark.parametrize(("fields", "narrow", "wide", "rule"), NARROWED)
def test_narrowed_policy_refuses_what_is_outside(fields, narrow, wide, rule):
    """Red where core/desired/admission.py has `if False:` for `if policy.registries and not any(is_from(name,
    registry) for registry in policy.registries):`.
    """
    (fault,) = admit(spec(**fields), NodePolicy(**narrow))
    assert fault.pointer == f"/spec/{rule}"
    assert admit(spec(**fields), NodePolicy(**wide)) == ()


WIDE_OPEN = NodePolicy(
    host_paths=("/",), capabilities=("ALL",), privileged=True, host_network=True, file="/etc/edgegitops/policy.yaml"
)


@pytest.mark.parametrize(
    "fields",
    [
        {"image": "registry.example/app:1.0"},
        {"image": "registry.example/app@sha256:"},
        {"mounts": (Mount("/x", host="/run/podman/podman.sock"),)},
        {"mounts": (Mount("/x", host="/"),)},
        {"mounts": (Mount("/x", host="/srv/../run"),)},
        {"mounts": (Mount("/x", host="/srv//x"),)},
        {"mounts": (Mount("/x", host="/srv/"),)},
        {"mounts": (Mount("/x", host="srv"),)},
        {"annotations": {"run.oci.hooks.stdout": "/etc/cron.d/x"}},
        {"annotations": {"io.containers.trace-syscall": "of:/etc/cron.d/x"}},
        {"annotations": {"io.katacontainers.config_path": "/srv/x"}},
        {"labels": {"PODMAN_SYSTEMD_UNIT": "ssh.service"}},
        {"labels": {"io.containers.autoupdate": "registry"}},
        {"sysctls": {"kernel.core_pattern": "|/x"}},
        {"sysctls": {"net.ipv4.ip_forward": "1"}, "host_network": True},
    ],
)
def test_some_things_no_policy_allows(fields):
    """Red where core/desired/admission.py has `if False:` for `if clean_path(mount.host) != mount.host:`."""
    (fault,) = admit(spec(**fields), WIDE_OPEN)
    assert fault.code == "admission-denied"
    assert fault.expected == "nothing allows it"


@pytest.mark.parametrize(
    ("path", "folder", "is_in"),
    [
        ("/srv/data", "/srv/data", True),
        ("/srv/data/x", "/srv/data", True),
        ("/srv/data/x", "/srv/data/", True),
        ("/srv/data/x", "//srv//data", True),
        ("/srv/data", "/srv/data/", True),
        ("/srv/database", "/srv/data", False),
        ("/srv", "/srv/data", False),
        ("/srv/data/../etc", "/srv/data", False),
        ("/srv/data/..", "/srv/data", False),
        ("/srv/data/./x", "/srv/data", True),
        ("/srv/data", "/srv/data/..", False),
        ("srv/data", "/srv", False),
        ("/srv/data", "srv", False),
        ("/anything", "/", True),
        ("", "/", False),
        ("/srv\0/x", "/srv", False),
    ],
)
def test_path_is_compared_part_by_part(path, folder, is_in):
    assert is_inside(path, folder) is is_in


def test_what_only_narrows_needs_no_rule():
    narrow = replace(BASELINE, mask=("/proc/x",), ipc="none", user_namespace="auto", selinux={"level": "s0"})
    assert admit(spec(security=narrow, mounts=(Mount("/x", volume="d", propagation="rslave"),)), CLOSED) == ()


@pytest.mark.parametrize(("asked", "listed"), [("/dev/ttyUSB01", "/dev/ttyUSB0"), ("/dev/../etc", "/dev")])
def test_device_is_compared_part_by_part(asked, listed):
    assert admit(spec(devices=(Device(asked),)), NodePolicy(devices=(listed,)))


def test_one_cdi_device_does_not_allow_its_kind():
    assert admit(spec(devices=(Device(cdi="a.b/gpu=1"),)), NodePolicy(devices=("a.b/gpu=0", "a.b", "a.b/gp")))


def test_each_refusal_is_told():
    container = CreateSpec(image="x", security=replace(BASELINE, privileged=True), host_network=True)
    several = DeploymentSpec("line", {"a": ContainerSpec(container), "b": ContainerSpec(container)})
    faults = admit(several, CLOSED)
    assert [fault.message.split(":")[0] for fault in faults] == [
        f"containers.{name}.{field}" for name in "ab" for field in ("image", "security.profile", "hostNetwork")
    ]


def test_plain_container_is_admitted_everywhere():
    assert admit(spec(), CLOSED) == ()
    assert admit(spec(security=Security("restricted", capabilities_drop=("ALL",), read_only_root=True)), CLOSED) == ()


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/etc", "/etc/edgegitops", "/etc/edgegitops/keys", "/var", "/var/lib", "/var/lib/edgegitops"),
        *("/var/lib/edgegitops/contents/x", "/var/lib/containers", "/var/lib/containers/storage/volumes/a"),
        *("/srv/state", "/srv/state/journal.db", "/srv", "/run", "/run/podman"),
    ],
)
def test_folders_of_the_agent_and_the_engine_are_never_mounted(path):
    """Red where core/desired/admission.py has `elif False:` for `elif sealed := next((one for one in policy.sealed
    if _meets(mount.host, one)), ""):`.
    """
    policy = NodePolicy(host_paths=("/",), privileged=True, sealed=(*NodePolicy().sealed, "/srv/state"))
    (refusal,) = admit(spec(mounts=(Mount("/x", host=path),)), policy)
    assert (refusal.code, refusal.expected) == ("admission-denied", "nothing allows it")


@pytest.mark.parametrize("path", ["/etc/localtime", "/var/lib/edgegitops2", "/var/log", "/srv/data"])
def test_folders_beside_them_are_as_the_policy_says(path):
    policy = NodePolicy(host_paths=("/",), sealed=(*NodePolicy().sealed, "/srv/state"))
    assert not admit(spec(mounts=(Mount("/x", host=path),)), policy)
