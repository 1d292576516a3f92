"""People are told at least once, whatever the receiver does and however often the agent dies."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from edgegitops.adapters.clock_memory import MemoryClock
from edgegitops.adapters.journal_memory import MemoryJournal
from edgegitops.core.model.events import AlarmCleared, AlarmRaised, HoldChanged
from edgegitops.core.model.facts import NodeIdentity
from edgegitops.core.model.notice import Told
from edgegitops.core.model.trust import Pin
from edgegitops.daemon.outbox import CAP, FIRST, IDLE, KEPT_FOR, Mouth, Outbox
from edgegitops.errors import JournalError, UnavailableError

NODE = NodeIdentity("urn:edgegitops:lab", "goteborg-1", "gw-line", Pin("urn:edgegitops:lab", "0" * 64, "1" * 40))
SCHEMA = Path(__file__).parents[2] / "schemas" / "output" / "notice.schema.json"
STUCK, OVER = AlarmRaised("stuck", "line", "it is"), AlarmCleared("stuck", "line")


class Plant:
    """A journal, a receiver, and the file of what was told; `restart` is another process."""

    def __init__(self) -> None:
        self.clock = MemoryClock(datetime(2026, 3, 1, tzinfo=UTC))
        self.journal = MemoryJournal()
        self.taken: list[str] = []
        self.bodies: list[dict[str, str]] = []
        self.is_deaf = self.is_journal_broken = False
        self.kept: Told | None = None
        self.lines: list[str] = []
        self.restart()

    def restart(self) -> None:
        mouth = Mouth(self._entries, self._send, lambda: self.kept, self._keep)
        self.outbox = Outbox(mouth, self.clock, self, node=NODE, held_for=timedelta(hours=1))

    def add(self, *events: object) -> None:
        self.journal.append(events, self.clock.now())

    def _entries(self, since: int):
        if self.is_journal_broken:
            raise JournalError("no disk")
        return self.journal.entries(since)

    def _send(self, notice_id: str, body: bytes) -> None:
        if self.is_deaf:
            raise UnavailableError("hook", "post", "nobody there")
        self.taken.append(notice_id)
        self.bodies.append(json.loads(body))

    def _keep(self, told: Told) -> None:
        self.kept = told

    def info(self, event: str, **_: object) -> None:
        self.lines.append(event)

    warning = info


def test_a_node_that_begins_to_tell_says_nothing_of_what_was_before() -> None:
    plant = Plant()
    plant.add(STUCK)
    assert plant.outbox.turn() == IDLE
    plant.add(OVER)
    plant.outbox.turn()
    assert plant.taken == ["goteborg-1/gw-line/2"]


def test_body_is_of_the_published_shape() -> None:
    plant = Plant()
    plant.outbox.turn()
    plant.add(STUCK, HoldChanged("line", "window", "closed"), OVER)
    plant.clock.advance(timedelta(hours=2))
    plant.outbox.turn()
    assert [one["news"] for one in plant.bodies] == ["alarm-raised", "alarm-cleared", "held-long"]
    validator = Draft202012Validator(json.loads(SCHEMA.read_text()))
    assert [error.message for body in plant.bodies for error in validator.iter_errors(body)] == []


def test_a_deaf_receiver_is_tried_again_with_growing_pauses_and_hears_all_in_order() -> None:
    plant = Plant()
    plant.outbox.turn()
    plant.is_deaf = True
    plant.add(STUCK, OVER)
    pauses = [plant.outbox.turn() for _ in range(9)]
    assert pauses[:3] == [FIRST, 2 * FIRST, 4 * FIRST]
    assert pauses[-1] == CAP
    plant.is_deaf = False
    assert plant.outbox.turn() == IDLE
    assert plant.taken == ["goteborg-1/gw-line/1", "goteborg-1/gw-line/2"]


def test_what_nobody_took_for_a_day_is_skipped_and_the_next_is_told() -> None:
    plant = Plant()
    plant.outbox.turn()
    plant.is_deaf = True
    plant.add(STUCK)
    plant.outbox.turn()
    plant.clock.advance(KEPT_FOR + timedelta(hours=1))
    assert plant.outbox.turn() == IDLE
    assert plant.lines[-1] == "notice-given-up"
    plant.is_deaf = False
    plant.add(OVER)
    plant.outbox.turn()
    assert plant.taken == ["goteborg-1/gw-line/2"]


def test_news_of_a_long_power_cut_is_tried_at_least_once() -> None:
    plant = Plant()
    plant.outbox.turn()
    plant.add(STUCK)
    plant.clock.advance(KEPT_FOR * 7)
    plant.restart()
    plant.outbox.turn()
    assert plant.taken == ["goteborg-1/gw-line/1"]


@pytest.mark.parametrize("events", [(STUCK,), (STUCK, OVER, STUCK)], ids=["shorter", "longer"])
def test_another_journal_is_told_from_its_beginning(events: tuple[object, ...]) -> None:
    plant = Plant()
    plant.add(OVER, OVER)
    plant.outbox.turn()
    plant.journal = MemoryJournal()
    plant.add(*events)
    plant.restart()
    plant.outbox.turn()
    assert plant.taken == [f"goteborg-1/gw-line/{at}" for at in range(1, len(events) + 1)]


def test_a_journal_that_cannot_be_read_is_waited_for() -> None:
    plant = Plant()
    plant.outbox.turn()
    plant.add(STUCK)
    plant.is_journal_broken = True
    assert plant.outbox.turn() == FIRST
    plant.is_journal_broken = False
    assert plant.outbox.turn() == IDLE
    assert plant.taken == ["goteborg-1/gw-line/1"]


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["raise", "clear", "turn", "deaf", "hears", "restart"]), max_size=40))
def test_every_notice_is_taken_at_least_once_and_in_order(steps: list[str]) -> None:
    plant = Plant()
    plant.outbox.turn()
    expected, is_raised = [], False
    for step in steps:
        match step:
            case "raise" | "clear":
                plant.add(STUCK if step == "raise" else OVER)
                if is_raised is not (step == "raise"):
                    expected.append(f"goteborg-1/gw-line/{plant.journal.ledger().seq}")
                is_raised = step == "raise"
            case "turn":
                plant.outbox.turn()
            case "restart":
                plant.restart()
            case _:
                plant.is_deaf = step == "deaf"
    plant.is_deaf = False
    plant.outbox.turn()
    assert list(dict.fromkeys(plant.taken)) == expected
