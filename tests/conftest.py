"""What every test shares: how deep Hypothesis digs, and that tests of the whole machine take turns.

Tests marked `system` use the machine's kernel, Podman and network namespaces; they all go to one pytest-xdist worker,
so they never run beside one another, while the other workers run the rest.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import Phase, settings

IS_DEEP = os.environ.get("EDGEGITOPS_DEEP", "") not in {"", "0"}

# Time is never asserted in tests, so no deadlines; the deep profile is `make test-deep`. A mutant has to be seen by the
# same few examples every time, and nobody reads how small the failing one could be.
settings.register_profile("commit", deadline=None)
MUTATION = settings(
    deadline=None, max_examples=40, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate]
)
settings.register_profile("mutation", MUTATION)
settings.register_profile("deep", deadline=None, max_examples=2_000)
settings.load_profile("deep" if IS_DEEP else "commit")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Put all tests of the machine into one group, which `--dist loadgroup` gives to one worker.

    The groups must be there before pytest-xdist reads them in the same hook, and it must have understood them.
    """
    ours = [item for item in items if item.get_closest_marker("system")]
    for item in ours:
        item.add_marker(pytest.mark.xdist_group("machine"))
    yield
    if config.getoption("loadgroup", default=False) and not all("@machine" in item.nodeid for item in ours):
        raise pytest.UsageError("pytest-xdist did not group the tests of the machine; use the versions of the lock")
