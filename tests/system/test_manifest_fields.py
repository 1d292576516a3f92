"""Fields of manifests, seen from inside of real containers: what is written is what a program finds."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.system.manifest_plant import FLEET, Plant

from edgegitops.adapters.engine_podman_folders import MissingError
from edgegitops.adapters.engine_podman_subpath import demand_mounted
from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.core.model.steps import PullImage, RemoveContainer, RemoveImage, StartContainer, StopContainer
from edgegitops.core.reconcile.parts import Parts, parts_of
from edgegitops.errors import DeniedError, OutsideError, UnavailableError
from edgegitops.lab.lab import Lab

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def machine() -> Iterator[Lab]:
    with Lab.start(1) as lab:
        yield lab


@pytest.fixture
def plant(machine: Lab, tmp_path: Path) -> Iterator[Plant]:
    made = Plant(machine, tmp_path)
    yield made
    made.clean()


CONFINED = """
version: "1"
containers:
  one:
    image: IMAGE
    devices: [{host: /dev/null, container: /dev/plc, permissions: r}, {host: /dev/nowhere, required: false}]
    deviceCgroupRules: ["c 188:* rw"]
    resources: {cpuWeight: 50, memoryNodes: "0", memory: 64Mi, pids: 60}
    security: {seccomp: unconfined, mask: [/proc/version], ipc: none, hostPID: true}
  two:
    image: IMAGE
    security: {unmask: [/proc/keys], ipc: shareable, hostIPC: false}
"""


def test_devices_weights_and_confinement_are_in_force(plant: Plant) -> None:
    parts = plant.run(CONFINED)
    assert plant.inside(parts, "one", "ls -l /dev/plc").startswith("c")
    assert "1,   3" in plant.inside(parts, "one", "ls -l /dev/plc")
    assert plant.inside(parts, "one", "ls /dev/nowhere 2>&1 || true").endswith("No such file or directory")
    assert plant.inside(parts, "one", "grep Seccomp: /proc/self/status").split() == ["Seccomp:", "0"]
    assert plant.inside(parts, "two", "grep Seccomp: /proc/self/status").split() == ["Seccomp:", "2"]
    assert plant.inside(parts, "one", "cat /proc/version") == ""
    assert "Linux" in plant.inside(parts, "two", "cat /proc/version")
    masked = "grep -c ' /proc/keys ' /proc/self/mounts || true"
    assert (plant.inside(parts, "one", masked), plant.inside(parts, "two", masked)) == ("1", "0")
    assert plant.inside(parts, "one", "grep -c ' /dev/shm ' /proc/self/mounts || true") == "0"
    assert plant.inside(parts, "one", "cat /proc/1/comm") == plant.node.run(["cat", "/proc/1/comm"]).strip()
    groups = {"devices/devices.list": "c 188:* rw", "cpu/cpu.shares": "512", "cpuset/cpuset.mems": "0"}
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        groups = {"cpu.weight": "50", "cpuset.mems": "0"}
    for file, value in groups.items():
        assert value in plant.inside(parts, "one", f"cat /sys/fs/cgroup/{file}")


def test_device_that_is_not_there_stops_or_delays_the_container(plant: Plant) -> None:
    text = "version: '1'\ncontainers: {one: {image: IMAGE, devices: [{host: /dev/nowhere, required: HOW}]}}\n"
    with pytest.raises(DeniedError, match="/dev/nowhere is not on this node") as refused:
        plant.run(text.replace("HOW", "true"))
    assert refused.value.reason == Refusal.CREATE_FAILED
    with pytest.raises(UnavailableError, match="/dev/nowhere is not there yet") as held:
        plant.run(text.replace("HOW", "wait"))
    assert held.value.reason == HoldReason.DEPENDENCY


ENVIRONMENT = """
version: "1"
values: {level: {type: integer, default: 3}, cameras: {type: array, default: [a, b]}}
configs:
  lines: {inline: "LEVEL=${values.level}\\nURL=opc.tcp://plc:4840?a=b\\n", template: true}
  folder: {directory: d}
  list: {inline: "${json(values.cameras)}", template: true}
