import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.Recoverable;
import com.rabbitmq.client.RecoveryListener;
import com.rabbitmq.client.impl.recovery.AutorecoveringConnection;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/** The client's automatic recovery of connection, topology and consumers. */
final class Recovering {
    private Recovering() {}

    static List<Harness.Check> checks() {
        return List.of(
            Harness.check("recovery-of-consumer", c -> consumerRecovers()),
            Harness.check("recovery-of-server-name", c -> serverNameChanges()),
            Harness.check("recovery-of-confirm-and-prefetch", c -> channelStateRecovers()));
    }

    interface Body {
        void run(AutorecoveringConnection connection, Runnable cutAndRecover) throws Exception;
    }

    /** Connects through a relay, and gives the body a way to cut the network and wait for recovery. */
    private static void throughRelay(Body body) throws Exception {
        ConnectionFactory factory = Harness.factory();
        try (Relay relay = new Relay(factory.getHost(), factory.getPort())) {
            factory.setHost("127.0.0.1");
            factory.setPort(relay.port());
            factory.setAutomaticRecoveryEnabled(true);
            factory.setNetworkRecoveryInterval(100);
            try (Connection connection = factory.newConnection()) {
                AutorecoveringConnection recovering = (AutorecoveringConnection) connection;
                BlockingQueue<Recoverable> recovered = recoveries(recovering);
                body.run(recovering, () -> {
                    relay.cut();
                    try {
                        Harness.next(recovered, "recovery");
                    } catch (InterruptedException interrupted) {
                        throw new AssertionError("interrupted", interrupted);
                    }
                });
            }
        }
    }

    private static BlockingQueue<Recoverable> recoveries(AutorecoveringConnection connection) {
        BlockingQueue<Recoverable> recovered = new LinkedBlockingQueue<>();
        connection.addRecoveryListener(new RecoveryListener() {
            @Override
            public void handleRecovery(Recoverable what) {
                recovered.add(what);
            }

            @Override
            public void handleRecoveryStarted(Recoverable what) {}
        });
        return recovered;
    }

    private static void consumerRecovers() throws Exception {
        throughRelay((connection, cutAndRecover) -> {
            Channel channel = connection.createChannel();
            String exchange = Harness.unique("x");
            channel.exchangeDeclare(exchange, "topic", false, true, null);
            String queue = Harness.queue(channel);
            channel.queueBind(queue, exchange, "a.#");
            BlockingQueue<Delivery> inbox = Harness.consume(channel, queue, true);
            channel.basicPublish(exchange, "a.b", null, Harness.bytes("before"));
            Harness.equal(Harness.bodies(Harness.take(inbox, 1)), List.of("before"));
            cutAndRecover.run();
            channel.basicPublish(exchange, "a.c", null, Harness.bytes("after"));
            Harness.equal(Harness.bodies(Harness.take(inbox, 1)), List.of("after"));
        });
    }

    private static void serverNameChanges() throws Exception {
        throughRelay((connection, cutAndRecover) -> {
            Channel channel = connection.createChannel();
            String before = channel.queueDeclare().getQueue();
            BlockingQueue<List<String>> renamed = new LinkedBlockingQueue<>();
            connection.addQueueRecoveryListener((from, to) -> renamed.add(List.of(from, to)));
            BlockingQueue<Delivery> inbox = Harness.consume(channel, before, true);
            cutAndRecover.run();
            List<String> names = Harness.next(renamed, "queue recovery");
            Harness.equal(names.get(0), before);
            Harness.isTrue(names.get(1).startsWith("amq.gen-") && !names.get(1).equals(before), "new name: " + names.get(1));
            channel.basicPublish("", names.get(1), null, Harness.bytes("found"));
            Harness.equal(Harness.bodies(Harness.take(inbox, 1)), List.of("found"));
        });
    }

    private static void channelStateRecovers() throws Exception {
        throughRelay((connection, cutAndRecover) -> {
            Channel channel = Harness.confirming(connection);
            channel.basicQos(1);
            String queue = Harness.queue(channel);
            BlockingQueue<Delivery> inbox = Harness.consume(channel, queue, false);
            cutAndRecover.run();
            Harness.fill(channel, queue, "a", "b");
            Delivery first = Harness.take(inbox, 1).get(0);
            Harness.equal(channel.queueDeclarePassive(queue).getMessageCount(), 1);
            channel.basicAck(first.getEnvelope().getDeliveryTag(), false);
            Harness.equal(Harness.bodies(Harness.take(inbox, 1)), List.of("b"));
        });
    }
}
