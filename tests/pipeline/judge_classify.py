"""What does scikit-learn say to pomona train? Usage: judge_classify.py POMONA FRUITS

Real pictures, ten kinds of FRUITS. Rows as pomona extract writes them, with the projection of the training, go through
MLPClassifier (two layers of 21 logistic neurons, L-BFGS); pomona train gets the same pictures. Its accuracy on the
pictures of Test is held against that.

Neither is the other's truth: the loss has many minima, and where a training ends hangs on its first weights. With 300
pictures one is 0.33 points, and accuracies that are truly the same differ by sqrt(2 * 0.1 * 0.9 / 300) = 2.4 points, one
standard deviation, at 90 %. So the mean of SEEDS trainings may be worse than the mean of as many of scikit-learn's by
POINTS = 5, which is two of those. It may be better by whatever it is.

Then numpy is given the weights from the model's file: every class and every probability of pomona predict must be what
it makes of them, to 1e-7, more than half a unit of the float that is written. And scikit-learn counts the predictions:
every number of evaluate's CSV must be its own, as a float. Versions: requirements.txt.
"""
import csv
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support
from sklearn.neural_network import MLPClassifier

KINDS = ["Apple 13", "Apple Golden 1", "Apple Granny Smith 1", "Apple Pink Lady 1", "Apple Red Delicious 1", "Cherry 1",
         "Cherry Rainier 1", "Tomato 2", "Tomato Cherry Yellow 1", "Tomato Maroon 1"]
SEEDS, POINTS = 3, 5
CASES = {
    "pixels": (["--features", "pixels", "--size", "20"], ["--standardize", "--pca", "21"]),
    "orb": (["--features", "orb", "--words", "30", "--norm", "l2"], ["--standardize", "--pca", "21"]),
}


def pomona(*arguments):
    done = subprocess.run([program, *map(str, arguments), "-q"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{arguments}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def read_model(path):
    """Record and tensors of a safetensors file."""
    data = path.read_bytes()
    size, = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + size])
    record = json.loads(header.pop("__metadata__")["record"])
    return record, {name: np.frombuffer(data[8 + size:][slice(*t["data_offsets"])], "<f8").reshape(t["shape"])
                    for name, t in header.items()}


def table(path):
    with open(f"{path}.index.csv", newline="", encoding="utf-8") as file:
        return np.load(path), [row["label"] for row in csv.DictReader(file)]


def sources(folder):
    return [fruits / folder / kind for kind in KINDS]


def check_predictions(rows, model, predictions):
    """rows: as extract projects them with what the training has fitted."""
    record, tensors = read_model(model)
    a = rows.astype(np.float64)
    layers = len(record["perceptron"]["widths"]) - 1
    for layer in range(layers):
        z = a @ tensors[f"weights.{layer}"].T + tensors[f"biases.{layer}"]
        with np.errstate(over="ignore"):  # 1 / inf is the 0 that is meant
            a = 1 / (1 + np.exp(-z)) if layer < layers - 1 else np.exp(z - z.max(axis=1, keepdims=True))
    p = a / a.sum(axis=1, keepdims=True)
    with open(predictions, newline="", encoding="utf-8") as file:
        ours = list(csv.DictReader(file))
    wrong = [row for row, q in zip(ours, p, strict=True)
             if row["class"] != record["classes"][q.argmax()] or abs(float(row["probability"]) - q.max()) > 1e-7]
    if wrong:
        sys.exit(f"{model.name}: numpy predicts something else for {len(wrong)} of {len(ours)}: {wrong[0]}")


def check_scores(model, predictions):
    """evaluate's CSV, against what scikit-learn makes of the table that predict has written."""
    pomona("evaluate", *sources("Test"), "--model", model, "--csv", work / "scores.csv", "--overwrite")
    with open(predictions, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with open(work / "scores.csv", newline="", encoding="utf-8") as file:
        ours = {(row["measure"], row["label"], row["class"]): row["value"] for row in csv.DictReader(file)}
    truth, predicted = [row["label"] for row in rows], [row["class"] for row in rows]
    classes = sorted(read_model(model)[0]["classes"])
    scores = precision_recall_fscore_support(truth, predicted, labels=classes, zero_division=np.nan)
    matrix = confusion_matrix(truth, predicted, labels=classes)
    theirs = {("accuracy", "", ""): accuracy_score(truth, predicted)}
    for i, label in enumerate(classes):
        theirs |= {("precision", label, ""): scores[0][i], ("recall", label, ""): scores[1][i],
                   ("pictures", label, ""): scores[3][i]}
        if "keypoints" in rows[0]:
            theirs["blank", label, ""] = sum(row["label"] == label and row["keypoints"] == "0" for row in rows)
        theirs |= {("confusion", label, other): matrix[i, j] for j, other in enumerate(classes)}
    wrong = [key for key in ours.keys() | theirs.keys()
             if not np.array_equal(np.float32(ours.get(key, "-1") or "nan"), np.float32(theirs.get(key, -2)), equal_nan=True)]
    if wrong:
        sys.exit(f"{model.name}: scikit-learn has other scores: {[(k, ours.get(k), theirs.get(k)) for k in wrong[:5]]}")


def judge(name, features, statistics):
    if "--words" in features:  # the same words for all
        pomona("extract", *sources("Training"), "-o", work / "words.npy", *features, "--save-vocabulary", work / "words")
        features = [*features[:2], *features[4:], "--vocabulary", work / "words"]
    pomona("extract", *sources("Training"), "-o", work / "train.npy", *features, *statistics, "--overwrite",
           "--save-projection", work / "projection")
    pomona("extract", *sources("Test"), "-o", work / "test.npy", *features, "--projection", work / "projection",
           "--overwrite")
    (x, labels), (test, truth) = table(work / "train.npy"), table(work / "test.npy")
    ours, theirs = [], []
    for seed in range(SEEDS):
        model = work / f"{name}{seed}.model"
        pomona("train", *sources("Training"), "-o", model, *features, *statistics, "--hidden", "21,21", "--seed", seed)
        record = json.loads(pomona("evaluate", *sources("Test"), "--model", model, "--json"))["evaluation"]
        ours.append(100 * record["accuracy"])
        pomona("predict", *sources("Test"), "--model", model, "-o", work / "out.csv", "--overwrite")
        check_predictions(test, model, work / "out.csv")
        check_scores(model, work / "out.csv")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            judged = MLPClassifier((21, 21), activation="logistic", solver="lbfgs", max_iter=100, random_state=seed)
            theirs.append(100 * judged.fit(x, labels).score(test, truth))
    print(f"{name}: pomona {np.round(ours, 1)} %, scikit-learn {np.round(theirs, 1)} %; predictions are numpy's, scores scikit-learn's")
    if np.mean(ours) < np.mean(theirs) - POINTS:
        sys.exit(f"{name}: worse than scikit-learn by more than {POINTS} points")


program, fruits = sys.argv[1], pathlib.Path(sys.argv[2])
if not fruits.is_dir():
    print("skipped: no", fruits)
    sys.exit(77)
with tempfile.TemporaryDirectory() as temporary:
    work = pathlib.Path(temporary)
    for name, (features, statistics) in CASES.items():
        judge(name, features, statistics)
