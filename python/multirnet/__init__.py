"""Analysis of chest CT scans.

For research use only. Not a medical device.

Conventions
-----------
Arrays are indexed ``(z, y, x)``, ``x`` fastest. World coordinates are LPS millimetres, as in DICOM and
ITK. Lung labels are 1 (right) and 2 (left). Lesion labels are 1 (ground glass, or any lesion) and
2 (consolidation). Classes are ``"normal"``, ``"cap"`` and ``"covid19"``, in this order.

Examples
--------
>>> import multirnet
>>> model = multirnet.load_model()
>>> scan = multirnet.phantom.generate(seed=7, diagnosis="covid19", matrix=96)
>>> finding = model.analyse(scan)
>>> finding.lesions.shape == scan.ct.shape
True
"""

from __future__ import annotations

from . import errors, metrics, phantom
from ._finding import Finding, Involvement, KindInvolvement, SingleLesion, ZoneInvolvement
from ._grid import Grid
from ._model import Model, load_model, models
from ._multirnet import __version__
from ._scan import Scan, read
from ._training import Comparison, TrainingSummary, compare, train
from .errors import MultirnetError

__all__ = [
    "Comparison",
    "Finding",
    "Grid",
    "Involvement",
    "KindInvolvement",
    "Model",
    "MultirnetError",
    "Scan",
    "SingleLesion",
    "TrainingSummary",
    "ZoneInvolvement",
    "__version__",
    "compare",
    "errors",
    "load_model",
    "metrics",
    "models",
    "phantom",
    "read",
    "train",
]
