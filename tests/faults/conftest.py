"""The fault suite: what is repeated hundreds of times is skipped unless it is asked for, and says what it measured."""

from collections.abc import Callable

import pytest

from tests.faults.level import LEVEL, SEED

Measured = Callable[[str, object], None]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("faults") and LEVEL == "none":
        pytest.skip("the fault suite: run it with make faults")


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Measured:
    """Takes a name and a value, which are told when all tests have ended."""
    return lambda name, value: request.node.user_properties.append((name, value))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        if report.user_properties:
            terminalreporter.write_line(f"{report.nodeid} (EXPLORER_FAULTS={LEVEL}, seed {SEED})")
            for name, value in report.user_properties:
                terminalreporter.write_line(f"    {name}: {value}")
