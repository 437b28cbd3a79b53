"""Code from outside that adds to this project: files that a command names, and installed packages.

A file says what it adds in dictionaries at its top level, by kind: `BLOCKS = {"shuffle": ex.Block(...)}`. A package
does so in the module that its entry point of the group `resnext_explorer.extensions` names. What each kind takes is
said in docs/extending.md. Loading puts the values into the tables of the rooms where they belong, which callers give
as `Homes`.

A command, or a program in Python, names the files; the settings of a study never do (SECURITY.md). Processes of workers
load the same text: a copy in the cache, whose path stands in an environment variable (as JSON, since it may have any
sign), so that a file that is edited meanwhile changes nothing in a study that runs.
"""

import ast
import hashlib
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points, packages_distributions
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from explorer.host.cache import cache_folder, is_own
from explorer.host.errors import InputError
from explorer.host.files import write_whole
from explorer.host.formatting import in_one_line

KINDS = (
    *("BLOCKS", "SAMPLERS", "MEASURES", "OPTIMIZERS", "SCHEDULES", "AUGMENTATIONS", "LOSSES"),
    *("SOURCES", "FIGURES"),
)
GROUP = "resnext_explorer.extensions"  # of entry points
FOLDER = "extensions"  # in the cache, and before the name of an extension among a study's sources
_PATHS = "EXPLORER_EXTENSIONS"  # environment variable: what processes of workers load
_PACKAGE = "explorer"
MISTAKES = (Exception, SystemExit)  # what code from outside may raise: sys.exit in it must end nothing without a word
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True)
class Home:
    """Where values of a kind belong: the table that has what was added, by name, and a check of a name and its value.

    The check raises ValueError, without the name. A process without the home of a kind does not use that kind.
    """

    table: dict[str, Any]
    check: Callable[[str, Any], None]


Homes = Mapping[str, Home]


@dataclass(frozen=True)
class Extension:
    """One extension that is loaded.

    name    of the file, as `my_blocks.py`, or of the distribution of a package
    path    of the file as it was named; None for a package
    text    its code; of a package that of all its modules, in their order
    adds    names of what it adds, by kind
    """

    name: str
    path: Path | None
    text: str
    adds: Mapping[str, tuple[str, ...]]


Packed = tuple[tuple[str, str], ...]  # files to load on another machine: name and text of each

_loaded: dict[str, Extension] = {}
_filled: list[Home] = []


def loaded() -> tuple[Extension, ...]:
    """The extensions of this process, in the order in which they were loaded."""
    return tuple(_loaded.values())


def source_of(kind: str, name: str) -> Extension | None:
    """The extension that adds something; None if no extension does."""
    return next((one for one in _loaded.values() if name in one.adds.get(kind, ())), None)


def mistake(kind: str, name: str, error: BaseException) -> str:
    """What a part of an extension raised, in one line with the line of its file: `mine.py line 7: KeyError: 'a'`."""
    extension = source_of(kind, name)
    if extension is None or extension.path is None:
        return in_one_line(_where(error, ""))
    files = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
    file = next((one for one in sorted(files) if Path(one).name == extension.name), "")
    return f"{extension.name} {said}" if (said := _where(error, file)).startswith("line ") and file else said


def words() -> tuple[str, ...]:
    """The keys with which a command names the files that are loaded here, as `extensions=my_blocks.py`."""
    paths = [str(one.path) for one in _loaded.values() if one.path is not None]
    if any("," in path for path in paths):  # each then needs a key of its own
        return tuple(f"extensions={path}" for path in paths)
    return (f"extensions={','.join(paths)}",) if paths else ()


def load(files: Iterable[str | Path], homes: Homes) -> None:
    """Load files, once each. Raises InputError for a file that cannot be loaded or adds what cannot be added."""
    for file in files:
        path = Path(file).expanduser()
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not text in UTF-8"
            raise InputError(f"extensions={file}: {reason}; allowed: files of Python code") from None
        if path.suffix != ".py":
            raise InputError(f"extensions={file}: is no file of Python code; its name has to end in .py")
        _refuse_beside(text, path)
        _load_text(path.name, text, path, homes)
    _share()


