#!/usr/bin/env python3
"""Gives written DICOM results to other programs and compares what they read with the masks.

    apt-get install dicom3tools pixelmed-apps
    pip install highdicom dcmqi nibabel
    cargo run --release -p multirnet-dicom --example write_objects -- OUT [DICOM]
    python3 .ci/peers/dicom_objects.py OUT

Each folder of OUT holds the objects of one series with `lungs.nii.gz` and `lesions.nii.gz`.

- dciodvfy finds no errors. It does not know label maps: for them, two lines are expected.
- PixelMed's DicomSRValidator complains of nothing but groups of TID 1501, which its edition of the
  templates takes for TID 1411.
- highdicom reads the segmentations and the reports. Every segment's voxels lie where the mask has them,
  and the volumes are those of the masks.
- dcmqi's segimage2itkimage gives the masks back with their geometry; tid1500reader reads the report.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom

# Segments in order: the mask and the values that belong to it.
SEGMENTS = [("lungs", [1]), ("lungs", [2]), ("lesions", [1, 2]), ("lesions", [1]), ("lesions", [2])]
LABELMAP_ERRORS = ("Information Object Not found", "SegmentNumber not monotonically increasing")
PIXELMED = (
    "java -Xss64m -Xmx4g -Djdk.xml.xpathTotalOpLimit=0 -Djdk.xml.xpathExprGrpLimit=0 "
    "-Djdk.xml.xpathExprOpLimit=0 -cp /usr/share/java/pixelmed.jar "
    "com.pixelmed.validate.DicomSRValidator"
).split()
TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    return done.stdout + done.stderr


def tool(name: str) -> str:
    """A program of the Python environment, or of the path."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


def check_iod(path: Path) -> None:
    lines = [line for line in run("dciodvfy", str(path)).splitlines() if line.startswith("Error")]
    if path.stem == "labelmap":
        lines = [line for line in lines if not any(known in line for known in LABELMAP_ERRORS)]
    assert not lines, f"dciodvfy {path}: {lines}"


def template_at(report: pydicom.Dataset, place: str) -> str:
    """Template of the innermost group above the content item at `place`, such as 1.9.4."""
    item, template = report, ""
    for number in place.split(".")[1:]:
        item = item.ContentSequence[int(number) - 1]
        if "ContentTemplateSequence" in item:
            template = item.ContentTemplateSequence[0].TemplateIdentifier
    return template


def check_template(path: Path) -> int:
    report = pydicom.dcmread(path)
    output = run(*PIXELMED, str(path))
    assert "IOD validation complete" in output, f"PixelMed {path}: {output[-2000:]}"
    expected = 0
    for line in output.splitlines():
        if line.startswith(("Error", "Warning")):
            place = re.search(r"(?:within|Warning:|Error:) (1(?:\.\d+)*):", line)
            assert place and template_at(report, place[1]) == "1501", f"PixelMed {path}: {line}"
            expected += 1
    return expected


class Masks:
    """The masks of one series, in LPS."""

    def __init__(self, folder: Path) -> None:
        images = {name: nib.load(folder / f"{name}.nii.gz") for name in ("lungs", "lesions")}
        self.arrays = {name: np.array(image.dataobj, order="C") for name, image in images.items()}
        self.affine = TO_LPS @ images["lungs"].affine
        self.voxel_cm3 = abs(np.linalg.det(self.affine[:3, :3])) / 1000

    def segment(self, number: int) -> np.ndarray:
        name, values = SEGMENTS[number - 1]
        return np.isin(self.arrays[name], values)

    def labels(self) -> np.ndarray:
        """The label map: later segments over earlier ones."""
        labels = np.zeros(self.arrays["lungs"].shape, np.uint8)
        for number in range(1, len(SEGMENTS) + 1):
            labels[self.segment(number)] = number
        return labels

    def place(self, array: np.ndarray, affine: np.ndarray) -> np.ndarray:
        """`array`, whose indices `affine` maps to LPS, on the masks' grid by its voxels' positions."""
        to_mask = np.linalg.inv(self.affine) @ affine
        turn, start = np.rint(to_mask[:3, :3]).astype(int), to_mask[:3, 3]
        drift = np.abs(to_mask[:3, :3] - turn) @ array.shape
        assert drift.max() < 0.05 and np.abs(start - np.rint(start)).max() < 0.05, "voxels lie between"
        source = np.abs(turn).argmax(axis=1)
        array, start = array.transpose(source), np.rint(start).astype(int)
        for axis, sign in enumerate(turn[range(3), source]):
            if sign < 0:
                array = np.flip(array, axis)
                start[axis] -= array.shape[axis] - 1
        placed = np.zeros(self.arrays["lungs"].shape, array.dtype)
        end = start + array.shape
        assert (start >= 0).all() and (end <= placed.shape).all(), "the segment leaves the scan"
        placed[tuple(slice(a, b) for a, b in zip(start, end))] = array
        return placed

    def check(self, array: np.ndarray, affine: np.ndarray, expected: np.ndarray, what: str) -> None:
        assert np.array_equal(self.place(array, affine), expected), f"{what} differs from the mask"


