"""The rollout's chapters: a release goes wave by wave, a bad one stays at the canary, and its fix reaches all."""

from collections.abc import Iterable

from edgegitops.cli.demo import looks
from edgegitops.cli.demo.looks import VISION
from edgegitops.cli.demo.plant import operator_holds, power_fails
from edgegitops.cli.demo.stage import Stage, until
from edgegitops.core.model import events as e
from edgegitops.core.model.reasons import HoldReason
from edgegitops.core.model.release import Phase
from edgegitops.lab.node import VirtualNode

CANARY, PILOT, HELD, FAR = "goteborg", "brno", "monterrey", "toledo"
REST = (HELD, FAR)
GOOD, BAD, FIXED = "1.0.0", "1.1.0", "1.1.1"
WAVE = "pilot"


def first_release(stage: Stage) -> None:
    """A signed release goes to the canary, waits there, waits for a person, and then goes to the others."""
    stage.act(f"A signed commit wants {VISION} {GOOD} on four gateways of four plants: canary, pilot, and the rest")
    canary, pilot = stage.node(CANARY), stage.node(PILOT)
    others = [stage.node(name) for name in (PILOT, *REST)]
    stage.claim(f"{CANARY}, the canary, runs {GOOD}", lambda: looks.is_healthy_at(canary, GOOD))
    stage.claim(
        f"{PILOT} waits: the canary has soaked, and its wave asks for an approval",
        lambda: looks.record_of(pilot).hold_reason == HoldReason.APPROVAL and not _any_started(others, GOOD),
    )
    stage.act(f"The release manager says: edgegitops rollout approve {VISION} --wave {WAVE}")
    said = ["--wave", WAVE, "--reason", "an hour clean on line 2", "--yes", "--push"]
    approved = stage.pen.command("rollout", "approve", VISION, *said, key="release-manager")
    stage.screen.quote((approved.stdout + approved.stderr).rstrip().splitlines())
    stage.claim(f"the signed tag opens wave {WAVE}: {PILOT} runs {GOOD}", lambda: looks.is_healthy_at(pilot, GOOD))
    stage.claim(
        f"{' and '.join(REST)} follow by themselves once {PILOT} has soaked",
        lambda: all(looks.is_healthy_at(stage.node(name), GOOD) for name in REST),
    )
    stage.claim(
        "each wave began after the one before was healthy, the pilot after the tag (by the nodes' journals)",
        lambda: _is_in_order(stage, GOOD, tag=1),
        seconds=5,
    )
    stage.claim(
        "what their tags do not ask for is nowhere: no broker on a vision gateway",
        lambda: all(set(looks.ledger_of(one).deployments) == {VISION} for one in stage.lab.nodes.values()),
        seconds=5,
    )


def bad_release(stage: Stage) -> None:
    """A release that dies after its start undoes itself at the canary; nobody else starts it."""
    stage.act(f"A signed release {BAD} that dies six seconds after its start. {FAR} is still unplugged")
    canary = stage.node(CANARY)
    stage.pen.release(BAD, faults={"FAIL_AFTER": "6"})
    stage.claim(f"{CANARY} started it, and it failed there", lambda: _has_failed(canary, BAD))
    stage.claim(
        f"it was rolled back by itself to {GOOD}",
        lambda: looks.record_of(canary).phase is Phase.REVERTED and looks.is_keeping(canary, GOOD),
    )
    stage.claim(
        f"{PILOT} and {HELD} know, and stay where they are (too-many-failures)",
        lambda: all(
            looks.record_of(stage.node(name)).hold_reason == HoldReason.TOO_MANY_FAILURES for name in (PILOT, HELD)
        ),
    )
    stage.claim("`rollout status` says so, and ends with 1", lambda: _says(stage, "too-many-failures"), seconds=20)
    stage.act(f"The agent of {CANARY} is restarted, and looks again")
    canary.stop_agent()
    newest = looks.entries_of(canary)[-1].seq
    canary.start_agent()
    stage.claim(
        "the failed release is not tried again",
        lambda: (
            any(isinstance(one.event, e.WorkerStopped) for one in looks.entries_of(canary, newest))
            and len(looks.releases_of(canary, BAD)) == 1
            and looks.is_keeping(canary, GOOD)
        ),
    )


