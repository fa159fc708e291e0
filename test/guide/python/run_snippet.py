"""Runs Python lines as a notebook does: one statement after the other, with `await` at the top.

Arguments: the lines, and optionally a text. Before the statement that holds the text it waits until the runs that were
created are running: a program is not as fast as its reader is. Prints JSON, one object a line: {"printed"} for what the lines
print, and at last {"names", "error"} with their variables and how they failed. SIGTERM cancels the task that executes them.
"""

import ast
import asyncio
import inspect
import json
import logging
import signal
import sys


def tell(**fields):
    print(json.dumps(fields, default=str), flush=True)


async def all_running(names):
    client = names["client"]
    for run in [one for one in names.values() if isinstance(one, dict) and "run_id" in one]:
        while (await client.runs.get(run["thread_id"], run["run_id"]))["status"] == "pending":
            await asyncio.sleep(0.01)


async def execute(lines, names, hold):
    for statement in ast.parse(lines).body:
        if hold and hold in ast.get_source_segment(lines, statement):
            await all_running(names)
        code = compile(ast.Module([statement], []), "<guide>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, names)
        if inspect.isawaitable(result):
            await result


# Who watches this program sees in its log when the server has begun to answer.
logging.basicConfig(level=logging.INFO)


async def main(lines, hold=None):
    names = {"print": lambda *values: tell(printed=" ".join(str(value) for value in values))}
    task = asyncio.create_task(execute(lines, names, hold))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    error = None
    try:
        await task
    except (Exception, asyncio.CancelledError) as raised:
        error = {"type": type(raised).__name__, "message": str(raised)}
    tell(names={name: value for name, value in names.items() if isinstance(value, dict | list | str)}, error=error)


asyncio.run(main(*sys.argv[1:]))