def _refuse_beside(text: str, path: Path) -> None:
    """Raise InputError if a file imports a module that is installed nowhere: found beside it, or in this folder."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # said with its line when it is executed
        return
    folders = {path.resolve().parent, Path.cwd()}
    for root in sorted(_roots(tree)):
        place = _place(root)
        if place is None or not folders & set(place.parents) or "site-packages" in place.parts:
            continue
        if root not in packages_distributions():
            raise InputError(
                f"extensions={path}: imports {root}, a file that workers elsewhere do not have, and whose changes no "
                "record would notice; write its code into this one, or install it as a package"
            )


def imported_by(text: str) -> list[tuple[str, int, int]]:
    """The modules that code imports, with the number of their files and the time of the newest, to notice changes.

    Without those of Python's own library, of this project, and of those whose versions are always compared.
    """
    found = []
    for root in sorted(_roots(ast.parse(text)) - {"torch", "numpy"}):
        place = _place(root)
        if place is not None:
            folder = place if place.is_dir() else place.parent  # a package without __init__.py is its folder
            alone = place.is_file() and place.name != "__init__.py"
            files = [place] if alone else [*folder.rglob("*.py")]
            found.append((root, len(files), max((file.stat().st_mtime_ns for file in files), default=0)))
    return found


def _roots(tree: ast.AST) -> set[str]:
    """The packages of which code imports something, without Python's own library and this project."""
    imported = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    imported += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
    return {name.partition(".")[0] for name in imported} - sys.stdlib_module_names - {_PACKAGE, ""}


def _place(module: str) -> Path | None:
    """Where a module lies that can be imported here; None if none can, or it lies nowhere."""
    with suppress(ImportError, ValueError):
        found = find_spec(module)
        places = [found.origin, *(found.submodule_search_locations or ())] if found else []
        return next((Path(one).resolve() for one in places if one and Path(one).exists()), None)
    return None


def load_installed(homes: Homes) -> None:
    """Load the packages that say by an entry point that they extend this project."""
    for entry in _installed(tuple((place, _time(place)) for place in sys.path)):
        name = entry.dist.name if entry.dist is not None else entry.name
        if name not in _loaded:
            module = _imported(name, entry)
            text = "\n".join(file.read_text(encoding="utf-8") for file in _files_of(module))
            _add(Extension(name, None, text, _adds(module, name)), module, homes)


def _files_of(module: ModuleType) -> list[Path]:
    """The file of a module, or all files of the package at whose root it is: of `pkg.sub.ext` those of `pkg`."""
    file = Path(module.__file__ or next(iter(module.__path__)))  # a package without __init__.py is its folder
    own = file.parent if file.name == "__init__.py" else file
    root = (own, *own.parents)[module.__name__.count(".")]
    return sorted(root.rglob("*.py")) if root.is_dir() else [root]


@lru_cache(maxsize=1)  # every command asks, and the answer takes the reading of all packages that are installed
def _installed(_places: tuple[tuple[str, int], ...]) -> tuple[EntryPoint, ...]:
    """The entry points that add something, of packages in places that have not changed since some time."""
    return tuple(entry_points(group=GROUP))


def _time(place: str) -> int:
    """When something was last installed in a place, in ns; 0 where there is none."""
    try:
        return Path(place or ".").stat().st_mtime_ns
    except OSError:
        return 0


def load_shared(homes: Homes) -> None:
    """Load, in a process of a worker, what the process that started it has loaded."""
    adopt(tuple((Path(one).name, Path(one).read_text(encoding="utf-8")) for one in _shared()), homes)


def packed() -> Packed:
    """The files that are loaded, to be loaded by `adopt` on a machine that may not see them."""
    return tuple((one.name, one.text) for one in _loaded.values() if one.path is not None)


def adopt(files: Packed, homes: Homes) -> None:
    """Load files that were sent, and the packages that are installed here."""
    load_installed(homes)
    for name, text in files:
        _load_text(name, text, _copy(name, text), homes)
    _share()


def forget() -> None:
    """Take everything that was added away again, as in a new process."""
    for home in _filled:
        home.table.clear()
    for one in _loaded.values():
        if one.path is not None:
            sys.modules.pop(_module_name(one.path), None)
    _filled.clear()
    _loaded.clear()
    os.environ.pop(_PATHS, None)


