"""Shipped studies compose to the values they always had, and a group that a person chooses is never defeated."""

import hashlib
import json
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
import yaml

from explorer.config import conf_folders, groups, read_command
from explorer.contrast import contrast_of
from explorer.planning import candidates, settings_of
from explorer.run import Execution
from explorer.runs import runs_of

# By study: a digest of every value that is not its field's default, and one of the ids of its runs of the first seed
# on a made-up device. A new study adds its line; a line that changes is a study that can no longer be continued.
COMPOSED: dict[str, tuple[str, str]] = {
    "cardinality_or_width": ("13960e6039bd", "24df99b98714"),
    "cardinality_or_width_cifar10_jpeg": ("3bc559fbfd62", "20ed2b8eb958"),
    "design_space": ("4acd51880d4a", "f7de2528e58c"),
    "design_space_cifar10_jpeg": ("1caaea203f78", "3e5626d54db4"),
    "double_complexity": ("475708496b65", "6b1627a6d438"),
    "equal_macs": ("e673f5ec6c3f", "ef6d1bbea671"),
    "equal_params": ("eb5a595412a0", "b305f8c038cb"),
    "equal_params_cifar10_jpeg": ("5f721fe08a5c", "04811b674e2b"),
    "equal_params_imagenet": ("c7165141c80e", "23d94f83e122"),
    "equal_params_tiny_imagenet_32px": ("7f73ecdbc2e1", "96acb057be6f"),
    "fast_path": ("f37d8d2eb9ff", "b3b6e014f4df"),
    "forms": ("6314eb7ecb78", "cc8340cc01c6"),
    "neighbours": ("ec35b38a7a6e", "3a98b19ce51d"),
    "pareto": ("81a286c0ac3f", "4f53cda18c2b"),
    "shortcut": ("13542f6cdfe4", "6c4e0b503655"),
}
EXECUTION = Execution("cpu", "any", "grouped", "channels_last", "float32", 1, 32)


def decided(value: Any) -> Any:
    """Settings as plain values, without those that are their field's default: a later version may add some."""
    if is_dataclass(value):
        own = {field.name: (getattr(value, field.name), field.default) for field in fields(value)}
        return {name: decided(now) for name, (now, default) in own.items() if now != default}
    if isinstance(value, dict):
        return {name: decided(item) for name, item in value.items()}
    return [decided(item) for item in value] if isinstance(value, tuple) else value


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


@pytest.mark.parametrize("name", groups()["study"])
def test_every_shipped_study_can_be_planned_and_has_the_values_and_run_ids_it_always_had(name: str) -> None:
    config = read_command([f"study={name}", *(["data.path=images"] if "jpeg" in name or "32px" in name else [])]).study
    settings = settings_of(config)
    contrast_of(config, settings)
    assert settings or config.search.is_adaptive
    if config.search.is_adaptive:
        assert len(candidates(config)) >= (config.search.designs or 0)
    first = replace(config, search=replace(config.search, seeds=1))
    ids = [run.id for _, run in runs_of(first, settings, EXECUTION, "0" * 12)]
    assert (digest(decided(config)), digest(ids)) == COMPOSED[name]


@pytest.mark.parametrize("name", groups()["study"])
def test_a_shipped_study_chooses_groups_and_sets_none_of_their_keys(name: str) -> None:
    content = yaml.safe_load((conf_folders()[0] / "study" / f"{name}.yaml").read_text())
    assert set(content) <= {"defaults", "spaces", "study"}
