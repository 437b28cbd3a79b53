import contextlib
import re
from dataclasses import replace

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from explorer.design import BLOCKS, TEMPLATES, Architecture, cost, display_name, parse_name, short_name
from explorer.design.name import display_setting, parse_setting, setting_name
from explorer.design.published import REGNETX as REGNETX_NAMES
from explorer.design.ranges import Range, RealRange
from explorer.design.space import RegNetX


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


PARTS = st.fixed_dictionaries(
    {
        "stem": st.sampled_from(["plain", "deep"]),
        "projection": st.sampled_from(["conv", "pool", "pad"]),
        "attention": st.sampled_from(["none", "eca", "se1", "se16", "semid4", "semid9999"]),
        "scale": st.integers(1, 9),
    }
)


@given(architectures(), PARTS, st.sampled_from(["grouped", "sum"]))
def test_parts_that_not_every_network_has_are_in_its_name_and_read_from_it(
    architecture: Architecture, parts: dict[str, str | int], form: str
) -> None:
    for name, value in parts.items():
        with contextlib.suppress(ValueError):  # no block, template or width goes with all of them
            architecture = replace(architecture, **{name: value})  # type: ignore[arg-type]
    name = setting_name(architecture, form)
    assert parse_setting(name) == parse_setting(display_setting(name)) == (architecture, form)
    (override,) = OverridesParser.create().parse_overrides([f"architecture={short_name(architecture)}"])
    assert override.value() == short_name(architecture)


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
        ("20-1x16d-w16-cifar_basic", (3, 3, 3), "cifar_basic"),
        ("50-1x64d-deep-pool-se16", (3, 4, 6, 3), "imagenet"),
        ("50-8x4d-s4-se16", (3, 4, 6, 3), "imagenet"),
        ("29-32x4d-k5-b1.4.4-preact-pad-eca", (1, 4, 4), "cifar"),
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
        ("resnet50d", "ResNet-50 (1x64d, deep stem, pooled projections)"),
        ("20-1x16d-w16-pad-cifar_basic", "Basic ResNet-20 (1x16d, w16, padded shortcuts, cifar_basic)"),
        ("seresnext50_32x4d", "ResNeXt-50 (32x4d, se16)"),
        ("preresnet110", "Pre-activation basic ResNet-110 (1x16d, w16, cifar_basic)"),
        ("28-1x40d-w40-wide", "Wide ResNet-28 (1x40d, w40, wide)"),
        ("res2net50_26w_4s", "Res2Net-50 (1x26d, s4)"),
        ("50-8x14d-s4", "Res2NeXt-50 (8x14d, s4)"),
    ],
)
def test_neighbours_are_displayed_by_their_family(name: str, shown: str) -> None:
    assert display_name(parse_name(name)) == shown
    assert parse_name(shown) == parse_name(name)


@pytest.mark.parametrize("part", ["se0", "se", "sem4", "SE16", "s1000", "deeper"])
def test_a_part_that_is_not_understood_is_refused_with_all_that_are(part: str) -> None:
    with pytest.raises(ValueError, match=f"part '{part}' is not understood; .*plain, deep, pool, pad, s4, eca, se16"):
        parse_name(f"29-8x14d-{part}")


@pytest.mark.parametrize("name", ["ResNet-289999999990 (1x160d)", "ResNeXt-29 (99999999999x4d)"])
def test_a_displayed_name_with_a_number_of_too_many_digits_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"architecture '{re.escape(name)}': expected a name like 29-32x4d"):
        parse_name(name)


