"""Writes the page of `explorer pool`: a forest plot of one contrast over data sets, which needs no script."""

import math
from dataclasses import asdict
from pathlib import Path

from explorer.analysis.pooled_studies import (
    PooledStudies,
    pooled_sentence,
    prediction_sentence,
    published_by_data,
)
from explorer.host.files import write_whole
from explorer.host.formatting import less, less_interval, plain
from explorer.report.forest import Forest, ForestRow, forest_svg
from explorer.report.page import RECORDED, home_of, render


def write_pool_page(pool: PooledStudies, path: Path) -> None:
    """Write the page; the file is replaced atomically."""
    home = home_of([part.name for part in pool.parts], path.parent)
    page = render(
        "pool.html.j2",
        ("theme", "words"),
        home=home,
        home_words="Recorded studies" if home == RECORDED else "All studies",
        title=path.name.removesuffix(".html"),
        pool=pool,
        question=f"Over {len(pool.parts)} data sets, does {pool.setting} have a lower test error than {pool.against}?",
        verdict=pooled_sentence(pool),
        mood=mood_of(pool),
        picture=forest_svg(pool_forest(pool)),
        prediction=prediction_sentence(pool.found),
        pages={part.name: (path.parent / f"{part.name}.html").exists() for part in pool.parts},
        recipes=recipe_differences(pool),
    )
    write_whole(path, page)


def mood_of(pool: PooledStudies) -> str:
    """The colour class: "yes" if the mean's interval lies below zero, "no" if above, else "open"."""
    mean = pool.found.mean
    return "yes" if mean.high < 0 else "no" if mean.low > 0 else "open"


def pool_forest(pool: PooledStudies) -> Forest:
    """One row for each study, the mean as a diamond, the prediction interval, and published runs as hollow marks."""
    heaviest, found = max(part.weight for part in pool.parts), pool.found
    rows = [
        ForestRow(
            f"{part.label}, n = {part.gap.n}",
            -100 * part.gap.mean,
            -100 * part.gap.high,
            -100 * part.gap.low,
            _numbers(part.gap.mean, part.gap.low, part.gap.high),
            heavy=part.weight / heaviest,
        )
        for part in pool.parts
    ]
    mean = found.mean
    words = _numbers(mean.mean, mean.low, mean.high)
    rows.append(
        ForestRow(
            "Mean over data sets", -100 * mean.mean, -100 * mean.high, -100 * mean.low, words, "diamond", strong=True
        )
    )
    if math.isfinite(found.low):
        words = less_interval(found.low, found.high)
        rows.append(ForestRow("A further data set", math.nan, -100 * found.high, -100 * found.low, words, "span"))
    for label, pairs in published_by_data(pool).items():
        first, *more = sorted(-100 * pair.gap for pair in pairs)
        words = f"{less(-first / 100)}{f' to {less(-more[-1] / 100)}, {len(pairs)} runs' if more else ''}"
        rows.append(ForestRow(f"{label}, published", first, words=words, kind="hollow", more=more))
    title = f"Points of test error less than {pool.against}, on each data set and on the mean"
    return Forest(
        title, rows, f"Points of test error less than {pool.against}", heads=("Data", "Points less, 95 % interval")
    )


def _numbers(mean: float, low: float, high: float) -> str:
    return f"{less(mean)} ({less_interval(low, high)})"


def recipe_differences(pool: PooledStudies) -> list[tuple[str, list[str]]]:
    """The keys of the recipe in which the studies differ, each with its value in every study."""
    recipes = [asdict(part.study.config.recipe) for part in pool.parts]
    return [
        (key, [plain(recipe[key]) for recipe in recipes])
        for key in recipes[0]
        if any(recipe[key] != recipes[0][key] for recipe in recipes)
    ]
