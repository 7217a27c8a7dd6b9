// testcontainers' two RabbitMQContainer classes with our image: what they wait for, write and run inside.

import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.GetResponse;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.Base64;
import java.util.Map;
import java.util.Set;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.testcontainers.containers.Container.ExecResult;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.wait.strategy.Wait;
import org.testcontainers.rabbitmq.RabbitMQContainer;
import org.testcontainers.utility.DockerImageName;
import org.testcontainers.utility.MountableFile;

final class Containers {
    private static final DockerImageName IMAGE =
        DockerImageName.parse(System.getenv("IMAGE")).asCompatibleSubstituteFor("rabbitmq");

    private interface Check {
        void run() throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        check("defaults", Containers::defaults);
        check("administrator and commands inside", Containers::administrator);
        check("a configuration and definitions", Containers::configuration);
        check("everything the older class declares", Containers::declared);
        check("the older class with TLS", Containers::encrypted);
        check("other things to wait for", Containers::strategies);
    }

    private static void check(String name, Check check) throws Exception {
        check.run();
        System.out.println("ok " + name);
    }

    private static void defaults() throws Exception {
        try (RabbitMQContainer container = new RabbitMQContainer(IMAGE)) {
            container.start();
            roundTrip(container.getAmqpUrl(), "guest", "guest");
            expect("200", status(container.getHttpUrl() + "/api/overview", "guest", "guest"));
        }
    }

    private static void administrator() throws Exception {
        try (RabbitMQContainer container = new RabbitMQContainer(IMAGE)) {
            container.withAdminUser("alice").withAdminPassword("wonder").start();
            roundTrip(container.getAmqpUrl(), "alice", "wonder");
            run(container, "rabbitmqctl", "add_user", "bob", "builder");
            run(container, "rabbitmqctl", "set_permissions", "-p", "/", "bob", ".*", ".*", ".*");
            run(container, "rabbitmqadmin", "--username=alice", "--password=wonder", "declare", "queue", "name=tasks");
            ExecResult listed = run(container, "rabbitmqctl", "list_queues", "name", "--formatter", "json");
            expect("[{\"name\":\"tasks\"}]", listed.getStdout().replaceAll("\\s", ""));
            expect("65", "" + container.execInContainer("rabbitmqctl", "authenticate_user", "bob", "x").getExitCode());
        }
    }

    private static void configuration() throws Exception {
        try (RabbitMQContainer container = new RabbitMQContainer(IMAGE)) {
            container.withRabbitMQConfig(MountableFile.forClasspathResource("rabbitmq.conf"))
                .withCopyFileToContainer(
                    MountableFile.forClasspathResource("definitions.json"), "/etc/rabbitmq/definitions.json")
                .start();
            ConnectionFactory factory = new ConnectionFactory();
            factory.setUri(container.getAmqpUrl());
            factory.setUsername("carol");
            factory.setPassword("c");
            try (Connection connection = factory.newConnection(); Channel channel = connection.createChannel()) {
                channel.queueDeclarePassive("orders");
                expect("17", "" + connection.getHeartbeat());
            }
        }
    }

    @SuppressWarnings("deprecation")
    private static void declared() throws Exception {
        try (var container = new org.testcontainers.containers.RabbitMQContainer(IMAGE)) {
            container.withPluginsEnabled("rabbitmq_shovel", "rabbitmq_random_exchange")
                .withVhost("land")
                .withVhostLimit("land", "max-connections", 5)
                .withUser("alice", "wonder", Set.of("administrator"))
                .withPermission("land", "alice", ".*", ".*", ".*")
                .withExchange("events", "topic", false, false, true, Map.of())
                .withExchange("land", "logs", "fanout")
                .withQueue("tasks")
                .withQueue("land", "limited", false, true, Map.of("x-max-length", 3))
                .withBinding("events", "tasks", Map.of(), "a.#", "queue")
                .withBinding("land", "logs", "limited")
                .withPolicy("ttl", "^tasks$", Map.of("message-ttl", 60000))
                .withPolicy("land", "max", ".*", Map.of("max-length", 7))
                .withOperatorPolicy("expiry", "^temporary", Map.of("expires", 60000), 1, "queues")
                .start();
            ConnectionFactory factory = new ConnectionFactory();
            factory.setUri(container.getAmqpUrl());
            try (Connection connection = factory.newConnection(); Channel channel = connection.createChannel()) {
                channel.basicPublish("events", "a.b", null, "hello".getBytes(StandardCharsets.UTF_8));
                taken(channel, "tasks");
            }
            factory.setUsername("alice");
            factory.setPassword("wonder");
            factory.setVirtualHost("land");
            try (Connection connection = factory.newConnection(); Channel channel = connection.createChannel()) {
                channel.basicPublish("logs", "", null, "hello".getBytes(StandardCharsets.UTF_8));
                taken(channel, "limited");
            }
            String policies = run(container, "rabbitmqctl", "-q", "list_policies", "-p", "land").getStdout();
            expect("true", "" + policies.contains("max-length"));
        }
    }

