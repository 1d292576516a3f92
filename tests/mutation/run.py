"""Breaks `core/rollout` in one place after the other, and looks whether a test of `tests/core/rollout` sees it.

Cosmic Ray finds the places and keeps what came of them: one session for each file and each state of its source, so a
run that was ended goes on where it was, and a file that did not change is not tried again. What survived is tried again
each time, against the tests of now. A mutant is put into a fork of a process that has collected the tests, which is
much quicker than a process of its own; what survives there is loaded from scratch once more.

What survives has to be explained in docs/maintain/mutation.md; the run is red for each that is not.

    python -m tests.mutation.run [--again | --list] [--quick] [FILE ...]     FILE is the name of a file of core/rollout
"""

import argparse
import difflib
import hashlib
import importlib
import os
import re
import sys
import tempfile
import tomllib
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import cosmic_ray.plugins
import pytest
from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_code
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkItem, WorkResult
from tests.mutation.grafts import Mutant, Stable, bounded
from tests.mutation.rounding import Provider

TOP = Path(__file__).parents[2]
PAGE = TOP / "docs" / "maintain" / "mutation.md"
SESSIONS = TOP / ".mutation"
TESTS = TOP / "tests" / "core" / "rollout"
WARM = ("hypothesis.strategies", "edgegitops.core.desired.membership", "edgegitops.adapters.engine_memory")
WARM += ("edgegitops.core.reconcile.reconcile", "edgegitops.adapters.snapshots_memory", "edgegitops.core.model.codec")
WORDS = ("-q", "-x", "--tb=line", "-p", "no:cacheprovider", "--hypothesis-profile=mutation")
WORDS += ("-W", "ignore::pytest.PytestAssertRewriteWarning")  # of what is loaded already
_ROW = re.compile(r"^\| `(\w+)` \| `(.+?)` \| `(.+?)` \| (.+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Change:
    """A mutant as people read it: the file, and the line before and after."""

    file: str
    old: str
    new: str

    @property
    def row(self) -> str:
        """As the page has it."""
        return f"| `{self.file}` | `{self.old}` | `{self.new}` |"


@cache
def settings() -> dict[str, Any]:
    """`cosmic-ray.toml`."""
    return tomllib.loads((Path(__file__).parent / "cosmic-ray.toml").read_text(encoding="utf-8"))


def explained() -> set[Change]:
    """What the page says of."""
    found = _ROW.findall(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else []
    return {Change(file, old.replace("\\|", "|"), new.replace("\\|", "|")) for file, old, new, _ in found}


def sources() -> list[Path]:
    """The files that are mutated."""
    folder = TOP / settings()["cosmic-ray"]["module-path"]
    return [file for file in sorted(folder.glob("*.py")) if file.stem != "__init__"]


def tests_of(file: Path, *, is_quick: bool) -> list[str]:
    """The test files that are asked, in their order; `is_quick`: only tables."""
    named, first = settings()["tests"], settings()["first"].get(file.stem)
    groups = named.get(file.stem, named["default"])
    rest = [one for group in (groups[:1] if is_quick else groups) for one in group if one != first]
    return [str(TESTS / one) for one in ([first, *rest] if first else rest)]


# --- one mutant


def loaded(file: Path, source: str, tests: Sequence[str]) -> bool:
    """Whether one of these tests sees the mutant in a process that loads it."""
    with tempfile.TemporaryFile("w+") as said:
        child = os.fork()
        if not child:
            _live(Mutant(file, source), said.fileno(), tests)
        _, status = os.waitpid(child, 0)
    return bool(status)


def _live(mutant: Mutant, output: int, tests: Sequence[str]) -> NoReturn:
    code = 70
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        bounded(timeout(tests))
        sys.meta_path.insert(0, mutant)
        code = int(pytest.main([*WORDS, *tests]))
    except BaseException:  # noqa: BLE001 - nothing may leave a fork
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def timeout(tests: Sequence[str]) -> int:
    """Seconds of CPU for a mutant: the tables alone need few."""
    whole = int(settings()["cosmic-ray"]["timeout"])
    return whole if any("liveness" in one for one in tests) else whole // 12


# --- a file


def session_of(file: Path) -> Path:
    """Where the results of this state of a file are."""
    state = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    return SESSIONS / f"{file.stem}-{state}.sqlite"


def begun(file: Path, database: WorkDB) -> None:
    """A session with all mutants of a file that are not filtered out."""
    init([file], database, {})
    out = [re.compile(one) for one in settings()["cosmic-ray"]["filters"]["operators-filter"]["exclude-operators"]]
    lines = file.read_text(encoding="utf-8").splitlines()
    for item in database.pending_work_items:
        mutation = item.mutations[0]
        is_decorator = lines[mutation.start_pos[0] - 1].lstrip().startswith("@")
        if is_decorator or any(one.match(mutation.operator_name) for one in out):
            skipped = WorkResult(worker_outcome=WorkerOutcome.SKIPPED, output="Filtered operator")
            database.set_result(item.job_id, skipped)


def mutated(file: Path, item: WorkItem) -> str | None:
    """The mutated source."""
    (mutation,) = item.mutations
    operator = cosmic_ray.plugins.get_operator(mutation.operator_name)(**mutation.operator_args)
    return mutate_code(file.read_text(encoding="utf-8"), operator, mutation.occurrence)


def change_of(file: Path, source: str) -> Change:
    """What a mutant changes."""
    lines = difflib.ndiff(file.read_text(encoding="utf-8").splitlines(), source.splitlines())
    told = [line for line in lines if line[:2] in ("- ", "+ ")]
    sides = {sign: " ".join(" ".join(line[2:].split()) for line in told if line[0] == sign) for sign in "-+"}
    return Change(file.stem, sides["-"], sides["+"])


def work(file: Path, session: Path, *, is_quick: bool) -> None:
    """Try what was not tried and what survived, in a process of its own, which collects the tests once."""
    tests = tests_of(file, is_quick=is_quick)

    def trial(is_seen: Callable[[Mutant | None, int], bool]) -> None:
        if is_seen(None, timeout(tests)):
            raise SystemExit(f"{file.stem}: the tests are red before anything is mutated")
        with use_db(session) as database:
            for item in _items(database):
                _try(file, database, item, is_seen, is_quick=is_quick)

    child = os.fork()
    if not child:
        code = 70
        try:
            code = int(pytest.main([*WORDS, *tests], plugins=[Stable(trial)]))
        except BaseException:  # noqa: BLE001 - nothing may leave a fork
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"{file.stem}: the tests could not be asked")


def _items(database: WorkDB) -> list[WorkItem]:
    again = [item for item, result in database.completed_work_items if result.test_outcome is TestOutcome.SURVIVED]
    return sorted([*database.pending_work_items, *again], key=lambda one: one.mutations[0].start_pos)


def _try(
    file: Path, database: WorkDB, item: WorkItem, is_seen: Callable[[Mutant | None, int], bool], *, is_quick: bool
) -> None:
    tests = tests_of(file, is_quick=is_quick)
    source = mutated(file, item)
    if source is None or source == file.read_text(encoding="utf-8"):
        database.set_result(item.job_id, WorkResult(worker_outcome=WorkerOutcome.NO_TEST))
        return
    change = change_of(file, source)
    was_seen = is_seen(Mutant(file, source), timeout(tests)) or (not is_quick and loaded(file, source, tests))
    outcome = TestOutcome.KILLED if was_seen else TestOutcome.SURVIVED
    diff = f"- {change.old}\n+ {change.new}"
    database.set_result(item.job_id, WorkResult(WorkerOutcome.NORMAL, test_outcome=outcome, diff=diff))
    if not was_seen:
        print(f"line {item.mutations[0].start_pos[0]}: {change.row}", flush=True)


def survivors_of(file: Path, database: WorkDB) -> Iterator[Change]:
    """What no test saw."""
    for item, result in database.completed_work_items:
        source = mutated(file, item) if result.test_outcome is TestOutcome.SURVIVED else None
        if source is not None:
            yield change_of(file, source)


def told(file: Path, database: WorkDB) -> str:
    """The numbers of a file."""
    outcomes = [result.test_outcome for _, result in database.completed_work_items]
    seen, survived = outcomes.count(TestOutcome.KILLED), outcomes.count(TestOutcome.SURVIVED)
    return f"{file.stem}: {seen + survived} mutants, {seen} seen, {survived} survived"


def main(words: Sequence[str]) -> int:
    """1 where a survivor is not explained, or an explained one is seen by now."""
    parser = argparse.ArgumentParser(description="mutate core/rollout, and ask its tests")
    parser.add_argument("--again", action="store_true", help="forget what was tried before")
    parser.add_argument("--list", action="store_true", help="only show what survived")
    parser.add_argument("--quick", action="store_true", help="ask the tables only, not the drawn worlds")
    parser.add_argument("file", nargs="*")
    asked = parser.parse_args(words)
    for name in WARM:
        importlib.import_module(name)
    assert not any(name.startswith("edgegitops.core.rollout.") for name in sys.modules), "a fork would keep it"
    SESSIONS.mkdir(exist_ok=True)
    cosmic_ray.plugins.OPERATOR_PROVIDERS["edgegitops"] = Provider()
    survivors: set[Change] = set()
    known = {file.stem: file for file in sources()}
    files = [known[name] for name in asked.file or known]
    for file in files:
        if asked.again:
            session_of(file).unlink(missing_ok=True)
        is_new = not session_of(file).exists()
        with use_db(session_of(file)) as database:
            if is_new:
                begun(file, database)
        if not asked.list:
            work(file, session_of(file), is_quick=asked.quick)
        with use_db(session_of(file)) as database:
            survivors |= set(survivors_of(file, database))
            print(told(file, database), flush=True)
    reasons = {one for one in explained() if one.file in {file.stem for file in files}}
    for one in sorted(survivors - reasons, key=lambda one: one.row):
        print(f"not explained: {one.row}")
    for one in sorted(reasons - survivors, key=lambda one: one.row):
        print(f"explained, and seen by now: {one.row}")
    return int(survivors != reasons)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
