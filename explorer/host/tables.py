"""Tables on the terminal: at any width no number is broken, nor torn from its unit."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from explorer.host.console import say

Cell = str | tuple[str, str]  # two parts stand side by side, or on a narrow terminal one below the other
MOST_WIDTH = 10_000  # columns of text; more than any table has


def print_rows(
    console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, wraps: bool = False
) -> None:
    """Print a table without a frame, its title above it.

    The first column names the rows; the others hold numbers and stand right. `wraps` says that the first one holds
    sentences, which are broken between words. A terminal on which the table does not fit shows each row as a list.
    """
    if title:
        say(console, title, style="bold")
    for between in (" ", "\n"):
        table = _table(columns, rows, between, wraps=wraps)
        measured = console.measure(table, options=console.options.update(max_width=MOST_WIDTH))
        if (measured.minimum if wraps else measured.maximum) <= console.width:
            console.print(table)
            return
    for first, *others in rows:
        say(console, _joined(first, " "))
        for column, cell in zip(columns[1:], others, strict=True):
            if words := _joined(cell, " "):
                head = column.replace("\n", " ")
                say(console, f"  {head}  {words}" if head else f"  {words}", indent=4)


def _table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], between: str, *, wraps: bool) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for place, column in enumerate(columns):
        table.add_column(column, no_wrap=place > 0 or not wraps, justify="right" if place else "left")
    for row in rows:
        table.add_row(*(escape(_joined(cell, between)) for cell in row))
    return table


def _joined(cell: Cell, between: str) -> str:
    return cell if isinstance(cell, str) else between.join(filter(None, cell))
