"""Golden DICOM series from independent encoders, in one zip archive per transfer syntax.

    pip install numpy pydicom imagecodecs python-gdcm
    python make_series.py  # writes *.zip beside this file

Each archive holds three 16 x 16 CT slices, 2.5 mm apart. The values follow `pattern` or, for 8-bit
formats, `smooth`. The test computes them again.
"""

import io
import sys
import tempfile
import zipfile
from pathlib import Path

import gdcm
import imagecodecs
import numpy as np
from pydicom import dcmread
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import UID

SIDE = 16


def pattern(z: int) -> np.ndarray:
    """Hounsfield units of slice z: -1024..3071, rough, with a flat part for run modes."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    values = (x * 37 + y * 91 + z * 53 + x * y * 7) % 4096 - 1024
    values[4:8, :] = 40 + z
    return values


def smooth(z: int) -> np.ndarray:
    """Values of slice z for the lossy 8-bit format: smooth and small."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    return x * 6 + y * 5 + z * 10


def dataset(z: int, syntax: str, signed: bool, bits: int, intercept: int) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.2")
    meta.MediaStorageSOPInstanceUID = UID(f"1.2.3.4.{z + 1}")
    meta.TransferSyntaxUID = UID(syntax)
    meta.ImplementationClassUID = UID("1.2.3.9")
    ds = FileDataset(
        "",
        {},
        file_meta=meta,
        preamble=b"\0" * 128,
        is_implicit_VR=meta.TransferSyntaxUID.is_implicit_VR,
        is_little_endian=meta.TransferSyntaxUID.is_little_endian,
    )
    ds.SOPClassUID = meta.MediaStorageSOPClassUID
    ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.Modality = "CT"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3.1", "1.2.3.2"
    ds.SeriesNumber, ds.InstanceNumber = 1, z + 1
    ds.ImagePositionPatient = [-10, -20, -30 + 2.5 * z]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing = [0.75, 0.5]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = SIDE
    ds.BitsAllocated = 8 if bits == 8 else 16
    ds.BitsStored, ds.HighBit = bits, bits - 1
    ds.PixelRepresentation = int(signed)
    ds.RescaleSlope, ds.RescaleIntercept = 1, intercept
    return ds


def gdcm_lossless(raw: np.ndarray, signed: bool) -> bytes:
    """JPEG Lossless, process 14, selection value 1."""
    ds = dataset(0, "1.2.840.10008.1.2.1", signed, 16, 0)
    ds.PixelData = raw.tobytes()
    with tempfile.TemporaryDirectory() as folder:
        plain, packed = f"{folder}/plain.dcm", f"{folder}/packed.dcm"
        ds.save_as(plain, enforce_file_format=True)
        reader = gdcm.ImageReader()
        reader.SetFileName(plain)
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(packed)
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        return get_frame(dcmread(packed).PixelData, 0, number_of_frames=1)


def packbits(data: bytes) -> bytes:
    out = imagecodecs.packbits_encode(data)
    return out + b"\0" * (len(out) % 2)


def rle(raw: np.ndarray) -> bytes:
    data = raw.astype("<u2").view(np.uint8).reshape(-1, 2)
    segments = [packbits(data[:, 1].tobytes()), packbits(data[:, 0].tobytes())]
    offsets = [64, 64 + len(segments[0])]
    header = np.array([2, *offsets] + [0] * 13, "<u4").tobytes()
    return header + b"".join(segments)


def write(name: str, syntax: str, signed: bool, bits: int, intercept: int, encode) -> None:
    values = smooth if bits == 8 else pattern
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as z:
        for k in range(3):
            ds = dataset(k, syntax, signed, bits, intercept)
            dtype = np.uint8 if bits == 8 else np.int16 if signed else np.uint16
            stored = (values(k) - intercept).astype(dtype)
            if encode is None:
                ds.PixelData = stored.tobytes()
                if ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.2":
                    ds.PixelData = stored.byteswap().tobytes()
            else:
                ds.PixelData = encapsulate([encode(stored)])
                ds["PixelData"].VR = "OB"
            ds["PixelData"].is_undefined_length = encode is not None
            buffer = io.BytesIO()
            ds.save_as(buffer, enforce_file_format=True)
            z.writestr(zipfile.ZipInfo(f"{k}.dcm", (2020, 1, 1, 0, 0, 0)), buffer.getvalue())
    (Path(__file__).parent / f"{name}.zip").write_bytes(archive.getvalue())
    print(name, len(archive.getvalue()), file=sys.stderr)


def main() -> None:
    base = "1.2.840.10008.1.2"

    def j2k(bits: int):
        return lambda a: imagecodecs.jpeg2k_encode(
            a, codecformat="j2k", reversible=True, resolutions=3, bitspersample=bits
        )

    write("implicit", base, True, 16, 0, None)
    write("explicit", base + ".1", False, 12, -1024, None)
    write("deflated", base + ".1.99", True, 16, 0, None)
    write("big_endian", base + ".2", True, 16, 0, None)
    write("jpeg_baseline", base + ".4.50", False, 8, 0, lambda a: imagecodecs.jpeg8_encode(a, level=95))
    write("jpeg_lossless", base + ".4.70", True, 16, -1024, lambda a: gdcm_lossless(a, True))
    write("jpeg_lossless_any", base + ".4.57", False, 16, -1024, lambda a: imagecodecs.ljpeg_encode(a))
    write("jpeg_ls", base + ".4.80", False, 12, -1024, lambda a: imagecodecs.jpegls_encode(a))
    write("jpeg_ls_16", base + ".4.80", True, 16, 0, lambda a: imagecodecs.jpegls_encode(a.view(np.uint16)))
    write("jpeg_ls_near", base + ".4.81", False, 12, -1024, lambda a: imagecodecs.jpegls_encode(a, level=2))
    write("jpeg_2000", base + ".4.90", True, 16, 0, j2k(16))
    write("jpeg_2000_unsigned", base + ".4.90", False, 12, -1024, j2k(12))
    write("rle", base + ".5", True, 16, 0, rle)


if __name__ == "__main__":
    main()
