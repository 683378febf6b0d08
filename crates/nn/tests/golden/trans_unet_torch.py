"""TransU-Net in PyTorch, written for the golden values of `make_transformers.py`.

R50-ViT-B/16 hybrid encoder and cascaded upsampler, as in the paper and the authors' published
code; the transformer's layers are torch's own `nn.TransformerEncoderLayer`. Names are the Rust
net's, except in those layers.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F


class StandardConv(nn.Module):
    """Convolution whose filters are standardised to mean 0 and variance 1."""

    def __init__(self, channels_in, channels_out, kernel, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False)

    def forward(self, x):
        w = self.conv.weight
        mean = w.flatten(1).mean(1)[:, None, None, None]
        variance = w.flatten(1).var(1, unbiased=False)[:, None, None, None]
        w = (w - mean) / torch.sqrt(variance + 1e-5)
        return F.conv2d(x, w, None, self.conv.stride, self.conv.padding)


class Unit(nn.Module):
    """3 x 3 convolution, batch norm and ReLU."""

    def __init__(self, channels_in, channels_out):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)))


class Bottleneck(nn.Module):
    def __init__(self, channels_in, middle, channels_out, stride, groups):
        super().__init__()
        self.reduce = StandardConv(channels_in, middle, 1)
        self.reduce_norm = nn.GroupNorm(groups, middle, eps=1e-6)
        self.spatial = StandardConv(middle, middle, 3, stride)
        self.spatial_norm = nn.GroupNorm(groups, middle, eps=1e-6)
        self.expand = StandardConv(middle, channels_out, 1)
        self.expand_norm = nn.GroupNorm(groups, channels_out, eps=1e-6)
        self.project = None
        if stride != 1 or channels_in != channels_out:
            self.project = StandardConv(channels_in, channels_out, 1, stride)
            self.project_norm = nn.GroupNorm(channels_out, channels_out, eps=1e-5)

    def forward(self, x):
        y = F.relu(self.reduce_norm(self.reduce(x)))
        y = F.relu(self.spatial_norm(self.spatial(y)))
        y = self.expand_norm(self.expand(y))
        if self.project is not None:
            x = self.project_norm(self.project(x))
        return F.relu(x + y)


class ResNet(nn.Module):
    def __init__(self, o):
        super().__init__()
        width, groups = o["width"], o["groups"]
        self.root = StandardConv(3, width, 7, 2)
        self.root_norm = nn.GroupNorm(groups, width, eps=1e-6)
        self.stages, channels = nn.ModuleList(), width
        for stage, units in enumerate(o["units"]):
            middle = width << stage
            self.stages.append(nn.ModuleList([
                Bottleneck(channels if i == 0 else 4 * middle, middle, 4 * middle,
                           2 if stage > 0 and i == 0 else 1, groups) for i in range(units)]))
            channels = 4 * middle

    def forward(self, x):
        size = x.shape[-1]
        x = F.relu(self.root_norm(self.root(x)))
        skips = [x]
        x = F.max_pool2d(x, 3, 2)
        for stage in self.stages:
            for unit in stage:
                x = unit(x)
            # Pooling without padding loses a row and a column. The skip gets zeros for them.
            missing = size // 2 ** (len(skips) + 1) - x.shape[-1]
            skips.append(F.pad(x, (0, missing, 0, missing)))
        skips.pop()
        return x, skips


class Upscale(nn.Module):
    def __init__(self, channels_in, channels_out):
        super().__init__()
        self.units = nn.ModuleList([Unit(c, channels_out) for c in (channels_in, channels_out)])

    def forward(self, x, skip):
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        if skip is not None:
            x = torch.cat([x, skip], 1)
        for unit in self.units:
            x = unit(x)
        return x


class TransUNet(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.o = o
        hidden, width, ups = o["hidden"], o["width"], o["decoder"]
        self.resnet = ResNet(o)
        self.embed = nn.Conv2d(16 * width, hidden, 1)
        self.positions = nn.Parameter(torch.zeros(1, (o["image_size"] // 16) ** 2, hidden))
        self.layers = nn.ModuleList([
            nn.TransformerEncoderLayer(hidden, o["heads"], o["mlp"], o["dropout"], F.gelu, 1e-6,
                                       batch_first=True, norm_first=True)
            for _ in range(o["layers"])])
        self.norm = nn.LayerNorm(hidden, eps=1e-6)
        self.bridge = Unit(hidden, o["bridge"])
        skips = [8 * width, 4 * width, width, 0]
        self.decoders = nn.ModuleList([
            Upscale(c + s, out) for c, s, out in zip([o["bridge"], *ups[:3]], skips, ups)])
        self.head = nn.Conv2d(ups[3], o["lesion_channels"], 3, padding=1)

    def forward(self, x):
        """Probabilities `[b, K, h, w]` of slices `[b, 1, h, w]`."""
        size, window = self.o["image_size"], tuple(x.shape[2:])
        if window != (size, size):
            x = F.interpolate(x, (size, size), mode="bilinear", align_corners=False)
        x, skips = self.resnet(x.repeat(1, 3, 1, 1))
        x = self.embed(x)
        b, c, h, w = x.shape
        x = x.flatten(2).transpose(1, 2) + self.positions
        x = F.dropout(x, self.o["dropout"], self.training)
        for layer in self.layers:
            x = layer(x)
        x = self.norm(x).transpose(1, 2).reshape(b, c, h, w)
        x = self.bridge(x)
        for decoder in self.decoders:
            x = decoder(x, skips.pop() if skips else None)
        x = self.head(x)
        if window != (size, size):
            x = F.interpolate(x, window, mode="bilinear", align_corners=False)
        return torch.sigmoid(x)


BASE = dict(image_size=224, width=64, units=[3, 4, 9], groups=32, hidden=768, layers=12, heads=12,
            mlp=3072, dropout=0.1, bridge=512, decoder=[256, 128, 64, 16], lesion_channels=1)
SMALL = dict(image_size=96, width=8, units=[1, 1, 1], groups=8, hidden=64, layers=2, heads=4,
             mlp=128, dropout=0.1, bridge=32, decoder=[32, 16, 8, 8], lesion_channels=1)
