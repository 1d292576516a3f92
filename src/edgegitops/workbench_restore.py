"""Joins adapters to the showing again of control tags that a remote lost, from a clone or from a node; it decides
nothing.

A clone gives what its refs name, what other repositories on this machine hold, and where something is still sought,
every tag object that lies in it. A node gives what its agent keeps for ever. At a node nothing is written: the mirror
is the agent's. DeniedError: git said no, in its own words; nothing is believed; the agent keeps no such tag.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgegitops import bootstrap
from edgegitops.core.model.trust import Refused, TrustLimits
from edgegitops.errors import DeniedError

if TYPE_CHECKING:
    from edgegitops.adapters.repository_clone import Clone
    from edgegitops.adapters.tags_git import Tags
    from edgegitops.core.model.node_config import NodeConfig
    from edgegitops.core.overview.lost_tags import Held, Losses, Sought, Turn
    from edgegitops.core.trust.control_tags import Signers
    from edgegitops.core.trust.lookup import Lookup
    from edgegitops.workbench_rollout import Desk, Source

_PORT = "rollout"


@dataclass(frozen=True)
class Archive:
    """What is here of a deployment's control tags, beside what a remote shows. `desk` is None at a node. `strangers`
    are tag objects of other repositories, which have to be stored before they are pushed, by id; `refs` what the clone
    names already.
    """

    losses: "Losses"
    sought: "tuple[Sought, ...]"
    turns: "tuple[Turn, ...]"
    remote: str
    git: "Tags"
    desk: "Desk | None" = None
    strangers: Mapping[str, bytes] = field(default_factory=dict)
    refs: frozenset[str] = frozenset()

    def show(self, one: "Held") -> None:
        """Push a lost tag under its own name, and name it in the clone too. DeniedError: git said no."""
        from edgegitops.workbench_tags import telling_what_bars

        if one.object in self.strangers:
            self.git.store(self.strangers[one.object])
        with telling_what_bars(self.git, self.remote, one.tag.deployment):
            self.git.show(self.remote, one.ref, one.object)
        if self.desk is not None and one.ref not in self.refs:
            self.git.keep(one.ref, one.object)


def of_clone(path: Path, deployment: str, remote: str, others: Iterable[Path], reports: "Source") -> Archive:
    """The archive of a clone."""
    from edgegitops.adapters.repository_clone import Clone
    from edgegitops.adapters.tags_git import Tags
    from edgegitops.core.overview.lost_tags import losses, sought, turns
    from edgegitops.workbench_rollout import open_desk
    from edgegitops.workbench_tags import require_room

    require_room(path, deployment)
    git, prefix = Tags(path), f"rollout/{deployment}/"
    shown = git.shown(remote, prefix)
    refs = Clone(path).refs(f"refs/tags/{prefix}")
    git.bring(remote, [ref for ref, oid in shown.items() if oid not in refs.values()])
    desk = open_desk(path, deployment, reports)
    clone = Clone(path)
    oids = dict.fromkeys([*refs.values(), *shown.values()])
    held = list(_read(_lookup(clone), oids, desk.signers, deployment))
    strangers: dict[str, bytes] = {}
    for other in others:
        found, data = _of_other(Clone(other), desk.signers, deployment)
        held += found
        strangers |= {oid: raw for oid, raw in data.items() if oid not in oids}
    log, evidence = desk.situation.log, desk.situation.reading.evidence
    if sought(losses(held, shown, log).whole, evidence, deployment):
        held += _read(_lookup(clone), clone.loose_tags(), desk.signers, deployment)
    lost = losses(held, shown, log)
    return Archive(
        lost,
        sought(lost.whole, evidence, deployment),
        turns(desk.situation, lost),
        remote,
        git,
        desk,
        strangers,
        frozenset(refs),
    )


def of_node(config: "NodeConfig", deployment: str) -> Archive:
    """The archive of a node: what its agent keeps, and what the remote shows to the node's own credentials."""
    from edgegitops import bootstrap_node
    from edgegitops.adapters.tags_git import Tags, node_environment
    from edgegitops.core.overview.lost_tags import Held, losses, sought
    from edgegitops.core.rollout.control_log import ControlLog
    from edgegitops.core.rollout.evidence import Evidence

    kept = bootstrap_node.kept_tags(config, bootstrap_node.remember(config), deployment)
    if not kept:
        raise DeniedError(_PORT, f"look at {deployment}", "the agent of this node keeps no control tag of it")
    remote = config.remote
    proof = node_environment(
        login=bootstrap.login_of(config),
        ssh=(remote.key_file, remote.known_hosts_file),
        ca_file=remote.ca_file,
        proxy=remote.proxy,
    )
    git = Tags(Path(config.state) / "mirror.git", proof)
    shown = git.shown(remote.url, f"rollout/{deployment}/")
    lost = losses((Held(ref, oid, tag) for ref, oid, tag in kept), shown, ControlLog(now=bootstrap_node.now()))
    return Archive(lost, sought(lost.whole, Evidence(), deployment), (), remote.url, git)


def _of_other(other: "Clone", signers: "Signers", deployment: str) -> "tuple[list[Held], dict[str, bytes]]":
    """What another repository of this machine holds: a colleague's clone, or a node's mirror on a stick."""
    lookup = _lookup(other)
    found = list(_read(lookup, other.loose_tags(), signers, deployment))
    data = ((one.object, lookup.objects.read(one.object)) for one in found)
    return found, {oid: raw.data for oid, raw in data if raw is not None}


def _lookup(clone: "Clone") -> "Lookup":
    from edgegitops.adapters.repository_pygit2 import MirrorObjects
    from edgegitops.core.trust.lookup import Lookup

    return Lookup(MirrorObjects(lambda: clone.odb, str(clone.path)), TrustLimits())


def _read(lookup: "Lookup", oids: Iterable[str], signers: "Signers", deployment: str) -> "Iterator[Held]":
    """The tag objects of these that are control tags of the deployment; a tag says its own name."""
    from edgegitops.core.overview.lost_tags import Held
    from edgegitops.core.trust.control_tags import PREFIX, SIZE_MOST, read_control_tag
    from edgegitops.core.trust.objects import parse_tag

    for oid in oids:
        data = lookup.read(oid, "tag", limit=SIZE_MOST)
        told = data if isinstance(data, Refused) else parse_tag(data)
        if isinstance(data, Refused) or isinstance(told, Refused):
            continue
        found = read_control_tag(f"{PREFIX}{told.name}", data, signers)
        if not isinstance(found, Refused) and found.deployment == deployment:
            yield Held(f"{PREFIX}{told.name}", oid, found)
