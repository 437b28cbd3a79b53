"""Whole studies through the command line, with real worker processes."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from html import unescape
from pathlib import Path

import pandas as pd
import pytest
import yaml

from benchmarks.__main__ import main as measure
from explorer.__main__ import main
from explorer.analysis.judging import open_study
from explorer.analysis.sentences import sentence
from explorer.host.errors import InputError
from explorer.record import folder as study
from explorer.record import records
from explorer.record.changes import settled
from explorer.record.labels import load_labels
from explorer.record.records import open_for_writing
from explorer.record.starts import begin, started_study
from explorer.study.job import HostReport
from explorer.study.run import Execution
from explorer.study.settings import StudyConfig
from explorer.training.images.split import load
from explorer.verbs.command_line import read_command
from tests.conftest import PATIENCE, TINY, broadly
from tests.faults.processes import children, is_running
from tests.stored import noted, trials_of
from tests.training.test_image_sources import pictures, write_parquet

FOLDER = Path("studies/tiny")
TIMES = ["seconds", "images_per_second", "finished"]


def results(folder: Path = FOLDER) -> pd.DataFrame:
    return records.load(folder).runs.drop(columns=TIMES).sort_values("run", ignore_index=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the tiny study has run undisturbed."""
    place = tmp_path_factory.mktemp("finished")
    command = [sys.executable, "-m", "explorer", *TINY]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    (place / "output.txt").write_text(done.stdout)
    return place


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def test_a_study_ends_with_record_verdict_and_pages(finished: Path) -> None:
    output = (finished / "output.txt").read_text()
    assert re.search(r"4 runs in \d+ s; \d+\.\d % of the workers' time was not training", output)
    for part in (
        "[4/4]",
        "ResNeXt-11 (2x3d, w16)",
        "Inconclusive: 2 pairs of seeds are too few",
        "Report: reports/tiny.html",
    ):
        assert part in output
    runs = results(finished / FOLDER)
    assert (len(runs), set(runs["status"])) == (4, {"ok"})
    assert list(runs["fvcore_macs"]) == list(runs["macs"])
    assert (finished / "reports" / "index.html").exists()
    names = {path.name for path in (finished / FOLDER).iterdir()}
    assert names == {
        "config.yaml",
        "execution.json",
        "environment.json",
        "runs.csv",
        "epochs.csv",
        "correct.csv",
        "filters.csv",
        "labels.csv",
        "local",
    }


def test_every_run_keeps_which_test_images_it_got_right(finished: Path) -> None:
    right = records.load_correct(finished / FOLDER)
    runs = records.load(finished / FOLDER).runs.set_index("run")
    assert {run: round(1 - bits.mean(), 9) for run, bits in right.items()} == runs["test_error"].round(9).to_dict()


def test_the_classes_of_the_test_images_are_kept(finished: Path) -> None:
    digits = read_command(TINY).study.data
    labels = load_labels(finished / FOLDER, 10, 100).shared
    assert labels is not None
    assert labels.tolist() == load(digits).test.labels.tolist()


def test_the_dashboards_database_shows_means_curves_and_a_note(finished: Path) -> None:
    trials = trials_of(finished / FOLDER)
    means = records.load(finished / FOLDER).runs.groupby("setting")["val_error"].mean()
    assert {trial.user_attrs["setting"]: trial.value for trial in trials} == pytest.approx(means.to_dict())
    assert all(sorted(trial.intermediate_values) == [1, 2] for trial in trials)
    note = noted(finished / FOLDER)
    assert sentence(open_study(finished / FOLDER).finding) in note
    assert "reports/tiny.html" in note


