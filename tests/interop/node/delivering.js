'use strict';
// Consuming: prefetch, acknowledgement, redelivery, cancellation, priorities.

const { assert, channel, check, consumer, drain, next, queue, refused, unique, within } = require('./harness');

/** A queue holding the given bodies, and the confirm channel that filled it. */
async function filled(connection, bodies, options) {
  const ch = await channel(connection, true);
  const name = await queue(ch, options);
  for (const body of bodies) ch.sendToQueue(name, Buffer.from(body));
  await ch.waitForConfirms();
  return { ch, name };
}

const body = (message) => message.content.toString();

check('prefetch-exact', async (connection) => {
  const { name } = await filled(connection, Array.from({ length: 10 }, (_, i) => `m${i}`));
  const ch = await channel(connection);
  await ch.prefetch(3);
  const inbox = await consumer(ch, name);
  const held = await inbox.take(3);
  // A later reply on the channel would follow any delivery already sent.
  assert.equal((await ch.checkQueue(name)).messageCount, 7);
  assert.equal(inbox.pending(), 0);
  ch.ack(held[1], true);
  assert.deepEqual((await inbox.take(2)).map(body), ['m3', 'm4']);
  assert.equal((await ch.checkQueue(name)).messageCount, 5);
  assert.equal(inbox.pending(), 0);
});

check('ack-settles', async (connection) => {
  const { name } = await filled(connection, ['a', 'b']);
  const ch = await channel(connection);
  const inbox = await consumer(ch, name);
  const [first] = await inbox.take(2);
  ch.ack(first);
  await ch.close();
  const other = await channel(connection);
  const left = await other.get(name);
  assert.deepEqual([body(left), left.fields.redelivered], ['b', true]);
  assert.equal(await other.get(name), false);
});

check('nack-requeue-redelivered', async (connection) => {
  const { name } = await filled(connection, ['one', 'two', 'three']);
  const ch = await channel(connection);
  const inbox = await consumer(ch, name);
  const held = await inbox.take(3);
  assert.deepEqual(held.map(({ fields }) => fields.redelivered), [false, false, false]);
  ch.nack(held[2], true, true);
  const again = await inbox.take(3);
  assert.deepEqual(again.map(body), ['one', 'two', 'three']);
  assert.deepEqual(again.map(({ fields }) => fields.redelivered), [true, true, true]);
  ch.ackAll();
});

check('reject-drops', async (connection) => {
  const { name } = await filled(connection, ['bad', 'good']);
  const ch = await channel(connection);
  ch.reject(await ch.get(name), false);
  assert.deepEqual(await drain(ch, name), ['good']);
});

check('reject-dead-letters', async (connection) => {
  const setup = await channel(connection);
  const grave = await queue(setup);
  const { ch, name } = await filled(connection, ['bad'], { deadLetterExchange: '', deadLetterRoutingKey: grave });
  const inbox = await consumer(ch, grave, { noAck: true });
  ch.reject(await ch.get(name), false);
  const [dead] = await inbox.take(1);
  const [death] = dead.properties.headers['x-death'];
  assert.deepEqual([body(dead), death.reason, death.queue, Number(death.count)], ['bad', 'rejected', name, 1]);
  assert.equal(dead.properties.headers['x-first-death-queue'], name);
});

check('ttl-dead-letters', async (connection) => {
  const ch = await channel(connection);
  const grave = await queue(ch);
  const name = await queue(ch, { messageTtl: 50, deadLetterExchange: '', deadLetterRoutingKey: grave });
  const inbox = await consumer(ch, grave, { noAck: true });
  ch.sendToQueue(name, Buffer.from('late'));
  const [dead] = await inbox.take(1);
  assert.equal(dead.properties.headers['x-death'][0].reason, 'expired');
});

check('recover-redelivers', async (connection) => {
  const { name } = await filled(connection, ['again']);
  const ch = await channel(connection);
  const inbox = await consumer(ch, name);
  await inbox.take(1);
  await ch.recover();
  const [message] = await inbox.take(1);
  assert.equal(message.fields.redelivered, true);
});

