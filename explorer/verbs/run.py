"""`explorer run`: train what is missing of a study and of the checks it asks for, judge it, draw its page.

The steps of the command, from top to bottom: make the plan, open the record, train until nothing is left, make the
final round of a search, print the verdict, draw the page; then the same for the robustness checks.
"""

import math
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from explorer.analysis.judging import OpenedStudy, begun_study, open_study
from explorer.analysis.regime import regime_of, regime_sentence
from explorer.analysis.summary import lowest
from explorer.host import signals
from explorer.host.commands import command_for
from explorer.host.console import PLAIN, say
from explorer.host.errors import InputError, StudyStoppedError
from explorer.host.formatting import counted, hours_key, hours_words, without_password
from explorer.record.folder import (
    BEHIND,
    CONFIG,
    LIVE_SECONDS,
    REPORTS,
    locked,
    make_folder,
    refuse_links,
    study_folder,
    sweep,
)
from explorer.record.progress import refuse_foreign, without_weights
from explorer.record.starts import keep_stop, stop_words
from explorer.report.finding_data import study_data
from explorer.report.terminal import print_verdict
from explorer.study.plan import Plan, plan_of
from explorer.study.settings import NO_PATH, StorageConfig, StudyConfig
from explorer.verbs.challenge import challenged
from explorer.verbs.draw_page import draw_page, tell_of_page
from explorer.verbs.final_round import finish
from explorer.verbs.live import Live
from explorer.verbs.other_images import tell_of_other_images
from explorer.verbs.read_only import refuse_changes
from explorer.verbs.result import STOPPED, Result
from explorer.verbs.space_progress import space_progress

if TYPE_CHECKING:
    from explorer.record.starts import Fork


def carry_out(
    config: StudyConfig, console: Console, withheld: tuple[str, ...] = (), *, must_fork: bool = False
) -> Result:
    """Train what a study lacks, judge it, draw its page.

    The verdict of a finished study is printed, and nothing is written. `withheld` are the keys of a stored study that
    are needed for training and must come from the command. With `must_fork` a study that would go on as it is
    is refused.

    Where the hours of `search.hours` are over before all is done, what there is is judged and drawn, and the code is
    `STOPPED`. Raises StudyStoppedError if runs failed, none could be judged, or the page could not be drawn.
    """
    refuse_changes(config)
    hours = config.search.hours
    with signals.limited(math.inf if hours is None else 3600 * hours):
        return _carried_out(config, console, withheld, must_fork=must_fork)


def _carried_out(config: StudyConfig, console: Console, withheld: tuple[str, ...], *, must_fork: bool) -> Result:
    with space_progress(console) as progress:
        plan = plan_of(config, progress)
    fork = None
    if must_fork and not (study_folder(config.name) / CONFIG).exists():
        raise InputError(f"{config.name}: has no record here to fork; train it with: {command_for('', config.name)}")
    if config.fork and (study_folder(config.name) / CONFIG).exists():
        if config.data.lacks_path:
            raise InputError(NO_PATH)
        from explorer.search.fork import forked

        plan, fork = forked(plan, console, must=must_fork)
    folder = study_folder(plan.config.name)
    refuse_links(folder)
    try:
        return _trained(plan, config, fork, folder, console, withheld)
    except signals.TimeOverError:
        return _stopped(plan, config, folder, console)


def _trained(
    plan: Plan, config: StudyConfig, fork: "Fork | None", folder: Path, console: Console, withheld: tuple[str, ...]
) -> Result:
    """Train what is left, make the final round and the checks that are asked for, say the verdict, draw the page."""
    study = begun_study(folder, plan)
    failed, trained = 0, False
    while not failed and (study is None or study.progress.left):
        if config.data.lacks_path:
            raise InputError(NO_PATH)
        if withheld:
            raise InputError(
                f"{', '.join(withheld)}: {folder / CONFIG} says something that only a command may decide, since a "
                f"folder can come from others; say it again, as in {command_for('', config.name, f'{withheld[0]}=...')}"
            )
        from explorer.search.coordinator import run_study

        if not trained:
            _say_where_trials_go(folder, config.storage, console)
        due = plan.with_seeds(study.plan.seeds) if study else plan
        failed = run_study(due, folder, console, _page_updater(plan.config, folder, console), fork)
        study, trained = begun_study(folder, plan), True
    assert study is not None
    if not trained:
        tell_of_other_images(study, config, console)
        _see_to_what_is_left_over(study, config.storage, console)
    problems = []
    if failed:
        problems.append(
            f"{counted(failed, 'run')} failed; see {folder / 'local' / 'failures.log'}; start again to retry them"
        )
    else:
        sweep(folder)
        before = study
        updater = partial(_page_updater, plan.config, folder, console)
        study, more = finish(study, plan, console, updater)
        trained, problems = trained or study is not before, problems + more
        if study is not before:  # the dashboard says what the final round found
            from explorer.verbs.move import catch_up

            catch_up(study, config.storage)
    print_verdict(study.finding, study.config.study.question, console, regime=regime_sentence(regime_of(study)))
    if config.storage.weights == "last" and (line := _missing_weights(study)):
        console.print(line, **PLAIN)
    # From here on the record is complete and the verdict printed.
    if trained:
        problems += draw_page(study, console)
    else:
        tell_of_page(study, console)
    if study.final is not None and study.final.found.complete:
        console.print(f"The network, for use elsewhere: {command_for('export', config.name)}", **PLAIN)
    asked, has_second = plan.config.study.robustness, study.checks is not None and study.checks.epochs is not None
    if not failed and (asked or has_second):
        problems += challenged(study, plan, asked, console)
    if study.finding.lost is not None and not failed:
        problems.append(f"{study.config.name}: no run came through that could be judged; see the verdict above")
    result = Result(lambda: study_data(open_study(folder)))
    if problems:
        raise StudyStoppedError("; ".join(problems), result.data)
    return result


