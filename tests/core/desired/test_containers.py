"""What becomes of the fields of a container: values, normal form, and the fault of each wrong one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from edgegitops.core.model.spec import (
    Attachment,
    Condition,
    Device,
    Mount,
    OnUnhealthy,
    Port,
    Required,
    Restart,
    RestartLimit,
    SnapshotSpec,
    Ulimit,
    VolumeSpec,
)

DIGEST = "sha256:" + "ab" * 32


def test_image_is_known_by_its_digest_alone(world):
    assert world.create().image == f"registry.example/line/app@{DIGEST}"
    with_port = world.web(image=f"10.1.0.5:5000/app@{DIGEST}").create()
    assert with_port.image == f"10.1.0.5:5000/app@{DIGEST}"
    assert world.web(image=f"registry.example/line/app:2@{DIGEST}").release().digest == world.release().digest


@pytest.mark.parametrize(
    ("image", "code"),
    [
        ("registry.example/app:1.0", "image-not-pinned"),
        ("registry.example/app", "image-not-pinned"),
        ("registry.example/app@sha256:abc", "wrong-format"),
        (f"registry.example/App@{DIGEST}", "wrong-format"),
        (f"registry.example/app@{DIGEST}\n", "wrong-format"),
        (f"app@{DIGEST}", "wrong-format"),
        (f"library/app:1@{DIGEST}", "wrong-format"),
        (f"registry.example/../app@{DIGEST}", "wrong-format"),
        ("${values.image}", "wrong-value"),
        (7, "wrong-type"),
    ],
)
def test_image_that_is_not_one_thing_is_a_fault(world, image, code):
    fault = world.web(image=image).fault()
    assert (fault.code, fault.pointer) == (code, "/spec/containers/web/image")
    assert fault.position


def test_container_without_an_image_is_a_fault(world):
    assert world.app(containers={"web": {}}).fault().code == "missing-field"


FIELDS = [
    ({"entrypoint": ["/bin/sh", "-c"]}, "entrypoint", ("/bin/sh", "-c")),
    ({"args": ["--site", "${site.name}", "${HOME}"]}, "args", ("--site", "plant", "${HOME}")),
    ({"workingDir": "/srv/${node.name}"}, "working_dir", "/srv/gw-a"),
    ({"hostname": "${node.name}"}, "hostname", "gw-a"),
    ({"env": {"A": "1.10", "B": 7, "C": True}}, "env", {"A": "1.10", "B": "7", "C": "true"}),
    ({"env": {"N": {"from": "node.name"}, "A": {"from": "node.address"}}}, "env", {"A": "10.1.2.10", "N": "gw-a"}),
    (
        {"env": {"S": {"from": "site.name"}, "Z": {"from": "site.timeZone"}}},
        "env",
        {"S": "plant", "Z": "Europe/Stockholm"},
    ),
    ({"user": "1000:1000"}, "user", "1000:1000"),
    ({"user": 1000}, "user", "1000"),
    ({"user": {"uid": 10, "gid": 20, "groups": ["dialout", 5]}}, "user", "10:20"),
    ({"user": {"uid": 10, "groups": ["dialout", 5]}}, "groups", ("5", "dialout")),
    ({}, "timezone", "Europe/Stockholm"),
    ({"timezone": "site"}, "timezone", "Europe/Stockholm"),
    ({"timezone": "utc"}, "timezone", ""),
    ({"timezone": "Etc/UTC"}, "timezone", ""),
    ({"timezone": "America/Argentina/Ushuaia"}, "timezone", "America/Argentina/Ushuaia"),
    ({"tty": True, "init": False}, "tty", True),
    ({"init": False}, "init", False),
    ({"labels": {"a.b/c": "1"}}, "labels", {"a.b/c": "1"}),
    ({"annotations": {"a": "b"}}, "annotations", {"a": "b"}),
    ({"ports": [{"container": 80}]}, "ports", (Port(80),)),
    ({"ports": [{"container": "80", "host": "8080", "hostIP": "127.0.0.1"}]}, "ports", (Port(80, 8080, "127.0.0.1"),)),
    ({"ports": [{"container": 80, "host": 80, "hostIP": "0.0.0.0"}]}, "ports", (Port(80, 80),)),  # noqa: S104 - data
    ({"ports": [{"container": "5-6", "host": "7-8"}]}, "ports", (Port(5, 7), Port(6, 8))),
    (
        {"ports": [{"container": 9, "host": 1, "protocol": ["udp", "tcp"]}, {"container": 2}]},
        "ports",
        (Port(2), Port(9, 1, "", "tcp"), Port(9, 1, "", "udp")),
    ),
    ({"hostNetwork": True}, "networks", {}),
    (
        {"devices": [{"host": "/dev/x", "permissions": "rwm", "container": "/dev/x"}]},
        "devices",
        (Device(host="/dev/x"),),
    ),
    (
        {"devices": [{"host": "/dev/b", "container": "/dev/plc", "required": "wait"}, {"cdi": "a.b/c=d"}]},
        "devices",
        (Device(host="/dev/b", container="/dev/plc", required=Required.WAIT), Device(cdi="a.b/c=d")),
    ),
    ({"devices": [{"host": "/dev/x", "required": False}]}, "devices", (Device("/dev/x", required=Required.FALSE),)),
    ({"deviceCgroupRules": ["c 188:* rw", "a *:* r"]}, "device_cgroup_rules", ("a *:* r", "c 188:* rw")),
    ({"dns": {"servers": ["10.0.0.1"], "search": ["line"]}}, "dns_servers", ("10.0.0.1",)),
    ({"dns": {"search": ["line"], "options": ["ndots:1"]}}, "dns_options", ("ndots:1",)),
    (
        {"extraHosts": {"plc": "10.0.0.9", "gw": "host-gateway"}},
        "extra_hosts",
        {"plc": "10.0.0.9", "gw": "host-gateway"},
    ),
    ({"shmSize": "64Mi"}, "shm_size", 64 * 1024**2),
    ({"oomScoreAdj": -500}, "oom_score_adj", -500),
    ({"ulimits": {"nofile": 1024}}, "ulimits", {"nofile": Ulimit(1024, 1024)}),
    ({"ulimits": {"core": "unlimited"}}, "ulimits", {"core": Ulimit(-1, -1)}),
    ({"ulimits": {"nproc": {"soft": 5, "hard": "unlimited"}}}, "ulimits", {"nproc": Ulimit(5, -1)}),
    ({"stop": {"signal": "INT"}}, "stop_signal", "SIGINT"),
    ({"stop": {"signal": "SIGTERM", "timeout": "5s"}}, "stop_signal", "SIGTERM"),
    ({"onConfigChange": "recreate"}, "stop_signal", ""),
]


@pytest.mark.parametrize(("fields", "name", "value"), FIELDS, ids=[f"{f[1]} {f[0]}" for f in FIELDS])
def test_field_becomes_what_the_engine_is_told(world, fields, name, value):
    assert getattr(world.web(**fields).create(), name) == value


def test_resources_and_logging_become_plain_numbers(world):
    create = world.web(
        resources={
            "memory": "1Gi",
            "memorySwap": "2Gi",
            "memoryReservation": 1000,
            "cpus": "500m",
            "cpuSet": "0-1",
            "pids": 50,
        },
        logging={"driver": "journald", "maxSize": "5Mi"},
    ).create()
    resources = create.resources
    assert (resources.memory, resources.memory_swap, resources.memory_reservation) == (1024**3, 2 * 1024**3, 1000)
    assert (resources.milli_cpus, resources.cpu_set, resources.pids) == (500, "0-1", 50)
    assert (create.logging.driver, create.logging.max_size) == ("journald", 5 * 1024**2)


def test_care_is_read_whole(world):
    container = world.web(
        probes={
            "ready": {
                "http": {"port": 80, "path": "/up", "status": [204, 200], "headers": {"Host": "x"}},
                "interval": "5s",
            },
            "live": {"tcp": {"port": 80}, "failureThreshold": 5},
            "startup": {"exec": ["true"], "timeout": "1s", "startPeriod": "0s", "successThreshold": 2},
            "onUnhealthy": "report",
        },
        restart="unless-stopped",
        stop={"timeout": "2m"},
    ).release()
    care = container.spec.containers["web"].care
    assert (care.ready.http_port, care.ready.http_path, care.ready.http_status) == (80, "/up", (200, 204))
    assert (care.ready.http_headers, care.ready.interval) == ({"Host": "x"}, timedelta(seconds=5))
    assert (care.live.tcp_port, care.live.failure_threshold, care.live.interval) == (80, 5, timedelta(seconds=10))
    assert (care.startup.exec, care.startup.timeout, care.startup.start_period) == (
        ("true",),
        timedelta(seconds=1),
        timedelta(),
    )
    assert (care.on_unhealthy, care.restart, care.stop_timeout) == (
        OnUnhealthy.REPORT,
        Restart.ALWAYS,
        timedelta(minutes=2),
    )


WRONG = [
    ({"command": ["x"]}, "unknown-field", "command"),
    ({"environment": {}}, "unknown-field", "environment"),
    ({"retsart": "always"}, "unknown-field", "retsart"),
    ({"devices": [{}]}, "missing-field", "devices/0"),
    ({"devices": [{"host": "/dev/a", "cdi": "b.c/d=e"}]}, "missing-field", "devices/0"),
    ({"devices": [{"host": "/srv/a"}]}, "wrong-format", "devices/0/host"),
    ({"devices": [{"host": "/dev/../etc"}]}, "wrong-format", "devices/0/host"),
    ({"devices": [{"host": "/dev/a:b"}]}, "wrong-format", "devices/0/host"),
    ({"devices": [{"host": "/dev/a", "permissions": "wr"}]}, "wrong-format", "devices/0/permissions"),
    ({"devices": [{"host": "/dev/a", "required": "later"}]}, "wrong-value", "devices/0/required"),
    ({"devices": [{"cdi": "b.c/d=e", "permissions": "r"}]}, "wrong-value", "devices/0/permissions"),
    ({"devices": [{"host": "/dev/a"}, {"host": "/dev/a"}]}, "duplicate-name", "devices/1"),
    ({"deviceCgroupRules": ["c 188:* rwx"]}, "wrong-format", "deviceCgroupRules/0"),
    ({"envFrom": [{"secret": "db"}]}, "unknown-reference", "envFrom/0/secret"),
    ({"envFrom": [{"config": "c"}]}, "unknown-reference", "envFrom/0/config"),
    ({"env": {"A": {"config": "c", "key": "k"}}}, "unknown-reference", "env/A/config"),
    ({"env": {"A": {"config": "c"}}}, "missing-field", "env/A"),
    ({"env": {"A": {"from": "node.name", "key": "k"}}}, "wrong-value", "env/A/key"),
    ({"security": {"seccomp": "../x"}}, "wrong-format", "security/seccomp"),
    ({"security": {"ipc": "host"}}, "wrong-value", "security/ipc"),
    ({"security": {"ipc": "none", "hostIPC": True}}, "wrong-value", "security/ipc"),
    ({"security": {"hostPID": True, "userNamespace": "auto"}}, "wrong-value", "security/userNamespace"),
    ({"security": {"selinux": {"disable": "no"}}}, "wrong-value", "security/selinux/disable"),
    ({"security": {"ipc": "none"}, "shmSize": "1Mi"}, "wrong-value", "shmSize"),
    ({"security": {"hostPID": True}, "init": True}, "wrong-value", "init"),
    ({"security": {"mask": ["proc"]}}, "wrong-format", "security/mask/0"),
    ({"user": "1", "security": {"profile": "restricted", "hostPID": True}}, "wrong-value", "security/hostPID"),
    ({"user": "1", "security": {"profile": "restricted", "unmask": ["/proc"]}}, "wrong-value", "security/unmask"),
    ({"logging": {"tag": "x"}}, "wrong-value", "logging/tag"),
    ({"logging": {"maxSize": 100}}, "wrong-value", "logging/maxSize"),
    ({"restartLimit": {"attempts": 5}}, "missing-field", "restartLimit"),
    ({"restartLimit": {"attempts": 0, "within": "1m"}}, "wrong-value", "restartLimit/attempts"),
    ({"restartLimit": {"attempts": 5, "within": "11m"}}, "wrong-value", "restartLimit/within"),
    ({"workingDir": "srv"}, "wrong-format", "workingDir"),
    ({"hostname": "a b"}, "wrong-format", "hostname"),
    ({"args": "x"}, "wrong-type", "args"),
    ({"args": ["${values.no}"]}, "unknown-value", "args/0"),
    ({"entrypoint": ["a\0b"]}, "wrong-format", "entrypoint/0"),
    ({"env": {"A=B": "x"}}, "wrong-format", "env/A=B"),
    ({"restart": 1}, "wrong-type", "restart"),
    ({"logging": {"driver": 1}}, "wrong-type", "logging/driver"),
    ({"enabled": "${values.no}"}, "unknown-value", "enabled"),
    ({"env": {"A": ["x"]}}, "wrong-type", "env/A"),
    ({"env": {"A": {"secret": "db"}}}, "unknown-reference", "env/A/secret"),
    ({"env": {"A": {"from": "node.serial"}}}, "unknown-reference", "env/A/from"),
    ({"user": "a b"}, "wrong-format", "user"),
    ({"user": {"gid": 1}}, "missing-field", "user"),
    ({"user": -1}, "wrong-value", "user"),
    ({"timezone": "../../etc/shadow"}, "wrong-format", "timezone"),
    ({"timezone": "Europe/../../x"}, "wrong-format", "timezone"),
    ({"tty": "yes"}, "wrong-type", "tty"),
    ({"labels": {"io.edgegitops.digest": "x"}}, "wrong-value", "labels/io.edgegitops.digest"),
    ({"labels": {"a": "${values.x}"}}, "wrong-value", "labels/a"),
    ({"annotations": {"run.oci.hooks.stdout": "/etc/x"}}, "wrong-value", "annotations/run.oci.hooks.stdout"),
    ({"ports": [{"host": 1}]}, "missing-field", "ports/0"),
    ({"ports": [{"container": 0}]}, "wrong-value", "ports/0/container"),
    ({"ports": [{"container": 65536}]}, "wrong-value", "ports/0/container"),
    ({"ports": [{"container": "9-8"}]}, "wrong-value", "ports/0/container"),
    ({"ports": [{"container": "1-2", "host": "1-3"}]}, "wrong-value", "ports/0/host"),
    ({"ports": [{"container": 1, "hostIP": "node"}]}, "wrong-format", "ports/0/hostIP"),
    ({"ports": [{"container": 1, "protocol": "icmp"}]}, "wrong-value", "ports/0/protocol"),
    ({"ports": [{"container": 1, "host": 5}, {"container": 1, "host": 5}]}, "duplicate-name", "ports/1"),
    ({"ports": [{"containerPort": 1, "container": 1}]}, "unknown-field", "ports/0/containerPort"),
    ({"ports": [{"container": "1-1024", "protocol": ["tcp", "udp", "sctp"]}] * 2}, "too-large", "ports"),
    ({"hostNetwork": True, "ports": [{"container": 1}]}, "wrong-value", "ports"),
    ({"networks": {"lnie": {}}}, "unknown-reference", "networks/lnie"),
    ({"networks": ["line"]}, "wrong-type", "networks"),
    ({"dns": {"servers": ["dns.example"]}}, "wrong-format", "dns/servers/0"),
    ({"extraHosts": {"plc": "plc.example"}}, "wrong-format", "extraHosts/plc"),
    ({"resources": {"memory": "256mb"}}, "wrong-format", "resources/memory"),
    ({"resources": {"memory": 0}}, "wrong-value", "resources/memory"),
    ({"resources": {"memorySwap": "1Gi"}}, "wrong-value", "resources/memorySwap"),
    ({"resources": {"cpus": "half"}}, "wrong-format", "resources/cpus"),
    ({"resources": {"cpuWeight": 0}}, "wrong-value", "resources/cpuWeight"),
    ({"resources": {"memoryNodes": "a"}}, "wrong-format", "resources/memoryNodes"),
    ({"resources": {"hugepages": {"big": "1Mi"}}}, "wrong-format", "resources/hugepages/big"),
    ({"resources": {"limits": {}}}, "unknown-field", "resources/limits"),
    ({"ulimits": {"files": 1}}, "unknown-field", "ulimits/files"),
    ({"ulimits": {"nofile": {"soft": 2, "hard": 1}}}, "wrong-value", "ulimits/nofile"),
    ({"ulimits": {"nofile": {"soft": 2}}}, "missing-field", "ulimits/nofile"),
    ({"sysctls": {"kernel.panic": "1"}}, "wrong-value", "sysctls/kernel.panic"),
    ({"sysctls": {"net.x": "1"}, "hostNetwork": True}, "wrong-value", "sysctls/net.x"),
    ({"probes": {"ready": {}}}, "missing-field", "probes/ready"),
    ({"probes": {"ready": {"tcp": {"port": 1}, "exec": ["x"]}}}, "missing-field", "probes/ready"),
    ({"probes": {"ready": {"tcp": {}}}}, "missing-field", "probes/ready/tcp"),
    ({"probes": {"ready": {"exec": []}}}, "missing-field", "probes/ready/exec"),
    ({"probes": {"ready": {"http": {"port": 1, "tlsVerify": True}}}}, "wrong-value", "probes/ready/http/tlsVerify"),
    ({"probes": {"ready": {"tcp": {"port": 1}, "interval": "0s"}}}, "wrong-value", "probes/ready/interval"),
    ({"probes": {"ready": {"tcp": {"port": 1}, "interval": "5 sec"}}}, "wrong-format", "probes/ready/interval"),
    ({"probes": {"readiness": {}}}, "unknown-field", "probes/readiness"),
    ({"restart": "sometimes"}, "wrong-value", "restart"),
    ({"dependsOn": ["db"]}, "wrong-type", "dependsOn"),
    ({"dependsOn": {"db": "ready"}}, "unknown-reference", "dependsOn/db"),
    ({"stop": {"pre": {}}}, "missing-field", "stop/pre"),
    ({"stop": {"signal": "9"}}, "wrong-format", "stop/signal"),
    ({"onConfigChange": "signal:"}, "wrong-value", "onConfigChange"),
    ({"logging": {"driver": "syslog"}}, "wrong-value", "logging/driver"),
    ({"enabled": "maybe"}, "wrong-value", "enabled"),
]


@pytest.mark.parametrize(("fields", "code", "pointer"), WRONG, ids=[f"{w[2]} {w[1]}" for w in WRONG])
def test_wrong_field_is_one_fault_at_its_place(world, fields, code, pointer):
    """Red where core/desired/environment.py has `if False:` for `if not _ENV_NAME.match(name):`."""
    fault = world.web(**fields).fault()
    assert (fault.code, fault.pointer) == (code, f"/spec/containers/web/{pointer}")
    assert fault.file == "apps/app/app.yaml"
    assert fault.position is not None


def test_privileged_container_takes_nothing_that_would_mean_nothing(world):
    loose = replace(world, minimum_profile="privileged")
    for key, value in {"unmask": ["/proc"], "mask": ["/proc"], "seccomp": "unconfined", "appArmor": "x"}.items():
        fault = loose.web(security={"profile": "privileged", key: value}).fault()
        assert (fault.code, fault.pointer) == ("wrong-value", f"/spec/containers/web/security/{key}")
    for device in ({"host": "/dev/a", "container": "/dev/b"}, {"cdi": "a.b/c=d"}):
        fault = loose.web(devices=[device], security={"profile": "privileged"}).fault()
        assert (fault.code, fault.pointer) == ("wrong-value", "/spec/containers/web/devices")


def test_confinement_is_told_as_it_is_written(world):
    fields = {"seccomp": "/etc/seccomp/line.json", "appArmor": "line", "selinux": {"disable": "true"}, "ipc": "none"}
    paths = {"mask": ["/proc/b", "/proc/a/"], "unmask": ["/proc/c"], "userNamespace": "private", "hostPID": False}
    told = world.web(security={**fields, **paths}).create().security
    assert (told.seccomp, told.app_armor, told.selinux) == ("/etc/seccomp/line.json", "line", {"disable": "true"})
    assert (told.mask, told.unmask, told.user_namespace) == (("/proc/a", "/proc/b"), ("/proc/c",), "auto")
    assert (told.ipc, told.host_pid, told.host_ipc) == ("none", False, False)
    assert world.web(security={"hostPID": True, "hostIPC": True, "userNamespace": "host"}).create().security == replace(
        world.create().security, host_pid=True, host_ipc=True
    )
    assert not world.web(security={"hostPID": True}).create().init


def test_care_knows_the_limit_of_restarts_and_what_runs_before_the_stop(world):
    fields = {"restartLimit": {"attempts": 5, "within": "10m"}, "stop": {"pre": {"exec": ["/bin/drain", "-q"]}}}
    care = world.web(**fields).release().spec.containers["web"].care
    assert care.restart_limit == RestartLimit(5, timedelta(minutes=10))
    assert care.stop_pre == ("/bin/drain", "-q")
    assert world.web(**fields).create() == world.create(), "the container is not replaced for it"


def test_command_is_refused_with_what_to_write_instead(world):
    fault = world.web(command=["x"]).fault()
    assert "entrypoint" in fault.suggestion
    assert "args" in fault.suggestion


def test_zone_of_a_site_cannot_climb_out_of_the_zone_files(world):
    assert replace(world, time_zone="../../etc/shadow").fault().code == "wrong-format"
    assert replace(world, time_zone="").create().timezone == ""


def test_all_faults_are_told_at_once(world):
    faults = world.web(image="app", tty=1, ports=[{"container": 0}], foo=1).resolve()[2]
    assert sorted(fault.code for fault in faults) == ["image-not-pinned", "unknown-field", "wrong-type", "wrong-value"]


def test_container_that_is_not_enabled_is_not_there(world):
    containers = {"web": {"image": world.spec["containers"]["web"]["image"]}}
    containers["extra"] = {**containers["web"], "enabled": "${values.extra}"}
    on = world.app(containers=containers, values={"extra": {"default": True}})
    assert set(on.release().spec.containers) == {"web", "extra"}
    assert set(replace(on, values={"extra": False}).release().spec.containers) == {"web"}
    containers["web"]["dependsOn"] = {"extra": "started"}
    assert (
        replace(world.app(containers=containers, values={"extra": {"default": False}})).fault().code
        == "unknown-reference"
    )


def test_container_without_networks_joins_those_of_its_application(world):
    assert world.create().networks == {"default": Attachment()}
    assert set(world.release().spec.networks) == {"default"}
    lines = world.app(networks={"line": {}, "plant": {"internal": True}})
    assert set(lines.create().networks) == {"line", "plant"}
    one = lines.web(networks={"line": {"aliases": ["b", "a"], "mac": "02:00:00:00:00:0A"}}).release().spec
    assert one.containers["web"].create.networks == {"line": Attachment(("a", "b"), "", "02:00:00:00:00:0a")}
    assert set(one.networks) == {"line"}


def test_address_must_be_in_the_subnet_of_the_network(world):
    line = world.app(networks={"line": {"subnet": "10.89.7.0/24"}})
    assert line.web(networks={"line": {"ip": "10.89.7.5"}}).create().networks["line"].ip == "10.89.7.5"
    assert line.web(networks={"line": {"ip": "10.89.8.5"}}).fault().code == "wrong-value"
    assert world.app(networks={"line": {"subnet": "10.89.7.1/24"}}).fault().pointer == "/spec/networks/line/subnet"
    assert world.app(networks={"line": {"driver": "macvlan"}}).fault().code == "wrong-value"
    assert world.app(networks={"line": {"driver": "ipvlan", "parent": "eth1"}}).fault().code == "missing-field"


def test_container_is_known_by_its_deployment_on_a_shared_network(world):
    shared = world.app(networks={"plant": {"shared": True}, "own": {}})
    spec = shared.web(networks={"plant": {"aliases": ["broker"]}, "own": {}}).release().spec
    assert spec.networks["plant"].is_shared
    assert spec.containers["web"].create.networks == {
        "own": Attachment(),
        "plant": Attachment(("broker", "line-web"), is_shared=True),
    }


def test_containers_that_wait_for_each_other_are_a_fault(world):
    image = world.spec["containers"]["web"]["image"]
    chain = {"a": {"b": "ready"}, "b": {"c": "started"}, "c": {}, "d": {"a": "completed"}}
    containers = {name: {"image": image, "dependsOn": order} for name, order in chain.items()}
    release = world.app(containers=containers).release()
    assert release.spec.containers["a"].care.depends_on == {"b": Condition.READY}
    containers["c"] = {"image": image, "dependsOn": {"a": "ready"}}
    fault = world.app(containers=containers).fault()
    assert fault.code == "dependency-cycle"
    assert "a -> b -> c -> a" in fault.message
    assert world.web(dependsOn={"web": "ready"}).fault().code == "dependency-cycle"


MOUNTS = [
    ({"/a": {"tmpfs": {}}}, (Mount("/a", tmpfs=True),)),
    ({"/a": {"tmpfs": {"size": "1Mi", "mode": "1777"}}}, (Mount("/a", tmpfs=True, tmpfs_size=1048576, mode=0o1777),)),
    ({"/a": {"volume": "data", "readOnly": True}}, (Mount("/a", volume="data", read_only=True),)),
    ({"/a/": {"hostPath": "/srv//x/./y/"}}, (Mount("/a", host="/srv/x/y"),)),
    (
        {"/a": {"hostPath": "/srv/${node.name}", "create": True, "uid": 5, "gid": 6}},
        (Mount("/a", host="/srv/gw-a", uid=5, gid=6, host_type="directory", host_create=True),),
    ),
    ({"/a": {"hostPath": "/s", "type": "socket"}}, (Mount("/a", host="/s", host_type="socket"),)),
    (
        {"/a": {"hostPath": "/s", "relabel": "private", "propagation": "rslave"}},
        (Mount("/a", host="/s", relabel="private", propagation="rslave"),),
    ),
    ({"/a": {"hostPath": "/s", "relabel": "none", "propagation": "rprivate"}}, (Mount("/a", host="/s"),)),
    (
        {"/a/b": {"tmpfs": {}}, "/z": {"tmpfs": {}}, "/a": {"tmpfs": {}}},
        tuple(Mount(t, tmpfs=True) for t in ("/a", "/z", "/a/b")),
    ),
]


@pytest.mark.parametrize(("mounts", "result"), MOUNTS)
def test_mounts_are_clean_and_in_order(world, mounts, result):
    assert world.app(volumes={"data": {}}).web(mounts=mounts).create().mounts == result


WRONG_MOUNTS = [
    ({"a": {"tmpfs": {}}}, "wrong-format"),
    ({"/": {"tmpfs": {}}}, "wrong-format"),
    ({"/a/../b": {"tmpfs": {}}}, "wrong-format"),
    ({"/a": {"tmpfs": {}}, "/a/": {"tmpfs": {}}}, "duplicate-name"),
    ({"/a": {}}, "missing-field"),
    ({"/a": {"tmpfs": {}, "volume": "data"}}, "missing-field"),
    ({"/a": {"volume": "dota"}}, "unknown-reference"),
    ({"/a": {"config": "dota"}}, "unknown-reference"),
    ({"/a": {"secret": "db"}}, "unknown-reference"),
    ({"/a": {"volume": "data", "subPath": "../x"}}, "path-escapes"),
    ({"/a": {"volume": "data", "subPath": "/x"}}, "path-escapes"),
    ({"/a": {"volume": "data", "subPath": "."}}, "path-escapes"),
    ({"/a": {"tmpfs": {}, "subPath": "x"}}, "wrong-value"),
    ({"/a": {"volume": "data", "path": "x"}}, "unknown-field"),
    ({"/a": {"tmpfs": {}, "mode": 644}}, "wrong-format"),
    ({"/a": {"volume": "data", "mode": "0644"}}, "wrong-value"),
    ({"/a": {"volume": "data", "uid": 5}}, "wrong-value"),
    ({"/a": {"tmpfs": {}, "gid": 5}}, "wrong-value"),
    ({"/a": {"tmpfs": {}, "relabel": "shared"}}, "wrong-value"),
    ({"/a": {"volume": "data", "type": "file"}}, "wrong-value"),
    ({"/a": {"hostPath": "/srv", "uid": 5}}, "wrong-value"),
    ({"/a": {"hostPath": "/srv", "mode": "0755"}}, "wrong-value"),
    ({"/a": {"hostPath": "/srv", "onlyIfAbsent": True}}, "wrong-value"),
    ({"/a": {"hostPath": "/srv", "propagation": "wide"}}, "wrong-value"),
    ({"/a": {"hostPath": "srv"}}, "path-escapes"),
    ({"/a": {"hostPath": "/srv/../etc"}}, "path-escapes"),
    ({"/a": {"hostPath": "/srv", "create": True, "type": "file"}}, "wrong-value"),
]


@pytest.mark.parametrize(("mounts", "code"), WRONG_MOUNTS)
def test_wrong_mount_is_one_fault(world, mounts, code):
    assert world.app(volumes={"data": {}}).web(mounts=mounts).fault().code == code


SOCKETS = """
/run/podman/podman.sock /run/podman /run / /var/run/docker.sock /var/run /run//podman/ /run/docker.sock /run/containerd
/run/containerd/containerd.sock /srv/podman.sock /run/user/1000/podman /run/user/1000 /run/user /proc/1/root/run/podman
/proc /proc/self/root /proc/thread-self/cwd /run/./podman/podman.sock /run/crio
"""


@pytest.mark.parametrize("path", SOCKETS.split())
def test_engine_socket_is_never_mounted(world, path):
    fault = world.web(mounts={"/x": {"hostPath": path}}).fault()
    assert (fault.code, fault.pointer) == ("wrong-value", "/spec/containers/web/mounts/~1x/hostPath")


@pytest.mark.parametrize(
    "path", ["/run/udev", "/srv/podmansock", "/proc/sys", "/var/lib/app", "/runner", "/srv/podman"]
)
def test_other_host_paths_are_left_to_the_policy_of_the_node(world, path):
    assert world.web(mounts={"/x": {"hostPath": path}}).create().mounts[0].host == path


def test_volume_only_as_far_as_it_can_be_made(world):
    volumes = {"data": {"snapshot": "none"}, "spare": {}}
    spec = world.app(volumes=volumes).web(mounts={"/a": {"volume": "data"}}).release().spec
    assert set(spec.volumes) == {"data"}
    assert world.app(volumes={"data": {"owner": "postgres"}}).fault().code == "wrong-format"
    assert world.app(volumes={"data": {"owner": "5:4294967296"}}).fault().code == "wrong-format"
    assert world.app(volumes={"data": {"mode": "rwx"}}).fault().code == "wrong-format"
    assert world.app(volumes={"data": {"size": 5}}).fault().code == "wrong-value"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("none", None),
        ("onUpdate", SnapshotSpec()),
        ({}, SnapshotSpec()),
        ({"maxSize": "1Gi"}, SnapshotSpec(max_size=2**30)),
        ({"before": {"container": "web", "exec": ["flush", "-a"]}}, SnapshotSpec("web", ("flush", "-a"))),
    ],
)
def test_snapshot_of_a_volume_is_read(world, written, read):
    spec = world.app(volumes={"data": {"snapshot": written}}).web(mounts={"/a": {"volume": "data"}}).release().spec
    assert spec.volumes["data"].snapshot == read


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("always", "wrong-value"),
        ({"before": {"container": "nobody", "exec": ["flush"]}}, "unknown-reference"),
        ({"before": {"container": "web", "exec": []}}, "wrong-value"),
        ({"before": {"container": "web"}}, "missing-field"),
        ({"maxSize": "much"}, "wrong-format"),
        ({"after": {}}, "unknown-field"),
    ],
)
def test_snapshot_that_cannot_be_made_so_is_a_fault(world, written, code):
    assert world.app(volumes={"data": {"snapshot": written}}).fault().code == code


def test_root_of_a_volume_is_the_same_in_every_mount(world):
    volume = {"owner": "999:5", "mode": "0750", "size": "1Gi", "retain": True, "populate": False}
    spec = world.app(volumes={"data": volume}).web(mounts={"/a": {"volume": "data"}}).release().spec
    assert spec.volumes == {"data": VolumeSpec(size=1024**3, retain=True)}
    root = Mount("/a", volume="data", uid=999, gid=5, mode=0o750, populate=False)
    assert spec.containers["web"].create.mounts == (root,)


def test_file_is_copied_once_into_the_volume_around_it_only(world):
    base = world.app(volumes={"data": {}}, configs={"c": {"inline": "x"}})
    copied = {"config": "c", "onlyIfAbsent": True, "uid": 5}
    mount = base.web(mounts={"/a": {"volume": "data"}, "/a/b/c": copied}).create().mounts[1]
    assert (mount.target, mount.copy_once, mount.read_only, mount.uid) == ("/a/b/c", True, False, 5)
    for around in ({}, {"/a": {"tmpfs": {}}}, {"/a": {"volume": "data", "readOnly": True}}, {"/a/b/cd": {"tmpfs": {}}}):
        assert base.web(mounts={**around, "/a/b/c": copied}).fault().code == "wrong-value"
    nearest = {"/a": {"volume": "data"}, "/a/b": {"hostPath": "/srv"}, "/a/b/c": copied}
    assert base.web(mounts=nearest).fault().code == "wrong-value"
    read_only = {"/a": {"volume": "data"}, "/a/c": {**copied, "readOnly": True}}
    assert base.web(mounts=read_only).fault().code == "wrong-value"


ENV_FILE = "# levels\nLEVEL=3\nURL=a=b \n\n"


def test_variables_come_from_configs_and_written_ones_win(world):
    lined = world.app(configs={"c": {"inline": ENV_FILE}})
    assert lined.web(env={"L": {"config": "c", "key": "LEVEL"}}).create().env == {"L": "3"}
    both = lined.web(envFrom=[{"config": "c"}], env={"LEVEL": 4})
    assert both.create().env == {"LEVEL": "4", "URL": "a=b "}
    folder = replace(world.app(configs={"c": {"directory": "d"}}), files={"d/A": b"1\n", "d/b/C": b"2"})
    assert folder.web(envFrom=[{"config": "c"}]).create().env == {"A": "1\n", "b/C": "2"}
    assert lined.web(env={"L": {"config": "c", "key": "LEVLE"}}).fault().suggestion == "LEVEL"


@pytest.mark.parametrize("data", [b"\xff", b"a\0=b", b"x" * (128 * 1024 + 1), b"no variable\n", b"=x\n"])
def test_config_that_is_no_variable_is_a_fault(world, data):
    filed = replace(world.app(configs={"c": {"file": "f"}}), files={"f": data})
    assert filed.web(envFrom=[{"config": "c"}]).fault().pointer == "/spec/containers/web/envFrom/0/config"
    assert world.app(volumes={"Data": {}}).fault().code == "wrong-format"


def test_baseline_is_worked_out(world):
    create = world.create()
    assert create.security.capabilities_drop == ("AUDIT_WRITE", "MKNOD", "NET_RAW")
    assert create.security.no_new_privileges
    assert not create.security.read_only_root
    assert create.sysctls == {"net.ipv4.ip_unprivileged_port_start": "0"}
    assert world.web(hostNetwork=True).create().sysctls == {}
    own = world.web(sysctls={"net.ipv4.ip_unprivileged_port_start": "500"}).create()
    assert own.sysctls == {"net.ipv4.ip_unprivileged_port_start": "500"}


def test_capabilities_are_added_and_dropped_by_name(world):
    security = {"capabilities": {"add": ["cap_net_raw", "NET_ADMIN"], "drop": ["CHOWN"]}}
    found = world.web(security=security).create().security
    assert found.capabilities_add == ("NET_ADMIN", "NET_RAW")
    assert found.capabilities_drop == ("AUDIT_WRITE", "CHOWN", "MKNOD")
    found = world.web(security={"capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}).create().security
    assert (found.capabilities_drop, found.capabilities_add) == (("ALL",), ("CHOWN",))
    assert world.web(security={"capabilities": {"add": ["x y"]}}).fault().code == "wrong-format"


def test_restricted_is_worked_out(world):
    mounts = {"/tmp": {"tmpfs": {"size": "1Mi"}}}  # noqa: S108 - a path in the container
    create = world.web(security={"profile": "restricted"}, user="1000", mounts=mounts).create()
    assert create.security.capabilities_drop == ("ALL",)
    assert create.security.read_only_root
    assert create.security.no_new_privileges
    assert create.mounts == (Mount("/run", tmpfs=True), Mount("/tmp", tmpfs=True, tmpfs_size=1024**2))  # noqa: S108


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"user": "0"},
        {"user": "00:5"},
        {"user": "root"},
        {"user": "app"},
        {"user": "1", "security": {"profile": "restricted", "readOnlyRoot": False}},
        {"user": "1", "security": {"profile": "restricted", "noNewPrivileges": False}},
        {"user": "1", "security": {"profile": "restricted", "capabilities": {"add": ["CHOWN"]}}},
    ],
)
def test_what_loosens_restricted_is_a_fault(world, fields):
    assert world.web(**{"security": {"profile": "restricted"}, **fields}).fault().code == "wrong-value"


def test_fleet_demands_its_least_profile(world):
    strict = replace(world, minimum_profile="restricted")
    assert strict.web(user="1000").create().security.profile == "restricted"
    fault = strict.web(user="1000", security={"profile": "baseline"}).fault()
    assert (fault.code, fault.pointer) == ("wrong-value", "/spec/containers/web/security/profile")
    assert replace(world).web(security={"profile": "privileged"}).fault().code == "wrong-value"


def test_second_line_refuses_what_only_later_versions_know(world):
    assert world.app(servises={"x": 1}).fault().code == "unknown-field"
    assert world.app(update={"strategy": "blue-green"}).fault().code == "not-supported-yet"
    assert replace(world, deployment_spec={"rollout": {"wafes": []}}).fault().code == "unknown-field"
