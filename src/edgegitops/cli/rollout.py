"""`edgegitops rollout`: how a release goes through the fleet, and what people say to that, each word signed.

What is shown is asked of a clone and of reports with the functions that nodes ask; nothing here changes a node. What a
person decides becomes a signed tag of the fleet repository, made with the person's own git.
"""

import click

from edgegitops.cli.group import Group
from edgegitops.cli.rollout_restore import restore_log
from edgegitops.cli.rollout_status import history, status
from edgegitops.cli.rollout_tags import TAGGING


@click.group(cls=Group, epilog="Example: edgegitops rollout status vision-qa")
def rollout() -> None:
    """Waves: where a rollout stands, and what people say to it: each word is a signed tag."""


for _command in (status, history, *TAGGING, restore_log):
    rollout.add_command(_command)
