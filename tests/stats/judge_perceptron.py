"""What does scikit-learn say to the perceptron? Usage: judge_perceptron.py PERCEPTRON_PROBE

Held against MLPClassifier, in fp64: the loss and its gradient at given weights, the probabilities, and what L-BFGS
comes to from the same first weights on the same rows - how low the loss, how many rows of a test set right. Against
LogisticRegression: a perceptron without hidden layers. Versions: requirements.txt of tests/pipeline.
"""
import os
import subprocess
import sys
import tempfile
import warnings

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # more of them wait for each other where other programs run
import numpy as np
from sklearn.datasets import load_digits, load_wine, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

warnings.simplefilter("ignore", ConvergenceWarning)
GRADIENT, PROBABILITY = 1e-10, 1e-12
LOSS, RIGHT = 0.01, 0.01  # share by which our loss may be above theirs; share of the test rows right in theirs alone


def check(good, *what):
    if not good:
        sys.exit(" ".join(map(str, what)))


def probe(what, x, y, classes, start, hidden, activation, iterations=0, tolerance=0, penalty=0.0, threads=2):
    """The printed line, and `out`."""
    np.ascontiguousarray(x, np.float64).tofile(f"{work}/x")
    np.ascontiguousarray(y, np.int32).tofile(f"{work}/labels")
    start.tofile(f"{work}/start")
    words = [program, work, what, *x.shape, classes, ",".join(map(str, hidden)) or "-", activation, "lbfgs", iterations,
             tolerance, penalty, threads]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True)
    check(done.returncode == 0, words, done.stderr)
    return done.stdout.split(), np.fromfile(f"{work}/out")


def packed(coefs, intercepts):
    """scikit-learn's [inputs, outputs] of every layer as ours: W [outputs, inputs], b, layer after layer."""
    return np.concatenate([part.ravel() for w, b in zip(coefs, intercepts) for part in (w.T, b)])


def unpacked(weights, widths):
    coefs, intercepts, at = [], [], 0
    for i, o in zip(widths, widths[1:]):
        coefs.append(weights[at:at + i * o].reshape(o, i).T.copy())
        intercepts.append(weights[at + i * o:at + i * o + o].copy())
        at += (i + 1) * o
    return coefs, intercepts


def sklearn_at_start(x, y, hidden, activation, penalty, seed):
    """An MLPClassifier with its first weights, and these, packed as ours."""
    mlp = MLPClassifier(hidden, activation=activation, solver="lbfgs", alpha=penalty, random_state=seed, max_iter=1,
                        warm_start=True, tol=1e-6, max_fun=10**6).fit(x, y)
    mlp._random_state = np.random.RandomState(seed)
    mlp._initialize(np.eye(y.max() + 1)[y], [x.shape[1], *hidden, y.max() + 1], np.float64)
    return mlp, packed(mlp.coefs_, mlp.intercepts_)


def sklearn_gradient(mlp, x, y):
    """_loss_grad_lbfgs's answer at the weights that it has."""
    sizes = [x.shape[1], *mlp.hidden_layer_sizes, mlp.n_outputs_]
    coefs = [np.empty(pair) for pair in zip(sizes, sizes[1:])]
    intercepts = [np.empty(o) for o in sizes[1:]]
    loss, coefs, intercepts = mlp._backprop(x, np.eye(mlp.n_outputs_)[y], None, [x] + [None] * (len(sizes) - 1),
                                            [None] * (len(sizes) - 1), coefs, intercepts)
    return loss, packed(coefs, intercepts)


def judge_at_weights(name, x, y, hidden, activation, penalty):
    mlp, weights = sklearn_at_start(x, y, hidden, activation, penalty, 3)
    classes = y.max() + 1
    loss, gradient = sklearn_gradient(mlp, x, y)
    _, out = probe("gradient", x, y, classes, weights, hidden, activation, penalty=penalty)
    wrong = abs(out[0] - loss) / loss, abs(out[1:] - gradient).max() / abs(gradient).max()
    check(max(wrong) <= GRADIENT, name, activation, "loss or gradient is off by", *wrong)
    _, out = probe("predict", x, y, classes, weights, hidden, activation)
    off = abs(out.reshape(-1, classes) - mlp.predict_proba(x)).max()
    check(off <= PROBABILITY, name, activation, "probabilities are off by", off)
    print(f"{name:10} {activation:8} {str(hidden):9} loss {wrong[0]:.1e}, gradient {wrong[1]:.1e}, p {off:.1e} off")


