"""Jobs of an application: read as containers that end, in one graph with them."""

from dataclasses import replace
from datetime import UTC

import pytest
from tests.core.desired.conftest import ALL, IMAGE

from edgegitops.core.desired.admission import admit
from edgegitops.core.desired.narrowing import narrow
from edgegitops.core.desired.plant import unknown_zones
from edgegitops.core.model.manifests import Origin, PolicyManifest
from edgegitops.core.model.plant import FixedZones
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.spec import Condition, Restart, Runs


def with_job(world, *, web=None, name="migrate", **fields):
    job = {"image": IMAGE, "runs": "beforeSwitch", **fields}
    return world.web(**(web or {})).app(containers={"web": {"image": IMAGE, **(web or {})}}, jobs={name: job})


def test_job_is_read_like_a_container(world):
    job = with_job(world, env={"SITE": "${site.name}"}, retries=3, timeout="90s").release().spec.jobs["migrate"]
    assert job.create.env == {"SITE": "plant"}
    assert (job.runs, job.retries, job.timeout.total_seconds()) == (Runs.BEFORE_SWITCH, 3, 90)


def test_release_without_jobs_has_the_digest_that_it_had(world):
    assert world.release().digest == world.app(jobs={}).release().digest


def test_job_is_part_of_the_digest(world):
    digests = {with_job(world, retries=number).release().digest for number in range(3)}
    assert len(digests | {world.release().digest}) == 4


def test_containers_and_jobs_are_one_graph(world):
    release = with_job(world, web={"dependsOn": {"migrate": "completed"}}, name="migrate").release()
    assert release.spec.containers["web"].care.depends_on == {"migrate": Condition.COMPLETED}


def test_loop_over_a_job_is_named(world):
    fault = with_job(world, web={"dependsOn": {"migrate": "completed"}}, dependsOn={"web": "ready"}).fault()
    assert fault.code == "dependency-cycle"
    assert "migrate -> web -> migrate" in fault.message


def test_job_and_container_cannot_have_one_name(world):
    assert with_job(world, name="web").fault().code == "duplicate-name"


@pytest.mark.parametrize("runs", ["onUpdate", "schedule"])
def test_container_cannot_wait_for_what_runs_after_it_is_healthy(world, runs):
    more = {"schedule": "@daily"} if runs == "schedule" else {}
    fault = with_job(world, web={"dependsOn": {"migrate": "completed"}}, runs=runs, **more).fault()
    assert fault.code == "wrong-value"
    assert fault.pointer == "/spec/containers/web/dependsOn/migrate"
    assert "begins later" in fault.message


def test_update_job_may_wait_for_a_job_of_the_switch(world):
    jobs = {
        "migrate": {"image": IMAGE, "runs": "beforeSwitch"},
        "tell": {"image": IMAGE, "runs": "onUpdate", "dependsOn": {"migrate": "completed", "web": "ready"}},
        "clean": {"image": IMAGE, "runs": "schedule", "schedule": "@weekly", "dependsOn": {"tell": "completed"}},
    }
    assert set(world.app(jobs=jobs).release().spec.jobs) == set(jobs)


def test_unknown_name_is_told_with_a_neighbour(world):
    fault = with_job(world, web={"dependsOn": {"migrat": "completed"}}).fault()
    assert fault.code == "unknown-reference"
    assert "migrate" in fault.suggestion


def test_job_that_is_not_enabled_is_waited_for_by_nobody(world):
    fault = with_job(world, web={"dependsOn": {"migrate": "completed"}}, enabled=False).fault()
    assert fault.message.endswith("'migrate' is not enabled here")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("restart", "always"),
        ("restartLimit", {"attempts": 1, "within": "1m"}),
        ("probes", {"ready": {"tcp": {"port": 1}}}),
    ],
)
def test_what_keeps_a_container_running_means_nothing_for_a_job(world, key, value):
    fault = with_job(world, **{key: value}).fault()
    assert (fault.code, fault.pointer) == ("wrong-value", f"/spec/jobs/migrate/{key}")


def test_container_defaults_are_for_jobs_too_but_for_what_keeps_containers_running(world):
    spec = {
        **with_job(world).spec,
        "containerDefaults": {
            "restart": "always",
            "env": {"A": "1"},
            "probes": {"ready": {"tcp": {"port": 1}}},
        },
    }
    job = with_job(world).app(**spec).release().spec.jobs["migrate"]
    assert job.create.env == {"A": "1"}
    assert (job.care.ready, job.care.restart) == (None, Restart.ALWAYS)


