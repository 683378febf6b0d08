#!/usr/bin/env python3
"""Compares Kubernetes manifests with the types of the Kubernetes API.

    python .ci/kubernetes_manifests.py cluster/*.yaml

The types are those of the official Python client. An unknown field, a value of another type and a missing
required field are errors, as for an API server with strict validation. Then the rules that this project's
jobs follow are checked: `completions` and JOB_COMPLETIONS agree, exit codes of the failure policy are those
of the program, and every volume is mounted.
"""

import sys

import pydantic
import yaml
from kubernetes.client import models

CODES = {2, 3, 4, 5}


def type_errors(job):
    """Yields what the API's types refuse in `job`."""
    if (job.get("apiVersion"), job.get("kind")) != ("batch/v1", "Job"):
        yield "it is not a Job of batch/v1"
        return
    try:
        models.V1Job.model_validate(job, strict=True)
    except pydantic.ValidationError as error:
        for found in error.errors():
            place = ".".join(map(str, found["loc"]))
            yield f"{place}: {found['msg']}"


def rules(job):
    """Yields which rules of this project's jobs are broken."""
    spec = job["spec"]
    container = spec["template"]["spec"]["containers"][0]
    environment = {e["name"]: e.get("value") for e in container.get("env", [])}
    if spec.get("completionMode") == "Indexed" and environment.get("JOB_COMPLETIONS") != str(spec["completions"]):
        yield "JOB_COMPLETIONS is not spec.completions"
    for rule in spec.get("podFailurePolicy", {}).get("rules", []):
        codes = rule.get("onExitCodes")
        if codes and (not set(codes["values"]) <= CODES or codes["containerName"] != container["name"]):
            yield f"a rule of the failure policy is not about the program: {rule}"
    mounted = {m["name"] for m in container["volumeMounts"]}
    if mounted != {v["name"] for v in spec["template"]["spec"]["volumes"]}:
        yield "volumes and their mounts differ"


def main():
    """Checks the files of the command line. Returns the exit code."""
    count = 0
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            for job in yaml.safe_load_all(file):
                found = list(type_errors(job)) or list(rules(job))
                for problem in found:
                    print(f"{path}: {problem}")
                count += len(found)
    print(f"{len(sys.argv) - 1} manifests, {count} problems")
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
