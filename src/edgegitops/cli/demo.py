"""`make demo`: the main job end to end on two virtual nodes, told as it happens and judged from outside.

Law: every claim is observed through Podman, HTTP and the node's journal, never believed from the story that is being
told. The table at the end holds one row a claim; the exit code is 0 only if every one of them was observed. Whatever
happens, the lab is taken down.
"""

import json
import re
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from edgegitops import bootstrap
from edgegitops.cli.journal import words
from edgegitops.core.model import events as e
from edgegitops.core.model.ledger import DeploymentRecord, Ledger
from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.release import Phase
from edgegitops.errors import EdgegitopsError
from edgegitops.lab import fleet as fleets
from edgegitops.lab.fleet import Fleet
from edgegitops.lab.images import App
from edgegitops.lab.lab import Lab
from edgegitops.lab.node import VirtualNode

SEATS = {"goteborg": ("goteborg-1", "gw-vision"), "toledo": ("toledo-1", "gw-line")}
VISION = "vision-qa"
APP = "apps/vision-qa/app.yaml"
PATIENCE = 90.0
TOLD = (
    e.FloorMoved,
    e.TipRefused,
    e.SnapshotRefused,
    e.TransitionBegan,
    e.PhaseMoved,
    e.ContainerEnded,
    e.Latched,
    e.AlarmRaised,
    e.DaemonStarted,
)


@dataclass(slots=True)
class Stage:
    """The lab, the fleet and the list of what was observed so far."""

    console: Console
    lab: Lab
    began: float = field(default_factory=time.monotonic)
    observed: list[tuple[str, bool]] = field(default_factory=list)

    @property
    def goteborg(self) -> VirtualNode:
        """The node whose tags match the vision inspection."""
        return self.lab.nodes["goteborg"]

    @property
    def toledo(self) -> VirtualNode:
        """The node of another site, whose tags do not."""
        return self.lab.nodes["toledo"]

    @property
    def fleet(self) -> Fleet:
        """The engineer's clone."""
        return self.lab.fleet

    def act(self, sentence: str) -> None:
        """Say what the demo does now."""
        self.console.print(f"\n[bold cyan]{self.clock()}  {sentence}[/]")

    def claim(self, sentence: str, holds: Callable[[], bool], *, seconds: float = PATIENCE) -> None:
        """Wait until the claim is observed, at most so long, and remember whether it was."""
        is_seen = until(holds, seconds)
        mark = "[green]seen[/]" if is_seen else "[red]NOT SEEN[/]"
        self.console.print(f"{self.clock()}  {mark}  {sentence}")
        self.observed.append((sentence, is_seen))

    def clock(self) -> str:
        """Seconds since the start."""
        return f"{time.monotonic() - self.began:6.1f} s"


def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Ask again and again until it holds; False when the time is over. What cannot be asked does not hold."""
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        with suppress(EdgegitopsError, OSError, ValueError):
            if holds():
                return True
        time.sleep(0.2)
    return False


# --- looking from outside ---------------------------------------------------------------------------------------------


def ledger_of(node: VirtualNode) -> Ledger:
    """What the node's journal says."""
    journal = bootstrap.read_journal(node.state)
    try:
        return journal.ledger()
    finally:
        journal.close()


def record_of(node: VirtualNode, deployment: str = VISION) -> DeploymentRecord:
    """What the node's journal says of one deployment."""
    return ledger_of(node).deployments.get(deployment) or DeploymentRecord(deployment)


def events_of(node: VirtualNode) -> list[e.Event]:
    """All events of the node's journal."""
    journal = bootstrap.read_journal(node.state)
    try:
        return [entry.event for entry in journal.entries()]
    finally:
        journal.close()


def starts_of(node: VirtualNode, digest: str) -> int:
    """How often a release was set out for on a node."""
    began = [event for event in events_of(node) if isinstance(event, e.TransitionBegan)]
    return sum(1 for event in began if event.transition.new and event.transition.new.digest == digest)


def containers(node: VirtualNode) -> dict[str, dict[str, object]]:
    """What Podman says runs on the node, by name."""
    rows = json.loads(node.run(["podman", "ps", "--format", "json"]))
    return {str(row["Names"][0]): row for row in rows}


def running(node: VirtualNode, part: str) -> dict[str, object]:
    """The running container of the vision inspection with this name in the manifest; empty where none runs."""
    found = [row for name, row in containers(node).items() if name.startswith(f"{VISION}.{part}.")]
    return found[0] if found else {}


