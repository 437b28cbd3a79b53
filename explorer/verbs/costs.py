"""What a network costs: from its name alone, exact and without building it, or counted on a module of torch."""

import sys
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeGuard

from explorer.design.architecture import Architecture
from explorer.design.cost import Cost, cost
from explorer.design.name import parse_name
from explorer.design.template import Task
from explorer.host.errors import InputError
from explorer.verbs.values import whole

if TYPE_CHECKING:
    from explorer.training.network.count import ModuleCount
    from explorer.training.network.usable import Network


def usual_task(design: Architecture, *, channels: int | None, image_size: int | None, classes: int | None) -> Task:
    """The task of a network: what is given, and for the rest that which its template is made for. Raises ValueError."""
    given = {"channels": channels, "image_size": image_size, "classes": classes}
    return replace(design.shape.task, **{key: value for key, value in given.items() if value is not None})


def costs(
    network: "str | Architecture | Network",
    *,
    image_size: int | None = None,
    classes: int | None = None,
    channels: int | None = None,
    inputs: Any = None,
) -> Cost:
    """The parameters, multiply-adds and activations of a network for one image, to the integer.

    Of a name, as `29-32x4d` (docs/designs.md), or an architecture they come from a closed form, without torch. What is
    not given of image size (pixels), classes and channels of the input is what the network's template is made for: 32
    pixels and 10 classes for those of CIFAR, 224 and 1,000 for those of ImageNet.

    Of any `torch.nn.Module` they are counted on one pass, by torch's counter and by fvcore, which must agree; where
    they do not, a warning says how they differ, and torch's count is taken. It gets an image of `image_size` pixels,
    with the channels of its first convolution unless `channels` are given, or `inputs` of its own in a batch of one: a
    tensor or a tuple of arguments. With `classes` it has to give that many scores. The module is left as it was.

    Raises InputError for what is no name, or a network that such images do not fit.
    """
    given = {"image_size": image_size, "classes": classes, "channels": channels}
    image_size, classes, channels = (None if one is None else whole(key, one) for key, one in given.items())
    if is_module(network):
        found = counted(network, image_size=image_size, classes=classes, channels=channels, inputs=inputs)
        return found.cost
    if inputs is not None:
        raise InputError("inputs: are for a torch module; a design takes image_size, classes and channels")
    if not isinstance(network, (str, Architecture)):
        kind = type(network).__name__
        raise InputError(f"{kind}: allowed are a name, as '29-32x4d', an architecture and a torch.nn.Module")
    try:
        design = parse_name(network) if isinstance(network, str) else network
        task = usual_task(design, channels=channels, image_size=image_size, classes=classes)
        return cost(design, task)
    except ValueError as error:
        raise InputError(f"{network}: {error}") from None


def is_module(value: object) -> "TypeGuard[Network]":
    """Whether something is a module of torch; torch is not loaded to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def counted(
    module: "Network",
    *,
    image_size: int | None = None,
    classes: int | None = None,
    channels: int | None = None,
    inputs: Any = None,
) -> "ModuleCount":
    """The cost of a module as both counters find it; warns if they differ. As `costs` says."""
    from explorer.training.network.count import count_module, images_for

    if inputs is None and image_size is None:
        raise InputError(f"{type(module).__name__}: say image_size=..., or give inputs=..., a batch of one")
    if inputs is None:
        inputs = images_for(module, int(image_size or 0), channels)
    found = count_module(module, inputs)
    shape = getattr(found.outputs, "shape", None)
    if classes is not None and shape is not None and (len(shape) < 2 or shape[1] != classes):
        raise InputError(f"{type(module).__name__}: gives scores of shape {tuple(shape)}, and classes={classes}")
    if found.difference:
        warnings.warn(found.difference, stacklevel=3)
    return found
