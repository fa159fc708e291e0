"""The line breaks while a run is waited for: the SDK comes back and has the values."""

import warnings

from checks import ask, contents, equal, script

# It says so, too.
warnings.simplefilter("ignore")


async def main(client):
    thread_id = (await client.threads.create())["thread_id"]
    values = await client.runs.wait(thread_id, "agent", input=ask("Still there?", delay_ms=20))
    equal((contents(values)[0], len(contents(values))), ("Still there?", 4))
    equal(len(await client.runs.list(thread_id)), 1)


script(main)
