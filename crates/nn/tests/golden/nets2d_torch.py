"""Res2Net, Inf-Net and JCS in PyTorch, an implementation that is independent of the Rust one.

It is written from the papers, and its structure is checked against the authors' releases. Images are
plain `[n, 1, h, w]` batches here; `make_nets2d.py` goes from windows to slices.
"""
import torch
import torch.nn.functional as F
from torch import nn


def resized(x, size, align_corners=False):
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=align_corners)


class ConvNorm(nn.Module):
    """Convolution and batch norm, ReLU on demand."""

    def __init__(self, i, o, kernel, stride=1, dilation=1, relu=True, bias=False):
        super().__init__()
        kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = tuple(k // 2 * dilation for k in kernel)
        self.conv = nn.Conv2d(i, o, kernel, stride, padding, dilation, bias=bias)
        self.norm = nn.BatchNorm2d(o)
        self.relu = relu

    def forward(self, x):
        x = self.norm(self.conv(x))
        return x.relu() if self.relu else x


class Bottle2neck(nn.Module):
    def __init__(self, i, planes, o, width, scale, stride, first):
        super().__init__()
        w = planes * width // 64
        self.w, self.stride, self.first = w, stride, first
        self.expand = ConvNorm(i, w * scale, 1)
        self.convs = nn.ModuleList(ConvNorm(w, w, 3, stride) for _ in range(scale - 1))
        self.reduce = ConvNorm(w * scale, o, 1, relu=False)
        self.shortcut = ConvNorm(i, o, 1, relu=False) if first else None

    def forward(self, x):
        parts = self.expand(x).split(self.w, 1)
        done, previous = [], None
        for conv, part in zip(self.convs, parts):
            fresh = previous is None or self.first
            previous = conv(part if fresh else previous + part)
            done.append(previous)
        last = F.avg_pool2d(parts[-1], 3, self.stride, 1) if self.first else parts[-1]
        y = self.reduce(torch.cat([*done, last], 1))
        if self.shortcut is None:
            return (y + x).relu()
        if self.stride > 1:
            x = F.avg_pool2d(x, self.stride, self.stride, ceil_mode=True, count_include_pad=False)
        return (y + self.shortcut(x)).relu()


class Backbone(nn.Module):
    """Res2Net v1b without its linear layer. Returns the features of its four stages."""

    def __init__(self, o):
        super().__init__()
        c, s = o["channels"], o["channels"] // 2
        self.stem = nn.ModuleList([ConvNorm(o["input_channels"], s, 3, 2), ConvNorm(s, s, 3), ConvNorm(s, c, 3)])
        self.stages = nn.ModuleList()
        i = c
        for level, blocks in enumerate(o["blocks"]):
            planes = c << level
            stage = nn.ModuleList()
            for b in range(blocks):
                stride = 2 if level > 0 and b == 0 else 1
                stage.append(Bottle2neck(i, planes, 4 * planes, o["width"], o["scale"], stride, b == 0))
                i = 4 * planes
            self.stages.append(stage)
        self.inputs = o["input_channels"]

    def forward(self, x):
        x = x.expand(-1, self.inputs, -1, -1)
        for unit in self.stem:
            x = unit(x)
        x = F.max_pool2d(x, 3, 2, 1)
        features = []
        for stage in self.stages:
            for block in stage:
                x = block(x)
            features.append(x)
        return features


class Res2Net(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.backbone = Backbone(o)
        self.linear = nn.Linear(32 * o["channels"], 3)

    def forward(self, x):
        return self.linear(self.backbone(x)[-1].mean((2, 3)))


class ReceptiveField(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        unit = lambda i, o, k, r=1: ConvNorm(i, o, k, dilation=r, relu=False)
        self.branches = nn.ModuleList([nn.Sequential(unit(i, o, 1))])
        for k in (3, 5, 7):
            self.branches.append(nn.Sequential(
                unit(i, o, 1), unit(o, o, (1, k)), unit(o, o, (k, 1)), unit(o, o, 3, k)))
        self.join = unit(4 * o, o, 3)
        self.shortcut = unit(i, o, 1)

    def forward(self, x):
        return (self.join(torch.cat([b(x) for b in self.branches], 1)) + self.shortcut(x)).relu()


class PartialDecoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        unit = lambda k: ConvNorm(k * c, k * c, 3, relu=False)
        self.ups = nn.ModuleList(unit(k) for k in (1, 1, 1, 1, 2))
        self.joins = nn.ModuleList(unit(k) for k in (2, 3, 3))
        self.head = nn.Conv2d(3 * c, 1, 1)

    def forward(self, f3, f4, f5):
        up = lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        a, b, c, d, e = self.ups
        g4 = a(up(f5)) * f4
        g3 = b(up(up(f5))) * c(up(f4)) * f3
        h4 = self.joins[0](torch.cat([g4, d(up(f5))], 1))
        h3 = self.joins[1](torch.cat([g3, e(up(h4))], 1))
        return self.head(self.joins[2](h3))


class ReverseBranch(nn.Module):
    """Reverse attention. The last unit has one channel, and ReLU follows those between."""

    def __init__(self, i, c, edge, kernel, depth, last):
        super().__init__()
        unit = lambda i, o, k: ConvNorm(i, o, k, relu=False)
        self.reduce = unit(i, c, 1)
        self.units = nn.ModuleList(unit(c + edge if n == 0 else c, c, kernel) for n in range(depth))
        self.head = unit(c, 1, last)

    def forward(self, feature, guide, edge):
        x = self.reduce((1 - guide.sigmoid()) * feature)
        x = torch.cat([x, resized(edge, feature.shape[2:])], 1)
        for unit in self.units:
            x = unit(x).relu()
        return self.head(x) + guide


class InfNet(nn.Module):
    def __init__(self, o):
        super().__init__()
        c, r, e = 4 * o["backbone"]["channels"], o["reduced_channels"], o["edge_channels"]
        self.backbone = Backbone(o["backbone"])
        self.fields = nn.ModuleList(ReceptiveField(c << n, r) for n in (1, 2, 3))
        self.decoder = PartialDecoder(r)
        self.reverse5 = ReverseBranch(8 * c, o["deepest_channels"], e, 5, 3, 1)
        self.reverse4 = ReverseBranch(4 * c, e, e, 3, 2, 3)
        self.reverse3 = ReverseBranch(2 * c, e, e, 3, 2, 3)
        self.edge = nn.ModuleList([ConvNorm(c, e, 1, relu=False), ConvNorm(e, e, 3, relu=False),
                                   ConvNorm(e, e, 3, relu=False)])
        self.edge_head = ConvNorm(e, 1, 3, relu=False)

    def forward(self, x):
        """Probabilities S_g, S_5, S_4, S_3, and the edge's."""
        size = x.shape[2:]
        f2, f3, f4, f5 = self.backbone(x)
        edge = f2
        for unit in self.edge:
            edge = unit(edge)
        s_g = self.decoder(*(field(f) for field, f in zip(self.fields, (f3, f4, f5))))
        s_5 = self.reverse5(f5, resized(s_g, f5.shape[2:]), edge)
        s_4 = self.reverse4(f4, resized(s_5, f4.shape[2:]), edge)
        s_3 = self.reverse3(f3, resized(s_4, f3.shape[2:]), edge)
        maps = [resized(s, size).sigmoid() for s in (s_g, s_5, s_4, s_3)]
        return maps, resized(self.edge_head(edge), size).sigmoid()


class Plain(nn.Conv2d):
    """Convolution with bias and ReLU."""

    def __init__(self, i, o, kernel):
        super().__init__(i, o, kernel, padding=kernel // 2)

    def forward(self, x):
        return super().forward(x).relu()


class Squeeze(nn.Module):
    def __init__(self, c, middle):
        super().__init__()
        self.squeeze, self.excite = nn.Linear(c, middle), nn.Linear(middle, c)

    def forward(self, x):
        gate = self.excite(self.squeeze(x.mean((2, 3))).relu()).sigmoid()
        return x * gate[:, :, None, None]


class GroupedAtrous(nn.Module):
    def __init__(self, c, rates):
        super().__init__()
        self.expand = Plain(c, 2 * c, 1)
        self.atrous = nn.ModuleList(nn.Conv2d(c // 2, c // 2, 3, padding=r, dilation=r) for r in rates)
        self.squeeze = Squeeze(2 * c, c // 2)
        self.reduce = Plain(2 * c, c, 1)
        self.last = Plain(c, c, 3)

    def forward(self, x):
        groups = self.expand(x).chunk(4, 1)
        x = torch.cat([conv(g) for conv, g in zip(self.atrous, groups)], 1).relu()
        return self.last(self.reduce(self.squeeze(x)))


class AttentiveFusion(nn.Module):
    def __init__(self, lateral, deeper, c):
        super().__init__()
        self.lateral, self.deeper = Plain(lateral, c // 2, 1), Plain(deeper, c // 2, 1)
        self.attention = Squeeze(c, 1)
        self.first = Plain(c, c, 3)
        self.again = Squeeze(c + c // 2, 1)
        self.reduce = Plain(c + c // 2, c, 1)
        self.second = Plain(c, c, 3)

    def forward(self, lateral, deeper):
        low = self.lateral(lateral)
        high = resized(self.deeper(deeper), lateral.shape[2:])
        x = self.first(self.attention(torch.cat([low, high], 1)))
        return self.second(self.reduce(self.again(torch.cat([x, high], 1))))


class JcsSegmentation(nn.Module):
    def __init__(self, channels, inputs, reduction):
        super().__init__()
        self.inputs, self.reduction = inputs, reduction
        self.encoder = nn.ModuleList()
        i = inputs
        for c, convs in zip(channels, (2, 2, 3, 3, 3)):
            self.encoder.append(nn.ModuleList(
                ConvNorm(i if n == 0 else c, c, 3, bias=True) for n in range(convs)))
            i = c
        self.enhance = nn.ModuleList([GroupedAtrous(i, (1, 3, 6, 9)), GroupedAtrous(i, (1, 2, 3, 4))])
        self.top = nn.ModuleList([Plain(i, i, 1), Plain(i, i, 3)])
        deeper = [*channels[1:], i]
        self.fusions = nn.ModuleList(AttentiveFusion(c, d, c) for c, d in zip(channels, deeper))
        self.heads = nn.ModuleList(nn.Conv2d(c, 1, 1) for c in channels)

    def forward(self, x):
        """Probabilities of levels 5 to 1."""
        size = x.shape[2:]
        x = F.avg_pool2d(x, self.reduction).expand(-1, self.inputs, -1, -1)
        features = []
        for level, stage in enumerate(self.encoder):
            if 0 < level < 4:
                x = F.max_pool2d(x, 2)
            for unit in stage:
                x = unit(x)
            features.append(x)
        features[4] = self.enhance[0](features[4])
        x = self.enhance[1](F.max_pool2d(features[4], 2))
        for unit in self.top:
            x = unit(x)
        maps = []
        for feature, fusion, head in reversed(list(zip(features, self.fusions, self.heads))):
            x = fusion(feature, x)
            maps.append(resized(head(x), size).sigmoid())
        return maps


class Jcs(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.segmentation = JcsSegmentation(o["channels"], o["input_channels"], o["reduction"])
        self.classification = Res2Net(o["classifier"])

    def forward(self, x):
        return self.segmentation(x), self.classification(x)


RES2NET = dict(input_channels=3, channels=64, blocks=[3, 4, 6, 3], width=26, scale=4)
INF_NET = dict(backbone=RES2NET, reduced_channels=32, edge_channels=64, deepest_channels=256)
JCS = dict(input_channels=3, reduction=1, channels=[64, 128, 256, 512, 512], classifier=RES2NET)


def count(net):
    return sum(p.numel() for p in net.parameters())
