import re
from dataclasses import replace
from pathlib import Path

import pytest

from explorer.analysis.finding import find
from explorer.analysis.judging import OpenedStudy, open_study
from explorer.analysis.sentences import mood
from explorer.host.errors import StudyStoppedError
from explorer.record.records import Record
from explorer.report import drawing
from explorer.report.index import Entry, best_of, broken, entry_of, write_index
from explorer.report.spark import spark_of
from explorer.verbs.command_line import read_command
from tests.analysis.test_statistics import R, X, frame
from tests.opened import opened
from tests.report.reading import plain
from tests.report.test_colors import contrast
from tests.report.test_page import HOSTILE, elements
from tests.report.test_page import study as page_study
from tests.test_layers import ROOT

TEMPLATES = Path(__file__).parents[2] / "explorer" / "report" / "templates"


def entry(**changes: object) -> Entry:
    runs = frame({R: [0.06, 0.07], X: [0.05, 0.05]}, finished="2026-01-02T03:04:05Z")
    config = read_command(["study=equal_params"]).study
    made = entry_of(opened(config, Record(runs, runs[:0]), find(runs, [R, X], (X, R), seeds=2)))
    return replace(made, **{"page": "equal_params.html", **changes})  # type: ignore[arg-type]


def written(entries: list[Entry], folder: Path) -> str:
    write_index(entries, folder / "index.html")
    return plain((folder / "index.html").read_text())


def test_an_entry_tells_question_verdict_data_runs_date_and_best_design(tmp_path: Path) -> None:
    page = written([entry()], tmp_path)
    for part in (
        '<a href="equal_params.html"><bdi>equal_params</bdi></a>',
        "At equal parameters",
        "2 pairs of seeds are too few",
        "Digits (scikit-learn)",
        "4 of 4",
        '<time datetime="2026-01-02T03:04:05Z">2026-01-02</time>',
        "Mean test error of the best by validation",
        "5.00 %",
        "n = 2 seeds",
        "ResNeXt-29 (32x4d)",
        "of 2 designs",
        'role="img" aria-label="Mean test error against cardinality: 6.50 % at 1, 5.00 % at 32',
    ):
        assert part in page
    assert "<progress" not in page


def test_an_unfinished_study_shows_how_far_it_is(tmp_path: Path) -> None:
    runs = frame({R: [0.06], X: [0.05, 0.05]})
    finding = find(runs, [R, X], (X, R), seeds=4)
    best = best_of(finding)
    assert best is not None
    assert best.label == "Mean test error of the best by validation so far"
    page = written([entry(final=3, wanted=8, best=best, spark=spark_of(finding))], tmp_path)
    assert '<progress value="3" max="8"' in page
    assert "1 not finished" in page
    assert "n = 1 to 2 seeds" in page


def test_the_best_design_says_what_its_error_is_worth() -> None:
    names = [f"29-1x{width}d" for width in range(1, 13)]
    runs = frame({name: [0.1 + place / 1000] for place, name in enumerate(names)})
    listed = best_of(find(runs, names, None, seeds=1))
    assert listed is not None
    assert (listed.label, listed.of, listed.n) == ("Test error of the best by validation", 12, 1)
    assert (listed.error, listed.caution) == (0.1, "")
    # Validation chooses and test tells: that another has the lowest test error by chance is no matter.
    runs["val_error"] = [0.2 - place / 1000 for place in range(12)]
    other = best_of(find(runs, names, None, seeds=1))
    assert other is not None
    assert (other.design, other.error) == ("ResNet-29 (1x12d)", pytest.approx(0.111))
    searched = best_of(find(runs, names[:3], None, seeds=1, designs=9, measure="val_error"))
    assert searched is not None
    assert searched.label == "Lowest validation error so far"
    assert "test images were not looked at" in searched.caution
    alone = best_of(find(runs, names[:1], None, seeds=1))
    assert alone is not None
    assert (alone.label, alone.caution) == ("Test error", "")
    assert best_of(find(runs[:0], names, None, seeds=1)) is None


def test_the_best_of_several_spaces_is_the_best_of_all_and_seeds_that_failed_are_told(tmp_path: Path) -> None:
    runs = frame({R: [0.06, 0.07], X: [0.05, 0.05]})
    runs.loc[runs["setting"] == X, "status"] = ["ok", "diverged"]
    found = best_of(find(runs, [R, X], None, seeds=2, spaces={"one": [R], "many": [X]}, rivals=("many", "one")))
    assert found is not None
    assert (found.design, found.of) == ("ResNet-29 (1x64d)", 2)
    page = written([entry(best=replace(found, failed=1))], tmp_path)
    assert "n = 2 seeds, 1 of them as chance" in page


