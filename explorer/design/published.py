"""Published names of networks and their short names here, and why some published networks have none.

Common spellings are accepted: `ResNeXt-50 (32x4d)`, `resnext50_32x4d` and timm's `resnext50_32x4d.a1_in1k` are one
network. A name is accepted only if the network is the same to the last parameter.
"""

import re
from collections.abc import Callable

# RegNetX by the tenths of its 10^8 multiply-adds: the lines of the RegNet paper's table of models (w_0, w_a, w_m, depth
# and group width), quantised and made compatible as in its appendix D; `tests/design/test_name.py` holds them to those.
REGNETX = {
    "002": "41-3.7.19.46x8.8.8.8d-w24.56.152.368-b1.1.4.7-regnet",
    "004": "68-2.4.10.24x16.16.16.16d-w32.64.160.384-b1.2.7.12-regnet",
    "006": "50-2.4.10.22x24.24.24.24d-w48.96.240.528-b1.3.5.7-regnet",
    "008": "50-4.8.18.42x16.16.16.16d-w64.128.288.672-b1.3.7.5-regnet",
    "016": "56-3.7.17.38x24.24.24.24d-w72.168.408.912-b2.4.10.2-regnet",
    "032": "77-2.4.9.21x48.48.48.48d-w96.192.432.1008-b2.6.15.2-regnet",
    "040": "71-2.6.14.34x40.40.40.40d-w80.240.560.1360-b2.5.14.2-regnet",
    "064": "53-3.7.14.29x56.56.56.56d-w168.392.784.1624-b2.4.10.1-regnet",
    "080": "71-1.2.6.16x80.120.120.120d-w80.240.720.1920-b2.5.15.1-regnet",
    "120": "59-2.4.8.20x112.112.112.112d-w224.448.896.2240-b2.5.11.1-regnet",
    "160": "68-2.4.7.16x128.128.128.128d-w256.512.896.2048-b2.6.13.1-regnet",
    "320": "71-2.4.8.15x168.168.168.168d-w336.672.1344.2520-b2.7.13.1-regnet",
}
# torchvision rounds half up and the paper's code half to even, which makes one of the twelve networks different.
REGNETX_400MF_OF_TORCHVISION = "68-2.4.10.25x16.16.16.16d-w32.64.160.400-b1.2.7.12-regnet"

_RESNETS = {
    "18": "18-1x64d-w64-imagenet_basic",
    "34": "34-1x64d-w64-imagenet_basic",
    "26": "26-1x64d-b2.2.2.2-imagenet",
    "50": "50-1x64d",
    "101": "101-1x64d",
    "152": "152-1x64d",
    "200": "200-1x64d",
    "164": "164-1x16d-w64",
}
# As in the code of He et al., 2016 (fb.resnet.torch): the stem's batch norm is the first block's first one.
_PRERESNETS = {
    "18": "18-1x64d-w64-preact_basic-imagenet_basic",
    "34": "34-1x64d-w64-preact_basic-imagenet_basic",
    "50": "50-1x64d-preact",
    "101": "101-1x64d-preact",
    "152": "152-1x64d-preact",
    "200": "200-1x64d-preact",
    "164": "164-1x16d-w64-preact",
    "1001": "1001-1x16d-w64-preact",
}
_OF_IMAGENET = ("50", "101", "152", "200")
# He et al., 2015, section 4.2, for CIFAR-10; their depth leaves out what the template `wide` counts.
_OF_CIFAR = ("20", "32", "44", "56", "110", "1202")


def _wide(depth: str, factor: str) -> str:
    if depth in _OF_IMAGENET:
        return f"{depth}-1x{64 * int(factor)}d"
    return f"{depth}-1x{16 * int(factor)}d-w{16 * int(factor)}-wide"


