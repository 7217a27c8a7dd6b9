'use strict';
// Request and reply by direct reply-to: answers come straight to the asking channel, without a queue.
//
// The client consumes from the pseudo-queue 'amq.rabbitmq.reply-to' and names it as reply-to in its
// requests; the broker replaces that by an address that leads back to this channel alone.

const amqp = require('amqplib');

const URL = process.env.AMQP_URL || 'amqp://guest:guest@localhost:5672/%2f';
const QUEUE = `example.squares.${process.pid}`;
const REPLY_TO = 'amq.rabbitmq.reply-to';
const COUNT = 5;

async function serve(connection) {
  const channel = await connection.createChannel();
  await channel.assertQueue(QUEUE, { durable: false, autoDelete: true });
  await channel.consume(QUEUE, (request) => {
    const answer = Number(request.content.toString()) ** 2;
    const { replyTo, correlationId } = request.properties;
    // The correlation id goes back unchanged: it tells the client which answer this is.
    channel.sendToQueue(replyTo, Buffer.from(String(answer)), { correlationId });
    channel.ack(request);
  });
}

async function startClient(connection) {
  const channel = await connection.createChannel();
  const waiting = new Map();
  // Consume first, without acknowledgements, and then publish on the very same channel.
  await channel.consume(REPLY_TO, (reply) => {
    const { correlationId } = reply.properties;
    waiting.get(correlationId)(reply.content.toString());
    waiting.delete(correlationId);
  }, { noAck: true });

  return (number) => new Promise((resolve) => {
    const correlationId = String(number);
    waiting.set(correlationId, resolve);
    channel.sendToQueue(QUEUE, Buffer.from(String(number)), { replyTo: REPLY_TO, correlationId });
  });
}

async function main() {
  const [serving, asking] = [await amqp.connect(URL), await amqp.connect(URL)];
  await serve(serving);
  const square = await startClient(asking);
  await Promise.all(Array.from({ length: COUNT }, async (_, number) => {
    console.log(`${number} squared is ${await square(number)}`);
  }));
  await asking.close();
  await serving.close();
}

main();
