"""Scores of classes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from .. import _multirnet
from ._json import load
from .types import Class, Classification, OneVsRest, Policy, Roc


def classification(
    truth: Sequence[Class], predicted: Sequence[Class], *, policy: Policy = "worst"
) -> Classification:
    """Compute the confusion matrix and its scores.

    Parameters
    ----------
    truth, predicted : sequence of str
        ``"normal"``, ``"cap"`` or ``"covid19"`` for each case.
    policy : str, optional
        How macro means treat undefined values. ``"worst"`` counts them as 0, as scikit-learn does with
        ``zero_division=0``.

    Returns
    -------
    dict
        Counts, accuracy, and recall, precision and F1 by class and as macro means.

    Raises
    ------
    MismatchError
        If the lists differ in length.
    ScoringError
        If there is no case.
    """
    texts = json.dumps(list(truth)), json.dumps(list(predicted)), json.dumps(policy)
    return cast("Classification", load(_multirnet.classification(*texts)))


def roc(positive: ArrayLike, scores: ArrayLike) -> Roc | None:
    """Compute the receiver operating characteristic.

    Parameters
    ----------
    positive : array_like of bool
        Whether each case is truly positive.
    scores : array_like of float
        A higher score means positive.

    Returns
    -------
    dict or None
        One point per distinct score, as scikit-learn's ``roc_curve`` with
        ``drop_intermediate=False``, and the area; ``None`` without positive or negative cases.

    Raises
    ------
    MismatchError
        If the lists differ in length.
    ScoringError
        If a score is not finite.
    """
    flags = [bool(p) for p in np.asarray(positive).ravel()]
    values = np.asarray(scores, dtype=np.float64).ravel().tolist()
    return cast("Roc | None", load(_multirnet.roc(flags, values)))


def auc(positive: ArrayLike, scores: ArrayLike) -> float | None:
    """Compute the area under the receiver operating characteristic.

    Parameters
    ----------
    positive : array_like of bool
        Whether each case is truly positive.
    scores : array_like of float
        A higher score means positive.

    Returns
    -------
    float or None
        0 to 1; ``None`` without positive or negative cases.
    """
    curve = roc(positive, scores)
    return None if curve is None else curve["auc"]


def one_vs_rest(
    truth: Sequence[Class], probabilities: ArrayLike, *, policy: Policy = "worst"
) -> OneVsRest:
    """Compute the curve of each class against the rest.

    Parameters
    ----------
    truth : sequence of str
        ``"normal"``, ``"cap"`` or ``"covid19"`` for each case.
    probabilities : array_like of float
        Probabilities in the order of the classes, ``(cases, 3)``.
    policy : str, optional
        How the macro AUC treats a class without a curve.

    Returns
    -------
    dict
        The curves, and the mean of their areas.

    Raises
    ------
    MismatchError
        If the lists differ in length.
    ScoringError
        If a probability is not finite.
    """
    rows = np.asarray(probabilities, dtype=np.float64).reshape(-1, 3).tolist()
    found = _multirnet.one_vs_rest(json.dumps(list(truth)), rows, json.dumps(policy))
    return cast("OneVsRest", load(found))
