"""Says that a command names other images than a study's, where the study is finished and looks at none again."""

from rich.console import Console

from explorer.analysis.judging import OpenedStudy
from explorer.host.console import PLAIN
from explorer.record.changes import other_images
from explorer.study.settings import StudyConfig
from explorer.verbs.challenge import due_check


def tell_of_other_images(study: OpenedStudy, config: StudyConfig, console: Console) -> None:
    """Say that the place of images in a command decides nothing, if it is another one and nothing is left to train.

    What is left of a study, of its final round or of its checks reads images, which are then compared with the study's.
    """
    checks, asked, final = study.checks, config.study.robustness, study.final
    is_left = study.progress.left or (final is not None and not final.found.complete)
    if is_left or (checks is not None and due_check(checks, asked, ()) is not None):
        return
    for one in other_images(study.config.data.name, study.config.data.path, config):
        line = f"{one.key}={one.now} decides nothing: {config.name} is finished, on images that were in {one.then}."
        console.print(f"{line} For a study of other images add name=... to the command.", **PLAIN)