check('ack-unknown-406', async (connection) => {
  const ch = await connection.createChannel();
  const failed = next(ch, 'error');
  ch.ack({ fields: { deliveryTag: 42 } });
  const [error] = await failed;
  assert.equal(error.code, 406);
  assert.ok(error.message.includes('PRECONDITION_FAILED - unknown delivery tag 42'), error.message);
});

check('get-and-empty', async (connection) => {
  const { ch, name } = await filled(connection, ['a', 'b']);
  const message = await ch.get(name);
  assert.deepEqual(
    [body(message), message.fields.messageCount, message.fields.exchange, message.fields.routingKey],
    ['a', 1, '', name],
  );
  ch.ack(message);
  assert.deepEqual(await drain(ch, name), ['b']);
  assert.equal(await ch.get(name), false);
});

check('consume-no-ack', async (connection) => {
  const { name } = await filled(connection, ['a', 'b', 'c']);
  const ch = await channel(connection);
  const inbox = await consumer(ch, name, { noAck: true });
  assert.deepEqual((await inbox.take(3)).map(body), ['a', 'b', 'c']);
  await ch.close();
  assert.equal((await (await channel(connection)).checkQueue(name)).messageCount, 0);
});

check('consume-exclusive-403', async (connection) => {
  const ch = await channel(connection);
  const name = await queue(ch);
  await consumer(ch, name, { exclusive: true });
  const other = await channel(connection);
  await refused(() => other.consume(name, () => {}), 403, `ACCESS_REFUSED - queue '${name}' in vhost '/' in exclusive use`);
});

check('consumer-cancelled-on-delete', async (connection) => {
  const ch = await channel(connection);
  const name = await queue(ch);
  const inbox = await consumer(ch, name);
  await (await channel(connection)).deleteQueue(name);
  assert.deepEqual(await inbox.take(1), [null]);
  // The channel outlives its consumer.
  await queue(ch);
});

check('consumer-cancel-stops', async (connection) => {
  const { ch, name } = await filled(connection, []);
  const inbox = await consumer(ch, name, { consumerTag: 'chosen' });
  assert.equal(inbox.tag, 'chosen');
  await ch.cancel(inbox.tag);
  ch.sendToQueue(name, Buffer.from('kept'));
  await ch.waitForConfirms();
  assert.deepEqual(await drain(ch, name), ['kept']);
  assert.equal(inbox.pending(), 0);
});

check('consumer-priority', async (connection) => {
  const ch = await channel(connection, true);
  const name = await queue(ch);
  const low = await channel(connection);
  const high = await channel(connection);
  await high.prefetch(2);
  const second = await consumer(low, name, { priority: 1 });
  const first = await consumer(high, name, { priority: 10 });
  for (let i = 0; i < 4; i += 1) ch.sendToQueue(name, Buffer.from(`m${i}`));
  assert.deepEqual((await first.take(2)).map(body), ['m0', 'm1']);
  assert.deepEqual((await second.take(2)).map(body), ['m2', 'm3']);
  assert.equal(first.pending(), 0);
});

check('rpc-direct-reply-to', async (connection) => {
  const server = await channel(connection);
  const requests = await queue(server);
  await server.consume(requests, (request) => {
    const answer = String(Number(body(request)) * 2);
    server.sendToQueue(request.properties.replyTo, Buffer.from(answer), { correlationId: request.properties.correlationId });
  }, { noAck: true });

  const client = await channel(connection);
  const replies = await consumer(client, 'amq.rabbitmq.reply-to', { noAck: true });
  for (const [id, value] of [['c1', 21], ['c2', 4]]) {
    client.sendToQueue(requests, Buffer.from(String(value)), { replyTo: 'amq.rabbitmq.reply-to', correlationId: id });
  }
  const answers = await replies.take(2);
  assert.deepEqual(answers.map((m) => [m.properties.correlationId, body(m)]), [['c1', '42'], ['c2', '8']]);
});

check('order-kept', async (connection) => {
  const ch = await channel(connection);
  const name = await queue(ch);
  const inbox = await consumer(ch, name, { noAck: true });
  const sent = Array.from({ length: 2000 }, (_, i) => String(i));
  for (const text of sent) ch.sendToQueue(name, Buffer.from(text));
  assert.deepEqual((await within(inbox.take(2000), 'all', 10000)).map(body), sent);
});
