"""Write the reference page to standard output."""

from __future__ import annotations

import sys

from pipelines.lab.reference.page import page

if __name__ == "__main__":
    sys.stdout.write(page())
