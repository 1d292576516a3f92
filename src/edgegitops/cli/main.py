"""The group of all commands.

Law: a command's module is imported only when that command is called, so help and completion start at once; the table
below holds each command's place and its one line of help. What goes wrong ends here and nowhere else:

1. an error of ours (errors.py): `reason-code: sentence` on stderr, and the exit code of its class;
2. a wrong call: click's own sentence as `usage: …` on stderr, or the help where nothing was asked, and 64;
3. Ctrl-C: 130, without a word.

Anything else is a bug and keeps its traceback. What a command answers, and exit code 1 for "no", is its own business.
"""

import sys
from dataclasses import dataclass
from importlib import import_module
from typing import NoReturn

import click

from edgegitops import __version__
from edgegitops.cli.endings import INTERRUPTED, end
from edgegitops.errors import BrokenInvariantError, EdgegitopsError

USAGE_ERROR = 64


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command is (`module:attribute`) and what the group's help says of it."""

    at: str
    help: str


GROUPS = {
    "Write and plan, in a clone": {
        "init": Place("edgegitops.cli.init:init", "A new fleet repository in a minute."),
        "validate": Place("edgegitops.cli.validate:validate", "Find all faults of a fleet repository at once."),
        "plan": Place("edgegitops.cli.plan:plan", "What a change would do to the nodes, before it is merged."),
        "simulate": Place(
            "edgegitops.cli.simulate:simulate", "How a change would go over the whole fleet, before it is made."
        ),
        "match": Place("edgegitops.cli.match:match", "Which nodes a selector selects, with their tags."),
        "render": Place("edgegitops.cli.render:render", "What a node is told, and where each value came from."),
        "image": Place("edgegitops.cli.image:image", "Pin images: write down what their tags mean now."),
        "secret": Place("edgegitops.cli.secret:secret", "Secrets: encrypt them for the nodes that use them."),
        "trust": Place(
            "edgegitops.cli.trust:trust", "The trust root: show, change, sign, and verify a clone as a node does."
        ),
    },
    "Release, and see the whole fleet": {
        "rollout": Place("edgegitops.cli.rollout:rollout", "Where a rollout stands; approve, halt, resume, roll back."),
        "fleet": Place(
            "edgegitops.cli.fleet:fleet", "The whole fleet from reports: what runs where, who is in trouble."
        ),
    },
    "On a gateway": {
        "status": Place("edgegitops.cli.status:status", "What runs on this node, at which release, and what is held."),
        "explain": Place("edgegitops.cli.explain:explain", "Why is this running here, and why not yet? In one screen."),
        "logs": Place("edgegitops.cli.logs:logs", "What a container of this fleet wrote last."),
        "hold": Place(
            "edgegitops.cli.hold:hold", "Start nothing new here until a given time; the plant has the last word."
        ),
        "unhold": Place("edgegitops.cli.hold:unhold", "End an operator's hold."),
        "reconcile": Place("edgegitops.cli.reconcile_now:reconcile", "Ask the running agent to fetch and look now."),
        "journal": Place("edgegitops.cli.journal:journal", "Show, verify and export what this node did and why."),
        "node": Place("edgegitops.cli.node:node", "Make this machine a node, check it, and take it out of the fleet."),
        "agent": Place("edgegitops.cli.agent:agent", "The daemon that keeps this node as Git says."),
    },
    "To try it all": {
        "lab": Place("edgegitops.cli.lab:lab", "A fleet of virtual nodes on this machine: real Podman, real Git."),
    },
}
COMMANDS = {name: place for places in GROUPS.values() for name, place in places.items()}


class LazyGroup(click.Group):
    """A group that knows its commands by the table and imports one only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; None where there is none."""
        del ctx
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.at.partition(":")
        command = getattr(import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise BrokenInvariantError(f"{place.at} is no command; please report this as a bug")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Click's own, with the nearest name where there is no such command."""
        if args and self.get_command(ctx, args[0]) is None:
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f"there is no command {args[0]!r}" + (f"; did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands by where they are used, without importing any."""
        del ctx
        for title, places in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name, place.help) for name, place in places.items()], col_max=11)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: edgegitops validate fleet-repo-example",
)
@click.version_option(__version__, prog_name="edgegitops", message="%(prog)s %(version)s")
def edgegitops() -> None:
    """GitOps for factory gateways: signed Git in, Podman containers out, no Kubernetes."""


def _end_with_usage(error: click.UsageError) -> NoReturn:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        sys.exit(USAGE_ERROR)
    hint = f" (see: {error.ctx.command_path} --help)" if error.ctx else ""
    click.echo(f"usage: {error.format_message()}{hint}", err=True)
    sys.exit(USAGE_ERROR)


def main(argv: list[str] | None = None) -> NoReturn:
    """Run one command line (default: the process's own) and end the process with its exit code."""
    try:
        result = edgegitops.main(args=argv, prog_name="edgegitops", standalone_mode=False)
    except EdgegitopsError as error:
        end(error)
    except click.UsageError as error:
        _end_with_usage(error)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    sys.exit(result if isinstance(result, int) else 0)
