"""The archive that takes the results, and the scanners that send studies: pynetdicom on both sides."""

import hashlib
import random
import threading
import time

import pydicom
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    Comprehensive3DSRStorage,
    EncapsulatedPDFStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    Verification,
)

RESULTS = (
    SegmentationStorage,
    Comprehensive3DSRStorage,
    SecondaryCaptureImageStorage,
    EncapsulatedPDFStorage,
)


class Archive:
    """Stores every object that comes, and notes each time that it comes."""

    def __init__(self, folder, port):
        self.folder = folder
        folder.mkdir()
        self.lock = threading.Lock()
        self.received = {}  # SOP Instance UID -> study, class and one digest for each time
        self.random = random.Random(port)
        entity = AE(ae_title="ARCHIVE")
        entity.maximum_associations = 16
        for kind in (*RESULTS, Verification):
            entity.add_supported_context(kind)
        self.server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, self.store)])

    def store(self, event):
        raw = event.request.DataSet.getvalue()
        object_ = event.dataset
        identity = str(event.request.AffectedSOPInstanceUID)
        (self.folder / f"{identity}.dcm").write_bytes(event.encoded_dataset())
        with self.lock:
            new = {"study": str(object_.StudyInstanceUID), "class": str(object_.SOPClassUID), "times": []}
            new["is_named_alike"] = str(object_.SOPInstanceUID) == identity
            self.received.setdefault(identity, new)["times"].append(hashlib.sha256(raw).hexdigest())
        # Between the archive's record and the sender's lies a moment, in which a kill makes a second sending.
        time.sleep(self.random.uniform(0, 0.03))
        return 0x0000

    def count(self):
        with self.lock:
            return len(self.received)

    def of_study(self, study):
        with self.lock:
            return {u: r for u, r in self.received.items() if r["study"] == study}

    def stop(self):
        self.server.shutdown()


class Scanner(threading.Thread):
    """Sends studies slice by slice. A slice without an answer is sent again."""

    def __init__(self, name, soak, studies):
        super().__init__(name=name, daemon=True)
        self.soak, self.studies = soak, studies
        self.lost = self.associations = 0
        self.problems = []
        self.random = random.Random(name)
        self.entity = AE(ae_title="SCANNER")
        self.entity.add_requested_context(CTImageStorage)
        self.entity.acse_timeout = self.entity.dimse_timeout = self.entity.network_timeout = 20
        self.entity.connection_timeout = 10

    def run(self):
        for study in self.studies:
            self.soak.wait_for_turn(study)
            try:
                self.send(study)
            except Exception as e:  # A study that is not sent must not end the others.
                self.problems.append(f"study {study['number']}: {type(e).__name__}: {e}")

    def send(self, study):
        left = list(study["files"])
        study["is_sending"] = True
        study["longest_gap"], last = 0.0, time.monotonic()
        while left and not self.soak.is_over():
            link = self.entity.associate("127.0.0.1", self.soak.server.dicom, ae_title="MULTIRNET")
            if not link.is_established:
                time.sleep(0.1)
                continue
            self.associations += 1
            while left and link.is_established:
                try:
                    answer = link.send_c_store(pydicom.dcmread(left[0]))
                except (RuntimeError, ValueError, OSError, AttributeError):
                    answer = None  # The association broke.
                if not answer or "Status" not in answer:
                    self.lost += 1
                    break
                if answer.Status == 0x0000:
                    left.pop(0)
                else:
                    self.problems.append(f"{study['number']}: status {answer.Status:04x}")
                now = time.monotonic()
                study["longest_gap"], last = max(study["longest_gap"], now - last), now
                time.sleep(self.random.uniform(0, 0.12))
            if link.is_established:
                link.release()
            else:
                link.abort()
        study["is_sending"] = False
        study["acknowledged"] = time.monotonic()
