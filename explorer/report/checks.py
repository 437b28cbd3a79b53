"""What the verbs on designs found out, on the terminal."""

from dataclasses import asdict

from rich.console import Console
from rich.markup import escape

from explorer.checks import ALLOWED, CostSpeed, Distances, Exported, ScanSpeed, Verification
from explorer.report.terminal import plain_table
from explorer.wording import FORM_NAMES


def print_verification(found: Verification, console: Console) -> None:
    """Counts by every referee, then the forms side by side."""
    table = plain_table(f"{found.name}: counted for one image", "by", "params", "MACs", "activations")
    for referee in found.referees:
        activations = "-" if referee.activations is None else f"{referee.activations:,}"
        table.add_row(referee.name, f"{referee.params:,}", f"{referee.macs:,}", activations)
    console.print(table)
    if found.no_forms:
        console.print(escape(f"One form only: {found.no_forms}."), highlight=False)
    else:
        _print_forms(found, console)
    console.print("All agree." if found.agrees else "They do NOT agree.", style="bold", highlight=False)


def _print_forms(found: Verification, console: Console) -> None:
    title = "The same function in three forms: difference to (c) in float64, time of a batch in float32"
    columns = ("params", "MACs", *_columns(found.steps).values(), "forward", "backward")
    table = plain_table(title, "form", *columns)
    for form in found.forms:
        times = (f"{seconds * 1000:.0f} ms" for seconds in (form.forward, form.backward))
        table.add_row(FORM_NAMES[form.form], f"{form.params:,}", f"{form.macs:,}", *_shown(form.apart), *times)
    assert found.rounding is not None
    table.add_row("(c), each weight rounded", "", "", *_shown(found.rounding), "", "")
    console.print(table)
    console.print(
        "Difference: the largest, over the largest value. Gradients: of all weights and of the images. Steps: SGD with "
        "momentum and weight decay, after which weights and running statistics are compared. Rounded: (c) from weights "
        f"one unit in the last place apart; forms may differ by {ALLOWED} times as much. Time: median, batch of "
        f"{found.batch_size}, {found.device}. Parameters and MACs are equal; time is not.",
        highlight=False,
    )
    if found.vague:
        console.print(
            f"In this network rounding alone grows so large that it might hide a difference in: "
            f"{', '.join(_columns(found.steps)[kind] for kind in found.vague)}.",
            highlight=False,
        )


def _columns(steps: int) -> dict[str, str]:
    """The kinds of `Distances`, for people."""
    return {
        "outputs": "outputs",
        "gradients": "gradients",
        "trained": f"after {steps} steps",
        "evaluated": "then outputs",
    }


def _shown(apart: Distances) -> list[str]:
    return [f"{distance:.0e}" if distance else "0" for distance in asdict(apart).values()]


def print_speeds(found: list[CostSpeed], console: Console) -> None:
    """Designs costed per second by each method, and how many times as many as fvcore."""
    table = plain_table(
        "Designs costed per second", "method", "designs", "seconds", "per second", "x fvcore", "disagree"
    )
    slowest = found[-1].per_second
    for speed in found:
        table.add_row(
            speed.method,
            f"{speed.designs:,}",
            f"{speed.seconds:.2f}",
            f"{speed.per_second:,.0f}" if speed.per_second >= 100 else f"{speed.per_second:.1f}",
            f"{speed.per_second / slowest:,.0f}",
            str(speed.disagreements),
        )
    console.print(table)
    console.print(
        "Random ResNeXts of 11 to 56 layers at 32 pixels; the later methods cost the first of the same designs. "
        "Disagree: with the first line, in parameters, multiply-adds or activations.",
        highlight=False,
    )


def print_scan(found: ScanSpeed, console: Console) -> None:
    """A space held to a budget: time and memory."""
    console.print(
        f"Scan: {found.points:,} points, {found.feasible:,} meet {found.budget}; {found.seconds:.2f} s, "
        f"{found.points / found.seconds:,.0f} points per second on one core, {found.peak_bytes / 2**20:.0f} MiB.",
        highlight=False,
    )


def print_exported(found: Exported, console: Console) -> None:
    """The files written."""
    for path in found.files:
        console.print(f"Wrote {path}", markup=False, highlight=False, soft_wrap=True)
    if not found.trained:
        console.print(
            "No trained weights: keep them with storage.weights=last and name one of studies/<name>/local/weights/ "
            "with weights=...",
            highlight=False,
        )
    if found.onnx_difference is not None:
        console.print(f"ONNX against torch: largest difference {found.onnx_difference:.1e}", highlight=False)
