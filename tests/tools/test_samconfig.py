"""Whether samconfig.toml fits the templates, and whether `sam deploy --config-env dev` of a release's zip asks nothing, on a local AWS."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import tempfile
import tomllib
import unittest
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "infra" / "local"))

import parameters  # noqa: E402
import release  # noqa: E402
import tools  # noqa: E402
from emulator import Emulator  # noqa: E402
from instance import aws_environment, checked_stack_name, clean_environment  # noqa: E402
from packages import functions  # noqa: E402
from plan import Asked  # noqa: E402

DEPLOYMENTS = ("dev", "staging", "prod")
DEADLINE_SECONDS = 300


class SamConfig(unittest.TestCase):
    def environments(self) -> dict[str, dict[str, object]]:
        with (ROOT / "samconfig.toml").open("rb") as file:
            read = tomllib.load(file)
        read.pop("version")
        return {name: one["deploy"]["parameters"] for name, one in read.items()}

    def test_every_deployment_names_parameters_that_its_template_has_and_allows(self) -> None:
        declared = parameters.declared(ROOT)
        environments = self.environments()
        self.assertEqual(set(environments), {f"{name}{part}" for name in DEPLOYMENTS for part in ("", "-alarms")})
        for name in DEPLOYMENTS:
            main, alarms = environments[name], environments[f"{name}-alarms"]
            stack = checked_stack_name(str(main["stack_name"]))
            # The second stack is called what `make deploy` calls it.
            self.assertEqual(alarms["stack_name"], Asked(stack).alarms_stack)
            for one, template in ((main, parameters.MAIN), (alarms, parameters.ALARMS)):
                self.assertEqual(one["template_file"], template)
                given = parameters.checked(one["parameter_overrides"], declared[template])
                self.assertEqual(given.get("Stage", name), name)
                self.assertEqual(given.get("MillraceStack", stack), stack)
                self.assertFalse(one["confirm_changeset"])
            required = {name for name, default in parameters.defaults(declared[parameters.ALARMS]).items() if default is None}
            self.assertLessEqual(required, set(parameters.checked(alarms["parameter_overrides"], declared[parameters.ALARMS])))

    def test_a_release_is_deployed_by_sam_alone_without_a_question(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            # No function is called, so any program will do.
            for function in functions():
                (folder / "built" / function).mkdir(parents=True)
                (folder / "built" / function / "bootstrap").write_text("#!/bin/sh\nexit 1\n")
            with contextlib.redirect_stdout(io.StringIO()):
                archive = release.package("arm64", folder / "built", folder)
            unpacked = folder / "elsewhere"
            with zipfile.ZipFile(archive) as packed:
                packed.extractall(unpacked)
            tree = unpacked / archive.stem
            self.assertIn('  Architecture:\n    Type: String\n    Default: "arm64"\n', (tree / parameters.MAIN).read_text())
            # For a stack that was deployed from the other zip, whose value CloudFormation would keep.
            self.assertEqual((tree / "samconfig.toml").read_text().count('"Architecture=arm64"'), len(DEPLOYMENTS))
            emulator = Emulator(folder)
            with contextlib.redirect_stdout(io.StringIO()):
                instance = emulator.start(0, None)
            try:
                environment = clean_environment({**aws_environment(instance.endpoint), "SAM_CLI_POLL_DELAY": "0.5"})
                done = subprocess.run(
                    [str(tools.program("sam")), "deploy", "--config-env", "dev"], cwd=tree, env=environment,
                    stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_SECONDS,
                )  # fmt: skip
                self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-2000:])
                self.assertIn("Successfully created/updated stack - millrace-dev", done.stdout)
                self.assertNotIn("[y/N]", done.stdout)
            finally:
                emulator.stop()

    def test_the_alarms_environment_names_the_second_template(self) -> None:
        # A template of alarms only AWS can deploy; SAM reads the settings before it asks for credentials.
        environment = clean_environment({**aws_environment("http://127.0.0.1:9"), "AWS_MAX_ATTEMPTS": "1"})
        command = [str(tools.program("sam")), "deploy", "--config-env", "dev-alarms", "--debug"]
        done = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_SECONDS)
        self.assertIn("millrace-dev-aws-only", done.stderr)
        self.assertIn("aws-only.yaml", done.stderr)


if __name__ == "__main__":
    unittest.main()
