"""`edgegitops rollout`: how a release goes through the fleet, and what people say to that, each word signed.

What is shown is asked of a clone and of reports with the functions that nodes ask; nothing here changes a node. What a
person decides becomes a signed tag of the fleet repository, made with the person's own git.
"""

import click

from edgegitops.cli.rollout_tags import TAGGING


@click.group(epilog="Example: edgegitops rollout approve vision-qa --wave pilot --reason 'two nights clean' --push")
def rollout() -> None:
    """Waves: approve, halt, resume, revoke, roll back, retry, and hotfixes, each by a signed tag."""


for _command in TAGGING:
    rollout.add_command(_command)
