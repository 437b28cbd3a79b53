"""Code from outside: loaded once, recorded, wanted again, and held to what it says; every fault is one line."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from explorer.__main__ import main
from explorer.analysis.judging import open_study
from explorer.design import AnyNetX, Task, display_name, draw, parse_name, scan, short_name
from explorer.design.block import BLOCKS
from explorer.design.cost import cost
from explorer.host import extensions
from explorer.host.errors import InputError
from explorer.record import folder as study
from explorer.study.plan import plan_of
from explorer.study.run import EpochResult, Execution
from explorer.study.runs import runs_of
from explorer.study.settings import StudyConfig
from explorer.training.checkpoint import Checkpointing
from explorer.training.homes import HOMES
from explorer.training.images.split import load
from explorer.training.loop import StoppedError, train
from explorer.training.network.count import check_cost
from explorer.verbs.extend import extend, extended
from explorer.verbs.importing.names import named
from tests.conftest import TINY, only_line
from tests.faults.processes import command, killed_and_continued
from tests.faults.record import differences, record_of
from tests.test_layers import ROOT

SHUFFLE = f"extensions={ROOT / 'examples' / 'shuffle.py'}"
# The added block beside the reference, solved to its parameters: the contrast of this study.
STUDY = [
    *TINY,
    SHUFFLE,
    "space.block=[bottleneck,shuffle]",
    "space.cardinality=[1,4]",
    "budget.reference=11-1x8d-w16",
    "study.contrast.setting=11-4x4d-w16-shuffle",
    "study.contrast.against=11-1x8d-w16",
    "storage.weights=last",
]
FOLDER = study.study_folder("tiny")
# A block that multiplies channel by channel after one 1x1 convolution: few words, and a parameter of a kind of its own.
SCALED = """
import explorer as ex
from torch import nn
import torch

class Scaled(nn.Module):
    def __init__(self, stage, *, in_width, stride):
        super().__init__()
        self.conv = nn.Conv2d(in_width, stage.width, 1, stride, bias=False)
        self.scale = nn.Parameter(torch.full((stage.width, 1, 1), 0.5))

    def forward(self, maps):
        return torch.relu(self.conv(maps) * self.scale)

