"""The one door: `decide(facts) -> Decision`. It reads like a table of contents.

1. believe   what of the fetched tip is signed by whom it must be        (trust)
2. read      the newest believed revision whose manifests are valid      (documents)
3. resolve   what that revision makes of this node                       (desired)
4. permit    which release each deployment may start                     (rollout, over history, tags and reports)
   gate      and whether it may now                                      (rollout)
5. plan      what each deployment does next, or why it waits             (reconcile)
6. hand over what the resident has to watch until the next look          (reconcile)
   also of deployments whose steps are under way

A journal that was lost begins with the revision of the floor's second copy: what is found as that wants it serves, and
only then is anything newer believed.
Doubt at 1 keeps the floor, a fault at 2 or 3 keeps the last good revision, and nothing known at all keeps what runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from edgegitops.core.adopted import adopted
from edgegitops.core.believe import Believed, believe
from edgegitops.core.desire import desire
from edgegitops.core.model.events import AlarmCleared, AlarmRaised, Event
from edgegitops.core.model.facts import Decision, Desired, Facts, Handover, Hold, Kept, Proceed
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.ledger import DeploymentRecord
from edgegitops.core.model.plant import Interlock, Plant, WindowKind, is_plausible
from edgegitops.core.model.reasons import Alarm, HoldReason
from edgegitops.core.model.release import Phase, Release
from edgegitops.core.model.spec import Condition
from edgegitops.core.model.steps import Work
from edgegitops.core.model.view import view_of
from edgegitops.core.permit import Permit, Rollouts
from edgegitops.core.reconcile.bulletin import summarise
from edgegitops.core.reconcile.handover import hand_over, together
from edgegitops.core.reconcile.lifecycle import BEGUN
from edgegitops.core.reconcile.neighbours import conditions_met
from edgegitops.core.reconcile.reconcile import reconcile, tell
from edgegitops.core.reconcile.scene import Outlook, Scene, earliest
from edgegitops.core.reconcile.snapshots import copying_time, deployment_of
from edgegitops.core.reconcile.tidy import is_short_of_disk, needed_by, secrets_needed_by
from edgegitops.core.rollout.assumed import Assumed
from edgegitops.core.rollout.gate import Calendar, Local, is_in_window, may_start, plant_for
from edgegitops.core.rollout.interlocks import Agreement, Held, ask_interlocks
from edgegitops.core.rollout.staleness import ask_freshness, ends_at

DETAIL = 500


@dataclass(slots=True)
class _Plan:
    """What is gathered, deployment by deployment."""

    events: list[Event] = field(default_factory=list)
    works: list[Work] = field(default_factory=list)
    handovers: list[Handover] = field(default_factory=list)
    questions: dict[Interlock, None] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    reports: list[Mapping[str, str]] = field(default_factory=list)
    until: datetime | None = None


def decide(facts: Facts, assumed: Assumed | None = None) -> Decision:
    """What to journal, what to do, and what to watch. A function of the facts: the same facts, the same decision.

    `assumed` is what somebody who tries a release out supposes to be signed; it takes the place of `facts.reports`.
    """
    is_lost = _has_lost_journal(facts)
    believed = Believed(facts.ledger) if facts.is_revert_only or is_lost else believe(facts)
    known = facts if believed.ledger is facts.ledger else replace(facts, ledger=believed.ledger)
    desired, events = (None, ()) if facts.is_revert_only else desire(known)
    if is_lost and events:
        return Decision((*events, *_adopted(facts, desired)), (), desired, Handover(is_at_rest=False))
    freshness = _freshness(known, desired)
    plan = _Plan(until=earliest(believed.until, _stale_at(known, desired) if isinstance(freshness, Proceed) else None))
    is_open = desired is not None and desired.is_enrolled and known.objects is not None and known.schemas is not None
    rollouts = Rollouts(known, desired, assumed) if desired is not None and is_open else None
    for name in _deployments(known, desired):
        _plan(known, desired, rollouts, name, plan)
    handover = together(
        plan.handovers,
        next_look=plan.until,
        fetched=view_of(known.tip or "", known.tags),
        bulletin=summarise(known.ledger, known.now),
        files=sorted(plan.files),
    )
    told = (*believed.events, *events, *_staleness_told(known, desired, freshness), *plan.events)
    tags, heads = _of_tags(known, rollouts)
    return Decision(
        (*told, *tags),
        tuple(plan.works),
        desired,
        handover,
        tuple(plan.questions),
        _together(plan.reports),
        heads,
        _kept(known, desired),
    )


def _has_lost_journal(facts: Facts) -> bool:
    """It knows a floor, and no revision that was in force: nothing else writes that but a floor that was restored."""
    ledger = facts.ledger
    is_restored = ledger.floor is not None and ledger.floor.commit != ledger.invalid_revision
    return is_restored and not ledger.snapshot and facts.objects is not None and not facts.is_revert_only


def _adopted(facts: Facts, desired: Desired | None) -> list[Event]:
    """A bug of ours that old revisions meet adopts nothing, and stops nothing else."""
    try:
        return [*adopted(facts, desired)]
    except Exception as error:  # noqa: BLE001 - whatever it is, the ordinary road goes on
        return _told_bug(facts, "fleet", _bug(error))


def _plan(facts: Facts, desired: Desired | None, rollouts: Rollouts | None, name: str, plan: _Plan) -> None:
    """Add what one deployment does. A bug of ours that one deployment meets must not stop the healing of the others:
    it becomes an alarm, and that deployment is left as it is. One that the rollout meets, which reads what others
    wrote, stops what would begin, and no healing.
    """
    alarm = facts.ledger.alarms.get(f"{Alarm.BUG} {name}")
    detail = ""
    try:
        permit, detail = _permit_or_bug(facts, desired, rollouts, name)
        desired = _allowed(desired, name, permit)
        agreement = _agreement(facts, desired, name)
        scene = _scene(facts, desired, name, agreement, permit)
        outlook = Outlook() if name in facts.busy else _outlook(facts, scene)
        handover = hand_over([scene])
    except Exception as error:  # noqa: BLE001 - whatever it is, it ends here
        plan.events += _told_bug(facts, name, _bug(error))
        return
    if detail or (alarm is not None and name not in facts.busy):
        plan.events += _told_bug(facts, name, detail)
    plan.handovers.append(handover)
    if permit is not None:
        plan.events += permit.events
        plan.reports.append(permit.reports)
    plan.until = earliest(plan.until, outlook.until)
    if outlook.is_asking:
        plan.questions |= dict.fromkeys(agreement.questions)
        plan.files.update(agreement.files)
    if outlook.work is not None:
        plan.works.append(outlook.work)


def _bug(error: Exception) -> str:
    return f"{type(error).__name__}: {error}; please report it with `edgegitops journal export`"[:DETAIL]


def _told_bug(facts: Facts, subject: str, detail: str) -> list[Event]:
    """The alarm where it is news; its end where there is no detail."""
    alarm = facts.ledger.alarms.get(f"{Alarm.BUG} {subject}")
    if not detail:
        return [AlarmCleared(Alarm.BUG, subject)] if alarm is not None else []
    return [AlarmRaised(Alarm.BUG, subject, detail)] if alarm is None or alarm.detail != detail else []


def _of_tags(facts: Facts, rollouts: Rollouts | None) -> tuple[Sequence[Event], Mapping[str, tuple[str, ...]]]:
    """What there is to tell of control tags, and the newest of each deployment."""
    if rollouts is None:
        return (), {}
    try:
        events, heads = rollouts.events, rollouts.heads
    except Exception as error:  # noqa: BLE001 - as above: what others wrote ends no worker
        return _told_bug(facts, "fleet", _bug(error)), {}
    return (*events, *_told_bug(facts, "fleet", "")), heads


def _gate(own: Hold | None, permit: Permit | None, freshness: Proceed | Hold) -> Hold | None:
    """What holds a start; `own` is what this node says by itself. A stale view opens no wave. A pause is asked for by
    the rollout, which knows what it does not hold.
    """
    if permit is None:
        return own
    is_asked = bool(permit.cause) and own is not None and own.reason is HoldReason.PAUSED
    return (None if is_asked else own) or permit.hold or (_held(freshness) if permit.is_opening else None)


def _held(answer: Proceed | Hold) -> Hold | None:
    return answer if isinstance(answer, Hold) else None


def _together(reports: Sequence[Mapping[str, str]]) -> Mapping[str, str]:
    """What all deployments ask for; mostly that is one question, which many nodes share."""
    asked = list({id(one): one for one in reports if one}.values())
    return asked[0] if len(asked) == 1 else {name: key for one in asked for name, key in one.items()}


def _permit_or_bug(
    facts: Facts, desired: Desired | None, rollouts: Rollouts | None, name: str
) -> tuple[Permit | None, str]:
    """The permit, or one that starts nothing and why: a bug of ours, or bytes of others that nobody thought of."""
    try:
        return _permit(facts, rollouts, name), ""
    except Exception as error:  # noqa: BLE001 - whatever it is, healing goes on
        wanted = desired.releases.get(name) if desired is not None else None
        return Permit(wanted, Hold(HoldReason.EVIDENCE, _bug(error))), _bug(error)


def _permit(facts: Facts, rollouts: Rollouts | None, name: str) -> Permit | None:
    """What the rollout lets a deployment start; None where nobody asks: what has begun goes to its end."""
    record = facts.ledger.deployments.get(name) or DeploymentRecord(name)
    has_begun = record.transition is not None and record.transition.phase in BEGUN
    return None if rollouts is None or has_begun else rollouts.permit(name, record)


def _allowed(desired: Desired | None, name: str, permit: Permit | None) -> Desired | None:
    """The desired state with the release that the rollout names."""
    if desired is None or permit is None or permit.target is desired.releases.get(name):
        return desired
    others = {other: release for other, release in desired.releases.items() if other != name}
    allowed = replace(desired, releases=others | ({name: permit.target} if permit.target is not None else {}))
    source = permit.source
    if source is None:
        return allowed
    contents, secrets = {**source.contents, **desired.contents}, {**source.secrets, **desired.secrets}
    return replace(allowed, contents=contents, secrets=secrets)


def _freshness(facts: Facts, desired: Desired | None) -> Proceed | Hold:
    """Whether the view of the repository is as new as the fleet asks."""
    floor = facts.ledger.floor
    if desired is None or floor is None:
        return Proceed()
    return ask_freshness(floor.fresh, desired.max_staleness, max(facts.now, floor.clock))


def _stale_at(facts: Facts, desired: Desired | None) -> datetime | None:
    """When the view will be too old."""
    floor = facts.ledger.floor
    if desired is None or desired.max_staleness is None or floor is None or floor.fresh is None:
        return None
    return ends_at(floor.fresh, desired.max_staleness)


def _staleness_told(facts: Facts, desired: Desired | None, freshness: Proceed | Hold) -> tuple[Event, ...]:
    alarm = facts.ledger.alarms.get(f"{Alarm.STALE} fleet")
    if desired is None:
        return ()
    if isinstance(freshness, Proceed):
        return (AlarmCleared(Alarm.STALE, "fleet"),) if alarm is not None else ()
    if alarm is not None and alarm.detail == freshness.detail:
        return ()
    return (AlarmRaised(Alarm.STALE, "fleet", freshness.detail),)


def _deployments(facts: Facts, desired: Desired | None) -> list[str]:
    """Every deployment that is wanted, remembered, or found on the engine under this fleet's labels."""
    names = set(facts.ledger.deployments)
    names |= {seen.deployment for seen in facts.observed.owned(facts.node.fleet) if seen.deployment}
    names |= {deployment_of(one) for one in facts.snapshots}
    if desired is not None:
        names |= desired.releases.keys() | desired.refused.by_deployment.keys()
    return sorted(names)


