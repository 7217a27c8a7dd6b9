'use strict';
// Confirms and returned messages.

const { assert, channel, check, drain, next, queue, unique } = require('./harness');

check('confirm-single', async (connection) => {
  const ch = await channel(connection, true);
  const name = await queue(ch);
  await new Promise((resolve, reject) => {
    ch.sendToQueue(name, Buffer.from('sure'), { persistent: true }, (error) => (error ? reject(error) : resolve()));
  });
  assert.deepEqual(await drain(ch, name), ['sure']);
});

check('confirm-many', async (connection) => {
  const ch = await channel(connection, true);
  const name = await queue(ch);
  let confirmed = 0;
  const waits = Array.from({ length: 500 }, (_, i) => new Promise((resolve, reject) => {
    ch.sendToQueue(name, Buffer.from(String(i)), {}, (error) => {
      confirmed += 1;
      if (error) reject(error);
      else resolve();
    });
  }));
  await Promise.all(waits);
  assert.equal(confirmed, 500);
  assert.equal((await ch.checkQueue(name)).messageCount, 500);
});

check('confirm-nack-when-full', async (connection) => {
  const ch = await channel(connection, true);
  const name = await queue(ch, { maxLength: 1, arguments: { 'x-overflow': 'reject-publish' } });
  const outcome = (text) => new Promise((resolve) => {
    ch.sendToQueue(name, Buffer.from(text), {}, (error) => resolve(error === null ? 'ack' : 'nack'));
  });
  assert.equal(await outcome('fits'), 'ack');
  assert.equal(await outcome('too much'), 'nack');
  assert.deepEqual(await drain(ch, name), ['fits']);
});

check('mandatory-return', async (connection) => {
  const ch = await channel(connection, true);
  const key = unique('nowhere');
  const returned = next(ch, 'return');
  let order = 'nothing returned before the confirm';
  ch.once('return', () => { order = 'returned first'; });
  await new Promise((resolve, reject) => {
    ch.publish('amq.direct', key, Buffer.from('back'), { mandatory: true, messageId: 'm-1' }, (error) => (error ? reject(error) : resolve()));
  });
  assert.equal(order, 'returned first');
  const [message] = await returned;
  const { replyCode, replyText, exchange, routingKey } = message.fields;
  assert.deepEqual([replyCode, replyText, exchange, routingKey], [312, 'NO_ROUTE', 'amq.direct', key]);
  assert.deepEqual([message.content.toString(), message.properties.messageId], ['back', 'm-1']);
});