def answer(node: VirtualNode, path: str = "/version", port: int = 8080) -> str:
    """What the station's published port answers from outside."""
    with urllib.request.urlopen(f"http://{node.address}:{port}{path}", timeout=2) as page:
        body: bytes = page.read()
    return body.decode().strip()


def serves(node: VirtualNode, version: str) -> bool:
    """True where the station answers with this version."""
    return answer(node).endswith(f" {version}")


def is_healthy_at(node: VirtualNode, version: str) -> bool:
    """True where the journal says healthy at this version, and the station says the same."""
    record = record_of(node)
    is_there = record.phase is Phase.HEALTHY and record.serving is not None and record.serving.version == version
    return is_there and serves(node, version)


# --- the story --------------------------------------------------------------------------------------------------------


def release(stage: Stage, version: str, *, key: str | None = "engineer", faults: dict[str, str] | None = None) -> str:
    """Publish an image and commit the application at this version; the commit id. `key` None: unsigned."""
    image = stage.lab.registry.publish(App("quality/vision", version, faults or {}))
    text = (stage.fleet.work / APP).read_text()
    text = re.sub(r"image: \S*quality/vision:\S+", f"image: {image}", text)
    text = re.sub(r"(?m)^  version: .*$", f"  version: {version}", text)
    stage.fleet.commit(f"vision: {version}", key=key, files={APP: text})
    return stage.fleet.push()


def hurry(fleet: Fleet) -> None:
    """The example's soak times suit a plant; a demo has minutes. The release manager shortens them, signed."""
    files: dict[str, str | bytes | None] = {}
    for path in sorted((fleet.work / "deployments").glob("*.yaml")):
        text = re.sub(r"soak: \S+", "soak: 5s", path.read_text())
        files[f"deployments/{path.name}"] = re.sub(r"deadline: \S+", "deadline: 40s", text)
    fleet.commit("deployments: short soak for the demo", key="release-manager", files=files)
    fleet.push()


def converges(stage: Stage) -> None:
    """A release converges where the tags match, and only there."""
    stage.act("Two gateways boot: goteborg-1/gw-vision (assembly, gpu) and toledo-1/gw-line (casting)")
    stage.claim("vision-qa 1.0.0 runs on the node whose tags match", lambda: is_healthy_at(stage.goteborg, "1.0.0"))
    stage.claim("the other node runs its own broker", lambda: record_of(stage.toledo, "broker").phase is Phase.HEALTHY)
    stage.claim(
        "the other node has nothing of vision-qa",
        lambda: VISION not in ledger_of(stage.toledo).deployments and not running(stage.toledo, "station"),
        seconds=5,
    )


def heals(stage: Stage) -> None:
    """A killed container comes back; a changed and a removed one are put right."""
    before = running(stage.goteborg, "inspector")
    name = str(before["Names"][0])  # type: ignore[index]
    stage.act(f"The process of {name} is killed")
    stage.goteborg.run(["kill", "-9", str(before["Pid"])])

    def came_back() -> bool:
        now = running(stage.goteborg, "inspector")
        return bool(now) and now["Id"] == before["Id"] and now["Pid"] != before["Pid"]

    stage.claim("the killed container runs again, the same one", came_back)
    stage.act(f"Somebody disconnects {name} from its network")
    network = str(before["Networks"][0])  # type: ignore[index]
    stage.goteborg.run(["podman", "network", "disconnect", "-f", network, name])

    def is_put_right() -> bool:
        now = running(stage.goteborg, "inspector")
        return bool(now) and network in list(now["Networks"] or [])  # type: ignore[call-overload]

    stage.claim("the changed container is put right", is_put_right)
    station = str(running(stage.goteborg, "station")["Names"][0])  # type: ignore[index]
    stage.act(f"Somebody removes {station}")
    stage.goteborg.run(["podman", "rm", "-f", "-t", "1", station])
    stage.claim(
        "the removed container is there again",
        lambda: bool(running(stage.goteborg, "station")) and serves(stage.goteborg, "1.0.0"),
    )


