"""Law: what a program took is measured by a small parent of its own: `spent.py FILE PROGRAM ...` runs it and writes the
wall time, the processor time and the peak memory of its largest process to FILE, as JSON.

Linux hands the peak of a parent on to what it starts, so a large parent would spoil the figure. Standard library only,
to be started with `-I -S`.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of wall and processor time, and MiB of the largest process at its peak."""

    wall: float
    cpu: float
    peak: float


def launcher(told: Path) -> list[str]:
    """What goes before a command so that `told` says what it took."""
    return [sys.executable, "-I", "-S", __file__, str(told)]


def read(told: Path) -> Taken:
    """What the launcher wrote."""
    return Taken(**json.loads(told.read_text()))


def taken(argv: Sequence[str], told: Path) -> Taken:
    """Run a program; CalledProcessError where it fails."""
    subprocess.run([*launcher(told), *argv], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return read(told)


def main(words: Sequence[str]) -> int:
    """Run the program of the words after the file; its exit code."""
    begin = time.perf_counter()
    code = subprocess.call(list(words[1:]))
    wall = time.perf_counter() - begin
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    tree = {"wall": wall, "cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss / 1024}
    Path(words[0]).write_text(json.dumps(tree), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