def _outlook(facts: Facts, scene: Scene) -> Outlook:
    """An operator's hold that stops healing stops everything but what has begun to switch."""
    transition = scene.record.transition
    has_begun = transition is not None and transition.phase in BEGUN
    holds = (facts.ledger.holds.get(key) for key in (scene.name, ""))
    stops = (one for one in holds if one and one.stops_healing and (one.until is None or facts.now < one.until))
    hold = next(stops, None)
    if hold is None or has_begun:
        return reconcile(scene)
    return tell(scene, Outlook(hold=Hold(HoldReason.OPERATOR, hold.reason, hold.until), until=hold.until))


def _neighbours(facts: Facts, desired: Desired | None, name: str) -> Mapping[str, frozenset[Condition]]:
    """What those deployments of this node are now that this one waits for."""
    records = facts.ledger.deployments
    target, serving = (
        desired.releases.get(name) if desired else None,
        records[name].serving if name in records else None,
    )
    named = {other for one in (target, serving) if one is not None for other in one.policy.depends_on}
    here = {other for other in named if other in records and records[other].phase is not Phase.ABSENT}
    here |= named & (desired.releases.keys() if desired else set())
    return {other: conditions_met(_bare_scene(facts, other)) for other in here}


def _bare_scene(facts: Facts, name: str) -> Scene:
    """A deployment as it stands, whatever is wanted of it."""
    return Scene(
        name=name,
        fleet=facts.node.fleet,
        now=facts.now,
        boot_id=facts.boot_id,
        seq=facts.ledger.seq,
        observed=facts.observed,
        record=facts.ledger.deployments.get(name) or DeploymentRecord(name),
    )


