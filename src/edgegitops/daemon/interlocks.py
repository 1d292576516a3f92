"""Law: interlocks are asked side by side and have one hard deadline; no answer in time is no agreement.

How long one has agreed is counted here on the monotonic clock, only from answer to answer of this worker: one that ends
forgets it, and a pause longer than `GAP` between two answers begins anew. Each is asked in a thread of its own that may
be left behind: a dead network share must not keep the worker. An agreement counts for one look only; anything else is
kept for a while, so that an interlock that flaps is not asked in a circle.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from queue import Empty, SimpleQueue
from threading import Thread

from edgegitops.core.model.plant import Answer, Interlock
from edgegitops.ports import Clock

Asker = Callable[[Interlock], Answer]
DEADLINE = timedelta(seconds=3)
GAP = timedelta(seconds=10)
KEPT_FOR = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class _Run:
    """An unbroken row of agreements."""

    began_at: timedelta
    last_at: timedelta


class Desk:
    """Asks interlocks; `askers` maps the ways of asking (http, file, exec) to whoever asks that way."""

    def __init__(self, askers: Mapping[str, Asker], clock: Clock) -> None:
        self._askers = askers
        self._clock = clock
        self._runs: dict[Interlock, _Run] = {}
        self._kept: dict[Interlock, tuple[timedelta, Answer]] = {}

    def ask(self, questions: Sequence[Interlock]) -> dict[Interlock, Answer]:
        """An answer to each question, within the deadline, and what is kept of those before. What is not asked this
        time has no row any more.
        """
        said: SimpleQueue[tuple[Interlock, Answer]] = SimpleQueue()
        for one in questions:
            Thread(target=self._ask, args=(one, said), daemon=True).start()
        answers = {one: Answer(None, detail="no answer in time") for one in questions}
        ends_at = self._clock.monotonic() + DEADLINE
        for _ in questions:
            try:
                one, answer = said.get(timeout=max(0.0, (ends_at - self._clock.monotonic()).total_seconds()))
            except Empty:
                break
            answers[one] = answer
        now = self._clock.monotonic()
        self._runs = {one: self._run(one, now) for one, answer in answers.items() if answer.agrees}
        kept = {one: (at, answer) for one, (at, answer) in self._kept.items() if now - at < KEPT_FOR}
        refused = {one: (now, answer) for one, answer in answers.items() if not answer.agrees}
        agreed = {one: replace(answers[one], agreed_for=now - run.began_at) for one, run in self._runs.items()}
        self._kept = {one: each for one, each in kept.items() if one not in agreed} | refused
        return {one: answer for one, (_, answer) in self._kept.items()} | agreed

    def _run(self, one: Interlock, now: timedelta) -> _Run:
        before = self._runs.get(one)
        return _Run(before.began_at if before and now - before.last_at <= GAP else now, now)

    def _ask(self, one: Interlock, said: "SimpleQueue[tuple[Interlock, Answer]]") -> None:
        asker = self._askers.get(one.way)
        try:
            answer = asker(one) if asker else Answer(None, detail=f"nobody here asks by {one.way}")
        except Exception as error:  # noqa: BLE001 - whatever an asker meets, its interlock holds
            answer = Answer(None, detail=type(error).__name__)
        said.put((one, answer))
