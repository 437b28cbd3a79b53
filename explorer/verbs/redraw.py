"""`explorer report`: draw a study's page again from its record."""

from rich.console import Console

from explorer.analysis.judging import open_study
from explorer.host.console import PLAIN
from explorer.record.folder import refuse_links, study_folder
from explorer.report import drawing
from explorer.report.finding_data import study_data
from explorer.study.settings import StudyConfig
from explorer.verbs.other_images import tell_of_other_images
from explorer.verbs.ped_anova import ped_anova
from explorer.verbs.pictures import pictures_of
from explorer.verbs.result import Result


def carry_out(config: StudyConfig, console: Console) -> Result:
    """`explorer report`: draw a study's page again from its record."""
    folder = study_folder(config.name)
    refuse_links(folder)  # before anything is read through one
    study = open_study(folder)
    if config.report.images is not True:
        tell_of_other_images(study, config, console)
    pictures = pictures_of(study, config.report.images, config.data.path)
    console.print(f"Report: {drawing.draw(study, ped_anova(study), pictures)}", **PLAIN)
    return Result(lambda: study_data(study))
