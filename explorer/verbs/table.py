"""The verbs, each with what it works on and the settings it takes.

Another verb on one recorded study takes five things: a frozen dataclass in `explorer/study/settings.py`, whose first
field is `name`; a line in `NAMED_VERBS`; its word in `VERBS` of `explorer/host/commands.py`; a file of this folder with
`carry_out(config, console) -> Result`, which holds what `--json` prints; and a line in `HELP` of `dispatch`.
"""

from dataclasses import dataclass, fields
from typing import Any

from explorer.host.commands import VERBS
from explorer.study.settings import (
    BenchmarkConfig,
    CiteConfig,
    DeleteConfig,
    ExportConfig,
    FigureConfig,
    ImportConfig,
    LabelConfig,
    NetworkConfig,
    PoolConfig,
    PredictConfig,
    PushConfig,
    RecordedConfig,
    StatusConfig,
    StudyConfig,
    TableConfig,
    TrackConfig,
    VerbConfig,
    VerifyConfig,
)
from explorer.study.tree import kinds_of

# Verbs on the settings of a study, be it recorded or not: with a name alone, those of its folder.
STUDY_VERBS = ("run", "plan", "challenge", "report", "tabulate", "doctor", "move", "fork")
FLAGS_OF_STUDIES = ("yes", "fork")  # keys that are true or false beside those of a study's settings
# Of these, the ones that go by the record of a study that has begun; the others may begin one.
RECORD_VERBS = ("challenge", "report", "tabulate", "doctor", "move")
# Verbs with keys of their own, each in a file in `conf`: on a design, without a study, on several recorded studies, or
# on a file of results.
OWN_VERBS: dict[str, type[VerbConfig]] = {
    "verify": VerifyConfig,
    "export": ExportConfig,
    "benchmark": BenchmarkConfig,
    "pool": PoolConfig,
    "import": ImportConfig,
}


@dataclass(frozen=True)
class NamedVerb:
    """A verb on one recorded study, which is given by its name alone.

    kind  a frozen dataclass: its first field is `name`, the others are the verb's own keys, and each has a default. A
          field with the metadata `WORDS` takes the words after the name. Where `name` has a default, it may be left out
    file  the module of `explorer.verbs` that carries it out; "": the one that is called as the verb is
    """

    kind: type[Any]
    file: str = ""


NAMED_VERBS: dict[str, NamedVerb] = {
    "figure": NamedVerb(FigureConfig),
    "table": NamedVerb(TableConfig, "paper_table"),
    "cite": NamedVerb(CiteConfig),
    "export": NamedVerb(NetworkConfig, "export_study"),
    "predict": NamedVerb(PredictConfig),
    "list": NamedVerb(StatusConfig, "status"),
    "status": NamedVerb(StatusConfig),
    "delete": NamedVerb(DeleteConfig),
    "label": NamedVerb(LabelConfig),
    "track": NamedVerb(TrackConfig),
    "push": NamedVerb(PushConfig),
    "report": NamedVerb(RecordedConfig, "recorded"),  # with --recorded; else it is a verb on a study's settings
}


def words_field(kind: type[Any]) -> str | None:
    """The field of a verb's settings that takes words without a key; None if there is none."""
    return next((one.name for one in fields(kind) if one.metadata.get("words")), None)


def verb_of(arguments: list[str]) -> str:
    """The verb of a command, as far as it can be seen before the command is parsed."""
    asked = [text.strip("'\"") for key, _, text in (one.partition("=") for one in arguments) if key == "do"]
    return _first_verb(arguments) or (asked[-1] if asked else "run")


def _is_flag(verb: str, key: str) -> bool:
    kinds = [NAMED_VERBS[verb].kind] if verb in NAMED_VERBS else [OWN_VERBS.get(verb, StudyConfig)]
    kinds += [StudyConfig] if verb in STUDY_VERBS else []
    own = verb in STUDY_VERBS and key in FLAGS_OF_STUDIES
    return own or any(kinds_of(kind, tuple(key.split("."))) == {bool} for kind in kinds)


def _first_verb(arguments: list[str]) -> str:
    """The verb among a command's words: the first word that is neither a key nor a key's value, if it is a verb."""
    for before, word in zip(["", *arguments], arguments, strict=False):
        is_value = before.startswith("--") and "=" not in before and before != "--"
        if is_value and word in VERBS and _is_flag(word, before[2:].replace("-", "_")):  # as in `--json status`
            is_value = False
        if "=" not in word and not word.startswith("-") and not is_value:
            return word if word in VERBS else ""
    return ""
