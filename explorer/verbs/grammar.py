"""Reads the words of a command: which verb, which study, which keys.

`explorer [VERB] [NAME] [key=value | --key value | --key=value | --flag ...]`; keys may stand anywhere. A word that is a
verb is the verb, in the first place; then a name is that of a study's folder here, and then that of a study in `conf`.
What comes out is in one form, `key=value`, which `explorer.verbs.compose` merges with files.
"""

import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from explorer.host.commands import ABOUT, VERBS, command_for, program_here
from explorer.host.errors import InputError
from explorer.host.formatting import hint
from explorer.record.folder import CONFIG, STUDIES, study_folder
from explorer.study.settings import StudyConfig
from explorer.study.tree import checked_name, kinds_of
from explorer.verbs.table import (
    FLAGS_OF_STUDIES,
    NAMED_VERBS,
    OWN_VERBS,
    RECORD_VERBS,
    STUDY_VERBS,
    verb_of,
    words_field,
)

MOST_LISTED = 5  # studies in a message
# What a verb needs beside a study's name, for an example.
_EXAMPLES = {
    "predict": ("photo.jpg",),
    "challenge": ("study.robustness=[init]",),
    "fork": ("recipe.epochs=20",),
    "move": ("storage=sqlite",),
}
_KEY = re.compile(r"[A-Za-z_][\w.]*")


@dataclass(frozen=True)
class Words:
    """The words of a command, sorted.

    verb    the verb; "" if none is said, which means run
    kind    the type of the settings that the verb takes
    name    the recorded study that the command names; None if it names none
    file    the file that holds all settings of a study: of the recorded study, or the one given with --config
    keys    the keys, as `key=value`, `study=` of a study in `conf` among them
    others  words without a key for the field of the settings that takes them, such as images or figures
    """

    verb: str
    kind: type[Any]
    name: str | None
    file: Path | None
    keys: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def is_named(self) -> bool:
        """Whether the verb works on a recorded study by its name, with keys of its own."""
        return self.verb in NAMED_VERBS and self.kind is NAMED_VERBS[self.verb].kind


@dataclass(frozen=True)
class _Word:
    """One word; `key` is the key of a `key=value`, and None for a word without one."""

    text: str
    key: str | None

    @property
    def value(self) -> str:
        """What a key is set to, without the quotes of the command line's own grammar."""
        return self.text.partition("=")[2].strip().strip("'\"")


def read_words(arguments: list[str], shipped: list[str]) -> Words:
    """Sort the words of a command; `shipped` are the names that `study=` takes. Raises InputError."""
    words = _separated(arguments, *_key_tests(verb_of(arguments)))
    asked = [word.value for word in words if word.key == "do"]
    bare = [word for word in words if word.key is None]
    verb = bare[0].text if bare and bare[0].text in VERBS else ""
    if verb:
        words.remove(bare.pop(0))
    if verb and asked and asked[-1] != verb:
        raise InputError(f"{verb} do={asked[-1]}: are two verbs; leave one of them out")
    verb = verb or (asked[-1] if asked else "")
    if verb and verb not in VERBS:
        raise unknown_verb(verb)
    is_named = verb not in OWN_VERBS or bare or _has(words, "name") or _has(words, "study")
    if verb in NAMED_VERBS and is_named and (verb not in STUDY_VERBS or _has(words, "recorded")):
        return _of_named_verb(verb, words, shipped)
    if verb in OWN_VERBS:
        return _of_own_verb(verb, words)
    return _of_study_verb(verb, words, shipped)


def unknown_verb(verb: str) -> InputError:
    """The error for a verb that does not exist."""
    return InputError(f"do={verb}: unknown verb{hint(verb, list(VERBS))}; allowed: {', '.join(VERBS)}")


def studies_here() -> list[str]:
    """The names of the studies that have a folder here."""
    found = (path for path in STUDIES.glob("*") if path.is_dir() or path.is_symlink())
    return sorted(path.name for path in found if not path.name.startswith((".", "_")))


# ---------------------------------------------------------------- words


