"""Spark reads what pomona wrote as folders of parts: rows, labels and features. Usage: judge_spark.py POMONA ORCHARD

Skips without PySpark or Java. A Python with PySpark is this one, $POMONA_SPARK_PYTHON, or what bench/run.sh --spark has
set up. Judged with PySpark 4.3.0 on Java 17. What Spark must find is what NumPy and csv find in the same rows as an
array with its index; VectorUDT, which is not a format of ours, is left to the user: array_to_vector(features).
"""

import csv
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = 77


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def find_spark():
    """Goes on with a Python that has PySpark, if this one has not."""
    python = os.environ.pop("POMONA_SPARK_PYTHON", str(ROOT / "build/bench-venv-spark/bin/python"))
    if sys.executable != python and shutil.which(python):
        os.execv(python, [python, *sys.argv])
    skip("no PySpark; POMONA_SPARK_PYTHON can name a Python that has it")


try:
    import numpy as np
    import pyspark.sql
    from pyspark.sql import functions, types
except ImportError:
    find_spark()

ROWS, WIDTH, PARTS = 5000, 12, 3
LARGE_ROWS, LARGE_WIDTH = 40_000, 1000  # 160 MB: three row groups in one part
ODD = ["plain", "comma, and \"quotes\"", "two\nlines", "한국어 🍎", " spaces ", "", "'", "a\\b", "null", "#", "1e3"]
SETTINGS = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR",
            "spark.driver.memory": "2g", "spark.sql.files.maxPartitionBytes": 16 << 20}
SCHEMA = types.StructType([types.StructField("path", types.StringType(), False),
                           types.StructField("label", types.StringType(), False),
                           types.StructField("features", types.ArrayType(types.FloatType(), False), False)])


