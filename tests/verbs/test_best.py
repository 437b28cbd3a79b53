"""study=best: a search, its best designs trained anew and tested once, and one network as the answer."""

import io
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import binomtest

import explorer
from explorer.__main__ import main
from explorer.analysis.answer import answer_of
from explorer.analysis.judging import OpenedStudy, begun_study, open_study
from explorer.analysis.seeds_and_images import apart, clopper_pearson
from explorer.analysis.sentences import mood, sentence
from explorer.host.console import PlainConsole
from explorer.host.errors import InputError
from explorer.host.formatting import less_interval, percent
from explorer.report.drawing import draw
from explorer.report.index import entry_of
from explorer.report.method import checklist
from explorer.report.terminal import print_verdict
from explorer.study.designs import Setting
from explorer.study.plan import plan_of, refuse_test_that_was_trained_on
from explorer.study.run import Run, joined_hash
from explorer.study.settings import NetworkConfig, StudyConfig
from explorer.training.images.split import load
from explorer.training.network.card import Facts
from explorer.verbs.command_line import read_command
from explorer.verbs.export_study import _facts, _Weights
from explorer.verbs.live import Live
from explorer.verbs.status import status_of
from explorer.verbs.tabulate import read_table, write_table
from explorer.verbs.trained_run import TrainedRun, trained_run
from tests.made_up import DATA_HASH, IMAGES, all_ok, made_up, made_up_final
from tests.photographs import photographs
from tests.report.reading import plain, text_of
from tests.training.test_image_sources import config as data_config
from tests.training.test_image_sources import forget, pictures, write_folder

