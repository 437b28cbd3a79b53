"""`explorer verify`: check the counts of a design by several referees, and that its three forms compute the same."""

from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console

from explorer.host.console import say
from explorer.host.errors import StudyStoppedError
from explorer.host.formatting import FORM_NAMES
from explorer.host.tables import print_rows
from explorer.study.settings import VerifyConfig
from explorer.training.results import ALLOWED, Distances, Verification
from explorer.verbs.export import _design, _tell_namesake
from explorer.verbs.result import Result


def print_verification(found: Verification, console: Console) -> None:
    """Print the counts by every referee, then the forms side by side."""
    rows = []
    for referee in found.referees:
        activations = "-" if referee.activations is None else f"{referee.activations:,}"
        rows.append((referee.name, f"{referee.params:,}", f"{referee.macs:,}", activations))
    columns = ("by", "params", "MACs", "activations")
    print_rows(console, f"{found.name}: counted for one image", columns, rows)
    if found.no_forms:
        say(console, f"One form only: {found.no_forms}.")
    else:
        _print_forms(found, console)
    say(console, "All agree." if found.agrees else "They do NOT agree.", style="bold")


def _print_forms(found: Verification, console: Console) -> None:
    assert found.rounding is not None
    forms, titles = found.forms, _columns(found.steps)
    columns = [_shown(form.apart) for form in forms] + [_shown(found.rounding)]
    rows: list[Sequence[str]] = [
        ("parameters", *(f"{form.params:,}" for form in forms), ""),
        ("multiply-adds", *(f"{form.macs:,}" for form in forms), ""),
        *((title, *apart) for title, apart in zip(titles.values(), zip(*columns, strict=True), strict=True)),
        ("time forward", *(f"{form.forward * 1000:.0f} ms" for form in forms), ""),
        ("time backward", *(f"{form.backward * 1000:.0f} ms" for form in forms), ""),
    ]
    heads = [FORM_NAMES[form.form].replace(" ", "\n", 2).replace("\n", " ", 1) for form in forms]
    title = "The same function in three forms: difference to (c) in float64, time of a batch in float32"
    print_rows(console, title, ("", *heads, "(c) each\nweight rounded"), rows)
    say(
        console,
        "Difference: the largest, over the largest value. Gradients: of all weights and of the images. Steps: SGD with "
        "momentum and weight decay, after which weights and running statistics are compared. Rounded: (c) from weights "
        f"one unit in the last place apart; forms may differ by {ALLOWED} times as much. Time: median, batch of "
        f"{found.batch_size}, {found.device}. Parameters and MACs are equal; time is not.",
    )
    if found.vague:
        say(
            console,
            f"In this network rounding alone grows so large that it might hide a difference in: "
            f"{', '.join(titles[kind] for kind in found.vague)}.",
        )


def _columns(steps: int) -> dict[str, str]:
    """The fields of `Distances` with their titles."""
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
