"""Values for every tensor of a net, from its name in the Rust net alone.

`tests/transformers.rs` has the same formula. Both sides fill their net with it, so golden files need
no weights.
"""
import numpy as np
import torch.nn as nn

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)


def uniform(name, n):
    """`n` numbers in [-1, 1): splitmix64 from the FNV-1a hash of the name."""
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = (state ^ byte) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(state) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 2**23 - 1


def values(name, shape):
    """The f32 values of the tensor of that name and shape in the Rust net."""
    u = uniform(name, int(np.prod(shape)))
    kind = name.rsplit(".", 1)[-1]
    if kind in ("gamma", "running_var"):
        v = 1 + 0.4 * u
    elif kind == "gates":
        v = 0.6 + 0.3 * u
    elif len(shape) == 1:
        v = 0.2 * u
    elif len(shape) == 3:
        v = 0.5 * u
    else:
        fan_in = shape[0] if len(shape) == 2 else int(np.prod(shape[1:]))
        v = (3 / fan_in) ** 0.5 * u
    return v.astype(np.float32).reshape(shape)


def rust_names(net):
    """Pairs of (name in the Rust net, tensor). The Rust net's norms have gamma and beta."""
    for path, module in net.named_modules():
        tensors = list(module.named_parameters(recurse=False)) + [
            (k, b) for k, b in module.named_buffers(recurse=False) if k != "num_batches_tracked"]
        for key, tensor in tensors:
            if isinstance(module, NORMS):
                key = dict(weight="gamma", bias="beta").get(key, key)
            yield f"{path}.{key}" if path else key, tensor
