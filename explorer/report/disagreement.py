"""What the two settings of a contrast disagree on: its table, its figures, its sentences and its images on the page."""

from collections.abc import Mapping
from dataclasses import dataclass

from explorer.analysis.disagreement import Churn, ClassRow, Disagreement, OneSided
from explorer.analysis.intervals import Estimate
from explorer.analysis.judging import OpenedStudy
from explorer.analysis.paired import ALPHA
from explorer.analysis.summary import MIN_PAIRS
from explorer.design.name import display_setting
from explorer.host.commands import PROGRAM, command_for
from explorer.host.formatting import counted, interval, less, less_interval, number, p_value, percent
from explorer.report.forest import Forest, ForestRow

MOST_CLASSES = 20  # classes in the figure: of more those with the largest differences
MOST_PICTURES = 24  # test images that are shown, each way
PRIVATE = 'data-private="yes"'  # in a page that shows images of others than the digits
LONGEST_NAME = 24  # letters of a class's name in the figure
Names = tuple[str, str]  # of both settings of the contrast, as they are displayed


@dataclass(frozen=True)
class CellRow:
    """A row of the table of shares: what the runs of a pair did, the mean share of test images, its interval.

    interval  with fewer than five pairs of seeds the share of each pair
    """

    words: str
    share: str
    interval: str


@dataclass(frozen=True)
class ClassWords:
    """A row of the table of classes, as text; `is_clear` where the corrected p is below 0.05.

    less  the points of error that the first setting has less than the second
    """

    name: str
    images: str
    setting: str
    against: str
    less: str
    interval: str
    p: str
    is_clear: bool


@dataclass(frozen=True)
class Picture:
    """A test image: its place in test order, its class, in how many seeds either setting is right, its address."""

    place: int
    label: str
    words: str
    address: str = ""


@dataclass(frozen=True)
class Strip:
    """The test images that one setting gets right and the other does not: a heading, sentences, and the first of them.

    left  how many more there are than are shown
    """

    heading: str
    words: str
    pictures: tuple[Picture, ...]
    left: int

    @property
    def has_pictures(self) -> bool:
        """Whether there are pictures, and not places in the test set alone."""
        return any(one.address for one in self.pictures)


@dataclass(frozen=True)
class Section:
    """All that the page says of what two settings disagree on.

    ways  how what is missing comes about: words, a command, further words
    """

    names: Names
    found: Disagreement
    cells: list[CellRow]
    churn: str
    classes: list[ClassWords]
    strips: list[Strip]
    ways: list[tuple[str, str, str]]


def section(study: OpenedStudy, pictures: Mapping[int, str] | None = None) -> Section | None:
    """What the page says of what the settings of a study's contrast disagree on; None where there is nothing to say.

    `pictures` are addresses of test images by their places; without them places and classes alone are named.
    """
    found = study.disagreement
    if found is None:
        return None
    names = names_of(study)
    sides = [one for one in (found.setting, found.against) if one is not None]
    strips = [_strip(study, found, one, names, place, pictures or {}) for place, one in enumerate(sides)]
    if sides and not any(one.images for one in sides):
        least, most = _limits(found)
        words = (
            f"There is no test image about which one setting is right in {least} and the other in {most}; by chance "
            f"{_expected(sides[0])} would be expected each way."
        )
        strips = [Strip("Images that one setting alone gets right", words, (), 0)]
    name, ways = study.folder.name, list[tuple[str, str, str]]()
    if not found.classes and not study.config.is_told:
        why = "Errors by class need the labels of the test images, which this record does not hold: "
        ways.append((why, command_for("label", name, program=PROGRAM), " adds them where the images are."))
    hidden = any(one.pictures and not one.has_pictures for one in strips) and study.labels.is_known
    if hidden and study.config.data.source != "digits":
        shown = command_for("report", name, "report.images=true", program=PROGRAM)
        ways.append(("Pictures may be private or belong to others: only ", shown, " puts them on this page."))
    classes = [_class_words(study, row) for row in found.classes]
    churn = "" if found.churn is None else churn_words(found.churn, names)
    return Section(names, found, cell_rows(found, names), churn, classes, strips, ways)


