"""What differs between a study's start and its continuation, and what becomes of it: refused, forked, or recorded."""

import csv
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import explorer
from explorer import __version__
from explorer.__main__ import main
from explorer.host.errors import InputError
from explorer.record import folder as study
from explorer.record import records, starts, table
from explorer.record.rows import RunRecord
from explorer.report import drawing, method
from explorer.search import coordinator, fork
from explorer.study.job import Answer, FormsQuestion, HostReport, Job, Question
from explorer.study.run import Convolution
from tests.conftest import TINY, broadly
from tests.opened import recorded_studies
from tests.report.reading import plain
from tests.search.test_coordinator import OK, SEARCH, Engine, finishing

FOLDER, FORK = Path("studies/tiny"), Path("studies/tiny-2")
RECORDED = recorded_studies()
UNINTERRUPTED = {  # recorded studies that one start brought to their end
    "cardinality_or_width_cifar10_jpeg",
    "design_space_cifar10_jpeg",
    "equal_params_cifar10_jpeg",
    "equal_params_tiny_imagenet_32px",
    "fast_path",
    "plain_path",
}
SOURCES = {"design/cost.py": "aaaa", "training/loop.py": "bbbb"}
THERE = HostReport("cpu", "some processor", "hash", {"torch": "2", "numpy": "1"}, images=(80, 40, 100), sources=SOURCES)
Start = Callable[..., tuple[int, list[Job]]]


@dataclass
class Elsewhere(Engine):
    """An engine that runs on what it is told."""

    there: HostReport = THERE

    def ask(self, question: Question, workers: int = 1) -> list[Answer]:
        return super().ask(question, workers) if isinstance(question, FormsQuestion) else [self.there]


@pytest.fixture
def start(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Start the tiny study on the host described; gives the exit code and the jobs that were trained.

    Pages are drawn by do=report alone, or most of the time would go there.
    """
    monkeypatch.setattr(starts, "_commit", lambda: "abc")
    draw = drawing.draw

    def start(*overrides: str, there: HostReport = THERE, outcome: Any = OK) -> tuple[int, list[Job]]:
        monkeypatch.setattr(drawing, "draw", draw if "do=report" in overrides else lambda *_: None)
        engine = Elsewhere(finishing(outcome), there=there)
        for module in (coordinator, fork):
            monkeypatch.setattr(module, "open_engine", lambda *_: engine)
        return main([*TINY, "storage=none", *overrides]), engine.jobs

    return start


def environment(folder: Path = FOLDER) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / study.ENVIRONMENT).read_text())
    return found


def rewrite(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file; None takes one away."""
    tree = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in tree.items() if value is not None}))


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.glob("*.*")}


def rows(folder: Path) -> pd.DataFrame:
    return records.load(folder).runs.sort_values("run", ignore_index=True)


def words(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("override", "there", "told"),
    [
        ("recipe.epochs=3", {}, "recipe.epochs was 2, now 3"),
        ("search.seeds=3", {"data_hash": "other"}, "data_hash was hash, now other"),
        ("search.seeds=3", {"versions": {"torch": "3", "numpy": "1"}}, "torch was 2, now 3"),
        ("search.seeds=3", {"device_name": "another"}, "device_name was some processor, now another"),
        ("engine.threads=2", {}, "threads was 1, now 2"),
        ("engine.deterministic=false", {}, "deterministic was true, now false"),
        (
            "search.seeds=3",
            {"sources": SOURCES | {"training/loop.py": "cccc"}},
            "explorer/training/loop.py was version bbbb, now version cccc); go back to commit abc (version ",
        ),
        ("search.seeds=3", {"sources": SOURCES | {"more.py": "dddd"}}, "explorer/more.py was absent, now version dddd"),
        (
            "search.seeds=3",
            {"sources": {"design/cost.py": "aaaa"}},
            "explorer/training/loop.py was version bbbb, now absent",
        ),
    ],
)
def test_what_decides_a_number_may_not_change(
    start: Start, capsys: pytest.CaptureFixture[str], override: str, there: dict[str, Any], told: str
) -> None:
    start()
    before = files(FOLDER)
    capsys.readouterr()
    seeds = () if override.startswith("search") else ("search.seeds=3",)
    assert start(override, *seeds, there=replace(THERE, **there)) == (2, [])
    (line,) = capsys.readouterr().err.splitlines()
    assert "studies/tiny: was started differently (" in line
    assert told in line
    assert "go on under another name with explorer fork tiny" in line
    assert files(FOLDER) == before


