"""What the pages say is true: each command is run, planned or read, each Python block runs, and each link leads on."""

import os
import re
import shlex
import shutil
import signal
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from itertools import dropwhile
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import explorer
from benchmarks.__main__ import main as measure
from benchmarks.__main__ import read_subject
from explorer import open_study
from explorer.__main__ import main
from explorer.analysis.importance import axis_effects
from explorer.analysis.intervals import Estimate
from explorer.analysis.published_runs import IMGCLSMOB, every_pair
from explorer.analysis.ranks import rank_history
from explorer.design import parse_name
from explorer.host.commands import VERBS
from explorer.host.formatting import p_value
from explorer.record.rows import RunRecord
from explorer.study.settings import (
    DataConfig,
    ExportConfig,
    LatencyConfig,
    LimitConfig,
    MemoryConfig,
    PoolConfig,
    RecordedConfig,
    StudyConfig,
    VerifyConfig,
)
from explorer.study.tree import whole_number
from explorer.verbs.carry_out import carried_out
from explorer.verbs.command_line import read_command
from explorer.verbs.compose import groups
from explorer.verbs.result import without_json
from explorer.verbs.table import verb_of
from tests.conftest import broadly
from tests.made_up import made_up, made_up_checks
from tests.photographs import photographs
from tests.test_layers import ROOMS
from tests.training.test_image_sources import picture

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]
LINKED = [*PAGES, ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
# Programs of others that pages start; everything else a page has to have from us.
OTHERS = {
    "pip",
    "chmod",
    "python3",
    "ray",
    "sudo",
    "echo",
    "export",
    "optuna-dashboard",
    "tensorboard",
    "mlflow",
    "wandb",
    "hf",
    "pre-commit",
    "nvidia-cuda-mps-control",
}
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
OURS = re.compile(r"(\w+=\S+ )*((\.venv/bin/)?python (-m (explorer|benchmarks|tests)|studies/)|make [a-z]|explorer \S)")
IN_GENERAL = re.compile(r"\bexplorer .*(NAME\b|\.\.\.|\ba b c$)")  # within a sentence, of any study
COSTS = ("params", "macs", "activations")
PLACEHOLDERS = {"FOLDER": "images", "RUN": "0123456789ab", "NAME": "fast_path"}


@dataclass(frozen=True)
class Command:
    """A command of a page: its words, without the variables of the environment before them."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"

    @property
    def program(self) -> str:
        """What the command starts: a module of ours, `make`, a file, or a program of others."""
        first = self.words[0].removeprefix(".venv/bin/")
        return self.words[2] if first == "python" and self.words[1] == "-m" else first

    @property
    def arguments(self) -> list[str]:
        """The words after the program, with something real in place of what a reader has to fill in."""
        own = self.words[3 if self.words[1:2] == ("-m",) else 1 :]
        return [re.sub(rf"\b({'|'.join(PLACEHOLDERS)})\b", lambda found: PLACEHOLDERS[found[0]], word) for word in own]


def fences(page: Path, *languages: str) -> list[str]:
    return [body for kind, body in FENCE.findall(page.read_text(encoding="utf-8")) if kind in languages]


def lines(page: Path) -> Iterator[str]:
    """Every line of shell on a page, those within sentences included."""
    for body in fences(page, "sh"):
        yield from body.replace("\\\n", " ").splitlines()
    for body in fences(page, "console"):
        yield from (line.removeprefix("$ ") for line in body.splitlines() if line.startswith("$ "))
    for code in INLINE.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if (
            OURS.match(words := " ".join(code.split()))
            and words.split()[-1] not in VERBS
            and not IN_GENERAL.search(words)
        ):
            yield words


def parts(line: str) -> Iterator[list[str]]:
    """The words of each command that a line joins, without its comment."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&;")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if set(word) <= set("&;"):
            yield words
            words = []
        else:
            words.append(word)
    yield words


def commands() -> list[Command]:
    """Every command of the pages, each once; a line may join several."""
    found = []
    for page in PAGES:
        for line in lines(page):
            for part in parts(line):
                words = [*dropwhile(re.compile(r"\w+=\S*").fullmatch, part)]
                if words:
                    found.append(Command(page.name, tuple(words)))
    return list({command.words: command for command in found}.values())


