"""Golden classification and Dice scores, made with scikit-learn.

    pip install scikit-learn numpy
    python make_scores.py > scores.json
"""

import json

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
    precision_score,
    recall_score,
)

rng = np.random.default_rng(20220301)
LABELS = [0, 1, 2]


def case(truth, predicted):
    kw = dict(labels=LABELS, zero_division=0)
    p, r, f, n = precision_recall_fscore_support(truth, predicted, average=None, **kw)
    return {
        "truth": [int(v) for v in truth],
        "predicted": [int(v) for v in predicted],
        "confusion": confusion_matrix(truth, predicted, labels=LABELS).tolist(),
        "accuracy": accuracy_score(truth, predicted),
        "precision": p.tolist(),
        "recall": r.tolist(),
        "f1": f.tolist(),
        "support": n.tolist(),
        "macro_precision": precision_score(truth, predicted, average="macro", **kw),
        "macro_recall": recall_score(truth, predicted, average="macro", **kw),
        "macro_f1": f1_score(truth, predicted, average="macro", **kw),
    }


cases = []
for n, good in [(83, 0.9), (40, 0.5), (9, 0.2)]:
    truth = rng.integers(0, 3, n)
    predicted = np.where(rng.random(n) < good, truth, rng.integers(0, 3, n))
    cases.append(case(truth, predicted))
cases.append(case([0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 2, 2]))  # CAP never predicted
cases.append(case([0, 0, 2, 2], [0, 1, 2, 2]))  # CAP absent from the truth

masks = []
for share in [0.5, 0.1, 0.02]:
    truth = (rng.random((3, 4, 5)) < share).astype(int)
    predicted = np.where(rng.random((3, 4, 5)) < 0.3, 1 - truth, truth)
    masks.append(
        {
            "truth": truth.ravel().tolist(),
            "predicted": predicted.ravel().tolist(),
            "dice": f1_score(truth.ravel(), predicted.ravel(), zero_division=0),
        }
    )

print(json.dumps({"classification": cases, "masks": masks}))
