"""A setting that a command gives and nothing would use is refused, or told."""

import ast
import inspect
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.__main__ import read_subject
from benchmarks.subjects import SUBJECTS
from explorer.__main__ import main
from explorer.host.errors import InputError
from explorer.verbs.command_line import read_command
from explorer.verbs.compose import OWN_SUBJECTS
from tests.conftest import TINY
from tests.made_up import made_up
from tests.training.test_image_sources import pictures, write_folder, write_parquet


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["data.path=photos"],
            "data.path=photos: the digits are embedded and read no path; allowed with data=cifar10_",
        ),
        (
            ["data.resize=16"],
            "data.resize=16: the digits are embedded; allowed where images are read, as with data=fol",
        ),
        (["data.keep=stream"], "data.keep=stream: the digits are embedded"),
        (
            ["data=folder", "data.path=x", "data.label_column=y"],
            "data.label_column=y: folders of image files have none",
        ),
        (
            ["recipe.milestones=[0.5]"],
            "recipe.milestones=[0.5]: recipe.schedule=one_cycle has none; allowed with recipe",
        ),
        (["recipe=paper_cifar", "recipe.warmup=0.1"], "recipe.warmup=0.1: recipe.schedule=step does not warm up"),
        (["recipe.schedule=step", "recipe.warmup=0"], "recipe.schedule=step: recipe.milestones is empty, so that"),
        (
            ["space.shortcut=[false]", "recipe.zero_init_residual=true"],
            "recipe.zero_init_residual=true: space.shortcut=[false] has no residual branches",
        ),
        (["search.sampler_seed=3"], "search.sampler_seed=3: sampler listed draws nothing"),
        (["search.latency_batch=2"], "search.latency_batch=2: no latency is measured"),
        (["search.factor=4"], "search.factor=4: search.pruner=none stops no design"),
        (["study.contrast=null", "study.margin=0.1"], "study.margin=0.1: study.contrast is null"),
    ],
)
def test_a_setting_that_nothing_uses_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], workplace: Path
) -> None:
    for verb in ("plan", "run"):
        assert main(["study=equal_params", *arguments, f"do={verb}"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"explorer: {said}")
    assert not (workplace / "studies").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["data.path=null", "data.keep=auto", "recipe.milestones=[]", "search.factor=3", "search.sampler_seed=0"],
        ["recipe.schedule=step", "recipe.milestones=[0.5]", "recipe.warmup=0"],
        ["search=uniform", "search.designs=2", "search.sampler_seed=3"],
        ["data=hub", "data.path=a/b", "data.resize=32", "data.label_column=y", "data.keep=stream"],
    ],
)
def test_what_is_used_or_says_what_is_so_anyway_is_taken(arguments: list[str]) -> None:
    assert read_command(["study=equal_params", *arguments]).aside == ()


def test_a_file_of_a_study_may_give_no_more_than_a_command(workplace: Path) -> None:
    mine = workplace / "conf" / "study" / "mine.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("# @package _global_\nstudy: {question: Does it, contrast: null}\ndata: {path: photos}\n")
    with pytest.raises(InputError, match=r"^data.path=photos: the digits are embedded.* \(in .*mine.yaml\)$"):
        read_command(["study=mine"])


@pytest.mark.parametrize(("kind", "says"), [("folder", "data=photos"), ("parquet", "data=parquet")])
def test_the_command_that_reads_a_path_works(
    kind: str, says: str, capsys: pytest.CaptureFixture[str], workplace: Path
) -> None:
    plan = ["study=equal_params", "do=plan", "data.image_size=8"]
    if kind == "folder":
        write_folder(workplace / "photos", pictures(60))
    else:
        for part in ("train", "test"):
            images = [(pictures(1)[0][0], number % 10) for number in range(200)]
            write_parquet(workplace / "photos" / f"{part}.parquet", images)
    assert main([*plan, "data.path=photos"]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert main([*plan, *said.rpartition("say for example ")[2].split()]) == 0, capsys.readouterr().err


def test_what_another_key_of_the_command_sets_aside_is_told(
    capsys: pytest.CaptureFixture[str], workplace: Path
) -> None:
    aside = ["search.only=[29-1x64d]", "study.margin=0.2", "engine.loaders=4"]
    assert main(["study=equal_params", "do=plan", *aside]) == 0
    told = capsys.readouterr().out
    assert "study.margin=0.2 has no effect: with search.only nothing is compared" in told
    assert "engine.loaders=4 has no effect: Digits (scikit-learn) stay in memory and are not streamed" in told


def test_verbs_that_go_by_the_record_say_what_of_the_command_they_do_not_use(
    capsys: pytest.CaptureFixture[str], workplace: Path
) -> None:
    made_up(read_command(TINY).study)
    assert main([*TINY, "recipe.epochs=3", "do=tabulate"]) == 0
    told = "studies/tiny: was started differently (recipe.epochs was 2, now 3); tabulate goes by the record"
    assert told in capsys.readouterr().out
    assert main([*TINY, "do=tabulate"]) == 0
    assert main(["study=equal_params", "name=tiny", "do=tabulate"]) == 0  # nothing else was asked for
    assert "was started differently" not in capsys.readouterr().out
    assert main(["study=equal_params", "name=tiny", "recipe.epochs=3", "do=doctor"]) == 0
    assert "doctor looks at the folder alone: recipe.epochs has no effect" in capsys.readouterr().out


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_subject_of_the_benchmarks_reads_every_key_that_it_takes(subject: str) -> None:
    own = SUBJECTS[subject]
    parts: list[ast.AST] = [ast.parse(inspect.getsource(own.measure))]
    for node in ast.walk(parts[0]):  # and of the functions that it gives its settings to
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("benchmarks."):
            module = ast.parse(inspect.getsource(import_module(str(node.module))))
            parts += [
                one
                for one in module.body
                if isinstance(one, ast.FunctionDef)
                and any(ast.unparse(arg.annotation or arg) == own.settings.__name__ for arg in one.args.args)
            ]
    used = {
        node.attr
        for part in parts
        for node in ast.walk(part)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "config"
    }
    assert used == {field.name for field in fields(own.settings)}
    with pytest.raises(InputError, match=r"^stores=1: unknown key"):
        read_subject([subject, "stores=1"])


def test_a_key_that_a_verbs_benchmark_does_not_use_is_refused() -> None:
    with pytest.raises(InputError, match=r"^steps: subject=latency does not use it"):
        read_command(["do=benchmark", "subject=latency", "steps=2"])
    read_command(["do=benchmark", "subject=latency", "turns=2"])


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_subject_that_is_no_verbs_says_where_it_is_measured(subject: str) -> None:
    assert set(OWN_SUBJECTS) == set(SUBJECTS)
    with pytest.raises(InputError, match=rf"python -m benchmarks {subject}; allowed: training, latency"):
        read_command(["do=benchmark", f"subject={subject}", "stored=3"])
