"""Shipped studies compose to the values they always had, and a group that a person chooses is never defeated."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.__main__ import read_subject
from explorer.design import parse_name
from explorer.host.errors import InputError
from explorer.study.checks import filter_norm
from explorer.study.contrast import contrast_of
from explorer.study.lengths import Lengths, Speed
from explorer.study.plan import plan_of
from explorer.study.run import Execution
from explorer.study.runs import runs_of
from explorer.verbs.command_line import read_command
from explorer.verbs.compose import compose, conf_folders, groups
from tests.conftest import broadly

# By study: a digest of every value that is not its field's default, and one of the ids of its runs of the first seed
# on a made-up device. A new study adds its line; a line that changes is a study that can no longer be continued.
COMPOSED: dict[str, tuple[str, str]] = {
    "cardinality_or_width": ("13960e6039bd", "24df99b98714"),
    "cardinality_or_width_cifar10_jpeg": ("3bc559fbfd62", "20ed2b8eb958"),
    "custom": ("b8fa6d9b940c", "b305f8c038cb"),
    "descendants": ("ad2351c56464", "97cfc58af40a"),
    "design_space": ("50052d1b0efe", "f0b6af1ee167"),
    "design_space_cifar10_jpeg": ("1caaea203f78", "3e5626d54db4"),
    "double_complexity": ("475708496b65", "6b1627a6d438"),
    "equal_compute": ("62f3f97f3cf6", "deb081f31491"),
    "equal_macs": ("e673f5ec6c3f", "ef6d1bbea671"),
    "equal_params": ("eb5a595412a0", "b305f8c038cb"),
    "equal_params_cifar10_jpeg": ("5f721fe08a5c", "04811b674e2b"),
    "equal_params_imagenet": ("90a31184dabf", "23d94f83e122"),
    "equal_params_tiny_imagenet_32px": ("7f73ecdbc2e1", "96acb057be6f"),
    "equal_time": ("1bfe03cfb6e6", "fc7ec66dee22"),
    "fast_path": ("f37d8d2eb9ff", "b3b6e014f4df"),
    "forms": ("6314eb7ecb78", "cc8340cc01c6"),
    "init_narrow_cifar10_jpeg_fan_in": ("bd901f77a8c9", "235f4162ea5a"),
    "init_narrow_cifar10_jpeg_fan_out": ("3b85ef99dccc", "55ed599bf064"),
    "init_narrow_cifar10_jpeg_groups": ("e0457ed17251", "20ac30bbf29c"),
    "init_narrow_cifar10_jpeg_quarter": ("e637e278ed87", "6813f0f6b5fc"),
    "literal_16px_cifar10_jpeg": ("7bca17b1beea", "837082555e37"),
    "literal_16px_cifar10_jpeg_groups": ("cf9ab5f220c3", "6ea235aae077"),
    "literal_16px_cifar10_jpeg_turn": ("b9e0cc52d014", "814db1c33c3c"),
    "literal_cifar10_jpeg": ("c85c67426a90", "a04396316b1a"),
    "literal_cifar10_jpeg_groups": ("7122953b50b0", "f6259939a416"),
    "neighbours": ("eed634c11737", "6a59e64317b3"),
    "recipe_strength_16px_cifar10_jpeg": ("a6c930ce997f", "da52da164654"),
    "recipe_strength_16px_cifar10_jpeg_32": ("d276f4bb592a", "319c358c5c3a"),
    "recipe_strength_16px_cifar10_jpeg_ema": ("75309b2540da", "3ea3fed590d6"),
    "recipe_strength_16px_cifar10_jpeg_mixed": ("b6927448dfb8", "4f1c1a8ce09e"),
    "best": ("bbc1492823c7", "4f53cda18c2b"),
    "pareto": ("4e60f0d6cabc", "4f53cda18c2b"),
    "shortcut": ("13542f6cdfe4", "6c4e0b503655"),
}
EXECUTION = Execution("cpu", "any", "grouped", "channels_last", "float32", 1, 32)


def decided(value: Any) -> Any:
    """Settings as plain values, without those that are their field's default: a later version may add some.

    What spaces are called decides nothing.
    """
    if is_dataclass(value):
        own = {field.name: (getattr(value, field.name), field.default) for field in fields(value)}
        own.pop("labels", None)
        return {name: decided(now) for name, (now, default) in own.items() if now != default}
    if isinstance(value, dict):
        return {name: decided(item) for name, item in value.items()}
    return [decided(item) for item in value] if isinstance(value, tuple) else value


def needed(study: str) -> list[str]:
    """What a shipped study has to be told of its images."""
    if study == "best":
        return ["data=digits"]
    return ["data.path=images"] if "jpeg" in study or "32px" in study else []


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


@pytest.mark.parametrize("name", groups()["study"])
def test_every_shipped_study_can_be_planned_and_has_the_values_and_run_ids_it_always_had(name: str) -> None:
    config = read_command([f"study={name}", *needed(name)]).study
    settings = plan_of(config).settings
    contrast_of(config, settings)
    assert settings or config.search.is_adaptive
    if config.search.is_adaptive:
        assert len(plan_of(config).draws.candidates(plan_of(config).scope)) >= (config.search.designs or 0)
    first = replace(config, search=replace(config.search, seeds=1))
    speeds = {one.name: Speed(99.0, 100.0 + number, 120.0, 30) for number, one in enumerate(settings)}
    plan = plan_of(first).with_lengths(Lengths(400, speeds))
    ids = [run.id for _, run in runs_of(plan, settings, EXECUTION, "0" * 12)]
    assert (digest(decided(config)), digest(ids)) == COMPOSED[name]


@pytest.mark.parametrize("name", groups()["study"])
def test_whatever_ranks_shapes_starts_their_filters_at_one_norm_and_what_reproduces_the_paper_as_the_paper_does(
    name: str,
) -> None:
    """Recorded studies say themselves what they were started with, and the arms of one are about nothing else."""
    recipe = read_command([f"study={name}", *needed(name)]).study.recipe
    if name in ("pareto", "descendants", "design_space", "neighbours", "best"):
        norms = {filter_norm(parse_name(one), recipe.init, recipe.init_gain) for one in ("29-1x64d", "29-32x4d")}
        assert norms == {0.125}
    elif name.startswith("recipe_strength"):  # under the initialisation that its header declares
        assert (recipe.init, recipe.init_gain) == ("fan_out_groups", 1.0)
    elif not name.endswith(("_groups", "_quarter", "_fan_in", "_turn")):
        assert (recipe.init, recipe.init_gain) == ("fan_out", 1.0)


@pytest.mark.parametrize("name", groups()["study"])
def test_a_shipped_study_chooses_groups_and_sets_none_of_their_keys(name: str) -> None:
    content = yaml.safe_load((conf_folders()[0] / "study" / f"{name}.yaml").read_text())
    assert set(content) <= {"defaults", "spaces", "study"}


DATA_AND_BUDGETS = {"CIFAR", "Tiny-ImageNet", "ImageNet", "parameters", "multiply-adds", "igits", "activations"}


@pytest.mark.parametrize("name", groups()["study"])
def test_the_question_of_a_shipped_study_leaves_open_what_a_group_decides(name: str) -> None:
    content = yaml.safe_load((conf_folders()[0] / "study" / f"{name}.yaml").read_text())
    assert not [word for word in DATA_AND_BUDGETS if word in content["study"]["question"]]
    assert "{" not in compose([f"study={name}", *needed(name), "data.path=images"]).tree["study"]["question"]


@pytest.mark.parametrize(
    ("arguments", "question"),
    [
        (
            ["study=equal_params_cifar10_jpeg", "data=cifar10"],
            "At equal parameters, does splitting a ResNet block into more paths lower the error on CIFAR-10?",
        ),
        (
            ["study=equal_params_cifar10_jpeg", "data=folder", "data.path=/some/photos"],
            "At equal parameters, does splitting a ResNet block into more paths lower the error on photos?",
        ),
        (
            ["study=equal_params", "budget=params_and_macs"],
            "At equal parameters and multiply-adds, does splitting a ResNet block into more paths lower the error?",
        ),
        (
            ["study=double_complexity", "budget=macs"],
            "At twice the multiply-adds, does raising cardinality lower the error more than going deeper?",
        ),
        (
            ["study=neighbours", "budget=none", "space.bottleneck_width=named"],
            "At equal cost, though none is held, which of the related families has the lowest error?",
        ),
        (
            ["study=best", "data=digits", "budget=none"],
            "Which network is best for Digits (scikit-learn), whatever it costs?",
        ),
        (
            ["study=pareto", "search.objectives=[error,params]"],
            "Which networks have the lowest error at each number of parameters?",
        ),
        (["study=pareto", "study.question={data} {x}?"], "Digits (scikit-learn) {x}?"),
    ],
)
def test_a_question_names_the_images_and_the_costs_that_are_used(arguments: list[str], question: str) -> None:
    assert read_command(arguments).study.study.question == question


# ---------------------------------------------------------------- a chosen group wins

OWN = conf_folders()[0]
CHOSEN = ("space", "budget", "data", "recipe", "search", "engine", "storage")
NEEDED = ["data.path=images", "storage.url=postgresql://me@server/explorer"]


def alone(group: str, name: str) -> dict[str, Any]:
    """What the file of a group says, over the files that it names."""
    content = yaml.safe_load((OWN / group / f"{name}.yaml").read_text())
    bases = [base for base in content.pop("defaults", []) if base != "_self_"]
    return {key: value for part in (*(alone(group, base) for base in bases), content) for key, value in part.items()}


def offered() -> dict[str, list[str]]:
    """The groups and their names, without what is filled in by the size of the data (tests/verbs/test_in_short.py)."""
    return {group: [name for name in names if name != "fitted"] for group, names in groups().items() if group in CHOSEN}


def chosen(study: str, number: int) -> None:
    """A study with the file of this number of every group is made of these files."""
    choices = {group: names[number % len(names)] for group, names in offered().items()}
    if "spaces" in yaml.safe_load((OWN / "study" / f"{study}.yaml").read_text()):
        with pytest.raises(InputError, match=f"space={choices['space']}: this study has spaces of its own"):
            compose([f"study={study}", f"space={choices['space']}", *NEEDED])
        del choices["space"]
    tree = compose([f"study={study}", *(f"{group}={name}" for group, name in choices.items()), *NEEDED]).tree
    for group, name in choices.items():
        expected = alone(group, name)
        if group == "data":
            expected |= {"path": "images"}
            expected |= {"name": expected["name"] or "images", "label": expected["label"] or "images"}
        assert tree[group] == expected | ({"url": tree[group]["url"]} if group == "storage" else {}), (study, group)


@pytest.mark.parametrize("study", groups()["study"])
def test_a_group_chosen_for_a_shipped_study_is_as_its_file_says_it(study: str) -> None:
    chosen(study, groups()["study"].index(study))


@pytest.mark.parametrize("number", broadly(range(max(map(len, offered().values()))), fast=0))
def test_any_group_chosen_for_any_shipped_study_is_as_its_file_says_it(number: int) -> None:
    for study in groups()["study"]:
        chosen(study, number)


def written(folder: Path, name: str, text: str) -> Path:
    """A file of a user's own conf."""
    path = folder / "conf" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


