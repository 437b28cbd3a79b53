"""Merges the command line and YAML files into one plain tree, and remembers what set each value.

Hydra reads the command line's lists and mappings and decides which files a study is made of, in which order; they are
merged here, so that a group that a person chooses wins over what a study says of it, text stays the text that was
written, and a message can name the one file that a value comes from.
"""

import re
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType, NoneType
from typing import Any

import yaml
from hydra import initialize_config_dir
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml.constructor import ConstructorError

from explorer.host.commands import command_for
from explorer.host.errors import InputError
from explorer.host.formatting import hint, without_password
from explorer.host.yaml_limits import MOST_BYTES, check_yaml, read_bytes
from explorer.record.folder import CONFIG, STUDIES, stored_execution, study_folder
from explorer.study.renamed import RENAMED, notice, of_a_record, under_new_names
from explorer.study.settings import NO_PATH, BenchmarkConfig, PoolConfig, StudyConfig, filled
from explorer.study.tree import Steps, kinds_of
from explorer.verbs.grammar import Words, read_words
from explorer.verbs.in_short import in_full, settle
from explorer.verbs.table import words_field

_HYDRA = threading.Lock()  # Hydra is one for a process, in which threads may make studies
_KEPT: dict[tuple[Any, ...], tuple[list[tuple[str, Steps]], list[tuple[Path, int, int]]]] = {}
MOST_KEPT = 64  # answers
# Hydra imports every module of a package named `hydra_plugins`, under `python -m` also from the current folder.
sys.modules["hydra_plugins"] = ModuleType("hydra_plugins")
sys.modules["hydra_plugins"].__path__ = []

OF_DOCTOR = {"do", "study", "name", "yes", "storage", "storage.url"}  # keys and groups that doctor uses
# Subjects of `python -m benchmarks`, which the verb benchmark once measured.
OWN_SUBJECTS = ("accuracy", "costs", "ranks", "recipes", "replay", "report", "samplers", "scale", "size", "start")
SUFFIXES = (".yaml", ".yml")
_KEY = re.compile(r"[A-Za-z_]\w*(\.\w+)*")
NO_DATA = (
    "say where your images are, as in data=photos: a folder with a folder of images for each class, itself or in "
    "train/, val/ and test/, or with parquet files as on the hub; to see how it goes: data=digits budget=100k"
)
GOES_ON = "{} goes on with the one that has begun; for another "
_BESIDE = {
    "budget": "a number, as in budget=1M or budget=macs:50M, or a time, as in budget=time:2h",
    "data": "a folder of images, as in data=photos",
}
_SHOWN_NAME = re.compile(r"[A-Z][\w. -]* \([\w., -]*\)(, form \([abc]\))?")  # `ResNeXt-29 (32x4d)`


@dataclass(frozen=True)
class Composed:
    """The merged settings as plain dictionaries and lists.

    given    the values from the command, by key or group
    origins  the file that set each value, by its path in the tree; None if the command set it
    composed  the names of the files of each group that were merged
    renamed  a line for each key that is written under the name it had in the release before
    withheld  keys of a stored study that were not taken from its file, since only a command may set them
    seen     a line for each thing that was found out about the data to write a short form out
    found    a line for each part of the settings that was chosen for the size of the data
    """

    tree: dict[str, Any]
    given: dict[str, Any]
    origins: dict[Steps, Path | None] = field(default_factory=dict)
    composed: dict[str, list[Path]] = field(default_factory=dict)
    renamed: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    found: tuple[str, ...] = ()

    def place(self, steps: Steps) -> str:
        """The files that set a key, or the keys below it, as text for a message; "" if the command set any of them.

        For a key that nothing has set: the files of its group, or of the mapping to which it would belong.
        """
        found = self._files(steps)
        if not found and len(steps) < 3:
            found = dict.fromkeys(self.composed.get(steps[0], []))
        if not found:
            found = {file: None for file in self._files(steps[:-1]) if file is not None}
        return "" if not found or None in found else f" (in {', '.join(str(file) for file in [*found][:3])})"

    def said(self) -> Iterator[tuple[str, str]]:
        """The keys that the command sets, and the data keys of the study's own file, each with its place."""
        yield from ((key, "") for key in self.given)
        for steps, file in self.origins.items():
            if steps[0] == "data" and file is not None and file.parent.name == "study":
                yield ".".join(steps), self.place(steps)

    def _files(self, steps: Steps) -> dict[Path | None, None]:
        below = {place: file for place, file in self.origins.items() if place[: len(steps)] == steps}
        return dict.fromkeys([below[steps]] if steps in below else below.values())


@dataclass(frozen=True)
class _Leaf:
    """A value other than a mapping, with its text as written and its file; items of a list are leaves or mappings."""

    value: Any
    text: str | None
    file: Path | None


