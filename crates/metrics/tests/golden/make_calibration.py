"""Golden reliability bins, calibration errors and temperatures, made with scikit-learn, torchmetrics and SciPy.

    pip install scikit-learn torchmetrics scipy numpy torch
    python make_calibration.py > calibration.json
"""

import json

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss
from torchmetrics.functional.classification import binary_calibration_error

rng = np.random.default_rng(20261201)


def fitted(loss):
    """The temperature of the smallest loss; the search is over its logarithm."""
    found = minimize_scalar(
        lambda t: loss(np.exp(t)), bounds=(np.log(0.05), np.log(20)), method="bounded",
        options={"xatol": 1e-10},
    )
    return {"temperature": float(np.exp(found.x)), "before": float(loss(1.0)), "after": float(found.fun)}


binary = []
for n, factor in [(60, 1.0), (400, 2.5), (400, 0.4)]:
    # Few distinct values, in the middle of fine bins, so that a fine bin's mean is the value itself.
    z = np.log(p := rng.integers(0, 100, n) / 100 + 0.005) - np.log1p(-p)
    event = rng.random(n) < expit(z / factor)
    share, mean = calibration_curve(event, p, n_bins=10)
    error = binary_calibration_error(
        torch.tensor(p), torch.tensor(event.astype(int)), n_bins=10, norm="l1"
    )
    binary.append(
        {
            "probability": p.tolist(),
            "event": event.tolist(),
            "mean": mean.tolist(),
            "share": share.tolist(),
            "error": float(error),
            "brier": float(brier_score_loss(event, p)),
            **fitted(lambda t: log_loss(event, expit(z / t), labels=[False, True])),
        }
    )

classes = []
for n, factor in [(50, 3.0), (200, 0.5)]:
    z = rng.normal(size=(n, 3)) * 2
    truth = np.array([rng.choice(3, p=np.exp(log_softmax(row / factor))) for row in z])
    said = log_softmax(z, axis=1)
    classes.append(
        {
            "probability": np.exp(said).tolist(),
            "truth": truth.tolist(),
            **fitted(lambda t: -log_softmax(said / t, axis=1)[np.arange(n), truth].mean()),
        }
    )

print(json.dumps({"binary": binary, "classes": classes}))
