"""Attributes and content items of objects that highdicom writes for a small CT series.

    pip install highdicom
    python make_objects.py  # writes objects_*.txt beside this file

objects_segmentation.txt, objects_labelmap.txt and objects_report.txt list the attributes, one path of
keywords a line. objects_content.txt lists the content items of the report: relationship, value type and
code of each item from the root down. The tests require all of them of our objects.
"""

from pathlib import Path

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.coding import Code

HERE = Path(__file__).parent
# highdicom names itself in the first. It writes the second for label maps whose frames have no gaps.
OWN = ("ContributingEquipmentSequence", "DimensionOrganizationType")


def ct(z: int) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", f"1.2.3.{z + 1}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "1.2", "1.2.3", "1.2.4"
    ds.PatientID, ds.PatientName, ds.PatientSex, ds.PatientBirthDate = "P", "P^N", "O", ""
    ds.StudyID, ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "", "", "", ""
    ds.ReferringPhysicianName, ds.Modality, ds.PositionReferenceIndicator = "", "CT", ""
    ds.SeriesNumber, ds.InstanceNumber, ds.Manufacturer = 1, z + 1, ""
    ds.Rows = ds.Columns = 4
    ds.ImagePositionPatient = [0, 0, 2 * z]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [0.8, 0.6], 2
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    return ds


def paths(ds: Dataset, above: str = "") -> set[str]:
    found = set()
    for element in ds:
        if element.keyword in OWN:
            continue
        path = above + element.keyword
        found.add(path)
        if element.VR == "SQ":
            for item in element.value:
                found |= paths(item, path + "/")
    return found


def items(ds: Dataset, above: str = "") -> set[str]:
    found = set()
    for item in ds.get("ContentSequence", []):
        name = item.ConceptNameCodeSequence[0]
        path = f"{above}/{item.RelationshipType}:{item.ValueType}:{name.CodeValue}"
        found |= {path} | items(item, path)
    return found


def write(name: str, lines: set[str]) -> None:
    (HERE / f"objects_{name}.txt").write_text("".join(line + "\n" for line in sorted(lines)))


def sct(value: str, meaning: str) -> Code:
    return Code(value, "SCT", meaning)


def dcm(value: str, meaning: str) -> Code:
    return Code(value, "DCM", meaning)


LUNG, RIGHT = sct("39607008", "Lung"), sct("24028007", "Right")


def describe(number: int, algorithm) -> hd.seg.SegmentDescription:
    segment = hd.seg.SegmentDescription(
        number, "Right lung", sct("91723000", "Anatomical Structure"), LUNG, "AUTOMATIC", algorithm,
        tracking_uid=hd.UID(), tracking_id=f"right lung {number}", anatomic_regions=[LUNG],
        display_color=hd.color.CIELabColor.from_rgb(120, 180, 220),
    )
    kind = segment.SegmentedPropertyTypeCodeSequence[0]
    kind.SegmentedPropertyTypeModifierCodeSequence = [hd.sr.CodedConcept.from_code(RIGHT)]
    return segment


def main() -> None:
    slices = [ct(z) for z in range(4)]
    algorithm = hd.AlgorithmIdentificationSequence(
        name="a", family=dcm("123110", "Artificial Intelligence"), version="1", source="s",
        parameters={"model_sha256": "0"},
    )
    # With two segments each frame names its own.
    first, segment = (describe(number, algorithm) for number in (1, 2))
    mask = np.zeros((4, 4, 4, 2), np.uint8)
    mask[1:3, 1:3, 1:3] = 1
    for name, form in (("labelmap", "LABELMAP"), ("segmentation", "BINARY")):
        seg = hd.seg.Segmentation(
            slices, (mask * [1, 0]).astype(np.uint8) if form == "LABELMAP" else mask, form, [first, segment], hd.UID(), 900, hd.UID(), 1, "m", "m", "1", "none",
            content_label="SEGMENTATION", content_description="d", content_creator_name="c^",
            series_description="s",
        )
        write(name, paths(seg))
    by = hd.sr.AlgorithmIdentification("a", "1", ["model_sha256=0"])
    volume = hd.sr.Measurement(
        sct("118565006", "Volume"), 1.0, Code("cm3", "UCUM", "cubic centimeter"), algorithm_id=by
    )
    mean = hd.sr.Measurement(
        dcm("112031", "Attenuation Coefficient"), 1.0, Code("[hnsf'U]", "UCUM", "Hounsfield unit"),
        derivation=sct("373098007", "Mean"), algorithm_id=by,
    )
    ratio = hd.sr.Measurement(
        dcm("113288", "Volume Ratio"), 1.0, Code("%", "UCUM", "Percent"), algorithm_id=by
    )
    tracked = hd.sr.TrackingIdentifier(segment.TrackingUID, segment.TrackingID)
    site = hd.sr.FindingSite(LUNG, RIGHT)
    group = hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracked, finding_type=LUNG, finding_sites=[site], measurements=[volume, mean, ratio],
        referenced_segment=hd.sr.ReferencedSegment(
            seg.SOPClassUID, seg.SOPInstanceUID, 2,
            source_series=hd.sr.SourceSeriesForSegmentation("1.2.3"),
        ),
    )
    zone = hd.sr.MeasurementsAndQualitativeEvaluations(
        tracked, finding_type=LUNG, finding_sites=[site], measurements=[volume]
    )
    device = hd.sr.DeviceObserverIdentifyingAttributes(hd.UID(), "n", "m", "m", "1")
    context = hd.sr.ObserverContext(dcm("121007", "Device"), device)
    report = hd.sr.MeasurementReport(
        hd.sr.ObservationContext(observer_device_context=context),
        Code("25045-6", "LN", "CT unspecified body region"), [group, zone],
        dcm("126000", "Imaging Measurement Report"),
    )
    sr = hd.sr.Comprehensive3DSR(
        slices + [seg], report[0], hd.UID(), 910, hd.UID(), 1, "m", is_complete=True,
        series_description="s",
    )
    write("report", {p for p in paths(sr) if not p.startswith("ContentSequence/")})
    write("content", items(sr))


if __name__ == "__main__":
    main()
