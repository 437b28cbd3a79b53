"""How Sphinx makes a site of the pages in `docs/` and of the three pages beside the README: `make docs`.

The source folder is the project's own, so that links lead to the same files on a code host and in the site.
"""

import re

from sphinx.application import Sphinx

import explorer

project = "resnext-explorer"
author = copyright = "the authors of resnext-explorer"  # noqa: A001 - Sphinx's own name
version = release = explorer.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "docs/index"
include_patterns = ["docs/*.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
exclude_patterns = [".*", "studies", "reports", "tables", "build", "dist"]
myst_heading_anchors = 4  # as code hosts make them
nitpicky = False

html_theme = "furo"
html_title = "resnext-explorer"
html_extra_path = ["site"]  # index.html at the top, which leads to docs/
html_copy_source = False
html_show_sphinx = False

autodoc_typehints = "none"  # signatures have them
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
default_role = "code"  # docstrings have `code` in single backticks

# `name  what it means`: a field in a docstring of ours.
FIELD = re.compile(r"(\S(?:.*?\S)?) {2,}(\S.*)")


def _as_rst(_app: object, what: str, _name: str, _obj: object, _options: object, lines: list[str]) -> None:
    """Make reStructuredText of a docstring of ours: a list of its fields, and everything else as it is.

    The page introduces a module in its own words.
    """
    if what == "module":
        lines.clear()
    made: list[str] = []
    in_fields = False
    for line in lines:
        field = FIELD.fullmatch(line)
        if field and not line.startswith(" "):
            made += ([] if in_fields else [""]) + [f"- **{field[1]}**: {field[2]}"]
            in_fields = True
        elif in_fields and line.startswith(" "):
            made.append(f"  {line.strip()}")
        else:
            made += [""] * (in_fields and bool(line)) + [line]
            in_fields = False
    lines[:] = made


def _with_side_bar(_app: object, name: str, source: list[str]) -> None:
    """Have the lists of the first page, each below its heading in bold, in the side bar too."""
    if name != root_doc:
        return
    for heading, items in re.findall(r"^\*\*(.+)\*\*\n\n((?:- .*\n)+)", source[0], re.MULTILINE):
        pages = "\n".join(re.findall(r"\]\((\S+)\.md\)", items))
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {heading}\n\n{pages}\n```\n"


def setup(app: Sphinx) -> None:
    """Have docstrings and the first page rewritten before Sphinx reads them."""
    app.connect("autodoc-process-docstring", _as_rst)
    app.connect("source-read", _with_side_bar)
