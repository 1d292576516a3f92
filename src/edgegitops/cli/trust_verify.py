"""`edgegitops trust verify`: a clone is judged exactly as a node judges it: the same code, the same rules.

Without a pin it begins at the oldest commit that has a trust root, and says so: that shows mistakes, no forgery.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgegitops.cli.plain_words import DOUBTS, clock, visible
from edgegitops.core.model.reasons import Doubt

if TYPE_CHECKING:
    from edgegitops.workbench_trust import Verified

_AGAIN = (
    "rewrite it from that commit on: git rebase --exec 'git commit --amend --no-edit -S', then push to a new branch"
)
ADVICE: Mapping[str, str] = {
    Doubt.UNSIGNED: f"sign it (git commit --amend -S), or {_AGAIN}",
    Doubt.SIGNATURE_MISMATCH: f"{_AGAIN}",
    Doubt.WRONG_NAMESPACE: "sign commits with git commit -S, not with ssh-keygen -n something",
    Doubt.ALGORITHM_REFUSED: "use an ed25519, ecdsa, FIDO, or RSA key of 3072 bits or more",
    Doubt.NO_USER_PRESENCE: "make the key again without -O no-touch-required",
    Doubt.KEY_UNKNOWN: "add the key first (edgegitops trust add-key), or let somebody sign whom the root names",
    Doubt.KEY_REVOKED: "let somebody else sign it anew",
    Doubt.KEY_EXPIRED: "a later commit by a valid key with the same roles covers it, or a freshness statement",
    Doubt.ROOT_EXPIRED: "make and sign the next root (edgegitops trust rotate --expires …)",
    Doubt.KEY_NOT_YET_VALID: "wait, or check the clock of this machine",
    Doubt.ROLE_MISSING: "let somebody sign it who holds that role; git merge --no-ff -S by them is enough",
    Doubt.PATH_DENIED: "add a path rule to the next root",
    Doubt.ROOT_THRESHOLD: "let the missing root keys sign (edgegitops trust sign), then commit again",
    Doubt.ROOT_VERSION: "add the next version; published ones are never changed",
    Doubt.MALFORMED_OBJECT: "make the commit again with git itself",
    Doubt.HISTORY_DIVERGED: "the branch was rewritten; nodes need edgegitops trust reanchor",
    Doubt.CHECKPOINT_MISSING: "check --checkpoint; a shallow clone needs git fetch --unshallow",
    Doubt.OBJECT_MISSING: "a shallow or partial clone? git fetch --unshallow --refetch",
    Doubt.ROOT_PIN: "check --pin: the SHA-256 of the exact bytes of a file under trust/root",
}


@click.command(epilog="Example: edgegitops trust verify --pin 9f86d0… --checkpoint 0c46ff3b2a11")
@click.argument("path", type=click.Path(path_type=Path), default=".")
@click.option("--revision", default="HEAD", show_default=True, help="The commit up to which is judged.")
@click.option("--pin", "root", default="", metavar="SHA256", help="The pinned root document, as in node.yaml.")
@click.option("--checkpoint", default="", metavar="COMMIT", help="Where judging begins.  [default: the oldest root]")
@click.option("--repository", default="", metavar="URN", help="The fleet's id.  [default: as the root says]")
@click.option("--config", default="", metavar="FILE", help="Take the pin of a node's node.yaml.")
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON (schemas/output/trust-verify.schema.json).")
@click.pass_context
def verify(  # noqa: PLR0913 - one parameter an option
    ctx: click.Context,
    path: Path,
    *,
    revision: str,
    root: str,
    checkpoint: str,
    repository: str,
    config: str,
    as_json: bool,
) -> None:
    """Judge the history of the clone at PATH as a node would; exit 1 and the first bad commit where it refuses."""
    from edgegitops import bootstrap, workbench_trust

    pin = {"repository": repository, "root_sha256": root, "checkpoint": checkpoint}
    if config:
        known = bootstrap.read_config(config).pin
        pin = {"repository": known.repository, "root_sha256": known.root_sha256, "checkpoint": known.checkpoint}
    found = workbench_trust.verify_clone(path, revision, pin=pin)
    if as_json:
        click.echo(json.dumps(_tree(found), indent=2))
    else:
        _text(found)
    ctx.exit(1 if found.belief.refused else 0)


def _tree(found: "Verified") -> dict[str, Any]:
    floor, refused = found.belief.floor, found.belief.refused
    return {
        "tip": found.tip,
        "isBelieved": refused is None,
        "believed": floor.commit if floor else None,
        "commits": len(found.belief.accepted),
        "rootVersion": floor.root_version if floor else None,
        "pin": {
            "repository": found.pin.repository,
            "rootSha256": found.pin.root_sha256,
            "checkpoint": found.pin.checkpoint,
            "isGiven": found.is_pinned,
        },
        "freshAt": floor.fresh.issued_at.isoformat() if floor and floor.fresh else None,
        "refused": {
            "commit": refused.subject,
            "reason": refused.doubt,
            "detail": refused.detail,
            "advice": ADVICE.get(refused.doubt, ""),
        }
        if refused
        else None,
    }


def _text(found: "Verified") -> None:
    floor, refused = found.belief.floor, found.belief.refused
    count = len(found.belief.accepted)
    if floor:
        last = found.belief.accepted[-1] if count else None
        who = f", signed by {visible(last.owner or last.key)}" if last else ""
        if count:
            click.echo(f"believed: {count} commit{'' if count == 1 else 's'} up to {floor.commit}{who}")
        else:
            click.echo(f"believed: {floor.commit}, where judging begins; no commit came after it")
        fresh = f"; fresh at {clock(floor.fresh.issued_at)}" if floor.fresh else ""
        click.echo(f"from: checkpoint {found.pin.checkpoint[:12]}; root {floor.root_version} is in force{fresh}")
    if refused:
        words = DOUBTS.get(refused.doubt, "")
        click.echo(f"refused: {refused.subject}")
        click.echo(f"rule: {refused.doubt}{f' ({words})' if words else ''}: {visible(refused.detail)}")
        if refused.doubt in ADVICE:
            click.echo(f"to do: {ADVICE[refused.doubt]}")
    if not found.is_pinned:
        click.echo("note: nothing was pinned, so this clone vouches for itself; --pin or --config make it a proof")
