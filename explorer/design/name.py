"""Short names such as `29-32x4d`: write and parse them. A name omits defaults and can be typed in a shell.

Grammar: depth "-" cardinality "x" bottleneck_width "d", then, in any order, "-w" width, "-k" kernel_size,
"-b" blocks per stage joined by dots, "-" block, "-plain" for no shortcuts, "-deep" stem, "-pool" or "-pad" of
projections, "-s" scale, attention as "-se16", "-" template. Cardinality and both widths
may be joined by dots too, stage by stage: `29-8x14.24.58d`. Without a template the depth decides: `101-32x4d` is the
ImageNet network, `101-32x4d-cifar` is not. Published names such as `resnext50_32x4d` and `wrn-28-10` are read as well,
and so are names as pages show them: `ResNeXt-29 (32x4d)`.
"""

import re
from dataclasses import fields
from typing import Any

from explorer.design.architecture import Architecture, PerStage
from explorer.design.block import BLOCKS
from explorer.design.published import of_ours, why_not
from explorer.design.shape_axes import OWN
from explorer.design.template import TEMPLATES

_DEFAULTS = {field.name: field.default for field in fields(Architecture)}
_NUMBERS = r"[1-9]\d{0,8}(?:\.[1-9]\d{0,8}){0,9}"
_HEAD = re.compile(rf"([1-9]\d{{0,5}})-({_NUMBERS})x({_NUMBERS})d")
_PARTS = {
    "width": re.compile(f"w({_NUMBERS})"),
    "kernel_size": re.compile(r"k([1-9]\d{0,3})"),
    "blocks": re.compile(r"b([1-9]\d{0,4}(?:\.[1-9]\d{0,4}){0,9})"),
    "shortcut": re.compile("(plain)"),
    **{axis.name: re.compile(f"{axis.letter}({axis.parts})") for axis in OWN if axis.parts},
    "template": re.compile(f"({'|'.join(TEMPLATES)})"),
}
_EXAMPLE = "expected a name like 29-32x4d, 50-1x64d or 29-32x4d-w64"
_OTHERS = "w64, k5, b3.4.6.3, plain, deep, pool, pad, s4, eca, se16 or semid4 with any ratio from 1 to 9999"
_KNOWN = "or one known from papers and libraries, such as resnet50, resnext50_32x4d, wrn-28-10 or regnetx_032"
# The equivalent forms of a bottleneck, by their letters in the ResNeXt paper's figure 3.
FORM_LETTERS = {"sum": "a", "concat": "b", "grouped": "c"}
_PREACT_BASIC = "Pre-activation basic ResNet"  # as in Wide ResNets, which have a template of their own
FORMED_BLOCKS = ("bottleneck", "preact")
# The family of a block, as people see it: a dash before a number begins the depth.
FAMILY = r"[A-Z](?:[A-Za-z0-9 ]|-(?=[A-Za-z]))*"
# As people write it: `resnet29_1x64d`, `ResNeXt-29 8x64`, `resnext-50 (32 x 4d)`.
_LOOSE = re.compile(
    r"res(?:net|next)[-_ ]?([1-9]\d{0,3})(?:[-_ ]+\(?|\() ?([1-9]\d{0,5}) ?x ?([1-9]\d{0,5})d? ?\)?", re.IGNORECASE
)
_SHOWN_PARTS = {
    "plain": "without shortcuts",
    "deep": "deep stem",
    "pool": "pooled projections",
    "pad": "padded shortcuts",
}
_DISPLAYED = re.compile(rf"({FAMILY}?)-([1-9]\d*)(?:-([1-9]\d*))? \(([^()]+)\)")
_DISPLAYED_FORM = re.compile(r"(.+), form \(([abc])\)")


def short_name(architecture: Architecture) -> str:
    """The shortest name that parses back to the same architecture."""
    depth = architecture.depth
    name = f"{depth}-{paths_name(architecture)}"
    for axis in OWN:
        if axis.letter and not axis.parts and (value := getattr(architecture, axis.name)) != _DEFAULTS[axis.name]:
            name += f"-{axis.letter}{_joined(value)}"
    if architecture.depths != _usual_blocks(architecture.template, depth, architecture.kind.layers):
        name += "-b" + ".".join(map(str, architecture.depths))
    if architecture.block != architecture.shape.block:
        name += f"-{architecture.block}"
    if not architecture.shortcut:
        name += "-plain"
    for axis in OWN:
        if axis.parts and (value := getattr(architecture, axis.name)) != _DEFAULTS[axis.name]:
            name += f"-{axis.letter}{value}"
    if architecture.template != _usual_template(depth):
        name += f"-{architecture.template}"
    return name


