"""A pipeline that mixes transforms of MONAI with this package. Skipped without MONAI."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from multirnet import Finding, Model, metrics
from multirnet.phantom import Phantom

transforms = pytest.importorskip("monai.transforms")


def test_a_pipeline_of_monai_gives_the_same_finding(
    model: Model, phantom: Phantom, finding: Finding, nifti: Path
) -> None:
    load = transforms.Compose(
        [
            transforms.LoadImage(image_only=True, ensure_channel_first=True),
            transforms.Orientation(axcodes="LPS", labels=None),
        ]
    )
    image = load(str(nifti))
    # MONAI's arrays are (channel, x, y, z), and its affine is RAS as nibabel's.
    found = model.analyse(image[0].numpy().T, affine=image.affine.numpy())
    assert np.allclose(found.grid.affine, phantom.grid.affine, atol=1e-3)
    dice = metrics.dice(found.lesions, finding.lesions)
    assert dice == pytest.approx(1, abs=1e-3)


def test_a_map_goes_on_through_transforms_of_monai(finding: Finding) -> None:
    threshold = finding.provenance["config"]["threshold"]
    discrete = transforms.AsDiscrete(threshold=threshold)
    # Transforms take a channel first, and PyTorch warns of arrays that nobody may write to.
    mask = np.asarray(discrete(finding.probability.copy()[None]))[0]
    assert np.array_equal(mask > 0, finding.lesions > 0)


def test_surface_scores_are_those_of_monai(finding: Finding, phantom: Phantom) -> None:
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    truth, predicted = (torch.tensor(m > 0)[None, None] for m in (phantom.lesions, finding.lesions))
    spacing = list(phantom.grid.spacing)
    ours = metrics.surface(phantom.lesions, finding.lesions, spacing, convention="voxel-6")
    distance = compute_average_surface_distance(
        predicted, truth, include_background=True, spacing=spacing
    )
    assert ours["asd_predicted_to_truth_mm"] == pytest.approx(float(distance), rel=1e-5)
    hausdorff = compute_hausdorff_distance(
        predicted, truth, include_background=True, spacing=spacing
    )
    assert ours["hausdorff_mm"] == pytest.approx(float(hausdorff), rel=1e-5)
