#!/usr/bin/env python3
"""Holds pomona against ONNX Runtime on real pictures. See README.md.

For every .onnx of the folders: the features that pomona takes by default; and in a second run, unpooled, the
convolution in the middle of the network and the file's output. NAME.json beside NAME.onnx (make_models.py) says how
pictures are prepared; without it "torch".
"""
import argparse
import json
import pathlib
import sys
import tempfile
import time

import judging


def describe(path):
    described = path.with_suffix(".json")
    entry = json.loads(described.read_text()) if described.exists() else {"preprocess": "torch", "size": 224}
    return entry["preprocess"], (entry["size"], entry["size"])


def judge(pomona, path, backends, pictures, ref_pictures):
    """Prints a line for each backend; the number of those that failed."""
    preprocess, size = describe(path)
    session, failed = judging.Session(path, preprocess, pictures, size), 0
    for backend in backends:
        started = time.monotonic()
        try:
            answers, note = judging.compare(pomona, session, backend, ref_pictures if backend == "ref" else None)
            passed, cells = max(answers) < judging.TOLERANCE, " | ".join(f"{answer:.1e}" for answer in answers)
        except judging.Refused as refusal:
            passed, cells, note = False, "- | - | -", str(refusal)
        failed += not passed
        seconds = time.monotonic() - started
        print(f"| {path.stem} | {session.opset} | {backend} | {cells} | {'pass' if passed else 'FAIL'} | {note} | {seconds:.0f} |",
              flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pomona")
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    parser.add_argument("--only", default="*", help="glob of names")
    parser.add_argument("--backends", default="cpu", help="cpu,opencl,ref")
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--ref-pictures", type=int, default=1)
    parser.add_argument("--seeded", action="store_true", help="fill the equal constants of the onnx package's light models")
    arguments = parser.parse_args()
    paths = [path for folder in arguments.folders for path in sorted(folder.glob(f"{arguments.only}.onnx"))]
    pictures = judging.sample(judging.FRUITS / "Test", arguments.pictures)
    if not paths or not pictures:
        sys.exit("no models or no pictures")
    failed, common = 0, (arguments.backends.split(","), pictures, arguments.ref_pictures)
    print("| model | opset | backend | features | inner | output | | default features | s |\n|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for path in paths:
            if arguments.seeded:
                path = judging.seeded(path, pathlib.Path(scratch) / path.name)
            failed += judge(arguments.pomona, path, *common)
            if arguments.seeded:
                path.unlink()
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