MINE = """\
# @package _global_
defaults:
  - override /data: cifar10
space: {cardinality: [3]}
budget: {reference: 1x48d}
data: {label: Mine, train_images: 77}
recipe: {epochs: 3}
search: {seeds: 7}
engine: {workers: 2, setup: [rm]}
storage: {weights: last}
study:
  question: Does it?
  contrast: null
"""


def test_a_chosen_group_wins_over_what_a_users_study_says_of_it_and_a_key_of_the_command_over_both(
    workplace: Path,
) -> None:
    written(workplace, "study/mine.yaml", MINE)
    written(workplace, "recipe/wide.yaml", "# @package _global_\ndata: {split_seed: 5}\nrecipe: {epochs: 4}\n")
    own = compose(["study=mine", "engine.setup=[]"]).tree
    assert (own["recipe"]["epochs"], own["search"]["seeds"], own["data"]["label"]) == (3, 7, "Mine")
    for group in CHOSEN:
        name = groups()[group][0]
        tree = compose(["study=mine", "engine.setup=[]", "data.path=images", f"{group}={name}"]).tree
        tree["data"] |= {"path": alone("data", "cifar10")["path"]} if group == "data" else {}
        assert tree[group] == alone(group, name) | ({"setup": []} if group == "engine" else {})
        assert all(tree[other] == own[other] for other in CHOSEN if other not in (group, "data"))
    both = compose(["study=mine", "engine.setup=[]", "recipe=wide", "data=digits", "data.train_images=9"]).tree
    assert both["data"] == alone("data", "digits") | {"train_images": 9}
    assert both["recipe"]["epochs"] == 4


