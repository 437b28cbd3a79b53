"""Short names: `29-32x4d` and back. A name holds only what differs from the defaults and can be typed in a shell.

Grammar: depth "-" cardinality "x" bottleneck_width "d", then, in any order, "-w" width, "-k" kernel_size,
"-b" blocks per stage joined by dots, "-" block, "-plain" for no shortcuts, "-" template. Cardinality and both widths
may be joined by dots too, stage by stage: `29-8x14.24.58d`. `101-32x4d` is the ImageNet network; `101-32x4d-cifar` is
not. Names under which networks are known, such as `resnext50_32x4d` and `wrn-28-10`, are read as well.
"""

import re
from dataclasses import fields

from explorer.design.architecture import Architecture, PerStage
from explorer.design.block import BLOCKS
from explorer.design.template import TEMPLATES

_DEFAULTS = {field.name: field.default for field in fields(Architecture)}
_NUMBERS = r"[1-9]\d{0,8}(?:\.[1-9]\d{0,8}){0,9}"
_HEAD = re.compile(rf"([1-9]\d{{0,5}})-({_NUMBERS})x({_NUMBERS})d")
_PARTS = {
    "width": re.compile(f"w({_NUMBERS})"),
    "kernel_size": re.compile(r"k([1-9]\d{0,3})"),
    "blocks": re.compile(r"b([1-9]\d{0,4}(?:\.[1-9]\d{0,4}){0,9})"),
    "shortcut": re.compile("(plain)"),
    "template": re.compile(f"({'|'.join(TEMPLATES)})"),
    "block": re.compile(f"({'|'.join(BLOCKS)})"),
}
_EXAMPLE = "expected a name like 29-32x4d, 50-1x64d or 29-32x4d-w64"

# Names that papers and libraries use, where the network is one of ours to the last parameter.
PUBLISHED = {
    "resnet18": "18-1x64d-w64-imagenet_basic",
    "resnet34": "34-1x64d-w64-imagenet_basic",
    "resnet50": "50-1x64d",
    "resnet101": "101-1x64d",
    "resnet152": "152-1x64d",
    "resnext50_32x4d": "50-32x4d",
    "resnext101_32x4d": "101-32x4d",
    "resnext101_32x8d": "101-32x8d",
    "resnext101_64x4d": "101-64x4d",
    "wide_resnet50_2": "50-1x128d",
    "wide_resnet101_2": "101-1x128d",
    "preresnet200": "200-1x64d-preact",
    "alexnet": "8-2x48d-alexnet",
}
# The equivalent forms of a bottleneck, by their letters in the ResNeXt paper's figure 3.
FORM_LETTERS = {"sum": "a", "concat": "b", "grouped": "c"}
FORMED_BLOCKS = ("bottleneck", "preact")
_WIDE_RESNET = re.compile(r"wrn-([1-9]\d{0,3})-([1-9]\d{0,2})")


def short_name(architecture: Architecture) -> str:
    """The shortest name that parses back to the same architecture."""
    depth = architecture.depth
    name = f"{depth}-{paths_name(architecture)}"
    if architecture.width != _DEFAULTS["width"]:
        name += f"-w{_joined(architecture.width)}"
    if architecture.kernel_size != _DEFAULTS["kernel_size"]:
        name += f"-k{architecture.kernel_size}"
    if architecture.depths != _usual_blocks(architecture.template, depth, architecture.kind.layers):
        name += "-b" + ".".join(map(str, architecture.depths))
    if architecture.block != architecture.shape.block:
        name += f"-{architecture.block}"
    if not architecture.shortcut:
        name += "-plain"
    if architecture.template != _usual_template(depth):
        name += f"-{architecture.template}"
    return name


def paths_name(architecture: Architecture) -> str:
    """The part of the name that says how a block is split: `32x4d`."""
    return f"{_joined(architecture.cardinality)}x{_joined(architecture.bottleneck_width)}d"


