"""Every shipped study, and every kind of study in every state it may be in, is judged, printed, drawn and tabulated."""

import base64
import gzip
import io
import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

import explorer
from explorer.__main__ import main
from explorer.analysis.judging import OpenedStudy, open_study
from explorer.analysis.sentences import sentence
from explorer.host.console import PlainConsole
from explorer.host.errors import InputError
from explorer.host.formatting import JOINED
from explorer.record.folder import REPORTS
from explorer.report.drawing import draw
from explorer.report.kinds import FIRST, Kind, kind_of_finding
from explorer.report.page_figures import Figure, Views
from explorer.report.panel import Panel
from explorer.report.parallel import Parallel
from explorer.report.rows import Rows
from explorer.report.terminal import print_verdict
from explorer.study.designs import Setting
from explorer.study.final import final_runs
from explorer.verbs.command_line import read_command
from explorer.verbs.tabulate import write_table
from tests.made_up import End, all_ok, few_epochs, made_up, made_up_final

STUDIES = sorted(path.stem for path in (Path(__file__).parents[2] / "conf" / "study").glob("*.yaml"))
# One of each kind, and the one whose blocks have unlike paths; the others differ in numbers.
FIRST_DRAWN = (
    "neighbours",
    "descendants",
    "cardinality_or_width",
    "design_space",
    "fast_path",
    "forms",
    "pareto",
    "shortcut",
)
# The kind of each shipped study; the others are of settings alike but for their paths.
FIRST_FIGURE: dict[str, Kind] = {
    "best": "search",
    "cardinality_or_width": "growth",
    "cardinality_or_width_cifar10_jpeg": "growth",
    "descendants": "list",
    "design_space": "populations",
    "design_space_cifar10_jpeg": "populations",
    "double_complexity": "list",
    "fast_path": "list",
    "forms": "forms",
    "init_narrow_cifar10_jpeg_groups": "list",
    "init_narrow_cifar10_jpeg_quarter": "list",
    "literal_16px_cifar10_jpeg_groups": "list",
    "literal_16px_cifar10_jpeg_turn": "list",
    "literal_cifar10_jpeg_groups": "list",
    "neighbours": "list",
    "pareto": "front",
}
# What Python and JavaScript call what they do not have; no word of a page.
FOREIGN = re.compile(r"\b(None|nan|NaN|inf|Infinity|undefined|True|False)\b")


class Text(HTMLParser):
    """The text of a page as people see it, and what its scripts unpack."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.inside, self.seen, self.packed = "", "", ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = (dict(attrs).get("id") or tag) if tag in ("script", "style") else ""
        self.seen += f" {dict(attrs).get('aria-label') or ''} "

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if not self.inside:
            self.seen += data.replace(JOINED, "-")
        elif self.inside == "data":
            self.packed += data


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def looked_at(folder: Path) -> tuple[OpenedStudy, str]:
    """Judge, print, draw, list and tabulate a study, hold what all of them must, and give it with its page's text."""
    study = open_study(folder)
    terminal = io.StringIO()
    print_verdict(study.finding, study.config.study.question, PlainConsole(width=160, file=terminal))
    page = Text(draw(open_study(folder)).read_text())
    index = Text((REPORTS / "index.html").read_text())
    json.loads(gzip.decompress(base64.b64decode(page.packed)), parse_constant=refuse)
    verdict = " ".join(sentence(study.finding).split())
    told = [" ".join(text.split()) for text in (terminal.getvalue(), page.seen, index.seen)]
    if study.finding.complete:
        write_table(folder, Path("tables") / folder.name)
        told.append(" ".join((Path("tables") / folder.name / "README.md").read_text().split()))
    else:
        with pytest.raises(InputError, match="finish the study before it is tabulated"):
            write_table(folder, Path("tables") / folder.name)
    for text in told:
        assert verdict in text
        assert FOREIGN.findall(text) == []
    assert "Cannot be read" not in told[2]
    for one in study.finding.summaries:
        assert f'data-setting="{one.setting}"' in (REPORTS / f"{folder.name}.html").read_text()
    return study, told[1]