BEST = ["study=best", "data=digits", "budget=100k", "search.designs=8"]
# From photographs in the folder `photos` to a network within seconds.
SMALL = ["study=best", "data=photos", "budget=30k", "budget.params.tolerance=0.1", "data.resize=16"]
SMALL += ["recipe.epochs=4", "search.designs=4"]
SMALL += ["search.final_seeds=1", "device=cpu", "engine.precision=float32", "engine.forms=native", "engine.workers=1"]
SMALL += ["engine.threads=1", "report.live=false", "space.depth=14", "space.width=[16,32]"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    forget()


MANY = 10_000  # test images, so that seeds decide alone


def searched(*words: str, images: int = IMAGES[2]) -> StudyConfig:
    config = read_command([*BEST, *words]).study
    made_up(config, images=(*IMAGES[:2], images))
    return config


def finished(
    apart: float,
    *words: str,
    base: float = 0.2,
    spread: float = 0.004,
    images: int = MANY,
    lost: Callable[[int, int], bool] = lambda place, seed: False,
) -> OpenedStudy:
    """A search whose answer is `apart` from the others in the final round, as a fraction.

    `lost` says by the place of a design, 0 for the answer, and seed which runs of the round diverged.
    """
    config = searched(*words, images=images)
    study = open_study(Path("studies") / "best")
    assert study.final is not None
    first = study.final.found.settings[0]
    place = {name: number for number, name in enumerate(study.final.found.settings)}

    def error(_: StudyConfig, run: Run) -> float:
        name = next(name for name in place if name.startswith(f"{run.architecture.depth}-") and _is(name, run))
        jitter = np.random.default_rng([run.seed, place[name]]).normal(0, spread)
        return float(min(1.0, base + (0 if name == first else apart) + jitter))

    def end(setting: Setting, seed: int) -> str:
        return "diverged" if lost(place[setting.name], seed) else "ok"

    made_up_final(config, end, error=error, images=(*IMAGES[:2], images))
    return open_study(Path("studies") / "best")


def _is(name: str, run: Run) -> bool:
    from explorer.design.name import short_name

    return short_name(run.architecture) == name


def test_the_answer_is_the_first_by_validation_whatever_the_test_says() -> None:
    study = finished(-0.05)
    final = study.final
    assert final is not None
    found = final.found
    assert [one.setting for one in found.summaries] == list(found.settings)
    assert found.validation[found.settings[0]] == min(found.validation.values())
    words = sentence(study.finding)
    assert words.startswith("Best: ")
    assert words.count("it is worse than") == words.count("points higher") == 2
    assert words.count("but nothing is chosen by test images") == 2
    answer = answer_of(study)
    assert answer.folder == Path("studies/best/checks/final-8")
    assert (answer.run.setting, answer.run.seed) == (found.settings[0], 1)
    assert "lowest validation error of" in answer.why


@pytest.mark.parametrize(
    ("apart", "spread", "said", "colour"),
    [
        (0.05, 0.004, "It is better than", "yes"),
        (-0.05, 0.004, "On the test images it is worse than", "no"),
        (0.0, 0.03, "It is not distinguishable from", "open"),
        (0.0, 0.001, "is equivalent to", "open"),
    ],
)
def test_the_answer_is_held_against_the_others(apart: float, spread: float, said: str, colour: str) -> None:
    study = finished(apart, spread=spread)
    words = sentence(study.finding)
    assert words.count(said) == 2
    assert words.count("(its test error is ") == 2
    assert "chosen by validation among 8 designs, 6 of which came to their end, and trained anew" in words
    assert ("seeds each would be needed (search.final_seeds, now 5)" in words) == ("distinguishable" in said)
    assert mood(study.finding) == colour
    console = PlainConsole(record=True, width=160, file=io.StringIO())
    print_verdict(study.finding, study.config.study.question, console)
    printed = console.export_text()
    page = draw(study).read_text()
    for text in (printed, page):
        assert "The final round" in text
        assert said in text
    assert "train it anew" not in page
    assert "train the design anew" not in page
    assert 'id="reload"' not in page
    entry = entry_of(study)
    assert (entry.final, entry.wanted) == (23, 23)
    assert entry.best is not None
    assert study.finding.final_round is not None
    assert study.finding.final_round.answer is not None
    assert entry.best.error == study.finding.final_round.answer.estimate.mean


def test_a_table_holds_the_final_round_and_has_the_studys_verdict() -> None:
    study = finished(0.05)
    assert study.final is not None
    write_table(study.folder, Path("table"))
    table = explorer.open_study(Path("table"))
    assert repr(vars(table.finding)) == repr(vars(study.finding))  # some costs are NaN
    assert table.verdict == sentence(study.finding)
    assert table.final is not None
    assert study.final.study.record is not None
    own = study.final.study.record.runs
    assert list(table.final.runs["test_error"]) == list(own["test_error"])
    assert table.final.runs["val_error"].isna().all()
    assert not {*table.runs["run"]} & {*own["run"]}
    schema = json.loads(Path("table/schema.json").read_text())["tables"]
    assert schema["final_epochs"]["val_error"]["may_be_empty"]
    assert "## Final round" in Path("table/README.md").read_text()
    assert answer_of(read_table(Path("table"))).run.run == answer_of(study).run.run
    shutil.rmtree(study.folder / "checks")
    with pytest.raises(InputError, match=r"0 of 15 runs of the final round are in; finish it .*: explorer best"):
        write_table(study.folder, Path("table"))


def test_errors_on_images_that_were_trained_on_are_shown_nowhere() -> None:
    study = finished(0.05)
    assert study.final is not None
    own = explorer.open_study(study.final.folder)
    assert own.runs["val_error"].isna().all()
    assert own.query(study.final.found.settings[0]).curves["val_error"].isna().all()
    assert "validation" not in str(own.figures["curves"].to_dict())
    assert [line for line in own.figures["curves"].data if "lines" in (line.mode or "")]
    assert own.report("page.html").exists()


def test_an_answer_at_chance_is_said_first_with_what_to_try() -> None:
    study = finished(0.0, base=0.9)
    words = sentence(study.finding)
    assert words.startswith("No network of the final round is better than guessing: ")
    assert "more images of each class; longer training (recipe.epochs=...)" in words
    assert mood(study.finding) == "no"
    shutil.rmtree("studies")
    near = sentence(finished(0.0, base=0.75).finding)
    assert near.startswith("Hardly better than guessing: ")
    assert "guessing has 90.00 %" in near


def test_an_unfinished_round_has_no_answer_yet_and_other_images_are_refused() -> None:
    config = searched()
    study = open_study(Path("studies/best"))
    assert study.final is not None
    assert study.final.found.wanted == 15
    assert sentence(study.finding).endswith("is ahead of 8 designs, 6 of which came to their end.")
    assert "No answer yet, 0 of 15 runs of the final round are in" in sentence(study.finding)
    assert status_of(Path("studies/best")).state == "stopped"
    with pytest.raises(InputError, match=r"no answer yet \(0 of 15 .*finish it with explorer best; explorer export"):
        answer_of(study)
    made_up_final(config, lambda setting, seed: all_ok(setting, seed) if seed < 3 else "")
    begun = open_study(Path("studies/best"))
    assert "No answer yet, 6 of 15 runs" in sentence(begun.finding)
    page = plain(draw(begun).read_text())
    assert "8 of 8 runs, 6 of 15 of the final round" in page
    assert 'id="reload"' in page
    found = status_of(Path("studies/best"))
    assert (found.done, found.wanted, found.state) == (14, 23, "stopped")
    shutil.rmtree("studies/best/checks")
    made_up(study.final.study.plan.config, folder=study.final.folder)  # with the hash of other images
    assert "was trained on other images than the study" in sentence(open_study(Path("studies/best")).finding)


def test_a_search_before_its_final_round_says_that_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    made_up(read_command(BEST).study, lambda setting, _: "ok" if setting.cost.params % 2 else "")
    study = open_study(Path("studies/best"))
    assert 0 < study.finding.final < 8
    words = sentence(study.finding)
    assert words.endswith("the final round, 15 runs, trains the best anew and tests them.")
    entry = entry_of(study)
    assert entry.best is not None
    assert entry.best.caution.endswith("the final round will test.")
    page = draw(study).read_text()
    for told in (words, entry.best.caution, page):
        assert "search.only" not in told.replace("only some designs", "")
        assert "were not looked at" not in told
        assert "are not looked at" not in told
    answers = {item.asks: item for item in checklist(study)}
    assert answers["Are results repeated, and given with their uncertainty?"].answer == "in part"
    assert main(["status", "best"]) == 0
    assert "explorer best trains what is left" in capsys.readouterr().out


def test_more_seeds_of_the_final_round_go_on_with_it_and_fewer_are_refused() -> None:
    finished(0.0, spread=0.03)
    more = read_command([*BEST, "search.final_seeds=6"]).study
    study = begun_study(Path("studies/best"), plan_of(more))
    assert study is not None
    assert study.final is not None
    assert (study.final.found.done, study.final.found.wanted, study.final.folder.name) == (15, 18, "final-8")
    shutil.rmtree(study.final.folder)
    there = {"folder": study.final.folder, "data_hash": joined_hash(DATA_HASH)}
    made_up(study.final.study.plan.config, images=(*IMAGES[:2], MANY), answers=True, **there)  # type: ignore[arg-type]
    again = open_study(Path("studies/best"))  # whose settings still say five
    assert again.final is not None
    assert (again.final.found.done, again.final.found.wanted, again.final.found.seeds) == (18, 18, 6)
    with pytest.raises(InputError, match=r"search\.final_seeds"):
        begun_study(Path("studies/best"), plan_of(read_command([*BEST, "search.final_seeds=4"]).study))


def test_the_final_round_is_the_first_table_and_figure_and_is_cited(capsys: pytest.CaptureFixture[str]) -> None:
    study = finished(0.05)
    found = study.finding.final_round
    assert found is not None
    own = explorer.open_study("best")
    assert own.final is not None
    assert repr(own.final.finding) == repr(found)  # some costs are NaN
    assert len(own.final.runs) == 15
    assert not {*own.final.runs["run"]} & {*own.runs["run"]}
    table = own.final.table
    assert list(table["setting"]) == list(found.settings)
    assert list(table["test_error"]) == [one.estimate.mean for one in found.summaries]
    assert list(table["difference"][1:]) == [one.difference.mean for one in found.comparisons]
    assert list(table["verdict"]) == ["", "better", "better"]
    assert own.table(form="csv") == own.table("csv", "final")
    assert "the answer & \\\\" not in own.table()
    rows = own.table(form="md").splitlines()
    assert [row.split(" | ")[-1].rstrip(" |") for row in rows[2:5]] == ["the answer", "better", "better"]
    runs = "15 runs of the final round, which gives the answer, after 8 runs of the search"
    assert runs in own.table(form="md")
    assert runs in own.citation
    assert main(["figure", "best", "--format", "svg"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert Path("figures/best-verdict.svg").exists()
    assert "right of zero it has the lower error. Small circles: single pairs of seeds (n = 5)." in said
    assert runs in said
    assert main(["figure", "best", "final", "--width", "page"]) == 0
    assert "Circles: single seeds. Lines: 95 % intervals. n = 5 seeds a design." in capsys.readouterr().out
    assert main(["table", "best", "final", "--format", "latex,csv,md"]) == 0
    page = plain(draw(study).read_text())
    assert page.count('class="plot forest"') == 1
    for pair in found.comparisons:
        assert page.count(less_interval(pair.difference.low, pair.difference.high)) >= 3  # twice drawn, and in a table
    for one in found.summaries:
        assert page.count(percent(one.estimate.mean)) >= 2


def test_a_named_design_is_that_of_the_final_round_where_it_was_trained_anew() -> None:
    study = finished(0.0, spread=0.03)
    assert study.final is not None
    assert study.final.study.record is not None
    first, second, _ = study.final.found.settings
    searched_only = next(
        one.setting for one in study.finding.summaries if one.setting not in study.final.found.settings
    )
    final, search = study.final.folder, study.folder

    def taken(**asked: str | int) -> tuple[TrainedRun, Facts]:
        found = trained_run(NetworkConfig("best", **asked))  # type: ignore[arg-type]
        return found, _facts(found, _Weights({}, ""))

    for asked, folder, setting, seed, role in (
        ({}, final, first, 1, "It is the answer of the study `best`"),
        ({"architecture": first}, final, first, 1, "It is the answer of the study `best`"),
        ({"seed": 3}, final, first, 3, "It is another seed of the design that is the answer"),
        ({"architecture": second}, final, second, 1, "It is a network of the study `best`, whose answer is another"),
        ({"architecture": second, "seed": 4}, final, second, 4, "whose answer is another"),
        ({"architecture": second, "seed": 0}, search, second, 0, "which was never tested itself; trained anew in"),
        ({"architecture": searched_only}, search, searched_only, 0, "did not take into its final round"),
    ):
        found, facts = taken(**asked)
        assert (found.study.folder, found.row.setting, found.row.seed) == (folder, setting, seed)
        assert role in facts.role
        assert found.is_answer == (facts.role == "It is the answer of the study `best`")
        assert not facts.question.startswith("Final round")
        tested = folder == final
        assert (facts.test_error is not None, facts.val_error is None, facts.tested is not None) == (tested,) * 3
        if tested:
            mean = next(one for one in study.final.found.summaries if one.setting == setting).estimate.mean
            assert facts.tested is not None
            assert facts.tested[0] == "5 seeds"
            assert facts.tested[1].startswith(percent(mean))
    with pytest.raises(InputError, match="has the seeds 1, 2, 3, 4, 5 in the final round, and 0 in the search"):
        taken(architecture=second, seed=9)


def test_more_designs_make_another_final_round() -> None:
    assert finished(0.0).final is not None
    more = read_command([*BEST, "search.designs=9"]).study
    shutil.move("studies/best/checks", "kept")
    shutil.rmtree("studies/best")
    made_up(more)
    shutil.move("kept", "studies/best/checks")
    study = open_study(Path("studies/best"))
    assert study.final is not None
    assert study.final.folder.name == "final-9"
    assert study.final.found.done == 0
    made_up_final(more)
    study = open_study(Path("studies/best"))
    for told in (sentence(study.finding), draw(study).read_text(), entry_of(study).best.caution):  # type: ignore[union-attr]
        assert "The test images were looked at 2 times, by as many final rounds of this search" in told
    assert _facts(trained_run(NetworkConfig("best")), _Weights({}, "")).looks == 2
    tested = [item for item in checklist(study) if "looked at 2 times" in item.words]
    assert [item.answer for item in tested] == ["in part"]
    write_table(study.folder, Path("table"))
    assert explorer.open_study(Path("table")).verdict == sentence(study.finding)


def test_a_plan_says_where_seeds_of_the_final_round_are_too_few(capsys: pytest.CaptureFixture[str]) -> None:
    few = "2 seeds of each design in the final round are too few to say how sure the answer is"
    for seeds, told in ((2, True), (5, False)):
        assert main(["plan", *BEST, f"search.final_seeds={seeds}"]) == 0
        assert (few in re.sub(r"\s+", " ", capsys.readouterr().out)) is told


def test_the_final_round_trains_on_training_and_validation_images(tmp_path: Path) -> None:
    write_folder(tmp_path / "photos" / "train", pictures(30))
    write_folder(tmp_path / "photos" / "test", pictures(9, 100))
    for own in (False, True):
        forget()
        if own:
            write_folder(tmp_path / "photos" / "val", pictures(6, 200))
        for keep in ("resident", "stream"):
            settings = data_config(tmp_path / "photos", "folder", val_images=6, keep=keep)
            apart, joined = load(settings), load(replace(settings, joined=True))
            assert joined.digest == joined_hash(apart.digest)
            assert len(joined.train) == len(apart.train) + 6
            assert torch.equal(joined.train.labels[-6:], apart.val.labels)
            assert torch.equal(joined.test.index, apart.test.index)
            if keep == "resident":
                every = torch.arange(len(joined.train))
                whole = torch.cat([part.bytes_of(torch.arange(len(part))) for part in (apart.train, apart.val)])
                assert torch.equal(joined.train.bytes_of(every), whole)
            else:
                assert joined.train.encoded is not None
                assert apart.val.encoded is not None
                ends = joined.train.encoded.read(int(joined.train.index[-1]))
                assert ends == apart.val.encoded.read(int(apart.val.index[-1]))


@pytest.mark.real
def test_a_test_part_that_the_search_has_trained_on_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*BEST, "data.split_seed=each"]) == 2
    said = capsys.readouterr().err
    assert "tested on images that the search trained on; allowed: data.split_seed=0, or search.final=0" in said
    assert said.count("\n") == 1
    write_folder(tmp_path / "photos" / "train", pictures(40))
    each = data_config(tmp_path / "photos", "folder", val_images=6, test_images=8, split_seed="each")
    by_seed = [load(each, seed=seed) for seed in (0, 1)]
    before = {*by_seed[0].train.index.tolist(), *by_seed[0].val.index.tolist()}
    assert before & {*by_seed[1].test.index.tolist()}  # as it would be
    # Only the images say whether a number of test images is taken from a part of their own.
    words = [*SMALL, "data.split_seed=each", "data.val_images=6", "data.test_images=8", "recipe.batch_size=4"]
    words += ["search.designs=2"]
    assert main(words) == 2
    assert "tested on images that the search trained on" in capsys.readouterr().err
    assert not Path("studies/best").exists()
    forget()
    write_folder(tmp_path / "photos" / "test", pictures(9, 100))
    own = replace(each, test_images=None)
    first, other = (load(own, seed=seed) for seed in (0, 1))
    assert torch.equal(first.test.index, other.test.index)
    refuse_test_that_was_trained_on(replace(searched(), data=own), test_by_seed=0)


def test_without_images_it_says_how_to_give_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study=best"]) == 2
    said = capsys.readouterr().err
    assert "study=best: say where your images are, as in data=photos" in said
    assert said.count("\n") == 1


def table_bytes(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("*.csv"))]


