'use strict';
// Publish and subscribe: a fanout exchange copies each message into every queue bound to it.

const amqp = require('amqplib');

const URL = process.env.AMQP_URL || 'amqp://guest:guest@localhost:5672/%2f';
const EXCHANGE = `example.news.${process.pid}`;
const NEWS = ['spring is here', 'the clover is up'];

/** Subscribes with a queue of its own; resolves to a promise that all the news have been read. */
async function subscribe(connection, name) {
  const channel = await connection.createChannel();
  await channel.assertExchange(EXCHANGE, 'fanout', { durable: false, autoDelete: true });
  const { queue } = await channel.assertQueue('', { exclusive: true });
  // What was published before this is not for the subscriber.
  await channel.bindQueue(queue, EXCHANGE, '');

  let left = NEWS.length;
  const done = new Promise((resolve) => {
    channel.consume(queue, (message) => {
      console.log(`${name}: ${message.content}`);
      left -= 1;
      if (left === 0) resolve();
    }, { noAck: true });
  });
  return { done };
}

async function main() {
  const connection = await amqp.connect(URL);
  const subscribers = [await subscribe(connection, 'Anna'), await subscribe(connection, 'Boris')];

  // The publisher names the exchange only: it need not know who listens.
  const channel = await connection.createChannel();
  for (const text of NEWS) channel.publish(EXCHANGE, '', Buffer.from(text));

  await Promise.all(subscribers.map(({ done }) => done));
  await connection.close();
}

main();