def refuses_unsigned(stage: Stage) -> None:
    """An unsigned commit is refused while the old release runs on."""
    good = stage.fleet.tip()
    stage.act("Somebody pushes an unsigned commit with version 6.6.6")
    bad = release(stage, "6.6.6", key=None)
    stage.claim("the unsigned commit is refused", lambda: ledger_of(stage.goteborg).refused_tip == bad)
    stage.claim("the old release runs on", lambda: is_healthy_at(stage.goteborg, "1.0.0"), seconds=30)
    stage.fleet.git("reset", "-q", "--hard", good)
    stage.fleet.push(force=True)


def refuses_stolen_key(stage: Stage) -> None:
    """An engineer's key may change applications, and nothing that says who may change what."""
    good = stage.fleet.tip()
    stage.act("A thief of the engineer's key wants to be more: a signed commit below trust/")
    stage.fleet.commit("trust: my key, too", key="engineer", files={"trust/nodes/toledo-1.yaml": "mine: true\n"})
    bad = stage.fleet.push()
    stage.claim(
        "a stolen engineer key cannot touch trust/", lambda: _is_refused(stage.goteborg, bad, Doubt.ROLE_MISSING)
    )
    stage.claim("the old release still runs on", lambda: is_healthy_at(stage.goteborg, "1.0.0"), seconds=30)
    stage.fleet.git("reset", "-q", "--hard", good)
    stage.fleet.push(force=True)


def refuses_revoked_key(stage: Stage) -> None:
    """A revoked key fails from the revoking commit on; what it signed before stays."""
    before = record_of(stage.goteborg).serving
    stage.act("The root keys revoke the engineer's stolen key; a new key has its place")
    fleets.revoke(stage.fleet, "engineer", reason="stolen laptop")
    revoking = stage.fleet.push()
    stage.claim("the new trust root is in force", lambda: _root_version(stage.goteborg) > 1)
    bad = release(stage, "6.6.7")
    stage.claim("the revoked key's next commit is refused", lambda: _is_refused(stage.goteborg, bad, Doubt.KEY_REVOKED))
    stage.claim(
        "what the key signed before its revocation stays and runs",
        lambda: before is not None and is_healthy_at(stage.goteborg, before.version),
        seconds=30,
    )
    stage.fleet.git("reset", "-q", "--hard", revoking)
    stage.fleet.push(force=True)
    release(stage, "1.3.0", key="engineer-2")
    stage.claim("the engineer's new key goes on with 1.3.0", lambda: is_healthy_at(stage.goteborg, "1.3.0"))


def _is_refused(node: VirtualNode, tip: str, reason: Doubt) -> bool:
    known = ledger_of(node)
    return (known.refused_tip, known.refused_reason) == (tip, reason)


def _root_version(node: VirtualNode) -> int:
    floor = ledger_of(node).floor
    return floor.root_version if floor else 0


def rolls_back(stage: Stage) -> None:
    """A release that dies after its start undoes itself and is not tried again."""
    stage.act("A signed release 1.1.0 that dies six seconds after its start")
    release(stage, "1.1.0", faults={"FAIL_AFTER": "6"})
    stage.claim("it was started here, and failed", lambda: _was_started(stage.goteborg, _latched(stage)))
    stage.claim(
        "it was rolled back by itself to 1.0.0",
        lambda: record_of(stage.goteborg).phase is Phase.REVERTED and serves(stage.goteborg, "1.0.0"),
    )
    digest = _latched(stage) or ""
    stage.act("The agent is restarted, and time passes")
    stage.goteborg.stop_agent()
    stage.goteborg.start_agent()
    time.sleep(8)
    stage.claim(
        "the failed release is not tried again",
        lambda: starts_of(stage.goteborg, digest) == 1 and serves(stage.goteborg, "1.0.0"),
        seconds=10,
    )


def _was_started(node: VirtualNode, digest: str | None) -> bool:
    """True where a container of the release with this digest was started."""
    events = events_of(node)
    began = [event for event in events if isinstance(event, e.TransitionBegan)]
    specs = [one.transition.new.spec for one in began if one.transition.new and one.transition.new.digest == digest]
    names = {f"{VISION}.{name}.{spec.container_digest(name)[:12]}" for spec in specs for name in spec.containers}
    return any(
        isinstance(event, e.OutcomeRecorded) and event.step == "start-container" and event.subject in names
        for event in events
    )


def _latched(stage: Stage) -> str | None:
    return next(iter(record_of(stage.goteborg).latches), None)


