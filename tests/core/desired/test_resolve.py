"""A snapshot and a node: releases, configs, overrides, policies, conflicts, and what the digests tell apart."""

import copy
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgegitops.core.desired import configs
from edgegitops.core.desired.resolve import desired_for, resolve
from edgegitops.core.model.canonical import sha256_hex
from edgegitops.core.model.facts import Desired, NodeIdentity
from edgegitops.core.model.manifests import Faults, Override
from edgegitops.core.model.policy import NodePolicy
from edgegitops.core.model.release import DriftPolicy, UpdatePolicy, VolumePrune
from edgegitops.core.model.selector import Selector
from edgegitops.core.model.spec import Mount
from edgegitops.core.model.trust import Pin
from edgegitops.core.model.waves import Gate, RolloutPolicy, Wave

GW_A = NodeIdentity("urn:test:fleet", "plant", "gw-a", Pin("urn:test:fleet", "", ""))


def two(world, **fields):
    """Containers `web` and `db`."""
    image = world.spec["containers"]["web"]["image"]
    return world.app(containers={"web": {"image": image, **fields}, "db": {"image": image.replace("app", "db")}})


def digests(world):
    spec = world.release().spec
    return {name: spec.container_digest(name) for name in spec.containers}


CLOSED = NodePolicy()


def desired(world, policy=CLOSED):
    return desired_for(world.snapshot(), GW_A, world.blobs, policy, world.judge)


def test_release_carries_version_revision_attempt_and_its_digest(world):
    release = replace(world, attempt=3).release()
    assert (release.deployment, release.version, release.revision) == ("line", "1.0", "c0ffee")
    assert (release.spec.attempt, release.digest) == (3, release.spec.digest())


def test_only_deployments_whose_selector_matches_are_there(world):
    assert replace(world, selector=world.only("role", "line")).release()
    assert replace(world, selector=world.only("role", "vision")).resolve() == ({}, {}, ())


def test_container_defaults_lie_under_every_container(world):
    defaulted = two(world, restart="never", env={"B": "own"}).app(
        containerDefaults={"restart": "on-failure", "env": {"A": "1", "B": "2"}, "tty": True}
    )
    spec = defaulted.release().spec
    assert (spec.containers["web"].care.restart, spec.containers["db"].care.restart) == ("never", "on-failure")
    assert spec.containers["web"].create.env == {"A": "1", "B": "own"}
    assert spec.containers["web"].create.tty
    fault = defaulted.app(containerDefaults={"restart": "often"}).resolve()[2][0]
    assert fault.pointer == "/spec/containerDefaults/restart"


def test_overrides_apply_in_order_where_they_match(world):
    def env(value):
        return {"containers": {"web": {"env": {"LANG": value}}}}

    here, elsewhere = world.only("country", "SE"), world.only("country", "MX")
    patches = [(here, env("sv")), (elsewhere, env("es")), (here, {"containers": {"web": {"env": {"X": "1"}}}})]
    base = world.web(env={"LANG": "C"})
    assert replace(base, overrides=patches).create().env == {"LANG": "sv", "X": "1"}
    assert replace(base, overrides=[*patches, (here, env("en"))]).create().env["LANG"] == "en"
    assert replace(base, overrides=[(here, {"containers": {"web": {"env": None}}})]).create().env == {}


def test_override_may_add_and_delete_containers(world):
    image = world.spec["containers"]["web"]["image"]
    patch = {"containers": {"web": None, "new": {"image": image}}}
    base = world.app(containerDefaults={"tty": True})
    containers = replace(base, overrides=[(world.only("site", "plant"), patch)]).release().spec.containers
    assert set(containers) == {"new"}
    assert containers["new"].create.tty


def test_fault_of_an_override_stands_in_the_deployment(world):
    patch = {"containers": {"web": {"restart": "often", "env": {"A": "${values.no}"}}}}
    faults = replace(world, overrides=[(world.only("site", "plant"), patch)]).resolve()[2]
    assert {fault.file for fault in faults} == {"deployments/line.yaml"}
    assert {fault.pointer for fault in faults} == {
        "/spec/overrides/0/patch/containers/web/restart",
        "/spec/overrides/0/patch/containers/web/env/A",
    }
    assert all(fault.position for fault in faults)


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        ({"containerDefaults": {"tty": True}}, "not-supported-yet"),
        ({"values": 5}, "wrong-type"),
        ({"container": {}}, "unknown-field"),
        ({"containers": {"wbe": {"tty": True}}}, "missing-field"),
    ],
)
def test_patch_that_cannot_be_is_a_fault(world, patch, code):
    fault = replace(world, overrides=[(world.only("site", "plant"), patch)]).fault()
    assert (fault.code, fault.file) == (code, "deployments/line.yaml")


