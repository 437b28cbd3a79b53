import re

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from explorer.design import BLOCKS, TEMPLATES, Architecture, display_name, parse_name, short_name
from explorer.design.name import PUBLISHED


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    template = TEMPLATES[draw(st.sampled_from(sorted(TEMPLATES)))]
    depths = tuple(draw(st.lists(st.integers(1, 40), min_size=template.stages, max_size=template.stages)))
    if template.block == "alexnet":
        paths, width = draw(st.integers(1, 16)), draw(st.integers(1, 256))
        return Architecture(depths, paths, width, template=template.name, block="alexnet")
    block = draw(st.sampled_from(["bottleneck", "preact", "basic", "preact_basic", "inception"]))

    def axis(most: int, times: int = 1) -> int | tuple[int, ...]:
        number = st.integers(1, most).map(lambda value: times * value)
        several = st.lists(number, min_size=template.stages, max_size=template.stages).map(tuple)
        return draw(st.one_of(number, several))

    return Architecture(
        depths=depths,
        cardinality=BLOCKS[block].cardinality or axis(128),
        bottleneck_width=axis(512),
        width=axis(256, 4),
        kernel_size=3 if block == "inception" else 2 * draw(st.integers(0, 4)) + 1,
        template=template.name,
        block=block,
        shortcut=draw(st.booleans()),
    )


@given(architectures())
def test_a_short_name_parses_back_to_the_same_architecture(architecture: Architecture) -> None:
    assert parse_name(short_name(architecture)) == architecture


@given(architectures())
def test_a_short_name_can_be_typed_as_an_override(architecture: Architecture) -> None:
    name = short_name(architecture)
    (override,) = OverridesParser.create().parse_overrides([f"architecture={name}"])
    assert override.value() == name


@pytest.mark.parametrize(
    ("name", "depths", "template"),
    [
        ("29-32x4d", (3, 3, 3), "cifar"),
        ("50-32x4d", (3, 4, 6, 3), "imagenet"),
        ("101-64x4d", (3, 4, 23, 3), "imagenet"),
        ("101-64x4d-cifar", (11, 11, 11), "cifar"),
        ("29-1x64d-b2.3.4", (2, 3, 4), "cifar"),
        ("20-1x64d-small", (3, 3), "small"),
        ("41-1x64d-b2.3.4.4-imagenet", (2, 3, 4, 4), "imagenet"),
        ("28-1x160d-w160-wide", (4, 4, 4), "wide"),
        ("18-1x64d-w64-imagenet_basic", (2, 2, 2, 2), "imagenet_basic"),
        ("20-1x64d-basic", (3, 3, 3), "cifar"),
        ("29-8x14.24.58d-preact-plain", (3, 3, 3), "cifar"),
        ("17-1.2.4x8d-w32.96.128-b1.2.2", (1, 2, 2), "cifar"),
        ("8-2x48d-alexnet", (1, 1, 1, 1, 1), "alexnet"),
    ],
)
def test_names_give_blocks_and_template(name: str, depths: tuple[int, ...], template: str) -> None:
    architecture = parse_name(name)
    assert (architecture.depths, architecture.template) == (depths, template)
    assert short_name(architecture) == name


def test_parts_may_come_in_any_order_and_leave_defaults_out() -> None:
    assert parse_name("29-32x4d-k5-w64") == parse_name("29-32x4d-w64-k5")
    assert short_name(parse_name("29-32x4d-w256-k3-b3.3.3-cifar")) == "29-32x4d"


def test_display_names_call_cardinality_one_a_resnet() -> None:
    assert display_name(parse_name("29-32x4d")) == "ResNeXt-29 (32x4d)"
    assert display_name(parse_name("50-1x64d")) == "ResNet-50 (1x64d)"
    assert display_name(parse_name("29-32x4d-w64")) == "ResNeXt-29 (32x4d, w64)"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("29-1x64d-preact", "Pre-activation ResNet-29 (1x64d)"),
        ("29-32x4d-preact-plain", "Pre-activation ResNeXt-29 (32x4d, without shortcuts)"),
        ("wrn-28-10", "Wide ResNet-28-10 (1x160d)"),
        ("29-4x24d-inception", "Inception-style-29 (4x24d)"),
        ("alexnet", "AlexNet-8 (2x48d)"),
        ("29-8x14.24.58d", "ResNeXt-29 (8x14.24.58d)"),
    ],
)
def test_neighbours_are_displayed_by_their_family(name: str, shown: str) -> None:
    assert display_name(parse_name(name)) == shown


@pytest.mark.parametrize("known", [*PUBLISHED, "wrn-16-4", "wrn-40-2"])
def test_published_names_are_read(known: str) -> None:
    architecture = parse_name(known)
    assert parse_name(short_name(architecture)) == architecture


def test_numbers_that_follow_the_rule_are_kept_as_the_first_one() -> None:
    """So equal networks are equal values, have one name and one run id."""
    assert parse_name("29-32.32.32x4.8.16d-w256.512.1024") == parse_name("29-32x4d")
    assert parse_name("29-8x14.28.56d") == parse_name("29-8x14d") != parse_name("29-8x14.28.57d")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "expected a name like"),
        ("29", "expected a name like"),
        ("29-32x4", "expected a name like"),
        ("29-0x4d", "expected a name like"),
        ("30-32x4d", "depth 30 is not one of template cifar's: 9n+2"),
        ("51-32x4d-imagenet", "depth 51 is not one of template imagenet's: 50, 101, 152"),
        ("29-32x4d-w63", "width 63: must be a positive multiple of 4"),
        ("29-32x4d-k4", "kernel_size must be odd"),
        ("29-32x4d-foo", "part 'foo' is not understood"),
        ("29-32x4d-w64-w128", "width is given twice"),
        ("29-32x4d-b1.1.1", "make depth 11, not 29"),
        ("29-32x4d-b9", "takes 3 numbers"),
        ("29-32x4.5d", "bottleneck_width [4, 5]: template cifar takes one number or 3"),
        ("20-4x8d-basic", "a sum of C two-layer paths of width d equals one dense block of width C*d"),
        ("28-2x8d-wide", "so a basic block has cardinality 1"),
        ("29-3x8d-inception", "four unlike paths"),
        ("29-4x8d-k5-inception", "its kernels are 1, 3 and 5"),
        ("8-2x48d-k5-alexnet", "follow from cardinality and bottleneck_width"),
        ("8-2x48d-bottleneck-alexnet", "its published depths are of block alexnet"),
        ("8-2x48d-b1.1.1.1.1-basic-alexnet", "cardinality 2 with block basic"),
        ("17-2x48d-b1.1.1.1.1-alexnet-preact", "block preact does not go with template alexnet"),
        ("29-2x48d-plain-plain", "shortcut is given twice"),
        ("29-32x4d-w64 ", "is not understood"),
        ("٢٩-32x4d", "expected a name like"),
    ],
)
def test_a_name_that_cannot_be_read_says_which_part(name: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        parse_name(name)


@given(st.text(max_size=40))
def test_any_text_is_either_a_name_or_one_clear_refusal(text: str) -> None:
    try:
        architecture = parse_name(text)
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert parse_name(short_name(architecture)) == architecture
