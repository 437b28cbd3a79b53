"""The commands on designs and the searches, through the command line."""

import io
import os
import pickle
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from benchmarks.__main__ import main as measure
from explorer.__main__ import main
from explorer.design import Architecture, Task, display_name, parse_name
from explorer.record import folder as study
from explorer.record import records
from explorer.training.latency import exclusive
from explorer.training.network import verify as verifying
from explorer.training.network.build import build
from explorer.training.network.forms import State, convert
from tests.conftest import TINY, only_line
from tests.verbs.test_study import environment

FOLDER = Path("studies/tiny")
QUICK = ["architecture=11-4x3d-w16", "repeats=1", "batch_size=2"]


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_verify_shows_referees_and_forms(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    assert main(["do=verify", *QUICK]) == 0
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"]  # or torch would refuse device=cuda
    output = said(capsys)
    for part in ("closed form", "fvcore", "(a) sum", "(b) concatenation", "(c) grouped"):
        assert part in output
    assert output.endswith("All agree.")
    assert list(workplace.iterdir()) == []


def test_verify_does_not_blame_itself_for_roundings(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On maps of one pixel batch norm sees as many values as there are images, and enlarges what rounding leaves."""
    assert main(["do=verify", "architecture=11-2x3d-w16", "image_size=4", "repeats=1", "batch_size=2"]) == 0
    output = said(capsys)
    assert "weight rounded" in output
    assert output.endswith("All agree.")
    assert main(["do=verify", "architecture=11-2x3d-w16", "image_size=4", "batch_size=1"]) == 2
    assert "batch norm trains on two values or more; allowed: batch_size=2 or more" in capsys.readouterr().err


@pytest.mark.real
def test_weights_of_torch_are_refused_with_the_command_that_converts_them(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = build(parse_name("11-4x3d-w16"), Task(3, 32, 10), torch.Generator().manual_seed(0))
    for legacy, name, content in (
        (False, "a b.pth", network.state_dict()),
        (True, "old.pt", {"state_dict": network.state_dict()}),
    ):
        torch.save(content, name, _use_new_zipfile_serialization=not legacy)
        export = ["do=export", "architecture=11-4x3d-w16"]
        assert main([*export, f"weights={name}"]) == 2
        said = capsys.readouterr().err
        target = Path(name).with_suffix(".safetensors")
        assert f"weights={name}: is a file of torch.save, which is not read since it can hold code" in said
        assert f"give weights={target}: python -c " in said
        command = shlex.split(said.partition(f"weights={target}: ")[2])
        subprocess.run([sys.executable, *command[1:]], check=True)
        assert main([*export, f"weights={target}"]) == 0
        capsys.readouterr()


def test_a_file_that_holds_no_weights_says_what_is_wrong_with_it(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = {"weight": torch.arange(1000.0), "bias": torch.arange(3.0)}
    torch.save(state, "new.pth")
    torch.save(state, "old.pth", _use_new_zipfile_serialization=False)
    new, old = Path("new.pth").read_bytes(), Path("old.pth").read_bytes()
    scripted, archive = io.BytesIO(), io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), scripted)
    with ZipFile(archive, "w") as zipped:
        zipped.writestr("new.pth", new)
    cut = "is a file of torch.save that is cut short"
    for content, problem in (
        (b"", "is empty; copy or download it anew"),
        (new[:-100], f"{cut} or damaged; copy or download it anew"),
        (new[:4], f"{cut} or damaged; copy or download it anew"),
        (old[:60], f"{cut}; copy or download it anew"),
        (old[: old.index(b"weight")], f"{cut}; copy or download it anew"),
        (pickle.dumps({"weight": [1.0]}), "is a pickle that torch.save did not write, which is not read since it can"),
        (scripted.getvalue(), "is a program of TorchScript; save the network's state_dict() instead"),
        (archive.getvalue(), "is an archive that torch.save did not write; give the file of weights itself"),
        (b"x", "is of neither safetensors nor torch.save: it begins with b'x'; copy or download it anew"),
        (b"<!DOCTYPE html>", "is of neither safetensors nor torch.save: it begins with b'<!DOCTYPE html>'"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS and not the file; fetch that with"),
        (b"\x40\0\0\0\0\0\0\0{", "is cut short or not a safetensors file"),
    ):
        Path("mine.pth").write_bytes(content)
        assert main(["do=export", "architecture=11-4x3d-w16", "weights=mine.pth"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"explorer: weights=mine.pth: {problem}")


def test_a_name_as_pages_show_it_needs_no_quotes_but_the_shells(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = display_name(parse_name("11-4x3d-w16"))
    assert shown == "ResNeXt-11 (4x3d, w16)"
    assert main(["do=verify", f"architecture={shown}", *QUICK[1:]]) == 0
    assert "11-4x3d-w16: counted for one image" in said(capsys)
    only = ["study.contrast=null"]
    assert main([*TINY, *only, 'search.only=["ResNeXt-11 (2x3d, w16)"]', "do=plan"]) == 0
    assert "ResNeXt-11 (2x3d, w16)" in said(capsys)
    assert main([*TINY, *only, "search.only=[ResNeXt-11 (2x3d, w16)]", "do=plan"]) == 2
    assert """as in 'search.only=["ResNeXt-29 (32x4d)"]'""" in capsys.readouterr().err


def test_of_a_name_that_two_networks_have_it_is_said_which_is_meant(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["do=verify", "architecture=alexnet", "image_size=67", "classes=2", "repeats=1", "batch_size=2"]) == 0
    assert "torchvision's alexnet (61,100,840 parameters) has one group" in " ".join(capsys.readouterr().out.split())


def test_verify_says_why_a_network_has_one_form(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["do=verify", "architecture=wrn-16-2", "image_size=16"]) == 0
    assert "One form only: " in said(capsys)


def test_verify_ends_with_an_error_where_forms_disagree(
    workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:

    def wrong(state: State, architecture: Architecture, task: Task, source: str, target: str) -> State:
        factor = 1.001 if target == "sum" else 1
        return {name: value * factor for name, value in convert(state, architecture, task, source, target).items()}

    monkeypatch.setattr(verifying, "convert", wrong)
    assert main(["do=verify", *QUICK]) == 1
    captured = capsys.readouterr()
    assert "They do NOT agree." in captured.out
    assert "11-4x3d-w16: the referees or the forms disagree" in captured.err


def test_benchmark_prints_every_method_without_a_disagreement(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measure(["costs", "designs=20000", "scalar=50", "fvcore=2", "scan=false"]) == 0
    output = said(capsys)
    for part in ("closed form, many at once 20,000", "closed form, one by one 50", "built and counted by fvcore 2"):
        assert part in output
    assert "Scan" not in output


@pytest.mark.real
def test_benchmark_of_training_tells_speeds_forms_and_figures(tmp_path: Path) -> None:
    quick = ["architectures=[11-1x8d-w16,11-4x2d-w16]", "batch_size=8", "image_size=8", "steps=2", "turns=1"]
    # A process of its own, as the reference's loader processes are forks of it.
    command = [sys.executable, "-m", "explorer", "do=benchmark", "device=cpu", *quick]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    output = " ".join(done.stdout.split())
    for part in (
        "A large matrix product: ",
        "Training, images per second, batch 8",
        "no grouped convolution",
        "; 8>8_k3_s1_g4_8px ",
        "runs at once",
        "11-1x8d-w16: at least ",
        "11-4x2d-w16: at most 1.15x the time per image of 11-1x8d-w16",
    ):
        assert part in output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.real
def test_latency_is_told_with_its_spread_batch_and_device(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = ["architectures=[11-1x8d-w16,11-4x2d-w16]", "batch_size=1", "image_size=8", "turns=2", "device=cpu"]
    assert main(["do=benchmark", "subject=latency", *quick]) == 0
    output = said(capsys)
    assert "Latency of a batch of 1, float32, " in output
    assert "40" in output  # passes
    with exclusive("cpu"):
        assert main(["do=benchmark", "subject=latency", *quick]) == 2
    assert "device=cpu: another measurement is running on it; wait for its end" in capsys.readouterr().err


@pytest.mark.real
def test_the_start_is_timed_on_a_real_study(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert measure(["start", "turns=1"]) == 0
    assert "from the command to the first training step, at most 6 s" in said(capsys)
    assert list(workplace.iterdir()) == []


@pytest.mark.real
def test_accuracy_compares_two_studies_of_one_setting_by_seed(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = [*TINY, "space.cardinality=1", "study.contrast=null", "search.seeds=5", "recipe.epochs=1"]
    one += ["data.train_images=600", "data.val_images=100", "data.test_images=200"]  # better than guessing
    assert main([*one, "name=fast", "engine.precision=bfloat16"]) == 0
    for name, words in (
        ("plain", ("", "")),
        ("longer", ("epochs: 1\n", "epochs: 2\n")),
        ("two", ("cardinality:\n  - 1\n", "cardinality:\n  - 1\n  - 2\n")),
    ):
        shutil.copytree("studies/fast", f"studies/{name}")
        settings = Path(f"studies/{name}/config.yaml")
        settings.write_text(settings.read_text().replace(*words))
    capsys.readouterr()
    assert measure(["accuracy", "fast=fast", "plain=plain"]) == 0
    output = said(capsys)
    for part in (
        "test error of fast minus plain: 90 % interval within 0.30 points of zero",
        "equivalent: +0.00 points, the same in each, n = 5 pairs",
        "pass",
    ):
        assert part in output
    for other, problem in (
        ("longer", "plain=longer: trains another setting, with another recipe or other images"),
        ("two", "studies/two: has several settings; allowed: a study of one"),
        ("none", "studies/none: there is no such study yet"),
    ):
        assert measure(["accuracy", "fast=fast", f"plain={other}"]) == 2
        assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["study=equal_params"], "Everything done so far is kept; continue with"),
        (["fork", "equal_params"], "Everything done so far is kept; continue with"),
        (["study=equal_params", "do=plan"], "Nothing was to be kept; start again with"),
        (["do=verify", *QUICK], "Nothing was to be kept; start again with"),
        (["do=benchmark", "subject=latency"], "Nothing was to be kept; start again with"),
        (["do=export", *QUICK], "Files may be missing or not whole; write them with"),
        (["study=equal_params", "do=report"], "The record is as it was; draw the page with"),
        (["study=equal_params", "do=doctor"], "Repairs that were made are kept; see what is left with"),
    ],
)
def test_an_interrupt_says_of_each_verb_what_is_kept(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("explorer.verbs.dispatch.dispatch", interrupted)
    assert main(arguments) == 130
    command = shlex.join(["explorer", *arguments])
    assert capsys.readouterr().err == f"\nInterrupted. {told}: {command}\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["do=verify"], "architecture is missing; say for example architecture=29-32x4d"),
        (["do=verify", "architecture=29-32y4d"], "architecture=29-32y4d: architecture '29-32y4d': expected a name"),
        (["do=verify", "architecture=30-32x4d-cifar"], "architecture=30-32x4d-cifar: "),
        (["do=verify", "architecture=29-2x4d-basic"], "architecture=29-2x4d-basic: "),
        (["do=verify", "architecture=29-32x4d-k4"], "architecture=29-32x4d-k4: "),
        (["do=verify", "architecture=29-32x4d-octave"], "architecture=29-32x4d-octave: "),
        (["do=verify", "architecture=50-32x4d", "image_size=16"], "architecture=50-32x4d: "),
        (["do=verify", "architecture=29-32x4d", "image_size=8", "++x=1"], "x=1: unknown key"),
        (["do=verify", "study=equal_params"], "study=equal_params: verify works on one design and takes no group"),
        (["do=export", "architecture=29-32x4d", "weights=none.safetensors"], "weights=none.safetensors: there is no"),
        (["do=verify", "architecture=29-9999999x999d"], "architecture=29-9999999x999d: it would need about "),
        (["do=export", "architecture=29-9999999x999d"], "architecture=29-9999999x999d: it would need about "),
        (["do=benchmark", "steps=0"], "steps=0: "),
        (["do=benchmark", "architectures=[]"], "architectures=[]: name at least one"),
        (["do=benchmark", "architectures=[29-32y4d]"], "architectures=29-32y4d: architecture '29-32y4d': expected"),
        (["do=benchmark", "image_size=2"], "architectures=29-1x64d: "),
        (
            ["do=dance"],
            "do=dance: unknown verb; allowed: run, plan, challenge, report, tabulate, doctor, move, fork, ",
        ),
        (["do=dance", "study=equal_params"], "do=dance: unknown verb"),
    ],
)
def test_unusable_input_is_one_line_and_leaves_nothing(
    workplace: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    assert main(arguments) == 2
    assert only_line(capsys, workplace).startswith(f"explorer: {problem}")


SEARCH = ["search=tpe", "search.designs=3", "search.seeds=1", "study.contrast=null", "storage.weights=last"]
SEARCH += ["space.cardinality={low: 1, high: 4}", "space.bottleneck_width={low: 1, high: 4}"]
SEARCH += ["budget.params.tolerance=0.5", "search.baseline=0"]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a search of three designs has run."""
    place = tmp_path_factory.mktemp("searched")
    command = [sys.executable, "-m", "explorer", *TINY, *SEARCH]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    (place / "output.txt").write_text(done.stdout)
    return place


@pytest.mark.real
def test_a_search_trains_on_validation_alone_and_draws_a_page(
    searched: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(searched)
    runs = records.load(FOLDER).runs
    assert (len(runs), set(runs["status"])) == (3, {"ok"})
    assert runs["setting"].is_unique
    assert runs["test_error"].isna().all()
    assert records.load_correct(FOLDER) == {}
    output = " ".join((searched / "output.txt").read_text().split())
    for part in ("[3/3]", "validation error", "Report: reports/tiny.html"):
        assert part in output
    page = (searched / "reports" / "tiny.html").read_text()
    assert "validation error" in page.lower()
    assert main([*TINY, *SEARCH, "do=plan"]) == 0
    output = said(capsys)
    assert "0 of 3 runs to do" in output
    assert "Optuna (tpe) chooses 3 of them" in output
    assert main([*TINY, *SEARCH, "search.designs=2"]) == 2
    assert "search.designs was 3, now 2 (in this study 3 or more)" in capsys.readouterr().err


def test_kept_weights_export_to_a_module_with_the_recorded_accuracy(
    searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(searched)
    run = records.load(FOLDER).runs.iloc[0]
    weights = FOLDER / "local" / "weights" / f"{run['run']}.safetensors"
    arguments = ["do=export", f"architecture={run['setting']}", f"weights={weights}", f"folder={tmp_path}"]
    assert main([*arguments, "image_size=8"]) == 0
    assert f"Wrote {tmp_path}/{run['setting']}/model.py" in capsys.readouterr().out
    tensors = load_file(tmp_path / run["setting"] / "weights.safetensors")
    original = load_file(weights)
    assert sum(value.numel() for name, value in tensors.items() if "running" not in name and "num_" not in name) == int(
        run["params"]
    )
    assert all(torch.equal(tensors[name], original[name]) for name in original)
    assert main(["do=export", "architecture=11-1x5d-w16", f"weights={weights}", f"folder={tmp_path}"]) == 2
    assert "do not fit this network" in capsys.readouterr().err


@pytest.mark.real
def test_a_width_per_stage_goes_through_record_and_page(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tight = ["budget=params_and_macs", "budget.reference=11-1x4d-w16", "space.cardinality=[1,3]", "recipe.epochs=1"]
    tight += ["budget.params.tolerance=0.05", "budget.macs.tolerance=0.1", "study.contrast=null", "search.seeds=1"]
    assert main([*TINY, *tight]) == 0
    runs = records.load(FOLDER).runs
    names = list(runs["setting"])
    assert len(names) == 2
    widths = [parse_name(name).bottleneck_widths for name in names]
    assert len(set(widths[1])) > 1
    assert list(runs["bottleneck_width"]) == [found[0] for found in widths]
    deviations = runs[["params_deviation", "macs_deviation", "activations_deviation"]]
    assert deviations["params_deviation"].abs().max() <= 0.05
    page = (study.REPORTS / "tiny.html").read_text()
    assert all(display_name(parse_name(name)) in page for name in names)
    pd.testing.assert_frame_equal(runs, records.load(FOLDER).runs)
    assert main([*TINY, *tight, "do=plan"]) == 0
    assert "with widths solved stage by stage" in said(capsys)


@pytest.mark.real
def test_recorded_studies_are_replayed_and_their_ranks_compared(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = [*TINY, "study.contrast=null", "space.cardinality=[1]", "space.bottleneck_width=[1,2,3,4,5,6,7,8,9]"]
    small += ["budget.params=null", "search.seeds=1", "recipe.epochs=3", "storage=none"]
    assert main([*small, "name=long"]) == 0
    assert main([*small, "name=short", "recipe.epochs=1"]) == 0
    capsys.readouterr()
    assert measure(["replay", "recorded=long"]) == 0
    captured = capsys.readouterr()
    output = " ".join(captured.out.split())
    assert captured.err == ""
    assert "200 searches of each kind replayed among 9 designs of 3 epochs" in output
    assert "random, halving: median regret on test images at 33% of the epochs" in output
    assert measure(["ranks", "short=short", "long=long"]) == 0
    assert "short (1 epochs) against long (3 epochs): Kendall's tau " in said(capsys)
    assert measure(["replay", "recorded=short"]) == 2
    assert "recorded=short: " in capsys.readouterr().err
    assert measure(["ranks", "short=short", "long=nothing"]) == 2
    assert "there is no such study yet" in capsys.readouterr().err


def test_an_exported_file_that_was_changed_by_hand_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["export", "architecture=11-2x4d-w16"]
    assert (main(words), main(words)) == (0, 0)
    path = Path("exports/11-2x4d-w16/model.py")
    changed = path.read_text().replace("def network", "def my_network")
    path.write_text(changed)
    capsys.readouterr()
    assert main(words) == 2
    assert capsys.readouterr().err.startswith(f"explorer: {path}: was changed since it was exported, and would be lost")
    assert path.read_text() == changed
    path.write_text("print('mine')\n")
    assert main(words) == 2
    path.unlink()
    assert main(words) == 0
