# SPDX-License-Identifier: Apache-2.0
"""What an attack has shown: see README.md."""

import json
import os
import time


def keep(attack, seed, **counts):
    """Appends a line to the file at FERMATA_EVIDENCE, if that is set; counts are whole numbers."""
    where = os.environ.get("FERMATA_EVIDENCE")
    if not where:
        return
    line = {"attack": attack, "seed": str(seed), "at": int(time.time()), "counts": counts}
    with open(where, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
