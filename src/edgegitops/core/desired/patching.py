"""Law: the tree of an application on a node is its own, with the container defaults under each container and the
matching overrides over it, in the order in which they are written; and each part is still known by its file.

A container that an override adds has the defaults too. The values of an override are none of this (see values).
"""

from collections.abc import Mapping

from edgegitops.core.desired.merge import merge_patch
from edgegitops.core.desired.places import Layer, Place, Problem
from edgegitops.core.desired.selectors import matches
from edgegitops.core.model.codec import Tree
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import Application, DeploymentManifest
from edgegitops.core.model.reasons import FaultCode

_DEFAULTS = "containerDefaults"


def patched(
    application: Application, deployment: DeploymentManifest, tags: Mapping[str, str]
) -> tuple[dict[str, Tree], tuple[Layer, ...], tuple[Fault, ...]]:
    """The tree, the layers that it is made of, and the faults of the patches."""
    home = Place(application.origin, ("spec",))
    tree = {key: value for key, value in application.spec.items() if key != _DEFAULTS}
    defaults = application.spec.get(_DEFAULTS, {})
    tree["containers"] = _with_defaults(tree.get("containers", {}), defaults)
    names = set(tree["containers"]) if isinstance(tree["containers"], dict) else set()
    overs: list[Layer] = []
    faults: list[Fault] = []
    for number, override in enumerate(deployment.overrides):
        if not matches(override.selector, tags):
            continue
        place = Place(deployment.origin, ("spec", "overrides", str(number), "patch"))
        patch, wrong = _own_part(override.patch, place)
        faults += wrong
        added = _added(tree["containers"], patch.get("containers"))
        names |= added
        tree["containers"] = {**tree["containers"], **dict.fromkeys(added, defaults)} if added else tree["containers"]
        tree = merge_patch(tree, patch)
        tree.setdefault("containers", {})
        overs.append(Layer(place, patch))
    unders = [Layer(home.below(_DEFAULTS), defaults, ("containers", name)) for name in sorted(names)]
    return tree, (*unders, Layer(home, dict(application.spec)), *overs), tuple(faults)


def _with_defaults(containers: Tree, defaults: Tree) -> Tree:
    if not isinstance(containers, dict) or not isinstance(defaults, dict):
        return containers
    return {
        name: merge_patch(defaults, container) if isinstance(container, dict) else container
        for name, container in containers.items()
    }


def _own_part(patch: Mapping[str, Tree], place: Place) -> tuple[dict[str, Tree], list[Fault]]:
    """The patch without what cannot be patched, and the faults for that."""
    faults = []
    if _DEFAULTS in patch:
        problem = Problem(
            FaultCode.NOT_SUPPORTED_YET, f"an override cannot patch {_DEFAULTS}", "the containers by their names"
        )
        faults.append(place.below(_DEFAULTS).fault(problem))
    if not isinstance(patch.get("values", {}), dict):
        faults.append(place.below("values").fault(Problem(FaultCode.WRONG_TYPE, "values are no object", "a map")))
    return {key: value for key, value in patch.items() if key not in {_DEFAULTS, "values"}}, faults


def _added(containers: Tree, patch: Tree) -> set[str]:
    if not isinstance(containers, dict) or not isinstance(patch, dict):
        return set()
    return {name for name, container in patch.items() if name not in containers and isinstance(container, dict)}