def test_an_execution_plan_that_was_edited_is_told_and_refused(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    start()
    rewrite(FOLDER / study.EXECUTION, layout="contiguous")
    assert start("search.seeds=3") == (2, [])
    assert "(execution.json: layout was channels_last, now contiguous)" in capsys.readouterr().err


def test_an_execution_plan_of_an_earlier_version_is_of_deterministic_kernels_and_a_new_one_may_be_of_others() -> None:
    old: dict[str, Any] = {"device": "cuda", "device_name": "some GPU", "form": "grouped", "layout": "channels_last"}
    old |= {"precision": "bfloat16", "threads": 1, "micro_batch": 128, "norms": "torch", "convolutions": []}
    assert starts.execution_in(old, FOLDER).deterministic
    padded = {"layer": "112>112_k3_s1_g8_32px", "groups": 4, "layout": "padded"}
    new = old | {"precision": "float16", "layout": "contiguous", "deterministic": False, "convolutions": [padded]}
    plan = starts.execution_in(new, FOLDER)
    assert json.loads(json.dumps(asdict(plan))) == new
    assert method.convolutions(new) == ("112>112_k3_s1_g8_32px as 4 groups, padded to a multiple of 8 channels a group")


WAY_ON = (
    "continue it as it is with explorer tiny, begin another study by adding name=..., or go on under another name with "
    "explorer fork tiny"
)


def test_much_that_differs_is_told_in_an_aligned_list_that_ends(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    start()
    capsys.readouterr()
    assert start("recipe=short", "recipe.epochs=2", "recipe.batch_size=20", "recipe.cutout=3")[0] == 2
    first, heads, *lines = capsys.readouterr().err.splitlines()
    assert first.endswith(f"in {len(lines)} respects; {WAY_ON} KEY=VALUE...")
    then, now = heads.index("then"), heads.index("now")
    (line,) = [line for line in lines if line.strip().startswith("recipe.cutout ")]
    assert (line[then:now].strip(), line[now:]) == ("0", "3")
    changed = {f"file_{number}": "eeee" for number in range(25)}
    assert start("search.seeds=3", there=replace(THERE, sources=SOURCES | changed))[0] == 2
    first, _, *lines = capsys.readouterr().err.splitlines()
    assert "in 25 respects; go back to commit abc" in first
    assert (len(lines), lines[-1].strip()) == (21, "and 5 more")


def test_where_to_go_back_to_is_told_by_commit_or_version(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    start()
    assert environment()["version"] == environment()["starts"][0]["version"] == __version__
    other = replace(THERE, sources=SOURCES | {"training/loop.py": "cccc"})

    def way(**changes: Any) -> str:
        rewrite(FOLDER / study.ENVIRONMENT, **changes)
        capsys.readouterr()
        assert start("search.seeds=3", there=other) == (2, [])
        return capsys.readouterr().err.partition("now version cccc); ")[2]

    assert way().startswith(f"go back to commit abc (version {__version__}), or go on under another")
    assert way(version="0.0.9").startswith("go back to commit abc (version 0.0.9), or go on under another")
    assert way(commit="").startswith("go back to version 0.0.9, or go on under another")  # installed without a checkout
    assert way(version=__version__).startswith("go on under another")  # which is what runs now
    assert way(version=None).startswith("go on under another")  # an earlier version wrote none


def test_a_record_has_its_schema_and_each_start_the_programs_version(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    assert next(iter(environment().items())) == ("schema", study.SCHEMA)
    monkeypatch.setattr("explorer.__version__", "9.9.9")
    start("search.seeds=3")
    assert environment()["schema"] == study.SCHEMA
    assert [one["version"] for one in environment()["starts"]] == [__version__, "9.9.9"]
    start("search.seeds=3", "recipe.epochs=3", "fork=true")
    assert environment(FORK)["schema"] == study.SCHEMA
    assert [one["version"] for one in environment(FORK)["starts"]] == ["9.9.9"]


def test_a_record_without_a_number_is_of_the_first_schema_and_gets_one_only_when_it_goes_on(start: Start) -> None:
    start()
    rewrite(FOLDER / study.ENVIRONMENT, schema=None)
    before = files(FOLDER)
    for overrides in ([], ["do=plan"], ["do=report"], ["do=tabulate"], ["do=doctor", "yes=true"]):
        assert start(*overrides) == (0, [])
        assert files(FOLDER) == before
    assert start("search.seeds=3")[0] == 0
    assert environment()["schema"] == study.SCHEMA


@pytest.mark.real
def test_a_record_from_before_there_were_filters_goes_on_with_those_of_its_new_runs(start: Start) -> None:
    start()
    path = FOLDER / study.RUNS
    older = [name for name in table.columns(RunRecord) if name not in ("filter_layers", "crc")]
    rows = csv.DictReader(path.read_text().splitlines())
    path.write_text(",".join([*older, "crc"]) + "\n" + table._checked([[row[name] for name in older] for row in rows]))
    (FOLDER / study.FILTERS).unlink()
    rewrite(FOLDER / study.ENVIRONMENT, schema=2)
    sources = environment()["sources"]
    rewrite(FOLDER / study.ENVIRONMENT, sources=sources | {"training/loop.py": "0"})
    before = files(FOLDER)
    assert start("search.seeds=3") == (2, [])  # refused, and that version can still read it
    assert {name: text for name, text in files(FOLDER).items() if name in before} == before
    rewrite(FOLDER / study.ENVIRONMENT, sources=sources)
    before = files(FOLDER)
    for overrides in ([], ["do=plan"], ["do=report"], ["do=tabulate"], ["do=doctor", "yes=true"]):
        assert start(*overrides) == (0, [])
        assert files(FOLDER) == before
    assert not Path("tables/tiny/filters.parquet").exists()
    assert start("search.seeds=3")[0] == 0
    found = records.load(FOLDER)
    assert environment()["schema"] == study.SCHEMA
    assert list(found.runs["filter_layers"]) == [0, 0, 0, 0, 1, 1]
    assert set(found.filters["run"]) == set(found.runs["run"][4:])
    for overrides in (["search.seeds=3", "do=doctor"], ["search.seeds=3", "do=tabulate"]):
        assert start(*overrides) == (0, [])
    opened = explorer.open_study(Path("tables/tiny"))
    pd.testing.assert_frame_equal(opened.filters, explorer.open_study("tiny").filters)
    assert len(opened.filters) == 2
    # A fork takes them over with its runs.
    assert start("search.seeds=3", "study.margin=0.03", "fork=true") == (0, [])
    taken = records.load(FORK)
    assert sorted(taken.runs["filter_layers"]) == [0, 0, 0, 0, 1, 1]
    assert sorted(taken.filters["run"]) == sorted(found.filters["run"])


@pytest.mark.parametrize("whole", [True, False])
def test_a_record_of_a_later_schema_is_refused_in_one_line_and_left_as_it_is(
    start: Start, capsys: pytest.CaptureFixture[str], whole: bool
) -> None:
    start()
    rewrite(FOLDER / study.ENVIRONMENT, schema=study.SCHEMA + 1, starts=[{"version": "0.1"}, {"version": "9.9.9"}])
    if not whole:  # nor can the rest be taken for what it is here
        rewrite(FOLDER / study.ENVIRONMENT, data_hash=None, images="of another kind")
        (FOLDER / study.CONFIG).write_text("- a list\n")
        (FOLDER / study.EXECUTION).unlink()
        with (FOLDER / study.RUNS).open("a") as file:
            file.write("torn")
    before = files(FOLDER)
    commands = ("", "search.seeds=3", "fork=true", "do=plan", "do=report", "do=tabulate", "do=doctor")
    for command in (*commands, "do=doctor yes=true", "do=move storage=sqlite"):
        capsys.readouterr()
        assert start(*command.split()) == (2, []), command
        (line,) = capsys.readouterr().err.splitlines()
        assert line == (
            f"explorer: studies/tiny/environment.json: schema {study.SCHEMA + 1} of a record, written by version 9.9.9 "
            f"of resnext-explorer; this is version {__version__}, which reads schemas 1 to {study.SCHEMA}: install "
            "that one, or choose another name="
        )
        assert files(FOLDER) == before
    with pytest.raises(InputError, match=r"written by version 9\.9\.9"):
        explorer.open_study("tiny")


def test_the_index_says_of_a_record_of_a_later_schema_that_it_is_one(start: Start) -> None:
    start()
    start("name=other")
    rewrite(FOLDER / study.ENVIRONMENT, schema=study.SCHEMA + 1)
    (FOLDER / study.CONFIG).write_text("- a list\n")
    assert start("name=other", "do=report")[0] == 0
    assert f"schema {study.SCHEMA + 1} of a record" in Path("reports/index.html").read_text()


@pytest.mark.parametrize("schema", [0, -1, True, "2", 1.5, []])
def test_a_schema_that_is_no_number_of_one_is_damage(
    start: Start, capsys: pytest.CaptureFixture[str], schema: Any
) -> None:
    start()
    rewrite(FOLDER / study.ENVIRONMENT, schema=schema)
    capsys.readouterr()
    assert start("do=report")[0] == 2
    assert re.search(r"environment\.json: schema is .*; restore the file", capsys.readouterr().err)


def test_a_study_that_kept_no_sources_goes_on_with_one_warning_and_keeps_them_from_then_on(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    start()
    rewrite(FOLDER / study.ENVIRONMENT, sources=None, starts=None, execution=None)
    lines = (FOLDER / study.RUNS).read_text().splitlines()
    code, jobs = start("search.seeds=3")
    assert (code, len(jobs)) == (0, 2)
    assert words(capsys).count("kept no digests of its sources") == 1
    assert environment()["sources"] == SOURCES
    assert (FOLDER / study.RUNS).read_text().splitlines()[: len(lines)] == lines
    code, jobs = start("search.seeds=4")
    assert (code, len(jobs)) == (0, 2)
    assert "sources" not in words(capsys)
    # What a first start of old did not write down cannot be told from it, but rows say that theirs was another one.
    assert list(records.load(FOLDER).runs["start"]) == [0, 0, 0, 0, 1, 1, 1, 1]
    assert start("search.seeds=5", there=replace(THERE, sources={}))[0] == 2


def test_what_else_differs_is_warned_of_and_stands_in_every_row(
    start: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    assert "differs from" not in words(capsys)
    monkeypatch.setattr(starts, "_commit", lambda: "def")
    newer = replace(THERE, versions={"torch": "2", "numpy": "7"}, machine={**THERE.machine, "host": "otherwhere"})
    assert start("search.seeds=3", there=newer)[0] == 0
    (line,) = [line for line in words(capsys).splitlines() if "differs from" in line]
    assert "numpy was 1, now 7; commit was abc, now def; its runs have start 1" in line
    assert ", now otherwhere; " in line
    assert [one["commit"] for one in environment()["starts"]] == ["abc", "def"]
    assert list(records.load(FOLDER).runs["start"]) == [0, 0, 0, 0, 1, 1]
    assert start("do=report")[0] == 0
    page = plain((study.REPORTS / "tiny.html").read_text())
    assert "Commits abc, def; the sources that decide a number are the same in all." in page
    assert "But starts differ in: numpy." in page
    assert "Z: 2 runs; numpy 7; commit def<" in page
    assert "otherwhere" not in page


def test_a_start_like_an_earlier_one_is_that_one_again(start: Start) -> None:
    newer = replace(THERE, versions={"torch": "2", "numpy": "7"})
    for seeds, there in ((2, THERE), (3, newer), (4, THERE), (5, newer)):
        assert start(f"search.seeds={seeds}", there=there)[0] == 0
    assert [one["versions"]["numpy"] for one in environment()["starts"]] == ["1", "7"]
    assert list(records.load(FOLDER).runs["start"]) == [0, 0, 0, 0, 1, 1, 0, 0, 1, 1]


def test_a_record_without_the_column_has_the_first_start_and_gets_it_when_it_is_continued(start: Start) -> None:
    start()
    path = FOLDER / study.RUNS
    later = ("start", "host", "filter_layers", "stem", "projection", "attention", "scale")
    older = [name for name in table.columns(RunRecord) if name not in (*later, "crc")]
    rows = csv.DictReader(path.read_text().splitlines())
    path.write_text(",".join([*older, "crc"]) + "\n" + table._checked([[row[name] for name in older] for row in rows]))
    table.truncate(FOLDER / study.FILTERS, 0)
    assert list(records.load(FOLDER).runs["start"]) == [0] * 4
    assert start("search.seeds=3")[0] == 0
    assert path.read_text().splitlines()[0].endswith(",".join(["", *later, "crc"]))
    assert set(records.load(FOLDER).runs["attention"]) == {"none"}
    assert list(records.load(FOLDER).runs["start"]) == [0] * 6


@pytest.mark.parametrize("folder", RECORDED, ids=lambda folder: folder.name)
def test_recorded_studies_say_what_each_run_was_started_on(folder: Path) -> None:
    found = starts.starts_of(environment(folder))
    assert set(records.load(folder).runs["start"]) <= set(range(len(found)))
    assert all(one["versions"]["torch"] for one in found)
    if folder.name in UNINTERRUPTED:
        assert len(found) == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"starts": 3}, "starts is not a list;"),
        ({"starts": [3]}, "starts[0] is not an object;"),
        ({"sources": []}, "sources is not an object;"),
    ],
)
def test_a_damaged_list_of_starts_is_named(
    start: Start, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], told: str
) -> None:
    start()
    rewrite(FOLDER / study.ENVIRONMENT, **changes)
    assert start("search.seeds=3") == (2, [])
    assert f"environment.json: {told}" in capsys.readouterr().err


def test_a_first_start_that_was_cut_short_while_it_was_written_down_binds_nobody(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(starts, "as_tree", lambda config: (_ for _ in ()).throw(KeyboardInterrupt))
        assert start()[0] == 130
    assert (FOLDER / study.ENVIRONMENT).exists()
    elsewhere = replace(THERE, data_hash="other", versions={"torch": "3"}, sources={})
    assert start("recipe.epochs=3", there=elsewhere)[0] == 0
    assert (environment()["data_hash"], len(environment()["starts"])) == ("other", 1)


def test_a_question_that_names_the_images_follows_them_where_they_are_called_otherwise(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = "study.question=Does it help on {data}?"
    start(asked)
    assert start(asked, "data.label=Others") == (0, [])
    assert start("study.question=Does it?", "data.label=Others") == (2, [])
    assert "study.question was Does it help on Others?, now Does it?" in capsys.readouterr().err


def test_fork_changes_nothing_where_nothing_differs(start: Start) -> None:
    assert len(start("fork=true")[1]) == 4
    before = files(FOLDER)
    assert start("fork=true") == (0, [])
    assert files(FOLDER) == before
    assert len(start("fork=true", "search.seeds=3")[1]) == 2
    assert sorted(path.name for path in study.STUDIES.iterdir()) == ["tiny"]
    assert "fork" not in (FOLDER / study.CONFIG).read_text()


def test_a_fork_takes_over_what_it_asks_for_and_trains_the_rest(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    start("engine.forms=auto")
    before = files(FOLDER)
    capsys.readouterr()
    other = ["fork=true", "engine.forms=auto", "study.contrast=null", "budget.params.tolerance=0.3", "search.seeds=3"]
    code, jobs = start(*other)
    assert (code, [job.run.seed for job in jobs]) == (0, [2, 2])
    output = words(capsys)
    assert "studies/tiny: was started differently in 3 respects" not in output
    assert "budget.params.tolerance was 0.2, now 0.3" in output
    assert "its fork is tiny-2" in output
    assert "Runs taken over from studies/tiny: 4" in output
    assert files(FOLDER) == before
    assert json.loads((FORK / study.EXECUTION).read_text()) == json.loads((FOLDER / study.EXECUTION).read_text())
    old, new = rows(FOLDER), rows(FORK)
    taken = new[new["run"].isin(old["run"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(taken.drop(columns="study"), old.drop(columns="study"))
    assert set(new["study"]) == {"tiny-2"}
    for name in (study.EPOCHS, study.CORRECT):
        assert (FORK / name).read_bytes().startswith((FOLDER / name).read_bytes())
    assert environment(FORK)["forked_from"]["study"] == "tiny"
    assert "budget.params.tolerance was 0.2, now 0.3" in environment(FORK)["forked_from"]["differences"]
    assert start(*other) == (0, [])
    assert [job.run.seed for job in start(*other, "search.seeds=4")[1]] == [3, 3]
    assert sorted(path.name for path in study.STUDIES.iterdir()) == ["tiny", "tiny-2"]


@pytest.mark.parametrize(
    ("torch", "more", "left", "taken"),
    [
        ("2", [], "2 of 6", "Not among these: 4 runs, which a start takes over from studies/tiny"),
        ("2", ["engine.precision=bfloat16"], "6 of 6", ""),
        ("2", ["data.split_seed=9"], "6 of 6", ""),
        ("3", [], "6 of 6", ""),
    ],
)
def test_a_plan_of_a_fork_counts_what_a_start_would_take_over(
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    torch: str,
    more: list[str],
    left: str,
    taken: str,
) -> None:
    monkeypatch.setattr(fork, "installed", lambda _: torch)
    monkeypatch.setattr(fork, "decisive_sources", lambda: SOURCES)
    start()
    capsys.readouterr()
    other = ["study.contrast=null", "search.seeds=3", *more]
    assert start(*other, "fork=true", "do=plan")[0] == 0
    output = words(capsys)
    assert f"{left} runs to do" in output
    assert taken in output
    assert ("takes over" in output) == bool(taken)
    if taken:
        start(*other, "fork=true")
        capsys.readouterr()
        start(*other, "name=tiny-2", "search.seeds=4", "do=plan")
        output = words(capsys)
        assert "2 of 8 runs to do" in output
        assert "takes over" not in output


def test_rows_of_a_fork_say_what_its_own_settings_make_of_them(start: Start) -> None:
    start()
    code, jobs = start("fork=true", "budget.params={tolerance: 0.2, target: 9000}", "data.name=others")
    assert (code, jobs) == (0, [])
    left, right = rows(FOLDER), rows(FORK)
    assert set(right["data"]) == {"others"}
    assert list(right["params_deviation"]) == pytest.approx([params / 9000 - 1 for params in left["params"]])
    same = ["run", "seed", "test_error", "loss", "seconds", "images_per_second", "finished", "fvcore_macs"]
    pd.testing.assert_frame_equal(left[same], right[same])


@pytest.mark.real
@pytest.mark.parametrize(
    "there",
    broadly(
        [
            {"sources": SOURCES | {"training/loop.py": "cccc"}},
            {"versions": {"torch": "3", "numpy": "1"}},
            {"device_name": "another"},
            {"data_hash": "other"},
        ]
    ),
)
def test_a_fork_trains_all_where_what_decides_a_number_differs(start: Start, there: dict[str, Any]) -> None:
    start()
    elsewhere = replace(THERE, **there)
    code, jobs = start("fork=true", there=elsewhere)
    assert (code, len(jobs)) == (0, 4)
    assert len(rows(FOLDER)) == len(rows(FORK)) == 4
    assert start("fork=true", there=elsewhere) == (0, [])
    assert start("fork=true") == (0, [])
    assert len(start("fork=true", "recipe.epochs=3", there=elsewhere)[1]) == 4
    assert sorted(path.name for path in study.STUDIES.iterdir()) == ["tiny", "tiny-2", "tiny-3"]


def test_runs_whose_sources_nobody_knows_are_not_taken_over(start: Start) -> None:
    start()
    rewrite(FOLDER / study.ENVIRONMENT, sources=None, starts=None)
    start("search.seeds=3")  # whose own runs are known
    _, jobs = start("fork=true", "study.contrast=null", "search.seeds=3")
    assert [job.run.seed for job in jobs] == [0, 0, 1, 1]


def test_a_start_of_the_study_that_was_forked_stands_among_those_of_its_fork(start: Start) -> None:
    start()
    newer = replace(THERE, versions={"torch": "2", "numpy": "7"})
    assert start("fork=true", "study.contrast=null", there=newer) == (0, [])
    assert [one["versions"]["numpy"] for one in environment(FORK)["starts"]] == ["7", "1"]
    assert list(rows(FORK)["start"]) == [1] * 4


def test_a_take_over_that_was_cut_short_is_finished_by_the_next_start(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    commit = records.commit
    calls: list[None] = []

    def once(*arguments: Any) -> None:
        if calls:
            raise KeyboardInterrupt
        calls.append(commit(*arguments))

    with monkeypatch.context() as patch:
        patch.setattr(records, "commit", once)
        assert start("fork=true", "study.contrast=null")[0] == 130
    assert len(rows(FORK)) == 1
    assert start("fork=true", "study.contrast=null") == (0, [])
    assert (FORK / study.RUNS).read_text().count("\n") == 5
    assert sorted(path.name for path in study.STUDIES.iterdir()) == ["tiny", "tiny-2"]


def test_a_study_that_is_being_run_can_be_forked(start: Start) -> None:
    start()
    with study.locked(FOLDER):
        assert start("fork=true", "study.contrast=null") == (0, [])
    assert len(rows(FORK)) == 4


def test_a_fork_whose_origin_is_gone_goes_on_without_it(start: Start) -> None:
    start()
    start("fork=true", "study.contrast=null")
    FOLDER.rename("elsewhere")
    _, jobs = start("name=tiny-2", "study.contrast=null", "search.seeds=3")
    assert [job.run.seed for job in jobs] == [2, 2]


def test_runs_of_a_search_are_neither_taken_over_by_a_search_nor_tested_by_a_study(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    unjudged = replace(OK, test_error=None, correct=b"", test_images=0)
    _, first = start(*SEARCH, "search.designs=3", outcome=unjudged)
    capsys.readouterr()
    code, jobs = start(*SEARCH, "search.designs=3", "search.sampler_seed=1", "fork=true", outcome=unjudged)
    assert (code, len(jobs)) == (0, 6)
    assert "studies/tiny: a search takes no runs over" in words(capsys)
    name = records.load(FOLDER).chosen()[0]
    code, jobs = start(*SEARCH, "search.designs=3", f"search.only=[{name}]", "fork=true")
    assert (code, [job.run for job in jobs]) == (0, [job.run for job in first[:2]])
    assert records.load(Path("studies/tiny-3")).runs["test_error"].notna().all()


def test_a_plan_names_the_fork_and_a_report_takes_none(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    start()
    capsys.readouterr()
    assert start("fork=true", "recipe.epochs=3", "do=plan") == (0, [])
    output = words(capsys)
    assert "(recipe.epochs was 2, now 3); its fork is tiny-2" in output
    assert "4 of 4 runs to do" in output
    assert start("fork=true", "do=report") == (2, [])
    assert "fork=true: report reads a study as it is; allowed: with run and plan" in capsys.readouterr().err
    assert start("fork=perhaps") == (2, [])
    assert "fork=" in capsys.readouterr().err
    assert not FORK.exists()


def test_the_driver_is_told_as_linux_tells_it(tmp_path: Path) -> None:
    from explorer.host.machine import driver_version

    told = tmp_path / "version"
    assert driver_version(told) == "unknown"
    told.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n")
    assert driver_version(told) == "550.54.15"


def test_convolutions_of_a_plan_may_grow(start: Start) -> None:
    start("engine.forms=auto", "space.cardinality=[1]", "study.contrast=null")
    assert json.loads((FOLDER / study.EXECUTION).read_text())["convolutions"] == []
    rewrite(FOLDER / study.EXECUTION, convolutions=[vars(Convolution("16>16_k3_s1_g2_8px", 1))])
    assert start("engine.forms=auto", "space.cardinality=[1]", "study.contrast=null", "search.seeds=3")[0] == 0