COMMANDS = commands()
OF_EXPLORER = [command for command in COMMANDS if command.program == "explorer"]


def is_of_a_design(command: Command) -> bool:
    """Whether a command verifies or exports a design."""
    words = set(command.words)
    return bool({"do=verify", "do=export", "verify"} & words) or ("export" in words and "architecture=" in str(command))


def with_files_of_pages(folder: Path) -> None:
    """Write the files that pages ask a reader to write: YAML that begins with the name of its file."""
    for page in PAGES:
        for body in fences(page, "yaml"):
            first, _, rest = body.partition("\n")
            if first.startswith("# conf/"):
                path = folder / first.removeprefix("# ")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(rest, encoding="utf-8")


def with_images(data: DataConfig) -> None:
    """Put a few images where a study looks for its own, as many to each class."""
    folder = Path(data.path or "")
    if folder.name in PHOTOS:
        return
    names = [f"class{number:03d}" for number in range(data.classes)]
    size = (data.image_size, data.image_size)
    if data.source == "folder":
        for number, name in enumerate(names * 10):
            (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / name / f"{number}.png").write_bytes(picture(number, size=size))
    elif data.source == "parquet":
        folder.mkdir()
        parts = {"train": (data.train_images, data.val_images), "test": (data.test_images,)}
        for part, asked in parts.items():
            count = sum(one for one in asked if isinstance(one, int)) + 20 * data.classes
            labels = [number % data.classes for number in range(count)]
            rows = {data.image_column: [{"bytes": picture(0, size=size), "path": None}] * len(labels)}
            pq.write_table(pa.table(rows | {data.label_column: labels}), folder / f"{part}.parquet")


SOURCES = ("stripes", "squares")  # of examples/numpy_data.py, and of docs/extending.md
PHOTOS = {"photos": 60, "digits": 12}  # folders of a person's own images that pages name, and photographs of a class


def with_photographs(arguments: list[str]) -> None:
    """Make the folders of photographs that a command reads, and the study that it goes on with by its name."""
    for name, count in PHOTOS.items():
        if {f"data={name}", f"data=./{name}"} & set(arguments) and (
            name not in groups()["data"] or "./" in str(arguments)
        ):
            photographs(Path(name), count)
    if "best" in arguments:
        made_up(read_command(["study=best", "data=digits"]).study)


def headers() -> list[Command]:
    """The commands in the comments of the files in `conf`; words follow them after two spaces or in brackets."""
    found = []
    for path in sorted((ROOT / "conf").glob("*/*.yaml")):
        text = re.sub(r"\\\n#\s*", "", path.read_text(encoding="utf-8"))
        said = re.findall(r"^#\s+(explorer .*)$", text, re.MULTILINE)
        found += [Command(path.name, tuple(shlex.split(re.split(r"\s{2,}|\s\(", line)[0]))) for line in said]
    return found


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(one, marks=() if one.page in ("README.md", "getting-started.md") else pytest.mark.real)
        for one in (*OF_EXPLORER, *headers())
    ],
    ids=str,
)
def test_a_command_does_what_its_page_says_it_can(command: Command, workplace: Path) -> None:
    """As far as that can be tried without training, a cluster, a server or the network."""
    (workplace / "examples").symlink_to(ROOT / "examples")
    with_files_of_pages(workplace)
    arguments, _ = without_json(command.arguments)
    with_photographs(arguments)
    named = next((word for word in arguments if word in groups()["study"] and word != "best"), None)
    named = None if "pool" in arguments else named
    # With keys of its own a study is one that is about to begin.
    if verb_of(arguments) in ("run", "plan") and "fork=true" not in arguments:
        named = named if not any("=" in word for word in arguments) else None
    if named or "--config" in arguments:
        made_up(read_command([f"study={named or 'equal_params'}"]).study)
    if {"--help", "--version", "--cfg"} & set(arguments) or not arguments:
        assert main(arguments) == 0
        return
    read = read_command(arguments)
    if isinstance(read.config, VerifyConfig | ExportConfig):
        parse_name(str(read.config.architecture))
    elif isinstance(read.config, PoolConfig):
        for name in read.config.studies:
            shutil.copytree(ROOT / "studies" / name, Path("studies") / name)
        assert main(arguments) == 0
    elif read.do in ("run", "plan") and not named:
        if read.study.fork:
            made_up(read_command(["study=equal_params"]).study)
        with_images(read.study.data)
        words = [word for word in arguments if not word.startswith("do=") and word not in ("run", "plan")]
        assert main([*words, "do=plan"]) == 0
    elif read.do == "challenge":
        if not named:
            made_up(read.study)
        made_up_checks(read.study)
        assert main(arguments) == 0
    elif isinstance(read.config, RecordedConfig):  # tests/report/test_atlas.py has a repository of git
        assert read.config.recorded
    elif read.do in ("report", "tabulate", "doctor") and not named:
        name = next(word.partition("=")[2] for word in arguments if word.startswith(("study=", "name=")))
        made_up(read_command([f"study={name}"]).study)
        assert main(arguments) == 0
    else:  # what trains, moves or measures is tried by its own tests
        trains = read.do in ("move", "benchmark", "export", "predict", "track", "push", "label") or getattr(
            read.config, "fork", False
        )
        assert trains or main(arguments) == 0


