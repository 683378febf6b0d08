#!/usr/bin/env python3
"""Measures scans per second of multirnet.ray with one actor and with two, one thread each.

    python benches/ray_rate.py [--scans 24] [--matrix 256] [--rounds 3]

Needs the Python package with Ray and pyarrow (`BENCH=1 .ci/ray` installs them and calls this). The scans are
phantoms. One and two actors take turns; each round analyses all scans anew with the packaged model. The time
runs from the first scan that an actor begins to the last that ends, since the start of Ray does not grow with
the number of scans. The rate of a round is that of its scans. Prints every round, the medians, and their
ratio; the exit code is 1 if two actors are less than 1.8 times as fast as one.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time

BAR = 1.8


def measure(scans, out, actors):
    """Returns scans per second."""
    import multirnet.ray

    started, ended = [], []

    def progress(event):
        if event["event"] == "actor_started":
            started.append(time.perf_counter())
        if event["event"] == "scan":
            ended.append(time.perf_counter())

    made = multirnet.ray.predict(scans, None, out, num_actors=actors, progress=progress)
    shutil.rmtree(out)
    if made.done != len(scans) or made.actors_lost:
        sys.exit(f"not every scan was analysed: {made}")
    # The others begin when the last actor has started; before that, fewer actors work.
    last = max(started)
    after = [t for t in ended if t > last]
    return len(after) / (after[-1] - last)


def main():
    """Measures, prints, and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=24)
    parser.add_argument("--matrix", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    import multirnet
    import ray

    work = pathlib.Path(tempfile.mkdtemp())
    try:
        multirnet.phantom.cohort(work / "phantoms", per_class=2, seed=5, matrix=arguments.matrix)
        phantoms = sorted((work / "phantoms").glob("*-ct.nii.gz"))
        scans = []
        for i in range(arguments.scans):
            scans.append(str(work / f"s{i}.nii.gz"))
            os.link(phantoms[i % len(phantoms)], scans[-1])
        ray.init(num_cpus=2, _node_ip_address="127.0.0.1", include_dashboard=False, log_to_driver=False)
        rates = {1: [], 2: []}
        for number in range(arguments.rounds):
            for actors in (1, 2) if number % 2 == 0 else (2, 1):
                rate = measure(scans, work / "out", actors)
                rates[actors].append(rate)
                print(f"round {number + 1}, {actors} actors: {rate:.3f} scans/s", flush=True)
        ray.shutdown()
    finally:
        shutil.rmtree(work, ignore_errors=True)
    one, two = (statistics.median(rates[n]) for n in (1, 2))
    print(f"medians: {one:.3f} and {two:.3f} scans/s; two actors are {two / one:.2f} times as fast (bar {BAR})")
    return int(two / one < BAR)


if __name__ == "__main__":
    sys.exit(main())
