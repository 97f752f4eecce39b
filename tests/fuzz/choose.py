#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Adds to a corpus what reaches most code that nothing in it reaches, until it has so many files; says how much
of all that is reached it reaches then.

    choose.py FUZZER CORPUS FOUND [--files 100]
"""
import argparse
import pathlib
import shutil
import subprocess
import tempfile


def reached(fuzzer, *folders):
    """file → the places that it reaches, as libFuzzer writes them when it merges."""
    with tempfile.TemporaryDirectory() as folder:
        control = pathlib.Path(folder) / "control"
        (pathlib.Path(folder) / "merged").mkdir()
        subprocess.run([fuzzer, "-set_cover_merge=1", "-use_counters=0", "-max_len=1024", f"-merge_control_file={control}",
                        f"{folder}/merged", *folders], check=True, capture_output=True)
        lines = control.read_text().splitlines()
    count = int(lines[0])
    files = lines[2:2 + count]
    places = {}
    for line in lines[2 + count:]:
        word, number, *rest = line.split()
        if word == "FT":
            places[pathlib.Path(files[int(number)])] = set(rest)
    return places


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("fuzzer")
    arguments.add_argument("corpus", type=pathlib.Path)
    arguments.add_argument("found", type=pathlib.Path)
    arguments.add_argument("--files", type=int, default=100)
    asked = arguments.parse_args()
    places = reached(asked.fuzzer, asked.corpus, asked.found)
    every = set().union(*places.values())
    have = {file for file in places if file.parent == asked.corpus}
    known = set().union(*(places.pop(file) for file in have))
    for number in range(len(have), asked.files):
        best = max(places, key=lambda file: (len(places[file] - known), -file.stat().st_size), default=None)
        if best is None or not places[best] - known:
            break
        known |= places.pop(best)
        shutil.copy(best, asked.corpus / best.name[:12])
    print(f"{asked.corpus.name}: {len(list(asked.corpus.iterdir()))} inputs reach {len(known)} of {len(every)} places")


if __name__ == "__main__":
    main()
