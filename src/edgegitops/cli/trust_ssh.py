"""`edgegitops trust verify-ssh`: the interface of `ssh-keygen -Y`, so that Git and other programs can ask our verifier.

The lenient profile: allowed_signers files, certificates and revocation lists as OpenSSH knows them, and its exit codes.
No node uses it. `sign` is handed to ssh-keygen itself.
"""

import sys

import click

_EXAMPLE = (
    "Example: git -c gpg.ssh.program=/usr/local/bin/verify-ssh log --show-signature, where that program is the line"
    ' exec edgegitops trust verify-ssh "$@"'
)
_NEEDS = {
    "find-principals": ("signature", "signers"),
    "match-principals": ("signers", "identity"),
    "check-novalidate": ("namespace", "signature"),
    "verify": ("namespace", "signature", "signers", "identity"),
}
_WORDS = {
    "signature": "missing signature file",
    "signers": "missing allowed keys file",
    "identity": "missing principal ID",
    "namespace": "missing namespace",
}


@click.command("verify-ssh", epilog=_EXAMPLE, context_settings={"ignore_unknown_options": True})
@click.option("-Y", "question", required=True, metavar="QUESTION", help=f"One of {', '.join(_NEEDS)}, sign.")
@click.option("-f", "signers", default="", metavar="FILE", help="The allowed_signers file; the key, to sign.")
@click.option("-I", "identity", default="", metavar="NAME", help="The identity that is to be among the principals.")
@click.option("-n", "namespace", default="", metavar="NAMESPACE", help="The purpose that was signed for.")
@click.option("-s", "signature", default="", metavar="FILE", help="The signature; its message is standard input.")
@click.option("-r", "revoked", default="", metavar="FILE", help="Revoked keys: public keys line by line, or a KRL.")
@click.option(
    "-O", "options", multiple=True, metavar="OPTION", help="verify-time=TIME, print-pubkey; to sign: hashalg=NAME"
)
@click.option("-q", "is_quiet", is_flag=True, help="Say nothing.")
@click.option("-v", is_flag=True, expose_value=False, hidden=True)
@click.argument("rest", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def verify_ssh(  # noqa: PLR0913 - one parameter an option
    ctx: click.Context,
    *,
    question: str,
    options: tuple[str, ...],
    signers: str,
    identity: str,
    namespace: str,
    signature: str,
    revoked: str,
    is_quiet: bool,
    rest: tuple[str, ...],
) -> None:
    """Answer as ssh-keygen -Y does: who signed, and whether an allowed_signers file lets them."""
    from edgegitops import workbench_trust

    del rest  # of sign alone
    if question == "sign":
        workbench_trust.sign_instead(sys.argv[sys.argv.index("verify-ssh") + 1 :])
    if question not in _NEEDS:
        click.echo(f'Unsupported operation for -Y: "{question}"', err=True)
        ctx.exit(1)
    files = {
        "signers": signers,
        "identity": identity,
        "namespace": namespace,
        "signature": signature,
        "revoked": revoked,
    }
    missing = next((name for name in _NEEDS[question] if not files[name]), None)
    if missing:
        click.echo(f"Too few arguments for {question}: {_WORDS[missing]}", err=True)
        ctx.exit(1)
    message = sys.stdin.buffer.read() if question in {"verify", "check-novalidate"} else b""
    found = workbench_trust.ask_ssh(question, files, options, message)
    for line in () if is_quiet and question not in {"find-principals", "match-principals"} else found.out:
        click.echo(line)
    for line in found.err:
        click.echo(line, err=True)
    ctx.exit(found.code)
