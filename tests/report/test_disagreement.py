"""The page's section on what two settings disagree on: numbers, pictures, and when there are none."""

import base64
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from playwright.sync_api import Browser

from explorer.analysis.judging import OpenedStudy, open_study
from explorer.host.errors import InputError
from explorer.host.formatting import UNBROKEN
from explorer.record.folder import CONFIG, LABELS
from explorer.record.labels import Labels
from explorer.report.disagreement import (
    MOST_CLASSES,
    MOST_PICTURES,
    class_forest,
    section,
    share_forest,
    shown_places,
)
from explorer.report.finding_data import study_data
from explorer.report.page import render_page
from explorer.report.page_figures import printable
from explorer.report.print_caption import caption
from explorer.study.run import Run
from explorer.training.images.digits import digit_pools
from explorer.training.images.thumbnails import thumbnails
from explorer.verbs.command_line import read_command
from explorer.verbs.pictures import pictures_of
from tests.conftest import TINY
from tests.made_up import made_up
from tests.report.browsing import Visit, needs_browser, opened
from tests.report.disagreeing import FEW, IMAGES, MANY, answers, classes_of_test, disagreeing, settings
from tests.report.reading import plain
from tests.report.test_accessibility import violations

FIRST, SECOND = "ResNeXt-11 (2x3d, w16)", "ResNet-11 (1x4d, w16)"
OTHERS = ["data=folder", "data.path=photos", "data.classes=10", "data.image_size=8", "data.channels=1"]


@pytest.fixture
def study(workplace: Path) -> OpenedStudy:
    return open_study(disagreeing())


def test_the_section_says_what_the_analysis_found(study: OpenedStudy) -> None:
    found = section(study)
    assert found is not None
    assert found.names == (FIRST, SECOND)
    assert [row.words for row in found.cells] == [
        "Both right",
        f"Only {FIRST} right",
        f"Only {SECOND} right",
        "Neither right",
    ]
    assert sum(float(row.share.removesuffix(" %")) for row in found.cells) == pytest.approx(100, abs=0.02)
    many, few = found.strips
    said = many.words.replace(UNBROKEN, " ")
    assert f"{FIRST} is right about {MANY} test images in all 6 seeds about which {SECOND} is right in none." in said
    assert said.endswith("(p = 0.016).")  # that of the record alone among 2^6 exchanges
    assert f"about {FEW} test images" in few.words.replace(UNBROKEN, " ")
    assert (len(many.pictures), many.left, len(few.pictures), few.left) == (MOST_PICTURES, MANY - MOST_PICTURES, FEW, 0)
    classes = classes_of_test(study.config)
    assert [one.label for one in few.pictures] == [str(classes[one.place]) for one in few.pictures]
    assert few.pictures[0].words == f"right in 6 of 6 seeds with {SECOND}, in 0 with {FIRST}"
    assert [row.name for row in found.classes] == list("0123456789")
    assert "the settings themselves differ in which images they get right" in found.churn
    assert found.ways == []


def test_the_figures_are_those_numbers_and_can_be_printed(study: OpenedStudy) -> None:
    shares, classes, found = share_forest(study), class_forest(study), study.disagreement
    assert shares is not None
    assert classes is not None
    assert found is not None
    assert found.churn is not None
    wanted = [found.churn.setting, found.churn.against, found.churn.across, found.disagree]
    assert [(row.mean, row.low) for row in shares.rows] == [(100 * one.mean, 100 * one.low) for one in wanted]
    assert [row.mean for row in classes.rows] == sorted(
        (-100 * one.difference.mean for one in found.classes), reverse=True
    )
    assert [*printable(study)][-2:] == ["disagreement", "classes"]
    assert "Lines: intervals that hold for all classes at once (95 %, Bonferroni). n = 6 pairs of seeds." in caption(
        study, "classes", classes
    )
    many = replace(study, labels=Labels(np.arange(IMAGES)))  # a class for each image
    drawn = class_forest(many)
    assert drawn is not None
    assert len(drawn.rows) == MOST_CLASSES
    assert drawn.title.endswith(f"the {MOST_CLASSES} of {IMAGES} furthest from zero")


