"""The sampler of changes: reproducible, every change is another program, and those that matter are among them."""

import ast

import pytest

from tests.mutants import ROOMS, ROOT, changes, nearest, sample


@pytest.mark.real
@pytest.mark.parametrize("name", ["analysis/trend.py", "training/schedule.py"])
def test_every_change_is_another_program(name: str) -> None:
    path = ROOT / "explorer" / name
    plain = ast.unparse(ast.parse(path.read_text()))
    found = changes(path)
    assert len(found) > 20
    for change in found:
        made = change.made()
        assert made != plain, change
        compile(made, name, "exec")
        assert change.diff()


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("record/table.py", "call left out", "os.fsync"),
        ("training/loop.py", "call left out", "network.eval()"),
        ("analysis/trend.py", "number", "LEAST = 3"),
        ("host/formatting.py", "branches swapped", "'lower' if difference < 0 else 'higher'"),
        ("study/designs.py", "comparison", "limit.miss(setting.cost) > limit.tolerance"),
    ],
)
def test_the_changes_that_went_unnoticed_once_can_be_drawn(name: str, kind: str, words: str) -> None:
    found = [change for change in changes(ROOT / "explorer" / name) if change.kind == kind]
    removed = [line for change in found for line in change.diff().splitlines() if line.strip().startswith("-")]
    assert any(words in line for line in removed)


@pytest.mark.real
def test_a_seed_draws_the_same_changes_again_and_no_place_twice() -> None:
    def texts(seed: int) -> list[str]:
        return [change.made() for _, change in sample(15, seed, ["record"])]

    assert texts(3) == texts(3) != texts(4)
    drawn = sample(40, 3, list(ROOMS))
    assert len({(change.path, change.line, change.kind) for _, change in drawn}) == len(drawn) == 40
    assert {room for room, _ in drawn} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_every_module_has_tests_that_are_there(room: str) -> None:
    for pattern in ROOMS[room][1]:
        files = sorted((ROOT / "explorer").glob(pattern))
        assert files
        for path in files:
            assert all((ROOT / name).exists() for name in nearest(path))
