"""The network as peers run it: PyTorch's twin of the Rust net, its ONNX export, its work."""
import sys
from pathlib import Path

import torch
from torch import nn

GOLDEN = Path(__file__).resolve().parents[2] / "crates/nn/tests/golden"
sys.path.insert(0, str(GOLDEN))

import multirnet_torch as twin  # noqa: E402


class LastPass(nn.Module):
    """The lesion map and class probabilities that count: those of the last pass."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        lesion, logits = self.net(x)[-1]
        return lesion, torch.softmax(logits.float(), 1)


def fold(net):
    """Batch norms in evaluation mode into the convolutions before them, as people deploy nets."""
    for unit in net.modules():
        n = getattr(unit, "norm", None)
        if not isinstance(n, twin.BatchNorm):
            continue
        conv = unit.conv
        scale = n.gamma / torch.sqrt(n.running_var + 1e-5)
        transposed = isinstance(conv, nn.ConvTranspose3d)
        shape = (1, -1, 1, 1, 1) if transposed else (-1, 1, 1, 1, 1)
        conv.weight = nn.Parameter((conv.weight * scale.view(shape)).detach())
        conv.bias = nn.Parameter((n.beta - n.running_mean * scale).detach())
        unit.norm = nn.Identity()
    return net


def gflop(net, shape):
    """10^9 floating-point operations of the convolutions and linear layers for one input."""
    total = [0]

    def count(module, inputs, output):
        if isinstance(module, nn.Linear):
            total[0] += 2 * module.weight.numel() * inputs[0].shape[0]
            return
        grid = inputs[0] if isinstance(module, nn.ConvTranspose3d) else output
        total[0] += 2 * module.weight.numel() * grid.shape[0] * grid.shape[2:].numel()

    kinds = (nn.Conv3d, nn.ConvTranspose3d, nn.Linear)
    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, kinds)]
    with torch.inference_mode():
        net(torch.zeros(shape))
    for hook in hooks:
        hook.remove()
    return total[0] / 1e9


def load(path, iterations):
    net = twin.load(path)
    if iterations is not None:
        net.o["iterations"] = iterations
    return net


def export(net, shape, path, dynamic_batch=False):
    axes = {"x": {0: "b"}, "lesion": {0: "b"}, "probabilities": {0: "b"}} if dynamic_batch else None
    torch.onnx.export(
        LastPass(net).eval(), (torch.zeros(shape),), path, input_names=["x"],
        output_names=["lesion", "probabilities"], opset_version=17, dynamic_axes=axes, dynamo=False)
