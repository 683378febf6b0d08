#!/usr/bin/env python3
"""Golden values for the nets, from an implementation of its own in PyTorch.

    pip install torch==2.0.1 "numpy<2" safetensors
    python make_golden.py [NAME...]  # writes *.safetensors beside this file, prints parameter counts

Each file holds a tiny net's weights (named as the Rust net names them), an input, a truth, and
what PyTorch makes of them on one step in training mode and afterwards in evaluation mode:

- `weight/NAME`   every parameter and running statistic, before the step
- `x`, `lesion`, `classes`   input and truth
- `train/lesion/T`, `train/logits/T`   each pass in training mode (batch statistics, no dropout)
- `loss/total`, `loss/segmentation`, `loss/classification`
- `grad/NAME`     gradient of the total loss for each parameter
- `running/NAME`  running statistics after the step
- `eval/lesion/T`, `eval/logits/T`   each pass in evaluation mode, with those running statistics

The metadata key `config` is the Rust configuration as JSON. Everything is computed in f64 and
stored as f32, so that the reference's own rounding does not count. PReLU has a kink: where a value
lies so close to it that f32 rounding puts it on the other side, gradients jump by far more than
rounding. Of a few seeds the one is kept on which PyTorch's own f32 comes closest to its f64.
"""
import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from torch import nn

ENCODER, DECODER = [1, 2, 3, 3, 3], [1, 2, 3, 3]
STRIDES = [1, 2, 2, 2, 2, 1]

BASE = dict(
    channels=[16, 32, 64, 128, 256], kernel_size=3, norm="batch", reverse_attention=True,
    classification=True, lesion_channels=1, scale_weights=[0.4, 0.3, 0.2, 0.1],
    mask_feedback="multiply", class_channels=[16, 32, 64, 128, 128, 256], dropout=0.3,
    iterations=2, class_from="last", detach_feedback=True,
)
SMALL = dict(BASE, channels=[8, 16, 32, 64, 128], class_channels=[8, 16, 32, 64, 64, 128])
VNET5 = dict(BASE, kernel_size=5)
TINY = dict(BASE, channels=[3, 4, 5, 6, 8], class_channels=[3, 4, 4, 6, 6, 8], dropout=0.0)


class BatchNorm(nn.Module):
    """Batch norm whose running variance follows the biased batch variance, as burn's does."""

    def __init__(self, c):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(c)), nn.Parameter(torch.zeros(c))
        self.register_buffer("running_mean", torch.zeros(c))
        self.register_buffer("running_var", torch.ones(c))

    def forward(self, x):
        if self.training:
            mean, var = x.mean((0, 2, 3, 4)), x.var((0, 2, 3, 4), unbiased=False)
            with torch.no_grad():
                self.running_mean.mul_(0.9).add_(0.1 * mean)
                self.running_var.mul_(0.9).add_(0.1 * var)
        else:
            mean, var = self.running_mean, self.running_var
        s = (1, -1, 1, 1, 1)
        y = (x - mean.view(s)) / torch.sqrt(var.view(s) + 1e-5)
        return y * self.gamma.view(s) + self.beta.view(s)


class GroupNorm(nn.Module):
    def __init__(self, c, groups):
        super().__init__()
        self.groups = groups
        self.gamma, self.beta = nn.Parameter(torch.ones(c)), nn.Parameter(torch.zeros(c))

    def forward(self, x):
        return F.group_norm(x, self.groups, self.gamma, self.beta, 1e-5)


def norm(kind, c):
    if kind == "batch":
        return BatchNorm(c)
    if kind == "instance":
        return GroupNorm(c, c)
    return GroupNorm(c, max(g for g in range(1, 9) if c % g == 0))


