"""What goes into a paper: figures at their printed size, tables, citations."""

import io
import math
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from explorer.analysis.judging import OpenedStudy, open_study
from explorer.record.folder import study_folder
from explorer.report import citation
from explorer.report.forest import Forest, ForestRow
from explorer.report.page_figures import Views
from explorer.report.panel import PALETTE, SYMBOLS, Axis, Mark, Panel
from explorer.report.parallel import Parallel
from explorer.report.print_caption import caption
from explorer.report.print_figure import DASHES, MARKERS, POINTS, PrintFigure, missing_letters, print_figure
from explorer.report.print_table import latex_text, print_tables, written
from explorer.report.robustness import check_forest
from explorer.report.rows import Rows
from explorer.study.run import Run
from explorer.study.settings import StudyConfig
from explorer.verbs.command_line import read_command
from tests.conftest import TINY, broadly
from tests.made_up import made_up, made_up_checks

STUDIES = Path(__file__).parents[2] / "studies"
COLUMN, PAGE = 3.25, 6.75
RECORDED = ("equal_params_cifar10_jpeg", "design_space_cifar10_jpeg", "cardinality_or_width_cifar10_jpeg")
HOSTILE = "a_b & 50% $x^2$ #1 {c} \\d ~e <f> |g|"


@pytest.fixture(scope="module")
def recorded() -> dict[str, OpenedStudy]:
    return {name: open_study(STUDIES / name) for name in RECORDED}


def texts(drawn: PrintFigure) -> Iterator[tuple[Text, Bbox]]:
    """Every text that is shown, with the space that it takes."""
    drawn.draw_without_rendering()
    for one in drawn.findobj(Text):
        if one.get_visible() and one.get_text() and one.get_window_extent().width > 1:
            yield one, one.get_window_extent()


@pytest.mark.parametrize(("name", "width"), broadly((name, width) for width in (COLUMN, PAGE) for name in RECORDED))
def test_every_figure_has_its_width_8_pt_no_title_and_no_text_over_another_or_outside(
    recorded: dict[str, OpenedStudy], name: str, width: float
) -> None:
    for key, figure in Views(recorded[name]).figures.items():
        drawn = print_figure(figure, width)
        assert drawn.get_figwidth() == width
        assert [axes.get_title() for axes in drawn.axes] == [""] * len(drawn.axes)
        if not isinstance(figure, Rows):  # the legend does not eat the figure
            (axes,) = drawn.axes
            assert axes.get_window_extent().height >= 0.35 * width * drawn.dpi, key
        found = [*texts(drawn)]
        for one, box in found:
            assert min(box.x0, box.y0) >= -2, (key, one)
            assert box.x1 <= drawn.bbox.width + 2, (key, one)
            assert box.y1 <= drawn.bbox.height + 2, (key, one)
        assert {one.get_fontsize() for one, _ in found} == {POINTS}
        if isinstance(figure, Parallel):
            continue
        for (one, box), (other, beside) in combinations(found, 2):
            assert not box.padded(-1).overlaps(beside.padded(-1)), (key, one, other)


def test_the_numbers_are_those_of_the_page(recorded: dict[str, OpenedStudy]) -> None:
    panel = Views(recorded[RECORDED[0]]).figures["cardinality"]
    assert isinstance(panel, Panel)
    (axes,) = print_figure(panel, COLUMN).axes
    drawn = [np.asarray(one.get_offsets()) for one in axes.collections if isinstance(one, PathCollection)]
    shown = [mark for mark in panel.ordered if mark.kind == "dots" and not mark.optional]
    assert len(drawn) == len(shown) > 1
    for points, mark in zip(drawn, shown, strict=True):
        assert points == pytest.approx(np.column_stack([mark.x, mark.y]))
    mean = next(line for line in axes.lines if line.get_linewidth() > 0.5)
    assert np.asarray(mean.get_ydata()) == pytest.approx(next(m for m in panel.ordered if m.kind == "line").y)