def names_of(study: OpenedStudy) -> Names:
    """Both settings of a study's contrast as they are displayed."""
    pair = study.plan.contrast
    assert pair is not None
    return display_setting(pair[0].name), display_setting(pair[1].name)


def shown_places(study: OpenedStudy) -> tuple[int, ...]:
    """The places in test order of the images that the page shows, as far as it may."""
    found = study.disagreement
    sides = () if found is None else (found.setting, found.against)
    return tuple(place for one in sides if one is not None for place in one.images[:MOST_PICTURES])


def cell_rows(found: Disagreement, names: Names) -> list[CellRow]:
    """The shares of test images on which both runs of a pair are right, one of them alone, or none."""
    cells = found.cells
    rows = [
        ("Both right", cells.both),
        (f"Only {names[0]} right", cells.setting),
        (f"Only {names[1]} right", cells.against),
        ("Neither right", cells.neither),
    ]
    few = len(cells.each) < MIN_PAIRS
    each = [", ".join(percent(share) for share in own) for own in zip(*cells.each, strict=True)]
    return [
        CellRow(words, percent(one.mean), seeds if few else _ends(one))
        for (words, one), seeds in zip(rows, each, strict=True)
    ]


def churn_words(found: Churn, names: Names) -> str:
    """What a new seed alone changes, and what the other setting changes beyond that."""
    own, other, across, excess = (found.setting, found.against, found.across, found.excess)
    words = (
        f"Two runs of one setting that differ in their seeds alone differ in whether they are right on "
        f"{percent(own.mean)} ({names[0]}) and {percent(other.mean)} ({names[1]}) of the test images, a run of the one "
        f"and a run of the other with another seed on {percent(across.mean)}. "
    )
    side = "below" if excess.mean < 0 else "above"
    gap = f"The last is {number(100 * abs(excess.mean))} points {side} the mean of the first two"
    if not excess.has_interval:
        few = "fewer than five pairs of seeds give" if excess.n < MIN_PAIRS else "it does not vary, which gives"
        return f"{words}{gap}; {few} no interval."
    gap += f" (95 % interval {number(100 * excess.low)} to {number(100 * excess.high)})"
    if excess.low > 0:
        return f"{words}{gap}: the settings themselves differ in which images they get right."
    return f"{words}{gap}, which new seeds alone may explain."


def share_forest(study: OpenedStudy) -> Forest | None:
    """How often exactly one of two runs is right, within each setting and across them; None without two pairs."""
    found = study.disagreement
    if found is None or found.churn is None:
        return None
    first, second = names_of(study)
    rows = [
        (f"{first}, two seeds", found.churn.setting),
        (f"{second}, two seeds", found.churn.against),
        ("One of each, two seeds", found.churn.across),
        ("One of each, the same seed", found.disagree),
    ]
    return Forest(
        f"Test images on which exactly one of two runs is right: {first} and {second}",
        [
            ForestRow(label, 100 * one.mean, 100 * one.low, 100 * one.high, _share_words(one), strong=place > 1)
            for place, (label, one) in enumerate(rows)
        ],
        "Test images on which exactly one of two runs is right (%)",
        heads=("Two runs", "Share, 95 % interval" if len(found.seeds) >= MIN_PAIRS else "Share"),
        has_zero=False,
    )


