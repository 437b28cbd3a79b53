"""What is printed is what was meant: no text is read as markup, a command of the terminal, or the name of an emoji."""

import io

import pytest
from rich.table import Table

from explorer.host.console import PLAIN, PlainConsole, say


@pytest.mark.parametrize("text", ["budget=latency:5:", "a:smile:b", ":rocket:", "latency:abc: no such budget"])
def test_colons_stay_what_they_are(text: str) -> None:
    output = io.StringIO()
    console = PlainConsole(file=output, width=80)
    console.print(text, **PLAIN)
    say(console, text)
    table = Table(text)
    table.add_row(text)
    console.print(table)
    assert output.getvalue().count(text) == 4