@pytest.fixture
def inside(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(finished)
    return finished


@pytest.mark.real
def test_seeds_begin_where_they_are_asked_to_and_what_is_left_over_judges_too(
    workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_parquet(tmp_path / "insects" / "train.parquet", pictures(60))
    write_parquet(tmp_path / "insects" / "test.parquet", pictures(9, first=100))
    insects = ["data=parquet", f"data.path={tmp_path / 'insects'}", "data.classes=3", "data.channels=3"]
    sizes = ["data.image_size=8", "data.train_images=30", "data.val_images=12", "data.test_images=rest"]
    assert main([*TINY, *insects, *sizes, "search.first_seed=3", "recipe.init=fan_in"]) == 0
    output = capsys.readouterr().out
    assert "insects: 30 images to train, 12 to validate, 27 to test" in output
    assert "[4/4]" in output
    runs = records.load(FOLDER).runs
    assert (sorted(runs["seed"]), set(runs["status"])) == ([3, 3, 4, 4], {"ok"})
    assert {len(bits) for bits in records.load_correct(FOLDER).values()} == {27}
    assert json.loads((FOLDER / study.ENVIRONMENT).read_text())["rest_images"] == 18
    page = Path("reports/tiny.html").read_text()
    assert "27 to test (9 of the set's own test part, then 18 left over from its training part)" in unescape(page)
    trials = trials_of(FOLDER)
    assert all(trial.state.is_finished() for trial in trials)
    assert main([*TINY, *insects, *sizes, "search.first_seed=2", "recipe.init=fan_in"]) == 2
    assert "search.first_seed was 3, now 2" in capsys.readouterr().err


def test_a_finished_study_prints_its_verdict_and_trains_nothing(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in FOLDER.glob("*.*")}
    assert main(TINY) == 0
    output = capsys.readouterr().out
    assert "Inconclusive" in output
    assert "[4/4]" not in output
    assert {path: path.read_bytes() for path in FOLDER.glob("*.*")} == before


@pytest.mark.real
def test_a_fork_without_a_change_is_refused_with_what_to_say(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(Path("studies").iterdir())
    assert main(["fork", "tiny"]) == 2
    assert capsys.readouterr().err == (
        "explorer: fork: nothing that decides a result is changed, so tiny would go on as it is; say what is to "
        "differ, as in explorer fork tiny recipe.epochs=20, or continue it with explorer tiny\n"
    )
    assert main(["run", "tiny", "fork=true"]) == 0
    assert "tiny goes on as it is" in capsys.readouterr().out
    assert main(["fork", "equal_params", "recipe.epochs=3"]) == 2  # trains nothing that was not begun
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith("equal_params: has no record here to fork; train it with: explorer equal_params")
    )
    assert sorted(Path("studies").iterdir()) == before


def test_a_verdict_is_printed_without_drawing_a_page_whatever_its_time(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, index = Path("reports/tiny.html"), Path("reports/index.html")
    drawn, before = page.read_bytes(), index.stat()
    for text in (drawn, drawn[: drawn.rindex(b"<!-- runs: ")]):  # and one of a version that did not say what it shows
        page.write_bytes(text)
        os.utime(page, (0, 0))  # as a clone may leave it
        assert not study.is_stale(page, FOLDER)
        assert main(TINY) == 0
        assert (page.read_bytes(), page.stat().st_mtime) == (text, 0)
    assert index.stat() == before
    page.write_bytes(drawn.replace(b"<!-- runs: ", b"<!-- runs: 0"))
    os.utime(page, (0, 0))
    assert study.is_stale(page, FOLDER)
    capsys.readouterr()
    assert main(["tiny"]) == 0
    assert page.read_bytes() != drawn
    said = "The page reports/tiny.html is older than the record; draw it with: explorer report tiny"
    assert said in capsys.readouterr().out.splitlines()
    assert main(["report", "tiny"]) == 0
    assert page.read_bytes() == drawn


def test_a_finished_study_that_is_to_keep_weights_says_that_it_has_none(
    inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*TINY, "storage.weights=last"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "weights" in line]
    assert line.startswith("storage.weights=last: 4 of 4 runs have no weights in studies/tiny/local/weights, since ")
    words = shlex.split(line.partition("under another name: explorer ")[2].partition(" trains the best design")[0])
    again = read_command(words).study
    assert (again.name, again.storage.weights, len(again.search.only)) == ("tiny-weights", "last", 1)
    assert main(TINY) == 0
    assert "weights" not in capsys.readouterr().out


def test_ranks_of_different_data_sets_are_not_compared(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, hashed, data in (("one", "a", "Insects"), ("other", "b", "Insects"), ("third", "b", "Birds")):
        folder = Path("studies", name)
        shutil.copytree(finished / FOLDER, folder)
        tree = yaml.safe_load((folder / study.CONFIG).read_text())
        tree["data"] |= {"name": data.lower(), "label": data}
        (folder / study.CONFIG).write_text(yaml.safe_dump(tree))
        environment = json.loads((folder / study.ENVIRONMENT).read_text())
        (folder / study.ENVIRONMENT).write_text(json.dumps(environment | {"data_hash": hashed}))

    def ranks(short: str, long: str) -> str:
        assert measure(["ranks", f"short={short}", f"long={long}"]) == 2
        return capsys.readouterr().err

    assert "short=one, long=third: were trained on Insects and on Birds; allowed: two studies of one d" in ranks(
        "one", "third"
    )
    assert "fewer than three settings are in both" in ranks("one", "other")
    assert "fewer than three settings are in both" in ranks("other", "third")  # the very same images


def test_the_report_is_redrawn_from_the_record_alone(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = Path("reports/tiny.html")
    before = page.read_bytes()
    page.unlink()
    assert main([*TINY, "do=report"]) == 0
    assert page.read_bytes() == before


def test_the_plan_knows_the_record_and_this_machines_speed(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TINY, "do=plan", "name=another"]) == 0
    output = capsys.readouterr().out
    assert "4 of 4 runs to do; about " in output
    assert "from 4 runs recorded on this machine" in output
    assert main([*TINY, "do=plan"]) == 0
    assert "0 of 4 runs to do" in capsys.readouterr().out


def test_a_plan_without_any_record_is_predicted_and_leaves_nothing(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*TINY, "do=plan"]) == 0
    output = " ".join(capsys.readouterr().out.split())
    for part in ("ResNeXt-11 (2x3d, w16)", "0/2", "this machine's calibration of 2026-01-01", "MACs are multiply-adds"):
        assert part in output
    assert list(workplace.iterdir()) == []
    for device, told in (
        ("auto", "two trainings of a run may differ"),
        ("cpu", "a start would be refused: a CPU has none"),
    ):
        assert main([*TINY, "do=plan", "engine.deterministic=false", f"device={device}"]) == 0
        output = " ".join(capsys.readouterr().out.split())
        assert f"engine.deterministic=false: a GPU's fastest kernels; {told}" in output


def refusal(capsys: pytest.CaptureFixture[str], *overrides: str) -> str:
    """What a refused command prints, one line unless much differs; the study's files are as before."""
    before = {path: path.read_bytes() for path in FOLDER.glob("*.*")}
    capsys.readouterr()
    assert main([*TINY, *overrides]) == 2
    line, *more = capsys.readouterr().err.splitlines()
    assert not more or re.search(r"was started differently in \d+ respects; ", line)
    assert {path: path.read_bytes() for path in FOLDER.glob("*.*")} == before
    return line


@pytest.mark.parametrize(
    ("overrides", "parts"),
    broadly(
        [
            (
                ["recipe.epochs=3"],
                ["was started differently (recipe.epochs was 2, now 3)", "explorer fork tiny "],
            ),
            (
                ["study.contrast.setting=1x4d", "study.contrast.against=2x3d"],
                ["study.contrast.against was 1x4d, now 2x3d"],
            ),
            (["search.seeds=1"], ["search.seeds was 2, now 1 (in this study 2 or more)"]),
            (["recipe.epohcs=1"], ["recipe.epohcs=1: unknown key"]),
            (["search.seeds=3", "engine.threads=2"], ["threads was 1, now 2"]),
            (["search.seeds=3", "device=cuda"], ["device=cuda: no CUDA device can be used here"]),
        ],
        fast=3,
    ),
)
def test_a_changed_study_is_refused_and_left_alone(
    inside: Path, capsys: pytest.CaptureFixture[str], overrides: list[str], parts: list[str]
) -> None:
    if "device=cuda" in overrides and __import__("torch").cuda.is_available():
        pytest.skip("there is a CUDA device here")
    line = refusal(capsys, *overrides)
    for part in parts:
        assert part in line


def test_a_study_that_never_ran_has_no_report(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TINY, "do=report"]) == 2
    assert "there is no such study yet; explorer list shows those there are" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_refused_before_anything_runs(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("studies").write_text("a file in the way")
    assert main(TINY) == 2
    assert "studies/tiny: cannot be written (Not a directory)" in capsys.readouterr().err
    Path("studies").unlink()
    Path("reports").write_text("a file in the way")
    assert main(TINY) == 2
    assert "reports: cannot be written" in capsys.readouterr().err


def start(place: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "explorer", *TINY, "recipe.epochs=40"]
    return subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())


def wait_for_rows(place: Path, rows: int) -> None:
    path = place / FOLDER / study.RUNS
    deadline = time.monotonic() + PATIENCE
    while not path.exists() or path.read_bytes().count(b"\n") <= rows:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.real
def test_a_killed_study_continues_to_the_same_table_and_repeats_nothing(tmp_path: Path) -> None:
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    for place in (undisturbed, disturbed):
        place.mkdir()
    first = start(disturbed)
    wait_for_rows(disturbed, 2)
    first.kill()
    first.communicate()
    kept = (disturbed / FOLDER / study.RUNS).read_bytes()
    assert 3 <= kept.count(b"\n") < 5
    for place in (disturbed, undisturbed):
        process = start(place)
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors
    assert (disturbed / FOLDER / study.RUNS).read_bytes().startswith(kept)
    pd.testing.assert_frame_equal(results(disturbed / FOLDER), results(undisturbed / FOLDER))
    left, right = (records.load(place / FOLDER).epochs.drop(columns="seconds") for place in (disturbed, undisturbed))
    order = ["run", "epoch"]
    pd.testing.assert_frame_equal(
        left.sort_values(order, ignore_index=True), right.sort_values(order, ignore_index=True)
    )


@pytest.mark.real
def test_a_second_coordinator_is_refused_naming_the_first_and_workers_end_with_a_killed_one(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = start(workplace)
    wait_for_rows(workplace, 0)
    holder = json.loads((FOLDER / "local" / "holder.json").read_text())
    assert holder["pid"] == first.pid
    assert main([*TINY, "recipe.epochs=40"]) == 2
    assert f"is being run by process {first.pid} on {holder['host']} since" in capsys.readouterr().err
    wait_for_rows(workplace, 1)
    workers = children(first.pid)
    assert len(workers) >= 2
    first.kill()
    first.communicate()
    deadline = time.monotonic() + PATIENCE
    while any(map(is_running, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.real
def test_ctrl_c_leaves_with_a_line_on_how_to_continue(workplace: Path) -> None:
    # A shell that starts the tests in the background has them ignore it, and a child inherits that, but no handler.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = start(workplace)
    wait_for_rows(workplace, 1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert re.search(r"continue with: (\S+ -m )?explorer study=equal_params", " ".join(errors.decode().split()))


@pytest.mark.real
def test_more_seeds_continue_a_study(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(finished, tmp_path / "more")
    monkeypatch.chdir(tmp_path / "more")
    before = (FOLDER / study.RUNS).read_bytes()
    assert main([*TINY, "search.seeds=3"]) == 0
    assert (FOLDER / study.RUNS).read_bytes().startswith(before)
    assert len(results()) == 6
    assert yaml.safe_load((FOLDER / "config.yaml").read_text())["search"]["seeds"] == 3


@pytest.mark.real
def test_a_fork_and_an_undisturbed_study_of_its_settings_have_the_same_record(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished, tmp_path / "forked")
    monkeypatch.chdir(tmp_path / "forked")
    before = {path: path.read_bytes() for path in FOLDER.glob("*.*")}
    command = [*TINY, "study.contrast=null", "search.seeds=3"]
    assert main([*command, "fork=true"]) == 0
    output = capsys.readouterr().out
    assert "its fork is tiny-2" in output
    assert "Runs taken over from studies/tiny: 4" in output
    assert re.findall(r"\[(\d)/6\]", output) == ["5", "6"]
    assert {path: path.read_bytes() for path in FOLDER.glob("*.*")} == before
    assert Path("reports/tiny-2.html").exists()
    assert main([*command, "name=undisturbed"]) == 0
    fork, undisturbed = Path("studies/tiny-2"), Path("studies/undisturbed")
    left, right = (results(folder).drop(columns="study") for folder in (fork, undisturbed))
    pd.testing.assert_frame_equal(left, right)
    left, right = (records.load(folder).epochs.drop(columns="seconds") for folder in (fork, undisturbed))
    order = ["run", "epoch"]
    pd.testing.assert_frame_equal(
        left.sort_values(order, ignore_index=True), right.sort_values(order, ignore_index=True)
    )
    bits = [records.load_correct(folder) for folder in (fork, undisturbed)]
    assert bits[0].keys() == bits[1].keys()
    assert all((bits[0][run] == bits[1][run]).all() for run in bits[0])
    capsys.readouterr()
    assert main([*command, "fork=true"]) == 0
    assert "/6]" not in capsys.readouterr().out
    assert sorted(path.name for path in study.STUDIES.iterdir()) == ["tiny", "tiny-2", "undisturbed"]


def test_help_and_config_are_printed(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import explorer

    assert main([]) == 0
    assert "explorer plan equal_params" in capsys.readouterr().out
    for word in ("--version", "-V", "version"):
        assert main([word]) == 0
        assert capsys.readouterr().out.startswith(f"resnext-explorer {explorer.__version__} in ")
    assert main(["help"]) == 0
    assert "study: best, cardinality_or_width, " in capsys.readouterr().out
    assert main(["--help"]) == 0
    assert "study: best, cardinality_or_width, cardinality_or_width_cifar10_jpeg," in capsys.readouterr().out
    assert main([*TINY, "--cfg", "job"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["recipe"]["epochs"] == 2


@pytest.mark.parametrize("name", [*study.TABLES, study.CONFIG, study.EXECUTION, study.ENVIRONMENT])
def test_a_study_that_lacks_a_part_of_itself_is_refused_not_started_over(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    shutil.copytree(finished, tmp_path / "gap")
    monkeypatch.chdir(tmp_path / "gap")
    (FOLDER / name).unlink()
    for overrides in ([], ["search.seeds=3"], ["do=report"], ["do=plan"]):
        assert f"studies/tiny: {name} missing; restore them" in refusal(capsys, *overrides)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        (study.EXECUTION, "{}", "execution.json: device is missing"),
        (study.EXECUTION, "[1]", "execution.json: is not a JSON object"),
        (study.ENVIRONMENT, "not json", "environment.json: is not a JSON object"),
        (study.ENVIRONMENT, '{"data_hash": 1}', "environment.json: commit is missing"),
        (study.CONFIG, "a: [", "config.yaml: is not a YAML mapping"),
        (study.CONFIG, "name: tiny\nrecipe: 3\n", "was started differently"),
    ],
)
def test_a_damaged_description_is_refused_naming_the_file(
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: str,
    problem: str,
) -> None:
    shutil.copytree(finished, tmp_path / "damaged")
    monkeypatch.chdir(tmp_path / "damaged")
    (FOLDER / name).write_text(content)
    assert problem in refusal(capsys, "search.seeds=3")
    assert main([*TINY, "do=report"]) == 2


@pytest.mark.parametrize(("device", "maker"), [("cpu", "C compiler"), ("cuda", "Triton")])
def test_a_study_of_our_kernels_is_not_continued_without_them(
    device: str, maker: str, tiny: StudyConfig, tmp_path: Path
) -> None:
    there = HostReport(device, "some device", "abcd", {"torch": "2"}, images=(8, 4, 4), has_kernels=True)
    plan = Execution(device, "some device", "grouped", "channels_last", "float32", 1, 20, norms="fused")
    open_for_writing(tmp_path, filters=True)
    begin(tmp_path, None, tiny, plan, there)
    assert settled(started_study(tmp_path), tiny, there) == plan
    with pytest.raises(InputError, match=f"{maker}.*kernels of our own, now absent, so they cannot be made here"):
        settled(started_study(tmp_path), tiny, replace(there, has_kernels=False))


def test_a_run_without_its_images_leaves_nothing_behind(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study=equal_params_cifar10_jpeg", "name=again"]) == 2
    assert "data.path is missing" in capsys.readouterr().err
    assert not (workplace / "studies").exists()
    assert not (workplace / "reports").exists()


@pytest.fixture
def copied(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The finished study in a place of its own, to be damaged."""
    shutil.copytree(finished, tmp_path / "copied")
    monkeypatch.chdir(tmp_path / "copied")
    return tmp_path / "copied"


@pytest.mark.real
def test_a_refused_first_start_leaves_no_folder(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TINY, "engine.workers=100000", "search.seeds=10000"]) == 2
    assert capsys.readouterr().err.startswith("explorer: engine.workers=100000: each needs about")
    assert list(Path("studies").iterdir()) == []


def test_settings_that_the_runs_were_not_made_with_are_noticed(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = FOLDER / study.CONFIG
    path.write_text(path.read_text().replace("epochs: 2", "epochs: 3"))
    assert main([*TINY, "recipe.epochs=3"]) == 2
    words = r"is recorded as run \w{12}, which these settings call \w{12}, and 3 more"
    assert re.search(words, capsys.readouterr().err)
    assert main(["do=doctor", "name=tiny"]) == 1
    assert re.search(words, capsys.readouterr().out)


def test_a_study_whose_tables_are_all_gone_is_not_started_over(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (*study.TABLES, study.FILTERS):
        (FOLDER / name).unlink()
    assert main(TINY) == 2
    assert "runs.csv, epochs.csv, correct.csv, filters.csv missing; restore them" in capsys.readouterr().err
    assert main(["do=doctor", "name=tiny"]) == 1
    assert "missing, though the study has begun" in capsys.readouterr().out
    assert not (FOLDER / study.RUNS).exists()
