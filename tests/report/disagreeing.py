"""A made-up study of the digits whose settings disagree: each is right about some images that the other has wrong."""

import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from explorer.study.run import Run
from explorer.study.settings import StudyConfig
from explorer.training.images.digits import digit_pools
from explorer.training.images.drawing import places_of
from explorer.verbs.command_line import read_command
from tests.conftest import TINY
from tests.made_up import made_up

IMAGES = 100
MANY, FEW = 30, 3  # images that the setting alone has right in every seed, and that the other has


def settings(*words: str) -> StudyConfig:
    """The tiny study with six seeds."""
    return read_command([*TINY, "search.seeds=6", *words]).study


def classes_of_test(config: StudyConfig) -> npt.NDArray[np.int64]:
    """The classes of the digits on which it is tested, in test order."""
    labels = digit_pools().train.labels
    return labels[places_of(config.data, {"train": labels}, ())["test"]]


def answers(run: Run) -> npt.NDArray[np.bool_]:
    """Which images a run has right: by chance, but for the first ones, which either setting has right in all seeds."""
    rng = np.random.default_rng(zlib.crc32(run.id.encode()))
    right = rng.random(IMAGES) > 0.2
    right[: MANY + FEW] = (np.arange(MANY + FEW) < MANY) == (run.architecture.cardinality == 2)
    return right


def disagreeing(*words: str, labels: bool = True, data_hash: str | None = None) -> Path:
    """Write the study's folder below the current one, and return it."""
    config = settings(*words)
    classes = " ".join(map(str, classes_of_test(config))) if labels else ""
    return made_up(config, images=(80, 40, IMAGES), right=answers, labels=classes, data_hash=data_hash)
