"""Law: a mirror changes where an image is fetched from, never which image it is: digest and name stay.

The mirrors of the site come before those of the fleet. They are part of no digest, so a new mirror restarts nothing.
"""

import re
from collections.abc import Iterator

from edgegitops.core.desired.places import Place, Problem
from edgegitops.core.desired.values import Target
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.reasons import FaultCode

_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]{1,5})?(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*\Z")


def mirrors_of(target: Target) -> tuple[tuple[str, str], ...]:
    """Pairs of what images name and what is asked first."""
    return tuple((one.source, one.mirror) for one in (*target.site.mirrors, *target.fleet.mirrors))


def mirror_faults(target: Target) -> Iterator[Fault]:
    """Mirrors that are no places of images."""
    for origin, mirrors in ((target.site.origin, target.site.mirrors), (target.fleet.origin, target.fleet.mirrors)):
        for at, one in enumerate(mirrors):
            for key, text in (("from", one.source), ("mirror", one.mirror)):
                if not _PREFIX.match(text):
                    problem = Problem(FaultCode.WRONG_FORMAT, f"{text!r} is no registry", "host[:port][/path]")
                    yield Place(origin, ("spec", "registries", str(at), key)).fault(problem)
