'use strict';
// The exchange types and how bindings select queues.

const { assert, channel, check, drain, queue, unique } = require('./harness');

/** Publishes the cases on a confirm channel, then compares the queue. */
async function routes(ch, exchange, into, cases, expected) {
  for (const { key = '', headers, body } of cases) ch.publish(exchange, key, Buffer.from(body), { headers });
  await ch.waitForConfirms();
  assert.deepEqual(await drain(ch, into), expected);
}

async function exchange(ch, type, options = {}) {
  const { exchange: name } = await ch.assertExchange(unique(type), type, { durable: false, autoDelete: true, ...options });
  return name;
}

check('exchange-default', async (connection) => {
  const ch = await channel(connection, true);
  const name = await queue(ch);
  await routes(ch, '', name, [{ key: name, body: 'by name' }], ['by name']);
});

check('exchange-direct', async (connection) => {
  const ch = await channel(connection, true);
  const [source, name] = [await exchange(ch, 'direct'), await queue(ch)];
  await ch.bindQueue(name, source, 'red');
  await ch.bindQueue(name, source, 'blue');
  const cases = ['red', 'green', 'blue', 'Red'].map((key) => ({ key, body: key }));
  await routes(ch, source, name, cases, ['red', 'blue']);
});

check('exchange-fanout', async (connection) => {
  const ch = await channel(connection, true);
  const [source, left, right] = [await exchange(ch, 'fanout'), await queue(ch), await queue(ch)];
  await ch.bindQueue(left, source, '');
  await ch.bindQueue(right, source, 'ignored');
  await routes(ch, source, left, [{ key: 'any', body: 'copy' }], ['copy']);
  assert.deepEqual(await drain(ch, right), ['copy']);
});

check('exchange-topic', async (connection) => {
  const ch = await channel(connection, true);
  const [source, star, hash] = [await exchange(ch, 'topic'), await queue(ch), await queue(ch)];
  await ch.bindQueue(star, source, 'stock.*.nyse');
  await ch.bindQueue(hash, source, 'stock.#');
  const keys = ['stock', 'stock.usd.nyse', 'stock.nyse', 'stock.usd.eu.nyse', 'bond.usd.nyse'];
  await routes(ch, source, star, keys.map((key) => ({ key, body: key })), ['stock.usd.nyse']);
  assert.deepEqual(await drain(ch, hash), ['stock', 'stock.usd.nyse', 'stock.nyse', 'stock.usd.eu.nyse']);
});

check('exchange-headers', async (connection) => {
  const ch = await channel(connection, true);
  const [source, all, any] = [await exchange(ch, 'headers'), await queue(ch), await queue(ch)];
  await ch.bindQueue(all, source, '', { 'x-match': 'all', kind: 'report', pages: 3 });
  await ch.bindQueue(any, source, '', { 'x-match': 'any', kind: 'report', pages: 3 });
  const cases = [
    { body: 'both', headers: { kind: 'report', pages: 3, extra: true } },
    { body: 'kind', headers: { kind: 'report', pages: 4 } },
    { body: 'pages', headers: { pages: 3 } },
    { body: 'neither', headers: { kind: 'note' } },
  ];
  await routes(ch, source, all, cases, ['both']);
  assert.deepEqual(await drain(ch, any), ['both', 'kind', 'pages']);
});

check('exchange-to-exchange', async (connection) => {
  const ch = await channel(connection, true);
  const [source, middle, name] = [await exchange(ch, 'topic'), await exchange(ch, 'fanout'), await queue(ch)];
  await ch.bindQueue(name, middle, '');
  await ch.bindExchange(middle, source, 'log.#');
  const cases = ['log.error', 'trace.x', 'log'].map((key) => ({ key, body: key }));
  await routes(ch, source, name, cases, ['log.error', 'log']);
  await ch.unbindExchange(middle, source, 'log.#');
  await assert.rejects(ch.checkExchange(source), /no exchange/, 'the auto-delete source should be gone');
});

check('exchange-alternate', async (connection) => {
  const ch = await channel(connection, true);
  const [spare, name] = [await exchange(ch, 'fanout'), await queue(ch)];
  await ch.bindQueue(name, spare, '');
  const source = await exchange(ch, 'direct', { alternateExchange: spare, autoDelete: false });
  await routes(ch, source, name, [{ key: 'nowhere', body: 'spared' }], ['spared']);
  await ch.deleteExchange(source);
});

check('unbind-stops-routing', async (connection) => {
  const ch = await channel(connection, true);
  const [source, name] = [await exchange(ch, 'direct', { autoDelete: false }), await queue(ch)];
  await ch.bindQueue(name, source, 'k');
  await routes(ch, source, name, [{ key: 'k', body: 'bound' }], ['bound']);
  await ch.unbindQueue(name, source, 'k');
  await routes(ch, source, name, [{ key: 'k', body: 'unbound' }], []);
  await ch.deleteExchange(source);
});
