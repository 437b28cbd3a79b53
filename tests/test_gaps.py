"""The script that judges the declared gaps between recorded studies, from csv files alone."""

import base64
import csv
import importlib.util
import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import fmean
from types import ModuleType

import numpy as np
import pytest
import scipy.stats

from explorer.analysis.published_runs import every_pair
from explorer.record import records

STUDIES = Path(__file__).parent.parent / "studies"
IMAGES, OWN = 400, 100


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gaps", STUDIES / "gaps.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gaps"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


gaps = script()
FAMILY = replace(gaps._family("pair", "one", "several", "equal norm"), own=OWN)


def write(root: Path, study: str, errors: dict[str, list[int]], *, device: str = "A", first: int = 0) -> None:
    """A study with runs of as many wrong images as `errors` says by setting and seed; -1: the run diverged."""
    (root / study).mkdir(exist_ok=True)
    runs, bits = [], []
    for setting, counts in errors.items():
        for seed, wrong in enumerate(counts, first):
            run = f"{study}{setting}{seed}"
            status = "diverged" if wrong < 0 else "ok"
            runs.append({"run": run, "status": status, "setting": setting, "device": device, "seed": seed})
            if wrong >= 0:
                right = np.arange(IMAGES) >= wrong  # the first ones are wrong: those of the own part
                packed = base64.b64encode(np.packbits(right).tobytes()).decode()
                bits.append({"run": run, "images": IMAGES, "bits": packed})
    for name, rows in (("runs.csv", runs), ("correct.csv", bits)):
        with (root / study / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def test_a_gap_is_the_paired_t_interval_in_points(tmp_path: Path) -> None:
    one, several = [80, 84, 88, 90], [76, 79, 86, 85]
    write(tmp_path, "pair", {"one": one, "several": several})
    found = gaps.gap(FAMILY.gaps["as drawn"], slice(None), tmp_path)
    differences = (np.array(several) - np.array(one)) / IMAGES * 100
    expected = scipy.stats.ttest_rel(several, one)
    assert found.n == 4
    assert found.mean == pytest.approx(differences.mean())
    assert found.p == pytest.approx(expected.pvalue)
    scale = 100 / IMAGES
    interval = expected.confidence_interval(0.95)
    assert found.interval == pytest.approx((interval.low * scale, interval.high * scale))
    own = gaps.gap(FAMILY.gaps["as drawn"], slice(OWN), tmp_path)
    assert own.mean == pytest.approx(differences.mean() * IMAGES / OWN)
    rest = gaps.gap(FAMILY.gaps["as drawn"], slice(OWN, None), tmp_path)
    assert rest.mean == 0


def test_pairs_are_of_one_processor_and_pooled_over_processors(tmp_path: Path) -> None:
    write(tmp_path, "pair", {"one": [80, 84], "several": [76, 79]}, device="A")
    write(tmp_path, "pair-2", {"one": [80, 84], "several": [70, 75]}, device="B", first=2)
    write(tmp_path, "pair_groups", {"several": [80, 80, 80]}, device="A")  # seed 2 has no partner on A
    found = gaps.gap(FAMILY.gaps["as drawn"], slice(None), tmp_path)
    assert sorted(found.differences) == [("A", 0), ("A", 1), ("B", 2), ("B", 3)]
    assert gaps.gap(FAMILY.gaps["equal norm"], slice(None), tmp_path).n == 2
    text = "\n".join(gaps.lines("pair", FAMILY, tmp_path))
    assert "n = 4" in text
    assert "on A and B" in text


def test_runs_that_did_not_end_are_left_out_with_their_partners_and_counted(tmp_path: Path) -> None:
    write(tmp_path, "pair", {"one": [80, -1, 84], "several": [76, 70, 80]})
    found = gaps.gap(FAMILY.gaps["as drawn"], slice(None), tmp_path)
    assert (found.n, found.lost) == (2, 1)
    assert "; 1 pair with a run that did not end left out" in "\n".join(gaps.lines("pair", FAMILY, tmp_path))


def test_one_pair_and_pairs_that_do_not_differ_are_told_in_words_and_not_as_no_number(tmp_path: Path) -> None:
    write(tmp_path, "pair", {"one": [80], "several": [76]})
    write(tmp_path, "pair_groups", {"several": [76]})
    told = "\n".join(gaps.lines("pair", FAMILY, tmp_path))
    assert "all: -1.00, n = 1: an interval needs 2 pairs, on A" in told
    write(tmp_path, "pair", {"one": [80, 80], "several": [76, 76]})
    told += "\n".join(gaps.lines("pair", FAMILY, tmp_path))
    assert "\n  preliminary, 1 of 10 declared pairs: too few pairs for a sentence, which takes five" in told
    assert "all: -1.00, n = 2, no interval: the differences do not vary" in told
    assert "nan" not in told


@pytest.mark.parametrize(
    ("several", "groups", "sentence"),
    [
        ([75, 76, 74, 77, 75], [70, 69, 71, 70, 70], "holds"),
        ([75, 76, 74, 77, 75], [88, 90, 87, 90, 89], "explains"),
        ([75, 76, 74, 77, 75], [70, 95, 60, 99, 80], "cannot tell"),
        ([75, 76, 74, 77], [70, 69, 71, 70, 70], "too few"),
        ([75, 76, 74, 77, 75], [70, 69, 71, 70], "too few"),
        ([88, 98, 75, 96, 84], [97, 108, 84, 105, 94], "cannot tell"),  # as drawn there is no gap to explain
        ([96, 97, 96, 98, 97], [105, 107, 105, 108, 107], "cannot tell"),  # it is on the other side
        ([88, 98, 75, 96, 84], [80, 89, 68, 87, 75], "cannot tell"),  # and changes towards several paths
        ([75, 76, 74, 77, 75], [76, 77, 75, 78, 76], "holds"),
        ([75, 75, 75, 77, 75], [75, 75, 75, 77, 75], "holds"),  # nothing changes
    ],
)
def test_one_of_three_sentences_follows(tmp_path: Path, several: list[int], groups: list[int], sentence: str) -> None:
    write(tmp_path, "pair", {"one": [88, 88, 88, 89, 88][: len(several)], "several": several})
    write(tmp_path, "pair_groups", {"several": groups})
    assert gaps.verdict(FAMILY, tmp_path) == sentence


@pytest.mark.parametrize(
    ("brief", "long", "sentence"),
    [
        (([90, 88, 89, 90, 88], [80, 79, 78, 80, 79]), ([60, 61, 60, 60, 61], [59, 60, 58, 59, 61]), "shrinks"),
        # Whatever its sign.
        (([80, 79, 78, 80, 79], [90, 88, 89, 90, 88]), ([59, 60, 58, 59, 61], [60, 61, 60, 60, 61]), "shrinks"),
        (([80, 79, 78, 80, 79], [79, 78, 77, 79, 78]), ([60, 61, 60, 60, 61], [40, 40, 41, 40, 42]), "grows"),
        (([80, 79, 78, 80, 79], [79, 78, 77, 79, 78]), ([60, 61, 60, 60, 61], [59, 61, 58, 59, 61]), "cannot tell"),
        (([90, 88, 89, 90], [80, 79, 78, 80]), ([60, 61, 60, 60], [59, 60, 58, 59]), "too few"),
    ],
)
def test_whether_a_gap_shrinks_is_judged_seed_by_seed(
    tmp_path: Path, brief: tuple[list[int], ...], long: tuple[list[int], ...], sentence: str
) -> None:
    family = replace(gaps._strength("pair", "one", "several", {"plain": "", "long": "_long"}), own=OWN)
    assert gaps.verdict(family, tmp_path) == "too few"
    for name, errors in (("pair", brief), ("pair_long", long)):
        write(tmp_path, name, dict(zip(("one", "several"), errors, strict=True)))
    assert gaps.verdict(family, tmp_path) == sentence
    gap_of = [np.array(errors[1]) - np.array(errors[0]) for errors in (brief, long)]
    found = gaps.moved(family, slice(None), tmp_path)
    expected = scipy.stats.ttest_1samp((gap_of[1] - gap_of[0]) / IMAGES * 100, 0).confidence_interval(0.95)
    assert found.interval == pytest.approx((expected.low, expected.high))
    told = "\n".join(gaps.lines("pair", family, tmp_path))
    assert f"preliminary, {len(brief[0])} of 6 declared pairs: {sentence}" in told
    assert "change: long less plain, seed by seed" in told


@pytest.mark.parametrize(
    ("points", "word"),
    [
        ([0.1, -0.2, 0.15, -0.1, 0.05], "equal"),
        ([-0.4, -0.42, -0.41, -0.4, -0.39], "equal"),  # clear, and less than the margin
        ([-1.0, -1.4, -0.9, -1.2, -1.1], "better"),
        ([1.0, 1.4, 0.9, 1.2, 1.1], "worse"),
        ([-1.0, 1.4, 0.9, -1.2, 1.1], "cannot tell"),
        ([-1.0, -1.4, -0.9, -1.2], "too few"),
    ],
)
def test_a_gap_that_was_declared_later_has_a_sentence_of_its_own(points: list[float], word: str) -> None:
    assert gaps.alone(gaps.Gap({("A", seed): value for seed, value in enumerate(points)}, 0)) == word


@pytest.mark.parametrize("name", gaps.FAMILIES)
def test_recorded_errors_are_those_of_the_record(name: str) -> None:
    family = gaps.FAMILIES[name]
    for arms in family.gaps.values():
        for arm in arms:
            folder = STUDIES / arm.study
            if not (folder / "runs.csv").exists():
                continue
            runs = records.load(folder).runs
            expected = runs[(runs["setting"] == arm.setting) & (runs["status"] == "ok")].set_index("seed")["test_error"]
            ended = {seed: gaps._error(run.wrong) for (_, seed), run in gaps._runs(arm, STUDIES).items() if run.ok}
            assert {seed: ended[seed] for seed in expected.index} == pytest.approx(expected.to_dict())


@cache
def told_by_the_script(family: str) -> tuple[str, dict[str, list[str]]]:
    """What it prints of a family, and of every gap that has an interval its mean, its ends and its number of pairs."""
    command = [sys.executable, str(STUDIES / "gaps.py"), family]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, list[str]] = {}
    for line in said.splitlines():
        if named := re.match(r"  (\w[\w .]*): ", line):
            name = named[1]
        elif row := re.match(r" +all: (\S+) \((\S+) to (\S+)\), n = (\d+)", line):
            found.setdefault(name, [row[1], *(end.lstrip("+") for end in row.groups()[1:])])
    return said, found


