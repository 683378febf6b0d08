#!/usr/bin/env python3
"""Soaks `multirnet serve --pacs` in scans and studies while SIGKILL ends it at random moments.

    python3 -m venv soak-venv && soak-venv/bin/pip install -r benches/requirements-soak.txt
    soak-venv/bin/python benches/soak.py target/release/multirnet -o OUT

One process is the server and the DICOM listener. Clients upload small scans in five formats, in one
request and in pieces, and send again what was not answered, under the same key. Scanners send studies
slice by slice, and send again what was not acknowledged. An archive takes the results. Scanners and
archive are pynetdicom. A killer ends the server at random moments, a fifth of them within half a second
of a start, and starts it again by the same command. The last third of the work is done without kills,
in one process, whose memory and open files are judged.

At the end the program compares what was acknowledged with what is there, the results with those of an
undisturbed `predict`, and the archive with the listener's records. It prints a table, and writes
`soak.json` and `soak.png` to OUT. Exit code 1 means that a promise is broken. Everything runs on
loopback. The scans are phantoms. The whole run takes about an hour on two cores.
"""

import argparse
import collections
import json
import pathlib
import shutil
import sys
import threading
import time

from soaking import archive, clients, judge, scans, server, table

QUIET_SECONDS = 8
CALM_SHARE = 0.3
# Unfinished jobs and studies above which clients and scanners wait. Kills then meet uploads as well.
MOST_JOBS, MOST_STUDIES = 24, 6
GIVE_UP_SECONDS = 3 * 3600
PATIENCE_SECONDS = 600


