"""YAML and the command line become one checked, frozen `StudyConfig`; every mistake becomes one line."""

import dataclasses
import difflib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError

from explorer.design.space import KINDS
from explorer.errors import InputError
from explorer.reading import check_yaml
from explorer.settings import (
    LOOKS,
    NO_PATH,
    BenchmarkConfig,
    DoctorConfig,
    EngineConfig,
    ExportConfig,
    StorageConfig,
    StudyConfig,
    VerbConfig,
    VerifyConfig,
)
from explorer.wording import without_password

Place = Callable[[tuple[str, ...]], str]
STUDY_VERBS = ("run", "plan", "report", "tabulate", "doctor", "move")
# Verbs that work on a design, without a study: each has a file of its keys in `conf`.
DESIGN_VERBS: dict[str, type[VerbConfig]] = {
    "verify": VerifyConfig,
    "export": ExportConfig,
    "benchmark": BenchmarkConfig,
}
Checked = TypeVar("Checked")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHOWN_NAME = re.compile(r"[A-Z][\w. -]* \([\w., -]*\)(, form \([abc]\))?")  # `ResNeXt-29 (32x4d)`
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # no file of Windows can have these names


@dataclass(frozen=True)
class Command:
    """What a person asked for: a verb, on a study or with keys of its own.

    database  URL of the database outside the study's folder that do=doctor may look at, and that do=move takes the
              study's trials away from; None where the command names none
    """

    do: str
    config: StudyConfig | VerbConfig | DoctorConfig
    database: str | None = None

    @property
    def study(self) -> StudyConfig:
        """The settings, for a verb that works on a study."""
        assert isinstance(self.config, StudyConfig)
        return self.config


def conf_folders() -> list[Path]:
    """Where groups are looked up: the project's own `conf`, then a `conf` in the current folder, if it is another."""
    package = Path(__file__).parent
    own = package / "conf" if (package / "conf").is_dir() else package.parent / "conf"
    here = Path.cwd() / "conf"
    return [own] if not here.is_dir() or here.samefile(own) else [own, here]


def groups() -> dict[str, list[str]]:
    """The configuration groups and the names each offers."""
    found: dict[str, set[str]] = {}
    for folder in conf_folders():
        for path in sorted(folder.glob("*/*.yaml")):
            if path.stem in found.setdefault(path.parent.name, set()):
                raise InputError(f"{path}: has the name of a shipped {path.parent.name}; rename the file")
            found[path.parent.name].add(path.stem)
    return {group: sorted(names) for group, names in sorted(found.items())}


def read_command(arguments: list[str]) -> Command:
    """The verb and the checked study that command-line overrides describe.

    Raises InputError with one line naming the key, the value and what is allowed.
    """
    tree = compose_tree(arguments)
    verb, place = tree.pop("do", None), partial(_source, arguments=arguments)
    if verb in DESIGN_VERBS:
        keys = _checked_tree(tree, DESIGN_VERBS[verb], place)
        if isinstance(keys, BenchmarkConfig):
            for key in ("fast", "plain", "short", "long", "recorded"):
                _refuse_name(key, getattr(keys, key))
        return Command(verb, keys)
    if verb not in STUDY_VERBS:
        raise _unknown_verb(str(verb))
    yes = tree.pop("yes", False)
    if not isinstance(yes, bool) or (yes and verb != "doctor"):
        raise InputError(f"yes={yes}: says that do=doctor need not ask; allowed: true with that, and false")
    leaves = tree.pop("from", None)
    if leaves is not None and (not isinstance(leaves, str) or verb != "move"):
        raise InputError(f"from={leaves}: is the URL of the database that a study leaves; allowed with do=move")
    if verb == "doctor":  # which reads the settings that the folder holds
        return Command(verb, DoctorConfig(_checked_name(str(tree["name"])), yes), _named_database(arguments))
    config = to_config(tree, place)
    if verb == "move" and not any(one.key_or_group.partition(".")[0] == "storage" for one in _parse(arguments)):
        ways = "storage=sqlite, storage=none, storage=postgres storage.url=..."
        raise InputError(f"do=move: say where to; allowed: {ways}")
    if config.fork and verb not in ("run", "plan"):
        raise InputError(f"fork=true: do={verb} reads a study as it is; allowed: do=run, do=plan")
    return Command(verb, config, leaves)


