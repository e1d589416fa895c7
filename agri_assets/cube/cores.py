"""How many processors there are to use."""

import os


def worker_count() -> int:
    """Threads to decode and write with: the processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
