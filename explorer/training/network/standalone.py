"""What an exported network needs to be used: from a file to its pixels, from the pixels to names and probabilities.

`explorer export NAME` writes the source of these functions into `model.py`, beside the classes of the network and the
values of the names below, so they need torch alone, and pillow where an image is a file. `pixels_of` gives the bits
that `explorer.training.images.decode` gives; `proof.py` compares them.
"""

# ruff: noqa: F821, T201 - the names without values have them in `model.py`, which prints as a program does

import functools
import hashlib
import io
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

CLASSES: tuple[str, ...]
MEAN: tuple[float, ...]
STD: tuple[float, ...]
BRIGHTEST: int
CHANNELS: int
IMAGE_SIZE: int
RESIZE: int | None
WEIGHTS: str
network: Callable[[], nn.Module]


@functools.lru_cache(maxsize=1)
def trained() -> nn.Module:
    """The network with its trained weights, in evaluation mode; made once."""
    model = network()
    model.load_state_dict(read_weights(Path(__file__).with_name("weights.safetensors")))
    return model.eval()


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file: eight bytes with the length of a JSON header, the header, the numbers.

    Nothing is unpickled. Raises ValueError for a file that is not the one written with this module.
    """
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != WEIGHTS:
        raise ValueError(f"{path}: is not the file that was written with this module, or was changed or cut short")
    start = 8 + int.from_bytes(data[:8], "little")
    kinds, found = {"F32": torch.float32, "I64": torch.int64, "BOOL": torch.bool, "U8": torch.uint8}, {}
    kinds |= {"F64": torch.float64, "F16": torch.float16, "BF16": torch.bfloat16}
    kinds |= {"I32": torch.int32, "I16": torch.int16, "I8": torch.int8}
    for key, entry in json.loads(data[8:start]).items():
        if key != "__metadata__":
            first, last = entry["data_offsets"]
            numbers = bytearray(data[start + first : start + last])
            found[key] = torch.frombuffer(numbers, dtype=kinds[entry["dtype"]]).view(entry["shape"])
    return found


def predict(image: Any) -> list[tuple[str, float]]:
    """Class names with their probabilities, the most probable first; `image` as in `pixels_of`."""
    with torch.inference_mode():
        shares = trained()(preprocess(image)).softmax(dim=1)[0].tolist()
    return sorted(zip(CLASSES, shares, strict=True), key=lambda one: -one[1])


def preprocess(image: Any) -> Tensor:
    """An image as the network takes it: float32 `(1, CHANNELS, IMAGE_SIZE, IMAGE_SIZE)`; `image` as in `pixels_of`."""
    return normalised(pixels_of(image)[None])


def normalised(pixels: Tensor) -> Tensor:
    """A batch of pixels `(batch, CHANNELS, IMAGE_SIZE, IMAGE_SIZE)` as training normalised them, in float32."""
    mean, std = (torch.tensor(numbers, device=pixels.device).view(1, -1, 1, 1) for numbers in (MEAN, STD))
    return (pixels.float() - mean) / std


def pixels_of(image: Any) -> Tensor:
    """An image as bytes `(CHANNELS, IMAGE_SIZE, IMAGE_SIZE)`, values 0 to BRIGHTEST.

    `image` is the path of a file, the file's bytes, or an image of pillow; or a tensor that has this shape and these
    values already. Raises ValueError for anything else, and for an image that training would not have taken; OSError,
    FileNotFoundError among them, for a file that cannot be read. Both name the file.
    """
    if isinstance(image, Tensor):
        return _checked(image)
    if not isinstance(image, (str, Path)):
        return _pixels(image)
    data = Path(image).read_bytes()
    try:
        return _pixels(data)
    except ValueError as error:
        raise ValueError(f"{image}: {error}") from None


def _pixels(image: Any) -> Tensor:
    """The pixels of a file's bytes, or of an image of pillow. Raises ValueError for what is none."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    if isinstance(image, bytes):
        formats = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
        try:
            opened: Image.Image = Image.open(io.BytesIO(image), formats=formats)
            if opened.width * opened.height > (2**25 if opened.format == "WEBP" else 2**26):
                raise ValueError(f"{opened.width}x{opened.height} pixels, more than an image should have")
            wide = opened.mode == "I" and opened.format not in ("PNG", "PPM")
            opened.load()
        except UnidentifiedImageError:
            raise ValueError("not an image") from None
        except ValueError:
            raise
        except Exception as error:  # noqa: BLE001 - the readers of the formats raise any type
            raise ValueError(str(error) or type(error).__name__) from None
    elif isinstance(image, Image.Image):
        opened, wide = image.copy(), False
    else:
        raise ValueError(f"{type(image).__name__}: allowed are a path, a file's bytes, a pillow image, a tensor")
    if wide or opened.mode == "F":
        raise ValueError("pixels of 32 bits, allowed 8 or 16")
    with suppress(Exception):  # damaged EXIF data does not make the pixels unusable
        ImageOps.exif_transpose(opened, in_place=True)
    width, height = opened.size
    if RESIZE is None and (width, height) != (IMAGE_SIZE, IMAGE_SIZE):
        raise ValueError(f"{width}x{height} pixels, needed {IMAGE_SIZE}x{IMAGE_SIZE}")
    if RESIZE is not None and RESIZE**2 * max(width, height) > 2**26 * min(width, height):
        raise ValueError(f"{width}x{height} pixels, too thin to be resized to {RESIZE}")
    if opened.mode.startswith("I"):  # 16 bits of grey
        deep = torch.frombuffer(bytearray(opened.convert("I").tobytes()), dtype=torch.int32)
        shades = bytearray(len(deep))
        room = torch.frombuffer(shades, dtype=torch.uint8)
        for start in range(0, len(deep), 2**20):  # some at once: floats take eight bytes each
            part = slice(start, start + 2**20)
            room[part] = (deep[part].double() / 257).clamp(0, 255).round().to(torch.uint8)
        opened = Image.frombytes("L", (width, height), bytes(shades))
    if opened.has_transparency_data:
        layer = opened.convert("RGBA")
        opened = Image.new("RGB", layer.size, "white")
        opened.paste(layer, mask=layer.getchannel("A"))
    opened = opened.convert("L" if CHANNELS == 1 else "RGB")
    if RESIZE is not None:  # the shorter side, then the middle
        scale = RESIZE / min(width, height)
        width, height = max(IMAGE_SIZE, round(width * scale)), max(IMAGE_SIZE, round(height * scale))
        opened = opened.resize((width, height), Image.Resampling.BILINEAR)
        left, top = (width - IMAGE_SIZE) // 2, (height - IMAGE_SIZE) // 2
        opened = opened.crop((left, top, left + IMAGE_SIZE, top + IMAGE_SIZE))
    flat = torch.frombuffer(bytearray(opened.tobytes()), dtype=torch.uint8)
    found = flat.view(IMAGE_SIZE, IMAGE_SIZE, CHANNELS).permute(2, 0, 1).contiguous()
    # Files have values to 255, whatever those of the training images were.
    return found if BRIGHTEST == 255 else (found.int() * BRIGHTEST / 255).round().to(torch.uint8)


