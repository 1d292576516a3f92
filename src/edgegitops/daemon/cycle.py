"""Law: observe, decide, record, act, record, until there is nothing to do; then say what to watch and when to wake.

One thread decides. A fetch and the steps of works run beside it, so that neither a slow pull nor a hanging Git server
delays healing. Interlocks that a decision wants to hear are asked right before the next look.
Intents that an earlier worker left open are closed first: the engine is looked at, not the memory.
A worker that may only finish or revert runs after others died: a tip that they had not judged yet gets the blame.
A turn that only wrote to the journal needs no new look: the next one decides over what was just seen.
What is to be watched is told whenever it changes: a worker may live for hours, and what it started is probed at once.
"""

import time
from collections.abc import Callable, MutableMapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from edgegitops.core.believe import blamed, is_newer
from edgegitops.core.decide import decide
from edgegitops.core.model.events import (
    AlarmCleared,
    AlarmRaised,
    ControlTagKept,
    Event,
    FloorMoved,
    OutcomeRecorded,
    Result,
    WorkerStarted,
    WorkerStopped,
)
from edgegitops.core.model.facts import Decision, Desired, Facts, Handover
from edgegitops.core.model.ledger import Ledger
from edgegitops.core.model.observed import Observed
from edgegitops.core.model.plant import Interlock
from edgegitops.core.model.reasons import Alarm
from edgegitops.core.model.trust import Floor
from edgegitops.core.reconcile.scene import earliest
from edgegitops.daemon.execute import Works
from edgegitops.daemon.gear import Gear, Identity
from edgegitops.daemon.interlocks import Desk
from edgegitops.daemon.order import Order
from edgegitops.daemon.post import Postman
from edgegitops.errors import BrokenInvariantError, DeniedError, UnavailableError

PULLS = 4
SIDE_BY_SIDE = 32  # threads are made as they are needed; each waits for the engine, which has deadlines
PATIENCE = timedelta(seconds=2)
TURNS = 50_000
BETWEEN_QUESTIONS = 1.0
GRACE = 0.3  # seconds in which most fetches end: what they bring is then read once, instead of the old before it
_OF_A_FETCH = (Alarm.FETCH_FAILED, Alarm.CREDENTIAL_DENIED, Alarm.CONTROL_TAGS_FAILED)


