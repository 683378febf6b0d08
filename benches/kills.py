#!/usr/bin/env python3
"""Kills training, comparing, predicting and preparing at random moments, and compares with undisturbed runs.

    python3 -m venv soak-venv && soak-venv/bin/pip install -r benches/requirements-soak.txt
    soak-venv/bin/python benches/kills.py target/release/multirnet -o OUT [--parts train,compare,…]

Each part first runs undisturbed. Then it runs in new folders. SIGKILL ends the process after times of an
exponential distribution, and the same command starts it again, until it ends by itself; only `train`
gets `--resume` as soon as it has a checkpoint. When the kills are used up, the last run ends undisturbed.

    train      weights, threshold, card, and the logs without times are byte-identical
    compare    tables, weights, maps and scores are byte-identical, and the logs without times
    predict    a folder of scans: maps are byte-identical, findings without times; after each kill every
               folder of results is whole
    prepare    two processes fill one cache: its entries are byte-identical; after each kill every entry
               matches its own digest

Prints a table and writes `kills.json` to OUT. Exit code 1 means that a promise is broken. The scans are
phantoms. 100 kills of each part take about half an hour on two cores.
"""

import argparse
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time

import nibabel

from soaking import checks, scans, table

PARTIAL = ".multirnet-partial-"
# A run that takes longer hangs.
LONGEST_SECONDS = 2 * 3600

TRAIN = """\
[model]
channels = [4, 4, 6, 6, 8]
class_channels = [4, 4, 4, 6, 6, 8]
iterations = 0
[prepare]
global_shape = [16, 32, 32]
spacing_mm = [10.0, 8.0, 8.0]
[split]
test_fraction = 0.0
validation_fraction = 0.25
[sampling]
patch_size = [16, 32, 32]
batch = 2
steps_per_epoch = 2
[optimiser]
warmup_steps = 0
[run]
epochs = 60
patience = 1000
# After every step.
checkpoint_minutes = 0.00001
"""

COMPARE = """\
title = "Two systems"
[cohort]
manifest = "cohort.csv"
[split]
test_fraction = 0.4
validation_fraction = 0.0
[train.prepare]
global_shape = [16, 32, 32]
spacing_mm = [10.0, 8.0, 8.0]
[train.sampling]
patch_size = [16, 32, 32]
batch = 2
steps_per_epoch = 1
[train.optimiser]
warmup_steps = 0
[train.run]
epochs = 10
checkpoint_minutes = 0.00001
[predict]
window_shape = [16, 32, 32]
[[system]]
id = "one"
set.model = { system = "multirnet", channels = [4, 4, 6, 6, 8], class_channels = [4, 4, 4, 6, 6, 8], iterations = 0 }
[[system]]
id = "two"
set.model = { system = "multirnet", channels = [4, 4, 6, 6, 8], class_channels = [4, 4, 4, 6, 6, 8], iterations = 1 }
"""


class Part:
    """One command that is killed. `processes` of them work in one folder at a time."""

    name, processes = "", 1
    # Mean life of a process as a share of an undisturbed run.
    share = 0.1
    # Files with times, and files that name the places of a run.
    unlike = ()

    def __init__(self, lab):
        self.lab = lab
        self.figures = {}

    def command(self, place):
        raise NotImplementedError

    def after_kill(self, place):
        """Files that are half written although they have their final name. Logs may lack a line."""
        files = [f for f in place.rglob("*") if f.is_file() and not is_unfinished(f, place)]
        return [str(f.relative_to(place)) for f in files if f.suffix in WHOLE and not is_whole(f)]

    def content(self, place):
        """What must be as in an undisturbed run: digests by name."""
        files = [f for f in place.rglob("*") if f.is_file() and f.name not in self.unlike]
        return {str(f.relative_to(place)): without_times(f) for f in files}


WHOLE = (".safetensors", ".case", ".json", ".gz", ".png", ".html")


def is_unfinished(path, place):
    return any(part.startswith(PARTIAL) for part in path.relative_to(place).parts)


def is_whole(path):
    """Whether a file is complete, by its own digest, its header's sizes, or a reader."""
    if path.suffix not in (".case", ".safetensors"):
        return checks.is_whole(path)
    content = path.read_bytes()
    if path.suffix == ".case":
        return hashlib.sha256(content[:-32]).digest() == content[-32:]
    head = 8 + int.from_bytes(content[:8], "little")
    try:
        tensors = [t for name, t in json.loads(content[8:head]).items() if name != "__metadata__"]
    except ValueError:
        return False
    return len(content) == head + max(t["data_offsets"][1] for t in tensors)


def without_times(path):
    """Digest of a file; the columns with times of a training's logs do not count."""
    if path.name not in ("log.csv", "steps.csv"):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    lines = [line.split(",") for line in path.read_text().splitlines()]
    timed = [n for n, name in enumerate(lines[0]) if name in ("minutes", "wait_seconds", "compute_seconds")]
    assert timed, path
    return [[v for n, v in enumerate(line) if n not in timed] for line in lines]


