#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""check.py [--root DIR]: reads every tracked and every new file and prints `file:line: X is banned,
use Y` for each finding; exits with 1 if there is any. CONTRIBUTING.md explains the rules.

A comment `tidy: reason` on the line or the line above waives what is said about that line."""

import argparse
import pathlib
import re
import subprocess
import sys

import rules
from cpp_text import Source

CPP = (".cpp", ".hpp")
HASH = (".py", ".sh", ".cmake")
CODE = CPP + HASH + (".js", ".sql")
WAIVER = re.compile(r"(//|#|--|/\*)\s*tidy: \S.{7,}")


class File:
    """A file of the tree: its path from the root, its text, and its code if it is C++."""

    def __init__(self, root, path):
        self.path = path
        self.name = path.rsplit("/", 1)[-1]
        self.suffix = pathlib.PurePosixPath(path).suffix
        self.top = path.split("/", 1)[0] if "/" in path else ""
        self.text = (root / path).read_text(encoding="utf-8")
        self.lines = self.text.split("\n")
        self.cpp = Source(self.text) if self.suffix in CPP else None

    def is_code(self):
        return self.suffix in CODE or self.name == "CMakeLists.txt" or self.path == ".ci/run"

    def waived(self, line):
        near = self.lines[max(0, line - 2) : line]
        return any(WAIVER.search(text) for text in near)


def tracked_files(root):
    command = ["git", "-C", str(root), "ls-files", "-z", "-c", "-o", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True).stdout.decode().split("\0")
    for path in sorted(set(listed) - {""}):
        full = root / path
        if full.is_symlink() or not full.is_file():
            continue
        try:
            yield File(root, path)
        except UnicodeDecodeError:
            continue  # not a text file


def findings(root):
    """All findings as (path, line, sentence), each once, in order."""
    files = list(tracked_files(root))
    found = set()
    for file in files:
        for rule in rules.PER_FILE:
            for line, sentence in rule(file):
                if not file.waived(line):
                    found.add((file.path, line, sentence))
    for rule in rules.PER_TREE:
        found.update(rule(files))
    return sorted(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).parents[2])
    found = findings(parser.parse_args().root.resolve())
    for path, line, sentence in found:
        print(f"{path}:{line}: {sentence}")
    print(f"{len(found)} findings" if found else "nothing to say")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