def test_unknown_application_is_a_fault_with_a_guess(world):
    snapshot = world.snapshot()
    lost = replace(snapshot.deployments["line"], application="ap")
    found = desired_for(replace(snapshot, deployments={"line": lost}), GW_A, world.blobs, NodePolicy(), world.judge)
    assert [(fault.code, fault.suggestion) for fault in found.faults] == [("unknown-application", "app")]


def test_configs_are_known_by_what_the_container_reads(world):
    files = {"conf/a.txt": b"a", "conf/sub/b.txt": b"b", "t.conf": b"site ${site.name} ${HOME}", "other": b"x"}
    sources = {
        "one": {"file": "./conf/a.txt"},
        "all": {"directory": "conf/"},
        "made": {"file": "t.conf", "template": True},
        "here": {"inline": "node ${node.name}", "template": True},
        "plain": {"inline": "no template"},
        "spare": {"file": "other"},
    }
    mounts = {f"/{name}": {"config": name} for name in ("one", "all", "made", "here", "plain")}
    mounts["/part"] = {"config": "all", "path": "sub/b.txt"}
    full = replace(world.app(configs=sources).web(mounts=mounts), files=files)
    releases, contents, faults = full.resolve()
    assert faults == ()
    found = {mount.target: mount for mount in releases["line"].spec.containers["web"].create.mounts}
    assert contents[found["/made"].file] == b"site plant ${HOME}"
    assert contents[found["/here"].file] == b"node gw-a"
    assert found["/one"] == Mount("/one", file=sha256_hex(b"a"), read_only=True)
    assert found["/all"].folder == {"a.txt": sha256_hex(b"a"), "sub/b.txt": sha256_hex(b"b")}
    assert found["/part"].file == sha256_hex(b"b")
    assert all(sha256_hex(data) == digest for digest, data in contents.items())
    assert b"x" not in contents.values()


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({}, "missing-field"),
        ({"file": "a", "inline": "x"}, "missing-field"),
        ({"file": "../secret"}, "path-escapes"),
        ({"file": "/etc/passwd"}, "path-escapes"),
        ({"file": "a/../../b"}, "path-escapes"),
        ({"directory": "."}, "path-escapes"),
        ({"file": "conf/a.text"}, "file-missing"),
        ({"directory": "con"}, "file-missing"),
        ({"file": "raw", "template": True}, "not-utf8"),
        ({"inline": "${values.no}", "template": True}, "unknown-value"),
        ({"inline": "${values.no}"}, "wrong-value"),
        ({"file": "lost"}, "file-missing"),
        ({"inline": "x", "binary": True}, "wrong-value"),
        ({"inline": "x", "mode": 1}, "unknown-field"),
    ],
)
def test_bad_config_is_one_fault_at_its_place(world, config, code):
    """Red where core/desired/configs.py has `if not parts:` for `if text.startswith("/") or ".." in parts or not
    parts:`.
    """
    full = replace(world.app(configs={"c": config}).web(mounts={"/c": {"config": "c"}}))
    full = replace(full, files={"conf/a.txt": b"a", "raw": b"\xff", "lost": b"lost"})
    snapshot = full.snapshot()
    del full.blobs.data[snapshot.applications["app"].files["lost"]]
    found = desired_for(snapshot, GW_A, full.blobs, NodePolicy(), full.judge)
    assert isinstance(found, Faults)
    assert [fault.code for fault in found.faults] == [code]
    assert found.faults[0].pointer.startswith("/spec/configs/c")


def test_config_cannot_be_made_writable(world):
    mounts = {"/c": {"config": "c", "readOnly": False}}
    assert world.app(configs={"c": {"inline": "x"}}).web(mounts=mounts).fault().code == "not-supported-yet"