@dataclass(frozen=True)
class _Given:
    """One key or group of the command line, with the text of its value as written."""

    key: str
    value: Any
    text: str
    line: str


def conf_folders() -> list[Path]:
    """The folders in which groups are looked up: the package's `conf`, then `conf` in the current folder."""
    package = Path(__file__).parents[1]
    own = package / "conf" if (package / "conf").is_dir() else package.parent / "conf"
    here = Path.cwd() / "conf"
    return [own] if not here.is_dir() or here.samefile(own) else [own, here]


def groups() -> dict[str, list[str]]:
    """The configuration groups and the names each offers."""
    own, *others = conf_folders()
    known = sorted(path.name for path in own.iterdir() if path.is_dir())
    return {
        group: sorted(
            {path.stem for folder in (own, *others) for path in (folder / group).glob("*") if path.suffix in SUFFIXES}
        )
        for group in known
    }


def reading_groups() -> list[str]:
    """The names of the data sets that are read from a path given in the command."""
    return [name for name in groups()["data"] if _comes_from_path(name)]


def _comes_from_path(name: str) -> bool:
    content: dict[str, Any] = {}
    while name:
        file = next((found for folder in conf_folders() if (found := _file(folder, f"data/{name}"))), None)
        try:
            own = _plain(_content(file), (), None, {}) if file else {}
        except InputError:  # a faulty file that was not chosen does not matter
            return False
        content = {**own, **content}
        bases = [base for base in own.get("defaults") or [] if base != "_self_"]
        name = str(bases[0]) if bases else ""
    return content.get("source", "digits") != "digits" and content.get("path") is None


def compose(arguments: list[str]) -> Composed:
    """The settings that a command line describes, with the names of study and data filled in. Raises InputError."""
    return composed(read_words(arguments, groups()["study"]))


def composed(words: Words) -> Composed:
    """The settings that the words of a command describe, as `compose` gives them."""
    known, kind = groups(), words.kind
    if kind is not StudyConfig:  # a key of a verb's own may be called as a group is
        known = {group: names for group, names in known.items() if not kinds_of(kind, (group,))}
    if kind is BenchmarkConfig:
        _refuse_own_subject(words)
    keys, told = in_full(words.keys, known) if kind is StudyConfig else ([*words.keys], [])
    keys, renamed = _under_new_keys(keys, kind)
    if words.is_named:
        return replace(_of_named(words, keys), renamed=renamed)
    read = [_read(key, known, kind) for key in keys]
    given = {one.key: one.value for one in read}
    if kind is not StudyConfig:
        found = _of_own(words, read, known)
        return replace(found, renamed=(*renamed, *found.renamed))
    verb = words.verb or "run"
    if verb == "doctor" and words.name:
        tree = {"do": verb, **given, "name": words.name}
        return Composed(tree, {**given, "name": words.name}, renamed=renamed)  # its settings may be damaged
    if words.file is None:
        found = _merged("config", read, StudyConfig, {key: value for key, value in given.items() if key in known})
        if found.tree.get("name") is None:
            found.tree["name"] = given["study"]
    else:
        found = _continued(words, read, known)
    moved = [key for key in given if key.partition(".")[0] == "space"]
    if found.tree.get("spaces") and moved:
        raise InputError(
            f"{moved[0]}={given[moved[0]]}: this study has spaces of its own; change those, as in "
            f"spaces.{next(iter(found.tree['spaces']))}.depth=[11]"
        )
    _refuse_reaching_out(found)
    found.tree["do"] = verb
    _name_data(found.tree.get("data"), given.get("study") if "data" not in given else None)
    chosen = settle(found.tree, given)
    _fill_question(found.tree)
    return replace(found, renamed=(*renamed, *found.renamed), seen=tuple(told), found=tuple(chosen))


def _of_own(words: Words, read: list["_Given"], known: dict[str, list[str]]) -> Composed:
    """The settings of a verb on a design or on several studies, from its file in `conf` and the command."""
    verb, kind = words.verb, words.kind
    if chosen := [one for one in read if one.key in known]:
        works = "on recorded studies, as in studies=[a,b]," if kind is PoolConfig else "on one design"
        raise InputError(f"{chosen[0].line}: {verb} works {works} and takes no group; leave it out")
    found = _merged(verb, read, kind, {})
    if not words.others:
        return found
    field = words_field(kind)
    assert field is not None
    if field in found.given:
        raise InputError(f"{words.others[0]}: {field} is said twice; leave one of the two out")
    is_list = kinds_of(kind, (field,)) == {tuple}
    if not is_list and len(words.others) > 1:
        raise InputError(f"{words.others[1]}: is one word too many; {verb} takes one {field}")
    value = [*words.others] if is_list else words.others[0]
    origins = {steps: file for steps, file in found.origins.items() if steps[0] != field}
    tree, given = {**found.tree, field: value}, {**found.given, field: value}
    return replace(found, tree=tree, given=given, origins={**origins, (field,): None})


