"""Law: the tree of an application on a node is its own, with the container defaults under each container and
job and the matching overrides over it, in the order in which they are written; each part is still known by its file.

A container or job that an override adds has the defaults too. The values of an override are none of this (see values).
"""

from collections.abc import Mapping

from edgegitops.core.desired.care import NOT_OF_JOBS
from edgegitops.core.desired.merge import merge_patch
from edgegitops.core.desired.places import Layer, Place, Problem
from edgegitops.core.desired.selectors import matches
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import Application, DeploymentManifest
from edgegitops.core.model.reasons import FaultCode

_DEFAULTS = "containerDefaults"
_GROUPS = ("containers", "jobs")


def patched(
    application: Application, deployment: DeploymentManifest, tags: Mapping[str, str]
) -> tuple[dict[str, Tree], tuple[Layer, ...], tuple[Fault, ...]]:
    """The tree, the layers that it is made of, and the faults of the patches."""
    home = Place(application.origin, ("spec",))
    tree = {key: value for key, value in application.spec.items() if key != _DEFAULTS}
    under = _under(application.spec.get(_DEFAULTS, {}))
    names: dict[str, set[str]] = {}
    for group, defaults in under.items():
        tree[group] = _with_defaults(tree.get(group, {}), defaults)
        names[group] = set(tree[group]) if isinstance(tree[group], dict) else set()
    overs: list[Layer] = []
    faults: list[Fault] = []
    for number, override in enumerate(deployment.overrides):
        if not matches(override.selector, tags):
            continue
        place = Place(deployment.origin, ("spec", "overrides", str(number), "patch"))
        patch, wrong = _own_part(override.patch, place)
        faults += wrong
        for group, defaults in under.items():
            added = _added(tree[group], patch.get(group))
            names[group] |= added
            tree[group] = {**tree[group], **dict.fromkeys(added, defaults)} if added else tree[group]
        tree = merge_patch(tree, patch)
        for group in under:
            tree.setdefault(group, {})
        overs.append(Layer(place, patch))
    if not tree["jobs"]:
        del tree["jobs"]  # nobody wrote one
    unders = [
        Layer(home.below(_DEFAULTS), defaults, (group, name))
        for group, defaults in under.items()
        for name in sorted(names[group])
    ]
    return tree, (*unders, Layer(home, dict(application.spec)), *overs), tuple(faults)


def _under(defaults: Tree) -> dict[str, Tree]:
    """What stands under each container and each job: a job has no part in what keeps containers running."""
    if not isinstance(defaults, dict):
        return dict.fromkeys(_GROUPS, defaults)
    return {
        "containers": defaults,
        "jobs": {key: value for key, value in defaults.items() if key not in NOT_OF_JOBS},
    }


def _with_defaults(parts: Tree, defaults: Tree) -> Tree:
    if not isinstance(parts, dict) or not isinstance(defaults, dict):
        return parts
    return {name: merge_patch(defaults, part) if isinstance(part, dict) else part for name, part in parts.items()}


def _own_part(patch: Mapping[str, Tree], place: Place) -> tuple[dict[str, Tree], list[Fault]]:
    """The patch without what cannot be patched, and the faults for that."""
    faults = []
    if _DEFAULTS in patch:
        problem = Problem(
            FaultCode.NOT_SUPPORTED_YET, f"an override cannot patch {_DEFAULTS}", "containers and jobs by their names"
        )
        faults.append(place.below(_DEFAULTS).fault(problem))
    if not isinstance(patch.get("values", {}), dict):
        faults.append(place.below("values").fault(Problem(FaultCode.WRONG_TYPE, "values are no object", "a map")))
    return {key: value for key, value in patch.items() if key not in {_DEFAULTS, "values"}}, faults


def _added(parts: Tree, patch: Tree) -> set[str]:
    if not isinstance(parts, dict) or not isinstance(patch, dict):
        return set()
    return {name for name, part in patch.items() if name not in parts and isinstance(part, dict)}
