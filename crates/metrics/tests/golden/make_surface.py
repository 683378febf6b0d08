"""Golden surface and lesion scores, made with DeepMind's surface-distance and with MONAI.

    pip install surface-distance monai scipy numpy
    python make_surface.py > surface.json

`mask` here and `mask` in ../surface.rs make the masks from whole numbers, so only the masks' recipes
are stored.
"""

import itertools
import json
import math
import sys
import warnings

import numpy as np
import scipy.ndimage as ndimage

# surface-distance 0.1 needs names that NumPy 2 and SciPy 1.15 no longer have.
np.Inf, np.NaN = np.inf, np.nan
for gone in ("filters", "morphology"):
    setattr(ndimage, gone, ndimage)

import surface_distance.metrics as deepmind  # noqa: E402
import torch  # noqa: E402
from monai.metrics import (  # noqa: E402
    compute_average_surface_distance,
    compute_hausdorff_distance,
    compute_surface_dice,
)

warnings.filterwarnings("ignore")
np.seterr(all="ignore")

TOLERANCES = {"area": [0.0, 0.7, 1.0, 2.6], "voxel-6": [0.5, 1.0, 2.6]}
PERCENTS = [100.0, 95.0, 50.0]
U32 = 0xFFFFFFFF


def draw(seed, z, y, x):
    """A pseudorandom number in 0..1000 for a voxel."""
    h = (z * 73856093 ^ y * 19349663 ^ x * 83492791 ^ seed * 2654435761) & U32
    h = ((h ^ h >> 16) * 0x45D9F3B) & U32
    h = ((h ^ h >> 16) * 0x45D9F3B) & U32
    return (h ^ h >> 16) % 1000


