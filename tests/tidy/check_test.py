#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Plants each violation in a tree of its own and expects check.py to name it, and only it."""

import pathlib
import subprocess
import sys
import tempfile
import textwrap
import unittest

import check

CPP = "// SPDX-License-Identifier: Apache-2.0\n"
HPP = CPP + "#pragma once\n"
PY = "# SPDX-License-Identifier: Apache-2.0\n"
ONE_AWAIT = "co_await inside an expression is banned"


def body(lines):
    """A function whose text has this many lines."""
    return "int f() {\n" + "  f();\n" * (lines - 2) + "}\n"


# (name, path, text, line, part of what must be said)
BANNED = [
    ("long file", "engine/a.cpp",
     CPP + "\n" * 400, 1, "a file of 401 lines is banned, use at most 400"),
    ("long header", "include/fermata/a.hpp", HPP + "\n" * 249, 1, "use at most 250"),
    ("long test", "tests/a.cpp", CPP + "\n" * 600, 1, "use at most 600"),
    ("long function", "engine/a.cpp", CPP + body(61), 2, "a function of 61 lines ('f') is banned"),
    ("long method", "engine/a.cpp", CPP + "struct a {\n" + body(61) + "};\n", 3, "function of 61"),
    ("long constructor", "engine/a.cpp",
     CPP + "a::a(int b)\n: b_{b}, c_(1) {\n" + "f();\n" * 60 + "}\n", 2,
     "a function of 63 lines ('a::a')"),
    ("long test case", "tests/a.cpp",
     CPP + 'TEST_CASE("a {") {\n' + "f();\n" * 60 + "}\n", 2, "of 62"),
    ("long template", "engine/a.cpp", CPP + "template <class T>\n" + body(61), 2, "of 62"),
    ("long lambda", "engine/a.cpp",
     CPP + "auto a = [](int b) {\n" + "f();\n" * 60 + "};\n", 2, "of 62"),
    ("long python", "scripts/a.py",
     PY + "def f():\n" + "    f()\n" * 60, 2, "a function of 61 lines"),
    ("braces", "engine/a.cpp", CPP + "int f() {\n", 1, "unbalanced braces are banned"),
    ("layer", "include/fermata/a.hpp",
     HPP + '#include "engine/a.hpp"\n', 3, "engine/a.hpp in include"),
    ("layer", "include/fermata/a.hpp",
     HPP + "#include <google/protobuf/message.h>\n", 3, "is banned"),
    ("layer", "include/fermata/a.hpp", HPP + "#include <absl/status/status.h>\n", 3, "is banned"),
    ("layer", "include/fermata/a.hpp", HPP + "#include <sqlite3.h>\n", 3, "is banned"),
    ("layer", "include/fermata/a.hpp", HPP + "#include <libpq-fe.h>\n", 3, "is banned"),
    ("layer", "include/fermata/a.hpp", HPP + "#include <openssl/sha.h>\n", 3, "is banned"),
    ("layer", "include/fermata/a.hpp",
     HPP + "#include <boost/asio.hpp>\n", 3, "use <fermata/asio.hpp>"),
    ("layer", "include/fermata/a.hpp", HPP + "#include <boost/url.hpp>\n", 3, "is banned"),
    ("layer", "engine/a.cpp", CPP + '#include "src/a.hpp"\n', 2, "src/a.hpp in engine is banned"),
    ("layer", "engine/a.cpp", CPP + '#include "../worker/a.hpp"\n', 2, "worker/a.hpp in engine"),
    ("layer", "engine/a.cpp", CPP + "#include <fermata/step.hpp>\n", 2, "is banned"),
    ("layer", "engine/a.cpp", CPP + "#include <boost/asio/post.hpp>\n", 2, "is banned"),
    ("layer", "engine/a.cpp", CPP + "#include <sqlite3.h>\n", 2, "use the store's contract"),
    ("layer", "engine/replay/a.cpp", CPP + "#include <mutex>\n", 2, "is banned"),
    ("layer", "src/a.cpp", CPP + '#include "worker/a.hpp"\n', 2, "is banned"),
    ("layer", "src/a.cpp", CPP + "#include <sqlite3.h>\n", 2, "is banned"),
    ("layer", "src/a.cpp", CPP + "#include <libpq-fe.h>\n", 2, "is banned"),
    ("layer", "src/sqlite_a.cpp", CPP + "#include <libpq-events.h>\n", 2, "is banned"),
    ("layer", "src/postgres_a.cpp", CPP + "#include <sqlite3.h>\n", 2, "is banned"),
    ("layer", "engine/store/sqlite/a.cpp", CPP + "#include <libpq-fe.h>\n", 2, "is banned"),
    ("layer", "include/fermata/a.hpp", HPP + "#include <libpq-events.h>\n", 3, "is banned"),
    ("layer", "worker/a.cpp", CPP + "#include <libpq-fe.h>\n", 2, "is banned"),
    ("layer", "examples/a.cpp", CPP + '#include "engine/a.hpp"\n', 2, "as a user does"),
    ("licence", "engine/a.cpp", "int a;\n", 1, "a source without its licence is banned"),
    ("licence", "engine/a.proto", "\n", 1, "a source without its licence"),
    ("licence", "scripts/a.sh", "#!/bin/sh\n", 1, "a source without its licence"),
    ("licence", "cmake/a.cmake", "\n", 1, "a source without its licence"),
    ("pragma", "engine/a.hpp", CPP + "int a;\n", 1, "a header without '#pragma once'"),
    ("word", "engine/a.cpp", CPP + "// TO" "DO: later\n", 2, "'TO" "DO' is banned"),
    ("word", "engine/a.cpp", CPP + "// FIX" "ME\n", 2, "is banned"),
    ("word", "scripts/a.py", PY + "# XX" "X\n", 2, "is banned"),
    ("word", "scripts/a.sh", PY + "# HA" "CK\n", 2, "is banned"),
    ("word", "engine/a.cpp", CPP + "// good enough for n" "ow\n", 2, "is banned"),
    ("clock", "engine/a.cpp", CPP + "auto a = std::chrono::system_clock::now();\n", 2, "use ports"),
    ("clock", "worker/a.cpp", CPP + "auto a = steady_clock::now();\n", 2, "use ports"),
    ("random", "src/a.cpp",
     CPP + "std::random_device a;\n", 2, "random_device is banned, use ports"),
    ("random", "src/a.cpp", CPP + "int a = std::rand();\n", 2, "std::rand is banned, use ports"),
    ("sleep", "src/a.cpp", CPP + "void f() { std::this_thread::sleep_for(1s); }\n", 2, "use ports"),
    ("sleep", "src/a.cpp", CPP + "void f() { ::sleep(1); }\n", 2, "::sleep is banned, use ports"),
    ("regex", "tests/a.cpp", CPP + "std::regex a;\n", 2, "std::regex is banned"),
    ("endl", "examples/a.cpp", CPP + "void f() { std::cout << std::endl; }\n", 2, "use '\\n'"),
    ("using", "engine/a.hpp", HPP + "using namespace std;\n", 3, "in a header is banned"),
    ("path", "docs/a.md", "see /wo" "rk/main\n", 1, "the machine's path /wo" "rk/ is banned"),
    ("path", "engine/a.cpp", CPP + '#define A "/ro' 'ot/x"\n', 2, "is banned"),
    ("path", "docs/a.txt", "/tmp/bash" "_jobs.0/x\n", 1, "is banned"),
    ("readme", "newroom/a.txt", "\n", 1, "a folder without README.md is banned"),
    ("glob", "cmake/a.cmake", PY + "file(GLOB a *.cpp)\n", 2, "file(GLOB is banned"),
    ("unlisted", "src/unlisted.cpp", CPP, 1, "an unlisted source is banned"),
]