def test_configs_of_an_application_are_bounded_before_they_are_read(world):
    class Huge:
        def header(self, _oid):
            return type(world.blobs.header(world.blobs.add(b"")))("blob", 2**40)

        def read(self, _oid):
            raise AssertionError("read without asking for the size")

    full = replace(world.app(configs={"c": {"file": "f"}}).web(mounts={"/c": {"config": "c"}}), files={"f": b"x"})
    found = desired_for(full.snapshot(), GW_A, Huge(), NodePolicy(), full.judge)
    assert [fault.code for fault in found.faults] == ["too-large"]


def test_configs_of_an_application_are_bounded_together(world, monkeypatch):
    monkeypatch.setattr(configs, "LARGEST_TOTAL", 10)
    full = world.app(configs={"c": {"file": "1"}, "d": {"directory": "d"}}).web(mounts={"/d": {"config": "d"}})
    fits = replace(full, files={"1": b"1234", "d/2": b"123456"})
    assert fits.release()
    assert replace(fits, files={"1": b"1234", "d/2": b"1234567"}).fault().code == "too-large"


def test_update_policy_is_read_and_has_the_published_defaults(world):
    assert world.release().policy == UpdatePolicy()
    spec = {
        "rollback": {
            "automatic": False,
            "deadline": "2m",
            "soak": "1h",
            "keep": 5,
            "safe": False,
            "maxAttempts": 4,
            "after": "reported",
        },
        "drift": "report",
        "prune": {"volumes": "delete"},
        "rollout": {"paused": True},
    }
    full = replace(world.app(update={"strategy": "recreate", "minReady": "3s"}), deployment_spec=spec)
    assert full.release().policy == UpdatePolicy(
        automatic=False,
        deadline=timedelta(minutes=2),
        soak=timedelta(hours=1),
        keep=5,
        safe=False,
        max_attempts=4,
        min_ready=timedelta(seconds=3),
        drift=DriftPolicy.REPORT,
        prune_volumes=VolumePrune.DELETE,
        paused=True,
    )


@pytest.mark.parametrize(
    ("role", "rollback", "soaks"),
    [
        ("line", {}, (240, 240)),
        ("line", {"rollback": {"soak": "10m"}}, (10, 240)),
        ("vision", {}, (10, 0)),
    ],
)
def test_soak_of_the_nodes_wave_is_counted_and_is_its_own_where_none_is_said(world, role, rollback, soaks):
    waves = (Wave("canary", selector=world.only("role", "line"), gate=Gate(soak=timedelta(hours=4))),)
    node = replace(world, node_tags={"role": role}, deployment_spec=rollback)
    snapshot = node.snapshot()
    deployment = replace(snapshot.deployments["line"], rollout=RolloutPolicy(waves))
    releases, _, faults = resolve(
        replace(snapshot, deployments={"line": deployment}), "plant", "gw-a", node.blobs, node.judge
    )
    policy = releases["line"].policy
    assert faults == ()
    assert (policy.soak, policy.gate_soak) == tuple(timedelta(minutes=span) for span in soaks)


@pytest.mark.parametrize(
    "spec",
    [
        {"drift": "ignore"},
        {"prune": {"volumes": True}},
        {"rollback": {"keep": 0}},
        {"rollback": {"deadline": "soon"}},
        {"rollback": {"after": "regresion"}},
        {"rollback": {"needs": "soon"}},
        {"rollout": {"paused": "no"}},
        {"drfit": "report"},
    ],
)
def test_bad_update_policy_is_a_fault_in_the_deployment(world, spec):
    fault = replace(world, deployment_spec=spec).fault()
    assert fault.file == "deployments/line.yaml"
    assert fault.pointer.startswith(f"/spec/{next(iter(spec))}")


def published(world, *hosts):
    image = world.spec["containers"]["web"]["image"]
    return world.app(containers={f"c{at}": {"image": image, "ports": [host]} for at, host in enumerate(hosts)})


@pytest.mark.parametrize(
    ("one", "other", "is_conflict"),
    [
        ({"host": 80}, {"host": 80}, True),
        ({"host": 80}, {"host": 81}, False),
        ({"host": 80}, {"host": 80, "protocol": "udp"}, False),
        ({"host": 80}, {"host": 80, "hostIP": "127.0.0.1"}, True),
        ({"host": 80, "hostIP": "::"}, {"host": 80, "hostIP": "127.0.0.1"}, True),
        ({"host": 80, "hostIP": "10.0.0.1"}, {"host": 80, "hostIP": "127.0.0.1"}, False),
        ({}, {}, False),
    ],
)
def test_one_host_port_is_given_once(world, one, other, is_conflict):
    _, _, faults = published(world, {"container": 80, **one}, {"container": 80, **other}).resolve()
    assert [fault.code for fault in faults] == (["port-conflict"] if is_conflict else [])
    assert all(fault.pointer == "/spec/containers/c1/ports" for fault in faults)


