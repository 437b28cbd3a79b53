"""Writes a study's page: a single HTML file that works from disk without a network."""

import base64
import hashlib
import html
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from explorer.analysis.caveats import spaces_failed, spaces_learned
from explorer.analysis.check_sentences import robustness_sentence
from explorer.analysis.final_round import verdict_word
from explorer.analysis.finding import Finding
from explorer.analysis.intervals import Estimate
from explorer.analysis.judging import OpenedStudy
from explorer.analysis.lengths import lengths_of
from explorer.analysis.population import Rivals
from explorer.analysis.regime import regime_of, regime_sentence
from explorer.analysis.sentences import (
    learning_rate_sentence,
    linear_guess_sentence,
    mood,
    pairs_in_words,
    search_history_sentence,
    sentence,
    trend_sentence,
)
from explorer.analysis.summary import SettingSummary
from explorer.design.cost_measures import COUNTED, MEASURES
from explorer.design.name import display_setting
from explorer.design.shape_axes import SHOWN
from explorer.host import formatting as wording
from explorer.host.commands import PROGRAM, command_for
from explorer.host.files import write_whole
from explorer.record.folder import LIVE_SECONDS
from explorer.report import effects as effect_words
from explorer.report import error_words, method
from explorer.report.contents import sectioned
from explorer.report.curves import MOST_CURVES
from explorer.report.described import table_of
from explorer.report.design_card import again, given_path
from explorer.report.disagreement import MOST_CLASSES, PRIVATE, disagreement_forests
from explorer.report.disagreement import section as disagreement_section
from explorer.report.error_words import seed_words
from explorer.report.figures import LEAST_BANDED
from explorer.report.final import final_forests
from explorer.report.forest import forest_svg
from explorer.report.imported import MOST_UNREAD, facts_of, import_again, imported_checklist, weighted_words
from explorer.report.kinds import FIRST
from explorer.report.meaning import meaning
from explorer.report.pack import packed_json, packed_plotly
from explorer.report.page_figures import Figure, Views
from explorer.report.panel import Panel, paint, palette_css
from explorer.report.parallel import Parallel
from explorer.report.rank_figure import rank_words
from explorer.report.robustness import CheckRow, check_rows, filter_rows
from explorer.report.rows import LEAST_CLAIMED, MOST_ROWS, Rows
from explorer.report.settings_table import FIRST_ROWS, beside_rival, by_error, rival_of
from explorer.report.short_title import short_title
from explorer.report.steps import step_rows
from explorer.report.typesetting import typeset_markup
from explorer.report.unfinished import WORDS, counts_in_words, unfinished
from explorer.report.verdict_svg import verdict_svgs
from explorer.report.words import MEANINGS, explained, meaning_of, word

INDEX, RECORDED = "index.html", "recorded.html"  # beside the pages
MOST_OF_HEAD = 2**16  # bytes at the beginning of `RECORDED` in which its studies are named
_RECORDED = re.compile(r'<meta name="recorded" content="([^"]*)">')
SCRIPTS = ("core", "theme", "words", "verdict", "cards", "parallel", "rows", "views", "table", "live")
LONGEST_NOTE_SHOWN = 300  # characters up to which a note stands whole above the picture of the verdict
LONGEST_HEADLINE = 300  # characters of a verdict that are all set large; of a longer one the first sentence is
LONGEST_TABLE = 200  # rows of the numbers of an added figure up to which the page has them


