"""Law: what people write in the demo: signed commits by whoever may, tags by the command and by hand; all by real git.

The example's patience suits a plant, and a demo has minutes: it founds the fleet from a copy with shorter times. What
was there before a release is judged too, so they are shortened before the first commit and not after it.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from edgegitops.cli.demo.looks import VISION
from edgegitops.lab.images import App
from edgegitops.lab.lab import Lab

APP = f"apps/{VISION}/app.yaml"
IMAGE = "quality/vision"
SOAK = "5s"
_SIGNATURE = b"-----BEGIN SSH SIGNATURE-----"


@contextmanager
def impatient(source: Path) -> Iterator[Path]:
    """A copy of a fleet's folder in which everything that takes minutes takes seconds."""
    with TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(source, Path(folder) / source.name))
        for path in copy.glob("deployments/*.yaml"):
            text = re.sub(r"soak: \w+", f"soak: {SOAK}", path.read_text())
            path.write_text(re.sub(r"deadline: \w+", "deadline: 40s", text))
        for path in copy.glob("apps/*/app.yaml"):
            text = re.sub(r"interval: \w+", "interval: 2s", path.read_text())
            path.write_text(re.sub(r"(?m)^spec:$", "spec:\n  update: {minReady: 1s}", text))
        yield copy


@dataclass(frozen=True, slots=True)
class Pen:
    """Those who write into the fleet's repository of a lab."""

    lab: Lab

    @property
    def clone(self) -> Path:
        """Where they write."""
        return self.lab.fleet.work

    def news(self) -> str:
        """One word for all commits, control tags and reports that there are: equal where nothing is new."""
        server = self.lab.directory / "git" / "reports.git"
        own = self.lab.fleet.git(
            "for-each-ref", "--format=%(objectname)", "refs/remotes", f"refs/tags/rollout/{VISION}"
        )
        return own + self.lab.fleet.git("--git-dir", str(server), "for-each-ref", "--format=%(objectname)")

    def release(self, version: str, *, key: str | None = "engineer", faults: dict[str, str] | None = None) -> str:
        """Publish an image and commit the application at this version; the commit. `key` None: unsigned."""
        image = self.lab.registry.publish(App(IMAGE, version, faults or {}))
        text = (self.clone / APP).read_text()
        text = re.sub(rf"image: \S*{IMAGE}:\S+", f"image: {image}", text)
        text = re.sub(r"(?m)^  version: .*$", f"  version: {version}", text)
        self.lab.fleet.commit(f"vision: {version}", key=key, files={APP: text})
        return self.lab.fleet.push()

    def commit(self, message: str, *, key: str, files: dict[str, str | bytes | None]) -> str:
        """Commit files as the holder of a key; the commit."""
        self.lab.fleet.commit(message, key=key, files=files)
        return self.lab.fleet.push()

    def take_back(self, commit: str) -> None:
        """Make the branch end at an earlier commit."""
        self.lab.fleet.git("reset", "-q", "--hard", commit)
        self.lab.fleet.push(force=True)

    def command(self, *words: str, key: str = "engineer") -> "subprocess.CompletedProcess[str]":
        """Run `edgegitops` beside the clone, as the holder of a key."""
        signing = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "user.signingkey",
            "GIT_CONFIG_VALUE_0": str(self.lab.fleet.key(key).path),
        }
        return subprocess.run(  # noqa: S603 - the product's own command, without a shell
            [sys.executable, "-m", "edgegitops", *words],
            cwd=self.clone,
            env={**os.environ, **signing, "NO_PROXY": "*"},
            capture_output=True,
            text=True,
            check=False,
        )

    def approve_by_hand(self, number: int, wave: str, reason: str) -> str:
        """`git tag -s` with the message that the command would write, and a push; the message."""
        before = f"rollout/{VISION}/{number - 1:06}"
        tag = self.lab.fleet.git("cat-file", "tag", before).encode() + b"\n"
        previous = hashlib.sha256(tag[: tag.index(_SIGNATURE)]).hexdigest()
        lines = (
            f"approve {VISION} wave {wave}",
            "",
            "Kind: approve",
            f"Repository: {self.lab.fleet.pin().repository}",
            f"Deployment: {VISION}",
            f"Wave: {wave}",
            f"Previous: {previous}",
            f"Reason: {reason}",
        )
        message = "\n".join(lines) + "\n"
        name = f"rollout/{VISION}/{number:06}"
        signing = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={self.lab.fleet.key('release-manager').path}")
        self.lab.fleet.git(*signing, "tag", "-s", "--cleanup=verbatim", "-m", message, name)
        self.lab.fleet.git("push", "-q", "origin", f"refs/tags/{name}")
        return message
