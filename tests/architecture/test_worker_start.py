"""A worker that finds nothing to do is mostly loading: what reads and verifies news is loaded where there is some."""

import subprocess
import sys

CODE = """
import sys
from edgegitops import bootstrap_worker
from edgegitops.adapters import (
    artifacts_oci, contents_directory, engine_podman, floor_file, interlock_exec, journal_sqlite, notes_directory,
    repository_mirror, secrets_pyrage, snapshots_directory, zones_zoneinfo,
)
from edgegitops.core import decide
from edgegitops.daemon import cycle, gear, order
HEAVY = {
    'click', 'cryptography', 'http.client', 'jsonschema', 'nacl', 'podman', 'pygit2', 'pyrage', 'requests', 'rich',
    'ssl', 'structlog', 'urllib.request', 'yaml',
}
print(sorted(HEAVY & set(sys.modules)))
"""


def test_deciding_loads_neither_what_reads_manifests_nor_what_verifies() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"
