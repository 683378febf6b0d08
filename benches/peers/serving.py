"""A peer as a process: it says what it is, then answers one line of JSON to each line it is sent.

- `run`        does its work once: `{"ms": TIME, ...}`, the time measured here
- `save PATH`  writes the last run's output as little-endian f32
- `stats`      `{"peak_mib": ..., "cpu_s": ...}` of this process so far

The Rust benches start it; it ends when its standard input does.
"""
import json
import resource
import sys
import time
import traceback

import numpy as np


def say(**answer):
    print(json.dumps(answer), file=serving_out, flush=True)


# Libraries print to standard output; only answers may go there.
serving_out, sys.stdout = sys.stdout, sys.stderr


def peak_mib():
    """Peak resident memory. Not `ru_maxrss`: a new process inherits that from whoever starts it."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def stats():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return dict(peak_mib=peak_mib(), cpu_s=usage.ru_utime + usage.ru_stime)


def serve(make):
    """`make()` gives (hello, run, output): a dictionary, what to time (it may return a dictionary
    to answer with), and what gives the last run's output as a list of arrays."""
    try:
        hello, run, output = make()
        say(**hello)
        for line in sys.stdin:
            command, _, argument = line.strip().partition(" ")
            if command == "run":
                start = time.perf_counter()
                more = run()
                ms = 1e3 * (time.perf_counter() - start)
                say(ms=ms, **(more or {}))
            elif command == "save":
                flat = [np.asarray(a, "<f4").ravel() for a in output()]
                np.concatenate(flat).tofile(argument)
                say()
            elif command == "stats":
                say(**stats())
            else:
                say(error=f"unknown command {command}")
    except Exception as e:
        traceback.print_exc()
        say(error=f"{type(e).__name__}: {e}")
        sys.exit(1)