def words_of(path: str) -> str:
    """The words of a file of the project, in one line; the marks of a comment are left out."""
    text = (STUDIES.parent / path).read_text(encoding="utf-8")
    return " ".join(word for word in text.split() if word != "#")


def less(points: str) -> str:
    """Points without their sign."""
    return points.lstrip("+-")


def better(gap: list[str]) -> list[str]:
    """A gap below zero as the points by which several paths are better, and the ends of their interval."""
    mean, low, high, _ = gap
    return [less(mean), less(high), less(low)]


def test_what_is_told_of_the_narrow_pair_is_what_the_script_computes() -> None:
    said, found = told_by_the_script("init_narrow")
    assert f"\n  {gaps.SENTENCES['explains']}" in said
    assert "preliminary" not in said
    results, recipes, readme = map(words_of, ("docs/results.md", "docs/recipes.md", "README.md"))
    head = words_of("conf/study/init_narrow_cifar10_jpeg_fan_out.yaml")
    for name in ("as drawn", "both at 2.0", "both at 0.125", "fan_in"):
        mean, low, high, n = found[name]
        assert f"| {mean}, {low} to {high} | {n} |" in results
        assert f"{mean} ({low} to {high})" in head.replace("points of test error (95 % interval ", "(")
    change, drawn, large, small = (found[key] for key in ("change", "as drawn", "both at 2.0", "both at 0.125"))
    mean, low, high, n = change
    assert f"loses {less(mean)} points ({low} to {high}, n = {n})" in results
    assert f"and 16 by {less(large[0])} at a quarter of it" in results
    assert f"worse by {less(large[0])} points ({large[1]} to {large[2]}) at 2.0" in readme
    assert f"by {less(small[0])} ({small[1]} to {small[2]}) at 0.125" in readme
    assert f"from {drawn[0]} to {large[0]} points" in recipes
    assert f"it is {small[0]} ({small[1]} to {small[2]})" in recipes
    gain, least, most = better(drawn)
    worse = f"{less(large[0])} points (95 % interval {large[1]} to {large[2]}, ten declared pairs)"
    beside = f"{small[0].lstrip('+')} ({small[1]} to {small[2]})"
    for study in ("equal_params_tiny_imagenet_32px", "cardinality_or_width_cifar10_jpeg"):
        assert f"worse by {worse} or by {beside}, not better by {gain} ({least} to {most})." in words_of(
            f"studies/{study}/note.txt"
        )
    arms = [path.parent.name for path in STUDIES.glob("init_narrow_cifar10_jpeg_*/note.txt")]
    assert len(arms) == 8
    assert len({words_of(f"studies/{study}/note.txt") for study in arms}) == 1
    for study in ("equal_params_cifar10_jpeg", *arms):
        note = words_of(f"studies/{study}/note.txt")
        assert f"{less(large[0])} points worse" in note
        assert f"{large[1]} to {large[2]})" in note
        assert beside in note
        assert f"{gain} " in note
        assert f"{least} to {most})" in note


