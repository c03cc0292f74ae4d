/**
 * Portkey's AI gateway as its package starts it, but on 127.0.0.1 alone.
 * Usage: portkey-gateway.mjs FILE PORT, where FILE is the package's start-server.js
 */
import net from 'node:net';
import '../lib/server-settings.mjs';

const [, , file, port] = process.argv;
const { listen } = net.Server.prototype;
/** @this {net.Server} @param {any[]} args */
net.Server.prototype.listen = function listenHere(...args) {
  const [given, ...rest] = args;
  const done = rest.find((each) => typeof each === 'function');
  return Reflect.apply(listen, this, [Number(given), '127.0.0.1', ...(done ? [done] : [])]);
};
process.argv = [process.argv[0], file, `--port=${port}`, '--headless'];
await import(file);
