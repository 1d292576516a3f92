"""The table of recorded signatures: what was good stays good, what was refused stays refused for the same reason."""

import json
import subprocess
from pathlib import Path

import pytest

from edgegitops.core.trust import keys
from edgegitops.core.trust.sshsig import SignedBy, verify

CASES = json.loads((Path(__file__).parents[2] / "vectors" / "signatures.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_recorded_signature_is_judged_as_written_down(case):
    found = verify(case["armor"].encode(), case["message"].encode(), case["namespace"])
    if case["expect"] == "good":
        key = keys.read_line(case["key"])
        assert found == SignedBy(key.id, key.blob)
    else:
        assert found.doubt == case["expect"]


@pytest.mark.parametrize("case", [case for case in CASES if case["expect"] == "good"], ids=lambda c: c["name"])
def test_ssh_keygen_agrees_with_what_is_written_down_as_good(case, tmp_path):
    (tmp_path / "allowed").write_text(f"anna {case['key']}\n")
    (tmp_path / "signature").write_text(case["armor"])
    argv = ["ssh-keygen", "-q", "-Y", "verify", "-f", "allowed", "-I", "anna", "-n", case["namespace"]]
    subprocess.run([*argv, "-s", "signature"], cwd=tmp_path, input=case["message"].encode(), check=True)
