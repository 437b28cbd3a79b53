"""Whether a GPU is kept busy: by several small runs at once, and by images that are decoded while it trains.

    python busy.py together OUT SECONDS
    python busy.py streaming OUT SECONDS IMAGES

Tables go to standard output, numbers into OUT/micro.json beside what micro.py has measured. IMAGES is a folder of
train.parquet and test.parquet; `streaming` is called in a folder with the studies of conf/study. CHECK_DEVICE=cpu
measures tiny networks: then the numbers mean nothing, but that everything works.
"""

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from explorer.design import Task, parse_name
from explorer.engine.local import LocalEngine
from explorer.host.machine import cpu_count
from explorer.search.measuring import Windows
from explorer.study.job import HostQuestion, HostReport
from explorer.study.run import Execution, Run
from explorer.study.settings import DataConfig, Recipe, StudyConfig
from explorer.training.worker import prepare_process

STUDY = "equal_params_h100_cifar10_jpeg"
DIGITS = DataConfig("digits", "Digits", 1, 8, 10, 400, 250, 1147, 0)
# Networks that leave most of a GPU idle, with the side, channels and number of their images.
NARROW = (("29-16x2d-w64", 32, 3, 128), ("29-32x4d", 8, 1, 32))
STREAMED = ("29-16x2d-w64", "29-1x64d")
COUNTS = (1, 2, 4, 8)
TINY_NARROW, TINY_STREAMED, TINY_COUNTS = (("11-4x2d-w16", 8, 1, 8),), ("11-4x2d-w16",), (1, 2)
TINY_IMAGES = ("data.train_images=200", "data.val_images=100", "data.test_images=100", "recipe.batch_size=20")
STEP = 0.025  # seconds that a step is taken to last, which makes windows of one second
WARM_UP, BURST = 30, 2.5  # steps before a rate is measured, and seconds in which it is
TINY_BURST = 0.2


def keep(out: Path, part: str, value: object) -> None:
    """Add what was measured to the numbers that are there."""
    path = out / "micro.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**found, part: value}, indent=1), encoding="utf-8")


def together(device: str, out: Path, seconds: float) -> None:
    """Images per second of 1, 2, 4 and 8 processes that train at the same moment, as a study chooses its workers."""
    is_gpu, ends = device == "cuda", time.monotonic() + seconds
    counts = [count for count in (COUNTS if is_gpu else TINY_COUNTS) if count <= max(2, cpu_count())]
    engine, table = LocalEngine(retries=0, early=counts[-1]), dict[str, dict[str, int]]()
    try:
        (there,) = engine.ask(HostQuestion(DIGITS, device))
        assert isinstance(there, HostReport)
        mps = " through MPS" if there.versions.get("mps") else ""
        print(f"{counts[-1]} processes started {seconds - ends + time.monotonic():.1f} s after the beginning{mps}")
        for name, side, channels, batch in NARROW if is_gpu else TINY_NARROW:
            execution = Execution(device, "", "grouped", "channels_last", "bfloat16", 1, batch)
            recipe = Recipe(100, batch, 0.01, "one_cycle", 0.2, (), 0.9, True, 5e-4, 0.0, 0, False, False)
            run = Run(parse_name(name), Task(channels, side, 10), recipe, DIGITS, "", 0, execution)
            windows = Windows(engine, run, there.cores, STEP, ends, started=counts[-1])
            row = table.setdefault(f"{name} {side} px batch {batch}", {})
            for count in counts:
                if not windows.covers((1, count)):
                    break
                row[str(count)] = round(windows.total((1, count))[0])
                keep(out, "together_images_per_second", table)
            gains = ", ".join(f"{count}: {speed:,} ({speed / row['1']:.2f}x)" for count, speed in row.items())
            print(f"{name} {side} px batch {batch}, images/s by processes at once: {gains}", flush=True)
    finally:
        engine.close()


def streaming(device: str, out: Path, seconds: float, images: str) -> None:
    """Images per second of training on a set that lies on the device as bytes, and on the same set while it is read."""
    from explorer.verbs.command_line import read_command

    is_gpu, ends, table = device == "cuda", time.monotonic() + seconds, dict[str, dict[str, float]]()
    own = [f"study={STUDY}", f"data.path={images}", *(() if is_gpu else TINY_IMAGES)]
    study = read_command(own).study
    for name in STREAMED if is_gpu else TINY_STREAMED:
        row = table.setdefault(name, {})
        for kept in ("resident", "stream"):
            if time.monotonic() + (3 * BURST if is_gpu else TINY_BURST) < ends:
                row[kept] = round(_rate(replace(study, data=replace(study.data, keep=kept)), name, device))
        if len(row) == 2:
            row["share"] = round(row["stream"] / row["resident"], 3)
        keep(out, "streaming_images_per_second", table)
        print(f"{name}: {row}; wanted is a share of at least 0.9 with 16 cores, here {cpu_count()}", flush=True)


def _rate(study: StudyConfig, name: str, device: str) -> float:
    """Images per second of the training steps of a run, its images as the settings keep them."""
    import torch

    from explorer.training.device import finish
    from explorer.training.images.split import load
    from explorer.training.loop import Steps, deterministic, epoch_steps, ready
    from explorer.training.streams import stream

    deterministic()
    torch.set_num_threads(1)
    batch = study.recipe.batch_size
    execution = Execution(device, "", "grouped", "channels_last", "bfloat16", 1, batch)
    data = load(study.data, device)
    run = Run(parse_name(name), study.data.task, study.recipe, study.data, data.digest, 0, execution)
    taking, is_gpu = Steps(run, *ready(run), data), device == "cuda"
    generators = stream(0, "order"), stream(0, "augmentation")
    began, steps, warming = 0.0, 0, WARM_UP if is_gpu else 2
    while not began or time.perf_counter() - began < (BURST if is_gpu else TINY_BURST):
        for _ in epoch_steps(taking, 1, *generators):
            warming -= 1
            if warming == 0:
                finish(device)
                began = time.perf_counter()
            elif began:
                steps += 1
                if time.perf_counter() - began > (BURST if is_gpu else TINY_BURST):
                    break
    finish(device)
    return steps * batch / (time.perf_counter() - began)


def main(arguments: list[str], device: str) -> None:
    """Measure one of the two."""
    kind, out, seconds, *images = arguments
    prepare_process()
    if kind == "together":
        together(device, Path(out), float(seconds))
    else:
        streaming(device, Path(out), float(seconds), *images)


if __name__ == "__main__":
    main(sys.argv[1:], os.environ.get("CHECK_DEVICE") or "cuda")
