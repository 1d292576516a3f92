"""Law: what a container wrote last outlives it, for who asks why it failed, and never at the cost of its removal.

One file for each container of the manifests, beside the contents: of whichever was removed last, its name on the engine
and then its newest lines. It is for people alone; nothing is decided by it. What cannot be had or written is left out.
It goes with its deployment.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from edgegitops.core.model import naming
from edgegitops.core.model.observed import LastWords

LINES = 200
_SIZE = 65_536
_FOLDER = "last-words"


def keep(contents_dir: str, labels: Mapping[str, str], name: str, text: str) -> None:
    """Keep the newest lines of a container (engine name) that is about to go; one that wrote nothing leaves none."""
    deployment, container = labels.get(naming.LABEL_DEPLOYMENT, ""), labels.get(naming.LABEL_CONTAINER, "")
    if not text or not deployment or not container or "/" in f"{deployment}{container}":
        return
    folder = Path(contents_dir) / _FOLDER
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        part = folder / f".{deployment}.{container}"
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        part.write_text(f"{name}\n{text[-_SIZE:]}", encoding="utf-8", errors="replace")
        part.replace(folder / f"{deployment}.{container}")


def keep_only(contents_dir: str, deployments: Collection[str]) -> None:
    """Remove what is of other deployments, and what was left half written."""
    with suppress(OSError):
        for file in (Path(contents_dir) / _FOLDER).iterdir():
            if file.name.partition(".")[0] not in deployments:
                file.unlink(missing_ok=True)


def kept(contents_dir: str) -> dict[str, LastWords]:
    """What is kept, by `deployment/container`; empty where nothing can be read."""
    found: dict[str, LastWords] = {}
    with suppress(OSError):
        for file in sorted((Path(contents_dir) / _FOLDER).glob("[!.]*")):
            name, _, text = file.read_text(encoding="utf-8", errors="replace").partition("\n")
            at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
            found[file.name.replace(".", "/", 1)] = LastWords(name, at, text)
    return found
