"""Readers of what strangers send, fuzzed by coverage: a minute each, within a second and a fixed memory an input.

Each reader has a process of its own, because the fuzzer ends its process at the first finding. The finding, printed as
base64, belongs into a test of the reader.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.any_bytes import readers
from tests.threats import TOP

SECONDS = os.environ.get("EDGEGITOPS_FUZZ_SECONDS", "60")
MEMORY = 512  # MiB of the whole process, with Python, the fuzzer and its counters in it

FUZZ = """
import sys
import atheris

with atheris.instrument_imports(include=["edgegitops"]):
    from tests.any_bytes import readers
from edgegitops.errors import EdgegitopsError

reader = readers()[sys.argv.pop(1)]

def one(data):
    try:
        reader.read(data)
    except (EdgegitopsError, ValueError):
        pass

atheris.Setup(sys.argv, one)
atheris.Fuzz()
"""


@pytest.mark.parametrize("name", readers())
def test_no_bytes_break_a_reader(name: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="there is no atheris for this Python; Hypothesis digs as deep as it can")
    for number, sample in enumerate(readers()[name].samples):
        (tmp_path / f"sample-{number}").write_bytes(sample)
    program = tmp_path / "fuzz.py"
    program.write_text(FUZZ)
    words = [f"-max_total_time={SECONDS}", "-timeout=1", f"-rss_limit_mb={MEMORY}", "-max_len=65536", "-verbosity=0"]
    done = subprocess.run(
        [sys.executable, str(program), name, *words, f"-artifact_prefix={tmp_path}/", str(tmp_path)],
        cwd=TOP,
        env={**os.environ, "PYTHONPATH": str(TOP)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
