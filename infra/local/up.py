"""Brings an instance up: the local AWS, the stack, and the processes that run beside it."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import tools
from deploy import deploy, stack_calls
from emulator import Emulator, EventStream, FaultProxy, Instance, LocalChain, free_port, http_put, port_answers
from endpoint import described
from instance import Settings, Stack, aws_environment, lock, write_env
from packages import build, digest
from report import Failure, stage, tail


def up(settings: Settings, programs: list[str] | None = None, tests: list[str] | None = None) -> Stack:
    """Brings the stack up to date and starts the local AWS if necessary. If it fails, it ends what it started.

    `programs`, and the tests that the `cargo test` command `tests` will run, are compiled in addition to what every stack needs.
    """
    if settings.endpoint:
        with stage("endpoint") as notes:
            notes.append(described(settings.endpoint))
    proxy = ["fault-proxy"] if settings.fault_proxy else []
    wanted = ["sam", *([] if settings.endpoint else ["ministack"])]
    binaries = build_beside(wanted, [*proxy, *(programs or [])], tests or [], settings.template)
    with lock(settings.folder):
        emulator = Emulator(settings.folder)
        chain = LocalChain(settings.folder)
        instance = None
        is_new = False
        if settings.endpoint is None:
            instance = emulator.running()
            is_new = instance is None
            if instance and settings.port not in (0, instance.port):
                raise Failure(
                    f"a local AWS of {settings.folder} already runs on port {instance.port}: run `make down` first, or set another LOCAL"
                )
            if instance is None:
                if died := emulator.died():
                    print(f"note: the previous local AWS is gone with all its data: {died}. This one starts empty", flush=True)
                instance = _start(settings, emulator, binaries)
        try:
            settings = _with_chain(settings, chain, instance, binaries)
            settings = _with_stream_address(settings)
            stack = deploy(settings, instance, binaries, _breakable(settings, instance))
            _mirror_books(settings, stack)
            return _with_stream(settings, stack, binaries)
        except BaseException:
            if is_new:
                end(settings)
            raise


def build_beside(tool_sets: list[str], programs: list[str], tests: list[str], template: Path | None = None) -> Path:
    """Compiles while missing tools are installed; returns the folder of the binaries."""
    with ThreadPoolExecutor(1) as beside:
        installed = beside.submit(tools.ensure, *tool_sets)
        binaries = build(programs, tests, template)
        installed.result()
    return binaries


def end(settings: Settings) -> bool:
    """Ends every process of the instance and removes the files about its stack; False if no local AWS ran."""
    EventStream(settings.folder).stop()
    ran = Emulator(settings.folder).stop()
    FaultProxy(settings.folder).stop()
    LocalChain(settings.folder).stop()
    settings.forget()
    return ran


def delete_stack(settings: Settings) -> None:
    """Deletes the stack at an endpoint that is not ours, so that its pollers do not go on for nobody. A failure is only a note."""
    with stage(f"delete stack {settings.stack}"):
        stack_calls(settings.endpoint or "", "delete", settings.stack, may_fail=True)


def _with_stream_address(settings: Settings) -> Settings:
    """Settings with the address at which the event stream will run beside the stack, which the dashboard connects to."""
    port = _stream_port(settings)
    settings = replace(settings, stream_port=port)
    if "StreamAddress" in settings.parameters:
        return settings
    return replace(settings, parameters={**settings.parameters, "StreamAddress": f"http://127.0.0.1:{port}"})


def _stream_port(settings: Settings) -> int:
    """The port that is asked for; else that of the running stream; else the one behind the local AWS's; else a free one."""
    if settings.stream_port:
        return settings.stream_port
    if running := EventStream(settings.folder).running():
        return running.port
    behind = settings.port + 1
    return behind if settings.stream_port is None and settings.port and not port_answers(behind) else free_port()


def _with_stream(settings: Settings, stack: Stack, binaries: Path) -> Stack:
    """Runs the event stream beside the stack; restarts it if its program, settings or port have changed."""
    stream = EventStream(settings.folder)
    binary, own = binaries / "event-stream", _stream_settings(settings, stack)
    made_of = hashlib.sha256(json.dumps([digest(binary), own], sort_keys=True).encode()).hexdigest()
    instance = stream.running()
    if instance is None or instance.made_of != made_of or settings.stream_port != instance.port:
        stream.stop()
        instance = stream.start(binary, settings.stream_port or 0, own, made_of)
    stack = replace(stack, stream_url=instance.endpoint)
    write_env(settings, stack)
    return stack


def _stream_settings(settings: Settings, stack: Stack) -> dict[str, str]:
    """The settings of the deployed function, so that the process has the same."""
    deployed = json.loads(stack_calls(stack.endpoint, "settings", stack.name, "EventStreamFunction"))
    return {**deployed, **aws_environment(stack.endpoint), **settings.stream_settings}


def _with_chain(settings: Settings, chain: LocalChain, instance: Instance | None, binaries: Path) -> Settings:
    """Settings that name a chain: the one given by --param, or our own node if the local AWS is ours."""
    if instance is None or "ChainRpcUrl" in settings.parameters:
        return settings
    node = chain.running() or chain.start(binaries / "local-chain", aws_environment(instance.endpoint))
    return replace(settings, parameters={**settings.parameters, "ChainRpcUrl": node.endpoint})


def _mirror_books(settings: Settings, stack: Stack) -> None:
    node = LocalChain(settings.folder).running()
    if node is None or "CloudTable" not in stack.resources:
        return
    mirror = {"cloud_table": stack.resources["CloudTable"], "decimals": int(settings.parameters["ChainTokenDecimals"])}
    status = http_put(f"{node.endpoint}{LocalChain.CONTROL_PATH}/mirror", mirror)
    if status != 200:
        raise Failure(f"the local chain does not mirror the books ({status}); the end of its log:\n{tail(LocalChain(settings.folder).log)}")


def _start(settings: Settings, emulator: Emulator, binaries: Path) -> Instance:
    """Starts the local AWS, with a fault proxy between it and the functions if the settings ask for one."""
    if not settings.fault_proxy:
        return emulator.start(settings.port, settings.functions_endpoint)
    port = settings.port or free_port()
    proxy = FaultProxy(settings.folder)
    try:
        functions_endpoint = proxy.start(binaries / "fault-proxy", port).endpoint
        return emulator.start(port, functions_endpoint)
    except BaseException:
        proxy.stop()
        raise


def _breakable(settings: Settings, instance: Instance | None) -> dict[str, str]:
    node = LocalChain(settings.folder).running()
    chain = {"MILLRACE_LOCAL_CHAIN": f"{node.endpoint}{LocalChain.CONTROL_PATH}"} if node else {}
    proxy = FaultProxy(settings.folder).running()
    if instance is None or proxy is None:
        return chain
    return {
        **chain,
        "MILLRACE_FAULT_PROXY": f"{proxy.endpoint}{FaultProxy.CONTROL_PATH}",
        "MILLRACE_LOCAL_AWS_GROUP": str(instance.pid),
    }