def _of_named(words: Words, keys: list[str]) -> Composed:
    """The settings of a verb on one recorded study, from the command alone."""
    kind, given = words.kind, dict[str, Any]()
    for text in keys:
        one = _read(_as_list(text, kind), {}, kind)
        given[one.key] = one.value
    if words.name is not None:
        given["name"] = words.name
    if words.others:
        field = words_field(kind)
        assert field is not None
        if field in given:
            raise InputError(f"{words.others[0]}: {field} is said twice; leave one of the two out")
        is_list = kinds_of(kind, (field,)) == {tuple}
        if not is_list and len(words.others) > 1:
            raise InputError(f"{words.others[1]}: is one word too many; {words.verb} takes one {field}")
        given[field] = [*words.others] if is_list else words.others[0]
    tree: dict[str, Any] = {"do": words.verb}
    for key, value in given.items():
        node = tree
        *way, last = key.split(".")
        for step in way:
            node = node.setdefault(step, {})
        node[last] = value
    return Composed(tree, given)


def _as_list(text: str, kind: type) -> str:
    """An argument whose key takes a list, with brackets about its items: `format=pdf,svg` is `format=[pdf,svg]`."""
    key, _, value = _split(text)
    return f"{key}=[{value}]" if kinds_of(kind, (key,)) == {tuple} and value[:1] != "[" else text


def _continued(words: Words, read: list["_Given"], known: dict[str, list[str]]) -> Composed:
    """The settings in a study's folder, or in a file given with --config, with those of the command."""
    assert words.file is not None
    base, withheld = _stored(words.file, {one.key for one in read})
    if words.name is not None:
        base["name"] = words.name
        with suppress(InputError):  # what is wrong with the file is said by whoever opens the study
            # The device that was asked for is not stored; what the study goes on with is the one it was begun on.
            base["device"] = (stored_execution(words.file.parent) or {}).get("device", "auto")
    chosen = {one.key: one.value for one in read if one.key in known}
    if "study" in chosen:
        raise InputError(f"study={chosen['study']}: {words.file} holds all settings; leave it out")
    label = base["data"].get("label") if isinstance(base.get("data"), dict) else None
    tree = _as_leaves(base, words.file)
    composed: dict[str, list[Path]] = {key: [words.file] for key in base}
    if chosen:  # any study will do, since nothing but the chosen groups is taken
        groups_of = _merged("config", [], StudyConfig, {"study": known["study"][0], **chosen})
        for group in chosen:
            files = {steps: file for steps, file in groups_of.origins.items() if steps[0] == group}
            tree[group] = _as_leaves(groups_of.tree[group], None, files, (group,))
            composed[group] = groups_of.composed.get(group, [])
    found = replace(_with_keys(tree, read, chosen, StudyConfig, composed, []), withheld=withheld)
    data, study = found.tree.get("data"), found.tree.get("study")
    if isinstance(data, dict) and isinstance(study, dict) and "data" in chosen and "study.question" not in chosen:
        _name_data(data)
        study["question"] = str(study.get("question")).replace(str(label), str(data["label"]))
    return found