def display_name(architecture: Architecture) -> str:
    """The name for people: `ResNeXt-29 (32x4d)`, `ResNet-29 (1x64d)` at cardinality 1, `Wide ResNet-28-10 (1x160d)`."""
    family = architecture.kind.family
    if architecture.cardinality == 1:
        family = family.replace("ResNeXt", "ResNet")
    head, _, rest = short_name(architecture).partition("-")
    paths, *parts = rest.split("-")
    parts = [part for part in parts if part not in BLOCKS]
    if architecture.template == "wide" and architecture.widths[0] % 16 == 0:
        head += f"-{architecture.widths[0] // 16}"
        parts = [part for part in parts if part not in ("wide", f"w{architecture.width}")]
    parts = ["without shortcuts" if part == "plain" else part for part in parts]
    return f"{family}-{head} ({', '.join([paths, *parts])})"


def setting_name(architecture: Architecture, form: str = "grouped") -> str:
    """The name of a setting: the short name, and the form of its blocks where that is not the grouped one."""
    return short_name(architecture) + ("" if form == "grouped" else f"@{form}")


def parse_setting(name: str) -> tuple[Architecture, str]:
    """The architecture and the form of a setting: `29-8x14d@sum`. Raises ValueError as `parse_name` does."""
    text, sign, form = name.partition("@")
    if sign and form not in FORM_LETTERS:
        raise ValueError(f"setting {name!r}: form {form!r} is unknown; allowed: {', '.join(FORM_LETTERS)}")
    return parse_name(text), form or "grouped"


def display_setting(name: str) -> str:
    """A setting's name for people: `ResNeXt-29 (8x14d), form (a)`."""
    architecture, form = parse_setting(name)
    return display_name(architecture) + ("" if form == "grouped" else f", form ({FORM_LETTERS[form]})")


def parse_name(name: str) -> Architecture:
    """The architecture a short or published name stands for. Raises ValueError saying which part cannot be read."""
    if wide := _WIDE_RESNET.fullmatch(name):
        depth, factor = int(wide[1]), int(wide[2])
        return parse_name(f"{depth}-1x{16 * factor}d-w{16 * factor}-wide")
    name = PUBLISHED.get(name, name)
    head = "-".join(name.split("-")[:2])
    match = _HEAD.fullmatch(head)
    if match is None:
        raise ValueError(f"architecture {name!r}: {_EXAMPLE}")
    depth = int(match[1])
    parts = _parse_parts(name)
    template = parts.get("template", _usual_template(depth))
    block = parts.get("block", TEMPLATES[template].block)
    if "blocks" in parts:
        depths = tuple(int(text) for text in parts["blocks"].split("."))
    else:
        depths = TEMPLATES[template].blocks_for_depth(depth, BLOCKS[block].layers)
    architecture = Architecture(
        depths=depths,
        cardinality=_split(match[2]),
        bottleneck_width=_split(match[3]),
        width=_split(parts["width"]) if "width" in parts else 256,
        kernel_size=int(parts.get("kernel_size", 3)),
        template=template,
        block=block,
        shortcut="shortcut" not in parts,
    )
    if architecture.depth != depth:
        raise ValueError(
            f"architecture {name!r}: blocks {parts['blocks']} make depth {architecture.depth}, not {depth}"
        )
    return architecture


def _parse_parts(name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in name.split("-")[2:]:
        kinds = [(kind, match) for kind, pattern in _PARTS.items() if (match := pattern.fullmatch(part))]
        if not kinds:
            raise ValueError(
                f"architecture {name!r}: part {part!r} is not understood; {_EXAMPLE}; "
                f"blocks: {', '.join(BLOCKS)}; templates: {', '.join(TEMPLATES)}"
            )
        kind, match = kinds[0]
        if kind in found:
            raise ValueError(f"architecture {name!r}: {kind} is given twice")
        found[kind] = match.group(1)
    return found


def _joined(value: PerStage) -> str:
    return str(value) if isinstance(value, int) else ".".join(map(str, value))


def _split(text: str) -> PerStage:
    values = tuple(int(part) for part in text.split("."))
    return values[0] if len(values) == 1 else values


def _usual_template(depth: int) -> str:
    return "imagenet" if depth in TEMPLATES["imagenet"].depths else "cifar"


def _usual_blocks(template: str, depth: int, layers: int) -> tuple[int, ...] | None:
    try:
        return TEMPLATES[template].blocks_for_depth(depth, layers)
    except ValueError:
        return None
