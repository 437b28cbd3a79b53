"""Which network shape is best at a fixed compute budget? A design-space explorer for the ResNeXt family.

    import explorer as ex
    ex.costs("29-32x4d")
    study = ex.Study("equal_params", data="cifar10", recipe="short", seeds=6).run()
    study.verdict

`Study` is described there; `python -m explorer --help` shows the same from the command line.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explorer.host.errors import InputError, StudyStoppedError
    from explorer.verbs.api import Study, open_study
    from explorer.verbs.costs import costs
    from explorer.verbs.extend import (
        Architecture,
        Block,
        Cost,
        Figure,
        Line,
        Measure,
        Points,
        Sampler,
        Source,
        Stage,
        Task,
        extend,
    )
    from explorer.verbs.import_results import import_results
    from explorer.verbs.python_words import Budget, Data, Engine, Recipe, Search, Space, Storage

__version__ = "0.1.0"
__all__ = [
    "Architecture",
    "Block",
    "Budget",
    "Cost",
    "Data",
    "Engine",
    "Figure",
    "InputError",
    "Line",
    "Measure",
    "Points",
    "Recipe",
    "Sampler",
    "Search",
    "Source",
    "Space",
    "Stage",
    "Storage",
    "Study",
    "StudyStoppedError",
    "Task",
    "__version__",
    "costs",
    "extend",
    "import_results",
    "open_study",
]


def __getattr__(name: str) -> Any:
    """Import a name only when it is used: some load pandas and plotly, none loads torch."""
    place: Any
    if name in ("InputError", "StudyStoppedError"):
        from explorer.host import errors as place
    elif name in ("Study", "open_study"):
        from explorer.verbs import api as place
    elif name in (
        "Architecture",
        "Measure",
        "Task",
        "Block",
        "Cost",
        "Figure",
        "Line",
        "Points",
        "Sampler",
        "Source",
        "Stage",
        "extend",
    ):
        from explorer.verbs import extend as place
    elif name == "costs":
        from explorer.verbs import costs as place
    elif name == "import_results":
        from explorer.verbs import import_results as place
    elif name in __all__ and name != "__version__":
        from explorer.verbs import python_words as place
    else:
        raise AttributeError(f"module 'explorer' has no attribute {name!r}")
    return getattr(place, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
