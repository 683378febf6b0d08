"""Compares what a soak found with what was promised, and draws its course."""

import collections
import sqlite3
import statistics

import matplotlib
import pydicom

matplotlib.use("Agg")
from matplotlib import pyplot

from . import checks
from .archive import RESULTS

# A third of the calm stretch may differ from another by so much, by chance.
MEMORY_SHARE, FILES = 1.10, 3


def judge(soak, promises):
    """Notes every promise and returns the figures."""
    figures = describe(soak)
    jobs_done_once(soak, promises)
    results_whole(soak, promises)
    same_as_undisturbed(soak, promises, figures)
    uploads_kept(soak, promises)
    studies_once(soak, promises)
    delivered_once(soak, promises, figures)
    nothing_left(soak, promises, figures)
    no_growth(soak, promises, figures)
    return figures


def describe(soak):
    kills, people = soak.killer.done, soak.clients
    during = lambda name: sum(1 for k in kills if k[name])
    lived = [k["lived"] for k in kills] or [0]
    return {
        "scans through HTTP, clients": f"{len(soak.scans)}, {len(people)}",
        "studies through C-STORE, objects": f"{len(soak.studies)}, {sum(len(s['files']) for s in soak.studies)}",
        "seconds from the first start to the last result": round(soak.seconds),
        "kills by SIGKILL": len(kills),
        "  within half a second of a start": sum(k["is_early"] for k in kills),
        "  while uploads were under way": during("uploads"),
        "  while a study was being sent": during("studies"),
        "  while scans were being analysed": during("running"),
        "seconds that a process lived, median and most": f"{statistics.median(lived):.1f}, {max(lived):.1f}",
        "HTTP answers lost": sum(c.lost for c in people),
        "  after which an upload went on from the server's offset": sum(c.resumed for c in people),
        "C-STORE answers lost, associations": f"{sum(s.lost for s in soak.scanners)}, {sum(s.associations for s in soak.scanners)}",
        "keys sent again at the end": soak.repeated,
    }


def jobs_done_once(soak, promises):
    by_id = collections.Counter(j["id"] for j in soak.jobs)
    asked = {id_ for s in soak.scans for id_ in s["ids"]}
    network = [j for j in soak.jobs if j["source"] == "network"]
    own = {j["id"] for j in soak.jobs if j["source"] == "upload"}
    expect = promises.expect_none
    expect("a key that was sent again got the same job", [s["key"] for s in soak.scans if len(set(s["ids"])) != 1])
    expect("two keys never got the same job", [i for i, n in collections.Counter(s["ids"][0] for s in soak.scans if s["ids"]).items() if n > 1])
    expect("acknowledged jobs that are lost", sorted(asked - own))
    expect("jobs that nobody asked for", sorted(own - asked))
    expect("jobs that are listed twice", [i for i, n in by_id.items() if n > 1])
    expect("jobs that are not done", [f"{j['id']}: {j['state']} {j['error']}" for j in soak.jobs if j["state"] != "done"])
    found = len(network)
    promises.expect("one job for each study", found, found == len(soak.studies) + grown(soak))
    expect("jobs that changed when keys were sent again", {j["id"] for j in soak.jobs_after} ^ {j["id"] for j in soak.jobs})
    problems = [p for c in soak.clients for p in c.problems]
    expect("wrong answers to clients", problems)


def grown(soak):
    """Further jobs of studies whose scanner was silent for the quiet time. They are not a fault."""
    records = checks.jobs_of(soak.out)
    return sum(len(records[s["uid"]]) - 1 for s in soak.studies if s["longest_gap"] > 0.7 * soak.quiet_seconds)


