"""Errors are those of the SDK, with the server's sentence."""

import uuid

import httpx
from checks import ask, equal, fails, script
from langgraph_sdk.errors import BadRequestError, ConflictError, NotFoundError, UnprocessableEntityError


async def main(client):
    nowhere = str(uuid.uuid4())
    thread = await client.threads.create()
    thread_id = thread["thread_id"]

    error = await fails(NotFoundError, client.threads.get(nowhere))
    equal((error.status_code, str(error)), (404, f"Thread with ID {nowhere} not found"))
    error = await fails(NotFoundError, client.runs.get(thread_id, nowhere))
    equal(str(error), "Not Found")
    await fails(NotFoundError, client.runs.list(nowhere))
    await fails(NotFoundError, client.assistants.get(nowhere))
    error = await fails(NotFoundError, client.runs.create(nowhere, "agent", input=ask()))
    equal(str(error), "Thread or assistant not found.")
    error = await fails(NotFoundError, client.runs.delete(thread_id, nowhere))
    equal(str(error), "Run not found")
    error = await fails(NotFoundError, client.runs.cancel(thread_id, nowhere))
    equal(str(error), "No runs found to cancel.")
    error = await fails(NotFoundError, client.runs.cancel_many(status="all"))
    equal(str(error), "No runs found to cancel.")

    await fails(UnprocessableEntityError, client.threads.get("not-a-uuid"))
    error = await fails(UnprocessableEntityError, client.runs.create(thread_id, "nope", input=ask()))
    equal(str(error).startswith("Invalid assistant: 'nope'. Must be either:"), True)
    await fails(UnprocessableEntityError, client.runs.create(thread_id, "agent", multitask_strategy="zzz"))
    await fails(UnprocessableEntityError, client.runs.cancel_many(status="success"))
    await fails(BadRequestError, client.runs.create(None, "approval", command={"resume": "approve"}))
    error = await fails(ConflictError, client.threads.create(thread_id=thread_id))
    equal(str(error), f"Thread with ID {thread_id} already exists")
    equal((await client.threads.create(thread_id=thread_id, if_exists="do_nothing"))["thread_id"], thread_id)

    run = await client.runs.create(thread_id, "agent", input=ask(delay_ms=60))
    error = await fails(ConflictError, client.runs.create(thread_id, "agent", multitask_strategy="reject"))
    equal(error.status_code, 409)
    await fails(ConflictError, client.threads.update_state(thread_id, {"steps": 2}))
    # A misspelt action must not be another one.
    await fails(UnprocessableEntityError, client.runs.cancel(thread_id, run["run_id"], action="rolback"))
    await client.runs.cancel(thread_id, run["run_id"], wait=True)
    error = await fails(NotFoundError, client.runs.cancel(thread_id, run["run_id"]))
    equal(str(error).startswith("No matching runs to cancel."), True)
    # Calls that wait raise what the HTTP library has.
    error = await fails(httpx.HTTPStatusError, client.runs.cancel(thread_id, run["run_id"], wait=True))
    equal(error.response.status_code, 404)
    error = await fails(httpx.HTTPStatusError, client.runs.wait(thread_id, "nope", input=ask()))
    equal(error.response.status_code, 422)

    # A run that fails.
    failing = {"mode": "nonsense"}
    error = await fails(Exception, client.runs.wait(None, "stubborn", input=failing))
    equal(str(error), 'Error: "nonsense" is not a mode; there are polite, deaf and busy.')
    told = await client.runs.wait(thread_id, "stubborn", input=failing, raise_error=False)
    equal(told["__error__"]["error"], "Error")
    failed = (await client.runs.list(thread_id))[0]
    equal((failed["status"], (await client.threads.get(thread_id))["status"]), ("error", "error"))
    # The SDK's join does not raise.
    equal((await client.runs.join(thread_id, failed["run_id"]))["__error__"], told["__error__"])


script(main)