def _regnetx(number: str, unit: str) -> str | None:
    """The short name of a RegNetX by its size, as pycls and torchvision write it: `3.2GF`, `3_2gf`, `400MF`."""
    tenths = float(number.replace("_", ".")) * (10 if unit == "gf" else 0.01)
    return REGNETX.get(f"{round(tenths):03d}") if tenths == round(tenths) else None


# Keras, gluon and slim use versions for networks that differ from the usual ones; v1.5 and v1b are the usual ones.
_VERSION_1_5 = r"v1(?:[._-]5|b)"


_N, _SEP = r"([1-9]\d{0,3})", r"[-_ ]?"
_PRE = rf"pre{_SEP}(?:act(?:ivation)?{_SEP})?resnet{_SEP}"
_PATHS = r"\(?([1-9]\d{0,3}x[1-9]\d{0,3})d\)?"
_ALEXNET = "8-2x48d-alexnet"
_ALEXNET_OF_TORCHVISION = "torchvision's alexnet (61,100,840 parameters) has one group"
# Patterns of names in lower case, and functions that give the short name; None if there is none.
_PATTERNS: tuple[tuple[str, Callable[..., str | None]], ...] = (
    (rf"resnext{_SEP}{_N}[-_, ]+{_PATHS}", lambda depth, paths: f"{depth}-{paths}d"),
    (rf"resnet{_SEP}{_N}(?:{_SEP}{_VERSION_1_5})?", _RESNETS.get),
    (rf"resnet{_SEP}(18|34){_SEP}v1", _RESNETS.get),  # versions differ in a 1x1 convolution; these have none
    (rf"{_PRE}{_N}", _PRERESNETS.get),
    (rf"(?:wrn|wide{_SEP}resnet){_SEP}{_N}[-_x ]{_N}", _wide),
    (r"regnet_x_400mf|regnetx_004_tv", lambda: REGNETX_400MF_OF_TORCHVISION),
    (r"regnetx_(\d{3})", REGNETX.get),
    (rf"regnet{_SEP}x{_SEP}(\d{{1,3}}(?:[._]\d)?){_SEP}(gf|mf)", _regnetx),
    (r"alexnet", lambda: _ALEXNET),
)
# Suffixes and prefixes of timm and the hub that say where weights come from, not which network it is.
_ORIGIN = re.compile(
    r"^(?:(?:hf[-_]hub:)?timm[/.]|microsoft/|(?:pytorch/vision(?::v[\d.]+)?|torchvision)[/.:](?:models\.)?)?(?:tv_|gluon_|ig_|ssl_|swsl_)?|(?:_v1b|_wsl|_ssl|_swsl)?(?:\.[a-z]\w*)?$"
)
_OF_ATTENTION = "(?:se|eca|gc|sk|cbam|bam|ge|lambda|bat|coord)"
_ATTENTION = "squeeze-and-excitation or another attention, which no block here has"
_VERSION_1 = "its strides in other convolutions, or biases in them (Keras, gluon, slim), which no block here has"
_VERSION_2 = "pooling before its first batch norm, or another beginning or biases (Keras, gluon), which none here has"
_OF_OTHERS = (
    "densenet|vgg|mobilenet|efficientnet|convnext|vit|deit|beit|swin|googlenet|inception|xception|shufflenet|squeezenet"
    "|mnasnet|nasnet|darknet|cspdarknet|dpn|nf_?net|dla|hrnet|ghostnet|maxvit|lenet"
)
_STEM = "another stem, or average pooling in its shortcuts (ResNet-C, -D and their kin), which no template here has"
# Patterns of similar published networks that do not exist here, with the reason and a template for the nearest name.
_OTHERS: tuple[tuple[str, str, str], ...] = (
    (rf"(?:legacy_)?{_OF_ATTENTION}{_SEP}(resne(?:xt|t){_SEP}\d+)[a-z]*?([-_]\d+x\d+d)?", _ATTENTION, "{}{}"),
    (r"sk[-_]?net[-_]?(\d+)", _ATTENTION, "resnext{}_32x4d"),
    (r"se[-_]?net[-_]?154", _ATTENTION, "resnext152_64x4d"),
    (r"se[-_]?net[-_]?(\d+)", _ATTENTION, "resnet{}"),
    (rf"resnet{_SEP}rs{_SEP}(\d+)", f"{_ATTENTION}, and another stem", "resnet{}"),
    (rf"(resnet{_SEP}\d+){_SEP}v1", _VERSION_1, "{}"),
    (r"resnet[-_]?v1[-_](\d+)", _VERSION_1, "resnet{}"),
    (rf"resnet{_SEP}(\d+){_SEP}v2", _VERSION_2, "preresnet{}"),
    (r"resnet[-_]?v2[-_](\d+)(?:x\d+)?(?:[a-z_]\w*)?", _VERSION_2, "preresnet{}"),
    (rf"(resnet{_SEP}\d+)[-_]gn", "group norms, and every block here has batch norms", "{}"),
    (r"resnet(?:aa|blur)(\d+)[a-z]*", "blurred pooling, which no template here has", "resnet{}"),
    (r"(regnet[-_]?)y(.*)", _ATTENTION, "{}x{}"),
    (rf"(resne(?:xt|t){_SEP}\d+){_SEP}(?:[cdst]|ts|v1[cds])([-_ ]\d+x\d+d)?", _STEM, "{}{}"),
    (r"resnest\w*", "attention among its paths, which no block here has", ""),
    (r"res2ne[tx]\w*", "paths that feed each other, which no block here has", ""),
    (rf"(?:{_OF_OTHERS})(?:[-_ v]?\d.*|[-_].*)?", "blocks of another kind than those here", ""),
)


