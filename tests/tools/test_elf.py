"""What a program needs of the machine that runs it, read from programs that are compiled here."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "infra" / "local"))

import elf  # noqa: E402
from report import Failure  # noqa: E402

# Asks the C library for its own version, so that the test needs no other program that reads ELF.
SOURCE = """
#include <gnu/libc-version.h>
#include <stdio.h>
int main(void) { puts(gnu_get_libc_version()); return 0; }
"""


class Elf(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        cls.program = Path(cls.folder.name) / "program"
        subprocess.run(["cc", "-x", "c", "-", "-o", cls.program], input=SOURCE, text=True, check=True)
        cls.architecture = elf.needs(cls.program).architecture or ""

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    def test_the_processor_and_the_newest_version_of_glibc_are_read(self) -> None:
        said = subprocess.run([self.program], capture_output=True, text=True, check=True).stdout
        here = tuple(map(int, said.strip().split(".")))
        found = elf.needs(self.program)
        self.assertIn(found.architecture, ("x86_64", "arm64"))
        self.assertGreaterEqual(found.glibc, (2, 2, 5))
        self.assertLessEqual(found.glibc, here)

    def test_a_program_that_lambda_cannot_run_is_refused_with_both_versions(self) -> None:
        self.assertEqual(elf.check(self.program, self.architecture, (99, 0)), elf.needs(self.program))
        with self.assertRaisesRegex(Failure, r"needs glibc 2\.[0-9.]+, and Amazon Linux 2023 has 2\.1"):
            elf.check(self.program, self.architecture, (2, 1))
        other = "arm64" if self.architecture == "x86_64" else "x86_64"
        with self.assertRaisesRegex(Failure, f"built for {self.architecture}, not for {other}"):
            elf.check(self.program, other, (99, 0))
        (Path(self.folder.name) / "script").write_text("#!/bin/sh\n")
        with self.assertRaisesRegex(Failure, "is no 64-bit ELF program"):
            elf.check(Path(self.folder.name) / "script", "x86_64")


if __name__ == "__main__":
    unittest.main()
