#!/usr/bin/env python3
"""Golden values of MedT and TransU-Net, from independent implementations in PyTorch.

    pip install torch numpy safetensors
    python make_transformers.py  # writes transformers_*.safetensors beside this file, prints counts

Each file holds an input `x` (a window) and PyTorch's outputs for it with weights by `formula.py`,
slice by slice: `eval` in evaluation mode, `train` in training mode (batch statistics). The
metadata key `config` is the Rust configuration as JSON. Outputs are computed in f64 and stored as f32.
"""
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from safetensors.numpy import save_file

import medt_torch
import trans_unet_torch
from formula import rust_names, uniform, values


def fill(net):
    with torch.no_grad():
        for name, tensor in rust_names(net):
            tensor.copy_(torch.from_numpy(values(name, tuple(tensor.shape))).double())
        for path, module in net.named_modules():
            if isinstance(module, nn.TransformerEncoderLayer):
                fill_layer(path, module)
    return net


def fill_layer(path, layer):
    """torch stacks queries, keys and values, and stores matrices transposed."""
    hidden, mlp = layer.linear1.in_features, layer.linear1.out_features

    def rust(name, *shape):
        return torch.from_numpy(values(f"{path}.{name}", shape)).double()

    attention, qkv = layer.self_attn, ("query", "key", "value")
    attention.in_proj_weight.copy_(torch.cat([rust(f"{n}.weight", hidden, hidden).T for n in qkv]))
    attention.in_proj_bias.copy_(torch.cat([rust(f"{n}.bias", hidden) for n in qkv]))
    for ours, linear in dict(out=attention.out_proj, widen=layer.linear1,
                             narrow=layer.linear2).items():
        linear.weight.copy_(rust(f"{ours}.weight", linear.in_features, linear.out_features).T)
        linear.bias.copy_(rust(f"{ours}.bias", linear.out_features))
    for ours, norm in dict(attention_norm=layer.norm1, mlp_norm=layer.norm2).items():
        norm.weight.copy_(rust(f"{ours}.gamma", hidden))
        norm.bias.copy_(rust(f"{ours}.beta", hidden))
    assert mlp == layer.linear2.in_features


def golden(system, make, options, shape):
    """`shape` is a window's (d, h, w). Its slices are the batch of the 2D net."""
    d, h, w = shape
    x = (0.5 + 0.5 * uniform("x", d * h * w)).astype(np.float32).reshape(1, 1, d, h, w)
    slices = torch.from_numpy(x).double().transpose(0, 2).reshape(d, 1, h, w)
    out = {"x": x}
    for mode in ("eval", "train"):
        net = fill(make(options).double()).train(mode == "train")
        with torch.no_grad():
            y = net(slices).transpose(0, 1)[None]
        out[mode] = np.ascontiguousarray(y.float().numpy())
    path = Path(__file__).parent / f"transformers_{system.replace('-', '_')}.safetensors"
    save_file(out, path, metadata={"config": json.dumps({"system": system, **options})})
    spread = out["eval"].std(), out["train"].std()
    print(f"{system}: {path.stat().st_size / 1e3:.0f} kB, spread {spread[0]:.3f} {spread[1]:.3f}")


def main():
    torch.set_num_threads(1)
    for module, make in ((medt_torch, medt_torch.MedT), (trans_unet_torch, trans_unet_torch.TransUNet)):
        for name in ("BASE", "SMALL"):
            net = make(getattr(module, name))
            print(f"{make.__name__} {name}: {sum(p.numel() for p in net.parameters())} parameters")
    golden("medt", medt_torch.MedT,
           dict(image_size=32, patches=2, width=8, stem_width=6, heads=2, blocks=[1, 2],
                lesion_channels=2), (3, 40, 24))
    golden("trans-unet", trans_unet_torch.TransUNet,
           dict(image_size=48, width=4, units=[2, 1, 1], groups=2, hidden=12, layers=2, heads=3,
                mlp=10, dropout=0.0, bridge=6, decoder=[6, 5, 4, 3], lesion_channels=2),
           (3, 40, 32))


if __name__ == "__main__":
    main()
