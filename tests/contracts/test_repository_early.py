"""A first fetch that begins before it is asked for gives its one answer, good or bad; then all is as without it."""

from threading import Event

import pytest

from edgegitops.adapters.repository_early import EarlyFetch
from edgegitops.adapters.repository_memory import MemoryRepository
from edgegitops.errors import UnavailableError


class Watched(MemoryRepository):
    """Says when a fetch begins, and counts what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = Event()
        self.asked = 0

    def fetch(self) -> str:
        self.asked += 1
        self.begun.set()
        return super().fetch()


def committed(repository: MemoryRepository, text: str) -> str:
    blob = repository.put("blob", text.encode())
    tree = repository.put("tree", b"100644 fleet.yaml\0" + bytes.fromhex(blob))
    lines = [f"tree {tree}", "author A <a@example.org> 0 +0000", "committer A <a@example.org> 0 +0000"]
    tip = repository.put("commit", ("\n".join(lines) + f"\n\n{text}").encode())
    repository.set_remote_tip(tip)
    return tip


def test_fetch_begins_unasked_and_is_not_done_twice() -> None:
    watched = Watched()
    first = committed(watched, "first")
    early = EarlyFetch(watched)
    assert watched.begun.wait(10)
    assert early.fetch() == first
    assert (watched.asked, early.tip()) == (1, first)
    assert early.objects().read(first) is not None


def test_later_fetches_are_new_ones() -> None:
    watched = Watched()
    committed(watched, "first")
    early = EarlyFetch(watched)
    early.fetch()
    second = committed(watched, "second")
    assert early.fetch() == second
    assert watched.asked == 2


def test_trouble_of_the_first_fetch_is_told_to_who_asks_and_the_next_one_is_free_of_it() -> None:
    watched = Watched()
    tip = committed(watched, "first")
    watched.go_offline()
    early = EarlyFetch(watched)
    with pytest.raises(UnavailableError):
        early.fetch()
    watched.come_back()
    assert early.fetch() == tip
