'use strict';
// Opening, refusing, keeping alive, losing and closing connections.

const { setTimeout: elapse } = require('node:timers/promises');
const { amqp, assert, channel, check, consumer, next, unique, url, within } = require('./harness');
const { relay } = require('./proxy');

/** The broker's URL with some parts replaced. */
function variant(change) {
  const parsed = new URL(url);
  change(parsed);
  return parsed.toString();
}

check('connect-announces-server', async (connection) => {
  const properties = connection.connection.serverProperties;
  assert.equal(properties.product, 'RabbitMQ');
  assert.match(properties.version, /^\d+\.\d+/);
  const wanted = [
    'publisher_confirms', 'exchange_exchange_bindings', 'basic.nack', 'consumer_cancel_notify', 'connection.blocked',
    'consumer_priorities', 'authentication_failure_close', 'per_consumer_qos', 'direct_reply_to',
  ];
  for (const name of wanted) assert.equal(properties.capabilities[name], true, name);
});

// amqplib puts what ended the handshake into the message only, and of a close
// that answers connection.open it shows no more than the method's name.
check('login-refused', async () => {
  const wrong = variant((parsed) => { parsed.password = 'not-the-password'; });
  const text = '403 (ACCESS-REFUSED) with message "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.';
  await assert.rejects(within(amqp.connect(wrong), 'refusal'), (error) => error.message.includes(text));
}, { bare: true });

check('vhost-unknown', async () => {
  const wrong = variant((parsed) => { parsed.pathname = '/no-such-vhost'; });
  await assert.rejects(within(amqp.connect(wrong), 'refusal'), /Expected ConnectionOpenOk; got <ConnectionClose/);
}, { bare: true });

check('login-amqplain', async () => {
  const { hostname, port, username, password } = new URL(url);
  const credentials = amqp.credentials.amqplain(username, password);
  const connection = await amqp.connect({ hostname, port: Number(port), vhost: '/' }, { credentials });
  await (await connection.createChannel()).close();
  await connection.close();
}, { bare: true });

check('update-secret', async (connection) => {
  const { password } = new URL(url);
  await within(connection.updateSecret(Buffer.from(password), 'rotated'), 'update-secret-ok');
  await (await channel(connection)).assertQueue('', { exclusive: true });
});

check('channels-independent', async (connection) => {
  const channels = await Promise.all(Array.from({ length: 50 }, () => channel(connection)));
  await channels[7].close();
  const declared = await Promise.all(
    channels.filter((_, index) => index !== 7).map((ch) => ch.assertQueue('', { exclusive: true })),
  );
  assert.equal(new Set(declared.map(({ queue }) => queue)).size, 49);
});

check('heartbeat-idle', async () => {
  const connection = await amqp.connect(variant((parsed) => { parsed.search = '?heartbeat=1'; }));
  let lost = null;
  connection.on('error', (error) => { lost = error; });
  connection.on('close', (error) => { lost = lost || error || new Error('closed'); });
  // The time itself is what is tested: both sides must keep the link alive.
  await elapse(5000);
  assert.equal(lost, null);
  const ch = await connection.createChannel();
  await ch.assertQueue('', { exclusive: true });
  await connection.close();
}, { bare: true });

check('recovery-after-cut', async () => {
  const { hostname, port } = new URL(url);
  const proxy = await relay(hostname, Number(port));
  const name = unique('recovering');
  const arrivals = [];
  let ready = () => {};
  const setup = async (model) => {
    const ch = await model.createChannel();
    await ch.assertQueue(name, { exclusive: true });
    const inbox = await consumer(ch, name, { noAck: true });
    arrivals.push({ ch, inbox });
    ready();
  };
  const connection = await amqp.connect(variant((parsed) => { parsed.port = proxy.port; }), {
    recovery: { initialDelay: 50, maxDelay: 500, setup },
  });
  connection.on('error', () => {});
  const roundTrip = async ({ ch, inbox }, body) => {
    ch.sendToQueue(name, Buffer.from(body));
    const [message] = await inbox.take(1);
    assert.equal(message.content.toString(), body);
  };
  await roundTrip(arrivals[0], 'before');
  const again = new Promise((resolve) => { ready = resolve; });
  arrivals[0].ch.on('error', () => {});
  proxy.cut();
  await within(again, 'recovery');
  await roundTrip(arrivals[1], 'after');
  await connection.close();
  proxy.close();
}, { bare: true });

check('reconnect-after-close', async () => {
  const name = unique('handed-over');
  for (const body of ['first', 'second']) {
    const connection = await amqp.connect(url);
    const ch = await connection.createConfirmChannel();
    // Exclusive queues go with their connection, so the name is free again.
    const { messageCount } = await ch.assertQueue(name, { exclusive: true });
    assert.equal(messageCount, 0);
    ch.sendToQueue(name, Buffer.from(body));
    await ch.waitForConfirms();
    assert.equal((await ch.get(name, { noAck: true })).content.toString(), body);
    await connection.close();
  }
}, { bare: true });

check('close-clean', async () => {
  const connection = await amqp.connect(url);
  const ch = await connection.createChannel();
  const closed = Promise.all([next(connection, 'close'), next(ch, 'close')]);
  await ch.close();
  await connection.close();
  const [[error]] = await closed;
  assert.equal(error, undefined);
}, { bare: true });
