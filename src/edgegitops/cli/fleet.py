"""`edgegitops fleet`: the whole fleet, from what its nodes reported."""

import click

from edgegitops.cli.fleet_status import status
from edgegitops.cli.group import Group


@click.group(cls=Group, epilog="Example: edgegitops fleet status")
def fleet() -> None:
    """The whole fleet, from the signed reports of its nodes."""


fleet.add_command(status)