def results_whole(soak, promises):
    half, unlisted, folders = [], [], []
    data = soak.out / "data" / "jobs"
    for job in soak.jobs:
        place = data / job["id"]
        if checks.folder_names(place) != ["results", "scan"]:
            folders.append(f"{place.name}: {checks.folder_names(place)}")
            continue
        # A zip of a series has DICOM results as well.
        wrong = checks.half_results(place / "results", job["format"] == "dicom")
        half += [f"{place.name}/{name}" for name in wrong]
        there = {str(f.relative_to(place / "results")) for f in (place / "results").rglob("*") if f.is_file()}
        if set(soak.listed_files[job["id"]]) != there - {"summary.json"}:
            unlisted.append(f"{place.name}: {sorted(set(soak.listed_files[job['id']]) ^ there)}")
    promises.expect_none("folders of jobs with anything but scan and results", folders)
    promises.expect_none("results that are missing, half, or not expected", half)
    promises.expect_none("jobs whose list of files is not that of the disk", unlisted)
    strange = set(checks.folder_names(data)) ^ {j["id"] for j in soak.jobs}
    promises.expect_none("folders without a job, jobs without a folder", strange)


def starts_by_key(soak):
    """How often the analysis of each job began."""
    database = sqlite3.connect(f"file:{soak.out / 'data' / 'server.db'}?mode=ro", uri=True)
    return dict(database.execute("SELECT key, starts FROM jobs").fetchall())


def same_as_undisturbed(soak, promises, figures):
    starts = starts_by_key(soak)
    figures["analyses that a kill interrupted, most starts of one"] = f"{sum(n > 1 for n in starts.values())}, {max(starts.values())}"
    every = soak.given.every
    pick = lambda items, key: [i for n, i in enumerate(items) if n % every == 0 or starts[key(i)] > 1]
    picked = pick(soak.scans, lambda s: f"client {s['key']}"), pick(soak.studies, lambda s: f"study {s['uid']}#1")
    print(f"analysing {len(picked[0])} scans and {len(picked[1])} studies without a disturbance", flush=True)
    options, out = soak.out / "predict.toml", soak.out / "reference"
    out.mkdir()
    checks.reference(soak.program, options, [s["path"] for s in picked[0]], out / "scans", False)
    checks.reference(soak.program, options, [s["folder"] for s in picked[1]], out / "studies", True)
    different = {}
    for scan in picked[0]:
        results = soak.out / "data" / "jobs" / scan["ids"][0] / "results"
        found = checks.differences(results, out / "scans" / scan["path"].name.split(".")[0])
        different |= {scan["key"]: found} if found else {}
    same = len(picked[0]) - len(different)
    found = f"{same} of {len(picked[0])}"
    promises.expect("scans whose maps and finding are those of `predict`", found, not different, different.items())
    different, total = [], 0
    for study in picked[1]:
        there = soak.archive.of_study(study["uid"])
        for file in sorted((out / "studies" / study["folder"].name / "dicom").glob("*.dcm")):
            identity = pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID
            total += 1
            got = soak.out / "archive" / f"{identity}.dcm"
            if identity not in there or checks.content(got) != checks.content(file):
                different.append(f"study {study['number']}: {file.name}")
    found = f"{total - len(different)} of {total}"
    right = not different and total == len(RESULTS) * len(picked[1])
    promises.expect("objects in the archive that are those of `predict --dicom`", found, right, different)


def uploads_kept(soak, promises):
    database = sqlite3.connect(f"file:{soak.out / 'data' / 'server.db'}?mode=ro", uri=True)
    rows = database.execute("SELECT id, name FROM uploads").fetchall()
    scans = {s["path"].name: s for s in soak.scans}
    whole = [name for _, name in rows if not scans[name]["is_in_pieces"]]
    used = [name for id_, name in rows if scans[name].get("upload") == id_]
    promises.expect_none("uploads in one request that are left, although nobody can go on", whole)
    promises.expect_none("uploads in pieces that are left, although they became jobs", used)
    lost, orphans = len(rows) - len(whole) - len(used), sum(c.orphans for c in soak.clients)
    promises.expect("begun uploads whose number was lost with the answer", f"{lost} of {orphans}", lost <= orphans)
    strange = {id_ for id_, _ in rows} ^ set(checks.folder_names(soak.out / "data" / "uploads"))
    promises.expect_none("files of uploads that the database does not know, or lacks", strange)


