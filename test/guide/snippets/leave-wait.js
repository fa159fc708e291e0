const result = await client.runs.wait(
  thread["thread_id"],
  assistantID,
  { input: { messages: [{ role: "user", content: "Long task" }] }, onDisconnect: "cancel" }
);
