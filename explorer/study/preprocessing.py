"""What a network needs of its images: how a file becomes numbers as it was trained on, and what its outputs mean."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, TypedDict

from annotated_types import Ge, Gt, Le

Channel = Annotated[float, Ge(0), Le(255)]
Scale = Annotated[float, Gt(0), Le(255)]
Side = Annotated[int, Ge(1), Le(2**16)]


@dataclass(frozen=True)
class Preprocessing:
    """How the images of a study are prepared for its networks when they are evaluated.

    An image is turned as its EXIF data says, laid on white where it is transparent, converted to grey or to colour
    (red, green, blue), and, with `resize`, resized so that its shorter side has so many pixels; then its middle is cut
    out. Each channel is normalised as `(value - mean) / std`.

    classes     names in the order of the network's outputs: of the folders, of the labels, or as the data set has them
    mean, std   of each channel of the training images, in units of a byte
    range       lowest and highest value that a pixel can have: 0 and 255, or 0 and 16 of the embedded digits
    channels    1 grey, 3 red, green, blue
    image_size  side in pixels
    resize      of the shorter side, before the middle is cut out; None: images have `image_size` already
    resampling, crop  the rules of resizing: pillow's bilinear filter, which averages where it makes smaller; the middle
    """

    classes: tuple[str, ...]
    mean: tuple[Channel, ...]
    std: tuple[Scale, ...]
    range: tuple[int, int]
    channels: Literal[1, 3]
    image_size: Side
    resize: Side | None = None
    resampling: Literal["bilinear"] = "bilinear"
    crop: Literal["middle"] = "middle"


class OfSeed(TypedDict):
    """Mean and standard deviation of the training images of one seed."""

    mean: list[Channel]
    std: list[Scale]


class StoredPreprocessing(TypedDict, total=False):
    """`Preprocessing` as `environment.json` has it; `by_seed` where every seed has a split of its own."""

    classes: list[str]
    mean: list[Channel]
    std: list[Scale]
    range: tuple[int, int]
    channels: Literal[1, 3]
    image_size: Side
    resize: Side | None
    resampling: Literal["bilinear"]
    crop: Literal["middle"]
    by_seed: dict[str, OfSeed]


def as_stored(found: Preprocessing) -> dict[str, Any]:
    """The preprocessing as plain lists and numbers."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(found).items()}


def of_stored(tree: dict[str, Any], seed: int) -> Preprocessing | None:
    """The preprocessing of the networks of a seed; None if the record does not have that of this seed.

    Raises ValueError where the stored values contradict each other.
    """
    own: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in tree.items() if key != "by_seed"
    }
    if (by_seed := tree.get("by_seed")) is not None:
        if str(seed) not in by_seed:
            return None
        own |= {key: tuple(by_seed[str(seed)][key]) for key in ("mean", "std")}
    try:
        found = Preprocessing(**own)
    except TypeError as error:
        raise ValueError(str(error)) from None
    if not len(found.mean) == len(found.std) == found.channels:
        raise ValueError(f"mean and std must have {found.channels} values, one for each channel")
    return found
