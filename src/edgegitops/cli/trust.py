"""`edgegitops trust`: who may sign what, in a clone of the fleet repository, with the SSH keys that people have.

Root documents are written here and signed one key at a time (`sign`), each person on their own machine if they like;
nothing is committed or pushed for anybody. `verify` looks at history as a node does. `reanchor` is for a node.
"""

import json
import sys
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgegitops.cli.group import Group
from edgegitops.cli.plain_words import visible
from edgegitops.cli.trust_reanchor import reanchor
from edgegitops.cli.trust_ssh import verify_ssh
from edgegitops.cli.trust_verify import verify
from edgegitops.core.model.quantities import parse_duration

if TYPE_CHECKING:
    from edgegitops.core.model.trust import RootDocument
    from edgegitops.core.trust.rotation import Standing

PATH = click.option(
    "-C", "path", type=click.Path(path_type=Path), default=".", show_default=True, help="The clone's top folder."
)
KEY = click.option(
    "--key",
    "key",
    required=True,
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="A private SSH key, or a .pub whose private part is in your agent or token.",
)


@click.group(cls=Group, epilog="Example: edgegitops trust show")
def trust() -> None:
    """The trust root: show it, change it, sign it, and verify a clone exactly as a node does."""


trust.add_command(verify)
trust.add_command(verify_ssh)
trust.add_command(reanchor)


@trust.command(
    epilog="Example: edgegitops trust init --key root=a.pub --key root=b.pub --key security=~/.ssh/id_ed25519"
)
@PATH
@click.option("--key", "keys", multiple=True, required=True, metavar="ROLE=PATH", help="A key of a role; repeatable.")
@click.option("--repository", default="", metavar="URN", help="The fleet's id.  [default: a new urn:uuid]")
def init(path: Path, keys: tuple[str, ...], repository: str) -> None:
    """Write the first root document into a repository that has none (edgegitops init makes a whole fleet)."""
    from edgegitops import workbench_trust
    from edgegitops.cli.init import held_keys

    standing = workbench_trust.begin(path, repository or f"urn:uuid:{uuid.uuid4()}", held_keys(keys))
    _tell(standing)


@trust.command(epilog="Example: edgegitops trust show --json")
@PATH
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON (schemas/output/trust-show.schema.json).")
def show(path: Path, *, as_json: bool) -> None:
    """The root in force, what waits for signatures, and who is still missing."""
    from edgegitops import workbench_trust

    standing = workbench_trust.read_standing(path)
    if as_json:
        click.echo(json.dumps(_tree(standing), indent=2))
        return
    if standing.in_force:
        _print_root(standing.in_force)
    _tell_changes(standing)
    _tell(standing)


@trust.command("add-key", epilog="Example: edgegitops trust add-key ~/keys/berta.pub --role engineer --owner berta")
@click.argument("key", type=click.Path(path_type=Path))
@PATH
@click.option("--role", "roles", multiple=True, required=True, help="A role that it gets; repeatable.")
@click.option("--owner", default="", help="Whose key it is.  [default: the key's comment]")
@click.option("--not-before", type=click.DateTime(), help="From when it counts (UTC).")
@click.option("--not-after", type=click.DateTime(), help="Until when it counts (UTC).")
def add_key(  # noqa: PLR0913 - one parameter an option
    key: Path,
    path: Path,
    *,
    roles: tuple[str, ...],
    owner: str,
    not_before: datetime | None,
    not_after: datetime | None,
) -> None:
    """Write the next root document, in which KEY (a public or private SSH key) holds these roles."""
    from dataclasses import replace

    from edgegitops import workbench_trust
    from edgegitops.core.trust.rotation import following, with_key

    standing = workbench_trust.read_standing(path)
    named = workbench_trust.read_key(key, owner)
    dated = replace(named, not_before=_utc(not_before), not_after=_utc(not_after))
    _write(path, with_key(following(standing, issued_at=workbench_trust.now()), dated, roles))


@trust.command(epilog="Example: edgegitops trust rotate --revoke berta --reason 'laptop stolen'")
@PATH
@click.option("--revoke", metavar="KEY", help="Revoke a key, by id or owner: what it signs from then on is refused.")
@click.option("--reason", default="", help="Why it is revoked; everybody can read it.")
@click.option("--remove", metavar="KEY", help="Take a key out, by id or owner: it counts no more.")
@click.option("--threshold", "thresholds", multiple=True, metavar="ROLE=N", help="How many must sign; repeatable.")
@click.option("--expires", type=click.DateTime(), help="Until when the root counts (UTC).")
def rotate(  # noqa: PLR0913 - one parameter an option
    path: Path,
    *,
    revoke: str | None,
    reason: str,
    remove: str | None,
    thresholds: tuple[str, ...],
    expires: datetime | None,
) -> None:
    """Write the next root document, with what is asked for; without options only its number and date change."""
    from dataclasses import replace

    from edgegitops import workbench_trust
    from edgegitops.core.trust import rotation

    if bool(revoke) != bool(reason):
        raise click.UsageError("--revoke and --reason belong together")
    root = rotation.following(workbench_trust.read_standing(path), issued_at=workbench_trust.now())
    try:
        if revoke:
            root = rotation.revoking(root, rotation.find_key(root, revoke), reason)
        if remove:
            root = rotation.without_key(root, rotation.find_key(root, remove))
        root = rotation.with_thresholds(root, _thresholds(thresholds))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    _write(path, replace(root, expires_at=_utc(expires)) if expires else root)


