"""Side-by-side measurements; never part of the test run. Run one by `python -m benchmarks.NAME`."""
