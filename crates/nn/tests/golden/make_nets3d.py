#!/usr/bin/env python3
"""Golden outputs of the comparison's 3D nets, from `nets3d_torch.py` and, for DenseNet, MONAI.

    pip install torch monai numpy safetensors
    python make_nets3d.py  # writes nets3d_*.safetensors beside this file, prints counts

Weights and inputs are not stored. Both sides make them by the same formula from the tensor's name
(`value`; the Rust side is in `tests/nets3d_golden.rs`). Each file holds PyTorch's outputs in
evaluation mode (`eval/lesion/0`, `eval/logits/0`, `eval/features/0`) and with the batch's statistics
(`train/…`); of maps it holds every 17th value. The metadata key `config` is the Rust configuration as
JSON, and `shape` is the input's shape. Outputs are computed in f64 and stored as f32.
"""
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

from nets3d_torch import DenseNet, UNet3d, UNetPp3d, Zhou, rust_name

STRIDE = 17


def uniform(name, count):
    """`count` numbers in [0, 1) that depend only on the name: FNV-1a, then SplitMix64."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float64) / 2**24


def value(name, shape):
    """A weight that keeps signals alive and has no special initial values."""
    u = uniform(name, int(np.prod(shape))).reshape(shape)
    last = name.rsplit(".", 1)[-1]
    if last == "weight":
        # burn's linear layers are [in, out], convolutions [out, in, …].
        fan_in = shape[0] if len(shape) == 2 else int(np.prod(shape[1:]))
        v = (2 * u - 1) * np.sqrt(6 / fan_in)
    elif last in ("gamma", "running_var"):
        v = 0.75 + 0.5 * u
    elif last == "alpha":
        v = 0.1 + 0.3 * u
    else:
        v = 0.4 * u - 0.2
    return v.astype(np.float32)


def fill(net):
    state = {}
    for name, tensor in net.state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = tensor
            continue
        linear = name.endswith(("linear.weight", "class_layers.out.weight"))
        shape = tuple(tensor.shape)[::-1] if linear else tuple(tensor.shape)
        v = torch.from_numpy(value(rust_name(net, name), shape)).double()
        state[name] = v.T if linear else v
    net.load_state_dict(state)
    return net


def golden(name, system, build, config, shape):
    torch.set_default_dtype(torch.float64)
    net = fill(build(**config))
    x = torch.from_numpy(uniform("x", int(np.prod(shape))).reshape(shape))
    out = {}
    for mode in ("eval", "train"):
        net.train(mode == "train")
        with torch.no_grad():
            answer = net(x)
        for key, tensors in answer.items():
            for i, tensor in enumerate(tensors):
                flat = tensor.float().numpy().ravel()
                out[f"{mode}/{key}/{i}"] = np.ascontiguousarray(
                    flat if key == "logits" else flat[::STRIDE])
    path = Path(__file__).parent / f"nets3d_{name}.safetensors"
    full = json.dumps({"system": system, **config})
    save_file(out, path, metadata={"config": full, "shape": json.dumps(shape)})
    spread = {k: f"{v.min():.3g}..{v.max():.3g}" for k, v in out.items() if k.endswith("/0")}
    print(f"{name}: {path.stat().st_size / 1e3:.0f} kB, {spread}")


def count(name, net):
    print(f"{name}: {sum(p.numel() for p in net.parameters())} parameters")


if __name__ == "__main__":
    golden("unet3d", "unet3d", UNet3d, dict(channels=[4, 6, 8, 10]), (2, 1, 16, 24, 16))
    golden("unetpp3d", "unetpp3d", UNetPp3d, dict(channels=[2, 3, 4, 5, 6], conv_bias=True),
           (2, 1, 32, 16, 32))
    golden("unetpp3d_transposed", "unetpp3d", UNetPp3d,
           dict(channels=[3, 2, 4, 5, 4], upsampling="transposed", conv_bias=False,
                deep_supervision=False, lesion_channels=2), (2, 1, 16, 32, 32))
    golden("zhou", "zhou", Zhou, dict(channels=[3, 4, 5, 6, 8], class_channels=5, iterations=2,
                                      dropout=0.0), (2, 1, 32, 16, 32))
    golden("densenet", "densenet", DenseNet,
           dict(stem_channels=6, growth=3, blocks=[2, 3, 2, 2], bottleneck=2), (2, 1, 64, 64, 70))
    count("unet3d base", UNet3d([64, 128, 256, 512]))
    count("unetpp3d base", UNetPp3d([32, 64, 128, 256, 512]))
    count("unetpp3d narrow", UNetPp3d([16, 32, 64, 128, 256], "transposed", conv_bias=False))
    count("zhou base", Zhou([16, 32, 64, 128, 256], 64))
    count("densenet base", DenseNet(64, 32, [6, 12, 24, 16], 4))