def test_marks_differ_without_colour() -> None:
    assert len({MARKERS[symbol] for symbol in SYMBOLS}) == len(SYMBOLS)
    assert len({str(DASHES[color]) for color in PALETTE}) == len(PALETTE)
    marks = [Mark("line", [0, 1], [number, number + 1], color, legend=color) for number, color in enumerate(PALETTE)]
    (axes,) = print_figure(Panel("", Axis("x"), Axis("y"), marks), COLUMN).axes
    assert len({str(vars(line)["_dash_pattern"]) for line in axes.lines}) == len(PALETTE)


@pytest.mark.real
def test_the_same_figure_gives_the_same_bytes_with_fonts_embedded(
    recorded: dict[str, OpenedStudy], tmp_path: Path
) -> None:
    figure = Views(recorded[RECORDED[0]]).figures["cardinality"]
    for kind in ("pdf", "svg", "png"):
        one, other = (tmp_path / f"{name}.{kind}" for name in "ab")
        for path in (one, other):
            print_figure(figure, COLUMN).savefig(path)
        assert one.read_bytes() == other.read_bytes()
    pdf = (tmp_path / "a.pdf").read_bytes()
    box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+) ?\]", pdf)
    assert box is not None
    assert float(box[1]) == pytest.approx(72 * COLUMN)
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert "<text" not in (tmp_path / "a.svg").read_text(encoding="utf-8")  # letters are outlines
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size[0] == pytest.approx(300 * COLUMN, abs=1)
    again = io.BytesIO()
    print_figure(figure, COLUMN).savefig(again, format="pdf")  # as a notebook may
    assert again.getvalue() == pdf


def test_hostile_names_are_text_and_letters_that_the_font_lacks_are_told() -> None:
    marks = [Mark("dots", [1], [1], PALETTE[0], legend=HOSTILE), Mark("dots", [2], [math.nan], PALETTE[1], legend="b")]
    panel = Panel("", Axis("cost -1 to -2"), Axis("$error$ (%)"), marks)
    with missing_letters() as none:
        drawn = print_figure(panel, COLUMN)
        drawn.savefig(io.BytesIO(), format="png")
    assert none == []
    shown = [one.get_text() for one, _ in texts(drawn)]
    assert HOSTILE in shown
    assert "$error$ (%)" in shown
    assert "cost \N{MINUS SIGN}1 to \N{MINUS SIGN}2" in shown
    with missing_letters() as lacking:
        print_figure(Panel("", Axis("猫"), Axis("y"), marks), COLUMN).savefig(io.BytesIO(), format="png")
    assert lacking == ["猫"]


@pytest.mark.parametrize("width", [COLUMN, PAGE])
def test_a_forest_plot_has_a_row_for_each_estimate(width: float) -> None:
    rows = [
        ForestRow("as declared", -2.0, -3.0, -1.0, "-2.00 (-3.00 to -1.00), 10", strong=True),
        ForestRow("mean", -1.0, -1.5, -0.5, kind="diamond"),
        ForestRow("a further one", math.nan, -4.0, 2.0, kind="span"),
        ForestRow("published", -0.5, kind="hollow", more=[-0.2]),
    ]
    drawn = print_figure(Forest("", rows, "Difference (points)", 0.5), width)
    shown = [one.get_text() for one, _ in texts(drawn)]
    assert all(row.label in shown for row in rows)
    assert any("\N{MINUS SIGN}2.00 (" in words for words in shown) == (width == PAGE)
    (axes,) = drawn.axes
    low, high = axes.get_xlim()
    assert low < -4 < 2 < high
    boxes = [box for _, box in texts(drawn)]
    assert not any(one.padded(-1).overlaps(other.padded(-1)) for one, other in combinations(boxes, 2))


# ---------------------------------------------------------------- tables