def _stored(file: Path, given: set[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The settings in a study's file, less those that only a command may set, and a line for each of these.

    A study's folder may come from other people: see `_refuse_reaching_out`.
    """
    if file.is_symlink() or (file.parent.is_symlink() and file.name == CONFIG):
        raise InputError(f"{file}: is a link, or lies in one; allowed are files and folders alone")
    if not file.exists():
        there = "name another file"
        if file.parent.parent == STUDIES and file.parent.is_dir():
            there = f"{command_for('doctor', file.parent.name)} says what is there"
        raise InputError(f"{file}: is missing, which holds the study's settings; {there}")
    plain = _plain(_content(file), (), StudyConfig, {})
    tree = of_a_record(plain, f" (in {file})")
    withheld = []
    for group, harmless in _OUTWARD.items():
        own = tree.get(group)
        if not isinstance(own, dict):
            continue
        for key, usual in harmless.items():
            if own.get(key, usual) != usual:
                if f"{group}.{key}" not in given and group not in given:
                    withheld.append(f"{group}.{key}")
                own[key] = usual
    if (
        isinstance(storage := tree.get("storage"), dict)
        and storage.get("mirror") == "url"
        and "storage.url" not in given
    ):
        storage["mirror"] = "none"
    for key in _OF_THE_COMMAND:
        if key in tree:
            raise InputError(f"{key}={tree[key]}: a file may not decide this; say {key}=... in the command (in {file})")
    return tree, tuple(withheld)


def _as_leaves(value: Any, file: Path | None, files: dict[Steps, Path | None] | None = None, steps: Steps = ()) -> Any:
    """Plain values as leaves of one file, or of the file of each place."""
    if isinstance(value, dict):
        return {str(key): _as_leaves(item, file, files, (*steps, str(key))) for key, item in value.items()}
    own = files.get(steps, file) if files else file
    if isinstance(value, list):
        items = [_as_leaves(item, file, files, (*steps, str(place))) for place, item in enumerate(value)]
        return _Leaf(items, None, own)
    return _Leaf(value, None, own)


def _refuse_own_subject(words: Words) -> None:
    """Raise InputError for a subject of `python -m benchmarks`, which benchmark measured in earlier versions."""
    subjects = [text.strip("'\"") for key, _, text in map(_split, words.keys) if key == "subject"] + [*words.others]
    if subjects and subjects[-1] in OWN_SUBJECTS:
        raise InputError(
            f"subject={subjects[-1]}: is measured of the project itself, in a clone of its repository: "
            f"python -m benchmarks {subjects[-1]}; allowed: training, latency"
        )


def named_database(given: dict[str, Any]) -> str | None:
    """The URL of the database that a command names, as `storage.url` or through a file of `storage`."""
    files = [_plain(_content(file), (), None, {}) for file in _named_files("storage", given)]
    found = [given.get("storage.url"), *(file.get("url") for file in files)]
    return next((url for url in found if isinstance(url, str)), None)


def _name_data(data: Any, study: str | None = None) -> None:
    """Fill in the name of a data set from its path, and its label from its name, if they are missing.

    `study` is the one of which the command gives no images, if so.
    """
    if not isinstance(data, dict):
        return
    if data.get("name") is None:
        source = data.get("source")
        if not data.get("path") and source in ("hub", "parquet", "folder"):
            begun = (study_folder(study) / CONFIG).exists() if study else False
            way = GOES_ON.format(command_for("", study)) if study and begun else ""
            raise InputError(f"study={study}: {way}{NO_DATA}" if study else NO_PATH)
        data["name"] = _last_part(str(data.get("path") or source)) or "images"
    if data.get("label") is None:
        data["label"] = data["name"]


def _fill_question(tree: dict[str, Any]) -> None:
    """Replace placeholders in a study's question: {data}, {budget} (what is held equal) and {cost}."""
    parts = {
        key: part if isinstance(part := tree.get(key), dict) else {} for key in ("study", "data", "budget", "search")
    }
    question, objectives = parts["study"].get("question"), parts["search"].get("objectives")
    if not isinstance(question, str):
        return
    held, train = [axis for axis, one in parts["budget"].items() if one is not None], parts["budget"].get("train")
    cost = str(objectives[1]) if isinstance(objectives, list) and len(objectives) > 1 else "macs"
    parts["study"]["question"] = filled(question, str(parts["data"].get("label")), held, cost, str(train))


def _last_part(path: str) -> str:
    try:
        return Path(path).expanduser().resolve().name
    except (OSError, RuntimeError):  # the path is refused later, when the images are read
        return ""


# ---------------------------------------------------------------- the command line


def _split(argument: str) -> tuple[str, str, str]:
    """Split an argument into key, equals sign and value, as written."""
    key, equals, text = argument.partition("=")
    return key.strip().lstrip("+"), equals, text.strip()


def _renamed_in(kind: type) -> dict[str, str]:
    """The renamed keys that these settings have."""
    return {old: new for old, new in RENAMED.items() if kinds_of(kind, tuple(new.split(".")))}


def _under_new_keys(arguments: list[str], kind: type) -> tuple[list[str], tuple[str, ...]]:
    """The arguments, those of a renamed key with its new name, and a line for each of these."""
    found, told, table = [], [], _renamed_in(kind)
    for argument in arguments:
        key, equals, text = _split(argument)
        _, moved = under_new_names(_nested(key, None), table)
        if moved:
            ((old, new),) = moved.items()
            key = new + key[len(old) :]
            told.append(notice(old, new))
        found.append(f"{key}{equals}{text}" if moved else argument)
    return found, tuple(dict.fromkeys(told))


def _nested(key: str, value: Any) -> dict[str, Any]:
    """The tree of one dotted key."""
    for step in reversed(key.split(".")):
        value = {step: value}
    return dict(value)


def _read(argument: str, known: dict[str, list[str]], root: type) -> _Given:
    """Parse one argument. Values of text keys are taken literally, so they need no quotes beyond the shell's."""
    if argument in ("-m", "--multirun"):
        raise InputError(
            f"{argument}: studies loop by themselves; list the values in an axis, as in space.cardinality=[1,32]"
        )
    key, _, text = _split(argument)
    steps = tuple(key.split("."))
    # One item may stand for a list of them.
    is_item = is_text((*steps, "0"), root) and text[:1] != "[" and ("," not in text or _SHOWN_NAME.fullmatch(text))
    if _KEY.fullmatch(key) and (key in known or is_text(steps, root) or is_item) and text[:1] not in ("'", '"'):
        value = None if text == "null" and key not in known else text
    else:
        value = _by_grammar(argument)
    if key in known and value not in known[key]:
        beside = f", or {_BESIDE[key]}" if key in _BESIDE else ""
        near = hint(str(value), [*known[key], *(_folders_here() if key == "data" else ())])
        raise InputError(f"{argument}: no such {key}{near}; allowed: {', '.join(known[key])}{beside}")
    return _Given(key, value, text, argument)


def _folders_here() -> list[str]:
    """The folders beside which a command is given, as `data=` takes them."""
    try:
        return sorted(f"./{path.name}" for path in Path().iterdir() if path.is_dir() and path.name[:1] != ".")
    except OSError:
        return []


def _by_grammar(argument: str) -> Any:
    """Parse the value of an argument by Hydra's grammar: a number, a word, a list, a mapping, quoted text."""
    key, equals, text = _split(argument)
    if key[:1] == "~" or "@" in key or key.partition(".")[0] == "hydra":
        raise InputError(f"{argument}: not allowed; set keys with key=value")
    if not equals or not _KEY.fullmatch(key):
        raise InputError(f"{argument}: cannot be read; expected key=value, as in recipe.epochs=20")
    try:
        (override,) = OverridesParser.create().parse_overrides([argument])
    except (HydraException, RecursionError, ValueError):  # ValueError: a number of thousands of digits
        odd = next((char for char in text if not char.isascii()), "spaces, ~ or brackets")
        raise InputError(
            f"{argument}: cannot be read; expected key=value, and quotes around text with {odd} in it, "
            "as in 'search.only=[\"ResNeXt-29 (32x4d)\"]'"
        ) from None
    if override.is_sweep_override():
        raise InputError(f"{argument}: sweeps are not supported; give a list, as in space.cardinality=[1,32]")
    return override.value()


def _inside(one: _Given, table: dict[str, str], told: list[str]) -> Any:
    """The leaves that a key is set to; in a mapping renamed keys get their new names, with a line each in `told`."""
    leaves = _leaves(one.value, one.text)
    tree, moved = under_new_names(_nested(one.key, leaves), table)
    for old, new in moved.items():
        if not new.startswith(f"{one.key}."):
            raise InputError(f"{one.line}: {old} is now called {new}; say {new}=... instead")
        told.append(notice(old, new))
    for step in one.key.split(".") if moved else ():
        tree = tree[step]
    return tree if moved else leaves


def _set(tree: dict[str, Any], one: _Given, leaves: Any) -> None:
    """Set a key in the tree; a list or a mapping replaces the old value."""
    *way, last = one.key.split(".")
    node: Any = tree
    for step in way:
        inner = node.get(step) if isinstance(node, dict) else _item(node, step, one)
        if isinstance(inner, _Leaf) and isinstance(inner.value, list):
            inner = inner.value
        elif not isinstance(inner, dict):
            inner = node[step if isinstance(node, dict) else int(step)] = {}
        node = inner
    if isinstance(node, dict):
        node[last] = leaves
    else:
        _item(node, last, one)
        node[int(last)] = leaves


def _item(items: list[Any], step: str, one: _Given) -> Any:
    if not step.isdecimal() or int(step) >= len(items):
        raise InputError(f"{one.line}: the list has no item {step}; allowed: 0 to {len(items) - 1}")
    return items[int(step)]


def _leaves(value: Any, text: Any) -> Any:
    """A value of the command as leaves with the text of each part, if YAML parses that text to the same value."""
    if isinstance(text, str) and isinstance(value, (dict, list)):
        try:
            text = yaml.load(text, Loader=_Texts)  # noqa: S506 - builds text, lists and mappings alone
        except (yaml.YAMLError, ValueError, RecursionError):
            text = None
    if isinstance(value, dict):
        own = text if isinstance(text, dict) else {}
        return {str(key): _leaves(item, own.get(str(key))) for key, item in value.items()}
    if isinstance(value, list):
        texts = text if isinstance(text, list) and len(text) == len(value) else [None] * len(value)
        return _Leaf([_leaves(item, own) for item, own in zip(value, texts, strict=True)], None, None)
    return _Leaf(value, text if isinstance(text, str) else None, None)


# ---------------------------------------------------------------- files


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Loads YAML as OmegaConf does: 1e5 is a number, a date is text."""


class _Texts(yaml.SafeLoader):
    """Loads YAML with every scalar as the text that was written."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as the library has it


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d[\d_]*(\.[\d_]*)?|\.[\d_]+)[eE][-+]?\d+$"), list("-+0123456789.")
)