def drawn_as(study: OpenedStudy, kind: Kind) -> None:
    """Hold that a study has the first figure of its kind, and that every colour means one setting or group."""
    views = Views(study)
    assert views.kind == kind_of_finding(study.finding) == kind
    assert next(iter(views.figures)) == FIRST[kind]
    page = (REPORTS / f"{study.folder.name}.html").read_text()
    assert page.count(f'data-figure="{FIRST[kind]}"') == 1
    held = {axis for axis, one in study.config.budget.held.items() if not one.at_most}
    assert not held & {name.removeprefix("cost-") for name in views.figures}
    colors: dict[str, set[str]] = {}
    for name, figure in views.figures.items():
        for setting, color in colors_in(figure):
            colors.setdefault(setting, set()).add(color)
        if not isinstance(figure, Parallel):
            within(figure, name)
    mixed = {setting: found for setting, found in colors.items() if len(found) > 1}
    assert not mixed if kind != "growth" else len(mixed) <= 1  # where both ways to grow begin


def colors_in(figure: Figure) -> Iterator[tuple[str, str]]:
    """Each setting that a figure shows by itself, with the colour that it has there."""
    if isinstance(figure, Parallel):
        yield from zip(figure.settings, figure.colors, strict=False)
    elif isinstance(figure, Rows):
        yield from ((row.setting, row.color) for row in figure.rows)
    else:
        for mark in figure.marks:
            if mark.kind == "dots" or mark.end:
                yield from ((setting, mark.color) for setting in mark.settings if mark.end not in ("best", "worst"))


def within(figure: Panel | Rows, name: str) -> None:
    """Hold that intervals of errors, and the axes of these, lie within 0 to 100 %."""
    if isinstance(figure, Rows):
        for row in figure.rows:
            for axis, cell in zip(figure.axes, row.cells, strict=True):
                if "(%)" in axis.title and "error" in axis.title:
                    assert not cell.low < 0, name
                    assert not cell.high > 100, name
    elif figure.y.title.endswith("error (%)"):
        for mark in figure.marks:
            assert min(mark.y, default=0) >= 0, name
            assert max(mark.high, default=0) <= 100, name
        low, high = figure.ends[1]
        assert 0 <= low < high <= 100, name


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in FIRST_DRAWN else pytest.mark.real) for name in STUDIES]
)
def test_a_shipped_study_is_judged_printed_drawn_listed_and_tabulated(workplace: Path, name: str) -> None:
    images = ["data=digits"] if name == "best" else []  # it is asked of a person's own images
    config = read_command([f"study={name}", "recipe.epochs=3", *images]).study
    folder = made_up(config)
    if final_runs(config):  # a table is made of what is whole
        made_up_final(config)
    study, _ = looked_at(folder)
    assert study.finding.complete
    drawn_as(study, FIRST_FIGURE.get(name, "paths"))
    table = explorer.open_study(Path("tables") / name)
    for one in study.finding.summaries:
        assert table.query(one.setting).errors == one.errors


KINDS = {
    "contrast": ["study=equal_params"],
    "growth": ["study=cardinality_or_width"],
    "forms": ["study=forms"],
    "rates": ["study=equal_params", "search.rates=[0.5,2]"],
    "looks": ["study=equal_params", "search.seeds=auto"],
    "unlike paths": ["study=neighbours"],
    "one setting": ["study=fast_path"],
    "spaces": ["study=design_space", "search.designs=8"],
    "front": ["study=pareto", "search.designs=9"],
    "search": ["study=pareto", "search=tpe", "search.designs=9", "search.objectives=[error]", "search.baseline=0.3"],
    "halving": ["study=pareto", "search=tpe", "search.designs=9", "search.objectives=[error]", "search.pruner=halving"],
}
LISTED = ("contrast", "growth", "forms", "rates", "looks", "unlike paths")
MANY = {
    "contrast": [
        "budget=none",
        "space.depth=[20,29,38,47]",
        "space.bottleneck_width=[1,2,3,4,5,6,7,8,9,10]",
        "study.contrast.setting=29-8x4d",
        "study.contrast.against=29-1x4d",
    ],
    "spaces": ["search.designs=100", "spaces.one_path.width.step=4"],
    "front": ["search.designs=200"],
    "search": ["search.designs=200"],
    "halving": ["search.designs=200"],
}


def of_one(kind: str) -> list[str]:
    """The overrides by which a study of this kind has one setting."""
    if kind in LISTED:
        name = {"unlike paths": "26-4x24d-inception-small"}.get(kind, "29-32x4d")
        formed = ["search.forms=[grouped]"] if kind == "forms" else []
        rates = ["search.rates=[]"] if kind == "rates" else []
        seeds = ["search.seeds=6"] if kind == "looks" else []
        return ["study.contrast=null", f"search.only=[{name}]", *formed, *rates, *seeds]
    return [] if kind == "one setting" else ["search.designs=1"]


