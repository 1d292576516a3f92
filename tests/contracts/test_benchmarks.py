"""The benchmark runner loads whole, its small parts give the JSON that readers of figures expect, and the page shows
the newest run and nothing else.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
RUN = TOP / "benchmarks" / "run.py"
ROW = {"what", "unit", "ours", "runs", "beside", "theirs", "ratio", "target", "met"}
MACHINE = {"at", "cpu", "cores", "memory_gib", "kernel", "python", "load", "programs"}
IS_DEEP = os.environ.get("EDGEGITOPS_DEEP", "") not in {"", "0"}
ON_A_NODE = ("boot", "converge", "update", "scale", "resident") if IS_DEEP else ("boot",)  # each takes a minute
TINY = [
    "--runs",
    "1",
    "--sizes",
    "2",
    "--sites",
    "20",
    "--nodes",
    "200",
    "--refs",
    "10,20",
    "--idle",
    "2",
    "--cycles",
    "20",
]


def _run(part: str, told: Path, *words: str) -> dict[str, object]:
    argv = [sys.executable, str(RUN), "--only", part, *TINY, *words, "--json", str(told)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    tree = json.loads(told.read_text())["parts"][part]
    for row in tree["figures"]:
        assert set(row) == ROW
        assert row["what"] in done.stdout
    assert [set(one) for one in tree["machine"]] == [MACHINE] * 2
    return tree


def _inside(code: str) -> str:
    argv = [sys.executable, "-c", code]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True, cwd=RUN.parent).stdout


def test_one_part_gives_a_table_and_rows_with_their_machine_and_leaves_the_other_parts(tmp_path: Path) -> None:
    told = tmp_path / "rows.json"
    told.write_text('{"parts": {"poll": {}}}')
    (row,) = _run("journal", told)["figures"]
    assert abs(row["ratio"] - row["ours"] / row["theirs"]) < 0.01
    assert set(json.loads(told.read_text())["parts"]) == {"poll", "journal"}


def test_poll_is_as_small_for_many_refs_as_for_few(tmp_path: Path) -> None:
    found = _run("poll", tmp_path / "rows.json")["figures"]
    rows = {row["what"]: row for row in found if row["target"]}
    assert rows["poll of 20 refs: bytes up"]["met"]
    assert rows["poll of 20 refs: bytes down"]["met"]
    assert rows["poll: bytes at 20 refs beside 10"]["ratio"] == 1


def test_fleet_of_sites_is_validated_and_planned(tmp_path: Path) -> None:
    rows = [row["what"] for row in _run("fleet", tmp_path / "rows.json")["figures"]]
    assert len(rows) == 12
    assert "plan, every node changed, 20 sites: peak RSS" in rows


def test_release_is_tried_out_within_bounds_of_memory(tmp_path: Path) -> None:
    rows = {row["what"]: row for row in _run("twin", tmp_path / "rows.json")["figures"]}
    assert rows["simulate, three waves, 200 nodes: peak RSS, twice the larger process"]["met"]


@pytest.mark.parametrize("part", ON_A_NODE)
def test_part_on_a_node_runs_to_its_end(part: str, tmp_path: Path) -> None:
    tree = _run(part, tmp_path / "rows.json", "--peers", "git-pull,kube-play")
    assert tree["figures"]
    assert tree["left_out"] == []


def test_page_shows_what_was_measured_last() -> None:
    _inside(
        "import results\ntext = results.PAGE.read_text(encoding='utf-8')\n"
        "assert results.page(text, results.newest()) == text, 'python benchmarks/results.py'"
    )


def test_page_says_what_is_missed_and_what_was_left_out(tmp_path: Path) -> None:
    told = json.loads(_inside(_SHOWN.format(folder=str(tmp_path))))
    assert told.startswith("kept\n<!-- figures: begin -->")
    assert told.endswith("<!-- figures: end -->\nkept too")
    assert "## As of 2026-01-03" in told
    assert told.index("`--only poll` on 2026-01-02") < told.index("`--only boot` on 2026-01-03")
    assert "| a | 5 ms | b | 2 ms | 2.5 | <= 2x | **missed** |" in told
    assert "Not measured: c: it is not installed" in told


def test_target_is_met_by_ratio_or_by_value_and_a_row_without_one_says_nothing() -> None:
    assert json.loads(_inside(_JUDGED)) == [True, False, True, False, None]


def test_peak_of_a_program_is_its_own_and_not_its_starters(tmp_path: Path) -> None:
    large = "import sys, spent\nfrom pathlib import Path\nballast = b'x' * (200 << 20)\n"
    small = f"spent.taken([sys.executable, '-I', '-S', '-c', 'pass'], Path({str(tmp_path / 'told')!r}))"
    assert float(_inside(f"{large}print({small}.peak)")) < 100


_SHOWN = """
import json, results
from pathlib import Path
from figures import Figure, LeftOut, Target, machine
home = Path({folder!r})
rows = [Figure("a", "ms", 5, 1, "b", 2, Target("<= 2x", 2)), LeftOut("c", "it is not installed")]
part = results.tree_of(rows, (machine(), machine()))
results.write(home / "2026-01-03.json", {{"boot": part}})
results.write(home / "2026-01-02.json", {{"poll": part, "boot": part}})
print(json.dumps(results.page(f"kept\\n{{results.BEGIN}} old {{results.END}}\\nkept too", results.newest(home))))
"""
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


def test_gate_over_a_fleet_is_measured_cold_and_with_one_report_more(tmp_path: Path) -> None:
    rows = _run("gate", tmp_path / "rows.json")["figures"]
    assert len(rows) == 3
    assert all("gate over 200 reports" in row["what"] for row in rows)