def test_two_deployments_cannot_publish_one_port(world):
    full = published(world, {"container": 80, "host": 8080})
    _, _, faults = replace(full, more={"second": full.deployment("second")}).resolve()
    assert [fault.code for fault in faults] == ["port-conflict"]
    assert "line.c0" in faults[0].message
    assert "second.c0" in faults[0].message


def test_node_without_an_entry_is_not_enrolled(world):
    stranger = replace(GW_A, node="gw-z")
    found = desired_for(world.snapshot(), stranger, world.blobs, NodePolicy(), world.judge)
    assert found == Desired("c0ffee", is_enrolled=False)
    stranger = replace(GW_A, site="plant-2")
    found = desired_for(world.snapshot(), stranger, world.blobs, NodePolicy(), world.judge)
    assert found == Desired("c0ffee", is_enrolled=False)


def test_maintenance_of_the_node_is_handed_on(world):
    snapshot = world.snapshot()
    site = snapshot.sites["plant"]
    node = replace(site.nodes["gw-a"], is_in_maintenance=True)
    resting = replace(snapshot, sites={"plant": replace(site, nodes={"gw-a": node})})
    assert desired_for(resting, GW_A, world.blobs, CLOSED, world.judge).is_in_maintenance
    assert not desired(world).is_in_maintenance


def test_unknown_resolver_is_the_only_fault(world):
    found = desired(replace(world.web(foo=1), resolver=2))
    assert [(fault.code, fault.file, fault.pointer) for fault in found.faults] == [
        ("resolver-unknown", "fleet.yaml", "/spec/resolver")
    ]


def test_faults_make_the_revision_invalid_for_the_node(world):
    found = desired(world.web(foo=1))
    assert isinstance(found, Faults)
    assert (found.revision, [fault.code for fault in found.faults]) == ("c0ffee", ["unknown-field"])


def test_policy_refuses_one_deployment_and_admits_the_other(world):
    host = {"mounts": {"/x": {"hostPath": "/srv/x"}, "/c": {"config": "c"}}}
    full = world.app(configs={"c": {"inline": "x ${deployment.name}", "template": True}}).web(**host)
    clean = {"containers": {"web": {"mounts": {"/x": None}}}}
    second = replace(full, overrides=[(world.only("site", "plant"), clean)]).deployment("second")
    full = replace(full, more={"second": second})
    found = desired(full)
    assert set(found.releases) == {"second"}
    assert [fault.code for fault in found.refused.by_deployment["line"]] == ["admission-denied"]
    assert list(found.contents.values()) == [b"x second"]
    everything = desired(full, NodePolicy(host_paths=("/srv",)))
    assert set(everything.releases) == {"line", "second"}
    assert not everything.refused.by_deployment


CHANGES = {
    "image": {"image": "registry.example/line/app:1.0@sha256:" + "cd" * 32},
    "env": {"env": {"A": "2"}},
    "config": {"mounts": {"/c": {"config": "c"}}},
}


@pytest.mark.parametrize("name", CHANGES)
def test_only_the_container_that_changed_has_another_digest(world, name):
    before = two(world).app(configs={"c": {"inline": "x"}})
    after = before.app(
        containers={**before.spec["containers"], "web": {**before.spec["containers"]["web"], **CHANGES[name]}}
    )
    assert digests(after)["web"] != digests(before)["web"]
    assert digests(after)["db"] == digests(before)["db"]
    assert after.release().digest != before.release().digest


def test_config_content_alone_makes_another_release(world):
    full = world.app(configs={"c": {"file": "f"}}).web(mounts={"/c": {"config": "c"}})
    one, other = (replace(full, files={"f": data}) for data in (b"1", b"2"))
    assert digests(one) != digests(other)
    assert one.release().digest != other.release().digest