def studies_once(soak, promises):
    records = checks.jobs_of(soak.out)
    known = {s["uid"] for s in soak.studies}
    more = [s["number"] for s in soak.studies if len(records[s["uid"]]) != 1 and s["longest_gap"] <= 0.7 * soak.quiet_seconds]
    promises.expect_none("studies with another number of jobs than one", more)
    promises.expect_none("studies that nobody sent", set(records) - known)
    states = [f"{r['study_uid']}: {r['state']}" for rs in records.values() for r in rs if r["state"] != "analysed"]
    promises.expect_none("studies that are not analysed", states)
    promises.expect_none("wrong answers to scanners", [p for s in soak.scanners for p in s.problems])
    lost = []
    for study in soak.studies:
        there = {f.name for f in (soak.out / "store" / "studies" / study["uid"]).rglob("*.dcm") if "jobs" not in f.parts}
        if len(there) != len(study["files"]):
            lost.append(f"study {study['number']}: {len(there)} of {len(study['files'])}")
    promises.expect_none("studies with lost or doubled slices", lost)


def delivered_once(soak, promises, figures):
    received = soak.archive.received
    wrong, strange = [], set(received)
    for study in soak.studies:
        objects = soak.archive.of_study(study["uid"])
        strange -= set(objects)
        kinds = sorted(r["class"] for r in objects.values())
        jobs = 1 if study["longest_gap"] <= 0.7 * soak.quiet_seconds else len(checks.jobs_of(soak.out)[study["uid"]])
        if kinds != sorted([str(k) for k in RESULTS] * jobs):
            wrong.append(f"study {study['number']}: {len(kinds)} objects")
    again = {u: r for u, r in received.items() if len(r["times"]) > 1}
    changed = [u for u, r in again.items() if len(set(r["times"])) > 1]
    repeats = sum(len(r["times"]) - 1 for r in again.values())
    promises.expect("objects in the archive", len(received), len(received) >= len(soak.studies) * len(RESULTS))
    promises.expect_none("studies without exactly one object of each of the four kinds", wrong)
    promises.expect_none("objects of a study that nobody sent", strange)
    promises.expect_none("objects that came again under their UID with other content", changed)
    # Such a second sending needs a kill between the archive's answer and our record of it.
    promises.expect("second sendings of an object, at most one for each kill", repeats, repeats <= len(soak.killer.done))
    records = [r for rs in checks.jobs_of(soak.out).values() for r in rs]
    pending = [r["study_uid"] for r in records for o in r["results"] if o["deliveries"]["archive"]["state"] != "delivered"]
    promises.expect_none("objects that the listener does not count as delivered", pending)
    events, cut = checks.audit(soak.out)
    twice = [k for k, n in collections.Counter((e["study"], e["job"]) for e in events["job_analysed"]).items() if n > 1]
    promises.expect_none("analyses that the audit log has twice", twice)
    promises.expect_none("failures in the audit log", [e["reason"] for e in events["failure"]])
    for name in ("object_stored", "object_known", "job_queued", "job_started", "job_analysed", "delivered", "not_delivered"):
        figures[f"audit log: {name}"] = len(events[name])
    figures["audit log: lines that a kill cut off"] = cut


