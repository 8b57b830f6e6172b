#!/usr/bin/env python3
"""Make the golden perceptrons of Spark: what Spark ML's MultilayerPerceptronClassifier comes to on flowers of the iris
data, by L-BFGS from several seeds.

No network of a case tells all flowers apart: of two columns some flowers of two kinds are alike, and of all four no
lines part them. Else the loss had no minimum: it would fall towards 0 for as long as one waits, and say when a solver
stopped, not what it found. Without hidden layers ("none") there is one minimum.

Spark's loss is the mean over its blocks of rows of each block's mean, so a shorter last block counts for more. Here
one block holds all rows. In its vector of weights a layer is its matrix [outputs, inputs] column by column, which is
Breeze's order (AffineLayerModel.unroll in Spark's ml/ann/Layer.scala), then b; forward() reads it so, and must come to
Spark's probabilities.

perceptron_spark_CASE.npy is one float64 vector: versions of PySpark (4, 3, 0), Java (17) and numpy (2, 4, 6); rows,
inputs, classes, hidden layers; their widths; number of seeds; the loss after training from each, the least first; x
[rows, inputs]; labels [rows]; and with the least loss, the weights in Spark's order and p [rows, classes].

Run with PySpark and a Java runtime (bench/peers/requirements-spark.txt), and scikit-learn (requirements-stats.txt), in
some minutes: python tests/golden/make_perceptron_spark.py
"""
import argparse
import pathlib

import numpy as np
import pyspark
from pyspark.ml.classification import MultilayerPerceptronClassifier
from pyspark.ml.linalg import Vectors
from pyspark.sql import SparkSession
from sklearn.datasets import load_iris

SEPALS, PETALS, ALL = slice(0, 2), slice(2, 4), slice(0, 4)
CASES = {"none": (ALL, ()), "one": (PETALS, (2,)), "two": (SEPALS, (3, 2))}  # columns of iris, hidden layers
SEEDS, ITERATIONS, TOLERANCE = range(1, 7), 1000, 1e-9


def forward(weights, widths, x):
    for layer, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        w, b, weights = np.split(weights, [inputs * outputs, inputs * outputs + outputs])
        z = x @ w.reshape(inputs, outputs) + b
        with np.errstate(over="ignore"):
            x = 1 / (1 + np.exp(-z))
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def train(frame, widths, rows, seed):
    """Loss, weights and probabilities."""
    model = MultilayerPerceptronClassifier(layers=widths, solver="l-bfgs", blockSize=rows, seed=seed,
                                           maxIter=ITERATIONS, tol=TOLERANCE).fit(frame)
    p = np.array([row.probability.toArray() for row in model.transform(frame).select("probability").collect()])
    return model.summary().objectiveHistory[-1], model.weights.toArray(), p


def answer(spark, columns, hidden):
    x, labels = load_iris(return_X_y=True)
    x = ((x - x.mean(axis=0)) / x.std(axis=0))[:, columns]
    widths, everyone = [x.shape[1], *hidden, 3], np.arange(len(x))
    rows = [(Vectors.dense(row), float(label)) for row, label in zip(x.tolist(), labels)]
    frame = spark.createDataFrame(rows, ["features", "label"]).coalesce(1).cache()
    trained = sorted((train(frame, widths, len(x), seed) for seed in SEEDS), key=lambda end: end[0])
    losses = [loss for loss, _, _ in trained]
    for loss, weights, p in trained:
        assert abs(forward(weights, widths, x) - p).max() <= 1e-10
        assert abs(-np.log(p[everyone, labels]).mean() - loss) <= 1e-13
    _, weights, p = trained[0]
    print(widths, "losses", *losses, "largest weight", abs(weights).max())
    versions = [*map(int, pyspark.__version__.split(".")),
                int(spark._jvm.java.lang.System.getProperty("java.specification.version")),
                *map(int, np.__version__.split("."))]
    head = [*versions, len(x), x.shape[1], 3, len(hidden), *hidden, len(losses), *losses]
    return np.concatenate([head, x.ravel(), labels, weights, p.ravel()])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    folder = parser.parse_args().out
    spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    for name, case in CASES.items():
        np.save(folder / f"perceptron_spark_{name}.npy", answer(spark, *case))
    spark.stop()


if __name__ == "__main__":
    main()
