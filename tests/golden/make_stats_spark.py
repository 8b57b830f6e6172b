#!/usr/bin/env python3
"""Make the golden statistics of Spark: what Spark ML says about small matrices, for --compat spark.

Pomona follows Spark: the deviation is the sample's (n - 1); a column without variance becomes 0 when it is divided, and
keeps its value when it is not; PCA is of the covariance, but projects rows as they are, uncentred; explainedVariance
is a share of the variance of all columns.

Where the two differ:
- A column is constant for Spark if its variance comes out as 0, and for Pomona (as for scikit-learn) if rounding cannot
  tell the variance from 0: var <= n eps var + (n mean eps)^2. Column LAST_BITS of the tall matrix, 10^6 and now and
  then its neighbour 2^-33 above, is 0 by Pomona and of deviation 1 by Spark.
- The sign of a component is LAPACK's choice in Spark; in Pomona its largest entry is positive. Signs here are Spark's.

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
    frame = frame_of(x[:, :LAST_BITS]) if len(x) == 200 else frame
    for how in ("raw", "std", "both"):
        pca = PCA(k=K, inputCol=how, outputCol="pca").fit(frame)
        out[f"pca_{how}"] = column(pca.transform(frame), "pca")[shown]
        out[f"components_{how}"] = pca.pc.toArray().T
        out[f"ratio_{how}"] = pca.explainedVariance.toArray()
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    folder = parser.parse_args().out
    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    for name, make in CASES.items():
        np.savez_compressed(folder / f"stats_spark_{name}.npz", **answer(spark, make()))
    spark.stop()


if __name__ == "__main__":
    main()
