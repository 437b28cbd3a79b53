"""One study's page: a single file that opens from disk with the network off."""

import base64
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from explorer import wording
from explorer.analysis.finding import Finding
from explorer.analysis.front import Front
from explorer.analysis.front import front as front_of
from explorer.analysis.sentences import course_sentence, fair_sentence, sentence, trend_sentence
from explorer.design.budget import AXES
from explorer.design.name import display_setting
from explorer.planning import task_of
from explorer.records import Record
from explorer.report.cards import card
from explorer.report.figures import (
    MOST_LINES,
    cardinality_numbers,
    cardinality_panel,
    course_panel,
    curve_numbers,
    curves_panel,
    distribution_numbers,
    distribution_panel,
    front_panel,
    pairs_panel,
    time_panel,
)
from explorer.report.pack import packed_json, packed_plotly
from explorer.report.panel import Panel
from explorer.report.plot import plot
from explorer.report.svg import svg
from explorer.run import Convolution
from explorer.settings import BudgetConfig, StudyConfig
from explorer.table import write_whole

SCRIPTS = ("core", "cards", "views", "table")
LEAST_ON_FRONT = 3  # designs, below which a front says nothing
FEW_RUNS = 2000  # up to which all epochs of all curves are carried; of more, so many:
THINNED = 25
MOST_CURVES = 12  # settings whose training is drawn, those with the lowest error


@dataclass(frozen=True)
class Study:
    """Everything a page is made of; `environment` and `execution` are the JSON files of the study's folder."""

    config: StudyConfig
    record: Record
    finding: Finding
    environment: dict[str, Any]
    execution: dict[str, Any]


