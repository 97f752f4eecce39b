# SPDX-License-Identifier: Apache-2.0
"""The rules. One for a file yields (line, sentence), one for the tree (path, line, sentence)."""

import ast
import posixpath
import re
import textwrap

from cpp_text import Source, await_is_plain

LINES_MAX, PUBLIC_LINES_MAX, TEST_LINES_MAX, FUNCTION_LINES_MAX = 400, 250, 600, 60


def file_size(file):
    if not file.is_code():
        return
    limit = LINES_MAX
    if file.top == "tests":
        limit = TEST_LINES_MAX
    elif file.suffix == ".hpp" and re.match(r"include/fermata/[^/]*$", file.path):
        limit = PUBLIC_LINES_MAX
    size = len(file.text.splitlines())
    if size > limit:
        yield 1, f"a file of {size} lines is banned, use at most {limit}: split it by idea"


def function_size(file):
    if file.cpp:
        if not file.cpp.balanced:
            yield 1, "unbalanced braces are banned, use conditionals around whole functions"
            return
        functions = list(file.cpp.functions())
    elif file.suffix == ".py":
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        functions = [
            (node.lineno, node.end_lineno, node.name)
            for node in ast.walk(ast.parse(file.text))
            if isinstance(node, kinds)
        ]
    else:
        return
    for first, last, name in functions:
        size = last - first + 1
        if size > FUNCTION_LINES_MAX:
            yield first, (
                f"a function of {size} lines ('{name}') is banned, "
                f"use at most {FUNCTION_LINES_MAX}: split it"
            )


def licence(file):
    if file.suffix in (".cpp", ".hpp", ".proto"):
        wanted = "// SPDX-License-Identifier: Apache-2.0"
    elif file.suffix in (".py", ".sh", ".cmake") or file.name == "CMakeLists.txt":
        wanted = "# SPDX-License-Identifier: Apache-2.0"
    else:
        return
    if wanted not in file.lines[:2]:
        yield 1, f"a source without its licence is banned, use the line '{wanted}' at the top"


def pragma_once(file):
    if file.suffix == ".hpp" and "#pragma once" not in file.lines:
        yield 1, "a header without '#pragma once' is banned, use it below the licence"


_WORDS = [
    (re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b"), "the work done, or an issue"),
    (re.compile(r"\bfor n" r"ow\b(?!\()", re.I), "a sentence that says until when and why"),
]


def banned_words(file):
    if not file.is_code() and file.suffix != ".proto":
        return
    for number, line in enumerate(file.lines, 1):
        for pattern, instead in _WORDS:
            found = pattern.search(line)
            if found:
                yield number, f"'{found.group(0)}' is banned, use {instead}"


# (pattern, what to use, where it is allowed)
_PORTS = "ports (engine/ports, worker/ports)"
_PORT_PLACES = ("engine/ports/", "worker/ports/", "tests/", "bench/", "examples/")
_CALLS = [
    (r"\b(?:system|steady|high_resolution)_clock::now\b", _PORTS, _PORT_PLACES),
    (r"\brandom_device\b", _PORTS, _PORT_PLACES),
    (r"\bthis_thread::sleep_(?:for|until)\b|\bsleep_for\b", _PORTS, _PORT_PLACES),
    (r"\bstd::s?rand\b", _PORTS, _PORT_PLACES),
    (r"(?<![\w>])::u?sleep\b|(?<![\w:.>])(?:usleep|nanosleep)\b", _PORTS,
     (*_PORT_PLACES, "engine/failpoint.cpp")),
    (r"\bstd::w?regex\b", "a hand-written parser: it is faster and bounded", ()),
    (r"\bstd::endl\b", r"'\n'", ()),
]
_CALLS = [(re.compile(pattern), instead, places) for pattern, instead, places in _CALLS]
_USING = re.compile(r"\busing\s+namespace\s+([\w:]+)")


def banned_calls(file):
    if not file.cpp:
        return
    for number, line in enumerate(file.cpp.code.split("\n"), 1):
        for pattern, instead, places in _CALLS:
            found = pattern.search(line)
            if found and not file.path.startswith(places or "\0"):
                yield number, f"{found.group(0)} is banned, use {instead}"
        used = _USING.search(line) if file.suffix == ".hpp" else None
        if used and not used.group(1).endswith("literals"):
            yield number, f"'using namespace {used.group(1)}' in a header is banned, use full names"


_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes(file):
    """(line, path) of each include; quoted ones next to the file become paths from the root."""
    for number, line in enumerate(file.lines, 1):
        found = _INCLUDE.match(line)
        if not found:
            continue
        path = found.group(2)
        if found.group(1) == '"' and path.startswith("."):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(file.path), path))
        yield number, path


