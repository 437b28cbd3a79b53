"""Resolve the contrast that a study declares to two of its settings."""

from explorer.design.name import parse_setting, paths_name
from explorer.design.space import NamedSpace
from explorer.host.errors import InputError
from explorer.study.designs import Setting
from explorer.study.settings import StudyConfig


def contrast_of(config: StudyConfig, settings: tuple[Setting, ...]) -> tuple[Setting, Setting] | None:
    """The two settings of the declared contrast; None if the study has none to judge.

    It has none if it declares none, compares two spaces, or trains only some designs (`search.only`).

    Raises InputError if either name does not mean exactly one of the study's settings.
    """
    contrast = config.study.contrast
    if contrast is None or config.spaces or config.search.only:
        return None
    if config.search.is_adaptive:
        raise InputError("study.contrast: a search chooses its designs later, so it has none; set it to null")
    tight = config.budget.match == "tight"
    first = _named("setting", _solved(config, contrast.setting, settings), settings, tight)
    second = _named("against", _solved(config, contrast.against, settings), settings, tight)
    if first == second:
        raise InputError(f"study.contrast: setting and against are both {first.name}")
    return first, second


def _solved(config: StudyConfig, text: str, settings: tuple[Setting, ...]) -> str:
    """The name that a listed network has after its path width was solved; any other text unchanged."""
    space, forms = config.space, config.search.forms
    if isinstance(space, NamedSpace) and space.is_solved and len(forms) == 1 and text in space.architecture:
        return settings[space.architecture.index(text)].name
    return text


def _named(key: str, text: str, settings: tuple[Setting, ...], tight: bool) -> Setting:
    """The setting that a text names. With tight matching `32x4d` also names the setting solved from it."""
    # A full name means that setting alone, even if it is also depth and paths of a setting with another block.
    whole = [setting for setting in settings if setting.name == text]
    found = whole or [setting for setting in settings if _means(text, setting)]
    if tight and not found:
        found = [setting for setting in settings if text.startswith(f"{setting.architecture.cardinality}x")]
    if len(found) != 1:
        problem = "is not a setting of this study" if not found else "stands for several settings of this study"
        names = [setting.name for setting in settings]
        allowed = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        raise InputError(f"study.contrast.{key}={text}: {problem}; allowed: {allowed}")
    return found[0]


def _means(text: str, setting: Setting) -> bool:
    """Whether a text names the setting: its full name in any spelling, or its paths with or without the depth."""
    try:
        wanted = parse_setting(text)
    except ValueError:
        wanted = None
    text, _, form = text.partition("@")
    if (form or "grouped") != setting.form:
        return False
    paths = paths_name(setting.architecture)
    if text in (paths, f"{setting.architecture.depth}-{paths}"):
        return True
    return wanted is not None and wanted[0] == setting.architecture
