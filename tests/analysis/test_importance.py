"""Which axes the error goes with over many designs, and how far a fit of them can be trusted."""

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from explorer.analysis.importance import MOST_INFLATED, axis_effects
from explorer.analysis.intervals import Estimate
from explorer.analysis.judging import open_study
from explorer.analysis.summary import SettingSummary
from explorer.report.effects import effect_panel, fit_words, slope_words
from explorer.report.page import render_page
from explorer.verbs.ped_anova import ped_anova
from tests.report.reading import plain
from tests.test_layers import ROOT

RECORD = ROOT / "studies" / "design_space_cifar10_jpeg"


def designs(
    error: Callable[[int, float, float], float],
    *,
    depths: tuple[int, ...] = (20, 29, 38),
    seeds: int = 1,
    spread: float = 0.0,
) -> list[SettingSummary]:
    """Designs of all combinations; their errors are what `error` makes of depth and the logarithms of D and C."""
    rng, found = np.random.default_rng(0), []
    for depth in depths:
        for paths in (1, 2, 4, 8):
            for wide in (1, 2, 3, 4):
                name = f"{depth}-{paths}x{2**wide}d-w64"
                mean = error(depth, np.log2(paths) + wide, np.log2(paths))
                errors = {seed: mean + spread * float(rng.standard_normal()) for seed in range(seeds)}
                average = float(np.mean([*errors.values()]))
                found.append(
                    SettingSummary(
                        setting=name,
                        cardinality=paths,
                        bottleneck_width=2**wide,
                        params=1,
                        macs=1,
                        activations=1,
                        params_deviation=np.nan,
                        macs_deviation=np.nan,
                        activations_deviation=np.nan,
                        errors=errors,
                        estimate=Estimate(seeds, average, np.nan, np.nan),
                        seconds=1.0,
                        validation=average,
                    )
                )
    return found


def test_each_doubling_of_the_recorded_designs_gains_by_the_middle_width_and_not_by_paths() -> None:
    study = open_study(RECORD)
    found = axis_effects(study.finding.summaries)
    assert found is not None
    by_axis = {one.axis: one for one in found.effects}
    width, paths = by_axis["group_width"], by_axis["cardinality"]
    assert (100 * width.slope.mean, 100 * width.deviation) == (
        pytest.approx(-2.12, abs=0.005),
        pytest.approx(0.13, abs=0.005),
    )
    assert (100 * paths.slope.mean, 100 * paths.deviation) == (
        pytest.approx(-0.07, abs=0.005),
        pytest.approx(0.07, abs=0.005),
    )
    assert found.explained == pytest.approx(0.92, abs=0.005)
    assert 100 * found.apart == pytest.approx(1.09, abs=0.01)
    assert np.isnan(found.noise)  # one seed each
    assert "counting on 10,000 images alone varies by 0.50 points" in fit_words(found, 10_000)
    # At equal parameters depth, D and cardinality leave the width hardly free.
    assert {axis: round(share, 2) for axis, share in found.redundant.items()} == {"width": 0.88}
    assert [one.axis for one in found.effects] == ["group_width", "depth", "cardinality"]


def test_effects_that_are_known_are_found_with_the_error_left_out_and_the_noise_of_seeds() -> None:
    heights = {20: 0.0, 29: 0.03, 38: 0.01}
    made = designs(lambda depth, wide, paths: 0.5 + heights[depth] - 0.02 * wide + 0.005 * paths, seeds=4, spread=0.004)
    found = axis_effects(made)
    assert found is not None
    by_axis = {one.axis: one for one in found.effects}
    for axis, true in (("group_width", -0.02), ("cardinality", 0.005)):
        assert by_axis[axis].slope.low < true < by_axis[axis].slope.high
        assert by_axis[axis].slope.high - by_axis[axis].slope.low < 0.004
    depth = by_axis["depth"].curve
    assert [*depth.values] == [20, 29, 38]
    assert np.diff(np.array(depth.fitted)) == pytest.approx([0.03, -0.02], abs=0.003)
    assert np.isnan(by_axis["depth"].slope.mean)
    assert found.noise == pytest.approx(0.002, rel=0.3)  # of the mean of four
    assert found.apart == pytest.approx(0.002, rel=0.3)
    assert "over other seeds a design's own error varies by 0." in fit_words(found, 100)
    assert slope_words(by_axis["group_width"]).endswith("for each doubling")
    assert slope_words(by_axis["depth"]).startswith("against 20: +")