def test_tables_hold_the_finding_in_every_format(recorded: dict[str, OpenedStudy]) -> None:
    study = recorded[RECORDED[0]]
    finding, tables = study.finding, print_tables(study)
    assert [*tables] == ["settings", "contrasts"]
    numbers = pd.read_csv(io.StringIO(written(tables["settings"], "csv")))
    for row, one in zip(numbers.to_dict("records"), finding.summaries, strict=True):
        assert (row["setting"], row["params"], row["macs"]) == (one.setting, one.params, one.macs)
        expected = (one.estimate.mean, one.estimate.low, one.estimate.high)
        assert (row["test_error"], row["test_error_low"], row["test_error_high"]) == pytest.approx(expected)
        assert (row["seeds"], row["cardinality"]) == (10, one.cardinality)
    contrasts = pd.read_csv(io.StringIO(written(tables["contrasts"], "csv")))
    pair = finding.comparison
    assert pair is not None
    assert [*contrasts["kind"]] == ["declared", "other"]
    assert contrasts["difference"][0] == pytest.approx(pair.difference.mean)
    assert contrasts["p"][0] == pytest.approx(pair.p)
    latex, markdown = written(tables["contrasts"], "latex"), written(tables["contrasts"], "md")
    numbers_of_it = r"2.27 & 2.01 to 2.53 & 10 & \textless{} 0.0001 & beats \\"
    stacked = r"\begin{tabular}[t]{@{}l@{}}%s \\ %s\end{tabular}"  # a long name has two lines
    names = [stacked % name for name in (("ResNeXt-29", "(16x2d, w64)"), ("ResNet-29", "(1x16d, w64)"))]
    assert f"{' & '.join(names)} & {numbers_of_it}" in latex
    assert latex.count("rule\n") == 3
    assert "| ResNeXt-29 (16x2d, w64) | ResNet-29 (1x16d, w64) | 2.27 | 2.01 to 2.53 | 10 |" in markdown
    for text in (latex, markdown):
        assert f"content hash {study.environment['data_hash']}" in text
        assert "commit 065346845cf3" in text
    spaces = print_tables(recorded[RECORDED[1]])
    assert spaces["contrasts"].words.loc[0, "Points less"] == "2.95"
    assert set(spaces["settings"].words["95 % interval"]) == {"-"}  # of one seed there is none


def test_checks_are_a_table_and_a_forest_plot_of_their_own(workplace: Path) -> None:
    def error(config: StudyConfig, run: Run) -> float:
        return 0.3 - 0.05 * (int(run.architecture.cardinalities[0]) > 1) + 0.002 * run.seed

    config = read_command([*TINY, "study.robustness=[cost]", "search.seeds=6"]).study
    made_up(config, error=error)
    made_up_checks(config, error=error)
    study = open_study(study_folder(config.name))
    assert study.finding.robustness is not None
    found = print_tables(study)["checks"]
    arms = [arm for check in study.finding.robustness.checks for arm in check.arms]
    assert arms
    assert [*found.numbers["arm"]] == ["as declared", *(arm.arm.name for arm in arms)]
    assert [*found.numbers["gap"][1:]] == pytest.approx([arm.gap.mean for arm in arms])
    assert [*found.numbers["p_of_change"][1:]] == pytest.approx([arm.p for arm in arms], nan_ok=True)
    drawn = print_figure(check_forest(study.finding, study.finding.robustness), PAGE)
    assert "as declared" in [one.get_text() for one, _ in texts(drawn)]


def test_text_for_latex_and_bibtex_is_only_text(recorded: dict[str, OpenedStudy]) -> None:
    words = latex_text(HOSTILE)
    assert words.count("{") == words.count("}")
    assert not re.search(r"(?<!\\)[&%$#_]", words)
    assert latex_text("29-1x64d, -2.5 to +1") == "29-1x64d, $-$2.5 to $+$1"
    found = citation.citation(recorded[RECORDED[0]])
    entries = re.findall(r"^@(\w+)\{([^,\s]+),$", found, re.MULTILINE)
    assert [key for _, key in entries] == [
        "equal_params_cifar10_jpeg_2026",
        "resnext-explorer_0.1.0",
        "xie2017aggregated",
    ]
    depth = 0
    for letter in found:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0
    assert depth == 0
    environment = recorded[RECORDED[0]].environment
    assert f"content hash {environment['data_hash']}; commit {environment['commit']}" in found
    assert "last run 2026-11-24" in found


