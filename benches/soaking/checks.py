"""What must hold when all is done."""

import collections
import gzip
import hashlib
import json
import pathlib
import subprocess

import nibabel
import numpy
import pydicom

MAPS = ("lungs.nii.gz", "lesions.nii.gz", "probability.nii.gz", "heatmap.nii.gz")
PREVIEWS = tuple(f"preview/{name}" for name in ("ct.nii.gz", *MAPS))
TEXTS = ("finding.json", "lesions.json", "summary.json")
PICTURES = ("overview.png", "thumbnail.png")
REPORTS = ("report.html", "report.pdf")
OBJECTS = tuple(f"dicom/{name}.dcm" for name in ("segmentation", "measurements", "overview", "report"))
ENDINGS = {".png": b"IEND\xaeB`\x82", ".pdf": b"%%EOF", ".html": b"</html>"}


def is_whole(path):
    """Whether a file of results can be read to its end."""
    try:
        content = path.read_bytes()
        if path.name.endswith(".nii.gz"):
            image = nibabel.Nifti1Image.from_bytes(gzip.decompress(content))
            return bool(numpy.isfinite(numpy.asarray(image.dataobj)).all())
        if path.suffix == ".json":
            return bool(json.loads(content))
        if path.suffix == ".dcm":
            return is_whole_object(pydicom.dcmread(path))
        return ENDINGS[path.suffix] in content[-32:]
    except Exception:  # Whatever a reader says: the file is not whole.
        return False


def is_whole_object(object_):
    """Whether pixels and document have the length that the object says. The reader itself does not mind."""
    if "PixelData" in object_:
        bits = object_.Rows * object_.Columns * object_.SamplesPerPixel * object_.BitsAllocated
        size = -(-bits * int(object_.get("NumberOfFrames", 1)) // 8)
        return len(object_.PixelData) == size + size % 2
    if "EncapsulatedDocument" in object_:
        document = object_.EncapsulatedDocument
        return len(document) - object_.EncapsulatedDocumentLength in (0, 1) and b"%%EOF" in document[-32:]
    return bool(object_.SOPInstanceUID)


def half_results(folder, has_objects):
    """Names of files that are missing, broken, or that nobody expects in a folder of results."""
    wanted = {*MAPS, *PREVIEWS, *TEXTS, *PICTURES, *REPORTS, *(OBJECTS if has_objects else ())}
    there = {str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()}
    broken = {name for name in wanted & there if not is_whole(folder / name)}
    return sorted(wanted ^ there | broken)


def finding(path):
    """A finding without its times and without the path of its scan."""
    value = json.loads(path.read_text())
    value.pop("timings"), value["source"].pop("path")
    return value


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def reference(program, options, scans, out, with_objects):
    """Analyses scans without a disturbance by `predict`."""
    command = [program, "-q", "predict", *scans, "--config", options, "--jobs", "2", "-o", out]
    subprocess.run([*command, *(["--dicom"] if with_objects else [])], check=True, stdout=subprocess.DEVNULL)


def differences(results, other):
    """Names of the results that differ from those of `predict`."""
    names = [name for name in MAPS if digest(results / name) != digest(other / name)]
    return names + (["finding.json"] if finding(results / "finding.json") != finding(other / "finding.json") else [])


# These differ between two analyses of a scan. Picture and report print the scan's name and the time.
TIMES = ("InstanceCreationDate", "InstanceCreationTime", "ContentDate", "ContentTime", "DateOfSecondaryCapture", "TimeOfSecondaryCapture")


def content(path):
    """All elements of an object of results but its times, the picture's pixels and the PDF."""
    object_ = pydicom.dcmread(path)
    left_out = [*TIMES, "EncapsulatedDocument", "EncapsulatedDocumentLength"]
    if object_.Modality != "SEG":
        left_out.append("PixelData")
    for name in left_out:
        if name in object_:
            delattr(object_, name)
    return object_.to_json_dict()


def jobs_of(folder):
    """The records of the listener's jobs, by study."""
    found = collections.defaultdict(list)
    for path in sorted((folder / "store" / "studies").glob("*/jobs/*/job.json")):
        found[path.parts[-4]].append(json.loads(path.read_text()))
    return found


def audit(folder):
    """Events of the audit log by name. A kill may cut one line off."""
    events, broken = collections.defaultdict(list), 0
    for line in (folder / "audit.jsonl").read_text().splitlines():
        try:
            event = json.loads(line)
            events[event["event"]].append(event)
        except ValueError:
            broken += 1
    return events, broken


def leftovers(folder):
    """What a kill may have left: attempts, things that are being deleted, unfinished files."""
    data, store = folder / "data", folder / "store"
    found = [*data.glob("jobs/*/attempt"), *data.glob("trash/*")]
    for place in (data, store):
        found += [p for p in place.rglob("*") if p.name.startswith((".multirnet-partial-", ".tmp"))]
    return [str(p.relative_to(folder)) for p in found]


def folder_names(folder):
    return sorted(p.name for p in pathlib.Path(folder).iterdir())
