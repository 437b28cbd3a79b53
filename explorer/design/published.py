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
# RegNetY, in the same way: squeeze-and-excitation behind the 3x3, by a quarter of the channels that enter a block.
REGNETY = {
    "002": "41-3.7.19.46x8.8.8.8d-w24.56.152.368-b1.1.4.7-semid4-regnet",
    "004": "50-6.13.26.55x8.8.8.8d-w48.104.208.440-b1.3.6.6-semid4-regnet",
    "006": "47-3.7.16.38x16.16.16.16d-w48.112.256.608-b1.3.7.4-semid4-regnet",
    "008": "44-4.8.20.48x16.16.16.16d-w64.128.320.768-b1.3.8.2-semid4-regnet",
    "016": "83-2.5.14.37x24.24.24.24d-w48.120.336.888-b2.6.17.2-semid4-regnet",
    "032": "65-3.9.24.63x24.24.24.24d-w72.216.576.1512-b2.5.13.1-semid4-regnet",
    "040": "68-2.3.8.17x64.64.64.64d-w128.192.512.1088-b2.6.12.2-semid4-regnet",
    "064": "77-2.4.8.18x72.72.72.72d-w144.288.576.1296-b2.7.14.2-semid4-regnet",
    "080": "53-3.8.16.36x56.56.56.56d-w168.448.896.2016-b2.4.10.1-semid4-regnet",
    "120": "59-2.4.8.20x112.112.112.112d-w224.448.896.2240-b2.5.11.1-semid4-regnet",
    "160": "56-2.4.11.27x112.112.112.112d-w224.448.1232.3024-b2.4.11.1-semid4-regnet",
    "320": "62-1.3.6.16x232.232.232.232d-w232.696.1392.3712-b2.5.12.1-semid4-regnet",
}
# torchvision's own, by its names: two that its rounding makes different, and one of its own size.
REGNETY_OF_TORCHVISION = {
    "800mf": "44-4.9.20.49x16.16.16.16d-w64.144.320.784-b1.3.8.2-semid4-regnet",
    "8gf": "53-4.8.16.36x56.56.56.56d-w224.448.896.2016-b2.4.10.1-semid4-regnet",
    "128gf": "83-2.4.11.28x264.264.264.264d-w528.1056.2904.7392-b2.7.17.1-semid4-regnet",
}

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
# He et al., 2015, section 4.2, for CIFAR-10. With projections where widths differ, as libraries have them.
_OF_CIFAR = ("20", "32", "44", "56", "110", "1202")
_CIFAR_RESNETS = {depth: f"{depth}-1x16d-w16-cifar_basic" for depth in _OF_CIFAR}
_CIFAR_PRERESNETS = {depth: f"{depth}-1x16d-w16-preact_basic-cifar_basic" for depth in _OF_CIFAR}
_EVERY_RESNET = _RESNETS | _CIFAR_RESNETS
_EVERY_PRERESNET = _PRERESNETS | _CIFAR_PRERESNETS


def _wide(depth: str, factor: str) -> str:
    if depth in _OF_IMAGENET:
        return f"{depth}-1x{64 * int(factor)}d"
    return f"{depth}-1x{16 * int(factor)}d-w{16 * int(factor)}-wide"


def _regnet(kind: str, number: str, unit: str) -> str | None:
    """The short name of a RegNet by its size, as pycls and torchvision write it: `3.2GF`, `3_2gf`, `400MF`."""
    tenths = float(number.replace("_", ".")) * (10 if unit == "gf" else 0.01)
    known = REGNETX if kind == "x" else REGNETY
    return known.get(f"{round(tenths):03d}") if tenths == round(tenths) else None


def _resnext(depth: str, paths: str) -> str:
    return f"{depth}-{paths}d" + ("-b2.2.2.2-imagenet" if depth == "26" else "")


# A letter after the depth, as libraries write it, and the parts of ResNet-C and ResNet-D.
_LETTERS = {"c": "-deep", "d": "-deep-pool", "v1c": "-deep", "v1d": "-deep-pool", "vc": "-deep", "vd": "-deep-pool"}
_OF_LETTERS = "|".join(_LETTERS)


