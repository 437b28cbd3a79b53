"""`do=pool`: one claim over several data sets, from recorded studies."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

import tests.made_up
from explorer.__main__ import main
from explorer.analysis.judging import open_study
from explorer.analysis.pooled_studies import pool_studies, pooled_sentence
from explorer.analysis.published_runs import NEARLY_EQUAL, every_pair, published
from explorer.analysis.robustness import JudgedCheck, Robustness
from explorer.host.formatting import less, range_in_words
from explorer.study.designs import Setting
from explorer.verbs.command_line import read_command
from tests.made_up import End, all_ok, made_up
from tests.report.test_page import elements

THREE = ["one", "two", "three"]


class Record(Protocol):
    """Writes a study by its name, further words of its command, and what becomes of its runs."""

    def __call__(self, name: str, *more: str, end: End = all_ok) -> None: ...


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """Write studies that differ in their images alone, and in what is said of one of them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def write(name: str, *more: str, end: End = all_ok) -> None:
        monkeypatch.setattr(tests.made_up, "DATA_HASH", f"{sum(name.encode()):016x}")
        words = ["study=equal_params", f"name={name}", f"data.name={name}", f"data.label=Set {name}", "search.seeds=5"]
        made_up(read_command([*words, "recipe.epochs=3", "space.cardinality=[1,8,32]", *more]).study, end)

    return write


