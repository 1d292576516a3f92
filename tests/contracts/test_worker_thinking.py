"""A worker whose one decision never ends is ended by the kernel; one that merely takes long is not disturbed."""

import signal
import subprocess
import sys

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