containers:
  one:
    image: IMAGE
    envFrom: [{config: lines}, {config: folder}]
    env: {LEVEL: 1.10, L: {config: lines, key: LEVEL}, SITE: {from: site.name}}
    mounts: {/etc/d: {config: folder}, /etc/list.json: {config: list, mode: "0400", uid: 7}}
    timezone: site
  two: {image: IMAGE, timezone: utc}
"""


def test_variables_folders_templates_and_zones_arrive(plant: Plant) -> None:
    files = {"apps/line/d/A": "first", "apps/line/d/deep/B": "second"}
    parts = plant.run(ENVIRONMENT, files)
    shown = plant.inside(parts, "one", "env")
    for line in ("LEVEL=1.10", "L=3", "SITE=plant", "URL=opc.tcp://plc:4840?a=b", "A=first"):
        assert line in shown.splitlines()
    assert plant.inside(parts, "one", "cat /etc/d/A /etc/d/deep/B") == "firstsecond"
    assert plant.inside(parts, "one", "cat /etc/list.json") == '["a","b"]'
    assert plant.inside(parts, "one", "ls -ln /etc/list.json").split()[:3] == ["-r--------", "1", "7"]
    assert plant.inside(parts, "one", "date +%Z") in {"CET", "CEST"}
    assert plant.inside(parts, "two", "date +%Z") == "UTC"


MOUNTED = """
version: "1"
configs: {first: {inline: "setting = 1\\n"}, rules: {directory: rules}}
volumes: {data: {owner: "999:5", mode: "0750"}, bare: {populate: false}, full: {}}
containers:
  one:
    image: IMAGE
    mounts:
      /data: {volume: data}
      /data/conf/app.toml: {config: first, onlyIfAbsent: true, uid: 999, mode: "0640"}
      /data/rules: {config: rules, onlyIfAbsent: true}
      /www: {volume: full}
      /empty: {volume: bare}
      /host: {hostPath: HOST/made/here, create: true, mode: "0711", uid: 8, propagation: rslave, relabel: shared}
      /sock: {hostPath: HOST/file, type: file, readOnly: true}
      /ram: {tmpfs: {size: 1Mi, mode: "0700"}}
"""


def test_mounts_have_their_owners_and_copies_happen_once(plant: Plant) -> None:
    host = plant.node.home / "host"
    host.mkdir()
    (host / "file").write_text("of the node")
    plant.node.run(["mount", "--bind", str(host), str(host)])
    plant.node.run(["mount", "--make-shared", str(host)])
    parts = plant.run(MOUNTED.replace("HOST", str(host)), {"apps/line/rules/a/one": "rule"})
    assert plant.inside(parts, "one", "stat -c '%a %u %g' /data /host /ram") == "750 999 5\n711 8 0\n700 0 0"
    assert plant.inside(parts, "one", "stat -c '%a %u' /data/conf/app.toml; cat /data/rules/a/one") == "640 999\nrule"
    assert "index.html" in plant.inside(parts, "one", "ls /www")
    assert plant.inside(parts, "one", "ls /empty") == ""
    assert plant.inside(parts, "one", "cat /sock") == "of the node"
    assert "master:" in plant.inside(parts, "one", "grep ' /host ' /proc/self/mountinfo")
    plant.inside(parts, "one", "echo mine > /data/conf/app.toml; rm -r /data/rules; chmod 700 /data; touch /data/kept")
    plant.again(parts)
    assert plant.inside(parts, "one", "cat /data/conf/app.toml /data/rules/a/one") == "mine\nrule"
    assert plant.inside(parts, "one", "stat -c %a /data; ls /data/kept") == "750\n/data/kept"


def test_link_in_a_volume_leads_nothing_of_ours_to_the_node(plant: Plant, tmp_path: Path) -> None:
    text = """
    version: "1"
    configs: {first: {inline: "setting = 1"}}
    volumes: {data: {}}
    containers: {one: {image: IMAGE, mounts: {/data: {volume: data}, /data/a/b: {config: first, onlyIfAbsent: true}}}}
    """
    parts = plant.run(text)
    plant.inside(parts, "one", f"rm -r /data/a && ln -s {tmp_path} /data/a")
    with pytest.raises(DeniedError) as refused:
        plant.again(parts)
    assert refused.value.reason == Refusal.START_FAILED
    assert not (tmp_path / "b").exists()
    plant.node.run(["sh", "-c", "cd $(podman volume inspect -f '{{.Mountpoint}}' line.data) && rm a && mkdir a"])
    plant.node.run(["sh", "-c", f"ln -s {tmp_path}/b $(podman volume inspect -f '{{{{.Mountpoint}}}}' line.data)/a/b"])
    plant.again(parts)
    assert not (tmp_path / "b").exists()


INSIDE = """
version: "1"
configs: {first: {inline: "setting = 1"}}
volumes: {data: {owner: "999:5", mode: "0750"}}
containers:
  one:
    image: IMAGE
    mounts:
      /pg: {volume: data, subPath: pg/main}
      /pg/conf/first: {config: first, onlyIfAbsent: true}
      /ro: {volume: data, subPath: shown, readOnly: true}
  all: {image: IMAGE, mounts: {/data: {volume: data}}}
