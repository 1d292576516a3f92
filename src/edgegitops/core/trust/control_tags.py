"""Law: a control tag is an annotated tag, signed for `git`, whose message is a subject and strict trailers.

1. The ref is `refs/tags/rollout/<deployment>/<number, 6 digits>`, and the tag calls itself so too. It names a commit.
2. The message is one subject line, a blank line, and trailers `Key: value`, one a line, to the end. Keys stand at most
   once, but `Previous` and `Forgives`. Which are needed is the table below; others are refused.
3. `Repository` is the fleet's, `Deployment` the one of the ref.
4. The signature is by a key that the root chain has ever held. Its roles are those that it ever held; a positive
   statement has effect only while the root in force lists the key with that role, does not revoke it, and it is valid.
What does not fit is refused and takes no part. `git tag -s` with such a message makes the same tag.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

from edgegitops.core.model.canonical import sha256_hex
from edgegitops.core.model.control import ControlKind, ControlTag, Forgiven
from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import Refused, RootDocument
from edgegitops.core.trust import sshsig
from edgegitops.core.trust.lookup import about
from edgegitops.core.trust.objects import Tag, parse_tag
from edgegitops.core.trust.rules import Authority

PREFIX = "refs/tags/"
NONE = "none"
SIZE_MOST = 64 * 1024
_REF = re.compile(r"rollout/([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)/([0-9]{6})\Z")
_NUMBER = re.compile(r"[0-9]{6}\Z")
_NUMBER_MOST = 999_999
_TRAILER = re.compile(r"([A-Z][A-Za-z-]{1,30}): (\S.{0,999})\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")
_FORGIVES = re.compile(r"([a-z0-9-]{1,63}/[a-z0-9-]{1,63})@([0-9]{1,16})\Z")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")
_SEVERAL = frozenset({"Previous", "Forgives"})
_ALWAYS = frozenset({"Kind", "Repository", "Deployment", "Previous"})
_ALLOWED = _ALWAYS | {"Expires", "Reason"}
_MORE: Mapping[ControlKind, tuple[frozenset[str], frozenset[str]]] = {
    ControlKind.APPROVE: (frozenset({"Wave"}), frozenset({"Policy"})),
    ControlKind.HALT: (frozenset(), frozenset()),
    ControlKind.RESUME: (frozenset({"Resumes"}), frozenset()),
    ControlKind.REVOKE: (frozenset(), frozenset({"To"})),
    ControlKind.ROLLBACK: (frozenset(), frozenset({"To"})),
    ControlKind.RETRY: (frozenset(), frozenset({"Forgives"})),
    ControlKind.HOTFIX: (frozenset({"Expires"}), frozenset({"Ignore-Windows"})),
}
"""Trailers that a kind needs, and that it may have, beyond the common ones."""


@dataclass(frozen=True)
class Signers:
    """Whose signatures count: every root from the pinned one on, the last in force; `now` is the trusted instant."""

    repository: str
    roots: Sequence[RootDocument]
    now: datetime
    skew: timedelta = timedelta(minutes=5)

    @cached_property
    def _authorities(self) -> tuple[Authority, ...]:
        return tuple(Authority(root) for root in self.roots)

    def ever(self, key: str) -> frozenset[str] | None:
        """The roles that a key ever held; None where no root ever knew it."""
        knowing = [one for one in self._authorities if key in one.root.keys]
        return frozenset().union(*(one.roles_of(key) for one in knowing)) if knowing else None

    def owner(self, key: str) -> str:
        """Whose key it is, as the newest root that knows it says."""
        return next((one.owner_of(key) for one in reversed(self._authorities) if key in one.root.keys), "")

    def holders(self, role: str) -> tuple[str, ...]:
        """Whose keys hold a role in the root in force, and count now."""
        root = self.roots[-1]
        keys = root.roles[role].keys if role in root.roles else ()
        return tuple(sorted({self.owner(key) or key[:12] for key in keys if role in self.current(key)}))

    def current(self, key: str) -> frozenset[str]:
        """The roles that a key holds under the root in force; none where it does not count now."""
        authority = self._authorities[-1]
        return frozenset() if authority.judge_key(key, self.now, self.skew) else authority.roles_of(key)


@dataclass(frozen=True, slots=True)
class _Said:
    """The trailers of a message."""

    one: Mapping[str, str]
    many: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verified:
    """What was verified before, and noted where only root may write: the digest of a payload, and the key's id."""

    payload: str
    key: str