@pytest.mark.real
@pytest.mark.parametrize(
    "command",
    [one for one in OF_EXPLORER if is_of_a_design(one) and "weights=" not in str(one)],
    ids=str,
)
def test_a_command_on_a_design_runs_as_it_stands(command: Command, workplace: Path) -> None:
    (workplace / "examples").symlink_to(ROOT / "examples")
    assert main(command.arguments) == 0


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.program == "benchmarks"], ids=str)
def test_a_benchmark_of_a_page_can_be_measured(command: Command) -> None:
    if command.arguments in ([], ["--help"]):
        assert measure(command.arguments) == 0
    else:
        read_subject(command.arguments)


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.program == "make"], ids=str)
def test_a_target_of_a_page_is_in_the_makefile(command: Command) -> None:
    target, *given = command.arguments
    assert re.search(rf"^{target}:.*## ", MAKEFILE, re.MULTILINE)
    for variable in given:
        assert re.search(rf"^{variable.partition('=')[0]} \?=", MAKEFILE, re.MULTILINE)


def test_every_command_of_a_page_is_ours_and_covered_or_a_known_program_of_others() -> None:
    uncovered = []
    for command in COMMANDS:
        program = command.program
        if program in ("explorer", "benchmarks", "make") or program in OTHERS:
            continue
        if program.startswith("tests.") and (ROOT / program.replace(".", "/")).with_suffix(".py").exists():
            continue
        if program == "python" and (ROOT / command.words[1]).is_file():
            continue
        uncovered.append(str(command))
    assert uncovered == []
    assert len(OF_EXPLORER) > 30  # a page whose fences are not found would be covered in vain


def test_what_pages_install_is_there_to_be_installed() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    said = " ".join(page.read_text(encoding="utf-8") for page in PAGES)
    asked = {extra for found in re.findall(r"'\.\[([a-z,]+)\]'", said) for extra in found.split(",")}
    assert asked
    assert asked <= set(extras)
    assert "install 'resnext-explorer" not in said  # which is on no index
    (table,) = re.findall(r"\| extra \| for \|\n(.*?)\n\n", (ROOT / "docs/getting-started.md").read_text(), re.DOTALL)
    assert set(re.findall(r"`(\w+)`", "\n".join(row.split("|")[1] for row in table.splitlines()))) == set(extras)


BLOCKS = [
    pytest.param(body, id=f"{page.name}, block {number}")
    for page in PAGES
    for number, body in enumerate(fences(page, "python"))
]


@pytest.mark.parametrize("body", broadly(BLOCKS, fast=4))
def test_a_python_block_runs_and_gives_what_it_says(body: str, workplace: Path) -> None:
    made_up(read_command(["study=equal_params"]).study)
    assert main(["study=equal_params", "do=tabulate"]) == 0
    names: dict[str, Any] = {}
    exec(body, names)
    for value, said in re.findall(r"^# (\w+\(.*?\))\nprint\((.*)\)$", body, re.MULTILINE):
        assert value == str(eval(said, names))


