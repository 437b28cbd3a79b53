"""The optimiser of a run: ours or one that an extension adds, and what its weight decay is on."""

import torch
from torch import nn

from explorer.study.run import Execution
from explorer.study.settings import Recipe
from explorer.training.parts import added_optimizer, spare_norms
from explorer.training.scaling import Scaled, ScaledAdamW, ScaledOther, ScaledSGD


def optimizer_of(recipe: Recipe, parameters: list[nn.Parameter], execution: Execution) -> torch.optim.Optimizer:
    """The optimiser that a recipe names, of these parameters, which lie on their device.

    In float16 it is a `Scaled` one, which clips its gradients itself, after dividing them by the scale. Raises
    InputError for one of an extension that does not do what the recipe asks for.
    """
    found: torch.optim.Optimizer
    scales = execution.precision == "float16"
    if recipe.optimizer == "sgd":
        found = (ScaledSGD if scales else torch.optim.SGD)(
            parameters,
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
    elif recipe.optimizer == "adamw":
        found = (ScaledAdamW if scales else torch.optim.AdamW)(
            parameters,
            lr=recipe.learning_rate,
            betas=recipe.betas,
            weight_decay=recipe.weight_decay,
            fused=True,
            capturable=execution.device == "cuda",  # so that a graph can hold its steps
        )
    else:
        found = added_optimizer(recipe, parameters)
    if not recipe.decay_norms:
        spare_norms(found, recipe)
    if scales and not isinstance(found, Scaled):
        found = ScaledOther(found)
    if isinstance(found, Scaled):
        found.clip = recipe.clip
    return found
