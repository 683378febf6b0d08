#!/usr/bin/env python3
"""Measures the Python package beside the command line, and how soon Ctrl-C ends an analysis.

    benches/python.py PROGRAM SCAN [--rounds 15] [--interrupts 20]

PROGRAM is the command line, SCAN a file or DICOM folder that it analyses. Run it with a Python that has
the package installed. In each round the command line and Python analyse the scan one after the other, in
alternating order, each in a process of its own, and write the same files. Both give the seconds from the
beginning of reading to the end of writing, which leave out the start of the process and the loading of
the model. The bar is a ratio of the medians of 1.03. The interrupts come at random times of analyses in
this process; the bar is 0.2 s for the longest.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import multirnet

CHILD = """
import sys, time, multirnet
model = multirnet.load_model()
begin = time.perf_counter()
model.analyse(sys.argv[1]).write(sys.argv[2], name="scan")
print(time.perf_counter() - begin)
"""


def command_line(program, scan, out):
    words = [program, "--quiet", "--json", "predict", scan, "-o", out]
    answer = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return json.loads(answer)[0]["seconds"]


def python(_, scan, out):
    words = [sys.executable, "-c", CHILD, scan, out]
    return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def compare(program, scan, rounds):
    ways = {"command line": command_line, "python": python}
    inner, whole = ({name: [] for name in ways} for _ in range(2))
    for number in range(rounds + 1):
        names = list(ways)[:: 1 if number % 2 else -1]
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                begin = time.perf_counter()
                seconds = ways[name](program, scan, os.path.join(folder, "out"))
                # The first round fills the caches of the disk.
                if number:
                    inner[name].append(seconds)
                    whole[name].append(time.perf_counter() - begin)
    for what, times in (("reading to writing", inner), ("whole process", whole)):
        medians = {name: statistics.median(values) for name, values in times.items()}
        pairs = [p / c for c, p in zip(times["command line"], times["python"])]
        line = ", ".join(f"{name} {median:.3f} s" for name, median in medians.items())
        ratio = medians["python"] / medians["command line"]
        print(
            f"{what}: {line}; ratio of medians {ratio:.3f}, "
            f"median of ratios {statistics.median(pairs):.3f}",
            flush=True,
        )


def interrupt(scan, times):
    model = multirnet.load_model()
    scan = multirnet.read(scan)
    begin = time.perf_counter()
    model.analyse(scan)
    usual = time.perf_counter() - begin
    draw = random.Random(1)
    delays = []
    while len(delays) < times:
        pressed = []

        def press():
            pressed.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

        timer = threading.Timer(draw.uniform(0.02, 0.9) * usual, press)
        timer.start()
        try:
            model.analyse(scan)
            timer.cancel()
        except KeyboardInterrupt:
            delays.append(time.perf_counter() - pressed[0])
        timer.join()
    print(
        f"{times} interrupts: median {1000 * statistics.median(delays):.0f} ms, "
        f"longest {1000 * max(delays):.0f} ms (an analysis takes {usual:.2f} s)"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("scan")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--interrupts", type=int, default=20)
    arguments = parser.parse_args()
    if arguments.rounds:
        compare(arguments.program, arguments.scan, arguments.rounds)
    if arguments.interrupts:
        interrupt(arguments.scan, arguments.interrupts)


if __name__ == "__main__":
    main()
