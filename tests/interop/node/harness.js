'use strict';
// Runs checks one after another, each under its own time limit, and reports
// one line per check. Also holds the small helpers every check file shares.

const assert = require('node:assert/strict');
const amqp = require('amqplib');

const LIMIT_MS = 15000;
const url = process.env.AMQP_URL;
const run = `node-${process.pid}-${Date.now()}`;
const checks = [];
let serial = 0;

/** Registers a check; `body` receives a fresh connection unless `bare`. */
function check(name, body, { bare = false } = {}) {
  checks.push({ name, body, bare });
}

/** A name no other run uses. */
function unique(what) {
  serial += 1;
  return `interop.${run}.${what}.${serial}`;
}

/** A promise with a time limit and a name for the failure message. */
function within(promise, what, ms = 5000) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timed out: ${what}`)), ms);
  });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}

/** The next `event` of `emitter`, as the array of its arguments. */
function next(emitter, event) {
  const seen = new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));
  return within(seen, `event ${event}`);
}

/** Opens a channel whose error events do not end the process. */
async function channel(connection, confirm = false) {
  const ch = confirm ? await connection.createConfirmChannel() : await connection.createChannel();
  ch.on('error', () => {});
  return ch;
}

/** An exclusive queue holding nothing yet, bound as asked. */
async function queue(ch, options = {}) {
  const { queue: name } = await ch.assertQueue(unique('q'), { exclusive: true, ...options });
  return name;
}

/** Collects deliveries; `take(n)` waits for the next n of them. */
async function consumer(ch, name, options = {}) {
  const waiting = [];
  const arrived = [];
  const pump = () => {
    while (waiting.length > 0 && arrived.length >= waiting[0].count) {
      const { count, resolve } = waiting.shift();
      resolve(arrived.splice(0, count));
    }
  };
  const { consumerTag } = await ch.consume(
    name,
    (message) => {
      arrived.push(message);
      pump();
    },
    options,
  );
  return {
    tag: consumerTag,
    pending: () => arrived.length,
    take: (count) =>
      within(
        new Promise((resolve) => {
          waiting.push({ count, resolve });
          pump();
        }),
        `${count} deliveries (${arrived.length} so far)`,
      ),
  };
}

/** Bodies of everything now in the queue, fetched with basic.get. */
async function drain(ch, name) {
  const bodies = [];
  for (;;) {
    const message = await within(ch.get(name, { noAck: true }), 'basic.get');
    if (!message) return bodies;
    bodies.push(message.content.toString());
  }
}

/** Expects `operation` to fail with the broker's reply code and exact text. */
async function refused(operation, code, text) {
  let error;
  try {
    await within(operation(), `refusal ${code}`);
  } catch (caught) {
    error = caught;
  }
  assert.ok(error, `expected ${code}, but the operation succeeded`);
  assert.equal(error.code, code, error.message);
  assert.ok(error.message.includes(text), `text was: ${error.message}`);
}

async function one({ name, body, bare }) {
  let connection;
  try {
    if (!bare) {
      connection = await within(amqp.connect(url), 'connect');
      connection.on('error', () => {});
    }
    await within(body(connection), 'the whole check', LIMIT_MS);
    console.log(`ok ${name}`);
    return true;
  } catch (error) {
    console.log(`not ok ${name}: ${String(error.message).split('\n').join(' | ')}`);
    return false;
  } finally {
    if (connection) await within(connection.close(), 'close').catch(() => {});
  }
}

/** Runs all registered checks and exits with the verdict. */
async function main() {
  let failed = 0;
  for (const entry of checks) {
    if (!(await one(entry))) failed += 1;
  }
  console.log(`checks: ${checks.length}`);
  process.exit(failed === 0 ? 0 : 1);
}

module.exports = { amqp, assert, channel, check, consumer, drain, main, next, queue, refused, unique, url, within };
