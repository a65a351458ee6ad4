import math

import numpy as np
import pytest

from kdphys import metrics

TRUTH = np.array([60.0, 70.0, 80.0, 100.0])
ESTIMATE = np.array([61.0, 68.0, 80.0, 105.0])


def test_errors_are_what_hand_arithmetic_gives():
    assert metrics.mae(ESTIMATE, TRUTH) == 2.0
    assert metrics.rmse(ESTIMATE, TRUTH) == math.sqrt(30 / 4)
    # Sums of fractions round in the last digit.
    assert metrics.mape(ESTIMATE, TRUTH) == pytest.approx(25 * (1 / 60 + 2 / 70 + 5 / 100))
    assert metrics.pearson(2.0 * TRUTH - 3.0, TRUTH) == pytest.approx(1)
    assert metrics.within(ESTIMATE, TRUTH, 2.0) == 0.75


def test_missing_readings_count_against_within_but_not_against_errors():
    estimate = np.array([61.0, np.nan, 80.0, np.nan])
    assert metrics.mae(estimate, TRUTH) == 0.5
    assert metrics.within(estimate, TRUTH, 3.0) == 0.5


def test_nothing_to_compare_gives_nan():
    nothing = np.full(4, np.nan)
    for measure in (metrics.mae, metrics.rmse, metrics.mape, metrics.pearson):
        assert math.isnan(measure(nothing, TRUTH))
    assert math.isnan(metrics.pearson(np.ones(4), TRUTH))
    for constant, count in ((72.3, 10), (66.6, 7)):  # whose deviations round to other than 0
        assert math.isnan(metrics.pearson(np.full(count, constant), np.arange(float(count))))
    low, high = metrics.confidence_interval(
        metrics.mae, nothing, TRUTH, np.random.default_rng(0), draws=10
    )
    assert math.isnan(low)
    assert math.isnan(high)


def test_arrays_of_unlike_length_are_refused():
    with pytest.raises(ValueError, match="alike"):
        metrics.mae(ESTIMATE[:2], TRUTH)
    with pytest.raises(ValueError, match="0"):
        metrics.mape(ESTIMATE, np.zeros(4))


def test_the_bootstrap_interval_holds_the_true_mean_error_nineteen_times_in_twenty():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(50):
        error = rng.exponential(2.0, 60)
        low, high = metrics.confidence_interval(metrics.mae, error, np.zeros(60), rng, draws=200)
        held += low <= 2.0 <= high
    # 47 of 50 expected, with a spread of 2; the interval of a skew mean runs a little short.
    assert held >= 41


def test_what_is_of_one_person_is_drawn_together():
    rng, whose = np.random.default_rng(5), np.repeat(np.arange(20), 12)
    error = rng.exponential(2.0, 20)[whose]  # alike in all of one person
    apart = metrics.confidence_interval(metrics.mae, error, 0 * error, rng)
    together = metrics.confidence_interval(metrics.mae, error, 0 * error, rng, whose=whose)
    widths = [high - low for low, high in (apart, together)]
    assert widths[1] / widths[0] == pytest.approx(12**0.5, rel=0.15)
    nobody_else = np.zeros(240, int)
    alone = metrics.confidence_interval(metrics.mae, error, 0 * error, rng, whose=nobody_else)
    assert np.isnan(alone).all()
    error[:12] = np.nan  # somebody without a reading
    assert np.isfinite(
        metrics.confidence_interval(metrics.mae, error, 0 * error, rng, whose=whose)
    ).all()


def test_a_missing_reading_is_missed_in_the_interval_of_within_too():
    rng = np.random.default_rng(5)
    read = np.where(np.arange(100) < 50, np.nan, 70.0)

    def within_3(found: np.ndarray, true: np.ndarray) -> float:
        return metrics.within(found, true, 3.0)

    low, high = metrics.confidence_interval(within_3, read, np.full(100, 70.0), rng)
    assert 0.35 < low < 0.45
    assert 0.55 < high < 0.65


def test_how_unlike_two_groups_are_is_less_sure_where_one_person_decides():
    rng = np.random.default_rng(6)
    errors, group = np.ones(80), np.repeat([0, 1], 40)
    errors[40:50] = 5.0  # all of them one person's, who may not be drawn
    each = np.arange(80)
    one = np.where(errors > 1, 40, each)
    low, high = metrics.interval_of_ratio(errors, group, (1, 0), each, rng)
    wide_low, wide_high = metrics.interval_of_ratio(errors, group, (1, 0), one, rng)
    assert 1.3 < low < 2.0 < high < 2.7
    assert wide_low == 1.0
    assert wide_high > high
    turned = metrics.interval_of_ratio(errors, group, (0, 1), each, rng)
    assert turned == pytest.approx((1 / high, 1 / low), rel=0.1)
    assert np.isnan(metrics.interval_of_ratio(errors, group, (2, 0), each, rng)).all()


def test_groups_that_are_alike_are_held_to_be_so_nineteen_times_in_twenty():
    rng, held = np.random.default_rng(7), 0
    for _ in range(60):
        whose = np.repeat(np.arange(80), 10)
        errors, group = rng.exponential(1.0, 80)[whose], np.repeat([0, 1], 400)
        low, high = metrics.interval_of_ratio(errors, group, (1, 0), whose, rng, draws=300)
        held += low <= 1.0 <= high
    assert held >= 50  # 57 expected, with a spread of 2


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0])
def test_the_snr_of_a_wave_is_that_it_was_made_with(snr_db):
    fps, rng = 30.0, np.random.default_rng(2)
    time_s = np.arange(int(120 * fps)) / fps
    tone = math.sqrt(2) * np.sin(2 * np.pi * 1.2 * time_s)
    white = rng.standard_normal(len(time_s))
    # White noise spreads over 900 bpm; 324 of them are heard, 54 of those count as the line.
    heard, beside = 270 / 900, 54 / 900
    loudness = 10 ** (-snr_db / 20) / math.sqrt(heard)
    expected = 10 * math.log10((1 + loudness**2 * beside) / (loudness**2 * heard))
    # 12 independent windows: the noise power in each is known to about 10 %.
    assert metrics.wave_snr_db(tone + loudness * white, fps, 72.0) == pytest.approx(expected, abs=1)


def test_a_share_is_of_pairs():
    with pytest.raises(ValueError, match="must be alike"):
        metrics.within(np.array([70.0]), np.array([70.0, 71.0, 90.0]), 3)


def test_how_unlike_groups_are_is_the_worst_over_the_best():
    errors, group = np.array([1.0, 2.0, 3.0, 6.0]), np.array([7, 7, 9, 9])
    assert metrics.worst_over_best(errors, group) == 3.0
    for unlike, one in ((errors, np.zeros(4, int)), (np.array([0.0, 0.0, 3.0, 6.0]), group)):
        assert np.isnan(metrics.worst_over_best(unlike, one))
