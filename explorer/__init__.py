"""Which network shape is best at a fixed compute budget? A design-space explorer for the ResNeXt family."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explorer.verbs.api import open_study

__version__ = "0.1.0"
__all__ = ["__version__", "open_study"]


def __getattr__(name: str) -> Any:
    """Import `open_study` only when it is used, since it loads pandas and plotly."""
    if name == "open_study":
        from explorer.verbs.api import open_study

        return open_study
    raise AttributeError(f"module 'explorer' has no attribute {name!r}")
