# SPDX-License-Identifier: Apache-2.0
"""Enough of C++'s lexical grammar to find functions, statements and code outside of comments."""

import re
from bisect import bisect_right

_TOKEN = re.compile(
    r"""
    //(?:[^\n\\]|\\(?:\n|.))* |
    /\*.*?\*/ |
    (?:\b(?:u8|u|U|L))?R"(?P<tag>[^()\s\\"]*)\(.*?\)(?P=tag)" |
    "(?:[^"\\\n]|\\.)*" |
    (?<![0-9A-Za-z_])(?:u8|u|U|L)?'(?:[^'\\\n]|\\.)*'
    """,
    re.S | re.X,
)
_CONTROL = re.compile(r"\b(if|for|while|switch|catch|else|do|try)\b\s*(constexpr\b\s*)?(\(|$)")
_TYPE = re.compile(r"(?:^|\s)(?:class|struct|union|enum)\b")


def _spaces(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def blank(text):
    """The text with comments and literals replaced by spaces; every offset stays where it was."""
    return _TOKEN.sub(_spaces, text)


def blank_directives(code):
    """Takes preprocessor lines out, and all branches of a conditional but its first."""
    lines = code.split("\n")
    skipping = []  # one entry per open #if: are we past its first branch?
    continued = False
    for number, line in enumerate(lines):
        directive = None if continued else re.match(r"\s*#\s*(\w*)", line)
        word = directive.group(1) if directive else ""
        if word in ("if", "ifdef", "ifndef"):
            skipping.append(False)
        elif word in ("else", "elif") and skipping:
            skipping[-1] = True
        elif word == "endif" and skipping:
            skipping.pop()
        is_directive = directive is not None or continued
        continued = is_directive and line.endswith("\\")
        if is_directive or any(skipping):
            lines[number] = " " * len(line)
    return "\n".join(lines)


class Brace:
    """A pair of braces: where, what stands before it, and what it is."""

    def __init__(self, start, head, kind, parent):
        self.start, self.head, self.kind, self.parent = start, head, kind, parent
        self.head_start = start
        self.end = None

    def is_body(self):
        """True for the body of a function or lambda."""
        return self.kind == "function" or (
            self.kind == "inner" and ")" in self.head and not _CONTROL.search(self.head.strip())
        )


def _without_balanced(text, opening, closing):
    depth, kept = 0, []
    for char in text:
        if char == opening:
            depth += 1
        elif char == closing and depth:
            depth -= 1
        elif depth == 0:
            kept.append(char)
    return "".join(kept)


def _without_templates(head):
    while True:
        found = re.search(r"\btemplate\s*<", head)
        if not found:
            return head
        depth, parens, at = 1, 0, found.end()
        while at < len(head) and depth:
            char = head[at]
            parens += (char == "(") - (char == ")")
            if not parens and head[at - 1] not in "-=":
                depth += (char == "<") - (char == ">")
            at += 1
        head = head[: found.start()] + head[at:]


def _classify(head):
    """What the brace after `head` opens, in a namespace or a class."""
    head = _without_templates(head)
    head = re.sub(r"\boperator\s*(\(\s*\)|\[\s*\]|[^\s\w(]+)", "operator_", head)
    flat = _without_balanced(_without_balanced(head, "(", ")"), "[", "]").strip()
    if re.search(r"\bnamespace\b", flat) or re.search(r"\bextern$", flat):
        return "namespace"
    if re.match(r"(export\s+|inline\s+)*TEST_SUITE(_CLASS)?$", flat):
        return "namespace"
    if re.search(r"\brequires\s*$", flat):
        return "init"
    assigned = re.search(r"(?<![=<>!+\-*/|&^])=(?!=)", flat)
    if assigned:
        is_lambda = re.search(r"=\s*\[[^\]]*\]\s*(\(|$|mutable|<)", head)
        return "function" if is_lambda else "init"
    if _TYPE.search(flat):
        return "type"
    if ")" not in head or head.count("(") != head.count(")"):
        return "init"
    members = re.search(r"\)[^:?]*(?<!:):(?!:)(.*)$", head, re.S)
    if members and re.search(r"[\w>]$", members.group(1).strip()):
        return "init"  # a member of a constructor's list: `: name_{...}`
    return "function"


class Source:
    """One C++ file: its code without comments, its lines, its braces."""

    def __init__(self, text):
        self.text = text
        self.code = blank(text)
        self.plain = blank_directives(self.code)
        self._line_starts = [0] + [m.end() for m in re.finditer("\n", text)]
        self.balanced = True
        self.braces = self._find_braces()

    def line_of(self, offset):
        return bisect_right(self._line_starts, offset)

    def _find_braces(self):
        braces, stack, head_start, parens = [], [], 0, 0
        for match in re.finditer(r"[{}();]", self.plain):
            char, at = match.group(0), match.start()
            if char in "()":
                parens += 1 if char == "(" else -1
            elif char == ";":
                if parens == 0:
                    head_start = at + 1
            elif char == "{":
                brace = self._open(at, head_start, parens, stack)
                braces.append(brace)
                stack.append((brace, parens, head_start))
                parens, head_start = 0, at + 1
            elif not stack:
                self.balanced = False
                return braces
            else:
                brace, parens, before = stack.pop()
                brace.end = at
                head_start = before if brace.kind == "init" else at + 1
        self.balanced = not stack
        return braces

    def _open(self, at, head_start, parens, stack):
        head = self.plain[head_start:at]
        parent = stack[-1][0] if stack else None
        if parent and parent.kind in ("function", "inner", "init"):
            kind = "inner"
        elif parens > 0:
            kind = "init"
        else:
            access = r"^\s*(public|private|protected)\s*:(?!:)"
            head = re.sub(access, _spaces, head)
            kind = _classify(head)
        brace = Brace(at, head, kind, parent)
        brace.head_start = head_start + len(head) - len(head.lstrip())
        return brace

    def functions(self):
        """(first line, last line, name) of each function; lambdas belong to what they stand in."""
        for brace in self.braces:
            if brace.kind == "function" and brace.end is not None:
                name = re.search(r"(~?[\w:]+|operator\s*\S+?)\s*\(", _without_templates(brace.head))
                yield (
                    self.line_of(brace.head_start),
                    self.line_of(brace.end),
                    name.group(1) if name else "a lambda",
                )

    def body_around(self, offset):
        """The heads of the function or lambda bodies around an offset, innermost first."""
        around = [b for b in self.braces if b.start < offset and (b.end or offset) >= offset]
        return [b.head for b in reversed(around) if b.is_body()]


_OPENING = {")": "(", "]": "["}


def _statement_before(code, at):
    """The code from the start of the statement to `at`; None when `at` is inside parentheses."""
    index, depth = at - 1, 0
    while index >= 0:
        char = code[index]
        if char in ")]":
            depth += 1
        elif char in "([":
            if depth == 0:
                return None
            depth -= 1
        elif char in ";{}" and depth == 0:
            break
        index -= 1
    return code[index + 1 : at]


def _statement_after(code, at):
    """The operand up to its `;`; None when something else ends it."""
    index, depth = at, 0
    while index < len(code):
        char = code[index]
        if char in "([{":
            depth += 1
        elif char in ")]}":
            if depth == 0:
                return None
            depth -= 1
        elif char == ";" and depth == 0:
            return code[at:index]
        index += 1
    return None


def _without_control(prefix):
    """The prefix without the `if (...)`, `else`, `case x:` that lead to the statement."""
    prefix = prefix.strip()
    while True:
        label = re.match(r"(else|do)\b|(case\b(?:[^:]|::)*|default\s*|\w+\s*)(?<!:):(?!:)", prefix)
        control = re.match(r"(if|for|while|switch)\b\s*(constexpr\b)?\s*(?=\()", prefix)
        if control:
            depth = 0
            for index in range(control.end(), len(prefix)):
                depth += (prefix[index] == "(") - (prefix[index] == ")")
                if depth == 0:
                    prefix = prefix[index + 1 :].strip()
                    break
            else:
                return prefix
        elif label:
            prefix = prefix[label.end() :].strip()
        else:
            return prefix


def await_is_plain(code, at):
    """True if the co_await at this offset is a statement or its whole right-hand side."""
    before = _statement_before(code, at)
    after = _statement_after(code, at + len("co_await"))
    if before is None or after is None:
        return False
    flat = after
    for pair in ("()", "[]", "{}"):
        flat = _without_balanced(flat, *pair)
    if re.search(r"\?|&&|\|\||==|!=|<<|>=|<=|\s[-+/%|<>*]\s", flat):
        return False
    prefix = _without_control(before)
    if prefix in ("", "co_return", "(void)"):
        return True
    target = re.match(r"([^=?]*[\w\]>)&\s])=$", prefix)
    return bool(target) and "co_await" not in prefix