def _unknown_verb(verb: str) -> InputError:
    return InputError(f"do={verb}: unknown verb; allowed: {', '.join((*STUDY_VERBS, *DESIGN_VERBS))}")


def compose_tree(arguments: list[str]) -> dict[str, Any]:
    """The configuration as plain dictionaries and lists, with `name` filled in."""
    known = groups()
    overrides = [line for override in _parse(arguments) for line in _checked(override, known)]
    choices = {override.key_or_group: override.value() for override in _parse(arguments)}
    verb = str(choices.get("do"))
    if verb in DESIGN_VERBS:
        if groups_given := [f"{key}={choices[key]}" for key in choices if key in known]:
            raise InputError(f"{groups_given[0]}: do={verb} works on one design and takes no group; leave it out")
        return _composed(verb, overrides)
    if "do" in choices and verb not in STUDY_VERBS:
        raise _unknown_verb(verb)
    folder_alone = {"do", "name", "yes", "storage", "storage.url"}
    if verb == "doctor" and "study" not in choices and set(choices) <= folder_alone and "name" in choices:
        return choices  # a folder may be there without its study's file
    if "study" not in choices:
        raise InputError(
            f"study is missing; say for example study={known['study'][0]}; allowed: {', '.join(known['study'])}"
        )
    plain = _composed("config", overrides)
    moved = [key for key in choices if key.partition(".")[0] == "space"]
    if plain.get("spaces") and moved:
        raise InputError(
            f"{moved[0]}={choices[moved[0]]}: this study has spaces of its own; change those, as in "
            f"spaces.{next(iter(plain['spaces']))}.depth=[11]"
        )
    _refuse_reaching_out(plain, choices)
    name = choices["study"] if plain.get("name") is None else plain["name"]
    plain["name"] = str(name) if isinstance(name, (int, float)) else name  # name=2024 is a name
    _name_data(plain.get("data"))
    return plain


# What only a person may decide, with what is harmless: shell, and machines that runs or passwords are sent to. The file
# of a group decides it where the command names that file.
_OUTWARD: dict[str, dict[str, Any]] = {"engine": {"setup": [], "address": "local"}, "storage": {"url": None}}
_OF_THE_COMMAND = {"do": "run", "yes": False, "fork": False, "from": None}


def _refuse_reaching_out(tree: dict[str, Any], choices: dict[str, Any]) -> None:
    """Refuse shell, addresses of clusters and databases that neither the command says nor the file of a group it names.

    A study of others could otherwise have its own commands run, have your runs sent to a cluster of theirs, which could
    answer with anything, or your password to their database. Nor does a study say what is done with it.
    """
    for key, usual in _OF_THE_COMMAND.items():
        if tree.get(key, usual) != usual and key not in choices:
            raise InputError(f"{key}={tree[key]}: a file may not decide this; say {key}=... in the command")
    for group, harmless in _OUTWARD.items():
        own = tree.get(group)
        for key, usual in harmless.items() if isinstance(own, dict) else ():
            value = own.get(key, usual)
            named = [file.get(key) for file in _named_files(group, choices)]
            if value != usual and f"{group}.{key}" not in choices and value not in named:
                raise InputError(
                    f"{group}.{key}={without_password(str(value))}: a file that the command does not name may not "
                    f"decide this; say {group}.{key}=..., or {group}=NAME for a file conf/{group}/NAME.yaml that says "
                    "it itself"
                )


