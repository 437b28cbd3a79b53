"""A progress bar while something takes long: the designs of a large space are costed, or many studies are read."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from explorer.study import designs


@contextmanager
def space_progress(console: Console) -> Iterator[designs.Progress | None]:
    """Show a progress bar on a terminal while a large space is costed or sampled; yields its callback, else None."""
    if not console.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, wanted: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=wanted)
            bar.update(tasks[what], completed=done)

        yield show
