"""What a network costs, from its name alone: exact, in closed form, without building it."""

from dataclasses import replace

from explorer.design.architecture import Architecture
from explorer.design.cost import Cost, cost
from explorer.design.name import parse_name
from explorer.design.template import Task
from explorer.host.errors import InputError


def usual_task(design: Architecture, *, channels: int | None, image_size: int | None, classes: int | None) -> Task:
    """The task of a network: what is given, and for the rest that which its template is made for. Raises ValueError."""
    given = {"channels": channels, "image_size": image_size, "classes": classes}
    return replace(design.shape.task, **{key: value for key, value in given.items() if value is not None})


def costs(
    architecture: str | Architecture,
    *,
    image_size: int | None = None,
    classes: int | None = None,
    channels: int | None = None,
) -> Cost:
    """The parameters, multiply-adds and activations of a network, to the integer.

    `architecture` is a name, as `29-32x4d` (see docs/names.md). What is not given of image size (pixels), classes and
    channels of the input is what the network's template is made for: 32 pixels and 10 classes for those of CIFAR, 224
    and 1,000 for those of ImageNet. Raises InputError for what is no name, or a network that such images do not fit.
    """
    try:
        design = parse_name(architecture) if isinstance(architecture, str) else architecture
        task = usual_task(design, channels=channels, image_size=image_size, classes=classes)
        return cost(design, task)
    except ValueError as error:
        raise InputError(f"{architecture}: {error}") from None