def nothing_left(soak, promises, figures):
    promises.expect_none("attempts, trash and unfinished files", checks.leftovers(soak.out))
    incoming = checks.folder_names(soak.out / "store" / "incoming")
    promises.expect_none("unfinished objects of the listener", incoming)
    log = (soak.out / "server.log").read_text(errors="replace").splitlines()
    promises.expect_none("panics", [line for line in log if "panicked" in line])
    promises.expect_none("ends of the server that nobody asked for", soak.server.ended_alone)
    codes = (soak.stopped_with, soak.stopped_again_with)
    promises.expect("exit codes after SIGTERM", codes, codes == (130, 130))
    kills = len(soak.killer.done)
    promises.expect("kills", kills, kills == soak.given.kills)
    known = ("For research", "Scans, results", "MULTIRNET takes", "viewer:", "Keep the link", "Press Ctrl-C")
    other = collections.Counter(line[:100] for line in log if line and not line.startswith(known))
    figures["other lines of the server's messages"] = sum(other.values())
    for line, count in other.most_common(5):
        figures[f"  {line[:66]}"] = count


def no_growth(soak, promises, figures):
    # Samples of the last process while it works, without its first minute of filling caches.
    calm = [s for s in soak.sampler.samples if s["start"] == soak.calm_start]
    total = len(soak.scans) + len(soak.studies)
    working = [s for s in calm if s["jobs"] < total]
    working = working[len(working) // 10 :]
    third = len(working) // 3
    if third < 3:
        promises.expect("samples of the stretch without kills", len(working), False)
        return
    parts = (working[:third], working[-third:])
    done = working[-1]["jobs"] - working[0]["jobs"]
    figures["jobs in the stretch without kills, seconds"] = f"{done}, {working[-1]['seconds'] - working[0]['seconds']:.0f}"
    for name, unit in (("rss_mib", "memory, MiB"), ("files", "open files")):
        first, last = (statistics.median(s[name] for s in part) for part in parts)
        jobs, values = [s["jobs"] for s in working], [s[name] for s in working]
        # Allocator and database fill their caches within the first hundreds of jobs.
        half = len(jobs) // 2
        slope = 100 * statistics.linear_regression(jobs[half:], values[half:]).slope
        figures[f"{unit}: first and last third (medians)"] = f"{first:.0f}, {last:.0f}"
        figures[f"{unit}: most, slope of the second half for 100 jobs"] = f"{max(values):.0f}, {slope:+.1f}"
        limit = first * MEMORY_SHARE if name == "rss_mib" else first + FILES
        promises.expect(f"{unit}: last third at most {limit:.0f}", f"{last:.0f}", last <= limit)
    (rss, files), (fresh_rss, fresh_files) = soak.idle_at_end, soak.idle_fresh
    figures["memory at rest, MiB: after the stretch, of a fresh process"] = f"{rss:.0f}, {fresh_rss:.0f}"
    promises.expect(f"open files at rest: at most those of a fresh process ({fresh_files})", files, files <= fresh_files)


def relative(soak, rows):
    """Rows with seconds from the first start."""
    return [row | {"seconds": round(row["seconds"] - soak.begin, 2)} for row in rows]


def plot(soak, path):
    samples, kills = relative(soak, soak.sampler.samples), relative(soak, soak.killer.done)
    minutes = [s["seconds"] / 60 for s in samples]
    figure, axes = pyplot.subplots(3, 1, sharex=True, figsize=(9, 6.5), layout="constrained")
    axes[0].plot(minutes, [s["rss_mib"] for s in samples], linewidth=0.7)
    axes[0].set_ylabel("memory (RSS), MiB")
    axes[1].plot(minutes, [s["files"] for s in samples], linewidth=0.7, color="tab:green")
    axes[1].set_ylabel("open files")
    axes[2].plot(minutes, [s["jobs"] for s in samples], label="jobs done", color="tab:purple")
    axes[2].plot(minutes, [s["objects"] for s in samples], label="objects in the archive", color="tab:orange")
    axes[2].set_ylabel("count")
    axes[2].set_xlabel("minutes (grey lines: SIGKILL)")
    axes[2].legend()
    for axis in axes:
        axis.set_ylim(bottom=0)
        for kill in kills:
            axis.axvline(kill["seconds"] / 60, color="0.8", linewidth=0.6, zorder=0)
    figure.savefig(path, dpi=100)
