"""Trains what the final round of a finished search lacks: its best designs anew, judged once on the test images."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console

from explorer.analysis.judging import OpenedStudy, begun_study
from explorer.design.name import display_setting
from explorer.host.console import say
from explorer.host.errors import InputError
from explorer.host.formatting import counted
from explorer.record.folder import locked, sweep
from explorer.record.starts import execution_in
from explorer.study.final import final_study
from explorer.study.plan import Plan, plan_of
from explorer.study.run import joined_hash
from explorer.study.settings import NO_PATH

if TYPE_CHECKING:
    from explorer.search.state import PageUpdater


def finish(
    study: OpenedStudy, plan: Plan, console: Console, page_updater: "Callable[[], PageUpdater | None]" = lambda: None
) -> tuple[OpenedStudy, list[str]]:
    """The study with a complete final round, and what went wrong; the study itself if it has none to make.

    `plan` is made from the settings of this command, which say where the images are and what executes runs. What
    `page_updater` gives keeps the search's page up to date meanwhile.
    """
    final = study.final
    if final is None or final.found.complete:
        return study, []
    if final.found.fault:
        raise InputError(f"{final.found.fault}; take that folder away to make the final round anew")
    if plan.config.data.lacks_path:
        raise InputError(NO_PATH)
    from explorer.search.coordinator import run_study

    names = ", ".join(map(display_setting, final.found.settings))
    say(
        console,
        f"Final round: {names}, the best by validation, trained anew on training and validation images together with "
        f"{counted(final.found.seeds, 'fresh seed')} each, then tested: {counted(final.study.progress.left, 'run')}",
    )
    like, data_hash = execution_in(study.execution, study.folder), joined_hash(str(study.environment["data_hash"]))
    due = plan_of(final_study(plan.with_seeds(study.plan.seeds), final.found.settings, like.precision))
    with locked(study.folder):
        try:
            failed = run_study(due, final.folder, console, page_updater(), like=like, data_hash=data_hash)
        except InputError as error:
            raise InputError(f"{error}; of the final round in {final.folder}", *error.more) from None
    problems = []
    if failed:
        log = final.folder / "local" / "failures.log"
        problems.append(f"{counted(failed, 'run')} of the final round failed; see {log}; start again to retry them")
    else:
        sweep(final.folder)
    again = begun_study(study.folder, plan)
    assert again is not None
    return again, problems
