"""The commands that messages and pages give a reader, to be pasted into a shell as they stand."""

import shlex
import shutil
import sys
from pathlib import Path

from explorer.host import extensions

PROGRAM = "explorer"
# A study may be called as a verb is; then its name alone would be the verb.
VERBS = (
    "run", "plan", "challenge", "report", "tabulate", "doctor", "move", "fork",
    "figure", "table", "cite", "export", "predict", "list", "status", "delete", "label", "track", "push",
    "verify", "benchmark", "pool", "import",
)  # fmt: skip
ABOUT = ("help", "version")  # words about the program, in a verb's place


def command_for(verb: str, name: str = "", *keys: str, program: str | None = None) -> str:
    """A command of this program, each word quoted where a shell needs it; "" as the verb runs a study.

    `keys` are the words after the name. `program` is by default what starts this program here (see `program_here`);
    what is kept and read elsewhere, such as a page, says `PROGRAM`.
    """
    if not verb and name in (*VERBS, *ABOUT):
        verb = "run"
    words = (word for word in (verb, name, *keys, *extensions.words()) if word)
    return " ".join([program or program_here(), *map(shlex.quote, words)])


def program_here(module: str = PROGRAM) -> str:
    """What starts this program in the shell that started it: `explorer`, or what was said where that is not found.

    A `module` other than this program is always started by Python.
    """
    started = Path(sys.argv[0])
    if started.parts[-2:] == (module, "__main__.py"):  # as with `python -m`
        found = shutil.which(PROGRAM) if module == PROGRAM else None
        if found is None or Path(found).parent != Path(sys.executable).parent:
            return shlex.join([sys.orig_argv[0], "-m", module])
    elif module != PROGRAM:
        return f"python -m {module}"
    elif started.name == PROGRAM and shutil.which(PROGRAM) is None:
        return shlex.quote(sys.argv[0])
    return PROGRAM