# ---------------------------------------------------------------- text stays text

TEXTS = ["2024", "2024.10", "20231101", "1e5", "1_000", "010", "0x1F", "1:30", "on", "No", "true", ".inf", "2024-01-05"]


@pytest.mark.parametrize("text", TEXTS)
def test_text_that_looks_like_something_else_stays_text_on_the_command_line_and_in_a_file(
    text: str, workplace: Path
) -> None:
    keys = ["data.path", "data.subset", "data.label", "engine.account", "study.question", "data.label_column"]
    command = compose(["study=equal_params", "engine=slurm", *(f"{key}={text}" for key in keys)]).tree
    written(
        workplace,
        "study/mine.yaml",
        f"# @package _global_\nstudy: {{question: {text}, contrast: null}}\n"
        f"data: {{path: {text}, subset: {text}, label: {text}, label_column: {text}}}\n"
        f"engine: {{account: {text}, setup: [{text}, echo]}}\nname: {text}\n",
    )
    file = compose(["study=mine", f"engine.setup=[{text},echo]"]).tree
    for tree in (command, file):
        assert [tree[key.partition(".")[0]][key.partition(".")[2]] for key in keys] == [text] * len(keys)
    assert file["name"] == text
    assert file["engine"]["setup"] == [text, "echo"]
    assert compose(["study=mine", f"engine.setup={text}"]).tree["engine"]["setup"] == text


