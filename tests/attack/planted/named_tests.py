# SPDX-License-Identifier: Apache-2.0
"""How a test that finds a bug is named and run."""
import dataclasses
import re
import sys


@dataclasses.dataclass(frozen=True)
class Case:
    """A case of a doctest program."""

    program: str
    name: str
    store: str = ""  # that the testing kit works on
    server: bool = False  # needs a Postgres
    seconds_max: int = 30

    @property
    def environment(self):
        return {"FERMATA_KIT_STORE": self.store} if self.store else {}

    def command(self, bins, root):
        return [str(bins / self.program), "-tc=" + self.name.replace(",", "?")]

    def found_in(self, output):
        counted = re.search(r"test cases: +(\d+)", output)
        return counted is not None and int(counted.group(1)) > 0

    def __str__(self):
        return f"{self.program}{'_' + self.store if self.store else ''} \"{self.name}\""

    def as_text(self):
        return f"`{self.program}{'_' + self.store if self.store else ''}`: {self.name}"


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A test of a script of tests/e2e, which is told the programs it needs, then the test's name."""

    script: str
    programs: tuple
    name: str
    server: bool = False
    seconds_max: int = 60
    environment = {}

    def command(self, bins, root):
        programs = [str(bins / program) for program in self.programs]
        return [sys.executable, str(root / "tests/e2e" / self.script), *programs, self.name]

    def found_in(self, output):
        return "ok      " + self.name.replace("_", " ") in output

    def __str__(self):
        return f"{self.script} {self.name}"

    def as_text(self):
        return f"`{self.script}`: {self.name.replace('_', ' ')}"


@dataclasses.dataclass(frozen=True)
class Bug:
    name: str
    breaks: str
    tests: tuple  # the first is run each time
    hangs: bool = False  # with it something waits for ever
