#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What driven.py itself promises to the tests of whole processes.

    driven_test.py BIN_FOLDER"""

import subprocess
import sys

from driven import carry_out


def a_worker_that_ends_while_a_condition_is_asked_may_be_what_it_asks_for(at):
    worker = at.workers["brief"] = subprocess.Popen(["sleep", "60"])

    def has_ended():
        was_there = worker.poll() is None
        worker.kill()
        worker.wait()
        return not was_there

    at.until(has_ended, "the worker has ended")


def a_worker_that_has_ended_is_told_where_it_is_not_asked_for(at):
    at.workers["brief"] = subprocess.Popen(["true"])
    try:
        at.until(lambda: False, "never")
    except AssertionError as told:
        assert "brief ended with 0, while waiting until never" in str(told), told
    else:
        raise AssertionError("nothing was told")


if __name__ == "__main__":
    sys.exit(carry_out([
        a_worker_that_ends_while_a_condition_is_asked_may_be_what_it_asks_for,
        a_worker_that_has_ended_is_told_where_it_is_not_asked_for], sys.argv[1]))
