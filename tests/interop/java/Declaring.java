import com.rabbitmq.client.AMQP.Queue.DeclareOk;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import java.util.List;
import java.util.Map;

/** Declaring and deleting queues and exchanges, and what is refused. */
final class Declaring {
    private Declaring() {}

    static List<Harness.Check> checks() {
        return List.of(
            Harness.check("queue-server-named", Declaring::serverNamed),
            Harness.check("queue-counts", Declaring::counts),
            Harness.check("queue-passive-404", Declaring::queuePassive),
            Harness.check("queue-inequivalent-406", Declaring::queueInequivalent),
            Harness.check("queue-argument-invalid-406", Declaring::argumentInvalid),
            Harness.check("queue-exclusive-405", Declaring::exclusive),
            Harness.check("queue-reserved-403", Declaring::reserved),
            Harness.check("queue-delete-conditions", Declaring::deleteConditions),
            Harness.check("queue-auto-delete", Declaring::autoDelete),
            Harness.check("exchange-passive-404", Declaring::exchangePassive),
            Harness.check("exchange-inequivalent-406", Declaring::exchangeInequivalent),
            Harness.check("publish-missing-exchange-404", Declaring::publishMissing),
            Harness.check("channel-error-isolated", Declaring::isolated));
    }

    private static void serverNamed(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String first = channel.queueDeclare().getQueue();
        String second = channel.queueDeclare().getQueue();
        Harness.isTrue(first.startsWith("amq.gen-"), first);
        Harness.isTrue(!first.equals(second), "the same name twice");
    }

    private static void counts(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String queue = Harness.queue(channel);
        Harness.fill(channel, queue, "a", "b", "c");
        DeclareOk found = channel.queueDeclarePassive(queue);
        Harness.equal(List.of(found.getQueue(), found.getMessageCount(), found.getConsumerCount()), List.of(queue, 3, 0));
        Harness.equal(channel.queuePurge(queue).getMessageCount(), 3);
        Harness.fill(channel, queue, "d");
        Harness.equal(channel.messageCount(queue), 1L);
        Harness.equal(channel.queueDelete(queue).getMessageCount(), 1);
        Harness.equal(channel.queueDelete(queue).getMessageCount(), 0);
    }

    private static void queuePassive(Connection connection) throws Exception {
        String name = Harness.unique("missing");
        Channel channel = connection.createChannel();
        Harness.refused(404, "NOT_FOUND - no queue '" + name + "' in vhost '/'", () -> channel.queueDeclarePassive(name));
        Harness.isTrue(!channel.isOpen(), "the channel stayed open");
    }

    private static void queueInequivalent(Connection connection) throws Exception {
        String name = Harness.unique("declared");
        connection.createChannel().queueDeclare(name, false, false, false, Map.of("x-max-length", 5));
        String durable = "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '" + name
            + "' in vhost '/': received 'true' but current is 'false'";
        Harness.refused(406, durable,
            () -> connection.createChannel().queueDeclare(name, true, false, false, Map.of("x-max-length", 5)));
        String length = "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue '" + name
            + "' in vhost '/': received '6' but current is '5'";
        Harness.refused(406, length,
            () -> connection.createChannel().queueDeclare(name, false, false, false, Map.of("x-max-length", 6)));
        String none = "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue '" + name
            + "' in vhost '/': received none but current is the value '5' of type 'signedint'";
        Harness.refused(406, none, () -> connection.createChannel().queueDeclare(name, false, false, false, null));
        // Another integer width with the same value is equivalent.
        connection.createChannel().queueDeclare(name, false, false, false, Map.of("x-max-length", 5L));
        connection.createChannel().queueDelete(name);
    }

    private static void argumentInvalid(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String name = Harness.unique("bad");
        Harness.refused(406, "PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue '" + name + "' in vhost '/'",
            () -> channel.queueDeclare(name, false, true, false, Map.of("x-message-ttl", "soon")));
    }

    private static void exclusive(Connection connection) throws Exception {
        String queue = Harness.queue(connection.createChannel());
        try (Connection stranger = Harness.connect()) {
            String text = "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '" + queue + "' in vhost '/'";
            Harness.refused(405, text, () -> stranger.createChannel().queueDeclarePassive(queue));
            Harness.refused(405, text, () -> stranger.createChannel().basicGet(queue, true));
        }
    }

    private static void reserved(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        Harness.refused(403, "ACCESS_REFUSED - queue name 'amq.interop' contains reserved prefix 'amq.*'",
            () -> channel.queueDeclare("amq.interop", false, true, false, null));
        Channel other = connection.createChannel();
        Harness.refused(403, "ACCESS_REFUSED - exchange name 'amq.interop' contains reserved prefix 'amq.*'",
            () -> other.exchangeDeclare("amq.interop", "direct"));
    }

    private static void deleteConditions(Connection connection) throws Exception {
        String queue = Harness.queue(connection.createChannel());
        Harness.fill(Harness.confirming(connection), queue, "x");
        Harness.refused(406, "PRECONDITION_FAILED - queue '" + queue + "' in vhost '/' not empty",
            () -> connection.createChannel().queueDelete(queue, false, true));
        Harness.consume(connection.createChannel(), queue, false);
        Harness.refused(406, "PRECONDITION_FAILED - queue '" + queue + "' in vhost '/' in use",
            () -> connection.createChannel().queueDelete(queue, true, false));
    }

    private static void autoDelete(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String name = channel.queueDeclare(Harness.unique("auto"), false, false, true, null).getQueue();
        String tag = channel.basicConsume(name, true, (t, delivery) -> {}, t -> {});
        channel.basicCancel(tag);
        Harness.refused(404, "NOT_FOUND - no queue", () -> channel.queueDeclarePassive(name));
    }

    private static void exchangePassive(Connection connection) throws Exception {
        String name = Harness.unique("missing");
        Harness.refused(404, "NOT_FOUND - no exchange '" + name + "' in vhost '/'",
            () -> connection.createChannel().exchangeDeclarePassive(name));
    }

    private static void exchangeInequivalent(Connection connection) throws Exception {
        String name = Harness.unique("x");
        connection.createChannel().exchangeDeclare(name, "direct");
        String text = "PRECONDITION_FAILED - inequivalent arg 'type' for exchange '" + name
            + "' in vhost '/': received 'fanout' but current is 'direct'";
        Harness.refused(406, text, () -> connection.createChannel().exchangeDeclare(name, "fanout"));
        connection.createChannel().exchangeDelete(name);
    }

    private static void publishMissing(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String name = Harness.unique("missing");
        var closed = Harness.shutdown(channel);
        channel.basicPublish(name, "k", null, Harness.bytes("lost"));
        Harness.refusal(Harness.next(closed, "channel close"), 404, "NOT_FOUND - no exchange '" + name + "' in vhost '/'");
    }

    private static void isolated(Connection connection) throws Exception {
        Channel healthy = connection.createChannel();
        String queue = Harness.queue(healthy);
        Channel failing = connection.createChannel();
        Harness.refused(404, "NOT_FOUND", () -> failing.queueDeclarePassive(Harness.unique("missing")));
        Harness.equal(List.of(healthy.isOpen(), failing.isOpen()), List.of(true, false));
        healthy.queueDeclarePassive(queue);
        connection.createChannel().queueDeclarePassive(queue);
    }
}
