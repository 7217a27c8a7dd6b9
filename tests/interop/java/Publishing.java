import com.rabbitmq.client.AMQP.BasicProperties;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.MessageProperties;
import com.rabbitmq.client.Return;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/** Confirms, returned messages and transactions. */
final class Publishing {
    private Publishing() {}

    static List<Harness.Check> checks() {
        return List.of(
            Harness.check("confirm-single", Publishing::confirmSingle),
            Harness.check("confirm-many", Publishing::confirmMany),
            Harness.check("confirm-nack-when-full", Publishing::confirmNack),
            Harness.check("mandatory-return", Publishing::mandatory),
            Harness.check("tx-commit-rollback", Publishing::tx),
            Harness.check("tx-acknowledgement", Publishing::txAcknowledgement),
            Harness.check("tx-on-confirm-channel-406", Publishing::txOnConfirm));
    }

    private static void confirmSingle(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String queue = Harness.queue(channel);
        channel.basicPublish("", queue, MessageProperties.PERSISTENT_TEXT_PLAIN, Harness.bytes("sure"));
        channel.waitForConfirmsOrDie(5000);
        Harness.equal(Harness.drain(channel, queue), List.of("sure"));
    }

    private static void confirmMany(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String queue = Harness.queue(channel);
        BlockingQueue<Long> upTo = new LinkedBlockingQueue<>();
        channel.addConfirmListener((tag, multiple) -> upTo.add(tag), (tag, multiple) -> upTo.add(-1L));
        for (int i = 0; i < 500; i++) channel.basicPublish("", queue, null, Harness.bytes("x"));
        Harness.equal(channel.getNextPublishSeqNo(), 501L);
        channel.waitForConfirmsOrDie(5000);
        Harness.isTrue(!upTo.contains(-1L), "a publish was nacked");
        Harness.equal(channel.messageCount(queue), 500L);
    }

    private static void confirmNack(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String queue = Harness.queue(channel, Map.of("x-max-length", 1, "x-overflow", "reject-publish"));
        channel.basicPublish("", queue, null, Harness.bytes("fits"));
        Harness.equal(channel.waitForConfirms(5000), true);
        channel.basicPublish("", queue, null, Harness.bytes("too much"));
        Harness.equal(channel.waitForConfirms(5000), false);
        Harness.equal(Harness.drain(channel, queue), List.of("fits"));
    }

    private static void mandatory(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String key = Harness.unique("nowhere");
        BlockingQueue<Object> events = new LinkedBlockingQueue<>();
        channel.addReturnListener((Return returned) -> events.add(returned));
        channel.addConfirmListener((tag, multiple) -> events.add("ack"), (tag, multiple) -> events.add("nack"));
        channel.basicPublish("amq.direct", key, true, new BasicProperties.Builder().messageId("m-1").build(), Harness.bytes("back"));
        Return returned = (Return) Harness.next(events, "return");
        Harness.equal(
            List.of(returned.getReplyCode(), returned.getReplyText(), returned.getExchange(), returned.getRoutingKey(),
                returned.getProperties().getMessageId(), Harness.text(returned.getBody())),
            List.of(312, "NO_ROUTE", "amq.direct", key, "m-1", "back"));
        Harness.equal(Harness.next(events, "confirm"), "ack");
    }

    private static void tx(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String queue = Harness.queue(channel);
        channel.txSelect();
        channel.basicPublish("", queue, null, Harness.bytes("dropped"));
        channel.txRollback();
        channel.basicPublish("", queue, null, Harness.bytes("kept"));
        Harness.equal(connection.createChannel().messageCount(queue), 0L);
        channel.txCommit();
        Harness.equal(Harness.drain(connection.createChannel(), queue), List.of("kept"));
    }

    private static void txAcknowledgement(Connection connection) throws Exception {
        Channel filler = Harness.confirming(connection);
        String queue = Harness.queue(filler);
        Harness.fill(filler, queue, "settled", "open");
        Channel channel = connection.createChannel();
        channel.txSelect();
        List<Delivery> held = Harness.take(Harness.consume(channel, queue, false), 2);
        channel.basicAck(held.get(0).getEnvelope().getDeliveryTag(), false);
        channel.txCommit();
        channel.basicAck(held.get(1).getEnvelope().getDeliveryTag(), false);
        channel.txRollback();
        channel.close();
        Harness.equal(Harness.drain(connection.createChannel(), queue), List.of("open"));
    }

    private static void txOnConfirm(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        Harness.refused(406, "PRECONDITION_FAILED - cannot switch from confirm to tx mode", channel::txSelect);
    }
}
