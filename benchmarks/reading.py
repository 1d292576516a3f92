"""Law: reading and believing, in this process: manifests beside the bare parser, commits beside `git verify-commit`.

Ten thousand sites are really read; ten thousand commits are scaled from `COMMITS` real ones, and Git's from a few.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from figures import Figure, Target, median, say

from edgegitops import bootstrap
from edgegitops.adapters.clock_system import SystemClock
from edgegitops.adapters.repository_mirror import GitRepository
from edgegitops.core.documents.snapshot import read_snapshot
from edgegitops.core.model.manifests import Snapshot
from edgegitops.core.model.objects import Header, RawObject
from edgegitops.core.trust.walk import walk
from edgegitops.errors import BrokenInvariantError
from edgegitops.lab import fleet
from edgegitops.lab.commands import run

SITES = 10_000
CHANGES = 9
COMMITS = 150
VERIFIED = 10


class Blobs:
    """Objects of nothing but blobs."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._data = {hashlib.sha256(text.encode()).hexdigest()[:40]: text.encode() for text in texts.values()}
        self.files = {name: hashlib.sha256(text.encode()).hexdigest()[:40] for name, text in texts.items()}

    def header(self, oid: str) -> Header | None:
        """Kind and size."""
        return Header("blob", len(self._data[oid])) if oid in self._data else None

    def read(self, oid: str) -> RawObject | None:
        """The bytes."""
        return RawObject("blob", self._data[oid]) if oid in self._data else None


def manifests() -> Iterator[Figure]:
    """10,000 site manifests cold, then one of them changed, a few times."""
    say(f"reading {SITES:,} sites")
    texts = {
        f"sites/s{at:05}.yaml": fleet.site_manifest(f"s{at:05}", [("gw-1", f"10.0.{at // 250}.{at % 250}")])
        for at in range(SITES)
    }
    texts["fleet.yaml"] = fleet.fleet_manifest("urn:edgegitops:bench")
    schemas = bootstrap.load_schemas()
    memo: dict[str, object] = {}
    cold = _seconds(texts, schemas, memo)
    warm = []
    for at in range(CHANGES):  # in one of them or another garbage is looked for, which takes longer than it
        texts["sites/s00007.yaml"] = texts["sites/s00007.yaml"].replace(f"10.{at}.", f"10.{at + 1}.")
        warm.append(_seconds(texts, schemas, memo))
    begin = time.perf_counter()
    for text in texts.values():
        yaml.load(text, yaml.CSafeLoader)
    bare = time.perf_counter() - begin
    yield Figure(
        "read + validate one manifest", "ms", cold / SITES * 1000, SITES, "yaml.CSafeLoader alone", bare / SITES * 1000
    )
    yield Figure("10k sites cold", "s", cold, 1, "yaml.CSafeLoader alone", bare, Target("<= 4 s", 4, is_ratio=False))
    yield Figure(
        "10k sites, one changed, memo kept",
        "ms",
        median(warm) * 1000,
        CHANGES,
        target=Target("<= 50 ms", 50, is_ratio=False),
    )


def _seconds(texts: Mapping[str, str], schemas: Any, memo: dict[str, object]) -> float:  # noqa: ANN401 - the core's SchemaSet
    objects = Blobs(texts)
    begin = time.perf_counter()
    read = read_snapshot("r", objects.files, objects, schemas, memo)
    spent = time.perf_counter() - begin
    if not isinstance(read, Snapshot):
        raise BrokenInvariantError(f"the benchmark's own manifests are not valid: {read}")
    return spent


def signatures(folder: Path) -> Iterator[Figure]:
    """A chain of signed commits, believed from the pin."""
    say(f"making and believing {COMMITS} signed commits")
    run(["git", "init", "-q", "--bare", "--initial-branch=main", str(folder / "bare.git")])
    founded = fleet.found(folder / "fleet", str(folder / "bare.git"))
    for at in range(COMMITS):
        founded.commit(f"note {at}", key="engineer", files={"apps/note.txt": f"{at}\n"})
    tip = founded.push()
    mirror = GitRepository(str(folder / "mirror.git"), str(folder / "bare.git"))
    mirror.fetch()
    pin, ours = founded.pin(), []
    for _ in range(3):
        begin = time.perf_counter()
        belief = walk(pin, None, tip, mirror.objects(), now=SystemClock().now())
        ours.append(time.perf_counter() - begin)
        if belief.refused or belief.floor is None or belief.floor.commit != tip:
            raise BrokenInvariantError(f"the benchmark's own commits are not believed: {belief.refused}")
    allowed = folder / "allowed"
    allowed.write_text(f"engineer {founded.key('engineer').line}\n")
    begin = time.perf_counter()
    for back in range(VERIFIED):
        founded.git("-c", f"gpg.ssh.allowedSignersFile={allowed}", "verify-commit", f"HEAD~{back}")
    theirs = (time.perf_counter() - begin) / VERIFIED * 10_000
    mine = median(ours) / COMMITS * 10_000
    what = f"verify 10,000 commits (from {COMMITS})"
    yield Figure(what, "s", mine, 3, "git verify-commit", theirs, Target("<= 3 s", 3, is_ratio=False))
