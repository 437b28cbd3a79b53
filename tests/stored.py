"""A study in a database, as Optuna's own commands read it, and with no connection left open."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial

from explorer.search.database import released
from explorer.search.mirror import own_mirror


@contextmanager
def opened(url: str, name: str) -> Iterator[optuna.Study]:
    """The study of this name; from Python 3.13 on, a connection that is left to the garbage collector is warned of."""
    storage = optuna.storages.RDBStorage(url)
    with released(storage):
        yield optuna.load_study(study_name=name, storage=storage)


def noted(folder: Path, name: str = "tiny") -> str:
    """The note beside a study in the database of its folder, as optuna-dashboard reads it."""
    from optuna_dashboard import get_note

    with opened(own_mirror(folder).url, name) as study:
        return str(get_note(study))


def trials_of(folder: Path, name: str = "tiny") -> list[FrozenTrial]:
    """The trials in the database of a study's folder."""
    with opened(own_mirror(folder).url, name) as study:
        return study.get_trials()
