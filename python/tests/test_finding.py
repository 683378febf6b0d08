"""A finding's facts and maps, beside what the command line writes."""

from __future__ import annotations

import base64
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import multirnet
import nibabel
import numpy as np
import pytest
import SimpleITK
from multirnet import Finding, Model, metrics
from multirnet._finding import MapName
from multirnet.phantom import Phantom
from numpy.typing import NDArray

MAPS: tuple[MapName, ...] = ("lungs", "lesions", "probability", "heatmap")


def address(array: NDArray[Any]) -> int:
    """Say where the values lie in memory."""
    return cast("int", array.__array_interface__["data"][0])


def test_maps_are_one_memory_and_read_only(finding: Finding) -> None:
    for name in MAPS:
        array, again = getattr(finding, name), getattr(finding, name)
        assert address(array) == address(again) and np.shares_memory(array, again)
        assert array.flags.c_contiguous and not array.flags.writeable
        # The memory is the library's: NumPy neither owns it nor lets anyone write to it.
        assert not array.flags.owndata
        with pytest.raises(ValueError):
            array.flags.writeable = True
        with pytest.raises(ValueError):
            array[0, 0, 0] = 1


def test_maps_outlive_finding_and_model(phantom: Phantom) -> None:
    found = multirnet.load_model().analyse(phantom)
    lesions, total = found.lesions, int(found.lesions.sum(dtype=np.int64))
    del found
    assert int(lesions.sum(dtype=np.int64)) == total


def test_facts_agree_with_the_maps(finding: Finding, phantom: Phantom) -> None:
    assert finding.diagnosis == max(finding.probabilities, key=finding.probabilities.__getitem__)
    assert sum(finding.probabilities.values()) == pytest.approx(1)
    voxel_ml = float(np.prod(phantom.grid.spacing)) / 1000
    involvement = finding.involvement
    assert involvement.right.lung_ml == pytest.approx((finding.lungs == 1).sum() * voxel_ml)
    inside = (finding.lesions > 0) & (finding.lungs > 0)
    assert involvement.both.lesion_ml == pytest.approx(inside.sum() * voxel_ml)
    assert len(involvement.zones) == 6 and involvement.zones[0].name == "right upper"
    assert finding.severity_score == sum(zone.score for zone in involvement.zones)
    threshold = np.float32(finding.provenance["config"]["threshold"])
    assert np.array_equal(finding.probability >= threshold, finding.lesions > 0)
    heatmap = finding.heatmap
    assert heatmap is not None and 0 <= heatmap.min() and heatmap.max() <= 1
    assert finding.grid == phantom.grid
    assert {"hash", "lungs", "global", "windows", "measure"} <= finding.timings.keys()
    assert "research use only" in finding.notice


def test_it_finds_the_lesions_of_a_phantom(finding: Finding, phantom: Phantom) -> None:
    dice = metrics.dice(phantom.lesions, finding.lesions)
    assert dice is not None and dice > 0.5
    dice = metrics.dice(phantom.lungs, finding.lungs)
    assert dice is not None and dice > 0.9


def test_single_lesions_are_the_components(finding: Finding) -> None:
    image = SimpleITK.ConnectedComponent(finding.to_sitk("lesions") > 0, True)
    sizes = np.bincount(SimpleITK.GetArrayViewFromImage(image).ravel())[1:]
    lesions = finding.single_lesions()
    voxel_ml = float(np.prod(finding.grid.spacing)) / 1000
    assert [lesion.ml for lesion in lesions] == pytest.approx(
        sorted((sizes * voxel_ml).tolist(), reverse=True)
    )
    for lesion in lesions:
        assert finding.lesions[lesion.centre_voxel] > 0
        index = finding.to_sitk().TransformPhysicalPointToIndex(lesion.centre_lps_mm)
        assert index[::-1] == lesion.centre_voxel


def test_copies_lie_where_the_maps_lie(finding: Finding, phantom: Phantom) -> None:
    for name in MAPS:
        array = getattr(finding, name)
        image, nifti = finding.to_sitk(name), finding.to_nibabel(name)
        assert np.array_equal(SimpleITK.GetArrayViewFromImage(image), array)
        assert np.array_equal(np.asanyarray(nifti.dataobj).T, array)
        assert image.IsSameImageGeometryAs(phantom.to_sitk())
        assert np.allclose(nifti.affine, phantom.to_nibabel().affine)
    with pytest.raises(multirnet.errors.OptionsError):
        finding.to_sitk("lobes")  # type: ignore[arg-type]


def test_the_picture_is_shown_in_a_notebook(finding: Finding, model: Model, phantom: Phantom) -> None:
    page = finding._repr_html_()
    found = re.search(r'src="data:image/png;base64,([^"]+)"', page)
    assert found is not None
    assert base64.b64decode(found[1]) == finding.overview_png()
    assert finding.overview_png().startswith(b"\x89PNG")
    alone = model.analyse(phantom, keep_scan=False)
    assert alone._repr_html_().startswith("<pre>")
    for needs_scan in (alone.overview_png, alone.single_lesions, lambda: alone.write("nowhere")):
        with pytest.raises(multirnet.errors.OptionsError, match="keep_scan"):
            needs_scan()


def test_a_model_that_saw_no_patient_does_not_lead_with_a_class(finding: Finding) -> None:
    validated = finding.to_dict()["validated_on"]
    assert "patients" not in validated["classes"]
    notice = finding.validation_notice
    assert notice is not None and notice in repr(finding)
    assert repr(finding).index("ml of lesion") < repr(finding).index(finding.diagnosis)


def comparable(folder: Path) -> dict[str, Any]:
    """Read a folder's facts without what a clock measured."""
    facts: dict[str, Any] = json.loads((folder / "finding.json").read_text())
    assert all(timing.pop("seconds") >= 0 for timing in facts["timings"])
    return facts


def test_the_folder_is_what_the_command_line_writes(
    model: Model, nifti: Path, tmp_path: Path, program: Callable[..., str]
) -> None:
    program("predict", nifti, "-o", tmp_path / "there")
    found = model.analyse(nifti)
    found.write(tmp_path / "here", name="scan")
    here, there = tmp_path / "here", next((tmp_path / "there").rglob("finding.json")).parent
    assert json.loads((here / "finding.json").read_text()) == found.to_dict()
    assert comparable(here) == comparable(there)
    assert {p.name for p in here.iterdir()} == {p.name for p in there.iterdir()}
    for name in ("lungs", "lesions", "probability", "heatmap"):
        ours, theirs = (nibabel.Nifti1Image.from_filename(f / f"{name}.nii.gz") for f in (here, there))
        assert np.array_equal(np.asanyarray(ours.dataobj), np.asanyarray(theirs.dataobj))
        assert np.array_equal(ours.affine, theirs.affine)
    assert np.array_equal(nibabel.Nifti1Image.from_filename(there / "lesions.nii.gz").get_fdata().T, found.lesions)


def test_errors_travel_between_processes(model: Model) -> None:
    with pytest.raises(multirnet.MultirnetError) as caught:
        multirnet.load_model("no-such-model")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is type(caught.value) is multirnet.errors.ModelError
    assert copy.__dict__ == caught.value.__dict__ and str(copy) == str(caught.value)
    assert copy.kind == "model" and copy.hint


def test_a_model_describes_itself(model: Model) -> None:
    assert model.name in multirnet.models()
    assert model.card()["name"] == model.name
    assert model.config()
    assert len(model.sha256) == 64
    assert model.lesion_kinds in (["lesion"], ["ground_glass", "consolidation"])
    model.release()
