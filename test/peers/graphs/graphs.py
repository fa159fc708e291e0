"""The twin of graphs.ts beside this file, which says what each key and node is for. A change here is a change there."""

import asyncio
import operator
import time
from typing import Annotated, TypedDict

from langchain_core.messages import AIMessage, AnyMessage
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph, add_messages
from langgraph.types import interrupt


class State(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    log: Annotated[list[str], operator.add]
    steps: int
    step: int
    step_ms: float
    linger_ms: float
    fail_at: int
    ask_at: int
    custom: int
    custom_ms: float
    say: str
    beats: str


class Boom(RuntimeError):
    """The Python server tells the text of built-in kinds of errors only."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def beat(values: State) -> None:
    if file := values.get("beats"):
        with open(file, "a") as beats:
            beats.write(f"{now_ms()}\n")


async def keep_alive(ms: float, values: State) -> None:
    end = now_ms() + ms
    while (left := end - now_ms()) > 0:
        beat(values)
        await asyncio.sleep(min(5, left) / 1000)


async def work_politely(values: State) -> None:
    try:
        await keep_alive(values.get("step_ms", 0), values)
    except asyncio.CancelledError:
        beat(values)
        await keep_alive(values.get("linger_ms", 0), values)
        raise


def begin(values: State) -> tuple[int, list[str]]:
    step = values["step"]
    if step == values.get("fail_at"):
        raise Boom(f"failing at step {step}")
    log = [f"step {step}"]
    if step == values.get("ask_at"):
        log.append(f"answered {interrupt({'question': 'go on?'})}")
    return step, log


def end(values: State, step: int, log: list[str]) -> dict:
    say = values.get("say")
    messages = [] if say is None else [AIMessage(id=f"said-{step}", content=say)]
    return {"log": log, "step": step + 1, "messages": messages}


async def polite(values: State) -> dict:
    step, log = begin(values)
    writer, pause = get_stream_writer(), values.get("custom_ms", 0)
    for i in range(values.get("custom", 0)):
        writer({"step": step, "i": i, "at": now_ms()})
        if pause > 0:
            await asyncio.sleep(pause / 1000)
        elif i % 50 == 49:
            await asyncio.sleep(0)
    await work_politely(values)
    return end(values, step, log)


def deaf_work(values: State) -> dict:
    """A synchronous node: the server calls it in a thread, which nothing stops."""
    step, log = begin(values)
    until = now_ms() + values.get("step_ms", 0)
    while (left := until - now_ms()) > 0:
        beat(values)
        time.sleep(min(5, left) / 1000)
    return end(values, step, log)


def busy_work(values: State) -> dict:
    step, log = begin(values)
    until = now_ms() + values.get("step_ms", 0)
    while now_ms() < until:
        beat(values)
        pause = now_ms() + 5
        while now_ms() < pause:
            pass
    return end(values, step, log)


def reset(_: State) -> dict:
    return {"step": 0}


def again(values: State) -> str:
    return "work" if values["step"] < values.get("steps", 1) else END


def stepping(node):
    graph = StateGraph(State).add_node("reset", reset).add_node("work", node)
    graph.add_edge(START, "reset").add_edge("reset", "work").add_conditional_edges("work", again, ["work", END])
    return graph.compile()


agent = stepping(polite)
deaf = stepping(deaf_work)
busy = stepping(busy_work)

inner = StateGraph(State).add_node("inner", polite).add_edge(START, "inner").add_edge("inner", END).compile()


def before(_: State) -> dict:
    return {"step": 0, "log": ["before"]}


def after(_: State) -> dict:
    return {"log": ["after"]}


parent = (
    StateGraph(State)
    .add_node("before", before)
    .add_node("child", inner)
    .add_node("after", after)
    .add_edge(START, "before")
    .add_edge("before", "child")
    .add_edge("child", "after")
    .add_edge("after", END)
    .compile()
)
