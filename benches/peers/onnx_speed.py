#!/usr/bin/env python3
"""Our exported model and the export of the hand-written PyTorch twin, in ONNX Runtime, in turns.

    onnx_speed.py MODEL.safetensors MODEL.onnx [--shape B,D,H,W] [--threads N] [--rounds N]

MODEL.onnx is what `multirnet export MODEL.safetensors` writes. The twin is exported from the same
weights as people export nets: by torch.onnx, with batch norms folded into the convolutions. Ends with 1 if results differ, or if ours is more than 10 %
slower.
"""
import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort


def session(path, threads):
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("weights")
    p.add_argument("onnx")
    p.add_argument("--shape", default="1,32,96,96")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=15)
    o = p.parse_args()
    b, d, h, w = map(int, o.shape.split(","))
    import torch

    import net as nets

    with tempfile.TemporaryDirectory() as folder:
        twin = Path(folder) / "twin.onnx"
        with torch.no_grad():
            net = nets.fold(nets.load(o.weights, None))
        nets.export(net, (b, 1, d, h, w), str(twin))
        both = {"ours": (session(o.onnx, o.threads), "ct"), "twin": (session(twin, o.threads), "x")}
    x = np.random.default_rng(1).random((b, 1, d, h, w), np.float32)
    times, last = {name: [] for name in both}, {}
    for turn in range(o.rounds + 2):
        # The order changes from round to round. Two rounds are not counted.
        for name in sorted(both, reverse=turn % 2 == 1):
            net, key = both[name]
            start = time.perf_counter()
            last[name] = net.run(None, {key: x})
            if turn >= 2:
                times[name].append(1e3 * (time.perf_counter() - start))
    lesion = np.abs(last["ours"][0] - last["twin"][0]).max()
    classes = np.abs(softmax(last["ours"][1]) - last["twin"][1]).max()
    medians = {name: statistics.median(t) for name, t in times.items()}
    ratio = medians["ours"] / medians["twin"]
    print(f"ONNX Runtime {ort.__version__}, {o.threads} threads, batch {b} of {d} x {h} x {w}, {o.rounds} rounds in turns")
    for name, median in medians.items():
        print(f"{name}: median {median:.1f} ms, least {min(times[name]):.1f} ms")
    print(f"ratio {ratio:.3f}; largest difference of maps {lesion:.1e}, of class probabilities {classes:.1e}")
    return 0 if ratio <= 1.1 and max(lesion, classes) <= 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
