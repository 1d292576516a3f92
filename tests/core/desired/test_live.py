"""Configs that change under a running program: they count in the release digest and in no container's."""

import pytest

from edgegitops.core.model.canonical import sha256_hex
from edgegitops.core.model.spec import Mount


def signalled(world, text="a", target="/etc/app.conf", **fields):
    mounts = {target: {"config": "c"}, **fields.pop("mounts", {})}
    world = world.app(configs={"c": {"inline": text}}, volumes={"data": {}})
    return world.web(mounts=mounts, onConfigChange="signal:HUP", **fields)


def test_changed_content_changes_the_release_and_no_container(world):
    one, two = signalled(world, "a").release().spec, signalled(world, "b").release().spec
    assert one.digest() != two.digest()
    assert one.container_digest("web") == two.container_digest("web")
    assert one.containers["web"].create.mounts == (Mount("/etc/app.conf", live="file", read_only=True),)
    assert one.containers["web"].care.configs == {"/etc/app.conf": {"": sha256_hex(b"a")}}
    assert one.containers["web"].care.config_signal == "SIGHUP"


def test_content_that_is_no_mount_still_replaces_the_container(world):
    env = {"LEVEL": {"config": "c", "key": "LEVEL"}}
    one, two = (signalled(world, f"LEVEL={level}\n", env=env).release().spec for level in (1, 2))
    assert one.container_digest("web") != two.container_digest("web")
    copied = {"/data": {"volume": "data"}, "/data/c": {"config": "c", "onlyIfAbsent": True}}
    one, two = (signalled(world, text, mounts=copied).release().spec for text in "ab")
    assert one.container_digest("web") != two.container_digest("web")


@pytest.mark.parametrize(
    ("target", "mounts"),
    [("/data/app.conf", {"/data": {"volume": "data"}}), ("/run/app.conf", {}), ("/etc/hosts", {})],
)
def test_file_inside_of_another_mount_cannot_change_under_a_program(world, target, mounts):
    fault = signalled(world, target=target, mounts=mounts).fault()
    assert (fault.code, fault.pointer) == ("wrong-value", "/spec/containers/web/onConfigChange")
