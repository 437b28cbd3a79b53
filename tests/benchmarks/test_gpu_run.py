"""The prepared run on a GPU machine, tried on a CPU: its steps, its limits, its record, and what it measures."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from benchmarks.gpu import environment, gpu_check, micro
from benchmarks.gpu.gpu_check import CONTRAST, GROUPS, Check
from explorer.__main__ import main
from explorer.study.plan import plan_of
from explorer.training.loop import deterministic
from explorer.verbs.command_line import read_command

ROOT = Path(__file__).parents[2]
GPU = ROOT / "benchmarks" / "gpu"
# Seconds that the whole of it has: a tenth is enough on an idle machine.
LONG = "1500"


def write_images(folder: Path) -> None:
    """Images of ten classes that nothing can be learned from, laid out as CIFAR-10 (JPEG) is."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for part, count in (("train", 300), ("test", 100)):
        files = []
        for pixels in rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8):
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "JPEG")
            files.append({"bytes": file.getvalue(), "path": None})
        labels = [number % 10 for number in range(count)]
        pq.write_table(pa.table({"image": files, "label": labels}), folder / f"{part}.parquet")


def write_as_many(folder: Path) -> None:
    """As many images as CIFAR-10 has, all alike: a plan counts them."""
    folder.mkdir()
    file = io.BytesIO()
    Image.new("RGB", (32, 32)).save(file, "JPEG")
    for part, count in (("train", 50_000), ("test", 10_000)):
        table = {"image": [{"bytes": file.getvalue(), "path": None}] * count, "label": [*range(10)] * (count // 10)}
        pq.write_table(pa.table(table), folder / f"{part}.parquet")


def checkout(folder: Path) -> Path:
    """A checkout of the project with the run prepared in its folder `.gpu`, as it travels."""
    folder.mkdir()
    for name in ("explorer", "conf"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "pyproject.toml", folder)
    ours = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "tests" / "cuda", folder / "tests" / "cuda", ignore=ours)
    (folder / "tests" / "__init__.py").touch()
    shutil.copytree(GPU, folder / ".gpu", ignore=ours)
    write_images(folder / ".gpu" / "cifar10-jpeg")
    return folder


def files_of(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*")}


def checked(folder: Path, tries: str, *steps: str) -> tuple[int, Path]:
    """The exit code of a check on the CPU with a working folder of its own, and the folder that is brought back."""
    out = folder.parent / f"out-{tries}"
    variables = {
        **{key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        "OUT": str(out),
        "CHECK_STATE": str(folder.parent / f"state-{tries}"),
        "CHECK_DEVICE": "cpu",
    }
    command = [sys.executable, ".gpu/gpu_check.py", LONG, *steps]
    return subprocess.run(command, cwd=folder, env=variables, stdout=subprocess.DEVNULL).returncode, out


def exits(out: Path) -> dict[str, str]:
    """How each command of a check ended, by its name."""
    found = re.findall(r"^ *[\d.]+ s  (\S+): (exit -?\d+|killed)", (out / "summary.txt").read_text(), re.MULTILINE)
    return dict(found)


def packed(out: Path) -> dict[str, bytes]:
    """The files of the record that came back."""
    with tarfile.open(out / "record.tgz") as archive:
        parts = {one.name: archive.extractfile(one) for one in archive}
        return {name: file.read() for name, file in parts.items() if file is not None}


def runs_in(out: Path, study: str) -> list[str]:
    return packed(out)[f"studies/{study}/runs.csv"].decode().splitlines()[1:]


@pytest.mark.real
def test_every_step_is_done_its_record_comes_back_and_nothing_is_trained_again_from_it(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "checkout")
    before = files_of(folder)
    # All but `do=benchmark`, which measures for minutes on a CPU too and is tried in tests/test_pretended_cuda.py.
    code, out = checked(folder, "first", *(step for step in gpu_check.STEPS if step != "benchmark"))
    log = (out / "log.txt").read_text()
    assert exits(out) == dict.fromkeys(
        ("environment", "smoke", "tests", CONTRAST, GROUPS, "micro", "together", "streaming", "auto"),
        "exit 0",
    ), log[-3000:]
    assert code == 0
    assert files_of(folder) == before  # nothing is written into the checkout
    assert re.search(r"\n\d+ passed, \d+ skipped", log)
    assert re.search(r"SKIPPED \[\d+\] \S+: needs a GPU, and CHECK_DEVICE=cpu", log)
    assert {path.name for path in out.iterdir()} == {
        *("summary.txt", "log.txt", "micro.json", "record.tgz", f"{CONTRAST}.html", f"{GROUPS}.html")
    }
    assert (len(runs_in(out, CONTRAST)), len(runs_in(out, GROUPS)), len(runs_in(out, "gpu_smoke"))) == (6, 3, 4)
    assert not any("local" in Path(name).parts for name in packed(out))
    assert "[1/6]" in log
    numbers = json.loads((out / "micro.json").read_text())
    (at_once,), (read,) = (numbers[f"{kind}_images_per_second"].values() for kind in ("together", "streaming"))
    assert set(at_once) == {"1", "2"}
    assert read["share"] == round(read["stream"] / read["resident"], 3)
    assert "steps_images_per_second" in numbers

    # Another time, on a machine that knows nothing of the first.
    shutil.copy(out / "record.tgz", folder / ".gpu")
    code, again = checked(folder, "second", "reproduce")
    assert (code, exits(again)) == (0, {CONTRAST: "exit 0", GROUPS: "exit 0"})
    assert "restored record.tgz" in (again / "summary.txt").read_text()
    assert "[1/" not in (again / "log.txt").read_text()
    for study in (CONTRAST, GROUPS):
        assert runs_in(again, study) == runs_in(out, study)

    # A study that would take hours is ended at its limit, and every run that it had is brought back.
    check = Check(gpu_check.RESERVE + 12, tmp_path / "out-third", tmp_path / "state-first", "cpu")
    check.out.mkdir()
    small = (*gpu_check.TINY, *gpu_check.TINY_CONTRAST, "data.train_images=80", "recipe.epochs=2")
    endless = check.explorer("study=equal_params", "name=gpu_smoke", "search.seeds=5000", "report.live=false", *small)
    began = time.monotonic()
    check.run("endless", endless, 1000.0)
    assert time.monotonic() - began < check.seconds
    assert exits(check.out)["endless"] in (f"exit {128 + signal.SIGINT}", "killed")  # the latter on a busy machine
    assert "at its limit" in check.lines[-1]
    assert check.failed == []
    gpu_check.bring_back(check)
    assert set(runs_in(out, "gpu_smoke")) <= set(runs_in(check.out, "gpu_smoke"))


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """A check that may be brief, of a machine with no record of an earlier one."""
    monkeypatch.setattr(gpu_check, "LEAST", 0.0)
    monkeypatch.setattr(gpu_check, "EARLIER", tmp_path / "record.tgz")
    for name in ("out", "state"):
        (tmp_path / name).mkdir()
    return Check(1000.0, tmp_path / "out", tmp_path / "state", "cpu")


def is_running(process: int) -> bool:
    """Whether a process is there and not only waiting to be forgotten."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.real
@pytest.mark.parametrize(
    ("reaction", "ended"), [("echo kept >kept; exit 3", "exit 3"), ("", "killed")], ids=["leaves", "stays"]
)
def test_at_its_limit_a_command_is_asked_to_leave_and_then_killed_with_all_it_started(
    check: Check, reaction: str, ended: str
) -> None:
    script = f'trap "{reaction}" INT; sleep 300 & echo $! >child; wait; wait'
    check.run("waits", ["sh", "-c", script], 1.0, ending=1.0 if ended == "killed" else 60.0)
    assert exits(check.out) == {"waits": ended}
    assert check.lines[-1].endswith("s of 1, at its limit")
    assert (check.state / "kept").exists() == (ended != "killed")
    deadline = time.monotonic() + 60
    while is_running(int((check.state / "child").read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert check.failed == []  # what its limit ended has not failed


def test_a_command_that_fails_by_itself_is_a_failure_and_the_steps_after_it_are_done(
    check: Check, capfd: pytest.CaptureFixture[str]
) -> None:
    assert check.run("fails", ["sh", "-c", "echo why; exit 7"], 60.0) == 7
    assert check.run("works", ["true"], 60.0) == 0
    assert check.failed == ["fails"]
    assert "why" in capfd.readouterr().out
    assert "===== fails: sh -c" in (check.out / "log.txt").read_text()
    assert (check.out / "summary.txt").read_text() == "\n".join(check.lines) + "\n"


def test_no_command_is_begun_that_could_not_be_ended_in_time(check: Check) -> None:
    brief = replace(check, seconds=gpu_check.RESERVE - 1)
    assert brief.run("late", ["touch", "begun"], 60.0) is None
    assert "late: left out" in brief.lines[-1]
    assert not (brief.state / "begun").exists()
    assert gpu_check.RESERVE > gpu_check.ENDING


def test_a_record_is_packed_without_what_is_of_one_machine_and_unpacked_into_a_new_folder_alone(
    check: Check, tmp_path: Path
) -> None:
    wanted = {"studies/one/runs.csv": b"7", "cache/resnext-explorer/measured.json": b"{}"}
    left = ("studies/one/local/lock", "cache/resnext-explorer/images/big", "cache/resnext-explorer/kernels/k.so")
    for name in (*wanted, *left):
        (check.state / name).parent.mkdir(parents=True, exist_ok=True)
        (check.state / name).write_bytes(wanted.get(name, b""))
    gpu_check.bring_back(check)
    assert packed(check.out) == wanted

    (check.out / "record.tgz").replace(gpu_check.EARLIER)
    fresh = replace(check, state=tmp_path / "fresh")
    gpu_check.restore(fresh)
    assert {name: (fresh.state / name).read_bytes() for name in wanted} == wanted
    assert (fresh.state / "conf" / "study" / f"{CONTRAST}.yaml").exists()
    (fresh.state / "studies" / "one" / "runs.csv").write_bytes(b"8")  # which has gone on since
    gpu_check.restore(fresh)
    assert (fresh.state / "studies" / "one" / "runs.csv").read_bytes() == b"8"


def test_half_a_record_is_refused_and_nothing_of_it_is_gone_on_with(
    check: Check, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (check.state / "studies").mkdir()
    (check.state / "studies" / "runs.csv").write_bytes(np.random.default_rng(0).bytes(10_000))
    gpu_check.bring_back(check)
    gpu_check.EARLIER.write_bytes((check.out / "record.tgz").read_bytes()[:-3000])
    state = tmp_path / "fresh"
    variables = {"OUT": str(check.out), "CHECK_STATE": str(state), "CHECK_DEVICE": "cpu"}
    assert gpu_check.main(["60", "smoke"], variables) == 2
    assert re.fullmatch(
        r"gpu_check: \S+record.tgz: cannot be unpacked \(.+\); bring a whole one, or remove it\n",
        capsys.readouterr().err,
    )
    assert not (state / "studies").exists()


@pytest.mark.parametrize(
    ("arguments", "variables", "told"),
    [
        ([], {}, "SECONDS: expected a number above 0, not ''; usage: OUT=FOLDER python gpu_check.py SECONDS"),
        (["smoke"], {}, "SECONDS: expected a number above 0, not 'smoke'"),
        (["inf"], {}, "SECONDS: expected a number above 0, not 'inf'"),
        (["60", "smoky"], {}, "smoky: unknown step; allowed: environment, smoke, tests, reproduce"),
        (["60"], {"OUT": ""}, "OUT is not set: it names the folder that is brought back"),
        (["60"], {"CHECK_DEVICE": "tpu"}, "CHECK_DEVICE=tpu: allowed: cuda, cpu"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(
    arguments: list[str],
    variables: dict[str, str],
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert gpu_check.main(arguments, {"OUT": str(tmp_path / "out"), **variables}) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"gpu_check: {told}")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_step_without_its_images_says_so_and_the_others_are_done(
    check: Check, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gpu_check, "IMAGES", tmp_path / "none")
    monkeypatch.setitem(gpu_check.STEPS, "after", lambda check: check.say("after"))
    variables = {"OUT": str(check.out), "CHECK_STATE": str(check.state), "CHECK_DEVICE": "cpu"}
    assert gpu_check.main(["900", "reproduce", "after"], variables) == 1
    lines = (check.out / "summary.txt").read_text().splitlines()
    assert re.search(r"reproduce: left out, train.parquet and test.parquet are not in \S+none; .*prepare", lines[0])
    assert lines[1].endswith("  after")
    assert "brought back: record.tgz" in lines[2]


def test_its_studies_are_planned_from_its_own_conf(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shutil.copytree(GPU / "conf", tmp_path / "conf")
    monkeypatch.chdir(tmp_path)
    write_as_many(tmp_path / "images")
    for study, runs, designs in ((CONTRAST, 20, {"29 (1x64d)", "29 (32x4d)"}), (GROUPS, 10, {"29 (32x4d)"})):
        assert main([f"study={study}", "do=plan", "data.path=images"]) == 0
        told = capsys.readouterr().out
        assert f"{runs} of {runs} runs to do" in told
        assert set(re.findall(r"^ *Res\w+-(29 \(\d+x\d+d\)) ", told, re.MULTILINE)) == designs
    assert {path.stem for path in (tmp_path / "conf" / "study").iterdir()} == {CONTRAST, GROUPS}


def test_its_two_studies_differ_in_the_initialisation_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GPU)
    contrast, groups = (read_command([f"study={study}"]).study for study in (CONTRAST, GROUPS))
    assert (contrast.recipe.init, groups.recipe.init) == ("fan_out", "fan_out_groups")
    assert replace(groups.recipe, init="fan_out") == contrast.recipe
    assert (groups.data, groups.search, groups.budget) == (contrast.data, contrast.search, contrast.budget)
    assert set(plan_of(groups).settings) < set(plan_of(contrast).settings)
    assert contrast.study.contrast is not None
    assert contrast.study.margin == 0.003
    assert (contrast.recipe.epochs, contrast.recipe.batch_size, contrast.search.seeds) == (6, 128, 10)
    assert (contrast.data.train_images, contrast.data.val_images) == (45_000, 5_000)


@pytest.mark.real
def test_its_numbers_are_those_of_every_form_and_step_and_of_the_pair(tmp_path: Path) -> None:
    try:
        micro.main(tmp_path, 1000.0, "cpu")
    finally:
        deterministic()
    found = json.loads((tmp_path / "micro.json").read_text())
    (shape,) = found["forms_ms"]
    tried = [(order, groups) for order in ("last", "first") for groups in (2, 1)] + [("padded", 2)]
    forms = {f"{order} {groups} {kind}" for order, groups in tried for kind in micro.FLAGS}
    assert set(found["forms_ms"][shape]) == forms
    assert all(ms > 0 for ms in found["forms_ms"][shape].values())
    assert set(found["chosen"]) == set(micro.SMALL.grouped)
    one, many = micro.SMALL.pair
    steps = found["steps_images_per_second"]
    assert set(steps) == {
        *(f"{one} native batch 8 {kind}" for kind in micro.FLAGS),
        *(f"{many} {form} batch 8 {kind}" for form in ("native", "best") for kind in micro.FLAGS),
        *(f"{many} {form} batch 8 ours" for form in ("dense", "best fused")),
        *(f"{name} native fused batch 8 ours" for name in (one, micro.SMALL.narrow[0])),
        *(f"{name} native batch 8 {kind}" for name in micro.SMALL.narrow for kind in micro.FLAGS),
        *(f"{one} native batch 4 ours", f"{many} best batch 4 ours"),
        *(f"{micro.SMALL.tiny} 8 px batch 32", f"{micro.SMALL.tiny} 8 px batch 32 fused"),
    }
    norms = found["norms_ms"]
    assert set(norms) == {
        f"{shape}{added}" for shape in ("4 x 16 x 8 x 8", "2 x 24 x 1 x 1") for added in ("", " and an addition")
    }
    assert all(value > 0 for row in norms.values() for value in row.values())
    row = norms["4 x 16 x 8 x 8 and an addition"]
    moved = 2 * 4 * 16 * 64 / 1e9  # gigabytes of the maps, once
    assert row["fused GB/s"] == pytest.approx(11 * moved / (row["fused"] / 1000))
    assert row["fused forward GB/s"] == pytest.approx(4 * moved / (row["fused forward"] / 1000))
    assert all(row["eager"] > 0 and row["graph"] is None for row in steps.values())  # a CPU has no graphs
    assert set(found[f"time_{many}_over_{one}"]) == {"ours eager", "tuned eager", "fused eager"}


def test_times_are_compared_at_one_batch_under_the_same_flags_and_in_the_fastest_form(tmp_path: Path) -> None:
    bench = micro.Bench("cpu", tmp_path, 0.0)
    one, many = bench.scale.pair
    bench.found["steps_images_per_second"] = {
        f"{one} native batch 8 ours": {"eager": 1000, "graph": 3000},
        f"{one} native batch 8 tuned": {"eager": 1200, "graph": None},
        f"{many} native batch 8 ours": {"eager": 500, "graph": 1500},
        f"{many} dense batch 8 ours": {"eager": 800, "graph": 1000},
        f"{many} best batch 8 ours": {"error": "out of memory"},
        f"{many} native batch 8 tuned": {"eager": 1000, "graph": None},
        f"{one} native fused batch 8 ours": {"eager": 1500, "graph": None},
        f"{many} best fused batch 8 ours": {"eager": 1000, "graph": None},
        f"{many} best batch 4 ours": {"eager": 9000, "graph": 9000},
        f"{many} 8 px batch 32": {"eager": 9000, "graph": 9000},
    }
    micro.compare(bench)
    assert bench.found[f"time_{many}_over_{one}"] == {
        "ours eager": 1.25,
        "ours graph": 2.0,
        "tuned eager": 1.2,
        "fused eager": 1.5,
    }


def test_the_best_form_of_a_convolution_is_the_fastest_exact_one_with_channels_last(tmp_path: Path) -> None:
    bench = micro.Bench("cpu", tmp_path, 0.0)
    slow, fast = {"last 2 ours": 3.0, "last 1 ours": 2.0}, {"last 2 tuned": 0.5, "first 2 ours": 0.5}
    shapes = {"6>6_k3_s1_g2_8px": {**slow, **fast}, "12>12_k3_s1_g2_4px": {"last 2 ours": 1.0, "last 1 ours": 2.0}}
    bench.found["forms_ms"] = shapes
    chosen = {choice.layer: choice.groups for choice in micro._best_forms(bench, bench.scale.pair[1])}
    # A convolution with a stride is executed as the one without it on maps of the size that it gives.
    assert chosen == {"6>6_k3_s1_g2_8px": 1, "12>12_k3_s2_g2_8px": 2}


@pytest.mark.real
def test_where_time_is_up_the_rest_is_left_out(tmp_path: Path) -> None:
    try:
        micro.main(tmp_path, 0.0, "cpu")
    finally:
        deterministic()
    found = json.loads((tmp_path / "micro.json").read_text())
    assert "forms_ms" not in found
    assert "norms_ms" not in found
    tiny = f"{micro.SMALL.tiny} 8 px batch 32"
    assert list(found["steps_images_per_second"]) == [tiny, f"{tiny} fused"]


def test_a_missing_package_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = '[project]\ndependencies = ["numpy>=1", "pillow", "no-such-package[all]>=2"]\n'
    (tmp_path / "pyproject.toml").write_text(project)
    (missing,) = environment.missing_packages(tmp_path)
    assert missing.startswith("no-such-package: ModuleNotFoundError")
    assert re.fullmatch(r"numpy \d\S+; pillow \d\S+; pytest \d\S+\n", capsys.readouterr().out)


@pytest.fixture
def unprepared(tmp_path: Path) -> Path:
    """A checkout with wheels that were collected for it, and images beside it."""
    folder = tmp_path / "checkout"
    shutil.copytree(GPU, folder / "benchmarks" / "gpu", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "constraints.txt", folder)
    (folder / ".whl").mkdir()
    of = (folder / "constraints.txt").read_text() + (GPU / "wheels-for-gpu-machine").read_text()
    (folder / ".whl" / "collected-for").write_text(of)
    (folder / ".whl" / "one.whl").touch()
    (folder / ".gpu").mkdir()
    (folder / ".gpu" / "old").touch()
    write_images(tmp_path / "images")
    return folder


def prepared(folder: Path, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """`prepare` called from the folder above the checkout."""
    command = ["checkout/benchmarks/gpu/prepare", *map(str, arguments)]
    return subprocess.run(command, cwd=folder.parent, capture_output=True, text=True)


def test_what_has_to_travel_is_prepared_from_images_and_a_record(unprepared: Path) -> None:
    with tarfile.open(unprepared.parent / "earlier.tgz", "w:gz") as archive:
        archive.add(unprepared / "constraints.txt", "studies/x")
    done = prepared(unprepared, "images", "earlier.tgz")
    assert (done.returncode, done.stderr) == (0, "")
    there = unprepared / ".gpu"
    assert files_of(unprepared / "benchmarks" / "gpu") < files_of(there)
    assert not (there / "old").exists()
    for part in ("train", "test"):
        assert (there / "cifar10-jpeg" / f"{part}.parquet").read_bytes() == (
            unprepared.parent / "images" / f"{part}.parquet"
        ).read_bytes()
    assert (there / "record.tgz").read_bytes() == (unprepared.parent / "earlier.tgz").read_bytes()
    assert (unprepared / ".whl" / "one.whl").exists()  # collected for the same constraints.txt


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "usage: benchmarks/gpu/prepare IMAGES [RECORD]"),
        (["none"], "none: has no train.parquet; name the folder of train.parquet and test.parquet"),
        (["images", "images/test.parquet"], "images/test.parquet: is no whole record.tgz"),
    ],
)
def test_preparing_refuses_what_it_cannot_use_before_it_changes_anything(
    arguments: list[str], told: str, unprepared: Path
) -> None:
    done = prepared(unprepared, *arguments)
    assert (done.returncode, done.stderr) == (2, f"prepare: {told}\n")
    assert (unprepared / ".gpu" / "old").exists()


def test_what_is_prepared_is_never_committed() -> None:
    assert {"/.whl/", "/.gpu/"} <= set((ROOT / ".gitignore").read_text().splitlines())
