'use strict';
// Properties, header field types and bodies survive the trip unchanged.

const { assert, channel, check, queue, refused, unique, next } = require('./harness');

/** Sends one message through a queue and fetches it again. */
async function roundTrip(connection, content, options = {}) {
  const ch = await channel(connection, true);
  const name = await queue(ch);
  ch.sendToQueue(name, content, options);
  await ch.waitForConfirms();
  return ch.get(name, { noAck: true });
}

check('properties-round-trip', async (connection) => {
  const sent = {
    contentType: 'text/plain', contentEncoding: 'utf-8', deliveryMode: 2, priority: 7, correlationId: 'corr-1',
    replyTo: 'answers', expiration: '600000', messageId: 'id-1', timestamp: 1700000000, type: 'greeting',
    userId: 'guest', appId: 'interop',
  };
  const { properties } = await roundTrip(connection, Buffer.from('x'), sent);
  for (const [name, value] of Object.entries(sent)) assert.equal(properties[name], value, name);
});

check('properties-absent', async (connection) => {
  const { properties } = await roundTrip(connection, Buffer.from('x'));
  for (const name of ['contentType', 'correlationId', 'replyTo', 'priority', 'timestamp']) {
    assert.equal(properties[name], undefined, name);
  }
});

check('user-id-forged-406', async (connection) => {
  const ch = await connection.createChannel();
  const failed = next(ch, 'error');
  ch.sendToQueue(unique('any'), Buffer.from('x'), { userId: 'somebody' });
  const [error] = await failed;
  assert.equal(error.code, 406);
  const text = "PRECONDITION_FAILED - user_id property set to 'somebody' but authenticated user was 'guest'";
  assert.ok(error.message.includes(text), error.message);
});

check('header-types-round-trip', async (connection) => {
  const headers = {
    string: 'żółw', empty: '', yes: true, no: false, nothing: null,
    byte: -7, short: -300, int: -70000, long: -5000000000,
    double: 2.5, bytes: Buffer.from([0, 255, 10]),
    list: ['a', 1, [true, null], { deep: 'table' }],
    table: { inner: { most: 1 }, also: 'here' },
  };
  const { properties } = await roundTrip(connection, Buffer.from('x'), { headers });
  assert.deepEqual({ ...properties.headers }, headers);
});

check('header-types-explicit', async (connection) => {
  const headers = {
    float: { '!': 'float', value: 0.5 },
    timestamp: { '!': 'timestamp', value: 1700000000 },
    decimal: { '!': 'decimal', value: { digits: 314, places: 2 } },
    unsignedByte: { '!': 'uint8', value: 200 },
    unsignedShort: { '!': 'uint16', value: 60000 },
    unsignedInt: { '!': 'uint32', value: 4000000000 },
  };
  const { properties } = await roundTrip(connection, Buffer.from('x'), { headers });
  assert.equal(properties.headers.float, 0.5);
  assert.deepEqual(properties.headers.timestamp, headers.timestamp);
  assert.deepEqual(properties.headers.decimal, headers.decimal);
  assert.deepEqual(
    ['unsignedByte', 'unsignedShort', 'unsignedInt'].map((name) => properties.headers[name]),
    [200, 60000, 4000000000],
  );
});

check('body-large', async (connection) => {
  const size = 5 * 1024 * 1024;
  const content = Buffer.alloc(size, Buffer.from(Array.from({ length: 251 }, (_, i) => i)));
  const message = await roundTrip(connection, content);
  assert.equal(message.content.length, size);
  assert.ok(message.content.equals(content), 'the body changed on the way');
});

check('body-empty', async (connection) => {
  const message = await roundTrip(connection, Buffer.alloc(0), { type: 'nothing' });
  assert.deepEqual([message.content.length, message.properties.type], [0, 'nothing']);
});

check('expiration-invalid-406', async (connection) => {
  const ch = await connection.createChannel();
  const failed = next(ch, 'error');
  ch.sendToQueue(unique('any'), Buffer.from('x'), { expiration: 'soon' });
  const [error] = await failed;
  assert.equal(error.code, 406);
  assert.ok(error.message.includes("PRECONDITION_FAILED - invalid expiration 'soon'"), error.message);
});
