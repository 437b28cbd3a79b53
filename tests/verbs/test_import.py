"""`explorer import`: results of others, from a table or another tool, as a study that is read only."""

# ruff: noqa: E501 - rows of tables and messages are read better whole

import csv
import fcntl
import json
import math
import os
import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest

import explorer
from explorer.__main__ import main
from explorer.analysis.judging import open_study
from explorer.design.cost import cost
from explorer.design.name import parse_name, short_name
from explorer.host.errors import InputError
from explorer.search.trackers.content import tracked
from explorer.study.known_data import known_data
from explorer.study.settings import ImportConfig
from explorer.verbs.command_line import read_command
from explorer.verbs.importing.files import of_frame, read
from explorer.verbs.importing.names import named, of_axes
from explorer.verbs.importing.numbers import counted_alike
from explorer.verbs.importing.results import studies_of
from tests.made_up import made_up
from tests.verbs.test_every_study import looked_at

PUBLIC = Path(__file__).parents[2] / "examples" / "public_results.csv"
Said = Callable[..., str]


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """Carry out a command in a folder of its own, and give all that it says; `code` is what it ends with."""
    monkeypatch.chdir(tmp_path)

    def carry_out(*words: str, code: int = 0) -> str:
        assert main([*words]) == code, capsys.readouterr()
        found = capsys.readouterr()
        if code == 2:
            assert len(found.err.splitlines()) == 1
            assert found.out == ""
        return " ".join((found.out + found.err).split())

    return carry_out


