#!/usr/bin/env python3
"""Simulates the analysis of many scans on a cluster: stragglers, lost tasks, and a shared file system.

    python3 benches/cluster_sim.py [--scans 1000000] [--cores 1024] [--rate RATE] [--seed 1]

RATE is the number of scans that a core analyses in an hour, as `benches/cluster_rate.py` measures it. What
is simulated, with the numbers that `--help` shows:

- A scan's time is log-normal: most take as long as the median, some several times longer.
- Some cores are slow all the time (shared or throttled nodes), and everything takes longer there.
- A task is lost at random (preemption, a node that goes down). The scan in work is lost with it. The task
  starts again after a delay, loads the model and goes on; results that are written are kept.
- The scans are dealt in parts, as `--shard` and arrays do, or one at a time from a queue, as `multirnet.ray`
  does. Parts wait in a queue if there are more parts than slots.
- The file system delivers and takes a number of bytes and makes a number of files in a second; the run
  cannot be faster.

Prints tables in Markdown: by way of dealing, by rate of losses, and the size of the whole.
"""

import argparse
import heapq
import math
import random


def speeds(options, rng):
    """Returns the speed of each slot of the cluster."""
    slots = options.cores // options.threads
    return [options.slow_factor if rng.random() < options.slow_share else 1.0 for _ in range(slots)]


def scan_seconds(options, rng):
    """Returns the time of each scan on a core of full speed, by the mean that was measured."""
    mean = 3600 / options.rate / options.threads
    mu = math.log(mean) - options.sigma**2 / 2
    return [rng.lognormvariate(mu, options.sigma) for _ in range(options.scans)]


class Slot:
    """One slot of the cluster: a task with its time, its losses, and what they cost."""

    def __init__(self, speed, options, rng):
        self.speed, self.options, self.rng = speed, options, rng
        self.now = 0.0
        self.busy = 0.0
        self.lost = 0
        self.wasted = 0.0
        self.next_loss = self._after(0.0)

    def _after(self, now):
        if self.options.loss_hours == 0:
            return math.inf
        return now + self.rng.expovariate(1 / (3600 * self.options.loss_hours))

    def start(self):
        """The task starts: it waits in the queue and loads the model."""
        self.now += self.options.start_seconds

    def run(self, seconds):
        """One scan to its end, however often the task is lost."""
        takes = seconds / self.speed
        while self.now + takes > self.next_loss:
            # What the scan has taken so far is lost.
            if self.next_loss > self.now:
                self.wasted += self.next_loss - self.now
                self.now = self.next_loss
            self.lost += 1
            self.now += self.options.restart_seconds
            self.next_loss = self._after(self.now)
        self.now += takes
        self.busy += takes


def by_parts(times, parts, options, rng):
    """The scans in parts, dealt in turn. Returns the slots at the end."""
    slots = [Slot(speed, options, rng) for speed in speeds(options, rng)]
    heap = [(0.0, i) for i in range(len(slots))]
    for part in range(min(parts, len(times))):
        _, i = heapq.heappop(heap)
        slots[i].start()
        for seconds in times[part::parts]:
            slots[i].run(seconds)
        heapq.heappush(heap, (slots[i].now, i))
    return slots


def by_queue(times, options, rng):
    """The scans one at a time, as actors take them. Returns the slots at the end."""
    slots = [Slot(speed, options, rng) for speed in speeds(options, rng)]
    for slot in slots:
        slot.start()
    heap = [(slot.now, i) for i, slot in enumerate(slots)]
    heapq.heapify(heap)
    for seconds in times:
        _, i = heapq.heappop(heap)
        slots[i].run(seconds)
        heapq.heappush(heap, (slots[i].now, i))
    return slots


