"""Makes the engine that a study's settings name."""

from pathlib import Path

from explorer.engine.contract import Engine, dismissed
from explorer.study.settings import StudyConfig


def open_engine(config: StudyConfig, folder: Path) -> Engine:
    """Make the engine named by `engine.name`; the libraries of a cluster load only here.

    `folder` is the study's. Raises InputError with one line if the engine cannot be reached.
    """
    if config.engine.name != "slurm":
        dismissed(folder)
    if config.engine.name == "ray":
        from explorer.engine.ray_engine import RayEngine

        return RayEngine(config, folder)
    if config.engine.name == "slurm":
        from explorer.engine.slurm_engine import SlurmEngine

        return SlurmEngine(config, folder)
    from explorer.engine.local import LocalEngine

    return LocalEngine(retries=config.engine.retries, silence=config.engine.silence)
