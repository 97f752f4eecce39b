#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Code that documentation shows is code that compiles.

Pages: a block of C++ has `<!-- cut from FILE [NAME] -->` above it and equals the part of FILE between
the lines `// [NAME]` and `// [NAME] end`, or the file's end; `<!-- no program -->` says it is none.
Tables: what lies between `<!-- NAME.py -->` and `<!-- end -->` is what that script prints.
Public headers: the n-th block of a doc comment of H.hpp equals the n-th part `// [H.hpp]` of
header_snippets.cpp, up to white space; `…` stands for what a reader needn't see."""

import argparse
import difflib
import pathlib
import re
import subprocess
import sys
import textwrap

FENCE = re.compile(r"(?P<before>[^\n]*)\n```(?:cpp|c\+\+)[^\n]*\n(?P<code>.*?)^```", re.S | re.M)
CUT = re.compile(r"<!-- cut from (?P<file>[\w./-]+)(?: \[(?P<name>[^\]]+)\])? -->$")
TABLE = re.compile(r"^<!-- (?P<script>\w+\.py) -->\n(?P<table>.*?)^<!-- end -->$", re.S | re.M)
NO_PROGRAM = "<!-- no program -->"


def parts_of(text, name):
    """The parts of a source that carry this name, in order, without their indentation."""
    mark = re.escape(f"// [{name}]")
    found = re.finditer(rf"^ *{mark}\n(.*?)(?=^ *{mark} end$|\Z)", text, re.S | re.M)
    return [textwrap.dedent(each.group(1)) for each in found]


def source_of(root, file, name):
    """Its text, or None when there is no such part."""
    path = root / file
    if not path.is_file():
        return None
    if name is None:
        return path.read_text()
    parts = parts_of(path.read_text(), name)
    return parts[0] if len(parts) == 1 else None


def check_page(root, page):
    text = (root / page).read_text()
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start("code"))
        before = found["before"].strip()
        cut = CUT.match(before)
        if before == NO_PROGRAM:
            continue
        if not cut:
            yield f"{page}:{line}: C++ without a source is banned, put '<!-- cut from FILE -->' above"
            continue
        source = source_of(root, cut["file"], cut["name"])
        if source is None:
            yield f"{page}:{line}: {cut['file']} has no one part [{cut['name']}]"
        elif source != found["code"]:
            changes = difflib.unified_diff(source.splitlines(), found["code"].splitlines(),
                                           cut["file"], page, lineterm="")
            yield f"{page}:{line}: it isn't what {cut['file']} has\n" + "\n".join(changes)


def check_tables(root, page):
    """What a page shows between `<!-- NAME.py -->` and `<!-- end -->` is what the script beside it prints."""
    text = (root / page).read_text()
    for found in TABLE.finditer(text):
        script = (root / page).parent / found["script"]
        printed = subprocess.run([sys.executable, script], check=True, capture_output=True, text=True).stdout
        if printed != found["table"]:
            line = text.count("\n", 0, found.start())
            yield f"{page}:{line + 1}: it isn't what {found['script']} prints\n{printed}"


def blocks_of(header):
    """(line, code) of each block of code in the doc comments of a header."""
    lines = header.read_text().splitlines()
    at = 0
    while at < len(lines):
        first = at
        while at < len(lines) and re.match(r"///   +\S", lines[at]):
            at += 1
        code = [line[6:] for line in lines[first:at]]
        if code and not code[0].startswith("- "):
            yield first + 1, "\n".join(code)
        at = max(at, first + 1)


def is_shown(shown, compiled):
    """Equal up to white space; `…` in what is shown stands for anything."""
    packed = ["".join(piece.split()) for piece in shown.split("…")]
    pattern = ".*".join(re.escape(piece) for piece in packed)
    return re.fullmatch(pattern, "".join(compiled.split()), re.S) is not None


def check_headers(root, compiled):
    text = compiled.read_text()
    name_of = compiled.relative_to(root)
    for header in sorted((root / "include" / "fermata").glob("*.hpp")):
        parts = parts_of(text, header.name)
        blocks = list(blocks_of(header))
        for (line, code), part in zip(blocks, parts):
            if not is_shown(code, part):
                yield f"{header.relative_to(root)}:{line}: it isn't what {name_of} has\n{part}"
        for line, code in blocks[len(parts):]:
            yield f"{header.relative_to(root)}:{line}: not compiled in {name_of}\n{code}"
        if len(parts) > len(blocks):
            yield f"{name_of}: {header.name} shows {len(blocks)} blocks, here are {len(parts)}"


def pages(root):
    command = ["git", "-C", str(root), "ls-files", "-z", "-c", "-o", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return sorted(path for path in set(listed.split("\0")) if path and (root / path).is_file())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).parents[2])
    root = parser.parse_args().root.resolve()
    problems = [problem for page in pages(root) for problem in check_page(root, page)]
    problems += [problem for page in pages(root) for problem in check_tables(root, page)]
    problems += check_headers(root, root / "tests" / "docs" / "header_snippets.cpp")
    for problem in problems:
        print(problem)
    print(f"{len(problems)} findings" if problems else "nothing to say")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
