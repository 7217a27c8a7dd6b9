'use strict';
// Publisher confirms: knowing that the broker has taken a message, could not route it, or refused it.

const amqp = require('amqplib');

const URL = process.env.AMQP_URL || 'amqp://guest:guest@localhost:5672/%2f';

async function main() {
  const connection = await amqp.connect(URL);
  const channel = await connection.createConfirmChannel();
  const returned = new Map();
  channel.on('return', (message) => returned.set(message.content.toString(), message.fields.replyText));

  // A queue for two messages that refuses more, instead of dropping the oldest.
  const { queue } = await channel.assertQueue('', {
    exclusive: true,
    maxLength: 2,
    arguments: { 'x-overflow': 'reject-publish' },
  });

  // The callback hears the broker's answer. A return comes before its confirm.
  const publish = (key, text, options) => new Promise((resolve) => {
    channel.publish('', key, Buffer.from(text), options, (error) => {
      if (error) resolve('refused, the queue is full');
      else if (returned.has(text)) resolve(`returned, ${returned.get(text)}`);
      else resolve('confirmed');
    });
  });

  for (const text of ['first', 'second', 'third']) console.log(`${text}: ${await publish(queue, text, {})}`);
  // 'mandatory' asks for messages back that no queue would get.
  console.log(`fourth: ${await publish(`${queue}.misspelt`, 'fourth', { mandatory: true })}`);
  await connection.close();
}

main();
