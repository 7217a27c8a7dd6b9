<?php
// php-amqplib against the broker.

require 'checks.php';
require 'routing.php';

use PhpAmqpLib\Exception\AMQPBasicCancelException;
use PhpAmqpLib\Exception\AMQPConnectionClosedException;
use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPAbstractCollection as Type;
use PhpAmqpLib\Wire\AMQPDecimal;
use PhpAmqpLib\Wire\AMQPTable;

check('connect-with-both-mechanisms', function () {
    foreach (['AMQPLAIN', 'PLAIN'] as $login) {
        $connection = connect(['login' => $login]);
        $properties = $connection->getServerProperties();
        equal(isset($properties['product'], $properties['version'], $properties['capabilities']), true, 'properties');
        $connection->channel()->close();
        $connection->close();
        equal($connection->isConnected(), false, 'connected');
    }
});

check('refusals', function () {
    // The client appends the class and method that the close names.
    foreach (['AMQPLAIN', 'PLAIN'] as $login) {
        try {
            connect(['login' => $login, 'password' => 'wrong']);
        } catch (AMQPConnectionClosedException $error) {
            equal([$error->getCode(), $error->getMessage()], [403, 'ACCESS_REFUSED - Login was refused using '
                . "authentication mechanism $login. For details see the broker logfile.(0, 0)"], 'close');
            continue;
        }
        throw new RuntimeException("a wrong password was accepted by $login");
    }
    $vhost = unique('vhost');
    try {
        connect(['vhost' => $vhost]);
    } catch (AMQPConnectionClosedException $error) {
        equal([$error->getCode(), $error->getMessage()], [530, "NOT_ALLOWED - vhost $vhost not found(10, 40)"], 'close');
        return;
    }
    throw new RuntimeException('an unknown vhost was accepted');
});

check('channel-errors', fn () => session(function (Session $s) {
    [$queue, $missing] = [$s->queue(), unique('missing')];
    closesWith(404, "NOT_FOUND - no queue '$missing' in vhost '/'",
        fn () => $s->connection->channel()->queue_declare($missing, true));
    closesWith(404, "NOT_FOUND - no exchange '$missing' in vhost '/'",
        fn () => $s->connection->channel()->exchange_declare($missing, 'direct', true));
    closesWith(406, "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '$queue' in vhost '/': "
        . "received 'true' but current is 'false'",
        fn () => $s->connection->channel()->queue_declare($queue, false, true, false, false));
    closesWith(406, "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'amq.topic' in vhost '/': "
        . "received 'direct' but current is 'topic'",
        fn () => $s->connection->channel()->exchange_declare('amq.topic', 'direct', false, true, false));
    closesWith(406, "PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue '$missing' in vhost '/': "
        . '"expected integer, got longstr"',
        fn () => $s->connection->channel()->queue_declare($missing, false, false, false, false, false,
            new AMQPTable(['x-message-ttl' => 'soon'])));
    $s->publish('', $queue, 'alive');
    equal($s->bodies($queue), ['alive'], 'first channel');
}));

check('exclusive-queue', fn () => session(function (Session $owner) {
    session(function (Session $other) use ($owner) {
        [$name] = $owner->channel->queue_declare('', false, false, true, false);
        equal(str_starts_with($name, 'amq.gen-'), true, $name);
        closesWith(405, "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '$name' in vhost '/'. It "
            . 'could be originally declared on another connection or the exclusive property value does not match that '
            . 'of the original declaration.', fn () => $other->connection->channel()->queue_declare($name, true));
        $owner->connection->close();
        closesWith(404, "NOT_FOUND - no queue '$name' in vhost '/'",
            fn () => $other->connection->channel()->queue_declare($name, true));
    });
}));

check('confirms', fn () => session(function (Session $s) {
    $queue = $s->queue(durable: true);
    $acked = 0;
    $channel = $s->connection->channel();
    $channel->set_ack_handler(function () use (&$acked) { $acked++; });
    $channel->confirm_select();
    for ($n = 0; $n < 500; $n++) {
        $channel->basic_publish(new AMQPMessage("$n", ['delivery_mode' => 2]), '', $queue);
    }
    $channel->wait_for_pending_acks(10);
    equal([$acked, $s->depth($queue)], [500, 500], 'acked, in the queue');
}));

check('batch-publish', fn () => session(function (Session $s) {
    $queue = $s->queue();
    $channel = $s->connection->channel();
    $channel->confirm_select();
    for ($n = 0; $n < 200; $n++) {
        $channel->batch_basic_publish(new AMQPMessage("$n"), '', $queue);
    }
    $channel->publish_batch();
    $channel->wait_for_pending_acks(10);
    equal($s->bodies($queue), array_map('strval', range(0, 199)), 'order');
}));