def write_page(
    study: OpenedStudy,
    path: Path,
    runs: str = "",
    *,
    importance: Mapping[str, float] | None = None,
    pictures: Mapping[int, str] | None = None,
) -> None:
    """Write the page of a study; the file is replaced atomically. `runs` is the hash of the runs that it shows.

    `importance` is that of each axis by PED-ANOVA, where it was computed; `pictures` are addresses of test images by
    their places, which the page shows.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    home = home_of([path.stem], path.parent)
    write_whole(
        path, render_page(study, importance, pictures, home=home) + (f"<!-- runs: {runs} -->\n" if runs else "")
    )


def home_of(names: Sequence[str], folder: Path) -> str:
    """The file to which a page of these studies leads back: the index of recorded studies if that lists them all.

    The index of all studies is made by every run and committed by nobody, so that on the pages of a repository a link
    to it leads nowhere.
    """
    return RECORDED if recorded_in(folder).issuperset(names) else INDEX


def recorded_in(folder: Path) -> frozenset[str]:
    """The names of the studies that the index of recorded ones in a folder lists; empty if there is no such index."""
    try:
        with (folder / RECORDED).open("rb") as file:
            found = _RECORDED.search(file.read(MOST_OF_HEAD).decode("utf-8", "replace"))
    except OSError:
        return frozenset()
    return frozenset(html.unescape(found[1]).split()) if found else frozenset()


def render_page(
    study: OpenedStudy,
    importance: Mapping[str, float] | None = None,
    pictures: Mapping[int, str] | None = None,
    *,
    home: str = INDEX,
) -> str:
    """The page as HTML. Text from settings and data is always escaped; nothing is loaded from other addresses.

    `home` is the file beside it to which it leads back.
    """
    views = Views(study)
    figures = views.figures
    plotly, notice = packed_plotly()
    imported = study.finding.imported
    picture = views.verdict
    return render(
        "study.html.j2",
        SCRIPTS,
        study=study,
        sectioned=sectioned,
        meant=meaning(study.finding, study.config),
        unfinished=unfinished(study),
        state_words=WORDS,
        counts_in_words=counts_in_words,
        home=home,
        home_words="Recorded studies" if home == RECORDED else "All studies",
        title=short_title(study.finding, study.config.name),
        verdict=_parted(sentence(study.finding), LONGEST_HEADLINE),
        regime=regime_sentence(regime_of(study)) if study.finding.summaries else "",
        mood=mood(study.finding),
        verdict_word=verdict_word,
        noted=_noted(study.finding.note),
        drawn=picture,
        verdict_svgs=verdict_svgs(picture) if picture else {},
        final_forests={name: forest_svg(one) for name, one in final_forests(study.finding.final_round).items()},
        rows=by_error(study.finding),
        beside=beside_rival(study.finding),
        rival=rival_of(study.finding),
        first_rows=FIRST_ROWS,
        axes=views.axes.to_dict("index"),
        error_words=error_words,
        shape=SHOWN,
        labels={axis.name: axis.label for axis in SHOWN},
        counted=[*COUNTED.values()],
        measures=MEASURES,
        comparison=study.finding.comparison,
        populations=study.finding.populations,
        front=_front_rows(study.finding),
        own_measures=[MEASURES[name] for name in study.config.measures],
        timed="latency" in study.config.search.objectives,
        checks=_checks(study.finding),
        pairs=_pairs(study.finding),
        others=study.finding.others,
        rivals=_rivals(study.finding),
        trend=trend_sentence(study.finding),
        curves=MOST_CURVES,
        curved=len(views.curves),
        few_seeds=1 < max((one.estimate.n for one in study.finding.summaries), default=0) < LEAST_CLAIMED,
        learning_rate_check=learning_rate_sentence(study.finding),
        robustness=robustness_sentence(study.finding),
        check_rows=_check_rows(study.finding),
        filter_rows=filter_rows(study),
        disagreement=disagreement_section(study, pictures),
        disagreement_forests={name: forest_svg(one) for name, one in disagreement_forests(study).items()},
        most_classes=MOST_CLASSES,
        private=Markup(PRIVATE),  # noqa: S704 - our own text
        search_history=study.finding.search_history,
        against_chance=search_history_sentence(study.finding),
        against_fit=linear_guess_sentence(study.finding),
        rank_words=rank_words(views.ranks, study.config.rungs),
        looks=", ".join(map(str, study.config.search.looks)) if study.config.search.seeds == "auto" else "",
        figures=figures,
        added={name: table_of(one) for name, one in views.added[0].items()},
        undrawn=views.added[1],
        longest_table=LONGEST_TABLE,
        overlaid=_is_overlaid(figures) and imported is None,
        banded={name for name, figure in figures.items() if not isinstance(figure, Parallel) and figure.has_band},
        drawn_as={name: _drawn_as(figure) for name, figure in figures.items()},
        kind=views.kind,
        first=FIRST[views.kind],
        colors=views.colors,
        most_rows=MOST_ROWS,
        single=max((one.estimate.n for one in study.finding.summaries), default=0) < 2,
        seeds=wording.seed_counts([one.estimate.n for one in study.finding.summaries]),
        crowded=views.is_crowded,
        least_banded=LEAST_BANDED,
        costs={name: MEASURES[name[5:]].words for name in figures if name.startswith("cost-")},
        effects=views.effects,
        steps=step_rows(study),
        lengths=lengths_of(study.plan, study.settings),
        effect_words=effect_words,
        importance=importance or {},
        stills=views.stills(),
        data=packed_json(views.data()),
        plotly=plotly,
        notice=notice,
        error_name=wording.ERROR_NAMES[study.finding.measure].capitalize(),
        budget=method.budget_words(study.config.budget),
        recipe=study.config.recipe.shown,
        path=given_path(study.config),
        again=import_again(study, imported.source) if imported else again(study.config),
        goes_on=command_for("", study.config.name, program=PROGRAM),
        failures=method.failures(study),
        failed=method.failed_runs(study),
        tried=method.tried(study),
        checklist=imported_checklist(study, imported) if imported else method.checklist(study),
        imported=imported,
        facts=facts_of(imported.source) if imported else [],
        most_unread=MOST_UNREAD,
        weighted=weighted_words(imported.weighted, imported.source.cost) if imported and imported.weighted else "",
        is_timed=views.is_timed,
        images=method.images(study.environment, study.config.data),
        starts=method.starts(study),
        places=method.places(study),
        execution={**study.execution, "convolutions": method.convolutions(study.execution)},
        reload_seconds=LIVE_SECONDS,
    )


def _noted(note: str) -> tuple[str, str]:
    """A note's first sentence and its rest, which a page folds; a short note is its first part alone."""
    return _parted(note.strip(), LONGEST_NOTE_SHOWN)