def _needed(facts: Facts, desired: Desired | None) -> frozenset[str] | None:
    """What images and artifacts may still be asked for; None where nobody knows, or understood, what is wanted."""
    if desired is None or not _is_need_known(facts, desired):
        return None
    return needed_by(facts.ledger.deployments.values(), desired.releases.values())


def _is_need_known(facts: Facts, desired: Desired) -> bool:
    return desired.is_enrolled and not facts.ledger.invalid_revision


def _kept(facts: Facts, desired: Desired | None) -> Kept | None:
    """What is thrown away by nobody; None where nobody knows, or understood, what is wanted."""
    if desired is None or not _is_need_known(facts, desired):
        return None
    records = facts.ledger.deployments.values()
    gone = {one.name for one in records if one.phase is Phase.ABSENT}
    gone -= desired.releases.keys() | desired.refused.by_deployment.keys()
    here = frozenset(_deployments(facts, desired)) - gone
    return Kept(secrets_needed_by(records, desired.releases.values()), here)


def _agreement(facts: Facts, desired: Desired | None, name: str) -> Agreement:
    """What the interlocks of a deployment say, as asked just before this look."""
    record = facts.ledger.deployments.get(name) or DeploymentRecord(name)
    target = desired.releases.get(name) if desired else None
    is_remembered = record.hold_reason == HoldReason.INTERLOCK
    since = record.transition.phase_at if record.transition else record.hold_since if is_remembered else None
    held = Held(since, record.hold_detail if is_remembered else "")
    plant = plant_for(name, desired, target, record.serving)
    may_force = (
        facts.policy.allow_force_in_window
        and record.transition is not None
        and any(one.kind is WindowKind.ALLOW for one in plant.windows)
        and isinstance(_window(facts, plant, target, record), Proceed)
    )
    return ask_interlocks(plant.interlocks, facts.answers, held, now=facts.now, may_force=may_force)