def is_part(text: str) -> bool:
    """Whether a part of a name with this text would be read as something other than an added block."""
    return text in BLOCKS or text in FORM_LETTERS or any(pattern.fullmatch(text) for pattern in _PARTS.values())


def has_forms(architecture: Architecture) -> bool:
    """Whether a network has three equivalent forms: bottlenecks whose paths are apart until they are added."""
    apart = architecture.scale == 1 and not architecture.attention.startswith("semid")
    return architecture.block in FORMED_BLOCKS and apart


def paths_name(architecture: Architecture) -> str:
    """The part of a name that gives paths and their width: `32x4d`."""
    return f"{_joined(architecture.cardinality)}x{_joined(architecture.bottleneck_width)}d"


def paths_in(name: str) -> str:
    """Number of paths in a short name, as text: `32` of `29-32x4d`; `1.2.4` if it differs by stage."""
    return name.partition("-")[2].partition("x")[0]


def display_name(architecture: Architecture, form: str = "grouped") -> str:
    """The name shown to people: `ResNeXt-29 (32x4d)`, `ResNet-29 (1x64d)`, `ResNeXt-29 (8x14d), form (a)`."""
    family = architecture.kind.family
    if architecture.cardinality == 1:
        family = family.replace("ResNeXt", "ResNet")
    if architecture.scale > 1:
        family = family.replace("ResNe", "Res2Ne")
    if architecture.block == "preact_basic" and architecture.template != "wide":
        family = _PREACT_BASIC
    head, _, rest = short_name(architecture).partition("-")
    paths, *parts = rest.split("-")
    parts = [part for part in parts if part not in BLOCKS]
    if architecture.template == "wide" and architecture.widths[0] % 16 == 0:
        head += f"-{architecture.widths[0] // 16}"
        parts = [part for part in parts if part not in ("wide", f"w{architecture.width}")]
    parts = [_SHOWN_PARTS.get(part, part) for part in parts]
    shown = f"{family}-{head} ({', '.join([paths, *parts])})"
    return shown if form == "grouped" else f"{shown}, form ({FORM_LETTERS[form]})"


def setting_name(architecture: Architecture, form: str = "grouped") -> str:
    """The name of a setting: the short name, and the form of its blocks where that is not the grouped one."""
    return short_name(architecture) + ("" if form == "grouped" else f"@{form}")


def parse_setting(name: str) -> tuple[Architecture, str]:
    """The architecture and the form of a setting: `29-8x14d@sum`. Raises ValueError as `parse_name` does."""
    if shown := _DISPLAYED_FORM.fullmatch(name):
        letters = {letter: form for form, letter in FORM_LETTERS.items()}
        return parse_name(shown[1]), letters[shown[2]]
    text, sign, form = name.partition("@")
    if sign and form not in FORM_LETTERS:
        raise ValueError(f"setting {name!r}: form {form!r} is unknown; allowed: {', '.join(FORM_LETTERS)}")
    return parse_name(text), form or "grouped"


def display_setting(name: str) -> str:
    """A setting's name as shown to people: `ResNeXt-29 (8x14d), form (a)`."""
    return display_name(*parse_setting(name))


def parse_name(name: str) -> Architecture:
    """The architecture of a short, displayed or published name.

    Raises ValueError that repeats the name as given and says which part cannot be read, or why a known network cannot
    be expressed here.
    """
    try:
        return _parsed(name)
    except ValueError as error:
        raise ValueError(f"architecture {name!r}: {error}") from None


