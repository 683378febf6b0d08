"""The 3D nets of the comparison in PyTorch, written independently of the Rust code.

DenseNet is MONAI's own. Each class names its parts as in the Rust net where it can; `rust_name`
translates the other names.
"""
import re

import torch
import torch.nn.functional as F
from torch import nn

from multirnet_torch import DECODER, ENCODER, Block, Unit, Up


class Pair(nn.Module):
    """Two units of 3³ convolution, batch norm and ReLU."""

    def __init__(self, ci, between, co, bias=False):
        super().__init__()
        self.first = nn.ModuleDict({"conv": nn.Conv3d(ci, between, 3, padding=1, bias=bias),
                                    "norm": nn.BatchNorm3d(between)})
        self.second = nn.ModuleDict({"conv": nn.Conv3d(between, co, 3, padding=1, bias=bias),
                                     "norm": nn.BatchNorm3d(co)})

    def forward(self, x):
        for unit in (self.first, self.second):
            x = F.relu(unit["norm"](unit["conv"](x)))
        return x


class UNet3d(nn.Module):
    def __init__(self, channels, lesion_channels=1, inputs=1):
        super().__init__()
        c = channels
        self.encoders = nn.ModuleList(
            Pair(inputs if i == 0 else c[i - 1], c[i] // 2, c[i]) for i in range(4))
        self.ups = nn.ModuleList(
            nn.ConvTranspose3d(c[i + 1], c[i + 1], 2, stride=2, bias=False) for i in range(3))
        self.decoders = nn.ModuleList(Pair(c[i + 1] + c[i], c[i], c[i]) for i in range(3))
        self.head = nn.Conv3d(c[0], lesion_channels, 1)

    def forward(self, x):
        f1 = self.encoders[0](x)
        f2 = self.encoders[1](F.max_pool3d(f1, 2))
        f3 = self.encoders[2](F.max_pool3d(f2, 2))
        y = self.encoders[3](F.max_pool3d(f3, 2))
        for i, f in ((2, f3), (1, f2), (0, f1)):
            y = self.decoders[i](torch.cat([self.ups[i](y), f], 1))
        return {"lesion": [torch.sigmoid(self.head(y))]}


class UNetPp3d(nn.Module):
    def __init__(self, channels, upsampling="trilinear", deep_supervision=True, conv_bias=True,
                 lesion_channels=1):
        super().__init__()
        c, learned = channels, upsampling == "transposed"

        def inputs(i, j):
            if j == 0:
                return c[i - 1] if i else 1
            return j * c[i] + (c[i] if learned else c[i + 1])

        self.nodes = nn.ModuleList(
            nn.ModuleList(Pair(inputs(i, j), c[i], c[i], conv_bias) for j in range(5 - i))
            for i in range(5))
        self.ups = nn.ModuleList(
            nn.ModuleList(nn.ConvTranspose3d(c[i + 1], c[i], 2, stride=2, bias=False)
                          for _ in range(1, 5 - i)) for i in range(4)) if learned else None
        self.heads = nn.ModuleList(
            nn.Conv3d(c[0], lesion_channels, 1) for _ in range(4 if deep_supervision else 1))

    def forward(self, x):
        node = {}
        for i in range(5):
            node[i, 0] = self.nodes[i][0](F.max_pool3d(node[i - 1, 0], 2) if i else x)
        for j in range(1, 5):
            for i in range(5 - j):
                up = node[i + 1, j - 1]
                if self.ups is None:
                    up = F.interpolate(up, scale_factor=2, mode="trilinear", align_corners=False)
                else:
                    up = self.ups[i][j - 1](up)
                before = [node[i, k] for k in range(j)]
                node[i, j] = self.nodes[i][j](torch.cat([*before, up], 1))
        columns = range(5 - len(self.heads), 5)
        return {"lesion": [torch.sigmoid(head(node[0, j]))
                           for j, head in zip(columns, self.heads)]}


class Zhou(nn.Module):
    def __init__(self, channels, class_channels, kernel_size=3, norm="batch", lesion_channels=1,
                 iterations=2, detach_feedback=True, dropout=0.0):
        super().__init__()
        c, k = channels, kernel_size
        self.iterations = iterations
        self.encoders = nn.ModuleList(
            Block(c[i] if i else 2, c[i], ENCODER[i], k, norm) for i in range(5))
        self.downs = nn.ModuleList(Unit(c[i], c[i + 1], 2, norm, stride=2) for i in range(4))
        self.ups = nn.ModuleList(Up(c[i + 1], c[i], norm) for i in range(4))
        self.decoders = nn.ModuleList(
            Block(2 * c[i], c[i], DECODER[i], k, norm) for i in range(4))
        self.head = nn.Conv3d(c[0], lesion_channels, 1)
        self.class_units = nn.ModuleList(Unit(c[i], class_channels, 3, norm) for i in (2, 3, 4))
        self.linear = nn.Linear(3 * class_channels, 3)

    def forward(self, x):
        previous, lesions, logits = torch.zeros_like(x), [], []
        for _ in range(self.iterations + 1):
            f = [self.encoders[0](torch.cat([x, previous], 1), x)]
            for down, encoder in zip(self.downs, self.encoders[1:]):
                y = down(f[-1])
                f.append(encoder(y, y))
            # The mean of each scale by itself; the Rust net averages in two steps.
            pooled = [unit(f[i]).mean((2, 3, 4)) for i, unit in zip((2, 3, 4), self.class_units)]
            logits.append(self.linear(torch.cat(pooled, 1)))
            y = f[4]
            for i in (3, 2, 1, 0):
                up = self.ups[i](y)
                y = self.decoders[i](torch.cat([up, f[i]], 1), up)
            lesions.append(torch.sigmoid(self.head(y)))
            previous = lesions[-1].amax(1, keepdim=True).detach()
        return {"lesion": lesions, "logits": logits}


class DenseNet(nn.Module):
    """MONAI's DenseNet, and the features before its pooling."""

    def __init__(self, stem_channels, growth, blocks, bottleneck):
        super().__init__()
        from monai.networks.nets import DenseNet as Monai

        self.net = Monai(spatial_dims=3, in_channels=1, out_channels=3,
                         init_features=stem_channels, growth_rate=growth,
                         block_config=tuple(blocks), bn_size=bottleneck)

    def forward(self, x):
        features = self.net.features(x)
        return {"logits": [self.net.class_layers(features)], "features": [F.relu(features)]}


def of_monai(name):
    name = name.removeprefix("net.").removeprefix("features.").replace("class_layers.out", "linear")
    for pattern, by in (
        (r"^conv0\.", "stem."), (r"^norm0\.", "stem_norm."), (r"^norm5\.", "norm."),
        (r"^denseblock(\d+)\.denselayer(\d+)\.layers\.",
         lambda m: f"blocks.{int(m[1]) - 1}.layers.{int(m[2]) - 1}."),
        (r"^transition(\d+)\.", lambda m: f"transitions.{int(m[1]) - 1}."),
    ):
        name = re.sub(pattern, by, name)
    return name


def rust_name(net, name):
    if isinstance(net, DenseNet):
        name = of_monai(name)
    # torch's batch norms name scale and shift like a convolution's parameters (weight, bias).
    return re.sub(r"(norm\d?)\.(weight|bias)$",
                  lambda m: f"{m[1]}.{'gamma' if m[2] == 'weight' else 'beta'}", name)
