"""What parts of a recipe draw in one step: on the CPU, from the seed, the part and the step, copied at once."""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from explorer.study.settings import Recipe
from explorer.training.images.mixing import drawn_erasing, drawn_mixing
from explorer.training.images.policy import drawn_policy, layers_of
from explorer.training.network.dropping import Dropping
from explorer.training.streams import step_numbers


@dataclass(frozen=True)
class StepDraws:
    """Draws the numbers of a step for a run; each part has a stream of its own, so that none changes what others draw.

    size      of the images' sides in pixels
    dropping  of the run's network, if it drops anything
    """

    recipe: Recipe
    seed: int
    size: int
    device: str
    dropping: Dropping | None = None
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        recipe, images, dropping = self.recipe, self.recipe.batch_size, self.dropping
        if layers := layers_of(recipe):
            self.shapes["policy"] = (layers, images, 2)
        if recipe.erasing:
            self.shapes["erasing"] = (images, 4)
        if recipe.mixes:
            self.shapes["mixing"] = (6,)
        if dropping is not None and recipe.stochastic_depth and dropping.blocks:
            self.shapes["branches"] = (images, dropping.blocks)
        if dropping is not None and recipe.dropout:
            self.shapes["features"] = (images, dropping.width)

    def drawn(self, step: int) -> Tensor:
        """All numbers of a step of the run, counted from 0, as one float32 tensor on the device."""
        if not self.shapes:
            return torch.empty(0, device=self.device)
        parts = [self._drawn(name, step_numbers(self.seed, name, step)) for name in self.shapes]
        numbers = torch.from_numpy(np.concatenate([one.ravel() for one in parts], dtype=np.float32, casting="unsafe"))
        return numbers.pin_memory().to(self.device, non_blocking=True) if self.device == "cuda" else numbers

    def parted(self, numbers: Tensor) -> dict[str, Tensor]:
        """The numbers of each part, in its shape."""
        pieces = torch.split(numbers, [math.prod(shape) for shape in self.shapes.values()]) if self.shapes else ()
        return {name: one.view(shape) for (name, shape), one in zip(self.shapes.items(), pieces, strict=True)}

    def _drawn(self, name: str, rng: np.random.Generator) -> np.ndarray:
        recipe, images = self.recipe, self.recipe.batch_size
        if name == "policy":
            return drawn_policy(recipe, images, self.size, rng)
        if name == "erasing":
            return drawn_erasing(recipe, images, self.size, rng)
        if name == "mixing":
            return drawn_mixing(recipe, self.size, rng)
        # Block by block and feature by feature, so that networks with more of them share what they have in common.
        assert self.dropping is not None
        rates = np.array(self.dropping.rates if name == "branches" else [self.dropping.rate])
        return (rng.random(self.shapes[name][::-1], dtype=np.float32) >= rates[:, None]).T
