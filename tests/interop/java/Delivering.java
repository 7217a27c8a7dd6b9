import com.rabbitmq.client.AMQP.BasicProperties;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.RpcClient;
import com.rabbitmq.client.RpcClientParams;
import com.rabbitmq.client.RpcServer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/** Consuming: prefetch, acknowledgement, redelivery, cancellation, priorities. */
final class Delivering {
    private Delivering() {}

    static List<Harness.Check> checks() {
        return List.of(
            Harness.check("prefetch-exact", Delivering::prefetch),
            Harness.check("prefetch-shared", Delivering::prefetchShared),
            Harness.check("ack-settles", Delivering::ack),
            Harness.check("nack-requeue-redelivered", Delivering::nack),
            Harness.check("reject-dead-letters", Delivering::reject),
            Harness.check("ttl-dead-letters", Delivering::ttl),
            Harness.check("recover-redelivers", Delivering::recover),
            Harness.check("ack-unknown-406", Delivering::ackUnknown),
            Harness.check("get-and-empty", Delivering::get),
            Harness.check("consume-no-ack", Delivering::noAck),
            Harness.check("consume-exclusive-403", Delivering::exclusive),
            Harness.check("consumer-cancelled-on-delete", Delivering::cancelledOnDelete),
            Harness.check("consumer-cancel-stops", Delivering::cancelStops),
            Harness.check("consumer-priority", Delivering::consumerPriority),
            Harness.check("message-priority", Delivering::messagePriority),
            Harness.check("rpc-direct-reply-to", Delivering::rpc),
            Harness.check("order-kept", Delivering::order));
    }

    private static List<Boolean> redelivered(List<Delivery> deliveries) {
        return deliveries.stream().map(delivery -> delivery.getEnvelope().isRedeliver()).toList();
    }

    private static long tag(Delivery delivery) {
        return delivery.getEnvelope().getDeliveryTag();
    }

    private static void prefetch(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String queue = Harness.queue(channel);
        Harness.fill(channel, queue, "0", "1", "2", "3", "4", "5", "6", "7", "8", "9");
        channel.basicQos(3);
        BlockingQueue<Delivery> inbox = Harness.consume(channel, queue, false);
        List<Delivery> held = Harness.take(inbox, 3);
        // What is no longer ready has been delivered, so this is exact.
        Harness.equal(channel.messageCount(queue), 7L);
        channel.basicAck(tag(held.get(1)), true);
        Harness.equal(Harness.bodies(Harness.take(inbox, 2)), List.of("3", "4"));
        Harness.equal(channel.messageCount(queue), 5L);
    }

    private static void prefetchShared(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String queue = Harness.queue(channel);
        Harness.fill(channel, queue, "0", "1", "2", "3", "4", "5", "6", "7", "8", "9");
        channel.basicQos(3, true);
        BlockingQueue<Delivery> inbox = new LinkedBlockingQueue<>();
        for (int i = 0; i < 2; i++) channel.basicConsume(queue, false, (t, delivery) -> inbox.add(delivery), t -> {});
        Harness.take(inbox, 3);
        Harness.equal(channel.messageCount(queue), 7L);
    }

    private static void ack(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String queue = Harness.queue(channel);
        Harness.fill(channel, queue, "a", "b");
        List<Delivery> held = Harness.take(Harness.consume(channel, queue, false), 2);
        channel.basicAck(tag(held.get(0)), false);
        channel.close();
        Channel other = connection.createChannel();
        GetResponse left = other.basicGet(queue, true);
        Harness.equal(List.of(Harness.text(left.getBody()), left.getEnvelope().isRedeliver()), List.of("b", true));
        Harness.equal(other.basicGet(queue, true), null);
    }

    private static void nack(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String queue = Harness.queue(channel);
        Harness.fill(channel, queue, "one", "two", "three");
        BlockingQueue<Delivery> inbox = Harness.consume(channel, queue, false);
        List<Delivery> held = Harness.take(inbox, 3);
        Harness.equal(redelivered(held), List.of(false, false, false));
        channel.basicNack(tag(held.get(2)), true, true);
        List<Delivery> again = Harness.take(inbox, 3);
        Harness.equal(Harness.bodies(again), List.of("one", "two", "three"));
        Harness.equal(redelivered(again), List.of(true, true, true));
    }

