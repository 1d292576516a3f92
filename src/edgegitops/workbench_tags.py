"""Joins a person's git to the control tags of a clone and of its remote: fetch them, push one, and say which tag bars
them all. Git keeps no ref below another, so a tag `rollout/<deployment>` lets none be beside it. It decides nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgegitops.core.model.control import ControlTag
from edgegitops.errors import DeniedError
from edgegitops.workbench_rollout import name_of

if TYPE_CHECKING:
    from edgegitops.adapters.tags_git import Tags


def fetch_tags(path: Path, remote: str, deployment: str) -> frozenset[str]:
    """Fetch the control tags of a deployment. Refs under which the remote has another tag stay as they are here; they
    are the answer.
    """
    from edgegitops.adapters.repository_clone import Clone
    from edgegitops.adapters.tags_git import Tags

    tags = Tags(path)
    try:
        tags.fetch(remote, f"rollout/{deployment}/")
    except DeniedError:
        here = Clone(path).refs(f"refs/tags/rollout/{deployment}/")
        there = tags.shown(remote, f"rollout/{deployment}/")
        other = frozenset(ref for ref, oid in there.items() if here.get(ref, oid) != oid)
        if not other:
            raise
        return other
    return frozenset()


def require_room(path: Path, deployment: str) -> None:
    """DeniedError: a tag of this clone bars every control tag of the deployment."""
    from edgegitops.adapters.repository_clone import Clone
    from edgegitops.core.trust.control_tags import names_in_the_way

    barring = Clone(path).refs("refs/tags/rollout").keys() & set(names_in_the_way(deployment))
    for ref in sorted(barring):
        words = f"; where it was pushed, there too: git push origin --delete {ref}"
        raise _barred(ref, f"this clone: git tag -d {ref.removeprefix('refs/tags/')}{words}")


def push_tag(path: Path, remote: str, tag: ControlTag) -> None:
    """Push one tag. DeniedError: git said no, or a tag over there bars it."""
    from edgegitops.adapters.tags_git import Tags

    tags = Tags(path)
    with telling_what_bars(tags, remote, tag.deployment):
        tags.push(remote, name_of(tag))


@contextmanager
def telling_what_bars(tags: "Tags", remote: str, deployment: str) -> Iterator[None]:
    """A push that fails says which tag of the remote bars every control tag of the deployment, where there is one."""
    from edgegitops.core.trust.control_tags import names_in_the_way

    try:
        yield
    except DeniedError as error:
        barring = tags.shown(remote, "rollout").keys() & set(names_in_the_way(deployment))
        for ref in sorted(barring):
            raise _barred(ref, f"{remote}: git push {remote} --delete {ref}") from error
        raise


def _barred(ref: str, where: str) -> DeniedError:
    name = ref.removeprefix("refs/tags/")
    words = f"there is a tag {name}, and git lets no tag {name}/… be beside it; delete it in {where}"
    return DeniedError("git", "make a control tag", words)