_LEAKS = r"google/protobuf/|absl/|fmt/|openssl/|zstd\.h|sqlite3\.h|libpq-(fe|events)\.h|.*\.pb\.h"
_NO_SQLITE, _NO_PQ = r"sqlite3\.h", r"libpq-(fe|events)\.h"
_STD_ONLY = "the standard library, Boost.JSON or Boost.Describe"
_WORLD = r"engine/(store/(store\.|sqlite|postgres|memory)|ports/)"
_STORE = "the store's contract (engine/store/store.hpp)"
# (files this is about, files exempt, banned includes, what to use)
_LAYERS = [
    (r"include/", r"$^", r"(engine|src|worker)/", "the seams in fermata/detail"),
    (r"include/", r"$^", _LEAKS, _STD_ONLY),
    (r"include/", r"include/fermata/asio\.hpp", r"boost/asio|asio", "<fermata/asio.hpp>"),
    (r"include/", r"include/fermata/asio\.hpp", r"boost/(?!json|describe|mp11)", _STD_ONLY),
    (r"engine/", r"$^", r"(src|worker|include|fermata)/", "bytes: engine knows no user types"),
    (r"engine/", r"$^", r"boost/asio", "ports (engine/ports)"),
    (r"engine/", r"$^", r"coroutine$", "the replay machine: engine has no coroutines"),
    (r"engine/replay/", r"$^", r"(thread|mutex|condition_variable)$", "events in, commands out"),
    (r"engine/replay/", r"$^", _WORLD, "events in, commands out"),
    (r"engine/", r"engine/store/sqlite/", _NO_SQLITE, _STORE),
    (r"engine/", r"engine/store/postgres/", _NO_PQ, _STORE),
    (r"src/", r"$^", r"worker/", "detail::engine_port: src knows no worker"),
    (r"src/", r"src/sqlite_", _NO_SQLITE, _STORE),
    (r"src/", r"src/postgres_", _NO_PQ, _STORE),
    (r"src/", r"src/(ai/|http)", r"boost/asio", "worker/, which owns sockets and threads"),
    (r"worker/", r"$^", _NO_SQLITE + "|" + _NO_PQ, _STORE),
    (r"examples/", r"$^", r"(engine|src|worker)/", "<fermata/fermata.hpp>, as a user does"),
    (r"(include|engine|src|worker)/", r"$^", r"(tests|bench|examples)/", "code of its own room"),
]
_LAYERS = [tuple(map(re.compile, row[:3])) + (row[3],) for row in _LAYERS]


def layering(file):
    if not file.cpp:
        return
    for number, path in includes(file):
        for about, exempt, banned, instead in _LAYERS:
            if about.match(file.path) and not exempt.match(file.path) and banned.match(path):
                room = about.pattern.rstrip("/")
                yield number, f"#include of {path} in {room} is banned, use {instead}"
                break


_AWAIT = re.compile(r"\bco_await\b")


def _bad_awaits(source):
    for found in _AWAIT.finditer(source.plain):
        heads = source.body_around(found.start())
        is_asio = bool(heads) and re.search(r"\basio::", heads[0])
        if not is_asio and not await_is_plain(source.plain, found.start()):
            yield source.line_of(found.start())


_ONE_AWAIT = "co_await inside an expression is banned, use it alone or as a whole right-hand side"


def one_await(file):
    """Workflow code is in examples, tests and the snippets of the documentation."""
    if file.cpp and file.top in ("examples", "tests"):
        if not file.path.startswith("tests/compile/"):
            for line in _bad_awaits(file.cpp):
                yield line, _ONE_AWAIT
    elif file.suffix == ".md":
        for found in re.finditer(r"^```(?:cpp|c\+\+)[^\n]*\n(.*?)^```", file.text, re.S | re.M):
            first = file.text.count("\n", 0, found.start(1))
            for line in _bad_awaits(Source(textwrap.dedent(found.group(1)))):
                yield first + line, _ONE_AWAIT


_MACHINE = re.compile(r"(?<![\w.~)}-])(/wo" r"rk/|/ro" r"ot/|/tmp/bash" r"_jobs)")


def machine_paths(file):
    for number, line in enumerate(file.lines, 1):
        found = _MACHINE.search(line)
        if found:
            yield number, f"the machine's path {found.group(1)} is banned, use one from the root"


_DOWNLOADS = re.compile(r"\b(file\s*\(\s*GLOB\w*|FetchContent_\w+|ExternalProject_\w+)", re.I)


def cmake_globs(file):
    if file.name != "CMakeLists.txt" and file.suffix != ".cmake":
        return
    for number, line in enumerate(file.lines, 1):
        found = _DOWNLOADS.search(line.split("#", 1)[0])
        if found:
            yield number, f"{found.group(1)} is banned, use listed sources and system packages"


def readmes(files):
    """Every top folder says what it is for."""
    tops = {file.top for file in files if file.top and not file.top.startswith(".")}
    readable = {file.path for file in files}
    for top in sorted(tops):
        if f"{top}/README.md" not in readable:
            yield f"{top}/README.md", 1, f"a folder without README.md is banned, write {top}'s"


def listed_sources(files):
    """A library's source that no CMakeLists.txt names is never compiled."""
    lists = [file for file in files if file.name == "CMakeLists.txt"]
    named = set()
    for file in lists:
        folder = posixpath.dirname(file.path)
        for word in re.findall(r"[\w./-]+\.[ch]pp", file.text):
            named.add(posixpath.normpath(posixpath.join(folder, word)))
    for file in files:
        is_source = file.top in ("engine", "src", "worker") and file.suffix == ".cpp"
        is_header = file.top == "include" and file.suffix == ".hpp"
        if (is_source or is_header) and file.path not in named:
            yield file.path, 1, f"an unlisted source is banned, use {file.top}/CMakeLists.txt"


PER_FILE = [
    file_size,
    function_size,
    licence,
    pragma_once,
    banned_words,
    banned_calls,
    layering,
    one_await,
    machine_paths,
    cmake_globs,
]
PER_TREE = [readmes, listed_sources]