def fixed_release(stage: Stage) -> None:
    """The fix reaches all: through a power cut, past an operator's hold, and to a node that was away."""
    held, far, pilot, canary = (stage.node(name) for name in (HELD, FAR, PILOT, CANARY))
    operator_holds(stage, held)
    stage.act(f"The engineer commits the fix, {FIXED}")
    commit = stage.pen.release(FIXED)
    stage.claim(f"{CANARY} runs {FIXED}", lambda: looks.is_healthy_at(canary, FIXED))
    stage.act("The release manager approves it by hand: git tag -s, with this message")
    until(lambda: looks.record_of(pilot).hold_reason == HoldReason.APPROVAL, 20)
    message = stage.pen.approve_by_hand(2, WAVE, "the fix is clean on the canary")
    stage.screen.quote(message.splitlines())
    power_fails(stage, pilot)
    stage.claim(f"{PILOT} comes to {FIXED} by itself", lambda: looks.is_healthy_at(pilot, FIXED))
    stage.act(f"The cable of {FAR} is put back")
    far.plug()
    stage.claim(
        f"{FAR} was away: it goes from {GOOD} to {FIXED} and never sees {BAD}", lambda: looks.is_healthy_at(far, FIXED)
    )
    stage.claim(
        f"the gate of {HELD} is open, and the operator's hold holds",
        lambda: looks.record_of(held).hold_reason == HoldReason.OPERATOR and looks.is_keeping(held, GOOD),
    )
    stage.act("The operator lets it go: edgegitops unhold vision-qa")
    held.run(["edgegitops", "unhold", VISION])
    stage.claim(f"{HELD} runs {FIXED}: the fix has reached all", lambda: looks.is_healthy_at(held, FIXED))
    _judge_the_record(stage, commit)


def _judge_the_record(stage: Stage, commit: str) -> None:
    everybody = list(stage.lab.nodes.values())
    others = [stage.node(name) for name in (PILOT, *REST)]
    stage.act("What the journals of the four nodes prove")
    stage.claim(f"{BAD} never started but at the canary", lambda: not _any_started(others, BAD), seconds=1)
    stage.claim(
        f"{FIXED} began at the pilot after the canary was healthy and the second tag was there",
        lambda: _is_in_order(stage, FIXED, tag=2),
        seconds=1,
    )
    stage.claim(
        "every node knows that the engineer signed what it runs",
        lambda: all(looks.ledger_of(node).signed[commit].owner == "engineer" for node in everybody),
        seconds=5,
    )
    stage.claim("no entry was changed: the chains hold", lambda: all(map(looks.is_chain_whole, everybody)), seconds=10)
    stage.claim("`rollout status` says that every node runs what it should", lambda: _says(stage, "every node runs"))


def _any_started(nodes: Iterable[VirtualNode], version: str) -> bool:
    return any(looks.has_started(node, version) for node in nodes)


def _is_in_order(stage: Stage, version: str, *, tag: int) -> bool:
    """Whether the waves began one after the other, each after the one before was healthy."""
    pilot = stage.node(PILOT)
    soaked = looks.moved_at(stage.node(CANARY), version, Phase.HEALTHY)
    kept, begun = looks.tag_kept_at(pilot, tag), looks.moved_at(pilot, version, Phase.SWITCHING)
    through = looks.moved_at(pilot, version, Phase.HEALTHY)
    late = [looks.moved_at(stage.node(name), version, Phase.SWITCHING) for name in REST]
    if soaked is None or kept is None or begun is None or through is None:
        return False
    return max(soaked, kept) < begun and all(one is not None and through < one for one in late)


def _has_failed(node: VirtualNode, version: str) -> bool:
    digests = {release.digest for release in looks.releases_of(node, version)}
    return looks.is_container_started(node, version) and bool(digests & looks.record_of(node).latches.keys())


def _says(stage: Stage, text: str) -> bool:
    done = stage.pen.command("rollout", "status", VISION)
    is_stopped = text == HoldReason.TOO_MANY_FAILURES
    return text in done.stdout and done.returncode == (1 if is_stopped else 0)