def _descendant(attention: str | None, depth: str, letter: str | None, paths: str | None) -> str | None:
    """A ResNet or ResNeXt with attention, with the stem and shortcuts of ResNet-C or -D, or with both."""
    if not attention and not letter:
        return None
    if paths is None and depth not in ("18", "26", "34", *_OF_IMAGENET):
        return None
    base = _RESNETS[depth] if paths is None else _resnext(depth, paths)
    legacy = (attention or "").startswith("legacy")
    if attention == "eca" and letter != "d":  # whose authors set its kernels by hand
        return None
    # Libraries squeeze the 64 channels of a basic block to 4 or to 8, and some bottlenecks have strides elsewhere.
    if attention not in (None, "eca") and paths is None and (depth in ("18", "34")) != legacy:
        return None
    return base + _LETTERS.get(letter or "", "") + {None: "", "eca": "-eca"}.get(attention, "-se16")


# Keras, gluon and slim use versions for networks that differ from the usual ones; v1.5 and v1b are the usual ones.
_VERSION_1_5 = r"v1(?:[._-]5|b)"


_N, _SEP = r"([1-9]\d{0,3})", r"[-_ ]?"
_PRE = rf"pre{_SEP}(?:act(?:ivation)?{_SEP})?resnet{_SEP}"
_PATHS = r"\(?([1-9]\d{0,3}x[1-9]\d{0,3})d\)?"
_ALEXNET = "8-2x48d-alexnet"
_ALEXNET_OF_TORCHVISION = "torchvision's alexnet (61,100,840 parameters) has one group"
# Patterns of names in lower case, and functions that give the short name; None if there is none.
_PATTERNS: tuple[tuple[str, Callable[..., str | None]], ...] = (
    (rf"resnext{_SEP}{_N}[-_, ]+{_PATHS}", _resnext),
    (rf"resnet{_SEP}{_N}(?:{_SEP}{_VERSION_1_5})?", _EVERY_RESNET.get),
    (
        rf"(?:(legacy_se|se|eca){_SEP})?resne(?:t|xt){_SEP}{_N}(?:{_SEP}({_OF_LETTERS}))?(?:[-_, ]+{_PATHS})?",
        _descendant,
    ),
    (rf"resnet{_SEP}(18|34){_SEP}v1", _RESNETS.get),  # versions differ in a 1x1 convolution; these have none
    (rf"{_PRE}{_N}", _EVERY_PRERESNET.get),
    (rf"(?:wrn|wide{_SEP}resnet){_SEP}{_N}[-_x ]{_N}", _wide),
    (r"regnet_x_400mf|regnetx_004_tv", lambda: REGNETX_400MF_OF_TORCHVISION),
    (r"regnetx_(\d{3})", REGNETX.get),
    (r"regnet_y_(800mf|8gf|128gf)", REGNETY_OF_TORCHVISION.get),
    (r"regnety_008_tv", lambda: REGNETY_OF_TORCHVISION["800mf"]),
    (r"regnety_080_tv", lambda: REGNETY_OF_TORCHVISION["8gf"]),
    (r"regnety_(\d{3})", REGNETY.get),
    (rf"regnet{_SEP}(x|y){_SEP}(\d{{1,3}}(?:[._]\d)?){_SEP}(gf|mf)", _regnet),
    (r"res2net(50|101|152)_(\d{1,3})w_([2-9])s", lambda depth, width, scale: f"{depth}-1x{width}d-s{scale}"),
    (r"res2next(50|101)(?:_4w_4s_8c)?", lambda depth: f"{depth}-8x4d-s4"),
    (r"alexnet", lambda: _ALEXNET),
)
# Suffixes and prefixes of timm and the hub that say where weights come from, not which network it is.
_ORIGIN = re.compile(
    r"^(?:(?:hf[-_]hub:)?timm[/.]|microsoft/|(?:pytorch/vision(?::v[\d.]+)?|torchvision)[/.:](?:models\.)?)?(?:tv_|gluon_|ig_|ssl_|swsl_)?|(?:_v1b|_wsl|_ssl|_swsl)?(?:\.[a-z]\w*)?$"
)
_OF_ATTENTION = "(?:se|eca|gc|sk|cbam|bam|ge|lambda|bat|coord)"
_ATTENTION = "attention of another kind than those here, or elsewhere in its blocks"
_SQUEEZED = "channels squeezed to other numbers in different libraries, or its strides in other convolutions"
_ECA = "kernels along its channels that its code sets by hand, where the paper's formula gives them here"
_SENET = "projections of 3x3 and other parts of its own, which no block here has"
_VERSION_1 = "its strides in other convolutions, or biases in them (Keras, gluon, slim), which no block here has"
_VERSION_2 = "pooling before its first batch norm, or another beginning or biases (Keras, gluon), which none here has"
_OF_OTHERS = (
    "densenet|vgg|mobilenet|efficientnet|convnext|vit|deit|beit|swin|googlenet|inception|xception|shufflenet|squeezenet"
    "|mnasnet|nasnet|darknet|cspdarknet|dpn|nf_?net|dla|hrnet|ghostnet|maxvit|lenet"
)
_STEM = "a stem of other widths than ResNet-C and -D, which no template here has"
# Patterns of similar published networks that do not exist here, with the reason and a template for the nearest name.
_OTHERS: tuple[tuple[str, str, str], ...] = (
    (rf"(?:legacy_)?se{_SEP}(resnet{_SEP}\d+)(?:{_SEP}(?:{_OF_LETTERS}))?", _SQUEEZED, "{}"),
    (rf"eca{_SEP}(resne(?:xt|t){_SEP}(?:50|101|152|200))([-_]\d+x\d+d)?", _ECA, "eca{}d{}"),
    (rf"(?:legacy_)?{_OF_ATTENTION}{_SEP}(resne(?:xt|t){_SEP}\d+)[a-z]*?([-_]\d+x\d+d)?", _ATTENTION, "{}{}"),
    (r"sk[-_]?net[-_]?(\d+)", _ATTENTION, "resnext{}_32x4d"),
    (r"se[-_]?net[-_]?154", _SENET, "seresnext152_64x4d"),
    (r"se[-_]?net[-_]?(\d+)", _SENET, "seresnet{}"),
    (rf"resnet{_SEP}rs{_SEP}(\d+)", f"{_ATTENTION}, and another stem", "resnet{}"),
    (rf"(resnet{_SEP}\d+){_SEP}v1", _VERSION_1, "{}"),
    (r"resnet[-_]?v1[-_](\d+)", _VERSION_1, "resnet{}"),
    (rf"resnet{_SEP}(\d+){_SEP}v2", _VERSION_2, "preresnet{}"),
    (r"resnet[-_]?v2[-_](\d+)(?:x\d+)?(?:[a-z_]\w*)?", _VERSION_2, "preresnet{}"),
    (rf"(resnet{_SEP}\d+)[-_]gn", "group norms, and every block here has batch norms", "{}"),
    (r"resnet(?:aa|blur)(\d+)[a-z]*", "blurred pooling, which no template here has", "resnet{}"),
    (rf"(resne(?:xt|t){_SEP}\d+){_SEP}(?:[st]|ts|v1s)([-_ ]\d+x\d+d)?", _STEM, "{}d{}"),
    (r"res2ne[xt]\w*", "another stem, or widths that its name does not say", ""),
    (r"resnest\w*", "attention among its paths, which no block here has", ""),
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
    if match := re.fullmatch(rf"resnext{_SEP}{_N}", text):
        return "it does not say how many paths of which width", f"{match[1]}-32x4d"
    for pattern, known in ((rf"resnet{_SEP}{_N}", _EVERY_RESNET), (rf"{_PRE}{_N}", _EVERY_PRERESNET)):
        if re.fullmatch(pattern, text):
            return f"no network of that kind has this depth; known: {', '.join(sorted(known, key=int))}", None
    if (match := re.fullmatch(rf"resnet{_SEP}{_N}{_SEP}(?:{_OF_LETTERS})", text)) and match[1] not in _RESNETS:
        return f"no network of that kind has this depth; known: 18, 26, 34, {', '.join(_OF_IMAGENET)}", None
    for pattern, reason, near in _OTHERS:
        if match := re.fullmatch(pattern, text):
            return f"it has {reason}", of_ours(near.format(*(part or "" for part in match.groups())))
    return "", None


def namesake(name: str) -> str:
    """A sentence on another network that is known by the same name; empty if there is none."""
    found = of_ours(name) or ""
    if found in _CIFAR_RESNETS.values():
        paper = found.replace("-w16", "-w16-pad")
        return f"This has projections where widths differ, as pycls and imgclsmob have it; He et al. pad: {paper}."
    if found != _ALEXNET:
        return ""
    return f"This is the paper's network, of two groups; {_ALEXNET_OF_TORCHVISION}, other widths, and is another."


def _plain(name: str) -> str:
    return _ORIGIN.sub("", name.strip().lower().replace("\N{MULTIPLICATION SIGN}", "x"))
