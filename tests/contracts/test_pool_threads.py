"""A pool whose tasks may hang: the others go on, and so does the end of the process."""

import subprocess
import sys
import threading

from edgegitops.adapters.pool_threads import DaemonPool

HANGS = """
import threading
from edgegitops.adapters.pool_threads import DaemonPool

DaemonPool(2, "sense").submit(threading.Event().wait)
"""


def test_task_that_hangs_does_not_keep_the_process_alive():
    assert subprocess.run([sys.executable, "-c", HANGS], check=False, timeout=20).returncode == 0


def test_task_that_hangs_does_not_hold_up_the_others():
    pool, never = DaemonPool(4, "sense"), threading.Event()
    hanging = [pool.submit(never.wait) for _ in range(3)]
    assert [pool.submit(pow, 2, at).result(5) for at in range(50)] == [2**at for at in range(50)]
    assert not any(one.done() for one in hanging)
    never.set()


def test_error_of_a_task_is_that_of_its_future():
    assert isinstance(DaemonPool(1, "sense").submit(pow, "a", 2).exception(5), TypeError)


def test_no_more_threads_than_allowed_and_all_tasks_are_done():
    pool, seen = DaemonPool(3, "bounded"), set()
    ended = [pool.submit(lambda: seen.add(threading.current_thread().ident)) for _ in range(200)]
    for one in ended:
        one.result(5)
    assert 1 <= len(seen) <= 3
