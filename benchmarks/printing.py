"""Print the results of benchmarks on the terminal."""

from collections.abc import Sequence

import numpy as np
from rich.console import Console

from benchmarks.equivalence import Equivalence
from benchmarks.replay_curves import Replay
from benchmarks.results import Choices, CostSpeed, Large, PageSpeed, Scale, ScanSpeed
from explorer.analysis.caveats import failed_words, learned_words
from explorer.analysis.intervals import Estimate
from explorer.analysis.ranks import REDRAWN, Agreement
from explorer.host import formatting as wording
from explorer.host.console import say
from explorer.host.tables import Cell, print_rows
from explorer.study.settings import StudyConfig
from explorer.training.results import Figure
from explorer.verbs.benchmark import print_figures


def print_speeds(found: list[CostSpeed], console: Console) -> None:
    """Print the designs costed per second by each method, and the ratio to fvcore."""
    title = "Designs costed per second"
    columns = ["method", "designs", "seconds", "per second", "x fvcore", "disagree"]
    slowest = found[-1].per_second
    rows: list[Sequence[Cell]] = [
        (
            speed.method,
            f"{speed.designs:,}",
            f"{speed.seconds:.2f}",
            f"{speed.per_second:,.0f}" if speed.per_second >= 100 else f"{speed.per_second:.1f}",
            f"{speed.per_second / slowest:,.0f}",
            str(speed.disagreements),
        )
        for speed in found
    ]
    print_rows(console, title, columns, rows)
    say(
        console,
        "Random ResNeXts of 11 to 56 layers at 32 pixels; the later methods cost the first of the same designs. "
        "Disagree: with the first line, in parameters, multiply-adds or activations.",
    )


def print_scan(found: ScanSpeed, console: Console) -> None:
    """Print time and memory of scanning a space for designs within a budget."""
    say(
        console,
        f"Scan: {found.points:,} points, {found.feasible:,} meet {found.budget}; {found.seconds:.2f} s, "
        f"{found.points / found.seconds:,.0f} points per second on one core, {found.peak_bytes / 2**20:.0f} MiB.",
    )


def print_accuracy(found: Equivalence, fast: str, plain: str, console: Console) -> None:
    """Print whether the fast execution trains networks as accurate as the plain one does."""
    difference, margin = found.difference, wording.percent(found.margin)
    told = wording.interval_points(difference.low, difference.high)
    if difference.n > 1 and not difference.has_interval:
        told = "the same in each"
    pairs = wording.counted(difference.n, "pair")
    figure = Figure(
        f"test error of {fast} minus {plain}: 90 % interval within {margin[:-2]} points of zero",
        f"{found.verdict}: {wording.points(difference.mean)} points, {told}, n = {pairs}",
        None if found.verdict == "inconclusive" else found.verdict == "equivalent",
    )
    print_figures([figure], console)
    for words in (learned_words(found.paired, (fast, plain)), failed_words(found.paired, (fast, plain))):
        if words:
            say(console, words)


def _length(study: StudyConfig) -> str:
    """How long a study trains, in epochs or in steps."""
    epochs, steps = study.recipe.epochs, study.recipe.steps
    return f"{epochs} epochs" if epochs is not None else f"{steps:,} steps"


def print_ranks(
    found: Agreement, studies: tuple[StudyConfig, StudyConfig], console: Console, *, same_images: bool
) -> None:
    """Print whether brief training ranks settings as long training does."""
    short, long = studies
    spread = f"{REDRAWN} {found.low:.2f} to {found.high:.2f}"
    if not found.was_redrawn:
        spread = "and no range of redrawn seeds, which takes two of each setting in both studies"
    say(
        console,
        f"{short.name} ({_length(short)}) against {long.name} ({_length(long)}): Kendall's tau "
        f"{found.tau:.2f} over {found.settings} settings, {spread}. 1: the same order; 0: no relation.",
    )
    if not same_images:
        say(console, f"Other images of {long.data.label} in the two: what they differ by is not the epochs alone.")
    if found.left_out:
        say(console, f"Left out, since a run of theirs diverged or ran out of memory: {found.left_out} settings.")


