"""What tests in Python share that are functions named test_... of one module."""

import time


def run(tests):
    """Runs those of `tests`, the globals() of a module, in their order."""
    count = 0
    for name, test in list(tests.items()):
        if name.startswith("test_"):
            start = time.monotonic()
            test()
            print(f"good: {name}, {time.monotonic() - start:.1f} s", flush=True)
            count += 1
    assert count > 0