def _key_tests(verb: str) -> tuple[Callable[[str], bool], Callable[[str], bool]]:
    """Tests whether a key of a verb is true or false, so that `--key` alone sets it, and whether it is one at all."""
    kinds: list[type[Any]] = [StudyConfig] if verb in STUDY_VERBS or verb not in VERBS else []
    kinds += [NAMED_VERBS[verb].kind] if verb in NAMED_VERBS else []
    kinds += [OWN_VERBS[verb]] if verb in OWN_VERBS else []

    def is_flag(key: str) -> bool:
        own = StudyConfig in kinds and key in FLAGS_OF_STUDIES
        return own or any(kinds_of(kind, tuple(key.split("."))) == {bool} for kind in kinds)

    def is_key(key: str) -> bool:
        return key in ("config", "study", "do", "name") or any(kinds_of(kind, tuple(key.split("."))) for kind in kinds)

    return is_flag, is_key


def _separated(arguments: list[str], is_flag: Callable[[str], bool], is_key: Callable[[str], bool]) -> list[_Word]:
    """The words in order, all keys in the form `key=value`; what comes after `--` has no keys."""
    found, rest = list[_Word](), list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*found, *(_Word(one, None) for one in rest)]
        if word.startswith("--"):
            key, equals, value = word[2:].partition("=")
            key = key.replace("-", "_")
            if not equals and is_flag(key):
                value = "true"
            elif not equals:
                if (not rest or rest[0].startswith("--")) and not is_key(key):
                    value = "true"  # is refused as a key, with what is allowed
                elif not rest or rest[0].startswith("--"):
                    raise InputError(f"{word}: what is it to be? say {word} VALUE or {key}=VALUE")
                else:
                    value = rest.pop(0)
            found.append(_Word(f"{key}={value}", key))
        elif "=" in word or word.startswith("~") or "@" in word:  # the latter two are keys of Hydra's, and are refused
            found.append(_Word(word, word.partition("=")[0].strip().lstrip("+")))
        elif word.startswith("-") and len(word) > 1:
            found.append(_Word(word, word))  # is refused as a key, with what is allowed
        else:
            found.append(_Word(word, None))
    return found


def _has(words: list[_Word], key: str) -> bool:
    return any(word.key == key for word in words)


# ---------------------------------------------------------------- verbs


def _of_own_verb(verb: str, words: list[_Word]) -> Words:
    """A verb on a design, or on several studies: the words without a key go to the field that takes them."""
    kind = OWN_VERBS[verb]
    field = words_field(kind)
    own = {one.name for one in fields(kind)}
    keys, others = list[str](), list[str]()
    for word in words:
        (others if _is_plain(word, own, takes=field is not None) else keys).append(word.text)
    if others and field is None:
        raise InputError(f"{others[0]}: {verb} takes keys alone, as in {_example(kind)}")
    return Words(verb, kind, None, None, tuple(keys), tuple(others))


def _is_plain(word: _Word, own: set[str], *, takes: bool) -> bool:
    """Whether a word has no key, for a verb whose keys are `own`. Where it `takes` words, a file or URL may look so."""
    if word.key is None or not takes:
        return word.key is None
    return (word.key not in own and Path(word.text).exists()) or not _KEY.fullmatch(word.key)


def _of_named_verb(verb: str, words: list[_Word], shipped: list[str]) -> Words:
    """A verb on one recorded study: the first word without a key is its name, or the key `name` or `study` has it."""
    kind = NAMED_VERBS[verb].kind
    own, takes = {one.name for one in fields(kind)}, words_field(kind)
    keys, others = list[str](), list[str]()
    for word in words:
        if word.key in ("do", "study", "name"):
            continue
        (others if _is_plain(word, own, takes=takes is not None) else keys).append(word.text)
    # `study=` is the form of earlier versions, in which `name=` beside it is the name of the record.
    named = sorted((word for word in words if word.key in ("study", "name")), key=lambda word: word.key == "name")
    first = fields(kind)[0]
    is_free = first.default is not MISSING
    name = named[-1].value if named else _plain(others.pop(0)) if others else None
    if name is None and not is_free:
        raise _no_name(verb, shipped)
    if name is not None:
        _check_there(verb, name, shipped, tuple([*others, *keys] if takes else keys))
    if others and takes is None:
        raise _too_many(verb, str(name), others, shipped)
    return Words(verb, kind, name, None, tuple(keys), tuple(others))