def fixes(stage: Stage) -> None:
    """A fixed release converges."""
    stage.act("The engineer commits the fix, 1.1.1")
    release(stage, "1.1.1")
    stage.claim("the fixed release 1.1.1 is healthy", lambda: is_healthy_at(stage.goteborg, "1.1.1"))


def survives_power_cut(stage: Stage) -> None:
    """A power cut in the middle of an update ends at old or new."""
    stage.act("Release 1.2.0 is on its way; the power is cut in the middle of the switch")
    release(stage, "1.2.0")
    until(
        lambda: (
            record_of(stage.goteborg).transition is not None
            and record_of(stage.goteborg).phase in (Phase.SWITCHING, Phase.PROVING)
        ),
        PATIENCE,
    )
    phase = record_of(stage.goteborg).phase
    stage.goteborg.power_cut()
    stage.console.print(f"{stage.clock()}  power is off; the journal says {phase}; power comes back")
    stage.goteborg.boot()
    stage.claim(
        "the power was cut in the middle of the update", lambda: phase in (Phase.SWITCHING, Phase.PROVING), seconds=1
    )
    stage.claim(
        "after the power cut the node is wholly at the old or the new release", lambda: _is_whole(stage.goteborg)
    )
    serving = record_of(stage.goteborg).serving
    stage.console.print(f"          it is at {serving.version if serving else '?'}, and recorded as such")
    stage.claim(
        "the journal's chain is intact on both nodes",
        lambda: all(_is_chain_whole(node) for node in stage.lab.nodes.values()),
        seconds=10,
    )


def _is_whole(node: VirtualNode) -> bool:
    """At rest, and the containers that run are exactly those of the release that the journal says serves."""
    record = record_of(node)
    if record.transition is not None or record.serving is None or record.phase not in (Phase.HEALTHY, Phase.REVERTED):
        return False
    spec = record.serving.spec
    wanted = {f"{VISION}.{name}.{spec.container_digest(name)[:12]}" for name in spec.containers}
    ours = {name for name in containers(node) if name.startswith(f"{VISION}.")}
    return ours == wanted and serves(node, record.serving.version)


def _is_chain_whole(node: VirtualNode) -> bool:
    journal = bootstrap.read_journal(node.state)
    try:
        return journal.verify() is None
    finally:
        journal.close()


STORY = (
    converges,
    heals,
    refuses_unsigned,
    refuses_stolen_key,
    rolls_back,
    fixes,
    survives_power_cut,
    refuses_revoked_key,
)


def narrate(stage: Stage, node: VirtualNode, is_over: threading.Event) -> None:
    """Print what a node journals, as it happens, in a thread of its own."""
    seen = 0
    while not is_over.wait(0.3):
        with suppress(EdgegitopsError, OSError):
            journal = bootstrap.read_journal(node.state)
            try:
                for entry in journal.entries(seen):
                    seen = entry.seq
                    if isinstance(entry.event, TOLD):
                        who = getattr(entry.event, "deployment", "")
                        text = words(entry.event)[:150]
                        stage.console.print(f"{stage.clock()}  [dim]{node.name:9}[/] {who:10} {text}", highlight=False)
            finally:
                journal.close()


def main() -> int:
    """Run the story; 0 only if every claim was observed."""
    console = Console(width=None if sys.stdout.isatty() else 170)
    source = Path(__file__).parents[3] / "fleet-repo-example"
    console.print("[bold]edgegitops demo[/]: a signed fleet, two virtual gateways, real Podman, no Kubernetes")

    def equip(lab: Lab) -> None:
        hurry(lab.found_fleet(source))
        for name, (site, node) in SEATS.items():
            lab.enrol(name, site=site, node=node)
            lab.nodes[name].start_agent()

    is_over = threading.Event()
    with Lab.start(list(SEATS), equip=equip) as lab:
        stage = Stage(console, lab)
        for node in lab.nodes.values():
            threading.Thread(target=narrate, args=(stage, node, is_over), daemon=True).start()
        try:
            for chapter in STORY:
                chapter(stage)
        finally:
            is_over.set()
            _summary(stage)
    return 0 if stage.observed and all(seen for _, seen in stage.observed) else 1


def _summary(stage: Stage) -> None:
    table = Table("claim", "observed", title=f"what was observed in {stage.clock().strip()}")
    for sentence, is_seen in stage.observed:
        table.add_row(sentence, "[green]yes[/]" if is_seen else "[red]no[/]")
    stage.console.print(table)


if __name__ == "__main__":
    sys.exit(main())
