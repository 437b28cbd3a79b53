"""Short names: `29-32x4d` and back. A name holds only what differs from the defaults and can be typed in a shell.

Grammar: depth "-" cardinality "x" bottleneck_width "d", then, in any order, "-w" width, "-k" kernel_size,
"-b" blocks per stage joined by dots, "-" template. `101-32x4d` is the ImageNet network; `101-32x4d-cifar` is not.
"""

import re
from dataclasses import fields

from explorer.design.architecture import Architecture
from explorer.design.template import TEMPLATES

_DEFAULTS = {field.name: field.default for field in fields(Architecture)}
_HEAD = re.compile(r"([1-9]\d{0,5})-([1-9]\d{0,8})x([1-9]\d{0,8})d")
_PARTS = {
    "width": re.compile(r"w([1-9]\d{0,8})"),
    "kernel_size": re.compile(r"k([1-9]\d{0,3})"),
    "blocks": re.compile(r"b([1-9]\d{0,4}(?:\.[1-9]\d{0,4})*)"),
    "template": re.compile(f"({'|'.join(TEMPLATES)})"),
}
_EXAMPLE = "expected a name like 29-32x4d, 50-1x64d or 29-32x4d-w64"


def short_name(architecture: Architecture) -> str:
    """The shortest name that parses back to the same architecture."""
    depth = architecture.depth
    name = f"{depth}-{paths_name(architecture)}"
    if architecture.width != _DEFAULTS["width"]:
        name += f"-w{architecture.width}"
    if architecture.kernel_size != _DEFAULTS["kernel_size"]:
        name += f"-k{architecture.kernel_size}"
    if architecture.depths != _usual_blocks(architecture.template, depth):
        name += "-b" + ".".join(map(str, architecture.depths))
    if architecture.template != _usual_template(depth):
        name += f"-{architecture.template}"
    return name


def paths_name(architecture: Architecture) -> str:
    """The part of the name that says how a block is split: `32x4d`."""
    return f"{architecture.cardinality}x{architecture.bottleneck_width}d"


def display_name(architecture: Architecture) -> str:
    """The name for people: `ResNeXt-29 (32x4d)`, and `ResNet-29 (1x64d)` at cardinality 1."""
    family = "ResNet" if architecture.cardinality == 1 else "ResNeXt"
    head, _, rest = short_name(architecture).partition("-")
    paths, *parts = rest.split("-")
    return f"{family}-{head} ({', '.join([paths, *parts])})"


def parse_name(name: str) -> Architecture:
    """The architecture a short name stands for. Raises ValueError saying which part cannot be read."""
    depth_text, _, _ = name.partition("-")
    head = "-".join(name.split("-")[:2])
    match = _HEAD.fullmatch(head)
    if match is None:
        raise ValueError(f"architecture {name!r}: {_EXAMPLE}")
    depth, cardinality, bottleneck_width = (int(text) for text in match.groups())
    parts = _parse_parts(name)
    template = parts.get("template", _usual_template(depth))
    if "blocks" in parts:
        depths = tuple(int(text) for text in parts["blocks"].split("."))
    else:
        depths = TEMPLATES[template].blocks_for_depth(depth)
    architecture = Architecture(
        depths=depths,
        cardinality=cardinality,
        bottleneck_width=bottleneck_width,
        template=template,
        **{axis: int(parts[axis]) for axis in ("width", "kernel_size") if axis in parts},
    )
    if architecture.depth != depth:
        raise ValueError(
            f"architecture {name!r}: blocks {parts['blocks']} make depth {architecture.depth}, not {depth_text}"
        )
    return architecture


def _parse_parts(name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in name.split("-")[2:]:
        kinds = [(kind, match) for kind, pattern in _PARTS.items() if (match := pattern.fullmatch(part))]
        if not kinds:
            raise ValueError(f"architecture {name!r}: part {part!r} is not understood; {_EXAMPLE}")
        kind, match = kinds[0]
        if kind in found:
            raise ValueError(f"architecture {name!r}: {kind} is given twice")
        found[kind] = match.group(1)
    return found


def _usual_template(depth: int) -> str:
    return "imagenet" if depth in TEMPLATES["imagenet"].depths else "cifar"


def _usual_blocks(template: str, depth: int) -> tuple[int, ...] | None:
    try:
        return TEMPLATES[template].blocks_for_depth(depth)
    except ValueError:
        return None
