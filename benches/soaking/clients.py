"""Clients that upload scans through HTTP and send again what was not answered."""

import http.client
import json
import random
import threading
import time

PIECE = 64 * 1024


class Broken(Exception):
    """The server broke a promise."""


class Client(threading.Thread):
    """Uploads scans one after another. Knows which answers came and which were lost."""

    def __init__(self, name, soak, scans):
        super().__init__(name=name, daemon=True)
        self.soak, self.scans = soak, scans
        self.random = random.Random(name)
        self.is_sending = False
        self.lost = self.refused = self.resumed = self.orphans = 0
        self.problems = []

    def run(self):
        for scan in self.scans:
            self.soak.wait_for_turn(scan)
            self.is_sending = True
            try:
                send = self.in_pieces if scan["is_in_pieces"] else self.in_one_request
                send(scan)
            except Broken as e:
                self.problems.append(f"{scan['key']}: {e}")
            except Exception as e:  # One scan must not end the others.
                self.problems.append(f"{scan['key']}: {type(e).__name__}: {e}")
            self.is_sending = False

    def in_one_request(self, scan):
        name, body = scan["path"].name, scan["path"].read_bytes()
        path = f"/api/v1/jobs/upload?name={name}&patient={scan['patient']}"
        self.until_acknowledged(scan, path, body, scan["is_slow"])

    def until_acknowledged(self, scan, path, body, is_slow=False):
        while not self.soak.is_over():
            answer = self.ask("POST", path, body, {"Idempotency-Key": scan["key"]}, is_slow)
            if answer is not None:
                status, job = answer
                if status not in (200, 201):
                    raise Broken(f"POST {path}: {status} {job}")
                scan["ids"].append(job["id"])
                return
            scan["lost"] += 1

    def in_pieces(self, scan):
        name, body = scan["path"].name, scan["path"].read_bytes()
        upload = None
        while upload is None and not self.soak.is_over():
            wish = json.dumps({"name": name, "size": len(body)}).encode()
            answer = self.ask("POST", "/api/v1/uploads", wish)
            if answer is None:
                # The server may have begun an upload whose number nobody knows.
                self.orphans += 1
                continue
            if answer[0] != 201:
                raise Broken(f"POST /api/v1/uploads: {answer}")
            upload = scan["upload"] = answer[1]["id"]
        path, offset = f"/api/v1/uploads/{upload}", 0
        while offset < len(body) and not self.soak.is_over():
            piece = body[offset : offset + PIECE]
            answer = self.ask("PATCH", path, piece, {"Upload-Offset": str(offset)})
            # The pause stands for a slow network.
            time.sleep(self.random.uniform(0, 1) if scan["is_slow"] else 0)
            if answer is None:
                self.resumed += 1
                answer = self.ask("GET", path)
                if answer is None:
                    continue
            status, state = answer
            if status not in (200, 409):
                raise Broken(f"{path}: {status} {state}")
            if state["offset"] < offset:
                raise Broken(f"{path}: the server had {offset} bytes and now has {state['offset']}")
            offset = state["offset"]
        self.until_acknowledged(scan, "/api/v1/jobs", json.dumps({"upload": upload, "patient": scan["patient"]}).encode())

    def ask(self, method, path, body=None, headers=None, is_slow=False):
        """Status and answer, or `None` if the request reached the server and its answer was lost."""
        while not self.soak.is_over():
            token = self.soak.server.token()
            if not token:
                # The first start takes connections a moment before it has made the token.
                time.sleep(0.05)
                continue
            connection = http.client.HTTPConnection("127.0.0.1", self.soak.server.http, timeout=60)
            try:
                connection.connect()
            except OSError:
                time.sleep(self.random.uniform(0.02, 0.2))
                continue
            try:
                sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **(headers or {})}
                if body is not None:
                    sent["Content-Length"] = str(len(body))
                connection.request(method, path, slowly(body, self.random) if is_slow else body, sent)
                answer = connection.getresponse()
                text = answer.read()
                value = json.loads(text) if text else None
            except (OSError, http.client.HTTPException, ValueError):
                self.lost += 1
                return None
            finally:
                connection.close()
            if answer.status == 503:
                self.refused += 1
                time.sleep(0.5)
                continue
            return answer.status, value
        raise Broken("the soak was given up before an answer came")


def slowly(body, chance):
    """The body in 20 parts with pauses, about three seconds in all."""
    size = max(len(body) // 20, 1)
    for begin in range(0, len(body), size):
        yield body[begin : begin + size]
        time.sleep(chance.uniform(0, 0.3))
