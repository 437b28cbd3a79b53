import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from explorer.design import TEMPLATES, Architecture, display_name, parse_name, short_name


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    template = draw(st.sampled_from(sorted(TEMPLATES)))
    stages = len(TEMPLATES[template].strides)
    return Architecture(
        depths=tuple(draw(st.lists(st.integers(1, 40), min_size=stages, max_size=stages))),
        cardinality=draw(st.integers(1, 128)),
        bottleneck_width=draw(st.integers(1, 512)),
        width=4 * draw(st.integers(1, 256)),
        kernel_size=2 * draw(st.integers(0, 4)) + 1,
        template=template,
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
        ("29-32x4d-w64 ", "is not understood"),
        ("٢٩-32x4d", "expected a name like"),
    ],
)
def test_a_name_that_cannot_be_read_says_which_part(name: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem.replace("+", r"\+")):
        parse_name(name)


@given(st.text(max_size=40))
def test_any_text_is_either_a_name_or_one_clear_refusal(text: str) -> None:
    try:
        architecture = parse_name(text)
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert parse_name(short_name(architecture)) == architecture
