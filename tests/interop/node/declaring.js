'use strict';
// Declaring and deleting queues and exchanges, and what is refused.

const { amqp, assert, channel, check, next, queue, refused, unique, url } = require('./harness');

check('queue-server-named', async (connection) => {
  const ch = await channel(connection);
  const first = await ch.assertQueue('', { exclusive: true });
  const second = await ch.assertQueue('', { exclusive: true });
  assert.match(first.queue, /^amq\.gen-/);
  assert.notEqual(first.queue, second.queue);
});

check('queue-counts', async (connection) => {
  const ch = await channel(connection, true);
  const name = await queue(ch);
  for (let i = 0; i < 3; i += 1) ch.sendToQueue(name, Buffer.from('x'));
  await ch.waitForConfirms();
  assert.deepEqual(await ch.checkQueue(name), { queue: name, messageCount: 3, consumerCount: 0 });
  assert.deepEqual(await ch.purgeQueue(name), { messageCount: 3 });
  ch.sendToQueue(name, Buffer.from('x'));
  await ch.waitForConfirms();
  assert.deepEqual(await ch.deleteQueue(name), { messageCount: 1 });
  assert.deepEqual(await ch.deleteQueue(name), { messageCount: 0 });
});

check('queue-passive-404', async (connection) => {
  const ch = await channel(connection);
  const name = unique('missing');
  await refused(() => ch.checkQueue(name), 404, `NOT_FOUND - no queue '${name}' in vhost '/'`);
});

check('queue-inequivalent-406', async (connection) => {
  const name = unique('declared');
  const ch = await channel(connection);
  await ch.assertQueue(name, { durable: false, autoDelete: false, arguments: { 'x-max-length': 5 } });
  const text = `PRECONDITION_FAILED - inequivalent arg 'durable' for queue '${name}' in vhost '/': received 'true' but current is 'false'`;
  await refused(() => ch.assertQueue(name, { durable: true, arguments: { 'x-max-length': 5 } }), 406, text);
  const other = await channel(connection);
  const length = `PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue '${name}' in vhost '/': received '6' but current is '5'`;
  await refused(() => other.assertQueue(name, { durable: false, arguments: { 'x-max-length': 6 } }), 406, length);
  await (await channel(connection)).deleteQueue(name);
});

check('queue-exclusive-405', async (connection) => {
  const name = await queue(await channel(connection));
  const stranger = await amqp.connect(url);
  const ch = await channel(stranger);
  await refused(() => ch.checkQueue(name), 405, `RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '${name}' in vhost '/'`);
  await stranger.close();
});

check('queue-reserved-403', async (connection) => {
  const ch = await channel(connection);
  const text = "ACCESS_REFUSED - queue name 'amq.interop' contains reserved prefix 'amq.*'";
  await refused(() => ch.assertQueue('amq.interop'), 403, text);
});

check('queue-delete-conditions', async (connection) => {
  const name = await queue(await channel(connection));
  const ch = await channel(connection, true);
  ch.sendToQueue(name, Buffer.from('x'));
  await ch.waitForConfirms();
  await refused(() => ch.deleteQueue(name, { ifEmpty: true }), 406, `PRECONDITION_FAILED - queue '${name}' in vhost '/' not empty`);
  const busy = await channel(connection);
  await busy.consume(name, () => {});
  const other = await channel(connection);
  await refused(() => other.deleteQueue(name, { ifUnused: true }), 406, `PRECONDITION_FAILED - queue '${name}' in vhost '/' in use`);
});

check('exchange-passive-404', async (connection) => {
  const ch = await channel(connection);
  const name = unique('missing');
  await refused(() => ch.checkExchange(name), 404, `NOT_FOUND - no exchange '${name}' in vhost '/'`);
});

check('exchange-inequivalent-406', async (connection) => {
  const name = unique('x');
  const ch = await channel(connection);
  await ch.assertExchange(name, 'direct', { durable: false });
  const text = `PRECONDITION_FAILED - inequivalent arg 'type' for exchange '${name}' in vhost '/': received 'fanout' but current is 'direct'`;
  await refused(() => ch.assertExchange(name, 'fanout', { durable: false }), 406, text);
  await (await channel(connection)).deleteExchange(name);
});

check('publish-missing-exchange-404', async (connection) => {
  const ch = await connection.createChannel();
  const name = unique('missing');
  const failed = next(ch, 'error');
  ch.publish(name, 'k', Buffer.from('lost'));
  const [error] = await failed;
  assert.equal(error.code, 404);
  assert.ok(error.message.includes(`NOT_FOUND - no exchange '${name}' in vhost '/'`), error.message);
});

check('channel-error-isolated', async (connection) => {
  const healthy = await channel(connection);
  const name = await queue(healthy);
  const failing = await channel(connection);
  await refused(() => failing.checkQueue(unique('missing')), 404, 'NOT_FOUND');
  assert.equal((await healthy.checkQueue(name)).queue, name);
  assert.equal((await (await channel(connection)).checkQueue(name)).queue, name);
});
