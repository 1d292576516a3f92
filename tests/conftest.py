"""What every test shares: how deep Hypothesis digs, and that tests of the whole machine take turns.

Tests marked `system` use the machine's kernel, Podman and network namespaces. Those of labs and faults all go to one
pytest-xdist worker, so they never run beside one another, while the other workers run the rest; those of the contracts
have a Podman of their own, and go to another one. A run ends with where its time went.
"""

import os
import signal
from collections import Counter
from collections.abc import Iterator

import pytest
from _pytest.terminal import TerminalReporter
from hypothesis import Phase, settings

LONG_RUN = 60.0
"""A run of so many seconds says where they went."""
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

# A script that starts the tests in its background makes them deaf to Ctrl-C, and all that they start with them; tests
# of what Ctrl-C does would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Put all tests of labs into one group, which `--dist loadgroup` gives to one worker, those of Podman into another.

    The groups must be there before pytest-xdist reads them in the same hook, and it must have understood them.
    """
    ours = [item for item in items if item.get_closest_marker("system")]
    for item in ours:
        alone = "podman" if item.path.parent.name == "contracts" else "machine"
        item.add_marker(pytest.mark.xdist_group(alone))
    yield
    is_grouped = all(item.nodeid.endswith(("@machine", "@podman")) for item in ours)
    if config.getoption("loadgroup", default=False) and not is_grouped:
        raise pytest.UsageError("pytest-xdist did not group the tests of the machine; use the versions of the lock")


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """The slowest files, in seconds; of a long run only."""
    files: Counter[str] = Counter()
    groups: Counter[str] = Counter()
    for report in (one for many in terminalreporter.stats.values() for one in many):
        if isinstance(report, pytest.TestReport):
            files[report.nodeid.partition("::")[0]] += report.duration
            groups["of the machine" if "system" in report.keywords else "of the others"] += report.duration
    if files.total() < LONG_RUN:
        return
    terminalreporter.section("slowest files")
    for name, seconds in (*groups.most_common(), *files.most_common(30)):
        terminalreporter.write_line(f"{seconds:7.1f} s {name}")