PAPER = (
    r"""\documentclass[twocolumn]{article}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\usepackage{booktabs,graphicx}
\begin{document}
A study~\cite{equal_params_cifar10_jpeg_2026} made with~\cite{resnext-explorer_0.1.0,xie2017aggregated}.
\begin{figure}\centering\includegraphics[width=\columnwidth]{cardinality.pdf}\caption{Error.}\end{figure}
\begin{table*}\input{settings.tex}\end{table*}
\begin{table*}\input{contrasts.tex}\end{table*}
\begin{table}\begin{tabular}{l}"""
    "\n"
    + latex_text(HOSTILE)
    + r"""\end{tabular}\end{table}
\bibliographystyle{plain}
\bibliography{cite}
\end{document}
"""
)


def test_a_citation_says_which_letters_pdflatex_would_stop_at(recorded: dict[str, OpenedStudy]) -> None:
    study = recorded[RECORDED[0]]
    assert "lualatex" not in citation.citation(study)
    config = study.config
    labelled = replace(config, data=replace(config.data, label="Кошки \u2013 Öl"))
    found = citation.citation(replace(study, plan=replace(study.plan, config=labelled)))
    (line,) = [line for line in found.splitlines() if "lualatex" in line]
    assert line.startswith("  % Кикош: ")
    assert "Кошки" in found


def test_the_caption_of_curves_says_how_many_of_the_settings_are_drawn(recorded: dict[str, OpenedStudy]) -> None:
    study = recorded["design_space_cifar10_jpeg"]
    figure = Views(study).figures["curves"]
    assert isinstance(figure, Panel)
    drawn = {setting for mark in figure.marks for setting in mark.settings}
    assert len(drawn) < 128
    assert "for 128 settings. Bands: from the lowest to the highest validation error; lines: median, best, worst." in (
        caption(study, "curves", figure)
    )
    study = recorded[RECORDED[0]]
    assert "for every setting. " in caption(study, "curves", Views(study).figures["curves"])


@pytest.mark.real
def test_latex_takes_figure_tables_and_citations(recorded: dict[str, OpenedStudy], tmp_path: Path) -> None:
    if not all(map(shutil.which, ("pdflatex", "bibtex", "pdffonts"))):
        assert "EXPLORER_REQUIRE_REAL" not in os.environ, "pdflatex, bibtex or pdffonts is not installed"
        pytest.skip("pdflatex, bibtex or pdffonts is not installed")
    study = recorded[RECORDED[0]]
    print_figure(Views(study).figures["cardinality"], COLUMN).savefig(tmp_path / "cardinality.pdf")
    for name, table in print_tables(study).items():
        (tmp_path / f"{name}.tex").write_text(written(table, "latex"), encoding="utf-8")
    (tmp_path / "cite.bib").write_text(citation.citation(study), encoding="utf-8")
    (tmp_path / "paper.tex").write_text(PAPER, encoding="utf-8")
    latex = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "paper"]
    for command in (latex, ["bibtex", "paper"], latex, latex):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, done.stdout[-2000:]
        assert "Warning--" not in done.stdout
    assert "undefined" not in done.stdout
    assert "Overfull" not in done.stdout
    one = r"\documentclass{article}\usepackage{booktabs}\begin{document}\noindent %s\end{document}"
    inputs = r"\par\noindent ".join(rf"\input{{{name}.tex}}" for name in print_tables(study))
    (tmp_path / "one.tex").write_text(one % inputs, encoding="utf-8")
    done = subprocess.run([*latex[:-1], "one"], cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout  # a page of one column holds it
    fonts = subprocess.run(["pdffonts", "paper.pdf"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "DejaVuSans" in fonts
    for line in fonts.splitlines()[2:]:
        assert re.search(r"\byes\s+(yes|no)\s+(yes|no)\s+\d+", line), line  # embedded
