#!/usr/bin/env python3
"""PyTorch's training step, as a peer of `train-step` (see serving.py).

    train_step.py VARIANT --weights FILE --input FILE --shape B,D,H,W [--iterations N]

VARIANT: f32 or autocast (bf16), joined by + with nhwc (channels_last_3d), compile. The input file
holds images, then lesion masks; classes are the sample's number modulo 3. One run is one step of
Adam on the same batch; the answer carries its loss.
"""
import argparse
import math
import os

import numpy as np

from serving import serve


def make(o):
    import torch

    import net as nets

    torch.set_num_threads(o.threads)
    words = set(o.variant.split("+"))
    b, d, h, w = map(int, o.shape.split(","))
    x, lesion = torch.from_numpy(np.fromfile(o.input, "<f4").reshape(2, b, 1, d, h, w))
    classes = torch.arange(b) % 3
    model = nets.load(o.weights, o.iterations).train()
    # A third for each of forward pass, input gradients and weight gradients.
    work = 3 * nets.gflop(nets.load(o.weights, o.iterations), (1, 1, d, h, w)) * b
    if "nhwc" in words:
        model = model.to(memory_format=torch.channels_last_3d)
        x = x.contiguous(memory_format=torch.channels_last_3d)
    adam = torch.optim.Adam(model.parameters(), 3e-4, fused=True)
    forward = torch.compile(model) if "compile" in words else model

    def run():
        adam.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled="autocast" in words):
            passes = forward(x)
        passes = [(p.float(), logits.float()) for p, logits in passes]
        loss = nets.twin.losses(passes, lesion, classes)[0]
        loss.backward()
        adam.step()
        value = loss.item()
        return dict(loss=value if math.isfinite(value) else None)

    return dict(version=torch.__version__, gflop=work), run, lambda: []


def main():
    p = argparse.ArgumentParser()
    p.add_argument("variant", nargs="?", default="f32")
    p.add_argument("--weights", required=True)
    p.add_argument("--input", required=True)
    p.add_argument("--shape", required=True)
    p.add_argument("--iterations", type=int)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    o = p.parse_args()
    serve(lambda: make(o))


if __name__ == "__main__":
    main()
