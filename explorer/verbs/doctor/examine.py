"""`explorer doctor`: examine a study's folder, report, ask, repair, and repeat until nothing more can be done."""

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.prompt import Confirm
from rich.text import Text

from explorer.analysis.judging import judged, open_study
from explorer.host.commands import command_for, program_here
from explorer.host.console import PLAIN
from explorer.host.console import say as in_width
from explorer.host.errors import InputError
from explorer.host.formatting import counted, printable, without_password
from explorer.record import folder as study
from explorer.record import records
from explorer.record.progress import foreign
from explorer.record.starts import execution_in
from explorer.report import drawing
from explorer.search.mirror import Mirror, Writer, mirror_of, problem
from explorer.search.state import replayed
from explorer.search.trials import Trials
from explorer.study.designs import Setting
from explorer.study.lengths import lengths_in
from explorer.study.plan import Plan, plan_of
from explorer.study.run import FINAL_STATUSES, Execution, Run
from explorer.study.runs import runs_of
from explorer.study.settings import DoctorConfig, StudyConfig
from explorer.study.tree import to_config
from explorer.verbs.doctor.fault import Fault
from explorer.verbs.doctor.leftovers import examine_checkpoints, examine_leftovers, position
from explorer.verbs.doctor.tables import MOST_NAMED, Tables, examine_labels, examine_tables
from explorer.verbs.pictures import pictures_of
from explorer.verbs.result import Result


@dataclass
class Examination:
    """The result of examining a folder: lines on what is there, and the faults."""

    lines: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


@dataclass(frozen=True)
class _Known:
    """The contents of a study's small files, as far as they can be read."""

    plan: Plan | None
    environment: dict[str, Any] | None
    execution: Execution | None

    def runs(self, settings: tuple[Setting, ...]) -> list[tuple[Setting, Run]]:
        """The runs that the study plans for these settings; empty if a file needed for that cannot be read."""
        if self.plan is None or self.execution is None or self.environment is None:
            return []
        plan = self.plan.with_lengths(lengths_in(self.environment, study.ENVIRONMENT))
        return runs_of(plan, settings, self.execution, self.environment["data_hash"])


def visit(
    folder: Path, console: Console, agrees: Callable[[Fault], bool] | None, database: str | None = None
) -> Result:
    """Examine a study, repair the faults for which `agrees` returns True (None: none), and say what was found.

    A database outside the folder is connected to only if it is the study's and `database` names it too.
    Code 0: nothing is wrong, or all is repaired; 1: a fault is left. Raises InputError if there is no such study, or if
    it was recorded by a later version, which this one cannot read.
    """

    def say(line: str) -> None:
        if f"{program_here()} " in line:  # a command is copied whole
            console.print(line, **PLAIN)
        else:
            in_width(console, line, indent=4)

    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such study; {command_for('list')} shows those that there are")
    holder = study.held_by(folder)
    look = partial(examine, folder, database=database)
    found = look(running=holder is not None)
    for line in found.lines:
        say(line)
    if holder:
        say(f"It is being run by {holder}; nothing is repaired before that ends.")
    for one in found.faults:
        say(f"- {one.what}")
        say(f"  {'No fault' if not one.is_fault else 'Can be repaired' if one.cure else 'To do'}: {one.remedy}")
    left = found.faults

    def ended(code: int) -> Result:
        kept = {one.what for one in left}
        told = {
            "study": folder.name,
            "running_on": holder,
            "found": [line.strip() for line in found.lines],
            "faults": [
                {
                    "what": one.what,
                    "remedy": one.remedy,
                    "is_fault": one.is_fault,
                    "can_be_repaired": one.cure is not None,
                    "repaired": one.what not in kept,
                }
                for one in [*found.faults, *(one for one in left if one not in found.faults)]
            ],
        }
        return Result(lambda: told, code)

    is_well = not any(one.is_fault for one in found.faults)
    if is_well and (agrees is None or not found.faults or holder):
        say("Nothing is wrong.")
        return ended(0)
    curable = any(one.cure for one in found.faults)
    if agrees is None and curable and not holder:
        say("Nothing was changed; add --yes to repair.")
    if agrees is None or not curable or holder:
        return ended(1)
    left = _repaired(folder, found, agrees, say, partial(look, running=False))
    say(f"{len(left)} left: {'; '.join(one.what for one in left)}" if left else "All is repaired.")
    return ended(1 if any(one.is_fault for one in left) else 0)


def _repaired(
    folder: Path,
    found: Examination,
    agrees: Callable[[Fault], bool],
    say: Callable[[str], None],
    look: Callable[[], Examination],
) -> list[Fault]:
    """Repair one fault after the other, including faults that a repair reveals, and return those that are left."""
    study.make_folder(folder / "local")
    asked: set[str] = set()
    with study.locked(folder):
        while todo := [one for one in found.faults if one.cure and one.what not in asked]:
            # One at a time: repairing a record makes its page and its database stale.
            one = todo[0]
            asked.add(one.what)
            if agrees(one):
                assert one.cure is not None
                one.cure()
                found = look()
                if one.what not in [other.what for other in found.faults]:
                    say(f"Repaired: {one.what}")
    return found.faults