    private static void reject(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String grave = Harness.queue(channel);
        String queue = Harness.queue(channel, Map.of("x-dead-letter-exchange", "", "x-dead-letter-routing-key", grave));
        Harness.fill(channel, queue, "bad");
        BlockingQueue<Delivery> inbox = Harness.consume(channel, grave, true);
        channel.basicReject(channel.basicGet(queue, false).getEnvelope().getDeliveryTag(), false);
        Map<String, Object> headers = Harness.take(inbox, 1).get(0).getProperties().getHeaders();
        List<?> deaths = (List<?>) headers.get("x-death");
        Map<?, ?> death = (Map<?, ?>) deaths.get(0);
        Harness.equal(deaths.size(), 1);
        Harness.equal(List.of(death.get("reason").toString(), death.get("queue").toString(), death.get("count")),
            List.of("rejected", queue, 1L));
        Harness.equal(headers.get("x-first-death-queue").toString(), queue);
    }

    private static void ttl(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String grave = Harness.queue(channel);
        String queue = Harness.queue(channel, Map.of("x-dead-letter-exchange", "", "x-dead-letter-routing-key", grave));
        BlockingQueue<Delivery> inbox = Harness.consume(channel, grave, true);
        channel.basicPublish("", queue, new BasicProperties.Builder().expiration("50").build(), Harness.bytes("late"));
        Delivery dead = Harness.take(inbox, 1).get(0);
        Map<?, ?> death = (Map<?, ?>) ((List<?>) dead.getProperties().getHeaders().get("x-death")).get(0);
        Harness.equal(List.of(death.get("reason").toString(), death.get("original-expiration").toString()),
            List.of("expired", "50"));
        Harness.equal(dead.getProperties().getExpiration(), null);
    }

    private static void recover(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String queue = Harness.queue(channel);
        Harness.fill(channel, queue, "again");
        BlockingQueue<Delivery> inbox = Harness.consume(channel, queue, false);
        Harness.take(inbox, 1);
        channel.basicRecover(true);
        Harness.equal(redelivered(Harness.take(inbox, 1)), List.of(true));
    }

    private static void ackUnknown(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        var closed = Harness.shutdown(channel);
        channel.basicAck(42, false);
        Harness.refusal(Harness.next(closed, "channel close"), 406, "PRECONDITION_FAILED - unknown delivery tag 42");
    }

    private static void get(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String queue = Harness.queue(channel);
        Harness.fill(channel, queue, "a", "b");
        GetResponse message = channel.basicGet(queue, false);
        Harness.equal(
            List.of(Harness.text(message.getBody()), message.getMessageCount(), message.getEnvelope().getRoutingKey()),
            List.of("a", 1, queue));
        channel.basicAck(message.getEnvelope().getDeliveryTag(), false);
        Harness.equal(Harness.drain(channel, queue), List.of("b"));
    }

    private static void noAck(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String queue = Harness.queue(channel);
        Harness.fill(channel, queue, "a", "b", "c");
        Harness.equal(Harness.bodies(Harness.take(Harness.consume(channel, queue, true), 3)), List.of("a", "b", "c"));
        channel.close();
        Harness.equal(connection.createChannel().messageCount(queue), 0L);
    }

    private static void exclusive(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String queue = Harness.queue(channel);
        channel.basicConsume(queue, false, "", false, true, null, (t, delivery) -> {}, t -> {});
        Harness.refused(403, "ACCESS_REFUSED - queue '" + queue + "' in vhost '/' in exclusive use",
            () -> Harness.consume(connection.createChannel(), queue, false));
    }

