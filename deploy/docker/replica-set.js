// For mongosh: makes a replica set of the three, unless they are one, and waits for its primary.
const members = [1, 2, 3].map((number) => ({ _id: number, host: `mongo-${number}:27017` }));
try {
  rs.status();
} catch {
  rs.initiate({ _id: "reins", members });
}
while (!db.hello().primary) sleep(500);