    // It sets RABBITMQ_SSL_..., and its URL has the port for TLS.
    @SuppressWarnings("deprecation")
    private static void encrypted() throws Exception {
        try (var container = new org.testcontainers.containers.RabbitMQContainer(IMAGE)) {
            container.withSSL(
                    MountableFile.forClasspathResource("server.key"),
                    MountableFile.forClasspathResource("server.pem"),
                    MountableFile.forClasspathResource("ca.pem"),
                    org.testcontainers.containers.RabbitMQContainer.SslVerification.VERIFY_NONE,
                    false)
                .start();
            KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
            trusted.load(null, null);
            try (InputStream issuer = Containers.class.getResourceAsStream("/ca.pem")) {
                trusted.setCertificateEntry("issuer", CertificateFactory.getInstance("X.509").generateCertificate(issuer));
            }
            TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            managers.init(trusted);
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(null, managers.getTrustManagers(), null);
            ConnectionFactory factory = new ConnectionFactory();
            factory.setUri(container.getAmqpsUrl());
            factory.useSslProtocol(context);
            roundTrip(factory);
            // Without TLS, too, as in RabbitMQ's image of that time.
            roundTrip(container.getAmqpUrl(), "guest", "guest");
        }
    }

    private static void strategies() throws Exception {
        var ping = Wait.forSuccessfulCommand("rabbitmq-diagnostics -q ping");
        var port = Wait.forListeningPort();
        var http = Wait.forHttp("/api/health/checks/alarms").forPort(15672).withBasicCredentials("guest", "guest");
        var healthy = Wait.forHealthcheck();
        for (var strategy : new org.testcontainers.containers.wait.strategy.WaitStrategy[] {ping, port, http, healthy}) {
            try (var container = new GenericContainer<>(IMAGE)) {
                container.withExposedPorts(5672, 15672)
                    .waitingFor(strategy.withStartupTimeout(Duration.ofSeconds(30)))
                    .start();
                roundTrip("amqp://" + container.getHost() + ":" + container.getMappedPort(5672), "guest", "guest");
            }
        }
    }

    // The URL has no user in it.
    private static void roundTrip(String url, String user, String password) throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(url);
        factory.setUsername(user);
        factory.setPassword(password);
        roundTrip(factory);
    }

    private static void roundTrip(ConnectionFactory factory) throws Exception {
        try (Connection connection = factory.newConnection(); Channel channel = connection.createChannel()) {
            String queue = channel.queueDeclare().getQueue();
            channel.confirmSelect();
            channel.basicPublish("", queue, null, "hello".getBytes(StandardCharsets.UTF_8));
            channel.waitForConfirmsOrDie(10_000);
            taken(channel, queue);
        }
    }

    // A message that was sent on this channel: the broker has dealt with it before it comes to the get.
    private static void taken(Channel channel, String queue) throws Exception {
        GetResponse got = channel.basicGet(queue, true);
        expect("hello", got == null ? "nothing" : new String(got.getBody(), StandardCharsets.UTF_8));
    }

    private static String status(String url, String user, String password) throws Exception {
        String login = Base64.getEncoder().encodeToString((user + ":" + password).getBytes(StandardCharsets.UTF_8));
        HttpRequest request = HttpRequest.newBuilder(URI.create(url)).header("authorization", "Basic " + login).build();
        return "" + HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.discarding()).statusCode();
    }

    private static ExecResult run(GenericContainer<?> container, String... words) throws Exception {
        ExecResult result = container.execInContainer(words);
        if (result.getExitCode() != 0) {
            throw new AssertionError(String.join(" ", words) + ": " + result);
        }
        return result;
    }

    private static void expect(String wanted, String got) {
        if (!wanted.equals(got)) {
            throw new AssertionError("not '" + wanted + "' but '" + got + "'");
        }
    }
}
