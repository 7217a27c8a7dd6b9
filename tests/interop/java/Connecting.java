import com.rabbitmq.client.AuthenticationFailureException;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.ShutdownSignalException;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** Opening, refusing, tuning, keeping alive and closing connections. */
final class Connecting {
    private Connecting() {}

    static List<Harness.Check> checks() {
        return List.of(
            Harness.check("connect-announces-server", Connecting::announces),
            Harness.check("login-refused", c -> loginRefused()),
            Harness.check("vhost-unknown", c -> vhostUnknown()),
            Harness.check("tune-negotiated", c -> tuneNegotiated()),
            Harness.check("channels-independent", Connecting::channelsIndependent),
            Harness.check("channel-max-respected", c -> channelMax()),
            Harness.check("heartbeat-idle", c -> heartbeatIdle()),
            Harness.check("reconnect-after-close", c -> reconnectAfterClose()),
            Harness.check("close-clean", c -> closeClean()));
    }

    private static void announces(Connection connection) {
        Map<String, Object> properties = connection.getServerProperties();
        Harness.equal(properties.get("product").toString(), "RabbitMQ");
        Harness.isTrue(properties.get("version").toString().matches("\\d+\\.\\d+.*"), "version: " + properties.get("version"));
        Map<?, ?> capabilities = (Map<?, ?>) properties.get("capabilities");
        for (String name : List.of("publisher_confirms", "exchange_exchange_bindings", "basic.nack", "consumer_cancel_notify",
                "connection.blocked", "consumer_priorities", "authentication_failure_close", "per_consumer_qos", "direct_reply_to")) {
            Harness.equal(capabilities.get(name), true);
        }
    }

    private static void loginRefused() throws Exception {
        ConnectionFactory factory = Harness.factory();
        factory.setPassword("not-the-password");
        try {
            factory.newConnection().close();
        } catch (AuthenticationFailureException refusal) {
            String text = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.";
            Harness.isTrue(refusal.getMessage().contains(text), refusal.getMessage());
            return;
        }
        throw new AssertionError("a wrong password was accepted");
    }

    private static void vhostUnknown() throws Exception {
        ConnectionFactory factory = Harness.factory();
        factory.setVirtualHost("no-such-vhost");
        Harness.refused(530, "NOT_ALLOWED - vhost no-such-vhost not found", factory::newConnection);
    }

    private static void tuneNegotiated() throws Exception {
        ConnectionFactory factory = Harness.factory();
        factory.setRequestedFrameMax(8192);
        factory.setRequestedChannelMax(10);
        try (Connection connection = factory.newConnection()) {
            Harness.equal(List.of(connection.getFrameMax(), connection.getChannelMax()), List.of(8192, 10));
            Channel channel = Harness.confirming(connection);
            String queue = Harness.queue(channel);
            Harness.fill(channel, queue, "x".repeat(50000));
            Harness.equal(Harness.drain(channel, queue).get(0).length(), 50000);
        }
    }

    private static void channelsIndependent(Connection connection) throws Exception {
        Set<String> names = new HashSet<>();
        for (int i = 0; i < 50; i++) {
            Channel channel = connection.createChannel();
            names.add(Harness.queue(channel));
            if (i % 2 == 0) channel.close();
        }
        Harness.equal(names.size(), 50);
    }

    private static void channelMax() throws Exception {
        ConnectionFactory factory = Harness.factory();
        factory.setRequestedChannelMax(2);
        try (Connection connection = factory.newConnection()) {
            Channel first = connection.createChannel();
            connection.createChannel();
            Harness.isTrue(connection.createChannel() == null, "a third channel was opened");
            first.close();
            Harness.queue(connection.createChannel());
        }
    }

    private static void heartbeatIdle() throws Exception {
        ConnectionFactory factory = Harness.factory();
        factory.setRequestedHeartbeat(1);
        try (Connection connection = factory.newConnection()) {
            BlockingQueue<ShutdownSignalException> lost = new LinkedBlockingQueue<>();
            connection.addShutdownListener(lost::add);
            // The time itself is what is tested: both sides must keep the link alive.
            Harness.equal(lost.poll(5, TimeUnit.SECONDS), null);
            Harness.equal(connection.getHeartbeat(), 1);
            Harness.queue(connection.createChannel());
        }
    }

    private static void reconnectAfterClose() throws Exception {
        String name = Harness.unique("handed-over");
        for (String body : List.of("first", "second")) {
            try (Connection connection = Harness.connect()) {
                Channel channel = Harness.confirming(connection);
                // Exclusive queues go with their connection, so the name is free again.
                Harness.equal(channel.queueDeclare(name, false, true, false, null).getMessageCount(), 0);
                Harness.fill(channel, name, body);
                Harness.equal(Harness.drain(channel, name), List.of(body));
            }
        }
    }

    private static void closeClean() throws Exception {
        Connection connection = Harness.connect();
        BlockingQueue<ShutdownSignalException> closed = new LinkedBlockingQueue<>();
        connection.addShutdownListener(closed::add);
        connection.createChannel().close();
        connection.close();
        Harness.isTrue(Harness.next(closed, "shutdown").isInitiatedByApplication(), "the broker closed first");
    }
}
