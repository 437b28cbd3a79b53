"""The verdict as one picture: its numbers are the finding's, its areas the parameters', and no label hides another."""

import math
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from playwright.sync_api import Browser

from explorer.analysis.judging import OpenedStudy, open_study
from explorer.analysis.sentences import sentence
from explorer.design.cost import block_cost
from explorer.design.layout import layout, reduced
from explorer.design.name import parse_name
from explorer.design.template import Task
from explorer.host.formatting import ends_in_words, less, less_interval, range_in_words
from explorer.report.page import render_page
from explorer.report.page_figures import printable
from explorer.report.print_caption import caption
from explorer.report.scaled_blocks import ScaledDesign, scaled_design
from explorer.report.verdict_drawing import THINNEST, Box, Line, Words, blocks_drawing, effects_drawing, strips
from explorer.report.verdict_picture import FEW_OTHERS, MOST_OTHERS, Effect, VerdictPicture, verdict_picture
from explorer.study.run import Run
from explorer.study.settings import StudyConfig
from explorer.verbs.command_line import read_command
from tests.made_up import End, all_ok, few_epochs, made_up, made_up_checks, made_up_final
from tests.report.browsing import needs_browser, opened
from tests.report.reading import plain

IMAGES = (800, 400, 960)
EM = 13.0


def error(config: StudyConfig, run: Run) -> float:
    """Two points less for 32 paths, a little more or less by seed and design."""
    rng = np.random.default_rng([*run.id.encode()])
    return 0.08 - 0.02 * (run.architecture.cardinality == 32) + 0.008 * float(rng.random())


def study(*words: str, end: End = all_ok) -> OpenedStudy:
    config = few_epochs(read_command([*words]).study)
    folder = made_up(config, end, error=error if config.records_filters else None, images=IMAGES, answers=True)
    return open_study(folder)


def drawn(opened: OpenedStudy) -> VerdictPicture:
    found = verdict_picture(opened)
    assert found is not None
    return found


