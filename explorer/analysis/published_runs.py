"""Published errors of several paths against one at nearly equal parameters, each of a network trained to its end once.

They are shown beside a study's own contrast and never counted in it: other recipes, other widths, and single runs.
"""

from dataclasses import dataclass
from functools import cache

from explorer.design.cost import cost
from explorer.design.name import parse_name
from explorer.design.template import Task

# Table 3 of the ResNeXt paper (1611.05431v2): top-1 error in percent on ImageNet-1k, single 224-pixel crop, by depth
# and cardinality, at the complexity of ResNet-50 and ResNet-101.
TABLE_3 = {
    50: {1: 23.9, 2: 23.0, 4: 22.6, 8: 22.3, 32: 22.2},
    101: {1: 22.0, 2: 21.7, 4: 21.4, 8: 21.3, 32: 21.2},
}
TABLE_3_WIDTHS = {1: 64, 2: 40, 4: 24, 8: 14, 32: 4}  # of one path, by cardinality
# Test errors in percent by design, from the table of models of github.com/osmr/imgclsmob (gluon/README.md, 2024): 20
# and 56 layers, full width, one run each.
IMGCLSMOB = {
    "cifar10": {
        "20-1x64d": 4.33,
        "20-2x32d": 4.53,
        "20-4x16d": 4.70,
        "20-8x8d": 4.66,
        "20-16x4d": 4.04,
        "20-32x2d": 4.61,
        "20-64x1d": 4.93,
        "20-2x64d": 4.03,
        "20-4x32d": 3.73,
        "20-8x16d": 4.04,
        "20-16x8d": 3.94,
        "20-32x4d": 4.20,
        "20-64x2d": 4.38,
        "56-1x64d": 2.87,
        "56-2x32d": 3.01,
        "56-4x16d": 3.11,
        "56-8x8d": 3.07,
        "56-16x4d": 3.12,
        "56-32x2d": 3.14,
        "56-64x1d": 3.41,
    },
    "cifar100": {"20-1x64d": 21.97, "20-16x8d": 21.73, "20-32x4d": 22.13, "20-64x2d": 22.35},
    "svhn": {"20-1x64d": 2.98, "20-16x8d": 2.93, "20-32x4d": 3.09, "20-64x2d": 3.14},
}
# Top-1 accuracies in percent of resnet50 and resnext50_32x4d on ImageNet-1k at 224 pixels, by recipe, from
# github.com/huggingface/pytorch-image-models (results/results-imagenet.csv, 2026).
TIMM = {
    "tv": (76.16, 77.63),
    "gluon": (77.58, 79.35),
    "ra": (78.82, 79.80),
    "a3": (78.05, 79.26),
    "a2": (79.83, 80.44),
    "tv2": (80.85, 81.19),
    "a1": (80.38, 80.53),
}
LABELS = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "svhn": "SVHN", "imagenet": "ImageNet"}
TASKS = {
    "cifar10": Task(3, 32, 10),
    "cifar100": Task(3, 32, 100),
    "svhn": Task(3, 32, 10),
    "imagenet": Task(3, 224, 1000),
}
NEARLY_EQUAL = 0.08  # most by which the parameters of a published contrast differ, as a fraction
PAPER_STEPS = {"cifar": 300 * 50_000 // 128, "imagenet": 100 * 1_281_167 // 256}  # by template: the paper's own recipe


@dataclass(frozen=True)
class PublishedPair:
    """A published contrast: the error of `setting` minus that of `against`, a fraction, one run each.

    data    name of the data set, a key of `LABELS`
    source  who published it, with the recipe where there are several
    """

    setting: str
    against: str
    data: str
    gap: float
    source: str

    @property
    def params_deviation(self) -> float:
        """How many more parameters `setting` has than `against`, as a fraction of the latter's."""
        first, second = (cost(parse_name(name), TASKS[self.data]).params for name in (self.setting, self.against))
        return first / second - 1

    @property
    def label(self) -> str:
        """The name of the images."""
        return LABELS[self.data]

    @property
    def words(self) -> str:
        """What was compared, and who says so: `20-32x4d less 20-1x64d on CIFAR-10 (imgclsmob)`."""
        return f"{self.setting} less {self.against} on {self.label} ({self.source})"


@cache
def every_pair() -> tuple[PublishedPair, ...]:
    """All published contrasts of several paths with one, of equal depth and nearly equal parameters."""
    found = []
    for data, errors in IMGCLSMOB.items():
        for name, error in errors.items():
            base = f"{name.partition('-')[0]}-1x64d"
            pair = PublishedPair(name, base, data, (error - errors[base]) / 100, "imgclsmob")
            if name != base and abs(pair.params_deviation) < NEARLY_EQUAL:
                found.append(pair)
    for depth, errors_of in TABLE_3.items():
        for paths in [*errors_of][1:]:
            names = [f"{depth}-{number}x{TABLE_3_WIDTHS[number]}d" for number in (paths, 1)]
            gap = (errors_of[paths] - errors_of[1]) / 100
            found.append(PublishedPair(names[0], names[1], "imagenet", gap, "the ResNeXt paper"))
    for recipe, (one_path, many) in TIMM.items():
        found.append(
            PublishedPair("50-32x4d", "50-1x64d", "imagenet", (one_path - many) / 100, f"timm, recipe {recipe}")
        )
    return tuple(found)


def published(paths: int, against: int) -> list[PublishedPair]:
    """The published contrasts of so many paths with so many others; none is turned round."""
    return [
        pair
        for pair in every_pair()
        if (parse_name(pair.setting).cardinality, parse_name(pair.against).cardinality) == (paths, against)
    ]


def data_key(name: str) -> str | None:
    """The published data set whose images a study's data set has, by its name: `cifar10` for `cifar10_jpeg`.

    Smaller copies of ImageNet are other data sets. None for a data set without published contrasts.
    """
    for key in LABELS:
        if name == key or (key != "imagenet" and name.startswith(f"{key}_")):
            return key
    return None