check('full-queue-nacks', fn () => session(function (Session $s) {
    $queue = $s->queue(['x-max-length' => 1, 'x-overflow' => 'reject-publish']);
    $s->publish('', $queue, 'fits');
    $nacked = [];
    $channel = $s->connection->channel();
    $channel->set_nack_handler(function (AMQPMessage $message) use (&$nacked) { $nacked[] = $message->getBody(); });
    $channel->confirm_select();
    $channel->basic_publish(new AMQPMessage('refused'), '', $queue);
    $channel->wait_for_pending_acks(10);
    equal($nacked, ['refused'], 'nacked');
}));

check('mandatory-return', fn () => session(function (Session $s) {
    $exchange = $s->exchange('direct');
    $returned = [];
    $s->channel->set_return_listener(function (...$return) use (&$returned) { $returned[] = $return; });
    $s->channel->basic_publish(new AMQPMessage('back', ['message_id' => 'm-1']), $exchange, 'nobody', true);
    $s->waitUntil(function () use (&$returned) { return $returned; });
    [$code, $text, $from, $key, $message] = $returned[0];
    equal([$code, $text, $from, $key, $message->getBody(), $message->get('message_id')],
        [312, 'NO_ROUTE', $exchange, 'nobody', 'back', 'm-1'], 'return');
}));

check('prefetch-is-exact', fn () => session(function (Session $s) {
    $queue = $s->queue();
    $s->publish('', $queue, ...array_map('strval', range(0, 9)));
    $s->channel->basic_qos(0, 3, false);
    $got = $s->consume($queue);
    $s->waitUntil(fn () => count($got) === 3);
    equal([$s->depth($queue), count($got)], [7, 3], 'waiting with 3 unacked');
    $got[1]->ack(true);
    $s->waitUntil(fn () => count($got) === 5);
    equal([$s->depth($queue), count($got)], [5, 5], 'waiting after 2 acks');
}));

check('ack-nack-and-reject', fn () => session(function (Session $s) {
    $dead = $s->queue();
    $queue = $s->queue(['x-dead-letter-exchange' => '', 'x-dead-letter-routing-key' => $dead]);
    equal($s->channel->basic_get($queue), null, 'get-empty');
    $s->publish('', $queue, 'ack', 'nack', 'reject', 'drop');
    [$ack, $nack, $reject, $drop] = array_map(fn () => $s->channel->basic_get($queue), range(1, 4));
    equal([$ack->getMessageCount(), $ack->isRedelivered()], [3, false], 'get-ok');
    $ack->ack();
    $nack->nack(true);
    $reject->reject(true);
    $drop->nack(false);
    $again = $s->consume($queue, true);
    $s->waitUntil(fn () => count($again) === 2);
    equal(array_map(fn ($m) => [$m->isRedelivered(), $m->getBody()], (array) $again),
        [[true, 'nack'], [true, 'reject']], 'redelivered');
    $lost = $s->consume($dead, true);
    $s->waitUntil(fn () => count($lost));
    $death = $lost[0]->get('application_headers')->getNativeData()['x-death'][0];
    equal([$lost[0]->getBody(), $death['reason'], $death['queue'], $death['count']], ['drop', 'rejected', $queue, 1],
        'dead letter');
}));

check('recover', fn () => session(function (Session $s) {
    $queue = $s->queue();
    $s->publish('', $queue, '1');
    $got = $s->consume($queue);
    $s->waitUntil(fn () => count($got) === 1);
    $s->channel->basic_recover(true);
    $s->waitUntil(fn () => count($got) === 2);
    equal($got[1]->isRedelivered(), true, 'redelivered');
}));

check('cancelled-when-the-queue-goes', fn () => session(function (Session $s) {
    $queue = $s->queue();
    $s->consume($queue, tag: 'watcher');
    $s->connection->channel()->queue_delete($queue);
    try {
        $s->waitUntil(fn () => false);
    } catch (AMQPBasicCancelException $error) {
        equal($error->consumerTag, 'watcher', 'cancelled tag');
    }
    equal($s->depth($s->queue()), 0, 'the channel works');
}));

check('direct-reply-to', fn () => session(function (Session $s) {
    $requests = $s->queue();
    $server = $s->connection->channel();
    $server->basic_consume($requests, '', false, true, false, false, fn (AMQPMessage $m) => $server->basic_publish(
        new AMQPMessage(strrev($m->getBody()), ['correlation_id' => $m->get('correlation_id')]), '', $m->get('reply_to')));
    $replies = $s->consume('amq.rabbitmq.reply-to', true);
    $s->channel->basic_publish(new AMQPMessage('drawer', ['reply_to' => 'amq.rabbitmq.reply-to',
        'correlation_id' => '5']), '', $requests);
    $server->wait(null, false, 10);
    $s->waitUntil(fn () => count($replies));
    equal([$replies[0]->getBody(), $replies[0]->get('correlation_id')], ['reward', '5'], 'reply');
}));