KNOWN = {
    "18-1x64d-w64-imagenet_basic": ("resnet18", "ResNet-18", "resnet18.tv_in1k", "gluon_resnet18_v1b"),
    "50-1x64d": ("resnet50", "ResNet-50", "ResNet 50", "resnet_50", "timm/resnet50.a1_in1k", "tv_resnet50"),
    "200-1x64d": ("resnet200",),
    "29-1x64d": ("resnet29_1x64d", "ResNet29 1x64d"),
    "26-1x64d-b2.2.2.2-imagenet": ("resnet26",),
    "164-1x16d-w64": ("resnet164",),
    "50-32x4d": ("resnext50_32x4d", "ResNeXt-50-32x4d", "ResNeXt-50 32x4d", "resnext50_32x4d.a1_in1k"),
    "101-64x4d": ("resnext101_64x4d", "ResNeXt-101 (64x4d)", "resnext-101 (64x4d)"),
    "101-32x16d": ("resnext101_32x16d", "ig_resnext101_32x16d", "resnext101_32x16d_wsl"),
    "152-32x4d": ("resnext152_32x4d",),
    "29-8x64d": (
        "resnext29_8x64d",
        "ResNeXt-29, 8\N{MULTIPLICATION SIGN}64d",
        "ResNeXt-29 (8\N{MULTIPLICATION SIGN}64d)",
        " 29-8X64D",
        "ResNeXt-29 8x64",
        "resnext29(8x64d)",
        "resnext-29 (8 x 64d)",
        "29-8\N{MULTIPLICATION SIGN}64d",
    ),
    "50-1x128d": ("wide_resnet50_2", "WRN-50-2", "wide_resnet50_2.tv_in1k"),
    "50-1x256d": ("wide_resnet50_4",),
    "28-1x160d-w160-wide": ("wrn-28-10", "WRN-28-10", "wrn_28_10", "Wide ResNet-28-10", "WideResNet-28x10"),
    "164-1x16d-w64-preact": ("preresnet164", "PreResNet-164", "Pre-activation ResNet-164"),
    "200-1x64d-preact": ("preresnet200",),
    "8-2x48d-alexnet": ("alexnet", "AlexNet"),
    "20-1x16d-w16-cifar_basic": ("resnet20", "ResNet-20"),
    "110-1x16d-w16-preact_basic-cifar_basic": ("preresnet110", "PreResNet-110"),
    "50-1x64d-deep-pool": ("resnet50d", "resnet50d.ra2_in1k", "ResNet-50-D", "gluon_resnet50_v1d", "ResNet50_vd"),
    "50-1x26d-s4": ("res2net50_26w_4s", "Res2Net50_26w_4s", "res2net50_26w_4s.in1k"),
    "101-1x26d-s4": ("res2net101_26w_4s",),
    "50-8x4d-s4": ("res2next50", "res2next50.in1k"),
    "50-1x64d-deep": ("resnet50c", "gluon_resnet50_v1c"),
    "50-32x4d-deep-pool": ("resnext50d_32x4d",),
    "26-32x4d-b2.2.2.2-deep-pool-se16-imagenet": ("seresnext26d_32x4d",),
    "50-32x4d-se16": ("seresnext50_32x4d", "SE-ResNeXt-50 (32x4d)", "gluon_seresnext50_32x4d"),
    "50-1x64d-se16": ("seresnet50", "SE-ResNet-50", "seresnet50.a1_in1k"),
    "18-1x64d-w64-se16-imagenet_basic": ("legacy_seresnet18",),
    "50-1x64d-deep-pool-eca": ("ecaresnet50d", "ecaresnet50d.miil_in1k"),
    "53-3.8.16.36x56.56.56.56d-w168.448.896.2016-b2.4.10.1-semid4-regnet": ("regnety_080", "RegNetY-8.0GF"),
    "53-4.8.16.36x56.56.56.56d-w224.448.896.2016-b2.4.10.1-semid4-regnet": ("regnety_080_tv", "regnet_y_8gf"),
    "44-4.9.20.49x16.16.16.16d-w64.144.320.784-b1.3.8.2-semid4-regnet": ("regnety_008_tv", "regnet_y_800mf"),
}


@pytest.mark.parametrize(("short", "spellings"), KNOWN.items())
def test_names_of_papers_and_libraries_are_read_however_they_are_spelt(short: str, spellings: tuple[str, ...]) -> None:
    for name in spellings:
        assert short_name(parse_name(name)) == short


REGNETX = {  # pycls' number of parameters of each
    ("regnetx_002", "regnet_x_200mf", "RegNetX-200MF"): 2_684_792,
    ("regnetx_004", "RegNetX-400MF"): 5_157_512,
    ("regnetx_006", "regnet_x_600mf", "RegNetX-600MF"): 6_196_040,
    ("regnetx_008", "regnet_x_800mf", "RegNetX-800MF"): 7_259_656,
    ("regnetx_016", "regnet_x_1_6gf", "RegNetX-1.6GF"): 9_190_136,
    ("regnetx_032", "regnet_x_3_2gf", "RegNetX-3.2GF", "regnetx_032.pycls_in1k"): 15_296_552,
    ("regnetx_040", "regnet_x_4gf", "RegNetX-4.0GF"): 22_118_248,
    ("regnetx_064", "regnet_x_6_4gf", "RegNetX-6.4GF"): 26_209_256,
    ("regnetx_080", "regnet_x_8gf", "RegNetX-8.0GF"): 39_572_648,
    ("regnetx_120", "regnet_x_12gf", "RegNetX-12GF"): 46_106_056,
    ("regnetx_160", "regnet_x_16gf", "RegNetX-16GF"): 54_278_536,
    ("regnetx_320", "regnet_x_32gf", "RegNetX-32GF"): 107_811_560,
    ("regnetx_004_tv", "regnet_x_400mf"): 5_495_976,  # torchvision's own: it rounds otherwise than the paper's code
}


