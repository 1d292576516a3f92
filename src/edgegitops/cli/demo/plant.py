"""The plant's chapters: what happens to nodes and commits while releases come, and changes nothing that runs."""

from edgegitops.cli.demo import looks
from edgegitops.cli.demo.looks import VISION
from edgegitops.cli.demo.stage import PATIENCE, Stage, until
from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.release import Phase
from edgegitops.lab.node import VirtualNode

_UNDER_WAY = (Phase.SWITCHING, Phase.PROVING)


def heals_offline(stage: Stage) -> None:
    """Without a network a killed container comes back, and a removed one is made again."""
    node = stage.node("toledo")
    stage.act(f"{node.name} is unplugged. Without a network, one process is killed there and one container removed")
    node.unplug()
    before, removed = looks.running(node, "inspector"), looks.running(node, "station")
    node.run(["kill", "-9", str(before["Pid"])])
    node.run(["podman", "rm", "-f", "-t", "1", _name(removed)])

    def came_back() -> bool:
        now = looks.running(node, "inspector")
        return bool(now) and now["Id"] == before["Id"] and now["Pid"] != before["Pid"]

    def is_new() -> bool:
        now = looks.running(node, "station")
        return bool(now) and now["Id"] != removed["Id"] and looks.record_of(node).phase is Phase.HEALTHY

    stage.claim("the killed container runs again, the same one", came_back)
    stage.claim("the removed container was made again from what the node kept", is_new)


def refuses(stage: Stage) -> None:
    """What is not signed by whoever may is not believed, and what runs goes on."""
    good = stage.lab.fleet.tip()
    online = [stage.node(name) for name in ("goteborg", "brno", "monterrey")]
    stage.act("Somebody pushes an unsigned commit with version 6.6.6")
    bad = stage.pen.release("6.6.6", key=None)
    stage.claim(
        "the unsigned commit is refused by every node that hears of it",
        lambda: all(looks.refused_tip(node) == (bad, Doubt.UNSIGNED) for node in online),
    )
    stage.pen.take_back(good)
    stage.act("A thief of the engineer's key wants to be more: a signed commit below trust/")
    files: dict[str, str | bytes | None] = {"trust/nodes/aachen-1.yaml": "mine: true\n"}
    stolen = stage.pen.commit("trust: my key, too", key="engineer", files=files)
    stage.claim(
        "an engineer's key cannot touch trust/",
        lambda: all(looks.refused_tip(node) == (stolen, Doubt.ROLE_MISSING) for node in online),
    )
    stage.claim("1.0.0 runs on", lambda: all(looks.is_keeping(node, "1.0.0") for node in online), seconds=10)
    stage.pen.take_back(good)


def operator_holds(stage: Stage, node: VirtualNode) -> None:
    """Somebody at the plant says: not now."""
    stage.act(f"An operator at {node.name} says: edgegitops hold {VISION} --reason 'audit until four'")
    node.run(["edgegitops", "hold", VISION, "--reason", "audit until four", "--until", "1h"])


def power_fails(stage: Stage, node: VirtualNode) -> None:
    """The power goes in the middle of a switch, and comes back."""
    until(lambda: looks.record_of(node).phase in _UNDER_WAY, PATIENCE)
    phase = looks.record_of(node).phase
    stage.act(f"The power of {node.name} is cut; its journal says {phase}. The power comes back")
    node.power_cut()
    stage.claim("the power was cut in the middle of the update", lambda: phase in _UNDER_WAY, seconds=0)
    node.boot()
    stage.claim(f"{node.name} is wholly at the old or the new release", lambda: looks.is_whole(node))


def _name(row: dict[str, object]) -> str:
    names = row["Names"]
    return str(names[0]) if isinstance(names, list) else ""