BAD_AWAITS = [
    "int a = co_await x + 1;",
    "f(co_await x);",
    "int a = (co_await x).b;",
    "if (co_await x) g();",
    "while (auto a = co_await x) g();",
    "for (auto a : co_await x) g();",
    "order a{co_await x};",
    "auto a = c ? co_await x : co_await y;",
    "auto a = co_await f(co_await x);",
    "auto a = co_await x && b;",
    "a += co_await x;",
    "return_value = f(1) + co_await x;",
]

GOOD_AWAITS = [
    "co_await x;",
    "int a = co_await ctx.call(x, order{.id = \"a\", .n = 1});",
    "a = co_await x;",
    "a.b[3] = co_await x;",
    "auto [a, b] = co_await ctx.all(x, y);",
    "std::optional<review> a = co_await ctx.receive(reviewed, 72h);",
    "if (c) co_await x;",
    "else co_await x;",
    "for (int i = 0; i < 3; ++i) co_await x;",
    "for (auto& a : b) { co_await a; }",
    "switch (c) { case a::b: co_await x; }",
    "auto a = co_await ctx.map(x, [](int b) { return b + 1; });",
    "worker.serve(x, [](context& ctx) -> task<int> { co_return co_await ctx.call(y); });",
    "co_return co_await x;",
    "f([]() -> boost::asio::awaitable<int> { g(co_await x + 1); });",
]

