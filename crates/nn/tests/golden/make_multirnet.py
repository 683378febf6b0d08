#!/usr/bin/env python3
"""Golden values for the nets, from the independent implementation `multirnet_torch.py`.

    pip install torch==2.0.1 "numpy<2" safetensors
    python make_multirnet.py [NAME...]  # writes multirnet_NAME.safetensors, prints parameter counts

Each file holds a tiny net's weights (named as in the Rust net), an input, a truth, and PyTorch's
results of one step in training mode and afterwards in evaluation mode:

- `weight/NAME`   every parameter and running statistic, before the step
- `x`, `lesion`, `classes`   input and truth
- `train/lesion/T`, `train/logits/T`   each pass in training mode (batch statistics, no dropout)
- `loss/total`, `loss/segmentation`, `loss/classification`
- `grad/NAME`     gradient of the total loss for each parameter
- `running/NAME`  running statistics after the step
- `eval/lesion/T`, `eval/logits/T`   each pass in evaluation mode, with those running statistics

The metadata key `config` is the Rust configuration as JSON. Everything is computed in f64 and
stored as f32, so the reference's own rounding does not count. PReLU has a kink. If a value lies so
close to it that f32 rounding puts it on the other side, gradients jump by far more than rounding.
Therefore the script tries a few seeds and keeps the one for which PyTorch's f32 is closest to f64.
Each processor's kernels round in their own way. `draws` further f32 passes, on inputs that differ by
about one unit in the last place, stand for them, and the worst pass counts.
"""
import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

from multirnet_torch import BASE, SMALL, TINY, VNET5, Net, losses, rust_name, rust_value


def perturbed(o, seed):
    """A net whose parameters all differ from their initial values, so the test sees each of them."""
    torch.manual_seed(seed)
    net = Net(o)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn_like(p) if p.ndim > 1 else 0.2 * torch.randn_like(p))
            p.copy_(p.float())
        for b in net.buffers():
            b.add_(0.2 * torch.rand_like(b)).copy_(b.float())
    return net


def data(o, shape):
    x = torch.rand(shape).float().double()
    smooth = F.avg_pool3d(torch.randn(shape[0], o["lesion_channels"], *shape[2:]), 5, 1, 2)
    return x, (smooth > 0.08).double(), torch.arange(shape[0]) % 3


def gradients(net, x, lesion, classes):
    net.zero_grad()
    losses(net(x), lesion, classes)[0].backward()
    return {k: torch.zeros_like(p) if p.grad is None else p.grad.clone()
            for k, p in net.named_parameters()}


def rounding(o, seed, shape, draws=0):
    """Largest relative difference between f32 and f64 gradients."""
    net = perturbed(o, seed).train()
    x, lesion, classes = data(o, shape)
    state = {k: v.float() for k, v in net.state_dict().items()}
    exact = gradients(net, x, lesion, classes)
    net.float().load_state_dict(state)
    worst = 0.0
    for draw in range(1 + draws):
        near = x.float()
        if draw > 0:
            near = near * (1 + 2.0**-23 * torch.randint(-1, 2, near.shape).float())
        # The running statistics of the pass before do not count.
        net.load_state_dict(state)
        rough = gradients(net, near, lesion.float(), classes)
        worst = max([worst] + [
            ((rough[k].double() - g).abs().max() / g.abs().max().clamp(min=1e-3)).item()
            for k, g in exact.items()])
    return worst


def golden(name, seeds, shape, draws=0, **options):
    if sys.argv[1:] and name not in sys.argv[1:]:
        return
    torch.set_default_dtype(torch.float64)
    o = dict(TINY, **options)
    seed = min(seeds, key=lambda seed: rounding(o, seed, shape, draws))
    net = perturbed(o, seed)
    out = {f"weight/{rust_name(k)}": rust_value(k, v) for k, v in net.state_dict().items()}
    x, lesion, classes = data(o, shape)
    out |= {"x": x.float().numpy(), "lesion": lesion.float().numpy(), "classes": classes.numpy()}

    def record(mode, passes):
        for t, (p, logits) in enumerate(passes):
            out[f"{mode}/lesion/{t}"] = p.detach().float().numpy()
            if logits is not None:
                out[f"{mode}/logits/{t}"] = logits.detach().float().numpy()

    net.train()
    passes = net(x)
    total, seg, cls = losses(passes, lesion, classes)
    total.backward()
    record("train", passes)
    for key, value in zip(("total", "segmentation", "classification"), (total, seg, cls)):
        out[f"loss/{key}"] = value.detach().reshape(1).float().numpy()
    for key, p in net.named_parameters():
        grad = torch.zeros_like(p) if p.grad is None else p.grad
        out[f"grad/{rust_name(key)}"] = rust_value(key, grad)
    for key, b in net.named_buffers():
        out[f"running/{rust_name(key)}"] = rust_value(key, b)
    net.eval()
    with torch.no_grad():
        record("eval", net(x))
    path = Path(__file__).parent / f"multirnet_{name}.safetensors"
    out = {key: np.ascontiguousarray(value) for key, value in out.items()}
    save_file(out, path, metadata={"config": json.dumps(o)})
    print(f"{name}: seed {seed}, f32 rounding {rounding(o, seed, shape, draws):.1e}, "
          f"{path.stat().st_size / 1e3:.0f} kB, loss {total.item():.6f}")


def main():
    torch.set_num_threads(1)
    for name, o in dict(base=BASE, small=SMALL, vnet5=VNET5).items():
        net = Net(o)
        count = sum(p.numel() for p in net.parameters())
        part = sum(p.numel() for p in net.segmentation.parameters())
        print(f"{name}: {count} parameters, {part} of them in the segmentation subnet")
    golden("batch", range(24), (2, 1, 16, 32, 32))
    golden("instance_two_lesions", range(24), (1, 1, 16, 32, 32), norm="instance", lesion_channels=2,
           channels=[2, 3, 3, 4, 6], class_channels=[2, 3, 3, 4, 4, 6],
           mask_feedback="add", detach_feedback=False, iterations=1)
    golden("group_vnet5", range(24), (1, 1, 16, 32, 32), norm="group", kernel_size=5, iterations=1,
           channels=[2, 2, 3, 4, 6], class_channels=[2, 3, 4, 4, 4, 6],
           reverse_attention=False, mask_feedback="none", scale_weights=[0.1, 0.2, 0.3, 0.4])
    golden("batch_no_class", range(24), (2, 1, 16, 32, 16), draws=8, classification=False,
           iterations=1, channels=[2, 3, 4, 4, 6])


if __name__ == "__main__":
    sys.exit(main())