class Act(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.alpha = nn.Parameter(torch.full((c,), 0.25))

    def forward(self, x):
        return F.prelu(x, self.alpha)


class Unit(nn.Module):
    def __init__(self, ci, co, k, kind, stride=1):
        super().__init__()
        self.conv = nn.Conv3d(ci, co, k, stride=stride, padding=k // 2 if k % 2 else 0, bias=False)
        self.norm, self.act = norm(kind, co), Act(co)

    def forward(self, x, residual=0):
        return self.act(self.norm(self.conv(x)) + residual)


class Up(nn.Module):
    def __init__(self, ci, co, kind):
        super().__init__()
        self.conv = nn.ConvTranspose3d(ci, co, 2, stride=2, bias=False)
        self.norm, self.act = norm(kind, co), Act(co)

    def forward(self, x):
        return self.act(self.norm(self.conv(x)))


class Block(nn.Module):
    def __init__(self, ci, co, n, k, kind):
        super().__init__()
        self.units = nn.ModuleList(Unit(ci if i == 0 else co, co, k, kind) for i in range(n))

    def forward(self, x, residual):
        for unit in self.units[:-1]:
            x = unit(x)
        return self.units[-1](x, residual)


class Attention(nn.Module):
    def __init__(self, c, deeper, kind):
        super().__init__()
        self.logit = nn.Conv3d(deeper, 1, 1)
        self.unit = Unit(c, c, 3, kind)

    def forward(self, skip, deeper):
        s = F.interpolate(self.logit(deeper), scale_factor=2, mode="nearest")
        return self.unit(skip * (1 - torch.sigmoid(s)))


class Fusion(nn.Module):
    def __init__(self, c, k, omega):
        super().__init__()
        self.omega = omega
        self.heads = nn.ModuleList(nn.Conv3d(ci, k, 1) for ci in c)
        self.ups = nn.ModuleList(
            nn.ConvTranspose3d(k, k, 2**i, stride=2**i, bias=False) for i in range(4))
        for up in self.ups:
            with torch.no_grad():
                up.weight.zero_()
                for j in range(k):
                    up.weight[j, j] = 1

    def forward(self, features):
        terms = (w * up(head(f))
                 for w, up, head, f in zip(self.omega, self.ups, self.heads, features))
        return torch.sigmoid(sum(terms))


class Segmentation(nn.Module):
    def __init__(self, o):
        super().__init__()
        c, k, kind = o["channels"], o["kernel_size"], o["norm"]
        self.encoders = nn.ModuleList(
            Block(c[i] if i else 2, c[i], ENCODER[i], k, kind) for i in range(5))
        self.downs = nn.ModuleList(Unit(c[i], c[i + 1], 2, kind, stride=2) for i in range(4))
        self.ups = nn.ModuleList(Up(c[i + 1], c[i], kind) for i in range(4))
        self.decoders = nn.ModuleList(
            Block(2 * c[i], c[i], DECODER[i], k, kind) for i in range(4))
        if o["reverse_attention"]:
            self.attentions = nn.ModuleList(Attention(c[i], c[i + 1], kind) for i in range(4))
        else:
            self.attentions = None
        self.fusion = Fusion(c[:4], o["lesion_channels"], o["scale_weights"])

    def forward(self, x, p):
        f = [self.encoders[0](torch.cat([x, p], 1), x)]
        for down, encoder in zip(self.downs, self.encoders[1:]):
            y = down(f[-1])
            f.append(encoder(y, y))
        deeper, d = f[4], [None] * 4
        for i in (3, 2, 1, 0):
            up = self.ups[i](deeper)
            skip = self.attentions[i](f[i], deeper) if self.attentions else f[i]
            deeper = d[i] = self.decoders[i](torch.cat([up, skip], 1), up)
        return self.fusion(d), f[4]


class Module(nn.Module):
    def __init__(self, ci, co, stride, kind):
        super().__init__()
        self.first, self.second = Unit(ci, co, 3, kind, stride), Unit(co, co, 3, kind)
        same = ci == co and stride == 1
        self.shortcut = None if same else nn.Conv3d(ci, co, 1, stride=stride, bias=False)

    def forward(self, x):
        return self.second(self.first(x), self.shortcut(x) if self.shortcut else x)


class Classification(nn.Module):
    def __init__(self, o):
        super().__init__()
        c = [1] + o["class_channels"]
        self.modules_ = nn.ModuleList(
            Module(c[i], c[i + 1], STRIDES[i], o["norm"]) for i in range(6))
        self.linear = nn.Linear(c[6] + o["channels"][4], 3)
        self.feedback = o["mask_feedback"]

    def forward(self, x, mask, deepest):
        z = {"multiply": x * mask, "add": x + mask, "none": x}[self.feedback]
        for module in self.modules_:
            z = module(z)
        return self.linear(torch.cat([z.mean((2, 3, 4)), deepest.mean((2, 3, 4))], 1))


class Net(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.o = o
        self.segmentation = Segmentation(o)
        self.classification = Classification(o) if o["classification"] else None

    def forward(self, x):
        previous, passes = torch.zeros_like(x), []
        for _ in range(self.o["iterations"] + 1):
            lesion, deepest = self.segmentation(x, previous)
            mask = lesion.amax(1, keepdim=True)
            logits = self.classification(x, mask, deepest) if self.classification else None
            passes.append((lesion, logits))
            previous = mask.detach() if self.o["detach_feedback"] else mask
        return passes


def rust_name(name):
    return name.replace("modules_", "modules")


def rust_value(name, value):
    """burn's linear layer keeps its weight transposed."""
    value = value.detach()
    return (value.T if name.endswith("linear.weight") else value).float().contiguous().numpy()


def losses(passes, lesion, classes, exponent=0.9, alpha=0.7, beta=0.3, weight=0.3):
    seg, cls = [], []
    for p, logits in passes:
        dims = (2, 3, 4)
        tp, fn, fp = (p * lesion).sum(dims), ((1 - p) * lesion).sum(dims), (p * (1 - lesion)).sum(dims)
        ti = (tp + 1) / (tp + alpha * fn + beta * fp + 1)
        seg.append((1 - ti).clamp(min=1e-6).pow(exponent).mean())
        if logits is not None:
            cls.append(F.cross_entropy(logits, classes))
    seg = sum(seg) / len(seg)
    if not cls:
        return seg, seg, torch.zeros(())
    cls = sum(cls) / len(cls)
    return (1 - weight) * seg + weight * cls, seg, cls


def perturbed(o, seed):
    """A net with everything off its start, so that nothing is tested by its absence."""
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


def rounding(o, seed, shape):
    """Largest relative difference between f32 and f64 gradients."""
    net = perturbed(o, seed).train()
    x, lesion, classes = data(o, shape)
    state = {k: v.float() for k, v in net.state_dict().items()}
    exact = gradients(net, x, lesion, classes)
    net.float().load_state_dict(state)
    rough = gradients(net, x.float(), lesion.float(), classes)
    return max(((rough[k].double() - g).abs().max() / g.abs().max().clamp(min=1e-3)).item()
               for k, g in exact.items())


def golden(name, seeds, shape, **options):
    if sys.argv[1:] and name not in sys.argv[1:]:
        return
    torch.set_default_dtype(torch.float64)
    o = dict(TINY, **options)
    seed = min(seeds, key=lambda seed: rounding(o, seed, shape))
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
    path = Path(__file__).parent / f"{name}.safetensors"
    out = {key: np.ascontiguousarray(value) for key, value in out.items()}
    save_file(out, path, metadata={"config": json.dumps(o)})
    print(f"{name}: seed {seed}, f32 rounding {rounding(o, seed, shape):.1e}, "
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
    golden("batch_no_class", range(8), (2, 1, 16, 32, 16), classification=False, iterations=1,
           channels=[2, 3, 4, 4, 6])


if __name__ == "__main__":
    sys.exit(main())