def test_the_error_left_out_is_that_of_fits_without_each_design() -> None:
    made = designs(lambda depth, wide, paths: 0.5 + 0.001 * depth - 0.02 * wide, depths=(20,), spread=0.01)
    found = axis_effects(made)
    assert found is not None
    x = np.array([[1.0, np.log2(one.cardinality * one.bottleneck_width), np.log2(one.cardinality)] for one in made])
    y = np.array([one.estimate.mean for one in made])
    missed = []
    for out in range(len(y)):
        kept = np.arange(len(y)) != out
        missed.append(y[out] - x[out] @ np.linalg.lstsq(x[kept], y[kept], rcond=None)[0])
    assert found.apart == pytest.approx(float(np.sqrt(np.mean(np.square(missed)))))


def test_an_axis_that_the_others_give_is_left_out_and_named() -> None:
    made = designs(lambda depth, wide, paths: 0.5 - 0.02 * wide)
    # The width follows the middle width, but for a little.
    close = []
    for number, one in enumerate(made):
        width = 16 * one.cardinality * one.bottleneck_width + 4 * (number % 3)
        close.append(replace(one, setting=one.setting.replace("-w64", f"-w{width}")))
    found = axis_effects(close)
    assert found is not None
    assert found.redundant["width"] > 1 - 1 / MOST_INFLATED
    assert "width" not in {one.axis for one in found.effects}


def test_of_two_axes_that_give_each_other_one_is_left_out_and_none_that_is_free() -> None:
    """Paths of one width: the middle width is their number; the width of the network is free, and all that counts."""
    made = []
    for number, one in enumerate(designs(lambda depth, wide, paths: 0.0, depths=(20, 29))):
        width, error = 64 * 2 ** (number % 3), 0.5 - 0.05 * (number % 3) + 0.001 * (number % 5)
        depth, paths = one.setting.split("-")[0], 2 ** (number // 3 % 5)
        for wide in (4, 5) if number < 3 else (4,):  # all but
            name = f"{depth}-{paths}x{wide}d-w{width}"
            mean = Estimate(1, error, np.nan, np.nan)
            made.append(replace(one, setting=name, cardinality=paths, bottleneck_width=wide, estimate=mean))
    found = axis_effects(made)
    assert found is not None
    assert [*found.redundant] == ["cardinality"]
    assert found.redundant["cardinality"] > 1 - 1 / MOST_INFLATED
    by_axis = {one.axis: one for one in found.effects}
    assert by_axis["width"].slope.mean == pytest.approx(-0.05, abs=0.002)


def test_few_designs_one_axis_or_unlike_blocks_have_no_fit() -> None:
    made = designs(lambda depth, wide, paths: 0.5 - 0.02 * wide)
    assert axis_effects(made[:15]) is None
    assert axis_effects([one for one in made if one.cardinality == 1 and one.setting.startswith("20")] * 8) is None
    unlike = [replace(one, setting=one.setting + ("-preact" if n % 2 else "")) for n, one in enumerate(made)]
    assert axis_effects(unlike) is None
    assert axis_effects([replace(one, failed={0: "diverged"}) for one in made]) is None


def test_a_figure_has_the_fit_its_band_and_every_design() -> None:
    found = axis_effects(designs(lambda depth, wide, paths: 0.5 - 0.02 * wide + 0.01 * paths))
    assert found is not None
    effect = next(one for one in found.effects if one.axis == "cardinality")
    panel = effect_panel(effect, found.settings, "Test error (%)")
    band, line, dots = panel.marks
    assert [*line.x] == [1, 2, 4, 8]
    assert np.diff(np.array(line.y)) == pytest.approx(1.0)  # points for each doubling
    assert len(dots.x) == len(dots.settings) == 48
    assert all(low <= middle <= high for low, middle, high in zip(band.y, line.y, band.high, strict=True))


@pytest.mark.real
def test_the_page_of_many_designs_has_the_effects_with_ped_anova_beside_them() -> None:
    study = open_study(RECORD)
    shares = ped_anova(study)
    assert shares is not None
    assert sum(shares.values()) == pytest.approx(1)
    assert set(shares) == {"group_width", "depth", "cardinality"}
    page = plain(render_page(study, shares))
    assert "\u22122.12 (\u22122.37 to \u22121.87) for each doubling" in page
    assert 'data-figure="effect-group_width"' in page
    assert f"<td>{100 * shares['depth']:.0f} %" in page
    assert "PED-ANOVA" not in render_page(study)


def test_a_study_of_few_designs_has_no_ped_anova_and_loads_no_optuna(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)  # importing it would raise an error
    assert ped_anova(open_study(ROOT / "studies" / "equal_params_cifar10_jpeg")) is None
