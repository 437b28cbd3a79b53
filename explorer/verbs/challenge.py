"""`explorer challenge`: make the robustness checks of a finished contrast, judge them, draw the page again."""

from collections.abc import Collection
from dataclasses import replace

from rich.console import Console

from explorer.analysis.checks import Checks, CheckStudy, checks_of
from explorer.analysis.judging import OpenedStudy, begun_study, open_study
from explorer.analysis.regime import regime_of, regime_sentence
from explorer.host.commands import command_for
from explorer.host.console import PLAIN
from explorer.host.errors import InputError, StudyStoppedError
from explorer.host.formatting import counted
from explorer.record.folder import CHECKS, locked, refuse_links, stored_config, study_folder, sweep
from explorer.report.finding_data import study_data
from explorer.report.terminal import print_verdict
from explorer.study.checks import ALLOWED, EPOCHS, CheckArm, is_asked
from explorer.study.plan import Plan, plan_of
from explorer.study.settings import NO_PATH, StudyConfig
from explorer.verbs.draw_page import draw_page
from explorer.verbs.read_only import refuse_training
from explorer.verbs.result import Result
from explorer.verbs.space_progress import space_progress


def carry_out(config: StudyConfig, console: Console) -> Result:
    """Train what the checks that are asked for lack, judge them and draw the study's page.

    Raises InputError if the study is not finished or has no contrast to check, and StudyStoppedError if runs failed.
    """
    refuse_training(config, "train again")
    folder = study_folder(config.name)
    refuse_links(folder)
    with space_progress(console) as progress:
        plan = plan_of(config, progress)
    if plan.contrast is None:
        raise InputError(f"challenge: {config.name} has no contrast of two settings, which is what is checked")
    study = begun_study(folder, plan)
    if study is None or study.progress.left:
        far = f"{study.progress.final} of {study.progress.wanted} runs are in" if study else "there is no record yet"
        raise InputError(
            f"{folder}: {far}, and a contrast is checked when it is finished; first say {command_for('', folder.name)}"
        )
    asked = config.study.robustness or tuple((stored_config(folder) or {}).get("study", {}).get("robustness", ()))
    if not asked:
        raise InputError(
            f"study.robustness is empty; say for example study.robustness=[init,rate]; allowed: {', '.join(ALLOWED)}"
        )
    problems = challenged(study, plan, asked, console, always=True)
    result = Result(lambda: study_data(open_study(folder)))
    if problems:
        raise StudyStoppedError("; ".join(problems), result.data)
    return result


def challenged(
    study: OpenedStudy, plan: Plan, asked: Collection[str], console: Console, *, always: bool = False
) -> list[str]:
    """Make the checks that a finished study lacks, and what its second verdict takes, and return what went wrong.

    If any was trained, or `always`, its verdict is printed and its page drawn. `plan` is made from the settings of this
    command, which say where the images are and what executes runs.
    """
    made, problems = _made(study, plan, asked, console)
    if not made and not always:
        return problems
    again = begun_study(study.folder, plan) if made else study
    assert again is not None
    print_verdict(again.finding, again.config.study.question, console, regime=regime_sentence(regime_of(again)))
    return [*problems, *draw_page(again, console)]


def _made(study: OpenedStudy, plan: Plan, asked: Collection[str], console: Console) -> tuple[int, list[str]]:
    """Train what the checks lack, one study after the other: how many studies were trained, and what went wrong."""
    problems, tried = list[str](), set[str]()
    if study.finding.lost is not None:  # without a verdict there is nothing to explain
        return 0, problems
    if study.checks is None:
        why = (
            "another program trains this study"
            if plan.config.is_told
            else "the settings of this contrast differ in their form"
        )
        raise InputError(f"study.robustness: {why}; allowed: []")
    due_plan = plan.with_seeds(study.plan.seeds).with_lengths(study.plan.lengths)
    declared = replace(study.checks.declared, plan=due_plan, tuned={})

    def stand() -> Checks:
        found = checks_of(study.folder, declared, study.environment["data_hash"])
        assert found is not None
        return found

    if due_check(stand(), asked, tried) is None:  # nothing is written where nothing is to be made
        return 0, problems
    with locked(study.folder):
        while due := due_check(stand(), asked, tried):
            arm, name, own = due
            tried.add(name)
            if own.fault:
                raise InputError(f"{own.fault}; take that folder away to make the check anew")
            if plan.config.data.lacks_path:
                raise InputError(NO_PATH)
            from explorer.search.coordinator import run_study

            what = "The second verdict" if arm.name == EPOCHS else f"Robustness check {arm.check}"
            console.print(f"{what}, {arm.words}: {counted(own.progress.left, 'run')}", **PLAIN)
            folder = study.folder / CHECKS / name
            try:
                failed = run_study(own.plan, folder, console)
            except InputError as error:
                if own.record is None:
                    raise
                raise InputError(f"{error}; of a check: take {folder} away to make it anew", *error.more) from None
            if failed:
                log = folder / "local" / "failures.log"
                problems.append(f"{counted(failed, 'run')} of a check failed; see {log}; start again to retry them")
            else:
                sweep(folder)
    return len(tried), problems


def due_check(
    checks: Checks, asked: Collection[str], tried: Collection[str]
) -> tuple[CheckArm, str, CheckStudy] | None:
    """The next study that an arm lacks, with the arm and its name; None if there is none that was not tried."""
    second = [checks.epochs] if checks.epochs is not None else []
    for arm in (*second, *(arm for arm in checks.arms if is_asked(arm, asked))):
        for name in (one.name for one in arm.studies):
            if not checks.studies[name].is_finished and name not in tried:
                return arm, name, checks.studies[name]
    return None
