"""What Podman is told to allow: nothing but the registries that are named."""

import json

import pytest

from edgegitops.core.documents.image_policy import image_policy_text


@pytest.mark.parametrize(
    ("registries", "scopes"),
    [
        ((), []),
        (("registry.plant.example",), ["registry.plant.example"]),
        (("registry.plant.example/press/", "10.1.0.5:5000"), ["10.1.0.5:5000", "registry.plant.example/press"]),
        (("a.example", "a.example/"), ["a.example"]),
        (("/",), []),
    ],
)
def test_what_is_not_named_is_rejected(registries, scopes):
    tree = json.loads(image_policy_text(registries))
    assert tree["default"] == [{"type": "reject"}]
    assert list(tree["transports"]) == ["docker"]
    assert list(tree["transports"]["docker"]) == scopes


def test_same_registries_give_the_same_text():
    assert image_policy_text(("b.example", "a.example")) == image_policy_text(["a.example", "b.example"])
