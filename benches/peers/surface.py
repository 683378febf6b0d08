#!/usr/bin/env python3
"""Surface scores of a pair of masks, as a peer of `surface` (see serving.py).

    surface.py LIBRARY --masks TRUTH,PREDICTED --shape D,H,W --spacing D,H,W --tolerance MM

LIBRARY: surface-distance (DeepMind's) or monai. Masks are raw bytes, 0 or 1. The scores are those
of `surface.rs`, in its order.
"""
import argparse
import os
from importlib import metadata

import numpy as np

from serving import serve


def surface_distance(o, truth, predicted):
    import scipy.ndimage as ndimage

    # Version 0.1 asks for names that NumPy 2 and SciPy 1.15 no longer have.
    np.Inf, np.NaN = np.inf, np.nan
    for gone in ("filters", "morphology"):
        setattr(ndimage, gone, ndimage)
    import surface_distance.metrics as deepmind

    last = []

    def run():
        d = deepmind.compute_surface_distances(truth, predicted, o.spacing)
        last[:] = [
            *deepmind.compute_average_surface_distance(d),
            *deepmind.compute_surface_overlap_at_tolerance(d, o.tolerance),
            deepmind.compute_surface_dice_at_tolerance(d, o.tolerance),
            deepmind.compute_robust_hausdorff(d, 100.0),
            deepmind.compute_robust_hausdorff(d, 95.0),
        ]

    return run, last


def monai(o, truth, predicted):
    import torch
    from monai.metrics.utils import get_edge_surface_distance

    torch.set_num_threads(o.threads)
    t, p = torch.from_numpy(truth), torch.from_numpy(predicted)
    last = []

    def run():
        # What MONAI's own metrics begin with, once for all of them.
        _, (from_p, from_t), _ = get_edge_surface_distance(p, t, spacing=o.spacing, symmetric=True)
        within = [(d <= o.tolerance).double() for d in (from_t, from_p)]
        # Not `torch.quantile`, which refuses more than 2^24 distances.
        high = [np.quantile(d.numpy(), 0.95) for d in (from_t, from_p)]
        last[:] = [
            from_t.double().mean(), from_p.double().mean(), within[0].mean(), within[1].mean(),
            torch.cat(within).mean(), max(from_t.max(), from_p.max()), max(high),
        ]

    return run, last


def main():
    p = argparse.ArgumentParser()
    p.add_argument("library", choices=["surface-distance", "monai"])
    p.add_argument("--masks", required=True)
    p.add_argument("--shape", required=True)
    p.add_argument("--spacing", required=True)
    p.add_argument("--tolerance", type=float, default=1.0)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    o = p.parse_args()
    o.spacing = [float(v) for v in o.spacing.split(",")]
    shape = [int(v) for v in o.shape.split(",")]

    def make():
        truth, predicted = (np.fromfile(m, bool).reshape(shape) for m in o.masks.split(","))
        library = surface_distance if o.library == "surface-distance" else monai
        run, last = library(o, truth, predicted)
        return dict(version=metadata.version(o.library)), run, lambda: [np.array(last, float)]

    serve(make)


if __name__ == "__main__":
    main()
