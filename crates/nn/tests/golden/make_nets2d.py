#!/usr/bin/env python3
"""Golden values for Res2Net, Inf-Net and JCS, from `nets2d_torch.py`.

    pip install torch==2.0.1 "numpy<2" safetensors
    python make_nets2d.py  # writes nets2d.safetensors beside this file, prints counts

Weights and the input follow from a formula of their names, which `tests/nets2d.rs` has too. The file
therefore holds only outputs: every 13th value of each map, first with the batch's statistics
(`train/…`), then with those of the formula (`eval/…`). They are computed in f64 and stored as f32.
"""
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

from formula import uniform
from nets2d_torch import INF_NET, JCS, RES2NET, InfNet, Jcs, Res2Net, count

BATCH, DEPTH, SIDE = 2, 2, 64
STEP = 13
TINY = dict(input_channels=2, channels=4, blocks=[1, 2, 1, 1], width=32, scale=4)


def formula(name, n):
    """`n` numbers in [0, 1)."""
    return (uniform(name, n) + 1) / 2


def fill(net):
    for key, value in net.state_dict().items():
        if key.endswith("num_batches_tracked"):
            continue
        name = key.replace("norm.weight", "norm.gamma").replace("norm.bias", "norm.beta")
        u = formula(name, value.numel())
        if value.ndim > 1:
            fan_in = value[0].numel()
            new = (2 * u - 1) * np.sqrt(4 / fan_in)
        elif name.endswith(("gamma", "running_var")):
            new = 0.5 + u
        else:
            new = 0.2 * (u - 0.5)
        new = torch.from_numpy(new.astype(np.float32).astype(np.float64))
        # The Rust net holds the classifier's weights as [inputs, outputs].
        transposed = name.endswith("linear.weight")
        shape = value.T.shape if transposed else value.shape
        new = new.reshape(shape)
        value.copy_(new.T if transposed else new)
    return net


def stitched(y):
    """Stacks slices to windows `[batch, 1, d, h, w]`."""
    return y.reshape(BATCH, DEPTH, *y.shape[1:]).transpose(1, 2)


def outputs(name, net, x):
    """Named outputs in the order of the Rust net's output."""
    if name == "res2net":
        maps, edges, logits = [], [], net(x)
    elif name == "inf-net":
        maps, edge = net(x)
        edges, logits = [edge], None
    else:
        maps, logits = net(x)
        edges = []
    out = {f"lesion/{i}": stitched(m).flatten()[::STEP] for i, m in enumerate(maps)}
    out |= {f"edges/{i}": stitched(m).flatten()[::STEP] for i, m in enumerate(edges)}
    if logits is not None:
        out["logits"] = logits.reshape(BATCH, DEPTH, 3).mean(1).flatten()
    return out


def main():
    torch.set_num_threads(1)
    for name, net in (("res2net", Res2Net(RES2NET)), ("inf-net", InfNet(INF_NET)), ("jcs", Jcs(JCS))):
        print(f"{name}: {count(net)} parameters")
    print(f"1000 classes on Res2Net: {2049 * 1000} more")
    torch.set_default_dtype(torch.float64)
    x = torch.from_numpy(formula("x", BATCH * DEPTH * SIDE * SIDE)).float().double()
    x = x.reshape(BATCH * DEPTH, 1, SIDE, SIDE)
    configs = {
        "res2net": (Res2Net, TINY),
        "inf-net": (InfNet, dict(backbone=TINY, reduced_channels=3, edge_channels=4, deepest_channels=6)),
        "jcs": (Jcs, dict(input_channels=2, reduction=2, channels=[4, 6, 8, 10, 8], classifier=TINY)),
    }
    golden = {}
    for name, (make, config) in configs.items():
        with torch.no_grad():
            for mode in ("train", "eval"):
                net = fill(make(config)).train(mode == "train")
                for key, value in outputs(name, net, x).items():
                    golden[f"{name}/{mode}/{key}"] = np.ascontiguousarray(value.float().numpy())
    path = Path(__file__).parent / "nets2d.safetensors"
    configs = {name: dict(config, system=name) for name, (_, config) in configs.items()}
    save_file(golden, path, metadata={"configs": json.dumps(configs)})
    print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
