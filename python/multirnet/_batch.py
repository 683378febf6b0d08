"""The folder of results of many scans, as ``multirnet predict --manifest`` writes it, and its table."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import FileError, OptionsError

_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".zip", ".dcm")


@dataclass(frozen=True)
class ListedScan:
    """A scan as the list writes it, and the path that is opened."""

    written: str
    path: str

    @property
    def name(self) -> str:
        """The scan's name in the folder of results; the program derives it in the same way."""
        last = self.written.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]
        stem = next((last.removesuffix(e) for e in _ENDINGS if last.endswith(e)), last)
        stem = "".join(c if c.isalnum() or c in "-." else "_" for c in stem[:40]).lstrip(".-")
        return f"{stem or 'scan'}-{hashlib.sha256(self.written.encode()).hexdigest()[:12]}"


class ResultFolder:
    """The folder of results of many scans."""

    def __init__(self, root: str) -> None:
        self.root = Path(root)

    def results(self, name: str) -> Path:
        return self.root / "scans" / name[-12:-10] / name

    def failure(self, name: str) -> Path:
        return self.root / "failures" / name[-12:-10] / f"{name}.json"

    def record(self, name: str) -> dict[str, Any] | None:
        """The record of a scan that has its results."""
        try:
            text = (self.results(name) / "record.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        record: dict[str, Any] = json.loads(text)
        return record

    def open(self, identity: dict[str, str]) -> None:
        """Take the folder for results of the run `identity`."""
        path = self.root / "run.json"
        if not path.exists():
            write_whole(path, identity)
        found = json.loads(path.read_text(encoding="utf-8"))
        for key in ("version", "model_sha256", "options_sha256"):
            value = identity[key]
            if found.get(key) != value:
                raise OptionsError(
                    f"{self.root}: the folder holds another run: its {key} is {found.get(key)}, and {value} "
                    "is given (choose another folder, or go on with the same version, model and options)",
                    "options",
                )

    def remove_leftovers(self, name: str, host: str, pid: int) -> None:
        """Remove what a process that has ended left of the scan `name`."""
        tag = hashlib.sha256(host.encode()).hexdigest()[:8]
        for left in self.results(name).parent.glob(f".multirnet-partial-{tag}-{pid}-*"):
            shutil.rmtree(left, ignore_errors=True)


def write_whole(path: Path, value: object) -> None:
    """Write a value as JSON; the file appears whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f".{path.name}-{socket.gethostname()}-{os.getpid()}"
    partial.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


def figures_of(finding: dict[str, Any]) -> dict[str, Any]:
    """The figures of a finding, as the program's records have them."""
    both = finding["involvement"]["both"]
    kinds = {k["kind"]: k["lesion_ml"] for k in finding.get("lesion_kinds", [])}
    p = finding["probabilities"]
    return {
        "class": finding["diagnosis"],
        "probabilities": [p["normal"], p["cap"], p["covid19"]],
        "lungs_ml": both["lung_ml"],
        "lesion_ml": both["lesion_ml"],
        "involved": both["fraction"],
        "severity_score": finding["involvement"]["severity_score"],
        "ground_glass_ml": kinds.get("ground_glass"),
        "consolidation_ml": kinds.get("consolidation"),
        "warnings": finding["warnings"],
        "content_sha256": finding["source"]["content_sha256"],
        "model": finding["provenance"]["model"],
    }


def listed_scans(scans: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> Iterator[ListedScan]:
    """Yield the scans of a manifest, or of an iterable of paths."""
    if not isinstance(scans, (str, os.PathLike)):
        for path in scans:
            yield ListedScan(os.fspath(path), os.fspath(path))
        return
    manifest = Path(scans)
    try:
        file = manifest.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise FileError(f"{manifest}: cannot read the manifest: {error}", "io") from error
    with file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        if "scan" not in (rows.fieldnames or ()):
            raise FileError(f'{manifest}:1: the column "scan" is missing', "malformed")
        for row in rows:
            written = (row["scan"] or "").strip()
            if written:
                yield ListedScan(written, str(manifest.parent / written))


def given_up(scan: ListedScan, starts: int, facts: dict[str, Any]) -> dict[str, Any]:
    """The record of a scan that was begun too often."""
    reason = f"the actor was lost {starts} times while it analysed this scan"
    failure = {"kind": "ended", "reason": reason, "hint": "give actors more memory, and try again"}
    record = {"scan": scan.written, "name": scan.name, "state": "failed", "failure": failure}
    return {**record, "seconds": 0.0, "host": facts["host"]}


class ParquetTable:
    """Rows that go to Parquet files of a folder, each of which appears whole."""

    def __init__(self, folder: Path, rows_per_file: int, seconds_per_file: float) -> None:
        import pyarrow as pa  # type: ignore[import-untyped, import-not-found, unused-ignore]
        import pyarrow.parquet as parquet  # type: ignore[import-untyped, import-not-found, unused-ignore]

        text, real = pa.string(), pa.float64()
        self._pa, self._parquet = pa, parquet
        self._schema = pa.schema(
            [("scan", text), ("state", text), ("class", text)]
            + [(name, real) for name in ("p_normal", "p_cap", "p_covid19", "lungs_ml", "lesion_ml", "involved")]
            + [("severity_score", pa.int32()), ("ground_glass_ml", real), ("consolidation_ml", real)]
            + [("warnings", pa.list_(text)), ("kind", text), ("reason", text), ("hint", text)]
            + [("name", text), ("results", text), ("seconds", real), ("host", text)]
            + [("model", text), ("content_sha256", text)]
        )
        self.folder, self._limit, self._pause = folder, rows_per_file, seconds_per_file
        self._rows: list[dict[str, Any]] = []
        self._written = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".part-*"):
            left.unlink()
        numbers = [int(p.stem.removeprefix("part-")) for p in self._parts()]
        self._next = max(numbers, default=-1) + 1
        #: Names of the scans that have a row.
        self.names = self._keep_done()

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.parquet"))

    def _keep_done(self) -> set[str]:
        """Remove the rows of scans that are tried again. Returns the names of the others."""
        names: set[str] = set()
        for path in self._parts():
            table = self._parquet.read_table(path)
            rows = table.to_pylist()
            done = [r for r in rows if r["state"] == "done" and r["name"] not in names]
            if len(done) < len(rows):
                self._write(path, done)
            names.update(r["name"] for r in done)
        return names

    def _write(self, path: Path, rows: list[dict[str, Any]]) -> None:
        if not rows:
            path.unlink(missing_ok=True)
            return
        partial = path.with_name(f".{path.name}")
        self._parquet.write_table(self._pa.Table.from_pylist(rows, schema=self._schema), partial)
        partial.replace(path)

    def add(self, record: dict[str, Any], results: str) -> None:
        """Add the row of a record, unless the scan has one."""
        if record["name"] in self.names:
            return
        figures, failure = dict(record.get("figures") or {}), record.get("failure") or {}
        p = figures.pop("probabilities", [None] * 3)
        row = {key: record.get(key) for key in ("scan", "name", "state", "seconds", "host")}
        row.update(figures, p_normal=p[0], p_cap=p[1], p_covid19=p[2], results=results)
        row.update((key, failure.get(key)) for key in ("kind", "reason", "hint"))
        self._rows.append(row)
        self.names.add(record["name"])
        if len(self._rows) >= self._limit or time.monotonic() - self._written > self._pause:
            self.flush()

    def flush(self) -> None:
        """Write the rows that wait."""
        if self._rows:
            self._write(self.folder / f"part-{self._next:06}.parquet", self._rows)
            self._next += 1
            self._rows = []
        self._written = time.monotonic()
