"""Law: a policy of the fleet refuses what it does not want on the nodes that it selects; it never allows or changes.

Judged is the resolved spec, after the node's own policy and beside it: whatever one of them refuses is refused. Each
refusal names the field, the rule and the file of the policy.
"""

from collections.abc import Iterable, Iterator

from edgegitops.core.desired.admission import is_from, sources_of
from edgegitops.core.desired.places import Place, Problem
from edgegitops.core.desired.security import is_looser
from edgegitops.core.model.faults import Fault
from edgegitops.core.model.manifests import PolicyManifest
from edgegitops.core.model.reasons import FaultCode
from edgegitops.core.model.spec import ContainerSpec, DeploymentSpec, JobSpec


def narrow(spec: DeploymentSpec, policies: Iterable[PolicyManifest]) -> tuple[Fault, ...]:
    """Why policies of the fleet refuse the spec; empty where none does."""
    return tuple(
        fault
        for policy in policies
        for field, part in _parts(spec).items()
        for fault in _refusals(policy, part, f"{spec.deployment}: {field}")
    )


def _parts(spec: DeploymentSpec) -> dict[str, ContainerSpec | JobSpec]:
    return {
        **{f"containers.{name}": one for name, one in sorted(spec.containers.items())},
        **{f"jobs.{name}": one for name, one in sorted(spec.jobs.items())},
    }


def _refusals(policy: PolicyManifest, container: ContainerSpec | JobSpec, field: str) -> Iterator[Fault]:
    least, profile = policy.minimum_profile, container.create.security.profile
    if least and is_looser(profile, least):
        yield _refusal(policy, "minimumProfile", f"{field}.security.profile: {profile} is looser than {least}")
    for where, reference in sources_of(container.create):
        name = reference.partition("@")[0]
        if policy.registries and not any(is_from(name, one) for one in policy.registries):
            yield _refusal(policy, "registries", f"{field}.{where}: {name} is from no allowed registry")
    if policy.require_probes and isinstance(container, ContainerSpec) and container.care.ready is None:
        yield _refusal(policy, "requireProbes", f"{field}.probes.ready: there is none")


def _refusal(policy: PolicyManifest, rule: str, message: str) -> Fault:
    expected = f"spec.{rule} of {policy.origin.file} to allow it"
    problem = Problem(FaultCode.ADMISSION_DENIED, message, expected)
    return Place(policy.origin, ("spec", rule)).fault(problem)
