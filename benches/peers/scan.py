#!/usr/bin/env python3
"""A whole scan with what people would use instead: SimpleITK, MONAI and a runtime.

    scan.py ENGINE SCAN --weights FILE --lungs FILE -o FOLDER     (ENGINE: torch, openvino, openvino-bf16)

Reads the DICOM series (or file), cuts out the lungs' box with 10 mm of margin, clips and scales it
to [0, 1], resamples it to the working spacing (2.5, 1.5, 1.5) mm, runs MONAI's sliding windows of
32 x 96 x 96 with half of each overlapping and Gaussian weights, brings the map back to the scan's
own grid, and writes lesions.nii.gz and probability.nii.gz. Prints one line of JSON: seconds per
stage and of all of them, windows.

The lungs' mask is given: this pipeline has no lung segmentation of its own. Reading that mask does
not count, nor do Python's imports, the export and the compilation of the net (`load`), which are
told apart.
"""
import time

BEGIN = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import SimpleITK as sitk  # noqa: E402
import torch  # noqa: E402
from monai.inferers import sliding_window_inference  # noqa: E402

import net as nets  # noqa: E402

WINDOW, SPACING_XYZ, MARGIN_MM = (32, 96, 96), (1.5, 1.5, 2.5), 10.0
LOW_HU, HIGH_HU = -1000.0, 400.0


def predictor(o):
    """Windows [B, 1, D, H, W] to lesion maps; and a count of the windows."""
    model, windows = nets.load(o.weights, o.iterations), [0]
    shape = (o.batch, 1, *WINDOW)
    if o.engine == "torch":
        with torch.no_grad():
            model = nets.LastPass(nets.fold(model)).eval()
        if o.nhwc:
            model = model.to(memory_format=torch.channels_last_3d)

        def run(x):
            windows[0] += len(x)
            if o.nhwc:
                x = x.contiguous(memory_format=torch.channels_last_3d)
            return model(x)[0]
    else:
        import openvino as ov

        path = o.out / "net.onnx"
        nets.export(model, shape, path, dynamic_batch=False)
        core = ov.Core()
        compiled = core.compile_model(core.read_model(path), "CPU", {
            "INFERENCE_NUM_THREADS": o.threads, "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16" if o.engine.endswith("bf16") else "f32"})
        request = compiled.create_infer_request()

        def run(x):
            n, x = len(x), x.contiguous()
            windows[0] += n
            if n < o.batch:
                x = torch.cat([x, torch.zeros(o.batch - n, *x.shape[1:])])
            request.infer({"x": x.numpy()}, share_inputs=True)
            return torch.from_numpy(request.get_output_tensor(0).data[:n].copy())
    return run, windows


def read(path):
    if path.is_dir():
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(path)))
        return reader.Execute()
    return sitk.ReadImage(str(path))


def box(lungs):
    """The lungs' bounding box with its margin, within the scan: (start, size), x first."""
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(sitk.Cast(lungs > 0, sitk.sitkUInt8))
    b, size = statistics.GetBoundingBox(1), lungs.GetSize()
    start, stop = [], []
    for a in range(3):
        margin = round(MARGIN_MM / lungs.GetSpacing()[a])
        start.append(max(b[a] - margin, 0))
        stop.append(min(b[a] + b[a + 3] + margin, size[a]))
    return start, [q - p for p, q in zip(start, stop)]


def resampled(image, spacing):
    size = [max(round(n * s / t), 1)
            for n, s, t in zip(image.GetSize(), image.GetSpacing(), spacing)]
    spacing = [n * s / m for n, s, m in zip(image.GetSize(), image.GetSpacing(), size)]
    # Both grids cover the same extent: their outer edges meet, not their first voxels' centres.
    shift = [(t - s) / 2 for s, t in zip(image.GetSpacing(), spacing)]
    direction = np.array(image.GetDirection()).reshape(3, 3)
    origin = np.array(image.GetOrigin()) + direction @ np.array(shift)
    return sitk.Resample(image, size, sitk.Transform(), sitk.sitkLinear, origin.tolist(), spacing,
                         image.GetDirection(), 0.0, sitk.sitkFloat32)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("engine", choices=["torch", "openvino", "openvino-bf16"])
    p.add_argument("scan", type=Path)
    p.add_argument("--weights", required=True)
    p.add_argument("--lungs", required=True)
    p.add_argument("--iterations", type=int)
    p.add_argument("--overlap", type=float, default=0.5)
    p.add_argument("--batch", type=int, default=1)
    p.add_argument("--compression", type=int, default=1, help="of the .nii.gz files")
    p.add_argument("--nhwc", action="store_true")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("-o", "--out", type=Path, required=True)
    o = p.parse_args()
    torch.set_num_threads(o.threads)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(o.threads)
    o.out.mkdir(parents=True, exist_ok=True)
    run, windows = predictor(o)
    lungs = sitk.ReadImage(o.lungs)
    marks, clock = {}, [time.perf_counter()]
    marks["load"] = clock[0] - BEGIN

    def mark(stage):
        now = time.perf_counter()
        marks[stage], clock[0] = now - clock[0], now

    scan = read(o.scan)
    mark("read")
    # The same grid but for the rounding of NIfTI's header, which SimpleITK does not forgive.
    lungs.CopyInformation(scan)
    start, size = box(lungs)
    lung = sitk.RegionOfInterest(scan, size, start)
    lung = sitk.IntensityWindowing(sitk.Cast(lung, sitk.sitkFloat32), LOW_HU, HIGH_HU, 0.0, 1.0)
    working = resampled(lung, SPACING_XYZ)
    x = torch.from_numpy(sitk.GetArrayFromImage(working))[None, None]
    mark("preprocess")
    with torch.inference_mode():
        lesion = sliding_window_inference(
            x, WINDOW, o.batch, run, overlap=o.overlap, mode="gaussian")
    mark("network")
    # A net may tell kinds of lesion apart. The mask is the union of all kinds.
    fine = sitk.GetImageFromArray(lesion[0].amax(0).numpy())
    fine.CopyInformation(working)
    native = sitk.Resample(fine, scan, sitk.Transform(), sitk.sitkLinear, 0.0, sitk.sitkFloat32)
    native = sitk.Mask(native, lungs)
    mask = sitk.Cast(native >= 0.5, sitk.sitkUInt8)
    mark("restore")
    for name, image in dict(lesions=mask, probability=native).items():
        sitk.WriteImage(image, str(o.out / f"{name}.nii.gz"), True, o.compression)
    mark("write")
    work = sum(v for k, v in marks.items() if k != "load")
    print(json.dumps(dict(stages=marks, seconds=work, windows=windows[0])))


if __name__ == "__main__":
    sys.exit(main())