@pytest.mark.parametrize("name", ["2024.10", "1e5", "1_000", "on", "true"])
def test_a_study_and_a_file_may_have_names_that_look_like_numbers(name: str, workplace: Path) -> None:
    written(workplace, f"study/{name}.yaml", "# @package _global_\nstudy: {question: Is it, contrast: null}\n")
    assert read_command([f"study={name}"]).study.name == name
    assert read_command(["study=equal_params", f"name={name}"]).study.name == name
    doctor = read_command(["do=doctor", f"name={name}"]).config
    assert getattr(doctor, "name", None) == name
    ranks = read_subject(["ranks", f"short={name}"])[1]
    training = read_command(["do=benchmark", f"architectures=[{name}]"]).config
    assert (getattr(ranks, "short", None), getattr(training, "architectures", None)) == (name, (name,))


def test_null_is_no_text_unless_it_is_quoted() -> None:
    assert read_command(["study=equal_params", "name=null"]).study.name == "equal_params"
    assert read_command(["study=equal_params", 'name="null"']).study.name == "null"
    assert read_command(["study=equal_params", "data.path=null"]).study.data.path is None


@pytest.mark.parametrize(
    "text", ["/home/jos\u00e9/x", "~/a (b)", "C:\\x y", "a,b", "Is it? [yes]", "{a: b}", "x=y", "50%"]
)
def test_text_of_the_command_line_needs_no_quotes(text: str) -> None:
    data = read_command(["study=equal_params", "data=folder", f"data.path={text}", f"study.question={text}"]).study
    assert (data.data.path, data.study.question) == (text, text)
    assert read_command(["study=equal_params", "data=folder", 'data.path="a (b)"']).study.data.path == "a (b)"


# ---------------------------------------------------------------- files of a user


