// For mongosh at a router of the cluster, once a server of Reins has been started on the empty database and stopped again:
//     mongosh "$MONGODB_URI" --file deploy/mongodb/shard-collections.js
// docs/scaling.md says what each key is for. The other collections are small, and stay whole.
const database = "reins";
const keys = {
  threads: { _id: "hashed" },
  thread_states: { _id: "hashed" },
  runs: { _id: "hashed" },
  run_specs: { _id: "hashed" },
  tombstones: { _id: "hashed" },
  checkpoints: { journal: "hashed" },
  run_events: { run_id: "hashed" },
  items: { _id: "hashed" },
  audit: { _id: "hashed" },
};
for (const [collection, key] of Object.entries(keys)) {
  db.getSiblingDB(database).getCollection(collection).createIndex(key);
  sh.shardCollection(`${database}.${collection}`, key);
}