def test_what_is_told_of_recipes_is_what_the_script_computes_beside_what_others_published() -> None:
    said, found = told_by_the_script("recipe_strength")
    results = words_of("docs/results.md")
    names = {
        "plain, 8 epochs": "plain 8",
        "plain, 32 epochs": "plain 32",
        "Mixup and RandAugment, 32 epochs": "mixed 32",
        "the same and averaged weights, 96 epochs": "averaged 96",
    }
    assert [*names.values()] == [*gaps.FAMILIES["recipe_strength_16px_cifar10_jpeg"].gaps]
    for title, name in names.items():
        mean, low, high, n = found.get(name, ["-", "", "", "0"])
        own = f"{mean}, {low} to {high}" if low else mean
        assert f"| {title} | {own} | {n} |" in results
    if "change" in found:
        mean, low, high, n = found["change"]
        assert f"Declared is the last less the first, seed by seed: {mean} ({low} to {high}, n = {n})" in results
        assert ("have opposite signs" in said) == ("it changes its sign" in results)
    else:
        assert "change: averaged 96 less plain 8, seed by seed: no pair yet" in said
        assert "Declared is the last less the first, seed by seed: no pair yet." in results
    assert ("They are not finished" in results.split("## Under stronger recipes")[1].split("##")[0]) == (
        "preliminary" in said
    )
    timm = sorted((pair for pair in every_pair() if pair.source.startswith("timm")), key=lambda pair: pair.gap)
    others = ", ".join(f"`{pair.source.removeprefix('timm, recipe ')}` {100 * pair.gap:+.2f}" for pair in timm)
    assert f"single runs by recipes of timm: {others}; the last two" in results


