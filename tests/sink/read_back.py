"""What do others read in our files? Usage: read_back.py SINK_SAMPLE

Every table is written by sink_sample and held, value by value, against the same content computed here.
"""
import csv
import hashlib
import io
import json
import pathlib
import subprocess
import sys
import tempfile

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

RECORD = '{"version": "sample", "text": "ü"}'
MIB = 1 << 20
ODD = [b"plain", b"two words ", b'a "quote"', b"a,comma", b"new\nline", b"return\r", b"back\\slash", b"tab\t",
       b"not \xff\xfe UTF-8", b"surrogate \xed\xa0\x80", b"cut \xe6\x97", "ümläut".encode(), "日本".encode(),
       "\U0001d11e".encode(), b"", b"'single'", b"=1+1", b'"', b"NULL"]


def escape(raw):
    """pmn_text_escape in other words: decode what is UTF-8, byte by byte \\xHH for what is not."""
    out = ""
    while raw:
        for length in (1, 2, 3, 4):
            try:
                char = raw[:length].decode()
            except UnicodeDecodeError:
                continue
            out += "\\\\" if char == "\\" else char
            raw = raw[length:]
            break
        else:
            out += "\\x%02X" % raw[0]
            raw = raw[1:]
    return out


def expected(width, rows, kind):
    row = np.arange(rows, dtype=np.uint32)[:, None]
    column = np.arange(width, dtype=np.uint32)[None, :]
    bits = row * np.uint32(2654435761) + column * np.uint32(2246822519) + np.uint32(1)
    bits ^= bits >> np.uint32(15)
    bits *= np.uint32(2246822519)
    bits ^= bits >> np.uint32(13)
    bytes_ = (bits >> np.uint32(24)).astype(np.uint8)
    special = (bits & np.uint32(0x7F800000)) == np.uint32(0x7F800000)
    bits[special] &= np.uint32(0xBFFFFFFF)
    odd = [escape(name) for name in ODD]
    paths = ["%s/%08d.jpg" % (odd[i % len(odd)], i) for i in range(rows)]
    if rows > 5000:
        paths[5000] = "x" * 2000  # too long for statistics
    labels = [odd[i // 7 % len(odd)] for i in range(rows)]
    return paths, labels, bytes_ if kind == np.uint8 else bits.view(np.float32)


def keypoints_of(rows):
    return ((np.arange(rows, dtype=np.uint32) * np.uint32(2654435761)) >> np.uint32(1)).tolist()


def same_bits(values, wanted, what):
    values = np.ascontiguousarray(values)
    assert values.dtype == wanted.dtype, f"{what}: {values.dtype}"
    assert values.size == wanted.size, f"{what}: {values.size} values, not {wanted.size}"
    assert values.tobytes() == wanted.tobytes(), f"{what}: values differ"


def same_names(paths, labels, table, what):
    assert list(table[0]) == paths, f"{what}: paths differ"
    assert list(table[1]) == labels, f"{what}: labels differ"


def pages_of(data, chunk):
    """(values, uncompressed size) of the pages of a chunk. Our headers have one form: numbers in a fixed order."""
    at, end, pages = chunk.data_page_offset, chunk.data_page_offset + chunk.total_compressed_size, []

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value >> 1  # zigzag of what is never negative

    while at < end:
        fields = []
        for mark in b"\x15\x15\x15\x2c\x15\x15\x15\x15":
            assert data[at] == mark
            at += 1
            if mark == 0x15:
                fields.append(number())
        assert data[at:at + 2] == b"\0\0"
        at += 2 + fields[2]
        pages.append((fields[3], fields[1]))
    assert at == end
    return pages


def check_layout(path, width, rows, paths, labels, counted):
    """Row groups, statistics and offsets, as pyarrow parses the footer."""
    meta = pq.ParquetFile(path).metadata
    assert meta.created_by.startswith("pomona version "), meta.created_by
    assert meta.metadata[b"pomona.record"].decode() == RECORD
    assert meta.num_rows == rows and meta.num_columns == 3 + counted
    bytes_of_rows = [4 * width + 4 * counted + 8 + len(p.encode()) + len(q.encode()) for p, q in zip(paths, labels)]
    first, end, data = 0, 4, path.read_bytes()
    for i in range(meta.num_row_groups):
        group = meta.row_group(i)
        values = sum(bytes_of_rows[first:first + group.num_rows])
        last = i == meta.num_row_groups - 1
        assert values <= 64 * MIB, f"row group {i}: {values} bytes"
        assert last or values + bytes_of_rows[first + group.num_rows] > 64 * MIB, f"row group {i} could hold more"
        chunks = [group.column(c) for c in range(3 + counted)]
        # One after the other in the order of the schema, so that readers that split files find every row group.
        for chunk in chunks:
            assert chunk.data_page_offset == end, (i, chunk.path_in_schema, chunk.data_page_offset, end)
            assert chunk.compression == "ZSTD" and chunk.statistics.null_count == 0
            end += chunk.total_compressed_size
        assert group.total_byte_size == sum(c.total_uncompressed_size for c in chunks)
        assert [c.num_values for c in chunks] == [group.num_rows] * (2 + counted) + [group.num_rows * width]
        for chunk, names in ((chunks[0], paths), (chunks[1], labels)):
            some = [name.encode() for name in names[first:first + group.num_rows]]
            if max(map(len, some)) > 1024:
                assert not chunk.statistics.has_min_max, "long names in the statistics"
                continue
            limits = (chunk.statistics.min.encode(), chunk.statistics.max.encode())
            assert limits == (min(some), max(some)), limits
        assert not any(chunk.statistics.has_min_max for chunk in chunks[2:])
        overhead = 0
        for chunk in chunks:
            pages = pages_of(data, chunk)
            assert sum(page[0] for page in pages) == chunk.num_values
            # Full pages are of 1 MiB: give or take a row, and the levels, of which the first columns have none.
            levels = 8 * group.num_rows + 16 if chunk is chunks[-1] else 0
            assert all(MIB - 4 * width <= size <= MIB + 4 * width + 200 + levels for _, size in pages[:-1]), pages
            assert pages[-1][1] <= MIB + 4 * width + 200 + levels, pages
            overhead += 32 * len(pages) + levels  # a header is shorter than 32 bytes
        assert values <= group.total_byte_size <= values + overhead, (values, group.total_byte_size, overhead)
        first += group.num_rows
    assert first == rows and end + meta.serialized_size + 8 == path.stat().st_size
    # The last column ends where the footer begins, and its hash is of all that is before.
    assert len(data) - end - 8 == int.from_bytes(data[-8:-4], "little") and data[-4:] == b"PAR1"
    assert meta.metadata[b"pomona.sha256"].decode() == hashlib.sha256(data[:end]).hexdigest()
    # That of the footer is in the footer, with zeros in its own place.
    own = meta.metadata[b"pomona.footer.sha256"]
    assert len(own) == 64 and own.decode() == hashlib.sha256(data[end:-8].replace(own, b"0" * 64)).hexdigest()
    assert len(meta.metadata) == 3
    return meta.num_row_groups


def check_parquet(path, width, rows, kind, counted):
    paths, labels, bits = expected(width, rows, kind)
    is_byte = kind == np.uint8
    groups = check_layout(path, width, rows, paths, labels, counted)

    schema = pq.read_schema(path)
    assert schema.names == ["path", "label", *["keypoints"] * counted, "features"]
    assert not counted or schema.field("keypoints").type == pa.int32()
    assert schema.field("path").type == pa.string() and schema.field("label").type == pa.string()
    assert pa.types.is_list(schema.field("features").type)
    assert schema.field("features").type.value_type == (pa.uint8() if is_byte else pa.float32())
    element = pq.ParquetFile(path).schema.column(2 + counted)
    # Readers from before logical types know the converted ones.
    assert (element.physical_type, element.converted_type) == (("INT32", "UINT_8") if is_byte else ("FLOAT", "NONE"))
    assert not is_byte or json.loads(element.logical_type.to_json()) == {
        "Type": "Int", "bitWidth": 8, "isSigned": False}, element.logical_type
    table = pq.read_table(path)
    table.validate(full=True)
    same_names(paths, labels, (table["path"].to_pylist(), table["label"].to_pylist()), "pyarrow")
    assert not counted or table["keypoints"].to_pylist() == keypoints_of(rows)
    lists = table["features"].combine_chunks()
    lists = lists if isinstance(lists, pa.ListArray) else pa.concat_arrays(lists.chunks or [pa.array([], lists.type)])
    assert np.array_equal(np.asarray(lists.value_lengths()), np.full(rows, width)), "pyarrow: lengths of lists"
    same_bits(lists.flatten().to_numpy(), bits, "pyarrow")

    frame = pl.read_parquet(path)
    assert frame.schema == {"path": pl.String, "label": pl.String, **{"keypoints": pl.Int32 for _ in range(counted)},
                            "features": pl.List(pl.UInt8 if is_byte else pl.Float32)}, frame.schema
    same_names(paths, labels, (frame["path"], frame["label"]), "polars")
    assert (frame["features"].list.len() == width).all()
    same_bits(frame["features"].explode(empty_as_null=False).to_numpy(), bits, "polars")

    db = duckdb.connect()
    db.execute(f"create view t as select * from read_parquet('{path}')")
    kinds = dict((row[0], row[1]) for row in db.execute("describe t").fetchall())
    assert kinds == {"path": "VARCHAR", "label": "VARCHAR", **{"keypoints": "INTEGER" for _ in range(counted)},
                     "features": "UTINYINT[]" if is_byte else "FLOAT[]"}, kinds
    assert not counted or [n[0] for n in db.execute("select keypoints from t").fetchall()] == keypoints_of(rows)
    names = db.execute("select path, label from t").fetchall()
    same_names(paths, labels, ([n[0] for n in names], [n[1] for n in names]), "duckdb")
    if rows > 0:
        flat = db.execute("select unnest(features) as x from t").fetchnumpy()["x"]
        same_bits(np.asarray(flat, kind), bits, "duckdb")
        wanted = paths[rows // 2]  # through min and max of the row groups
        found = db.execute("select features from t where path = ?", [wanted]).fetchall()
        assert len(found) == 1, f"duckdb finds {len(found)} rows of {wanted!r}"
        same_bits(np.array(found[0][0], kind), bits[rows // 2], "duckdb, one row")
    return groups


def check_csv(path, width, rows, kind, counted):
    paths, labels, bits = expected(width, rows, kind)
    is_byte = kind == np.uint8
    assert json.loads(pathlib.Path(f"{path}.record.json").read_text()) == json.loads(RECORD)
    text = path.read_bytes().decode()
    table = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert table[0] == ["path", "label", *["keypoints"] * counted] + [f"f{i}" for i in range(width)]
    assert not counted or [r[2] for r in table[1:]] == list(map(str, keypoints_of(rows)))
    table = [r[:2] + r[2 + counted:] for r in table]
    same_names(paths, labels, ([r[0] for r in table[1:]], [r[1] for r in table[1:]]), "csv")
    same_bits(np.array([r[2:] for r in table[1:]], np.float64).astype(kind), bits, "csv")
    assert not is_byte or [r[2:] for r in table[1:]] == bits.astype(str).tolist(), "bytes are integers, and nothing else"
    if rows == 0:
        return
    frame = pl.read_csv(path)
    assert all(found == (pl.Int64 if is_byte else pl.Float64) for found in frame.dtypes[2 + counted:])
    assert not counted or frame.dtypes[2] == pl.Int64, frame.schema
    same_names(paths, labels, (frame["path"], frame["label"].fill_null("")), "polars csv")
    same_bits(frame.select(pl.nth(range(2 + counted, width + 2 + counted))).to_numpy().astype(kind), bits, "polars csv")
    same = duckdb.connect()
    columns = {"path": "VARCHAR", "label": "VARCHAR"} | {"keypoints": "INTEGER" for _ in range(counted)} | {
        f"f{i}": "UTINYINT" if is_byte else "FLOAT" for i in range(width)}
    read = same.execute(f"select * from read_csv('{path}', columns={columns}, header=true, nullstr='\\N', quote='\"', "
                        "escape='\"', delim=',', parallel=false, auto_detect=false, new_line='\\n', comment='')")
    read = read.fetchnumpy()
    same_names(paths, labels, (read["path"], read["label"]), "duckdb csv")
    same_bits(np.stack([np.asarray(read[f"f{i}"]) for i in range(width)], 1), bits, "duckdb csv")


def check_npy(path, width, rows, kind, counted):
    paths, labels, bits = expected(width, rows, kind)
    assert json.loads(pathlib.Path(f"{path}.record.json").read_text()) == json.loads(RECORD)
    array = np.load(path)
    assert array.shape == (rows, width), array.shape
    same_bits(array, bits, "numpy")
    assert np.load(path, mmap_mode="r").offset % 64 == 0
    with open(f"{path}.index.csv", encoding="utf-8", newline="") as file:
        table = list(csv.reader(file, strict=True))
    assert table[0] == ["path", "label", *["keypoints"] * counted]
    assert not counted or [r[2] for r in table[1:]] == list(map(str, keypoints_of(rows)))
    same_names(paths, labels, ([r[0] for r in table[1:]], [r[1] for r in table[1:]]), "index")


CHECKS = {"csv": check_csv, "npy": check_npy, "parquet": check_parquet}
# Format, width, rows, row groups, type of the features, a column of keypoints. The last three fill several pages of names, and several row groups.
CASES = [(name, width, rows, 1 if rows else 0, kind, 0) for kind in (np.float32, np.uint8) for name in CHECKS
         for width in (1, 2, 3, 1280) for rows in (0, 1, 1000)]
CASES += [(name, width, rows, 1 if rows else 0, np.float32, 1) for name in CHECKS for width in (1, 3)
          for rows in (0, 1, 1000)]
CASES += [("npy", 1280, 3000, 0, np.float32, 0), ("parquet", 1, 300_000, 1, np.float32, 1),
          ("parquet", 1280, 28_000, 3, np.float32, 0), ("parquet", 1280, 28_000, 3, np.uint8, 1)]


def main():
    with tempfile.TemporaryDirectory(prefix="pomona-read-back-") as folder:
        for name, width, rows, groups, kind, counted in CASES:
            path = pathlib.Path(folder) / f"sample-{kind.__name__}-{counted}-{width}-{rows}.{name}"
            subprocess.run([sys.argv[1], path, name, str(width), str(rows), kind.__name__,
                            *["keypoints"] * counted], check=True)
            print(f"{name}, {rows} rows of {width} {kind.__name__}" + ", keypoints" * counted, flush=True)
            found = CHECKS[name](path, width, rows, kind, counted)
            assert found is None or found == groups, f"{found} row groups, not {groups}"
    print(f"{len(CASES)} files: pyarrow {pa.__version__}, duckdb {duckdb.__version__}, polars {pl.__version__}, "
          f"numpy {np.__version__} agree")


main()