def _named_files(group: str, choices: dict[str, Any]) -> list[dict[str, Any]]:
    """What the files say that a command names as `group=NAME`."""
    chosen = [folder / group / f"{choices[group]}.yaml" for folder in conf_folders() if group in choices]
    found = [yaml.safe_load(path.read_text()) for path in chosen if path.exists()]
    return [content for content in found if isinstance(content, dict)]


def _named_database(arguments: list[str]) -> str | None:
    """The database that a command names, itself or by the file of its storage."""
    choices = {override.key_or_group: override.value() for override in _parse(arguments)}
    found = [choices.get("storage.url"), *(file.get("url") for file in _named_files("storage", choices))]
    return next((url for url in found if isinstance(url, str)), None)


def _name_data(data: Any) -> None:
    """A data set without a name has that of its path; one without a label has its name."""
    if not isinstance(data, dict):
        return
    if data.get("name") is None:
        if not data.get("path") and data.get("source") is not None:
            raise InputError(NO_PATH)
        data["name"] = _last_part(str(data.get("path"))) or "images"
    if data.get("label") is None:
        data["label"] = data["name"]


def _last_part(path: str) -> str:
    try:
        return Path(path).expanduser().resolve().name
    except (OSError, RuntimeError):  # it is refused when the images are wanted
        return ""


def _composed(root: str, overrides: list[str]) -> dict[str, Any]:
    own, *others = conf_folders()
    if others:
        for folder in others:
            _check_files(folder)
        folders = [str(folder).replace("'", "\\'") for folder in others]
        overrides = [*overrides, "hydra.searchpath=[" + ",".join(f"'file://{folder}'" for folder in folders) + "]"]
    try:
        with initialize_config_dir(str(own), version_base="1.3"):
            tree = OmegaConf.to_container(compose(root, overrides), resolve=False)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, no date, a number of thousands of digits
        raise InputError(_one_line(f"a YAML file cannot be read: {error}")) from None
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(_one_line(str(error)) or f"a YAML file cannot be read ({type(error).__name__})") from None
    except OSError as error:
        raise InputError(f"a YAML file cannot be read: {error.strerror}: {str(error.filename)[:100]}") from None
    except RecursionError:
        raise InputError("the settings are nested too deeply; allowed are lists and mappings as in conf") from None
    assert isinstance(tree, dict)
    _refuse_text(tree, ())
    return {str(key): value for key, value in tree.items()}


