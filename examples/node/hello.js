'use strict';
// The smallest exchange of a message: into a queue by its name, and out again.

const amqp = require('amqplib');

const URL = process.env.AMQP_URL || 'amqp://guest:guest@localhost:5672/%2f';

async function main() {
  const connection = await amqp.connect(URL);
  const channel = await connection.createChannel();

  // An empty name lets the broker choose one; 'exclusive' removes the queue with this connection.
  const { queue } = await channel.assertQueue('', { exclusive: true });

  const received = new Promise((resolve) => {
    channel.consume(queue, (message) => resolve(message.content.toString()), { noAck: true });
  });
  // The default exchange takes the routing key for a queue's name; sendToQueue publishes to it.
  channel.sendToQueue(queue, Buffer.from('Hello, hare!'));

  console.log('received:', await received);
  await connection.close();
}

main();