def print_replay(found: Replay, margin: float, console: Console) -> None:
    """Print the regrets of searches that were replayed in a recorded study."""
    curves, draws = found.curves, len(found.regrets[found.base])
    title = (
        f"{draws} searches of each kind replayed among {len(curves.names)} designs of {curves.errors.shape[1]} epochs, "
        f"each for {found.share:.0%} of the epochs of all"
    )
    columns = [
        "search",
        "designs begun",
        "median regret",
        "90 % below",
        f"within {100 * margin:g}",
        f"mean less {found.base}",
        "95 % of draws",
    ]
    rows: list[Sequence[Cell]] = []
    for kind, regrets in found.regrets.items():
        mean, low, high = found.difference(kind)
        rows.append(
            (
                kind,
                f"{found.trained[kind]:.1f}",
                wording.points(float(np.median(regrets))),
                wording.points(float(np.percentile(regrets, 90))),
                f"{100 * found.within(kind, margin):.0f} %",
                wording.points(mean),
                wording.interval_points(low, high),
            )
        )
    print_rows(console, title, columns, rows)
    taus = ", ".join(f"{curves.tau(rung):.2f} after {rung}" for rung in found.rungs)
    judged = (
        "Regret: points of test error by which the design that validation errors chose lies above the lowest there was."
        if curves.test is not None
        else "Regret: points of validation error above the best design there was. The searches chose by these same "
        "errors, so that regrets are too small and tell no kind of search from another."
    )
    say(
        console,
        f"{judged} Linear fit: random designs for all epochs but those of two, then the two for which depth, log2 "
        "width and log2 D predict the lowest errors. Draws share their runs, so they are no sample of studies. "
        f"Kendall's tau of errors with the last ones: {taus} epochs.",
    )
    figures = []
    for kind in [kind for kind in found.regrets if "halving" in kind]:
        median = float(np.median(found.regrets[kind]))
        on = "test" if curves.test is not None else "validation"
        what = f"{kind}: median regret on {on} images at {found.share:.0%} of the epochs within "
        what += f"{100 * margin:.2f} points"
        figures.append(Figure(what, wording.points(median), median <= margin))
    print_figures(figures, console)


def print_pages(found: list[PageSpeed], console: Console) -> None:
    """Print size, drawing time and loading time of pages."""
    title = "Pages of synthetic studies"
    columns = ["runs", "epochs of each", "size", "drawn in", "peak memory", "first view", "interactive"]
    rows: list[Sequence[Cell]] = [
        (
            f"{speed.runs:,}",
            f"{speed.epochs:,}",
            f"{speed.size / 1e6:.2f} MB",
            f"{speed.seconds:.2f} s",
            "-" if speed.memory is None else f"{speed.memory / 2**20:,.0f} MiB",
            "-" if speed.first is None else f"{speed.first:.2f} s",
            "-" if speed.interactive is None else f"{speed.interactive:.2f} s",
        )
        for speed in found
    ]
    print_rows(console, title, columns, rows)
    say(
        console,
        "Drawn: of a record in memory, already judged. Peak memory: of the process that makes the study and draws it. "
        "First view: verdict, key figure and the table's first row painted. Interactive: all figures live. Both from "
        "navigation, in Chromium, the file on disk, median of the loads.",
    )


