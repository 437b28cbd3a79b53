import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from benchmarks.synthetic import synthetic
from explorer.analysis.finding import find
from explorer.analysis.judging import OpenedStudy
from explorer.record.records import Record
from explorer.report.design_card import command
from explorer.report.page import render_page
from explorer.study.plan import plan_of
from explorer.study.settings import StudyConfig
from explorer.verbs.command_line import read_command
from tests.analysis.test_statistics import R, X, frame
from tests.opened import opened
from tests.report.reading import plain

HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;\u202eabc"


def study(config: StudyConfig | None = None) -> OpenedStudy:
    config = config or read_command(["study=equal_params"]).study
    runs = frame({R: [0.06, 0.07], X: [0.05, 0.05]})
    epochs = pd.DataFrame({"run": ["29-1x64d/0"], "epoch": [1], "val_error": [0.5], "train_error": [0.4]})
    environment = {
        "data_hash": "abcd",
        "images": [400, 250, 1147],
        "skipped": [],
        "versions": {"torch": "2"},
        "platform": "Linux",
        "commit": None,
        "started": "2026",
    }
    finding = find(runs, [R, X], (X, R), seeds=2)
    return opened(config, Record(runs, epochs), finding, environment=environment)


def worded(config: StudyConfig, name: str, words: str) -> StudyConfig:
    """The study under another name, whose question and label of the data are these words."""
    return replace(
        config, name=name, study=replace(config.study, question=words), data=replace(config.data, label=words)
    )


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def elements(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Elements()
    parser.feed(page)
    return parser.tags


def test_a_page_loads_nothing_and_says_so_in_its_policy() -> None:
    tags = elements(render_page(study()))
    assert all("src" not in attributes for tag, attributes in tags)
    assert not [attributes for tag, attributes in tags if tag == "link"]
    (policy,) = [
        attributes["content"] for _, attributes in tags if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    assert re.fullmatch(
        r"default-src 'none'; script-src 'sha256-[^']+' blob:; style-src 'unsafe-inline'; img-src data: blob:; "
        r"base-uri 'none'; form-action 'none'",
        policy,
    )


def test_text_from_settings_is_shown_as_text() -> None:
    config = read_command(["study=equal_params"]).study
    hostile = worded(config, HOSTILE, HOSTILE)
    plain, attacked = elements(render_page(study(config))), elements(render_page(study(hostile)))
    assert [tag for tag, _ in attacked] == [tag for tag, _ in plain]
    assert not [attributes for _, attributes in attacked if "onerror" in attributes]


def test_the_page_holds_verdict_settings_and_every_pair() -> None:
    page = plain(render_page(study()))
    for part in ("2 pairs of seeds are too few", "ResNeXt-29 (32x4d)", "6.00 %", "<td>1.00", "<td>2.00", "4 of 4 runs"):
        assert part in page


def test_a_page_claims_no_interval_where_nothing_varies() -> None:
    runs = frame({R: [0.9, 0.9, 0.9], X: [0.5, 0.5, 0.5]})
    whole = replace(study(), record=Record(runs, study().record.epochs), finding=find(runs, [R, X], (X, R), seeds=3))
    page = plain(render_page(whole))
    assert "90.00 to 90.00" not in page
    assert page.count("needs 2 values that differ") == 1  # the interval for equivalence
    assert page.count("needs 5 seeds or more, which differ") == 1  # once for all settings
    assert "mean, 3 pairs<td><td><th>40.00, p = 0.25</tr>" in page  # as many signs alike: 2 / 2 ** 3
    assert not re.search(r">[^<]*\bnan\b", page.split("<script")[0])


def test_the_same_study_gives_the_same_bytes() -> None:
    assert render_page(study()) == render_page(study())


@pytest.mark.real
def test_a_page_is_small() -> None:
    assert len(render_page(study())) < 2.2e6
    large = synthetic(read_command(["study=equal_params"]).study, runs=1000, epochs=100)
    assert len(large.record.epochs) == 100_000
    assert len(render_page(large)) < 3e6


def test_plotlys_licence_notice_is_kept() -> None:
    assert re.search(r"plotly\.js v[\d.]+.{0,200}Licensed under the MIT license", render_page(study()), re.DOTALL)


def test_the_command_of_a_card_trains_that_design_alone_and_says_where_images_must_be_given() -> None:
    config = read_command(["study=equal_params_cifar10_jpeg", "data.path=somewhere"]).study
    words = shlex.split(command("29-16x2d-w64@sum", config))
    assert (words[0], words[-1]) == ("explorer", "search.forms=[sum]")
    again = read_command(words[1:]).study
    assert (again.name, [setting.name for setting in plan_of(again).settings]) == ("again", ["29-16x2d-w64@sum"])
    assert (again.data.name, again.data.path) == ("cifar10_jpeg", "FOLDER")
    page = render_page(study(config))
    assert "--config studies/equal_params_cifar10_jpeg/config.yaml name=again data.path=FOLDER" in page
