<?php
// Runs the checks of the PHP client and prints the lines that 'run' counts; holds what they share.

require_once 'PhpAmqpLib/autoload.php';

use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Exception\AMQPProtocolException;
use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPTable;

const CHECK_SECONDS = 15;
$checks = [];

function check(string $name, callable $body): void
{
    global $checks;
    $checks[$name] = $body;
}

/** A broker-side name that no other client, run or check uses. */
function unique(string $label): string
{
    static $number = 0;
    return sprintf('interop.php-amqplib.%d.%d.%s', getmypid(), ++$number, $label);
}

function equal($got, $wanted, string $what = 'value'): void
{
    if ($got != $wanted || gettype($got) !== gettype($wanted)) {
        $show = fn ($value) => substr(json_encode($value, JSON_PARTIAL_OUTPUT_ON_ERROR), 0, 300);
        throw new RuntimeException("$what: got {$show($got)}, wanted {$show($wanted)}");
    }
}

/** The block must end in a close with this code and exactly this text. */
function closesWith(int $code, string $text, callable $block): void
{
    try {
        $block();
    } catch (AMQPProtocolException $error) {
        equal([$error->getCode(), $error->getMessage()], [$code, $text], get_class($error));
        return;
    }
    throw new RuntimeException("no close with $code $text");
}

function connect(array $options = []): AMQPStreamConnection
{
    $options += ['user' => 'guest', 'password' => 'guest', 'vhost' => '/', 'login' => 'AMQPLAIN', 'heartbeat' => 0,
        'port' => (int) getenv('AMQP_PORT')];
    return new AMQPStreamConnection(
        getenv('AMQP_HOST'), $options['port'], $options['user'], $options['password'], $options['vhost'], false,
        $options['login'], null, 'en_US', 5.0, 10.0, null, false, $options['heartbeat'], 10.0
    );
}

/** An open connection for one check. What it declares is removed when the check ends. */
final class Session
{
    public AMQPStreamConnection $connection;
    public AMQPChannel $channel;
    private array $queues = [];
    private array $exchanges = [];

    public function __construct(array $options = [])
    {
        $this->connection = connect($options);
        $this->channel = $this->connection->channel();
    }

    public function queue(array $arguments = [], bool $durable = false): string
    {
        $name = unique('queue');
        $this->channel->queue_declare($name, false, $durable, false, false, false, new AMQPTable($arguments));
        return $this->queues[] = $name;
    }

    public function exchange(string $type, array $arguments = []): string
    {
        $name = unique($type);
        $this->channel->exchange_declare($name, $type, false, false, false, false, false, new AMQPTable($arguments));
        return $this->exchanges[] = $name;
    }

    public function boundQueue(string $exchange, string $key = '', array $arguments = []): string
    {
        $name = $this->queue();
        $this->channel->queue_bind($name, $exchange, $key, false, new AMQPTable($arguments));
        return $name;
    }

    /** Publishes over a confirming channel and waits for the confirms, so that queues have the messages. */
    public function publish(string $exchange, string $key, AMQPMessage|string ...$messages): void
    {
        $channel = $this->connection->channel();
        $channel->confirm_select();
        foreach ($messages as $message) {
            $channel->basic_publish(is_string($message) ? new AMQPMessage($message) : $message, $exchange, $key);
        }
        $channel->wait_for_pending_acks(10);
        $channel->close();
    }

    public function depth(string $queue): int
    {
        return $this->channel->queue_declare($queue, true)[1];
    }

    /** Takes everything out of a queue. */
    public function bodies(string $queue): array
    {
        $taken = [];
        while ($message = $this->channel->basic_get($queue, true)) {
            $taken[] = $message->getBody();
        }
        return $taken;
    }

    /** Starts a consumer; its messages are appended to the returned list. */
    public function consume(string $queue, bool $noAck = false, string $tag = ''): ArrayObject
    {
        $got = new ArrayObject();
        $this->channel->basic_consume($queue, $tag, false, $noAck, false, false, fn ($message) => $got->append($message));
        return $got;
    }

    public function waitUntil(callable $done): void
    {
        while (!$done()) {
            $this->channel->wait(null, false, 10);
        }
    }

    public function clean(): void
    {
        if ($this->connection->isConnected()) {
            $this->connection->close();
        }
        $last = connect();
        $channel = $last->channel();
        array_map(fn ($name) => $channel->queue_delete($name), $this->queues);
        array_map(fn ($name) => $channel->exchange_delete($name), $this->exchanges);
        $last->close();
    }
}

function session(callable $body, array $options = []): void
{
    $session = new Session($options);
    try {
        $body($session);
    } finally {
        $session->clean();
    }
}

function runChecks(): never
{
    global $checks, $argv;
    pcntl_async_signals(true);
    pcntl_signal(SIGALRM, fn () => throw new RuntimeException('no end within ' . CHECK_SECONDS . ' s'));
    $wanted = array_slice($argv, 1);
    $selected = $wanted ? array_intersect_key($checks, array_flip($wanted)) : $checks;
    $failed = 0;
    foreach ($selected as $name => $body) {
        pcntl_alarm(CHECK_SECONDS);
        try {
            $body();
            echo "ok $name\n";
        } catch (Throwable $error) {
            $failed++;
            echo "not ok $name: ", get_class($error), ': ', $error->getMessage(), "\n", $error->getTraceAsString(), "\n";
        }
        pcntl_alarm(0);
    }
    echo 'checks: ', count($selected), "\n";
    exit($failed || !$selected ? 1 : 0);
}
