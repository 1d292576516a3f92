"""What changes between two releases: tables of fates, and laws over drawn pairs."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from edgegitops.core.model.release import Release, UpdatePolicy, VolumePrune
from edgegitops.core.model.spec import (
    Attachment,
    Care,
    Condition,
    ContainerSpec,
    CreateSpec,
    DeploymentSpec,
    JobSpec,
    Mount,
    NetworkSpec,
    Probe,
    Runs,
    SnapshotSpec,
    VolumeSpec,
)
from edgegitops.core.plan.compare import Fate, Kind, compare, shown_span

A, B = (f"registry.example/app@sha256:{digit * 64}" for digit in "ab")
PROBE = Probe(tcp_port=80, interval=timedelta(seconds=5), success_threshold=3)


def container(image: str = A, **care: object) -> ContainerSpec:
    return ContainerSpec(CreateSpec(image, networks={"line": Attachment()}), Care(**care))


def release(
    containers: dict[str, ContainerSpec],
    *,
    volumes: tuple[str, ...] = (),
    policy: UpdatePolicy | None = None,
    line: NetworkSpec | None = None,
    attempt: int = 1,
) -> Release:
    mounts = tuple(Mount(f"/{name}", volume=name) for name in volumes)
    first = min(containers)
    containers = {
        **containers,
        first: replace(containers[first], create=replace(containers[first].create, mounts=mounts)),
    }
    spec = DeploymentSpec(
        "d", containers, {"line": line or NetworkSpec()}, dict.fromkeys(volumes, VolumeSpec()), attempt
    )
    return Release(spec.digest(), "revision", spec, "1.0.0", policy or UpdatePolicy())


def fates(old: Release | None, new: Release | None) -> dict[str, Fate]:
    change = compare(old, new)
    assert change is not None
    return {one.name: one.fate for one in change.containers}


def test_another_image_replaces_that_container_alone() -> None:
    old = release({"app": container(), "db": container()})
    new = release({"app": container(B), "db": container()})
    assert fates(old, new) == {"app": Fate.REPLACED}


def test_another_probe_restarts_nothing_and_costs_no_time() -> None:
    change = compare(release({"app": container()}), release({"app": container(ready=PROBE)}))
    assert change is not None
    assert (change.kind, change.downtime.at_most) == (Kind.CARE, timedelta(0))
    assert [(one.fate, one.fields) for one in change.containers] == [(Fate.CARE, ("ready",))]


def test_containers_come_and_go() -> None:
    old, new = release({"app": container(), "old": container()}), release({"app": container(), "new": container()})
    assert fates(old, new) == {"new": Fate.CREATED, "old": Fate.REMOVED}


def test_a_network_that_is_defined_otherwise_replaces_all_that_join_it() -> None:
    old, new = release({"app": container()}), release({"app": container()}, line=NetworkSpec(internal=True))
    change = compare(old, new)
    assert change is not None
    assert change.networks == ("line",)
    assert change.containers[0].fields == ("networks.line (its definition)",)


def test_another_policy_changes_nothing_that_runs() -> None:
    new = release({"app": container()}, policy=UpdatePolicy(deadline=timedelta(minutes=2), safe=False))
    change = compare(release({"app": container()}), new)
    assert change is not None
    assert (change.kind, change.containers) == (Kind.POLICY, ())
    assert change.policy == ("deadline: 5m -> 2m", "safe: true -> false")


def test_a_higher_attempt_replaces_no_container() -> None:
    change = compare(release({"app": container()}), release({"app": container()}, attempt=2))
    assert change is not None
    assert (change.kind, change.attempt, change.containers) == (Kind.CARE, True, ())


def test_volumes_outlive_an_update_that_no_longer_mounts_them() -> None:
    policy = UpdatePolicy(prune_volumes=VolumePrune.DELETE)
    old = release({"app": container()}, volumes=("data",), policy=policy)
    change = compare(old, release({"app": container()}, policy=policy))
    assert change is not None
    assert (change.volumes_kept, change.volumes_lost) == (("data",), ())


def copying(one: Release) -> Release:
    """The same, asking for a copy of every volume before updates."""
    volumes = dict.fromkeys(one.spec.volumes, VolumeSpec(snapshot=SnapshotSpec()))
    spec = replace(one.spec, volumes=volumes)
    return replace(one, digest=spec.digest(), spec=spec)


def test_volumes_that_ask_for_it_are_copied_where_something_is_replaced() -> None:
    old = release({"app": container()}, volumes=("data",))
    replaced = compare(old, copying(release({"app": container(B)}, volumes=("data", "new"))))
    untouched = compare(old, copying(old))
    assert replaced is not None
    assert untouched is not None
    assert (replaced.volumes_copied, untouched.volumes_copied) == (("data",), ())


def test_a_removal_deletes_volumes_only_where_the_deployment_said_so() -> None:
    old = release({"app": container()}, volumes=("data",))
    kept = compare(old, None)
    lost = compare(replace(old, policy=UpdatePolicy(prune_volumes=VolumePrune.DELETE)), None)
    assert kept is not None
    assert lost is not None
    assert (kept.volumes_kept, kept.volumes_lost) == (("data",), ())
    assert (lost.volumes_kept, lost.volumes_lost) == ((), ("data",))


def test_downtime_counts_levels_and_not_containers() -> None:
    chain = {"db": container(ready=PROBE), "app": container(depends_on={"db": Condition.READY})}
    apart = {"db": container(ready=PROBE), "app": container()}
    chained = compare(release(chain), release({name: replace_image(one) for name, one in chain.items()}))
    beside = compare(release(apart), release({name: replace_image(one) for name, one in apart.items()}))
    assert chained is not None
    assert beside is not None
    # two levels stop and start in a second each, and three passes of the probe are two intervals apart
    assert chained.downtime.typical == timedelta(seconds=2 + 2 + 10)
    assert beside.downtime.typical == timedelta(seconds=1 + 1 + 10)
    assert chained.downtime.at_most == timedelta(seconds=30 + 30, minutes=5)
    assert beside.downtime.at_most == timedelta(seconds=30, minutes=5)


def replace_image(one: ContainerSpec) -> ContainerSpec:
    return replace(one, create=replace(one.create, image=B))


def test_patience_is_that_of_the_release_that_stops() -> None:
    old = release({"app": container(stop_timeout=timedelta(seconds=90))})
    change = compare(old, release({"app": container(B, stop_timeout=timedelta(seconds=1))}))
    assert change is not None
    assert change.downtime.at_most == timedelta(seconds=90, minutes=5)


def test_mounts_are_told_by_their_target() -> None:
    change = compare(release({"app": container()}, volumes=("data",)), release({"app": container()}, volumes=("more",)))
    assert change is not None
    assert change.containers[0].fields == ("mounts./data", "mounts./more")


RELEASES = st.builds(
    release,
    st.dictionaries(
        st.sampled_from(["app", "db", "web"]),
        st.builds(container, st.sampled_from([A, B]), stop_timeout=st.sampled_from([timedelta(1), timedelta(2)])),
        min_size=1,
    ),
    volumes=st.sampled_from([(), ("data",), ("data", "more")]),
    attempt=st.integers(1, 2),
)


@given(RELEASES, RELEASES)
def test_there_is_a_change_exactly_where_digests_differ_and_only_differing_containers_are_touched(
    old: Release, new: Release
) -> None:
    change = compare(old, new)
    assert (change is None) == (old.digest == new.digest)
    if change is not None:
        shared = old.spec.containers.keys() & new.spec.containers.keys()
        replaced = {name for name in shared if old.spec.container_digest(name) != new.spec.container_digest(name)}
        assert {one.name for one in change.containers if one.fate is Fate.REPLACED} == replaced
        assert all(one.fields for one in change.containers if one.fate in {Fate.REPLACED, Fate.CARE})
        assert (change.downtime.at_most > timedelta(0)) == bool(replaced)
        assert change.downtime.typical <= change.downtime.at_most


@given(RELEASES, RELEASES)
def test_going_back_touches_the_same_containers(old: Release, new: Release) -> None:
    there, back = compare(old, new), compare(new, old)
    assert (there is None) == (back is None)
    if there is not None and back is not None:
        assert {one.name for one in there.containers} == {one.name for one in back.containers}


def test_spans_are_shown_as_manifests_write_them() -> None:
    assert [shown_span(timedelta(seconds=one)) for one in (0, 59, 90, 3600, 90061)] == [
        "0s",
        "59s",
        "1m30s",
        "1h",
        "1d1h1m1s",
    ]


def test_update_tells_which_jobs_it_runs() -> None:
    jobs = {
        "init": JobSpec(CreateSpec(A), Runs.ON_INSTALL),
        "migrate": JobSpec(CreateSpec(A), Runs.BEFORE_SWITCH),
        "tell": JobSpec(CreateSpec(A), Runs.ON_UPDATE),
        "nightly": JobSpec(CreateSpec(A), Runs.SCHEDULE, schedule="@daily"),
    }

    def with_jobs(image: str) -> Release:
        made = release({"app": container(image)})
        spec = replace(made.spec, jobs=jobs)
        return replace(made, digest=spec.digest(), spec=spec)

    first, then = compare(None, with_jobs(A)), compare(with_jobs(A), with_jobs(B))
    assert first is not None
    assert then is not None
    assert dict(first.jobs).keys() == jobs.keys()
    assert dict(then.jobs) == {"migrate": "beforeSwitch", "tell": "onUpdate"}
