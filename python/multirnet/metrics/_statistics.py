"""Means, intervals and tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from .. import _multirnet
from ._json import load
from .types import (
    Aggregate,
    BlandAltman,
    BoxSummary,
    Interval,
    PairedT,
    Policy,
    Significance,
    Wilcoxon,
)


def aggregate(
    values: Sequence[float | None], *, policy: Policy = "worst", worst: float = 0.0
) -> Aggregate:
    """Compute mean and spread, and count the values that are not finite.

    Parameters
    ----------
    values : sequence of float or None
        One for each case; ``None`` and NaN are undefined.
    policy : str, optional
        How undefined and infinite values are treated.
    worst : float, optional
        The metric's worst value, for the policy ``"worst"``: 0 for Dice.

    Returns
    -------
    dict
        Counts, mean, sample standard deviation, median, least and greatest value.
    """
    found = _multirnet.aggregate(list(values), json.dumps(policy), worst)
    return cast("Aggregate", load(found))


def paired_t(first: ArrayLike, second: ArrayLike) -> PairedT:
    """Carry out Student's paired t test, two-sided.

    Parameters
    ----------
    first, second : array_like of float
        Values of the same cases.

    Returns
    -------
    dict
        Mean difference, statistic, degrees of freedom and p value.

    Raises
    ------
    MismatchError
        If the lists differ in length.
    ScoringError
        If a value is not finite.
    """
    return cast("PairedT", load(_multirnet.paired_t(_values(first), _values(second))))


def wilcoxon(first: ArrayLike, second: ArrayLike) -> Wilcoxon:
    """Carry out Wilcoxon's signed-rank test, two-sided.

    Parameters
    ----------
    first, second : array_like of float
        Values of the same cases.

    Returns
    -------
    dict
        Rank sums, statistic, method and p value.

    Raises
    ------
    MismatchError
        If the lists differ in length.
    ScoringError
        If a value is not finite.
    """
    return cast("Wilcoxon", load(_multirnet.wilcoxon(_values(first), _values(second))))


def bland_altman(measured: ArrayLike, reference: ArrayLike) -> BlandAltman:
    """Compute Bland and Altman's bias and limits of agreement.

    Parameters
    ----------
    measured, reference : array_like of float
        Values of the same cases.

    Returns
    -------
    dict
        Bias and limits, each with its 95 % confidence interval.

    Raises
    ------
    ScoringError
        If there are fewer than two pairs, or a value is not finite.
    """
    found = _multirnet.bland_altman(_values(measured), _values(reference))
    return cast("BlandAltman", load(found))


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Correct the p values of one family of comparisons by Holm's method.

    Parameters
    ----------
    p : sequence of float or None
        The p values. Undefined ones stay undefined and do not count.

    Returns
    -------
    list of float or None
        The corrected values.

    Raises
    ------
    ScoringError
        If a value is not in 0 to 1.
    """
    return _multirnet.holm(list(p))


def significance(p: Sequence[float | None]) -> list[Significance]:
    """Correct p values by Holm's method and mark them as the paper does.

    Parameters
    ----------
    p : sequence of float or None
        The p values of one family of comparisons.

    Returns
    -------
    list of dict
        Each value before and after correction, with ``"**"``, ``"*"`` or nothing.

    Raises
    ------
    ScoringError
        If a value is not in 0 to 1.
    """
    return cast("list[Significance]", load(_multirnet.significance(list(p))))


def bootstrap_mean(
    patients: Sequence[Sequence[float]],
    *,
    replicates: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Draw patients anew and give the interval of the mean over their scans.

    Parameters
    ----------
    patients : sequence of sequence of float
        The values of each patient's scans.
    replicates : int, optional
        Number of draws.
    level : float, optional
        Share of the draws that the interval contains.
    seed : int, optional
        The same seed gives the same interval.

    Returns
    -------
    dict
        The mean with its percentile interval.

    Raises
    ------
    ScoringError
        If there is no patient, a value is not finite, or the level is not between 0 and 1.
    """
    config = json.dumps({"replicates": replicates, "level": level, "seed": seed})
    rows = [_values(values) for values in patients]
    return cast("Interval", load(_multirnet.bootstrap_mean(rows, config)))


def box_summary(values: ArrayLike) -> BoxSummary | None:
    """Compute what a box plot shows.

    Parameters
    ----------
    values : array_like of float
        The values. Those that are not finite are left out.

    Returns
    -------
    dict or None
        Quartiles, and whiskers within 1.5 interquartile ranges; ``None`` without finite values.
    """
    found = _multirnet.box_summary(_values(values))
    if found is None:
        return None
    n, quartiles, whiskers = found
    return {"n": n, "quartiles": quartiles, "whiskers": whiskers}


def quantile(values: ArrayLike, share: float) -> float | None:
    """Interpolate linearly between order statistics, as NumPy does.

    Parameters
    ----------
    values : array_like of float
        Finite values.
    share : float
        0 to 1.

    Returns
    -------
    float or None
        The quantile; ``None`` without values.

    Raises
    ------
    ScoringError
        If a value is not finite or the share is out of range.
    """
    return _multirnet.quantile(_values(values), share)


def rank_correlation(first: ArrayLike, second: ArrayLike) -> float:
    """Compute Spearman's rank correlation of two maps.

    Parameters
    ----------
    first, second : array_like of float
        Arrays of one shape.

    Returns
    -------
    float
        -1 to 1; NaN if one of the two is constant.

    Raises
    ------
    MismatchError
        If the shapes differ.
    """
    a, b = (np.asarray(m, dtype=np.float32) for m in (first, second))
    rows = [m.reshape(1, -1) if m.ndim != 2 else m for m in (a, b)]
    return _multirnet.rank_correlation(rows[0], rows[1])


def structural_similarity(first: ArrayLike, second: ArrayLike) -> float:
    """Compute the mean structural similarity of two maps, over windows of 7 × 7 pixels.

    Parameters
    ----------
    first, second : array_like of float
        Arrays of two dimensions and one shape, with values in 0 to 1.

    Returns
    -------
    float
        1 for equal maps; NaN for maps smaller than a window.

    Raises
    ------
    MismatchError
        If the shapes differ.
    """
    a, b = (np.asarray(m, dtype=np.float32) for m in (first, second))
    return _multirnet.structural_similarity(a, b)


def _values(values: ArrayLike) -> list[float]:
    found: list[float] = np.asarray(values, dtype=np.float64).ravel().tolist()
    return found