def table(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    """Write rows as CSV and give the name of the file."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*dict.fromkeys(key for row in rows for key in row)])
        writer.writeheader()
        writer.writerows(rows)
    return path.name


def replicated(seeds: Sequence[int] = (7, 3, 42, 5, 11, 13)) -> list[dict[str, Any]]:
    """Two designs that differ by about two points at each seed."""
    return [
        {"model": name, "seed": seed, "test_acc": round(base - 0.001 * (seed % 5) + extra * (seed % 3), 4)}
        for name, base, extra in (("resnext50_32x4d", 0.79, 0.0005), ("resnet50", 0.77, 0.0))
        for seed in seeds
    ]


# ---------------------------------------------------------------- the public table


def test_every_parameter_count_of_the_public_table_is_ours(said: Said) -> None:
    rows = list(csv.DictReader(line for line in PUBLIC.read_text().splitlines() if not line.startswith("#")))
    counted = 0
    for row in rows:
        known = known_data(row["data"])
        assert known is not None
        ours = cost(parse_name(row["design"]), known.task).params
        if row["params"]:
            assert counted_alike(row["params"], ours), row
            counted += 1
        else:
            assert ours
    assert counted == 13 * 2 + 7 + 14
    told = said("import", PUBLIC.name, "data=cifar10", "recipe=imgclsmob")  # which ships with the package
    assert "parameters of 20 designs in public_results.csv are the exact ones" in told
    assert "one run each, so no intervals: the lowest test error is 2.87 %, of ResNet-56 (1x64d)" in told
    study = explorer.open_study("public_results")
    assert study.query("ResNeXt-56 (32x2d)").params == 4_817_482
    assert study.query("56-32x2d").error.mean == pytest.approx(0.0314)


def test_the_page_of_the_public_table_shows_what_there_is_and_makes_nothing_up(said: Said) -> None:
    said("import", str(PUBLIC), "data=cifar10", "recipe=imgclsmob", "name=public")
    study, page = looked_at(Path("studies/public"))
    for words in ("Distributions", "The best of some designs", "Where the results come from", "Weighted to equal"):
        assert words in page
    for words in ("Mean time of a run", "zero_init_residual", "validation error", "None", "after the last epoch"):
        assert words not in page
    found = study.finding.imported
    assert found is not None
    assert found.single
    assert not any(one.estimate.has_interval for one in study.finding.summaries)
    assert {*explorer.open_study("public").figures} >= {"front", "distribution", "distribution-equal", "best-of"}


@pytest.mark.real
def test_a_file_of_several_data_sets_or_recipes_is_never_mixed(said: Said) -> None:
    words = said("import", str(PUBLIC), code=2)
    assert "4 data sets, which one study does not mix: imagenet (24), cifar10 (23), cifar100 (15), svhn (13)" in words
    assert "say data=imagenet, or data=each" in words
    words = said("import", str(PUBLIC), "data=ImageNet-1k", code=2)
    assert "8 recipes" in words
    assert "say recipe=paper, or recipe=each" in words
    assert "recipe=b7: public_results.csv holds no such results" in said(
        "import", str(PUBLIC), "data=imagenet", "recipe=b7", code=2
    )
    assert not Path("studies").exists()
    told = said("import", str(PUBLIC), "data=imagenet", "recipe=each", "name=in")
    assert sorted(path.name for path in Path("studies").iterdir()) == sorted(
        f"in-{recipe}" for recipe in ("paper", "tv", "gluon", "ra", "a1", "a2", "a3", "tv2")
    )
    both = [
        {"net": f"resnet50.{recipe}", "img_size": size, "error": 20}
        for recipe, size in (("a", 224), ("b", 288), ("c", 224))
    ]
    table(Path("sizes.csv"), both)
    told_of_sizes = said("import", "sizes.csv", "data=imagenet", "recipe=each", "image_size=224")
    assert sorted(path.name for path in Path("studies").glob("sizes*")) == ["sizes-a", "sizes-c"]
    assert "Not taken: image_size 288 (1)." in told_of_sizes
    # As pandas writes whole numbers beside a gap, and as people do.
    sides = [
        {"net": "resnet50", "img_size": "160.0", "error": 20},
        {"net": "resnext50_32x4d", "img_size": "160 x 160", "error": 19},
    ]
    told_of_side = said("import", table(Path("side.csv"), sides), "data=imagenet")
    assert "3 x 160 x 160 pixels" in told_of_side.replace("\N{MULTIPLICATION SIGN}", "x")
    sides += [{"net": "resnet50", "img_size": size, "error": 20} for size in ("", "", "", "224.0")]
    assert "say image_size=160" in said("import", table(Path("several.csv"), sides), "data=imagenet", code=2)
    assert "3 x 224 x 224" in said("import", "several.csv", "data=imagenet", "image_size=224").replace(
        "\N{MULTIPLICATION SIGN}", "x"
    )
    sides = [{"net": "resnet50", "img_size": "large", "error": 20}]
    assert "row 1, column img_size: 'large' is no image_size; allowed are whole numbers" in said(
        "import", table(Path("large.csv"), sides), "data=imagenet", code=2
    )
    assert "Not taken: data cifar10 (23), data cifar100 (15), data svhn (13)." in told
    errors = explorer.open_study("in-a1").runs.set_index("setting")["test_error"]
    assert errors["50-1x64d"] - errors["50-32x4d"] == pytest.approx(0.0015, abs=1e-9)


def test_the_same_import_again_writes_nothing_and_another_one_is_refused(said: Said) -> None:
    words = ["import", str(PUBLIC), "data=svhn", "name=public"]
    said(*words)
    before = {path: path.read_bytes() for path in Path("studies/public").glob("*.*")}
    assert "holds these results already; nothing was written" in said(*words)
    assert "name=public: studies/public holds other results" in said(
        "import", str(PUBLIC), "data=cifar100", "recipe=imgclsmob", "name=public", code=2
    )
    assert {path: path.read_bytes() for path in Path("studies/public").glob("*.*")} == before


@pytest.mark.parametrize(
    "words",
    [
        ["public", "search.seeds=3"],
        ["public", "recipe.epochs=3"],
        ["plan", "public"],
        ["challenge", "public", "study.robustness=[init]"],
        ["fork", "public", "recipe.epochs=3"],
        ["export", "public"],
        ["predict", "public", "cat.png"],
    ],
)
def test_every_verb_that_would_train_or_needs_weights_refuses_in_one_line(said: Said, words: list[str]) -> None:
    said("import", str(PUBLIC), "data=svhn", "name=public")
    before = sorted(Path().rglob("*"))
    assert "public: holds imported results, which are read only" in said(*words, code=2)
    assert sorted(Path().rglob("*")) == before


def test_with_json_the_studies_are_told_with_where_they_come_from(said: Said) -> None:
    told = said("import", str(PUBLIC), "data=cifar100", "recipe=each", "name=public", "--json")
    found, _ = json.JSONDecoder().raw_decode(told)
    assert [one["study"] for one in found["studies"]] == ["public-imgclsmob", "public-paper"]
    first = found["studies"][0]
    assert first["imported"]["compared"] == 0  # the file gives none for 100 classes
    assert first["imported"]["groups"][0]["designs"] == 4
    assert first["settings"][0]["test_error"]["low"] is None


@pytest.mark.real
def test_every_verb_that_reads_goes_by_the_record(said: Said) -> None:
    said("import", str(PUBLIC), "data=svhn", "name=public")
    assert "lowest test error is 2.93 %" in said("public")
    assert "4 of 4" in said("status", "public")
    assert "Nothing is wrong" in said("doctor", "public")
    assert r"imported from public\_results.csv, made by others" in said("cite", "public")
    said("table", "public", "--format", "md")
    assert "imported from public_results.csv" in Path("tables/public-settings.md").read_text()
    said("tabulate", "public")
    again = explorer.open_study(Path("tables/public"))
    assert again.verdict == explorer.open_study("public").verdict
    assert again.finding.imported is not None
    assert "data.source=imported" in said("equal_params", "data.source=imported", code=2)
    explorer.open_study("public").run()  # prints what it says
    told = said("push", "public", "--dry")
    assert "Nothing was uploaded" in told
    assert sorted(path.name for path in Path("push/public").iterdir()) == ["page", "table"]
    with pytest.raises(InputError, match="read only"):
        explorer.open_study("public").plan()
    with pytest.raises(InputError, match="read only"):
        next(explorer.open_study("public").ask())


# ---------------------------------------------------------------- kinds of files


def as_files(rows: list[dict[str, Any]]) -> dict[str, str]:
    """The same results as other tools write them, each with the key that it needs, by the name of its file."""
    frame = pd.DataFrame(rows)
    frame.to_parquet("plain.parquet")
    Path("lines.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    Path("columns.json").write_text(json.dumps({name: frame[name].tolist() for name in frame}))
    runs = [
        {"name": f"fancy-sun-{number}", "state": "finished", "config": {"arch": {"value": row["model"]}, "seed": {"value": row["seed"]}}, "summary": {"test_acc": row["test_acc"], "_runtime": 60}}
        for number, row in enumerate(rows)
    ]  # fmt: skip
    runs.append({"name": "dark-moon-99", "state": "crashed", "config": {"arch": {"value": "resnet50"}}, "summary": {}})
    Path("wandb.json").write_text(json.dumps({"runs": runs}))
    wandb = [
        {"Name": f"fancy-sun-{number}", "State": "finished", "Runtime": 60, "arch": row["model"], "seed": row["seed"], "test_acc": row["test_acc"]}
        for number, row in enumerate(rows)
    ]  # fmt: skip
    table(Path("wandb.csv"), [*wandb, {"Name": "dark-moon-99", "State": "crashed", "arch": "resnet50"}])
    mlflow = [
        {"run_id": f"{number:032x}", "status": "FINISHED", "start_time": "2026-01-01 10:00:00.500000+00:00", "end_time": "2026-01-01 10:01:00.500000+00:00", "metrics.test_acc": row["test_acc"], "params.arch": row["model"], "params.seed": row["seed"], "params.lr": "0.1", "tags.mlflow.runName": f"run-{number}"}
        for number, row in enumerate(rows)
    ]  # fmt: skip
    times = {"start_time": 1764329202473, "end_time": 1764329262473}
    Path("mlflow.json").write_text(json.dumps([{**row, **times} for row in mlflow]))
    table(Path("mlflow.csv"), [*mlflow, {**mlflow[0], "status": "FAILED", "metrics.test_acc": ""}])
    Path("german.csv").write_text(
        "Modell;model;seed;test_acc (%)\n"
        + "".join(f"x;{row['model']};{row['seed']};{100 * row['test_acc']:.2f}\n".replace(".", ",") for row in rows)
    )
    return {"plain.parquet": "", "lines.jsonl": "", "columns.json": "", "wandb.json": "1 with status crashed", "wandb.csv": "1 with status crashed", "mlflow.csv": "1 with status failed", "mlflow.json": "", "german.csv": "errors are per cent"}  # fmt: skip


@pytest.mark.real
def test_one_set_of_results_is_the_same_from_every_kind_of_file(said: Said) -> None:
    rows = replicated()
    table(Path("plain.csv"), rows)
    said("import", "plain.csv", "data=imagenet")
    first = explorer.open_study("plain").runs.sort_values(["setting", "seed"])
    assert len(first) == 12
    for file, words in as_files(rows).items():
        name = file.replace(".", "-")
        assert words in said("import", file, "data=imagenet", f"name={name}")
        runs = explorer.open_study(name).runs.sort_values(["setting", "seed"])
        for column in ("setting", "seed", "params", "macs"):
            assert runs[column].tolist() == first[column].tolist(), file
        assert runs["test_error"].tolist() == pytest.approx(first["test_error"].tolist(), abs=1e-12), file
        if "wandb.csv" in file or "mlflow" in file:
            assert runs["seconds"].tolist() == [60.0] * 12


def test_a_table_is_the_same_however_it_is_written(said: Said) -> None:
    frame = pd.DataFrame(replicated())
    frame["test_acc"] = frame["test_acc"].map("{:.4f}".format)
    named_rows = frame.drop(columns="seed").drop_duplicates("model").set_index("model")
    frame.to_csv("utf16.csv", index=False, encoding="utf-16", sep="\t")
    frame.to_csv("bar.csv", index=False, sep="|")
    frame.to_csv("numbered.csv")
    Path("excel.csv").write_text("sep=;\n" + frame.to_csv(index=False, sep=";"), encoding="utf-8-sig")
    Path("r.csv").write_text(frame.to_csv().removeprefix(","))  # the head has no name for the rows' numbers
    frame.to_json("by_column.json")
    frame.to_json("by_row.json", orient="index")
    frame.set_index(pd.Index([0] * len(frame))).to_json("split.json", orient="split")
    frame.set_index("model").to_parquet("index.parquet")
    frame.astype({"seed": "uint8", "model": "category"}).to_parquet("odd.parquet")
    (frame.assign(model=frame["model"].str.encode("utf-8"))).to_parquet("bytes.parquet")
    objects = [json.dumps(row) if place else str(row) for place, row in enumerate(frame.to_dict("records"))]
    pd.DataFrame({"config": objects, "name": range(len(objects))}).to_csv("wandb.csv")
    for path in sorted(Path().glob("*.*")):
        found = read(path.name).table.rename(columns=lambda name: name.removeprefix("config."))
        assert found[["model", "seed", "test_acc"]].to_numpy().tolist() == frame.astype(str).to_numpy().tolist(), path
    named_rows.to_csv("names.csv", header=["top1"], index_label="")
    named_rows.rename_axis(None).to_json("names.json")
    named_rows.to_json("names_first.json", orient="index")
    tables = [read(path.name).table for path in sorted(Path().glob("names*"))]
    tables += [of_frame(named_rows.rename_axis(None)).table]
    assert [[*one["name"]] for one in tables] == [["resnext50_32x4d", "resnet50"]] * 4
    assert Path("a b=1.csv").write_text("net,error\n29-32x4d,4.5\n")
    assert "lowest test error is 4.50 %" in said("import", "a b=1.csv", "data=cifar10")
    folders = [Path(f".importing-{name}") for name in ("killed", "running")]
    for folder in folders:
        (folder / "x").mkdir(parents=True)
        os.utime(folder, (0, 0))
    descriptor = os.open(folders[1], os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    said("import", "a b=1.csv", "data=cifar10", "name=next")
    os.close(descriptor)
    assert [folder.exists() for folder in folders] == [False, True]


def test_an_optuna_study_is_imported_with_its_finished_trials(said: Said) -> None:
    study = optuna.create_study(storage="sqlite:///trials.db", study_name="mine", direction="maximize")
    for cardinality, width in ((1, 16), (2, 10), (4, 6), (8, 4)):
        trial = study.ask({
            "depth": optuna.distributions.IntDistribution(29, 29),
            "cardinality": optuna.distributions.IntDistribution(1, 8),
            "bottleneck_width": optuna.distributions.IntDistribution(1, 16),
        })  # fmt: skip
        del trial
        study.tell(len(study.trials) - 1, state=optuna.trial.TrialState.FAIL)
        study.add_trial(
            optuna.trial.create_trial(
                params={"depth": 29, "cardinality": cardinality, "bottleneck_width": width, "width": 64},
                distributions={
                    name: optuna.distributions.IntDistribution(1, 64)
                    for name in ("depth", "cardinality", "bottleneck_width", "width")
                },
                value=0.9 + cardinality / 100,
            )
        )
    told = said("import", "trials.db", "data=cifar10")
    assert "4 with status fail" in told
    assert "validation" in told
    found = explorer.open_study("trials")
    assert found.finding.measure == "val_error"
    assert found.runs.set_index("setting")["val_error"].to_dict() == pytest.approx(
        {"29-1x16d-w64": 0.09, "29-2x10d-w64": 0.08, "29-4x6d-w64": 0.06, "29-8x4d-w64": 0.02}
    )
    looked_at(Path("studies/trials"))
    optuna.create_study(storage="sqlite:///trials.db", study_name="other")
    assert "trials.db: holds 2 studies; say part=NAME, one of mine, other" in said(
        "import", "trials.db", "name=b", "data=cifar10", code=2
    )
    said("import", "trials.db", "name=b", "data=cifar10", "part=mine")
    assert "holds no trial that came to its end" in said("import", "trials.db", "name=c", "part=other", code=2)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_database_is_only_read_and_of_several_objectives_names_say_which_is_the_error(said: Said) -> None:
    study = optuna.create_study(storage="sqlite:///two.db", directions=["minimize", "maximize"])
    for number in range(6):
        trial = optuna.trial.create_trial(
            params={"arch": f"29-{2**number}x4d", "lr": 0.1 + number / 100},
            distributions={
                "arch": optuna.distributions.CategoricalDistribution([f"29-{2**place}x4d" for place in range(6)]),
                "lr": optuna.distributions.FloatDistribution(0, 1),
            },
            values=[4.1 + number, 0.9 + number / 100],
        )
        study.add_trial(trial)
    before = Path("two.db").read_bytes()
    words = said("import", "two.db", "data=cifar10", code=2)
    assert "no column is known to hold an error or an accuracy" in words
    assert "values_0, values_1" in words
    told = said("import", "sqlite:///two.db", "name=two", "data=cifar10", "columns.val_accuracy=values_1")
    assert "lowest validation error is 5.00 %" in told
    assert "lr (6 values)" in told  # which differs from trial to trial
    assert Path("two.db").read_bytes() == before
    study.set_metric_names(["gmacs", "val_acc"])
    assert "val accuracy in val_acc" in said("import", "two.db", "name=named", "data=cifar10")
    with closing(sqlite3.connect("mlflow.db")) as store:
        store.executescript("CREATE TABLE experiments (x); CREATE TABLE runs (x); CREATE TABLE metrics (x);")
    assert "is a store of MLflow" in said("import", "mlflow.db", code=2)
    for url, words in (
        ("sqlite:///none.db", "there is no such file"),
        ("sqlite://", "there is no such file"),
        ("https://here/runs.csv", "is no URL of a database"),
        ("postgresql://me:secret@localhost:1/x", "postgresql://me@localhost:1/x: cannot be opened"),
    ):
        assert words in said("import", url, code=2)
    assert not Path("none.db").exists()


def test_a_record_of_this_project_comes_back_as_it_was(said: Said, tmp_path: Path) -> None:
    config = read_command(["study=equal_params", "name=own", "search.seeds=5", "recipe.epochs=2"]).study
    folder = made_up(config, error=lambda _, run: 0.05 + run.seed / 1000 + run.seed / 2000 + len(run.id) / 1000)
    told = said("import", str(folder / "runs.csv"), "name=again", "image_size=8", "channels=1", "columns.group=none")
    assert "parameters of 5 designs in runs.csv are the exact ones" in told
    first, again = open_study(folder), open_study(tmp_path / "studies" / "again")
    errors = [{one.setting: one.errors for one in study.finding.summaries} for study in (first, again)]
    assert errors[0] == errors[1]


def test_python_imports_a_data_frame_and_gives_its_study(said: Said) -> None:
    frame = pd.DataFrame(replicated())
    (study,) = explorer.import_results(frame, name="frame", data="imagenet", contrast=("50-32x4d", "50-1x64d"))
    assert study.finding.comparison is not None
    assert study.query("resnet50").params == 25_557_032
    with pytest.raises(InputError, match="name is missing"):
        explorer.import_results(frame, data="imagenet")
    with pytest.raises(InputError, match="cost"):
        explorer.import_results(frame, name="b", data="imagenet", cost="flops")
    with pytest.raises(InputError, match=r"columns\.desing"):
        explorer.import_results(frame, name="b", data="imagenet", columns={"desing": "model"})
    assert "6 of 6" not in said("status", "frame")
    assert "12 of 12" in said("status", "frame")


# ---------------------------------------------------------------- seeds, contrast, curves


def test_a_contrast_is_judged_where_the_file_gives_seeds_and_says_when_it_was_declared(said: Said) -> None:
    file = table(Path("two.csv"), replicated())
    words = ["import", file, "data=imagenet", "contrast=[resnext50_32x4d,resnet50]", "margin=0.005"]
    told = said(*words)
    assert "Seeds 3, 5, 7, 11, 13, 42 are numbered from 0 on here" in told
    assert "its test error is 2.05 points lower" in told
    assert "declared when the results were there" in told
    study, page = looked_at(Path("studies/two"))
    assert study.finding.comparison is not None
    assert study.finding.comparison.verdict == "beats"
    assert "The contrast was declared before" not in page
    no_seeds = [{key: value for key, value in row.items() if key != "seed"} for row in replicated()]
    file = table(Path("none.csv"), no_seeds)
    assert "has no column of seeds" in said(*[words[0], file, *words[2:]], code=2)
    told = said("import", file, "data=imagenet")
    assert "12 runs" in told
    assert "Single runs" not in told


@pytest.mark.real
def test_epochs_of_a_run_become_its_curve_and_the_last_one_counts(said: Said) -> None:
    rows = [
        {"arch": name, "seed": seed, "epoch": epoch, "val_err": round(50 / (epoch + 1) + bias + seed, 2), "dataset": "CIFAR-10"}
        for name, bias in (("29-32x4d", 0.0), ("29-1x64d", 1.0))
        for seed in (1, 2)
        for epoch in range(6)
    ]  # fmt: skip
    said("import", table(Path("curves.csv"), rows))
    study = explorer.open_study("curves")
    assert study.query("29-32x4d").errors == pytest.approx({0: 0.0933, 1: 0.1033})
    assert study.query("29-32x4d").curves["val_error"].tolist()[:2] == pytest.approx([0.51, 0.26])
    shown = tracked(
        open_study(Path("studies/curves"))
    )  # of when an epoch ended nothing is known but that the run had not yet
    assert all(math.isfinite(step.at) and step.at <= run.ended for run in shown.runs for step in run.steps)
    looked_at(Path("studies/curves"))
    sparse = [row for row in rows if row["epoch"] in (1, 3, 5)]
    assert "8 of epochs before the last" in said("import", table(Path("sparse.csv"), sparse))
    two = [{**row, "epochs": row["epoch"], "epoch": ""} for row in rows if row["epoch"] in (2, 5)]
    words = said("import", table(Path("two.csv"), two), code=2)
    assert "are both of 29-32x4d with one seed, and end at other epochs" in words
    assert "say columns.epoch=epochs if they are points of one run" in words
    # Tested once, after the last epoch; one row is there twice.
    tested = [{**row, "test_err": 9 if row["epoch"] == 5 else ""} for row in rows]
    told = said("import", table(Path("tested.csv"), [*tested, tested[3]]))
    assert "Left out: 1 that repeat another row." in told
    study = explorer.open_study("tested")
    assert study.query("29-32x4d").errors == {0: 0.09, 1: 0.09}
    assert len(study.query("29-32x4d").curves) == 12


def test_epochs_of_runs_without_seeds_are_never_mixed(said: Said) -> None:
    def rows(*epochs: int) -> list[dict[str, Any]]:
        return [
            {"arch": "29-32x4d", "epoch": epoch, "val_err": 50 - 5 * epoch + place}
            for place, epoch in enumerate(epochs)
        ]

    def errors(*epochs: int) -> list[float]:
        table(Path("a.csv"), rows(*epochs))
        raw = read("a.csv")
        ((_, found),) = studies_of(raw, ImportConfig(file="a.csv", data="cifar10"))[0]
        return [round(100 * run.errors["val"], 6) for run in found.runs]

    assert errors(1, 2, 3, 1, 2, 3) == [37, 40]  # one after the other
    assert errors(1, 1, 2, 2, 3, 3) == [39, 40]  # side by side
    assert errors(1, 2, 1, 2, 3, 4) == [41, 35]  # the first was stopped
    table(Path("b.csv"), rows(1, 2, 1, 3, 2, 4, 3))
    assert "epochs do not tell which run of 29-32x4d a row is of" in said("import", "b.csv", "data=cifar10", code=2)


# ---------------------------------------------------------------- names, units, numbers


@pytest.mark.parametrize(
    ("text", "design", "data", "recipe"),
    [
        ("resnext50_32x4d.a1_in1k", "50-32x4d", "imagenet", "a1_in1k"),
        ("resnet50.tv2_in1k", "50-1x64d", "imagenet", "tv2_in1k"),
        ("resnext101_32x8d.fb_swsl_ig1b_ft_in1k", "101-32x8d", "imagenet", "fb_swsl_ig1b_ft_in1k"),
        ("ResNeXt50_32X4D_Weights.IMAGENET1K_V2", "50-32x4d", "imagenet", "imagenet1k_v2"),
        ("ResNeXt-50 (32x4d)", "50-32x4d", "", ""),
        ("ResNeXt-29, 8x64d", "29-8x64d", "", ""),
        ("ResNeXt-29, 16\N{MULTIPLICATION SIGN}64d", "29-16x64d", "", ""),
        ("WRN-28-10", "28-1x160d-w160-wide", "", ""),
        ("wide_resnet50_2", "50-1x128d", "", ""),
        ("regnetx_032", short_name(parse_name("regnetx_032")), "", ""),
        ("regnet_x_3_2gf", short_name(parse_name("regnetx_032")), "", ""),
        ("resnext20_16x4d_cifar10", "20-16x4d", "cifar10", ""),
        ("29-8x14.24.58d", "29-8x14.24.58d", "", ""),
        ("preresnet164", "164-1x16d-w64-preact", "", ""),
        ("gluon_resnext50_32x4d", "50-32x4d", "imagenet", "gluon"),
        ("resnext101_32x8d_wsl", "101-32x8d", "imagenet", "wsl"),
        ("torchvision.models.resnet50", "50-1x64d", "", ""),
    ],
)
def test_names_are_read_as_papers_and_libraries_write_them(text: str, design: str, data: str, recipe: str) -> None:
    found = named(text)
    assert found.design is not None
    assert (short_name(found.design), found.data, found.recipe) == (design, data, recipe)


@pytest.mark.usefixtures("workplace")
def test_axes_of_descendants_are_read_from_columns_and_their_usual_values_mean_nothing() -> None:
    usual = {"stem": "plain", "projection": "conv", "attention": "none", "scale": "1"}
    assert of_axes("50", "32", "4").design == of_axes("50", "32", "4.0", **usual).design == parse_name("50-32x4d")
    descendants = {"stem": "deep", "projection": "pool", "attention": "se16", "scale": "4.0"}
    for axis, value in descendants.items():
        found = of_axes("50", "1", "26", **{**usual, axis: value}).design
        assert found is not None
        assert str(getattr(found, axis)) == value.removesuffix(".0")
    assert of_axes("50", "1", "26", attention="much").design is None
    table = {"depth": [50], "cardinality": [1], "bottleneck_width": [26], "res2net_scale": [4], "error": [22.0]}
    (study,) = explorer.import_results(pd.DataFrame(table), name="axes", data="imagenet")
    assert study.runs["setting"].tolist() == ["50-1x26d-s4"]


@pytest.mark.real
def test_networks_that_do_not_exist_here_are_counted_and_named(said: Said) -> None:
    rows = [
        {"model": f"{name}.a1_in1k", "top1": top1, "param_count": params}
        for name, top1, params in (
            ("resnext50_32x4d", 80.53, 25.03),
            ("resnet50", 80.38, 25.56),
            ("resnet101", 81.3, 44.55),
            ("skresnext50_32x4d", 80.2, 27.48),
            ("resnet50t", 80.5, 25.57),
            ("vit_base_patch16_224", 81.8, 86.57),
            ("no_such_thing", 70.0, 1.0),
        )
    ]
    told = said("import", table(Path("timm.csv"), rows))
    assert "recipe a1_in1k" in told
    assert "4 designs in 4 rows do not exist here: skresnext50_32x4d.a1_in1k (it has attention of another kind" in told
    assert "no_such_thing.a1_in1k (is not known by this name)" in told
    assert "Parameters that are not the exact ones" not in told
    study, page = looked_at(Path("studies/timm"))
    assert "vit_base_patch16_224.a1_in1k" in page
    assert study.finding.imported is not None
    assert [one.name.partition(".")[0] for one in study.finding.imported.source.unread] == [
        *("skresnext50_32x4d", "resnet50t", "vit_base_patch16_224", "no_such_thing"),
    ]
    others = [{**row, "model": str(row["model"]).replace("a1_", "b_")} for row in rows[5:6]]
    assert "Nothing of these can be taken: b_in1k." in said(
        "import", table(Path("two.csv"), [*rows, *others]), "recipe=each", "columns.params=none"
    )
    again = "explorer import two.csv name=two-a1_in1k data=imagenet recipe=a1_in1k columns.params=none"
    assert again in looked_at(Path("studies/two-a1_in1k"))[1]
    rows[0]["param_count"] = 25.10
    told = said("import", table(Path("wrong.csv"), rows))
    assert "Parameters that are not the exact ones in wrong.csv: 50-32x4d 25.1, here 25,028,904" in told
    assert "In the file" in looked_at(Path("studies/wrong"))[1]
    assert "none of its 1 row is of a network that exists here: vit_base_patch16_224" in said(
        "import", table(Path("vit.csv"), rows[5:6]), code=2
    )


@pytest.mark.parametrize(
    ("column", "values", "errors"),
    [
        ("error", ("4.33", "4.53"), (0.0433, 0.0453)),
        ("error", ("0.0433", "0.0453"), (0.0433, 0.0453)),
        ("error", ("0.3", "0.12"), (0.3, 0.12)),  # so few per cent are not reported with so few digits
        ("error", ("0.2197", "0.31"), (0.2197, 0.31)),
        ("error (%)", ("0.31", "0.45"), (0.0031, 0.0045)),
        ("err", ("0.31%", "0.45 %"), (0.0031, 0.0045)),
        ("err", ("3.65 ± 0.10", "3.58 (0.08)"), (0.0365, 0.0358)),
        ("err", ("3,65", "3,581"), (0.0365, 0.03581)),
        ("top1", ("76.16", "77.63"), (0.2384, 0.2237)),
        ("acc", ("0.95", "1.0"), (0.05, 0.0)),
        ("test_accuracy_percent", ("95", "94.5"), (0.05, 0.055)),
    ],
)
def test_errors_and_accuracies_are_read_as_fractions_or_per_cent(
    said: Said, column: str, values: tuple[str, str], errors: tuple[float, float]
) -> None:
    rows = [{"net": name, column: value} for name, value in zip(("29-32x4d", "29-1x64d"), values, strict=True)]
    said("import", table(Path("unit.csv"), rows), "data=cifar10")
    assert explorer.open_study("unit").runs["test_error"].tolist() == pytest.approx(errors)


@pytest.mark.parametrize(
    ("rows", "keys", "words"),
    [
        ([{"net": "29-32x4d", "error": "0.31"}, {"net": "29-1x64d", "error": "0.45"}], (), "may be fractions or per cent; say unit=fraction or unit=percent"),
        ([{"net": "29-32x4d", "acc": "95.31"}, {"net": "29-1x64d", "acc": "0.9531"}], (), r"holds 95.31 (row 1) and 0.9531 (row 2), so that some seem to be per cent"),
        ([{"net": "29-32x4d", "error": "104"}], (), "104 is no share; allowed is 0 to 100"),
        ([{"net": "29-32x4d", "error": "good"}], (), "row 1, column error: 'good' is not a number"),
        ([{"net": "29-32x4d", "loss": "0.3"}], (), "no column is known to hold an error or an accuracy; say columns.error=COLUMN"),
        ([{"who": "29-32x4d", "error": "4.1"}], (), "no column is known to name the networks; say columns.design=COLUMN"),
        ([{"net": "29-32x4d", "error": "4.1"}], ("columns.design=nett",), "columns.design=nett: bad.csv has no such column (did you mean net?)"),
        ([{"net": "29-32x4d", "error": "4.1"}], ("data=birds",), "data=birds: is not known, and costs depend on the images; say image_size and classes"),
        ([{"net": "29-32x4d", "error": "4.1"}], (), "does not say which data set these results are of; say data=NAME"),
        ([{"net": "29-32x4d", "error": "4.1", "seed": "1.5"}], ("data=cifar10",), "column seed: 1.5 is no seed"),
        ([{"net": "29-32x4d", "error": "4.1", "seed": ""}, {"net": "29-1x64d", "error": "4.1", "seed": "1"}], ("data=cifar10",), "row 1: has no seed; say columns.seed=none"),
        ([{"net": "29-32x4d", "error": error, "seed": "1"} for error in ("4.1", "4.2")], ("data=cifar10",), "rows 1 and 2 are both of 29-32x4d with seed 1, and do not say the same"),
        ([{"net": "29-32x4d", "error": "1.2"}, {"net": "29-1x64d", "error": "0.054"}], (), "so that some seem to be per cent"),
        ([{"net": "29-32x4d", "acc": "95.2"}, {"net": "29-1x64d", "acc": "0.95"}], (), "so that some seem to be per cent"),
        ([{"net": "29-32x4d", "error": "5.2%"}, {"net": "29-1x64d", "error": "0.051"}], (), "some cells have a sign of per cent, and that of row 2 has none"),
        ([{"net": "29-32x4d", "error": "94.6"}, {"net": "29-1x64d", "error": "95.1"}], (), "all are worse than guessing (an error of 90 %); say columns.accuracy=error if they are accuracies"),
        ([{"net": "29-32x4d", "test_acc": "5.4"}], (), "all are worse than guessing (an error of 90 %); say columns.error=test_acc if they are errors"),
        ([{"net": "29-32x4d", "error": "5.1", "acc": "93.0"}], (), "row 1: error is 5.1 and acc is 93.0, which do not agree; say columns.error=error or columns.accuracy=acc"),
        ([{"net": "29-32x4d", "error": "4.1"}], ("data=cifar10", "margin=0.01"), "margin=0.01: is that of a contrast"),
        ([{"net": "29-32x4d", "error": "4.1", "err": "4.2"}], ("data=cifar10", "contrast=[a,b,c]"), "allowed are two designs"),
        ([{"net": "29-32x4d", "error": "4.1"}], ("data=cifar10", "part=x"), "part=x: names a study of an Optuna database"),
        ([{"net": "", "error": ""}], (), "bad.csv: holds no rows"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_one_line(
    said: Said, rows: list[dict[str, str]], keys: tuple[str, ...], words: str
) -> None:
    keys = (
        keys if any(key.startswith("data=") for key in keys) or "which data set" in words else (*keys, "data=cifar10")
    )
    assert words in said("import", table(Path("bad.csv"), rows), *keys, code=2)
    assert not Path("studies").exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.xlsx", b"PK", "a.xlsx: is not of a kind that is read here; allowed are .csv"),
        ("a.json", b"{", "a.json: cannot be read as json"),
        ("a.json", b"[1, 2]", "a.json: holds no list of records"),
        ("a.csv", b"", "a.csv: is empty"),
        ("a.csv", b"\xff\xfe\x00", "a.csv: is not text in UTF-8"),
        ("a.csv", b"mod\xe8le,error", "a.csv: is not text in UTF-8 (byte 0xe8 at 3); save it as UTF-8"),
        ("a.csv", b"net,error,error\n29-32x4d,4,5\n", "a.csv: has two columns 'error'"),
        ("a.csv", b"net,error\n29-32x4d,4,5\n29-1x64d,4\n", "a.csv: line 2 has 3 cells, and the head 2"),
        (
            "a.csv",
            b'net,error\n"29-32x4d,4\n29-1x64d,4\n',
            "a.csv: cannot be read as CSV (a quotation mark is not closed",
        ),
        ("a.parquet", b"PAR1", "a.parquet: cannot be read as parquet"),
        ("a.db", b"SQLite format 3\0 and no more", "a.db: "),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_line(said: Said, name: str, content: bytes, words: str) -> None:
    Path(name).write_bytes(content)
    assert words in said("import", name, "data=cifar10", code=2)
    assert "no.csv: cannot be read (No such file or directory)" in said("import", "no.csv", code=2)
    assert "file is missing" in said("import", code=2)


def test_groups_of_the_file_are_set_beside_each_other_and_weighted_to_equal_cost(said: Said) -> None:
    rows = [
        {"net": f"{depth}-{paths}x{width}d-w64", "error": round(5 + 40 / depth + 0.1 * paths + width / 50, 3), "group": group}
        for group, paths in (("few", 2), ("many", 8))
        for depth in (11, 20, 29, 38, 47)
        for width in (2, 4, 8)
    ]  # fmt: skip
    said("import", table(Path("groups.csv"), rows), "data=cifar10", "cost=macs")
    study, page = looked_at(Path("studies/groups"))
    found = study.finding.imported
    assert found is not None
    assert found.grouped_by == "group"
    assert found.weighted is not None
    assert {*found.weighted.distributions} == {"few", "many"}
    assert "Which axes matter" in page  # 30 designs that differ in numbers alone
    assert "against multiply-adds" in page


def test_results_on_images_of_unknown_number_claim_nothing_of_how_sure_the_front_is(said: Said) -> None:
    rows = [{"net": f"29-{paths}x4d", "error": 5 - paths / 8} for paths in (1, 2, 4, 8)]
    said("import", table(Path("own.csv"), rows), "data=birds", "classes=20", "image_size=32")
    study, page = looked_at(Path("studies/own"))
    assert study.finding.front is not None
    assert study.finding.front.ahead.all()
    assert "redrawn within" not in page
    assert re.search(r"redrawn errors\s+.*?-", page)
    with_number = said(
        "import", "own.csv", "name=known", "data=birds", "classes=20", "image_size=32", "test_images=500"
    )
    assert "4 designs" in with_number
    assert "counting on 500 images alone" in looked_at(Path("studies/known"))[1]


def test_imported_contrasts_are_not_pooled(said: Said) -> None:
    for data in ("cifar10", "svhn"):
        rows = [
            {**row, "model": row["model"].replace("resnet50", "29-1x64d").replace("resnext50_32x4d", "29-32x4d")}
            for row in replicated()
        ]
        file = table(Path(f"{data}.csv"), rows)
        said("import", file, f"data={data}", "contrast=[29-32x4d,29-1x64d]")
    assert "cifar10 holds imported results" in said("pool", "cifar10", "svhn", code=2)