ALLOWED = [
    ("tests/a.cpp", CPP + "\n" * 590),
    ("engine/a.cpp", CPP + body(60)),
    ("engine/a.cpp",
     CPP + "namespace a {\n" + "class b {\n" + "int c();\n" * 70 + "};\n" * 1 + "}\n"),
    ("engine/a.cpp",
     CPP + "enum class a : int {\n" + "".join(f"b{i},\n" for i in range(70)) + "};\n"),
    ("engine/a.cpp", CPP + "constexpr int a[] = {\n" + "1,\n" * 70 + "};\n"),
    ("engine/a.cpp", CPP + "const std::map<int, int> a{\n" + "{1, f(2)},\n" * 70 + "};\n"),
    ("engine/a.cpp", CPP + "struct a : b<decltype(c())> {\n" + "int d;\n" * 70 + "};\n"),
    ("engine/a.cpp",
     CPP + "template <class T>\nconcept a = requires(T b) {\n" + "b;\n" * 70 + "};\n"),
    ("engine/a.cpp", CPP + 'extern "C" {\n' + "int f();\n" * 70 + "}\n"),
    ("engine/a.cpp",
     CPP + "bool operator==(a b, a c) { return 1'000 == 1; }\n" + "\n" * 70 + "int d;\n"),
    ("engine/a.cpp", CPP + "#if A\nint f() {\n#else\nint f(int) {\n#endif\n  return '{';\n}\n"),
    ("engine/a.cpp", CPP + 'auto a = R"x(}}} /* " )x"; // }\n'),
    ("engine/a.cpp", CPP + "// tidy: the table is one thought\n" + body(61)),
    ("engine/a.cpp", CPP + "// Never system_clock::now() here.\nconst char* a = \"std::endl\";\n"),
    ("engine/ports/a.cpp", CPP + "auto a = std::chrono::system_clock::now();\n"),
    ("engine/store/sqlite/a.cpp", CPP + "#include <sqlite3.h>\n"),
    ("src/sqlite_a.cpp", CPP + "#include <sqlite3.h>\n"),
    ("src/postgres_a.cpp", CPP + "#include <libpq-fe.h>\n#include <libpq-events.h>\n"),
    ("engine/store/postgres/a.cpp", CPP + "#include <libpq-fe.h>\n"),
    ("tests/a.cpp", CPP + "#include <libpq-fe.h>\n"),
    ("bench/a.cpp", CPP + "#include <libpq-fe.h>\n"),
    ("examples/a.cpp", CPP + "#include <sqlite3.h>\n"),
    ("include/fermata/asio.hpp", HPP + "#include <boost/asio.hpp>\n"),
    ("include/fermata/a.hpp", HPP + "using namespace std::chrono_literals;\n"),
    ("worker/a.cpp",
     CPP + '#include "engine/a.hpp"\n#include "src/a.hpp"\n#include <boost/asio.hpp>\n'),
    ("scripts/a.sh", "#!/bin/sh\n" + PY + "mktemp -d a.XXXXXX\n"),
    ("docs/a.md", "src/work/a and ~/work/b\n"),
]


