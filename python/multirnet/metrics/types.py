"""Types of scores: dictionaries, whose values are ``None`` where they are undefined."""

from __future__ import annotations

from typing import Literal, TypedDict

Policy = Literal["propagate", "worst", "skip"]
Convention = Literal["area", "voxel-6"]
Connectivity = Literal["corners", "faces"]
Class = Literal["normal", "cap", "covid19"]


class Overlap(TypedDict):
    """Overlap of two masks: voxels, shares and volumes."""

    true_positive: int
    false_positive: int
    false_negative: int
    voxel_mm3: float
    dice: float | None
    iou: float | None
    recall: float | None
    precision: float | None
    truth_ml: float
    predicted_ml: float
    false_positive_ml: float


class Surface(TypedDict):
    """Distances between two surfaces in millimetres, and shares within the tolerance."""

    convention: Convention
    tolerance_mm: float
    asd_mm: float | None
    asd_truth_to_predicted_mm: float | None
    asd_predicted_to_truth_mm: float | None
    asd_pooled_mm: float | None
    overlap: float | None
    overlap_truth: float | None
    overlap_predicted: float | None
    surface_dice: float | None
    hausdorff_mm: float | None
    hausdorff_95_mm: float | None


class LesionCounts(TypedDict):
    """True lesions and missed ones, predicted lesions and invented ones."""

    connectivity: Connectivity
    min_overlap: float
    truth: int
    missed: int
    predicted: int
    invented: int


class Lesions(LesionCounts):
    """Counts of lesions with the shares that follow from them."""

    sensitivity: float | None
    precision: float | None
    f1: float | None


class Counts(TypedDict):
    """Overlap in voxels."""

    true_positive: int
    false_positive: int
    false_negative: int
    voxel_mm3: float


class Case(TypedDict):
    """All scores of one scan."""

    overlap: Counts
    dice: float | None
    iou: float | None
    surface: Surface
    lesions: LesionCounts
    diagonal_mm: float


class Aggregate(TypedDict):
    """Mean and spread over cases, with the counts of values that are not finite."""

    n: int
    n_undefined: int
    n_infinite: int
    policy: Policy
    mean: float | None
    sd: float | None
    median: float | None
    min: float | None
    max: float | None


class MetricScore(Aggregate):
    """One metric over the scans that truly have lesions."""

    metric: str


class FalsePositives(TypedDict):
    """What was predicted in scans that truly have no lesion."""

    n: int
    n_with_prediction: int
    rate: float | None
    volume_ml: Aggregate


class SurfaceSetting(TypedDict):
    """Convention and tolerance."""

    convention: Convention
    tolerance_mm: float


class Cohort(TypedDict):
    """Scores of a set of scans."""

    surface: SurfaceSetting
    n_scans: int
    scores: list[MetricScore]
    false_positives: FalsePositives
    lesions: LesionCounts | None


ClassScores = TypedDict(
    "ClassScores",
    {
        "class": Class,
        "support": int,
        "predicted": int,
        "recall": float | None,
        "precision": float | None,
        "f1": float | None,
    },
)


class Confusion(TypedDict):
    """Counts: rows are the truth, columns the prediction."""

    counts: list[list[int]]


class Classification(TypedDict):
    """Scores of classes."""

    n: int
    confusion: Confusion
    accuracy: float
    classes: list[ClassScores]
    macro_recall: float | None
    macro_precision: float | None
    macro_f1: float | None
    macro_f1_harmonic: float | None
    n_undefined: int
    policy: Policy


class RocPoint(TypedDict):
    """The rates at a threshold."""

    threshold: float
    false_positive_rate: float
    true_positive_rate: float


class Roc(TypedDict):
    """A curve with the area under it."""

    positives: int
    negatives: int
    points: list[RocPoint]
    auc: float


ClassRoc = TypedDict("ClassRoc", {"class": Class, "curve": Roc | None})


class OneVsRest(TypedDict):
    """The curves of each class against the rest, and the mean of their areas."""

    classes: list[ClassRoc]
    auc: Aggregate


class PairedT(TypedDict):
    """Student's paired t test."""

    n: int
    mean_difference: float | None
    sd: float | None
    t: float | None
    degrees_of_freedom: int
    p: float | None


class Wilcoxon(TypedDict):
    """Wilcoxon's signed-rank test."""

    n: int
    n_zero: int
    rank_sum_positive: float
    rank_sum_negative: float
    statistic: float
    method: Literal["exact", "normal"]
    p: float


class Limit(TypedDict):
    """A value with its confidence interval."""

    value: float
    low: float
    high: float


class BlandAltman(TypedDict):
    """Bias and limits of agreement."""

    n: int
    bias: Limit
    sd: float
    lower: Limit
    upper: Limit
    confidence: float
    n_outside: int
    points: list[tuple[float, float]]


class Significance(TypedDict):
    """One comparison's p value before and after correction."""

    p: float | None
    p_corrected: float | None
    correction: str
    comparisons: int
    stars: str


class Interval(TypedDict):
    """A value with its bootstrap interval."""

    value: float | None
    low: float | None
    high: float | None
    patients: int
    n_undefined: int
    replicates: int
    level: float
    seed: int


class BoxSummary(TypedDict):
    """What a box plot shows."""

    n: int
    quartiles: tuple[float, float, float]
    whiskers: tuple[float, float]
