"""Law: the daemon and its children start without the reader of command lines: years of its memory, and its time at each
worker, for three words. Only calls spelt in full count here; every other one, and help, is `cli.main`'s.

What the calls do stands here too; `cli/agent.py` gives them options and help.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
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


def worker(file: str, *, fetch: bool = False, revert_only: bool = False) -> None:
    """Run cycles until there is nothing to do."""
    import gc

    gc.set_threshold(50_000, 20, 50)  # it lives for a second, and most of what it makes then is what it loads
    from edgegitops import bootstrap
    from edgegitops.daemon.order import Order

    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the resident says when to stop
    bootstrap.work_for_parent(file, Order(fetch, revert_only), lambda: bool(stopping))


def read_config(file: str) -> None:
    """Print the configuration as JSON."""
    from edgegitops import bootstrap
    from edgegitops.core.model.codec import to_tree

    sys.stdout.write(json.dumps(to_tree(bootstrap.read_config(file))) + "\n")


_CALLS: Final[Mapping[str, tuple[Callable[..., None], frozenset[str]]]] = {
    "run": (run, frozenset({"--once"})),
    "worker": (worker, frozenset({"--fetch", "--revert-only"})),
    "read-config": (read_config, frozenset()),
}


def try_plain(argv: Sequence[str]) -> None:
    """Do what the words ask for and end the process; come back where they are not one of these calls."""
    if len(argv) < 2 or argv[0] != "agent" or argv[1] not in _CALLS:  # noqa: PLR2004 - `agent WORD`
        return
    act, known = _CALLS[argv[1]]
    words = list(argv[2:])
    file = os.environ.get("EDGEGITOPS_CONFIG") or DEFAULT_FILE
    if "--config" in words[:-1]:
        at = words.index("--config")
        file = words[at + 1]
        del words[at : at + 2]
    if len(set(words)) != len(words) or not known.issuperset(words) or file.startswith("-"):
        return
    try:
        act(file, **{word.removeprefix("--").replace("-", "_"): True for word in words})
    except EdgegitopsError as error:
        end(error)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(0)
