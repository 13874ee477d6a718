"""Validates the API's documents with official validators, and calls every operation of the deployed API ("the walk").

    judge.py documents     each checked-in document: openapi.json of the API functions, infra/docs/asyncapi.json. Needs nothing
                           compiled or deployed; part of `make check`
    judge.py deployed [--local FOLDER] [--examples NUMBER]
                           the documents that the stack serves, its events as CloudEvents, and every operation, which
                           schemathesis calls with valid and with invalid requests; part of `make test`. FOLDER has the stack's
                           `env`; without FOLDER, API_URL and API_KEY come from the environment

The walk writes random data into the stack, including keys of every scope: never walk a stack that is in use.

The validators: openapi-spec-validator for OpenAPI; AsyncAPI's own parser and the meta-schemas of JSON Schema for AsyncAPI; the
Python SDK of CloudEvents.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tools
from emulator import run_in_group
from instance import read_env
from report import Failure, stage

OPENAPI_PARTS = "functions/*/openapi.json"
ASYNCAPI = tools.ROOT / "infra" / "docs" / "asyncapi.json"
ASYNCAPI_JUDGE = tools.NODE_LOCKS / "judges" / "asyncapi.cjs"
WALK = tools.ROOT / "infra" / "local" / "walk"

# Random examples of an operation, in addition to those at the limits that its document states.
EXAMPLES = 5
# The walk takes 100 s on two cores.
WALK_DEADLINE_SECONDS = 600
# The function whose one operation has an answer without an end, at an address of its own: tests/it/e2e/stream.rs walks it.
STREAM_FUNCTION = "event-stream"
CLOUDEVENTS = "application/cloudevents+json"

Document = dict[str, Any]


def judge_documents() -> None:
    """Validates every document that is checked in."""
    with stage("OpenAPI documents") as notes:
        parts = sorted(tools.ROOT.glob(OPENAPI_PARTS))
        _nothing_wrong(f"{_shown(part)}: {wrong}" for part in parts for wrong in _wrong_openapi(json.loads(part.read_text())))
        notes.append(f"{len(parts)} API functions")
    if ASYNCAPI.exists():
        with stage("AsyncAPI document"):
            _nothing_wrong(f"{_shown(ASYNCAPI)}: {wrong}" for wrong in _wrong_asyncapi(json.loads(ASYNCAPI.read_text())))


def judge_deployed(examples: int) -> None:
    """Validates the stack that the environment names."""
    api = Api(os.environ["API_URL"], os.environ["API_KEY"])
    document = api.get("/api/v1/openapi.json")
    with stage("served OpenAPI document") as notes:
        _nothing_wrong(_wrong_openapi(document))
        notes.append(f"{sum(1 for _ in _operations(document))} operations")
    if "/api/v1/asyncapi.json" in document["paths"]:
        with stage("served AsyncAPI document"):
            _nothing_wrong(_wrong_asyncapi(api.get("/api/v1/asyncapi.json")))
    members = [_member(api) for _ in range(2)]
    if _gives_cloudevents(document):
        with stage("events as CloudEvents") as notes:
            events = [event for member in members for event in _events_of(api, member)]
            _nothing_wrong(wrong for event in events for wrong in _wrong_cloudevent(api, event))
            notes.append(f"{len(events)} events")
    with stage("walk of the API") as notes:
        approver = api.post("/api/v1/keys", {"owner": "judge-approver", "scopes": ["*"]})["key"]
        _walk(document, members, approver, examples, notes)


# --- OpenAPI, AsyncAPI, CloudEvents ----------------------------------------------------------------------------------------


def _wrong_openapi(document: Document) -> Iterator[str]:
    from openapi_spec_validator import OpenAPIV31SpecValidator

    for error in OpenAPIV31SpecValidator(document).iter_errors():
        yield f"/{'/'.join(map(str, error.absolute_path))}: {error.message}"


def _wrong_asyncapi(document: Document) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(document, file)
        file.flush()
        command = [str(tools.program("judges", "node")), str(ASYNCAPI_JUDGE), file.name]
        environment = {**os.environ, "NODE_PATH": str(tools.node_modules("judges"))}
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    if done.returncode != 0 and not lines:
        raise Failure(f"AsyncAPI's parser ended with {done.returncode}:\n{done.stderr}")
    yield from lines
    yield from _wrong_payload_schemas(document, "")


def _wrong_payload_schemas(node: object, place: str) -> Iterator[str]:
    """Validates payload schemas: AsyncAPI's parser does not check schemas of a named format."""
    import jsonschema

    of_format = {
        "application/schema+json;version=draft-2020-12": jsonschema.Draft202012Validator,
        "application/schema+json;version=draft-07": jsonschema.Draft7Validator,
    }
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    if isinstance(node, dict) and isinstance(form := node.get("schemaFormat"), str):
        if form in of_format:
            meta = of_format[form](of_format[form].META_SCHEMA)
            for error in meta.iter_errors(node.get("schema")):
                yield f"{place}/schema/{'/'.join(map(str, error.absolute_path))}: {error.message}"
        else:
            yield f"{place}/schemaFormat: {form} is not one of {', '.join(of_format)}"
    for name, child in children:
        yield from _wrong_payload_schemas(child, f"{place}/{name}")


