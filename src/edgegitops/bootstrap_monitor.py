"""Joins the resident to those who watch it: a page of metrics, and notices to people. It decides nothing.

Each hears how things stand after every turn of the resident and answers at once; what takes time has its own thread.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from edgegitops.core.model.node_config import NodeConfig, Notify
from edgegitops.errors import UnavailableError

if TYPE_CHECKING:
    from edgegitops.core.model.events import Entry
    from edgegitops.daemon.metrics import Pulse
    from edgegitops.ports import Log

Hear = Callable[["Pulse"], None]


def hearers(config: NodeConfig, log: "Log", stack: ExitStack) -> Hear:
    """What the resident tells after each turn, to everybody who is configured."""
    all_of: list[Hear] = []
    if config.metrics:
        all_of.append(_board(config, log, stack))
    if config.notify is not None:
        all_of.append(_teller(config, config.notify, log, stack))

    def hear(pulse: "Pulse") -> None:
        for one in all_of:
            one(pulse)

    return hear


def _board(config: NodeConfig, log: "Log", stack: ExitStack) -> Hear:
    """Where the resident writes how things stand, for whoever scrapes it."""
    from edgegitops.adapters.metrics_socket import serving
    from edgegitops.adapters.sizes_linux import file_bytes, resident_bytes
    from edgegitops.daemon.metrics import Sizes, render

    written: list[Pulse] = []
    journal = Path(config.state) / "journal.db"

    def page() -> str:
        files = (journal, journal.with_name("journal.db-wal"))
        return render(written[0], Sizes(file_bytes(files), resident_bytes())) if written else ""

    try:
        stack.enter_context(serving(config.metrics, page))
    except UnavailableError as error:
        log.warning("no-metrics", detail=error.message)
    return lambda pulse: written.__setitem__(slice(0, 1), [pulse])


def _teller(config: NodeConfig, hook: Notify, log: "Log", stack: ExitStack) -> Hear:
    """Wakes the thread that tells people, where a worker left something new."""
    from edgegitops.adapters.clock_system import SystemClock
    from edgegitops.adapters.journal_sqlite import SqliteJournal
    from edgegitops.adapters.recurring_threads import recurring
    from edgegitops.adapters.told_file import ToldFile
    from edgegitops.daemon.outbox import Mouth, Outbox

    state = Path(config.state)
    file = ToldFile(state / "told.json")

    def entries(since: int) -> "Iterator[Entry]":
        with closing(SqliteJournal(state / "journal.db", read_only=True)) as journal:
            yield from journal.entries(since)

    mouth = Mouth(entries, _sender(hook), file.recall, file.keep)
    outbox = Outbox(mouth, SystemClock(), log, node=config.identity(), held_for=hook.held_for)
    wake = stack.enter_context(recurring("notices", outbox.turn))
    known: list[object] = [None]

    def hear(pulse: "Pulse") -> None:
        if pulse.handover is not known[0]:
            known[0] = pulse.handover
            wake()

    return hear


def _sender(hook: Notify) -> Callable[[str, bytes], None]:
    def send(notice_id: str, body: bytes) -> None:
        from edgegitops.adapters.hook_exec import hand_to_program
        from edgegitops.adapters.hook_http import post

        if hook.program:
            hand_to_program(hook.program, notice_id, body)
        else:
            post(hook.webhook, notice_id, body, token_file=hook.token_file, ca_file=hook.ca_file)

    return send
