"""A worker whose one decision never ends is ended by the kernel; one that merely takes long is not disturbed."""

import signal
import subprocess
import sys
from datetime import timedelta

from edgegitops.adapters.worker_process import WorkerProcess

EXPLODES = """
import sys
from datetime import timedelta
from edgegitops.adapters.worker_process import thinking_for
from edgegitops.core.documents.judge import value_judge

with thinking_for(timedelta(seconds=float(sys.argv[1]))):
    value_judge({"type": "string", "pattern": "^(a+)+$"}, "a" * int(sys.argv[2]) + "!")
for _ in range(3_000_000):  # the limit holds no longer
    pass
"""


def worker(seconds: float, length: int) -> int:
    """The exit code of a process that judges a value of this length by a pattern that doubles its time a letter."""
    argv = [sys.executable, "-c", EXPLODES, str(seconds), str(length)]
    return subprocess.run(argv, stderr=subprocess.DEVNULL, check=False).returncode


def test_pattern_that_explodes_is_ended():
    assert worker(0.2, 60) == -signal.SIGPROF


def test_harmless_value_is_judged_and_the_limit_is_lifted():
    assert worker(0.2, 4) == 0


BOMB = """
from edgegitops.adapters.worker_process import MEMORY_MOST, confine

confine()
held = [bytearray(2**20) for _ in range(64)]  # what honest input needs
while len(held) < 2 * MEMORY_MOST // 2**20:
    held.append(bytearray(2**20))
"""

MAPS = """
import mmap, resource, sys
from edgegitops.adapters.worker_process import MEMORY_MOST, confine

before = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
confine()
with open(sys.argv[1], "rb") as pack:
    mmap.mmap(pack.fileno(), 0, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE)
assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] == before
"""


def test_input_that_explodes_in_memory_ends_the_worker_and_not_the_machine():
    done = subprocess.run([sys.executable, "-c", BOMB], capture_output=True, check=False, timeout=60)
    assert done.returncode == 1
    assert b"MemoryError" in done.stderr


def test_large_mirror_may_be_mapped_and_containers_keep_their_limits(tmp_path):
    pack = tmp_path / "pack"
    with pack.open("wb") as file:
        file.truncate(4 * 1024**3)
    assert subprocess.run([sys.executable, "-c", MAPS, str(pack)], check=False, timeout=60).returncode == 0


SAYS = """
import sys, time
from edgegitops.adapters.worker_process import answer
from edgegitops.core.model.facts import Handover

answer(Handover(fetched="one"))
sys.stdin.readline()
sys.stdout.write('{"fetched": "ha')
sys.stdout.flush()
"""


def test_handovers_of_a_living_worker_are_heard_once_each_and_half_a_line_is_none():
    process = WorkerProcess([sys.executable, "-c", SAYS])
    heard = []
    while not heard:
        heard += [one for one in [process.news()] if one is not None]
    assert [one.fetched for one in heard] == ["one"]
    assert process.news() is None
    process.stop(timedelta(seconds=5))
    assert process.news() is None
    assert process.handover().fetched == "one"
