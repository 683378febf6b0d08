"""Scores beside those of other libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import SimpleITK
import surface_distance
from multirnet import metrics
from multirnet.errors import MismatchError, OptionsError, ScoringError
from numpy.typing import NDArray

SPACING = (3.0, 0.8, 0.7)
Mask = NDArray[np.bool_]


def blobs(seed: int) -> Mask:
    """Draw rough blobs."""
    noise = np.random.default_rng(seed).normal(size=(14, 40, 44))
    smooth = scipy.ndimage.gaussian_filter(noise, (1.0, 3.0, 3.0))
    return np.asarray(smooth > np.quantile(smooth, 0.9))


@pytest.fixture(scope="module")
def pair() -> tuple[Mask, Mask]:
    """Draw two masks that overlap in part."""
    truth = blobs(1)
    return truth, np.roll(truth, (0, 2, 1), (0, 1, 2)) | blobs(2)


def test_overlap_agrees_with_simpleitk(pair: tuple[Mask, Mask]) -> None:
    truth, predicted = pair
    measure = SimpleITK.LabelOverlapMeasuresImageFilter()
    images = [SimpleITK.GetImageFromArray(mask.astype(np.uint8)) for mask in pair]
    measure.Execute(*images)
    found = metrics.overlap(truth, predicted, SPACING)
    assert found["dice"] == pytest.approx(measure.GetDiceCoefficient())
    assert found["iou"] == pytest.approx(measure.GetJaccardCoefficient())
    assert found["truth_ml"] == pytest.approx(truth.sum() * math.prod(SPACING) / 1000)
    assert metrics.dice(truth, predicted) == found["dice"]
    assert metrics.iou(truth, predicted) == found["iou"]
    two = truth.astype(np.int64) * 2
    assert metrics.dice(two, predicted) == found["dice"]
    assert metrics.dice(two, predicted, label=2) == 0.0


def test_surfaces_agree_with_surface_distance(pair: tuple[Mask, Mask]) -> None:
    truth, predicted = pair
    theirs = surface_distance.compute_surface_distances(truth, predicted, SPACING)
    ours = metrics.surface(truth, predicted, SPACING, tolerance_mm=1.5)
    there, back = surface_distance.compute_average_surface_distance(theirs)
    assert ours["asd_truth_to_predicted_mm"] == pytest.approx(there)
    assert ours["asd_predicted_to_truth_mm"] == pytest.approx(back)
    for percent in (100, 95):
        distance = surface_distance.compute_robust_hausdorff(theirs, percent)
        assert metrics.hausdorff(truth, predicted, SPACING, percentile=percent) == pytest.approx(
            distance
        )
    dice = surface_distance.compute_surface_dice_at_tolerance(theirs, 1.5)
    assert ours["surface_dice"] == pytest.approx(dice)
    assert metrics.surface_dice(truth, predicted, SPACING, tolerance_mm=1.5) == ours["surface_dice"]


def test_the_other_convention_agrees_with_distance_maps(pair: tuple[Mask, Mask]) -> None:
    truth, predicted = pair
    inside = [scipy.ndimage.binary_erosion(mask) for mask in pair]
    edges = [mask & ~core for mask, core in zip(pair, inside)]
    to_truth, to_predicted = (
        scipy.ndimage.distance_transform_edt(~edge, sampling=SPACING) for edge in edges
    )
    found = metrics.surface(truth, predicted, SPACING, convention="voxel-6")
    assert found["asd_truth_to_predicted_mm"] == pytest.approx(to_predicted[edges[0]].mean())
    assert found["hausdorff_mm"] == pytest.approx(
        max(to_predicted[edges[0]].max(), to_truth[edges[1]].max())
    )


def test_empty_masks_are_undefined_or_infinite(pair: tuple[Mask, Mask]) -> None:
    truth, empty = pair[0], np.zeros_like(pair[0])
    assert metrics.dice(empty, empty) is None
    assert metrics.overlap(empty, truth)["recall"] is None
    assert metrics.hausdorff(truth, empty, SPACING) == math.inf
    assert metrics.surface(empty, empty, SPACING)["asd_mm"] is None


def test_lesions_are_counted_as_by_simpleitk(pair: tuple[Mask, Mask]) -> None:
    truth, predicted = pair

    def count(mask: Mask) -> tuple[NDArray[np.uint32], int]:
        image = SimpleITK.ConnectedComponent(SimpleITK.GetImageFromArray(mask.astype(np.uint8)), True)
        parts = SimpleITK.GetArrayFromImage(image)
        return parts, int(parts.max())

    (true, n_true), (said, n_said) = count(truth), count(predicted)
    found = metrics.lesions(truth, predicted)
    assert (found["truth"], found["predicted"]) == (n_true, n_said)
    assert found["missed"] == n_true - len(set(true[predicted & truth]))
    assert found["invented"] == n_said - len(set(said[predicted & truth]))
    assert found["sensitivity"] == pytest.approx(1 - found["missed"] / n_true)


def test_cases_add_up_to_a_cohort(pair: tuple[Mask, Mask]) -> None:
    truth, predicted = pair
    empty = np.zeros_like(truth)
    cases = [
        metrics.case(truth, predicted, SPACING),
        metrics.case(truth, truth, SPACING),
        metrics.case(truth, empty, SPACING),
        metrics.case(empty, predicted, SPACING),
    ]
    assert cases[2]["surface"]["hausdorff_mm"] == math.inf
    found = metrics.cohort(cases, policy="skip")
    scores = {score["metric"]: score for score in found["scores"]}
    assert scores["dice"]["n"] == 3 and found["false_positives"]["rate"] == 1
    values = [case["dice"] for case in cases[:3]]
    assert scores["dice"]["mean"] == pytest.approx(np.mean([v for v in values if v is not None]))
    assert scores["hausdorff"]["n_infinite"] == 1
    with pytest.raises(ScoringError):
        metrics.cohort([])
    other = metrics.case(truth, predicted, SPACING, convention="voxel-6")
    with pytest.raises(MismatchError):
        metrics.cohort([cases[0], other])


def test_means_follow_their_policy() -> None:
    values = [0.5, None, math.nan, 0.9]
    assert metrics.aggregate(values, policy="skip")["mean"] == pytest.approx(0.7)
    assert metrics.aggregate(values, policy="worst")["mean"] == pytest.approx(0.35)
    found = metrics.aggregate(values, policy="propagate")
    assert found["mean"] is None and found["n_undefined"] == 2
    assert metrics.aggregate([1.0, math.inf], policy="propagate")["mean"] == math.inf


def test_classes_are_scored_as_by_hand() -> None:
    truth = ["normal", "cap", "cap", "covid19", "covid19"]
    predicted = ["normal", "cap", "normal", "covid19", "cap"]
    found = metrics.classification(truth, predicted)  # type: ignore[arg-type]
    assert found["confusion"]["counts"] == [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    assert found["accuracy"] == 0.6
    assert found["classes"][1]["class"] == "cap" and found["classes"][1]["recall"] == 0.5
    with pytest.raises(OptionsError):
        metrics.classification(["flu"], ["cap"])  # type: ignore[list-item]


def test_areas_are_shares_of_ordered_pairs() -> None:
    rng = np.random.default_rng(3)
    positive, scores = rng.random(60) < 0.4, rng.integers(0, 9, 60) / 8
    # The Mann–Whitney statistic counts pairs in order; ties count half.
    u = scipy.stats.mannwhitneyu(scores[positive], scores[~positive]).statistic
    assert metrics.auc(positive, scores) == pytest.approx(u / (positive.sum() * (~positive).sum()))
    curve = metrics.roc(positive, scores)
    assert curve is not None and curve["points"][0]["threshold"] == math.inf
    assert metrics.roc([True], [0.5]) is None
    rest = metrics.one_vs_rest(["cap", "normal"], [[0.2, 0.8, 0.0], [0.7, 0.3, 0.0]], policy="skip")
    assert rest["auc"]["mean"] == 1 and rest["classes"][2]["curve"] is None


def test_tests_agree_with_scipy() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=17), rng.normal(0.4, size=17)
    t, w = scipy.stats.ttest_rel(a, b), scipy.stats.wilcoxon(a, b)
    found = metrics.paired_t(a, b)
    assert (found["t"], found["p"]) == pytest.approx((t.statistic, t.pvalue))
    signed = metrics.wilcoxon(a, b)
    assert (signed["statistic"], signed["p"]) == pytest.approx((w.statistic, w.pvalue))
    assert metrics.quantile(a, 0.3) == pytest.approx(np.quantile(a, 0.3))
    box = metrics.box_summary(a)
    assert box is not None and box["quartiles"] == pytest.approx(np.quantile(a, (0.25, 0.5, 0.75)))
    assert metrics.holm([0.01, None, 0.04, 0.03]) == [0.03, None, 0.06, 0.06]
    assert [s["stars"] for s in metrics.significance([0.00001, 0.5])] == ["**", ""]
    limits = metrics.bland_altman(a, b)
    assert limits["bias"]["value"] == pytest.approx((a - b).mean())
    interval = metrics.bootstrap_mean([[v] for v in a], replicates=4000)
    assert interval["value"] == pytest.approx(a.mean())
    low, high = interval["low"], interval["high"]
    assert low is not None and high is not None and low < a.mean() < high
    spread = 1.96 * a.std() / math.sqrt(len(a))
    assert high - low == pytest.approx(2 * spread, rel=0.1)
    for wrong in ([math.nan] * 17, a[:5]):
        with pytest.raises((ScoringError, MismatchError)):
            metrics.paired_t(a, wrong)


def test_maps_are_compared_as_by_scipy() -> None:
    rng = np.random.default_rng(5)
    a = rng.random((20, 30)).astype(np.float32)
    b = np.clip(a + rng.normal(0, 0.1, a.shape), 0, 1).astype(np.float32)
    ranks = scipy.stats.spearmanr(a.ravel(), b.ravel()).statistic
    assert metrics.rank_correlation(a, b) == pytest.approx(ranks)
    assert metrics.structural_similarity(a, a) == pytest.approx(1)
    assert 0 < metrics.structural_similarity(a, b) < 1
    with pytest.raises(MismatchError):
        metrics.rank_correlation(a, b[:5])


def test_masks_that_do_not_fit_are_refused(pair: tuple[Mask, Mask]) -> None:
    truth, predicted = pair
    with pytest.raises(MismatchError):
        metrics.dice(truth, predicted[1:])
    with pytest.raises(OptionsError):
        metrics.dice(truth * 0.5, predicted)
    with pytest.raises(OptionsError):
        metrics.dice(truth[0], predicted[0])
    for tolerance in (-1.0, math.nan, math.inf):
        with pytest.raises(ScoringError):
            metrics.surface(truth, predicted, SPACING, tolerance_mm=tolerance)
    with pytest.raises(OptionsError):
        metrics.surface(truth, predicted, SPACING, convention="area-2")  # type: ignore[arg-type]
