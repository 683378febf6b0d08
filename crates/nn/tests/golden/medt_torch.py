"""Medical Transformer in PyTorch, written for the golden values of `make_transformers.py`.

It follows the authors' published code where that differs from the paper: the local branch has neither
relative positions nor gates, and the gates stand before the batch norms. It leaves out layers that
the published code makes and never uses. A batch norm over stacked maps is written as one for each
map, because they are independent. Names are the Rust net's.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Unit(nn.Module):
    def __init__(self, conv, channels):
        super().__init__()
        self.conv = conv
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return self.norm(self.conv(x))


class AxialAttention(nn.Module):
    """Attention along the last axis of `[n, channels, length]`."""

    def __init__(self, channels, heads, length, positions):
        super().__init__()
        self.heads, self.per_head = heads, channels // heads
        self.qkv = Unit(nn.Conv2d(channels, 2 * channels, 1, bias=False), 2 * channels)
        self.similarity_norm = nn.BatchNorm2d(heads)
        self.output_norm = nn.BatchNorm1d(channels)
        self.positions = Positions(channels, heads, length) if positions else None

    def forward(self, x):
        n, c, length = x.shape
        half = self.per_head // 2
        qkv = self.qkv(x[..., None])[..., 0].reshape(n, self.heads, 2 * self.per_head, length)
        q, k, v = qkv.split([half, half, self.per_head], dim=2)
        similarity = self.similarity_norm(torch.einsum("nhci,nhcj->nhij", q, k))
        if self.positions is not None:
            rq, rk, rv = self.positions.embeddings([half, half, self.per_head])
            gq, gk, gv, gr = self.positions.gates
            qr = torch.einsum("nhci,cij->nhij", q, rq) * gq
            kr = torch.einsum("nhcj,cji->nhij", k, rk) * gk
            similarity = similarity + self.positions.query_norm(qr) + self.positions.key_norm(kr)
        attention = similarity.softmax(-1)
        out = torch.einsum("nhij,nhcj->nhci", attention, v).reshape(n, c, length)
        if self.positions is None:
            return self.output_norm(out)
        shift = torch.einsum("nhij,cij->nhci", attention, rv).reshape(n, c, length)
        return self.output_norm(out * gv) + self.positions.value_norm(shift * gr)


class Positions(nn.Module):
    def __init__(self, channels, heads, length):
        super().__init__()
        self.relative = nn.Parameter(torch.zeros(2 * channels // heads, 2 * length - 1))
        self.gates = nn.Parameter(torch.tensor([0.1, 0.1, 1.0, 0.1]))
        self.query_norm = nn.BatchNorm2d(heads)
        self.key_norm = nn.BatchNorm2d(heads)
        self.value_norm = nn.BatchNorm1d(channels)
        self.length = length

    def embeddings(self, parts):
        """`r[c, i, j]` is the embedding of the distance i - j."""
        i, j = torch.arange(self.length)[:, None], torch.arange(self.length)[None]
        return self.relative[:, i - j + self.length - 1].split(parts, dim=0)


class AxialBlock(nn.Module):
    def __init__(self, channels_in, width, heads, size, stride, positions):
        super().__init__()
        out = 2 * width
        self.stride = stride
        self.down = Unit(nn.Conv2d(channels_in, width, 1, bias=False), width)
        self.height = AxialAttention(width, heads, size, positions)
        self.width = AxialAttention(width, heads, size, positions)
        self.up = Unit(nn.Conv2d(width, out, 1, bias=False), out)
        self.project = None
        if stride != 1 or channels_in != out:
            self.project = Unit(nn.Conv2d(channels_in, out, 1, stride, bias=False), out)

    def forward(self, x):
        y = F.relu(self.down(x))
        b, c, h, w = y.shape
        y = self.height(y.permute(0, 3, 1, 2).reshape(b * w, c, h))
        y = y.reshape(b, w, c, h).permute(0, 2, 3, 1)
        y = self.width(y.permute(0, 2, 1, 3).reshape(b * h, c, w))
        y = y.reshape(b, h, c, w).permute(0, 2, 1, 3)
        if self.stride > 1:
            y = F.avg_pool2d(y, self.stride)
        y = self.up(F.relu(y))
        if self.project is not None:
            x = self.project(x)
        return F.relu(x + y)


def up2(x):
    return F.relu(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))


class Branch(nn.Module):
    """Encoder of `len(blocks)` levels and its decoder."""

    def __init__(self, o, stem_channels, size, blocks, positions, bottom):
        super().__init__()
        base = o["width"]
        middle = o["stem_width"]
        self.stem = nn.ModuleList([
            Unit(nn.Conv2d(1, stem_channels, 7, 2, 3, bias=False), stem_channels),
            Unit(nn.Conv2d(stem_channels, middle, 3, 1, 1, bias=False), middle),
            Unit(nn.Conv2d(middle, stem_channels, 3, 1, 1, bias=False), stem_channels)])
        self.levels = nn.ModuleList()
        channels, side = stem_channels, size // 2
        for level, count in enumerate(blocks):
            width, layers = base << level, nn.ModuleList()
            for i in range(count):
                stride = 2 if level > 0 and i == 0 else 1
                layers.append(AxialBlock(channels, width, o["heads"], side, stride, positions))
                channels, side = 2 * width, side // stride
            self.levels.append(layers)
        self.bottom = nn.Conv2d(channels, channels, 3, 2, 1) if bottom else None
        self.decoders = nn.ModuleList()
        for level in reversed(range(len(blocks))):
            self.decoders.append(nn.Conv2d(2 * base << level, base << level, 3, 1, 1))

    def forward(self, x):
        for unit in self.stem:
            x = F.relu(unit(x))
        skips = []
        for level in self.levels:
            for block in level:
                x = block(x)
            skips.append(x)
        if self.bottom is not None:
            x = up2(self.bottom(x)) + x
        skips.pop()
        for decoder in self.decoders:
            x = up2(decoder(x))
            if skips:
                x = x + skips.pop()
        return x


class MedT(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.o = o
        size, patches, blocks, base = o["image_size"], o["patches"], o["blocks"], o["width"]
        self.whole = Branch(o, base // 2, size, blocks[:2], True, False)
        self.patches = Branch(o, 4 * base, size // patches, blocks, False, True)
        self.fuse = nn.Conv2d(base, base, 3, 1, 1)
        self.head = nn.Conv2d(base, o["lesion_channels"], 1)

    def forward(self, x):
        """Probabilities `[b, K, h, w]` of slices `[b, 1, h, w]`."""
        size, n = self.o["image_size"], self.o["patches"]
        window, p = x.shape[2:], size // n
        if tuple(window) != (size, size):
            x = F.interpolate(x, (size, size), mode="bilinear", align_corners=False)
        patches = [x[:, :, p * i:p * i + p, p * j:p * j + p] for i in range(n) for j in range(n)]
        b = x.shape[0]
        # All patches are in one batch, so batch norms see them together.
        local = self.patches(torch.cat(patches)).split(b)
        rows = [torch.cat(local[n * i:n * i + n], 3) for i in range(n)]
        x = self.whole(x) + torch.cat(rows, 2)
        x = self.head(F.relu(self.fuse(x)))
        if tuple(window) != (size, size):
            x = F.interpolate(x, window, mode="bilinear", align_corners=False)
        return torch.sigmoid(x)


BASE = dict(image_size=128, patches=4, width=16, stem_width=128, heads=8, blocks=[1, 2, 4, 1],
            lesion_channels=1)
SMALL = dict(image_size=48, patches=3, width=4, stem_width=8, heads=2, blocks=[1, 1, 1],
             lesion_channels=1)