check('transactions', fn () => session(function (Session $s) {
    $queue = $s->queue();
    $channel = $s->connection->channel();
    $channel->tx_select();
    $channel->basic_publish(new AMQPMessage('rolled back'), '', $queue);
    $channel->tx_rollback();
    $channel->basic_publish(new AMQPMessage('committed'), '', $queue);
    equal($s->depth($queue), 0, 'before commit');
    $channel->tx_commit();
    equal($s->bodies($queue), ['committed'], 'after commit');
}));

check('properties', fn () => session(function (Session $s) {
    $queue = $s->queue();
    $properties = ['content_type' => 'text/plain', 'content_encoding' => 'utf-8', 'delivery_mode' => 2,
        'priority' => 8, 'correlation_id' => 'c', 'reply_to' => 'r', 'expiration' => '60000', 'message_id' => 'm',
        'timestamp' => 1700000000, 'type' => 't', 'user_id' => 'guest', 'app_id' => 'a', 'cluster_id' => 'x'];
    $s->publish('', $queue, new AMQPMessage('body', $properties), new AMQPMessage('bare'));
    equal($s->channel->basic_get($queue, true)->get_properties(), $properties, 'properties');
    equal($s->channel->basic_get($queue, true)->get_properties(), [], 'no properties');
}));

check('headers-of-every-type', fn () => session(function (Session $s) {
    $queue = $s->queue();
    $headers = new AMQPTable();
    // This client can be told the field type of each value: those of the integers, too.
    foreach (['b' => [Type::T_INT_SHORTSHORT, -100], 'B' => [Type::T_INT_SHORTSHORT_U, 200],
        's' => [Type::T_INT_SHORT, -30000], 'u' => [Type::T_INT_SHORT_U, 60000],
        'I' => [Type::T_INT_LONG, -2000000000], 'i' => [Type::T_INT_LONG_U, 4000000000],
        'l' => [Type::T_INT_LONGLONG, -(2 ** 60)], 'S' => [Type::T_STRING_LONG, 'žluť'], 't' => [Type::T_BOOL, true],
        'V' => [Type::T_VOID, null], 'T' => [Type::T_TIMESTAMP, 1700000000]] as $name => [$type, $value]) {
        $headers->set($name, $value, $type);
    }
    $headers->set('D', new AMQPDecimal(314, 2));
    $headers->set('A', [1, 'two', [3]]);
    $headers->set('F', ['inner' => ['deep' => true]]);
    $s->publish('', $queue, new AMQPMessage('', ['application_headers' => $headers]));
    $got = $s->channel->basic_get($queue, true)->get('application_headers')->getNativeData();
    $wanted = $headers->getNativeData();
    ksort($got);
    ksort($wanted);
    equal($got, $wanted, 'headers');
}));

check('large-and-empty-bodies', fn () => session(function (Session $s) {
    $queue = $s->queue();
    $sent = ['', 'x', str_repeat("\0", 131064), str_repeat("\xCE", 131065), random_bytes(5_000_000)];
    $s->publish('', $queue, ...$sent);
    $got = $s->bodies($queue);
    equal(array_map('strlen', $got), array_map('strlen', $sent), 'lengths');
    equal($got === $sent, true, 'same octets');
}));

check('heartbeats', fn () => session(function (Session $s) {
    $queue = $s->queue();
    for ($n = 0; $n < 25; $n++) {
        usleep(200_000);
        $s->connection->checkHeartBeat();
    }
    $s->publish('', $queue, 'awake');
    equal($s->bodies($queue), ['awake'], 'after 5 s of silence');
}, ['heartbeat' => 2]));

check('reconnect', fn () => session(function (Session $s) {
    $queue = $s->queue();
    $s->publish('', $queue, 'kept');
    $s->channel->basic_get($queue);
    $s->connection->reconnect();
    $s->channel = $s->connection->channel();
    $got = $s->consume($queue, true);
    $s->waitUntil(fn () => count($got));
    equal([$got[0]->isRedelivered(), $got[0]->getBody()], [true, 'kept'], 'the unacked message');
}));

check('flow-and-purge', fn () => session(function (Session $s) {
    $queue = $s->queue();
    equal($s->channel->flow(true), true, 'flow-ok');
    $s->publish('', $queue, '1', '2');
    equal($s->channel->queue_purge($queue), 2, 'purged');
    equal($s->channel->queue_delete($queue), 0, 'deleted with');
}));

runChecks();