def write_page(study: Study, path: Path) -> None:
    """Write the page of a study; the file is replaced whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, render_page(study))


def render_page(study: Study) -> str:
    """The page as HTML. Text from settings and data is escaped everywhere; nothing is loaded from elsewhere."""
    scripts = [Markup("".join(_asset(f"{name}.js") for name in SCRIPTS))]  # noqa: S704 - program text, not input
    panels = panels_of(study)
    plotly, notice = packed_plotly()
    return render(
        "study.html.j2",
        study=study,
        title=study.config.name,
        verdict=sentence(study.finding),
        mood=_mood(study.finding),
        rows=_rows(study.finding),
        comparison=study.finding.comparison,
        populations=study.finding.populations,
        front=_front_rows(study.finding),
        timed="latency" in study.config.search.objectives,
        checks=_checks(study.finding),
        trend=trend_sentence(study.finding.trend) if study.finding.trend else "",
        curves=MOST_CURVES,
        fair=fair_sentence(study.finding),
        course=study.finding.course,
        against_chance=course_sentence(study.finding),
        looks=", ".join(map(str, study.config.search.looks)),
        panels=panels,
        crowded=len(cardinality_numbers(study.finding)) > MOST_LINES,
        costs={name: wording.COST_NAMES[name[5:]] for name in panels if name.startswith("cost-")},
        stills={name: svg(panel) for name, panel in panels.items()},
        data=packed_json(_data(study, panels)),
        plotly=plotly,
        notice=notice,
        error_name=wording.ERROR_NAMES[study.finding.measure].capitalize(),
        budget=budget_words(study.config.budget),
        recipe=asdict(study.config.recipe),
        failures=_failures(study.record),
        images=_images(study.environment),
        execution={**study.execution, "convolutions": _convolutions(study.execution)},
        scripts=scripts,
        policy=policy(scripts),
    )


def render(template: str, **values: Any) -> str:
    """Fill in one of the package's templates, with what every page needs."""
    environment = Environment(
        loader=PackageLoader("explorer.report"),
        autoescape=select_autoescape(["html", "j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = Markup(_asset("page.css"))  # noqa: S704 - our own file
    return environment.get_template(template).render(wording=wording, style=style, display=_display, **values)


def policy(scripts: list[Markup]) -> str:
    """A content policy that allows these scripts by hash, what they unpack, and no request to anywhere."""
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join([*(f"'sha256-{digest}'" for digest in digests), "blob:"]) if digests else "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def budget_words(budget: BudgetConfig) -> str:
    """What is held equal, for people: `equal parameters within 5.0 %`; empty without a budget."""
    held = [
        f"{words} within {wording.percent(limit.tolerance, 1)}"
        for axis, words in AXES.items()
        if (limit := getattr(budget, axis)) is not None
    ]
    tight = ", widths solved stage by stage" if budget.match == "tight" else ""
    return f"equal {' and '.join(held)}{tight}" if held else ""


def panels_of(study: Study) -> dict[str, Panel]:
    """The figures of a page by name, the first one the key figure."""
    found, panels = study.finding, {}
    error = f"{wording.ERROR_NAMES[found.measure].capitalize()} (%)"
    if found.front is not None:
        panels["front"] = front_panel(found.front, error)
    elif found.populations is None:
        panels["cardinality"] = cardinality_panel(cardinality_numbers(found), error)
    else:
        panels["distribution"] = distribution_panel(distribution_numbers(found.populations), error)
    for each in _fronts(study):
        panels[f"cost-{each.cost}"] = front_panel(each, error)
    if found.course is not None:
        panels["course"] = course_panel(found.course)
    if found.comparison is not None and found.comparison.differences:
        panels["pairs"] = pairs_panel(found.comparison)
    ranked = sorted(found.summaries, key=lambda summary: summary.estimate.mean)
    drawn = {summary.setting for summary in ranked[:MOST_CURVES]}
    names = [summary.setting for summary in found.summaries if summary.setting in drawn]
    curves = curve_numbers(study.record.epochs, study.record.runs)
    panels["curves"] = curves_panel([curve for name in names for curve in curves.get(name, [])])
    panels["time"] = time_panel(study.record.runs)
    return {name: panel for name, panel in panels.items() if panel.marks and any(len(mark.x) for mark in panel.marks)}


def _data(study: Study, panels: dict[str, Panel]) -> dict[str, Any]:
    """What the page's scripts read."""
    task = task_of(study.config)
    return {
        "figures": {name: json.loads(plot(panel).to_json()) for name, panel in panels.items()},
        "curves": _curves(study),
        "designs": {one.setting: card(one, task, study.config.name) for one in study.finding.summaries},
        "error": wording.ERROR_NAMES[study.finding.measure].capitalize(),
    }


def _curves(study: Study) -> dict[str, dict[str, list[float | None]]]:
    """The curves of every design, for those that are picked: hundredths of a percent, thinned where there are many."""
    runs = len(study.record.runs)
    most = None if runs <= FEW_RUNS else THINNED
    found = curve_numbers(study.record.epochs, study.record.runs, most)
    return {
        name: {
            "epochs": [*validation.epochs],
            "val": _rounded(validation.mean),
            "low": _rounded(validation.low),
            "high": _rounded(validation.high),
            "train": _rounded(training.mean),
        }
        for name, (validation, training) in found.items()
    }


def _rounded(values: list[float]) -> list[float | None]:
    return [None if value != value else round(value, 2) for value in values]


def _fronts(study: Study) -> list[Front]:
    """Error against each cost in which the designs differ, but for the one the key figure shows."""
    found, runs = study.finding, study.record.runs
    if len(found.summaries) < LEAST_ON_FRONT:
        return []
    images = int(study.environment["images"][1 if found.measure == "val_error" else 2])
    chance = float(1 - 1 / runs["classes"].max())
    timed = ["latency"] if "latency" in study.config.search.objectives else []
    axes = [axis for axis in (*AXES, *timed) if found.front is None or axis != found.front.cost]
    differ = [axis for axis in axes if len({getattr(one, axis) for one in found.summaries}) > 1]
    return [one for axis in differ if (one := front_of(found.summaries, axis, images, chance)) is not None]


def _rows(finding: Finding) -> list[dict[str, Any]]:
    return [{**asdict(summary), "name": _display(summary.setting)} for summary in finding.summaries]


def _checks(finding: Finding) -> list[tuple[str, str]]:
    """What a reviewer asks of the contrast beside its verdict."""
    found, words = finding.comparison, wording
    if found is None or found.difference.n < 2:
        return []
    rows = [
        (
            f"{words.share(1 - 2 * found.alpha)} t interval, for equivalence",
            words.interval_points(found.narrow.low, found.narrow.high) + " points",
        ),
        ("Effect size, mean over standard deviation of the differences (d_z)", words.number(found.effect)),
        ("Correlation of the two errors over seeds, which pairing makes use of", words.number(found.correlation)),
        ("Welch's test, as if seeds had not been paired", words.p_value(found.welch_p)),
    ]
    if found.flip_p is not None:
        rows.append(("Exact sign-flip test", words.p_value(found.flip_p)))
    if finding.with_images is not None:
        both = finding.with_images
        rows.append(
            (
                "95 % interval over other seeds and other test images (bootstrap)",
                words.interval_points(both.low, both.high) + " points",
            )
        )
    if found.needed is not None and found.verdict == "inconclusive":
        power = f"Pairs that find {100 * (found.margin or 0):.2f} points with 80 % power"
        rows.append((f"{power}, at the upper 80 % limit of the standard deviation", f"{found.needed:,}"))
    return rows


def _front_rows(finding: Finding) -> list[dict[str, Any]]:
    """The designs on the front, the cheapest first."""
    found = finding.front
    if found is None:
        return []
    ahead = [place for place in range(len(found.settings)) if found.ahead[place]]
    return [
        {
            "setting": found.settings[place],
            "cost": wording.cost(found.cost, found.costs[place]),
            "error": float(found.errors[place]),
        }
        | {"sure": float(found.sure[place])}
        for place in sorted(ahead, key=lambda place: found.costs[place])
    ]


def _failures(record: Record) -> list[tuple[str, int]]:
    counts = record.runs["status"].value_counts()  # what a search stopped came through as far as it should
    return [(str(status), int(number)) for status, number in counts.items() if status not in ("ok", "pruned")]


def _images(environment: dict[str, Any]) -> str:
    """How many images each part has, and how many could not be used."""
    parts = zip(environment["images"], ("to train", "to validate", "to test"), strict=True)
    words = ", ".join(f"{count:,} {what}" for count, what in parts)
    skipped = environment.get("skipped", [])
    return f"{words}; {len(skipped):,} left out as unusable" if skipped else words


def _convolutions(execution: dict[str, Any]) -> str:
    """Which grouped convolutions are executed otherwise than they are: `128>128_k3_s1_g32_32px as 16 groups`."""
    choices = [Convolution(**choice) for choice in execution.get("convolutions", [])]
    changed = [
        choice.told(-1) for choice in choices if f"_g{choice.groups}_" not in choice.layer or choice.layout != "same"
    ]
    return "; ".join(changed) or "as they are"


def _mood(finding: Finding) -> str:
    """How the verdict is coloured."""
    judged = finding.populations.rivals[:1] if finding.populations else [finding.comparison]
    verdict = judged[0].verdict if judged and judged[0] and finding.complete else "inconclusive"
    return {"beats": "yes", "loses to": "no", "equivalent": "open", "inconclusive": "open"}[verdict]


def _display(setting: str) -> str:
    return display_setting(setting)


def _asset(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")