def test_programs_are_told_the_same(study: OpenedStudy) -> None:
    told = study_data(study)["disagreement"]
    found = study.disagreement
    assert found is not None
    assert found.setting is not None
    assert told["only_setting"]["mean"] == found.cells.setting.mean
    assert told["churn"]["excess"]["low"] == found.churn.excess.low  # type: ignore[union-attr]
    assert [one["p"] for one in told["classes"]] == [one.p for one in found.classes]
    one = told["only_setting_images"]
    assert (one["count"], one["expected"], one["p"]) == (MANY, found.setting.expected, found.setting.p)
    assert [each["image"] for each in one["images"]] == [*found.setting.images]
    assert one["images"][0]["class"] == str(classes_of_test(study.config)[one["images"][0]["image"]])


def shown(page: str) -> list[str]:
    return re.findall(r'<img src="(data:[^"]*)"', page)


def test_the_digits_are_shown_as_they_are_and_take_little(study: OpenedStudy) -> None:
    pictures = pictures_of(study, "auto")
    page = render_page(study, pictures=pictures)
    addresses = shown(page)
    assert len(addresses) == MOST_PICTURES + FEW
    assert max(map(len, addresses)) < 1024
    order, labels = [*shown_places(study)], classes_of_test(study.config)
    part = digit_pools().train
    assert part.images is not None
    for place, address in zip(order, addresses, strict=True):
        image = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
        pixels = np.asarray(image)
        alike = (part.images[:, 0] * 255.0 / 16).round() == pixels
        assert labels[place] in part.labels[alike.all(axis=(1, 2))]
    assert "data-private" not in page
    assert shown(render_page(study)) == []
    assert pictures_of(study, False) == {}


def test_places_are_named_where_there_are_no_pictures(workplace: Path) -> None:
    config = settings()
    classes = " ".join(map(str, classes_of_test(config)))
    other = read_command([*TINY, *OTHERS, "search.seeds=6"]).study
    folder = made_up(other, images=(80, 40, IMAGES), right=answers, labels=classes)
    study = open_study(folder)
    assert pictures_of(study, "auto") == {}
    page = render_page(study)
    assert shown(page) == []
    assert f"Places in the test set, counted from 0: 0 (class {classes[0]})" in page
    assert "only <code>explorer report tiny report.images=true</code> puts them on this page" in page
    with pytest.raises(InputError, match=r"report.images=true: .*photos: there is no such folder"):
        pictures_of(study, True)
    assert 'data-private="yes"' in render_page(study, pictures={0: "data:image/png;base64,"})


def test_only_a_command_decides_on_pictures(workplace: Path) -> None:
    folder = disagreeing()
    assert "images" not in (folder / CONFIG).read_text().partition("report:")[2]
    text = (folder / CONFIG).read_text().replace("live: false", "live: false\n  images: true")
    assert "images: true" in text
    (folder / CONFIG).write_text(text)
    assert open_study(folder).config.report.images == "auto"
    for words in (["report", "tiny"], ["run", "--config", str(folder / CONFIG), "name=other"]):
        assert read_command(words).study.report.images == "auto"
        assert read_command([*words, "report.images=false"]).study.report.images is False
    with pytest.raises(InputError, match=r'report.images="often": must be true or false or '):
        read_command(["report", "tiny", "report.images=often"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda config, labels: (config, np.roll(labels, 1)), "holds other images than those of the study"),
        (lambda config, labels: (replace(config, split_seed=5), labels), "holds other images than those of the study"),
        (lambda config, labels: (replace(config, image_size=9), labels), "data.image_size=9: digits has 8"),
    ],
)
def test_pictures_of_other_images_are_refused(
    workplace: Path, change: Callable[..., tuple[object, object]], said: str
) -> None:
    config = settings()
    data, labels = change(config.data, classes_of_test(config))
    with pytest.raises(InputError, match=re.escape(said)):
        thumbnails(data, labels, "", [0])  # type: ignore[arg-type]


def test_a_record_without_labels_does_without_classes_and_says_how_to_add_them(workplace: Path) -> None:
    study = open_study(disagreeing(labels=False))
    assert not (study.folder / LABELS).exists()
    page = render_page(study, pictures=pictures_of(study, "auto"))
    assert "What the networks disagree on" in page
    assert "Errors by class</h3>" not in page
    assert "<code>explorer label tiny</code> adds them where the images are" in page
    assert "counted from 0: 0, 1, 2" in page
    with pytest.raises(InputError, match=r"report.images=true: .*holds no labels"):
        pictures_of(study, True)


