/** What stands between a client and a server, and does it harm. */

import { once } from "node:events";
import http from "node:http";
import net from "node:net";

const listening = async (server) => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://localhost:${server.address().port}`;
};

/**
 * A TCP proxy. `drip`: pass the server's bytes on one by one. `allowance(n)`: how many of them the nth connection gets
 * before it is cut. `cut()` cuts all; while `isDown`, new connections are cut at once. `heard`: what clients sent.
 */
export async function tcpProxy(target, { drip = false, allowance = () => Infinity } = {}) {
  const sockets = new Set();
  const proxy = { heard: "", connections: 0, isDown: false };
  const server = net.createServer((client) => {
    client.on("error", () => {});
    if (proxy.isDown) return void client.destroy();
    let left = allowance(proxy.connections++);
    const upstream = net.connect(Number(new URL(target).port), "localhost");
    upstream.on("error", () => client.destroy());
    const both = [client, upstream];
    sockets.add(both);
    const cut = () => both.forEach((socket) => socket.destroy());
    both.forEach((socket) => socket.on("close", () => (cut(), sockets.delete(both))));
    client.on("data", (bytes) => {
      proxy.heard += bytes.toString("latin1");
      upstream.write(bytes);
    });
    client.setNoDelay(true);
    let sent = Promise.resolve();
    const pass = (bytes) => {
      const some = bytes.subarray(0, left);
      left -= some.length;
      if (some.length) client.write(some);
      if (!left) client.end(() => cut());
    };
    upstream.on("data", (bytes) => {
      if (!drip) return pass(bytes);
      for (const byte of bytes) {
        sent = sent.then(() => pass(Buffer.of(byte))).then(() => new Promise((done) => setImmediate(done)));
      }
    });
  });
  proxy.url = await listening(server);
  proxy.cut = () => [...sockets].flat().forEach((socket) => socket.destroy());
  proxy.close = () => (proxy.cut(), server.close());
  return proxy;
}

/** An HTTP proxy. `answer(request, response)` may answer a call itself (true) before it is passed on. `paths`: called. */
export async function httpProxy(target, answer) {
  const proxy = { paths: [] };
  const server = http.createServer((request, response) => {
    proxy.paths.push(request.url);
    if (answer(request, response)) return;
    const { method, headers } = request;
    const onward = http.request(target + request.url, { method, headers }, (reply) => {
      response.writeHead(reply.statusCode, reply.headers);
      reply.pipe(response);
    });
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  });
  proxy.url = await listening(server);
  proxy.close = () => (server.closeAllConnections(), server.close());
  return proxy;
}
