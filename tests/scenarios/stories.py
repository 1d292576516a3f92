"""What all stories share: the command on a PATH of their own, and how the answers are written anew."""

import os
import sys
from pathlib import Path

IS_REWRITING = os.environ.get("EDGEGITOPS_REWRITE", "") not in {"", "0"}


def command_in(folder: Path) -> Path:
    """Put `edgegitops` into `folder`/bin; that is the answer."""
    tools = folder / "bin"
    tools.mkdir()
    program = tools / "edgegitops"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m edgegitops "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return tools


def as_told(file: Path, now: str) -> str:
    """The story as it stands in the file; `now`, where it is to be written anew."""
    if IS_REWRITING:
        file.write_text(now, encoding="utf-8")
    return file.read_text(encoding="utf-8")
