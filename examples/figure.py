"""A figure from outside: what an epoch gains, for each setting of a study, on the page and for print.

    explorer report equal_params extensions=examples/figure.py
    explorer figure equal_params gain extensions=examples/figure.py 'format=[svg,png,csv]'

A function takes a study and gives plain numbers; drawing, pointing at, saving and the table of its numbers are ours. A
study does not depend on its figures: it goes on with and without this file.
"""

from typing import Any

import explorer as ex


def gain(study: Any) -> ex.Figure:
    """By how many points the validation error fell in each epoch, mean over the seeds of a setting."""
    epochs = study.epochs.merge(study.runs[["run", "setting"]], on="run")
    means = epochs.groupby(["setting", "epoch"])["val_error"].mean().unstack("setting")
    gained = -100 * means.diff().dropna()
    lines = [ex.Line(gained.index, gained[name], label=name, settings=[name] * len(gained)) for name in gained.columns]
    return ex.Figure(
        "What an epoch gains",
        x="Epoch",
        y="Fall of the validation error (points)",
        series=lines,
        caption="Against the epoch before, mean over seeds; below zero the error rose.",
    )


FIGURES = {"gain": gain}
