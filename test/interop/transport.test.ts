import { describe } from "vitest";
import { startFakeTarget } from "../support/net-fake-target.ts";
import { describeBufCurl } from "./buf-curl.ts";
import { describeNodeClients } from "./node-clients.ts";

describe("libraries in Node", () => describeNodeClients(startFakeTarget));
describe("buf curl", () => describeBufCurl(startFakeTarget));
