"""From a table of text to results of designs: one data set, one recipe, errors as fractions, runs with their seeds."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import accumulate, pairwise
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
from explorer.verbs.importing.columns import (
    AXES,
    ERRORS,
    MORE_AXES,
    found_columns,
    one_of_each,
    refuse_without,
    says_percent,
    says_point,
    says_settings,
)
from explorer.verbs.importing.files import Raw
from explorer.verbs.importing.names import Named, named, of_axes
from explorer.verbs.importing.numbers import EMPTY, Unit, as_error, counted_alike, number, unit_of

EACH = "each"
NO_NAME = "none"  # stands for rows that say nothing of a recipe
MOST_DESIGNS = 10_000
MOST_SEED = 2**31 - 1
ENDED = ("", "ok", "complete", "completed", "finished", "done", "success", "succeeded")
_HAS = {"data": "data sets", "recipe": "recipes", "image_size": "image sizes"}
_NATURAL = re.compile("(\\d{1,9})(?:\\.0*)?(?:\\s*[x\N{MULTIPLICATION SIGN}].*)?")  # 224, 224.0, 224 x 224


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
    there = found_columns(raw, config.columns)
    refuse_without(there, raw)
    columns, beside = one_of_each(there, config.columns)
    rows, left_out = _rows(raw, columns, config)
    parts: list[Part] = [((), rows, {})]
    asks = {"data": config.data, "recipe": config.recipe, "image_size": config.image_size}
    # What is chosen holds for the whole file, and what is left of it is then taken apart.
    for what in sorted(asks, key=lambda one: asks[one] in (None, EACH)):
        asked, several = asks[what], list[Part]()
        for names, own, others in parts:
            for name, chosen, rest in _apart(raw, what, own, None if asked is None else str(asked)):
                more = (name,) if asked == EACH else ()
                several.append(((*names, *more), chosen, {**others, **rest}))
        parts = several
    found, nothing, why = list[tuple[tuple[str, ...], Results]](), list[str](), None
    for names, own, others in parts:
        try:
            found.append((names, _results(raw, columns, beside, config, own, dict(left_out), others)))
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
            _count(left_out, f"with status {status[:40]}")
            continue
        said, name = _named(own)
        data = own.get("data") or said.data or ("" if config.data in (None, EACH) else str(config.data))
        recipe = own.get("recipe") or said.recipe
        for what in ("image_size", "classes"):
            if what in columns:
                own[what] = _natural(raw, place + 1, what, columns[what], own[what])
        size = own.get("image_size", "")
        found.append(Row(place + 1, said, name, _data_name(data), recipe, size, own))
    return found, left_out


def _natural(raw: Raw, row: int, what: str, column: str, text: str) -> str:
    """A side in pixels or a number of classes as digits; "" for an empty cell. Raises InputError for another text."""
    if text.strip().lower() in EMPTY:
        return ""
    if (found := _NATURAL.fullmatch(text.strip())) is None:
        raise InputError(
            f"{raw.name}, row {row}, column {column}: {text[:40]!r} is no {what}; allowed are whole numbers, as in "
            f"224; say columns.{what}=none if it holds something else"
        )
    return str(int(found[1]))


def _named(cells: Mapping[str, str]) -> tuple[Named, str]:
    """The design of a row, by its name or else by its axes, and what the row calls it."""
    name = cells.get("design", "")
    said = named(name) if name else Named(None, "has no name")
    if said.design is None and all(cells.get(axis) for axis in AXES):
        others = {axis: cells[axis] for axis in MORE_AXES if cells.get(axis)}
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
        first = next(name for name, _ in counts.most_common() if name != NO_NAME)
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
    beside: Mapping[str, str],
    config: ImportConfig,
    rows: list[Row],
    left_out: dict[str, int],
    others: Mapping[str, int],
) -> Results:
    data, label, task, images = _task(raw, config, rows)
    readable, unread = _readable(rows, task)
    if not readable:
        first = f": {unread[0].name} ({unread[0].why})" if unread else ""
        raise NothingHereError(
            f"{raw.name}: none of its {counted(len(rows), 'row')} is of a network that exists here{first}"
        )
    unit, errors = _errors(raw, columns, beside, config, rows, task)
    judged = "test" if any("test" in errors[row.number] for row, _ in readable) else "val"
    words = f"without a {'test' if judged == 'test' else 'validation'} error"
    with_error = []
    for row, design in readable:
        own = errors[row.number]
        # A row without a test error may be a point of the curve of a run that has one.
        is_point = judged == "test" and "val" in own and "epoch" in columns
        if judged in own or is_point or row.cells.get("status", "").lower() in JUDGED_STATUSES[1:]:
            with_error.append((row, design))
        else:
            _count(left_out, words)
    read = _runs(raw, columns, config, with_error, errors, judged)
    runs = read.runs
    if not runs:
        raise NothingHereError(f"{raw.name}: no row has both a network that exists here and an error")
    for many, what in (
        (read.pointless, words),
        (read.repeated, "that repeat another row"),
        (read.earlier, "of epochs before the last"),
        (read.later, f"of epochs after the last with a {judged} error"),
    ):
        if many:
            left_out[what] = left_out.get(what, 0) + many
    _refuse_worse_than_guessing(raw, columns, config, runs, judged, task, images)
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
        recipe=next((row.recipe for row in read.used), "")
        or ("" if config.recipe in (None, EACH) else str(config.recipe)),
        judged=f"{judged}_error",
        columns=columns,
        unit=unit,
        rows=len(raw.table),
        paired="seed" in columns,
        seeds=read.seeds,
        epochs=read.lengths,
        timed=any(run.seconds for run in runs),
        left_out=left_out,
        others=others,
        unread=unread,
        compared=compared,
        different=different,
        unused=_unused(raw, columns, [row.number - 1 for row in read.used]),
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
    raw: Raw,
    columns: Mapping[str, str],
    beside: Mapping[str, str],
    config: ImportConfig,
    rows: Sequence[Row],
    task: Task,
) -> tuple[Unit, dict[int, dict[str, float]]]:
    """The unit of the judged error, and by row the errors of each part as fractions.

    Raises InputError for an error and an accuracy of one row that say different things, unless one was named.
    """
    found: dict[int, dict[str, float]] = {row.number: {} for row in rows}
    units: list[Unit] = []
    for part, roles in ERRORS.items():
        role = next((one for one in roles if one in columns), None)
        if role is None:
            continue
        unit, values = _values(raw, role, columns[role], config, rows, task)
        units.append(unit)
        for place, value in values.items():
            found[place][part] = _share(raw, place, columns[role], value, unit, role)
        if role in beside and all(getattr(config.columns, one) is None for one in roles):
            other = roles[1 - roles.index(role)]
            own_unit, own = _values(raw, other, beside[role], config, rows, task)
            for place in own.keys() & values.keys():
                error = _share(raw, place, beside[role], own[place], own_unit, other)
                if abs(error - found[place][part]) > _half(values[place], unit) + _half(own[place], own_unit) + 1e-9:
                    raise InputError(
                        f"{raw.name}, row {place}: {columns[role]} is {values[place]} and {beside[role]} is "
                        f"{own[place]}, which do not agree; say columns.{role}={columns[role]} or "
                        f"columns.{other}={beside[role]}"
                    )
    return units[0], found


def _values(
    raw: Raw, role: str, column: str, config: ImportConfig, rows: Sequence[Row], task: Task
) -> tuple[Unit, dict[int, Decimal]]:
    """The unit of a column of errors or accuracies, and its numbers by row."""
    every = raw.table[column].tolist()
    cells = {row.number: every[row.number - 1] for row in rows}
    values: dict[int, Decimal] = {}
    for place, cell in cells.items():
        try:
            value = number(cell, ",")  # no share has thousands
        except ValueError as error:
            raise InputError(f"{raw.name}, row {place}, column {column}: {error}") from None
        if value is not None:
            values[place] = value
    if config.unit != "auto":
        return config.unit, values
    signs = {place: "%" in cells[place] for place in values}
    if len({*signs.values()}) > 1 and not says_percent(column):
        first = next(place for place, sign in signs.items() if not sign)
        raise InputError(
            f"{raw.name}, column {column}: some cells have a sign of per cent, and that of row {first} has none; say "
            "unit=percent or unit=fraction"
        )
    return (
        unit_of(
            values,
            f"{raw.name}, column {column}",
            accuracy=role.endswith("accuracy"),
            says_percent=any(signs.values()) or says_percent(column),
            chance=Decimal(100) / task.classes,
            training=role.startswith("train"),
        ),
        values,
    )


def _share(raw: Raw, place: int, column: str, value: Decimal, unit: Unit, role: str) -> float:
    try:
        return as_error(value, unit, accuracy=role.endswith("accuracy"))
    except ValueError as error:
        raise InputError(f"{raw.name}, row {place}, column {column}: {error}") from None


def _half(value: Decimal, unit: Unit) -> float:
    """Half a unit of the last digit of a number, as a fraction."""
    exponent = value.as_tuple().exponent
    return 0.5 * 10.0 ** min(exponent if isinstance(exponent, int) else 0, 0) / (100 if unit == "percent" else 1)


def _refuse_worse_than_guessing(
    raw: Raw,
    columns: Mapping[str, str],
    config: ImportConfig,
    runs: Sequence[Result],
    judged: str,
    task: Task,
    images: int | None,
) -> None:
    """Raise InputError if all runs are clearly worse than guessing, unless the column was named by a person."""
    role = next(one for one in ERRORS[judged] if one in columns)
    errors = [run.errors[judged] for run in runs if judged in run.errors]
    chance = 1 - 1 / task.classes
    clearly = chance + 4 * (chance * (1 - chance) / (images or 1000)) ** 0.5
    if not errors or min(errors) <= clearly or getattr(config.columns, role) is not None:
        return
    other = ERRORS[judged][1 - ERRORS[judged].index(role)]
    what, instead = ("errors", "accuracies") if role.endswith("error") else ("accuracies", "errors")
    raise InputError(
        f"{raw.name}, column {columns[role]}: read as {what}, all are worse than guessing (an error of "
        f"{100 * chance:.4g} %); say columns.{other}={columns[role]} if they are {instead}, and "
        f"columns.{role}={columns[role]} if they are not"
    )


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


@dataclass(frozen=True)
class _Runs:
    """What the rows with errors are together.

    used       the row of each run that is its result
    seeds      the file's own seeds in order; none where it has none
    lengths    of runs in epochs
    pointless  rows of runs that have no judged error at all
    repeated   rows that say what another one of the same run says
    earlier    rows of epochs before the last that are no curve; `later` those after the last judged error
    """

    runs: tuple[Result, ...]
    used: tuple[Row, ...]
    seeds: tuple[int, ...]
    lengths: tuple[int, ...]
    pointless: int
    repeated: int
    earlier: int
    later: int


Point = tuple[int | None, Row, Architecture]


def _runs(
    raw: Raw,
    columns: Mapping[str, str],
    config: ImportConfig,
    rows: Sequence[tuple[Row, Architecture]],
    errors: Mapping[int, Mapping[str, float]],
    judged: str,
) -> _Runs:
    """The runs of a file's rows, each of a design and seed.

    Where the file has no seeds, the runs of a design are numbered in the order of the file, and pair nothing.
    """
    grouped = _by_run(raw, columns, rows)
    # What a person named, or what is called `epoch`, tells the points of a run and not how long it was.
    is_point = "epoch" in columns and (config.columns.epoch is not None or says_point(columns["epoch"]))
    own_seeds = sorted({seed for _, seed in grouped})
    numbers = {seed: place for place, seed in enumerate(own_seeds)}
    found, used, lengths = list[Result](), list[Row](), set[int]()
    counts: Counter[str] = Counter()
    for (name, seed), rows_of_run in grouped.items():
        own = _in_order(raw, columns, name, seed, rows_of_run, errors, is_point=is_point)
        counts["repeated"] += len(rows_of_run) - len(own)
        judging = [
            place
            for place, (_, row, _) in enumerate(own)
            if judged in errors[row.number] or row.cells.get("status", "").lower() in JUDGED_STATUSES[1:]
        ]
        if not judging:
            counts["pointless"] += len(own)
            continue
        counts["later"] += len(own) - 1 - judging[-1]
        own = own[: judging[-1] + 1]
        last, row, design = own[-1]
        curve = _curve(own, errors)
        counts["earlier"] += len(own) - 1 - (len(curve) - 1 if curve else 0)
        if last is not None:
            lengths.add(len(curve) or last)
        status = row.cells.get("status", "").lower()
        used.append(row)
        found.append(
            Result(
                setting=name,
                design=design,
                seed=numbers[seed],
                status=status if status in JUDGED_STATUSES[1:] and judged not in errors[row.number] else "ok",
                errors=errors[row.number],
                seconds=_seconds(raw, row, columns),
                group=row.cells.get("group", ""),
                curve=curve,
            )
        )
    return _Runs(
        runs=tuple(found),
        used=tuple(used),
        seeds=tuple(own_seeds) if "seed" in columns else (),
        lengths=tuple(sorted(lengths)),
        **{name: counts[name] for name in ("pointless", "repeated", "earlier", "later")},
    )


def _by_run(
    raw: Raw, columns: Mapping[str, str], rows: Sequence[tuple[Row, Architecture]]
) -> dict[tuple[str, int], list[Point]]:
    """The rows of each run with their epochs, by the design and the seed, or else the number, of the run."""
    by_design: dict[Architecture, list[Point]] = {}
    for row, design in rows:
        by_design.setdefault(design, []).append((_whole(raw, row, "epoch", columns, 100_000), row, design))
    names = {design: short_name(design) for design in by_design}
    grouped: dict[tuple[str, int], list[Point]] = {}
    for design, own in by_design.items():
        if "seed" in columns:
            seeds = [_seed(raw, row, columns) for _, row, _ in own]
        else:
            seeds = _numbered(raw, names[design], [epoch for epoch, _, _ in own])
        for seed, point in zip(seeds, own, strict=True):
            grouped.setdefault((names[design], seed), []).append(point)
    return grouped


def _seed(raw: Raw, row: Row, columns: Mapping[str, str]) -> int:
    seed = _whole(raw, row, "seed", columns, MOST_SEED)
    if seed is None:
        raise InputError(
            f"{raw.name}, row {row.number}: has no seed; say columns.seed=none to number the runs of a design"
        )
    return seed


def _numbered(raw: Raw, name: str, epochs: Sequence[int | None]) -> list[int]:
    """The numbers of the runs of a design to which rows of some epochs belong, where the file has no seeds.

    Where all runs are equally long, the first row of an epoch is of the first run, and so on. Else the rows of a run
    must follow each other: an epoch that is no later than the one before begins another run.
    """
    counts = Counter(epochs)
    if None in counts or len({*counts.values()}) == 1:
        seen, found = Counter[int | None](), list[int]()
        for epoch in epochs:
            found.append(seen[epoch])
            seen[epoch] += 1
        return found
    known = [epoch or 0 for epoch in epochs]
    begins = [place == 0 or known[place] <= known[place - 1] for place in range(len(known))]
    if any(known[place] != min(known) for place, one in enumerate(begins) if one):
        raise InputError(
            f"{raw.name}: has no column of seeds, and epochs do not tell which run of {name} a row is of; "
            "say columns.seed=COLUMN, or columns.epoch=none if each is a run"
        )
    return [count - 1 for count in accumulate(begins)]


def _in_order(
    raw: Raw,
    columns: Mapping[str, str],
    name: str,
    seed: int,
    own: list[Point],
    errors: Mapping[int, Mapping[str, float]],
    *,
    is_point: bool,
) -> list[Point]:
    """The rows of one run by epoch, without those that repeat another. Raises InputError if they contradict each other.

    Where a column may tell how long a run was trained, rows of one seed whose epochs do not follow each other are
    refused, since they may be runs of their own.
    """
    if len(own) == 1:
        return own
    by_epoch: dict[int | None, Point] = {}
    for point in own:
        epoch, row, _ = point
        first = by_epoch.setdefault(epoch, point)[1]
        same = ("seconds", "status")
        if errors[first.number] != errors[row.number] or any(
            first.cells.get(one) != row.cells.get(one) for one in same
        ):
            at = f" after epoch {epoch}" if epoch is not None else ""
            with_seed = f" with seed {seed}{at}" if "seed" in columns else at
            raise InputError(
                f"{raw.name}: rows {first.number} and {row.number} are both of {name}{with_seed}, and do not say the "
                "same; say columns.seed=COLUMN, or columns.seed=none to number the runs of a design"
            )
    if None in by_epoch and len(by_epoch) > 1:
        empty = by_epoch[None][1].number
        raise InputError(
            f"{raw.name}, row {empty}: has no epoch, and others of {name} with its seed have; say columns.epoch=none "
            "and columns.seed=none if they are runs of their own"
        )
    ordered = sorted(by_epoch.values(), key=lambda one: one[0] or 0)
    if not is_point and any((after[0] or 0) - (at[0] or 0) != 1 for at, after in pairwise(ordered)):
        rows = " and ".join(str(row.number) for _, row, _ in ordered[:2])
        raise InputError(
            f"{raw.name}: rows {rows} are both of {name} with one seed, and end at other epochs, which do not follow "
            f"each other; say columns.epoch={columns['epoch']} if they are points of one run, or columns.epoch=none "
            "and columns.seed=none if they are runs of their own"
        )
    return ordered


def _curve(own: Sequence[Point], errors: Mapping[int, Mapping[str, float]]) -> tuple[tuple[float | None, float], ...]:
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
        cells = raw.table[column].tolist()
        values = {cells[place] for place in places} - {""}
        is_setting = column in raw.settings or says_settings(str(column))
        # A column of other values everywhere is a name or a result, where no tool says that it is a setting.
        if 1 < len(values) < len(places) + is_setting:
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
