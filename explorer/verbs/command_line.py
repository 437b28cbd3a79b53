"""Parses a command: its words become a verb and checked settings."""

from dataclasses import dataclass, replace
from typing import Any

from explorer.host.commands import ABOUT, VERBS
from explorer.host.errors import InputError
from explorer.record.folder import CONFIG, study_folder
from explorer.record.starts import refuse_without_extensions
from explorer.study.settings import BenchmarkConfig, DoctorConfig, StudyConfig
from explorer.study.tree import checked_name, checked_tree, to_config
from explorer.verbs.compose import OF_DOCTOR, Composed, composed, groups, named_database, reading_groups
from explorer.verbs.extend import extended
from explorer.verbs.grammar import Words, read_words
from explorer.verbs.unused import refuse_unused, set_aside


@dataclass(frozen=True)
class Command:
    """A parsed command: a verb, with the settings of a study or with keys of its own.

    given     keys and groups that the command names
    aside     a line for each given key that has no effect, or is written under an old name
    withheld  keys of a stored study that a start needs from the command (see `Composed`)
    is_named  whether the verb works on a recorded study by its name (see `NAMED_VERBS`)
    must_fork  whether a study that would go on as it is is refused: the verb was `fork`
    database  URL of the database outside the study's folder that doctor may examine, and that move deletes the
              study from; None if the command names none
    """

    do: str
    config: Any
    database: str | None = None
    aside: tuple[str, ...] = ()
    given: frozenset[str] = frozenset()
    withheld: tuple[str, ...] = ()
    is_named: bool = False
    must_fork: bool = False

    @property
    def study(self) -> StudyConfig:
        """The settings of the study, for a verb that works on one."""
        assert isinstance(self.config, StudyConfig)
        return self.config


def read_command(arguments: list[str]) -> Command:
    """Parse and check the words of a command.

    Raises InputError with one line that names the key, the value and what is allowed.
    """
    said = read_words(extended(arguments), groups()["study"])
    found = composed(said)
    command = _command(said, found)
    told = (*found.seen, *found.found) if command.do == "run" else found.found if command.do == "plan" else ()
    return replace(command, aside=(*found.renamed, *told, *command.aside), withheld=found.withheld)


def _command(said: Words, composed: Composed) -> Command:
    tree, place = composed.tree, composed.place
    verb = tree.pop("do", None) or said.verb
    if said.kind is not StudyConfig:
        keys = checked_tree(tree, said.kind, place)
        if isinstance(keys, BenchmarkConfig) and keys.subject == "latency" and "steps" in composed.given:
            raise InputError("steps: subject=latency does not use it, subject=training does; leave it out")
        return Command(verb, keys, is_named=said.is_named)
    if said.name is not None:
        refuse_without_extensions(study_folder(said.name))
    yes = tree.pop("yes", False)
    if not isinstance(yes, bool) or (yes and verb != "doctor"):
        raise InputError(f"yes={yes}: says that doctor need not ask; allowed: true with that, and false")
    leaves = tree.pop("from", None)
    if leaves is not None and (not isinstance(leaves, str) or verb != "move"):
        raise InputError(f"from={leaves}: is the URL of the database that a study leaves; allowed with move")
    if verb == "doctor":  # it reads the settings from the study's folder
        own = DoctorConfig(checked_name(str(tree["name"])), yes)
        others = [key for key in composed.given if key not in OF_DOCTOR]
        words = (
            f"doctor looks at the folder alone: {', '.join(others)} {'have' if len(others) > 1 else 'has'} no effect"
        )
        return Command(verb, own, named_database(composed.given), (words,) if others else ())
    must_fork = verb == "fork"
    if must_fork:
        verb = "run"
        tree["fork"] = _forked(said, tree, composed.given)
    config = to_config(tree, place)
    if not {"report", "report.images"} & composed.given.keys():  # a file may come from others
        config = replace(config, report=replace(config.report, images="auto"))
    if verb in ("run", "plan"):
        _refuse_words(config)
    if verb == "move" and not any(key.partition(".")[0] == "storage" for key in composed.given):
        ways = "storage=sqlite, storage=none, storage=postgres storage.url=..."
        raise InputError(f"move: say where to; allowed: {ways}")
    if config.fork and verb not in ("run", "plan"):
        raise InputError(f"fork=true: {verb} reads a study as it is; allowed: with run and plan")
    if verb not in ("run", "plan", "challenge"):  # other verbs report unused settings when they compare with the record
        return Command(verb, config, leaves, given=frozenset(composed.given))
    if config.search.seeds == "auto" and config.search.only:
        raise InputError("search.seeds=auto: search.only compares nothing; allowed: a number of seeds")
    refuse_unused(config, composed.said(), reading_groups())
    return Command(verb, config, leaves, tuple(set_aside(config, composed.given)), must_fork=must_fork)


def _refuse_words(config: StudyConfig) -> None:
    """Raise InputError for a new study that is to be called as a verb is, which its name alone would then mean."""
    names = {"name": config.name, **({"fork": config.fork} if isinstance(config.fork, str) else {})}
    for key, name in names.items():
        if name in (*VERBS, *ABOUT) and not (study_folder(name) / CONFIG).exists():
            raise InputError(
                f"{key}={name}: is a word of the command line; choose another name, such as {key}=my_{name}"
            )


def _forked(said: Words, tree: dict[str, Any], given: dict[str, Any]) -> bool | str:
    """The value of `fork` that `explorer fork NAME` stands for; a name that the command gives is that of the fork."""
    source = said.name or str(given.get("study"))
    if "name" not in given or given["name"] in (None, source):
        return True
    tree["name"] = source
    return str(given["name"])