"""


def test_folder_of_a_volume_is_mounted_alone_and_outlives_its_container(plant: Plant) -> None:
    parts = plant.run(INSIDE)
    assert plant.inside(parts, "one", "stat -c '%a %u %g' /pg; cat /pg/conf/first") == "750 999 5\nsetting = 1"
    plant.inside(parts, "one", "echo mine > /pg/file")
    assert plant.inside(parts, "all", "cd /data/pg; find . -type f | sort") == "./main/conf/first\n./main/file"
    assert plant.inside(parts, "one", "touch /ro/x 2>&1 || true").endswith("Read-only file system")
    plant.again(parts)
    assert plant.inside(parts, "one", "cat /pg/file") == "mine"


@pytest.mark.parametrize("link", ["pg", "pg/main"])
def test_link_in_place_of_a_mounted_folder_shows_nothing_of_the_node(plant: Plant, link: str) -> None:
    parts = plant.run(INSIDE)
    one = plant.names(parts)["one"]
    plant.inside(parts, "all", f"cd /data && mv {link} kept && ln -s /etc {link}")
    plant.engine.perform(StopContainer(one, timedelta()))
    with pytest.raises(DeniedError) as refused:
        plant.engine.perform(StartContainer(one))
    assert refused.value.reason == Refusal.START_FAILED
    plant.inside(parts, "all", f"cd /data && rm {link} && mv kept {link}")
    plant.engine.perform(StartContainer(one))
    assert plant.inside(parts, "one", "cat /pg/conf/first") == "setting = 1"


def test_folder_that_is_swapped_while_a_container_starts_is_never_another_one(plant: Plant) -> None:
    parts = plant.run(INSIDE)
    one = plant.names(parts)["one"]
    create = next(parts.create_container(each) for each in parts.containers if each.name == one)
    swap = "cd /data/pg; while :; do mv main kept; ln -s /etc main; rm main; mv kept main; done"
    plant.node.run(["podman", "exec", "--detach", plant.names(parts)["all"], "/bin/sh", "-c", swap])
    for _ in range(6):
        plant.engine.perform(StopContainer(one, timedelta()))
        try:
            if plant.engine.observe().named(one) is None:
                plant.engine.perform(create)
            plant.engine.perform(StartContainer(one))
        except OutsideError:
            continue
        assert plant.inside(parts, "one", "ls /pg/hostname 2>/dev/null || echo none") == "none"


def test_what_is_mounted_is_compared_with_the_folder_that_is_meant(plant: Plant) -> None:
    parts = plant.run(INSIDE)
    plant.inside(parts, "all", "cd /data/pg && mv main kept && mkdir main")
    process = f"{plant.proc}/{plant.seen(parts, 'one').pid}"
    work = [{"volume": "line.data", "folder": "pg/main", "target": "/pg"}]
    place = {"line.data": plant.engine.place("line.data")}
    with pytest.raises(MissingError, match="is not the folder pg/main"):
        demand_mounted(work, place, process)
    plant.inside(parts, "all", "cd /data/pg && rmdir main && mv kept main")
    demand_mounted(work, place, process)


def test_subnet_that_was_chosen_is_taken_or_another_one_is_asked_for(plant: Plant) -> None:
    parts = parts_of(FLEET, plant.releases({"line": "version: '1'\ncontainers: {one: {image: IMAGE}}\n"})["line"])
    step = parts.create_network("default")
    one = replace(step, spec=replace(step.spec, subnet="10.213.7.0/24"), is_chosen=True)
    plant.engine.perform(one)
    assert plant.engine.observe().subnets[step.subject] == ("10.213.7.0/24",)
    own = plant.node.run(["sh", "-c", "ip -o -4 route show scope link | cut -d ' ' -f 1 | head -1"]).strip()
    for subnet in ("10.213.7.0/24", own):
        other = replace(one, subject="line.other", spec=replace(one.spec, subnet=subnet))
        with pytest.raises(UnavailableError, match="already used") as held:
            plant.engine.perform(other)
        assert held.value.reason == HoldReason.DEPENDENCY


def test_program_runs_before_the_stop_signal(plant: Plant) -> None:
    drain = "[/bin/sh, -c, 'test -d /www && touch /v/drained; exit 3']"
    text = f"""
    version: "1"
    volumes: {{v: {{}}}}
    containers: {{one: {{image: IMAGE, mounts: {{/v: {{volume: v}}}}, stop: {{timeout: 20s, pre: {{exec: {drain}}}}}}}}}
    """
    parts = plant.run(text)
    (part,) = parts.containers
    plant.engine.perform(part.stop())
    plant.engine.perform(part.stop())
    folder = Path(plant.node.run(["podman", "volume", "inspect", "-f", "{{.Mountpoint}}", "line.v"]).strip())
    assert (folder / "drained").exists()
    assert [one.exit_code for one in plant.engine.observe().containers] == [0]


@pytest.mark.parametrize(
    ("mount", "words"),
    [("{hostPath: /nowhere/x}", "not on this node"), ("{hostPath: /dev/null, type: block}", "is no block")],
)
def test_host_path_must_be_what_it_is_said_to_be(plant: Plant, mount: str, words: str) -> None:
    with pytest.raises(DeniedError, match=words) as refused:
        plant.run(f"version: '1'\ncontainers: {{one: {{image: IMAGE, mounts: {{/a: {mount}}}}}}}\n")
    assert refused.value.reason == Refusal.CREATE_FAILED


def test_size_that_the_file_system_cannot_keep_is_refused_not_forgotten(plant: Plant) -> None:
    text = "version: '1'\nvolumes: {v: {size: 1Gi}}\ncontainers: {one: {image: IMAGE, mounts: {/v: {volume: v}}}}\n"
    with pytest.raises(DeniedError, match="Quota"):
        plant.run(text)
    with pytest.raises(DeniedError, match="weight"):
        plant.run("version: '1'\ncontainers: {one: {image: IMAGE, resources: {ioWeight: 50}}}\n")
    assert plant.engine.observe().containers == ()


def test_container_stands_on_the_wire_of_the_node(plant: Plant) -> None:
    plant.node.run(["ip", "link", "add", "wire0", "type", "veth", "peer", "name", "wire1"])
    for end in ("wire0", "wire1"):
        plant.node.run(["ip", "link", "set", end, "up"])
    text = """
    version: "1"
    networks: {cell: {driver: macvlan, parent: wire0, subnet: 10.214.0.0/24}}
    containers: {one: {image: IMAGE, networks: {cell: {ip: 10.214.0.9, mac: "02:00:00:00:00:07"}}}}
    """
    parts = plant.run(text)
    assert "02:00:00:00:00:07" in plant.inside(parts, "one", "ip link show eth0")
    assert "10.214.0.9/24" in plant.inside(parts, "one", "ip addr show eth0")
    plant.node.run(["ip", "addr", "add", "10.214.0.1/24", "dev", "wire1"])
    answer = plant.node.run(["busybox", "wget", "-q", "-O", "-", "http://10.214.0.9:8080/healthz"])
    assert answer.startswith("ok")
    plant.clean()
    plant.node.run(["ip", "link", "delete", "wire0"])


def test_deployments_meet_on_a_shared_network_under_their_names(plant: Plant) -> None:
    shared = "networks: {plant: {shared: true, subnet: 10.215.0.0/24}}"
    one = (
        f"version: '1'\n{shared}\ncontainers: {{broker: {{image: IMAGE, networks: {{plant: {{aliases: [mqtt]}}}}}}}}\n"
    )
    two = f"version: '1'\n{shared}\ncontainers: {{broker: {{image: IMAGE}}}}\n"
    releases = plant.releases({"line-a": one, "line-b": two})
    first, second = (plant.start(releases[name]) for name in ("line-a", "line-b"))
    assert first.networks == second.networks
    (address,) = plant.seen(first, "broker").addresses.values()
    for name in ("line-a-broker", "mqtt"):
        assert plant.inside(second, "broker", f"wget -q -O - http://{name}:8080/healthz").startswith("ok")
        assert address in plant.inside(second, "broker", f"nslookup -type=a {name}.dns.podman || nslookup {name}")
    answer = plant.inside(second, "broker", "nslookup -type=a broker.dns.podman || nslookup broker || true")
    assert address not in answer


def test_mirror_is_asked_first_and_the_name_stays(plant: Plant) -> None:
    image = plant.image.partition(":")[0] + "@" + plant.image.partition("@")[2]
    elsewhere = image.replace("registry.example/", "nobody.invalid/x/")
    step = PullImage(elsewhere, ("127.0.0.1:1/" + image.partition("/")[2], image))
    plant.engine.perform(step)
    plant.engine.perform(step)
    shown = plant.node.run(["podman", "image", "inspect", "--format", "{{.Digest}}", elsewhere]).strip()
    assert shown == elsewhere.partition("@")[2]
    plant.engine.perform(RemoveImage(elsewhere))
    assert plant.node.run(["podman", "images", "--all", "--quiet"]) == ""
    with pytest.raises(UnavailableError, match=r"nobody\.invalid"):
        plant.engine.perform(PullImage(elsewhere, ("127.0.0.1:1/fields@" + shown,)))


SIGNALLED = """
version: "1"
configs: {rules: {inline: "RULES"}, lines: {directory: lines}}
containers:
  one:
    image: IMAGE
    entrypoint:
    - /bin/sh
    - -c
    - trap 'cat /etc/rules /etc/lines/* > /tmp/read' HUP; cat /etc/rules > /tmp/first; while :; do sleep 0.1; done
    onConfigChange: signal:HUP
    mounts: {/etc/rules: {config: rules, mode: 0440}, /etc/lines: {config: lines}}
