#!/usr/bin/env python3
"""Make the golden pictures: what Pillow decodes and resizes, to the bit.

Everything is drawn from one small generator of numbers that the C test repeats, so the script gives the same files on
every run; nothing real is stored but paths and hashes.  What the files mean and which versions made them:
image_README.md.
"""
import csv
import hashlib
import io
import os
import pathlib
import struct
import warnings
import zlib

import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
SHARED = HERE.parents[2] / "shared"
FRUITS = pathlib.Path(os.environ.get("POMONA_FRUITS", SHARED / "fruits-360"))
BAD_JPEG = SHARED / "bad-jpeg" / "files"
FOLDER = HERE / "image_decode"
FILTERS = {name: getattr(Image.Resampling, name.upper()) for name in ("nearest", "bilinear", "bicubic")}


def sha(array):
    return hashlib.sha256(np.ascontiguousarray(array, dtype=np.uint8).tobytes()).hexdigest()


def rgb(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


# ------------------------------------------------------------------------------------------------- made-up pictures


def noise(width, height, kind="noise"):
    """[height, width, 3] u8.  noise: the top byte of a linear congruential generator; extremes: its top bit, 0 or 255;
    ramp: a smooth slope that differs in each colour."""
    out = bytearray(width * height * 3)
    if kind == "ramp":
        for i in range(len(out)):
            x, y, c = i // 3 % width, i // 3 // width, i % 3
            out[i] = (x * (c + 1) * 3 + y * (3 - c) * 2) & 255
    else:
        state = 12345
        for i in range(len(out)):
            state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
            out[i] = (255 if state >> 31 else 0) if kind == "extremes" else state >> 24
    return np.frombuffer(bytes(out), np.uint8).reshape(height, width, 3)


def photo(width, height):
    """Smooth colour with an edge and a little noise: what JPEG is made for."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    r = 128 + 100 * np.sin(x / 7) * np.cos(y / 5)
    g = 255 * x / max(width - 1, 1)
    b = np.where((x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(width, height) / 3) ** 2, 230, 20)
    image = np.stack([r, g, b], axis=2) + noise(width, height) / 16.0
    return np.clip(image, 0, 255).astype(np.uint8)


# ------------------------------------------------------------------------------------------------------------- JPEG


def jpeg(array, mode="RGB", **options):
    out = io.BytesIO()
    Image.fromarray(array, mode).save(out, "JPEG", **options)
    return out.getvalue()


def resample_factors(data, factors):
    """The same blocks under other sampling factors of the first component: Pillow writes only 4:4:4, 4:2:2 and 4:2:0."""
    at = data.index(b"\xff\xc0") + 11
    return data[:at] + bytes([factors]) + data[at + 1 :]


def with_comment_exif(data, orientation):
    """An EXIF segment that says nothing but the orientation."""
    tiff = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x112, 3, 1, orientation, 0) + b"\0\0\0\0"
    body = b"Exif\0\0" + tiff
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]


def jpegs():
    small, square = photo(37, 23), photo(32, 32)
    cmyk = np.concatenate([photo(37, 23), noise(37, 23)[:, :, :1] // 2], axis=2)
    files = {
        "rgb_444": jpeg(small, quality=90, subsampling="4:4:4"),
        "rgb_422": jpeg(small, quality=90, subsampling="4:2:2"),
        "rgb_420": jpeg(small, quality=75, subsampling="4:2:0"),
        "rgb_420_low": jpeg(small, quality=10, subsampling="4:2:0"),
        "rgb_440": resample_factors(jpeg(square, quality=85, subsampling="4:2:2"), 0x12),
        "rgb_411": resample_factors(jpeg(square, quality=85, subsampling="4:2:0"), 0x41),
        "rgb_untransformed": jpeg(small, quality=90, keep_rgb=True),
        "progressive_444": jpeg(small, quality=90, subsampling="4:4:4", progressive=True),
        "progressive_420": jpeg(small, quality=75, subsampling="4:2:0", progressive=True),
        "optimised": jpeg(small, quality=60, optimize=True),
        "restarts": jpeg(small, quality=75, restart_marker_blocks=2),
        "grey": jpeg(small[:, :, 0], "L", quality=80),
        "grey_progressive": jpeg(small[:, :, 0], "L", quality=80, progressive=True),
        "cmyk": jpeg(cmyk, "CMYK", quality=90),
        "one_pixel": jpeg(photo(1, 1)),
        "one_row": jpeg(photo(61, 1), subsampling="4:2:0"),
        "one_column": jpeg(photo(1, 61), subsampling="4:2:0"),
        "noise": jpeg(noise(37, 23), quality=95, subsampling="4:2:0"),
    }
    adobe = files["cmyk"].index(b"Adobe")
    files["ycck"] = files["cmyk"][: adobe + 11] + b"\x02" + files["cmyk"][adobe + 12 :]
    files["cmyk_unmarked"] = files["cmyk"][: adobe - 4] + files["cmyk"][adobe + 12 :]
    files["orientation_6"] = with_comment_exif(files["rgb_420"], 6)
    files["junk_after_the_end"] = files["rgb_420"] + b"\xff\xd8junk" * 9
    files["no_end_marker"] = files["rgb_420"][:-2] + b"\0" * 64
    scan = files["rgb_420"].index(b"\xff\xda") + 60  # well inside the entropy-coded data
    files["bad_codes"] = files["rgb_420"][:scan] + bytes(b ^ 0x55 for b in files["rgb_420"][scan : scan + 4]).replace(
        b"\xff", b"\xfe") + files["rgb_420"][scan + 4 :]
    files["ends_early_in_a_marker"] = files["rgb_420"][:scan] + b"\xff\xd9"
    return {name + ".jpg": data for name, data in files.items()}


# -------------------------------------------------------------------------------------------------------------- PNG

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_rows(samples, bits):
    """Filter byte 0 and the packed samples of each row; samples [h, w, channels]."""
    rows = b""
    for row in samples.reshape(samples.shape[0], -1):
        if bits == 16:
            packed = row.astype(">u2").tobytes()
        else:
            digits = np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, 8 - bits :]
            packed = np.packbits(digits.reshape(-1)).tobytes()
        rows += b"\0" + packed
    return rows


def png(samples, colour, bits, interlaced=False, extra=b""):
    height, width = samples.shape[:2]
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    raw = b""
    for x, y, dx, dy in passes:
        part = samples[y::dy, x::dx]
        raw += png_rows(part, bits) if part.size else b""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(raw, 9))
            + chunk(b"IEND", b""))


def png_filtered(array, mode):
    out = io.BytesIO()
    Image.fromarray(array, mode).save(out, "PNG")
    return out.getvalue()


def pngs():
    files = {}
    width, height = 13, 11
    for colour, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items():
        for bits in depths:
            values = noise(width, height * 8).reshape(-1).astype(np.uint32)
            count = width * height * CHANNELS[colour]
            samples = (values[:count] * 256 + values[count : 2 * count]) >> (16 - bits)
            if colour == 0 and bits == 16:
                samples[::2] &= 0x1FF  # around the 255 at which Pillow clips
            samples = samples.reshape(height, width, CHANNELS[colour])
            extra = b""
            if colour == 3:
                entries = max((1 << bits) - 3, 2)  # the last indices lie past the palette
                extra = chunk(b"PLTE", noise(entries, 1).tobytes())
            kind = {0: "grey", 2: "rgb", 3: "palette", 4: "grey_alpha", 6: "rgba"}[colour]
            for interlaced in (False, True):
                name = f"{kind}_{bits}" + ("_interlaced" if interlaced else "")
                files[name] = png(samples, colour, bits, interlaced, extra)
    eight = noise(width, height)[:, :, :1] // 32
    palette = chunk(b"PLTE", noise(8, 1).tobytes())
    files["palette_8_transparent"] = png(eight, 3, 8, extra=palette + chunk(b"tRNS", bytes([0, 128, 255, 7])))
    files["grey_8_transparent"] = png(eight, 0, 8, extra=chunk(b"tRNS", b"\0\x03"))
    files["grey_16_transparent"] = png(eight, 0, 16, extra=chunk(b"tRNS", b"\0\x03"))
    files["rgb_8_transparent"] = png(noise(width, height), 2, 8, extra=chunk(b"tRNS", b"\0\x03\0\x03\0\x03"))
    files["gamma"] = png(noise(width, height), 2, 8, extra=chunk(b"gAMA", struct.pack(">I", 100000)))
    files["filtered_rgb"] = png_filtered(photo(37, 23), "RGB")
    files["filtered_rgba"] = png_filtered(np.concatenate([photo(37, 23), noise(37, 23)[:, :, :1]], axis=2), "RGBA")
    return {"png_" + name + ".png": data for name, data in files.items()}


# ------------------------------------------------------------------------------------------------------------- WebP


def webp(array, mode, **options):
    out = io.BytesIO()
    Image.fromarray(array, mode).save(out, "WEBP", **options)
    return out.getvalue()


def riff(name, body):
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) & 1)


def little_24(value):
    return struct.pack("<I", value)[:3]


def webps():
    alpha = np.concatenate([photo(37, 23), np.where(noise(37, 23)[:, :, :1] < 64, 0, noise(37, 23)[:, :, :1])], axis=2)
    files = {
        "lossy": webp(photo(37, 23), "RGB", quality=80),
        "lossy_noise": webp(noise(37, 23), "RGB", quality=30),
        "lossless": webp(photo(37, 23), "RGB", lossless=True),
        "lossy_alpha": webp(alpha, "RGBA", quality=80),
        "lossless_alpha": webp(alpha, "RGBA", lossless=True, exact=True),
        "one_pixel": webp(photo(1, 1), "RGB", quality=80),
    }
    out = io.BytesIO()
    second = Image.fromarray(photo(37, 23)[::-1].copy())
    Image.fromarray(photo(37, 23)).save(out, "WEBP", save_all=True, append_images=[second], duration=40)
    files["animated"] = out.getvalue()
    # A first frame that covers only part of the canvas: 20x10 at 4,6 of 37x23.
    payload = webp(photo(20, 10), "RGB", quality=80)[12:]
    head = little_24(4 // 2) + little_24(6 // 2) + little_24(20 - 1) + little_24(10 - 1) + little_24(40) + b"\0"
    body = riff(b"VP8X", b"\x02\0\0\0" + little_24(37 - 1) + little_24(23 - 1))
    body += riff(b"ANIM", b"\x10\x20\x30\xff\0\0") + riff(b"ANMF", head + payload)
    files["animated_part"] = riff(b"RIFF", b"WEBP" + body)
    return {"webp_" + name + ".webp": data for name, data in files.items()}


# ----------------------------------------------------------------------------------------------------------- tables


def write_table(name, head, rows):
    with open(HERE / name, "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(head)
        out.writerows(rows)
    print(f"{name}: {len(rows)} rows")


def write_decoded():
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    rows = []
    for name, data in sorted({**jpegs(), **pngs(), **webps()}.items()):
        (FOLDER / name).write_bytes(data)
        pixels = rgb(data)
        np.save(FOLDER / (name + ".npy"), pixels)
        rows.append([name])
    write_table("image_decode.csv", ["file"], rows)
    # As many pixels a byte as Pillow can write in a JPEG; too large to store its pixels, which are all 200.
    solid = jpeg(np.full((2048, 2304), 200, np.uint8), "L", quality=75, progressive=True)
    assert (rgb(solid) == 200).all()
    (HERE / "image_solid.jpg").write_bytes(solid)


SIZES = [
    ((100, 100), (224, 224)), ((100, 100), (20, 20)), ((100, 100), (50, 50)), ((100, 100), (100, 100)),
    ((100, 100), (224, 100)), ((100, 100), (100, 224)), ((100, 100), (99, 101)), ((100, 100), (1, 1)),
    ((37, 23), (224, 224)), ((37, 23), (7, 5)), ((37, 23), (41, 19)), ((23, 37), (22, 38)), ((37, 23), (64, 86)),
    ((3, 3), (7, 7)), ((7, 7), (3, 3)), ((1, 1), (1, 1)), ((1, 1), (5, 3)), ((2, 2), (3, 3)), ((5, 4), (4, 5)),
    ((1, 50), (1, 7)), ((1, 50), (3, 120)), ((50, 1), (7, 1)), ((50, 1), (120, 3)), ((1, 9), (9, 1)), ((9, 1), (1, 9)),
    ((641, 427), (224, 224)), ((427, 641), (331, 17)), ((300, 200), (299, 199)), ((90, 70), (640, 480)),
    ((17, 13), (256, 257)), ((17, 13), (85, 86)), ((17, 13), (15, 64)), ((1000, 2), (3, 2)), ((2, 1000), (2, 3)),
    ((600, 5), (13, 31)), ((5, 600), (31, 13)), ((33, 31), (32, 30)), ((64, 64), (32, 32)), ((32, 32), (96, 96)),
    ((255, 3), (256, 4)), ((10, 13), (5, 3)), ((10, 13), (5, 2)), ((12, 21), (171, 43)), ((11, 19), (128, 9)),
]  # fmt: skip


def write_resampled():
    rows = []
    for i, (size, target) in enumerate(SIZES):
        for kind in ("noise", "extremes", "ramp"):
            image = Image.fromarray(noise(*size, kind))
            for name, filter in FILTERS.items():
                resized = np.asarray(image.resize(target, filter))
                rows.append([kind, *size, *target, name, sha(resized)])
    write_table("image_resample.csv", ["kind", "width", "height", "to_width", "to_height", "filter", "sha256"], rows)


def write_fruits():
    names = sorted(str(p.relative_to(FRUITS)) for p in FRUITS.glob("*/*/*.jpg"))
    rows = []
    for name in names[:: max(len(names) // 20, 1)][:20]:
        image = Image.open(FRUITS / name).convert("RGB")
        rows.append([name, sha(image), *(sha(image.resize((224, 224), f)) for f in FILTERS.values())])
    write_table("image_fruits.csv", ["path", "decoded", *(f + "_224" for f in FILTERS)], rows)


def write_bad_jpegs():
    """The files that Pillow opens.  No hash for arithmetic progressive ones (SOF10): those here lack scans, and how the
    missing coefficients are smoothed over changed from libjpeg-turbo 2.1 to 3."""
    rows = []
    for path in sorted(BAD_JPEG.iterdir()):
        data = path.read_bytes()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                pixels = rgb(data)
        except Exception:  # Pillow raises many kinds; each means refused
            continue
        rows.append([path.name, "" if b"\xff\xca" in data else sha(pixels)])
    write_table("image_bad_jpeg.csv", ["file", "sha256"], rows)


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)
    from PIL import features

    print(f"Pillow {features.version('pil')}, libjpeg-turbo {features.version('libjpeg_turbo')}, "
          f"libwebp {features.version('webp')}, numpy {np.__version__}")
    write_decoded()
    write_resampled()
    write_fruits()
    write_bad_jpegs()
