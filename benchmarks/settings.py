"""The settings of each subject, with their defaults."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt, Lt

from explorer.study.settings import Count, Fraction, Natural, Share


@dataclass(frozen=True)
class Costs:
    """Designs costed per second: one by one, many at once, and by counting a built network.

    designs  designs drawn at random and costed at once; the first `scalar` of them also one by one, `fvcore` by fvcore
    scan     whether to also scan a space of ten million points for designs within a budget
    """

    designs: Count = 1_000_000
    scalar: Count = 5_000
    fvcore: Count = 10
    scan: bool = True
    seed: Natural = 0


@dataclass(frozen=True)
class Start:
    """Seconds from a command to its first training step, the median of `turns` starts."""

    turns: Count = 3


@dataclass(frozen=True)
class Accuracy:
    """Whether two recorded studies of one setting, `fast` and `plain`, differ by less than `margin`."""

    fast: str = "fast_path"
    plain: str = "plain_path"
    margin: Share = 0.003


@dataclass(frozen=True)
class Ranks:
    """Whether a recorded study of brief training, `short`, ranks its settings as one of longer training, `long`."""

    short: str = "equal_params"
    long: str = "equal_params"
    seed: Natural = 0


@dataclass(frozen=True)
class Replay:
    """What searches would have found in a recorded study of many designs.

    margin  regret that does not matter, where the study declares none
    """

    recorded: str = "design_space_cifar10_jpeg"
    margin: Share = 0.003
    seed: Natural = 0


@dataclass(frozen=True)
class Report:
    """How large the pages of synthetic studies are, and how long they take to draw and to open in a browser.

    runs, epochs  of each study, five runs for each design
    turns         loads of each page, whose median is reported
    """

    runs: tuple[Count, ...] = (100, 1_000, 10_000)
    epochs: Count = 100
    turns: Count = 3
    seed: Natural = 0


@dataclass(frozen=True)
class Scale:
    """How busy slots are kept and what that costs, with runs that only take time.

    slots, seconds   runs at once and seconds of each, every pair in turn; `spread`: random variation of the seconds
    jobs             runs of each pair; null: five for each slot, at least a thousand
    clock            real; or simulated: waiting takes no time, the coordinator's work its real time
    sampler, mirror  sampler of designs, and whether there is a database for dashboards
    """

    slots: tuple[Count, ...] = (512,)
    seconds: tuple[Annotated[float, Gt(0), Lt(math.inf)], ...] = (30.0,)
    spread: Fraction = 0.2
    jobs: Count | None = 10_000
    clock: Literal["real", "simulated"] = "real"
    sampler: Literal["random", "tpe", "nsga2", "gp", "qmc"] = "random"
    mirror: bool = False
    seed: Natural = 0


@dataclass(frozen=True)
class Samplers:
    """Seconds that each sampler takes for a choice, by the number of results that it has."""

    told: tuple[Count, ...] = (100, 1_000, 10_000)


@dataclass(frozen=True)
class Size:
    """How long it takes to list, continue and draw studies of many runs."""

    stored: Count = 100_000


@dataclass(frozen=True)
class Recipes:
    """What each part of a recipe costs per image, beside a plain recipe in turns, and what it gives in brief training.

    steps, turns  of each part, after which the ratios of all turns are told as medians
    path          folder of CIFAR-10 (JPEG): each part is also trained, for `epochs` on 4,000 images with `seeds` seeds,
                  and judged on `test_images`; empty: only the time is measured
    """

    network: str = "11-1x8d-w16"
    batch_size: Count = 64
    steps: Count = 8
    turns: Count = 9
    device: Literal["auto", "cpu", "cuda"] = "auto"
    path: str = ""
    epochs: Count = 6
    seeds: Count = 3
    test_images: Count = 2_000