class Cycle:
    """One worker's life: `run` once, from looking to nothing left to do. `door` is the one door to the core, `tell`
    hears of each handover that differs from the one before; at most `side_by_side` steps wait for the engine at once.
    """

    def __init__(  # noqa: PLR0913 - what it is made of, by name
        self,
        gear: Gear,
        identity: Identity,
        *,
        pool: Executor | None = None,
        door: Callable[[Facts], Decision] = decide,
        side_by_side: int = SIDE_BY_SIDE,
        tell: Callable[[Handover], None] = lambda _: None,
    ) -> None:
        self._gear = gear
        self._identity = identity
        self._door = door
        self._tell = tell
        self._told: Handover | None = None
        self._pool = pool or ThreadPoolExecutor(side_by_side, "step")
        self._works = Works(gear, self._pool, pool or ThreadPoolExecutor(min(PULLS, side_by_side), "pull"))
        self._desired: Desired | None = None
        self._noted: Desired | None = None
        self._copied: Floor | None = None
        self._seen: Observed | None = None
        self._desk = Desk(gear.askers, gear.clock)
        self._questions: tuple[Interlock, ...] = ()
        self._memo: dict[str, object] = {}
        self._files: MutableMapping[str, object] = gear.manifests.known if gear.manifests is not None else {}
        self._postman: Postman | None = None

    def run(self, order: Order, *, is_stopping: Callable[[], bool] = lambda: False) -> Handover:
        """Work until nothing is left to do, or until told to stop; steps under way are waited for.

        UnavailableError (engine): it ended as if told to stop, and the journal says so. JournalError: it ends at once,
        and the journal shows an unclean worker.
        """
        try:
            return self._run(order, is_stopping)
        except UnavailableError:
            self._stop(Handover())
            raise

    def _run(self, order: Order, is_stopping: Callable[[], bool]) -> Handover:
        gear = self._gear
        ledger = gear.journal.ledger()
        opening: list[Event] = [WorkerStarted(order.is_revert_only), *_closed(ledger), *self._blamed(order, ledger)]
        gear.journal.append(opening, gear.clock.now())
        self._restore_floor()
        self._desired = self._noted = self._recalled(ledger)
        if gear.post is not None and not order.is_revert_only:
            self._postman = Postman(gear.post, self._identity.node, gear.journal, gear.clock, self._pool)
        fetching = self._pool.submit(_fetch, gear) if order.fetch and not order.is_revert_only else None
        if fetching is not None:
            wait([fetching], timeout=GRACE)
        handover = Handover()
        for _ in range(TURNS):
            if is_stopping():
                return self._stop(handover)
            fetching = self._note_fetch(fetching)
            decision = self._turn(order)
            handover = decision.handover
            if decision.is_idle and not self._works.busy:
                if self._questions:
                    time.sleep(BETWEEN_QUESTIONS)
                elif waiting := self._under_way(fetching):
                    wait(waiting, timeout=PATIENCE.total_seconds(), return_when=FIRST_COMPLETED)
                else:
                    self._throw_away(decision)
                    gear.journal.append([WorkerStopped()], gear.clock.now())
                    return self._with_heartbeat(handover)
            elif self._works.busy:
                self._works.wait(PATIENCE)
        raise BrokenInvariantError(f"no rest after {TURNS} turns; please report this with `edgegitops journal export`")

    def _throw_away(self, decision: Decision) -> None:
        """Secrets that no release may ask for again go, as what is there again in Git could be stored again; and the
        last words of deployments that are gone.
        """
        if decision.kept is not None:
            self._gear.secrets.keep(decision.kept.secrets)
            self._gear.engine.keep_words(decision.kept.deployments)

    def _stop(self, handover: Handover) -> Handover:
        while self._works.busy:
            self._works.wait(PATIENCE)
        self._gear.journal.append([WorkerStopped()], self._gear.clock.now())
        return handover

    def _turn(self, order: Order) -> Decision:
        gear = self._gear
        if self._postman is not None:
            self._postman.take()
        facts = self._facts(order)
        decision = self._door(facts)
        self._questions = () if order.is_revert_only else decision.questions
        if decision.events:
            gear.journal.append(decision.events, gear.clock.now())
            self._keep_tags(decision.events)
            self._copy_floor()
        self._desired = decision.desired
        self._note(decision.desired)
        self._works.begin(decision.works, decision.desired)
        is_only_journalled = not decision.is_idle and not self._works.busy
        self._seen = facts.observed if is_only_journalled else None
        self._hand_over(decision.handover)
        if self._postman is not None:
            reporting = decision.desired.reporting if decision.desired is not None else None
            self._postman.turn(decision.heads, decision.reports_wanted, reporting)
        return decision

    def _under_way(self, fetching: "Future[AlarmRaised | None] | None") -> "list[Future[Any]]":
        """What runs beside the loop and has to end before the worker does."""
        post: list[Future[Any]] = [*self._postman.under_way] if self._postman is not None else []
        return [fetching, *post] if fetching is not None else post

    def _with_heartbeat(self, handover: Handover) -> Handover:
        """The next look is in time for the next report."""
        due = self._postman.due_at() if self._postman is not None else None
        return replace(handover, next_look=earliest(handover.next_look, due))

    def _recalled(self, ledger: Ledger) -> Desired | None:
        """What the revision in force makes of this node, where an earlier worker noted it. While that revision is said
        to be lost, it is read.
        """
        notes = self._gear.notes
        if notes is None or not ledger.snapshot or f"{Alarm.SNAPSHOT_LOST} fleet" in ledger.alarms:
            return None
        return notes.recall(ledger.snapshot)

    def _note(self, desired: Desired | None) -> None:
        """Note it for the next worker, once the journal has it."""
        if self._gear.notes is not None and desired is not None and desired is not self._noted:
            self._gear.notes.keep(desired)
            self._noted = desired
        if self._gear.manifests is not None:
            self._gear.manifests.keep()

    def _hand_over(self, handover: Handover) -> None:
        """Tell what is to be watched from now on; when to look again is told at the end."""
        news = replace(handover, next_look=None)
        if news != self._told:
            self._told = news
            self._tell(handover)

    def _facts(self, order: Order) -> Facts:
        gear = self._gear
        is_local = order.is_revert_only
        return Facts(
            now=gear.clock.now(),
            boot_id=gear.clock.boot_id(),
            node=self._identity.node,
            policy=self._identity.policy,
            ledger=gear.journal.ledger(),
            observed=self._seen or gear.engine.observe(),
            objects=None if is_local else gear.repository.objects(),
            schemas=None if is_local else self._identity.schemas,
            tip=None if is_local else gear.repository.tip(),
            remembered=self._desired,
            busy=self._works.busy,
            present_contents=gear.contents.present(),
            snapshots=gear.snapshots.present(),
            present_artifacts=gear.artifacts.present(),
            present_secrets=gear.secrets.present(),
            is_revert_only=is_local,
            zones=gear.zones,
            answers=self._desk.ask(self._questions),
            memo=self._memo,
            files=self._files,
            reports=self._postman.heard if self._postman is not None else {},
            asked_every=self._identity.interval,
            heard_from=self._postman.heard_from if self._postman is not None else None,
            is_answered=self._postman is None or self._postman.is_answered,
            tags={} if is_local else gear.repository.tags(),
            is_reporting=gear.post is not None and gear.post.is_own,
            fleet_may_say=gear.post.left if gear.post is not None else frozenset(),
        )

    def _blamed(self, order: Order, ledger: Ledger) -> tuple[Event, ...]:
        """The verdict on a tip that the workers before this one died of."""
        if not order.is_revert_only or ledger.is_worker_clean:
            return ()
        try:
            tip = self._gear.repository.tip()
        except UnavailableError:
            return ()
        return blamed(ledger, tip) if tip is not None else ()

    def _restore_floor(self) -> None:
        """A journal that was lost, or put back from an older copy, goes on at the second copy of the floor, never below
        it. A copy that is missing or older is written again.
        """
        gear = self._gear
        copy, floor = gear.floor.read(), gear.journal.ledger().floor
        if copy is not None and is_newer(copy, floor, gear.repository.objects()):
            gear.journal.append([FloorMoved(copy, commits=0, is_put_back=True)], gear.clock.now())
        self._copied = copy
        self._copy_floor()

    def _copy_floor(self) -> None:
        """Keep the second copy in step. It is the second: that it cannot be kept is an alarm, and healing goes on."""
        gear = self._gear
        ledger = gear.journal.ledger()
        if ledger.floor is None or ledger.floor == self._copied:
            return
        standing = ledger.alarms.get(f"{Alarm.FLOOR_COPY_FAILED} fleet")
        try:
            gear.repository.pin(ledger.floor.commit)
            gear.floor.write(ledger.floor)
        except (UnavailableError, DeniedError) as error:
            if standing is None or standing.detail != error.message:
                gear.log.warning("floor-copy-failed", detail=error.message)
                alarm = AlarmRaised(Alarm.FLOOR_COPY_FAILED, "fleet", error.message)
                gear.journal.append([alarm], gear.clock.now())
            return
        self._copied = ledger.floor
        if standing is not None:
            gear.journal.append([AlarmCleared(Alarm.FLOOR_COPY_FAILED, "fleet")], gear.clock.now())

    def _keep_tags(self, events: Sequence[Event]) -> None:
        """What was believed stays in the mirror; a tag that cannot be kept now is shown by the remote still."""
        if any(isinstance(event, ControlTagKept) for event in events):
            with suppress(UnavailableError, DeniedError):
                self._gear.repository.keep_tags([one.object for one in self._gear.journal.ledger().controls.values()])

    def _note_fetch(self, fetching: Future[AlarmRaised | None] | None) -> Future[AlarmRaised | None] | None:
        """The alarm that an ended fetch is, in place of the one before."""
        if fetching is None or not fetching.done():
            return fetching
        event = fetching.result()
        alarms = self._gear.journal.ledger().alarms
        events: list[Event] = []
        for code in _OF_A_FETCH:
            standing = alarms.get(f"{code} fleet")
            if event is not None and event.code == code:
                events += [event] if standing is None or standing.detail != event.detail else []
            elif standing is not None:
                events.append(AlarmCleared(code, "fleet"))
        if events:
            self._gear.journal.append(events, self._gear.clock.now())
        return None


def _fetch(gear: Gear) -> AlarmRaised | None:
    """Fetch; what goes wrong is an alarm, never a stop."""
    try:
        gear.repository.fetch()
    except (UnavailableError, DeniedError) as error:
        gear.log.warning("fetch-failed", reason=error.reason, detail=error.message)
        is_denied = error.reason == Alarm.CREDENTIAL_DENIED
        code = Alarm.CREDENTIAL_DENIED if is_denied else Alarm.FETCH_FAILED
        return AlarmRaised(code, "fleet", f"{error.reason or 'unavailable'}: {error.message}")
    if gear.repository.tags_failed:
        words = f"{gear.repository.tags_failed}; nothing new is opened by tags that cannot be had"
        return AlarmRaised(Alarm.CONTROL_TAGS_FAILED, "fleet", words)
    return None


def _closed(ledger: Ledger) -> list[Event]:
    """Intents without an outcome: nobody knows how they ended, so the engine is asked."""
    return [
        OutcomeRecorded(one.id, one.deployment, one.step, one.subject, Result.UNKNOWN)
        for one in ledger.intents.values()
    ]
