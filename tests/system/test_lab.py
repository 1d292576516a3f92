"""The lab is what the other system tests stand on: its nodes are separate machines, and nothing of it stays."""

import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.faults.loop_disk import LoopDisk

from edgegitops.errors import DeniedError, InvalidConfigError, UnavailableError
from edgegitops.lab import cgroups, network, processes
from edgegitops.lab import lab as labs
from edgegitops.lab.commands import run, until
from edgegitops.lab.images import App
from edgegitops.lab.lab import Lab
from edgegitops.lab.node import VirtualNode

pytestmark = pytest.mark.system


def serve(node: VirtualNode, lab: Lab, app: App, name: str, *options: str) -> None:
    """Run an app from the lab's registry by its digest."""
    tagged, _, digest = lab.registry.publish(app).partition("@")
    reference = f"{tagged.rpartition(':')[0]}@{digest}"
    node.run(["podman", "run", "-d", "--init", "--name", name, *options, reference])


def ask(node: VirtualNode, path: str, port: int = 8080) -> tuple[int, str]:
    """Status and body of a GET to a port of a node; status 0 where nobody answers."""
    connection = http.client.HTTPConnection(node.address, port, timeout=2)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def ready(node: VirtualNode) -> None:
    """Whatever the test before did: on and plugged, with no containers."""
    node.boot(agent=False)
    node.plug()
    node.run(["podman", "rm", "--all", "--force", "--time", "0"])


def test_each_node_has_its_own_podman(lab: Lab) -> None:
    for node in lab.nodes.values():
        ready(node)
        assert node.engine.is_answering()
        assert node.run(["hostname"]).strip() == node.name
    one, two = lab.nodes.values()
    one.run(["podman", "volume", "create", "only-here"])
    assert two.run(["podman", "volume", "ls", "--quiet"]) == ""


def test_image_pulled_by_digest_runs_and_answers_from_outside(lab: Lab) -> None:
    for node in lab.nodes.values():
        ready(node)
        serve(node, lab, App("vision/inspector", "1.0.0"), "inspector", "-p", "8080:8080")
        until(lambda node=node: ask(node, "/healthz") == (200, "ok vision/inspector 1.0.0\n"), "answer of the app")


def test_app_runs_without_any_privilege_and_ends_on_term(lab: Lab) -> None:
    node = lab.nodes["node-1"]
    ready(node)
    closed = ["--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--user=10001:10001"]
    serve(node, lab, App("collector", "1.0.0"), "collector", *closed, "--security-opt=no-new-privileges")
    until(lambda: "starts" in node.run(["podman", "logs", "collector"]), "start of the app")
    node.run(["podman", "stop", "--time", "50", "collector"])
    assert node.run(["podman", "inspect", "--format", "{{.State.ExitCode}}", "collector"]) == "0\n"
    assert "stops" in node.run(["podman", "logs", "collector"])


def test_bad_versions_misbehave_as_they_say(lab: Lab) -> None:
    node = lab.nodes["node-2"]
    ready(node)
    serve(node, lab, App("vision", "1.2.0", {"FAIL_AFTER": "0"}), "dying")
    serve(node, lab, App("vision", "1.3.0", {"NEVER_READY": "1"}), "mute", "-p", "8081:8080")
    assert node.run(["podman", "wait", "dying"]) == "1\n"
    until(lambda: ask(node, "/healthz", 8081)[0] == 404, "the answer of an app that is never ready")


def test_restored_power_finds_disks_but_nothing_running(lab: Lab) -> None:
    node = lab.nodes["node-1"]
    ready(node)
    serve(node, lab, App("broker", "1.0.0"), "broker", "-v", "messages:/data", "-p", "1883:1883")
    until(lambda: ask(node, "/version", 1883)[0] == 200, "answer of the broker")
    before = node.run(["cat", "/proc/sys/kernel/random/boot_id"])
    node.power_cut()
    assert not node.is_on()
    assert ask(node, "/version", 1883)[0] == 0
    node.boot(agent=False)
    assert node.run(["cat", "/proc/sys/kernel/random/boot_id"]) != before
    # Podman 4.3 says created, Podman 5.4 exited.
    assert node.engine.containers() in ({"broker": "created"}, {"broker": "exited"})
    node.run(["podman", "start", "broker"])
    folder = node.run(["podman", "volume", "inspect", "--format", "{{.Mountpoint}}", "messages"]).strip()
    until(lambda: (Path(folder) / "starts").read_text() == "broker 1.0.0\n" * 2, "second start of the broker")


