"""Reports through a Git repository: of each node one commit without parents at `refs/edgegitops/reports/<site>/<node>`.

1. Nobody trusts the repository: a confined child speaks to it (repository_reports_child), and whether a report is
   believed is decided elsewhere. What has not the form of a report is not there.
2. The node's last report is replaced, by force: nothing is ever merged, and no history grows here.
3. A small bare mirror spares fetching again what has not changed: a few packs, and one file of refs, which is replaced
   as a whole, after a pack came. Now and then one pack, of the newest reports alone, takes the place of all. What is
   damaged in it is fetched again.

UnavailableError: the repository cannot be reached, or did not take the report (reason `credential-denied`).
"""

import base64
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from edgegitops.adapters.repository_access import Access, FetchLimits, GitCredentials

CHILD: Final = "edgegitops.adapters.repository_reports_child"
REPORTS: Final = "refs/edgegitops/reports/"
NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
LONGEST: Final = 128 * 1024 * 1024
LIMITS: Final = FetchLimits(
    bytes=64 * 1024 * 1024,
    objects=100_000,
    cpu_for=timedelta(seconds=60),
    wall_for=timedelta(seconds=60),
    stall_after=timedelta(seconds=15),
)


class GitReports:
    """The reports of a fleet in the repository `url`; the mirror is at `path`, made with the first look.

    InvalidConfigError: the URL makes no sense.
    """

    def __init__(
        self, path: Path, url: str, *, credentials: GitCredentials | None = None, limits: FetchLimits = LIMITS
    ) -> None:
        self._access = Access(url, credentials or GitCredentials(), limits, key="reports")
        self._path = path
        self._is_swept = False

    def publish(self, name: str, data: bytes) -> None:
        """Put a node's report in place of its last one."""
        with self._quarantine() as quarantine:
            errand = {"errand": "publish", "name": name, "report": base64.b64encode(data).decode()}
            self._ask({**errand, "mirror": str(self._path), "quarantine": str(quarantine)})

    def collect(self, names: Collection[str]) -> Mapping[str, bytes]:
        """The report of each of these nodes that has one; empty where there is something that did not come."""
        asked = sorted(name for name in names if NAME.fullmatch(name))
        errand = {"errand": "collect", "names": asked, "kept": self._refs(), "mirror": str(self._path)}
        with self._quarantine() as quarantine:
            said = self._ask({**errand, "quarantine": str(quarantine)})
            try:
                if said["is_new"]:
                    self._promote(quarantine, {**said["others"], **said["good"]}, is_whole=said["is_whole"])
            except OSError as error:
                raise self._access.failed(f"what arrived could not be stored in {self._path}: {error}") from error
        found = {str(name): base64.b64decode(text) for name, text in said["reports"].items()}
        return {**dict.fromkeys(said["lost"], b""), **found}

    def _ask(self, errand: Mapping[str, Any]) -> dict[str, Any]:
        said = self._access.ask(CHILD, errand, longest=LONGEST)
        if "message" in said:
            raise self._access.failed(str(said["message"]), str(said.get("reason", "")))
        return said

    @contextmanager
    def _quarantine(self) -> Iterator[Path]:
        """A folder of this exchange alone: a report may go while others come."""
        place = self._path / "quarantines"
        try:
            if not self._is_swept:
                shutil.rmtree(place, ignore_errors=True)
                self._is_swept = True
            (self._path / "objects/pack").mkdir(parents=True, exist_ok=True)
            place.mkdir(mode=0o700, exist_ok=True)
            folder = Path(tempfile.mkdtemp(dir=place))
        except OSError as error:
            raise self._access.failed(f"no quarantine at {place}: {error}") from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _refs(self) -> dict[str, str]:
        """Name to commit of what the mirror has; nothing where that cannot be read."""
        try:
            lines = (self._path / "packed-refs").read_text("ascii").splitlines()
        except (OSError, ValueError):
            return {}
        told = (line.partition(f" {REPORTS}") for line in lines)
        return {name: oid for oid, _, name in told if NAME.fullmatch(name) and re.fullmatch(r"[0-9a-f]{40}", oid)}

    def _promote(self, quarantine: Path, refs: Mapping[str, str], *, is_whole: bool) -> None:
        """The new pack, then the refs; where that pack has all, what was before goes. A crash between leaves what is
        fetched again, or a pack too many, which goes with the others.
        """
        folder = self._path / "objects/pack"
        old = set(folder.iterdir()) if is_whole else set[Path]()
        # A pack counts from its index on, so indexes come last.
        for source in sorted((quarantine / "objects/pack").glob("*"), key=lambda path: path.suffix == ".idx"):
            with source.open("rb") as file:
                os.fsync(file.fileno())
            source.replace(folder / source.name)
            old.discard(folder / source.name)
        (self._path / "refs").mkdir(exist_ok=True)
        _write(self._path / "HEAD", "ref: refs/heads/none\n")
        _write(self._path / "config", "[core]\n\trepositoryformatversion = 0\n\tbare = true\n")
        _write(self._path / "packed-refs", "".join(f"{oid} {REPORTS}{name}\n" for name, oid in sorted(refs.items())))
        for one in old:
            with suppress(OSError):
                one.unlink()


def _write(file: Path, text: str) -> None:
    """Written beside and renamed."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.write_text(text)
    fresh.replace(file)


__all__ = ["LIMITS", "GitReports"]
