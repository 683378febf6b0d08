#!/usr/bin/env python3
"""Measures `multirnet serve`: scans an hour through the HTTP interface, memory, disk, and a long list.

    benches/serve.py MULTIRNET SCAN... [--repeat 8] [--rounds 3]

MULTIRNET is the program, SCAN a file that it analyses (NIfTI, NRRD, MetaImage, DICOM zip). Each round
starts a server on an empty data folder, measures its memory while nothing happens, uploads every scan
`repeat` times from four clients at once, and waits until all results are written. The last round then
fills the database with 10,000 finished jobs and measures how long the work list takes. Prints each
round and medians. Needs Python's standard library only.
"""

import argparse
import concurrent.futures
import http.client
import json
import os
import pathlib
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

JOBS = 10_000


def start(program, data):
    command = [program, "serve", "--data", data, "--listen", "127.0.0.1:0", "--json"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    link = json.loads("".join(iter(server.stdout.readline, "}\n")) + "}")["link"]
    place, token = link.removeprefix("http://").split("/?token=")
    return server, place, token


def ask(place, token, path, method="GET", body=None):
    connection = http.client.HTTPConnection(place, timeout=600)
    headers = {"Authorization": f"Bearer {token}"}
    if body is not None:
        headers["Content-Length"] = str(os.fstat(body.fileno()).st_size)
    connection.request(method, path, body=body, headers=headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 300:
        sys.exit(f"{path}: {answer.status} {text.decode()}")
    return json.loads(text)


def rss_mib(process):
    lines = pathlib.Path(f"/proc/{process}/status").read_text().splitlines()
    value = {line.split(":")[0]: line for line in lines}
    kib = lambda name: int(value[name].split()[1])
    return kib("VmRSS") / 1024, kib("VmHWM") / 1024


def upload(place, token, scan, number):
    with open(scan, "rb") as body:
        name = f"{number:04}-{scan.name}"
        return ask(place, token, f"/api/v1/jobs/upload?name={name}", "POST", body)


def wait(place, token, count):
    while True:
        counts = ask(place, token, "/api/v1/jobs?limit=1")["counts"]
        if counts["failed"]:
            sys.exit("a scan failed")
        if counts["done"] == count:
            return
        time.sleep(0.05)


def fill(data, count):
    """Copies the first finished job until there are `count`."""
    database = sqlite3.connect(pathlib.Path(data) / "server.db")
    columns = [row[1] for row in database.execute("PRAGMA table_info(jobs)")]
    own = ("number", "id", "key", "name")
    kept = ", ".join(c for c in columns if c not in own)
    database.execute(
        f"""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
            INSERT INTO jobs (id, name, {kept})
            SELECT printf('copy%016d', i), 'copy ' || i, {kept} FROM n,
              (SELECT * FROM jobs WHERE state = 'done' LIMIT 1)""",
        (count,),
    )
    database.commit()
    database.close()


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("program")
    arguments.add_argument("scans", nargs="+", type=pathlib.Path)
    arguments.add_argument("--repeat", type=int, default=8)
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    rates, idles, peaks, lists = [], [], [], []
    for number in range(1, given.rounds + 1):
        with tempfile.TemporaryDirectory() as data:
            server, place, token = start(given.program, data)
            try:
                time.sleep(2)
                idle, _ = rss_mib(server.pid)
                scans = given.scans * given.repeat
                begin = time.monotonic()
                with concurrent.futures.ThreadPoolExecutor(4) as clients:
                    sent = clients.map(lambda s: upload(place, token, s[1], s[0]), enumerate(scans))
                    list(sent)
                wait(place, token, len(scans))
                seconds = time.monotonic() - begin
                time.sleep(5)
                after, peak = rss_mib(server.pid)
                files = [f for f in pathlib.Path(data).rglob("*") if f.is_file()]
                size = sum(f.stat().st_size for f in files) / len(scans) / 2**20
                rate = 3600 * len(scans) / seconds
                rates.append(rate), idles.append(idle), peaks.append(peak)
                print(
                    f"round {number}: {len(scans)} scans in {seconds:.1f} s, {rate:.0f} an hour; "
                    f"memory {idle:.0f} MiB idle before, {after:.0f} after, {peak:.0f} at most; "
                    f"{size:.1f} MiB a scan on the disk",
                    flush=True,
                )
                if number == given.rounds:
                    fill(data, JOBS - len(scans))
                    for query in ("", "&sort=share", "&q=copy", "&state=done&offset=9900"):
                        times = []
                        for _ in range(9):
                            begin = time.monotonic()
                            found = ask(place, token, f"/api/v1/jobs?limit=50{query}")
                            times.append(1000 * (time.monotonic() - begin))
                        lists.append((query, found["total"], statistics.median(times)))
            finally:
                server.send_signal(signal.SIGTERM)
                server.wait(30)
    print(f"median: {statistics.median(rates):.0f} scans an hour, {statistics.median(idles):.0f} MiB idle, {statistics.median(peaks):.0f} MiB at most")
    for query, total, ms in lists:
        print(f"list of {total} jobs, limit=50{query}: {ms:.0f} ms (median of 9)")


main()