def formula(stage, *, in_width, stride, map_size):
    side = -(-map_size // stride)
    weights = in_width * stage.width
    return ex.Cost(weights + stage.width, weights * side**2, stage.width * side**2)

BLOCKS = {"scaled": ex.Block(Scaled, layers=1, cardinality=1, reason="it has one path")}
"""


def written(place: Path, text: str, name: str = "mine.py") -> Path:
    (place / name).write_text(text)
    return place / name


# ---------------------------------------------------------------- an added block, all the way


@pytest.mark.real
def test_a_block_from_outside_is_planned_trained_judged_and_exported(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*STUDY, "do=plan"]) == 0
    planned = capsys.readouterr().out
    assert "(4x4d, w16" in planned
    assert not FOLDER.exists()
    assert main(STUDY) == 0
    found = open_study(FOLDER)
    contrast = found.finding.comparison
    assert contrast is not None
    assert contrast.difference.n == 2
    runs = found.record.runs
    # With one path nothing is grouped and nothing shuffled: the same network from the same numbers, to the last bit.
    same = runs.set_index(["setting", "seed"])["test_error"]
    assert same["11-1x8d-w16"].tolist() == same["11-1x8d-w16-shuffle"].tolist()
    assert runs["fvcore_macs"].notna().all()
    sources = json.loads((FOLDER / study.ENVIRONMENT).read_text())["sources"]
    assert [name for name in sources if name.startswith("extensions/")] == ["extensions/shuffle.py"]
    capsys.readouterr()
    name = "11-4x4d-w16-shuffle"
    assert main(["export", "tiny", f"architecture={name}", SHUFFLE]) == 0
    assert "the recorded answer on each of" in " ".join(capsys.readouterr().out.split())
    source = (Path("exports/tiny") / "model.py").read_text()
    assert "import explorer" not in source
    assert source.count("def shuffled") == 1
    page = study.REPORTS.joinpath("tiny.html").read_text()
    assert "Shuffle ResNeXt-11 (4x4d, w16)" in page


@pytest.mark.real
def test_a_study_wants_its_extension_again(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = written(workplace, (ROOT / "examples" / "shuffle.py").read_text(), "shuffle.py")
    words = [f"extensions={copy}" if word == SHUFFLE else word for word in STUDY]
    assert main([*words, "search.seeds=1"]) == 0
    extensions.forget()
    capsys.readouterr()
    told = "studies/tiny: uses the extension shuffle.py; say extensions=shuffle.py, with the path of the file\n"
    for verb in ("run", "plan", "report", "table", "export", "cite"):
        assert main([verb, "tiny"]) == 2
        assert capsys.readouterr().err == f"explorer: {told}"
    (FOLDER / study.RUNS).touch()  # so that no line of a list is kept
    assert main(["list"]) == 0
    assert "uses the extension shuffle.py" in capsys.readouterr().out
    # A comment changes nothing; what it computes does.
    copy.write_text(f"# Mine.\n{copy.read_text()}")
    assert main(["tiny", "search.seeds=2", f"extensions={copy}"]) == 0
    extensions.forget()
    copy.write_text(copy.read_text().replace("channels // groups", "channels // groups // 1"))
    capsys.readouterr()
    assert main(["tiny", "search.seeds=3", f"extensions={copy}"]) == 2
    assert re.search(r"extensions/shuffle\.py was version \w+, now version", capsys.readouterr().err)


@pytest.mark.real
def test_a_study_that_names_nothing_of_an_extension_does_not_depend_on_it(workplace: Path) -> None:
    assert main([*TINY, SHUFFLE, "search.seeds=1"]) == 0
    extensions.forget()
    assert "extensions" not in (FOLDER / study.ENVIRONMENT).read_text()
    assert main([*TINY, "search.seeds=2"]) == 0


@pytest.mark.real
def test_a_study_of_an_added_block_that_is_killed_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    words = [*STUDY, "recipe.epochs=6", "engine.save_every=0"]
    with command(tmp_path / "whole", words) as one:
        assert one.ended() == 0, one.told()
    place = tmp_path / "killed"
    killed_and_continued(place, words, FOLDER / study.RUNS, 1, 3)
    found = differences(record_of(place / FOLDER), record_of(tmp_path / "whole" / FOLDER))
    assert not found, found


def test_costs_are_counted_on_what_is_built_for_one_design_and_for_columns(tmp_path: Path) -> None:
    extend(written(tmp_path, SCALED))
    extend(
        written(tmp_path, SCALED.replace("reason=", "cost=formula, reason=").replace("scaled", "formed"), "formed.py")
    )
    one, formed = (parse_name(f"5-1x4d-w16-{name}") for name in ("scaled", "formed"))
    assert cost(one) == cost(formed)
    # Stem 3*3*3*4 and its norm; three blocks 4>16, 16>32, 32>64, each with a scale; the classifier of ten classes.
    assert cost(one).params == 108 + 8 + (4 * 16 + 16) + (16 * 32 + 32) + (32 * 64 + 64) + 65 * 10
    assert parse_name("Scaled ResNeXt-5 (1x4d, w16)".replace("ResNeXt", "ResNet")) == one
    assert short_name(one) == "5-1x4d-w16-scaled"


def test_the_documented_block_does_what_is_said_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "extending.md").read_text()
    code = text[text.index("```python\nimport explorer as ex\nfrom explorer.training.network") :].split("```")[1]
    file = written(tmp_path, code.removeprefix("python\n"))
    assert main(["verify", "26-8x14d-simple", f"extensions={file}"]) == 0
    told = capsys.readouterr().out
    assert told.endswith("All agree.\n")
    assert display_name(parse_name("26-8x14d-simple")) == "Simple ResNeXt-26 (8x14d)"


def test_parameters_of_other_kinds_start_as_the_module_says_and_from_the_seed(tmp_path: Path) -> None:
    import torch

    from explorer.training.network.build import build

    extend(written(tmp_path, SCALED))
    first, again, other = (
        build(parse_name("5-1x4d-w16-scaled"), Task(1, 8, 10), torch.Generator().manual_seed(seed)).state_dict()
        for seed in (0, 0, 1)
    )
    assert torch.equal(first["layer1.0.scale"], torch.full((16, 1, 1), 0.5))
    assert torch.equal(first["layer1.0.conv.weight"], again["layer1.0.conv.weight"])
    assert not torch.equal(first["layer1.0.conv.weight"], other["layer1.0.conv.weight"])


# One block with what blocks of others have: attention, as one function or einsum, buffers that forward indexes with,
# numbers computed when it is made, arrays of numpy, a linear layer without bias, dropout, and a choice on the host.
ATTENDING = """
import random
import explorer as ex
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

class Attending(nn.Module):
    def __init__(self, stage, *, in_width, stride):
        super().__init__()
        self.conv = nn.Conv2d(in_width, stage.width, 1, stride)
        self.qkv = nn.Linear(stage.width, 3 * stage.width, bias=False)
        self.register_buffer("places", torch.randperm(stage.width), persistent=False)
        self.scale = nn.Parameter(torch.from_numpy(np.random.rand(stage.width).astype("float32")))
        self.dropout = nn.Dropout(float(torch.linspace(0, 0.5, 2)[1]))

    def forward(self, maps):
        maps = self.conv(maps)
        words = maps.flatten(2).mT
        query, key, value = self.qkv(words).chunk(3, dim=-1)
        if USES_EINSUM:
            shares = torch.einsum("bqc,bkc->bqk", query, key).softmax(-1)
            words = torch.einsum("bqk,bkc->bqc", shares, value)
        else:
            words = F.scaled_dot_product_attention(query[:, None], key[:, None], value[:, None])[:, 0]
        words = self.dropout(words * self.scale[self.places])
        if self.training and random.random() + np.random.rand() < 1:
            words = 0 * words
        return torch.relu(maps + words.mT.unflatten(2, maps.shape[2:]))

BLOCKS = {"attending": ex.Block(Attending, layers=3, cardinality=1, reason="it has one path")}
"""


@pytest.mark.parametrize("einsum", [True, False])
def test_attention_is_counted_however_it_is_written(einsum: bool, tmp_path: Path) -> None:
    from explorer.training.network.count import check_cost, torch_count

    extend(written(tmp_path, ATTENDING.replace("USES_EINSUM", str(einsum))))
    one, task = parse_name("11-1x4d-w4-attending"), Task(1, 8, 10)
    macs, width, maps = 9 * 64, 1, 64
    for wider in (4, 8, 16):
        maps = maps if wider == 4 else maps // 4
        macs += maps * width * wider + maps * 3 * wider**2 + 2 * maps**2 * wider
        width = wider
    assert cost(one, task).macs == macs + 16 * 10
    assert check_cost(one, task).macs == torch_count(one, task).macs == cost(one, task).macs


def test_a_block_that_draws_gives_the_same_bits_wherever_it_is_trained(tiny: StudyConfig, tmp_path: Path) -> None:
    """Whichever generator it draws from, and whatever was drawn before; a run that was stopped goes on alike."""
    import torch

    from explorer.training.loop import first_network
    from explorer.training.network.usable import float32_network

    extend(written(tmp_path, ATTENDING.replace("USES_EINSUM", "True")))
    execution = Execution("cpu", "some processor", "grouped", "channels_last", "float32", 1, 20)
    run = runs_of(plan_of(tiny), plan_of(tiny).settings, execution, load(tiny.data).digest)[0][1]
    run = replace(run, architecture=parse_name("11-1x4d-w4-attending"))

    def trained(**more: Any) -> list[EpochResult]:
        results: list[EpochResult] = []
        assert train(run, results.append, **more).status == "ok"
        return [replace(one, seconds=0.0) for one in results]

    first = trained()
    assert trained() == first  # after what the first one drew
    keeping, left = Checkpointing(tmp_path / "kept", lambda _: None, every=0), iter(range(6))
    with pytest.raises(StoppedError):
        train(run, lambda _: None, keeping=keeping, goes_on=lambda: next(left, None) is not None)
    assert trained(keeping=keeping) == first
    own = first_network(run).eval()  # its permutation is in no file
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(float32_network(run, own.state_dict(), "")(images), own(images))
    run = replace(run, seed=1)
    assert trained() != first


# The same block, written as people write files: names that several statements make, imports of several kinds.
LOOSE = """
from __future__ import annotations
import explorer as ex
import torch.nn.functional, torch
import torch.utils.checkpoint as checkpoint
from math import *
from torch import nn
from explorer.training.network.modules import Bottleneck

try:
    import nowhere_at_all as fast
except ImportError:
    fast = None
GAINS = {}
GAINS.update(one=sqrt(1.0))
GAINS["two"] = 2.0
class Options:
    halves = 1
Options.halves += 1
if fast is None:
    def scaled(maps: Later, gain: float):
        return maps * gain
TOTAL = 0
for one in GAINS.values():
    TOTAL += one

class Loose(Bottleneck):
    def forward(self, images: ex.Stage) -> Later:
        return scaled(super().forward(images), TOTAL / Options.halves)

class Later:
    pass

BLOCKS = {"loose": ex.Block(Loose, layers=3)}
"""


@pytest.mark.real
def test_a_file_as_people_write_it_is_exported_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from explorer.training.network.build import build
    from explorer.training.network.export import module_source

    extend(written(tmp_path, LOOSE))
    one, task = parse_name("11-2x4d-w16-loose"), Task(1, 8, 10)
    own = build(one, task, torch.Generator().manual_seed(0)).eval()
    source = module_source(one, task, trained=False)
    assert not re.search("(from|import) explorer", source)
    place = ModuleType("exported")
    monkeypatch.setitem(sys.modules, "exported", place)  # where dataclasses look for their annotations
    exec(compile(source, "exported.py", "exec"), place.__dict__)
    network = place.network().eval()
    network.load_state_dict(own.state_dict())
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(network(images), own(images))
    extensions.forget()
    extend(written(tmp_path, LOOSE.replace("    fast = None", "    import explorer as fast")))
    with pytest.raises(InputError, match="import explorer as fast: cannot be written into a file of its own"):
        module_source(one, task, trained=False)
    extensions.forget()
    extend(
        written(
            tmp_path, LOOSE.replace("    fast = None", "    fast = None\n    if fast:\n        from .own import fast")
        )
    )
    with pytest.raises(InputError, match=r"from \.own import fast: cannot be written into a file of its own"):
        module_source(one, task, trained=False)


def test_what_an_extension_imports_is_seen_to_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mylib").mkdir()
    for name in ("__init__", "layers"):
        (tmp_path / "mylib" / f"{name}.py").touch()
    text = "import sys, torch\nfrom mylib.layers import conv\nimport explorer"
    (before,) = extensions.imported_by(text)
    assert before[:2] == ("mylib", 2)
    os.utime(tmp_path / "mylib" / "layers.py", ns=(before[2] + 10**9, before[2] + 10**9))
    assert extensions.imported_by(text) == [("mylib", 2, before[2] + 10**9)]


def test_a_name_that_did_not_exist_does_once_its_block_is_there() -> None:
    assert named("29-2x4d-shuffle").design is None
    extend(ROOT / "examples" / "shuffle.py")
    assert named("29-2x4d-shuffle").design is not None


@pytest.mark.real
def test_what_onnx_cannot_say_is_one_line(tmp_path: Path) -> None:
    from explorer.training.network.export import export

    text = SCALED.replace("torch.relu(", "torch.special.bessel_j0(")
    extend(written(tmp_path, text))
    with pytest.raises(InputError, match="onnx=true: torch cannot write this network as ONNX"):
        export(parse_name("5-1x4d-w16-scaled"), Task(1, 8, 10), tmp_path / "out", weights=None, onnx=True, seed=0)


def test_a_file_beside_an_extension_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers elsewhere would not have it, and what it computes would be in no record."""
    written(tmp_path, "HALF = 0.5\n", "my_helper.py")
    monkeypatch.syspath_prepend(tmp_path)
    file = written(tmp_path, SCALED.replace("import torch\n", "import torch\nfrom my_helper import HALF\n"))
    with pytest.raises(InputError, match=r"mine\.py: imports my_helper, a file that workers elsewhere do not have"):
        extend(file)
    assert not extensions.loaded()


# ---------------------------------------------------------------- what is wrong is said in one line


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = ", "mine.py: line 1: invalid syntax"),
        ("import nowhere_at_all", "mine.py: line 1: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("\n1 / 0", "mine.py: line 2: ZeroDivisionError: division by zero"),
        ("x = 1", "mine.py: adds nothing; allowed: dictionaries called BLOCKS, "),
        ("BLOCKS = [1]", "mine.py: BLOCKS is a list; allowed: a dictionary by name"),
        ("BLOCKS = {'A b': 1}", "mine.py: BLOCKS has the name 'A b'; allowed: a letter"),
        ("BLOCKS = {'one': 1}", "mine.py: BLOCKS: one: is a int; allowed: explorer.Block(...)"),
        (SCALED.replace('"scaled"', '"basic"'), "mine.py: BLOCKS: basic: is a block already"),
        (SCALED.replace('"scaled"', '"w12"'), "mine.py: BLOCKS: w12: would be read as another part"),
        (SCALED.replace("cardinality=1", "family='x'"), "mine.py: BLOCKS: scaled: family='x': allowed are letters"),
        ("import sys\nsys.exit(3)", "mine.py: line 2: SystemExit: 3"),
        ("x = 1\0", "mine.py: "),
        (SCALED + "BLOCKS['again'] = BLOCKS['scaled']", "mine.py: BLOCKS: again: is the same explorer.Block as scaled"),
        (SCALED.replace("cardinality=1", "family='ResNet'"), "mine.py: BLOCKS: scaled: family='ResNet': allowed are"),
        (SCALED.replace("layers=1", "layers=0"), "mine.py: line 20: ValueError: layers and cardinality are at least 1"),
    ],
)
def test_a_file_that_cannot_be_loaded_adds_nothing(
    text: str, told: str, workplace: Path, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = written(tmp_path_factory.mktemp("code"), text)
    assert main(["plan", "equal_params", f"extensions={file}"]) == 2
    assert told in only_line(capsys, workplace)
    assert not extensions.loaded()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["extensions=nowhere.py"], "extensions=nowhere.py: No such file or directory; allowed: files of Python code"),
        (["extensions="], "extensions=: names no file; say extensions=FILE.py"),
        (["--extensions"], "--extensions: names no file; say extensions=FILE.py"),
        (["space.block=[shuffle]"], "block 'shuffle' is unknown; allowed: bottleneck, preact"),
    ],
)
def test_words_that_name_no_extension(
    words: list[str], told: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "equal_params", *words]) == 2
    assert told in only_line(capsys, workplace)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("1, stride, bias", "1, 1, bias"), "gives maps of (1, 32, 32, 32) for (1, 16, 32, 32) at stride 2; allowed"),
        (("return torch.relu", "raise KeyError(3)  #"), "KeyError: 3; at in_width=4, "),
        (("reason=", "cost=lambda *_, **__: 3, reason="), "cost gives a int; allowed: an explorer.Cost"),
        (("reason=", "cost=lambda *_, **__: ex.Cost(1, 2, 3), reason="), "cost gives Cost(params=1, macs=2, "),
        (("Scaled, layers", "lambda stage, **_: stage, layers"), "makes a Stage; allowed: a torch.nn.Module"),
        (("self.conv = ", "raise ValueError('too narrow')  #"), "block scaled: too narrow"),
    ],
)
def test_a_block_that_does_not_do_what_it_says(change: tuple[str, str], told: str, tmp_path: Path) -> None:
    extend(written(tmp_path, SCALED.replace(*change)))
    with pytest.raises(ValueError, match=re.escape(told)):
        cost(parse_name("5-1x4d-w16-scaled"))


