"""Attention over channels: a block's maps are scaled, channel by channel, by what their means over pixels say.

`se16`    squeeze-and-excitation at a block's end, before the addition (Hu et al., 2018, section 3): two 1x1
          convolutions with bias on the means, by a sixteenth of the block's channels; any whole number may stand for 16
`semid4`  the same behind the k x k convolution, by a quarter of the channels that enter the block (RegNetY, in the
          RegNet paper)
`eca`     at a block's end one convolution along the channels (Wang et al., 2020), its kernel as their equation 12 says

What scales the block's output acts on the sum of its paths, so the three forms of a block have it alike. What scales
the middle mixes the paths before they are added: such a block is no sum of paths.

Numbers may be arrays over many designs.
"""

import re

NONE = "none"
ALLOWED = "none, se16 or another ratio, semid4 or another ratio, eca"
_PATTERN = re.compile(r"none|eca|(se|semid)([1-9]\d{0,3})")


def is_attention(text: str) -> bool:
    """Whether a text names one of them, `none` among them."""
    return _PATTERN.fullmatch(text) is not None


def kind_and_ratio(text: str) -> tuple[str, int]:
    """`se`, `semid`, `eca` or `none`, and the ratio of the first two, else 0. Raises ValueError for another text."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(f"attention {text!r} is unknown; allowed: {ALLOWED}")
    return (match[1], int(match[2])) if match[1] else (text, 0)


def squeezed_width(kind: str, ratio: int, *, in_width: int, width: int) -> int:
    """Channels between the two convolutions of squeeze-and-excitation, at least 1.

    At a block's end a part of its output, rounded down (Hu et al., 2018, equation 3). In its middle a part of its
    input, rounded to the nearest number, half to even (pycls).
    """
    if kind == "se":
        found = width // ratio
    else:
        twice = 2 * in_width + ratio
        found = twice // (2 * ratio)
        found = found - ((twice % (2 * ratio) == 0) & (found % 2 == 1))
    return found + (found < 1)


def eca_kernel(width: int) -> int:
    """Channels that one channel's factor depends on: the odd number at (log2(width) + 1) / 2 or next above it.

    Wang et al., 2020, equation 12 with gamma 2 and b 1, rounded as in their code.
    """
    power: int = sum(width >= 2**exponent for exponent in range(1, 62))
    return (power + 1) // 2 // 2 * 2 + 1