def class_forest(study: OpenedStudy) -> Forest | None:
    """The points of error that the first setting has less than the second, by class; None without labels.

    Intervals are corrected for the number of classes, and the class at which it has the most less comes first.
    """
    found = study.disagreement
    if found is None or not found.classes:
        return None
    first, second = names_of(study)
    drawn = sorted(found.classes, key=lambda row: -abs(row.difference.mean))[:MOST_CLASSES]
    rows = [
        ForestRow(
            _cut(class_name(study, row.number)),
            -100 * row.difference.mean,
            -100 * row.difference.high,
            -100 * row.difference.low,
            _gap_words(row),
            strong=row.p < ALPHA,
        )
        for row in sorted(drawn, key=lambda row: row.difference.mean)
    ]
    some = "" if len(drawn) == len(found.classes) else f", the {len(drawn)} of {len(found.classes)} furthest from zero"
    return Forest(
        f"Points of test error that {first} has less than {second}, by class{some}",
        rows,
        f"Points less than {second}",
        heads=("Class", f"Points less{', interval for all at once' if len(found.seeds) >= MIN_PAIRS else ''}"),
    )


def disagreement_forests(study: OpenedStudy) -> dict[str, Forest]:
    """The figures of what two settings disagree on, by name."""
    made = {"disagreement": share_forest(study), "classes": class_forest(study)}
    return {name: one for name, one in made.items() if one is not None}


def class_name(study: OpenedStudy, number: int) -> str:
    """The name of a class as the record has it; `class 3` where that is only a number, unless it is a digit."""
    names = study.environment.get("preprocessing", {}).get("classes", [])
    name = str(names[number]) if number < len(names) else str(number)
    return f"class {name}" if name.isdigit() and study.config.data.source != "digits" else name


def _class_words(study: OpenedStudy, row: ClassRow) -> ClassWords:
    return ClassWords(
        class_name(study, row.number),
        f"{row.images:,}",
        _error_words(row.setting),
        _error_words(row.against),
        less(row.difference.mean),
        less_interval(row.difference.low, row.difference.high) if row.difference.has_interval else "-",
        p_value(row.p) if row.p == row.p else "-",
        row.p < ALPHA,
    )


def _strip(
    study: OpenedStudy, found: Disagreement, one: OneSided, names: Names, place: int, pictures: Mapping[int, str]
) -> Strip:
    """The images that the setting at this place of the contrast gets right and the other does not."""
    winner, loser = names[place], names[1 - place]
    seeds, many = len(found.seeds), len(one.images)
    least, most = _limits(found)
    words = (
        f"{winner} is right about {counted(many, 'test image') if many else 'no test image'} in {least} about which "
        f"{loser} is right in {most}. If it were chance which run of a pair is which setting's, "
        f"{_expected(one)} would be expected ({p_value(one.p)})."
    )
    labels = study.labels.of(found.seeds[0])
    shown = tuple(
        Picture(
            image,
            "" if labels is None else class_name(study, int(labels[image])),
            f"right in {right[place]} of {seeds} seeds with {winner}, in {right[1 - place]} with {loser}",
            pictures.get(image, ""),
        )
        for image, right in zip(one.images[:MOST_PICTURES], one.right, strict=False)
    )
    return Strip(f"Right with {winner}, wrong with {loser}", words, shown, many - len(shown))


def _limits(found: Disagreement) -> tuple[str, str]:
    """In how many seeds a one-sided image is right with the one setting, and with the other, in words."""
    seeds = len(found.seeds)
    least = f"all {seeds} seeds" if found.least == seeds else f"at least {found.least} of {seeds} seeds"
    return least, f"at most {found.most}" if found.most else "none"


def _expected(one: OneSided) -> str:
    return f"{one.expected:.2g}" if one.expected < 10 else f"{one.expected:,.0f}"


def _ends(one: Estimate) -> str:
    return interval(one.low, one.high) if one.has_interval else "-"


def _share_words(one: Estimate) -> str:
    return f"{percent(one.mean)}{f' ({interval(one.low, one.high)})' if one.has_interval else ''}"


def _gap_words(row: ClassRow) -> str:
    gap = row.difference
    return f"{less(gap.mean)}{f' ({less_interval(gap.low, gap.high)})' if gap.has_interval else ''}"


def _error_words(one: Estimate) -> str:
    return _share_words(one)


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