def taken_number(place: str) -> int | None:
    """The number that a ref takes, whoever made it; `place` is what stands behind the deployment. A ref below a number
    takes it too: git lets no tag be beside it. None: it takes none.
    """
    number = place.partition("/")[0]
    return int(number) if _NUMBER.match(number) else None


def names_in_the_way(deployment: str) -> tuple[str, ...]:
    """The refs that bar every control tag of a deployment where they are: git lets no ref be below another."""
    return f"{PREFIX}rollout", f"{PREFIX}rollout/{deployment}"


def next_number(taken: Collection[int]) -> int | None:
    """The number behind the highest, or the highest that is free below it: numbers only order refs, and one that
    somebody wasted stops nobody. None: all are taken.
    """
    highest = max(taken, default=0)
    if highest < _NUMBER_MOST:
        return highest + 1
    return next((number for number in range(_NUMBER_MOST, 0, -1) if number not in taken), None)


def read_control_tag(ref: str, data: bytes, signers: Signers) -> ControlTag | Refused:
    """The control tag that a ref names; `data` are the tag object's bytes."""
    opened = open_control_tag(ref, data, signers.repository)
    return opened if isinstance(opened, Refused) else with_roles(ref, opened, signers)


def open_control_tag(ref: str, data: bytes, repository: str, proof: Verified | None = None) -> ControlTag | Refused:
    """The control tag of a key that signed it, whatever that may: the same bytes always give the same answer. With a
    proof for its payload the signature is not looked at.
    """
    if len(data) > SIZE_MOST:
        return Refused(ref, Doubt.OBJECT_TOO_LARGE, f"{len(data)} bytes, a control tag may have {SIZE_MOST}")
    place = _REF.match(ref.removeprefix(PREFIX))
    tag = parse_tag(data)
    if place is None:
        return _odd(ref, "its name is not rollout/<deployment>/<number, 6 digits>")
    if isinstance(tag, Refused):
        return about(ref, tag)
    if tag.name != ref.removeprefix(PREFIX) or tag.kind != "commit":
        return _odd(ref, f"the tag calls itself {tag.name!a} and names a {tag.kind}")
    key = _key_of(tag, sha256_hex(tag.payload), proof)
    if isinstance(key, Refused):
        return about(ref, key)
    said = _trailers(tag.payload.partition(b"\n\n")[2])
    if isinstance(said, str):
        return _odd(ref, said)
    wrong = _wrong(said, repository, place[1])
    if wrong:
        return _odd(ref, wrong)
    return replace(_tag(said, place, sha256_hex(tag.payload), tag.object), key=key)


def _key_of(tag: Tag, payload: str, proof: Verified | None) -> str | Refused:
    """The id of the key that signed it."""
    if proof is not None and proof.payload == payload:
        return proof.key
    if tag.signature is None:
        return Refused("", Doubt.UNSIGNED, "the tag has no signature; make it with `git tag -s`")
    signed = sshsig.verify(tag.signature, tag.payload, sshsig.NAMESPACE_GIT)
    return signed if isinstance(signed, Refused) else signed.key_id


def with_roles(ref: str, tag: ControlTag, signers: Signers) -> ControlTag | Refused:
    """The tag with what its key ever might, and may now; Refused where the fleet never knew the key."""
    roles = signers.ever(tag.key)
    if roles is None:
        return Refused(ref, Doubt.KEY_UNKNOWN, f"no root of this fleet ever knew key {tag.key}")
    return replace(tag, owner=signers.owner(tag.key), roles=roles, roles_now=signers.current(tag.key))


