// The official Node SDK, driven line by line: one JSON order in, one JSON answer out.
//
// First {"configuration": {...}}, then any number of
//   {"api": "CallsApi", "method": "getCallState", "arguments": [...]}  -> {"status": 200, "data": ..., "headers": ...}
//   {"document": [["SpeakSentence", "Hello"], ...]}                    -> {"response": "<?xml ...", "root": "..."}
// An argument that is a list with a builder's name first is what that builder makes of the rest.

"use strict";

const readline = require("node:readline");
const { Bxml, ...sdk } = require("bandwidth-sdk");

let configuration;

function build(value) {
  if (!Array.isArray(value)) return value;
  if (typeof value[0] === "string" && value[0] in Bxml) {
    return new Bxml[value[0]](...value.slice(1).map(build));
  }
  return value.map(build);
}

async function perform(order) {
  if (order.configuration) {
    configuration = new sdk.Configuration(order.configuration);
    return {};
  }
  if (order.document) {
    const verbs = order.document.map(build);
    return { response: new Bxml.Response(verbs).toBxml(), root: new Bxml.Bxml(verbs).toBxml() };
  }
  const api = new sdk[order.api](configuration);
  // JSON has no undefined, which is how the SDK is told to leave a parameter out.
  const given = order.arguments.map((value) => (value === null ? undefined : value));
  try {
    const { status, data, headers } = await api[order.method](...given);
    return { status, data, headers };
  } catch (error) {
    if (!error.response) throw error;
    const { status, data, headers } = error.response;
    return { status, data, headers };
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let answer;
    try {
      answer = await perform(JSON.parse(line));
    } catch (error) {
      answer = { error: String(error.stack || error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}

main();
