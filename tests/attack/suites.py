# SPDX-License-Identifier: Apache-2.0
"""The functional suite (tests/unit/worker/semantics), for attacks that have all of it run in one way."""

import os
import re
import subprocess

SUITES = ("waits", "saga", "steps", "remote", "client", "samples", "retry")


def carry_out(suite, bin_folder, **asked):
    """How many scenarios ended as they should, and what was said on stderr; None when one didn't. `asked`: variables
    of the environment. What a suite keeps as evidence of its own isn't the attack's."""
    environment = dict(os.environ, **asked)
    environment.pop("FERMATA_EVIDENCE", None)
    ran = subprocess.run([bin_folder / f"semantics_{suite}"], capture_output=True, text=True, env=environment)
    cases = re.search(r"test cases: +(\d+)", ran.stdout)
    if ran.returncode != 0 or not cases:
        print(f"{' '.join(f'{name}={value}' for name, value in asked.items())} semantics_{suite} ended with "
              f"{ran.returncode}:\n{(ran.stdout + ran.stderr)[-6000:]}", flush=True)
        return None
    return int(cases[1]), ran.stderr
