"""`python -m benchmarks`: what it takes, and what it says to what it cannot."""

from pathlib import Path

import pytest

from benchmarks.__main__ import main, read_subject
from benchmarks.subjects import SUBJECTS
from tests.conftest import only_line


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["sizes"], "sizes: unknown subject (did you mean size?); allowed: costs, start, accuracy, ranks"),
        (["costs", "designs"], "designs: is no key=value"),
        (["costs", "designs=[1"], "designs=[1: cannot be read"),
        (["costs", "designs=0"], "designs=0: "),
        (["costs", "stored=3"], "stored=3: unknown key (did you mean seed?); allowed: designs"),
        (["accuracy", "margin=0"], "margin=0: "),
        (["report", "runs=9"], "runs=[9]: allowed are numbers from 10 to 10,500"),
        (["report", "runs=[100,10501]"], "runs=[100, 10501]: allowed are numbers from 10 to"),
        (["report", "runs=[]"], "runs=[]: allowed are numbers from 10 to 10,500"),
        (["replay", "recorded=nothing"], "studies/nothing: there is no such study yet"),
    ],
)
def test_unusable_input_is_one_line_and_leaves_nothing(
    workplace: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    assert main(arguments) == 2
    assert only_line(capsys, workplace).startswith(f"benchmarks: {problem}")


def test_help_names_every_subject_with_its_keys_as_they_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines[::2]] == [*SUBJECTS]
    for name, keys in zip(SUBJECTS, lines[1::2], strict=True):
        assert read_subject([name, *keys.split()]) == (name, SUBJECTS[name].settings())


def test_a_study_may_have_a_name_that_looks_like_a_number() -> None:
    assert read_subject(["ranks", "short=1e5"])[1].short == "1e5"
