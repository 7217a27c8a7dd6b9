// testcontainers' RabbitMQContainer with our image: start, URL, several messages, commands inside.
import assert from "node:assert";
import { RabbitMQContainer } from "@testcontainers/rabbitmq";
import amqp from "amqplib";

const image = process.env.IMAGE;

async function roundTrip(url) {
  const connection = await amqp.connect(url);
  const channel = await connection.createChannel();
  const { queue } = await channel.assertQueue("", { exclusive: true });
  const body = new Promise((resolve) => {
    channel.consume(queue, (message) => resolve(message.content.toString()), { noAck: true });
  });
  channel.sendToQueue(queue, Buffer.from("hello"));
  assert.equal(await body, "hello");
  await connection.close();
}

const checks = {
  async defaults() {
    const container = await new RabbitMQContainer(image).start();
    try {
      await roundTrip(container.getAmqpUrl());
    } finally {
      await container.stop();
    }
  },
  async userAndCommands() {
    const environment = { RABBITMQ_DEFAULT_USER: "alice", RABBITMQ_DEFAULT_PASS: "wonder" };
    const container = await new RabbitMQContainer(image).withEnvironment(environment).start();
    try {
      await roundTrip(`amqp://alice:wonder@${container.getHost()}:${container.getMappedPort(5672)}`);
      const { exitCode, output } = await container.exec(["rabbitmqctl", "list_users", "--formatter", "json"]);
      assert.equal(exitCode, 0, output);
      assert.match(output, /"user": *"alice"/);
      const answer = await fetch(`http://${container.getHost()}:${container.getMappedPort(15672)}/api/overview`, {
        headers: { authorization: `Basic ${Buffer.from("alice:wonder").toString("base64")}` },
      });
      assert.equal(answer.status, 200);
    } finally {
      await container.stop();
    }
  },
};

for (const [name, check] of Object.entries(checks)) {
  await check();
  console.log(`ok ${name}`);
}