    private static void cancelledOnDelete(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String queue = Harness.queue(channel);
        BlockingQueue<String> cancelled = new LinkedBlockingQueue<>();
        channel.basicConsume(queue, false, "watching", (t, delivery) -> {}, cancelled::add);
        connection.createChannel().queueDelete(queue);
        Harness.equal(Harness.next(cancelled, "cancel"), "watching");
        // The channel outlives its consumer.
        Harness.queue(channel);
    }

    private static void cancelStops(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String queue = Harness.queue(channel);
        BlockingQueue<Delivery> inbox = new LinkedBlockingQueue<>();
        String tag = channel.basicConsume(queue, false, (t, delivery) -> inbox.add(delivery), t -> {});
        Harness.isTrue(tag.startsWith("amq.ctag-"), "server-made tag: " + tag);
        Harness.equal(channel.consumerCount(queue), 1L);
        channel.basicCancel(tag);
        Harness.equal(channel.consumerCount(queue), 0L);
        Harness.fill(channel, queue, "kept");
        Harness.equal(Harness.drain(channel, queue), List.of("kept"));
        Harness.equal(inbox.size(), 0);
    }

    private static void consumerPriority(Connection connection) throws Exception {
        Channel sender = Harness.confirming(connection);
        Channel low = connection.createChannel();
        Channel high = connection.createChannel();
        String queue = Harness.queue(sender);
        high.basicQos(2);
        BlockingQueue<Delivery> second = Harness.consume(low, queue, false, Map.of("x-priority", 1));
        BlockingQueue<Delivery> first = Harness.consume(high, queue, false, Map.of("x-priority", 10));
        Harness.fill(sender, queue, "0", "1", "2", "3");
        Harness.equal(Harness.bodies(Harness.take(first, 2)), List.of("0", "1"));
        Harness.equal(Harness.bodies(Harness.take(second, 2)), List.of("2", "3"));
    }

    private static void messagePriority(Connection connection) throws Exception {
        Channel channel = Harness.confirming(connection);
        String queue = Harness.queue(channel, Map.of("x-max-priority", 10));
        for (int priority : new int[] {1, 9, 5, 0, 9}) {
            BasicProperties properties = new BasicProperties.Builder().priority(priority).build();
            channel.basicPublish("", queue, properties, Harness.bytes(String.valueOf(priority)));
        }
        Harness.isTrue(channel.waitForConfirms(5000), "a publish was nacked");
        Harness.equal(Harness.drain(channel, queue), List.of("9", "9", "5", "1", "0"));
    }

    /** The client's own RPC helpers, which use direct reply-to by default. */
    private static void rpc(Connection connection) throws Exception {
        Channel serving = connection.createChannel();
        String queue = Harness.queue(serving);
        RpcServer server = new RpcServer(serving, queue) {
            @Override
            public byte[] handleCall(Delivery request, BasicProperties replyProperties) {
                return Harness.bytes(String.valueOf(Integer.parseInt(Harness.text(request.getBody())) * 2));
            }
        };
        Thread loop = new Thread(() -> {
            try {
                server.mainloop();
            } catch (Exception ended) {
                // The connection closes when the check is over.
            }
        });
        loop.setDaemon(true);
        loop.start();
        RpcClient client = new RpcClient(
            new RpcClientParams().channel(connection.createChannel()).exchange("").routingKey(queue).timeout(5000));
        Harness.equal(Harness.text(client.primitiveCall(Harness.bytes("21"))), "42");
        Harness.equal(Harness.text(client.primitiveCall(Harness.bytes("4"))), "8");
        client.close();
        server.terminateMainloop();
    }

    private static void order(Connection connection) throws Exception {
        Channel channel = connection.createChannel();
        String queue = Harness.queue(channel);
        BlockingQueue<Delivery> inbox = Harness.consume(channel, queue, true);
        List<String> sent = new ArrayList<>();
        for (int i = 0; i < 2000; i++) {
            sent.add(String.valueOf(i));
            channel.basicPublish("", queue, null, Harness.bytes(sent.get(i)));
        }
        Harness.equal(Harness.bodies(Harness.take(inbox, 2000)), sent);
    }
}
