"""Finds which column of a table holds what, by the names that people and tools give them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields

from explorer.host.errors import InputError
from explorer.host.formatting import hint
from explorer.study.settings import ColumnsConfig
from explorer.verbs.importing.files import Raw

NONE = "none"  # in place of a column's name: it is not used
# By what a column holds, its usual names, as `_plain` gives them; the first that is there is taken.
USUAL: dict[str, tuple[str, ...]] = {
    "design": (
        *("setting", "design", "architecture", "arch", "model_name", "model", "network", "net", "backbone"),
        *("architecture_name", "arch_name", "encoder", "name"),
    ),
    "error": (
        *("test_error", "test_err", "test_error_rate", "top1_err", "top1_error", "top_1_error", "top_1_err"),
        *("test_top1_err", "test_top1_error", "error", "err", "error_rate", "test_err1", "err1"),
    ),
    "accuracy": (
        *("test_accuracy", "test_acc", "top1", "top_1", "acc1", "acc_1", "acc_at_1", "top1_acc", "top1_accuracy"),
        *("top_1_accuracy", "test_top1", "test_acc1", "prec1", "accuracy", "acc"),
    ),
    "val_error": ("val_error", "val_err", "valid_error", "valid_err", "validation_error", "val_top1_err", "eval_error"),
    "val_accuracy": (
        *("val_accuracy", "val_acc", "valid_acc", "valid_accuracy", "validation_accuracy", "val_top1", "val_acc1"),
        *("eval_accuracy", "eval_acc", "eval_top1", "val_acc_top1"),
    ),
    "train_error": ("train_error", "train_err", "training_error"),
    "train_accuracy": ("train_accuracy", "train_acc", "training_accuracy", "train_top1", "train_acc1"),
    "seed": ("seed", "random_seed", "rng_seed", "random_state", "manual_seed", "run_seed"),
    "epoch": ("epoch", "epochs", "num_epochs", "n_epochs", "max_epochs"),
    "data": ("data", "dataset", "data_set", "dataset_name", "data_name"),
    "recipe": ("recipe", "training_recipe", "train_recipe", "pretrained_tag", "tag"),
    "image_size": ("image_size", "img_size", "input_size", "resolution", "test_size", "test_image_size"),
    "classes": ("classes", "num_classes", "n_classes"),
    "seconds": ("seconds", "train_seconds", "training_seconds", "runtime", "duration", "train_time", "wall_time"),
    "params": (
        *("params", "parameters", "param_count", "parameter_count", "num_params", "n_params", "num_parameters"),
        *("params_m", "params_millions", "param_count_m"),
    ),
    "group": ("group", "space"),
    "status": ("status", "state"),
    "depth": ("depth", "layers", "num_layers", "n_layers"),
    "cardinality": ("cardinality", "paths", "num_paths", "groups", "num_groups"),
    "bottleneck_width": ("bottleneck_width", "width_per_group", "base_width", "path_width"),
    "width": ("width",),
    "kernel_size": ("kernel_size", "kernel"),
    "block": ("block",),
    "template": ("template",),
    "stem": ("stem",),
    "projection": ("projection",),
    "attention": ("attention",),
    "scale": ("res2net_scale",),  # `scale` alone may be anything
}
assert set(USUAL) == {one.name for one in fields(ColumnsConfig)}
AXES = ("depth", "cardinality", "bottleneck_width")  # which together are a design
MORE_AXES = ("width", "kernel_size", "block", "template", "stem", "projection", "attention", "scale")
ERRORS = {
    part: (f"{before}error", f"{before}accuracy")
    for part, before in (("test", ""), ("val", "val_"), ("train", "train_"))
}
# What other tools put before the names of settings and of results.
_SETTINGS = re.compile(r"^(?:params|config|hparams|args)[./_](?=.)")
_BEFORE = re.compile(r"^(?:params|metrics|config|summary|summary_metrics|tags|hparams|user_attrs|data|args)[./_](?=.)")
_PERCENT = re.compile(r"%|(?<![a-z])(?:percent|pct)(?![a-z])")


def found_columns(raw: Raw, named: ColumnsConfig) -> dict[str, str]:
    """By what they hold, the columns of a table: as they are named, else by their usual names.

    Raises InputError for a name that no column has, and for two columns of which either may be meant.
    """
    there = [str(name) for name in raw.table.columns]
    found: dict[str, str] = {}
    # A column that is an error by the kind of the file may say by its name which one it is.
    usual_errors = {name for roles in ERRORS.values() for role in roles for name in USUAL[role]}
    implied = {role: column for role, column in raw.implied.items() if not _plain(column) & usual_errors}
    for role in USUAL:
        said = getattr(named, role)
        if said is None:
            if (column := implied.get(role) or _usual(role, there, raw)) is not None:
                found[role] = column
        elif said != NONE:
            if said not in there:
                near = (
                    hint(said, there) or f"; there are {', '.join(there[:20])}{' and more' if len(there) > 20 else ''}"
                )
                raise InputError(f"columns.{role}={said}: {raw.name} has no such column{near}")
            found[role] = said
    given = {getattr(named, role) for role in USUAL} - {None, NONE}
    # A column that a person named for one thing is not taken for another by its name.
    return {role: column for role, column in found.items() if column not in given or getattr(named, role) == column}


def one_of_each(columns: Mapping[str, str], named: ColumnsConfig) -> tuple[dict[str, str], dict[str, str]]:
    """The columns with one for each error, and the others by the one that is used, where a table has two.

    That is the one that a person named, else the error and not the accuracy.
    """
    found, other = dict(columns), {}
    for error, accuracy in ERRORS.values():
        if error in found and accuracy in found:
            keep = error if getattr(named, accuracy) is None else accuracy
            other[keep] = found.pop(accuracy if keep == error else error)
    return found, other


def _usual(role: str, there: Sequence[str], raw: Raw) -> str | None:
    """The column that holds something by its usual name; of two with the same cells either will do."""
    for name in USUAL[role]:
        columns = [column for column in there if name in _plain(column)]
        columns = [column for column in columns if (raw.table[column] != "").any()]
        if len({tuple(raw.table[column]) for column in columns}) > 1:
            exact = [column for column in columns if column == name]
            if len(exact) != 1:
                raise InputError(
                    f"{raw.name}: columns {' and '.join(columns[:3])} may both hold the {role.replace('_', ' ')}; say "
                    f"columns.{role}={columns[0]}"
                )
            columns = exact
        if columns:
            return columns[0]
    return None


def _plain(column: str) -> set[str]:
    """The forms of a column's name that are looked up, in lower case, with underscores between words.

    That is with and without what a tool puts before it, and the unit behind it.
    """
    lower = column.strip().lower()
    forms = {lower, _BEFORE.sub("", lower)}
    forms |= {_PERCENT.sub(" ", form) for form in forms}
    return {re.sub(r"[^a-z0-9]+", "_", form).strip("_") for form in forms}


def says_settings(column: str) -> bool:
    """Whether the name of a column says, as trackers write it, that it holds how runs were set up."""
    return _SETTINGS.match(column.strip().lower()) is not None


def says_point(column: str) -> bool:
    """Whether a column of epochs says by its name that each row is a point of a run, and not how long a run was."""
    return "epoch" in _plain(column)


def says_percent(column: str) -> bool:
    """Whether the name of a column says that its numbers are per cent."""
    return _PERCENT.search(column.lower()) is not None


def refuse_without(found: Mapping[str, str], raw: Raw) -> None:
    """Raise InputError for a table without designs or without results, with what can be said."""
    there = ", ".join(map(str, raw.table.columns[:20])) + (" and more" if len(raw.table.columns) > 20 else "")
    if "design" not in found and not set(AXES) <= set(found):
        raise InputError(
            f"{raw.name}: no column is known to name the networks; say columns.design=COLUMN, or name the axes with "
            f"columns.depth, columns.cardinality and columns.bottleneck_width; there are {there}"
        )
    if not any(role in found for part in ("test", "val") for role in ERRORS[part]):
        raise InputError(
            f"{raw.name}: no column is known to hold an error or an accuracy; say columns.error=COLUMN or "
            f"columns.accuracy=COLUMN; there are {there}"
        )
