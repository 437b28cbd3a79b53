"""A little of the fuzz, the same at every run; `make fuzz` does a lot of it."""

import random
from collections.abc import Iterator

import pytest

from tests import fuzz
from tests.conftest import broadly


@pytest.fixture(scope="module", autouse=True)
def place() -> Iterator[None]:
    with fuzz.workplace():
        yield


@pytest.mark.parametrize(
    ("target", "executions"),
    broadly(
        [("tables", 500), ("values", 8), ("columns", 60), ("files", 300), ("names", 5000), ("settings", 30)], fast=3
    ),
)
def test_a_reader_gives_what_was_written_or_refuses_in_one_line(target: str, executions: int) -> None:
    for number in range(executions):
        fuzz.TARGETS[target](random.Random(f"{target} 0 {number}"))


def test_a_finding_is_told_with_the_command_that_repeats_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(chance: random.Random) -> None:
        assert chance.random() < 0.5

    monkeypatch.setitem(fuzz.TARGETS, "names", broken)
    assert fuzz.fuzz("names", 7, seconds=0.05) > 0
    first = capsys.readouterr().err.split("--only ")[1].split()[0]
    assert fuzz.fuzz("names", 7, seconds=0, only=int(first)) == 1
