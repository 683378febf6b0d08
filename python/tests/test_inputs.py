"""Every way to give a scan leads to the same finding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import multirnet
import nibabel
import numpy as np
import pytest
import SimpleITK
from multirnet import Finding, Grid, Model, Scan
from multirnet.errors import FileError, OptionsError, ScanError
from multirnet.phantom import Phantom


def facts(finding: Finding) -> dict[str, Any]:
    """Leave out what names the source and what a clock measured."""
    found = finding.to_dict()
    del found["timings"], found["source"]["path"], found["source"]["format"]
    return found


def same(finding: Finding, other: Finding) -> bool:
    """Compare findings and all their maps bit by bit."""
    maps = ("lungs", "lesions", "probability", "heatmap")
    return facts(finding) == facts(other) and all(
        np.array_equal(getattr(finding, name), getattr(other, name)) for name in maps
    )


def test_arrays_and_images_give_the_same_finding(
    model: Model, phantom: Phantom, finding: Finding
) -> None:
    grid = phantom.grid
    ways: list[tuple[object, dict[str, Any]]] = [
        (Scan.from_image(phantom), {}),
        (phantom.ct, {"spacing": grid.spacing, "origin": grid.origin, "direction": grid.direction}),
        (phantom.ct.astype(np.float64).T.copy().T, {"spacing": grid.spacing, "origin": grid.origin}),
        (phantom.to_sitk(), {}),
    ]
    for scan, place in ways:
        assert same(model.analyse(scan, **place), finding), (type(scan), place)
    # The digest of the values tells 0.0 from -0.0, which whole numbers do not have.
    whole = phantom.ct.astype(np.int16)
    found = [model.analyse(w, spacing=grid.spacing) for w in (whole, whole.astype(np.float32))]
    assert same(*found)


def test_a_matrix_in_double_precision_moves_nothing(
    model: Model, phantom: Phantom, finding: Finding
) -> None:
    # A matrix holds spacing times direction, so rounding may move the grid's last bit.
    image = phantom.to_nibabel()
    for found in (
        model.analyse(image),
        model.analyse(image.get_fdata().T, affine=image.affine),
    ):
        assert np.allclose(found.grid.affine, phantom.grid.affine, atol=1e-3)
        assert found.lesions.shape == finding.lesions.shape
        assert multirnet.metrics.dice(found.lesions, finding.lesions) == pytest.approx(1, abs=1e-3)


def test_a_file_of_nibabel_or_simpleitk_is_read_to_its_place(
    model: Model, phantom: Phantom, nifti: Path, tmp_path: Path
) -> None:
    path = tmp_path / "scan.mha"
    SimpleITK.WriteImage(phantom.to_sitk(), str(path))
    for file, form in ((nifti, "nifti"), (path, "metaimage")):
        scan = multirnet.read(file)
        assert scan.format == form
        assert scan.path == str(file)
        assert np.array_equal(scan.array, phantom.ct)
        assert np.allclose(scan.grid.affine, phantom.grid.affine, atol=1e-3)
    assert same(model.analyse(path), model.analyse(multirnet.read(str(path))))


def oblique() -> Grid:
    """Turn the axes, and let one of them run backwards."""
    c, s = np.cos(0.3), np.sin(0.3)
    return Grid((3.0, 0.9, 0.7), (-11.0, 25.0, 8.0), ((0, -s, -c), (0, c, -s), (1, 0, 0)))


def test_voxels_lie_where_simpleitk_and_nibabel_say() -> None:
    values = np.random.default_rng(1).normal(-500, 300, (5, 6, 7)).astype(np.float32)
    grid = oblique()
    scan = Scan.from_image(
        values, spacing=grid.spacing, origin=grid.origin, direction=grid.direction
    )
    image, nifti = scan.to_sitk(), scan.to_nibabel()
    for z, y, x in ((0, 0, 0), (4, 5, 6), (2, 0, 5)):
        world = np.asarray(grid.origin) + sum(
            index * spacing * np.asarray(axis)
            for index, spacing, axis in zip((z, y, x), grid.spacing, grid.direction)
        )
        assert image[x, y, z] == values[z, y, x] == nifti.get_fdata()[x, y, z]
        assert np.allclose(image.TransformIndexToPhysicalPoint((x, y, z)), world)
        # nibabel's world is RAS.
        ras = nibabel.affines.apply_affine(nifti.affine, (x, y, z))
        assert np.allclose(ras * (-1, -1, 1), world)
    for other in (Scan.from_image(image), Scan.from_image(nifti)):
        assert np.array_equal(other.array, values)
        assert np.allclose(other.grid.affine, grid.affine, atol=1e-5)
    assert np.allclose(Grid.from_affine(grid.affine).direction, grid.direction)


def test_unusable_inputs_are_refused_with_kind_and_hint(model: Model, phantom: Phantom) -> None:
    ct = phantom.ct
    wrong: list[tuple[Any, dict[str, Any]]] = [
        (ct, {}),
        (ct, {"spacing": (5, 1, 1), "affine": np.eye(4)}),
        (ct, {"affine": np.eye(3)}),
        (ct, {"affine": np.eye(4), "origin": (0, 0, 0)}),
        (ct, {"spacing": (5, 1)}),
        (ct[0], {"spacing": (5, 1, 1)}),
        (ct.astype(str), {"spacing": (5, 1, 1)}),
        (phantom, {"spacing": (5, 1, 1)}),
        ("scan.nii", {"spacing": (5, 1, 1)}),
    ]
    for scan, place in wrong:
        with pytest.raises(OptionsError) as caught:
            model.analyse(scan, **place)
        assert caught.value.kind == "options"
    holes = ct.copy()
    holes[3, 4, 5] = np.nan
    for values, spacing in ((holes, (5, 1, 1)), (ct, (5, 0, 1)), (np.zeros((4, 8, 8)), (5, 1, 1))):
        with pytest.raises(ScanError):
            model.analyse(values, spacing=spacing)
    with pytest.raises(FileError) as missing:
        multirnet.read("/no/such/scan.nii")
    error = missing.value
    assert (error.kind, error.path, error.hint) == ("io", "/no/such/scan.nii", "check the path")
    assert isinstance(error, OSError) and str(error).startswith("/no/such/scan.nii: ")


def test_lungs_may_be_given_and_must_fit(model: Model, phantom: Phantom) -> None:
    found = model.analyse(phantom, lungs=phantom.lungs)
    assert np.array_equal(found.lungs, phantom.lungs)
    mask = SimpleITK.GetImageFromArray(phantom.lungs)
    mask.CopyInformation(phantom.to_sitk())
    assert np.array_equal(model.analyse(phantom, lungs=mask).lungs, phantom.lungs)
    mask.SetOrigin((1e3, 0, 0))
    for wrong in (mask, phantom.lungs[1:]):
        with pytest.raises(multirnet.errors.MismatchError):
            model.analyse(phantom, lungs=wrong)
    with pytest.raises(OptionsError):
        model.analyse(phantom, lungs=phantom.lungs - 0.5)


def test_options_change_single_values_and_unknown_ones_are_refused(
    model: Model, phantom: Phantom
) -> None:
    options = {"pipeline": "global", "threshold": 0.25, "explain": False}
    found = model.analyse(phantom, options=options)
    config = found.provenance["config"]
    assert config == {**model.options(), **options}
    assert found.heatmap is None
    with pytest.raises(OptionsError, match="heat map"):
        found.to_sitk("heatmap")
    for wrong in ({"treshold": 0.5}, {"threshold": 2.0}, {"pipeline": "best"}):
        with pytest.raises(OptionsError):
            model.analyse(phantom, options=wrong)
    with pytest.raises(multirnet.errors.OutOfMemoryError) as caught:
        model.analyse(phantom, options={"memory_limit_mib": 1})
    assert isinstance(caught.value, MemoryError)
