"""The resident lives for years: what only some nodes need is loaded where it is needed."""

import subprocess
import sys

CODE = """
import sys
from edgegitops import bootstrap, bootstrap_monitor
from edgegitops.adapters import (
    clock_system, control_socket, journal_sqlite, lock_flock, log_lines, memory_glibc, notify_systemd, podman_listing,
    pool_threads, probe_http, tip_listing, wakeup_signals, worker_process,
)
from edgegitops.daemon import resident, watch
print(sorted({'asyncio', 'click', 'decimal', 'email', 'http.client', 'jsonschema', 'podman', 'pygit2', 'ssl', 'yaml'}
    & set(sys.modules)))
"""


def test_resident_without_https_loads_neither_tls_nor_what_its_children_need() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"
