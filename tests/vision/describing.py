"""What the judges of vision share: OpenCV or a visible skip, where the real pictures are, and what the program finds."""
import os
import pathlib
import subprocess
import sys

try:
    import cv2
    import numpy as np
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
FRUITS = pathlib.Path(os.environ.get("POMONA_FRUITS", ROOT.parent / "shared" / "fruits-360"))
KEYPOINT = np.dtype([(name, "f4") for name in ("x", "y", "size", "angle", "response")] + [("octave", "i4")])


def described(program, kind, width, pictures, keypoints_max=0, backend=()):
    """One (keypoints, descriptors [n, width]) for each grey picture, by the program vision_describe; by a device of the
    backend, if one is given, and a visible skip without one."""
    text = b"".join(b"P5\n%d %d\n255\n" % (p.shape[1], p.shape[0]) + p.tobytes() for p in pictures)
    answer = subprocess.run([program, kind, str(keypoints_max), *backend], input=text, stdout=subprocess.PIPE)
    if backend and answer.returncode == 77:
        sys.exit(77)
    answer.check_returncode()
    data = answer.stdout
    at, found = 0, []
    for _ in pictures:
        count = int(np.frombuffer(data, "i4", 1, at)[0])
        keypoints = np.frombuffer(data, KEYPOINT, count, at + 4)
        at += 4 + keypoints.nbytes
        found.append((keypoints, np.frombuffer(data, "u1", count * width, at).reshape(count, width)))
        at += count * width
    assert at == len(data)
    return found
