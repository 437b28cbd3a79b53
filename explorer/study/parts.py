"""Parts of a recipe that extensions add: optimisers, schedules, augmentations and losses, each a function by its name.

What a function takes is said in docs/extending.md. Its parameters that only a keyword can give, with numbers as
defaults, are the part's own numbers: `recipe.numbers.mixup.alpha=0.4` gives another one.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from explorer.host.errors import InputError
from explorer.host.formatting import hint
from explorer.study.settings import Recipe

Part = Callable[..., Any]
OPTIMIZERS: dict[str, Part] = {}
SCHEDULES: dict[str, Part] = {}
AUGMENTATIONS: dict[str, Part] = {}
LOSSES: dict[str, Part] = {}
# By the recipe's key that names them: the kind of extension, its table, what we have, and what a part is given.
ADDED: Mapping[str, tuple[str, dict[str, Part], tuple[str, ...], tuple[str, ...]]] = {
    "optimizer": ("OPTIMIZERS", OPTIMIZERS, ("sgd", "adamw"), ("parameters", "recipe")),
    "schedule": ("SCHEDULES", SCHEDULES, ("one_cycle", "cosine", "linear", "constant", "step"), ("progress", "recipe")),
    "augmentation": ("AUGMENTATIONS", AUGMENTATIONS, (), ("images", "generator")),
    "loss": ("LOSSES", LOSSES, ("cross_entropy",), ("scores", "labels", "recipe")),
}
LABELS = "labels"  # keyword of an augmentation that mixes labels too


def checked(key: str) -> Callable[[str, Any], None]:
    """A check of a name and a value for the recipe's key `optimizer`, `schedule`, `augmentation` or `loss`.

    It raises ValueError for a name that is taken, or a value that is no function as docs/extending.md says.
    """
    _, _, ours, given = ADDED[key]

    def check(name: str, value: Any) -> None:
        if name in ours or any(name in table for _, table, _, _ in ADDED.values()):
            raise ValueError("is a part of recipes already; choose another name")
        shape = f"({', '.join(given)}, *, NUMBER=0.1)"
        if not callable(value):
            raise ValueError(f"is a {type(value).__name__}; allowed: a function {shape}")
        try:
            found = inspect.signature(value).parameters.values()
        except (TypeError, ValueError):
            raise ValueError(f"does not say what it takes; allowed: a function {shape}") from None
        places = [one for one in found if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
        needed = [one for one in places if one.default is one.empty]
        if len(needed) > len(given) or len(places) < len(given):
            raise ValueError(f"takes ({', '.join(one.name for one in places)}); allowed: a function {shape}")
        for one in found:
            wants_labels = key == "augmentation" and one.name == LABELS and one.default is one.empty
            if one.kind is one.KEYWORD_ONLY and not wants_labels and not _is_number(one.default):
                raise ValueError(f"{one.name}: needs a number as its default, as in (..., *, {one.name}=0.1)")

    return check


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def numbers_of(part: Part) -> dict[str, float]:
    """A part's own numbers, by name, with the values that they have unless the recipe says others."""
    found = inspect.signature(part).parameters.values()
    return {one.name: one.default for one in found if one.kind is one.KEYWORD_ONLY and _is_number(one.default)}


def mixes_labels(part: Part) -> bool:
    """Whether an augmentation is given labels too, as shares of classes, and gives them back beside the images."""
    found = inspect.signature(part).parameters.get(LABELS)
    return found is not None and found.kind is found.KEYWORD_ONLY


def named(recipe: Recipe) -> dict[str, str]:
    """The parts of a recipe that extensions add: their names, with the key that names each."""
    named = [("optimizer", recipe.optimizer), ("schedule", recipe.schedule), ("loss", recipe.loss)]
    named += [("augmentation", one) for one in recipe.augmentation]
    return {name: key for key, name in named if name not in ADDED[key][2]}


def refuse_unknown(recipe: Recipe) -> None:
    """Raise InputError for a part that nothing adds, or a number that no part of the recipe has."""
    if len({*recipe.augmentation}) < len(recipe.augmentation):
        raise InputError(f"recipe.augmentation={list(recipe.augmentation)}: allowed is each of them once")
    names = named(recipe)
    for name, key in names.items():
        _, table, ours, _ = ADDED[key]
        if name not in table:
            there = [repr(one) for one in (*ours, *table)]
            some = f"must be {' or '.join(filter(None, [', '.join(there[:-1]), there[-1]]))}" if there else "is unknown"
            raise InputError(
                f'recipe.{key}="{name}": {some}{hint(name, [*ours, *table])}; another one comes from a file, as with '
                "extensions=my_recipe.py"
            )
    for name, given in recipe.numbers.items():
        if name not in names:
            has = f"one of {', '.join(names)}" if names else "names of parts that an extension adds"
            raise InputError(f"recipe.numbers.{name}: the recipe names no such part; allowed: {has}")
        own = numbers_of(ADDED[names[name]][1][name])
        for one in given:
            if one not in own:
                has = f"{', '.join(own)}" if own else "none, since it has no numbers"
                raise InputError(f"recipe.numbers.{name}.{one}: unknown{hint(one, [*own])}; allowed: {has}")


def without_end(block: str) -> str:
    """The message on a block that does not say where its branch ends."""
    return (
        f"recipe.stochastic_depth: block {block} does not say which batch norm ends its branch; allowed: 0, or a "
        "last_norm in its ex.Block"
    )