class _Folder(ConfigSource):
    """Reads a `conf` folder for Hydra, in place of Hydra's own reader.

    Files may end in .yml and begin with a byte order mark, and error messages name the file.
    """

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider, path if path.startswith("file://") else f"file://{path}")

    @staticmethod
    def scheme() -> str:
        """The scheme of its addresses."""
        return "file"

    def load_config(self, config_path: str) -> ConfigResult:
        """The content of a file and the settings of its first lines."""
        file = _file(Path(self.path), config_path)
        assert file is not None
        content = _plain(_content(file), (), None, {})
        _refuse_steering(file, content)
        header = ConfigSource._get_header_dict(_text(file)[:512])
        own = {"defaults": content["defaults"]} if "defaults" in content else {}  # all that Hydra has to know
        return ConfigResult(self.provider, f"file://{self.path}", OmegaConf.create(own), header)

    def available(self) -> bool:
        """Whether the folder exists."""
        return self.is_group("")

    def is_group(self, config_path: str) -> bool:
        """Whether a path is a folder."""
        return Path(self.path, config_path).is_dir()

    def is_config(self, config_path: str) -> bool:
        """Whether a path is a file."""
        return _file(Path(self.path), config_path) is not None

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """The names of files and folders in a folder."""
        wanted = (results_filter,) if results_filter else (ObjectType.GROUP, ObjectType.CONFIG)
        there = [*Path(self.path, config_path).iterdir()]
        folders = [path.name for path in there if path.is_dir() and ObjectType.GROUP in wanted]
        files = [path.stem for path in there if path.suffix in SUFFIXES and ObjectType.CONFIG in wanted]
        return sorted({*folders, *files})