def _parted(text: str, longest: int) -> tuple[str, str]:
    """The first sentence of a text and its rest; a text that is not longer is its first part whole."""
    parts = re.split(r"(?<=[.!?])\s+", text, maxsplit=1) if len(text) > longest else [text]
    return parts[0], parts[1] if len(parts) > 1 else ""


def render(template: str, scripts: Sequence[str], *, styles: Sequence[str] = ("page",), **values: Any) -> str:
    """Render one of the package's templates with these of its scripts and styles, and the functions of every page."""
    style = Markup(palette_css() + "".join(_asset(f"{name}.css") for name in styles))  # noqa: S704 - our own files
    script = Markup(_typeset_rules() + "".join(_asset(f"{name}.js") for name in scripts))  # noqa: S704 - program text
    values |= {"wording": wording, "paint": paint, "style": style, "script": script, "policy": _policy(script)}
    values |= {"word": word, "words_explained": [(name, meaning_of(name)) for name in MEANINGS]}
    return _templates().get_template(template).render(display=display_setting, **values)


def _typeset_rules() -> str:
    """The rules by which scripts set their text: those of the text that is set here."""
    rules = ", ".join(f"{name}: /{pattern}/g" for name, pattern in wording.typeset_rules().items())
    return f"const typesetRules = {{ {rules} }};\n"


@lru_cache(maxsize=1)
def _templates() -> Environment:
    """The package's templates; each is compiled once, since that takes longer than rendering it."""
    found = Environment(
        loader=PackageLoader("explorer.report"),
        autoescape=select_autoescape(["html", "j2"]),
        undefined=StrictUndefined,
        finalize=lambda value: wording.visible(value) if isinstance(value, str) else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"explained": explained, "typeset": typeset_markup}
    return found