def examine(folder: Path, *, running: bool, database: str | None = None) -> Examination:
    """Examine a study's folder and those of its robustness checks without changing them; `database` as in `visit`."""
    found = _examine_one(folder, running=running, database=database)
    for check in study.checks_in(folder):
        try:
            own = _examine_one(check, running=running or study.held_by(check) is not None, is_check=True)
        except InputError as error:
            own = Examination([], [Fault(str(error), "the study itself does not need it")])
        found.lines += own.lines
        found.faults += own.faults
    return found


def _examine_one(folder: Path, *, running: bool, database: str | None = None, is_check: bool = False) -> Examination:
    """Examine one folder; a check has no page of its own, and no database."""
    study.refuse_later_record(folder)  # what is missing or wrong in such a record cannot be known
    found = Examination([f"{folder}:"])
    known = _read_small_files(folder, found)
    plan = known.plan
    if not _has_record(folder):
        found.lines.append("  Nothing has been recorded yet.")
        if lost := [name for name in study.gaps(folder) if name in (*study.TABLES, *study.SOME)]:
            remedy = "restore what was there; if no copy is left, a new study begins with name=..."
            found.faults.append(Fault(f"{folder}: {', '.join(lost)} missing, though the study has begun", remedy))
        elif plan and known.execution and known.environment:
            found.lines += _left(folder, plan.designs - len(plan.settings), known.runs(plan.settings))
        elif known.plan is None:
            begin = command_for("run", "", "study=equal_params", f"name={folder.name}")
            away = command_for("delete", folder.name, "--yes")
            found.lines.append(f"  It holds no study: {begin} begins one in it, {away} takes it away.")
        if not running:
            found.faults += [*examine_checkpoints(folder, set()), *examine_leftovers(folder, _page(folder))]
        return found
    tables = examine_tables(
        folder,
        searches=plan.config.search.is_adaptive if plan else (folder / study.DECISIONS).exists(),
        filters=(folder / study.FILTERS).exists() or (plan is not None and study.FILTERS in study.some_tables(folder)),
        measures=bool(plan.config.measures) if plan else (folder / study.MEASURES).exists(),
        rungs=plan.config.rungs if plan else (),
        # From the settings alone, since the row of a run may be damaged.
        labels={
            run.id: f"{setting.name} seed {run.seed}" for setting, run in known.runs(plan.settings if plan else ())
        },
        running=running,
    )
    of_labels = Tables([], {}, [])
    if plan and known.environment:
        images = int(known.environment["images"][2])
        of_labels = examine_labels(folder, plan.config.data.classes, images, running=running)
    found.lines.append(f"  {', '.join([*tables.lines, *of_labels.lines])}")
    found.faults += [*tables.faults, *of_labels.faults]
    if tables.kept is None or plan is None or known.execution is None or known.environment is None:
        return found
    record = records.assembled(tables.kept)
    opened = judged(folder, plan, record, {}, known.environment, asdict(known.execution))
    runs = replace(known, plan=opened.plan).runs(opened.settings)
    final = set(record.runs.loc[record.runs["status"].isin(FINAL_STATUSES), "run"])
    found.lines.append(_recorded(record))
    to_choose = opened.plan.designs - len(opened.settings)
    found.lines += _left(folder, to_choose, [own for own in runs if own[1].id not in final])
    if other := foreign(plan.config, runs, record):
        remedy = f"restore {study.CONFIG}, or continue with the version that wrote the record"
        found.faults.append(Fault(f"{folder / study.RUNS}: {other}", remedy))
    if not running:
        found.faults += examine_checkpoints(folder, final)
        found.faults += examine_leftovers(folder, _page(folder))
        if not tables.faults and not of_labels.faults:
            mirror = _mirror_to_look_at(folder, plan.config, database, found.lines)
            if mirror:
                trials = replayed(opened.plan, opened.settings, record)
                found.faults += _mirror(mirror, trials, found.lines)
            if not is_check:
                found.faults += _stale(folder)
    return found


def _read_small_files(folder: Path, found: Examination) -> _Known:
    """Read settings, environment and execution plan; an unreadable file, or one missing beside a record, is a fault."""

    def read(name: str, reader: Callable[[Path], Any]) -> Any:
        remedy = f"restore {name} from a copy, or start anew with name=...; without it the record cannot be continued"
        try:
            value = reader(folder)
        except InputError as error:
            found.faults.append(Fault(str(error), remedy))
            return None
        if value is None and _has_record(folder):
            found.faults.append(Fault(f"{folder / name}: is missing", remedy))
        return value

    plan = read(study.CONFIG, _plan)
    environment = read(study.ENVIRONMENT, study.stored_environment)
    execution = read(study.EXECUTION, _execution)
    if plan:
        found.lines.append(f"  {plan.config.study.question}")
    if environment:
        device = f", {execution.device_name}" if execution else ""
        words = f"{environment['platform']}{device}, torch {environment['versions'].get('torch')}"
        found.lines.append(f"  Started {environment['started']} on {words}")
    return _Known(plan, environment, execution)


