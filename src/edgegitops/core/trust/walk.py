"""Law: which commits are believed. The first-parent chain from the floor to the tip is judged oldest first.

1. The chain must contain the floor, found by payload digest: anybody can wrap a commit's signature anew into another
   commit id, and that must neither wedge a node nor move it back. Without a floor the enrolment checkpoint is it. The
   checkpoint itself is enrolment's word: neither its signature nor what lies before it is judged, but the roots in its
   tree are (`root`).
2. Each commit is judged under the trust state before it: an SSHSIG for `git` over its payload by a key that counts
   (`rules`), whose roles cover every path that differs from the first parent. Who signs a merge answers for all that
   it brings. The trust state moves on before any content of a later commit is judged.
3. Files in `trust/root` are only ever added. A commit that adds nothing but the next roots and their signatures is
   authorised by those signatures; who signed the commit must then be any key that counts before or after it, because
   otherwise a server could publish a prepared rotation in a commit of its own and make the histories diverge.
4. The first commit that is not believed stops the walk; the prefix before it stands.
5. Expired keys and roots: such a commit stands once a later commit of the chain, by a key that counts and holds roles
   for the same paths, follows, or a freshness statement (`freshness`) names it or a later one. Only the tail behind the
   last such commit is refused. A node back from months offline would otherwise be wedged.
6. Time is max(now, clock floor); the committer's date is never looked at. The clock floor is moved by signed
   statements only (`issuedAt` of a root in force or of a freshness statement), never by the local clock alone, which
   may be wrong for a while.
7. An anchor is the word of an operator at the node: the walk begins there instead of at the floor, as it begins at the
   checkpoint of an enrolment. Root version and clock of the floor still hold: recovery takes back no revocation.

The floor follows signatures: whether the manifests of a believed commit are valid is not asked here.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from edgegitops.core.model.canonical import sha256_hex
from edgegitops.core.model.objects import Objects
from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import Accepted, Belief, Floor, Freshness, Pin, Refused, TrustLimits, TrustState
from edgegitops.core.trust import freshness, sshsig
from edgegitops.core.trust.changes import Change, changes
from edgegitops.core.trust.lookup import Lookup, about
from edgegitops.core.trust.objects import Commit, first_parent, parse_commit
from edgegitops.core.trust.root import find_state, following_state, version_of
from edgegitops.core.trust.root_document import FOLDER
from edgegitops.core.trust.rules import Authority

NO_TIME_KNOWN = datetime.fromtimestamp(0, UTC)
EXPIRED = frozenset({Doubt.KEY_EXPIRED, Doubt.ROOT_EXPIRED})


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the walk stands: after a commit with this tree, under this authority, with this clock floor and the newest
    freshness statement.
    """

    tree: str
    state: TrustState
    authority: Authority
    clock: datetime
    fresh: Freshness | None = None


@dataclass(frozen=True, slots=True)
class _Allowed:
    """What a key was allowed. `needs`: for each path any one of these roles. `roles`: with which it can cover earlier
    commits (none for a rotation, which its signer's roles do not carry). `late`: the expiry that must be covered.
    """

    needs: frozenset[frozenset[str]]
    roles: frozenset[str]
    late: Refused | None


@dataclass(frozen=True, slots=True)
class _Step:
    """A commit that may stand, and where the walk is after it. `vouched`: up to which commit its statement speaks."""

    accepted: Accepted
    after: _Place
    needs: frozenset[frozenset[str]]
    roles: frozenset[str]
    late: Refused | None
    vouched: str = ""


def walk(  # noqa: PLR0913 - the whole question: what is pinned, where we stand, what is offered, and when
    pin: Pin,
    floor: Floor | None,
    tip: str,
    objects: Objects,
    *,
    now: datetime,
    limits: TrustLimits | None = None,
    anchor: str = "",
) -> Belief:
    """What is believed of `tip`. `now` is the wall clock (aware); `floor` None: nothing was believed before. `anchor`:
    the commit that an operator told to begin at; empty where none did.
    """
    if floor and floor.commit == tip and not anchor:
        return Belief(floor)
    lookup = Lookup(objects, limits or TrustLimits())
    start = _enrolled(pin, floor, anchor, lookup) if anchor or floor is None else floor
    if isinstance(start, Refused):
        return Belief(floor, (), start)
    place = _standing_at(start, pin, lookup)
    if isinstance(place, Refused):
        return Belief(floor, (), place)
    chain = _chain_after(start.payload, tip, lookup)
    if isinstance(chain, Refused):
        return Belief(floor, (), chain if start is floor else _said_of_start(chain, anchor or pin.checkpoint, anchor))
    if start is not floor:
        fresh = freshness.find_freshness(lookup, start.commit, start.tree, place.authority, at=max(now, place.clock))
        place = _refreshed(place, fresh)
        start = replace(start, root_version=place.state.root.version, clock=place.clock, fresh=place.fresh)
    steps, refused = _longest_prefix(chain, place, lookup, now)
    return Belief(_floor_after(steps, start), tuple(step.accepted for step in steps), refused)