@pytest.mark.real
def test_three_data_sets_give_a_mean_a_prediction_and_a_page_that_the_index_lists(
    record: Record, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in THREE:
        record(name)
    assert main(["do=pool", f"studies=[{','.join(THREE)}]", "name=all"]) == 0
    told = capsys.readouterr().out
    assert all(len(line) <= 80 for line in told.splitlines() if " Set " in line)
    pool = pool_studies([open_study(tmp_path / "studies" / name) for name in THREE])
    for part in pool.parts:
        assert re.search(rf"{part.name} +Set {part.name} +5 +{re.escape(less(part.gap.mean))} ", told)
    words = " ".join(told.split())
    assert f"in {pool.found.same_sign} of 3" in words
    assert f"expected to be {range_in_words(pool.found.low, pool.found.high)}, in 95 % of cases" in words
    assert sum(part.weight for part in pool.parts) == pytest.approx(1)
    page = (tmp_path / "reports" / "pool-all.html").read_text()
    (picture,) = [own for tag, own in elements(page) if tag == "svg"]
    assert "on each data set" in str(picture["aria-label"])
    assert [tag for tag, _ in elements(page)].count("polygon") == 1  # the mean
    hollow = [own for tag, own in elements(page) if tag == "circle" and own["fill"] == "none"]
    assert len(hollow) == len(published(32, 1)) >= 10
    assert "://" not in page
    assert ">A further data set<" in page
    index = (tmp_path / "reports" / "index.html").read_text()
    assert index.count('<a href="pool-all.html">') == 2  # of the mean in the picture, and in the list
    assert "Over 3 data sets, does" in index
    assert main(["study=equal_params", "name=one", "data.name=one", "do=report"]) == 0  # which draws the index anew
    assert '<a href="pool-all.html">' in (tmp_path / "reports" / "index.html").read_text()


def test_two_data_sets_have_no_prediction_and_say_so(record: Record, capsys: pytest.CaptureFixture[str]) -> None:
    for name in THREE[:2]:
        record(name)
    assert main(["do=pool", "studies=[one,two]"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "a prediction takes 3 or more" in told
    assert "reports/pool-one-two.html" in told
    assert ">A further data set<" not in Path("reports/pool-one-two.html").read_text()


def test_what_explains_a_difference_is_told_with_the_mean(record: Record) -> None:
    for name in THREE[:2]:
        record(name)
    one, two = (open_study(Path("studies") / name) for name in THREE[:2])
    plain = pool_studies([one, two])
    assert "explain" not in pooled_sentence(plain)
    check = JudgedCheck("init", "explains", ())
    checked = replace(one, finding=replace(one.finding, robustness=Robustness((check,), undone={"rate": ""})))
    told = pooled_sentence(pool_studies([checked, two]))
    assert told.endswith("Robustness checks explain the difference by the initialisation in one.")


def test_names_of_others_stay_text_on_the_page_and_in_the_index(record: Record) -> None:
    hostile = "</p><script>alert(1)</script>&quot;"
    record("one", f'data.label="{hostile}"')
    record("two")
    assert main(["do=pool", "studies=[one,two]", "name=odd"]) == 0
    for name in ("pool-odd", "index"):
        page = Path(f"reports/{name}.html").read_text()
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["recipe.init=fan_in"], "the initialisation (fan_out in one, fan_in in two)"),
        (["study.contrast.setting=8x14d"], "the numbers of paths (32 against 1 in one, 8 against 1 in two)"),
        (["space.depth=[20]"], "the rest of the shape (29 in one, 20 in two)"),
        (["budget=macs"], "the budget (equal parameters in one, equal multiply-adds in two)"),
        (
            ["budget.train=macs"],
            "the budget (equal parameters in one, equal parameters, equal training compute in",
        ),
        (["data.name=one"], "are both of Set one; allowed are studies of different data sets"),
        (["search.seeds=4"], "two has 4 pairs of seeds; allowed: 5 or more, which search.seeds gives it"),
    ],
)
def test_unlike_studies_are_refused_in_one_line_that_says_what_differs(
    record: Record, more: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record("one")
    record("two", *more)
    assert main(["do=pool", "studies=[one,two]"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


@pytest.mark.parametrize(
    ("one", "other"), [("cifar10", "cifar10_jpeg"), ("cifar10_jpeg_rest", "cifar10"), ("imagenet_64", "imagenet")]
)
def test_copies_of_one_data_set_are_not_two_data_sets(
    record: Record, one: str, other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record("one", f"data.name={one}")
    record("two", f"data.name={other}")
    assert main(["do=pool", "studies=[one,two]"]) == 2
    assert "allowed are studies of different data sets" in capsys.readouterr().err


def fails(setting: Setting, seed: int) -> str:
    return "diverged" if seed == 0 else "ok"


def is_unfinished(setting: Setting, seed: int) -> str:
    return "" if seed == 4 else "ok"


@pytest.mark.parametrize(("end", "words"), [(fails, "runs of the contrast failed"), (is_unfinished, "is not finished")])
def test_a_study_without_a_measured_contrast_is_refused(
    record: Record, end: End, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record("one")
    record("two", end=end)
    assert main(["do=pool", "studies=[one,two]"]) == 2
    assert words in capsys.readouterr().err
    assert not Path("reports").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["do=pool"], "needs two recorded studies or more"),
        (["do=pool", "studies=one"], "needs two recorded studies or more"),
        (["do=pool", "studies=[one,one]"], "one is named twice"),
        (["do=pool", "studies=[one,../two]"], "studies='../two'"),
        (["do=pool", "studies=[one,two]", "name=a/b"], "name='pool-a/b'"),
        (["do=pool", "studies=[one,two]"], "two: no such study; in studies/: one"),
        (["do=pool", "study=equal_params"], "works on recorded studies"),
        (["do=pool", "studies=[one,two]", "recipe.epochs=3"], "unknown key"),
    ],
)
def test_a_pool_that_cannot_be_made_is_one_line(
    record: Record, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record("one")
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def test_published_pairs_are_of_nearly_equal_parameters_and_say_who_published_them() -> None:
    assert all(abs(pair.params_deviation) < NEARLY_EQUAL and pair.source for pair in every_pair())
    literal = {pair.data: 100 * pair.gap for pair in published(32, 1) if pair.source == "imgclsmob"}
    assert literal == {"cifar10": pytest.approx(-0.13), "cifar100": pytest.approx(0.16), "svhn": pytest.approx(0.11)}
    of_imagenet = [100 * pair.gap for pair in published(32, 1) if pair.source.startswith("timm")]
    assert (max(of_imagenet), min(of_imagenet)) == (pytest.approx(-0.15), pytest.approx(-1.77))
    assert published(3, 1) == []
