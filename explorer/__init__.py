"""Which network shape is best at a fixed compute budget? A design-space explorer for the ResNeXt family.

    import explorer as ex
    ex.costs("29-32x4d")
    study = ex.Study("equal_params", data="cifar10", recipe="short", seeds=6).run()
    study.verdict

`Study` is described there; `python -m explorer --help` shows the same from the command line.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explorer.host.errors import InputError, StudyStoppedError
    from explorer.verbs.api import Study, open_study
    from explorer.verbs.costs import costs
    from explorer.verbs.python_words import Budget, Data, Engine, Recipe, Search, Space, Storage

__version__ = "0.1.0"
__all__ = [
    "Budget",
    "Data",
    "Engine",
    "InputError",
    "Recipe",
    "Search",
    "Space",
    "Storage",
    "Study",
    "StudyStoppedError",
    "__version__",
    "costs",
    "open_study",
]
# Where each name is found once it is used: some load pandas and plotly, none loads torch.
_PLACES = {
    **dict.fromkeys(("InputError", "StudyStoppedError"), "explorer.host.errors"),
    **dict.fromkeys(("Study", "open_study"), "explorer.verbs.api"),
    **dict.fromkeys(
        ("Budget", "Data", "Engine", "Recipe", "Search", "Space", "Storage"), "explorer.verbs.python_words"
    ),
    "costs": "explorer.verbs.costs",
}


def __getattr__(name: str) -> Any:
    """Import a name only when it is used."""
    if name not in _PLACES:
        raise AttributeError(f"module 'explorer' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
