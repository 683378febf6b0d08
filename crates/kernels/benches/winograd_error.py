"""Rounding of Winograd convolutions for several points, in f32 and bf16.

Prints, against f64, the error of one 3x3x3 convolution over 32 channels: root mean square relative
to the outputs', and largest relative to the largest output. Needs NumPy.

    python crates/kernels/benches/winograd_error.py
"""

import numpy as np

CHANNELS, TILES = 32, 200


def matrices(m, a, b):
    """B^T, G and A^T of F(m, 3); m = 4 has the points 0, +-a, +-b and infinity."""
    if m == 2:
        bt = [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]
        g = [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]
        at = [[1, 1, 1, 0], [0, 1, -1, -1]]
        return tuple(np.array(x, float) for x in (bt, g, at))
    p, q = a * a, b * b
    bt = [
        [p * q, 0, -(p + q), 0, 1, 0],
        [0, -a * q, -q, a, 1, 0],
        [0, a * q, -q, -a, 1, 0],
        [0, -b * p, -p, b, 1, 0],
        [0, b * p, -p, -b, 1, 0],
        [0, p * q, 0, -(p + q), 0, 1],
    ]
    points = [0, a, -a, b, -b]
    norms = [p * q] + [2 * p * (p - q)] * 2 + [2 * q * (q - p)] * 2
    g = [[1 / n, x / n, x * x / n] for x, n in zip(points, norms)] + [[0, 0, 1]]
    at = [
        [1, 1, 1, 1, 1, 0],
        [0, a, -a, b, -b, 0],
        [0, p, p, q, q, 0],
        [0, a**3, -(a**3), b**3, -(b**3), 1],
    ]
    return np.array(bt), np.array(g), np.array(at)


def bf16(x):
    bits = x.astype(np.float32).view(np.uint32)
    return (((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16) << 16).view(np.float32)


def along(matrix, x, axis):
    return np.moveaxis(np.tensordot(matrix, x, axes=([1], [axis])), 0, axis)


def correlate(x, w, sizes):
    y = np.zeros((x.shape[0], w.shape[0], *sizes))
    for i, j, k in np.ndindex(3, 3, 3):
        part = x[:, :, i : i + sizes[0], j : j + sizes[1], k : k + sizes[2]]
        y += np.einsum("tcxyz,oc->toxyz", part, w[:, :, i, j, k])
    return y


def main():
    rng = np.random.default_rng(0)
    root = 2**0.5
    for name, sizes, points in [
        ("F(2,2,2)", (2, 2, 2), (1, 2)),
        ("F(2,4,4), points 1 and 2", (2, 4, 4), (1, 2)),
        ("F(2,4,4), points 1/sqrt 2 and sqrt 2", (2, 4, 4), (1 / root, root)),
    ]:
        x = np.abs(rng.normal(size=(TILES, CHANNELS, *(m + 2 for m in sizes))))
        x = np.where(rng.random(x.shape) < 0.5, x, -0.25 * x)  # as after a PReLU
        w = rng.normal(size=(CHANNELS, CHANNELS, 3, 3, 3)) / np.sqrt(27 * CHANNELS)
        exact = correlate(x, w, sizes)
        for precision in ("f32", "bf16"):
            v, u = x.astype(np.float32), w
            for axis, m in enumerate(sizes):
                bt, g, _ = matrices(m, *points)
                v = along(bt.astype(np.float32), v, axis + 2).astype(np.float32)
                u = along(g, u, axis + 2)
            u = u.astype(np.float32)
            if precision == "bf16":
                v, u = bf16(v), bf16(u)
            y = np.einsum("tcxyz,ocxyz->toxyz", v, u).astype(np.float32)
            for axis, m in enumerate(sizes):
                at = matrices(m, *points)[2].astype(np.float32)
                y = along(at, y, axis + 2).astype(np.float32)
            error = y - exact
            rms, top = error.std() / exact.std(), np.abs(error).max() / np.abs(exact).max()
            print(f"{name}, {precision}: rms {rms:.1e}, largest {top:.1e}")
        direct = correlate(bf16(x).astype(float), bf16(w).astype(float), sizes)
        print(f"direct, bf16: rms {(direct - exact).std() / exact.std():.1e}")


if __name__ == "__main__":
    main()
