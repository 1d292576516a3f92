"""Law: the resident itself, with pauses of milliseconds where it has seconds: `hasty.py FILE 100,1100 NODE.YAML` writes
how many pages it has in memory after so many looks at the engine, a line each, and goes on until it is stopped.

Only its pauses are another's: nothing of what it does in a cycle is left out, and a poll goes with each look.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from edgegitops import bootstrap
from edgegitops.cli import plain
from edgegitops.daemon import resident

PAUSE = timedelta(milliseconds=5)


def main() -> None:
    """Run it."""
    told, wanted, config = sys.argv[1:]
    resident.LIST_EVERY = PAUSE  # type: ignore[misc]
    usual, original = bootstrap._senses, resident.Resident.__init__  # noqa: SLF001 - the one seam to count looks at
    counted = _Counted(Path(told), {int(word) for word in wanted.split(",")})

    def senses(*words: Any) -> resident.Senses:  # noqa: ANN401 - passed on
        made = usual(*words)
        return replace(made, listing=counted.around(made.listing), sleep=lambda span: made.sleep(min(span, PAUSE)))

    def begin(self: resident.Resident, **words: Any) -> None:  # noqa: ANN401 - passed on
        original(self, **{**words, "interval": PAUSE})

    bootstrap._senses = senses  # noqa: SLF001 - see above
    resident.Resident.__init__ = begin  # type: ignore[method-assign]
    plain.run(config)


class _Counted:
    """Counts the looks and writes the memory after some."""

    def __init__(self, told: Path, wanted: set[int]) -> None:
        self._told, self._wanted, self._looks = told, wanted, 0

    def around(self, listing: Callable[[], Mapping[str, str]]) -> Callable[[], Mapping[str, str]]:
        """The same listing, counted."""

        def look() -> Mapping[str, str]:
            self._looks += 1
            if self._looks in self._wanted:
                pages = Path("/proc/self/statm").read_text().split()[1]
                with self._told.open("a", encoding="ascii") as file:
                    file.write(f"{pages}\n")
            return listing()

        return look


if __name__ == "__main__":
    main()