def test_the_figure_of_the_gaps_is_what_its_script_draws(tmp_path: Path) -> None:
    drawn = tmp_path / "gaps.svg"
    command = [sys.executable, str(STUDIES / "draw_gaps.py"), str(drawn)]
    subprocess.run(command, check=True, capture_output=True, cwd=STUDIES.parent)
    assert drawn.read_text(encoding="utf-8") == (STUDIES.parent / "docs/gaps.svg").read_text(encoding="utf-8")


def test_what_is_told_of_the_literal_pair_is_what_the_script_computes() -> None:
    said, found = told_by_the_script("literal_16px")
    family = gaps.FAMILIES["literal_16px_cifar10_jpeg"]
    readme, results = words_of("README.md"), words_of("docs/results.md")
    head = words_of("conf/study/literal_16px_cifar10_jpeg.yaml")
    note = words_of("studies/literal_16px_cifar10_jpeg/note.txt")
    drawn, equal, change = (found[name] for name in ("as drawn", "equal norm", "change"))
    assert gaps.verdict(family) == "explains"
    assert "**at equal filter norm the gap no longer holds, so it was the initialisation.**" in results
    assert ("preliminary" in said) == ("preliminary" in results.split("## 32x4d against")[1].split("## ")[0])
    gain, least, most = better(drawn)
    assert f"32 paths beat one by {gain} points of test error (95 % interval {least} to {most})" in readme
    worse = less(equal[0]), *equal[1:3]
    assert f"worse by {worse[0]} points ({worse[1]} to {worse[2]}): by the rule" in readme
    assert f"{gain} points better (95 % interval {least} to {most})" in note
    assert f"{worse[0]} points worse ({worse[1]} to {worse[2]})" in note
    assert f"by {gain} points at full width" in results
    assert f"worse by {worse[0]} points at full width" in results
    assert f"loses {less(change[0])} points ({change[1]} to {change[2]}, n = {change[3]})" in results
    for name, label in (
        ("as drawn", "as drawn, 2.0 and 0.0625"),
        ("equal norm", "both 2.0 (`recipe.init=fan_out_groups`)"),
    ):
        rows = [gaps.gap(family.gaps[name], part) for part in (slice(None), slice(10_000), slice(10_000, None))]
        cells = " | ".join(f"{one.mean:+.2f}, {one.interval[0]:.2f} to {one.interval[1]:.2f}" for one in rows)
        assert f"| {label} | {cells} | {rows[0].n} |" in results
        mean, low, high, n = found[name]
        assert f"{mean} " in head
        assert f"({low} to {high})" in head or f"(95 % interval {low} to {high})" in head
        assert f"n = {n}" in head
    mean, low, high, n = found["equal turning"]
    alike = f"{mean} ({low} to {high}, n = {n})"
    assert f"32x4d less 1x64d is {mean} points ({low} to {high}, n = {n}). By its rule" in results
    assert f"equal turning, declared later: {gaps.alone(gaps.gap(family.gaps['equal turning'], slice(None)))}" in said
    assert f"differ from one by {mean} ({low} to {high})" in results
    assert f"leave between {low} and {high} points" in results
    assert f"the difference is {alike}" in readme
    assert f"the difference is {alike}" in note
    arms = [path.parent.name for path in STUDIES.glob("literal_16px_cifar10_jpeg*/note.txt")]
    assert len(arms) == 5
    assert {words_of(f"studies/{study}/note.txt") for study in arms} == {note}
    assert f"Found: {mean} points ({low} to {high}, n = {n})" in words_of(
        "conf/study/literal_16px_cifar10_jpeg_turn.yaml"
    )
    angle = fmean(float(row["degrees"]) for row in rows_of_filters("_turn", "29-32x4d"))
    assert f"turns by {angle:.1f} degrees an epoch, and" in results
    turned = {
        arm: fmean(float(row["degrees"]) for row in rows_of_filters(*arm))
        for arm in ((name, setting) for name, setting in (("", "29-1x64d"), ("", "29-32x4d"), ("_groups", "29-32x4d")))
    }
    one, fast, slow = turned.values()
    recipes = words_of("docs/recipes.md")
    assert (
        f"1x64d turns by {one:.1f} degrees, one of 32x4d by {fast:.1f} as drawn and by {slow:.1f} at the same"
        in recipes
    )
    assert (
        f"turns by {one:.1f} degrees in 1x64d, by {fast:.1f} in 32x4d as drawn and by {slow:.1f} at equal norm"
        in results
    )
    assert (
        f"turn {fast / one:.1f} times as fast as those of one path as drawn, {one / slow:.1f} times as slowly"
        in results
    )


def rows_of_filters(arm: str, setting: str) -> list[dict[str, str]]:
    """The rows of filters.csv of all runs of a setting in an arm of the literal pair."""
    found = []
    for folder in STUDIES.glob(f"literal_16px_cifar10_jpeg{arm}*"):
        if re.fullmatch(rf"literal_16px_cifar10_jpeg{arm}(-\d+)?", folder.name):
            runs = {
                row["run"]
                for row in gaps._table(folder / "runs.csv")
                if row["setting"] == setting and row["status"] == "ok"
            }
            found += [row for row in gaps._table(folder / "filters.csv") if row["run"] in runs]
    return found
