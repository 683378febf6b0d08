"""Writes the small volumes of this folder, and the results of independent readers as
`expected.json` and `resample.json`.

    pip install SimpleITK nibabel numpy
    python make_volumes.py

SimpleITK (LPS) reads the files back. Where its reader differs on purpose (two NIfTI transforms that
disagree, no transform), nibabel does (RAS, converted here).
"""

import json
import struct
import zlib
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk

HERE = Path(__file__).parent
SIZE = (8, 6, 5)  # x, y, z


def rotation(degrees, order="xyz"):
    m = np.eye(3)
    for axis, angle in zip(order, np.radians(degrees)):
        c, s = np.cos(angle), np.sin(angle)
        i = "xyz".index(axis)
        r = np.eye(3)
        j, k = (i + 1) % 3, (i + 2) % 3
        r[j, j] = r[k, k] = c
        r[j, k], r[k, j] = -s, s
        m = r @ m
    return m


def image(dtype, seed=1, size=SIZE):
    rng = np.random.default_rng(seed)
    if np.issubdtype(dtype, np.floating):
        values = rng.normal(-300, 500, size[::-1])
    else:
        info = np.iinfo(dtype)
        values = rng.integers(max(info.min, -1024), min(info.max, 3000), size[::-1])
    made = sitk.GetImageFromArray(values.astype(dtype))
    made.SetSpacing((0.7, 0.75, 2.5))
    made.SetOrigin((-172.5, -310.25, 87.125))
    return made


def oblique(made, left_handed=False):
    m = rotation((12, -7, 25))
    if left_handed:
        m[:, 2] *= -1
    made.SetDirection(m.ravel())
    return made


def affine_lps(made):
    m = np.eye(4)
    m[:3, :3] = np.array(made.GetDirection()).reshape(3, 3) * np.array(made.GetSpacing())
    m[:3, 3] = made.GetOrigin()
    return m


expected = {}


def expect(name, values, affine, source):
    expected[name] = {
        "source": source,
        "shape": list(values.shape),
        "affine_lps": np.asarray(affine).tolist(),
        "values": [float(v) for v in values.astype(np.float32).ravel()],
    }


def expect_sitk(name):
    made = sitk.ReadImage(str(HERE / name))
    values = sitk.GetArrayFromImage(made)
    expect(name, values.reshape(values.shape[-3:]), affine_lps(made), "SimpleITK")


def expect_nibabel(name):
    made = nibabel.load(HERE / name)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ made.affine
    expect(name, np.asarray(made.dataobj).T, affine, "nibabel")


def write(made, name, compress=False):
    sitk.WriteImage(made, str(HERE / name), compress)
    expect_sitk(name)


def write_nifti(name, values, header_edit=None, affine=None, endian="<"):
    header = nibabel.Nifti1Header(endianness=endian)
    header.set_data_dtype(values.dtype)
    made = nibabel.Nifti1Image(values, affine, header)
    if header_edit:
        header_edit(made)
    nibabel.save(made, HERE / name)


# --- NIfTI -----------------------------------------------------------------------------------
write(oblique(image(np.int16)), "oblique_i16.nii")
write(oblique(image(np.float32), left_handed=True), "left_handed_f32.nii.gz", True)
write(image(np.uint8), "axial_u8.nii.gz", True)
write(oblique(image(np.float64)), "oblique_f64.nii.gz", True)

ras = np.diag([-0.7, -0.75, 2.5, 1.0])
ras[:3, 3] = (172.5, 310.25, 87.125)
counts = np.arange(240, dtype=np.int16).reshape(5, 6, 8).T


def scaled(made):
    made.header.set_slope_inter(0.5, -1024.0)


def scale_in_place(name, slope, inter):
    """Sets slope and intercept after writing, because nibabel rescales the data to undo a slope."""
    path = HERE / name
    data = bytearray(path.read_bytes())
    struct.pack_into("<ff", data, 112, slope, inter)
    path.write_bytes(bytes(data))


write_nifti("scaled_i16.nii", counts, affine=ras)
scale_in_place("scaled_i16.nii", 0.5, -1024.0)
expect_nibabel("scaled_i16.nii")
expect_sitk("scaled_i16.nii")

write_nifti("big_endian_i32.nii", counts.astype(np.int32) * 70_000, affine=ras, endian=">")
expect_sitk("big_endian_i32.nii")


def only_qform(made):
    q = np.eye(4)
    q[:3, :3] = rotation((30, 20, -10)) @ np.diag([0.7, 0.75, -2.5])
    q[:3, 3] = (10.0, -20.0, 30.0)
    made.set_qform(q, 1)
    made.set_sform(None, 0)


write_nifti("only_qform.nii", counts.astype(np.uint16), only_qform)
expect_sitk("only_qform.nii")


def only_sform_micron(made):
    q = np.eye(4)
    q[:3, :3] = rotation((5, 0, 40)) @ np.diag([700.0, 750.0, 2500.0])
    q[:3, 3] = (1e5, -2e5, 3e5)
    made.set_sform(q, 2)
    made.set_qform(None, 0)
    made.header.set_xyzt_units("micron")


write_nifti("only_sform_micron.nii", counts, only_sform_micron)
expect_nibabel("only_sform_micron.nii")
micron = np.array(expected["only_sform_micron.nii"]["affine_lps"])
micron[:3] /= 1000.0  # nibabel leaves units to its caller
expected["only_sform_micron.nii"]["affine_lps"] = micron.tolist()


