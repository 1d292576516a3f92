"""Law: the daemon and its children start without the reader of command lines: years of its memory, and its time at each
worker, for three words. Only calls spelt in full count here; every other one, and help, is `cli.main`'s.

What the calls do stands here too; `cli/agent.py` gives them options and help.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edgegitops.cli.endings import INTERRUPTED, end
from edgegitops.errors import EdgegitopsError

DEFAULT_FILE: Final = "/etc/edgegitops/node.yaml"


def run(file: str, *, once: bool = False) -> None:
    """Watch and converge until told to stop."""
    from edgegitops import bootstrap

    handover = bootstrap.reside(bootstrap.config_by_child(file), file, once=once)
    if once and not handover.is_as_wanted:
        sys.exit(1)


def worker(file: str, *, fetch: bool = False, revert_only: bool = False, notes: str = "") -> None:
    """Run cycles until there is nothing to do; `notes` is the folder of what earlier workers read."""
    import gc
    from pathlib import Path

    gc.set_threshold(50_000, 20, 50)  # it lives for a second, and most of what it makes then is what it loads
    from edgegitops import bootstrap_worker
    from edgegitops.daemon.order import Order

    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the resident says when to stop
    bootstrap_worker.work_for_parent(
        file, Order(fetch, revert_only), lambda: bool(stopping), notes=Path(notes) if notes else None
    )


def read_config(file: str) -> None:
    """Print the configuration as JSON."""
    from edgegitops import bootstrap
    from edgegitops.core.model.codec import to_tree

    sys.stdout.write(json.dumps(to_tree(bootstrap.read_config(file))) + "\n")


@dataclass(frozen=True, slots=True)
class _Call:
    """What is called, the words that it knows alone, and those that a value follows."""

    act: Callable[..., None]
    flags: frozenset[str] = frozenset()
    options: frozenset[str] = frozenset({"--config"})


_CALLS: Final[Mapping[str, _Call]] = {
    "run": _Call(run, frozenset({"--once"})),
    "worker": _Call(worker, frozenset({"--fetch", "--revert-only"}), frozenset({"--config", "--notes"})),
    "read-config": _Call(read_config),
}


def try_plain(argv: Sequence[str]) -> None:
    """Do what the words ask for and end the process; come back where they are not one of these calls."""
    call = _CALLS.get(argv[1]) if len(argv) > 1 and argv[0] == "agent" else None
    said = _said(call, argv[2:]) if call else None
    if call is None or said is None:
        return
    file = str(said.pop("config", "")) or os.environ.get("EDGEGITOPS_CONFIG") or DEFAULT_FILE
    try:
        call.act(file, **said)
    except EdgegitopsError as error:
        end(error)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(0)


def _said(call: _Call, words: Sequence[str]) -> dict[str, str | bool] | None:
    """What the words say, by keyword; None where one is not known here, said twice, or without its value."""
    said: dict[str, str | bool] = {}
    rest = iter(words)
    for word in rest:
        name = word.removeprefix("--").replace("-", "_")
        value = next(rest, "") if word in call.options else True
        is_value = value is True or (isinstance(value, str) and value != "" and not value.startswith("-"))
        if word not in call.flags | call.options or name in said or not is_value:
            return None
        said[name] = value
    return said
