"""Hooks of schemathesis: what an OpenAPI description cannot say.

JOB is the name of a finished job, SLICE the path of a DICOM file, ROOT the folder that paths may name.
"""

import itertools
import os
import random

import schemathesis

COUNT = itertools.count()
JOB = os.environ["JOB"]
ROOT = os.environ["ROOT"]
with open(os.environ["SLICE"], "rb") as file:
    SLICE = file.read()

FILES = [
    "finding.json", "lesions.json", "lungs.nii.gz", "lesions.nii.gz", "probability.nii.gz",
    "overview.png", "report.html", "report.pdf", "thumbnail.png", "preview/ct.nii.gz",
]  # fmt: skip


def chance(value, share):
    """True for the share of values; the same value always gives the same."""
    return random.Random(repr(value)).random() < share


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Three quarters of the requests meet the job that is there, and a file that it has."""
    operation = context.operation
    if not path_parameters or operation.method.upper() == "DELETE":
        # The job must live to the end of the run; deletions meet names that nobody has, and uploads.
        return path_parameters
    given = dict(path_parameters)
    if "/jobs/" in operation.path and "id" in given and chance(given["id"], 0.75):
        given["id"] = JOB
    if "/files/" in operation.path and chance(given.get("name"), 0.75):
        given["name"] = random.Random(repr(given["name"])).choice(FILES)
    return given


@schemathesis.hook
def map_body(context, body):
    """Half of the paths lie below the allowed folder."""
    if isinstance(body, dict) and isinstance(body.get("path"), str) and chance(body["path"], 0.5):
        return {**body, "path": f"{ROOT}/ct.nii.gz"}
    return body


@schemathesis.serializer("multipart/related")
def stow(context, value):
    """A body of STOW-RS: whatever was generated, and in half of the cases a real object beside it."""
    data = value if isinstance(value, bytes) else repr(value).encode(errors="surrogatepass")
    parts = [data, SLICE] if chance(data, 0.5) else [data]
    body = b"".join(
        b"--part\r\nContent-Type: application/dicom\r\n\r\n" + part + b"\r\n" for part in parts
    )
    return body + b"--part--\r\n"


@schemathesis.hook
def before_call(context, case, kwargs):
    """Keys that are new, and a type that names the boundary of the body."""
    # A known key gives the job of the first request, whatever else the second one says.
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and 1 <= len(key) <= 180 and all("!" <= c <= "~" for c in key):
        case.headers["Idempotency-Key"] = f"{key}-{next(COUNT)}"
    if case.operation.path.startswith("/api/v1/dicom-web") and case.method.upper() == "POST":
        case.headers = case.headers or {}
        if "related" in str(case.media_type or "related"):
            case.headers["Content-Type"] = 'multipart/related; type="application/dicom"; boundary=part'
