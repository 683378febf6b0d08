"""Golden statistics, made with SciPy, statsmodels and scikit-learn.

    pip install scipy statsmodels scikit-learn numpy
    python make_statistics.py > statistics.json
"""

import json
import math
import warnings

import numpy as np
from scipy import stats
from sklearn.metrics import roc_auc_score, roc_curve
from statsmodels.stats.multitest import multipletests

warnings.filterwarnings("ignore")
rng = np.random.default_rng(20220301)


def plain(value):
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(v) for v in value]
    if isinstance(value, (str, bool, int)):
        return value
    value = float(value)
    return "undefined" if math.isnan(value) else "infinite" if math.isinf(value) else value


def paired(name, a, b):
    a, b = np.asarray(a, float), np.asarray(b, float)
    t = stats.ttest_rel(a, b)
    w = stats.wilcoxon(a, b)
    d = a - b
    n, sd = len(d), d.std(ddof=1)
    q = stats.t.ppf(0.975, n - 1)
    error = sd * math.sqrt(1 / n + 1.96**2 / (2 * (n - 1)))
    limits = [(d.mean(), sd / math.sqrt(n)), (d.mean() - 1.96 * sd, error),
              (d.mean() + 1.96 * sd, error)]
    return {
        "name": name, "a": a, "b": b,
        "t": t.statistic, "t_p": t.pvalue,
        "w": w.statistic, "w_p": w.pvalue,
        "sd": sd, "limits": [[v, v - q * e, v + q * e] for v, e in limits],
    }


def dice(n, shift, spread=0.1, digits=None):
    a = np.clip(rng.normal(0.7, 0.15, n), 0, 1)
    b = np.clip(a + rng.normal(shift, spread, n), 0, 1)
    return (a, b) if digits is None else (a.round(digits), b.round(digits))


pairs = [
    paired("two", [0.5, 0.7], [0.4, 0.9]),
    paired("five", *dice(5, 0.02)),
    paired("thirteen with ties", *dice(13, 0.02, digits=1)),
    paired("fourteen with ties", *dice(14, 0.02, digits=1)),
    paired("with zeros", [1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 2, 5, 3, 9, 7, 4]),
    paired("many zeros", *[np.where(np.arange(30) % 3 > 0, v, 0.5) for v in dice(30, 0.03)]),
    paired("thirty", *dice(30, 0.05)),
    paired("fifty", *dice(50, 0.03)),
    paired("fifty-one", *dice(51, 0.03)),
    paired("eighty-three", *dice(83, 0.02)),
    paired("eighty-three with ties", *dice(83, 0.03, digits=2)),
    paired("far apart", *dice(60, 0.3, 0.02)),
    paired("same in the mean", *dice(40, 0.0)),
    paired("millimetres", rng.gamma(2, 3, 25), rng.gamma(2, 3, 25)),
]

families = []
for p in ([0.01, 0.04, 0.03, 0.005], [0.2], [1e-9, 0.5, 0.5, 0.04, 0.9, 1.0], rng.random(12) ** 3,
          [0.03, 0.03, 0.03]):
    families.append({"p": list(p), "holm": multipletests(p, method="holm")[1]})

curves = []
for n, digits in ((12, 1), (40, 2), (83, 16), (60, 1)):
    truth = rng.integers(0, 3, n)
    truth[:3] = [0, 1, 2]
    logits = rng.normal(size=(n, 3)) + 1.2 * np.eye(3)[truth]
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    # Rounded probabilities tie. scikit-learn's macro area needs rows that sum to 1.
    p = p.round(digits)
    p[:, 2] = (1 - p[:, 0] - p[:, 1]).round(digits)
    classes = []
    for k in range(3):
        fpr, tpr, thresholds = roc_curve(truth == k, p[:, k], drop_intermediate=False)
        classes.append({"fpr": fpr, "tpr": tpr, "thresholds": thresholds,
                        "auc": roc_auc_score(truth == k, p[:, k])})
    curves.append({
        "truth": [int(t) for t in truth], "probabilities": p, "classes": classes,
        "macro": roc_auc_score(truth, p, multi_class="ovr", average="macro")})

# The interval of a mean over patients: SciPy draws other samples; the ends agree within the noise.
values = np.clip(rng.normal(0.7, 0.2, 40), 0, 1)
found = stats.bootstrap((values,), np.mean, n_resamples=200_000, method="percentile",
                        rng=np.random.default_rng(1), batch=10_000).confidence_interval
bootstrap = {"values": values, "low": found.low, "high": found.high}

print(json.dumps(plain({"pairs": pairs, "families": families, "curves": curves,
                        "bootstrap": bootstrap})))