def _check_files(folder: Path) -> None:
    """Refuse files of a user's `conf` that could fill the memory, reach outside it or mean to steer Hydra."""
    shipped = {path.name for path in conf_folders()[0].iterdir()}
    for file in (path for path in sorted(folder.glob("**/*.yaml")) if path.exists()):
        try:
            check_yaml(file)
            content = yaml.safe_load(file.read_bytes())
        except (yaml.YAMLError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            continue  # told when it is chosen
        if not isinstance(content, dict):
            continue
        if any(mark in str(content.get("defaults")) for mark in ("..", "${")):
            raise InputError(f"{file}: its defaults lead elsewhere; allowed are names of groups and files in conf")
        if file.parent.name in shipped and "hydra" in content:
            raise InputError(f"{file}: hydra={str(content['hydra'])[:100]}: not allowed; set keys of the study alone")


def _refuse_text(value: Any, path: tuple[str, ...]) -> None:
    """Refuse text that would be replaced: a file of others could put what your environment holds into a record."""
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            _refuse_text(item, (*path, str(key)))
    elif isinstance(value, str) and "${" in value:
        raise InputError(f"{'.'.join(path)}={value}: ${{...}} is not read; write the value itself")
    elif isinstance(value, str) and "\0" in value:
        raise InputError(f"{'.'.join(path)}={value}: holds a NUL character; leave it out")


def _refuse_name(key: str, name: str) -> None:
    """Refuse a name of a study that is no plain name of a folder, on this system or another."""
    if not _NAME.fullmatch(name) or ".." in name or name.endswith("."):
        raise InputError(
            f"{key}={name[:120]!r}: allowed are 1 to 100 letters, digits, dots, dashes and underscores, "
            "beginning with a letter or digit"
        )
    if _DEVICE.fullmatch(name):
        raise InputError(f"{key}={name}: is the name of a device on Windows; choose another name")


def to_config(tree: dict[str, Any], place: Place) -> StudyConfig:
    """Check a tree against the types of `StudyConfig`: unknown, missing and ill-typed keys are refused.

    `place` says for the message where a key was set.
    """
    search = tree.get("search")
    if isinstance(search, dict) and search.get("seeds") == "auto":
        tree = {**tree, "search": {**search, "seeds": LOOKS[-1], "looks": list(LOOKS)}}
    config = _checked_tree(tree, StudyConfig, place)
    looks = config.search.looks
    if looks and (looks != LOOKS or config.search.seeds not in looks):
        raise InputError(f"search.looks={list(looks)}: is set by search.seeds=auto alone; leave it out")
    if config.search.looks and config.study.contrast is None:
        raise InputError("search.seeds=auto: stops when the contrast is decided, and study.contrast is null")
    _checked_name(config.name)
    for key in sorted({*tree["engine"]} & config.engine.foreign):
        allowed = sorted({own.name for own in dataclasses.fields(EngineConfig)} - config.engine.foreign)
        raise InputError(
            f"engine.{key}={tree['engine'][key]}: engine={config.engine.name} has no such key; "
            f"allowed: {', '.join(allowed)}{place(('engine', key))}"
        )
    _check_url(config.storage)
    return config


def _check_url(storage: StorageConfig) -> None:
    """Refuse a storage that says where its database is and has none there, or the other way round."""
    if storage.mirror == "url" and storage.url is None:
        raise InputError("storage.url is missing; say for example storage.url=postgresql://me@server/explorer")
    if storage.mirror != "url" and storage.url is not None:
        raise InputError(f"storage.url: storage.mirror={storage.mirror} has no URL; say storage=postgres beside it")
    if storage.url and re.search(r"\s", storage.url):
        raise InputError("storage.url: holds white space; write it as %20")


def _checked_name(name: str) -> str:
    """The name of a study, which is that of its folder. Raises InputError for one that could not be."""
    _refuse_name("name", name)
    if name.lower() == "index":
        raise InputError(f"name={name}: reports/index.html lists all studies; choose another name")
    return name


def _checked_tree(tree: dict[str, Any], kind: type[Checked], place: Place) -> Checked:
    prepared = _prepared(tree, kind, (), place)
    try:
        # JSON mode is strict where it matters (no text for numbers, no 1 for true) and takes lists for tuples.
        return cast(Checked, _adapter(cast(Any, kind)).validate_json(json.dumps(prepared), strict=True))
    except ValidationError as error:
        raise InputError(_explain(error, prepared, place)) from None


@lru_cache(maxsize=4)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _parse(arguments: list[str]) -> list[Override]:
    for argument in arguments:
        if argument in ("-m", "--multirun"):
            raise InputError(
                f"{argument}: studies loop by themselves; list the values in an axis, as in space.cardinality=[1,32]"
            )
    parser, overrides = OverridesParser.create(), []
    for argument in map(_quoted, arguments):
        try:
            overrides += parser.parse_overrides([argument])
        except (HydraException, RecursionError, ValueError):  # ValueError: a number of thousands of digits
            example = "'search.only=[\"ResNeXt-29 (32x4d)\"]'" if "(" in argument else "'study.question=\"Is it?\"'"
            raise InputError(
                f"{argument}: cannot be read; expected key=value, and quotes around text with spaces, ~ or brackets, "
                f"as in {example}"
            ) from None
    return overrides


def _quoted(argument: str) -> str:
    """A value that is the name pages show of a network, in the quotes that its parentheses need in Hydra's grammar."""
    key, _, value = argument.partition("=")
    return f'{key}="{value}"' if _SHOWN_NAME.fullmatch(value) else argument


def _checked(override: Override, known: dict[str, list[str]]) -> list[str]:
    """The override in a form Hydra always takes: unknown keys are refused later, with the list of allowed ones."""
    line = str(override.input_line)
    key = override.key_or_group
    if override.is_sweep_override():
        raise InputError(f"{line}: sweeps are not supported; give a list, as in space.cardinality=[1,32]")
    if key in known:
        if override.value() not in known[key]:
            raise InputError(
                f"{line}: no such {key}{_hint(str(override.value()), known[key])}; allowed: {', '.join(known[key])}"
            )
        return [line]
    if override.is_delete() or key.partition(".")[0] == "hydra":
        raise InputError(f"{line}: not allowed; set keys with key=value")
    line = "++" + line.lstrip("+")
    # A list or a mapping replaces what was there; Hydra would merge a mapping, and cannot change one into the other.
    return [f"++{key}=null", line] if isinstance(override.value(), (dict, list)) else [line]


def _prepared(value: Any, kind: Any, path: tuple[str, ...], place: Place) -> Any:
    """The tree with single values made lists where a list is expected. Raises InputError for an unknown key."""
    kind = _member(value, kind, path, place)
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        hints = get_type_hints(kind)
        for key in map(str, value):
            if key not in hints:
                if (*path, key) == ("study", "study"):
                    raise InputError(
                        f"a study file must begin with the line '# @package _global_'{place((*path, key))}"
                    )
                raise InputError(
                    f"{'.'.join((*path, key))}={value.get(key)}: unknown key{_hint(key, list(hints))}; "
                    f"allowed: {', '.join(sorted(hints))}{place((*path, key))}"
                )
        return {key: _prepared(item, hints[key], (*path, key), place) for key, item in value.items()}
    if get_origin(kind) is dict and isinstance(value, dict):
        return {str(key): _prepared(item, get_args(kind)[1], (*path, str(key)), place) for key, item in value.items()}
    items = {get_args(option)[0] for option in (kind, *get_args(kind)) if get_origin(option) is tuple}
    kinds = {option for item in items for option in _kinds_of(item)}
    return [value] if type(value) in kinds else value


def _kinds_of(item: Any) -> set[type]:
    """The types of a single value that may stand for a list of such items."""
    if get_origin(item) is Annotated:
        return _kinds_of(get_args(item)[0])
    if get_origin(item) is Literal:
        return {type(option) for option in get_args(item)}
    return {int, float} if item is float else {item} if isinstance(item, type) else set()


def _member(value: Any, kind: Any, path: tuple[str, ...], place: Place) -> Any:
    """The member of a union that a mapping means: told by its `kind`, or by its keys."""
    members = [option for option in get_args(kind) if dataclasses.is_dataclass(option)]
    if not isinstance(value, dict) or not members:
        return kind
    if len(members) == 1:
        return members[0]
    if set(members) == set(KINDS.values()):
        named = value.get("kind", "family")
        if not isinstance(named, str) or named not in KINDS:
            raise InputError(
                f"{'.'.join(path)}.kind={named}: unknown kind; allowed: {', '.join(KINDS)}{place((*path, 'kind'))}"
            )
        return KINDS[named]
    return members[0]


def _explain(error: ValidationError, tree: dict[str, Any], place: Place) -> str:
    """The first problem as one line: dotted key, value, what is allowed and the file it stands in."""
    # Of a space's kinds only the chosen one's problems count; of a union, every member says what is allowed.
    problems = [found for found in error.errors() if _is_of_its_kind(found["loc"], tree)]
    problems = [found for found in problems if _was_meant(found["loc"], tree)] or problems
    problem = problems[0]
    path, value = _located(problem["loc"], tree)
    same = [other["msg"] for other in problems if _located(other["loc"], tree)[0] == path]
    key = ".".join(path)
    if problem["type"] in ("missing", "missing_argument"):
        return f"{key} is missing"
    if problem["type"] == "value_error":
        reason = str(problem["ctx"]["error"])
        axes = {axis for kind in KINDS.values() for axis in get_type_hints(kind)}
        names_axis = reason.partition(" ")[0] in axes and path == ("space",)
        return f"{key}{'.' if names_axis else ': '}{reason}{place(path)}"
    message = " or ".join(dict.fromkeys(same)).replace("Input should be", "must be").replace("or must be", "or")
    mapping = "a range {low: ..., high: ...}" if path[0] == "space" and len(path) > 1 else "a mapping"
    if path == ("search", "seeds"):
        message += " or auto"
    if problem["type"] == "too_short":
        message = "must have at least one item"
    message = message.replace("valid array", "list of values").replace("an object", mapping)
    return f"{key}={json.dumps(value)}: {message}{place(path)}"


def _is_of_its_kind(location: tuple[int | str, ...], tree: dict[str, Any]) -> bool:
    """Whether a problem of a space, if it is one, is of the kind that the space says it is of."""
    space = tree.get("space", {})
    if location[0] == "spaces" and len(location) > 1 and isinstance(tree["spaces"], dict):
        space = tree["spaces"].get(str(location[1]), {})
    named = space.get("kind", "family") if isinstance(space, dict) else "family"
    return not {kind.__name__ for name, kind in KINDS.items() if name != named} & set(map(str, location))


def _was_meant(location: tuple[int | str, ...], tree: dict[str, Any]) -> bool:
    """Whether a problem is of the member of a union that the value looks like: a mapping, or a list."""
    for end, step in enumerate(location):
        if _names_type(step):
            value = _located(location[:end], tree)[1]
            if isinstance(value, dict if str(step).startswith("tuple[") else list):
                return False
    return True


def _names_type(step: int | str) -> bool:
    """Whether a step of a pydantic location is no key but the name of a type: a dataclass, or tuple[...]."""
    return str(step)[:1].isupper() or str(step).startswith("tuple[")


def _located(location: tuple[int | str, ...], tree: dict[str, Any]) -> tuple[tuple[str, ...], Any]:
    """The key a pydantic location means, and its value; steps that name a member of a union are not keys."""
    path: list[str] = []
    value: Any = tree
    for step in location:
        if _names_type(step):
            continue
        if isinstance(value, dict):
            value = value.get(str(step))
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step] if step < len(value) else None  # a pair of which one is missing
        else:
            break
        path.append(str(step))
    return tuple(path), value


def _source(path: tuple[str, ...], *, arguments: list[str]) -> str:
    """The YAML files that set a key, unless the command line did."""
    if not path or any(argument.lstrip("+").startswith(f"{'.'.join(path)}=") for argument in arguments):
        return ""
    files = [
        str(file) for folder in conf_folders() for file in sorted(folder.glob("**/*.yaml")) if _sets(file, folder, path)
    ]
    return f" (in {', '.join(files[:3])})" if files else ""


def _sets(file: Path, folder: Path, path: tuple[str, ...]) -> bool:
    """Whether a YAML file sets the key: a root or study file by its whole path, a group's file by what follows."""
    try:
        content = yaml.safe_load(file.read_text())
    except (OSError, ValueError, yaml.YAMLError):
        return False
    inside = path[1:] if file.parent.name == path[0] and file.parent.name != "study" else path
    inside = inside if file.parent == folder or file.parent.name in (path[0], "study") else ()
    for step in inside:
        if not isinstance(content, dict) or step not in content:
            return False
        content = content[step]
    return bool(inside)


def _hint(word: str, allowed: list[str]) -> str:
    close = difflib.get_close_matches(word, allowed, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())