def _of_study_verb(verb: str, words: list[_Word], shipped: list[str]) -> Words:
    """A verb on the settings of a study: those of its folder, of a file with --config, or of a study in `conf`."""
    bare = [word.text for word in words if word.key is None]
    keys = [word.text for word in words if word.key is not None and word.key not in ("config", "do")]
    files = [word.value for word in words if word.key == "config"]
    chosen = [word.value for word in words if word.key == "study"]
    name = _plain(bare.pop(0)) if bare else None
    if bare:
        raise _too_many(verb, str(name), bare, shipped, tuple(keys))
    if files:
        if name is not None or chosen:
            raise InputError(f"--config {files[-1]}: holds a study's settings, and {name or chosen[-1]} names another")
        return Words(verb, StudyConfig, None, Path(files[-1]), tuple(keys))
    if name is not None and chosen:
        if name not in (*studies_here(), *shipped):
            raise InputError(f"{name}: cannot be read; expected key=value, as in recipe.epochs=20")
        raise InputError(f"{name} study={chosen[-1]}: are two studies; leave one of them out")
    if name is None and not chosen:
        named = [word.value for word in words if word.key == "name"]
        name = named[-1] if named else None
    elif name is None and _is_of_record(verb, chosen[-1], words, shipped):
        name, keys = chosen[-1], [key for key in keys if key.partition("=")[0].strip() != "study"]
    if name is None:
        if not chosen:
            _refuse_strange(verb, words)
            raise _no_name(verb, shipped)
        return Words(verb, StudyConfig, None, None, tuple(keys))
    folder = study_folder(name)
    if "/" not in name and name.strip() and folder.is_dir() and ((folder / CONFIG).exists() or name not in shipped):
        return Words(verb, StudyConfig, checked_name(name), folder / CONFIG, tuple(keys))
    if name in shipped:
        return Words(verb, StudyConfig, None, None, (f"study={name}", *keys))
    if verb == "doctor" and _has(words, "name"):  # which says what it finds in place of a folder
        return Words(verb, StudyConfig, checked_name(name), folder / CONFIG, tuple(keys))
    raise unknown_study(verb, name, shipped, tuple(keys))


def _is_of_record(verb: str, study: str, words: list[_Word], shipped: list[str]) -> bool:
    """Whether `study=` means a study that has begun, and not settings to begin with: `study=mine do=report`."""
    if _has(words, "name") or not (study_folder(study) / CONFIG).exists():
        return False
    return verb in RECORD_VERBS or study not in shipped


# ---------------------------------------------------------------- names


def _plain(word: str) -> str:
    """The name of a study in a word that may be the path of its folder, as a shell completes it."""
    path = Path(word)
    return path.name if path.parts[:-1] == STUDIES.parts and path.name else word


def _check_there(verb: str, name: str, shipped: list[str], keys: tuple[str, ...]) -> None:
    """Raise InputError unless the study has a folder here."""
    if "/" not in name and study_folder(name).is_dir() and checked_name(name):
        return
    if "/" not in name and study_folder(name).is_symlink():
        raise InputError(f"{study_folder(name)}: is a link to something that is not there; delete the link")
    if name in shipped and verb == "delete":
        raise InputError(f"{name}: has no record here, so there is nothing to delete")
    if name in shipped:
        keys = ("data=FOLDER",) if name == "best" else ()
        raise InputError(f"{name}: has no record here yet; train it first, with: {command_for('', name, *keys)}")
    raise unknown_study(verb, name, shipped, keys)


def _no_name(verb: str, shipped: list[str]) -> InputError:
    here = studies_here()
    if not here and verb in (*NAMED_VERBS, *STUDY_VERBS[2:]):
        start = command_for("", "equal_params")
        return InputError(f"study is missing, and none is recorded here yet; start one, as with {start}")
    # Of the studies to start this one needs no further word.
    start = here[0] if here else "equal_params" if "equal_params" in shipped else shipped[0]
    say = f"say for example {command_for(verb, start, *_EXAMPLES.get(verb, ()))}"
    return InputError(f"study is missing; {say}; {_choice(here, shipped)}")