@pytest.mark.parametrize(("spellings", "params"), REGNETX.items())
def test_regnets_are_read_under_the_names_of_timm_torchvision_and_pycls(
    spellings: tuple[str, ...], params: int
) -> None:
    for name in spellings:
        assert cost(parse_name(name)).params == params


@pytest.mark.parametrize(
    ("depth", "gluon", "running"),
    [("18", 11_695_796, 7_808), ("34", 21_811_380, 15_232), ("50", 25_595_060, 45_440)],
)
def test_preactivated_networks_are_read_under_their_names(depth: str, gluon: int, running: int) -> None:
    """MXNet's counts of its `v2` hold running statistics and two more batch norms, of the images and of the stem."""
    found = parse_name(f"preact_resnet{depth}")
    assert found == parse_name(f"PreActResNet{depth}") == parse_name(f"Pre-ResNet-{depth}")
    assert found.kind.preactivated
    assert cost(found).params == gluon - running - 4 * 3 - 4 * 64


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("torchvision/resnet50", "resnet50"),
        ("torchvision.models.resnext50_32x4d", "resnext50_32x4d"),
        ("pytorch/vision:v0.10.0/wide_resnet50_2", "wide_resnet50_2"),
        ("microsoft/resnet-18", "resnet18"),
        ("timm.resnet50", "resnet50"),
        ("ResNet50V1.5", "resnet50"),
        ("resnet50_v1b", "resnet50"),
        ("resnet18_v1", "resnet18"),
    ],
)
def test_where_a_name_comes_from_and_its_usual_version_say_nothing_new(name: str, same: str) -> None:
    assert parse_name(name) == parse_name(same)


# w_0, w_a, w_m, group width, depth: the RegNet paper's models, as timm and pycls list them.
LINES = {
    "002": (24, 36.44, 2.49, 8, 13),
    "004": (24, 24.48, 2.54, 16, 22),
    "006": (48, 36.97, 2.24, 24, 16),
    "008": (56, 35.73, 2.28, 16, 16),
    "016": (80, 34.01, 2.25, 24, 18),
    "032": (88, 26.31, 2.25, 48, 25),
    "040": (96, 38.65, 2.43, 40, 23),
    "064": (184, 60.83, 2.07, 56, 17),
    "080": (80, 49.56, 2.88, 120, 23),
    "120": (168, 73.36, 2.37, 112, 19),
    "160": (216, 55.59, 2.1, 128, 22),
    "320": (320, 69.86, 2.0, 168, 23),
}


@pytest.mark.parametrize(("key", "line"), LINES.items())
def test_regnets_follow_from_the_lines_of_their_paper(key: str, line: tuple[int, float, float, int, int]) -> None:
    initial, slope, multiplier, group, depth = line
    space = RegNetX(
        "regnet",
        Range(depth, depth),
        (initial,),
        RealRange(slope, slope, 1),
        RealRange(multiplier, multiplier, 1),
        (1,),
        (group,),
    )
    (part,) = space.parts
    designs = part.build(part.points([np.zeros(1, dtype=np.int64) for _ in part.factors]))
    assert designs.exist[0]
    assert short_name(designs.architecture(0)) == REGNETX_NAMES[key]


