"""Volume, surface, lesion and classification metrics, and the statistics that compare them.

Masks are arrays ``(z, y, x)`` of booleans or labels, and any label but 0 counts as mask unless a label is
named. Both masks lie on one grid, whose spacing is in millimetres per array axis.

Nothing is dropped silently. A value that does not exist, such as Dice of two empty masks, is ``None``. An
infinite distance is ``math.inf``. A *policy* decides how a mean treats them:

============= ==================================================================================
policy        meaning
============= ==================================================================================
`propagate`   One undefined value makes the mean undefined; an infinite one makes it infinite.
`worst`       Undefined and infinite values count as the metric's worst value.
`skip`        Undefined and infinite values are left out, and counted.
============= ==================================================================================

There are two conventions for surfaces, which give different numbers: ``"area"`` is that of
``surface-distance`` (elements of the surface with their areas), ``"voxel-6"`` is that of MONAI (voxels
with a face on the outside). Every result names its own.

Examples
--------
>>> import numpy as np
>>> from multirnet import metrics
>>> truth = np.zeros((1, 4, 4), dtype=np.uint8)
>>> predicted = truth.copy()
>>> truth[:, :, 0:2] = 1
>>> predicted[:, :, 1:3] = 1
>>> metrics.dice(truth, predicted)
0.5
"""

from __future__ import annotations

from ._classes import auc, classification, one_vs_rest, roc
from ._masks import case, cohort, dice, hausdorff, iou, lesions, overlap, surface, surface_dice
from ._statistics import (
    aggregate,
    bland_altman,
    bootstrap_mean,
    box_summary,
    holm,
    paired_t,
    quantile,
    rank_correlation,
    significance,
    structural_similarity,
    wilcoxon,
)

__all__ = [
    "aggregate",
    "auc",
    "bland_altman",
    "bootstrap_mean",
    "box_summary",
    "case",
    "classification",
    "cohort",
    "dice",
    "hausdorff",
    "holm",
    "iou",
    "lesions",
    "one_vs_rest",
    "overlap",
    "paired_t",
    "quantile",
    "rank_correlation",
    "roc",
    "significance",
    "structural_similarity",
    "surface",
    "surface_dice",
    "wilcoxon",
]
