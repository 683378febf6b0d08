#!/usr/bin/env python3
"""One engine that runs windows, as a peer of `window` (see serving.py).

    window.py ENGINE VARIANT --weights FILE --input FILE --shape B,D,H,W [--iterations N]

ENGINE: torch, onnxruntime, openvino. VARIANT: words joined by +: f32 or bf16 (weights and
activations) or autocast, and for torch nhwc (channels_last_3d), unfolded (batch norms kept),
onednn (calls it where PyTorch's own dispatch prefers a slow loop: small grids at batch 1), trace
(torch.jit, frozen), compile (inductor), freeze (inductor with frozen weights).
"""
import argparse
import os

import numpy as np

from serving import serve


def torch_engine(o, words, x):
    import torch

    import net as nets

    torch.set_num_threads(o.threads)
    model = nets.load(o.weights, o.iterations)
    work = nets.gflop(model, (1, *x.shape[1:])) * x.shape[0]
    x = torch.from_numpy(x)
    with torch.no_grad():
        if "unfolded" not in words:
            nets.fold(model)
    if "nhwc" in words:
        model = model.to(memory_format=torch.channels_last_3d)
        x = x.contiguous(memory_format=torch.channels_last_3d)
    if "bf16" in words:
        model, x = model.to(torch.bfloat16), x.to(torch.bfloat16)
    model = nets.LastPass(model).eval()
    for p in model.parameters():
        p.requires_grad_(False)
    if "onednn" in words:
        torch.nn.Conv3d.forward = lambda c, x: torch.mkldnn_convolution(
            x, c.weight, c.bias, c.padding, c.stride, c.dilation, c.groups)
    if "trace" in words:
        with torch.no_grad():
            model = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, x)))
    compiled = "compile" in words or "freeze" in words
    if compiled:
        import torch._inductor.config as inductor

        inductor.freezing = "freeze" in words
        model = torch.compile(model)
    mode = torch.no_grad if compiled else torch.inference_mode
    last = []

    def run():
        with mode(), torch.autocast("cpu", torch.bfloat16, enabled="autocast" in words):
            last[:] = model(x)

    return dict(version=torch.__version__, gflop=work), run, lambda: [a.float() for a in last]


def onnxruntime_engine(o, words, x):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = o.threads, 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = ort.InferenceSession(o.onnx, options, providers=["CPUExecutionProvider"])
    last = []

    def run():
        last[:] = session.run(None, {"x": x})

    return dict(version=ort.__version__), run, lambda: last


def openvino_engine(o, words, x):
    import openvino as ov

    core = ov.Core()
    compiled = core.compile_model(core.read_model(o.onnx), "CPU", {
        "INFERENCE_NUM_THREADS": o.threads, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if "bf16" in words else "f32"})
    request = compiled.create_infer_request()
    request.set_input_tensor(ov.Tensor(x, shared_memory=True))
    outputs = [request.get_output_tensor(i) for i in range(2)]

    def run():
        request.infer()

    return (dict(version=ov.__version__.split("-")[0]), run,
            lambda: [t.data.copy() for t in outputs])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("engine", choices=["torch", "onnxruntime", "openvino", "export"])
    p.add_argument("variant", nargs="?", default="f32")
    p.add_argument("--weights", required=True)
    p.add_argument("--input")
    p.add_argument("--shape", required=True)
    p.add_argument("--iterations", type=int)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--onnx", help="the exported net; `export` writes it")
    o = p.parse_args()
    b, d, h, w = map(int, o.shape.split(","))
    if o.engine == "export":
        import net as nets

        return nets.export(nets.load(o.weights, o.iterations), (b, 1, d, h, w), o.onnx)
    x = np.fromfile(o.input, "<f4").reshape(b, 1, d, h, w)
    make = globals()[f"{o.engine}_engine"]
    serve(lambda: make(o, set(o.variant.split("+")), x))


if __name__ == "__main__":
    main()
