#!/usr/bin/env python3
"""A bundle of `multirnet export --bundle` in MONAI: bundle.py BUNDLE SCAN [--schema FILE]

MONAI verifies the description against its schema (it downloads the schema unless FILE exists), and
runs configs/inference.json on the scan. Prints the shape of the lesion map and its largest
probability. Ends with 1 if a value is not a probability.
"""
import argparse
import sys
import tempfile
from pathlib import Path

import monai
from monai.bundle import ConfigParser, verify_metadata


def main():
    p = argparse.ArgumentParser()
    p.add_argument("bundle", type=Path)
    p.add_argument("scan")
    p.add_argument("--schema")
    o = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        schema = o.schema or str(Path(folder) / "schema.json")
        verify_metadata(meta_file=str(o.bundle / "configs/metadata.json"), filepath=schema)
    print(f"MONAI {monai.__version__} verifies the description")
    parser = ConfigParser()
    parser.read_config(str(o.bundle / "configs/inference.json"))
    parser["bundle_root"], parser["scan"] = str(o.bundle), o.scan
    for i in range(len(parser.get("imports"))):
        parser.get_parsed_content(f"imports#{i}")
    image = parser.get_parsed_content("image", instantiate=True)
    lesion = parser.get_parsed_content("lesion", instantiate=True)
    low, high = float(lesion.min()), float(lesion.max())
    print(f"scan {tuple(image.shape)}, lesion map {tuple(lesion.shape)}, probabilities {low:.3f} to {high:.3f}")
    sound = 0 <= low <= high <= 1.0001 and lesion.shape[2:] == image.shape[2:]
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
