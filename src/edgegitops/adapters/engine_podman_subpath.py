"""Law: a container gets the folder inside a volume that its mount names, and never what a link there points at.

Podman 4 mounts volumes only as a whole, so the folder is bound by its path. Whoever writes to the volume can put a link
in its place at any moment, and an engine follows links. Therefore:
1. The folder is walked to part by part, no link followed, and made where it is absent, before creation and each start.
2. What the engine has mounted is compared with what such a walk finds, after the mounts are made and before the program
   runs; another folder is a refusal, whatever the path says by then. A mount cannot be moved by renaming its source.
3. Where the processes of the engine cannot be seen, nothing can be compared, and that is a refusal too.
The folder gets the owner and mode of the volume. Nothing is copied into it from the image.

Errors are OSError; what they mean to a step is told by the engine's adapter.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from edgegitops.adapters.engine_podman_folders import FOLDER, MissingError, opened, own

Task = Mapping[str, Any]


def volumes_of(work: Sequence[Task]) -> frozenset[str]:
    """The volumes (engine names) of which folders are mounted."""
    return frozenset(task["volume"] for task in work if "folder" in task)


def make(work: Sequence[Task], places: Mapping[str, str]) -> None:
    """Make the folders that are absent; `places` maps volumes to where their data lies."""
    for task in work:
        if "folder" in task:
            with _walked(task, places, is_made=True) as handle:
                own(handle, task)


def demand_mounted(work: Sequence[Task], places: Mapping[str, str], process: str) -> None:
    """MissingError where a container has something else than the folder; `process` is the folder of its first process
    in the process table.
    """
    for task in work:
        if "folder" not in task:
            continue
        with _walked(task, places) as ours, _opened_inside(f"{process}/root", task["target"]) as theirs:
            if not os.path.samestat(os.fstat(ours), os.fstat(theirs)):
                message = f"{task['target']} is not the folder {task['folder']} of the volume: a link was there"
                raise MissingError(message)


@contextmanager
def _walked(task: Task, places: Mapping[str, str], *, is_made: bool = False) -> Iterator[int]:
    at = os.open(places[task["volume"]], FOLDER)
    try:
        for part in task["folder"].split("/"):
            below = opened(at, part, task) if is_made else os.open(part, FOLDER, dir_fd=at)
            os.close(at)
            at = below
        yield at
    finally:
        os.close(at)


@contextmanager
def _opened_inside(root: str, target: str) -> Iterator[int]:
    """What is mounted at a target inside a container that does not run yet, no link followed."""
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # itself a link of the kernel's
    try:
        for part in target.strip("/").split("/"):
            below = os.open(part, FOLDER, dir_fd=at)
            os.close(at)
            at = below
        yield at
    finally:
        os.close(at)