@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_may_begin_with_a_byte_order_mark_and_end_in_yml(suffix: str, encoding: str, workplace: Path) -> None:
    mine = written(workplace, f"study/mine{suffix}", "")
    mine.write_bytes(MINE.replace(", setup: [rm]", "").replace("\n", "\r\n").encode(encoding))
    own = written(workplace, f"recipe/own{suffix}", "")
    own.write_bytes("defaults: [short, _self_]\nepochs: 6\n".encode(encoding))
    assert read_command(["study=mine"]).study.recipe.epochs == 3
    assert read_command(["study=mine", "recipe=own"]).study.recipe.epochs == 6


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"epochs: [1\nbatch: }", "did not find expected|while parsing a flow"),
        (b"12", "is no mapping; expected lines of key: value"),
        (b"init: x\nepochs: \xff", "line 2: is not text in UTF-8; save the file in UTF-8"),
        (b"\xff\xfe\x00", "line 1: is not text in UTF-16; save the file in UTF-8"),
        (b"defaults: 3", "defaults must be a list"),
        (b"defaults: [nothing]", r"In 'recipe/own': Could not load 'recipe/nothing'\. \(in "),
        (b"", r"recipe\.epochs is missing \(in "),
        (b"epochs: !!set {a}", "could not determine a constructor for the tag"),
        (b"- epochs", "is no mapping; expected lines of key: value"),
        (b"epochs: 1\nepochs: 2", "found duplicate key epochs"),
    ],
)
@pytest.mark.parametrize("is_clone", [False, True])
def test_a_file_that_cannot_be_used_is_named(
    content: bytes, said: str, is_clone: bool, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_clone:  # where a person's own files lie among the shipped ones
        shutil.copytree(OWN, workplace / "conf")
        monkeypatch.setattr("explorer.verbs.compose.conf_folders", lambda: [workplace / "conf"])
    own = written(workplace, "recipe/own.yaml", "")
    own.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_command(["study=equal_params", "recipe=own"])
    assert str(own) in str(caught.value)


HEAD = "# @package _global_\ndefaults:\n  - equal_params\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seeds: lots\n", "study.seeds=lots: unknown key; allowed: contrast, labels, margin, question"),
        ("# @package _global_\nsearch:\n  seeds: lots\n", "study is missing"),
        (f"{HEAD}  - override /recipe: nothing\n", "Could not find 'recipe/nothing'"),
        (f"{HEAD}  - /recipe: short\n", "Multiple values for recipe"),
        (
            "# @package _global_\nstudy:\n  question: q\n  contrast: {setting: 1x64d}\n",
            "study.contrast.against is missing",
        ),
    ],
)
def test_a_study_file_that_cannot_be_used_is_named(text: str, said: str, workplace: Path) -> None:
    own = written(workplace, "study/own.yaml", text)
    with pytest.raises(InputError, match=said) as caught:
        read_command(["study=own"])
    assert str(caught.value).endswith(f"(in {own})")