def disagreeing(made):
    made.set_sform(ras, 2)
    made.set_qform(np.diag([0.7, 0.75, 2.5, 1.0]), 1)


write_nifti("disagreeing.nii", counts, disagreeing)
expect_nibabel("disagreeing.nii")


def sheared(made):
    q = ras.copy()
    q[1, 2] = 0.8  # a tilted gantry
    made.set_sform(q, 2)
    made.set_qform(None, 0)


write_nifti("sheared.nii", counts, sheared)
expect_nibabel("sheared.nii")

# --- NRRD ------------------------------------------------------------------------------------
write(oblique(image(np.int16)), "oblique_i16.nrrd", True)
write(image(np.float32), "axial_f32.nrrd")


def nrrd(name, fields, payload, detached=None):
    text = "NRRD0004\n# made by hand\n" + "".join(f"{k}: {v}\n" for k, v in fields)
    if detached:
        text += f"data file: {detached}\n\nnot read"
        (HERE / detached).write_bytes(payload)
        payload = b""
    else:
        text += "key:=value: with colon\n\n"
    (HERE / name).write_bytes(text.encode() + payload)
    expect_sitk(name)


flat = counts.T.ravel()
common = [("dimension", 3), ("sizes", "8 6 5")]
turned = " ".join(
    "(" + ",".join(repr(float(v)) for v in column) + ")"
    for column in (rotation((12, -7, 25)) @ np.diag([0.7, 0.75, 2.5])).T
)
origin = ("space origin", "(10.5,-20.25,30)")
nrrd(
    "ras_big_endian_u16.nrrd",
    [("type", "unsigned short"), *common, ("space", "right-anterior-superior"),
     ("space directions", turned), ("endian", "big"), ("encoding", "raw"), origin,
     ("kinds", "domain domain domain")],
    flat.astype(">u2").tobytes(),
)
gzip = zlib.compressobj(9, zlib.DEFLATED, 31)
nrrd(
    "las_detached_i8.nhdr",
    [("type", "int8"), *common, ("space", "LAS"), ("space directions", turned),
     ("encoding", "gzip"), origin],
    gzip.compress((flat % 100 - 50).astype(np.int8).tobytes()) + gzip.flush(),
    detached="las_detached_i8.raw.gz",
)
nrrd(
    "ascii_spacings.nrrd",
    [("type", "float"), *common, ("spacings", "0.7 0.75 2.5"), ("encoding", "ascii")],
    ("\n".join(" ".join(f"{v / 4 - 20:g}" for v in row) for row in flat.reshape(-1, 8)) + "\n").encode(),
)

# --- MetaImage -------------------------------------------------------------------------------
write(oblique(image(np.int16)), "oblique_i16.mha", True)
write(oblique(image(np.float64), left_handed=True), "left_handed_f64.mha")
write(image(np.uint8), "axial_u8.mhd")
(HERE / "big_endian_i16.mha").write_bytes(
    b"ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = True\n"
    b"CompressedData = False\nTransformMatrix = 0 1 0 -1 0 0 0 0 1\nOffset = 1 2 3\n"
    b"ElementSpacing = 0.7 0.75 2.5\nDimSize = 8 6 5\nElementType = MET_SHORT\n"
    b"ElementDataFile = LOCAL\n" + (flat * 11 - 900).astype(">i2").tobytes()
)
expect_sitk("big_endian_i16.mha")

(HERE / "expected.json").write_text(json.dumps(expected))

# --- Resampling ------------------------------------------------------------------------------
source = oblique(image(np.float32, seed=7, size=(9, 8, 7)))
sitk.WriteImage(source, str(HERE / "resample_source.nrrd"), True)
center = source.TransformContinuousIndexToPhysicalPoint([4.0, 3.5, 3.0])


def target(degrees, spacing, size):
    grid = sitk.Image(size, sitk.sitkFloat32)
    grid.SetSpacing(spacing)
    grid.SetDirection((rotation(degrees) @ np.array(source.GetDirection()).reshape(3, 3)).ravel())
    middle = grid.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in size])
    grid.SetOrigin([c - m for c, m in zip(center, middle)])
    return grid


cases = []
for degrees, spacing, size in [
    ((0, 0, 0), (0.41, 1.13, 1.71), (19, 6, 13)),  # same axes
    ((0, 0, 0), (2.3, 1.49, 4.9), (4, 4, 3)),
    ((20, -15, 40), (0.83, 0.91, 1.3), (9, 10, 11)),  # oblique
]:
    grid = target(degrees, spacing, size)
    case = {"shape": list(size[::-1]), "affine_lps": affine_lps(grid).tolist()}
    for name, method in [("linear", sitk.sitkLinear), ("nearest", sitk.sitkNearestNeighbor)]:
        made = sitk.Resample(source, grid, sitk.Transform(), method, -1024.0, sitk.sitkFloat32)
        case[name] = [float(v) for v in sitk.GetArrayFromImage(made).ravel()]
    assert any(v == -1024.0 for v in case["linear"]) and any(v != -1024.0 for v in case["linear"])
    cases.append(case)
(HERE / "resample.json").write_text(json.dumps(cases))