def check_segmentation(path: Path, masks: Masks) -> None:
    seg = hd.seg.segread(path)
    volume = seg.get_volume(combine_segments=path.stem == "labelmap", allow_missing_positions=True)
    if path.stem == "labelmap":
        masks.check(volume.array, volume.affine, masks.labels(), f"highdicom {path}")
        return
    for number in seg.segment_numbers:
        found = volume.array[..., number - 1].astype(bool)
        masks.check(found, volume.affine, masks.segment(number), f"highdicom {path} {number}")


def check_report(path: Path, masks: Masks) -> None:
    report = hd.sr.srread(path)
    seg = hd.seg.segread(path.parent / "segmentation.dcm")
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert len(groups) == 3, f"highdicom {path}: {len(groups)} groups of TID 1411"
    for group in groups:
        reference = group.referenced_segment[0].ReferencedSOPSequence[0]
        assert reference.ReferencedSOPInstanceUID == seg.SOPInstanceUID
        number = reference.ReferencedSegmentNumber
        assert group.tracking_uid == seg.SegmentSequence[number - 1].TrackingUID
        volume = group.get_measurements(hd.sr.CodedConcept("118565006", "SCT", "Volume"))[0]
        expected = np.count_nonzero(masks.segment(number)) * masks.voxel_cm3
        assert np.isclose(volume.value, expected, rtol=1e-5), f"{path}: {volume.value} {expected}"
    # Zones and classes.
    others = report.content.get_image_measurement_groups()
    assert len(others) == 2, f"highdicom {path}: {len(others)} groups of TID 1501"
    probability = hd.sr.CodedConcept("122157", "DCM", "Probability")
    values = [p.value for group in others for p in group.get_measurements(probability)]
    assert values == [0.125, 0.25, 0.625], f"highdicom {path}: {values}"


def check_dcmqi(path: Path, masks: Masks) -> None:
    with tempfile.TemporaryDirectory() as out:
        log = run(
            tool("segimage2itkimage"), "-t", "nii", "--inputDICOM", str(path), "--outputDirectory", out
        )
        files = {int(re.match(r"(\d+)", f.name)[1]): f for f in Path(out).glob("*.nii.gz")}
        assert files, f"dcmqi {path}: {log[-2000:]}"
        images = {number: nib.load(file) for number, file in files.items()}
        if path.stem == "labelmap":
            labels = np.asanyarray(images[1].dataobj)
            masks.check(labels, TO_LPS @ images[1].affine, masks.labels(), f"dcmqi {path}")
            return
        for number in range(1, len(SEGMENTS) + 1):
            expected = masks.segment(number)
            if number not in images:
                assert not expected.any(), f"dcmqi {path}: segment {number} is missing: {log[-2000:]}"
                continue
            found = np.asanyarray(images[number].dataobj) != 0
            affine = TO_LPS @ images[number].affine
            masks.check(found, affine, expected, f"dcmqi {path} {number}")


def check_dcmqi_report(path: Path) -> None:
    with tempfile.TemporaryDirectory() as out:
        target = Path(out) / "report.json"
        log = run(
            tool("tid1500reader"), "--inputDICOM", str(path), "--outputMetadata", str(target)
        )
        assert target.exists(), f"dcmqi {path}: {log[-2000:]}"
        measurements = json.loads(target.read_text())["Measurements"]
        assert len(measurements) >= 3, f"dcmqi {path}: {measurements}"


def check_folder(folder: Path, templates: bool) -> None:
    masks = Masks(folder)
    objects = sorted(folder.glob("*.dcm"))
    assert len(objects) == 10, f"{folder} has {len(objects)} objects"
    for path in objects:
        check_iod(path)
    print(f"{folder.name}: dciodvfy finds no errors in {len(objects)} objects", flush=True)
    for path in objects:
        if templates and pydicom.dcmread(path, stop_before_pixels=True).Modality == "SR":
            expected = check_template(path)
            print(f"{folder.name}: PixelMed accepts {path.name} ({expected} lines of TID 1501)", flush=True)
    for path in objects:
        if path.stem.startswith(("segmentation", "labelmap")):
            check_segmentation(path, masks)
            check_dcmqi(path, masks)
        if path.stem.startswith("measurements"):
            check_report(path, masks)
            check_dcmqi_report(path)
    counts = [int(np.count_nonzero(masks.segment(n + 1))) for n in range(len(SEGMENTS))]
    print(f"{folder.name}: highdicom and dcmqi read the masks ({counts} voxels) and the reports", flush=True)


def main() -> None:
    folders = sorted(f for f in Path(sys.argv[1]).iterdir() if f.is_dir())
    assert folders, "no folders"
    for folder in folders:
        # The reports of all series have the same items, and the validator is slow.
        check_folder(folder, templates=folder == folders[0])


if __name__ == "__main__":
    main()
