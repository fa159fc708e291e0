await client.runs.cancel(thread["thread_id"], run["run_id"]);

const runRunning = await client.runs.get(thread["thread_id"], run["run_id"])
console.log(runRunning["status"])

await client.runs.join(thread["thread_id"], run["run_id"])

const runInterrupted = await client.runs.get(thread["thread_id"], run["run_id"])
console.log(runInterrupted["status"])
