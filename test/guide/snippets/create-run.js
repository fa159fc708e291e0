const run = await client.runs.create(
  thread["thread_id"],
  assistantID,
  { input: { messages: [{ role: "user", content: "Long task" }] } }
);
