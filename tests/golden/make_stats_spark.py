#!/usr/bin/env python3
"""Make the golden statistics of Spark: what Spark ML says about small matrices, for --compat spark.

Pomona follows Spark: the deviation is the sample's (n - 1); a column without variance becomes 0 when it is divided, and
keeps its value when it is not; PCA is of the covariance, but projects rows as they are, uncentred; explainedVariance
is a share of the variance of all columns.

A column is constant for both if its deviation is exactly 0, however little it varies. Column LAST_BITS of the tall
matrix, 10^6 and now and then its neighbour 2^-33 above, has a deviation of 1 when it is divided by it; what Spark divides
by has no digits left there, and neither have components with that column among the others.

The sign of a component is LAPACK's choice in Spark; in Pomona its largest entry is positive. Signs here are Spark's.

The matrix "real" is 200 rows of 64 columns of features of pictures: of --features FILE.npy, a table of pomona extract
(efficientnet_lite0, fruits-360), or without it the rows that are in the golden file already.

stats_spark_CASE.npz: version; x, the rows; shown, which rows are kept of the tables; scaled_HOW for the HOW of mean,
std, both; and for HOW of raw, std, both pca_HOW, components_HOW [3, d], ratio_HOW of PCA(k=3) on raw or scaled rows
(of the tall matrix without LAST_BITS). Run with PySpark 4 (Java 17): python tests/golden/make_stats_spark.py
"""
import argparse
import pathlib

import numpy as np
import pyspark
from pyspark.ml.feature import PCA, StandardScaler
from pyspark.ml.linalg import Vectors
from pyspark.sql import SparkSession

K = 3
CONSTANT, LAST_BITS = 4, 12  # columns
SCALERS = {"mean": (True, False), "std": (False, True), "both": (True, True)}


def matrix(seed, n, d, dtype):
    """Some directions of unlike strength, columns of unlike scale and mean; multiples of 1/64, so that they pack."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 5)) * [8, 5, 3, 2, 1] @ rng.standard_normal((5, d)) + 0.5 * rng.standard_normal((n, d))
    x = np.round((x * np.geomspace(0.5, 4, d) + 10 * rng.standard_normal(d)) * 64) / 64
    x[:, CONSTANT] = 0.1
    return x.astype(dtype)


def tall():
    x = matrix(1, 200, 12, np.float64)
    last_bits = 1e6 + (np.arange(200) % 7 == 3) * np.spacing(1e6)
    return np.column_stack([x, last_bits])


def real(features, folder):
    return np.load(features)[::3, ::20][:200] if features else np.load(folder / "stats_spark_real.npz")["x"]


CASES = {"tall": tall, "small": lambda: matrix(2, 20, 8, np.float32), "wide": lambda: matrix(3, 10, 24, np.float32)}


def column(frame, name):
    return np.array([row[name].toArray() for row in frame.select(name).collect()])


def answer(spark, x):
    def frame_of(rows):
        frame = spark.createDataFrame([(Vectors.dense(row),) for row in rows.tolist()], ["raw"])
        for how, (with_mean, with_std) in SCALERS.items():
            scaler = StandardScaler(inputCol="raw", outputCol=how, withMean=with_mean, withStd=with_std)
            frame = scaler.fit(frame).transform(frame)
        return frame

    shown = np.arange(8) * len(x) // 8 if len(x) > 24 else np.arange(len(x))
    out = {"version": np.array(f"PySpark {pyspark.__version__}"), "x": x, "shown": shown}
    frame = frame_of(x)
    for how in SCALERS:
        out[f"scaled_{how}"] = column(frame, how)[shown]
    frame = frame_of(x[:, :LAST_BITS]) if x.shape[1] == LAST_BITS + 1 else frame
    for how in ("raw", "std", "both"):
        pca = PCA(k=K, inputCol=how, outputCol="pca").fit(frame)
        out[f"pca_{how}"] = column(pca.transform(frame), "pca")[shown]
        out[f"components_{how}"] = pca.pc.toArray().T
        out[f"ratio_{how}"] = pca.explainedVariance.toArray()
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    parser.add_argument("--features", type=pathlib.Path)
    arguments = parser.parse_args()
    folder = arguments.out
    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    for name, make in {**CASES, "real": lambda: real(arguments.features, folder)}.items():
        np.savez_compressed(folder / f"stats_spark_{name}.npz", **answer(spark, make()))
    spark.stop()


if __name__ == "__main__":
    main()
