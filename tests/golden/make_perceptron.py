#!/usr/bin/env python3
"""Make the golden perceptrons: what scikit-learn's MLPClassifier and LogisticRegression say in float64.

perceptron_CASE.npy, of seeded rows, is one float64 vector: rows, inputs, classes, hidden layers; their widths; 1 for
relu, 0 for logistic; penalty; the loss after training from the weights below (LogisticRegression's where there is no
hidden layer); x [rows, inputs]; labels [rows]; weights, as in pmn_perceptron.h; their loss; its gradient; p [rows,
classes].
perceptron_adam.npy is [steps, 2, numbers]: gradients, and where AdamOptimizer's steps along them lead to from 1, 1, ..

Versions: requirements-stats.txt. Run: VENV/bin/python tests/golden/make_perceptron.py
"""
import pathlib
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer

CASES = {"sigmoid": ((5, 4), "logistic"), "relu": ((5, 4), "relu"), "none": ((), "logistic")}
ROWS, INPUTS, CLASSES, PENALTY = 40, 6, 3, 0.25


def packed(coefs, intercepts):
    return np.concatenate([part.ravel() for w, b in zip(coefs, intercepts) for part in (w.T, b)])


def make(hidden, activation):
    random = np.random.RandomState(11)
    labels = np.arange(ROWS) % CLASSES
    x = random.normal(size=(ROWS, INPUTS)) + random.normal(size=(CLASSES, INPUTS))[labels]
    sizes = [INPUTS, *hidden, CLASSES]
    mlp = MLPClassifier(hidden, activation=activation, solver="lbfgs", alpha=PENALTY, max_iter=1, warm_start=True,
                        tol=1e-9).fit(x, labels)
    mlp.coefs_ = [random.normal(size=pair) for pair in zip(sizes, sizes[1:])]
    mlp.intercepts_ = [random.normal(size=outputs) for outputs in sizes[1:]]
    weights, p = packed(mlp.coefs_, mlp.intercepts_), mlp.predict_proba(x)
    loss, coefs, intercepts = mlp._backprop(x, np.eye(CLASSES)[labels], None, [x] + [None] * len(sizes[1:]),
                                            [None] * len(sizes[1:]), [None] * len(sizes[1:]), [None] * len(sizes[1:]))
    if hidden:
        trained = mlp.set_params(max_iter=5000).fit(x, labels).loss_
    else:
        best = LogisticRegression(C=1 / PENALTY, tol=1e-12, max_iter=10000).fit(x, labels)
        trained = (-np.log(best.predict_proba(x)[np.arange(ROWS), labels]).mean()
                   + PENALTY / (2 * ROWS) * (best.coef_ ** 2).sum())
    head = [ROWS, INPUTS, CLASSES, len(hidden), *hidden, activation == "relu", PENALTY, trained]
    return np.concatenate([head, x.ravel(), labels, weights, [loss], packed(coefs, intercepts), p.ravel()])


def adam():
    random, x, steps = np.random.RandomState(12), np.ones(4), []
    optimizer = AdamOptimizer([x], 0.03)
    for _ in range(25):
        gradient = random.normal(size=4) * [1e-6, 0.1, 1, 100]
        optimizer.update_params([x], [gradient])
        steps.append([gradient, x.copy()])
    return np.array(steps)


warnings.simplefilter("ignore", ConvergenceWarning)
for name, case in CASES.items():
    np.save(pathlib.Path(__file__).parent / f"perceptron_{name}.npy", make(*case))
np.save(pathlib.Path(__file__).parent / "perceptron_adam.npy", adam())
