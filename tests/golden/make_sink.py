"""Makes sink_floats.csv: float32 bit patterns and their shortest decimals by NumPy. Needs numpy; deterministic."""
import pathlib

import numpy as np

random = np.random.Generator(np.random.PCG64(2026))
bits = [0x00000000, 0x80000000, 0x00000001, 0x007FFFFF, 0x00800000, 0x7F7FFFFF, 0xFF7FFFFF]
for exponent in range(255):
    # Powers of two have a closer neighbour below; the others are a mix of all digit counts.
    bits += [exponent << 23, exponent << 23 | 0x7FFFFF]
    bits += [int(exponent << 23 | fraction) for fraction in random.integers(0, 1 << 23, 10)]
short = [f"{digits}e{power}" for digits in random.integers(1, 10000, 40) for power in random.integers(-40, 35, 25)]
bits += [int(np.float32(text).view(np.uint32)) for text in short]
bits += [int(np.float32(value).view(np.uint32)) for value in range(-256, 257)]

lines = [f"# numpy {np.__version__}: numpy.format_float_scientific(x, unique=True, trim='-')"]
for pattern in bits:
    value = np.uint32(pattern).view(np.float32)
    lines.append(f"{pattern:08x},{np.format_float_scientific(value, unique=True, trim='-')}")
path = pathlib.Path(__file__).with_name("sink_floats.csv")
path.write_text("\n".join(lines) + "\n")
