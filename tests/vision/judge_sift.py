#!/usr/bin/env python3
"""judge_sift.py DESCRIBE [BACKEND] - our SIFT held against OpenCV's, on the same gray values.

A keypoint is found again when the other list has one within half a pixel, 5 degrees and a tenth of its size. Of all
keypoints of a group of pictures 95 % must be, in both directions; the median distance of the descriptors of such pairs
must be under 5 % of their norm, which is 512. With keypoints_max the same share of OpenCV's strongest must be there.

Pictures: real ones ($POMONA_FRUITS or ../shared/fruits-360 beside the project), as they are and enlarged, and made-up
ones of many sizes. With a BACKEND ("opencl") its first device describes them. A visible skip (77) without OpenCV or a
device; without real pictures the made-up ones are judged.
"""
import sys

from describing import FRUITS, KEYPOINT, cv2, described, np

WIDTH = 128
SHARE, DISTANCE = 0.95, 0.05 * 512


def theirs(pictures, keypoints_max=0):
    sift, found = cv2.SIFT_create(nfeatures=keypoints_max), []
    for picture in pictures:
        keypoints, descriptors = sift.detectAndCompute(picture, None)
        rows = [(*k.pt, k.size, k.angle, k.response, (k.octave & 255) - (k.octave & 128) * 2) for k in keypoints]
        none = np.zeros((0, WIDTH), "f4")
        found.append((np.array(rows, KEYPOINT), none if descriptors is None else descriptors))
    return found


def pairs(left, right):
    """For each keypoint of left the nearest one of right that is the same, or -1."""
    found = np.full(len(left), -1)
    if len(right) == 0:
        return found
    for i, k in enumerate(left):
        away = np.hypot(right["x"] - k["x"], right["y"] - k["y"])
        turn = np.abs(right["angle"] - k["angle"])
        turn = np.minimum(turn, 360 - turn)
        same = (away <= 0.5) & (turn <= 5) & (np.abs(right["size"] - k["size"]) <= 0.1 * k["size"])
        same &= right["octave"] == k["octave"]
        if same.any():
            found[i] = np.where(same, away + turn / 10, np.inf).argmin()
    return found


def judge(name, pictures, keypoints_max=0):
    found = described(program, "sift", WIDTH, pictures, keypoints_max, backend)
    expected = theirs(pictures, keypoints_max)
    there, back, counts, distances, exact, moved = 0, 0, [0, 0], [], 0, []
    for (our_points, our_rows), (points, rows) in zip(found, expected):
        pair = pairs(points, our_points)
        there += int((pair >= 0).sum())
        back += int((pairs(our_points, points) >= 0).sum())
        counts[0] += len(points)
        counts[1] += len(our_points)
        hit = pair >= 0
        away = np.linalg.norm(rows[hit].astype("f8") - our_rows[pair[hit]], axis=1)
        distances += away.tolist()
        exact += int((away == 0).sum())
        moved += np.hypot(points["x"][hit] - our_points["x"][pair[hit]],
                          points["y"][hit] - our_points["y"][pair[hit]]).tolist()
    median = float(np.median(distances)) if distances else 0.0
    good = there >= SHARE * counts[0] and back >= SHARE * counts[1] and median < DISTANCE and counts[0] > 0
    print(f"{name:24} {len(pictures):5} pictures {counts[0]:7} of theirs {there / max(counts[0], 1):8.3%} "
          f"{counts[1]:7} of ours {back / max(counts[1], 1):8.3%}  descriptors: median {median:.2f}, "
          f"99 % {np.percentile(distances or [0], 99):.2f}, equal {exact / max(len(distances), 1):.1%}; "
          f"moved 99 %: {np.percentile(moved or [0], 99):.5f} px{'' if good else '   NOT GOOD'}")
    return good


def made_up(generator, width, height, grain):
    """Noise, blurred, and stretched to all values."""
    field = cv2.GaussianBlur(generator.normal(size=(height, width)), (0, 0), grain)
    field += 0.5 * cv2.GaussianBlur(generator.normal(size=(height, width)), (0, 0), grain / 3)
    low, high = field.min(), field.max()
    return ((field - low) / max(high - low, 1e-9) * 255).astype("u1")


def main():
    print(f"OpenCV {cv2.__version__}")
    generator = np.random.default_rng(7)
    good = [judge("noise", [generator.integers(0, 256, (h, w), "u1") for w, h in ((64, 64), (129, 40))])]
    sizes = [(w, h) for w in (31, 64, 100, 177, 320) for h in (31, 77, 128, 240)]
    good.append(judge("made up", [made_up(generator, w, h, 2.0) for w, h in sizes]))
    good.append(judge("made up, large", [made_up(generator, 640, 480, g) for g in (1.5, 4.0)]))
    files = sorted(FRUITS.glob("*/*/*.jpg"))
    if files:
        real = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in files[:: max(1, len(files) // 400)]]
        good.append(judge("real", real))
        good.append(judge("real, 10 keypoints", real, 10))
        enlarged = [cv2.resize(p, (357, 333), interpolation=cv2.INTER_CUBIC) for p in real[::10]]
        good.append(judge("real, enlarged", enlarged))
    else:
        print("no real pictures: only made-up ones were judged")
    return 0 if all(good) else 1


if __name__ == "__main__":
    program, backend = sys.argv[1], sys.argv[2:]
    sys.exit(main())