DESIGNS = {
    "29-32x4d": lambda path, out, paths: 2 * paths * path + out,
    "50-32x4d": lambda path, out, paths: 2 * paths * path + out,
    "29-1x64d-preact": lambda path, out, paths: 2 * path + out,
    "29-8x14.24.58d": lambda path, out, paths: 2 * paths * path + out,
    "34-1x64d-w64-imagenet_basic": lambda path, out, paths: path + out,
    "16-1x160d-w160-wide": lambda path, out, paths: path + out,
    "29-4x25d-inception": lambda path, out, paths: 6 * path + out,
    "29-4x4d-s4": lambda path, out, paths: 7 * paths * path + out,
    # Each bias of squeeze-and-excitation is a half of a batch norm's channel.
    "29-32x4d-se16": lambda path, out, paths: 2 * paths * path + out + (out // 16 + out) // 2,
    "29-32x4d-semid4": lambda path, out, paths: 2 * paths * path + out + (out // 4 + paths * path) // 2,
}


@pytest.mark.parametrize("name", DESIGNS)
def test_a_block_has_the_weights_that_it_costs_without_its_norms(name: str) -> None:
    architecture = parse_name(name)
    task = architecture.shape.task
    found = scaled_design(name, (1, 1), task)
    for stage, block in zip(layout(architecture, task).stages, found.stages, strict=True):
        size = reduced(stage.map_size, stage.stride)
        whole = block_cost(replace(stage, depth=2), in_width=stage.width, stride=1, map_size=size).params
        normed = DESIGNS[name](stage.bottleneck_width, stage.width, stage.cardinality)
        assert stage.depth > 1
        assert block.params + 2 * normed == whole
        assert (block.count, block.map_size, block.into) == (stage.depth, size, stage.width)


def test_alexnet_and_a_stage_of_one_block_are_drawn_as_they_are() -> None:
    (convs,) = scaled_design("alexnet", (1, 1), parse_name("alexnet").shape.task).stages
    assert convs.params == 96 * 3 * 121 + 256 * 48 * 25 + 384 * 256 * 9 + 384 * 192 * 9 + 256 * 192 * 9
    assert [conv.paths for conv in convs.convs] == [1, 2, 1, 2, 2]
    first = scaled_design("11-16x2d-w64", (1, 1), parse_name("11-16x2d").shape.task).stages[0]
    assert (first.into, first.chain) == (16, "16→32→32→64")  # its only block takes what the stem gives


@pytest.mark.parametrize(
    "pair", [("29-32x4d", "29-1x64d"), ("50-32x4d", "50-1x64d"), ("29-4x25d-inception", "16-1x160d-w160-wide")]
)
@pytest.mark.parametrize("width", [366.0, 230.0])
def test_the_same_area_is_the_same_number_of_parameters_in_both_designs_and_all_stages(
    pair: tuple[str, str], width: float
) -> None:
    designs = [scaled_design(name, (1, 1), parse_name(name).shape.task) for name in pair]
    found = blocks_drawing(VerdictPicture(tuple(designs)), width, EM)
    boxes = [one for one in found.shapes if isinstance(one, Box)]
    convs = [
        conv
        for number in range(max(len(one.stages) for one in designs))
        for one in designs
        if number < len(one.stages)
        for conv in one.stages[number].convs
    ]
    assert len(boxes) == len(convs)
    scale = boxes[0].width * boxes[0].height / convs[0].params
    for box, conv in zip(boxes, convs, strict=True):
        assert box.width * box.height == pytest.approx(scale * conv.params)
        assert box.width / conv.width == pytest.approx(boxes[0].width / convs[0].width)
        assert box.x >= -1e-9
        assert box.x + box.width <= width + 1e-9
    for cut in (one for one in found.shapes if isinstance(one, Line) and one.role == "cut"):
        assert any(box.x < cut.x < box.x + box.width and box.y == cut.y for box in boxes)


def test_what_cannot_be_built_has_its_name_and_costs_alone() -> None:
    designs = tuple(scaled_design(name, (7, 8), Task(3, 32, 10)) for name in ("alexnet", "29-1x64d"))
    assert designs[0].stages == ()
    assert designs[0].note == "alexnet, which cannot be built on 32 pixels"
    words = [one.words for one in blocks_drawing(VerdictPicture(designs), 366, EM).shapes if isinstance(one, Words)]
    assert {"7 parameters", "Stage 3: 3 blocks, 8\N{MULTIPLICATION SIGN}8 pixels"} <= {*words}
    assert blocks_drawing(VerdictPicture(designs[:1]), 366, EM).height > 0


def test_strips_are_as_many_as_the_eye_can_tell_and_each_as_many_paths() -> None:
    assert strips(32, 128, 4) == 32
    assert strips(32, 127, 4) == 16
    assert strips(30, 40, 4) == 10
    assert strips(7, 20, 4) == 1
    assert THINNEST * EM > 3


@pytest.mark.real
def test_the_numbers_of_the_picture_are_those_of_the_finding(workplace: Path) -> None:
    found = study("study=equal_params", "study.robustness=[init]")
    made_up_checks(found.config, error=error)
    found = open_study(found.folder)
    finding, picture = found.finding, drawn(found)
    declared, robust = finding.comparison, finding.robustness
    assert declared is not None
    assert robust is not None
    first, *rest = picture.effects
    ends = (-100 * declared.difference.high, -100 * declared.difference.low)
    assert (first.mean, first.low, first.high) == pytest.approx((-100 * declared.difference.mean, *ends))
    assert first.marks == pytest.approx([-100 * value for value in declared.differences.values()])
    others = [one for one in rest if one.kind == "other"]
    by_name = {one.label: one for one in others}
    for other in finding.others:
        row = by_name[next(one.display for one in finding.summaries if one.setting == other.setting)]
        assert (row.mean, row.high) == pytest.approx((-100 * other.difference.mean, -100 * other.difference.low))
        assert row.verdict == other.verdict
    assert [one.mean for one in others] == sorted((one.mean for one in others), reverse=True)
    arms = [arm for check in robust.checks for arm in check.arms]
    checks = [one for one in rest if one.kind == "check"]
    assert [one.mean for one in checks] == pytest.approx([-100 * arm.gap.mean for arm in arms])
    assert [len(one.marks) for one in checks] == [arm.gap.n for arm in arms]
    published = {one.label: one for one in rest if one.kind == "published"}
    assert published["ImageNet: the ResNeXt paper, Table 3"].marks == pytest.approx([1.7, 0.8])
    # The same digits in the sentence, the picture and the table, without a change of sign.
    size = (
        f"{less(declared.difference.mean)} points lower (95 % interval {less_interval(-ends[1] / 100, -ends[0] / 100)}"
    )
    assert size in sentence(finding)
    page = plain(render_page(found))
    assert page.count(f"{first.mean_words} ({first.interval_words})") >= 2
    assert f"<td>{first.mean_words}<td>{first.interval_words}<td>6<td>" in page
    # Positions follow from the numbers, on one axis that holds zero and the margin.
    for width in (610.0, 350.0):
        shapes = effects_drawing(picture, width, EM).shapes
        (zero,) = (one.x for one in shapes if isinstance(one, Line) and one.role == "zero")
        (margin,) = (one for one in shapes if isinstance(one, Box) and one.role == "margin")
        (mean,) = (one for one in shapes if isinstance(one, Box) and one.role == "mean ours")
        (line,) = (one for one in shapes if isinstance(one, Line) and one.role == "interval ours")
        assert picture.margin == 1.0
        unit = margin.width / 2
        assert mean.x + mean.width / 2 - zero == pytest.approx(first.mean * unit)
        assert (line.x - zero, line.to_x - zero) == pytest.approx((first.low * unit, first.high * unit))


def test_few_pairs_claim_no_interval_and_a_failed_run_is_a_cross(workplace: Path) -> None:
    few = drawn(study("study=equal_params", "search.seeds=4", "name=few"))
    assert not any(one.has_interval for one in few.effects)
    assert few.effects[0].verdict == "too few pairs"
    assert "fewer than five pairs have no interval" in few.caption
    failing = drawn(study("study=equal_params", "name=half", end=lambda setting, seed: _half(setting.name, seed)))
    assert len(failing.effects[0].chance) == 3
    assert len(failing.effects[0].marks) == 6
    assert "Crosses: pairs in which a run failed" in failing.caption
    lost = drawn(study("study=equal_params", "name=lost", end=lambda setting, seed: "diverged"))
    assert lost.effects == ()
    assert [one.display for one in lost.blocks] == ["ResNeXt-29 (32x4d)", "ResNet-29 (1x64d)"]


def _half(name: str, seed: int) -> str:
    return "diverged" if seed % 2 and name == "29-1x64d" else "ok"


def test_an_unfinished_study_has_no_colour_of_a_verdict(workplace: Path) -> None:
    found = study("study=equal_params", end=lambda setting, seed: "ok" if seed < 5 else "")
    picture = drawn(found)
    assert picture.title == "So far: points of test error less than ResNet-29 (1x64d)"
    assert picture.effects[0].verdict == "none yet"
    roles = {one.role for one in effects_drawing(picture, 610, EM).shapes}
    assert "mean open" in roles
    assert not any("ours" in role for role in roles)


def test_of_many_settings_the_best_and_the_worst_are_drawn_and_all_are_in_the_table(workplace: Path) -> None:
    found = study(
        *("study=equal_params", "search.seeds=2", "space.width=[128,192,256]", "space.cardinality=[1,2,4,8,32]"),
        *("budget.reference=29-1x64d", "budget.params.tolerance=0.9", "study.contrast.setting=29-32x4d"),
        "study.contrast.against=29-1x64d",
    )
    picture = drawn(found)
    others = len(found.finding.others)
    assert others > MOST_OTHERS
    assert picture.hidden == others - 2 * FEW_OTHERS
    rows = [one for one in picture.shown if isinstance(one, Effect)]
    means = [one.mean for one in rows if one.kind == "other"]
    assert means[:FEW_OTHERS] == sorted(means, reverse=True)[:FEW_OTHERS]
    words = [one.words for one in effects_drawing(picture, 610, EM).shapes if isinstance(one, Words)]
    assert f"{picture.hidden} more in the table of numbers" in words
    table = render_page(found).split('aria-label="Numbers of the verdict"')[1].split("</table>")[0]
    assert table.count("<tr>") == 1 + len(picture.effects)


def test_every_kind_of_study_has_its_picture(workplace: Path) -> None:
    spaces = study("study=design_space", "search.designs=8")
    picture, rivals = drawn(spaces), spaces.finding.populations
    assert rivals is not None
    assert picture.effects[0].mean == pytest.approx(-100 * rivals.rivals[0].difference.mean)
    assert picture.better[0] == "one path better"
    assert [one.role for one in picture.blocks] == [
        "best by validation of several paths",
        "best by validation of one path",
    ]
    assert [one.kind for one in picture.effects] == ["declared", *["alike"] * len(rivals.rivals[0].adjusted)]
    best = study("study=best", "data=digits", "search.designs=6")
    assert drawn(best).effects == ()
    made_up_final(best.config, images=IMAGES)
    best = open_study(best.folder)
    final, picture = best.finding.final_round, drawn(best)
    assert final is not None
    means = [-100 * one.difference.mean for one in final.comparisons]
    assert [one.mean for one in picture.effects] == pytest.approx(means)
    assert [one.setting for one in picture.blocks] == [one.setting for one in final.summaries[:2]]
    front = drawn(study("study=pareto", "search.designs=6"))
    assert (front.effects, front.blocks[0].role) == ((), "lowest error of the front")
    alone = drawn(study("study=equal_params", "name=one", "study.contrast=null", "space.cardinality=[1]"))
    assert (alone.effects, len(alone.blocks)) == ((), 1)
    for found in (spaces, best):
        first = next(iter(printable(found)))
        assert first == "verdict"
        assert caption(found, first, printable(found)[first]).startswith(drawn(found).title)


def test_other_data_sets_are_those_that_lie_beside_it_and_the_caption_names_them(workplace: Path) -> None:
    words = ("study=equal_params", "search.seeds=5", "space.cardinality=[1,32]")
    config = few_epochs(read_command([*words, "name=here"]).study)
    for name in ("here", "there"):
        own = replace(config, name=name, data=replace(config.data, name=name, label=f"Set {name}"))
        made_up(own, error=error, data_hash=name * 4)
    picture = drawn(open_study(Path("studies/here")))
    (row,) = (one for one in picture.effects if one.kind == "data")
    assert (row.label, row.n) == ("Set there", 5)
    assert "recorded studies that lay beside this one when it was drawn, there (n = 5)" in picture.caption
    assert "there (n = 5), with 95 % intervals over seeds and test images." in picture.caption
    few = replace(config, name="few", data=replace(config.data, name="few", label="Set few"))
    made_up(replace(few, search=replace(few.search, seeds=2)), error=error, data_hash="few")
    picture = drawn(open_study(Path("studies/here")))
    assert (
        "few (n = 2), there (n = 5), with 95 % intervals over seeds and test images, where there are" in picture.caption
    )
    shutil.rmtree("studies/there")
    assert "few (n = 2), by their means alone, since fewer than five pairs have no interval." in (
        drawn(open_study(Path("studies/here"))).caption
    )
    Path("studies/few/runs.csv").write_text("damaged")
    assert not [one for one in drawn(open_study(Path("studies/here"))).effects if one.kind == "data"]


def test_ends_of_intervals_are_counted_as_the_size_is() -> None:
    assert ends_in_words(-0.0227, -0.0253, -0.0201) == "2.01 to 2.53"
    assert ends_in_words(0.003, 0.0005, 0.0055) == "0.05 to 0.55"
    assert ends_in_words(-0.0067, -0.0172, 0.0039) == "0.39 higher to 1.72 lower"
    assert ends_in_words(0.0067, -0.0039, 0.0172) == "0.39 lower to 1.72 higher"
    assert (less(-0.0227), less(0.0039), less(0.0)) == ("2.27", "\N{MINUS SIGN}0.39", "0.00")
    assert less(1e-9) == "0.00"
    assert less_interval(-0.0172, 0.0039) == "\N{MINUS SIGN}0.39 to 1.72"
    assert less_interval(math.nan, math.nan).startswith("needs")
    assert range_in_words(-0.0039, -0.0013) == "0.13 to 0.39 points lower"
    assert range_in_words(0.0013, 0.0039) == "0.13 to 0.39 points higher"
    assert range_in_words(-0.0039, 0.0005) == "0.05 points higher to 0.39 points lower"
    assert range_in_words(-0.0013, -0.0013) == "0.13 points lower"


TEXTS = """() => [...document.querySelectorAll('#verdict svg')].filter((svg) => svg.checkVisibility()).map((svg) => {
  const frame = svg.getBoundingClientRect();
  const scale = frame.width / svg.viewBox.baseVal.width;
  return [...svg.querySelectorAll('text')].map((text) => {
    const box = text.getBBox();
    const size = parseFloat(getComputedStyle(text).fontSize) * scale;
    const inside = box.x > -1 && box.x + box.width < svg.viewBox.baseVal.width + 1;
    return [text.textContent, box.x, box.y + 2, box.x + box.width, box.y + box.height - 2, size, inside];
  });
})"""


@needs_browser
def test_no_label_hides_another_at_either_width_and_all_can_be_read(
    browser: Browser, workplace: Path, tmp_path: Path
) -> None:
    kinds: dict[str, Callable[[], OpenedStudy]] = {
        "checks": lambda: study("study=equal_params", "name=checks"),
        "spaces": lambda: study("study=design_space", "name=spaces", "search.designs=8"),
        "paper": lambda: study("study=equal_params_imagenet", "name=paper", "search.seeds=2"),
        "others": lambda: study("study=neighbours", "name=others", "search.seeds=5"),
    }
    for name, make in kinds.items():
        path = tmp_path / f"{name}.html"
        path.write_text(render_page(make()))
        for width in (1280, 390):
            page = browser.new_context(offline=True, viewport={"width": width, "height": 900}).new_page()
            page.goto(path.as_uri())
            halves = page.evaluate(TEXTS)
            assert len(halves) == 2
            for texts in halves:
                assert all(size >= 11 and inside for *_, size, inside in texts), [one for one in texts if not one[6]]
                for one, other in combinations(texts, 2):
                    apart = one[3] <= other[1] or other[3] <= one[1] or one[4] <= other[2] or other[4] <= one[2]
                    assert apart, (name, width, one[0], other[0])
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.context.close()


def test_a_design_in_words_is_all_that_its_picture_shows() -> None:
    found: ScaledDesign = scaled_design("29-32x4d", (4774602, 48314368), parse_name("29-32x4d").shape.task)
    assert found.words.startswith(
        "ResNeXt-29 (32x4d): 4,774,602 parameters, 48,314,368 multiply-adds; stage 1: 3 blocks"
    )
    assert "channels 256→128→128→256, 32 paths of 4" in found.words


@needs_browser
def test_what_is_seen_of_the_picture_is_saved_with_its_colours(
    browser: Browser, workplace: Path, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.html"
    path.write_text(render_page(study("study=equal_params", "name=tiny", "search.seeds=5", "space.cardinality=[1,32]")))
    visit = opened(browser, path, viewport={"width": 390, "height": 900}, color_scheme="dark")
    saved = {}
    for form in ("SVG", "PNG"):
        with visit.page.expect_download() as download:
            visit.page.click(f"#verdict + .figure-tools button:text-is('{form}')")
        saved[form] = download.value
    assert saved["SVG"].suggested_filename == "tiny-verdict.svg"
    text = saved["SVG"].path().read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    width, height = map(float, (root.attrib["width"], root.attrib["height"]))
    assert (width, len(root.findall("{http://www.w3.org/2000/svg}svg"))) == (350 + 32, 2)
    assert "var(" not in text
    assert "Points of test error less than" in text
    png = saved["PNG"].path().read_bytes()
    assert png[16:24] == struct.pack(">II", int(2 * width), int(2 * height))
    assert visit.complaints == []