def judge_training(name, x, y, hidden, activation, penalty, iterations, seed):
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.4, random_state=1, stratify=y)
    mlp, start = sklearn_at_start(x, y, hidden, activation, penalty, seed)
    printed, weights = probe("train", x, y, y.max() + 1, start, hidden, activation, iterations, 1e-9, penalty)
    mlp.set_params(max_iter=iterations).fit(x, y)
    theirs = np.mean(mlp.predict(x_test) == y_test)
    loss, their_loss, their_iterations = float(printed[0]), mlp.loss_, mlp.n_iter_
    mlp.coefs_, mlp.intercepts_ = unpacked(weights, [x.shape[1], *hidden, y.max() + 1])
    ours = np.mean(mlp.predict(x_test) == y_test)
    print(f"{name:10} {activation:8} {str(hidden):9} seed {seed}: loss {loss:.6f} in {printed[1]}, "
          f"theirs {their_loss:.6f} in {their_iterations}; right {ours:.4f}, theirs {theirs:.4f}")
    return loss, their_loss, ours, theirs


def surely_above(differences, limit):
    """Is the mean of such differences above the limit, by more than thrice its standard error?"""
    return differences.mean() - 3 * differences.std(ddof=1) / len(differences) ** 0.5 > limit


def judge_trainings(name, x, y, hidden, activation, penalty, iterations):
    """The surface has many valleys, and which one is found from a start is luck, so several starts are compared."""
    loss, their_loss, ours, theirs = np.array(
        [judge_training(name, x, y, hidden, activation, penalty, iterations, seed) for seed in range(4)]).T
    check(not surely_above(np.log(loss / their_loss), LOSS), name, activation, "loss", loss, "theirs", their_loss)
    check(not surely_above(theirs - ours, RIGHT), name, activation, "right", ours, "theirs", theirs)


def judge_logistic(name, x, y, penalty):
    """The loss has one minimum."""
    classes = y.max() + 1
    theirs = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=5000).fit(x, y)
    their_weights = np.concatenate([theirs.coef_.ravel(), theirs.intercept_])
    _, out = probe("gradient", x, y, classes, their_weights, [], "logistic", penalty=penalty)
    printed, weights = probe("train", x, y, classes, np.zeros_like(their_weights), [], "logistic", 5000, 1e-15, penalty)
    _, p = probe("predict", x, y, classes, weights, [], "logistic")
    off = abs(p.reshape(-1, classes) - theirs.predict_proba(x)).max()
    print(f"{name:10} logistic regression: loss {printed[0]}, theirs {out[0]:.17g}, p {off:.1e} off")
    check(float(printed[0]) <= out[0] * (1 + 1e-9), name, "logistic regression: loss", printed[0], "theirs", out[0])
    check(off <= 1e-5, name, "logistic regression: probabilities are off by", off)


def main():
    digits, wine = load_digits(return_X_y=True), load_wine(return_X_y=True)
    made = make_classification(3000, 20, n_informative=8, n_classes=6, n_clusters_per_class=2, class_sep=1.8,
                               flip_y=0.02, random_state=5)
    sets = {"digits": (digits[0] / 16, digits[1]), "made": made,
            "wine": ((wine[0] - wine[0].mean(0)) / wine[0].std(0), wine[1])}
    for name, (x, y) in sets.items():
        for activation in "logistic", "relu":
            for hidden in (7,), (21, 21):
                judge_at_weights(name, x, y, hidden, activation, 0.5)
    for name, (x, y) in sets.items():
        judge_logistic(name, x, y, 0.1)
    for name, (x, y) in sets.items():
        for activation in "logistic", "relu":
            judge_trainings(name, x, y, (21, 21), activation, 1.0 if name == "made" else 0.2, 400)


program = sys.argv[1]
with tempfile.TemporaryDirectory() as work:
    main()
