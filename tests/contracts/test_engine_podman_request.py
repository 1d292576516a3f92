"""Tables: what Podman is told for each field of a spec, and what its words of refusal mean."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegitops.adapters.engine_podman_look import log_text
from edgegitops.adapters.engine_podman_request import (
    LABEL_VOLUME_WORK,
    container_request,
    network_request,
    signal_number,
    volume_request,
)
from edgegitops.adapters.engine_podman_wire import judged
from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.core.model.spec import (
    Attachment,
    CreateSpec,
    Device,
    Logging,
    Mount,
    NetworkSpec,
    Port,
    Resources,
    Security,
    Ulimit,
)
from edgegitops.core.model.steps import CreateContainer, CreateNetwork, CreateVolume
from edgegitops.errors import UnavailableError

LIMITS = {"nofile": Ulimit(1024, 2048), "nproc": Ulimit(512, 512)}
SPEC = CreateSpec(image="registry.example/app@sha256:" + "a" * 64)
STEP = CreateContainer(
    "line.app.1", "app", SPEC, {"io.edgegitops.fleet": "f"}, {"lan": "line.lan.2"}, {"data": "line.data"}
)


def told(**spec: object) -> dict[str, object]:
    return container_request(replace(STEP, create=replace(SPEC, **spec)), "/contents", LIMITS)


@pytest.mark.parametrize(
    ("spec", "key", "value"),
    [
        ({}, "restart_policy", "no"),
        ({}, "healthconfig", {"Test": ["NONE"]}),
        ({}, "httpproxy", False),
        ({}, "init", True),
        ({}, "no_new_privileges", True),
        ({}, "stop_timeout", 30),
        ({}, "netns", {"nsmode": "bridge"}),
        ({}, "labels", {"io.edgegitops.fleet": "f", "io.edgegitops.volume-work": ""}),
        (  # what an image says of itself in our words must not stand either, so all of our labels are always sent
            {"labels": {"io.edgegitops.fleet": "stolen", "io.edgegitops.volume-work": "[]", "a": "b"}},
            "labels",
            {"io.edgegitops.fleet": "f", "io.edgegitops.volume-work": "", "a": "b"},
        ),
        ({"entrypoint": ()}, "entrypoint", []),
        ({"entrypoint": ("/x", "y")}, "entrypoint", ["/x", "y"]),
        ({"args": ("a", "b")}, "command", ["a", "b"]),
        ({"env": {"V": "1.10"}}, "env", {"V": "1.10"}),
        ({"working_dir": "/w"}, "work_dir", "/w"),
        ({"hostname": "h"}, "hostname", "h"),
        ({"user": "1:2"}, "user", "1:2"),
        ({"groups": ("3",)}, "groups", ["3"]),
        ({"timezone": "Europe/Stockholm"}, "timezone", "Europe/Stockholm"),
        ({"tty": True}, "terminal", True),
        ({"annotations": {"a": "b"}}, "annotations", {"a": "b"}),
        ({"host_network": True}, "netns", {"nsmode": "host"}),
        ({"networks": {"lan": Attachment(("db", "app"))}}, "networks", {"line.lan.2": {"aliases": ["app", "db"]}}),
        (
            {"networks": {"lan": Attachment((), "10.0.0.2", "02:00:00:00:00:01")}},
            "networks",
            {"line.lan.2": {"aliases": ["app"], "static_ips": ["10.0.0.2"], "static_mac": "02:00:00:00:00:01"}},
        ),
        (
            {"ports": (Port(80, 8080, "127.0.0.1"), Port(53), Port(53, protocol="udp"))},
            "portmappings",
            [{"container_port": 80, "host_port": 8080, "host_ip": "127.0.0.1", "protocol": "tcp", "range": 1}],
        ),
        ({"ports": (Port(53), Port(53, protocol="udp"))}, "expose", {"53": "tcp,udp"}),
        ({"dns_servers": ("10.0.0.1",)}, "dns_server", ["10.0.0.1"]),
        ({"dns_search": ("lan",)}, "dns_search", ["lan"]),
        ({"dns_options": ("ndots:1",)}, "dns_option", ["ndots:1"]),
        ({"extra_hosts": {"plc": "10.1.1.1"}}, "hostadd", ["plc:10.1.1.1"]),
        ({"resources": Resources(memory=1, memory_swap=2)}, "resource_limits", {"memory": {"limit": 1, "swap": 2}}),
        ({"resources": Resources(milli_cpus=250)}, "resource_limits", {"cpu": {"period": 100_000, "quota": 25_000}}),
        ({"resources": Resources(cpu_set="0-1")}, "resource_limits", {"cpu": {"cpus": "0-1"}}),
        ({"resources": Resources(pids=9)}, "resource_limits", {"pids": {"limit": 9}}),
        ({"resources": Resources(memory_nodes="0")}, "resource_limits", {"cpu": {"mems": "0"}}),
        ({"resources": Resources(cpu_weight=100)}, "resource_limits", {"cpu": {"shares": 1024}}),
        ({"resources": Resources(cpu_weight=1)}, "resource_limits", {"cpu": {"shares": 10}}),
        ({"resources": Resources(io_weight=1)}, "resource_limits", {"blockIO": {"weight": 10}}),
        ({"resources": Resources(io_weight=10_000)}, "resource_limits", {"blockIO": {"weight": 1000}}),
        (
            {"resources": Resources(hugepages={"2MB": 4194304})},
            "resource_limits",
            {"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]},
        ),
        ({"devices": (Device("/dev/a"),)}, "devices", [{"path": "/dev/a:/dev/a:rwm"}]),
        ({"devices": (Device("/dev/a", "/dev/b", "r"),)}, "devices", [{"path": "/dev/a:/dev/b:r"}]),
        ({"devices": (Device(cdi="nvidia.com/gpu=all"),)}, "devices", [{"path": "nvidia.com/gpu=all"}]),
        (
            {"device_cgroup_rules": ("c 188:* rw", "a *:* r")},
            "device_cgroup_rule",
            [
                {"allow": True, "type": "c", "access": "rw", "major": 188},
                {"allow": True, "type": "a", "access": "r"},
            ],
        ),
        ({"security": Security(seccomp="unconfined")}, "seccomp_profile_path", "unconfined"),
        ({"security": Security(app_armor="line")}, "apparmor_profile", "line"),
        (
            {"security": Security(selinux={"type": "t", "disable": "true"})},
            "selinux_opts",
            ["type:t", "disable"],
        ),
        ({"security": Security(mask=("/proc/a",))}, "mask", ["/proc/a"]),
        ({"security": Security(unmask=("/proc/a",))}, "unmask", ["/proc/a"]),
        ({"security": Security(host_pid=True)}, "pidns", {"nsmode": "host"}),
        ({"security": Security(host_ipc=True)}, "ipcns", {"nsmode": "host"}),
        ({"security": Security(ipc="none")}, "ipcns", {"nsmode": "none"}),
        ({"security": Security(user_namespace="auto")}, "userns", {"nsmode": "auto"}),
        ({"security": Security(user_namespace="auto")}, "idmappings", {"AutoUserNs": True}),
        (
            {"networks": {"lan": Attachment(("line-app",), is_shared=True)}},
            "networks",
            {"line.lan.2": {"aliases": ["line-app"]}},
        ),
        (
            {"mounts": (Mount("/d", volume="data", relabel="private", propagation="slave", populate=False),)},
            "volumes",
            [{"Name": "line.data", "Dest": "/d", "Options": ["rw", "Z", "slave", "nocopy"]}],
        ),
        (
            {"mounts": (Mount("/d", host="/srv", relabel="shared", propagation="rshared"),)},
            "mounts",
            [{"type": "bind", "source": "/srv", "destination": "/d", "options": ["rbind", "rw", "z", "rshared"]}],
        ),
        ({"shm_size": 9}, "shm_size", 9),
        ({"sysctls": {"a.b": "1"}}, "sysctl", {"a.b": "1"}),
        ({"oom_score_adj": 0}, "oom_score_adj", 0),
        ({"stop_signal": "SIGINT"}, "stop_signal", 2),
        ({"security": Security(privileged=True)}, "privileged", True),
        ({"security": Security(privileged=True)}, "no_new_privileges", False),
        ({"security": Security(capabilities_add=("NET_ADMIN",))}, "cap_add", ["NET_ADMIN"]),
        ({"security": Security(capabilities_drop=("ALL",))}, "cap_drop", ["ALL"]),
        ({"logging": Logging("journald", 5)}, "log_configuration", {"driver": "journald", "size": 5}),
        (
            {"logging": Logging("journald", 5, "t")},
            "log_configuration",
            {"driver": "journald", "size": 5, "options": {"tag": "t"}},
        ),
        (
            {"mounts": (Mount("/d", volume="data", read_only=True),)},
            "volumes",
            [{"Name": "line.data", "Dest": "/d", "Options": ["ro"]}],
        ),
        (
            {"mounts": (Mount("/dev/x", host="/host/x"),)},
            "mounts",
            [{"type": "bind", "source": "/host/x", "destination": "/dev/x", "options": ["rbind", "rw"]}],
        ),
        (
            {"mounts": (Mount("/f", file="ab", mode=0o440, gid=5),)},
            "mounts",
            [
                {
                    "type": "bind",
                    "source": "/contents/dressed/ab.440.0.5",
                    "destination": "/f",
                    "options": ["rbind", "ro", "nosuid", "nodev"],
                }
            ],
        ),
    ],
)
def test_field_of_the_spec_reaches_podman(spec: dict[str, object], key: str, value: object) -> None:
    assert told(**spec)[key] == value


def test_weight_is_said_in_the_words_of_the_control_groups() -> None:
    step = replace(STEP, create=replace(SPEC, resources=Resources(cpu_weight=250)))
    request = container_request(step, "/contents", LIMITS, is_unified=True)
    assert request["unified"] == {"cpu.weight": "250"}
    assert "resource_limits" not in request
    assert "unified" not in told(resources=Resources(cpu_weight=250))


def test_device_that_is_absent_and_not_needed_is_left_out() -> None:
    step = replace(STEP, create=replace(SPEC, devices=(Device("/dev/a"), Device("/dev/b"))))
    request = container_request(step, "/contents", LIMITS, absent=frozenset({"/dev/a"}))
    assert request["devices"] == [{"path": "/dev/b:/dev/b:rwm"}]


def test_what_is_left_to_do_in_volumes_stands_in_a_label() -> None:
    mounts = (
        Mount("/d", volume="data", uid=5, mode=0o750),
        Mount("/d/e", volume="deep"),
        Mount("/d/a.toml", file="aa", copy_once=True),
        Mount("/d/e/f", folder={"x/y": "bb"}, copy_once=True, uid=7),
    )
    request = told(mounts=mounts)
    assert json.loads(request["labels"][LABEL_VOLUME_WORK]) == [
        {"volume": "line.data", "mode": 0o750, "uid": 5, "gid": None},
        {"volume": "line.data", "path": "a.toml", "content": "aa", "mode": None, "uid": None, "gid": None},
        {"volume": "deep", "path": "f/x/y", "content": "bb", "mode": None, "uid": 7, "gid": None},
    ]
    assert "mounts" not in request


def test_size_of_a_volume_is_an_option_of_its_file_system() -> None:
    assert "Options" not in volume_request(CreateVolume("v", {}))
    assert volume_request(CreateVolume("v", {}, 1024))["Options"] == {"o": "size=1024"}


def test_any_ulimit_brings_both_limits_that_podman_would_overrule() -> None:
    assert "r_limits" not in told()
    limits = told(ulimits={"core": Ulimit(0, -1), "nofile": Ulimit(7, 8)})["r_limits"]
    assert limits == [
        {"type": "core", "soft": 0, "hard": 2**64 - 1},
        {"type": "nofile", "soft": 7, "hard": 8},
        {"type": "nproc", "soft": 512, "hard": 512},
    ]


def test_read_only_root_has_scratch_room_unless_the_spec_mounts_it() -> None:
    closed = Security(read_only_root=True)
    assert [mount["destination"] for mount in told(security=closed)["mounts"]] == ["/run", "/tmp"]  # noqa: S108 - inside a container
    own = told(security=closed, mounts=(Mount("/tmp/", volume="data"),))  # noqa: S108 - inside a container
    assert [mount["destination"] for mount in own["mounts"]] == ["/run"]


def test_deeper_mounts_come_after_shallower_ones() -> None:
    mounts = told(mounts=(Mount("/a/b/c", host="/x"), Mount("/a", tmpfs=True), Mount("/a/b", folder={"z": "1"})))
    assert [mount["destination"] for mount in mounts["mounts"]] == ["/a", "/a/b/c", "/a/b/z"]


def test_stop_timeout_is_never_shortened_to_whole_seconds() -> None:
    step = replace(STEP, stop_timeout=timedelta(seconds=1.2))
    assert container_request(step, "/contents", LIMITS)["stop_timeout"] == 2


@pytest.mark.parametrize(("name", "number"), [("SIGTERM", 15), ("term", 15), ("9", 9)])
def test_signal_names_become_numbers(name: str, number: int) -> None:
    assert signal_number(name) == number


def test_word_that_is_no_signal_is_refused() -> None:
    with pytest.raises(ValueError, match="SIGNOPE"):
        signal_number("SIGNOPE")


def test_network_says_whether_names_resolve() -> None:
    assert network_request(CreateNetwork("n", NetworkSpec(dns=False), {}))["dns_enabled"] is False
    spec = NetworkSpec("macvlan", parent="eth1", subnet="10.0.0.0/24", mtu=1400)
    request = network_request(CreateNetwork("n", spec, {"a": "b"}))
    assert request["network_interface"] == "eth1"
    assert request["subnets"] == [{"subnet": "10.0.0.0/24"}]
    assert request["options"] == {"mtu": "1400"}
    assert (request["dns_enabled"], request["labels"]) == (True, {"a": "b"})


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("write /var/lib: no space left on device", HoldReason.DISK_FULL),
        ("open /var/lib/containers/storage/overlay/l: read-only file system", HoldReason.DISK_FAILED),
        ("attempt to write a readonly database", HoldReason.DISK_FAILED),
        ("readlink /var/lib/containers/storage/overlay: Input/output error", HoldReason.DISK_FAILED),
        ("runc: mkdirat /run/secrets: read-only file system: OCI runtime error", HoldReason.IMAGE_UNAVAILABLE),
        ("reading blob sha256:ab: Digest did not match, expected x, got y", Refusal.IMAGE_DIGEST_WRONG),
        ("reading manifest: unauthorized: authentication required", HoldReason.CREDENTIAL_DENIED),
        ("StatusCode: 403 (Forbidden)", HoldReason.CREDENTIAL_DENIED),
        ("listen tcp 0.0.0.0:80: bind: address already in use", Refusal.PORT_TAKEN),
        ("x@sha256:00: image not known", Refusal.IMAGE_UNKNOWN),
        ("unable to find network with name or ID n: network not found", HoldReason.DEPENDENCY),
        ("manifest unknown", HoldReason.IMAGE_UNAVAILABLE),
        ("dial tcp: connection refused", HoldReason.IMAGE_UNAVAILABLE),
    ],
)
def test_words_of_a_cause_have_one_meaning(words: str, reason: HoldReason | Refusal) -> None:
    error = judged("pull", words, HoldReason.IMAGE_UNAVAILABLE)
    assert error.reason == reason
    assert isinstance(error, UnavailableError) == isinstance(reason, HoldReason)


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.text(min_size=1)), min_size=1))
def test_log_frames_join_to_their_text(frames: list[tuple[int, str]]) -> None:
    packed = b"".join(
        bytes([stream, 0, 0, 0]) + len(text.encode()).to_bytes(4, "big") + text.encode() for stream, text in frames
    )
    assert log_text(packed) == "".join(text for _, text in frames)