class Soak:
    def __init__(self, given):
        self.given = given
        self.out = given.out.resolve()
        self.out.mkdir(parents=True)
        self.program = str(pathlib.Path(given.program).resolve())
        self.begin = time.monotonic()
        self.is_calm = threading.Event()
        self.is_given_up = False
        self.quiet_seconds = QUIET_SECONDS
        self.counts = collections.Counter()
        self.make_work()
        self.server = server.Server(self.program, self.out, QUIET_SECONDS)
        self.archive = archive.Archive(self.out / "archive", self.server.archive)
        deal = lambda items, hands: [items[n::hands] for n in range(hands)]
        self.clients = [clients.Client(f"client {n}", self, part) for n, part in enumerate(deal(self.scans, given.clients))]
        self.scanners = [archive.Scanner(f"scanner {n}", self, part) for n, part in enumerate(deal(self.studies, 2))]

    def make_work(self):
        given, bases = self.given, scans.make_bases(self.program, self.out / "phantoms")
        print(f"making {given.scans} scans and {given.studies} studies", flush=True)
        (self.out / "scans").mkdir()
        (self.out / "studies").mkdir()
        self.scans, self.studies = [], []
        calm = lambda number, count: number >= round(count * (1 - CALM_SHARE))
        for number in range(given.scans):
            ending = scans.FORMATS[number % len(scans.FORMATS)]
            path = self.out / "scans" / f"scan-{number:04}.{ending}"
            scans.write(bases[number % len(bases)].varied(1000 * given.seed + number), path)
            self.scans.append(
                {
                    "key": f"soak-{number}",
                    "path": path,
                    "patient": f"P{number}",
                    "is_calm": calm(number, given.scans),
                    # Formats, ways and speeds meet each other in all combinations.
                    "is_in_pieces": number // 5 % 3 == 0,
                    "is_slow": number // 15 % 2 == 0,
                    "ids": [],
                    "lost": 0,
                }
            )
        for number in range(given.studies):
            folder = self.out / "studies" / f"study-{number:04}"
            scan = bases[number % len(bases)].varied(10**6 + 1000 * given.seed + number)
            files, study = scans.write_study(scan, f"soak-{given.seed}-{number}", folder)
            self.studies.append(
                {"number": number, "uid": study, "files": files, "folder": folder, "is_calm": calm(number, given.studies), "is_sending": False}
            )

    # What clients and scanners ask.

    def is_over(self):
        return self.is_given_up

    def wait_for_turn(self, item):
        """Waits until the phase of the item has begun and the server has little enough to do."""
        while not self.is_over():
            if not item["is_calm"] or self.is_calm.is_set():
                open_jobs = self.counts["queued"] + self.counts["running"]
                open_studies = self.begun_studies() - self.archive.count() // len(archive.RESULTS)
                if open_studies < MOST_STUDIES if "uid" in item else open_jobs < MOST_JOBS:
                    return
            time.sleep(0.1)

    def begun_studies(self):
        return sum(1 for s in self.studies if s["is_sending"] or "acknowledged" in s)

    # What the killer and the sampler ask.

    def ended_items(self):
        return self.counts["done"]

    def progress(self):
        return self.counts["done"], self.archive.count()

    def activity(self):
        return {
            "uploads": sum(c.is_sending for c in self.clients),
            "studies": sum(s["is_sending"] for s in self.studies),
            "running": self.counts["running"],
            "queued": self.counts["queued"],
        }

    def ask(self, path):
        client = clients.Client("watcher", self, [])
        while not self.is_over():
            answer = client.ask("GET", path)
            if answer is not None and answer[0] == 200:
                return answer[1]
            time.sleep(0.2)
        raise clients.Broken("given up")

    def watch(self):
        """Keeps the numbers of jobs by state, and gives up if nothing moves for long."""
        moved, before = time.monotonic(), None
        while not self.is_over() and not self.is_ended:
            self.counts = collections.Counter(self.ask("/api/v1/jobs?limit=1")["counts"])
            now = (dict(self.counts), self.archive.count(), len(self.server.starts))
            if now != before:
                moved, before = time.monotonic(), now
            stuck = time.monotonic() - moved > PATIENCE_SECONDS
            if stuck or time.monotonic() - self.begin > GIVE_UP_SECONDS:
                self.is_given_up = True
            time.sleep(0.25)

    def say(self):
        while not self.is_ended and not self.is_over():
            jobs, objects = self.progress()
            print(
                f"{time.monotonic() - self.begin:6.0f} s  {jobs} jobs done, {objects} objects in the archive, "
                f"{len(self.killer.done)} kills",
                flush=True,
            )
            time.sleep(30)

    def run(self):
        given = self.given
        calm = sum(i["is_calm"] for i in (*self.scans, *self.studies))
        self.killer = server.Killer(
            self.server, given.kills, given.scans + given.studies - calm, self.ended_items, self.activity, given.seed
        )
        self.is_ended = False
        self.begin = time.monotonic()
        self.server.start()
        self.sampler = server.Sampler(self.server, self.progress)
        helpers = [threading.Thread(target=f, daemon=True) for f in (self.watch, self.say)]
        for thread in (self.sampler, *helpers, *self.clients, *self.scanners):
            thread.start()
        self.killer.run(self.is_over)
        self.calm_start = len(self.server.starts)
        print("no kills from here on", flush=True)
        self.is_calm.set()
        for thread in (*self.clients, *self.scanners):
            thread.join()
        # A scan that no client could send is a problem that the table names. It must not be waited for.
        wanted = sum(bool(s["ids"]) for s in self.scans) + given.studies
        while not self.is_over():
            jobs, objects = self.progress()
            if jobs >= wanted and objects >= given.studies * len(archive.RESULTS):
                break
            time.sleep(0.5)
        self.seconds = time.monotonic() - self.begin
        # A doubled job or object would come within this time.
        time.sleep(0 if self.is_over() else 2 * QUIET_SECONDS)
        self.idle_at_end = server.take(self.server.process.pid)
        if not self.is_over():
            self.list_and_repeat()
        self.is_ended = self.sampler.is_ended = True
        self.stopped_with = self.server.end()
        self.server.start()
        # A process that does not answer yet has not opened everything.
        self.ask("/api/v1/jobs?limit=1")
        time.sleep(5)
        self.idle_fresh = server.take(self.server.process.pid)
        self.stopped_again_with = self.server.end()
        self.archive.stop()

    def list_and_repeat(self):
        """Lists all jobs, sends keys again, and lists the jobs once more."""
        self.jobs = self.list_jobs()
        self.listed_files = {
            j["id"]: sorted(f["name"] for f in self.ask(f"/api/v1/jobs/{j['id']}/files")["files"]) for j in self.jobs
        }
        again = [s for n, s in enumerate(self.scans) if (s["lost"] or n % 10 == 0) and not s["is_in_pieces"]]
        for scan in again:
            scan["is_slow"] = False
            self.clients[0].in_one_request(scan)
        self.repeated = len(again)
        self.jobs_after = self.list_jobs()

    def list_jobs(self):
        jobs = []
        while True:
            page = self.ask(f"/api/v1/jobs?sort=created&order=asc&limit=500&offset={len(jobs)}")
            jobs += page["jobs"]
            if not page["jobs"] or len(jobs) >= page["total"]:
                return jobs


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("program")
    arguments.add_argument("-o", "--out", type=pathlib.Path, required=True, help="a new folder")
    arguments.add_argument("--scans", type=int, default=1000)
    arguments.add_argument("--clients", type=int, default=8)
    arguments.add_argument("--studies", type=int, default=300)
    arguments.add_argument("--kills", type=int, default=100)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--every", type=int, default=1, help="compare every n-th item with `predict`, and all interrupted ones")
    arguments.add_argument("--keep", action="store_true", help="keep the server's data, scans and results")
    soak = Soak(arguments.parse_args())
    soak.run()
    promises = table.Promises()
    if soak.is_given_up:
        problems = [p for t in (*soak.clients, *soak.scanners) for p in t.problems]
        promises.expect("all work is done in time", dict(soak.counts), False, problems)
        promises.show({})
        sys.exit(1)
    figures = judge.judge(soak, promises)
    promises.show(figures)
    judge.plot(soak, soak.out / "soak.png")
    record = {
        "figures": figures,
        "promises": promises.rows,
        "kills": judge.relative(soak, soak.killer.done),
        "samples": judge.relative(soak, soak.sampler.samples),
    }
    (soak.out / "soak.json").write_text(json.dumps(record, indent=1))
    if not soak.given.keep and promises.code() == 0:
        for name in ("scans", "studies", "phantoms", "reference", "data", "store", "archive"):
            shutil.rmtree(soak.out / name, ignore_errors=True)
    sys.exit(promises.code())


if __name__ == "__main__":
    main()