def _floor_after(steps: list[_Step], start: Floor) -> Floor:
    if not steps:
        return start
    last = steps[-1]
    after, of = last.after, last.accepted
    return Floor(of.commit, of.payload, of.tree, after.state.root.version, after.clock, after.fresh, start.era)


def _enrolled(pin: Pin, floor: Floor | None, anchor: str, lookup: Lookup) -> Floor | Refused:
    """The checkpoint (or anchor) as a floor, before its roots are read; roots and time of the floor stay."""
    checkpoint = anchor or pin.checkpoint
    data = lookup.commit(checkpoint)
    commit = parse_commit(data) if isinstance(data, bytes) else data
    if isinstance(commit, Refused):
        what = "the commit to begin anew at" if anchor else "the enrolment checkpoint"
        detail = f"{what} cannot be read: {commit.detail}; check the repository and what was pinned"
        return Refused(checkpoint, Doubt.CHECKPOINT_MISSING, detail)
    version, clock = (floor.root_version, floor.clock) if floor else (0, NO_TIME_KNOWN)
    era = (floor.era if floor else 0) + bool(anchor)
    return Floor(checkpoint, sha256_hex(commit.payload), commit.tree, version, clock, era=era)


def _said_of_start(refused: Refused, commit: str, anchor: str) -> Refused:
    if refused.doubt is not Doubt.HISTORY_DIVERGED:
        return refused
    what, doubt = (
        ("commit to begin anew at,", refused.doubt) if anchor else ("enrolment checkpoint", Doubt.CHECKPOINT_MISSING)
    )
    return Refused(refused.subject, doubt, f"the first-parent history of this tip does not contain the {what} {commit}")


def _standing_at(floor: Floor, pin: Pin, lookup: Lookup) -> _Place | Refused:
    """The floor's trust state, derived again from its tree."""
    state = find_state(pin, lookup, floor.tree)
    if isinstance(state, Refused):
        return about(floor.commit, state, where=state.subject)
    if state.root.version < floor.root_version:
        detail = f"the floor was under root {floor.root_version}, its tree has root {state.root.version}"
        return Refused(floor.commit, Doubt.ROOT_VERSION, detail)
    return _place(floor.tree, state, floor.clock, fresh=floor.fresh)


def _place(
    tree: str, state: TrustState, clock: datetime, *, fresh: Freshness | None, like: _Place | None = None
) -> _Place:
    is_same = like is not None and like.state is state
    authority = like.authority if like is not None and is_same else Authority(state.root)
    issued_at = state.root.issued_at
    return _Place(tree, state, authority, max(clock, issued_at) if issued_at else clock, fresh)


def _refreshed(place: _Place, found: Freshness | Refused | None) -> _Place:
    """The place with this statement, where it is believed and newer."""
    if not isinstance(found, Freshness) or (place.fresh and place.fresh.issued_at >= found.issued_at):
        return place
    return replace(place, fresh=found, clock=max(place.clock, found.issued_at))


def _chain_after(payload: str, tip: str, lookup: Lookup) -> list[str] | Refused:
    """The first-parent chain to the tip, oldest first, after the commit with this payload digest.

    A malformed commit does not end the way back: it will stop the walk, but what lies before it must be found.
    """
    chain: list[str] = []
    oid: str | None = tip
    while oid is not None:
        data = lookup.commit(oid)
        if isinstance(data, Refused):
            return data
        commit = parse_commit(data)
        if isinstance(commit, Commit) and sha256_hex(commit.payload) == payload:
            chain.reverse()
            return chain
        chain.append(oid)
        if len(chain) > lookup.limits.commits:
            detail = f"more than {lookup.limits.commits} commits between it and the last believed one"
            return Refused(tip, Doubt.LIMIT_EXCEEDED, detail)
        oid = first_parent(data)
    detail = (
        "its first-parent history does not contain the last believed commit; where that is wanted, "
        "run `edgegitops trust reanchor COMMIT` on the node"
    )
    return Refused(tip, Doubt.HISTORY_DIVERGED, detail)


def _longest_prefix(
    chain: list[str], place: _Place, lookup: Lookup, now: datetime
) -> tuple[list[_Step], Refused | None]:
    """The commits that stand, and why the one after them does not."""
    steps: list[_Step] = []
    uncovered: dict[frozenset[frozenset[str]], list[int]] = {}
    refused: Refused | None = None
    for oid in chain:
        step = _judge(oid, place, lookup, max(now, place.clock))
        if isinstance(step, Refused):
            refused = step
            break
        if uncovered and step.vouched:
            upto = next((at for at, one in enumerate(steps) if one.accepted.commit == step.vouched), -1)
            left = {needs: [at for at in places if at > upto] for needs, places in uncovered.items()}
            uncovered = {needs: places for needs, places in left.items() if places}
        if step.late:
            uncovered.setdefault(step.needs, []).append(len(steps))
        elif uncovered:
            uncovered = {needs: places for needs, places in uncovered.items() if not _has_all(step.roles, needs)}
        steps.append(step)
        place = step.after
    if uncovered:
        first = min(places[0] for places in uncovered.values())
        return steps[:first], steps[first].late
    return steps, refused


