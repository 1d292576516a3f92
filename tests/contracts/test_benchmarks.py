"""The benchmark runner loads whole, and one small part of it gives the JSON that readers of figures expect."""

import json
import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).parents[2] / "benchmarks" / "run.py"
ROW = {"what", "unit", "ours", "runs", "beside", "theirs", "ratio", "target", "met"}


def test_one_part_gives_a_table_and_rows_with_their_machine(tmp_path: Path) -> None:
    told = tmp_path / "rows.json"
    argv = [sys.executable, str(RUN), "--only", "journal", "--json", str(told)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    tree = json.loads(told.read_text())
    (row,) = tree["figures"]
    assert set(row) == ROW
    assert row["what"] in done.stdout
    assert abs(row["ratio"] - row["ours"] / row["theirs"]) < 0.01
    assert [set(one) for one in tree["machine"]] == [
        {"at", "cpu", "cores", "memory_gib", "kernel", "python", "load"}
    ] * 2


def test_target_is_met_by_ratio_or_by_value_and_a_row_without_one_says_nothing() -> None:
    argv = [sys.executable, "-c", _JUDGED]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True, cwd=RUN.parent)
    assert json.loads(done.stdout) == [True, False, True, False, None]


_JUDGED = """
import json
from figures import Figure, Target
ratio, value = Target("<= 2x", 2), Target("<= 5 ms", 5, is_ratio=False)
rows = [
    Figure("a", "ms", 4, 1, "b", 2, ratio),
    Figure("a", "ms", 5, 1, "b", 2, ratio),
    Figure("a", "ms", 5, 1, target=value),
    Figure("a", "ms", 6, 1, "b", 100, value),
    Figure("a", "ms", 5, 1, "b", 2),
]
print(json.dumps([row.is_met for row in rows]))
"""
