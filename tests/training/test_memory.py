"""What does not fit into the memory is refused before it is allocated, by one estimate, with what would fit."""

from pathlib import Path

import pytest

from explorer.__main__ import main
from explorer.design import Task, cost, parse_name
from explorer.host.errors import InputError
from explorer.study import memory
from explorer.study.memory import SHARE, passing_bytes, refuse_beyond, training_bytes
from explorer.study.plan import plan_of, refuse_beyond_memory
from explorer.study.settings import LARGEST_SIDE
from explorer.training.images.decode import MOST_PIXELS
from explorer.verbs.command_line import read_command

GIB = 2**30
DESIGN = parse_name("29-32x4d")


@pytest.mark.parametrize(
    ("command", "size"),
    [
        (["do=verify", "architecture=29-32x4d", "image_size=100000"], "image_size"),
        (["do=verify", "architecture=29-32x4d", "batch_size=1000000"], "batch_size"),
        (["do=verify", "architecture=26-1x10d-basic", "image_size=100000"], "image_size"),
        (["do=export", "architecture=29-32x4d", "image_size=100000", "onnx=true"], "image_size"),
        (["do=benchmark", "subject=latency", "architectures=[29-1x64d]", "image_size=100000"], "image_size"),
        (["do=benchmark", "subject=latency", "architectures=[29-1x64d]", "batch_size=100000000"], "batch_size"),
        (["do=benchmark", "image_size=100000"], "image_size"),
    ],
)
def test_a_network_that_does_not_fit_is_refused_with_the_largest_that_does(
    command: list[str], size: str, workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("training.device", "training.network.export"):
        monkeypatch.setattr(f"explorer.{place}.memory_bytes", lambda: 8 * GIB)
    monkeypatch.setattr("explorer.training.network.export.refuse_without_onnx", lambda: None)
    assert main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert " GiB of memory, and there are 8.0; allowed: up to " in line
    given = dict(part.split("=") for part in command)
    assert f"{size}={given[size]}" in line
    allowed = dict(part.split("=") for part in line.partition("allowed: up to ")[2].split(" or "))
    assert 1 <= int(allowed[size]) < int(given[size])
    assert not list(workplace.rglob("model.*"))


def test_the_size_that_is_named_fits_and_the_next_one_does_not() -> None:
    def needed(sizes: dict[str, int]) -> int:
        return training_bytes(cost(DESIGN, Task(3, sizes["image_size"], 10)), sizes["batch_size"], 4)

    given = {"image_size": 1000, "batch_size": 64}
    with pytest.raises(InputError) as caught:
        refuse_beyond("it", needed, given, 8 * GIB)  # type: ignore[arg-type]
    fits = int(str(caught.value).rpartition("=")[2])
    assert needed({**given, "image_size": fits}) <= SHARE * 8 * GIB < needed({**given, "image_size": fits + 1})
    refuse_beyond("it", needed, {**given, "image_size": fits}, 8 * GIB)  # type: ignore[arg-type]


def test_weights_alone_that_do_not_fit_leave_no_size_that_would() -> None:
    with pytest.raises(
        InputError, match=r"2\.0 GiB of memory, and there are 1\.0; allowed: a network with fewer weights"
    ):
        refuse_beyond("it", lambda sizes: 2 * GIB, {"image_size": 32}, GIB)


def test_the_estimates_are_what_was_measured() -> None:
    # Peak resident sizes with torch 2.13 on two cores, GiB.
    def gib(images: int, size: int, name: str) -> float:
        return passing_bytes(parse_name(name), Task(3, size, 10), images) / GIB

    assert gib(16, 300, "29-1x64d") == pytest.approx(4.92, rel=0.25)
    assert gib(8, 300, "29-32x4d") == pytest.approx(2.68, rel=0.25)
    own = cost(DESIGN, Task(3, 32, 10))
    assert memory.forms_bytes(own, 16) / GIB == pytest.approx(1.15, rel=0.4)


FOLDER = ["study=equal_params", "data=folder", "data.path=photos", "data.classes=3", "device=cpu"]


def test_a_study_of_which_no_setting_fits_is_refused_and_one_setting_that_fits_is_enough() -> None:
    config = read_command([*FOLDER, "data.image_size=512"]).study
    settings = plan_of(config).settings
    needed = [training_bytes(one.cost, config.recipe.batch_size, 2) for one in settings]
    refuse_beyond_memory(plan_of(config), settings, int(min(needed) / SHARE) + 2, 2)
    with pytest.raises(
        InputError, match=r"data\.image_size=512, recipe\.micro_batch=32: .*allowed: up to data\.image_s"
    ):
        refuse_beyond_memory(plan_of(config), settings, int(min(needed) / SHARE) - 2, 2)


def test_a_plan_refuses_what_cannot_fit(
    workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("explorer.verbs.plan.memory_bytes", lambda: 4 * GIB)
    monkeypatch.setattr("explorer.training.glance.refuse_unlike", lambda config: None)
    monkeypatch.setattr("explorer.training.glance.data_lines", lambda config: [])
    monkeypatch.setattr("explorer.training.glance.counts", lambda config: (800, 100, 100))
    assert main([*FOLDER, "data.image_size=2048", "do=plan"]) == 2
    assert "GiB of memory, and there are 4.0; allowed: up to data.image_size=" in capsys.readouterr().err
    assert main([*FOLDER, "data.image_size=64", "do=plan"]) == 0


@pytest.mark.parametrize("key", ["image_size", "resize"])
def test_images_larger_than_are_decoded_are_refused(key: str) -> None:
    assert LARGEST_SIDE**2 == MOST_PIXELS
    config = read_command([*FOLDER, f"data.{key}={LARGEST_SIDE + 1}"]).study
    with pytest.raises(InputError, match=f"data.{key}={LARGEST_SIDE + 1}: allowed is at most {LARGEST_SIDE}"):
        plan_of(config)