class Train(Part):
    name = "train"
    share = 0.04
    unlike = ("last.state",)  # It holds the seconds of the training.

    def command(self, place):
        # A run that has no checkpoint yet is not resumed but begun again.
        resume = ["--resume"] if (place / "checkpoints" / "last.state").exists() else []
        return ["train", "cohort.csv", "--config", "train.toml", "-o", place, *resume]


class Compare(Part):
    name = "compare"
    share = 0.15
    unlike = ("last.state", "summary.json")

    def command(self, place):
        return ["compare", "compare.toml", "-o", place]


class Predict(Part):
    name = "predict"
    share = 0.4

    def __init__(self, lab):
        super().__init__(lab)
        self.seen, self.kept, self.again = {}, 0, 0

    def command(self, place):
        return ["predict", *sorted((self.lab / "scans").iterdir()), "--config", "predict.toml", "--jobs", "2", "-o", place]

    def content(self, place):
        wanted = {}
        for folder in place.iterdir():
            wanted |= {f"{folder.name}/{name}": checks.digest(folder / name) for name in checks.MAPS}
            wanted[f"{folder.name}/finding.json"] = checks.finding(folder / "finding.json")
            wanted[f"{folder.name} has"] = checks.folder_names(folder)
        return wanted

    def after_kill(self, place):
        if not place.exists():
            return []
        half = super().after_kill(place)
        folders = [f for f in place.iterdir() if not f.name.startswith(PARTIAL)]
        for folder in folders:
            names = {*checks.MAPS, "finding.json", "overview.png", "report.html"}
            half += [f"{folder.name}/{n}" for n in sorted(names ^ set(checks.folder_names(folder)))]
        now = {f: (f / "finding.json").stat().st_ino for f in folders if (f / "finding.json").exists()}
        self.kept += sum(1 for f, node in self.seen.items() if now.get(f) == node)
        self.again += sum(1 for f, node in self.seen.items() if f in now and now[f] != node)
        half += [f"{f.name} is gone" for f in self.seen if f.parent == place and f not in now]
        self.seen = now
        self.figures["finished scans that the next start did not reach"] = self.kept
        self.figures["finished scans that the next start analysed again"] = self.again
        return half


class Prepare(Part):
    name, processes = "prepare", 2
    share = 0.3

    def command(self, place):
        return ["prepare", "many.csv", "--config", "train.toml", "--cache", place, "--jobs", "1"]


def make_lab(program, lab):
    """Writes scans, masks, manifests and configurations."""
    lab.mkdir(parents=True)
    bases = scans.make_bases(program, lab / "phantoms")
    rows, many = ["scan,mask,class,patient,mask_values"], ["scan,mask,class,patient,mask_values,slope,intercept"]
    (lab / "cohort").mkdir()
    (lab / "scans").mkdir()
    for number in range(12):
        base = bases[number % len(bases)]
        scan, mask = f"cohort/{number}.nii.gz", f"cohort/{number}-mask.nii.gz"
        scans.write(base.varied(number), lab / scan)
        nibabel.save(scans.nifti(base.lesions, base.spacing_mm), lab / mask)
        rows.append(f"{scan},{mask},{base.name},p{number},1;2")
        for copy in range(8):
            # The same file under another name, whose intercept makes another entry of the cache.
            os.link(lab / scan, lab / f"cohort/{number}-{copy}.nii.gz")
            many.append(f"cohort/{number}-{copy}.nii.gz,{mask},{base.name},p{number},1;2,1,{copy / 1000}")
        scans.write(base.varied(100 + number), lab / "scans" / f"s{number}.{scans.FORMATS[number % 5]}")
    (lab / "cohort.csv").write_text("\n".join(rows) + "\n")
    (lab / "many.csv").write_text("\n".join(many) + "\n")
    (lab / "train.toml").write_text(TRAIN)
    (lab / "compare.toml").write_text(COMPARE)
    (lab / "predict.toml").write_text('pipeline = "global"\n')