def some_diverge(setting: Setting, seed: int) -> str:
    return "diverged" if (seed + setting.cost.params) % 3 == 0 else "out_of_memory" if seed == 5 else "ok"


def last_seeds_last(setting: Setting, seed: int) -> str:
    return "ok" if seed < 1 or (seed < 2 and setting.cost.params % 2) else ""


STATES: dict[str, tuple[Callable[[str], list[str]], End]] = {
    "whole": (lambda kind: [], all_ok),
    "of one setting": (of_one, all_ok),
    "of one seed": (lambda kind: ["search.seeds=1"], all_ok),
    "some diverged": (lambda kind: [], some_diverge),
    "all diverged": (lambda kind: [], lambda setting, seed: "diverged"),
    "unfinished": (lambda kind: [], last_seeds_last),
    "all failed": (lambda kind: [], lambda setting, seed: "failed"),
    "not begun": (lambda kind: [], lambda setting, seed: ""),
    "of 200 settings": (lambda kind: MANY[kind], all_ok),
    "without contrast": (lambda kind: ["study.contrast=null"], all_ok),
}
FAST = {
    ("contrast", "unfinished"),
    ("contrast", "all diverged"),
    ("growth", "of one seed"),
    ("looks", "not begun"),
    ("spaces", "of one setting"),
    ("spaces", "unfinished"),
    ("rates", "some diverged"),
    ("halving", "unfinished"),
    ("search", "some diverged"),
}
CASES = [
    pytest.param(kind, state, marks=[] if (kind, state) in FAST else pytest.mark.real, id=f"{kind}, {state}")
    for kind in KINDS
    for state in STATES
    if not (state == "of 200 settings" and kind not in MANY)
    and not (state == "without contrast" and kind in ("rates", "looks"))
]


@pytest.mark.parametrize(("kind", "state"), CASES)
def test_a_study_of_any_kind_is_shown_in_any_state(workplace: Path, kind: str, state: str) -> None:
    overrides, end = STATES[state]
    config = read_command([*KINDS[kind], *overrides(kind), "recipe.epochs=3", "name=any"]).study
    study, text = looked_at(made_up(config, end))
    counts = {one.estimate.n for one in study.finding.summaries}
    claimed = {int(number) for number in re.findall(r"mean over (?:\d+ to )?(\d+) seeds", text)}
    assert claimed <= {max(counts, default=0)}
    assert ("Reload every" in text) == (not study.finding.complete)
    if state == "of 200 settings":
        assert study.finding.wanted >= 200


@pytest.mark.parametrize(
    ("kind", "only"), [("equal_params", "search.only=[29-32x4d]"), ("design_space", "search.only=[29-4x24d]")]
)
def test_where_only_some_designs_are_trained_the_declared_contrast_is_said_to_be_left_unjudged(
    kind: str, only: str, workplace: Path
) -> None:
    config = few_epochs(read_command([f"study={kind}", only, "search.seeds=2"]).study)
    study, text = looked_at(made_up(config))
    words, page = sentence(study.finding), " ".join(text.split())
    assert "nly some designs are trained (search.only), so the declared contrast is not judged" in words
    assert (
        "How the verdict was reached # Only some designs are trained ( search.only), so the declared contrast" in page
    )
    assert "does not apply Only some designs are trained, so the declared contrast is not judged." in page
    assert "declares no contrast" not in words + page
    assert "No contrast is declared" not in page


def test_a_page_that_cannot_be_drawn_takes_no_verdict_away(
    workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["study=fast_path", "recipe.epochs=3"]
    folder = made_up(read_command(command).study)

    def fails(*_: object, **__: object) -> str:
        raise ValueError("a figure of\nno use")

    with monkeypatch.context() as patch:
        patch.setattr("explorer.report.page.render_page", fails)
        assert main(command) == 0
        assert "It is the study's only setting, so nothing is compared" in capsys.readouterr().out
        assert main(["report", "fast_path"]) == 1
        told = capsys.readouterr()
        assert "Report:" not in told.out
        assert told.err == (
            "explorer: studies/fast_path: the page cannot be drawn (ValueError: a figure of no use); "
            "studies/fast_path/local/page.log says where; this is a defect of the program, and the record is "
            "whole\n"
        )
    assert "in fails" in (folder / "local" / "page.log").read_text()
    assert main(["report", "fast_path"]) == 0
    assert (REPORTS / "fast_path.html").exists()
