'use strict';
// A work queue: tasks wait in one queue, and idle workers take them one at a time.
//
// Each worker holds at most one task that it has not acknowledged (prefetch 1), so a slow task does
// not keep quick ones waiting behind it. A task is acknowledged when it is done: had its worker died
// before that, the broker would give the task to another one.

const { setTimeout: pause } = require('node:timers/promises');
const amqp = require('amqplib');

const URL = process.env.AMQP_URL || 'amqp://guest:guest@localhost:5672/%2f';
const QUEUE = `example.tasks.${process.pid}`;
const TASKS = ['0.3', '0.05', '0.05', '0.05', '0.05', '0.05'];

async function startWorker(connection, name, onDone) {
  const channel = await connection.createChannel();
  await channel.prefetch(1);
  await channel.consume(QUEUE, async (message) => {
    const seconds = message.content.toString();
    await pause(Number(seconds) * 1000);
    channel.ack(message);
    console.log(`${name} has done ${seconds} s of work`);
    onDone();
  });
  return channel;
}

async function main() {
  const connection = await amqp.connect(URL);
  const channel = await connection.createChannel();
  await channel.assertQueue(QUEUE, { durable: true });

  let open = TASKS.length;
  let finish;
  const finished = new Promise((resolve) => { finish = resolve; });
  const onDone = () => {
    open -= 1;
    if (open === 0) finish();
  };
  const workers = await Promise.all(['worker 1', 'worker 2'].map((name) => startWorker(connection, name, onDone)));

  for (const seconds of TASKS) {
    // 'persistent' and a durable queue: the tasks also survive a restart of the broker.
    channel.sendToQueue(QUEUE, Buffer.from(seconds), { persistent: true });
  }
  await finished;
  // Closing the workers' channels first lets their last acknowledgements reach the broker.
  await Promise.all(workers.map((worker) => worker.close()));
  await channel.deleteQueue(QUEUE);
  await connection.close();
}

main();