def test_override_merges_jobs_by_name_and_adds_one_with_the_defaults(world):
    patch = {"jobs": {"migrate": {"retries": 2}, "late": {"image": IMAGE, "runs": "onUpdate"}}}
    spec = {**with_job(world).spec, "containerDefaults": {"env": {"A": "1"}}}
    jobs = replace(world.app(**spec), overrides=[(ALL, patch)]).release().spec.jobs
    assert jobs["migrate"].retries == 2
    assert {name: job.create.env for name, job in jobs.items()} == {"migrate": {"A": "1"}, "late": {"A": "1"}}


def test_override_can_take_a_job_away(world):
    patched = replace(with_job(world), overrides=[(ALL, {"jobs": {"migrate": None}})])
    assert patched.release().digest == world.release().digest


@pytest.mark.parametrize(
    ("zone", "expected"),
    [(None, "Europe/Stockholm"), ("site", "Europe/Stockholm"), ("utc", "UTC"), ("Asia/Tokyo",) * 2],
)
def test_schedule_is_read_in_its_zone(world, zone, expected):
    more = {"timeZone": zone} if zone else {}
    job = with_job(world, runs="schedule", schedule="0 3 * * *", **more).release().spec.jobs["migrate"]
    assert (job.schedule, job.zone) == ("0 3 * * *", expected)


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"runs": "schedule"}, "missing-field", "/spec/jobs/migrate"),
        ({"runs": "schedule", "schedule": "0 25 * * *"}, "wrong-format", "/spec/jobs/migrate/schedule"),
        ({"runs": "schedule", "schedule": "0 0 30 2 *"}, "wrong-format", "/spec/jobs/migrate/schedule"),
        ({"schedule": "@daily"}, "wrong-value", "/spec/jobs/migrate/schedule"),
        ({"missed": "skip"}, "wrong-value", "/spec/jobs/migrate/missed"),
        ({"timeout": "0s"}, "wrong-value", "/spec/jobs/migrate/timeout"),
        ({"retries": 101}, "wrong-value", "/spec/jobs/migrate/retries"),
        ({"runs": "sometimes"}, "wrong-value", "/spec/jobs/migrate/runs"),
        ({"cron": "@daily"}, "unknown-field", "/spec/jobs/migrate/cron"),
    ],
)
def test_wrong_job_is_told(world, fields, code, pointer):
    fault = with_job(world, **fields).fault()
    assert (fault.code, fault.pointer) == (code, pointer)


def test_zone_that_nobody_knows_is_told_before_the_merge(world):
    here = FixedZones({"Etc/UTC": UTC})
    snapshot = with_job(world, runs="schedule", schedule="@daily", timeZone="Mars/Olympus").snapshot()
    told = list(unknown_zones(snapshot, here))
    assert [(one.code, one.pointer) for one in told] == [("unknown-reference", "/spec/jobs/migrate/timeZone")]


def test_job_is_admitted_by_the_rules_of_containers(world):
    spec = with_job(world, hostNetwork=True, mounts={"/h": {"hostPath": "/srv", "type": "directory"}}).release().spec
    told = [fault.message for fault in admit(spec, NodePolicy())]
    assert any(one.startswith("jobs.migrate.hostNetwork") for one in told)
    assert any(one.startswith("jobs.migrate.mounts./h") for one in told)


def test_policy_of_the_fleet_narrows_jobs_but_asks_no_probes_of_them(world):
    spec = with_job(world, web={"probes": {"ready": {"tcp": {"port": 80}}}}).release().spec
    policy = PolicyManifest(Origin("policies/p.yaml", {}), "p", ALL, minimum_profile="restricted", require_probes=True)
    told = [fault.message for fault in narrow(spec, [policy])]
    assert [one for one in told if "probes" in one] == []
    assert any("jobs.migrate.security.profile" in one for one in told)


def test_two_that_publish_one_port_are_told_whatever_they_are(world):
    port = [{"container": 80, "host": 8080}]
    _, _, faults = with_job(world, web={"ports": port}, ports=port).resolve()
    assert [(one.code, one.pointer) for one in faults] == [("port-conflict", "/spec/jobs/migrate/ports")]


def test_files_that_only_a_job_mounts_are_delivered(world):
    spec = {**with_job(world, mounts={"/etc/a": {"config": "a"}}).spec, "configs": {"a": {"inline": "hello"}}}
    releases, contents, faults = world.app(**spec).resolve()
    assert faults == ()
    assert set(contents.values()) == {b"hello"}
    assert "line" in releases
