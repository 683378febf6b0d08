"""Small scans that the input gate accepts, made from phantoms of the program."""

import gzip
import hashlib
import io
import pathlib
import subprocess
import zipfile

import nibabel
import numpy
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

# The input gate accepts pixels of at most 6 mm and slices of at most 10 mm.
PIXEL_MM, SLICE_MM = 5.9, 9.9
CLASSES = ("normal", "cap", "covid19")
FORMATS = ("nii.gz", "nii", "nrrd", "mha", "zip")


class Scan:
    """HU and lesion labels by (z, y, x), with the voxel size in the same order."""

    def __init__(self, hu, lesions, spacing_mm, name):
        self.hu, self.lesions, self.spacing_mm, self.name = hu, lesions, spacing_mm, name

    def varied(self, number):
        """The same patient with other noise: a scan of its own."""
        noise = numpy.random.default_rng(number).normal(0, 4, self.hu.shape)
        hu = numpy.clip(self.hu + noise.round(), -1024, 3071).astype("<i2")
        return Scan(hu, self.lesions, self.spacing_mm, self.name)


def make_bases(program, folder, seeds=(1, 2, 3)):
    """Coarse copies of phantoms, one for each class and seed."""
    bases = []
    for kind in CLASSES:
        for seed in seeds:
            out = pathlib.Path(folder) / f"{kind}{seed}"
            command = [program, "-q", "phantom", "one", "--class", kind, "--seed", str(seed)]
            subprocess.run([*command, "--matrix", "96", "-o", out], check=True, stdout=subprocess.DEVNULL)
            bases.append(coarse(out, kind))
    return bases


def coarse(folder, name):
    image = nibabel.load(folder / "ct.nii.gz")
    spacing = [float(s) for s in image.header.get_zooms()[::-1]]
    picks, coarse_mm = [], []
    for size, step, aim in zip(image.shape[::-1], spacing, (SLICE_MM, PIXEL_MM, PIXEL_MM)):
        count = int(numpy.ceil((size - 1) * step / aim)) + 1
        picks.append(numpy.round(numpy.linspace(0, size - 1, count)).astype(int))
        coarse_mm.append((size - 1) * step / (count - 1))
    grid = numpy.ix_(*picks)
    read = lambda file: numpy.asarray(nibabel.load(folder / file).dataobj).transpose(2, 1, 0)[grid]
    return Scan(read("ct.nii.gz").astype("<i2"), read("lesions.nii.gz").astype("u1"), coarse_mm, name)


def nifti(values, spacing_mm):
    z, y, x = spacing_mm
    return nibabel.Nifti1Image(values.transpose(2, 1, 0), numpy.diag([-x, -y, z, 1.0]))


def write(scan, path):
    """Writes the scan in the format that the name's ending names."""
    path = pathlib.Path(path)
    if path.name.endswith((".nii", ".nii.gz")):
        nibabel.save(nifti(scan.hu, scan.spacing_mm), path)
    elif path.suffix == ".nrrd":
        path.write_bytes(nrrd(scan))
    elif path.suffix == ".mha":
        path.write_bytes(mha(scan))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for number, slice_ in enumerate(slices(scan, path.name), 1):
                buffer = io.BytesIO()
                slice_.save_as(buffer, enforce_file_format=True)
                archive.writestr(f"series/{number:03}.dcm", buffer.getvalue())


def nrrd(scan):
    z, y, x = scan.spacing_mm
    sizes = " ".join(str(n) for n in scan.hu.shape[::-1])
    head = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\n"
        f"sizes: {sizes}\nspace directions: ({x!r},0,0) (0,{y!r},0) (0,0,{z!r})\n"
        "kinds: domain domain domain\nendian: little\nencoding: gzip\nspace origin: (0,0,0)\n\n"
    )
    return head.encode() + gzip.compress(scan.hu.tobytes(), 1, mtime=0)


def mha(scan):
    z, y, x = scan.spacing_mm
    sizes = " ".join(str(n) for n in scan.hu.shape[::-1])
    head = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        "CompressedData = False\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\n"
        f"ElementSpacing = {x!r} {y!r} {z!r}\nDimSize = {sizes}\nElementType = MET_SHORT\n"
        "ElementDataFile = LOCAL\n"
    )
    return head.encode() + scan.hu.tobytes()


def uid(*parts):
    """A UID below 2.25 that follows from the parts."""
    digest = hashlib.sha256("/".join(str(p) for p in parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def slices(scan, identity):
    """The scan as a CT series; `identity` decides about patient and UIDs."""
    z, y, x = scan.spacing_mm
    for number, plane in enumerate(scan.hu, 1):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = uid(identity, "slice", number)
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
        file.SOPClassUID, file.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        file.StudyInstanceUID, file.SeriesInstanceUID = uid(identity, "study"), uid(identity, "series")
        file.FrameOfReferenceUID = uid(identity, "frame")
        file.StudyDate, file.StudyTime, file.ContentDate, file.ContentTime = "20260101", "120000", "20260101", "120000"
        file.AccessionNumber, file.StudyID, file.ReferringPhysicianName = "", "1", ""
        file.PatientName, file.PatientID = f"Phantom^{identity}", str(identity)[:64]
        file.PatientBirthDate, file.PatientSex = "", "O"
        file.Modality, file.Manufacturer = "CT", "phantom"
        file.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        file.SeriesNumber, file.InstanceNumber, file.AcquisitionNumber = 1, number, 1
        file.PatientPosition, file.PositionReferenceIndicator = "HFS", ""
        file.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        file.ImagePositionPatient = [0, 0, f"{(number - 1) * z:.6f}"]
        file.PixelSpacing, file.SliceThickness = [f"{y:.6f}", f"{x:.6f}"], f"{z:.6f}"
        file.KVP = "120"
        file.RescaleIntercept, file.RescaleSlope, file.RescaleType = 0, 1, "HU"
        file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
        file.Rows, file.Columns = plane.shape
        file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 16, 15, 1
        file.PixelData = plane.tobytes()
        yield file


def write_study(scan, identity, folder):
    """Writes the slices into `folder` and returns their paths and the study's UID."""
    folder.mkdir(parents=True)
    paths = []
    for number, slice_ in enumerate(slices(scan, identity), 1):
        paths.append(folder / f"{number:03}.dcm")
        slice_.save_as(paths[-1], enforce_file_format=True)
    return paths, uid(identity, "study")
