"""Scores of masks."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import cast

from numpy.typing import ArrayLike

from .. import _multirnet
from .._grid import Grid, vector
from .._masks import labels
from ._json import dump, load
from .types import Case, Cohort, Connectivity, Convention, Lesions, Overlap, Policy, Surface

_UNIT = (1.0, 1.0, 1.0)


def overlap(
    truth: ArrayLike,
    predicted: ArrayLike,
    spacing: Sequence[float] = _UNIT,
    *,
    label: int | None = None,
) -> Overlap:
    """Count the voxels that two masks share.

    Parameters
    ----------
    truth, predicted : array_like
        Masks on one grid, ``(z, y, x)``.
    spacing : sequence of float, optional
        Millimetres per array axis, ``(z, y, x)``.
    label : int, optional
        The label to score; any but 0 without it.

    Returns
    -------
    dict
        Voxels, shares in 0 to 1, and volumes in millilitres. Dice and intersection over union of two
        empty masks, recall without truth, and precision without prediction are ``None``.

    Raises
    ------
    MismatchError
        If the masks differ in shape.
    """
    masks = labels(truth, "truth"), labels(predicted, "predicted")
    return cast("Overlap", load(_multirnet.score_overlap(*masks, _placed(spacing), label)))


def dice(truth: ArrayLike, predicted: ArrayLike, *, label: int | None = None) -> float | None:
    """Compute the Dice coefficient, 2·TP / (2·TP + FP + FN).

    Parameters
    ----------
    truth, predicted : array_like
        Masks on one grid, ``(z, y, x)``.
    label : int, optional
        The label to score; any but 0 without it.

    Returns
    -------
    float or None
        0 to 1; ``None`` if both masks are empty.
    """
    return overlap(truth, predicted, label=label)["dice"]


def iou(truth: ArrayLike, predicted: ArrayLike, *, label: int | None = None) -> float | None:
    """Compute the intersection over union, TP / (TP + FP + FN).

    Parameters
    ----------
    truth, predicted : array_like
        Masks on one grid, ``(z, y, x)``.
    label : int, optional
        The label to score; any but 0 without it.

    Returns
    -------
    float or None
        0 to 1; ``None`` if both masks are empty.
    """
    return overlap(truth, predicted, label=label)["iou"]


def surface(
    truth: ArrayLike,
    predicted: ArrayLike,
    spacing: Sequence[float],
    *,
    label: int | None = None,
    convention: Convention = "area",
    tolerance_mm: float = 1.0,
) -> Surface:
    """Measure the distances between the surfaces of two masks.

    Parameters
    ----------
    truth, predicted : array_like
        Masks on one grid, ``(z, y, x)``.
    spacing : sequence of float
        Millimetres per array axis, ``(z, y, x)``.
    label : int, optional
        The label to score; any but 0 without it.
    convention : str, optional
        ``"area"`` as in ``surface-distance``, or ``"voxel-6"`` as in MONAI.
    tolerance_mm : float, optional
        Distance up to which surfaces overlap.

    Returns
    -------
    dict
        Average surface distances, Hausdorff distances, surface overlap and surface Dice. Empty masks
        score as in the convention's library.

    Raises
    ------
    MismatchError
        If the masks differ in shape.
    OptionsError
        If the convention is unknown.
    ScoringError
        If the tolerance is not 0 or more.
    """
    masks = labels(truth, "truth"), labels(predicted, "predicted")
    config = _surface(convention, tolerance_mm)
    found = _multirnet.score_surface(*masks, _placed(spacing), label, config)
    return cast("Surface", load(found))


def surface_dice(
    truth: ArrayLike,
    predicted: ArrayLike,
    spacing: Sequence[float],
    *,
    tolerance_mm: float = 1.0,
    convention: Convention = "area",
    label: int | None = None,
) -> float | None:
    """Compute the share of both surfaces that lies within a tolerance of the other.

    Parameters
    ----------
    truth, predicted : array_like
        Masks on one grid, ``(z, y, x)``.
    spacing : sequence of float
        Millimetres per array axis, ``(z, y, x)``.
    tolerance_mm : float, optional
        The tolerance.
    convention : str, optional
        ``"area"`` or ``"voxel-6"``.
    label : int, optional
        The label to score; any but 0 without it.

    Returns
    -------
    float or None
        0 to 1; ``None`` if both masks are empty.
    """
    found = surface(
        truth,
        predicted,
        spacing,
        label=label,
        convention=convention,
        tolerance_mm=tolerance_mm,
    )
    return found["surface_dice"]


def hausdorff(
    truth: ArrayLike,
    predicted: ArrayLike,
    spacing: Sequence[float],
    *,
    percentile: int = 100,
    convention: Convention = "area",
    label: int | None = None,
) -> float | None:
    """Compute the Hausdorff distance or its 95th percentile.

    Parameters
    ----------
    truth, predicted : array_like
        Masks on one grid, ``(z, y, x)``.
    spacing : sequence of float
        Millimetres per array axis, ``(z, y, x)``.
    percentile : int, optional
        100 or 95.
    convention : str, optional
        ``"area"`` or ``"voxel-6"``.
    label : int, optional
        The label to score; any but 0 without it.

    Returns
    -------
    float or None
        Millimetres; ``math.inf`` if one mask is empty.

    Raises
    ------
    ValueError
        If the percentile is another.
    """
    found = surface(truth, predicted, spacing, label=label, convention=convention)
    if percentile == 100:
        return found["hausdorff_mm"]
    if percentile == 95:
        return found["hausdorff_95_mm"]
    raise ValueError(f"percentile is {percentile} (give 100 or 95)")


def lesions(
    truth: ArrayLike,
    predicted: ArrayLike,
    *,
    label: int | None = None,
    connectivity: Connectivity = "corners",
    min_overlap: float = 0.0,
) -> Lesions:
    """Count the single lesions that were found, missed and invented.

    Parameters
    ----------
    truth, predicted : array_like
        Masks on one grid, ``(z, y, x)``.
    label : int, optional
        The label to score; any but 0 without it.
    connectivity : str, optional
        ``"corners"`` (26 neighbours) or ``"faces"`` (6).
    min_overlap : float, optional
        Share of a lesion's voxels that the other mask must cover. With 0, one voxel is enough.

    Returns
    -------
    dict
        The counts, with sensitivity, precision and F1.

    Raises
    ------
    MismatchError
        If the masks differ in shape.
    OptionsError
        If the connectivity is unknown.
    ScoringError
        If `min_overlap` is not in 0 to 1.
    """
    masks = labels(truth, "truth"), labels(predicted, "predicted")
    config = _lesions(connectivity, min_overlap)
    return cast("Lesions", load(_multirnet.score_lesions(*masks, _placed(_UNIT), label, config)))


def case(
    truth: ArrayLike,
    predicted: ArrayLike,
    spacing: Sequence[float],
    *,
    label: int | None = None,
    convention: Convention = "area",
    tolerance_mm: float = 1.0,
    connectivity: Connectivity = "corners",
    min_overlap: float = 0.0,
) -> Case:
    """Compute all scores of one scan.

    Parameters
    ----------
    truth, predicted : array_like
        Masks on one grid, ``(z, y, x)``.
    spacing : sequence of float
        Millimetres per array axis, ``(z, y, x)``.
    label : int, optional
        The label to score; any but 0 without it.
    convention : str, optional
        As for `surface`.
    tolerance_mm : float, optional
        As for `surface`.
    connectivity : str, optional
        As for `lesions`.
    min_overlap : float, optional
        As for `lesions`.

    Returns
    -------
    dict
        The scores, which `cohort` takes.
    """
    masks = labels(truth, "truth"), labels(predicted, "predicted")
    found = _multirnet.score_case(
        *masks,
        _placed(spacing),
        label,
        _surface(convention, tolerance_mm),
        _lesions(connectivity, min_overlap),
    )
    return cast("Case", load(found))


def cohort(cases: Sequence[Case], *, policy: Policy = "worst") -> Cohort:
    """Compute the scores of a set of scans.

    Parameters
    ----------
    cases : sequence of dict
        What `case` gave for each scan.
    policy : str, optional
        How means treat undefined and infinite values.

    Returns
    -------
    dict
        Every metric over the scans that truly have lesions, what was predicted in the others, and
        single lesions of all scans together.

    Raises
    ------
    ScoringError
        If there is no scan.
    MismatchError
        If the scans were scored by different conventions.
    """
    found = _multirnet.score_cohort(dump(list(cases)), json.dumps(policy))
    return cast("Cohort", load(found))


def _placed(spacing: Sequence[float]) -> tuple[
    tuple[float, float, float],
    tuple[float, float, float],
    tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]],
]:
    return Grid(vector(spacing, "spacing")).placed()


def _surface(convention: str, tolerance_mm: float) -> str:
    # JSON has no word for these; any negative number is refused as they are.
    tolerance = tolerance_mm if math.isfinite(tolerance_mm) else -1.0
    return json.dumps({"convention": convention, "tolerance_mm": tolerance})


def _lesions(connectivity: str, min_overlap: float) -> str:
    share = min_overlap if math.isfinite(min_overlap) else -1.0
    return json.dumps({"connectivity": connectivity, "min_overlap": share})
