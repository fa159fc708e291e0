"""The line breaks in the middle of a stream: the SDK comes back, and misses nothing."""

from checks import ask, equal, script


async def main(client):
    thread_id = (await client.threads.create())["thread_id"]
    modes = ["values", "messages-tuple"]
    stream = client.runs.stream(thread_id, "agent", input=ask("Still there?", delay_ms=20), stream_mode=modes)
    parts = [part async for part in stream]
    run_id = parts[0].data["run_id"]
    equal(parts, [part async for part in client.runs.join_stream(thread_id, run_id, last_event_id="-1")])


script(main)