def _has_all(roles: frozenset[str], needs: frozenset[frozenset[str]]) -> bool:
    return all(need & roles for need in needs)


def _judge(oid: str, place: _Place, lookup: Lookup, at: datetime) -> _Step | Refused:
    """The commit `oid` that follows `place`, judged at this instant."""
    data = lookup.commit(oid)
    commit = parse_commit(data) if isinstance(data, bytes) else data
    if isinstance(commit, Refused):
        return about(oid, commit)
    if commit.signature is None:
        return Refused(oid, Doubt.UNSIGNED, "the commit has no signature; sign it with `git commit -S`")
    signed = sshsig.verify(commit.signature, commit.payload, sshsig.NAMESPACE_GIT)
    if isinstance(signed, Refused):
        return about(oid, signed)
    differing = changes(lookup, place.tree, commit.tree)
    if isinstance(differing, Refused):
        return about(oid, differing)
    state = _state_after(place, commit.tree, differing, lookup)
    if isinstance(state, Refused):
        return about(oid, state, where=state.subject)
    after = _place(commit.tree, state, place.clock, fresh=place.fresh, like=place)
    allowed = _authorise(signed.key_id, differing, (place, after), at, lookup.limits)
    if isinstance(allowed, Refused):
        return about(oid, allowed)
    owner = place.authority.owner_of(signed.key_id) or after.authority.owner_of(signed.key_id)
    accepted = Accepted(oid, sha256_hex(commit.payload), commit.tree, signed.key_id, owner)
    late = about(oid, allowed.late) if allowed.late else None
    step = _Step(accepted, after, allowed.needs, allowed.roles, late)
    if not any(change.path.startswith(f"{freshness.FOLDER}/") for change in differing):
        return step
    fresh = freshness.find_freshness(lookup, oid, commit.tree, place.authority, at=at)
    vouched = fresh.commit if isinstance(fresh, Freshness) else ""
    return replace(step, after=_refreshed(after, fresh), vouched=vouched)


def _state_after(place: _Place, tree: str, differing: tuple[Change, ...], lookup: Lookup) -> TrustState | Refused:
    """The trust state after a commit with these changes."""
    touched = [change for change in differing if change.path.startswith(f"{FOLDER}/")]
    if not touched:
        return place.state
    for change in touched:
        if not change.is_added:
            detail = "root documents and their signatures are never changed or removed; add the next version instead"
            return Refused(change.path, Doubt.ROOT_VERSION, detail)
    return following_state(place.state, lookup, tree)


def _authorise(
    key: str, differing: tuple[Change, ...], places: tuple[_Place, _Place], at: datetime, limits: TrustLimits
) -> _Allowed | Refused:
    """Why the key may make these changes, or why not."""
    before, after = places
    doubt = before.authority.judge_key(key, at, limits.clock_skew)
    if _is_rotation_only(differing, places):
        later = after.authority.judge_key(key, at, limits.clock_skew)
        doubt = min((doubt, later), key=_weight)
        return doubt if doubt and doubt.doubt not in EXPIRED else _Allowed(frozenset(), frozenset(), doubt)
    if doubt and doubt.doubt not in EXPIRED:
        return doubt
    roles = before.authority.roles_of(key)
    needs: set[frozenset[str]] = set()
    for change in differing:
        need = before.authority.need(change.path)
        if isinstance(need, Refused):
            return need
        if need is None or need in needs:
            continue
        if not need & roles:
            return _role_missing(change.path, need, before.authority.owner_of(key) or key, roles)
        needs.add(need)
    return _Allowed(frozenset(needs), roles, doubt)


def _role_missing(path: str, need: frozenset[str], who: str, roles: frozenset[str]) -> Refused:
    wanted, has = " or ".join(sorted(need)) or "nobody's", ", ".join(sorted(roles)) or "none"
    return Refused(path, Doubt.ROLE_MISSING, f"{path!r} needs the role {wanted}; {who} has {has}")


def _weight(doubt: Refused | None) -> int:
    """No doubt before one that a later commit may cover, before one that stands."""
    if doubt is None:
        return 0
    return 1 if doubt.doubt in EXPIRED else 2


def _is_rotation_only(differing: tuple[Change, ...], places: tuple[_Place, _Place]) -> bool:
    """Whether the commit adds the next roots and their signatures, and nothing else."""
    before, after = (place.state.root.version for place in places)
    return after > before and all(before < (version_of(change.path) or 0) <= after for change in differing)