def _gives_cloudevents(document: Document) -> bool:
    read = document["paths"].get("/api/v1/events/{event_id}", {}).get("get", {})
    return CLOUDEVENTS in read.get("responses", {}).get("200", {}).get("content", {})


def _wrong_cloudevent(api: Api, event: dict[str, Any]) -> Iterator[str]:
    from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
    from cloudevents.core.exceptions import CloudEventValidationError

    path = f"/api/v1/events/{event['event_id']}"
    kind, body = api.read(path, CLOUDEVENTS)
    if kind.split(";")[0] != CLOUDEVENTS:
        yield f"{path} answers {kind}"
        return
    try:
        read = from_structured_event(HTTPMessage({"content-type": kind}, body))
    except (CloudEventValidationError, ValueError) as error:
        yield f"{path}: {error}"
        return
    # The SDK fills these in if they are missing, so they are compared in the body.
    said = {name: json.loads(body).get(name) for name in ("specversion", "id", "type")}
    wanted = {"specversion": "1.0", "id": event["event_id"], "type": event["event_type"]}
    if said != wanted:
        yield f"{path}: {said}, expected {wanted}"
    if read.get_data() is None:
        yield f"{path}: has no data"


# --- the walk --------------------------------------------------------------------------------------------------------------


def _walk(document: Document, members: list[str], approver: str, examples: int, notes: list[str]) -> None:
    """Calls every operation of the document.

    One process per function: with threads, Python 3.11 sometimes fails in its parser ("AST constructor recursion depth
    mismatch"). It also keeps the requests of one function in the same order every time.
    """
    functions = sorted({tag for operation in _operations(document) for tag in operation["tags"]} - {STREAM_FUNCTION})
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder) / "openapi.json"
        known.write_text(json.dumps(_with_members(document, members)))
        walkers = {function: _walker(function, known, approver, examples, Path(folder)) for function in functions}
        try:
            deadline = time.monotonic() + WALK_DEADLINE_SECONDS
            for walker in walkers.values():
                walker.wait(max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Failure(f"the walk takes longer than {WALK_DEADLINE_SECONDS} s") from None
        finally:
            for walker in walkers.values():
                walker.kill()
                walker.wait()
        logs = {function: _log(Path(folder), function).read_text() for function in functions}
    failed = [function for function, walker in walkers.items() if walker.returncode != 0]
    if failed:
        raise Failure("\n".join(logs[function] for function in failed) + f"\nthe walk failed: {', '.join(failed)}")
    notes.append(f"{sum(_cases(log) for log in logs.values())} requests")


def _walker(function: str, document: Path, approver: str, examples: int, folder: Path) -> subprocess.Popen[bytes]:
    url = os.environ["API_URL"]
    command = [
        str(tools.program("judges")), "--config-file", str(WALK / "schemathesis.toml"),
        "run", str(document), "--url", url, "--include-tag", function, "--max-examples", str(examples), "--no-color",
    ]  # fmt: skip
    environment = {**os.environ, "APPROVER_KEY": approver, "SCHEMATHESIS_HOOKS": str(WALK / "hooks.py")}
    with _log(folder, function).open("wb") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)


def _log(folder: Path, function: str) -> Path:
    return folder / f"{function}.log"


def _cases(log: str) -> int:
    """The number of requests: 807 in "807 generated, 12 skipped"."""
    return sum(int(line.split()[0]) for line in log.splitlines() if line.strip().partition(" ")[2].startswith("generated"))


