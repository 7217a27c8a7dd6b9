import com.rabbitmq.client.AMQP.BasicProperties;
import com.rabbitmq.client.BuiltinExchangeType;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import java.util.List;
import java.util.Map;

/** The exchange types and how bindings select queues. */
final class Routing {
    private Routing() {}

    static List<Harness.Check> checks() {
        return List.of(
            Harness.check("exchange-default", Routing::byDefault),
            Harness.check("exchange-direct", Routing::direct),
            Harness.check("exchange-fanout", Routing::fanout),
            Harness.check("exchange-topic", Routing::topic),
            Harness.check("exchange-headers", Routing::headers),
            Harness.check("exchange-to-exchange", Routing::exchangeToExchange),
            Harness.check("exchange-alternate", Routing::alternate),
            Harness.check("exchange-internal-403", Routing::internal),
            Harness.check("sender-selected-cc", Routing::senderSelected),
            Harness.check("unbind-stops-routing", Routing::unbind));
    }

    private static String exchange(Channel channel, BuiltinExchangeType type) throws Exception {
        String name = Harness.unique(type.getType());
        channel.exchangeDeclare(name, type, false, true, null);
        return name;
    }

    /** Publishes one message per key, with the key as its body. */
    private static void publishKeys(Channel channel, String exchange, String... keys) throws Exception {
        for (String key : keys) channel.basicPublish(exchange, key, null, Harness.bytes(key));
        Harness.isTrue(channel.waitForConfirms(5000), "a publish was nacked");
    }

    private static void byDefault(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String queue = Harness.queue(channel);
        Harness.fill(channel, queue, "by name");
        Harness.equal(Harness.drain(channel, queue), List.of("by name"));
    }

    private static void direct(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String exchange = exchange(channel, BuiltinExchangeType.DIRECT);
        String queue = Harness.queue(channel);
        channel.queueBind(queue, exchange, "red");
        channel.queueBind(queue, exchange, "blue");
        publishKeys(channel, exchange, "red", "green", "blue", "Red");
        Harness.equal(Harness.drain(channel, queue), List.of("red", "blue"));
    }

    private static void fanout(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String exchange = exchange(channel, BuiltinExchangeType.FANOUT);
        String left = Harness.queue(channel);
        String right = Harness.queue(channel);
        channel.queueBind(left, exchange, "");
        channel.queueBind(right, exchange, "ignored");
        publishKeys(channel, exchange, "any");
        Harness.equal(Harness.drain(channel, left), List.of("any"));
        Harness.equal(Harness.drain(channel, right), List.of("any"));
    }

    private static void topic(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String exchange = exchange(channel, BuiltinExchangeType.TOPIC);
        String star = Harness.queue(channel);
        String hash = Harness.queue(channel);
        channel.queueBind(star, exchange, "stock.*.nyse");
        channel.queueBind(hash, exchange, "stock.#");
        publishKeys(channel, exchange, "stock", "stock.usd.nyse", "stock.nyse", "stock.usd.eu.nyse", "bond.usd.nyse");
        Harness.equal(Harness.drain(channel, star), List.of("stock.usd.nyse"));
        Harness.equal(Harness.drain(channel, hash), List.of("stock", "stock.usd.nyse", "stock.nyse", "stock.usd.eu.nyse"));
    }

    private static void headers(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String exchange = exchange(channel, BuiltinExchangeType.HEADERS);
        String all = Harness.queue(channel);
        String any = Harness.queue(channel);
        channel.queueBind(all, exchange, "", Map.of("x-match", "all", "kind", "report", "pages", 3));
        channel.queueBind(any, exchange, "", Map.of("x-match", "any", "kind", "report", "pages", 3));
        publishHeaders(channel, exchange, "both", Map.of("kind", "report", "pages", 3L, "extra", true));
        publishHeaders(channel, exchange, "kind", Map.of("kind", "report", "pages", 4));
        publishHeaders(channel, exchange, "pages", Map.of("pages", 3));
        publishHeaders(channel, exchange, "neither", Map.of("kind", "note"));
        Harness.equal(Harness.drain(channel, all), List.of("both"));
        Harness.equal(Harness.drain(channel, any), List.of("both", "kind", "pages"));
    }

    private static void publishHeaders(Channel channel, String exchange, String body, Map<String, Object> headers)
            throws Exception {
        channel.basicPublish(exchange, "", new BasicProperties.Builder().headers(headers).build(), Harness.bytes(body));
        Harness.isTrue(channel.waitForConfirms(5000), "a publish was nacked");
    }

    private static void exchangeToExchange(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String source = exchange(channel, BuiltinExchangeType.TOPIC);
        String middle = exchange(channel, BuiltinExchangeType.FANOUT);
        String queue = Harness.queue(channel);
        channel.queueBind(queue, middle, "");
        channel.exchangeBind(middle, source, "log.#");
        publishKeys(channel, source, "log.error", "trace.x", "log");
        Harness.equal(Harness.drain(channel, queue), List.of("log.error", "log"));
        channel.exchangeUnbind(middle, source, "log.#");
        // The source was declared auto-delete and has lost its last binding.
        Harness.refused(404, "NOT_FOUND - no exchange", () -> channel.exchangeDeclarePassive(source));
    }

    private static void alternate(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String spare = exchange(channel, BuiltinExchangeType.FANOUT);
        String queue = Harness.queue(channel);
        channel.queueBind(queue, spare, "");
        String source = Harness.unique("direct");
        channel.exchangeDeclare(source, "direct", false, false, Map.of("alternate-exchange", spare));
        publishKeys(channel, source, "nowhere");
        Harness.equal(Harness.drain(channel, queue), List.of("nowhere"));
        channel.exchangeDelete(source);
    }

    private static void internal(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String name = Harness.unique("internal");
        channel.exchangeDeclare(name, "fanout", false, false, true, null);
        var closed = Harness.shutdown(channel);
        channel.basicPublish(name, "", null, Harness.bytes("x"));
        String text = "ACCESS_REFUSED - cannot publish to internal exchange '" + name + "' in vhost '/'";
        Harness.refusal(Harness.next(closed, "channel close"), 403, text);
        connection.createChannel().exchangeDelete(name);
    }

    private static void senderSelected(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String first = Harness.queue(channel);
        String copied = Harness.queue(channel);
        String hidden = Harness.queue(channel);
        publishHeaders(channel, "", "to nobody", Map.of("CC", List.of(copied, first), "BCC", List.of(hidden)));
        Harness.equal(Harness.drain(channel, first), List.of("to nobody"));
        Harness.equal(Harness.drain(channel, copied), List.of("to nobody"));
        var received = channel.basicGet(hidden, true);
        Harness.equal(received.getProps().getHeaders().containsKey("BCC"), false);
        Harness.equal(received.getProps().getHeaders().containsKey("CC"), true);
    }

    private static void unbind(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String queue = Harness.queue(channel);
        channel.queueBind(queue, "amq.direct", queue);
        publishKeys(channel, "amq.direct", queue);
        Harness.equal(Harness.drain(channel, queue), List.of(queue));
        channel.queueUnbind(queue, "amq.direct", queue);
        publishKeys(channel, "amq.direct", queue);
        Harness.equal(Harness.drain(channel, queue), List.of());
    }
}