def _load_text(name: str, text: str, path: Path, homes: Homes) -> None:
    if (before := _loaded.get(name)) is not None:
        if before.text == text:
            return
        raise InputError(
            f"extensions={path}: another file {name} is loaded already, or it was changed meanwhile; start a new "
            "process, or give one of them another name"
        )
    module = ModuleType(_module_name(path))
    module.__file__ = str(path.resolve())
    sys.modules[module.__name__] = module  # so that its classes can be sent to other processes
    try:
        exec(compile(text, module.__file__, "exec"), module.__dict__)  # noqa: S102 - a person named it to be executed
        extension = Extension(name, path, text, _adds(module, name))
        _add(extension, module, homes)
    except InputError:
        del sys.modules[module.__name__]
        raise
    except MISTAKES as error:
        del sys.modules[module.__name__]
        raise InputError(f"extensions={path}: {_where(error, module.__file__)}") from error
    except BaseException:
        del sys.modules[module.__name__]
        raise


def _module_name(path: Path) -> str:
    """A name that no module of others has, and no other extension: each sign that it cannot have is written out."""
    return "explorer_extension_" + re.sub(r"\W", lambda sign: f"_{ord(sign[0]):x}_", path.stem)


def _imported(name: str, entry: EntryPoint) -> ModuleType:
    try:
        return import_module(entry.module)
    except MISTAKES as error:
        raise InputError(
            f"the installed extension {name}: {in_one_line(f'{type(error).__name__}: {error}')}; mend or uninstall it"
        ) from error


def _where(error: BaseException, file: str) -> str:
    """What went wrong in a file, with the line of that file."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"line {error.lineno}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    place = f"line {lines[-1]}: " if lines else ""
    return in_one_line(f"{place}{type(error).__name__}: {error}".rstrip(": "))


def _adds(module: ModuleType, name: str) -> dict[str, tuple[str, ...]]:
    found = {}
    for kind in KINDS:
        values = getattr(module, kind, {})
        if not isinstance(values, dict):
            raise InputError(f"extension {name}: {kind} is a {type(values).__name__}; allowed: a dictionary by name")
        for key in values:
            if not isinstance(key, str) or not _NAME.fullmatch(key):
                raise InputError(
                    f"extension {name}: {kind} has the name {key!r}; allowed: a letter, then letters, digits "
                    "and _, all lower case"
                )
        if values:
            found[kind] = tuple(values)
    if not found:
        raise InputError(f"extension {name}: adds nothing; allowed: dictionaries called {', '.join(KINDS)}")
    return found


def _add(extension: Extension, module: ModuleType, homes: Homes) -> None:
    """Fill the tables, if everything can be added."""
    for kind, names in extension.adds.items():
        for name in names:
            try:
                if (other := source_of(kind, name)) is not None:
                    raise ValueError(f"is added by {other.name} already")
                if kind in homes:
                    homes[kind].check(name, value := getattr(module, kind)[name])
                    homes[kind].table[name] = value  # now: the next one may not go together with it
            except ValueError as error:
                for other_kind in extension.adds.keys() & homes.keys():
                    for added in extension.adds[other_kind]:
                        if source_of(other_kind, added) is None:
                            homes[other_kind].table.pop(added, None)
                raise InputError(f"extension {extension.name}: {kind}: {name}: {error}") from None
    _filled.extend(homes[kind] for kind in extension.adds.keys() & homes.keys())
    _loaded[extension.name] = extension


def _share() -> None:
    """Let processes that this one starts load the same files."""
    files = [one for one in _loaded.values() if one.path is not None]
    if files:
        os.environ[_PATHS] = json.dumps([str(_copy(one.name, one.text)) for one in files])


def _shared() -> list[str]:
    return [str(one) for one in json.loads(os.environ.get(_PATHS) or "[]")]


def _copy(name: str, text: str) -> Path:
    """The path of a copy of a file in the user's cache, by its content."""
    folder = cache_folder(FOLDER, hashlib.sha256(text.encode()).hexdigest()[:16])
    path = folder / name
    if not (is_own(path) and path.read_text(encoding="utf-8") == text):
        write_whole(path, text)
    return path
