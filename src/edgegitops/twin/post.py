"""Law: reports of the twin are verified when they are made, and are read by all from the next second on.

Each node writes what the daemon would write, when the daemon would: on news, and in time as a heartbeat. What is lost
is lost for everybody; the next one may arrive.
"""

from collections.abc import Iterable

from edgegitops.core.model.report import Statement
from edgegitops.core.rollout.blame import Failure
from edgegitops.core.rollout.evidence import Evidence, Word, word_of


class Heard(Evidence):
    """Evidence that grows by the newest words of honest nodes, at the cost of what is new. Two are never equal."""

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def renewed(self, statements: Iterable[Statement]) -> "Heard":
        """The union; every question is answered as over all statements ever made."""
        words, accusers = dict(self.words), set(self.accusers)
        for one in statements:
            name, new = one.report.name, word_of((one,))
            old = words.get(name, Word())
            words[name] = Word(new.latest, failures=_both(old, new), ran=old.ran | new.ran)
            if new.failures:
                accusers.add(name)
        return Heard(heard=words, accusers=frozenset(accusers))


def _both(old: Word, new: Word) -> dict[str, frozenset[Failure]]:
    names = old.failures.keys() | new.failures.keys()
    return {name: old.failures.get(name, frozenset()) | new.failures.get(name, frozenset()) for name in names}