def test_files_of_any_name_are_loaded_here_and_by_workers(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["a,b.py", "c d.py", "e:f.py", "g-h.py", "g_h.py", "torch.py", "\N{LATIN SMALL LETTER U WITH DIAERESIS}.py"]
    for number, name in enumerate(names):
        text = SCALED.replace('"scaled"', f'"v{number}"').replace("\n", "\r\n")
        (workplace / name).write_bytes(text.encode("utf-8-sig"))
    assert extended([f"extensions={name}" for name in names] + ["plan"]) == ["plan"]
    first = {name: BLOCKS[name].module for one in extensions.loaded() for name in one.adds["BLOCKS"]}
    assert len(first) == len({sys.modules[made.__module__] for made in first.values() if made}) == len(names)
    assert display_name(parse_name("V1 ResNeXt-5 (1x4d, w16)")) == "V1 ResNet-5 (1x4d, w16)"
    again, shared = list(extensions.words()), os.environ["EXPLORER_EXTENSIONS"]
    extensions.forget()
    assert extended(again) == []
    assert [one.name for one in extensions.loaded()] == names
    extensions.forget()
    monkeypatch.setenv("EXPLORER_EXTENSIONS", shared)
    extensions.load_shared(HOMES)
    assert [one.name for one in extensions.loaded()] == names


def test_two_files_do_not_share_a_name(tmp_path: Path) -> None:
    extend(written(tmp_path, SCALED))
    extend(tmp_path / "mine.py")  # the same once more
    with pytest.raises(InputError, match=r"BLOCKS: scaled: is added by mine\.py already"):
        extend(written(tmp_path, SCALED + "\n", "other.py"))
    with pytest.raises(InputError, match=r"another file mine\.py is loaded already, or it was changed meanwhile"):
        extend(written(tmp_path, SCALED + "\n"))
    assert [one.name for one in extensions.loaded()] == ["mine.py"]


def test_a_design_that_cannot_be_built_is_within_no_budget(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three paths divide no width of the stem, so the shuffled block cannot have them; the bottleneck can."""
    words = [word.replace("space.cardinality=[1,4]", "space.cardinality=[1,3,4]") for word in STUDY]
    assert main([*words, "do=plan"]) == 2
    assert "space: cardinality 3: block shuffle: in_channels must be divisible by groups" in capsys.readouterr().err
    drawn = [word for word in words if not word.startswith("study.contrast")]
    assert main([*drawn, "do=plan", "study.contrast=null", "search=uniform", "search.designs=4"]) == 0
    assert "The space holds 6 points; 5 meet" in capsys.readouterr().out


def test_spaces_stage_by_stage_take_added_blocks_with_paths(tmp_path: Path) -> None:
    extend(ROOT / "examples" / "shuffle.py", written(tmp_path, SCALED))
    space = AnyNetX("cifar", (1,), (16, 48), (1,), (4, 8), block="shuffle")
    task, chance = Task(1, 8, 10), np.random.default_rng(0)
    scanned = scan(space, None, task, chance)
    pool = draw(scanned, scanned.feasible or 0, chance)
    found = [pool.architecture(row) for row in range(len(pool))]
    assert len(found) < scanned.size  # twelve paths divide no stem of four channels
    assert {one.block for one in found} == {"shuffle"}
    assert all(0 < cost(one, task).macs < 10**9 for one in found)
    with pytest.raises(
        ValueError, match=r"block 'scaled': stages differ in their paths; allowed: bottleneck, preact, sh"
    ):
        replace(space, block="scaled")


@pytest.mark.real
def test_a_block_without_paths_cannot_be_solved_for_a_budget(
    workplace: Path, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = written(tmp_path_factory.mktemp("code"), SCALED)
    words = [
        "plan",
        "equal_params",
        f"extensions={file}",
        "space.block=[scaled]",
        "space.cardinality=1",
        "space.depth=5",
    ]
    assert main([*words, "budget.reference=29-1x64d"]) == 2
    assert "its cost does not grow with the width of a path; list values of bottleneck_width" in capsys.readouterr().err


@pytest.mark.real
def test_an_installed_package_extends_by_its_entry_point(tmp_path: Path) -> None:
    package = tmp_path / "fancy_blocks"
    package.mkdir()
    (package / "__init__.py").write_text("from fancy_blocks.scaled import BLOCKS\n")
    written(package, SCALED, "scaled.py")
    about = tmp_path / "fancy_blocks-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: fancy-blocks\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[resnext_explorer.extensions]\nblocks = fancy_blocks\n")
    about.rename(tmp_path / "away")
    code = (  # as in a notebook, in which packages are installed
        "import explorer as ex; ex.extend(); from explorer.host import extensions; assert not extensions.loaded(); "
        "from pathlib import Path; Path('away').rename('fancy_blocks-1.0.dist-info'); "
        "ex.extend(); (one,) = extensions.loaded(); "
        "print(one.name, one.adds, ex.costs('5-1x4d-w16-scaled').params)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=_environment(tmp_path)
    )
    assert done.stdout == f"fancy-blocks {{'BLOCKS': ('scaled',)}} {108 + 8 + 80 + 544 + 2112 + 650}\n", done.stderr


def test_of_a_module_deep_in_a_package_all_files_of_the_package_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("deep_pack/__init__.py", "deep_pack/sub/ext.py", "deep_pack/other/used.py", "lone_module.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    for module, files in (
        ("deep_pack.sub.ext", {"__init__.py", "ext.py", "used.py"}),
        ("deep_pack.other", {"__init__.py", "ext.py", "used.py"}),
        ("deep_pack", {"__init__.py", "ext.py", "used.py"}),
        ("lone_module", {"lone_module.py"}),
    ):
        assert {file.name for file in extensions._files_of(import_module(module))} == files, module


def _environment(place: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{place}{os.pathsep}{ROOT}"}


def test_a_block_that_is_sized_by_what_its_stage_says_of_itself_is_built_as_it_was_counted(tmp_path: Path) -> None:
    """Each block is given a stage of its own: depth 1, and its own stride and map."""
    (tmp_path / "sized.py").write_text(
        "from torch import nn\nimport explorer as ex\n\n"
        "class Sized(nn.Module):\n"
        "    def __init__(self, stage, *, in_width, stride):\n"
        "        super().__init__()\n"
        "        assert (stage.stride, stage.in_width) == (stride, in_width)\n"
        "        middle = stage.group_width * stage.depth + stage.map_size * stage.stride\n"
        "        self.one = nn.Conv2d(in_width, middle, 3, stage.stride, 1)\n"
        "        self.two = nn.Conv2d(middle, stage.width, 1)\n\n"
        "    def forward(self, images):\n"
        "        return self.two(self.one(images))\n\n"
        "BLOCKS = {'sized': ex.Block(Sized, layers=2)}\n"
    )
    extend(tmp_path / "sized.py")
    check_cost(parse_name("20-2x4d-w16-sized"), Task(1, 8, 10))
