#!/usr/bin/env python3
"""Pipeline D in Python today: words of OpenCV's SIFT or ORB, or Pillow's pixels; scikit-learn for all the rest.

TRAINING and TEST hold a folder for each label. KMeans of all descriptors (ORB's bytes taken as numbers, as people do),
a histogram a picture, StandardScaler, PCA, MLPClassifier (logistic, L-BFGS, 100 iterations). Pictures are described on
--threads threads, OpenCV on one; the rest takes what threads it likes.
"""
import argparse
import concurrent.futures
import json
import os
import threading
import time
import warnings

import cv2
import numpy as np
import PIL
import sklearn
from PIL import Image
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

KEYPOINTS = 500
local = threading.local()


def listing(folder):
    found = (os.path.join(base, name) for base, _, names in os.walk(folder) for name in names)
    paths = sorted(found, key=os.fsencode)
    return paths, [os.path.basename(os.path.dirname(path)) for path in paths]


def describe(path, kind):
    if not hasattr(local, "detector"):
        local.detector = cv2.SIFT_create(KEYPOINTS) if kind == "sift" else cv2.ORB_create(KEYPOINTS)
    with Image.open(path) as image:
        gray = np.asarray(image.convert("L"))
    found = local.detector.detectAndCompute(gray, None)[1]
    return np.zeros((0, 128 if kind == "sift" else 32), np.float32) if found is None else found.astype(np.float32)


def pixels(path, side):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.NEAREST)).ravel()


def histograms(words, described):
    """[pictures, words]"""
    counts = [len(one) for one in described]
    nearest = words.predict(np.concatenate(described))
    pictures = np.repeat(np.arange(len(described)), counts)
    return np.bincount(pictures * words.n_clusters + nearest, minlength=len(described) * words.n_clusters).reshape(
        len(described), -1).astype(np.float64)


class Stopwatch:
    def __init__(self):
        self.seconds, self.last = {}, time.perf_counter()

    def lap(self, stage):
        now = time.perf_counter()
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + now - self.last, 4)
        self.last = now


def main():
    parser = argparse.ArgumentParser(description="Pipeline D in plain Python; one JSON line on stdout.")
    parser.add_argument("training")
    parser.add_argument("test")
    parser.add_argument("--features", choices=["sift", "orb", "pixels"], required=True)
    parser.add_argument("--words", type=int, default=30)
    parser.add_argument("--side", type=int, default=20, help="of pixels")
    parser.add_argument("--pca", type=int, required=True)
    parser.add_argument("--hidden", required=True, help="21,21")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    watch, made = Stopwatch(), {}
    with concurrent.futures.ThreadPoolExecutor(args.threads) as pool:
        for part, folder in (("train", args.training), ("test", args.test)):
            paths, labels = listing(folder)
            stage = "test" if part == "test" else "features"
            if args.features == "pixels":
                x = np.array(list(pool.map(lambda path: pixels(path, args.side), paths)), np.float64)
                watch.lap(stage)
            else:
                described = list(pool.map(lambda path: describe(path, args.features), paths))
                watch.lap(stage)
                if part == "train":
                    words = KMeans(args.words, n_init=1, random_state=args.seed, max_iter=100)
                    words.fit(np.concatenate(described))
                    watch.lap("words")
                x = histograms(words, described)
                watch.lap("test" if part == "test" else "histogram")
            if part == "train":
                scaler = StandardScaler().fit(x)
                pca = PCA(args.pca, svd_solver="covariance_eigh").fit(scaler.transform(x))
                x = pca.transform(scaler.transform(x))
                watch.lap("PCA")
                hidden = tuple(map(int, args.hidden.split(",")))
                learner = MLPClassifier(hidden, activation="logistic", solver="lbfgs", max_iter=100, alpha=0,
                                        random_state=args.seed)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    learner.fit(x, labels)
                watch.lap("training")
            else:
                accuracy = learner.score(pca.transform(scaler.transform(x)), labels)
                watch.lap("test")
            made[part] = len(paths)
    print(json.dumps({"pictures": made, "accuracy": accuracy, "stages_s": watch.seconds, "opencv": cv2.__version__,
                      "sklearn": sklearn.__version__, "pillow": PIL.__version__}))


if __name__ == "__main__":
    main()