def row(name, slots, times, options):
    """A row of a table."""
    end = max(slot.now for slot in slots)
    needed = sum(times) * options.threads / 3600
    held = options.cores * end / 3600
    lost = sum(slot.lost for slot in slots)
    wasted = sum(slot.wasted for slot in slots) * options.threads / 3600
    # A slot that has nothing more to do waits for the last one.
    ends = sorted(slot.now for slot in slots)
    half = ends[len(ends) // 2]
    return (
        f"| {name} | {end / 3600:.2f} h | {half / 3600:.2f} h | {100 * needed / held:.0f} % "
        f"| {lost} | {wasted:.0f} |"
    )


HEAD = (
    "| {} | end | half of the slots are free | useful share of core hours | losses | core hours lost |\n"
    "|---|---|---|---|---|---|"
)


def bottleneck(options):
    """Prints what the file system demands."""
    read = options.scans * options.scan_mb / 1e6
    written = options.scans * options.result_mb / 1e6
    files = options.scans * options.result_files
    cores_by_bytes = options.fs_mb_s / (options.scan_mb + options.result_mb) * 3600 / options.rate
    cores_by_files = options.fs_files_s / options.result_files * 3600 / options.rate
    hours = options.scans / options.rate
    print(f"| scans | {options.scans:,} |\n|---|---|")
    print(f"| core hours at {options.rate:g} scans/h for each core | {hours:,.0f} |")
    print(f"| cost at {options.price:g} for a core hour | {hours * options.price:,.0f} |")
    print(f"| read | {read:.1f} TB |\n| written | {written:.1f} TB in {files / 1e6:.0f} million files |")
    seconds = (read + written) * 1e6 / options.fs_mb_s
    print(f"| time that {options.fs_mb_s:,.0f} MB/s take for these bytes | {seconds / 3600:.1f} h |")
    print(f"| cores at which {options.fs_mb_s:,.0f} MB/s are used up | {cores_by_bytes:,.0f} |")
    print(f"| cores at which {options.fs_files_s:,.0f} files/s are used up | {cores_by_files:,.0f} |\n")


def main():
    """Simulates and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    number = lambda name, default, text, kind=float: parser.add_argument(  # noqa: E731
        name, type=kind, default=default, help=f"{text} (default {default})"
    )
    number("--scans", 1_000_000, "number of scans", int)
    number("--cores", 1024, "cores of the cluster", int)
    number("--threads", 1, "cores of a task", int)
    number("--rate", 600.0, "scans that a core analyses in an hour")
    number("--sigma", 0.5, "spread of the logarithm of a scan's time")
    number("--slow-share", 0.05, "share of slow slots")
    number("--slow-factor", 0.5, "speed of a slow slot")
    number("--loss-hours", 24.0, "mean hours until a task is lost; 0 means never")
    number("--restart-seconds", 120.0, "time until a lost task goes on")
    number("--start-seconds", 10.0, "start of a task, with the model")
    number("--scan-mb", 60.0, "MB of a scan")
    number("--result-mb", 1.5, "MB of its results")
    number("--result-files", 8.0, "files of its results")
    number("--fs-mb-s", 5000.0, "MB/s of the file system")
    number("--fs-files-s", 2000.0, "files that it makes in a second")
    number("--price", 0.04, "price of a core hour")
    number("--seed", 1, "seed", int)
    options = parser.parse_args()
    times = scan_seconds(options, random.Random(options.seed))
    slots = options.cores // options.threads

    def rng():
        return random.Random(options.seed + 1)

    print(f"## {options.scans:,} scans on {options.cores} cores, {options.rate:g} scans/h for each core\n")
    bottleneck(options)
    print(HEAD.format("dealing"))
    for factor in (1, 2, 4, 16):
        done = by_parts(times, factor * slots, options, rng())
        print(row(f"{factor * slots} parts ({factor} for each slot)", done, times, options))
    print(row("one at a time (Ray)", by_queue(times, options, rng()), times, options))
    print("\n" + HEAD.format("mean hours until a task is lost"))
    for hours in (0.0, 24.0, 4.0, 1.0):
        options.loss_hours = hours
        name = f"{hours:g}" if hours else "never"
        print(row(f"{name}, {4 * slots} parts", by_parts(times, 4 * slots, options, rng()), times, options))
        print(row(f"{name}, one at a time", by_queue(times, options, rng()), times, options))


if __name__ == "__main__":
    main()
