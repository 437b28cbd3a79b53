"""From a table of text to results of designs: one data set, one recipe, errors as fractions, runs with their seeds."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

from explorer.design.architecture import Architecture
from explorer.design.cost import cost
from explorer.design.name import short_name
from explorer.design.template import Task
from explorer.host.errors import InputError
from explorer.host.formatting import counted, in_one_line
from explorer.record.imported import OtherCount, Unread
from explorer.study.known_data import KNOWN, known_data, plain
from explorer.study.run import JUDGED_STATUSES
from explorer.study.settings import ImportConfig
from explorer.verbs.importing.columns import AXES, ERRORS, found_columns, refuse_without, says_percent
from explorer.verbs.importing.files import Raw
from explorer.verbs.importing.names import Named, named, of_axes
from explorer.verbs.importing.numbers import Unit, as_error, counted_alike, number, unit_of

EACH = "each"
NO_NAME = "none"  # stands for rows that say nothing of a recipe
MOST_DESIGNS = 10_000
MOST_SEED = 2**31 - 1
ENDED = ("", "ok", "complete", "completed", "finished", "done", "success", "succeeded")
_HAS = {"data": "data sets", "recipe": "recipes", "image_size": "image sizes"}


@dataclass(frozen=True)
class Row:
    """One row of a file: its number, its design, what must be alike in all, and its cells by what they hold."""

    number: int
    said: Named
    name: str
    data: str
    recipe: str
    image_size: str
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Result:
    """One run: a design with a seed, its errors as fractions by part, and its errors by epoch, where the file has them.

    curve  by epoch, from 1 on without gaps, the training error, if known, and the validation error
    """

    setting: str
    design: Architecture
    seed: int
    status: str
    errors: Mapping[str, float]
    seconds: float | None
    group: str
    curve: tuple[tuple[float | None, float], ...] = ()


@dataclass(frozen=True)
class Results:
    """All that is read of one data set and one recipe of a file. `Imported` of the record says what each field means.

    label, task, test_images  of the images; None where their number is not known
    """

    runs: tuple[Result, ...]
    data: str
    label: str
    task: Task
    test_images: int | None
    recipe: str
    judged: str
    columns: Mapping[str, str]
    unit: Unit
    rows: int
    paired: bool
    seeds: tuple[int, ...]
    epochs: tuple[int, ...]
    timed: bool
    left_out: Mapping[str, int]
    others: Mapping[str, int]
    unread: tuple[Unread, ...]
    compared: int
    different: tuple[OtherCount, ...]
    unused: Mapping[str, int] = field(default_factory=dict)

    @property
    def designs(self) -> tuple[str, ...]:
        """The designs in the order of the file."""
        return tuple(dict.fromkeys(run.setting for run in self.runs))


class NothingHereError(InputError):
    """No row of some results is of a network that exists here, or none has an error."""


Part = tuple[tuple[str, ...], list[Row], dict[str, int]]


def studies_of(raw: Raw, config: ImportConfig) -> tuple[list[tuple[tuple[str, ...], Results]], list[str]]:
    """The results of a file, apart by what `each` asks for: the names that tell them apart, and the results.

    And the names of those of which nothing can be taken, where there are others.

    Raises InputError for a file that mixes what the command does not choose from, and for what cannot be read.
    """
    columns = found_columns(raw, config.columns)
    refuse_without(columns, raw)
    rows, left_out = _rows(raw, columns, config)
    parts: list[Part] = [((), rows, {})]
    for what, asked in (("data", config.data), ("recipe", config.recipe), ("image_size", config.image_size)):
        several = []
        for names, own, others in parts:
            for name, chosen, rest in _apart(raw, what, own, None if asked is None else str(asked)):
                more = (name,) if asked == EACH else ()
                several.append(((*names, *more), chosen, {**others, **rest}))
        parts = several
    found, nothing, why = list[tuple[tuple[str, ...], Results]](), list[str](), None
    for names, own, others in parts:
        try:
            found.append((names, _results(raw, columns, config, own, dict(left_out), others)))
        except NothingHereError as error:
            nothing.append(" ".join(names))
            why = error
    if why is not None and not found:
        raise why
    return found, nothing


def _rows(raw: Raw, columns: Mapping[str, str], config: ImportConfig) -> tuple[list[Row], dict[str, int]]:
    """The rows whose run came to an end, and how many did not, by reason."""
    cells = {role: raw.table[column].tolist() for role, column in columns.items()}
    found, left_out = [], dict(raw.dropped)
    for place in range(len(raw.table)):
        own = {role: values[place] for role, values in cells.items()}
        status = own.get("status", "").lower()
        if status not in (*ENDED, *JUDGED_STATUSES):
            _count(left_out, f"runs that are {status[:40]}")
            continue
        said, name = _named(own)
        data = own.get("data") or said.data or ("" if config.data in (None, EACH) else str(config.data))
        recipe = own.get("recipe") or said.recipe
        size = own.get("image_size", "").partition("x")[0]
        found.append(Row(place + 1, said, name, _data_name(data), recipe, size, own))
    return found, left_out


def _named(cells: Mapping[str, str]) -> tuple[Named, str]:
    """The design of a row, by its name or else by its axes, and what the row calls it."""
    name = cells.get("design", "")
    said = named(name) if name else Named(None, "has no name")
    if said.design is None and all(cells.get(axis) for axis in AXES):
        others = {axis: cells[axis] for axis in ("width", "kernel_size", "block", "template") if cells.get(axis)}
        by_axes = of_axes(*(cells[axis] for axis in AXES), **others)
        return by_axes, name or "x".join(cells[axis] for axis in AXES)
    return said, name or "(none)"


def _data_name(text: str) -> str:
    known = known_data(text) if text else None
    return known.name if known else text


def _apart(
    raw: Raw, what: str, rows: Sequence[Row], asked: str | None
) -> Iterator[tuple[str, list[Row], dict[str, int]]]:
    """The rows of one data set, recipe or size, or of each; with the numbers of the others.

    Raises InputError for several of which none is chosen, and for one that is not there.
    """
    counts = Counter(getattr(row, what) or NO_NAME for row in rows)
    if asked == EACH:
        for name in counts:
            yield name, [row for row in rows if (getattr(row, what) or NO_NAME) == name], {}
        return
    if asked is None and len(counts) > 1:
        listed = ", ".join(f"{name} ({number})" for name, number in counts.most_common(12))
        more = f" and {len(counts) - 12} more" if len(counts) > 12 else ""
        first = counts.most_common(1)[0][0]
        way = f", or {what}={EACH} for a study of each" if what != "image_size" else ""
        raise InputError(
            f"{raw.name}: holds results of {len(counts)} {_HAS[what]}, which one study does not mix: {listed}{more}; "
            f"say {what}={first}{way}"
        )
    wanted = next(iter(counts), NO_NAME) if asked is None else asked
    if counts.keys() <= {NO_NAME}:  # the file says nothing: what the command says holds for all rows
        yield wanted, [*rows], {}
        return
    chosen = next(
        (name for name in counts if plain(name) == plain(_data_name(wanted) if what == "data" else wanted)), None
    )
    if chosen is None:
        raise InputError(f"{what}={asked}: {raw.name} holds no such results; allowed: {', '.join([*counts][:20])}")
    others = {f"{what} {name}": number for name, number in counts.items() if name != chosen}
    yield chosen, [row for row in rows if (getattr(row, what) or NO_NAME) == chosen], others


def _task(raw: Raw, config: ImportConfig, rows: Sequence[Row]) -> tuple[str, str, Task, int | None]:
    """The name and label of the data, what a network sees of it, and the number of test images, if known."""
    name = next((row.data for row in rows), "") or ("" if config.data in (None, EACH) else _data_name(str(config.data)))
    known = known_data(name) if name else None
    if not name:
        raise InputError(
            f"{raw.name}: does not say which data set these results are of; say data=NAME. Known are {', '.join(KNOWN)}"
            "; for another one say classes and image_size too"
        )
    sizes = {row.image_size for row in rows} - {""}
    classes = {row.cells.get("classes", "") for row in rows} - {""}
    task = known.task if known else None
    size = config.image_size or (int(next(iter(sizes))) if len(sizes) == 1 and next(iter(sizes)).isdigit() else None)
    own = config.classes or (int(next(iter(classes))) if len(classes) == 1 and next(iter(classes)).isdigit() else None)
    size, own = size or (task.image_size if task else None), own or (task.classes if task else None)
    if size is None or own is None:
        lacks = " and ".join(key for key, value in (("image_size", size), ("classes", own)) if value is None)
        raise InputError(
            f"data={name}: is not known, and costs depend on the images; say {lacks} (and channels=1 for grey ones). "
            f"Known are {', '.join(KNOWN)}"
        )
    channels = config.channels or (task.channels if task else 3)
    images = config.test_images or (known.test_images if known else None)
    return name, known.label if known else name, Task(channels, size, own), images


def _results(
    raw: Raw,
    columns: Mapping[str, str],
    config: ImportConfig,
    rows: list[Row],
    left_out: dict[str, int],
    others: Mapping[str, int],
) -> Results:
    data, label, task, images = _task(raw, config, rows)
    readable, unread = _readable(rows, task)
    if not readable:
        first = f": {unread[0].name} {unread[0].why}" if unread else ""
        raise NothingHereError(
            f"{raw.name}: none of its {counted(len(rows), 'row')} is of a network that exists here{first}"
        )
    units, errors = _errors(raw, columns, config, rows)
    judged = "test" if any("test" in errors[row.number] for row, _ in readable) else "val"
    with_error = []
    for row, design in readable:
        if judged in errors[row.number] or row.cells.get("status", "").lower() in JUDGED_STATUSES[1:]:
            with_error.append((row, design))
        else:
            _count(left_out, f"rows without a {'test' if judged == 'test' else 'validation'} error")
    if not with_error:
        raise NothingHereError(f"{raw.name}: no row has both a network that exists here and an error")
    runs, seeds, lengths, earlier = _runs(raw, columns, with_error, errors, judged)
    if earlier:
        left_out["rows of epochs before the last"] = earlier
    designs = {run.setting: run.design for run in runs}
    if len(designs) > MOST_DESIGNS:
        raise InputError(f"{raw.name}: holds {len(designs):,} designs; a study holds at most {MOST_DESIGNS:,}")
    compared, different = _compared(raw, readable, task)
    return Results(
        runs=tuple(runs),
        data=data,
        label=label,
        task=task,
        test_images=images,
        recipe=next((row.recipe for row, _ in with_error), "")
        or ("" if config.recipe in (None, EACH) else str(config.recipe)),
        judged=f"{judged}_error",
        columns=columns,
        unit=units,
        rows=len(raw.table),
        paired="seed" in columns,
        seeds=seeds,
        epochs=lengths,
        timed=any(run.seconds for run in runs),
        left_out=left_out,
        others=others,
        unread=unread,
        compared=compared,
        different=different,
        unused=_unused(raw, columns, [row.number - 1 for row, _ in with_error]),
    )


def _readable(rows: Sequence[Row], task: Task) -> tuple[list[tuple[Row, Architecture]], tuple[Unread, ...]]:
    """The rows whose network can be built for these images, and the others by name."""
    found, unread = [], dict[str, Unread]()
    faults: dict[Architecture, str] = {}
    for row in rows:
        design, why = row.said.design, row.said.why
        if design is not None:
            if design not in faults:
                faults[design] = _fault(design, task)
            why = faults[design]
        if design is not None and not why:
            found.append((row, design))
            continue
        known = unread.get(row.name, Unread(row.name[:120], 0, in_one_line(why)))
        unread[row.name] = replace(known, rows=known.rows + 1)
    return found, tuple(unread.values())


def _fault(design: Architecture, task: Task) -> str:
    try:
        cost(design, task)
    except ValueError as error:
        return str(error)
    return ""


def _errors(
    raw: Raw, columns: Mapping[str, str], config: ImportConfig, rows: Sequence[Row]
) -> tuple[Unit, dict[int, dict[str, float]]]:
    """The unit of the judged error, and by row the errors of each part as fractions."""
    found: dict[int, dict[str, float]] = {row.number: {} for row in rows}
    units: list[Unit] = []
    for part, roles in ERRORS.items():
        role = next((one for one in roles if one in columns), None)
        if role is None:
            continue
        column, accuracy = columns[role], role.endswith("accuracy")
        values: dict[int, Decimal] = {}
        for row in rows:
            if (value := _cell(raw, row, role, column)) is not None:
                values[row.number] = value
        signs = any(row.cells[role].rstrip().endswith("%") for row in rows)
        unit: Unit = (
            config.unit
            if config.unit != "auto"
            else unit_of(
                values, f"{raw.name}, column {column}", accuracy=accuracy, says_percent=signs or says_percent(column)
            )
        )
        units.append(unit)
        for place, value in values.items():
            try:
                found[place][part] = as_error(value, unit, accuracy=accuracy)
            except ValueError as error:
                raise InputError(f"{raw.name}, row {place}, column {column}: {error}") from None
    return units[0], found


def _cell(raw: Raw, row: Row, role: str, column: str) -> Decimal | None:
    try:
        return number(row.cells.get(role, ""), raw.decimal)
    except ValueError as error:
        raise InputError(f"{raw.name}, row {row.number}, column {column}: {error}") from None


def _whole(raw: Raw, row: Row, role: str, columns: Mapping[str, str], most: int) -> int | None:
    """A cell as a whole number; None if it is empty."""
    value = _cell(raw, row, role, columns[role]) if role in columns else None
    if value is None:
        return None
    if value != value.to_integral_value() or not 0 <= value <= most:
        raise InputError(
            f"{raw.name}, row {row.number}, column {columns[role]}: {value} is no {role}; allowed are whole numbers "
            f"from 0 to {most:,}; say columns.{role}=none if it holds something else"
        )
    return int(value)


def _runs(
    raw: Raw,
    columns: Mapping[str, str],
    rows: Sequence[tuple[Row, Architecture]],
    errors: Mapping[int, Mapping[str, float]],
    judged: str,
) -> tuple[list[Result], tuple[int, ...], tuple[int, ...], int]:
    """The runs, the file's own seeds in order, the lengths of runs in epochs, and the rows of earlier epochs.

    Where the file has no seeds, the runs of a design are numbered in the order of the file, and pair nothing.
    """
    grouped: dict[tuple[str, int], list[tuple[int | None, Row, Architecture]]] = {}
    before = Counter[tuple[str, int | None]]()
    names: dict[Architecture, str] = {}
    for row, design in rows:
        if design not in names:
            names[design] = short_name(design)
        name = names[design]
        epoch = _whole(raw, row, "epoch", columns, 100_000)
        if "seed" in columns:
            seed = _whole(raw, row, "seed", columns, MOST_SEED)
            if seed is None:
                raise InputError(
                    f"{raw.name}, row {row.number}: has no seed; say columns.seed=none to number the runs of a design"
                )
        else:
            seed = before[name, epoch]
            before[name, epoch] += 1
        grouped.setdefault((name, seed), []).append((epoch, row, design))
    own_seeds = sorted({seed for _, seed in grouped})
    numbers = {seed: place for place, seed in enumerate(own_seeds)}
    found, lengths, earlier = [], set[int](), 0
    for (name, seed), rows_of_run in grouped.items():
        own = _in_order(raw, name, rows_of_run)
        last, row, design = own[-1]
        curve = _curve(own, errors)
        earlier += len(own) - 1 - (len(curve) - 1 if curve else 0)
        if last is not None:
            lengths.add(len(curve) or last)
        status = row.cells.get("status", "").lower()
        seconds = _seconds(raw, row, columns)
        found.append(
            Result(
                setting=name,
                design=design,
                seed=numbers[seed],
                status=status if status in JUDGED_STATUSES[1:] and judged not in errors[row.number] else "ok",
                errors=errors[row.number],
                seconds=seconds,
                group=row.cells.get("group", ""),
                curve=curve,
            )
        )
    paired = "seed" in columns
    return found, tuple(own_seeds) if paired else (), tuple(sorted(lengths)), earlier


def _in_order(
    raw: Raw, name: str, own: list[tuple[int | None, Row, Architecture]]
) -> list[tuple[int | None, Row, Architecture]]:
    """The rows of one run by epoch. Raises InputError if they are not the epochs of one run."""
    if len(own) == 1:
        return own
    first, second = own[0][1], own[1][1]
    both = f"{raw.name}: rows {first.number} and {second.number} are both of {name} with one seed"
    epochs = [epoch for epoch, _, _ in own]
    if None in epochs or len({*epochs}) < len(epochs):
        raise InputError(f"{both}; say columns.seed=COLUMN, or columns.seed=none to number the runs of a design")
    ordered = sorted(own, key=lambda one: one[0] or 0)
    steps = {(after[0] or 0) - (at[0] or 0) for at, after in pairwise(ordered)}
    if steps != {1} and (len(steps) > 1 or len(own) < 3):
        raise InputError(
            f"{both}, and end at other epochs, which do not follow each other; say columns.epoch=none and "
            "columns.seed=none if they are runs of their own"
        )
    return ordered


def _curve(
    own: Sequence[tuple[int | None, Row, Architecture]], errors: Mapping[int, Mapping[str, float]]
) -> tuple[tuple[float | None, float], ...]:
    """The errors by epoch, where the rows are those of all epochs from the first on; else none."""
    epochs = [epoch for epoch, _, _ in own]
    if len(own) < 2 or epochs[0] not in (0, 1) or epochs != [*range(epochs[0], epochs[0] + len(own))]:
        return ()
    each = [errors[row.number] for _, row, _ in own]
    if not all("val" in one for one in each):
        return ()
    return tuple((one.get("train"), one["val"]) for one in each)


def _seconds(raw: Raw, row: Row, columns: Mapping[str, str]) -> float | None:
    """How long a run took; None for an empty cell and for text such as `1.2 min`, which no unit is guessed for."""
    try:
        value = number(row.cells.get("seconds", ""), raw.decimal)
    except ValueError:
        return None
    return float(value) if value is not None and 0 <= value <= Decimal(10) ** 18 and "seconds" in columns else None


def _compared(raw: Raw, rows: Sequence[tuple[Row, Architecture]], task: Task) -> tuple[int, tuple[OtherCount, ...]]:
    """How many designs have a number of parameters in the file, and those of which the exact one is another."""
    seen, different = set[str](), dict[str, OtherCount]()
    for row, design in rows:
        name, given = short_name(design), row.cells.get("params", "")
        ours = cost(design, task).params
        alike = counted_alike(given, ours, raw.decimal) if given else None
        if alike is None:
            continue
        seen.add(name)
        if not alike:
            different.setdefault(name, OtherCount(name, given[:40], ours))
    return len(seen), tuple(different.values())


def _unused(raw: Raw, columns: Mapping[str, str], places: Sequence[int]) -> dict[str, int]:
    """Other columns in which the used rows differ, with their numbers of values: what is not held equal here."""
    found = {}
    for column in raw.table.columns:
        if column in columns.values():
            continue
        values = {raw.table[column].iloc[place] for place in places} - {""}
        if 1 < len(values) < len(places):  # a column of other values everywhere is a name or a result
            found[str(column)[:80]] = len(values)
    return dict([*found.items()][:20])


def _count(counts: dict[str, int], what: str) -> None:
    counts[what] = counts.get(what, 0) + 1


def facts(results: Results) -> dict[str, Any]:
    """The fields of `Results` that the record keeps."""
    return {
        "rows": results.rows,
        "used": len(results.runs),
        "judged": results.judged,
        "columns": dict(results.columns),
        "unit": results.unit,
        "recipe": results.recipe,
        "paired": results.paired,
        "seeds": [*results.seeds],
        "epochs": [*results.epochs],
        "timed": results.timed,
        "left_out": dict(results.left_out),
        "others": dict(results.others),
        "unread": [*results.unread],
        "compared": results.compared,
        "different": [*results.different],
        "unused": dict(results.unused),
    }
