"""What an imported study says of the file that its rows were read from: `imported` in environment.json."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from explorer.study.settings import Natural


@dataclass(frozen=True)
class Unread:
    """A design that the file names and that does not exist here, the number of its rows, and why."""

    name: str
    rows: Natural
    why: str


@dataclass(frozen=True)
class OtherCount:
    """A design whose number of parameters in the file is not the one of the closed form.

    given  as it stands in the file
    ours   the exact number
    """

    setting: str
    given: str
    ours: Natural


@dataclass(frozen=True)
class Imported:
    """Where the results of an imported study come from, and what was found in the file.

    file       its name, or its URL without a password; `digest` is the SHA-256 of its content
    kind       what it was read as: `csv`, `optuna`
    rows       of the file; `used` became runs of this study
    judged     the error that is judged
    columns    by what they hold, the columns that were used
    unit       of errors in the file
    cost       against which the error is drawn
    recipe     as the file or the command names it; "" for none
    paired     whether the file gives seeds, so that runs of one seed are pairs
    seeds      the file's own seeds, in the order in which they are numbered here
    epochs     that runs were trained, where the file says so
    timed      whether it says how long runs took
    left_out   rows that did not become runs, by reason
    others     rows of other data sets, recipes or sizes, by `recipe a1`
    unread     designs that do not exist here
    compared   designs whose number of parameters the file gives; `different` are those where ours is another
    unused     other columns in which rows differ, with their numbers of values
    asked      the keys of the command beside file and name, as it takes them, by which the same is imported again
    """

    file: str
    digest: str
    kind: str
    rows: Natural
    used: Natural
    judged: Literal["test_error", "val_error"]
    columns: dict[str, str]
    unit: Literal["fraction", "percent"]
    cost: Literal["params", "macs", "activations"]
    recipe: str = ""
    paired: bool = False
    seeds: list[Natural] = field(default_factory=list)
    epochs: list[Natural] = field(default_factory=list)
    timed: bool = False
    left_out: dict[str, Natural] = field(default_factory=dict)
    others: dict[str, Natural] = field(default_factory=dict)
    unread: list[Unread] = field(default_factory=list)
    compared: Natural = 0
    different: list[OtherCount] = field(default_factory=list)
    unused: dict[str, Natural] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)


def imported_of(environment: Mapping[str, Any]) -> Imported | None:
    """What an environment says of the file that a study was imported from; None for a study that was trained."""
    tree = environment.get("imported")
    if tree is None:
        return None
    unread = [Unread(**one) for one in tree.get("unread", [])]
    different = [OtherCount(**one) for one in tree.get("different", [])]
    return Imported(**{**tree, "unread": unread, "different": different})