def coroutine(statement):
    return "task<int> f(context& ctx) {\n  " + statement + "\n}\n"


class CheckTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        subprocess.run(["git", "init", "-q", str(self.root)], check=True)
        listed = {"engine": "a.cpp ports/a.cpp replay/a.cpp store/sqlite/a.cpp store/postgres/a.cpp", "worker": "a.cpp"}
        listed |= {"src": "a.cpp sqlite_a.cpp postgres_a.cpp", "include": "fermata/a.hpp fermata/asio.hpp"}
        for top, sources in listed.items():
            self.write(f"{top}/CMakeLists.txt", PY + f"target_sources({sources})\n")
        for top in ["docs", "tests", "bench", "examples", "scripts", "cmake", *listed]:
            self.write(f"{top}/README.md", f"# {top}\n")

    def write(self, path, text):
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(text, encoding="utf-8")

    def said_about(self, path, text):
        self.write(path, text)
        said = [f"{path}:{line}: {sentence}" for path, line, sentence in check.findings(self.root)]
        (self.root / path).unlink()
        return said

    def test_the_command_prints_findings_and_fails_on_any(self):
        command = [sys.executable, check.__file__, "--root", str(self.root)]

        clean = subprocess.run(command, capture_output=True, text=True, check=False)
        self.write("tests/a.cpp", CPP + "std::regex a;\n")
        dirty = subprocess.run(command, capture_output=True, text=True, check=False)

        self.assertEqual((clean.stdout, clean.returncode), ("nothing to say\n", 0))
        self.assertIn("tests/a.cpp:2: std::regex is banned, use ", dirty.stdout)
        self.assertEqual(dirty.returncode, 1)

    def test_a_clean_tree_has_nothing_to_say(self):
        self.assertEqual(self.said_about("docs/a.md", "# A\n"), [])

    def test_each_violation_is_named_and_nothing_else(self):
        for name, path, text, line, part in BANNED:
            with self.subTest(name=name, path=path, part=part):
                said = self.said_about(path, text)

                where = "newroom/README.md" if name == "readme" else path
                self.assertEqual(len(said), 1, said)
                self.assertTrue(said[0].startswith(f"{where}:{line}: "), said)
                self.assertIn(part, said[0])

    def test_what_looks_like_a_violation_and_is_none_passes(self):
        for path, text in ALLOWED:
            with self.subTest(path=path, text=textwrap.shorten(text, 80)):
                self.assertEqual(self.said_about(path, text), [])

    def test_each_await_inside_an_expression_is_named(self):
        for statement in BAD_AWAITS:
            with self.subTest(statement=statement):
                said = self.said_about("examples/a.cpp", CPP + coroutine(statement))

                self.assertEqual(len(said), 1, said)
                self.assertIn("examples/a.cpp:3: " + ONE_AWAIT, said[0])

    def test_an_await_in_a_snippet_of_the_docs_is_named(self):
        snippet = "# A\n\n```cpp\n" + coroutine("g(co_await x);") + "```\n"

        said = self.said_about("docs/a.md", snippet)

        self.assertEqual(len(said), 1, said)
        self.assertIn("docs/a.md:5: " + ONE_AWAIT, said[0])

    def test_plain_awaits_pass(self):
        for statement in GOOD_AWAITS:
            with self.subTest(statement=statement):
                said = self.said_about("tests/a.cpp", CPP + coroutine(statement))

                self.assertEqual(said, [])

    def test_a_new_file_counts_and_an_ignored_one_does_not(self):
        self.write(".gitignore", "build/\n")

        self.assertEqual(self.said_about("build/a.cpp", "std::endl"), [])
        self.assertEqual(len(self.said_about("tests/a.cpp", CPP + "int a = std::endl;\n")), 1)


if __name__ == "__main__":
    unittest.main()