def inside(part, z, y, x):
    kind, *n = part
    if kind == "box":  # first and last voxel per axis
        return n[0] <= z <= n[1] and n[2] <= y <= n[3] and n[4] <= x <= n[5]
    if kind == "ball":  # centre and radii
        d = [(z - n[0]) ** 2, (y - n[1]) ** 2, (x - n[2]) ** 2]
        r = [n[3] ** 2, n[4] ** 2, n[5] ** 2]
        return d[0] * r[1] * r[2] + d[1] * r[0] * r[2] + d[2] * r[0] * r[1] <= r[0] * r[1] * r[2]
    if kind == "noise":  # seed, size of the grains per axis, how many of 1000
        return draw(n[0], z // n[1], y // n[2], x // n[3]) < n[4]
    raise ValueError(kind)


def mask(shape, recipe):
    """The voxels within any part of `on` and no part of `off`."""
    out = np.zeros(shape, bool)
    for p in itertools.product(*map(range, shape)):
        out[p] = any(inside(a, *p) for a in recipe["on"]) and not any(
            inside(a, *p) for a in recipe.get("off", []))
    return out


def area_scores(truth, predicted, spacing):
    d = deepmind.compute_surface_distances(truth, predicted, spacing)
    overlaps = [deepmind.compute_surface_overlap_at_tolerance(d, t) for t in TOLERANCES["area"]]
    return {
        "weights": [d["surfel_areas_gt"].sum(), d["surfel_areas_pred"].sum()],
        "means": deepmind.compute_average_surface_distance(d),
        "overlaps_truth": [o[0] for o in overlaps],
        "overlaps_predicted": [o[1] for o in overlaps],
        "surface_dice": [
            deepmind.compute_surface_dice_at_tolerance(d, t) for t in TOLERANCES["area"]],
        "hausdorff": [deepmind.compute_robust_hausdorff(d, p) for p in PERCENTS],
    }


def voxel_scores(truth, predicted, spacing):
    t, p = (torch.from_numpy(m)[None, None] for m in (truth, predicted))
    one = dict(include_background=True, spacing=list(spacing))

    def number(v):
        return float(v.reshape(()))

    return {
        "means": [
            number(compute_average_surface_distance(t, p, **one)),
            number(compute_average_surface_distance(p, t, **one)),
        ],
        "pooled": number(compute_average_surface_distance(p, t, symmetric=True, **one)),
        "surface_dice": [
            number(compute_surface_dice(p, t, [tolerance], **one))
            for tolerance in TOLERANCES["voxel-6"]],
        "hausdorff": [
            number(compute_hausdorff_distance(p, t, percentile=None if q == 100 else q, **one))
            for q in PERCENTS],
    }


def lesion_counts(truth, predicted):
    counts = []
    for a, b in ((truth, predicted), (predicted, truth)):
        labels, n = ndimage.label(a, np.ones((3, 3, 3)))
        counts += [n, n - len(np.unique(labels[a & b]))]
    return counts


def plain(value):
    """Replaces numbers that JSON cannot write by words."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    value = float(value)
    return "undefined" if math.isnan(value) else "infinite" if math.isinf(value) else value


ONE, CT, ODD = [1.0, 1.0, 1.0], [5.0, 0.7, 0.7], [2.5, 0.8, 1.3]


def on(*parts, off=()):
    return {"on": list(parts), "off": list(off)}


CASES = [
    # name, shape, spacing, truth, predicted
    ("both empty", [4, 5, 6], ONE, on(), on()),
    ("prediction empty", [5, 9, 9], CT, on(["ball", 2, 4, 4, 2, 3, 3]), on()),
    ("truth empty", [5, 9, 9], CT, on(), on(["ball", 2, 4, 4, 2, 3, 3])),
    ("identical", [6, 9, 9], CT, on(["ball", 3, 4, 4, 2, 4, 3]), on(["ball", 3, 4, 4, 2, 4, 3])),
    ("one voxel each, apart", [4, 7, 9], ODD, on(["box", 1, 1, 2, 2, 2, 2]), on(["box", 2, 2, 5, 5, 7, 7])),
    ("one voxel, the same", [3, 3, 3], CT, on(["box", 1, 1, 1, 1, 1, 1]), on(["box", 1, 1, 1, 1, 1, 1])),
    ("one voxel in a corner", [3, 4, 5], CT, on(["box", 0, 0, 0, 0, 0, 0]), on(["box", 2, 2, 3, 3, 4, 4])),
    ("one voxel and a ball", [7, 11, 12], ONE, on(["ball", 3, 5, 5, 3, 4, 4]), on(["box", 3, 3, 5, 5, 5, 5])),
    ("one voxel is all", [1, 1, 1], CT, on(["box", 0, 0, 0, 0, 0, 0]), on(["box", 0, 0, 0, 0, 0, 0])),
    ("touching every border", [4, 6, 7], CT, on(["box", 0, 3, 0, 5, 0, 6]), on(["box", 0, 3, 1, 4, 0, 6])),
    ("full", [3, 4, 5], ODD, on(["box", 0, 2, 0, 3, 0, 4]), on(["box", 0, 2, 0, 3, 0, 4])),
    ("touching one border", [6, 8, 9], CT, on(["ball", 0, 4, 4, 3, 4, 4]), on(["ball", 1, 4, 5, 3, 4, 3])),
    ("disjoint", [6, 12, 14], CT, on(["ball", 2, 3, 3, 2, 3, 3]), on(["ball", 4, 8, 10, 1, 3, 3])),
    ("disjoint, many", [7, 14, 14], ONE, on(["ball", 2, 3, 3, 2, 2, 2], ["box", 5, 6, 1, 2, 9, 12]),
     on(["ball", 3, 10, 10, 2, 3, 3], ["box", 0, 0, 12, 13, 0, 1])),
    ("nested", [9, 12, 12], CT, on(["ball", 4, 6, 6, 4, 5, 5]), on(["ball", 4, 6, 6, 2, 3, 3])),
    ("nested shell", [9, 12, 12], ODD, on(["ball", 4, 6, 6, 4, 5, 5], off=[["ball", 4, 6, 6, 2, 3, 3]]),
     on(["ball", 4, 6, 6, 2, 3, 3])),
    ("shifted along z", [8, 10, 10], CT, on(["ball", 3, 5, 5, 2, 4, 4]), on(["ball", 4, 5, 5, 2, 4, 4])),
    ("shifted along y", [8, 10, 10], CT, on(["ball", 3, 4, 5, 2, 4, 4]), on(["ball", 3, 5, 5, 2, 4, 4])),
    ("shifted along x", [8, 10, 12], CT, on(["ball", 3, 5, 4, 2, 4, 4]), on(["ball", 3, 5, 6, 2, 4, 4])),
    ("plates", [6, 8, 8], ODD, on(["box", 2, 2, 1, 6, 1, 6]), on(["box", 4, 4, 1, 6, 1, 6])),
    ("rods", [6, 8, 9], CT, on(["box", 0, 5, 3, 3, 4, 4]), on(["box", 2, 2, 0, 7, 4, 4])),
    ("one slice", [1, 12, 13], CT, on(["ball", 0, 5, 5, 1, 4, 4]), on(["ball", 0, 6, 6, 1, 3, 5])),
    ("one column", [9, 1, 1], CT, on(["box", 1, 3, 0, 0, 0, 0]), on(["box", 2, 7, 0, 0, 0, 0])),
    ("one row", [1, 1, 12], ODD, on(["box", 0, 0, 0, 0, 0, 4]), on(["box", 0, 0, 0, 0, 3, 9])),
    ("diagonal neighbours", [4, 4, 4], ODD, on(["box", 1, 1, 1, 1, 1, 1], ["box", 2, 2, 2, 2, 2, 2]),
     on(["box", 1, 1, 2, 2, 1, 1], ["box", 2, 2, 1, 1, 1, 1])),
    ("a lesion missed", [7, 12, 14], CT, on(["ball", 2, 4, 4, 2, 3, 3], ["ball", 5, 9, 11, 1, 2, 2]),
     on(["ball", 2, 5, 4, 2, 3, 3])),
    ("a lesion invented", [7, 12, 14], CT, on(["ball", 2, 4, 4, 2, 3, 3]),
     on(["ball", 2, 4, 4, 1, 3, 3], ["ball", 5, 9, 11, 1, 2, 2])),
    ("box against ball", [9, 11, 11], ONE, on(["box", 2, 6, 2, 8, 2, 8]), on(["ball", 4, 5, 5, 3, 4, 4])),
    ("far apart", [3, 4, 60], CT, on(["box", 1, 1, 1, 2, 0, 1]), on(["box", 1, 1, 1, 2, 57, 59])),
    # Every way to fill 2 x 2 x 2 voxels occurs in noise.
    ("noise, sparse", [8, 12, 12], CT, on(["noise", 1, 1, 1, 1, 60]), on(["noise", 2, 1, 1, 1, 60])),
    ("noise, half", [8, 12, 12], CT, on(["noise", 3, 1, 1, 1, 500]), on(["noise", 4, 1, 1, 1, 500])),
    ("noise, odd spacing", [9, 11, 12], ODD, on(["noise", 5, 1, 1, 1, 400]), on(["noise", 6, 1, 1, 1, 300])),
    ("noise, dense", [7, 10, 10], ONE, on(["noise", 7, 1, 1, 1, 930]), on(["noise", 8, 1, 1, 1, 900])),
    ("blobs", [10, 24, 26], CT, on(["noise", 9, 2, 4, 4, 250]), on(["noise", 10, 2, 4, 4, 250])),
    ("blobs, fine", [12, 20, 22], ODD, on(["noise", 11, 2, 3, 2, 150]), on(["noise", 12, 3, 2, 3, 150])),
    ("blobs in a ball", [12, 22, 22], CT,
     on(["ball", 6, 11, 11, 5, 9, 9], off=[["noise", 13, 2, 3, 3, 400]]),
     on(["ball", 5, 11, 12, 5, 8, 9], off=[["noise", 13, 2, 3, 3, 300]])),
]


def main():
    lines = []
    for name, shape, spacing, *recipes in CASES:
        truth, predicted = (mask(shape, r) for r in recipes)
        lines.append(json.dumps(plain_case(name, shape, spacing, recipes, truth, predicted)))
    print('{"tolerances": ' + json.dumps(TOLERANCES) + ', "percents": ' + json.dumps(PERCENTS))
    print(', "cases": [\n' + ",\n".join(lines) + "\n]}")
    print(f"{len(lines)} pairs of masks", file=sys.stderr)


def stored(recipe):
    return {k: [[kind, n] for kind, *n in parts] for k, parts in recipe.items() if parts}


def plain_case(name, shape, spacing, recipes, truth, predicted):
    return {
        "name": name, "shape": shape, "spacing": spacing,
        "truth": stored(recipes[0]), "predicted": stored(recipes[1]),
        "dice": plain(deepmind.compute_dice_coefficient(truth, predicted)),
        "area": plain(area_scores(truth, predicted, spacing)),
        "voxel": plain(voxel_scores(truth, predicted, spacing)),
        "lesions": lesion_counts(truth, predicted),
    }


if __name__ == "__main__":
    main()