def _stopped(plan: Plan, config: StudyConfig, folder: Path, console: Console) -> Result:
    """Judge and draw what there is when the hours of a start are over, and say how to go on."""
    assert config.search.hours is not None
    hours, name = config.search.hours, plan.config.name
    price = [] if config.engine.price is None else [f"engine.price={config.engine.price}"]
    again = command_for("", name, hours_key(hours), *price)
    if begun_study(folder, plan) is None:
        words = f"Stopped after {hours_words(hours)} as asked, before the first run began; nothing is kept"
        say(console, f"{words}. It takes longer than that to begin; say more: {hours_key(2 * hours)}")
        return Result(lambda: {"study": name, "stopped": {"hours": hours, "when": None}}, STOPPED)
    with locked(folder):
        keep_stop(folder, hours)
    study = begun_study(folder, plan)
    assert study is not None
    print_verdict(study.finding, study.config.study.question, console, regime=regime_sentence(regime_of(study)))
    problems = draw_page(study, console)
    left = study.progress.left
    rest = f"{study.progress.final} of {study.progress.wanted} runs are in the record" if left else "its runs are done"
    say(console, f"{stop_words(study.environment)}: {rest}, and what was being trained is kept. Continue with: {again}")
    if problems:
        raise StudyStoppedError("; ".join(problems), lambda: study_data(open_study(folder)))
    return Result(lambda: study_data(open_study(folder)), STOPPED)


def _missing_weights(study: OpenedStudy) -> str:
    """What is said where weights are wanted that were not kept: how many lack, and the commands that train them."""
    if study.config.is_imported:
        return "storage.weights=last: imported results have no weights"
    words, name = without_weights(study.record, study.folder), study.folder.name
    if not words:
        return ""
    keys = ["--config", str(study.folder / CONFIG), f"name={name[:90]}-weights", "storage.weights=last"]
    best = lowest(study.finding.summaries)
    if best is None:
        return f"{words}: {command_for('run', '', *keys)}"
    design, _, form = best.setting.partition("@")
    keys += [f"search.only=[{design}]", *([f"search.forms=[{form}]"] if form else [])]
    return f"{words}: {command_for('run', '', *keys)} trains the best design, and without search.only all"


def _say_where_trials_go(folder: Path, storage: StorageConfig, console: Console) -> None:
    """Check that the dashboard's database accepts the login, and report if it is another than until now."""
    from explorer.search.database import refuse_closed
    from explorer.verbs.move import elsewhere

    refuse_closed(storage)
    if line := elsewhere(folder, storage):
        console.print(line, **PLAIN)


def _page_updater(config: StudyConfig, folder: Path, console: Console) -> Live | None:
    """The process that keeps the page up to date while runs are trained; None if the settings want none."""
    for path in (folder, folder / "local", REPORTS):
        make_folder(path)
    page = REPORTS / f"{config.name}.html"
    words = f"The page while it runs, drawn anew at most every {LIVE_SECONDS} s: {page}"
    begins, images = partial(console.print, words, **PLAIN), config.report.images
    return Live(folder, begins=begins, images=images) if config.report.live else None


def _see_to_what_is_left_over(study: OpenedStudy, storage: StorageConfig, console: Console) -> None:
    """For a study that was already finished: refuse a record of other runs, and complete the dashboard's database.

    A database that it never had is not made, since nothing is written then: it is said what makes one.
    """
    refuse_foreign(study.config, study.folder, study.planned_runs(), study.record)
    if (study.folder / BEHIND).exists():
        from explorer.verbs.move import catch_up

        catch_up(study, storage)
    elif storage.mirror != "none" and study.config.storage.mirror == "none":
        made = command_for("move", study.config.name, "storage=sqlite")
        if storage.url is not None:
            now = without_password(storage.url)
            made = command_for("move", study.config.name, "storage=postgres", f"storage.url={now}")
        console.print(f"It is finished and has no database for optuna-dashboard; {made} makes one.", **PLAIN)
    if storage.trackers:
        from explorer.search.trackers.process import Trackers

        with suppress(InputError), locked(study.folder), Trackers(study.folder, storage.trackers):
            pass
