"""An augmentation from outside: mixup (Zhang et al., 2018, arXiv:1710.09412), which mixes pairs of images and labels.

    explorer study=equal_params extensions=examples/augmentation.py recipe.augmentation=mixup \
        recipe.numbers.mixup.alpha=0.4 name=mixed

It comes after the recipe's own augmentation. All random numbers come from the generator that it is given, so that runs
of one seed mix alike, whatever the design, the engine and the number of interruptions.
"""

import torch
from torch import Tensor


def mixup(images: Tensor, generator: torch.Generator, *, labels: Tensor, alpha: float = 0.2) -> tuple[Tensor, Tensor]:
    """Images and their labels as shares of the classes, each mixed with those of another image of the batch.

    The share of the first one is drawn for the whole batch from a beta distribution of two equal parameters, `alpha`.
    """
    drawn = torch._standard_gamma(torch.full((2,), alpha), generator=generator)
    share = float(drawn[0] / drawn.sum())
    others = torch.randperm(len(images), generator=generator).to(images.device)
    return tuple(share * one + (1 - share) * one[others] for one in (images, labels))  # type: ignore[return-value]


AUGMENTATIONS = {"mixup": mixup}
