#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""run.py [compiler] [--only WORDS]: programs that must not compile, with the words the compiler has
to say; some that must; and every public header on its own. Prints one line a case."""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

import cases

HERE = pathlib.Path(__file__).resolve().parent
INCLUDE = HERE.parents[1] / "include"
FLAGS = ["-std=c++20", "-Wall", "-Wextra", "-Wno-unused", "-Wno-unused-parameter", "-Wno-missing-field-initializers",
         "-Wunused-result", "-Werror=unused-result", "-Werror", "-I", str(INCLUDE)]


def call(command, text=None):
    """Whether it succeeded, and what it said."""
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    return done.returncode == 0, done.stderr


class Compiler:
    """The compiler, with head.hpp precompiled where that works."""

    def __init__(self, command, folder):
        self.command = [*command, *FLAGS]
        self.is_clang = "clang" in command[0]
        # The words have to be the compiler's, not those of the line it quotes.
        quiet = "-fno-caret-diagnostics" if self.is_clang else "-fno-diagnostics-show-caret"
        self.command.append(quiet)
        head = folder / "head.hpp"
        head.write_text((HERE / "head.hpp").read_text(encoding="utf-8"), encoding="utf-8")
        made = head.with_suffix(".hpp.pch" if self.is_clang else ".hpp.gch")
        ok, said = call([*self.command, "-x", "c++-header", str(head), "-o", str(made)])
        if not ok:
            sys.exit(f"head.hpp doesn't compile:\n{said}")
        self.head = ["-include-pch", str(made)] if self.is_clang else ["-include", str(head)]

    def program(self, text):
        syntax = [*self.command, *self.head, "-fsyntax-only", "-x", "c++", "-"]
        return call(syntax, text + "\n")

    def header(self, name):
        text = f"#include <{name}>\n#include <{name}>\n"
        return call([*self.command, "-fsyntax-only", "-x", "c++", "-"], text)


def short(line):
    line = re.sub(r"^.*?(error|note): (static assertion failed( due to requirement .*?)?: )?", "",
                  line.strip())
    return line[:100]


def check_refused(compiler, title, case):
    text, words = case
    ok, said = compiler.program(text)
    lines = said.splitlines()
    errors = [line for line in lines if "error:" in line]
    if ok:
        return False, f"{title}: compiles"
    found = next((line for line in lines if words in line), None)
    if found is None:
        return False, f"{title}: doesn't say '{words}' but\n" + "\n".join(errors[:5])
    return True, f"{title}: {len(errors)} error(s): {short(found)}"


def check_passes(compiler, title, text):
    ok, said = compiler.program(text)
    return ok, f"{title}: compiles" if ok else f"{title}: doesn't compile\n{said[:1500]}"


def check_header(compiler, name):
    ok, said = compiler.header(name)
    return ok, f"{name}: compiles alone" if ok else f"{name}: doesn't compile alone\n{said[:1500]}"


def all_headers():
    return sorted(str(p.relative_to(INCLUDE)) for p in INCLUDE.rglob("*.hpp"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("compiler", nargs="?", default="clang++-19")
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    command = shlex.split(given.compiler)
    jobs = max(2, len(os.sched_getaffinity(0)))
    with tempfile.TemporaryDirectory() as folder, \
            concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        compiler = Compiler(command, pathlib.Path(folder))
        asked = [pool.submit(check_refused, compiler, title, case)
                 for title, case in cases.REFUSED.items() if given.only in title]
        asked += [pool.submit(check_passes, compiler, title, text)
                  for title, text in cases.PASSES.items() if given.only in title]
        asked += [pool.submit(check_header, compiler, name)
                  for name in all_headers() if given.only in name]
        bad = 0
        for one in asked:
            held, line = one.result()
            bad += not held
            print("ok  " if held else "BAD ", line, flush=True)
    print(f"{len(asked)} cases: " + ("ok" if not bad else f"{bad} BAD"))
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