def _with_members(document: Document, members: list[str]) -> Document:
    """The document with members of this stack as examples: without them, most commands would answer "no such member".

    The same code reads the headers that all commands share, so they stay in one command of each function only.
    """
    first, second = members
    known = dict.fromkeys(("member_id", "user_id", "borrower_id", "from_member_id", "proposed_by"), first)
    known |= dict.fromkeys(("to_member_id", "model_id", "approved_by"), second)
    document = json.loads(json.dumps(document))
    with_headers = set()
    for operation in _operations(document):
        of_all = [one for one in operation.get("parameters", []) if one["name"].startswith("X-")]
        if of_all and operation["tags"][0] in with_headers:
            operation["parameters"] = [one for one in operation["parameters"] if one not in of_all]
        elif of_all:
            with_headers.add(operation["tags"][0])
        for parameter in operation.get("parameters", []):
            if parameter["name"] in known:
                # And an id of no member, for the 404s.
                parameter["schema"]["examples"] = [known[parameter["name"]], f"judge-{uuid.uuid4()}"]
    for schema in document["components"]["schemas"].values():
        for name in schema.get("properties", {}).keys() & known.keys():
            schema["properties"][name]["examples"] = [known[name]]
    return document


def _operations(document: Document) -> Iterator[dict[str, Any]]:
    return (operation for methods in document["paths"].values() for operation in methods.values())


# --- the stack -------------------------------------------------------------------------------------------------------------


class Api:
    """The stack's HTTP API."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key

    def read(self, path: str, accept: str = "application/json", body: dict[str, Any] | None = None) -> tuple[str, bytes]:
        """The content type and the body of an answer; with `body` the call is a POST."""
        headers = {"Authorization": f"Bearer {self._key}", "Accept": accept}
        data = None
        if body is not None:
            headers |= {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
            data = json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(self._url + path, data, headers), timeout=30) as answer:
                return answer.headers["Content-Type"], answer.read()
        except urllib.error.HTTPError as error:
            raise Failure(f"{path} answers {error.code}: {error.read().decode()}") from error

    def get(self, path: str) -> Any:
        """A GET of JSON."""
        return json.loads(self.read(path)[1])

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """A POST of JSON."""
        return json.loads(self.read(path, body=body)[1])


def _member(api: Api) -> str:
    """Registers a member who has credits and points to spend."""
    member = f"judge-{uuid.uuid4()}"
    api.post("/api/v1/members", {"member_id": member, "name": "Judge", "email": f"{member}@example.com"})
    api.post("/api/v1/cloud/mints", {"member_id": member, "amount": 100_000})
    deposit = {"amount": 100_000, "external_reference": f"bank/{member}"}
    api.post(f"/api/v1/wallets/{member}/deposits", deposit)
    return member


def _events_of(api: Api, member: str) -> Iterator[dict[str, Any]]:
    for kind in ("member", "cloud", "wallet"):
        yield from api.get(f"/api/v1/events?aggregate_type={kind}&aggregate_id={member}")["items"]


# --- command line ----------------------------------------------------------------------------------------------------------


def _nothing_wrong(found: Iterator[str]) -> None:
    if lines := list(found):
        raise Failure("\n".join(lines))


def _shown(path: Path) -> str:
    return str(path.relative_to(tools.ROOT))


def run(arguments: list[str], environment: dict[str, str] | None = None) -> None:
    """Runs this program in the judges' virtual environment, installing that if necessary."""
    tools.ensure("judges")
    command = [str(tools.program("judges", "python")), __file__, *arguments]
    status = run_in_group(command, environment)
    if status != 0:
        raise Failure(f"judge.py {arguments[0]} ended with {status}")


def _environment_of(folder: Path) -> dict[str, str]:
    """The environment, with the variables of an instance's `env` file."""
    return {**os.environ, **read_env(folder / "env")}


def main() -> int:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["documents", "deployed"])
    parser.add_argument("--local", help="folder of the instance whose stack is validated")
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="random examples of an operation (default: %(default)s)")
    arguments = parser.parse_args()
    try:
        if Path(sys.prefix) != tools.TOOLS / "judges":
            run(sys.argv[1:], _environment_of(tools.ROOT / arguments.local) if arguments.local else None)
        elif arguments.what == "documents":
            judge_documents()
        else:
            judge_deployed(arguments.examples)
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
