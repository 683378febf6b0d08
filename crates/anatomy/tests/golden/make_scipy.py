"""Distances and component labels by SciPy, for tests/golden.rs.

    python make_scipy.py > scipy.json  # numpy 2, scipy 1.15 or later
"""

import json

import numpy as np
from scipy import ndimage

cases = []
for seed, shape, spacing, density in [
    (1, (6, 9, 8), (2.5, 0.7, 0.7), 0.08),
    (2, (5, 7, 10), (1.25, 0.703125, 0.703125), 0.35),
    (3, (1, 12, 9), (5.0, 1.0, 2.0), 0.2),
    (4, (9, 4, 6), (1.0, 1.0, 1.0), 0.6),
]:
    mask = np.random.default_rng(seed).random(shape) < density
    faces, _ = ndimage.label(mask)
    corners, _ = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    cases.append(
        {
            "shape": shape,
            "spacing": spacing,
            "mask": mask.ravel().astype(int).tolist(),
            "to_mask": np.round(
                ndimage.distance_transform_edt(~mask, sampling=spacing), 5
            )
            .ravel()
            .tolist(),
            "to_background": np.round(
                ndimage.distance_transform_edt(mask, sampling=spacing), 5
            )
            .ravel()
            .tolist(),
            "faces": faces.ravel().tolist(),
            "corners": corners.ravel().tolist(),
        }
    )
print(json.dumps(cases, separators=(",", ":")))