@given(architectures(), st.sampled_from(["grouped", "sum", "concat"]))
def test_what_a_page_shows_is_read_as_the_same_setting(architecture: Architecture, form: str) -> None:
    name = setting_name(architecture, form)
    assert parse_setting(display_setting(name)) == (architecture, form)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (
            "seresnet18",
            "it has channels squeezed to other numbers in different libraries, or its strides in other conv",
        ),
        ("legacy_seresnet50", "or its strides in other convolutions; near: 50-1x64d"),
        ("eca_resnet50", "kernels along its channels that its code sets by hand, where the paper's formula gives them"),
        (
            "skresnext50_32x4d",
            "it has attention of another kind than those here, or elsewhere in its blocks; near: 50-",
        ),
        ("torchvision.models.alexnet", "has one group and other widths, which the template here has not; near: 8-2x48"),
        (
            "resnet50t",
            "it has a stem of other widths than ResNet-C and -D, which no template here has; near: 50-1x64d-d",
        ),
        ("gluon_resnet50_v1s", "which no template here has; near: 50-1x64d-deep-pool"),
        ("resnet14d", "no network of that kind has this depth; known: 18, 26, 34, 50, 101, 152, 200"),
        ("regnety_033", "expected a name like"),
        ("resnetv2_50", "it has pooling before its first batch norm"),
        ("resnest50d", "it has attention among its paths"),
        ("res2net50d", "it has another stem, or widths that its name does not say"),
        ("ResNeXt-50", "it does not say how many paths of which width; near: 50-32x4d"),
        ("regnet_x_450mf", "expected a name like"),
        ("regnetx_033", "expected a name like"),
        (
            "mynet16",
            "or one known from papers and libraries, such as resnet50, resnext50_32x4d, wrn-28-10 or regnetx_032",
        ),
        ("vgg16_bn", "it has blocks of another kind than those here"),
        ("DenseNet-121", "it has blocks of another kind than those here"),
        ("vit_b_16", "it has blocks of another kind than those here"),
        ("torchvision/mobilenet_v2", "it has blocks of another kind than those here"),
        (
            "resnet49",
            "no network of that kind has this depth; known: 18, 20, 26, 32, 34, 44, 50, 56, 101, 110, 152, 164,",
        ),
        (
            "preact_resnet49",
            "of that kind has this depth; known: 18, 20, 32, 34, 44, 50, 56, 101, 110, 152, 164, 200, 1001",
        ),
        ("ResNet50V2", "or another beginning or biases (Keras, gluon), which none here has; near: 50-1x64d-preact"),
        ("resnet_v2_101", "or another beginning or biases (Keras, gluon), which none here has; near: 101-1x64d-preact"),
        ("resnetv2_50x1_bit.goog_in21k", "it has pooling before its first batch norm"),
        ("resnet50_v1", "it has its strides in other convolutions, or biases in them (Keras, gluon, slim)"),
        ("sknet50", "it has attention of another kind than those here, or elsewhere in its blocks; near: 50-32x4d"),
        (
            "SENet-154",
            "it has projections of 3x3 and other parts of its own, which no block here has; near: 152-64x4d-",
        ),
        ("resnetrs50", "elsewhere in its blocks, and another stem; near: 50-1x64d"),
        ("resnet50_gn", "it has group norms, and every block here has batch norms; near: 50-1x64d"),
        ("resnetblur50", "it has blurred pooling, which no template here has; near: 50-1x64d"),
        (
            "resnext49_32x4d",
            "architecture 'resnext49_32x4d': depth 49 is not one of template cifar's: 9n+2, such as 11, 20, 29",
        ),
        ("resnext49_32x4d", "such as 11, 20, 29; template imagenet has 50, 101, 152, 200"),
        ("wide_resnet51_2", "architecture 'wide_resnet51_2': depth 51 is not one of template wide's"),
        ("resnext30_32x4d", "architecture 'resnext30_32x4d': depth 30 is not one of template cifar's"),
        ("ResNeXt-29 (32x4d, w63)", "width 63: must be a positive multiple of 4"),
        ("DenseNet-29 (32x4d)", "it has blocks of another kind than those here"),
        ("MyNet-29 (32x4d)", "expected a name like"),
    ],
)
def test_networks_that_are_none_of_ours_say_why_and_what_is_near(name: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        parse_name(name)


NEAR = ["seresnet18", "legacy_seresnet101", "eca_resnet101", "skresnext50_32x4d", "resnet34t", "resnext101"]
NEAR += ["sknet101", "senet154", "resnetrs270", "resnet50v2", "resnet_v1_152", "seresnet20", "resnetaa50d"]


def test_what_is_near_can_be_typed_itself() -> None:
    for name in NEAR:
        with pytest.raises(ValueError, match="architecture") as raised:
            parse_name(name)
        for near in re.findall("near: (.*)", str(raised.value)):
            assert short_name(parse_name(near)) == near


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
        ("29-32x4d-w4-deep", "stem deep: its first two convolutions have half its 1 channels; width has to make"),
        ("29-32x4d-plain-pool", "projection pool: without shortcuts there is none; leave it at conv"),
        (
            "29-32x4d-w64.32.64-pad",
            "projection pad adds channels and takes none away, but widths fall: [16, 64, 32, 64]",
        ),
        ("29-32x4d-pool-pad", "projection is given twice"),
        ("29-4x8d-semid4-inception", "an Inception-style block has no single middle; allowed: se16, eca"),
        ("8-2x48d-deep-alexnet", "AlexNet has its own stem and no shortcuts"),
        ("8-2x48d-eca-alexnet", "attention eca: AlexNet's layers have what it has; leave it at none"),
        ("29-32x4d-s4-preact", "scale 4 with block preact: allowed is block bottleneck, or scale 1"),
        ("29-32x4d-se0", "part 'se0' is not understood"),
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
