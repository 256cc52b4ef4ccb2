"""Tasks that leave a mark each time they are begun, so that a test can count."""

import os
import time
from collections import Counter
from pathlib import Path


def mark(path, number, seconds=0.0):
    """Append a line to a file, work for a while, and return the number's square."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, b"%d\n" % number)
    os.close(descriptor)
    time.sleep(seconds)
    return number * number


def begun(path):
    """Return how often each number was begun."""
    return Counter(map(int, Path(path).read_text().split())) if Path(path).exists() else Counter()
