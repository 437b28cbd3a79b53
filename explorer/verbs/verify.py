"""`explorer verify`: check the counts of a design by several referees, and that its three forms compute the same."""

from dataclasses import asdict

from rich.console import Console
from rich.markup import escape

from explorer.host.errors import StudyStoppedError
from explorer.host.formatting import FORM_NAMES
from explorer.report.terminal import plain_table
from explorer.study.settings import VerifyConfig
from explorer.training.results import ALLOWED, Distances, Verification
from explorer.verbs.export import _design, _tell_namesake
from explorer.verbs.result import Result


def print_verification(found: Verification, console: Console) -> None:
    """Print the counts by every referee, then the forms side by side."""
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
    """The fields of `Distances` with their column titles."""
    return {
        "outputs": "outputs",
        "gradients": "gradients",
        "trained": f"after {steps} steps",
        "evaluated": "then outputs",
    }


def _shown(apart: Distances) -> list[str]:
    return [f"{distance:.0e}" if distance else "0" for distance in asdict(apart).values()]


def carry_out(config: VerifyConfig, console: Console) -> Result:
    """`explorer verify`: compare the cost of a design by every referee, and its three forms side by side."""
    # Memory for three forms in float64 with gradients, momentum and copies of their weights.
    architecture, task = _design(config, bytes_per_weight=100)
    from explorer.training.device import resolve
    from explorer.training.network.verify import verify

    found = verify(
        architecture,
        task,
        device=resolve(config.device),
        batch_size=config.batch_size,
        repeats=config.repeats,
        seed=config.seed,
    )
    _tell_namesake(config, console)
    print_verification(found, console)
    result = Result(lambda: asdict(found) | {"agrees": found.agrees, "vague": found.vague})
    if not found.agrees:
        words = f"{found.name}: the referees or the forms disagree; this is a defect of the program"
        raise StudyStoppedError(words, result.data)
    return result