def _parsed(name: str) -> Architecture:
    match = _head(name)
    if match is None:
        short = _short_for(name)
        match = _head(short)
        if match is None:  # a displayed name with too many digits in a number
            raise ValueError(f"{_EXAMPLE}, {_KNOWN}")
        name = short
    depth = int(match[1])
    parts = _parse_parts(name)
    template = parts.get("template", _usual_template(depth))
    block = parts.get("block", TEMPLATES[template].block)
    if "blocks" in parts:
        depths = tuple(int(text) for text in parts["blocks"].split("."))
    else:
        try:
            depths = TEMPLATES[template].blocks_for_depth(depth, BLOCKS[block].layers)
        except ValueError as error:
            if "template" in parts or BLOCKS[block].layers != TEMPLATES["imagenet"].layers:
                raise
            published = ", ".join(map(str, TEMPLATES["imagenet"].depths))
            raise ValueError(f"{error}; template imagenet has {published}") from None
    others: dict[str, Any] = {
        axis.name: int(parts[axis.name]) if axis.letter else parts[axis.name]
        for axis in OWN
        if axis.parts and axis.name in parts
    }
    architecture = Architecture(
        depths=depths,
        cardinality=_split(match[2]),
        bottleneck_width=_split(match[3]),
        width=_split(parts["width"]) if "width" in parts else 256,
        kernel_size=int(parts.get("kernel_size", 3)),
        template=template,
        block=block,
        shortcut="shortcut" not in parts,
        **others,
    )
    if architecture.depth != depth:
        raise ValueError(f"blocks {parts['blocks']} make depth {architecture.depth}, not {depth}")
    return architecture


def _head(name: str) -> re.Match[str] | None:
    return _HEAD.fullmatch("-".join(name.split("-")[:2]))


def _short_for(name: str) -> str:
    """The short name that corresponds to a displayed or published name, or to another spelling of a short name."""
    text = name.strip().replace("\N{MULTIPLICATION SIGN}", "x")  # as papers print it
    if _head(text.lower()):
        return text.lower()
    if (shown := _DISPLAYED.fullmatch(text)) and (found := _of_display(*shown.groups())):
        return found
    if found := of_ours(name):
        return found
    if loose := _LOOSE.fullmatch(text):
        return f"{loose[1]}-{loose[2]}x{loose[3]}d"
    reason, near = why_not(name)
    if not reason:
        raise ValueError(f"{_EXAMPLE}, {_KNOWN}")
    raise ValueError(reason + (f"; near: {short_name(parse_name(near))}" if near and _is_readable(near) else ""))


def _of_display(family: str, depth: str, factor: str | None, listed: str) -> str | None:
    """The short name that corresponds to a displayed one; None for an unknown family."""
    families = {
        shown.casefold(): name
        for name, kind in BLOCKS.items()
        for before in (kind.family, kind.family.replace("ResNeXt", "ResNet"))
        for shown in (before, before.replace("ResNe", "Res2Ne"))
    } | {_PREACT_BASIC.casefold(): "preact_basic"}
    block = families.get(family.casefold())
    typed = {shown: part for part, shown in _SHOWN_PARTS.items()}
    parts = [typed.get(part, part) for part in listed.split(", ")]
    if block is None or not re.fullmatch(f"{_NUMBERS}x{_NUMBERS}d", parts[0]):
        return None
    if factor is not None:
        parts += [] if any(_PARTS["width"].fullmatch(part) for part in parts) else [f"w{16 * int(factor)}"]
        parts.append("wide")
    if block == "alexnet" and not any(_PARTS["template"].fullmatch(part) for part in parts):
        parts.append("alexnet")
    return "-".join([depth, *parts, *([] if block == "alexnet" else [block])])


def _is_readable(name: str) -> bool:
    try:
        parse_name(name)
    except ValueError:
        return False
    return True


def _parse_parts(name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in name.split("-")[2:]:
        kinds = [(kind, match[1]) for kind, pattern in _PARTS.items() if (match := pattern.fullmatch(part))]
        kinds += [("block", part)] if part in BLOCKS and not kinds else []
        if not kinds:
            raise ValueError(
                f"part {part!r} is not understood; {_EXAMPLE}; blocks: {', '.join(BLOCKS)}; templates: "
                f"{', '.join(TEMPLATES)}; others: {_OTHERS}"
            )
        kind, value = kinds[0]
        if kind in found:
            raise ValueError(f"{kind} is given twice")
        found[kind] = value
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
