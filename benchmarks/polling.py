"""Law: a poll is one question to the Git server; a relay counts what goes over the wire, HTTP's headers included and
TLS not. Beside it stand `git ls-remote` (its patterns match at any depth, so it lists all) and libgit2.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pygit2
from figures import Figure, Target, median, say
from relay import Relay

from edgegitops.adapters.tip_listing import list_tip
from edgegitops.errors import BrokenInvariantError
from edgegitops.lab import git_server, processes
from edgegitops.lab.commands import run

MOST = Target("<= 400 B", 400, is_ratio=False)
PATIENCE = timedelta(seconds=60)
TIMES = 10


def polls(folder: Path, sizes: Sequence[int]) -> Iterator[Figure]:
    """Bytes of each way and processor time, for so many refs."""
    with _served(folder) as (bare, relay):
        url = f"http://127.0.0.1:{relay.port}/fleet.git"
        oid = _founded(bare)
        flat: list[float] = []
        for size in sizes:
            say(f"one poll of {size:,} refs")
            rows = "".join(f"{oid} refs/heads/topic/{at:06}\n" for at in range(size - 1))
            (bare / "packed-refs").write_text("# pack-refs with: peeled fully-peeled sorted \n" + rows)
            if list_tip(url, "main", timeout=PATIENCE) != oid:
                raise BrokenInvariantError("the poll does not show the tip of the branch")
            ours = _bytes(relay, lambda: list_tip(url, "main", timeout=PATIENCE))
            git = _bytes(relay, lambda: run(["git", "ls-remote", url, "refs/heads/main"]))
            whole = _bytes(relay, lambda: _libgit2(folder, url))
            flat.append(sum(ours))
            for way, mine, theirs, others in zip(("up", "down"), ours, git, whole, strict=True):
                what = f"poll of {size:,} refs: bytes {way}"
                yield Figure(what, "B", mine, 1, "git ls-remote", theirs, MOST)
                yield Figure(what, "B", mine, 1, "libgit2 (protocol v0)", others)
            cpu = [_cpu(lambda: list_tip(url, "main", timeout=PATIENCE)) for _ in range(TIMES)]
            yield Figure(f"poll of {size:,} refs: CPU of the node", "ms", median(cpu), TIMES)
        if len(flat) > 1:
            what = f"poll: bytes at {sizes[-1]:,} refs beside {sizes[0]:,}"
            yield Figure(what, "B", flat[-1], 1, "itself", flat[0], Target("flat", 1.01))


@contextmanager
def _served(folder: Path) -> Iterator[tuple[Path, Relay]]:
    """A bare repository behind a Git server and a relay."""
    address = f"127.{os.getpid() % 200 + 20}.7.1"  # a loopback address that no other run has
    bare = git_server.create(_made(folder / "git"), "fleet")
    _, server = git_server.serve(folder / "git", address, str(folder))
    try:
        with Relay(("127.0.0.1", 0), (address, git_server.PORT)) as relay:
            yield bare, relay
    finally:
        server.end()
        processes.end_marked(str(folder))


def _founded(bare: Path) -> str:
    """One commit on main, as a file of its own."""
    git = ["git", "-C", str(bare), "-c", "user.name=b", "-c", "user.email=b@example"]
    tree = run([*git, "mktree"]).decode().strip()
    oid = run([*git, "commit-tree", "-m", "first", tree]).decode().strip()
    run([*git, "update-ref", "refs/heads/main", oid])
    return oid


def _bytes(relay: Relay, ask: Callable[[], object]) -> tuple[int, int]:
    relay.reset()
    ask()
    time.sleep(0.2)  # the relay counts what it has passed on
    return relay.up, relay.down


def _libgit2(folder: Path, url: str) -> None:
    repository = pygit2.init_repository(str(folder / "empty.git"), bare=True)
    repository.remotes.create_anonymous(url).list_heads()


def _cpu(ask: Callable[[], object]) -> float:
    before = time.thread_time()
    ask()
    return (time.thread_time() - before) * 1000


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
