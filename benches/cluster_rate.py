#!/usr/bin/env python3
"""Measures how many scans per hour one core analyses with `multirnet predict --manifest`.

    python3 benches/cluster_rate.py target/release/multirnet [--scans 12] [--matrix 512] [--threads 1]
        [--processes 1] [--rounds 3] [-- arguments of predict]

The scans are phantoms of 512 x 512 pixels by default, as clinical scans have. Each round analyses them anew:
one process, or several that share the manifest by parts. Prints every round, the median rate for each core by
the clock and by processor time, the largest memory of a process, and the bytes of a scan and of its results.
These are the inputs of `benches/cluster_sim.py`. The rate by processor time leaves out what other programs
take meanwhile, and waiting for files.
"""

import argparse
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time


def folder_bytes(folder):
    """Returns the bytes of all files below a folder, and their number."""
    files = [p for p in folder.rglob("*") if p.is_file()]
    return sum(p.stat().st_size for p in files), len(files)


def processor_seconds():
    """Returns the processor time of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=os.path.abspath)
    parser.add_argument("--scans", type=int, default=12)
    parser.add_argument("--matrix", type=int, default=512)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("rest", nargs="*", help="arguments of predict, after --")
    arguments = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp())
    try:
        per_class = -(-arguments.scans // 3)
        subprocess.run(
            [arguments.program, "--quiet", "phantom", "cohort", "--per-class", str(per_class), "--seed", "11",
             "--matrix", str(arguments.matrix), "-o", str(work / "phantoms")],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        scans = sorted((work / "phantoms").glob("*-ct.nii.gz"))[: arguments.scans]
        (work / "scans.csv").write_text("scan\n" + "".join(f"{s}\n" for s in scans))
        size = sum(s.stat().st_size for s in scans) / len(scans)
        rates, by_processor = [], []
        for number in range(arguments.rounds):
            out = work / "out"
            begin, used = time.perf_counter(), processor_seconds()
            started = [
                subprocess.Popen(
                    [arguments.program, "--quiet", "--threads", str(arguments.threads), "predict",
                     "--manifest", str(work / "scans.csv"), "--shard", f"{i + 1}/{arguments.processes}",
                     "-o", str(out), *arguments.rest],
                    stdout=subprocess.DEVNULL,
                )
                for i in range(arguments.processes)
            ]  # fmt: skip
            if any(p.wait() for p in started):
                sys.exit("a process failed")
            seconds = time.perf_counter() - begin
            cores = arguments.processes * arguments.threads
            rates.append(3600 * len(scans) / seconds / cores)
            used = processor_seconds() - used
            by_processor.append(3600 * len(scans) / used)
            print(
                f"round {number + 1}: {seconds:.1f} s, {rates[-1]:.0f} scans/h for each core; {used:.1f} s of "
                f"processor time, {by_processor[-1]:.0f} scans in an hour of it",
                flush=True,
            )
            results, files = folder_bytes(out / "scans")
            shutil.rmtree(out)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(
            f"{len(scans)} phantoms of {arguments.matrix}^2, {arguments.processes} processes of "
            f"{arguments.threads} threads: median {statistics.median(rates):.0f} scans/h for each core by the clock, "
            f"{statistics.median(by_processor):.0f} by processor time; peak {peak:.0f} MiB; a scan has {size / 1e6:.1f} MB, its results {results / len(scans) / 1e6:.1f} MB in "
            f"{files / len(scans):.0f} files"
        )
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