def _tag(said: _Said, place: re.Match[str], payload: str, target: str) -> ControlTag:
    one = said.one
    forgives = (forgiven_of(text) for text in said.many.get("Forgives", ()))
    return ControlTag(
        payload=payload,
        number=int(place[2]),
        deployment=place[1],
        kind=ControlKind(one["Kind"]),
        target=target,
        owner="",
        previous=tuple(sorted(one for one in said.many["Previous"] if one != NONE)),
        wave=one.get("Wave", ""),
        expires_at=_instant(one["Expires"]) if "Expires" in one else None,
        reason=one.get("Reason", ""),
        to=one.get("To", ""),
        is_for_current_policy=one.get("Policy") == "current",
        forgives=tuple(one for one in forgives if one),
        ignores_windows=one.get("Ignore-Windows") == "yes",
        resumes=one.get("Resumes", ""),
    )


def forgiven_of(text: str) -> Forgiven | None:
    """The failure that `<site>/<node>@<report sequence>` names; None where it has another form."""
    found = _FORGIVES.match(text)
    return Forgiven(found[1], int(found[2])) if found else None


def _trailers(message: bytes) -> _Said | str:
    """The trailers, or what is wrong with the message."""
    try:
        text = message.decode("utf-8")
    except UnicodeDecodeError:
        return "its message is not UTF-8"
    subject, blank, rest = text.partition("\n\n")
    if not subject.strip() or "\n" in subject or not blank or not rest.endswith("\n"):
        return "its message is not a subject line, a blank line, and trailers to the end"
    one: dict[str, str] = {}
    many: dict[str, list[str]] = {}
    for line in rest[:-1].split("\n"):
        found = _TRAILER.match(line)
        if found is None or not line.isprintable():
            return f"a line that is no trailer `Key: value`: {line[:80]!a}"
        key, value = found[1], found[2]
        if key in _SEVERAL:
            many.setdefault(key, []).append(value)
        elif one.setdefault(key, value) is not value:
            return f"two trailers {key}"
    return _Said(one, {key: tuple(values) for key, values in many.items()})


def _wrong(said: _Said, repository: str, deployment: str) -> str:
    """What is wrong with the trailers; empty where nothing is."""
    one = said.one
    kind = one.get("Kind", "")
    if kind not in list(ControlKind):
        return f"Kind: {kind!a} is none of {', '.join(ControlKind)}"
    needs, may = _MORE[ControlKind(kind)]
    keys = one.keys() | said.many.keys()
    lacking, odd = (_ALWAYS | needs) - keys, keys - _ALLOWED - needs - may
    if lacking or odd:
        return (
            f"a {kind} needs {', '.join(sorted(lacking))}" if lacking else f"a {kind} has no {', '.join(sorted(odd))}"
        )
    if one["Repository"] != repository:
        return f"Repository: {one['Repository']!a} is another fleet's"
    if one["Deployment"] != deployment:
        return f"Deployment: {one['Deployment']!a} is not the one of its name"
    return _wrong_values(said)


def _wrong_values(said: _Said) -> str:
    one, previous = said.one, said.many["Previous"]
    if (NONE in previous and len(previous) > 1) or len(set(previous)) < len(previous):
        return "Previous: none stands alone, and no tag stands twice"
    forms = [
        *((text, _SHA256, "Previous") for text in previous if text != NONE),
        *((text, _FORGIVES, "Forgives") for text in said.many.get("Forgives", ())),
        *((one[key], form, key) for key, form in _FORMS.items() if key in one),
    ]
    for text, form, key in forms:
        if not form.match(text):
            return f"{key}: {text[:80]!a} does not have the form of that trailer"
    return "Expires: there is no such instant" if "Expires" in one and _instant(one["Expires"]) is None else ""


_FORMS: Mapping[str, re.Pattern[str]] = {
    "Expires": _INSTANT,
    "To": _COMMIT,
    "Resumes": _SHA256,
    "Policy": re.compile(r"current\Z"),
    "Ignore-Windows": re.compile(r"yes\Z"),
    "Wave": re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z"),
}


def _instant(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _odd(ref: str, what: str) -> Refused:
    return Refused(ref, Doubt.MALFORMED_OBJECT, what)
