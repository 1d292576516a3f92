"""A config that changes under a running program: put in place, told, proven, and put back."""

from dataclasses import replace

from tests.core.reconcile.stage import POLICY, Stage, container, release, with_policy

from edgegitops.core.model.ledger import Health
from edgegitops.core.model.release import DriftPolicy, Phase
from edgegitops.core.model.spec import Mount

A, B = "a" * 64, "b" * 64


def told(content, **policy):
    app = container("app")
    create = replace(app.create, mounts=(Mount("/etc/app.conf", live="file"),))
    care = replace(app.care, config_signal="SIGHUP", configs={"/etc/app.conf": {"": content}})
    return with_policy(release({"app": replace(app, create=create, care=care)}, version=content[0]), **policy)


ONE, TWO = told(A), told(B)


def serving() -> Stage:
    stage = Stage()
    stage.contents = frozenset({A, B})
    stage.converge(ONE)
    return stage


def seen(stage):
    return stage.seen("app").configs


def test_changed_config_is_told_to_the_program_that_runs():
    stage = serving()
    stage.want(TWO)
    stage.start_up()
    assert stage.acts()[-1:] == ["reload-container app"]
    assert not {"stop-container app", "start-container app", "create-container app"} & set(stage.acts())
    assert seen(stage) == TWO.spec.containers["app"].care.configs_digest()
    assert stage.phase is Phase.PROVING
    stage.observe_for(soaked=POLICY.soak)
    stage.play()
    assert (stage.phase, stage.record.serving) == (Phase.HEALTHY, TWO)


def test_health_after_a_change_is_seen_anew():
    stage = serving()
    stage.want(TWO)
    stage.play()
    assert stage.record.containers[stage.part("app").name].health is Health.UNKNOWN
    assert stage.record.soaked_for.total_seconds() == 0


def test_config_that_fails_is_put_back():
    stage = serving()
    stage.want(TWO)
    stage.start_up()
    stage.observe_for(waited=POLICY.deadline)
    stage.play()
    assert (stage.phase, stage.record.serving) == (Phase.REVERTED, ONE)
    assert stage.acts("reload-container") == ["reload-container app"] * 2
    assert seen(stage) == ONE.spec.containers["app"].care.configs_digest()


def test_container_that_ended_meanwhile_starts_with_the_new_config():
    stage = serving()
    stage.want(TWO)
    while stage.phase is not Phase.SWITCHING:
        stage.turn()
    stage.reboot()
    stage.start_up()
    assert stage.acts("reload-container", "start-container") == ["reload-container app", "start-container app"]


def test_config_that_somebody_changed_is_put_in_place_again():
    stage = serving()
    name = stage.part("app").name
    stage.engine._containers[name].seen = replace(stage.engine._containers[name].seen, configs="")
    stage.play()
    assert stage.acts() == ["reload-container app"]
    reported = told(A, drift=DriftPolicy.REPORT)
    stage.converge(reported)
    stage.engine._containers[name].seen = replace(stage.engine._containers[name].seen, configs="")
    assert stage.play().hold.reason == "drift-paused"
    assert stage.acts() == []