def test_attempt_and_care_make_another_release_and_replace_no_container(world):
    base = two(world)
    for changed in (
        replace(base, attempt=2),
        two(world, probes={"ready": {"tcp": {"port": 1}}}),
        two(world, restart="never"),
        two(world, stop={"timeout": "1m"}),
        two(world, dependsOn={"db": "started"}),
    ):
        assert changed.release().digest != base.release().digest
        assert digests(changed) == digests(base)


def test_what_engine_and_probes_do_not_see_changes_no_digest(world):
    base = two(world).release().digest
    full = two(world)
    for same in (
        full.app(version="9.9"),
        full.app(description="Press shop"),
        full.app(volumes={"spare": {}}, configs={"spare": {"inline": "x"}}),
        full.app(values={"spare": {"default": 1}}),
        full.app(update={"minReady": "1s"}),
        replace(full, deployment_spec={"rollback": {"keep": 9}, "drift": "pause", "rollout": {"paused": True}}),
        replace(full, site_values={"unused": "x"}, tags={"country": "SE", "more": "tags"}),
        replace(full, overrides=[(world.only("country", "MX"), {"containers": {"web": {"tty": True}}})]),
    ):
        assert same.release().digest == base


def test_change_of_a_network_concerns_those_who_join_it(world):
    def joined(**line):
        image = world.spec["containers"]["web"]["image"]
        containers = {name: {"image": image, "networks": {net: {}}} for name, net in (("a", "line"), ("b", "plant"))}
        return digests(world.app(networks={"line": line, "plant": {}}, containers=containers))

    assert joined(internal=True)["a"] != joined()["a"]
    assert joined(internal=True)["b"] == joined()["b"]


def shuffled(tree, random):
    if isinstance(tree, dict):
        keys = list(tree)
        random.shuffle(keys)
        return {key: shuffled(tree[key], random) for key in keys}
    if isinstance(tree, list):
        return [shuffled(item, random) for item in tree]
    return tree


@given(st.randoms(use_true_random=False))
def test_order_of_keys_changes_nothing(world, random):
    full = two(
        world,
        env={"A": "${values.x}", "B": "2", "C": {"from": "node.name"}},
        mounts={"/a": {"tmpfs": {}}, "/a/b": {"config": "c"}, "/d": {"volume": "data"}},
        ports=[{"container": 80, "host": 80}],
        labels={"b": "1", "a": "2"},
        dependsOn={"db": "ready"},
    ).app(
        volumes={"data": {}, "e": {}},
        configs={"c": {"directory": "d"}},
        networks={"p": {}, "l": {}},
        values={"x": {"default": 1}},
    )
    full = replace(full, files={"d/1": b"1", "d/2": b"2"}, values={"x": 3})
    mixed = replace(
        full,
        spec=shuffled(full.spec, random),
        files=shuffled(full.files, random),
        tags=shuffled(full.tags, random),
    )
    assert mixed.release() == full.release()
    assert mixed.release().digest == full.release().digest


def test_resolution_changes_none_of_its_inputs(world):
    full = two(world, env={"A": "1"}).app(containerDefaults={"env": {"B": "2"}})
    full = replace(full, overrides=[(world.only("site", "plant"), {"containers": {"web": {"env": {"A": None}}}})])
    before = copy.deepcopy(full)
    full.release()
    assert full == before


def test_deployments_agree_on_the_network_that_they_share(world):
    shared = world.app(networks={"plant": {"shared": True}})
    two = replace(shared, more={"second": shared.deployment("second")})
    assert two.resolve()[2] == ()
    releases, _, _ = two.resolve()
    names = {name: one.spec.containers["web"].create.networks["plant"].aliases for name, one in releases.items()}
    assert names == {"line": ("line-web",), "second": ("second-web",)}
    aliased = shared.web(networks={"plant": {"aliases": ["broker"]}})
    (fault,) = replace(aliased, more={"second": aliased.deployment("second")}).resolve()[2]
    assert (fault.code, "'broker'" in fault.message) == ("duplicate-name", True)
    patch = {"networks": {"plant": {"internal": True}}}
    other = replace(shared.deployment("second"), overrides=(Override(Selector(is_all=True), patch),))
    (fault,) = replace(shared, more={"second": other}).resolve()[2]
    assert (fault.code, "defined otherwise by line" in fault.message) == ("wrong-value", True)