def _has_record(folder: Path) -> bool:
    """Whether a table has more than its header, which the first start writes."""
    return any(study.is_more_than_a_header(folder / name) for name in (*study.TABLES, *study.SOME))


def _execution(folder: Path) -> Execution | None:
    tree = study.stored_execution(folder)
    return None if tree is None else execution_in(tree, folder)


def _plan(folder: Path) -> Plan | None:
    tree = study.stored_config(folder)
    return None if tree is None else plan_of(to_config(tree, lambda _: f" (in {folder / study.CONFIG})"), chooses=False)


def _recorded(record: records.Record) -> str:
    """How many runs are recorded, by status, as text."""
    counts = record.runs["status"].value_counts()
    words = ", ".join(f"{number} {str(status).replace('_', ' ')}" for status, number in counts.items())
    return f"  Runs recorded: {len(record.runs)}{f' ({words})' if words else ''}"


def _left(folder: Path, to_choose: int, left: list[tuple[Setting, Run]]) -> list[str]:
    """Lines on what the next start would train, from which checkpoints, and how many designs are yet to be chosen."""
    if not left and not to_choose:
        return ["  Finished: nothing is left to train."]
    chosen = f", and {counted(to_choose, 'design')} yet to be chosen" if to_choose else ""
    lines = [f"  Left to train, when it is started again: {counted(len(left), 'run')}{chosen}"]
    for setting, run in left[:MOST_NAMED]:
        goes = position(folder, run.id)
        lines.append(f"    {setting.name} seed {run.seed}: {goes.words if goes else 'from its beginning'}")
    return [*lines, f"    and {len(left) - MOST_NAMED} more"] if len(left) > MOST_NAMED else lines


def _mirror_to_look_at(folder: Path, config: StudyConfig, database: str | None, lines: list[str]) -> Mirror | None:
    """The dashboard's database to examine: the study's own file, or one that the command names too; None for none.

    The folder may come from other people, and a server that is connected to receives the password for it.
    """
    stored = config.storage.url
    named = replace(config.storage, url=database) if database and without_password(database) == stored else None
    mirror = mirror_of(named or config.storage, config.name, folder)
    if mirror is None or mirror.path is not None:
        return mirror if mirror and mirror.path and mirror.path.exists() else None
    if named is None:
        lines.append(f"  Mirror: {mirror.place}, which is looked at where the command says storage.url={mirror.place}")
        return None
    return mirror


def _mirror(mirror: Mirror, trials: Trials, lines: list[str]) -> list[Fault]:
    """The faults of the dashboard's database; one that cannot be reached is no fault of the study."""
    wrong, is_away = problem(trials, mirror)
    if mirror.path is None:
        lines.append(f"  Mirror: {mirror.place}{f', which cannot be looked at now: {wrong}' if is_away else ''}")
    if not wrong or is_away:
        return []
    return [Fault(f"{mirror.place}: {wrong}", "make it anew from the record", Writer(trials, mirror).catch_up)]


def _stale(folder: Path) -> list[Fault]:
    """A page older than the record; it can be drawn, but is no fault, since an interrupted study may leave it so."""
    page = _page(folder)
    if not study.is_stale(page, folder):
        return []
    behind = study.runs_behind(page, folder) if page.exists() else None
    what = "is older than the record" if behind is None else f"is behind the record by {counted(behind, 'run')}"
    words = f"{page}: {what if page.exists() else 'is not there'}"
    remedy = f"{command_for('report', folder.name)} draws it from the record"
    return [Fault(words, remedy, lambda: _draw(folder), is_fault=False)]


def _draw(folder: Path) -> None:
    opened = open_study(folder)
    drawing.draw(opened, None, pictures_of(opened, "auto"))


def _page(folder: Path) -> Path:
    return study.REPORTS / f"{folder.name}.html"


def carry_out(config: DoctorConfig, database: str | None, console: Console) -> Result:
    """`explorer doctor`: report what is wrong with a study's folder, and repair what the person agrees to."""

    def agrees(fault: Fault) -> bool:
        return config.yes or Confirm.ask(Text(printable(f"{fault.what}\n{fault.remedy}?")), console=console)

    study.refuse_links(study.study_folder(config.name))  # repairs write
    asks = sys.stdin is not None and sys.stdin.isatty() and console.is_terminal
    return visit(study.study_folder(config.name), console, agrees if config.yes or asks else None, database)