@pytest.mark.real
def test_photographs_in_one_network_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way, small: a folder of photographs of any size, mode and orientation, and a trained network."""
    photographs(tmp_path / "photos", 20, largest=90)
    assert main(SMALL) == 0
    said = capsys.readouterr().out
    assert "photos: 60 images in 3 classes" in said
    search, _, final = said.partition("Final round: ")
    assert "val error" in search
    assert "val error" not in final
    study = open_study(Path("studies/best"))
    assert study.final is not None
    assert study.final.found.complete
    assert len(re.findall(r"seed \d: test error", final)) == study.final.found.wanted
    assert sentence(study.finding) in re.sub(r"\s+", " ", said)
    folder, run, _ = answer_of(study)
    assert (folder / "local" / "weights" / f"{run.run}.safetensors").is_file()
    assert explorer.open_study("best").best().val_error is None  # it was trained on these images
    assert main(["export", "best"]) == 0
    assert f"3 classes, test error {run.test_error:.2%}".replace("%", " %") in capsys.readouterr().out
    model_card = Path("exports/best/README.md").read_text()
    assert "these chose" not in model_card
    assert "errors on the validation images (which it was trained on)" in model_card
    assert b"val_error" not in Path("exports/best/weights.safetensors").read_bytes()[:20_000]
    second = study.final.found.settings[1]
    assert main(["export", "best", f"architecture={second}", "folder=second"]) == 0
    said = capsys.readouterr().out
    assert "were not kept" not in said
    other_card = Path("second/README.md").read_text()
    assert "whose answer is another" in other_card
    assert "It is the answer" not in other_card
    assert "never tested" not in other_card
    assert re.search(r"\| \d+ test images \| ", other_card)
    # Started again nothing is trained; and a round that was cut short goes on where it was.
    assert main(SMALL) == 0
    assert "Final round: " not in capsys.readouterr().out
    for name in ("runs.csv", "epochs.csv", "correct.csv", "filters.csv"):
        path = folder / name
        if path.exists():
            lines = path.read_text().splitlines(keepends=True)
            path.write_text("".join(line for line in lines if not line.startswith(run.run)))
    # Other images are refused before anything is trained on them, and nothing is lost.
    picture, record = next(path for path in Path("photos").rglob("*") if path.is_file()), table_bytes(folder)
    image = picture.read_bytes()
    Image.new("RGB", (40, 40), "red").save(picture, format="PNG")
    assert main(SMALL) == 2
    printed = capsys.readouterr()
    assert "holds other images than those of the study" in printed.err
    assert "test error" not in printed.out
    assert table_bytes(folder) == record
    picture.write_bytes(image)
    drawn: list[Path] = []

    def entered(live: Live) -> Live:
        drawn.append(live.folder)
        return live

    monkeypatch.setattr(Live, "__enter__", entered)
    Path("photos").rename("moved")  # this command says where they are now, and what executes
    assert main(["best", "data.path=moved", "report.live=true"]) == 0
    assert drawn == [Path("studies/best")]
    assert "1 fresh seed each, then tested: 1 run\n" in re.sub(r" +", " ", capsys.readouterr().out).replace(" \n", "\n")
    again = answer_of(open_study(Path("studies/best")))
    assert (again.run.run, again.run.test_error) == (run.run, run.test_error)


@pytest.mark.real
def test_every_sentence_on_an_answer_is_honest_alone() -> None:
    """Runs that failed have no error; few images and few seeds leave wide intervals or none; chance is said of all."""

    def told(apart: float, *words: str, **changes: Any) -> str:
        shutil.rmtree("studies", ignore_errors=True)
        study = finished(apart, *words, **changes)
        said = sentence(study.finding)
        assert said in text_of(draw(study).read_text())
        assert entry_of(study).verdict == said
        return said

    said = told(0.0, base=0.0, spread=0.0, images=36)
    assert (
        "test error 0.00 % (95 % interval over seeds and test images 0.00 to 9.74 %; 5 seeds, 36 test images)" in said
    )
    assert said.count("not distinguishable") == 2
    assert "More test images may decide." in said
    alike = told(0.0, "study.margin=0.05", base=0.0, spread=0.0, images=2000)
    assert alike.count("is equivalent to") == 2
    small: dict[str, Any] = {"base": 0.0, "spread": 0.0, "images": 2000}
    lost_one = told(
        0.0, "study.margin=0.05", "search.final_seeds=7", lost=lambda place, seed: (place, seed) == (0, 7), **small
    )
    assert "equivalent" not in lost_one
    failed = told(0.05, lost=lambda place, seed: place == 0 and seed > 3)
    assert "test error 20.35 % (" in failed
    assert "3 of 5 seeds, 2 diverged, 10,000 test images)" in failed
    assert failed.count("3 pairs of seeds are too few to say; so far the answer's test error is") == 2
    assert "chance" not in failed
    assert "3 of 5 (2 diverged)" in Path("reports/best.html").read_text()
    best = entry_of(open_study(Path("studies/best"))).best
    assert best is not None
    assert (round(best.error, 4), best.n, best.failed) == (0.2035, 3, 0)
    assert "Of its runs 3 of 5 (2 diverged) came through." in best.caution
    lost = told(0.05, lost=lambda place, seed: place == 1)
    assert re.search(r"Of \S+ \([^)]*\) no run came through \(all 5 diverged\)\.", lost)
    assert lost.count("It is better than") == 1
    held = told(0.05, "search.final_seeds=7", lost=lambda place, seed: place == 0 and seed > 6)
    assert held.count("cannot be called better: 1 of 7 of its runs failed, and 0 of 7 of the other's") == 2
    assert "It is better than" not in held
    nothing = told(0.05, lost=lambda place, seed: place == 0)
    assert re.search(r"No answer: every run of \S+ \([^)]*\), the best by validation, failed", nothing)
    assert nothing.count("is better than guessing: test error 2") == 2
    with pytest.raises(InputError, match=r"has no answer, since no run of .* architecture=.* takes a network of the"):
        answer_of(open_study(Path("studies/best")))
    few = told(-0.2, "search.final_seeds=3", base=0.4)
    assert few.count("3 pairs of seeds are too few to say; so far the answer's test error is 20.") == 2
    assert "distinguishable" not in few
    assert "It takes 5 pairs of seeds or more (search.final_seeds, now 3)." in few
    one = told(-0.2, "search.final_seeds=1", base=0.4)
    assert "(95 % interval over test images alone 39." in one
    assert one.count("1 pair of seeds is too few to say") == 2
    guess = told(-0.6, base=0.9)
    assert guess.startswith("The answer is no better than guessing: ")
    assert guess.count("is better than guessing: test error") == 2


def test_an_interval_of_the_round_and_its_p_never_contradict_each_other() -> None:
    rng, verdicts = np.random.default_rng(0), Counter[bool]()
    for _ in range(200):
        hard, shift = rng.normal(size=(1, 60)), rng.normal(0, 0.4)
        own, other = (dict(enumerate(hard + rng.normal(0, 1, (5, 60)) > level)) for level in (0, shift))
        difference, narrow, p, _ = apart(own, other, 0.025)
        assert difference.mean == pytest.approx(np.mean([other[one].mean() - own[one].mean() for one in own]))
        assert (difference.low <= 0 <= difference.high) == (p >= 0.025)
        assert narrow.low <= difference.mean <= narrow.high
        verdicts[p < 0.025] += 1
    assert min(verdicts.values()) > 20
    exact = binomtest(3, 36).proportion_ci(0.95, "exact")
    assert clopper_pearson(3, 36) == pytest.approx((exact.low, exact.high))
    same = {seed: np.ones(36, bool) for seed in range(5)}
    assert apart(same, same, 0.025).narrow.high > 0.05  # so that few images never show equivalence
