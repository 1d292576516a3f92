"""A volume that is to be retained outlives its deployment, whichever release said so."""

from dataclasses import replace

import pytest
from tests.core.reconcile.stage import LINE, SECOND, Stage, container, release, with_policy

from edgegitops.core.model.release import Phase, Release, VolumePrune
from edgegitops.core.model.spec import VolumeSpec


def line(*, retain: bool, image: str = "web") -> Release:
    made = release({"web": container(image, volume="data", stop_timeout=5 * SECOND)})
    spec = replace(made.spec, volumes={"data": VolumeSpec(retain=retain)})
    return with_policy(replace(made, spec=spec, digest=spec.digest()), prune_volumes=VolumePrune.DELETE)


@pytest.mark.parametrize(
    ("first", "last", "is_kept"), [(True, False, True), (False, True, True), (False, False, False)]
)
def test_retained_once_is_kept_though_pruning_deletes(*, first: bool, last: bool, is_kept: bool) -> None:
    stage = Stage()
    stage.converge(line(retain=first))
    if first != last:
        stage.converge(line(retain=last))
    stage.want(None)
    stage.play()
    assert stage.phase is Phase.ABSENT
    assert set(stage.engine.observe().volumes) == ({f"{LINE}.data"} if is_kept else set())
