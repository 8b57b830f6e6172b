#!/usr/bin/env python3
"""Pipeline A as it is run today: PySpark and TensorFlow, from a folder of pictures to a Parquet file.

binaryFile source -> Pillow decodes and resizes (bicubic, 224) and Keras's MobileNetV2 predicts in a pandas_udf ->
StandardScaler -> PCA(100) of pyspark.ml, fitted on the same rows -> Parquet with path, label, features.

Measured by who calls: the whole process, imports and the start of the JVM included; `seconds` tells the parts apart.

Fair to it: local mode with as many workers as threads, no network; an iterator UDF, so that a worker loads the model
once and not for every batch, and one partition a worker, so that no worker loads it twice; one TensorFlow thread a
worker, since the workers fill the cores; the features are cached, which is what keeps Spark from computing them anew
for the scaler, the PCA and the file.  The weights are the seeded ones of pomona-seeded-weights, so that the variance
explained can be compared with Pomona's.
"""
import time

STARTED = time.perf_counter()

import argparse  # noqa: E402
import io  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import pathlib  # noqa: E402
import sys  # noqa: E402
import typing  # noqa: E402

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import PIL  # noqa: E402
import pyspark  # noqa: E402
from PIL import Image  # noqa: E402
from pyspark.ml.feature import PCA, StandardScaler  # noqa: E402
from pyspark.ml.functions import array_to_vector, vector_to_array  # noqa: E402
from pyspark.sql import SparkSession, functions  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZE = 224


def seeded_weights():
    """Of Keras's MobileNetV2 without its classifier, in Keras's order."""
    sys.path.insert(0, str(ROOT / "tests" / "golden"))
    import features_seeded
    import keras

    weights = []
    for layer in keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(SIZE, SIZE, 3)).layers:
        depthwise = "depthwise_" if isinstance(layer, keras.layers.DepthwiseConv2D) else ""
        names = [(f"{layer.name}/{depthwise}{w.name}", tuple(w.shape)) for w in layer.weights]
        weights += [features_seeded.seeded_tensor(name, shape) for name, shape in names]
    return weights


def featurizer(weights, batch):
    """The pandas_udf; `weights` is a broadcast."""

    def decode(content):
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC))

    @functions.pandas_udf("array<float>")
    def featurize(batches: typing.Iterator[pd.Series]) -> typing.Iterator[pd.Series]:
        import keras
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(1)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
        keras.utils.disable_interactive_logging()
        options = {"weights": None, "include_top": False, "pooling": "avg", "input_shape": (SIZE, SIZE, 3)}
        model = keras.applications.MobileNetV2(**options)
        model.set_weights(weights.value)
        for contents in batches:
            x = np.stack([decode(content) for content in contents]).astype(np.float32)
            x = keras.applications.mobilenet_v2.preprocess_input(x)
            yield pd.Series(list(model.predict(x, batch_size=batch)))

    return featurize


def open_session(threads, memory, batch):
    os.environ |= {"PYSPARK_PYTHON": sys.executable, "TF_CPP_MIN_LOG_LEVEL": "3", "SPARK_LOCAL_IP": "127.0.0.1"}
    builder = SparkSession.builder.master(f"local[{threads}]").appName("pipeline A")
    builder = builder.config("spark.driver.memory", memory).config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", 4 * batch)
    session = builder.config("spark.sql.shuffle.partitions", threads).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def main():
    parser = argparse.ArgumentParser(description="Pipeline A in PySpark and TensorFlow; one JSON line on stdout.")
    parser.add_argument("folder")
    parser.add_argument("--out", required=True, help="the Parquet folder, replaced")
    parser.add_argument("--threads", type=int, default=2, help="workers (default 2)")
    parser.add_argument("--batch", type=int, default=32, help="of Keras's predict (default 32)")
    parser.add_argument("--pca", type=int, default=100, metavar="K")
    parser.add_argument("--memory", default="4g", help="of the JVM (default 4g)")
    args = parser.parse_args()

    seconds, last = {}, STARTED

    def lap(stage):
        nonlocal last
        now = time.perf_counter()
        seconds[stage], last = round(now - last, 3), now

    lap("import")
    spark = open_session(args.threads, args.memory, args.batch)
    lap("start")
    weights = spark.sparkContext.broadcast(seeded_weights())
    lap("weights")
    files = spark.read.format("binaryFile").option("recursiveFileLookup", "true").option("pathGlobFilter", "*.jpg")
    pictures = files.load(args.folder).repartition(args.threads)
    label = functions.element_at(functions.split("path", "/"), -2).alias("label")
    features = array_to_vector(featurizer(weights, args.batch)("content")).alias("raw")
    table = pictures.select("path", label, features).cache()
    rows = table.count()
    lap("features")
    scaler = StandardScaler(inputCol="raw", outputCol="scaled", withMean=True, withStd=True).fit(table)
    scaled = scaler.transform(table)
    lap("scale")
    pca = PCA(k=args.pca, inputCol="scaled", outputCol="projected").fit(scaled)
    lap("pca")
    result = pca.transform(scaled).select("path", "label", vector_to_array("projected", "float32").alias("features"))
    result.write.mode("overwrite").parquet(args.out)
    lap("write")
    explained = float(pca.explainedVariance.toArray().sum())
    spark.stop()
    lap("stop")
    import keras
    import tensorflow

    figures = {
        "what": "spark_pipeline", "rows": rows, "threads": args.threads, "batch": args.batch, "seconds": seconds,
        "explained_variance": round(explained, 4), "pyspark": pyspark.__version__, "tensorflow": tensorflow.__version__,
        "keras": keras.__version__, "pillow": PIL.__version__,
    }  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