def print_scale(found: list[Scale], console: Console) -> None:
    """Print how busy slots were kept, and the coordinator's cost."""
    how = "real" if found[0].is_real else "simulated"
    title = f"Runs that only take time, {how} clock, sampler {found[0].sampler}, lengths +-{found[0].spread:.0%}"
    columns = [
        "slots",
        "run",
        "runs",
        "slots in use",
        "with the tail",
        "ramp",
        "tail",
        "wait",
        "longest wait",
        "runs/s",
    ]
    rows: list[Sequence[Cell]] = [
        (
            f"{one.slots:,}",
            f"{one.run_seconds:g} s",
            f"{one.runs:,}",
            f"{one.usage.utilisation:.2%}",
            f"{one.usage.with_tail:.2%}",
            f"{one.usage.ramp:.2f} s",
            f"{one.usage.tail:.1f} s",
            f"{1000 * one.usage.wait:.1f} ms",
            f"{1000 * one.usage.longest_wait:,.0f} ms",
            f"{one.runs / one.usage.seconds:,.1f}",
        )
        for one in found
    ]
    print_rows(console, title, columns, rows)
    parts = list(found[0].parts)
    title = "What the coordinator cost, for each run: milliseconds of the processor, and in brackets those that passed"
    columns = ["slots", "run", "in all", *parts, "record", "memory by quarters of the runs", "memory per run"]
    rows = [
        (
            f"{one.slots:,}",
            f"{one.run_seconds:g} s",
            f"{1000 * one.processor:.2f}",
            *(f"{1000 * own:.2f} ({1000 * passed:.2f})" for own, passed in (one.parts[part] for part in parts)),
            f"{one.record:,.0f} bytes",
            f"{', '.join(f'{size / 2**20:,.0f}' for size in one.memory)} MiB",
            f"{one.bytes_per_run / 2**10:.1f} KiB",
        )
        for one in found
    ]
    print_rows(console, title, columns, rows)
    say(
        console,
        "Slots in use: slot-seconds of runs over slots times the time from the first submission to the last; with the "
        "tail: until the last run has ended. Wait: of a slot, from the end of a run to the next. In all: every thread, "
        "the start included. Receive: the engine's own, waiting included. Memory per run: by which the process grew "
        "with each of the second half of the runs.",
    )


def print_choices(found: list[Choices], console: Console) -> None:
    """Print how long samplers take for a choice, and how many runs they can supply."""
    lengths = {"1 min": 60, "10 min": 600, "1 h": 3600, "8 h": 28800}
    title = "Choices of one design among 100,000"
    columns = [
        "sampler",
        "results known",
        "median",
        "longest",
        "choices/s",
        *(f"slots, runs of {name}" for name in lengths),
    ]
    rows: list[Sequence[Cell]] = [
        (
            one.sampler,
            f"{one.told:,}",
            f"{1000 * one.seconds:,.1f} ms",
            f"{1000 * one.longest:,.1f} ms",
            f"{1 / one.seconds:,.2f}",
            *(f"{length / one.seconds:,.0f}" for length in lengths.values()),
        )
        for one in found
    ]
    print_rows(console, title, columns, rows)
    say(
        console,
        "Slots: length of a run over the time of a choice, the most that a sampler alone could keep busy with one "
        "seed for each design. A level after choices of more than 5 s is not measured.",
    )


def print_large(found: list[Large], console: Console) -> None:
    """Print time and memory of working with large studies."""
    title = "Large studies"
    columns = ["study", "runs", "what", "seconds", "peak memory"]
    rows: list[Sequence[Cell]] = []
    for one in found:
        memory = "-" if one.memory is None else f"{one.memory / 2**20:,.0f} MiB"
        rows.append((one.kind, f"{one.runs:,}", one.what, f"{one.seconds:,.1f}", memory))
    print_rows(console, title, columns, rows)


def print_parts(costs: dict[str, float], gains: dict[str, tuple[float, Estimate]], console: Console) -> None:
    """Print what each part of a recipe costs and gives, beside the plain recipe."""
    rows: list[Sequence[Cell]] = []
    for name, ratio in costs.items():
        row = [name, f"{ratio:.2f}"]
        if name in gains:
            error, apart = gains[name]
            interval = wording.interval_points(apart.low, apart.high) if apart.has_interval else "-"
            row += [wording.percent(error), f"{100 * apart.mean:+.2f}", interval]
        rows.append(row)
    columns = ["part", "time of a step"]
    columns += ["test error", "points above plain", "95 % interval"] if gains else []
    print_rows(console, "Parts of a recipe, each added alone to one cycle of SGD with shift and flip", columns, rows)
    if gains:
        n = next(iter(gains.values()))[1].n
        say(
            console, f"n = {n} paired seeds; {len(gains) - 1} parts are compared, so single intervals are not findings."
        )
