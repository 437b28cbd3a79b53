"""Write what was measured on a GPU into docs/speed.md and the README beside this file.

    python benchmarks/gpu/figures.py micro.json [log.txt ...]

The files are those that gpu_check.py brings back. Tables stand between two comments in each of the two documents, and
are written anew from these files alone; a part that they do not have is called unmeasured, one that is not known here
is left out. This file needs Python's standard library alone.
"""

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BEGIN = "<!-- figures of benchmarks/gpu/figures.py: begin -->"
END = "<!-- figures of benchmarks/gpu/figures.py: end -->"
USAGE = "usage: python benchmarks/gpu/figures.py micro.json [log.txt ...]"
Tree = dict[str, Any]
Rows = list[list[str]]
_STEP = re.compile(
    r"(?P<network>\S+) (?P<form>[a-z ]+?|\d+ px(?: fused)?) batch (?P<batch>\d+)(?: (?P<kind>ours|tuned))?"
)
_FORM = re.compile(r"(?P<order>last|first|padded) (?P<groups>\d+) (?P<kind>ours|tuned)")
_KINDS = {"ours": "deterministic", "tuned": "any", None: "deterministic"}
_HOW = {
    "ours": "deterministic kernels",
    "tuned": "any kernels",
    "fused": "our batch norms",
    "eager": "launched one by one",
    "graph": "as one graph",
}
_ORDERS = {"last": "", "first": ", channels first", "padded": ", padded to a multiple of 8"}


@dataclass(frozen=True)
class Measured:
    """What was measured, and whether the brief tables are made of it.

    micro  the numbers of micro.json
    log    what all steps have printed
    """

    micro: Tree
    log: str
    brief: bool

    def part(self, name: str) -> dict[str, Tree]:
        """A part of the numbers: of each thing that was measured, its numbers by name."""
        found = self.micro.get(name)
        return {key: own for key, own in found.items() if isinstance(own, dict)} if isinstance(found, dict) else {}

    def section(self, name: str) -> str:
        """What a command of this name has printed, the last time that it was called."""
        found = re.findall(
            rf"^===== {re.escape(name)}: [^\n]*\n(.*?)(?=^===== |\Z)", self.log, re.MULTILINE | re.DOTALL
        )
        return str(found[-1]) if found else ""


def steps(measured: Measured) -> Rows:
    """Images per second of whole steps."""
    rows = []
    for key, speeds in measured.part("steps_images_per_second").items():
        if (found := _STEP.fullmatch(key)) is None or (measured.brief and found["kind"] == "tuned"):
            continue
        eager, graph = (_number(speeds.get(how)) for how in ("eager", "graph"))
        gain = f"{graph / eager:.2f}x" if eager and graph else "-"
        own = [] if measured.brief else [_KINDS[found["kind"]]]
        told = [f"{speed:,.0f}" if speed else "-" for speed in (eager, graph)]
        rows.append([found["network"], found["form"], found["batch"], *own, *told, gain])
    return rows


def ratios(measured: Measured) -> Rows:
    """How many times as long one network's step takes as the other's."""
    rows = []
    for key, found in measured.micro.items():
        if key.startswith("time_") and "_over_" in key and isinstance(found, dict):
            many, one = key.removeprefix("time_").split("_over_", 1)
            kept = [how for how in found if _number(found[how]) and not (measured.brief and "tuned" in how)]
            rows += [[many, one, _words(how), f"{found[how]:.2f}"] for how in kept]
    return rows


def forms(measured: Measured) -> Rows:
    """Milliseconds of each grouped convolution as it is, and in its fastest deterministic form."""
    rows = []
    for shape, ms in measured.part("forms_ms").items():
        found = {key: own for key in ms if (own := _FORM.fullmatch(key)) and own["kind"] == "ours" and _number(ms[key])}
        groups = re.search(r"_g(\d+)_", shape)
        native = f"last {groups[1]} ours" if groups else ""
        if native not in found:
            continue
        ranked = sorted(found, key=lambda key: ms[key])
        best = ranked[0]
        told = [shape, f"{ms[native]:.3f}", _form(found[best]), f"{ms[best]:.3f}"]
        rows.append([*told, f"{ms[native] / ms[best]:.1f}x"])
        if not measured.brief:
            rows[-1].append(", ".join(f"{_form(found[key])} {ms[key]:.3f}" for key in ranked[1:]))
    return rows