"""


def test_changed_config_reaches_the_running_program_and_goes_back(plant: Plant) -> None:
    old = plant.run(SIGNALLED.replace("RULES", "old"), {"apps/line/lines/a": "a1 ", "apps/line/lines/b": "b1 "})
    born = plant.seen(old, "one")
    assert born.configs == old.containers[0].spec.care.configs_digest()
    (plant.directory / "apps/line/lines/b").unlink()
    files = {"apps/line/lines/a": "a2 ", "apps/line/lines/c/d": "d2 "}
    new = parts_of(FLEET, plant.releases({"line": SIGNALLED.replace("RULES", "new")}, files)["line"])
    assert new.release.digest != old.release.digest
    assert [part.name for part in new.containers] == [part.name for part in old.containers]

    plant.engine.perform(new.containers[0].reload())
    reads(plant, new, "newa2")
    assert plant.inside(new, "one", "ls /etc/lines; cat /etc/lines/c/d; stat -Lc %a /etc/rules") == "a\nc\nd2 440"
    now = plant.seen(new, "one")
    assert (now.id, now.started_at) == (born.id, born.started_at)
    assert now.configs == new.containers[0].spec.care.configs_digest()

    plant.node.run(["podman", "restart", "--time", "0", new.containers[0].name])
    assert plant.inside(new, "one", "cat /tmp/first") == "new"
    plant.engine.perform(old.containers[0].reload())
    reads(plant, old, "olda1 b1")

    (plant.contents / "live" / new.containers[0].name / "told").unlink()
    plant.engine.perform(StopContainer(new.containers[0].name, timedelta()))
    assert plant.seen(new, "one").configs == ""
    plant.engine.perform(new.containers[0].reload())
    plant.engine.perform(StartContainer(new.containers[0].name))
    assert plant.inside(new, "one", "cat /etc/rules") == "new"
    plant.engine.perform(RemoveContainer(new.containers[0].name))
    assert list((plant.contents / "live").iterdir()) == []


def reads(plant: Plant, parts: Parts, text: str) -> None:
    """Wait until the program has read this after its signal."""
    for _ in range(50):
        if plant.inside(parts, "one", "cat /tmp/read 2>/dev/null || true") == text:
            return
        time.sleep(0.1)
    assert plant.inside(parts, "one", "cat /tmp/read") == text
