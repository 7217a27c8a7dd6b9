'use strict';
// Topic routing: keys are words between dots; '*' in a binding stands for one word, '#' for any number.

const amqp = require('amqplib');

const URL = process.env.AMQP_URL || 'amqp://guest:guest@localhost:5672/%2f';
const EXCHANGE = `example.logs.${process.pid}`;
const KEYS = ['kitchen.oven.error', 'kitchen.lamp.info', 'garden.pump.error', 'garden'];
const PATTERNS = ['kitchen.#', '*.*.error', 'garden.#', '#'];

async function main() {
  const connection = await amqp.connect(URL);
  // A confirm channel, to know when all messages are in their queues.
  const channel = await connection.createConfirmChannel();
  await channel.assertExchange(EXCHANGE, 'topic', { durable: false, autoDelete: true });

  const queues = new Map();
  for (const pattern of PATTERNS) {
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, EXCHANGE, pattern);
    queues.set(pattern, queue);
  }

  for (const key of KEYS) channel.publish(EXCHANGE, key, Buffer.from('something happened'));
  await channel.waitForConfirms();

  for (const [pattern, queue] of queues) {
    const keys = [];
    for (let message; (message = await channel.get(queue, { noAck: true }));) keys.push(message.fields.routingKey);
    console.log(`${pattern.padEnd(10)} gets ${keys.join(', ')}`);
  }
  await connection.close();
}

main();
