"""Law: with `rollback.after: regression` a release that was healthy and is not any more is left once, for an older one.

1. A release that regressed is latched already; the write that sets out says so with the cause as its reason, and what
   has been left once by that is not left again. It is not started again without a retry or a new attempt.
2. Where to: the newest release that was healthy here, has another digest and has not failed here since. One that says
   `safe: false` is not left, and not gone back across.
3. The way there is a transition like any other: windows, interlocks and holds are asked, it is proven, and if it fails
   what regressed serves again. That one is latched by then, so there is no third move.
4. What is wanted and has not failed here goes before. While other deployments that it needs are missing, nobody knows
   whose fault it is, and it stays.
"""

from edgegitops.core.model.events import Latched
from edgegitops.core.model.reasons import Alarm, Refusal
from edgegitops.core.model.release import After, Phase, Release
from edgegitops.core.reconcile.neighbours import waits_for
from edgegitops.core.reconcile.regress import regression
from edgegitops.core.reconcile.scene import Outlook, Scene, began, work


def go_back(scene: Scene) -> Outlook | None:
    """The begin of going back; None where there is no reason to, or nowhere to go."""
    record, target = scene.record, scene.target
    serving = record.serving
    if serving is None or target is None or record.phase is not Phase.REGRESSED:
        return None
    is_news_wanted = target.digest != serving.digest and target.digest not in record.latches
    if serving.policy.after is not After.REGRESSION or _is_left_before(scene, serving) or is_news_wanted:
        return None
    older = _older(scene, serving)
    found = regression(scene, scene.parts(serving))
    if older is None or found is None or waits_for(scene, serving) is not None:
        return None
    reason, detail = found
    told = f"{serving.short} regressed: {reason}: {detail}; going back to {older.short}"
    latched = Latched(scene.name, serving.digest, serving.revision, reason, detail)
    alarm = scene.alarm(Alarm.RELEASE_FAILED, told)
    return work(scene, events=[latched, *alarm, began(scene, older, is_going_back=True)])


def _is_left_before(scene: Scene, serving: Release) -> bool:
    """Whether it failed here by more than the regression that goes on."""
    latch = scene.record.latches.get(serving.digest)
    return latch is not None and latch.reason != Refusal.REGRESSED


def _older(scene: Scene, serving: Release) -> Release | None:
    if not serving.policy.automatic or not serving.policy.safe:
        return None
    for one in scene.record.lkg:
        if one.digest == serving.digest:
            continue
        if one.digest not in scene.record.latches:
            return one
        if not one.policy.safe:
            return None
    return None