@trust.command(epilog="Example: edgegitops trust sign --key ~/.ssh/root_a")
@PATH
@KEY
def sign(path: Path, key: Path) -> None:
    """Sign the newest root document with a root key, and say who is still missing.

    What it changes is said first; on a terminal it is asked for.
    """
    from edgegitops import workbench_trust

    before = workbench_trust.read_standing(path)
    _tell_changes(before)
    if before.waiting is not None and sys.stdin.isatty():
        click.confirm(f"Sign root {before.waiting.version}?", abort=True)
    _tell(workbench_trust.sign_root(path, key.expanduser()))


@trust.command(epilog="Example: edgegitops trust freshness --key ~/.ssh/ci --for 14d && git commit -S -m fresh trust")
@PATH
@KEY
@click.option("--for", "lasts", default="14d", show_default=True, help="How long the statement says something.")
def freshness(path: Path, key: Path, lasts: str) -> None:
    """Sign a statement that HEAD is the newest commit now; commit and push it for the nodes to see."""
    from edgegitops import workbench_trust

    try:
        span = parse_duration(lasts)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--for") from None
    if span <= timedelta():
        raise click.BadParameter("a statement lasts longer than nothing", param_hint="--for")
    files = workbench_trust.write_statement(path, key.expanduser(), span)
    click.echo(f"wrote {' and '.join(files)}; commit them by themselves, signed, and push")


def _utc(at: datetime | None) -> datetime | None:
    from datetime import UTC

    return at.replace(tzinfo=UTC) if at else None


def _thresholds(entries: tuple[str, ...]) -> dict[str, int]:
    found = {}
    for entry in entries:
        role, mark, number = entry.partition("=")
        if not mark or not number.isdecimal() or int(number) < 1:
            raise click.UsageError(f"--threshold {entry!r} is not ROLE=N")
        found[role] = int(number)
    return found


def _write(path: Path, root: "RootDocument") -> None:
    from edgegitops import workbench_trust

    gone = workbench_trust.write_root(path, root)
    click.echo(f"wrote trust/root/{root.version:06}.json")
    if gone:
        click.echo(f"removed {len(gone)} signatures over its older text")
    standing = workbench_trust.read_standing(path)
    _tell_changes(standing)
    _tell(standing)


def _changes(standing: "Standing") -> tuple[str, ...]:
    """What the document that waits changes; nothing where none waits."""
    from edgegitops.core.trust.root_changes import root_changes

    return root_changes(standing.in_force, standing.waiting) if standing.waiting else ()


def _tell_changes(standing: "Standing") -> None:
    if standing.waiting is None:
        return
    before = f"root {standing.in_force.version}" if standing.in_force else "nothing"
    click.echo(f"root {standing.waiting.version} waits for signatures. Beside {before} it changes:")
    for line in _changes(standing) or ("nothing but its version",):
        click.echo(f"  {visible(line)}")


def _tell(standing: "Standing") -> None:
    """Whether the newest document is signed enough, who is missing, and what comes next."""
    newest = standing.newest
    for tally in standing.counted:
        verb = "met" if tally.is_met else "NOT met"
        click.echo(
            f"root {newest.version}, as root {tally.of} asks: {len(tally.signed)} of {tally.threshold} signed, {verb}"
        )
        for key, why in tally.missing.items() if not tally.is_met else ():
            click.echo(f"  missing: {_who(standing, key)}: {visible(why)}")
    if standing.waiting is not None:
        click.echo("Next: each of them runs edgegitops trust sign --key PATH on this text; commit it when all is met.")
    elif standing.counted:
        click.echo(f"Root {newest.version} is in force once its commit is pushed.")


def _who(standing: "Standing", key: str) -> str:
    known = [root.keys[key] for root in (standing.in_force, standing.waiting) if root and key in root.keys]
    owner = f" ({visible(known[0].owner)})" if known and known[0].owner else ""
    return f"{key[:12]}{owner}"


def _print_root(root: "RootDocument") -> None:
    click.echo(f"root {root.version} of {root.repository}")
    for name, role in sorted(root.roles.items()):
        owners = ", ".join(f"{visible(root.keys[key].owner) or '?'} {key[:12]}" for key in role.keys) or "nobody"
        asked = f" ({role.threshold} must sign)" if role.threshold > 1 else ""
        click.echo(f"  {name}{asked}: {owners}")
    for rule in root.paths:
        click.echo(f"  {rule.path}: {' or '.join(rule.roles) or 'nobody'}")
    for one in root.revoked:
        click.echo(f"  revoked {one.key[:12]}: {visible(one.reason)}")


def _tree(standing: "Standing") -> dict[str, Any]:
    from edgegitops.core.trust.root_document import write_root

    return {
        "inForce": json.loads(write_root(standing.in_force)) if standing.in_force else None,
        "waiting": json.loads(write_root(standing.waiting)) if standing.waiting else None,
        "changes": list(_changes(standing)),
        "firstSha256": standing.first_sha256,
        "counted": [
            {
                "root": tally.of,
                "threshold": tally.threshold,
                "signed": list(tally.signed),
                "missing": dict(tally.missing),
                "isMet": tally.is_met,
            }
            for tally in standing.counted
        ],
    }
