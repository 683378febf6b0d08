"""Meanings of the codes that results use, from pydicom's dictionary of DICOM's context groups.

    pip install pydicom
    python make_codes.py  # reads crates/dicom/src/write/codes.rs, writes codes.csv beside this file

Columns: scheme, value, meaning, source. The source is the first context groups (CID) that list the code,
`dictionary` for a code of the dictionary without a group, or, for a code that the dictionary does not
have, where its meaning was looked up. These last ones begin with `not in DICOM:`.
"""

import csv
import re
from pathlib import Path

from pydicom.sr._concepts_dict import concepts

HERE = Path(__file__).parent

# Codes that the dictionary does not have.
OTHERS = {
    ("SCT", "95436008"): ("Lung consolidation", "SNOMED CT International, disorder; parent of 233604007"),
    ("SCT", "233604007"): ("Pneumonia", "SNOMED CT International, disorder"),
    ("SCT", "385093006"): ("Community acquired pneumonia", "SNOMED CT International, disorder"),
    ("SCT", "840539006"): ("COVID-19", "SNOMED CT International, disorder, since January 2020"),
    ("UMLS", "C0034375"): ("Qualitative Evaluations", "PS3.16 TID 1500, row 12"),
    ("RFC5646", "en-US"): ("English (United States)", "RFC 5646 and PS3.16 TID 1204"),
}


def main() -> None:
    table = (HERE / "../../src/write/codes.rs").read_text()
    rows = []
    for scheme, value, ours in re.findall(r'= "(\w+)" "([^"]+)" "([^"]+)";', table):
        listed = [codes[value] for codes in concepts.get(scheme, {}).values() if value in codes]
        meanings = {meaning: groups for meaning, groups in listed}
        if (scheme, value) in OTHERS:
            assert not listed, f"{value} is in the dictionary"
            meaning, source = OTHERS[scheme, value]
            rows.append((scheme, value, meaning, f"not in DICOM: {source}"))
            continue
        # Some codes have several meanings: take ours if it is one, so that a wrong one fails the test.
        meaning = ours if ours in meanings else next(iter(meanings))
        groups = " ".join(f"CID {n}" for n in meanings[meaning][:4]) or "dictionary"
        rows.append((scheme, value, meaning, groups))
    with open(HERE / "codes.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("scheme", "value", "meaning", "source"))
        writer.writerows(rows)


if __name__ == "__main__":
    main()