def _file(folder: Path, config: str) -> Path | None:
    """The file of a configuration, with ending .yaml or .yml, or as named with its ending; None if there is none."""
    names = [folder / config] if config.endswith(SUFFIXES) else [folder / f"{config}{suffix}" for suffix in SUFFIXES]
    found = [file for file in names if file.exists() and not file.is_dir()]
    if len(found) > 1:
        raise InputError(f"{found[1]}: has the name of {found[0].name} beside it; rename one of the two")
    return found[0] if found else None


def _text(file: Path) -> str:
    """The text of a file, without a byte order mark. Raises InputError if it is not UTF-8."""
    content = read_bytes(file, MOST_BYTES)
    encoding = "UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "UTF-8"
    try:
        return content.decode("utf-16" if encoding == "UTF-16" else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{file}, line {line}: is not text in {encoding}; save the file in UTF-8") from None


def _merged(root: str, read: list[_Given], kind: type, chosen: dict[str, str]) -> Composed:
    """Merge the files that belong to a root and the chosen groups in order, and then the values of the command.

    The values of a group that the command chooses come only from files of that group.
    """
    tree: dict[str, Any] = {}
    composed: dict[str, list[Path]] = {}
    table, told = _renamed_in(kind), list[str]()
    try:
        for config, package in _defaults(root, chosen):
            composed.setdefault(config.partition("/")[0], []).append(_only(config))
            own = {key: item for key, item in _content(_only(config)).items() if key != "defaults"}
            for step in reversed(package):
                own = {step: own}
            where = f" (in {_only(config)})"
            own, moved = under_new_names(own, table, where)
            told += [notice(*pair, where) for pair in moved.items()]
            _merge(tree, {key: item for key, item in own.items() if key not in chosen or config.startswith(f"{key}/")})
    except InputError:
        raise
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        words = _one_line(re.split(r"(Config s|S)earch path:", str(error))[0])
        words = words or f"a YAML file cannot be read ({type(error).__name__})"
        raise InputError(words + _leading(chosen)) from None
    except OSError as error:
        what = f"{error.strerror}: {str(error.filename)[:100]}" if error.strerror else _one_line(str(error))
        raise InputError(f"a YAML file cannot be read: {what}") from None
    except RecursionError:
        raise InputError("the settings are nested too deeply; allowed are lists and mappings as in conf") from None
    return _with_keys(tree, read, chosen, kind, composed, told)


def _with_keys(
    tree: dict[str, Any],
    read: list[_Given],
    chosen: dict[str, str],
    kind: type,
    composed: dict[str, list[Path]],
    told: list[str],
) -> Composed:
    """The merged files as plain settings, with the command's single keys set last; `told` gains their old names."""
    table = _renamed_in(kind)
    for one in read:
        if one.key not in chosen:
            _set(tree, one, _inside(one, table, told))
    origins: dict[Steps, Path | None] = {}
    plain = _plain(tree, (), kind, origins)
    _refuse_text(plain, ())
    return Composed(plain, {one.key: one.value for one in read}, origins, composed, tuple(told))


def _leading(chosen: dict[str, str]) -> str:
    """The chosen files that name further files, for a message: the user's, or if there are none, the shipped ones."""
    named = [(folder, f"{group}/{name}") for folder in conf_folders() for group, name in chosen.items()]
    files = [(folder, file) for folder, config in named if (file := _file(folder, config))]
    found = [(folder, file) for folder, file in files if "defaults" in _content(file)]
    shown = [file for folder, file in found if folder != conf_folders()[0]] or [file for _, file in found]
    return f" (in {', '.join(map(str, shown[:3]))})" if shown else ""


def _defaults(root: str, chosen: dict[str, str]) -> list[tuple[str, Steps]]:
    """The files in the order in which they are merged, each with the path in the tree where its content belongs.

    Asking Hydra takes most of the time of reading a command, so that its answer is kept while those files stay as they
    are: in Python many studies are made in one process.
    """
    folders = conf_folders()
    asked = (root, *chosen.items(), *folders)
    if asked in _KEPT:
        found, stamps = _KEPT[asked]
        if stamps == _stamps(folders, found):
            return found
    found = _asked_of_hydra(root, chosen, folders)
    if len(_KEPT) >= MOST_KEPT:
        _KEPT.clear()
    _KEPT[asked] = found, _stamps(folders, found)
    return found


def _stamps(folders: list[Path], found: list[tuple[str, Steps]]) -> list[tuple[Path, int, int]]:
    """The files with time and size, which change if one of them does."""
    files = [file for config, _ in found for folder in folders if (file := _file(folder, config))]
    return [(file, stat.st_mtime_ns, stat.st_size) for file in files if (stat := file.stat())]


def _asked_of_hydra(root: str, chosen: dict[str, str], folders: list[Path]) -> list[tuple[str, Steps]]:
    own, *others = folders
    overrides = [f"{group}={quoted(name)}" for group, name in chosen.items()]
    Plugins.instance()  # registers Hydra's own plugins, once
    SourcesRegistry.instance().types[_Folder.scheme()] = _Folder
    if others:
        overrides.append(f"hydra.searchpath=[{','.join(quoted(f'file://{folder}') for folder in others)}]")
    with _HYDRA, initialize_config_dir(str(own), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        found = hydra.config_loader.compute_defaults_list(root, overrides, RunMode.RUN).defaults
    packages = [(one.config_path, tuple(filter(None, (one.package or "").split(".")))) for one in found]
    return [(config, package) for config, package in packages if package[:1] != ("hydra",)]


def quoted(text: str) -> str:
    """Quote text for Hydra's grammar, in which a backslash is literal unless a quote follows."""
    return "'" + re.sub(r"(\\*)'", r"\1\1\\'", re.sub(r"(\\+)$", r"\1\1", text)) + "'"


def _only(config: str) -> Path:
    """The file of a configuration. Raises InputError if a user's file differs from the shipped one of the same name.

    Outside the groups users have nothing to choose: a `config.yaml` in their `conf`, unless it is a clone's, belongs to
    another program.
    """
    found = [file for folder in conf_folders() if (file := _file(folder, config))]
    group, _, _ = config.rpartition("/")
    is_clone = len(found) > 1 and (found[1].parents[config.count("/") + 1] / "explorer" / "__main__.py").exists()
    if (group or is_clone) and len(found) > 1 and len({tuple(_text(file).splitlines()) for file in found}) > 1:
        way = "start python -m explorer, which takes this folder's own" if is_clone else "rename the file"
        raise InputError(f"{found[1]}: has the name of a shipped {group or 'file'} and says something else; {way}")
    return found[0]


def _content(file: Path) -> dict[str, Any]:
    """The content of a file, its values as leaves."""
    try:
        text = _text(file)
        check_yaml(file)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            leaves = {} if node is None else _built(loader, node, file)
        finally:
            loader.dispose()
    except InputError:
        raise
    except (yaml.YAMLError, ValueError, OSError) as error:
        where = "" if str(file) in str(error) else f" (in {file})"
        raise InputError(_one_line(f"a YAML file cannot be read: {error}{where}")) from None
    if not isinstance(leaves, dict):
        raise InputError(f"{file}: is no mapping; expected lines of key: value")
    return leaves


def _built(loader: Any, node: yaml.Node, file: Path) -> Any:
    plain = (loader.DEFAULT_MAPPING_TAG, loader.DEFAULT_SEQUENCE_TAG)
    if isinstance(node, yaml.CollectionNode) and node.tag not in plain:
        words = f"could not determine a constructor for the tag {node.tag!r}"
        raise ConstructorError(None, None, words, node.start_mark)
    if isinstance(node, yaml.MappingNode):
        if any(not isinstance(key, yaml.ScalarNode) for key, _ in node.value):
            raise ConstructorError(None, None, "a key is no text", node.start_mark)
        counts = Counter(str(key.value) for key, _ in node.value)
        if twice := [name for name, count in counts.items() if count > 1]:
            raise InputError(f"{file}: found duplicate key {twice[0]}; leave one of the two out")
        loader.flatten_mapping(node)
        return {str(key.value): _built(loader, value, file) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return _Leaf([_built(loader, item, file) for item in node.value], None, file)
    value = loader.construct_object(node)
    return _Leaf(value if isinstance(value, (str, int, float, NoneType)) else node.value, node.value, file)


def _merge(tree: dict[str, Any], own: dict[str, Any]) -> None:
    """Merge one file's settings into those before it: mappings are merged, other values are replaced."""
    for key, item in own.items():
        if isinstance(item, dict):
            if not isinstance(tree.get(key), dict):
                tree[key] = {}
            _merge(tree[key], item)
        else:
            tree[key] = item


def _plain(leaves: Any, steps: Steps, root: type | None, origins: dict[Steps, Path | None]) -> Any:
    """Plain values from leaves, as text where the key holds text; fills `origins` with the file of each value."""
    if isinstance(leaves, dict):
        return {key: _plain(item, (*steps, key), root, origins) for key, item in leaves.items()}
    if not isinstance(leaves, _Leaf):
        return leaves
    origins[steps] = leaves.file
    if isinstance(leaves.value, list):
        return [_plain(item, (*steps, str(place)), root, origins) for place, item in enumerate(leaves.value)]
    if leaves.value is None or isinstance(leaves.value, str) or leaves.text is None or root is None:
        return leaves.value
    # One item may stand for a list of them.
    return leaves.text if is_text(steps, root) or is_text((*steps, "0"), root) else leaves.value


# ---------------------------------------------------------------- types


def is_text(steps: Steps, root: type) -> bool:
    """Whether a key, or an item of its list, holds text."""
    return steps == ("from",) or kinds_of(root, steps) == {str}


# ---------------------------------------------------------------- files of others

# Keys that only the command may set to other than these harmless values: shell commands, and machines that runs, their
# results or passwords are sent to. The file of a group may set them if the command names that file.
_OUTWARD: dict[str, dict[str, Any]] = {
    "engine": {"setup": [], "address": "local"},
    "storage": {"url": None, "trackers": []},
}
_OF_THE_COMMAND = {"do": "run", "yes": False, "fork": False, "from": None}


def _refuse_reaching_out(found: Composed) -> None:
    """Refuse shell commands, cluster addresses and databases that neither the command nor a file it names has set.

    Another person's study could otherwise run shell commands, send your runs to a cluster of theirs, which could return
    anything, or your password to their database. A study may not choose the verb (`do`) either.
    """
    for key, usual in _OF_THE_COMMAND.items():
        if found.tree.get(key, usual) != usual and key not in found.given:
            raise InputError(f"{key}={found.tree[key]}: a file may not decide this; say {key}=... in the command")
    for group, harmless in _OUTWARD.items():
        own, named = found.tree.get(group), _named_files(group, found.given)
        for key, usual in harmless.items():
            value = own.get(key, usual) if isinstance(own, dict) else usual
            others = {file for file in found._files((group, key)) if file is not None and file not in named}
            if value != usual and others:
                raise InputError(
                    f"{group}.{key}={without_password(str(value))}: a file that the command does not name may not "
                    f"decide this; say {group}.{key}=..., or {group}=NAME for a file conf/{group}/NAME.yaml that says "
                    "it itself"
                )


def _named_files(group: str, given: dict[str, Any]) -> list[Path]:
    """The files of a group that a command names as `group=NAME`."""
    return [file for folder in conf_folders() if group in given and (file := _file(folder, f"{group}/{given[group]}"))]


def _refuse_steering(file: Path, content: dict[str, Any]) -> None:
    """Refuse a file of a user's `conf` that refers to files outside it or sets Hydra's own keys, before Hydra does."""
    if any(mark in str(content.get("defaults")) for mark in ("..", "${")):
        raise InputError(f"{file}: its defaults lead elsewhere; allowed are names of groups and files in conf")
    if "hydra" in content:
        raise InputError(f"{file}: hydra={str(content['hydra'])[:100]}: not allowed; set keys of the study alone")


def _refuse_text(value: Any, steps: Steps) -> None:
    """Refuse interpolations such as ${...}: another person's file could copy environment variables into a record."""
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            _refuse_text(item, (*steps, str(key)))
    elif isinstance(value, str) and "${" in value:
        raise InputError(f"{'.'.join(steps)}={value}: ${{...}} is not read; write the value itself")
    elif isinstance(value, str) and "\0" in value:
        raise InputError(f"{'.'.join(steps)}={value}: holds a NUL character; leave it out")


def _one_line(text: str) -> str:
    return " ".join(text.split())
