'use strict';
// Headers routing: bindings compare header values; 'x-match' says whether all or any must agree.

const amqp = require('amqplib');

const URL = process.env.AMQP_URL || 'amqp://guest:guest@localhost:5672/%2f';
const EXCHANGE = `example.documents.${process.pid}`;
const BINDINGS = {
  'colour and A4': { 'x-match': 'all', colour: true, format: 'A4' },
  'colour or A4': { 'x-match': 'any', colour: true, format: 'A4' },
};
const DOCUMENTS = {
  poster: { colour: true, format: 'A1' },
  letter: { colour: false, format: 'A4' },
  photo: { colour: true, format: 'A4', pages: 1 },
  receipt: { colour: false, format: 'A7' },
};

async function main() {
  const connection = await amqp.connect(URL);
  // A confirm channel, to know when all messages are in their queues.
  const channel = await connection.createConfirmChannel();
  await channel.assertExchange(EXCHANGE, 'headers', { durable: false, autoDelete: true });

  const queues = new Map();
  for (const [name, values] of Object.entries(BINDINGS)) {
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, EXCHANGE, '', values);
    queues.set(name, queue);
  }

  for (const [document, headers] of Object.entries(DOCUMENTS)) {
    // The routing key plays no part here.
    channel.publish(EXCHANGE, '', Buffer.from(document), { headers });
  }
  await channel.waitForConfirms();

  for (const [name, queue] of queues) {
    const documents = [];
    for (let message; (message = await channel.get(queue, { noAck: true }));) documents.push(message.content);
    console.log(`${name}: ${documents.join(', ')}`);
  }
  await connection.close();
}

main();
