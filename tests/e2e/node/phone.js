// JsSIP as a phone, driven line by line: JSON orders in, one JSON line out for everything that happens.
//
// First {"url": "wss://...", "uri": "sip:bob@...", "password": "...", "origin": "https://..."}, then
//   {"do": "call", "to": "sip:..."}, {"do": "key", "key": "5"}, {"do": "hold"}, {"do": "unhold"}, {"do": "bye"}.
// It answers what rings. There is no sound in it: WebRTC, which Node has not, is a stand-in that describes a plain
// audio stream, or with {"do": "call", "webrtc": true} one as browsers do.

"use strict";

const readline = require("node:readline");
const WebSocket = require("ws");

const description = (line, more) =>
  `v=0\r\no=- 1 ${Date.now()} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n${line}\r\n${more}a=sendrecv\r\n`;
const PLAIN = ["m=audio 40000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000\r\n"];
const BROWSER = [
  "m=audio 9 UDP/TLS/RTP/SAVPF 111 0",
  "a=rtpmap:111 opus/48000/2\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=setup:actpass\r\na=rtcp-mux\r\n" +
    `a=fingerprint:sha-256 ${Array(32).fill("AB").join(":")}\r\na=mid:0\r\n`,
];
let offered = PLAIN;

class StandIn extends EventTarget {
  iceGatheringState = "complete";
  iceConnectionState = "connected";
  signalingState = "stable";
  localDescription = null;
  async createOffer() {
    return { type: "offer", sdp: description(...offered) };
  }
  async createAnswer() {
    return { type: "answer", sdp: description(...PLAIN) };
  }
  async setLocalDescription(described) {
    this.localDescription = described;
  }
  async setRemoteDescription() {}
  getSenders() {
    return [];
  }
  close() {}
}
globalThis.window = { RTCPeerConnection: StandIn };
globalThis.RTCPeerConnection = StandIn;
globalThis.RTCSessionDescription = class {
  constructor(described) {
    Object.assign(this, described);
  }
};
const JsSIP = require("jssip");

class Socket {
  constructor(url, origin) {
    Object.assign(this, { url, origin, sip_uri: `sip:${new URL(url).host};transport=ws` });
    this.via_transport = url.split(":")[0].toUpperCase();
  }
  connect() {
    this.line = new WebSocket(this.url, "sip", { origin: this.origin });
    this.line.on("open", () => this.onconnect());
    this.line.on("close", (code) => this.ondisconnect(code !== 1000, code, ""));
    this.line.on("error", (error) => tell({ is: "failed", why: String(error) }));
    this.line.on("message", (data) => this.ondata(String(data)));
  }
  disconnect() {
    this.line.close();
  }
  send(message) {
    this.line.send(message);
    return true;
  }
}

const tell = (fact) => process.stdout.write(`${JSON.stringify(fact)}\n`);
const QUIET = { mediaConstraints: { audio: false, video: false }, pcConfig: {} };
let phone;
let call;

function follow({ originator, session }) {
  call = session;
  tell({ is: "call", originator });
  session.on("confirmed", () => tell({ is: "confirmed" }));
  session.on("ended", ({ originator: by, cause }) => tell({ is: "ended", by, cause }));
  session.on("failed", ({ message, cause }) => tell({ is: "refused", cause, status: message?.status_code }));
  if (originator === "remote") session.answer(QUIET);
}

function perform(order) {
  if (order.url) {
    const { uri, password } = order;
    phone = new JsSIP.UA({ sockets: [new Socket(order.url, order.origin)], uri, password });
    phone.on("registered", () => tell({ is: "registered" }));
    phone.on("registrationFailed", ({ cause }) => tell({ is: "failed", why: cause }));
    phone.on("newRTCSession", follow);
    phone.start();
  } else if (order.do === "call") {
    offered = order.webrtc ? BROWSER : PLAIN;
    phone.call(order.to, QUIET);
  } else if (order.do === "key") {
    call.sendDTMF(order.key, { transportType: "INFO" });
  } else if (order.do === "hold") {
    call.hold({}, () => tell({ is: "held" }));
  } else if (order.do === "unhold") {
    call.unhold({}, () => tell({ is: "unheld" }));
  } else if (order.do === "bye") {
    call.terminate();
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) perform(JSON.parse(line));
  phone?.stop();
  setTimeout(() => process.exit(0), 200);
}

main();
