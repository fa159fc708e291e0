import { once } from "node:events";
import net from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../support/gates.ts";
import { type FaultyProxy, startFaultyProxy } from "./proxy.ts";

/** A line to a service that answers each word with its length, and remembers what it was asked. */
describe("a faulty line", () => {
  let asked: string[];
  let service: net.Server;
  let line: FaultyProxy;
  const clients: net.Socket[] = [];

  beforeEach(async () => {
    asked = [];
    service = net.createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", (word) => {
        asked.push(word.toString());
        socket.write(`${word.length};`);
      });
    });
    service.listen(0, "127.0.0.1");
    await once(service, "listening");
    line = await startFaultyProxy((service.address() as net.AddressInfo).port, () => 0.5);
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await line.stop();
    service.close();
  });

  /** A client, what it was answered, and whether its connection still is. */
  async function connect() {
    const socket = net.connect(line.port, "127.0.0.1");
    clients.push(socket);
    const client = { socket, answers: "", isCut: false };
    socket.on("data", (answer) => {
      client.answers += answer;
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      client.isCut = true;
    });
    await once(socket, "connect");
    return client;
  }

  it("passes everything on, and an end", async () => {
    const client = await connect();
    client.socket.write("one");
    await until(() => client.answers === "3;");
    client.socket.end("three");
    await until(() => client.isCut);
    expect([client.answers, asked]).toEqual(["3;5;", ["one", "three"]]);
  });

  it("brings answers late and in order", async () => {
    const client = await connect();
    line.set({ delayMs: 20 });
    for (const word of ["one", "three", "a"]) {
      client.socket.write(word);
      await until(() => asked.includes(word));
    }
    await until(() => client.answers === "3;5;1;");
    expect(line.done.delayed).toBe(3);
  });

  it("loses an answer when the request has been carried out", async () => {
    const client = await connect();
    line.set({ lost: 1 });
    client.socket.write("one");
    await until(() => client.isCut);
    expect([client.answers, asked, line.done.lost]).toEqual(["", ["one"], 1]);
  });

  it("delivers a request when who sent it has been cut off", async () => {
    const client = await connect();
    line.set({ late: 1, lateMs: 200 });
    client.socket.write("one");
    await until(() => client.isCut);
    expect(asked).toEqual([]);
    await until(() => asked.length === 1);
    expect([client.answers, asked, line.done.late]).toEqual(["", ["one"], 1]);
  });

  it("holds everything, and passes it on afterwards", async () => {
    const [client, other] = [await connect(), await connect()];
    line.set({ held: true });
    client.socket.write("one");
    // What goes by another way shows that time has passed.
    const direct = net.connect((service.address() as net.AddressInfo).port, "127.0.0.1");
    clients.push(direct);
    direct.write("direct");
    await once(direct, "data");
    expect([client.isCut, asked]).toEqual([false, ["direct"]]);
    line.set({});
    other.socket.write("three");
    await until(() => client.answers === "3;" && other.answers === "5;");
  });

  it("goes away and comes back", async () => {
    const client = await connect();
    line.set({ away: true });
    await until(() => client.isCut);
    const refused = await connect();
    await until(() => refused.isCut);
    line.set({});
    const later = await connect();
    later.socket.write("one");
    await until(() => later.answers === "3;");
    expect(asked).toEqual(["one"]);
  });
});