def test_failed_runs_and_few_pairs_leave_what_can_be_said(workplace: Path) -> None:
    config = settings()
    classes = " ".join(map(str, classes_of_test(config)))

    def end(setting: object, seed: int) -> str:
        return "diverged" if seed == 1 else "" if seed > 3 else "ok"

    study = open_study(made_up(config, end, images=(80, 40, IMAGES), right=answers, labels=classes))
    found = section(study, pictures_of(study, "auto"))
    assert found is not None
    assert (found.found.seeds, found.strips) == ((0, 2, 3), [])
    each = [[float(one.removesuffix(" %")) for one in row.interval.split(", ")] for row in found.cells]
    assert [round(sum(own) / 3, 2) for own in each] == [float(row.share.removesuffix(" %")) for row in found.cells]
    assert '<th scope="col">Each pair' in render_page(study)
    assert "fewer than five pairs of seeds give no interval" in found.churn.replace(UNBROKEN, " ")
    assert "Over 3 pairs of seeds of which both runs came through" in plain(render_page(study))


def test_settings_that_answer_alike_have_one_sentence_in_place_of_images(workplace: Path) -> None:
    config = settings()

    def alike(run: Run) -> npt.NDArray[np.bool_]:
        return np.random.default_rng(run.seed).random(IMAGES) > 0.2

    found = section(open_study(made_up(config, images=(80, 40, IMAGES), right=alike)))
    assert found is not None
    (strip,) = found.strips
    assert strip.words == (
        "There is no test image about which one setting is right in all 6 seeds and the other in none; by chance 0 "
        "would be expected each way."
    )
    assert "it does not vary, which gives no interval" in found.churn


def test_results_that_another_program_tells_are_compared_as_far_as_it_tells_its_answers(workplace: Path) -> None:
    keys = ["channels=1", "image_size=8", "classes=10", "train_images=80", "val_images=40", f"test_images={IMAGES}"]
    told = read_command([*TINY, "data=elsewhere", *(f"data.{key}" for key in keys), "search.seeds=6"]).study

    def some(run: Run) -> npt.NDArray[np.bool_]:
        return answers(run)[: 0 if run.seed == 2 else IMAGES]

    study = open_study(made_up(told, images=(80, 40, IMAGES), right=some))
    found = section(study, pictures_of(study, "auto"))
    assert found is not None
    assert (found.found.seeds, found.classes, found.ways) == ((0, 1, 3, 4, 5), [], [])
    assert [one.place for one in found.strips[1].pictures] == [*range(MANY, MANY + FEW)]
    with pytest.raises(InputError, match=r"report.images=true: this study's images were never read here"):
        pictures_of(study, True)


def test_a_study_without_a_contrast_has_no_such_section(workplace: Path) -> None:
    config = settings("study.contrast=null")
    study = open_study(made_up(config, images=(80, 40, IMAGES), right=answers))
    assert study.disagreement is None
    assert study_data(study)["disagreement"] is None
    assert "networks disagree" not in render_page(study)


@needs_browser
def test_the_section_reads_on_a_phone_and_in_the_dark_and_without_scripts(
    browser: Browser, study: OpenedStudy, tmp_path: Path
) -> None:
    way: dict[str, Any] = {"viewport": {"width": 390, "height": 800}, "color_scheme": "dark"}
    text = render_page(study, pictures=pictures_of(study, "auto"))
    (tmp_path / "page.html").write_text(text)
    visit = opened(browser, tmp_path / "page.html", **way)
    visit.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    drawn = "[...document.querySelectorAll('.pictures img')].map(one => one.complete && one.naturalWidth)"
    assert visit.page.evaluate(drawn) == [8] * (MOST_PICTURES + FEW)
    assert violations(visit.page) == []
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert visit.complaints == []
    assert [one for one in visit.requests if not one.startswith(("file:", "blob:", "data:"))] == []
    (tmp_path / "still.html").write_text(re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL))
    still = Visit(browser, tmp_path / "still.html", **way).page
    assert still.evaluate(drawn) == [8] * (MOST_PICTURES + FEW)
    assert still.locator("text=Only ResNeXt-11 (2x3d, w16) right").count() == 1