def _window(facts: Facts, plant: Plant, target: Release | None, record: DeploymentRecord) -> Proceed | Hold:
    """What the windows say to a transition that would begin now."""
    return is_in_window(plant, target or record.serving, _calendar(facts), and_for=copying_time(record))


def _calendar(facts: Facts) -> Calendar:
    floor = facts.ledger.floor
    return Calendar(facts.now, is_plausible(facts.now, floor.clock if floor else None), facts.zones)


def _scene(facts: Facts, desired: Desired | None, name: str, agreement: Agreement, permit: Permit | None) -> Scene:
    """A hotfix may ignore the windows only where the node's own policy says so."""
    record = facts.ledger.deployments.get(name) or DeploymentRecord(name)
    target = desired.releases.get(name) if desired else None
    refusals: Mapping[str, tuple[Fault, ...]] = desired.refused.by_deployment if desired else {}
    is_resting = desired is not None and desired.is_in_maintenance
    freshness = _freshness(facts, desired)
    own = may_start(name, target, Local(facts.now, facts.ledger.holds, facts.policy, is_resting, freshness))
    is_free = permit is not None and permit.ignores_windows and facts.policy.allow_ignore_windows
    window = _window(facts, plant_for(name, desired, target, record.serving), target, record)
    return replace(
        _bare_scene(facts, name),
        target=target,
        is_target_known=desired is not None and desired.is_enrolled,
        gate=_gate(_held(own), permit, freshness),
        window=None if is_free else _held(window),
        interlock=agreement.hold,
        forced=agreement.forced,
        refusal="; ".join(f"{one.message}{one.expected and f' ({one.expected})'}" for one in refusals.get(name, ())),
        contents=frozenset(desired.contents) if desired else frozenset(),
        stored=facts.present_contents,
        readable=facts.present_secrets,
        neighbours=_neighbours(facts, desired, name),
        artifacts=facts.present_artifacts,
        needed=_needed(facts, desired),
        is_disk_full=is_short_of_disk(facts.ledger.deployments.values()),
        alarms=facts.ledger.alarms,
        is_local=facts.is_revert_only,
        cause=permit.cause if permit is not None else "",
        snapshots=tuple(one for one in facts.snapshots if deployment_of(one) == name),
        is_clock_trusted=_calendar(facts).is_trusted,
        zones=facts.zones,
    )
