"""The server as a process that is killed, and what it takes of the machine."""

import pathlib
import random
import signal
import socket
import subprocess
import threading
import time

SERVER = """\
data = "data"
listen = "127.0.0.1:{http}"
[limits]
free_disk_mib = 64
[analysis]
workers = 2
options = "predict.toml"
# A kill counts as an attempt. With 100 kills, bad luck must not use them up.
attempts = 100
"""

PACS = """\
[listener]
ae_title = "MULTIRNET"
address = "127.0.0.1:{dicom}"
[[listener.allow]]
ae_title = "SCANNER"
addresses = ["127.0.0.1"]
[store]
folder = "store"
quiet_seconds = {quiet}
[analysis]
attempts = 100
retry_seconds = 1
[delivery]
to = ["archive"]
retry_seconds = 1
longest_retry_seconds = 2
[audit]
file = "audit.jsonl"
[[node]]
name = "archive"
protocol = "dimse"
ae_title = "ARCHIVE"
address = "127.0.0.1:{archive}"
"""

OPTIONS = 'pipeline = "global"\n'


def free_ports(count):
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in taken]
    for s in taken:
        s.close()
    return ports


class Server:
    """`multirnet serve --pacs` on loopback, always started by the same command."""

    def __init__(self, program, folder, quiet_seconds):
        self.folder = pathlib.Path(folder)
        self.http, self.dicom, self.archive = free_ports(3)
        (self.folder / "predict.toml").write_text(OPTIONS)
        (self.folder / "server.toml").write_text(SERVER.format(http=self.http))
        pacs = PACS.format(dicom=self.dicom, archive=self.archive, quiet=quiet_seconds)
        (self.folder / "pacs.toml").write_text(pacs)
        config = ["--config", self.folder / "server.toml", "--pacs", self.folder / "pacs.toml"]
        self.command = [program, "serve", *config]
        self.log = open(self.folder / "server.log", "ab")
        self.process = None
        self.starts = []
        self.ended_alone = []

    def start(self):
        # The folder of the process is not used: all paths are those of the configurations.
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.starts.append(time.monotonic())

    def kill(self):
        """Sends SIGKILL and waits. Gives whether the process was still there and died of it."""
        self.process.kill()
        code = self.process.wait()
        if code != -signal.SIGKILL:
            self.ended_alone.append(code)
        return code == -signal.SIGKILL

    def end(self):
        """Asks the process to end and gives its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def token(self):
        try:
            return (self.folder / "data" / "token").read_text().strip()
        except FileNotFoundError:
            return ""


class Sampler(threading.Thread):
    """Notes memory and open files of the server twice a second."""

    def __init__(self, server, progress):
        super().__init__(daemon=True)
        self.server, self.progress, self.samples, self.is_ended = server, progress, [], False

    def run(self):
        while not self.is_ended:
            process = self.server.process
            sample = process and process.poll() is None and take(process.pid)
            if sample:
                jobs, objects = self.progress()
                self.samples.append(
                    {
                        "seconds": time.monotonic(),
                        "start": len(self.server.starts),
                        "rss_mib": sample[0],
                        "files": sample[1],
                        "jobs": jobs,
                        "objects": objects,
                    }
                )
            time.sleep(0.5)


def take(process):
    """MiB of memory and number of open files of a process, or `None` if it is gone."""
    place = pathlib.Path("/proc") / str(process)
    try:
        lines = (place / "status").read_text().splitlines()
        files = sum(1 for _ in (place / "fd").iterdir())
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    rss = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
    return (int(rss[0]) / 1024, files) if rss else None


class Killer:
    """Kills and starts the server at random moments that are spread over the work of a phase."""

    # Shares of the kills that come within half a second of a start.
    EARLY, EARLY_SECONDS = 0.2, 0.5

    def __init__(self, server, kills, total, progress, activity, seed):
        self.server, self.kills, self.total = server, kills, total
        self.progress, self.activity = progress, activity
        self.random = random.Random(seed)
        self.done = []

    def run(self, is_over):
        """Kills until all kills are done. `is_over` tells whether the soak must be given up."""
        begin = time.monotonic()
        while len(self.done) < self.kills and not is_over():
            is_early = self.random.random() < self.EARLY
            wait = self.random.uniform(0, self.EARLY_SECONDS) if is_early else self.gap(begin)
            time.sleep(wait)
            doing = self.activity()
            if self.server.kill():
                doing |= {"seconds": time.monotonic(), "is_early": is_early}
                doing["lived"] = doing["seconds"] - self.server.starts[-1]
                self.done.append(doing)
            self.server.start()

    def gap(self, begin):
        """An exponential waiting time. The mean follows from the work that is left."""
        ended = self.progress()
        # The first minute says little about the rate.
        rate = (ended + 20) / (time.monotonic() - begin + 30)
        left = max(0.9 * self.total - ended, 0) / rate
        mean = left / (self.kills - len(self.done)) / (1 - self.EARLY)
        return min(self.random.expovariate(1 / max(mean, 1.5)), 90)