def _checked(image: Tensor) -> Tensor:
    """A tensor with the shape and the values that training had. Raises ValueError for another one."""
    whole = f"needed are whole numbers from 0 to {BRIGHTEST}"
    if tuple(image.shape) != (CHANNELS, IMAGE_SIZE, IMAGE_SIZE):
        raise ValueError(f"shape {tuple(image.shape)}, needed {(CHANNELS, IMAGE_SIZE, IMAGE_SIZE)}")
    if image.dtype == torch.bool or image.is_complex() or image.is_quantized:
        raise ValueError(f"values of {image.dtype}, {whole}")
    numbers = image.double()
    low, high = float(numbers.min()), float(numbers.max())
    has = f"values from {low:g} to {high:g}"
    if not (low >= 0 and high <= BRIGHTEST):
        raise ValueError(f"{has}, {whole}")
    if image.is_floating_point():
        if 0 < high <= 1:  # a picture of 0 and 1 too: of bytes it would be all but black
            raise ValueError(
                f"{has}, {whole}: multiply by {BRIGHTEST} and round, or give torch.uint8 if these are bytes"
            )
        if bool((numbers != numbers.round()).any()):
            raise ValueError(f"{has} that are not whole, {whole}; undo what was done to the pixels before")
    return image


def images_in(folder: Path) -> list[Path]:
    """The files of a folder, and of folders within it, that are called as images are; none that is hidden."""
    endings = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
    endings |= {".ppm", ".pgm", ".pbm", ".pnm"}
    found = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in endings and path.is_file())
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def main(arguments: list[str]) -> int:
    """Classify image files, and those of folders: for each a line with its three most probable classes.

    Returns 1 if one cannot be read or a folder has none, and 2 if nothing was named.
    """
    usage = "python model.py IMAGE_OR_FOLDER...: the three most probable classes of each image"
    if not arguments or {"-h", "--help"} & {*arguments}:
        print(usage, file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    failed = 0
    for argument in arguments:
        paths = images_in(Path(argument)) if Path(argument).is_dir() else [Path(argument)]
        if not paths:
            print(f"{argument}: holds no file that is called as images are", file=sys.stderr)
            failed = 1
        for path in paths:
            try:
                found = predict(path)
            except OSError as error:
                print(f"{path}: {error.strerror}", file=sys.stderr)
                failed = 1
            except ValueError as error:
                print(error, file=sys.stderr)
                failed = 1
            else:
                shown = (f"{json.dumps(name, ensure_ascii=False)} {100 * share:.1f} %" for name, share in found[:3])
                print(path, *shown)
    return failed
