"""Refuses to train in a study of imported results: whatever is in it was made elsewhere, and nobody can add to it."""

from explorer.host.commands import command_for
from explorer.host.errors import InputError
from explorer.record.changes import of_settings
from explorer.record.folder import CONFIG, study_folder
from explorer.record.starts import started_study
from explorer.study.settings import StudyConfig


def refuse_training(config: StudyConfig, what: str) -> None:
    """Raise InputError for a study of imported results, of which `what` is wanted: `train`, `export a network`."""
    if not config.is_imported:
        return
    if not (study_folder(config.name) / CONFIG).exists():
        raise InputError(
            f"data.source=imported: is that of imported results, which {command_for('import', 'FILE')} writes; "
            "choose another data="
        )
    raise InputError(
        f"{config.name}: holds imported results, which are read only; there is nothing here to {what}. "
        f"{command_for('', config.name)} prints what they say; more results come by {command_for('import', 'FILE')} "
        "under another name="
    )


def refuse_changes(config: StudyConfig) -> None:
    """Raise InputError for a study of imported results that is not there, or is to go on with other settings."""
    if not config.is_imported:
        return
    folder = study_folder(config.name)
    if not (folder / CONFIG).exists() or config.fork:
        refuse_training(config, "train")
    study = started_study(folder)
    found = of_settings(study, config) if study else []
    asks_more = study is not None and config.search.seeds != study.config["search"]["seeds"]
    if found or asks_more:
        refuse_training(config, "train")
