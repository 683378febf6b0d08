"""MultiR-Net in PyTorch: the reference for golden values and for the peers in the benches.

It is an independent implementation, not a translation of the Rust net. It is fast: it uses PyTorch's
fused operations (batch norm), and computes nothing at a larger size than needed. `Net(options)` takes
the Rust configuration as a dictionary; `load(path)` reads a weights file that the Rust net wrote.

    pip install torch "numpy<3" safetensors
"""
import json

import torch
import torch.nn.functional as F
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
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.gamma, self.beta)
        # With momentum 1 these two become the batch's own mean and unbiased variance.
        mean, var = torch.zeros_like(self.running_mean), torch.zeros_like(self.running_var)
        y = F.batch_norm(x, mean, var, self.gamma, self.beta, training=True, momentum=1.0)
        n = x.numel() // x.shape[1]
        with torch.no_grad():
            self.running_mean.lerp_(mean, 0.1)
            self.running_var.lerp_(var * ((n - 1) / n), 0.1)
        return y


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

    def forward(self, x, residual=None):
        x = self.norm(self.conv(x))
        return self.act(x if residual is None else x + residual)


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
        # 1 - sigmoid(s) = sigmoid(-s), computed before upsampling makes it eight times as large.
        a = torch.sigmoid(-self.logit(deeper))
        return self.unit(skip * F.interpolate(a, scale_factor=2, mode="nearest"))


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


def load(path):
    """The net in a weights file of the Rust library, in evaluation mode, in f32."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        o = json.loads(file.metadata()["multirnet"])["config"]
        values = {name: file.get_tensor(name).float() for name in file.keys()}
    net = Net(o)
    state = {}
    for name in net.state_dict():
        value = values[rust_name(name)]
        state[name] = value.T if name.endswith("linear.weight") else value
    net.load_state_dict(state)
    return net.eval()


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
