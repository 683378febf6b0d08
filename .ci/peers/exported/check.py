"""Exported nets in other runtimes against what burn computed: check.py FOLDER [NAME…]

FOLDER is what the example `write_nets` of crates/export wrote. Each file goes through onnx's full
check, ONNX Runtime and OpenVINO, with batches of two sizes. The bundle's description is checked
against bundle.json beside this file.
"""
import json
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino

OPERATORS = {"Add", "AveragePool", "Cast", "Concat", "Conv", "ConvTranspose", "Flatten", "Gemm",
             "GlobalAveragePool", "Identity", "InstanceNormalization", "MaxPool", "Mul", "Neg",
             "PRelu", "Pad", "ReduceMax", "Relu", "Reshape", "Shape", "Sigmoid"}


def onnx_runtime(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda names, x: session.run(names, {"ct": x})


def open_vino(path):
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(names, x):
        result = compiled(x)
        return [result[name] for name in names]

    return run


def check_file(path, outputs):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == 8 and [o.version for o in model.opset_import] == [17], path
    unknown = {n.op_type for n in model.graph.node} - OPERATORS
    assert not unknown, f"{path}: operators {unknown}"
    shape = [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert shape == ["batch", 1, "depth", "height", "width"], f"{path}: {shape}"
    assert [o.name for o in model.graph.output] == outputs, path
    keys = {p.key for p in model.metadata_props}
    assert {"multirnet.config", "multirnet.preprocessing", "multirnet.model"} <= keys, f"{path}: {keys}"


def check_case(folder, case):
    path = folder / case["file"]
    outputs = list(case["batches"][0]["outputs"])
    check_file(path, sorted(outputs, key=["lesion", "class_logits"].index))
    worst = {}
    for runtime in (onnx_runtime, open_vino):
        run = runtime(str(path))
        for batch in case["batches"]:
            b, d, h, w = batch["shape"]
            x = np.fromfile(folder / batch["input"], "<f4").reshape(b, 1, d, h, w)
            for name, found in zip(outputs, run(outputs, x)):
                wanted = np.fromfile(folder / batch["outputs"][name], "<f4")
                assert found.size == wanted.size, f"{path}: {name} has shape {found.shape}"
                assert found.shape[0] == b and found.shape[2:] in ((d, h, w), ()), f"{path}: {name}"
                apart = float(np.abs(found.ravel() - wanted).max())
                worst[runtime.__name__] = max(worst.get(runtime.__name__, 0), apart)
                assert apart <= case["bound"], f"{path}: {name} in {runtime.__name__} is off by {apart:.1e}"
    return worst


def check_bundle(folder):
    kinds = {"string": str, "object": dict, "array": list, "integer": int, "boolean": bool}
    golden = json.loads((Path(__file__).parent / "bundle.json").read_text())
    found = json.loads((folder / "configs/metadata.json").read_text())
    for field, kind in golden["fields"].items():
        assert isinstance(found.get(field), kinds[kind]), f"metadata.json: {field} is not a {kind}"
    for side in ("inputs", "outputs"):
        tensors = found["network_data_format"][side]
        assert tensors.keys() == golden[side].keys(), f"metadata.json: {side} {list(tensors)}"
        for name, tensor in tensors.items():
            for field, kind in golden["tensor"].items():
                assert isinstance(tensor.get(field), kinds[kind]), f"metadata.json: {name}.{field} is not a {kind}"
            for field, value in golden[side][name].items():
                assert tensor[field] == value, f"metadata.json: {name}.{field} is {tensor[field]}"
            if tensor["num_channels"] > 0:
                assert len(tensor["channel_def"]) == tensor["num_channels"], f"metadata.json: {name}.channel_def"
    json.loads((folder / "configs/inference.json").read_text())
    for file in ("models/model.onnx", "docs/README.md", "LICENSE"):
        assert (folder / file).stat().st_size > 0, f"{file} is empty"
    check_file(folder / "models/model.onnx", ["lesion", "class_logits"])


def main():
    folder = Path(sys.argv[1])
    cases = json.loads((folder / "index.json").read_text())
    chosen = [c for c in cases if not sys.argv[2:] or c["name"] in sys.argv[2:]]
    assert chosen, "no such case"
    began = time.time()
    for case in chosen:
        worst = check_case(folder, case)
        apart = ", ".join(f"{name} {value:.1e}" for name, value in worst.items())
        print(f"{case['name']:48} {apart} (bound {case['bound']:.0e})", flush=True)
    check_bundle(folder / "bundle")
    print(f"{len(chosen)} files pass onnx's full check and agree in ONNX Runtime {onnxruntime.__version__} and "
          f"OpenVINO {openvino.__version__.split('-')[0]}; the bundle's description is complete ({time.time() - began:.0f} s)")


if __name__ == "__main__":
    main()