REPEATED = "\n".join(["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 30))])


def test_in_one_process_a_file_that_changes_is_read_again(workplace: Path) -> None:
    mine = Path("conf/study/mine.yaml")
    mine.parent.mkdir(parents=True)
    for budget in ("params", "macs", "params"):
        mine.write_text(f"# @package _global_\ndefaults:\n  - override /budget: {budget}\n")
        assert (compose(["study=mine"]).tree["budget"].get("macs") is not None) == (budget == "macs")
    shadow = Path("conf/budget/params.yaml")
    shadow.parent.mkdir()
    shadow.write_text("reference: 50-1x64d\n")
    with pytest.raises(InputError, match="has the name of a shipped budget and says something else"):
        compose(["study=mine"])
    shadow.unlink()
    assert compose(["study=mine"]).tree["budget"]["reference"] != "50-1x64d"


def test_files_that_nobody_chose_stop_no_command(workplace: Path) -> None:
    mine = MINE.replace(", setup: [rm]", "")
    written(workplace, "study/mine.yaml", mine)
    written(workplace, "config.yaml", "hydra: {run: {dir: .}}\ndefaults: [../x]\n")
    for name, text in (("hydra", "hydra: {run: {dir: x}}\n"), ("large", REPEATED), ("broken", "a: [\n")):
        written(workplace, f"recipe/{name}.yaml", text)
    written(workplace, "recipe/away.yaml", "defaults: [../../elsewhere/precious]\n")
    os.mkfifo(workplace / "conf" / "recipe" / "pipe.yaml")
    assert read_command(["study=mine"]).study.recipe.epochs == 3
    assert read_command(["study=equal_params"]).study.name == "equal_params"
    # One that a chosen file is made of is composed as well.
    for name, said in (
        ("hydra", r"hydra\.yaml: hydra={'run': {'dir': 'x'}}: not allowed; set keys of the study alone"),
        ("away", r"away\.yaml: its defaults lead elsewhere"),
        ("large", r"large\.yaml: is nested too deeply or repeats too much"),
        ("broken", r"a YAML file cannot be read: .*broken\.yaml"),
        ("pipe", r"pipe\.yaml: is not a regular file"),
    ):
        written(workplace, "study/of.yaml", mine.replace("defaults:", f"defaults:\n  - override /recipe: {name}"))
        for command in (["study=of"], ["study=equal_params", f"recipe={name}"]):
            with pytest.raises(InputError, match=said):
                compose(command)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [\n", r"a YAML file cannot be read: .*mine\.yaml"),
        (REPEATED, r"mine\.yaml: is nested too deeply or repeats too much"),
        ("- a\n", r"mine\.yaml: is no mapping"),
    ],
)
def test_a_storage_file_that_doctor_is_told_of_is_held_to_the_same_limits(
    text: str, said: str, workplace: Path
) -> None:
    written(workplace, "storage/mine.yaml", text)
    (workplace / "studies" / "x").mkdir(parents=True)
    with pytest.raises(InputError, match=said):
        read_command(["do=doctor", "name=x", "storage=mine"])


def test_two_files_of_one_name_are_refused(workplace: Path) -> None:
    for suffix in ("yaml", "yml"):
        written(workplace, f"recipe/own.{suffix}", "defaults: [short, _self_]\n")
    with pytest.raises(InputError, match=r"own\.yml: has the name of own\.yaml beside it; rename one of the two"):
        compose(["study=equal_params", "recipe=own"])


def test_a_bad_value_names_the_one_file_that_it_comes_from(workplace: Path) -> None:
    search = written(workplace, "search/mine.yaml", "defaults: [listed, _self_]\nseeds: many\n")
    space = written(workplace, "space/mine.yaml", "defaults: [bottleneck, _self_]\nblock: [se]\n")
    for argument, said in (
        ("search=mine", f"search.seeds=\"many\": must be a whole number or 'auto' (in {search})"),
        ("space=mine", f"inception, alexnet (in {space})"),
        ("space.block=[se]", "inception, alexnet"),
        ("space.cardinality=[1,x]", "must be a whole number"),
    ):
        with pytest.raises(InputError) as caught:
            read_command(["study=equal_params", argument])
        assert str(caught.value).endswith(said)


def test_inside_a_clone_another_installation_works_and_refuses_only_files_that_differ(workplace: Path) -> None:
    shutil.copytree(OWN, workplace / "conf")
    written(workplace, "study/mine.yaml", MINE.replace(", setup: [rm]", ""))
    assert read_command(["study=equal_params"]).study.name == "equal_params"
    assert read_command(["study=mine"]).study.recipe.epochs == 3
    written(workplace, "recipe/short.yaml", "defaults: [digits, _self_]\n")
    assert read_command(["study=mine"]).study.recipe.epochs == 3
    written(workplace, "config.yaml", "hydra: {run: {dir: .}}\n")  # another program's
    assert read_command(["study=mine"]).study.recipe.epochs == 3
    with pytest.raises(InputError, match=r"short\.yaml: has the name of a shipped recipe and says something else"):
        compose(["study=mine", "recipe=short"])
    (workplace / "explorer").mkdir()
    (workplace / "explorer" / "__main__.py").touch()
    with pytest.raises(
        InputError, match=r"config\.yaml: has the name of a shipped file and says something else; start"
    ):
        compose(["study=mine"])
    written(workplace, "config.yaml", (OWN / "config.yaml").read_text())
    with pytest.raises(InputError, match=r"start python -m explorer, which takes this folder's own"):
        compose(["study=mine", "recipe=short_8"])


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("budget.params=1000000", "a mapping; say budget.params.target=1000000 budget.params.tolerance=0.05"),
        ("budget.params=0.02", "a mapping; say budget.params.tolerance=0.02"),
        ("study.contrast=32x4d", "a mapping; say study.contrast.setting=... study.contrast.against=..."),
        ("report=false", "a mapping; say report.live=..."),
        ("spaces=3", "must be a mapping"),
    ],
)
def test_a_value_in_the_place_of_a_mapping_is_told_what_to_write(argument: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_command(["study=equal_params", argument])
    assert str(caught.value).endswith(said)


def test_nothing_of_the_current_folder_is_imported_by_hydra(tmp_path: Path) -> None:
    (tmp_path / "hydra_plugins").mkdir()
    (tmp_path / "hydra_plugins" / "theirs.py").write_text("open('ran', 'w')\n")
    words = [sys.executable, "-m", "explorer", "study=equal_params", "--cfg", "job"]
    own = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=own)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists()
