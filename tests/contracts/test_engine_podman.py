"""What only a real Podman can show: that the words of a request have their effect, and that faults have their names."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from tests.contracts.engine_fixtures import PodmanRig, labels

from edgegitops.adapters import engine_podman_words as words
from edgegitops.adapters.engine_podman import PodmanEngine
from edgegitops.core.model.observed import ContainerState
from edgegitops.core.model.reasons import HoldReason, Refusal
from edgegitops.core.model.spec import Attachment, Mount, NetworkSpec, Port, Resources, Security, Ulimit
from edgegitops.core.model.steps import (
    CreateNetwork,
    CreateVolume,
    PullImage,
    RemoveContainer,
    StartContainer,
    StopContainer,
)
from edgegitops.errors import DeniedError, UnavailableError

pytestmark = pytest.mark.system

NAME = "line.app.0123456789ab"
PEER = "line.db.0123456789ab"
STOP = StopContainer(NAME, timedelta(seconds=5))


def test_container_is_found_by_its_alias(podman: PodmanRig) -> None:
    podman.engine.perform(CreateNetwork("line.lan", NetworkSpec(), labels("line")))
    lan = {"lan": Attachment(aliases=("database",))}
    address = podman.run(PEER, networks=lan).addresses["line.lan"]
    podman.run(NAME, networks={"lan": Attachment()})
    for alias in ("db", "database"):
        answer = podman.inside(NAME, f"nslookup -type=a {alias}.dns.podman || nslookup -type=a {alias}")
        assert address in answer


def test_network_has_its_subnet_and_no_way_out_where_internal(podman: PodmanRig) -> None:
    spec = NetworkSpec(subnet="10.97.3.0/24", internal=True, mtu=1400)
    podman.engine.perform(CreateNetwork("line.lan", spec, labels("line")))
    seen = podman.run(NAME, networks={"lan": Attachment(ip="10.97.3.9")})
    assert dict(seen.addresses) == {"line.lan": "10.97.3.9"}
    assert podman.inside(NAME, "cat /sys/class/net/eth0/mtu").strip() == "1400"
    assert "00000000" not in [line.split()[1] for line in podman.inside(NAME, "cat /proc/net/route").splitlines()]


def test_volume_keeps_its_data_when_the_container_is_made_anew(podman: PodmanRig) -> None:
    podman.engine.perform(CreateVolume("line.data", labels("line")))
    mount = (Mount("/data", volume="data"),)
    podman.run(NAME, mounts=mount)
    podman.inside(NAME, "echo kept > /data/file")
    podman.engine.perform(RemoveContainer(NAME))
    podman.run(NAME, mounts=mount)
    assert podman.inside(NAME, "cat /data/file") == "kept\n"


def test_container_whose_layer_a_power_loss_took_is_removed_and_can_be_made_anew(podman: PodmanRig) -> None:
    podman.create(NAME)
    podman.create(PEER)
    shown = podman.engine._things.inspect(NAME)
    assert shown is not None
    (Path(shown["GraphDriver"]["Data"]["UpperDir"]).parent / "lower").write_text("")
    with pytest.raises(UnavailableError, match="created again"):
        podman.engine.perform(StartContainer(NAME))
    assert set(podman.states()) == {PEER}
    podman.run(NAME)


def test_config_files_are_mounted_read_only_with_their_mode_and_owner(podman: PodmanRig) -> None:
    one, two = podman.put("port = 1\n"), podman.put("port = 2\n")
    podman.run(
        NAME,
        mounts=(
            Mount("/etc/app.toml", file=one),
            Mount("/etc/private.toml", file=two, mode=0o400, uid=7, gid=8),
            Mount("/etc/conf.d", folder={"a/one.toml": one, "two.toml": two}),
        ),
    )
    texts = podman.inside(NAME, "cat /etc/app.toml /etc/private.toml /etc/conf.d/a/one.toml /etc/conf.d/two.toml")
    assert texts == "port = 1\nport = 2\nport = 1\nport = 2\n"
    assert podman.inside(NAME, "ls -ln /etc/private.toml").split()[:4] == ["-r--------", "1", "7", "8"]
    assert "no" in podman.inside(NAME, "echo x 2>/dev/null > /etc/app.toml && echo yes || echo no")


def test_config_file_that_is_not_stored_is_worth_another_look(podman: PodmanRig) -> None:
    podman.engine.perform(PullImage(podman.image))
    with pytest.raises(UnavailableError) as refusal:
        podman.engine.perform(podman.step(NAME, mounts=(Mount("/etc/x", file="0" * 64, mode=0o400),)))
    assert refusal.value.reason == HoldReason.DEPENDENCY


def test_process_gets_what_the_spec_says(podman: PodmanRig) -> None:
    podman.run(
        NAME,
        env={"VERSION": "1.10", "EMPTY": ""},
        working_dir="/var",
        hostname="press-1",
        user="5:6",
        groups=("7",),
        extra_hosts={"plc": "10.1.2.3"},
        timezone="Europe/Stockholm",
        sysctls={"net.ipv4.ip_unprivileged_port_start": "0"},
        shm_size=1024 * 1024,
        oom_score_adj=100,
        dns_search=("factory.example",),
    )
    lines = podman.inside(NAME, "env; id; cat /etc/hosts; cat /etc/resolv.conf; cat /proc/sys/net/ipv4/ip_unp*").split(
        "\n"
    )
    assert {"VERSION=1.10", "EMPTY=", "PWD=/var", "HOSTNAME=press-1", "0"} <= set(lines)
    assert any(line.startswith("uid=5 gid=6 groups=") and "7" in line for line in lines)
    assert any(line.split() == ["10.1.2.3", "plc"] for line in lines)
    assert any(line.startswith("search") and "factory.example" in line for line in lines)
    assert podman.inside(NAME, "cat /proc/1/oom_score_adj").strip() == "100"
    assert podman.inside(NAME, "mount | grep /dev/shm").endswith("size=1024k)\n")
    assert "CET" in podman.inside(NAME, "cat /etc/localtime | grep -c CET >/dev/null && echo CET")


def test_limits_reach_the_kernel(podman: PodmanRig) -> None:
    limits = Resources(memory=64 * 2**20, memory_reservation=32 * 2**20, milli_cpus=500, pids=50)
    podman.run(NAME, resources=limits, ulimits={"core": Ulimit(0, 0)})
    identity = podman.seen(NAME).id
    groups = podman.node.cgroup_values(identity)
    assert groups["memory"] == str(64 * 2**20)
    assert groups["pids"] == "50"
    assert groups["cpu"] == "50000 100000"
    rows = podman.inside(NAME, "cat /proc/self/limits").splitlines()
    assert any(row.split()[:5] == ["Max", "core", "file", "size", "0"] for row in rows)


def test_security_profile_is_in_force(podman: PodmanRig) -> None:
    security = Security(capabilities_drop=("ALL",), capabilities_add=("NET_BIND_SERVICE",), read_only_root=True)
    podman.run(NAME, security=security)
    status = dict(line.split(":", 1) for line in podman.inside(NAME, "cat /proc/1/status").splitlines())
    assert status["NoNewPrivs"].strip() == "1"
    assert int(status["CapBnd"], 16) == 1 << 10
    assert podman.inside(NAME, "touch /tmp/a /run/b && echo yes").strip() == "yes"
    assert podman.inside(NAME, "touch /var/c 2>/dev/null || echo no").strip() == "no"


def test_tmpfs_has_its_size_and_mode(podman: PodmanRig) -> None:
    podman.run(NAME, mounts=(Mount("/scratch", tmpfs=True, tmpfs_size=65536, mode=0o750),))
    line = podman.inside(NAME, "mount | grep /scratch")
    assert "size=64k" in line
    assert "mode=750" in line


def test_stop_sends_the_signal_of_the_spec(podman: PodmanRig) -> None:
    script = "trap 'echo got it; exit 3' INT; echo ready; while :; do sleep 0.05; done"
    podman.run(NAME, args=("/bin/sh", "-c", script), init=False, stop_signal="SIGINT")
    podman.node.wait_until(lambda: "ready" in podman.engine.logs(NAME, 5))
    podman.engine.perform(STOP)
    assert podman.seen(NAME).exit_code == 3
    assert podman.engine.logs(NAME, 1) == "got it\n"


def test_process_that_ignores_the_stop_is_killed(podman: PodmanRig) -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    podman.run(NAME, args=("/bin/sh", "-c", script), init=False)
    podman.node.wait_until(lambda: "ready" in podman.engine.logs(NAME, 5))
    podman.engine.perform(StopContainer(NAME, timedelta(seconds=0.4)))
    assert podman.seen(NAME).exit_code == 137


def test_command_that_is_not_in_the_image_is_denied(podman: PodmanRig) -> None:
    podman.create(NAME, args=("/bin/nonesuch",), init=False)
    with pytest.raises(DeniedError) as denial:
        podman.engine.perform(StartContainer(NAME))
    assert denial.value.reason == Refusal.START_FAILED


def test_exec_of_what_is_not_in_the_image_fails_the_probe(podman: PodmanRig) -> None:
    podman.run(NAME)
    assert not podman.engine.probe_exec(NAME, ["/bin/nonesuch"], timedelta(seconds=5))


def test_exec_that_never_stops_writing_has_a_deadline_too(podman: PodmanRig) -> None:
    podman.run(NAME)
    chatter = ["/bin/sh", "-c", "while :; do echo x; sleep 0.05; done"]
    assert not podman.engine.probe_exec(NAME, chatter, timedelta(seconds=0.5))


def test_killed_monitor_alone_is_not_lost(podman: PodmanRig) -> None:
    podman.run(NAME)
    podman.kill_monitor(NAME)
    assert podman.seen(NAME).state is ContainerState.RUNNING
    podman.engine.perform(STOP)
    left = podman.states().get(NAME, ContainerState.EXITED)
    assert left is ContainerState.EXITED  # Podman 4 never learns of its end, so it is removed; Podman 5 does
    assert podman.run(NAME).state is ContainerState.RUNNING


def test_containers_of_an_engine_that_cannot_be_seen_are_never_lost(podman: PodmanRig) -> None:
    podman.run(NAME)
    podman.lose(NAME)
    far = PodmanEngine(podman.node.url, contents_dir="/nowhere")  # the node has a pid namespace of its own
    seen = far.observe().named(NAME)
    far.close()
    assert seen is not None
    assert seen.state is ContainerState.RUNNING


def test_image_health_check_and_restart_stay_out(podman: PodmanRig) -> None:
    podman.run(NAME)
    tree = podman.node.api("get", f"/containers/{NAME}/json")
    assert tree["HostConfig"]["RestartPolicy"]["Name"] in {"", "no"}
    assert tree["HostConfig"]["LogConfig"]["Type"] == "k8s-file"
    assert tree["HostConfig"]["LogConfig"]["Size"] != "0B"
    assert tree["Config"].get("Healthcheck", {}).get("Test", ["NONE"]) == ["NONE"]


def test_published_port_answers_on_the_node(podman: PodmanRig) -> None:
    podman.run(NAME, ports=(Port(80, 18080, "127.0.0.1"), Port(81)))
    listening = podman.node.run("cat", "/proc/net/tcp")
    assert "0100007F:46A0" in listening  # 127.0.0.1:18080


def test_silent_engine_is_an_unavailable_one(podman: PodmanRig) -> None:
    hasty = PodmanEngine(podman.node.url, contents_dir="/nowhere", answer_within=timedelta(seconds=0.2))
    with podman.node.silent_service():
        for act in (hasty.observe, lambda: hasty.perform(STOP)):
            with pytest.raises(UnavailableError) as silence:
                act()
            assert silence.value.reason == HoldReason.ENGINE_UNAVAILABLE
    hasty.close()


def test_absent_engine_is_an_unavailable_one() -> None:
    engine = PodmanEngine("unix:///nowhere/podman.sock", contents_dir="/nowhere")
    for act in (engine.observe, lambda: engine.perform(STOP), lambda: engine.probe_exec(NAME, ["/x"], STOP.timeout)):
        with pytest.raises(UnavailableError) as absence:
            act()
        assert absence.value.reason == HoldReason.ENGINE_UNAVAILABLE


def test_engine_that_came_back_is_used_again(podman: PodmanRig) -> None:
    podman.run(NAME)
    podman.node.restart_service()
    assert podman.seen(NAME).state is ContainerState.RUNNING
    podman.engine.perform(STOP)


def test_unchanged_world_costs_one_list_call_a_kind(podman: PodmanRig, monkeypatch: pytest.MonkeyPatch) -> None:
    podman.run(NAME)
    podman.engine.observe()
    asked: list[str] = []
    wire = podman.engine._wire
    ask = wire.ask
    monkeypatch.setattr(wire, "ask", lambda method, path, **more: (asked.append(path), ask(method, path, **more))[1])
    podman.engine.observe()
    assert asked == ["/containers/json", "/networks/json", "/volumes/json"]


def test_four_threads_act_at_once(podman: PodmanRig) -> None:
    podman.engine.perform(PullImage(podman.image))
    names = [f"line.app{number}.0123456789ab" for number in range(8)]
    gate = threading.Barrier(4)

    def live(name: str) -> None:
        if name in names[:4]:
            gate.wait(30)
        for step in (podman.step(name), StartContainer(name), RemoveContainer(name)):
            podman.engine.perform(step)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(live, names))
    assert podman.states() == {}


def test_user_namespace_is_one_of_its_own(podman: PodmanRig) -> None:
    ids = podman.node.top / "ids"
    ids.write_text("containers:2147483647:2147483648\n")
    for file in ("/etc/subuid", "/etc/subgid"):
        podman.node.run("mount", "--bind", str(ids), file)
    podman.run(NAME, security=Security(user_namespace="auto"))
    assert podman.inside(NAME, "cat /proc/self/uid_map").split()[:2] == ["0", "2147483647"]
    for file in ("/etc/subuid", "/etc/subgid"):
        podman.node.run("umount", file)


def test_last_words_of_a_container_outlive_it(podman: PodmanRig) -> None:
    podman.run(NAME, args=("/bin/sh", "-c", "echo no camera answers; exit 3"))
    podman.node.run("podman", "wait", NAME)
    podman.engine.perform(RemoveContainer(NAME))
    told = words.kept(str(podman.contents))["line/app"]
    assert (told.name, told.text) == (NAME, "no camera answers\n")
    folder = podman.contents / "last-words"
    assert {one.stat().st_mode & 0o077 for one in (folder, folder / "line.app")} == {0}, "programs write secrets, too"


def test_last_words_go_with_their_deployment(podman: PodmanRig) -> None:
    folder = podman.contents / "last-words"
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in ("line.app", "line.web", "line-2.app", ".gone.app"):
        (folder / name).write_text("eg-x\nhello\n", encoding="utf-8")
    podman.engine.keep_words({"line"})
    assert sorted(one.name for one in folder.iterdir()) == ["line.app", "line.web"]


def test_last_words_that_cannot_be_kept_hinder_nothing(podman: PodmanRig) -> None:
    shutil.rmtree(podman.contents / "last-words", ignore_errors=True)
    (podman.contents / "last-words").write_text("in the way", encoding="utf-8")
    podman.run(NAME, args=("/bin/sh", "-c", "echo hello; exec sleep 1000"))
    podman.engine.perform(RemoveContainer(NAME))
    assert podman.engine.observe().named(NAME) is None
    assert words.kept(str(podman.contents)) == {}
    podman.engine.keep_words(())
    (podman.contents / "last-words").unlink()
