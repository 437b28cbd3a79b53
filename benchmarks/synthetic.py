"""Synthetic studies of any size, to measure how large and slow their pages are; their results have no meaning."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from explorer.analysis.finding import find
from explorer.analysis.judging import OpenedStudy
from explorer.design import cost, parse_name
from explorer.record.records import Record
from explorer.study.plan import plan_of
from explorer.study.settings import StudyConfig

SEEDS = 5
LEAST_RUNS, MOST_RUNS = 2 * SEEDS, 2_100 * SEEDS  # a contrast needs two designs; names suffice for 2,100


def synthetic(config: StudyConfig, runs: int, epochs: int, *, seed: int = 0) -> OpenedStudy:
    """A listed study of `runs` runs of `epochs` epochs, with five seeds for each design and realistic error curves."""
    rng, task = np.random.default_rng(seed), config.data.task
    names = _names(math.ceil(runs / SEEDS))
    worth = dict(zip(names, 0.05 + 0.25 * rng.random(len(names)), strict=True))
    rows, curves = [], []
    for place in range(runs):
        name, number = names[place // SEEDS], place % SEEDS
        architecture = parse_name(name)
        own = cost(architecture, task)
        last = worth[name] + 0.01 * rng.normal()
        fall = np.exp(-np.linspace(0, 5, epochs))
        curve = last + (0.9 - last) * fall + 0.01 * rng.normal(size=epochs) * fall
        run = f"{place:012x}"
        rows.append(
            {
                "run": run,
                "status": "ok",
                "setting": name,
                "seed": number,
                "epochs": epochs,
                "device": "none",
                "depth": architecture.depth,
                "width": architecture.widths[0],
                "kernel_size": architecture.kernel_size,
                "cardinality": architecture.cardinalities[0],
                "bottleneck_width": architecture.bottleneck_widths[0],
                "params": own.params,
                "macs": own.macs,
                "activations": own.activations,
                "params_deviation": math.nan,
                "macs_deviation": math.nan,
                "activations_deviation": math.nan,
                "val_error": float(curve[-1]),
                "test_error": float(curve[-1] + 0.005 * rng.normal()),
                "classes": config.data.classes,
                "seconds": own.macs / 1e6 * (1 + 0.1 * rng.random()),
                "rate": 1.0,
                "latency": math.nan,
            }
        )
        curves.append(
            pd.DataFrame(
                {"run": run, "epoch": range(1, epochs + 1), "val_error": curve, "train_error": np.abs(curve - 0.03)}
            )
        )
    frame = pd.DataFrame(rows)
    finding = find(frame, names, (names[1], names[0]), SEEDS)
    environment: dict[str, Any] = {
        "data_hash": "none",
        "images": [400, 250, 1147],
        "skipped": [],
        "versions": {},
        "platform": "none",
        "commit": None,
        "started": "never",
    }
    named = replace(config, name=f"synthetic_{runs}")
    record = Record(frame, pd.concat(curves, ignore_index=True))
    return OpenedStudy(Path(), plan_of(named), record, finding, environment, {"device": "none"})


def _names(count: int) -> list[str]:
    found = [
        f"{depth}-{paths}x{width}d-w{out}"
        for width in (4, 8, 16, 24, 2, 12, 32, 6, 48, 3)
        for paths in (1, 2, 4, 8, 16, 32)
        for depth in (29, 20, 38, 47, 56)
        for out in (64, 128, 256, 32, 96, 160, 192)
    ]
    return found[:count]