def test_unplugged_node_is_out_of_reach_while_its_containers_go_on(lab: Lab) -> None:
    node = lab.nodes["node-2"]
    ready(node)
    serve(node, lab, App("collector", "1.1.0"), "collector", "-p", "8080:8080")
    until(lambda: ask(node, "/version")[0] == 200, "answer of the app")
    node.unplug()
    assert not node.is_plugged()
    assert ask(node, "/version")[0] == 0
    assert node.attempt(["git", "ls-remote", lab.git_url], seconds=20).returncode != 0
    inside = "http://127.0.0.1:8080/version"
    assert node.run(["busybox", "wget", "-q", "-O", "-", inside]) == "collector 1.1.0\n"
    node.plug()
    until(lambda: ask(node, "/version")[0] == 200, "answer of the app after the wire is back")


def test_agent_runs_inside_and_dies_with_the_power(lab: Lab) -> None:
    node = lab.nodes["node-1"]
    ready(node)
    node.start_agent(["sh", "-c", "echo $$ $EDGEGITOPS_CONFIG; exec sleep 1000"])
    until(lambda: (node.home / "agent.log").read_text().endswith("node.yaml\n"), "first words of the agent")
    pid = (node.home / "agent.log").read_text().split()[-2]
    assert node.run(["cat", f"/proc/{pid}/comm"]) == "sleep\n"
    node.power_cut()
    assert not node.is_agent_running()
    node.boot(agent=False)
    node.start_agent(["sleep", "1000"])
    assert node.is_agent_running()
    node.stop_agent()
    assert not node.is_agent_running()


def cgroups_named(identity: str) -> list[str]:
    """Every cgroup of this machine with that in its name; those of others come and go meanwhile."""
    return [name for _, folders, _ in os.walk("/sys/fs/cgroup") for name in folders if identity in name]


def test_power_cut_leaves_no_cgroups_behind(lab: Lab) -> None:
    node = lab.nodes["node-1"]
    ready(node)
    serve(node, lab, App("vision", "1.0.0"), "vision")
    identity = node.run(["podman", "inspect", "--format", "{{.Id}}", "vision"]).strip()
    assert cgroups_named(identity)
    node.power_cut()
    assert not cgroups_named(identity)
    cgroups.sweep(node.home / "root")


def test_entering_a_node_without_power_says_how_to_get_it(lab: Lab) -> None:
    node = lab.nodes["node-2"]
    node.power_cut()
    with pytest.raises(DeniedError, match="edgegitops lab boot node-2"):
        node.run(["true"])


def test_two_labs_share_a_machine(lab: Lab) -> None:
    with Lab.start(1) as other:
        assert other.wiring.slot != lab.wiring.slot
        assert other.nodes["node-1"].engine.is_answering()
        assert lab.registry.is_answering()
    assert lab.registry.is_answering()
    assert not other.directory.exists()


STAGES = {
    "a directory": lambda place: (place / "lab.json").exists(),
    "a bridge": lambda place: bool(network.links(place)),
    "a registry": lambda place: (place / "registry" / "log").exists(),
    "a node's namespaces": lambda place: (place / "n" / "node-1" / "outer.pid").exists(),
    "a wired node": lambda place: (place / "n" / "node-2" / "init.pid").exists(),
    "a fleet": lambda place: (place / "fleet" / "work").exists(),
}


def command(*words: str) -> list[str]:
    """The command line of `edgegitops lab`."""
    return [sys.executable, "-m", "edgegitops", "lab", *words]


@pytest.mark.parametrize("stage", STAGES)
def test_killed_while_starting_is_removed_whole_by_down(stage: str, footprint) -> None:
    place = footprint.directory
    with subprocess.Popen(command("up", "--nodes", "2", "--no-agent", "--dir", str(place))) as starting:
        is_there = STAGES[stage]
        until(lambda: is_there(place), stage)
        starting.kill()
    assert footprint.traces()
    subprocess.run(command("down", "--dir", str(place)), check=True)
    assert footprint.traces() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_start_cleans_up_by_itself(number: signal.Signals, footprint) -> None:
    place = footprint.directory
    with subprocess.Popen(command("up", "--nodes", "9", "--no-agent", "--dir", str(place))) as starting:
        until((place / "n" / "node-1" / "init.pid").exists, "the first of many nodes")
        starting.send_signal(number)
        assert starting.wait() == 130
    assert footprint.traces() == []


def test_next_start_removes_what_a_killed_one_left(footprint) -> None:
    place = footprint.directory
    with subprocess.Popen(command("up", "--nodes", "9", "--no-agent", "--dir", str(place))) as starting:
        until((place / "n" / "node-2" / "init.pid").exists, "two of many nodes")
        starting.kill()
    with Lab.start(["gw-a"], directory=place) as lab:
        assert list(lab.nodes) == ["gw-a"]
        assert sorted(network.links(place)) == [lab.wiring.stem, lab.wiring.link(1)]


