await client.runs.cancel(thread["thread_id"], run["run_id"], wait=true, action="rollback");

try {
  await client.runs.get(thread["thread_id"], run["run_id"]);
} catch (e) {
  console.log("Run was correctly deleted");
}
