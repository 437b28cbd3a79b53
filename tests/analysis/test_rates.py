"""search.rates: does the verdict hold when each setting is trained at the learning rate that suits it best?"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from explorer.__main__ import main
from explorer.analysis.finding import find
from explorer.analysis.judging import open_study
from explorer.analysis.learning_rate_check import learning_rate_check
from explorer.analysis.sentences import learning_rate_sentence
from explorer.record.folder import study_folder
from explorer.record.progress import progress_of
from explorer.record.records import load, load_correct
from explorer.study.plan import plan_of
from explorer.verbs.command_line import read_command
from tests.analysis.test_statistics import R, X, frame
from tests.conftest import TINY
from tests.made_up import all_ok, made_up

BASE = [0.30, 0.31, 0.29, 0.30, 0.32, 0.31]
JITTER = np.array([0.001, -0.001, 0.002, 0.0, -0.002, 0.001])


def runs(at_half: tuple[float, float], at_double: tuple[float, float]) -> pd.DataFrame:
    """Validation errors of the two settings at the recipe's rate and, moved by so much, at half and at double of it."""
    parts = []
    for rate, (first, second) in ((1.0, (-0.02, 0.0)), (0.5, at_half), (2.0, at_double)):
        errors = {X: list(np.array(BASE) + first + JITTER), R: list(np.array(BASE) + second)}
        part = frame(errors, rate=rate)
        parts.append(part.assign(val_error=part["test_error"], test_error=part["test_error"] if rate == 1 else np.nan))
    return pd.concat(parts, ignore_index=True)


def test_a_verdict_holds_where_no_other_rate_suits_the_rival_better() -> None:
    found = learning_rate_check(runs((-0.01, 0.01), (-0.01, 0.01)), (X, R), None, 0.05)
    assert found is not None
    assert found.rates == (1.0, 1.0)
    assert found.holds
    assert found.best == found.base


def test_a_verdict_that_only_the_rate_made_does_not_hold() -> None:
    found = learning_rate_check(runs((0.02, -0.02), (0.01, 0.01)), (X, R), 0.005, 0.05)
    assert found is not None
    assert found.rates == (1.0, 0.5)
    assert (found.base.verdict, found.best.verdict) == ("beats", "equivalent")
    assert not found.holds


def test_a_rate_that_lacks_seeds_is_not_chosen_from_and_one_rate_is_no_choice() -> None:
    every = runs((0.02, -0.02), (0.01, 0.01))
    lacking = every.drop(every[(every["rate"] == 0.5) & (every["setting"] == R) & (every["seed"] == 5)].index)
    found = learning_rate_check(lacking, (X, R), None, 0.05)
    assert found is not None
    assert found.rates == (1.0, 1.0)
    assert learning_rate_check(every[every["rate"] == 1], (X, R), None, 0.05) is None


def test_runs_at_other_rates_do_not_touch_the_finding_and_the_sentence_tells_of_them() -> None:
    every = runs((0.02, -0.02), (0.01, 0.01))
    with_rates, plain = (find(rows, [R, X], (X, R), 6) for rows in (every, every[every["rate"] == 1]))
    assert with_rates.comparison == plain.comparison
    assert with_rates.final == plain.final == 12
    assert plain.learning_rate_check is None
    assert learning_rate_sentence(plain) == ""
    # While runs are missing the chosen rates may still change, so nothing is told of them.
    unfinished = find(every, [R, X], (X, R), 7)
    assert unfinished.learning_rate_check is not None
    assert learning_rate_sentence(unfinished) == ""
    said = learning_rate_sentence(with_rates)
    assert "changes from beats to inconclusive" in said
    assert "x1 for ResNeXt-29 (32x4d) and x0.5 for ResNet-29 (1x64d)" in said


@pytest.mark.real
def test_only_the_contrasts_settings_are_trained_at_other_rates_and_their_test_is_not_looked_at(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*TINY, "search.rates=[0.5,2]", "recipe.epochs=1", "space.cardinality=[1,2,4]", "storage=none"]
    command += ["budget.params.tolerance=0.4"]
    assert len(plan_of(read_command(command).study).settings) == 3
    assert main([*command, "do=plan"]) == 0
    assert "14 of 14 runs to do" in capsys.readouterr().out
    assert main(command) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "when each setting has the learning rate that suits it best" in said
    record = load(study_folder("tiny")).runs
    assert record.groupby("rate")["run"].count().to_dict() == {0.5: 4, 1.0: 6, 2.0: 4}
    others = record[record["rate"] != 1]
    assert others["test_error"].isna().all()
    assert set(load_correct(study_folder("tiny"))) == set(record.loc[record["rate"] == 1, "run"])
    rates = load(study_folder("tiny")).epochs.merge(record[["run", "rate"]], on="run").groupby("rate")["learning_rate"]
    assert rates.max()[2.0] == pytest.approx(4 * rates.max()[0.5])
    assert open_study(study_folder("tiny")).finding.learning_rate_check is not None
    assert main(command) == 0
    assert "Starting" not in capsys.readouterr().out
    assert main([*command, "do=plan"]) == 0
    assert "0 of 14 runs to do" in capsys.readouterr().out
    # The order in which rates are given is no other study.
    assert main([*command, "search.rates=[2,0.5]", "do=plan"]) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["search.rates=[1]"], "search.rates=[1.0]: allowed are multiples that differ from each other and from 1"),
        (["search.rates=[2,2]"], "search.rates=[2.0, 2.0]: allowed are multiples that differ from each other and"),
        (
            ["search.rates=[1.0000000001]"],
            "from each other and from 1 in their first nine decimals",
        ),
        (["search.rates=[0]"], "search.rates.0=0: must be greater than or equal to 0.000001"),
        (
            ["search.rates=[2]", "study.contrast=null"],
            "search.rates=[2.0]: the two settings of study.contrast are trained at these",
        ),
    ],
)
def test_unusable_rates_are_refused(
    changes: list[str], message: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*TINY, *changes]) == 2
    assert message in capsys.readouterr().err
    assert not (workplace / "studies").exists()


def test_a_study_at_a_rate_of_many_decimals_is_finished_when_its_runs_are_in(workplace: Path) -> None:
    config = read_command([*TINY, "search.rates=[0.33333333333,3]"]).study
    made_up(config, all_ok)
    plan = plan_of(config)
    progress = progress_of(plan, load(study_folder("tiny")))
    assert (progress.left, progress.others) == (0, 8)