def chosen(measured: Measured) -> Rows:
    """The forms that a study of many epochs chooses."""
    return [
        [
            network,
            f"{seconds:.1f}",
            "; ".join(own.get("forms", [])) or "as they are",
            str(len(own.get("unmeasured", []))),
        ]
        for network, own in measured.part("chosen").items()
        if (seconds := _number(own.get("seconds")))
    ]


def norms(measured: Measured) -> Rows:
    """Milliseconds of a batch norm with its ReLU, forward and backward, by torch and by our kernels."""
    rows = []
    for maps, own in measured.part("norms_ms").items():
        if not all(_number(own.get(kind)) for kind in ("torch", "fused")):
            continue
        bandwidth = f"{own['fused GB/s']:,.0f}" if _number(own.get("fused GB/s")) else "-"
        row = [maps, f"{own['torch']:.3f}", f"{own['fused']:.3f}", f"{own['torch'] / own['fused']:.1f}x", bandwidth]
        rows.append(row)
    return rows


def together(measured: Measured) -> Rows:
    """Images per second of several processes that train at the same moment."""
    rows = []
    for network, own in measured.part("together_images_per_second").items():
        alone = _number(own.get("1"))
        speeds = {count: speed for count in own if (speed := _number(own[count]))}
        rows += [
            [network, count, f"{speeds[count]:,.0f}", f"{speeds[count] / alone:.2f}x"] for count in speeds if alone
        ]
    return rows


def streaming(measured: Measured) -> Rows:
    """Images per second from memory of the device, and while they are read and decoded."""
    return [
        [network, *(f"{own[kept]:,.0f}" for kept in ("resident", "stream")), f"{own['stream'] / own['resident']:.0%}"]
        for network, own in measured.part("streaming_images_per_second").items()
        if _number(own.get("resident")) and _number(own.get("stream"))
    ]


def profiles(measured: Measured) -> Rows:
    """Milliseconds of a step as a study takes it: by the clock, of the host, of the device's kernels."""
    keys = ("wall_ms", "host_ms", "device_ms")
    return [
        [network, *(f"{own[key]:.2f}" for key in keys)]
        for network, own in measured.part("profile").items()
        if all(_number(own.get(key)) for key in keys)
    ]


def compiled(measured: Measured) -> Rows:
    """Images per second of steps that torch.compile has fused."""
    return [
        [
            network,
            f"{own['compiling_s']:.0f}",
            *(f"{own[how]:,.0f}" if own.get(how) else "-" for how in ("eager", "graph")),
        ]
        for network, own in measured.part("compiled").items()
        if _number(own.get("compiling_s"))
    ]


def training(measured: Measured) -> Rows:
    """Images per second of `explorer benchmark`: ours, the tutorial's, that with channels last, and the ratio."""
    line = r"^ (\d+-\S+) +([\d,.]+) +([\d,.]+) +([\d,.]+) +([\d.]+x)"
    return [list(found) for found in re.findall(line, measured.section("benchmark"), re.MULTILINE)]


def targets(measured: Measured) -> Rows:
    """The figures to reach of `explorer benchmark`."""
    line = r"^ (\S.*?) {2,}(\S.*?) {2,}(pass|FAIL|undecided) *$"
    return [list(found) for found in re.findall(line, measured.section("benchmark"), re.MULTILINE)]


def studies(measured: Measured) -> Rows:
    """What each study executed, and how long it took."""
    rows = []
    for name in dict.fromkeys(re.findall(r"^===== ([^:\n]+): .*\bstudy=", measured.log, re.MULTILINE)):
        section = measured.section(name)
        how = re.findall(r"^(\d+ at once on [^\n]*?) \(chosen in ([\d.]+ s)", section, re.MULTILINE)
        took = re.findall(r"^(\d[\d,]* runs? in [^;\n]+)", section, re.MULTILINE)
        if how or took:
            rows.append([name, *(how[-1] if how else ("-", "-")), took[-1] if took else "not finished"])
    return rows


def tests(measured: Measured) -> Rows:
    """How many cases of test_cuda.py passed."""
    return [
        [line]
        for line in re.findall(
            r"^(?:=+ )?(\d+ (?:passed|failed)[^=\n]*?)(?: =+)?$", measured.section("tests"), re.MULTILINE
        )
    ]