def of_ours(name: str) -> str | None:
    """The short name of the network with a published name; None if it does not exist here."""
    text = _plain(name)
    if text == "alexnet" and text != name.strip().lower():  # a library's, so torchvision's other network
        return None
    for pattern, short in _PATTERNS:
        if match := re.fullmatch(pattern, text):
            return short(*match.groups())
    return None


def why_not(name: str) -> tuple[str, str | None]:
    """Why a published network does not exist here ("" for an unknown name), and the short name of a similar one."""
    text = _plain(name)
    if text == "alexnet":
        return f"{_ALEXNET_OF_TORCHVISION} and other widths, which the template here has not", _ALEXNET
    if (match := re.fullmatch(rf"resnet{_SEP}{_N}", text)) and match[1] in _OF_CIFAR:
        return "its shortcuts have no weights; here they are projections", f"{int(match[1]) + 2}-1x16d-w16-basic-wide"
    if (match := re.fullmatch(rf"{_PRE}{_N}", text)) and match[1] in _OF_CIFAR:
        return "its shortcuts have no weights; here they are projections", f"{int(match[1]) + 2}-1x16d-w16-wide"
    if match := re.fullmatch(rf"resnext{_SEP}{_N}", text):
        return "it does not say how many paths of which width", f"{match[1]}-32x4d"
    for pattern, known in ((rf"resnet{_SEP}{_N}", _RESNETS), (rf"{_PRE}{_N}", _PRERESNETS)):
        if re.fullmatch(pattern, text):
            return f"no network of that kind has this depth; known: {', '.join(sorted(known, key=int))}", None
    for pattern, reason, near in _OTHERS:
        if match := re.fullmatch(pattern, text):
            return f"it has {reason}", of_ours(near.format(*(part or "" for part in match.groups())))
    return "", None


def namesake(name: str) -> str:
    """A sentence on another network that is known by the same name; empty if there is none."""
    if of_ours(name) != _ALEXNET:
        return ""
    return f"This is the paper's network, of two groups; {_ALEXNET_OF_TORCHVISION}, other widths, and is another."


def _plain(name: str) -> str:
    return _ORIGIN.sub("", name.strip().lower().replace("\N{MULTIPLICATION SIGN}", "x"))