def test_a_file_that_a_page_asks_for_is_a_choice_of_its_group(workplace: Path) -> None:
    with_files_of_pages(workplace)
    written = sorted(path.relative_to("conf") for path in Path("conf").rglob("*.yaml"))
    assert len(written) >= 4
    for path in written:
        assert path.stem in groups()[path.parts[0]]


def without_times(said: str) -> str:
    """What a plan prints without the time that it predicts, which is another on every machine and day."""
    said = re.sub("─+", "─", said)
    said = re.sub(r"about .*? with \d+ at once", "about # with # at once", " ".join(said.split()))
    said = re.sub(r"runs, about [^)]*\)", "runs, about #)", said)
    return re.sub(r"\d{4}-\d\d-\d\d", "#", re.sub(r"( \d+/\d+) (-|[\d.]+ (s|min|h)( \d+ s)?)(?= |$)", r"\1 #", said))


def test_the_output_of_a_command_is_what_it_prints(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The plans to the letter; of a verdict, which others' processors measure otherwise, all but the numbers."""
    plan, run = [body.partition("\n") for body in fences(ROOT / "README.md", "console")]
    own = ["plan", "study=best", "data=photos", "budget=1M"]
    assert own in [command.arguments for command in COMMANDS]
    (shown,) = fences(ROOT / "docs/getting-started.md", "text")
    with_photographs(own)
    for arguments, said in ((Command("README.md", tuple(shlex.split(plan[0])[1:])).arguments, plan[2]), (own, shown)):
        assert main(arguments) == 0
        assert without_times(capsys.readouterr().out) == without_times(said)
    made_up(read_command(["study=equal_params"]).study)
    assert main(Command("README.md", tuple(shlex.split(run[0])[1:])).arguments) == 0
    rows = 10  # the question and the table
    printed = capsys.readouterr().out
    for line, there in zip(printed.splitlines()[:rows], run[2].splitlines()[:rows], strict=True):
        assert re.sub(r"[\d.,+-]+|─+", "#", line).split() == re.sub(r"[\d.,+-]+|─+", "#", there).split()


# Links.
def anchors(page: Path) -> set[str]:
    """The anchors that code hosts make of a page's headings."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    heads = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", head) for head in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]
    return {re.sub(r"[^\w\- ]", "", head.strip().lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.name)
def test_every_link_and_anchor_leads_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", INLINE.sub("", text)):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        goal = (page.parent / name).resolve() if name else page
        assert goal.is_file(), link
        assert not anchor or anchor in anchors(goal), link


def test_every_page_is_listed_where_one_begins() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in DOCS:
        if page.name != "index.md":
            assert f"({page.name})" in index
            assert f"(docs/{page.name})" in readme


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


# What pages say of the code.
def test_every_file_of_the_project_that_a_page_names_is_there() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(r"`((?:explorer|tests|conf|benchmarks|docs|studies)/[\w./-]*)`", text):
            if not name.startswith(("studies/equal_params/", "studies/NAME/")) and "NAME." not in name:
                assert (ROOT / name).exists(), f"{page.name}: {name}"
        for what, name in re.findall(r"`([\w-]+)` (?:in|of)\s+`((?:explorer|conf)/[\w./-]+)`", text):
            assert re.search(rf"{what}\b", (ROOT / name).read_text(encoding="utf-8")), f"{page.name}: {what} in {name}"


def test_the_table_of_imports_is_the_rule() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"\| package \| may import \|\n\|---\|---\|\n(.*?)\n\n", text, re.DOTALL)
    rows = [row.split("|")[1:3] for row in table.splitlines()]
    named = {re.findall(r"`(\w+)`", package)[0]: set(re.findall(r"`(\w+)`", allowed)) for package, allowed in rows}
    assert named == {package: allowed for package, allowed in ROOMS.items() if not package.startswith("__")}


def test_every_shipped_study_and_group_is_on_a_page() -> None:
    pages = " ".join(page.read_text(encoding="utf-8") for page in DOCS)
    for path in (ROOT / "conf" / "study").glob("*.yaml"):
        assert path.stem in pages or path.stem.removeprefix("init_narrow_cifar10_jpeg") in pages
    for verb in VERBS:
        assert f"| `{verb}` |" in (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def test_the_glossary_has_each_word_once_and_in_order() -> None:
    words = re.findall(r"^- \*\*(.+?)\*\*: ", (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert words == sorted(set(words), key=str.lower)
    assert {"design", "setting", "run", "seed", "pair", "trial", "rung", "budget", "measure", "contrast"} < set(words)
    assert {"margin", "finding", "verdict", "record", "page", *COSTS} < set(words)


def test_every_column_of_the_record_is_on_its_page() -> None:
    page = (ROOT / "docs" / "record.md").read_text(encoding="utf-8")
    for column in (key.name for key in fields(RunRecord)):
        assert f"`{column}`" in page, column


def names_of(kind: Any) -> set[str]:
    """The keys of a group: the fields of its settings, or of any kind of them."""
    return {key.name for one in (get_args(kind) or (kind,)) for key in fields(one)}


def test_every_key_of_a_page_is_a_key_of_a_study() -> None:
    known = {name: kind for name, kind in get_type_hints(StudyConfig).items() if is_dataclass(kind) or get_args(kind)}
    limits = {f"{axis}.{key}" for axis in (*COSTS, "AXIS") for key in names_of(LimitConfig)}
    measured = {"latency": LatencyConfig, "memory": MemoryConfig}
    limits |= {f"{axis}.{key}" for axis, kind in measured.items() for key in names_of(kind)}
    nested = limits | {"contrast.setting", "contrast.against"} | {"numbers.mixup.alpha"}  # of examples/augmentation.py
    measures = ("NAME", "peak_memory")  # which extensions add, those of the examples among them
    nested |= {f"limits.{name}{end}" for name in measures for end in ("", ".least", ".most")}
    nested |= {f"final.{name}" for name in ("runs", "table")}  # of a study that Python has opened
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        pattern = r"[`' ](study|space|budget|data|recipe|search|engine|storage|report)\.([a-z_.A-Z]+)(?==|`)"
        for group, key in re.findall(pattern, text):
            assert key in names_of(known[group]) | nested, f"{page.name}: {group}.{key}"


def test_every_choice_of_a_page_is_there_to_be_chosen(workplace: Path) -> None:
    with_files_of_pages(workplace)
    offered = groups()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for group, name in re.findall(rf"[`' ]({'|'.join(offered)})=(\w+)", text):
            is_limit = whole_number(name) is not None or name in ("peak_memory", "time")  # of an example; of a start
            in_short = {"data": name in ("FOLDER", *PHOTOS, *SOURCES), "budget": is_limit}.get(group, False)
            of_a_file = group == "recipe" and name in ("each", "imgclsmob", "a1")  # what `import` chooses from
            assert name in offered[group] or name in ("NAME", "ex") or in_short or of_a_file, (
                f"{page.name}: {group}={name}"
            )


def points(estimate: Estimate) -> tuple[str, str, str]:
    """A mean error, or how much lower one is than another, with its interval: in points of two decimals."""
    ends = sorted((abs(100 * estimate.low), abs(100 * estimate.high)))
    return f"{abs(100 * estimate.mean):.2f}", f"{ends[0]:.2f}", f"{ends[1]:.2f}"


@pytest.mark.parametrize("name", ["equal_params_cifar10_jpeg", "equal_params_tiny_imagenet_32px"])
def test_the_table_of_results_is_that_of_the_record(name: str) -> None:
    finding = open_study(ROOT / "studies" / name).finding
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    for one in finding.summaries:
        mean, low, high = points(one.estimate)
        assert one.estimate.n == 10
        (row,) = re.findall(rf"^\| {one.cardinality} x {one.bottleneck_width}d .*$", page, re.MULTILINE)
        assert f"{mean} %, {low} to {high}" in row
    assert finding.comparison is not None
    mean, low, high = points(finding.comparison.difference)
    assert re.search(rf"by {mean} points\s+\((95 % interval )?{low}\s+to\s+{high}\)", page)
    if name == "equal_params_cifar10_jpeg":
        readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
        assert f"by {mean} points of test error (95 % interval {low} to {high}, p < 0.0001)" in readme


@pytest.mark.parametrize("name", ["cardinality_or_width_cifar10_jpeg", "design_space_cifar10_jpeg"])
def test_a_result_is_that_of_the_record(name: str) -> None:
    finding = open_study(ROOT / "studies" / name).finding
    page = " ".join((ROOT / "docs" / "results.md").read_text(encoding="utf-8").split())
    if finding.comparison is not None:
        mean, low, high = points(finding.comparison.difference)
        assert f"by {mean} points (95 % interval {low} to {high}, n = {finding.comparison.pairs} paired seeds)" in page
    else:
        assert finding.populations is not None
        (rivals,) = finding.populations.rivals
        mean, low, high = points(rivals.difference)
        assert f"{mean} points lower than 64 with one (95 % interval {low} to {high}, n = 64 and 64 designs" in page
        assert f"64 of only {finding.populations.feasible['one_path']} feasible" in page
        for one in rivals.adjusted:
            ends = [f"{-100 * end:.2f}" for end in (one.difference.high, one.difference.low)]
            assert f"| {one.held} | {-100 * one.difference.mean:.2f}, {ends[0]} to {ends[1]} |" in page
        assert rivals.by_depth is not None
        assert f"it depends on depth ({p_value(rivals.by_depth.p)})" in page
        for depth, (apart, _, _) in rivals.by_depth.differences.items():
            assert re.search(rf"{-100 * apart:.2f} at {depth}\b", page)


@pytest.mark.parametrize(
    "name",
    ["equal_params_cifar10_jpeg", "equal_params_tiny_imagenet_32px", "cardinality_or_width_cifar10_jpeg",
     "design_space_cifar10_jpeg"],
)  # fmt: skip
def test_the_head_of_a_recorded_study_says_what_its_record_says(name: str) -> None:
    finding = open_study(ROOT / "studies" / name).finding
    lines = (ROOT / "conf" / "study" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    head = " ".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))
    page = " ".join((ROOT / "docs" / "results.md").read_text(encoding="utf-8").split())
    found = finding.comparison or finding.populations.rivals[0]  # type: ignore[union-attr]
    mean, low, high = points(found.difference)
    assert re.search(rf"\b{mean} points (of test error|lower) \(.*?95 % interval {low} to {high}\b", head)
    assert "under the paper's initialisation" in head
    assert "reproduc" not in head.lower()
    if "over other test images" in head:
        assert finding.with_images is not None
        _, low, high = points(finding.with_images)
        assert f"{low} to {high} over other test images" in head
        assert f"{low} to {high}" in page


def test_what_longer_training_says_is_what_others_published() -> None:
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    for one in [pair for pair in every_pair() if pair.source == "imgclsmob"]:
        (row,) = re.findall(rf"^\| {one.setting} less {one.against} \|(.*)\|$", page, re.MULTILINE)
        place = ["cifar10", "cifar100", "svhn"].index(one.data)
        assert row.split("|")[place].strip() == f"{100 * one.gap:+.2f}"
    gaps = [100 * pair.gap for pair in every_pair() if pair.source.startswith("timm")]
    assert len(gaps) == 7
    assert f"{min(gaps):+.2f} to {max(gaps):+.2f} over seven recipes" in " ".join(page.split())
    errors = IMGCLSMOB["cifar10"]
    shapes = [parse_name(name) for name in errors]
    assert len(shapes) == 20
    columns = np.array(
        [
            [1.0, one.depth, np.log2(one.cardinalities[0] * one.bottleneck_widths[0]), np.log2(one.cardinalities[0])]
            for one in shapes
        ]
    )
    y = np.array([*errors.values()])
    fit = np.linalg.lstsq(columns, y, rcond=None)[0]
    left = y - columns @ fit
    deviation = np.sqrt(np.diag(np.linalg.inv(columns.T @ columns)) * (left @ left) / (len(y) - 4))
    words = " ".join(page.split())
    assert f"gains {-fit[2]:.2f} points (standard error {deviation[2]:.2f})" in words
    assert f"costs {fit[3]:.2f} ({deviation[3]:.2f})" in words
    assert f"{errors['20-4x32d']} % with 20-4x32d, {errors['56-16x4d']} % with 56-16x4d" in words


def test_what_the_pages_say_of_axes_is_what_the_fit_says() -> None:
    effects = axis_effects(open_study(ROOT / "studies" / "design_space_cifar10_jpeg").finding.summaries)
    assert effects is not None
    by_axis = {one.axis: one for one in effects.effects}
    width, paths, depth = (by_axis[axis] for axis in ("group_width", "cardinality", "depth"))
    results = " ".join((ROOT / "docs" / "results.md").read_text(encoding="utf-8").split())
    assert f"{-100 * width.slope.mean:.2f} points less" in results
    low, high = -100 * paths.slope.high, -100 * paths.slope.low
    assert f"with {-100 * paths.slope.mean:.2f} less ({low:.2f} to {high:.2f})" in results
    most = 100 * (depth.curve.fitted[-1] - depth.curve.fitted[0])
    assert f"{most:.2f} points from 20 to 56" in results
    statistics = " ".join((ROOT / "docs" / "statistics.md").read_text(encoding="utf-8").split())
    for one in (width, paths):
        assert f"{100 * one.slope.mean:.2f}" in statistics
        assert f"{100 * one.deviation:.2f})" in statistics
    assert f"R² {effects.explained:.2f}" in statistics


def test_the_tau_by_epoch_on_the_page_of_searches_is_that_of_the_record() -> None:
    study = open_study(ROOT / "studies" / "design_space_cifar10_jpeg")
    found = rank_history(study.runs, study.epochs)
    assert found is not None
    first, second, third = (f"{one.tau:.2f}" for one in found.correlations[:3])
    page = " ".join((ROOT / "docs" / "searches.md").read_text(encoding="utf-8").split())
    assert f"it is {first}, {second} and {third} after epoch 1, 2 and 3" in page


# Exit codes.
def leaves(asked: int) -> Callable[[list[str]], int]:
    """A command that is asked to leave while it works."""

    def command(arguments: list[str]) -> int:
        def work(_: object) -> int:
            os.kill(os.getpid(), asked)
            time.sleep(60)
            raise AssertionError("nobody asked")

        return carried_out(work, arguments)

    return command


def fails(arguments: list[str]) -> int:
    made_up(read_command(arguments).study, lambda setting, seed: "diverged")
    return main(arguments)


EXITS: dict[int, Callable[[list[str]], int]] = {
    0: main,
    1: fails,
    2: lambda arguments: main([*arguments, "recipe.epoch=3"]),
    3: lambda arguments: main([*arguments, "name=new", "budget=time:0.001s"]),
    130: leaves(signal.SIGINT),
    143: leaves(signal.SIGTERM),
}


@pytest.mark.parametrize("code", EXITS)
def test_an_exit_code_of_the_table_is_that_of_a_command(
    code: int, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made_up(read_command(["study=forms", "search.seeds=1"]).study)
    arguments = ["study=equal_params", "search.seeds=1"] if code == 1 else ["study=forms", "search.seeds=1"]
    assert EXITS[code](arguments) == code
    said = capsys.readouterr()
    assert bool(said.err) == (code not in (0, 3))


def test_every_exit_code_of_the_table_is_tried() -> None:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"\| code \| means \|\n\|---\|---\|\n(.*?)\n\n", text, re.DOTALL)
    assert [int(row.split("|")[1]) for row in table.splitlines()] == [*EXITS]


def test_every_public_name_has_an_example_that_runs() -> None:
    """In a Python block of a page, or in an example of a file; both are carried out by tests."""
    files = [*(ROOT / "examples").glob("*.py"), *(ROOT / "examples").glob("*.ipynb")]
    code = "\n".join([body for page in PAGES for body in fences(page, "python")])
    code += "\n".join(path.read_text(encoding="utf-8") for path in files)
    assert [name for name in explorer.__all__ if not re.search(rf"\bex\.{name}\b", code)] == []
