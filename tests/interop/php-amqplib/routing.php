<?php
// Exchange types and bindings.

use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPTable;

check('direct-fanout-and-topic', fn () => session(function (Session $s) {
    foreach ([['direct', 'a.b', ['a', 'a.b.c']], ['fanout', '', []], ['topic', 'a.#', ['b', 'b.a']]] as [$type, $key, $misses]) {
        $exchange = $s->exchange($type);
        $queue = $s->boundQueue($exchange, $key);
        $s->publish($exchange, 'a.b', 'hit');
        foreach ($misses as $miss) {
            $s->publish($exchange, $miss, 'miss');
        }
        equal($s->bodies($queue), ['hit'], $type);
        $s->channel->queue_unbind($queue, $exchange, $key);
        $s->publish($exchange, 'a.b', 'unbound');
        equal($s->bodies($queue), [], "$type after unbind");
    }
}));

check('default-exchange', fn () => session(function (Session $s) {
    $queue = $s->queue();
    $s->publish('', $queue, 'hello');
    $message = $s->channel->basic_get($queue, true);
    equal([$message->getExchange(), $message->getRoutingKey(), $message->getBody()], ['', $queue, 'hello'], 'get-ok');
}));

check('headers-exchange', fn () => session(function (Session $s) {
    $exchange = $s->exchange('headers');
    $wanted = ['colour' => 'red', 'size' => 3, 'fast' => true];
    $every = $s->boundQueue($exchange, '', $wanted + ['x-match' => 'all']);
    $some = $s->boundQueue($exchange, '', $wanted + ['x-match' => 'any']);
    foreach (['all' => $wanted, 'one' => ['size' => 3, 'fast' => false], 'none' => ['size' => '3']] as $body => $headers) {
        $s->publish($exchange, '', new AMQPMessage($body, ['application_headers' => new AMQPTable($headers)]));
    }
    equal([$s->bodies($every), $s->bodies($some)], [['all'], ['all', 'one']], 'queues');
}));

check('exchange-to-exchange', fn () => session(function (Session $s) {
    [$source, $target] = [$s->exchange('topic'), $s->exchange('fanout')];
    $queue = $s->boundQueue($target);
    $s->channel->exchange_bind($target, $source, 'news.*');
    $s->publish($source, 'news.today', '1');
    $s->publish($source, 'olds.today', '2');
    $s->channel->exchange_unbind($target, $source, 'news.*');
    $s->publish($source, 'news.today', '3');
    equal($s->bodies($queue), ['1'], 'bodies');
}));
