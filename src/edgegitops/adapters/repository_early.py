"""Law: a fetch takes as long as the rest of a worker takes to load, so the first one begins before it is asked for.

`fetch` gives the answer of that first one once, whatever it was, and fetches by itself from then on. The rest is the
repository's own. The caller holds `worker.lock` before it makes one: nothing else writes to the mirror.
"""

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from edgegitops.core.model.objects import Objects
from edgegitops.ports import Repository


class EarlyFetch:
    """`ports.Repository` around another one, whose first fetch is under way."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        pool = ThreadPoolExecutor(1, "fetch")
        self._first: Future[str] | None = pool.submit(repository.fetch)
        pool.shutdown(wait=False)

    def fetch(self) -> str:
        """Wait for the first fetch, or do another; errors are those of the repository."""
        first, self._first = self._first, None
        again: Callable[[], str] = self._repository.fetch
        return again() if first is None else first.result()

    def tip(self) -> str | None:
        """The tip of the last successful fetch."""
        return self._repository.tip()

    @property
    def tags_failed(self) -> str:
        """Why the last fetch brought no control tags."""
        return self._repository.tags_failed

    def tags(self) -> Mapping[str, str]:
        """The control tags that the remote showed last."""
        return self._repository.tags()

    def keep_tags(self, objects: Collection[str]) -> None:
        """Keep these tag objects reachable."""
        self._repository.keep_tags(objects)

    def pin(self, revision: str) -> None:
        """Keep this revision's objects reachable."""
        self._repository.pin(revision)

    def objects(self) -> Objects:
        """The lookup of the mirror's objects."""
        return self._repository.objects()