def _policy(script: str) -> str:
    """A content security policy: allows this script by hash and the scripts it unpacks, and no request at all."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}' blob:; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _pairs(finding: Finding) -> list[tuple[int, str, str, str]]:
    """For each seed of the contrast, as text: both errors, or the statuses of failed runs, and how much less it is."""
    found = finding.comparison
    if found is None:
        return []
    by_name = {one.setting: one for one in finding.summaries}
    first, second = by_name[found.setting], by_name[found.against]
    shared = sorted(set(first.errors) & set(second.errors))
    apart = {seed: wording.less(value) for seed, value in found.differences.items()}
    return [(seed, seed_words(first, seed), seed_words(second, seed), apart.get(seed, "-")) for seed in shared]


def _check_rows(finding: Finding) -> list[CheckRow]:
    """The robustness checks that were made, below the declared contrast; empty if none was."""
    found = finding.robustness
    return check_rows(finding, found) if found is not None and found.is_begun else []


def _drawn_as(figure: Figure) -> Markup:
    """The further class and the style of the place of a figure."""
    if isinstance(figure, Rows):
        return Markup(" rowed")
    if isinstance(figure, Parallel):
        return Markup(" across")
    if isinstance(figure, Panel) and figure.height != Panel.height:
        return Markup('" style="height:{}px').format(figure.height)
    return Markup("")


def _rivals(finding: Finding) -> list[tuple[Rivals, str]]:
    """The compared pairs of spaces, each with its caveats: runs that failed, designs that learned nothing."""
    found = finding.populations.rivals if finding.populations else []
    return [(one, f"{spaces_learned(one)} {spaces_failed(one, finding.failures)}".strip()) for one in found]


def _is_overlaid(figures: dict[str, Figure]) -> bool:
    """Whether the ResNeXt paper's numbers can be drawn over the key figure."""
    key = figures.get("cardinality")
    return isinstance(key, Panel) and any(mark.optional for mark in key.marks)


def _checks(finding: Finding) -> list[tuple[str, str]]:
    """Further statistics of the contrast for a reviewer, as pairs of label and text."""
    found, words = finding.comparison, wording

    def points_apart(one: Estimate) -> str:
        return words.less_interval(one.low, one.high) + (" points less" if one.has_interval else "")

    if found is None or found.difference.n < 2:
        return []
    rows = [
        (
            f"{words.share(1 - 2 * found.alpha)} t interval, for equivalence",
            points_apart(found.narrow),
        ),
        ("Effect size, mean over standard deviation of the differences (d_z)", words.number(found.effect)),
        ("Welch's test, as if seeds had not been paired", words.p_value(found.welch_p)),
    ]
    if correlated := _correlation_words(found.correlation):
        rows.append(("Correlation of the two errors over seeds, which pairing makes use of", correlated))
    if found.flip_p is not None:
        rows.append(("Exact sign-flip test", words.p_value(found.flip_p)))
    if finding.with_images is not None:
        both = finding.with_images
        rows.append(
            (
                f"{words.share(1 - found.alpha)} interval over other seeds and other test images (crossed effects)",
                points_apart(both),
            )
        )
    if finding.own_images:
        label = "Interval over other seeds and other test images"
        rows.append((label, "that over seeds: each has a split, and so test images, of its own"))
    where = ("On the set's own test part alone", "On the images left over from its training part alone")
    for label, one in zip(where, finding.by_part or (), strict=False):
        rows.append((label, f"{words.less(one.mean)} ({points_apart(one)})"))
    if (chances := found.beyond_margin) is not None:
        margin, name = f"{100 * (found.margin or 0):.2f} points", display_setting(found.setting)
        label = f"Probability that {name} is better by more than {margin}, within {margin}, worse by more than {margin}"
        words_of = [f"{chance:.0%}" if 0.005 <= chance <= 0.995 else f"{chance:.2%}" for chance in chances]
        rows.append((f"{label}, if all differences were equally likely beforehand", ", ".join(words_of)))
    if found.needed is not None and found.verdict == "inconclusive":
        power = f"Pairs that find {100 * (found.margin or 0):.2f} points with 80 % power"
        rows.append((f"{power}, at the upper 80 % limit of the standard deviation", pairs_in_words(found.needed)))
    return rows


def _correlation_words(found: Estimate) -> str:
    """A correlation with its interval; "" where it has none, since it then says nothing."""
    if not found.has_interval:
        return ""
    return f"{wording.number(found.mean)} (95 % interval {wording.number(found.low)} to {wording.number(found.high)})"


def _front_rows(finding: Finding) -> list[tuple[SettingSummary, str, float]]:
    """The designs on the front, the cheapest first: each with its cost as text, and how surely it is on the front."""
    found = finding.front
    if found is None:
        return []
    by_name = {one.setting: one for one in finding.summaries}
    order = [place for place in found.costs.argsort(kind="stable") if found.ahead[place]]
    return [
        (by_name[found.settings[place]], wording.cost(found.cost, found.costs[place]), float(found.sure[place]))
        for place in order
    ]


def _asset(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")