class Trial:
    """The kills of one part."""

    def __init__(self, part, program, lab, kills, seed):
        self.part, self.program, self.lab, self.kills = part, program, lab, kills
        self.random = random.Random(f"{part.name} {seed}")
        self.killed, self.runs, self.lives = 0, 0, []
        self.half, self.failed, self.different, self.left = [], [], [], []

    def start(self, place):
        log = open(self.lab / f"{self.part.name}.log", "ab")
        command = [self.program, "--threads", "2", "-q", *self.part.command(place)]
        process = subprocess.Popen(command, cwd=self.lab, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
        log.close()
        return process

    def undisturbed(self):
        place = self.new_place("undisturbed")
        begin = time.monotonic()
        code = self.start(place).wait(LONGEST_SECONDS)
        if code != 0:
            sys.exit(f"{self.part.name}: exit code {code} without a kill; see {self.part.name}.log")
        self.seconds = time.monotonic() - begin
        self.reference = self.part.content(place)

    def run(self):
        self.undisturbed()
        while self.killed < self.kills:
            self.runs += 1
            place = self.new_place(self.runs)
            self.until_done(place)
            self.half += [f"run {self.runs}: {h}" for h in self.part.after_kill(place)]
            self.compare(place)
            if not self.different:
                shutil.rmtree(place)

    def new_place(self, run):
        """A folder whose own name is the same in every run, since models and pictures name it."""
        parent = self.lab / self.part.name / str(run)
        parent.mkdir(parents=True)
        return parent / "run"

    def until_done(self, place):
        """Starts, kills and starts again until every process has ended by itself."""
        open_, in_run = list(range(self.part.processes)), 0
        running, ends, begun = {}, {}, {}
        begin = time.monotonic()
        while open_:
            for n in open_:
                if n not in running:
                    running[n] = self.start(place)
                    begun[n] = time.monotonic()
                    # A run that is killed too often goes on undisturbed after a while.
                    mean = (0.15 + self.part.share * self.seconds) * 1.03**in_run
                    life = self.random.expovariate(1 / mean) if self.killed < self.kills else LONGEST_SECONDS
                    ends[n] = begun[n] + life
            for n in list(open_):
                code = running[n].poll()
                if code is None and time.monotonic() >= ends[n] and self.killed < self.kills:
                    running[n].kill()
                    code = running[n].wait()
                    if code == -signal.SIGKILL:
                        self.lives.append(time.monotonic() - begun[n])
                        self.killed += 1
                        in_run += 1
                        self.half += [f"run {self.runs}: {h}" for h in self.part.after_kill(place)]
                        del running[n]
                        continue
                if code is not None:
                    open_.remove(n)
                    if code != 0:
                        self.failed.append(f"run {self.runs}: exit code {code}")
            time.sleep(0.002)
        if time.monotonic() - begin > LONGEST_SECONDS:
            self.failed.append(f"run {self.runs}: it did not end in {LONGEST_SECONDS} s")

    def compare(self, place):
        left = [f.name for f in place.rglob("*") if f.name.startswith(PARTIAL)]
        if left:
            # A folder without a lock may belong to another program for a minute. Then the next run takes it.
            time.sleep(61)
            self.start(place).wait(LONGEST_SECONDS)
            left = [f.name for f in place.rglob("*") if f.name.startswith(PARTIAL)]
        self.left += [f"run {self.runs}: {name}" for name in left]
        found = self.part.content(place)
        names = [n for n in sorted({*self.reference, *found}) if self.reference.get(n) != found.get(n)]
        self.different += [f"run {self.runs}: {n}" for n in names]

    def judge(self, promises, figures):
        name = self.part.name
        figures[f"{name}: kills, runs"] = f"{self.killed}, {self.runs}"
        figures[f"{name}: seconds of an undisturbed run"] = f"{self.seconds:.1f}"
        lives = self.lives or [0]
        figures[f"{name}: seconds that a killed process lived, median and most"] = f"{statistics.median(lives):.1f}, {max(lives):.1f}"
        figures[f"{name}: results compared for each run"] = len(self.reference)
        figures |= {f"{name}: {k}": v for k, v in self.part.figures.items()}
        promises.expect(f"{name}: kills", self.killed, self.killed == self.kills)
        promises.expect_none(f"{name}: starts that failed", self.failed)
        promises.expect_none(f"{name}: half results after a kill", self.half)
        promises.expect_none(f"{name}: results unlike those of an undisturbed run", self.different)
        promises.expect_none(f"{name}: unfinished files that are left", self.left)
        log = (self.lab / f"{name}.log").read_text(errors="replace")
        promises.expect_none(f"{name}: panics", [line for line in log.splitlines() if "panicked" in line])


PARTS = {part.name: part for part in (Train, Compare, Predict, Prepare)}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("program", type=pathlib.Path)
    arguments.add_argument("-o", "--out", type=pathlib.Path, required=True, help="a new folder")
    arguments.add_argument("--kills", type=int, default=100, help="of each part")
    arguments.add_argument("--parts", default=",".join(PARTS))
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    program, out = given.program.resolve(), given.out.resolve()
    out.mkdir(parents=True)
    make_lab(program, out / "lab")
    promises, figures, lives = table.Promises(), {}, {}
    for name in given.parts.split(","):
        trial = Trial(PARTS[name](out / "lab"), program, out / "lab", given.kills, given.seed)
        trial.run()
        trial.judge(promises, figures)
        lives[name] = [round(s, 3) for s in trial.lives]
        broken = sum(not row["is_kept"] for row in promises.rows)
        print(f"{name}: {trial.killed} kills in {trial.runs} runs; promises broken so far: {broken}", flush=True)
        record = {"figures": figures, "promises": promises.rows, "lives": lives}
        (out / "kills.json").write_text(json.dumps(record, indent=1))
    promises.show(figures)
    sys.exit(promises.code())


if __name__ == "__main__":
    main()