def test_a_verdict_has_the_colour_it_has_on_its_page_and_none_before_all_runs_are_in(tmp_path: Path) -> None:
    runs = frame({R: [0.06 + seed / 1000 for seed in range(6)], X: [0.05 + seed / 990 for seed in range(6)]})
    moods = [
        mood(find(runs, [R, X], contrast, seeds))
        for contrast, seeds in (((X, R), 6), ((R, X), 6), ((X, R), 7), (None, 6))
    ]
    assert moods == ["yes", "no", "open", "open"]
    assert '<p class="verdict yes">' in written([entry(mood="yes")], tmp_path)


@pytest.mark.parametrize("page", ["demo.html", None])
def test_studies_are_listed_newest_first(tmp_path: Path, page: str | None) -> None:
    old = Entry("old", "Is it?", "Digits", "It is.", 1, 2, "2026-01-01", page)
    newer = replace(old, name="newer", date="2026-02-01T08:00:00Z")
    newest = replace(old, name="newest", date="2026-02-01T09:00:00Z")
    text = written([old, newest, newer], tmp_path)
    assert re.findall(r'data-name="(\w+)"', text) == ["newest", "newer", "old"]
    assert [tag for tag, _ in elements(text)].count("a") == (6 if page else 0)  # in the picture and in the list
    assert ("page not drawn yet" in text) == (page is None)


def test_a_study_that_cannot_be_read_has_its_line_saying_why(tmp_path: Path) -> None:
    page = written([entry(), broken("torn", ValueError("runs.csv, line 7: <no> match"))], tmp_path)
    assert "Cannot be read: runs.csv, line 7: &lt;no&gt; match" in page
    assert "1 cannot be read" in page


def test_hostile_text_is_shown_as_text(tmp_path: Path) -> None:
    plain = entry()
    assert plain.spark is not None
    assert plain.best is not None
    drawn = replace(
        plain.spark.panel, title=HOSTILE, marks=[replace(mark, legend="") for mark in plain.spark.panel.marks]
    )
    attacked = replace(
        plain,
        name=HOSTILE,
        question=HOSTILE,
        data=HOSTILE,
        verdict=HOSTILE,
        date=HOSTILE,
        best=replace(plain.best, design=HOSTILE, label=HOSTILE, caution=""),
        spark=replace(plain.spark, caption=HOSTILE, panel=drawn),
    )
    quiet, loud = (elements(written([one], tmp_path)) for one in (plain, attacked))
    assert [tag for tag, _ in loud] == [tag for tag, _ in quiet]
    assert not [attributes for _, attributes in loud if "onerror" in attributes]


@pytest.mark.parametrize("name", ["javascript:alert(1)", "a#b.html", 'a"b.html', "50%.html"])
def test_a_link_leads_to_a_file_beside_the_index_and_nowhere_else(tmp_path: Path, name: str) -> None:
    page = written([entry(page=name)], tmp_path)
    address, again = [attributes["href"] for tag, attributes in elements(page) if tag == "a"]
    assert address == again
    assert address is not None
    assert re.match(r"[\w.%-]+$", address)


def test_the_index_loads_nothing_and_allows_its_one_script_by_hash(tmp_path: Path) -> None:
    page = written([entry()], tmp_path)
    tags = elements(page)
    assert all("src" not in attributes for _, attributes in tags)
    assert [own.get("type") for tag, own in tags if tag == "script"] == [*["application/gzip"] * 2, None]
    (policy,) = [one["content"] for _, one in tags if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert len(page) < 104_000


def test_an_index_without_studies_says_so(tmp_path: Path) -> None:
    assert "No study has been started yet." in written([], tmp_path)


def test_text_and_verdicts_stand_out_from_the_page_in_light_and_dark() -> None:
    style = (TEMPLATES / "page.css").read_text()
    dark = style[style.index("prefers-color-scheme: dark") :]
    for part in (style, dark):
        colours = dict(reversed(re.findall(r"--(\w+): (#\w{6})", part[:600])))
        for ground in ("page", "panel"):
            for ink in ("text", "quiet"):
                assert contrast(colours[ink], colours[ground]) >= 4.5
        for ink in ("accent", "yes", "no", "open"):
            assert contrast(colours[ink], colours["page"]) >= 4.5


def test_a_recorded_study_has_an_interval_over_seeds_and_images_of_its_two_settings() -> None:
    both = open_study(ROOT / "studies" / "equal_params_cifar10_jpeg").finding.with_images
    assert both is not None
    assert (both.low, both.high) == pytest.approx((-0.0258, -0.0196), abs=5e-5)


def test_a_page_that_cannot_be_drawn_says_where_the_reason_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(study: OpenedStudy, *more: object) -> Path:
        raise KeyError("paths")

    monkeypatch.setattr(drawing, "_drawn", fails)
    with pytest.raises(StudyStoppedError) as caught:
        drawing.draw(replace(page_study(), folder=tmp_path))
    assert "the page cannot be drawn (KeyError: 'paths')" in str(caught.value)
    where = tmp_path / "local" / drawing.FAULT
    assert f"{where} says where" in str(caught.value)
    assert "in fails" in where.read_text()