def test_lab_of_a_killed_process_is_removed_by_the_next_start() -> None:
    script = "import os, signal; from edgegitops.lab.lab import Lab; l = Lab.start(1); print(l.directory, flush=True); "
    words = [sys.executable, "-c", script + "os.kill(os.getpid(), signal.SIGKILL)"]
    place = Path(subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip())
    assert next(processes.marked(str(place)))
    with Lab.start(1):
        assert not place.exists()
        assert not list(processes.marked(str(place)))
    assert network.links(place) == []


def test_disk_that_was_mounted_under_a_lab_goes_with_it() -> None:
    with Lab.start(1) as lab:
        disk = LoopDisk(lab.directory / "image", lab.directory / "n" / "a place", 16)
        disk.place.mkdir()
        disk.mount()
        (disk.place / "file").touch()
        disk.image.unlink()
    assert not lab.directory.exists()


def test_node_keeps_hold_of_no_disk_of_another_node(lab: Lab) -> None:
    with Lab.start(1) as other:
        home = other.nodes["node-1"].home
        disk = LoopDisk(home / "image", home / "a place", 16)
        disk.place.mkdir()
        disk.mount()
        for node in (lab.nodes["node-1"], other.nodes["node-1"]):
            node.power_cut()
            node.power_on()
        assert disk.device in other.nodes["node-1"].run(["cat", "/proc/mounts"])
        assert disk.device not in lab.nodes["node-1"].run(["cat", "/proc/mounts"])
        other.nodes["node-1"].power_cut()
        run(["umount", str(disk.place)])
        until(lambda: str(disk.image) not in run(["losetup", "--list"]).decode(), "a disk that nobody holds")


def test_power_cut_leaves_no_zombies() -> None:
    with Lab.start(1) as lab:
        node = lab.nodes["node-1"]
        node.power_cut()
        node.boot(agent=False)
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    states = {Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in children}
    assert "Z" not in states


def test_commands_show_and_change_a_lab_that_outlives_them(footprint) -> None:
    place = ["--dir", str(footprint.directory)]

    def call(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(command(*words), capture_output=True, text=True, check=False)

    def shown() -> dict[str, bool]:
        row = json.loads(call("status", "--json", *place).stdout)["nodes"][0]
        return {word: row[word] for word in ("power", "wire", "podman", "agent")}

    assert call("up", "--nodes", "1", "--no-agent", *place).returncode == 0
    assert shown() == {"power": True, "wire": True, "podman": True, "agent": False}
    assert call("up", *place).returncode == 5
    call("unplug", "node-1", *place)
    assert not shown()["wire"]
    call("plug", "node-1", *place)
    call("power-cut", "node-1", *place)
    assert shown() == {"power": False, "wire": False, "podman": False, "agent": False}
    call("boot", "node-1", *place)
    assert shown()["podman"]
    ran = call("exec", *place, "node-1", "sh", "-c", "hostname; exit 7")
    assert (ran.stdout, ran.returncode) == ("node-1\n", 7)
    assert "it has node-1" in call("plug", "node-9", *place).stderr
    assert call("down", *place).returncode == 0
    assert "no lab" in call("down", *place).stdout


def test_files_of_others_are_never_removed(footprint) -> None:
    place = footprint.directory
    place.mkdir()
    (place / "thesis.txt").write_text("years of work")
    with pytest.raises(DeniedError, match="no lab made"):
        labs.end(place)
    with pytest.raises(DeniedError, match="no lab made"):
        Lab.start(1, directory=place)
    assert (place / "thesis.txt").read_text() == "years of work"
    (place / "thesis.txt").unlink()
    place.rmdir()


def test_directory_that_nodes_cannot_see_is_refused() -> None:
    with pytest.raises(InvalidConfigError, match="/run/edgegitops-lab"):
        Lab.start(1, directory=Path("/run/edgegitops-lab"))


def test_process_with_another_start_time_is_not_ours(tmp_path: Path) -> None:
    me = processes.find(os.getpid())
    assert me is not None
    impostor = processes.Process(me.pid, me.started - 1)
    impostor.write(tmp_path / "pid")
    assert processes.read(tmp_path / "pid") is None
    impostor.signal(signal.SIGKILL)


def test_program_that_ends_badly_carries_its_words() -> None:
    with pytest.raises(UnavailableError, match="no such word"):
        run(["sh", "-c", "echo no such word >&2; exit 3"])