# Of each table its title, the heads of its columns (in brackets those that the brief one lacks), what gives its rows,
# and whether the brief document has it too.
Table = tuple[str, str, Callable[[Measured], Rows], bool]
TABLES: tuple[Table, ...] = (
    (
        "Training steps, images per second",
        "network|forms|batch|(kernels)|launched one by one|as one graph|gain",
        steps,
        True,
    ),
    ("Time of a step over another's", "network|over|measured|times", ratios, True),
    ("Grouped convolutions, forward and backward, in ms", "shape|as it is|fastest|takes|gain|(others)", forms, True),
    ("Batch norm, ReLU and addition, forward and backward, in ms", "maps|torch|ours|gain|GB/s", norms, True),
    ("`explorer benchmark`, images per second", "network|ours|tutorial's|its channels last|ratio", training, True),
    ("Processes that train at once, images per second", "network|processes|together|gain", together, True),
    ("Images that are decoded meanwhile, images per second", "network|on the device|decoded|share", streaming, True),
    ("Figures to reach", "figure|found|reached", targets, True),
    ("Forms that a study chooses", "network|seconds|forms|unclear", chosen, False),
    ("A step as a study takes it, in ms", "network|by the clock|host|kernels", profiles, False),
    (
        "Steps by `torch.compile`, images per second",
        "network|compiling, s|launched one by one|as one graph",
        compiled,
        False,
    ),
    ("Studies", "study|executed|choosing|took", studies, False),
    ("Tests", "cases", tests, False),
)


def tables(measured: Measured) -> str:
    """All tables as Markdown, with the card that they are of."""
    micro = measured.micro
    if not micro and not measured.log:
        return "No GPU has been measured: **unmeasured**."
    card = ", torch ".join(str(micro[key]) for key in ("device", "torch") if micro.get(key))
    parts, unmeasured = [f"Measured on {card or 'a GPU'}{_limits(micro)}."], []
    for title, heads, make, is_brief in TABLES:
        if measured.brief and not is_brief:
            continue
        rows = make(measured)
        if not rows:
            unmeasured.append(title)
            continue
        own = [head.strip("()") for head in heads.split("|") if not (measured.brief and head.startswith("("))]
        lines = [own, ["---"] * len(own), *rows]
        parts.append(f"{title}:\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))
    if unmeasured:
        parts.append(f"Unmeasured: {'; '.join(unmeasured)}.")
    return "\n\n".join(parts)


def _limits(micro: Tree) -> str:
    """What the card can do at best, in brackets; nothing if that was not measured."""
    limits = micro.get("limits")
    rates = limits if isinstance(limits, dict) else {}
    found = [
        f"{_number(rates.get(key)) / 1e12:,.1f} {unit}"
        for key, unit in (
            ("float32", "Tflop/s in float32"),
            ("float16", "in float16"),
            ("bfloat16", "in bfloat16"),
            ("bandwidth", "TB/s of memory"),
        )
        if _number(rates.get(key))
    ]
    return f" ({', '.join(found)})" if found else ""


def written(document: str, text: str) -> str:
    """A document with a text between its two comments. Raises ValueError if it has not got them, each once."""
    before, first, rest = document.partition(BEGIN)
    _, second, after = rest.partition(END)
    if not first or not second or BEGIN in rest or END in after:
        raise ValueError(f"has not one place between {BEGIN} and {END}; put these two lines where tables belong")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Write both documents. 0 done, 2 unusable input: then both are as they were."""
    documents = {root / "docs" / "speed.md": True, root / "benchmarks" / "gpu" / "README.md": False}
    place = ""
    try:
        if not arguments:
            raise ValueError(f"no file is named; {USAGE}")
        micro: Tree = {}
        log = ""
        for place in arguments:
            text = Path(place).read_text(encoding="utf-8", errors="replace")
            if not place.endswith(".json"):
                log += f"\n{text}"
                continue
            tree = json.loads(text)
            if not isinstance(tree, dict):
                raise ValueError("is no table of measurements; name a micro.json")
            micro |= tree
        texts = {}
        for path, brief in documents.items():
            place = str(path)
            texts[path] = written(path.read_text(encoding="utf-8"), tables(Measured(micro, log, brief)))
    except (OSError, ValueError) as error:
        problem = error.strerror if isinstance(error, OSError) else str(error)
        print(f"figures: {f'{place}: ' if place else ''}{problem}", file=sys.stderr)
        return 2
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")
    return 0


def _words(how: str) -> str:
    """How two steps were compared: `ours graph` as deterministic kernels, as one graph."""
    return ", ".join(_HOW.get(word, word) for word in how.split())


def _number(value: object) -> float:
    """A number above zero; 0 for whatever is none, as where memory was too small."""
    return float(value) if isinstance(value, int | float) and value > 0 else 0.0


def _form(found: re.Match[str]) -> str:
    groups = "dense" if found["groups"] == "1" else f"{found['groups']} groups"
    return groups + _ORDERS[found["order"]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
