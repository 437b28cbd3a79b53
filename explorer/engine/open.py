"""Makes the engine that a study's settings name."""

from pathlib import Path

from explorer.engine.contract import Engine, dismissed
from explorer.host.machine import cpu_count
from explorer.study.settings import StudyConfig

EARLY = 4  # most workers that are started before it is known how many are the fastest


def open_engine(config: StudyConfig, folder: Path, runs: int = 0) -> Engine:
    """Make the engine named by `engine.name`; the libraries of a cluster load only here.

    `folder` is the study's, `runs` how many it has yet to train. Raises InputError with one line if the engine cannot
    be reached.
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

    asked = EARLY if config.engine.workers == "auto" else config.engine.workers
    early = min(runs, asked, cpu_count())
    return LocalEngine(retries=config.engine.retries, silence=config.engine.silence, early=early)
