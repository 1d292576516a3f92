"""Law: a freshness statement says that the history up to a commit was all that there was at an instant.

Without one, a server that shows the same old tip for ever looks like a quiet week. It is the file
`trust/freshness/statement.json` with its signature `statement.sig` beside it (`ssh-keygen -Y sign -n
edgegitops-freshness`), brought by a commit on top of the one that it names:

    {"repository": "urn:uuid:…", "commit": "<40 hex>", "issuedAt": "2026-06-01T00:00:00Z",
     "expiresAt": "2026-06-15T00:00:00Z"}

1. It is believed where it is of this repository, signed by a key that counts now and holds the role `freshness` before
   the commit that brings it, not issued later than now (with the allowed skew), and names a commit of the first-parent
   history that brings it. Anything else is passed over: no statement, whatever it says, stops the walk.
2. It moves the clock floor: two agree on the instant, who signed it and this node's own clock. One alone could not, or
   a stolen key or a wrong clock would make all other keys expire.
3. Commits by expired keys up to the named commit stand (`walk`, rule 5).
4. Of two believed statements the later one counts.
"""

from datetime import datetime

from edgegitops.core.model.codec import from_tree
from edgegitops.core.model.reasons import Doubt
from edgegitops.core.model.trust import Freshness, Refused
from edgegitops.core.trust import sshsig
from edgegitops.core.trust.lookup import Lookup
from edgegitops.core.trust.objects import OID, first_parent
from edgegitops.core.trust.rules import Authority
from edgegitops.core.trust.strict_json import read_strict

ROLE = "freshness"
FOLDER = "trust/freshness"
STATEMENT = f"{FOLDER}/statement.json"
SIGNATURE = f"{FOLDER}/statement.sig"
NAMED_WITHIN = 1000
"""How many first parents back a statement may name: others may have merged while it was made."""


def read_statement(data: bytes, repository: str) -> Freshness | Refused:
    """The statement that these bytes are; who signed it is not asked."""
    try:
        tree = read_strict(data)
        if not isinstance(tree, dict) or set(tree) != {"repository", "commit", "issuedAt", "expiresAt"}:
            raise ValueError("it has not the fields repository, commit, issuedAt and expiresAt, and no others")  # noqa: TRY301 - one place tells
        of = tree.pop("repository")
        said = from_tree(Freshness, tree)
    except (ValueError, RecursionError) as error:
        return Refused(STATEMENT, Doubt.STATEMENT_MALFORMED, f"no freshness statement: {error}")
    if of != repository:
        return Refused(STATEMENT, Doubt.REPOSITORY_MISMATCH, f"it is of repository {str(of)[:300]!r}")
    if not OID.fullmatch(said.commit) or said.expires_at <= said.issued_at:
        return Refused(STATEMENT, Doubt.STATEMENT_MALFORMED, "it names no commit, or ends before it begins")
    return said


def find_freshness(
    lookup: Lookup, commit: str, tree: str, authority: Authority, *, at: datetime
) -> Freshness | Refused | None:
    """The statement in the tree of `commit`, judged at this instant; None where there is none."""
    data = lookup.file(tree, STATEMENT)
    if not isinstance(data, bytes):
        return data
    said = read_statement(data, authority.root.repository)
    if isinstance(said, Refused):
        return said
    key = _signer(lookup.file(tree, SIGNATURE), data)
    doubt = key if isinstance(key, Refused) else authority.judge_key(key, at, lookup.limits.clock_skew)
    if isinstance(key, Refused) or doubt is not None:
        return doubt
    if ROLE not in authority.roles_of(key):
        whose = authority.owner_of(key) or key
        return Refused(SIGNATURE, Doubt.ROLE_MISSING, f"{whose} does not hold the role {ROLE}")
    if said.issued_at > at + lookup.limits.clock_skew:
        return Refused(STATEMENT, Doubt.STATEMENT_EARLY, f"it was issued at {said.issued_at}, and it is {at}")
    if not _is_behind(lookup, commit, said.commit):
        return Refused(STATEMENT, Doubt.STATEMENT_ELSEWHERE, f"commit {said.commit} is not in the history before it")
    return Freshness(said.commit, said.issued_at, said.expires_at, key)


def _signer(armor: bytes | Refused | None, data: bytes) -> str | Refused:
    if armor is None:
        return Refused(SIGNATURE, Doubt.UNSIGNED, "there is no signature beside the statement")
    signed = sshsig.verify(armor, data, sshsig.NAMESPACE_FRESHNESS) if isinstance(armor, bytes) else armor
    return signed if isinstance(signed, Refused) else signed.key_id


def _is_behind(lookup: Lookup, commit: str, wanted: str) -> bool:
    """Whether `wanted` is among the first parents of `commit`."""
    oid: str | None = commit
    for _ in range(NAMED_WITHIN):
        data = lookup.commit(oid) if oid else None
        oid = first_parent(data) if isinstance(data, bytes) else None
        if oid is None or oid == wanted:
            break
    return oid == wanted