def reduce(work, matrix, output, *options):
    done = subprocess.run([sys.argv[1], "reduce", work / matrix, "-o", f"{work}/{output}", "--standardize", "--backend",
                           "cpu", "-q", *options], capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr


def extract(work, output, *options):
    subprocess.run([sys.argv[1], "extract", work / "orchard/Training", "-o", f"{work}/{output}", "--backend", "cpu", "-q",
                    *options], check=True)


def make_pictures(work):
    subprocess.run([sys.argv[2], work / "orchard", "--kinds", "3", "--views", "4"], check=True, capture_output=True)
    for output in ("pixels/", "pixels.npy"):
        extract(work, output, "--features", "pixels", "--size", "5", *["--parts", "2"] * (output[-1] == "/"))
    for output in ("words/", "words.npy"):
        extract(work, output, "--features", "orb", "--words", "4", *["--parts", "2"] * (output[-1] == "/"))


def make(work):
    random = np.random.default_rng(7)
    x = random.normal(size=(ROWS, WIDTH)).astype("<f4") * np.float32([10.0**i for i in range(-6, 6)])
    x[[17, 4321], 3] = np.nan  # rejects
    np.save(work / "x.npy", x)
    with open(work / "x.csv", "w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["path", "label"])
        rows.writerows([f"{i:05d} {ODD[i % len(ODD)]}", ODD[i // 7 % len(ODD)]] for i in range(ROWS))
    np.save(work / "large.npy", random.normal(size=(LARGE_ROWS, LARGE_WIDTH)).astype("<f4"))
    index = ["--index", work / "x.csv"]
    reduce(work, "x.npy", "alone.npy", *index)
    for kind in ("parquet", "csv"):
        reduce(work, "x.npy", f"{kind}/", *index, "--format", kind, "--parts", str(PARTS))
        assert len(list((work / kind).glob("part-*"))) == PARTS
    reduce(work, "large.npy", "large/", "--parts", "1")
    reduce(work, "large.npy", "large-alone.npy")


def wanted(work, name):
    """{path: (label, features)} by NumPy and csv."""
    features = np.load(work / name)
    with open(f"{work / name}.index.csv", newline="") as file:
        index = list(csv.reader(file, strict=True))[1:]
    assert len(index) == len(features)
    return {path: (label, row) for (path, label), row in zip(index, features)}


def check_rows(rows, expected, what):
    found = {}
    for row in rows:
        assert row[0] not in found, f"{what}: {row[0]} is there twice"
        found[row[0]] = row
    assert found.keys() == expected.keys(), (what, list(found.keys() ^ expected.keys())[:5])
    for path, (label, features) in expected.items():
        assert found[path][1] == label, (what, found[path][1], label)
        assert np.float32(found[path][2]).tobytes() == features.tobytes(), (what, path)


def check_parquet(spark, work, expected):
    table = spark.read.parquet(str(work / "parquet"))
    # Spark takes every column of a file as one that may be null.
    assert [(f.name, f.dataType.simpleString()) for f in table.schema] == [
        ("path", "string"), ("label", "string"), ("features", "array<float>")], table.schema
    assert table.count() == ROWS - 2
    assert table.select(functions.input_file_name()).distinct().count() == PARTS
    check_rows(table.collect(), expected, "parquet")
    check_rows(spark.read.schema(SCHEMA).parquet(str(work / "parquet")).collect(), expected, "parquet with a schema")
    # By the statistics of the row groups: a range of paths that are in one part only, and a label.
    some = {path: row for path, row in expected.items() if "01000" <= path < "01100"}
    check_rows(table.where((table.path >= "01000") & (table.path < "01100")).collect(), some, "a range of paths")
    labels = {path: row for path, row in expected.items() if row[0] == ODD[3]}
    check_rows(table.where(table.label == ODD[3]).collect(), labels, "a label")


def check_csv(spark, work, expected):
    columns = [f"f{i}" for i in range(WIDTH)]
    schema = "path string, label string, " + ", ".join(f"{name} float" for name in columns)
    table = spark.read.csv(str(work / "csv"), schema=schema, header=True, multiLine=True, escape='"', emptyValue="",
                           enforceSchema=False, nullValue="\0", mode="FAILFAST")
    assert table.columns == ["path", "label", *columns] and table.count() == ROWS - 2
    # An empty field without quotes is null to Spark, whatever its options.
    check_rows([(row[0], row[1] or "", row[2:]) for row in table.collect()], expected, "csv")


def check_bytes(spark, work):
    """Spark has no unsigned types: bytes are numbers of 16 bits, which hold them all."""
    table = spark.read.parquet(str(work / "pixels"))
    assert table.schema["features"].dataType.simpleString() == "array<smallint>", table.schema
    expected = wanted(work, "pixels.npy")
    rows = table.collect()
    assert len(rows) == len(expected) == 12
    for row in rows:
        label, features = expected[row.path]
        assert row.label == label and row.features == features.tolist(), row.path
    assert max(max(row.features) for row in rows) > 127


def check_keypoints(spark, work):
    table = spark.read.parquet(str(work / "words"))
    assert [(f.name, f.dataType.simpleString()) for f in table.schema][2] == ("keypoints", "int"), table.schema
    with open(work / "words.npy.index.csv", newline="") as file:
        expected = {row["path"]: int(row["keypoints"]) for row in csv.DictReader(file)}
    assert {row.path: row.keypoints for row in table.select("path", "keypoints").collect()} == expected
    assert table.where(table.keypoints > 0).count() == sum(count > 0 for count in expected.values()) > 0


def check_large(spark, work):
    """A file that Spark splits: every row group is found by one task, and by no other."""
    table = spark.read.parquet(str(work / "large"))
    assert table.rdd.getNumPartitions() >= 8, table.rdd.getNumPartitions()
    expected = wanted(work, "large-alone.npy")
    counts = table.agg(functions.count("*"), functions.countDistinct("path")).first()
    assert tuple(counts) == (LARGE_ROWS, LARGE_ROWS), counts
    groups = table.groupBy(functions.spark_partition_id()).count().collect()
    assert len(groups) >= 3, groups
    some = dict(list(expected.items())[::157])
    check_rows(table.where(table.path.isin(list(some))).collect(), some, "large")
    return len(groups)


def main():
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        skip("no Java runtime")
    with tempfile.TemporaryDirectory(prefix="pomona-spark-") as folder:
        work = pathlib.Path(folder)
        make(work)
        make_pictures(work)
        expected = wanted(work, "alone.npy")
        assert len(expected) == ROWS - 2
        builder = pyspark.sql.SparkSession.builder.master("local[2]").appName("pomona")
        places = {"spark.local.dir": folder, "spark.sql.warehouse.dir": f"{folder}/tables"}
        for key, value in {**SETTINGS, **places}.items():
            builder = builder.config(key, value)
        spark = builder.getOrCreate()
        try:
            check_parquet(spark, work, expected)
            check_csv(spark, work, expected)
            check_bytes(spark, work)
            check_keypoints(spark, work)
            tasks = check_large(spark, work)
        finally:
            spark.stop()
    print(f"PySpark {pyspark.__version__}: {ROWS - 2} rows of parquet and csv as NumPy has them; "
          f"{LARGE_ROWS} rows of one file by {tasks} tasks")


main()