def _refuse_strange(verb: str, words: list[_Word]) -> None:
    """Raise InputError for what looks like an option and is none, such as `--hlep`, in a command without a study."""
    is_flag, is_key = _key_tests(verb)
    for word in words:
        key = word.key or ""
        if key not in ("cfg", "json") and not is_flag(key) and not is_key(key):
            shown = key if key.startswith("-") else word.text if word.value != "true" else f"--{key}"
            near = hint(key.lstrip("-"), [*ABOUT])
            raise InputError(f"{shown}: is no option{near}; {program_here()} --help shows all that there is")


def unknown_study(verb: str, name: str, shipped: list[str], keys: tuple[str, ...] = ()) -> InputError:
    """The error for a name that no study has: a command with what was probably meant, or the studies that there are.

    `keys` are what the command says beside it.
    """
    here = studies_here()
    known, shown = [*dict.fromkeys([*here, *shipped])], name[:120]
    if not name.strip():
        return InputError(f"{shown!r}: is no name of a study; {_choice(here, shipped)}")
    if len(words := name.split()) > 1 and words[0] in VERBS:
        return InputError(f"{shown!r}: is one word; say {command_for(*words)}, without quotes around it")
    if _is_design(name):
        study = here[0] if here else "NAME"
        own = keys if verb == "export" else ()
        ways = {
            "export": f"{command_for('export', '', f'architecture={name}', *own)} writes it as a module of its own",
            "predict": f"{command_for('predict', study, f'architecture={name}', 'photo.jpg')} takes it from that study",
        }
        other = f"{command_for('verify', name)} tells its cost, {ways['export']}"
        return InputError(f"{shown}: is the name of a design, not of a study; {ways.get(verb, other)}")
    if meant := next((part for part in reversed(_parts(name)) if part in known), None):
        again = command_for(verb, meant, *keys)
        return InputError(f"{shown}: is no name of a study, which is said without a folder or an ending; say {again}")
    there = Path(name)
    if verb in ("", "run", "plan") and there.is_dir() and name not in (".", ".."):
        way = command_for("plan" if verb == "plan" else "", "", "study=best", f"data={name}", *keys)
        return InputError(f"{shown}: is a folder here and no study; for the best network for images in it say {way}")
    if verb == "predict" and there.exists():
        way = command_for("predict", here[0] if here else "best", name)
        return InputError(f"{shown}: is a file or folder here; a study comes first, as in {way}")
    if "/" in name:
        return InputError(f"{shown!r}: is no name of a study; {_choice(here, shipped)}")
    checked_name(name)
    near = hint(name, [*known, *([] if verb else VERBS)]) or hint(name.lower(), [*known, *([] if verb else VERBS)])
    what = "no such study" if verb else "no such verb or study"
    verbs = "" if verb else f"verbs: {', '.join(VERBS)}; "
    return InputError(f"{shown}: {what}{near}; {verbs}{_choice(here, shipped)}")


def _is_design(name: str) -> bool:
    from explorer.design import parse_name

    try:
        parse_name(name)
    except ValueError:
        return False
    return True


def _parts(name: str) -> list[str]:
    """The parts of a path that may be a study's name: its folders, and its file without an ending."""
    path = Path(name)
    return [*path.parts, path.stem] if "/" in name else []


def _choice(here: list[str], shipped: list[str]) -> str:
    """The studies here, and those in `conf`, for a message."""
    found = [(f"in {STUDIES}/", here), ("to start", [name for name in shipped if name not in here])]
    return "; ".join(f"{what}: {_few(names)}" for what, names in found if names)


def _few(names: list[str]) -> str:
    more = len(names) - MOST_LISTED
    return ", ".join(names[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def _too_many(verb: str, name: str, others: list[str], shipped: list[str], keys: tuple[str, ...] = ()) -> InputError:
    if not verb and others[0] in ("run", "plan") and name not in (*studies_here(), *shipped) and Path(name).is_dir():
        return unknown_study(others[0], name, shipped, keys)
    if not verb and others[0] in VERBS:
        return InputError(f"{name} {others[0]}: a verb comes first; say {command_for(others[0], name)}")
    if not verb and name not in (*studies_here(), *shipped):
        near = hint(name.lower(), [*VERBS])
        return InputError(f"{name[:120]}: no such verb{near}; verbs: {', '.join(VERBS)}")
    return InputError(
        f"{others[0] or repr('')}: is one word too many; allowed is one study, {name}, and then keys, as key=value"
    )


def _example(kind: type[Any]) -> str:
    return f"{fields(kind)[0].name}=..."
