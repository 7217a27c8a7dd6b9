// testcontainers-go's rabbitmq module with our image: its defaults, an administrator, TLS, commands inside.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/rabbitmq"
)

var image = os.Getenv("IMAGE")

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	checks := []struct {
		name  string
		check func(context.Context) error
	}{
		{"defaults", defaults},
		{"administrator and commands inside", administrator},
		{"TLS", encrypted},
	}
	for _, one := range checks {
		if err := one.check(ctx); err != nil {
			log.Fatalf("not ok %s: %v", one.name, err)
		}
		fmt.Println("ok", one.name)
	}
}

func defaults(ctx context.Context) error {
	container, err := rabbitmq.Run(ctx, image)
	defer remove(container)
	if err != nil {
		return err
	}
	url, err := container.AmqpURL(ctx)
	if err != nil {
		return err
	}
	return roundTrip(amqp.Dial(url))
}

func administrator(ctx context.Context) error {
	container, err := rabbitmq.Run(ctx, image,
		rabbitmq.WithAdminUsername("alice"), rabbitmq.WithAdminPassword("wonder"),
		testcontainers.WithAfterReadyCommand(
			testcontainers.NewRawCommand([]string{"rabbitmq-plugins", "enable", "rabbitmq_shovel_management"}),
		))
	defer remove(container)
	if err != nil {
		return err
	}
	for _, line := range []string{
		"rabbitmqctl add_user bob builder",
		"rabbitmqadmin -u alice -p wonder declare exchange name=events type=topic durable=true",
		"rabbitmqadmin -u alice -p wonder declare queue name=tasks arguments={\"x-queue-type\":\"quorum\"}",
		"rabbitmqctl list_queues",
	} {
		code, output, err := container.Exec(ctx, strings.Fields(line))
		if err != nil {
			return err
		}
		if code != 0 {
			text, _ := io.ReadAll(output)
			return fmt.Errorf("%s: exit code %d: %s", line, code, text)
		}
	}
	url, err := container.AmqpURL(ctx)
	if err != nil {
		return err
	}
	return roundTrip(amqp.Dial(url))
}

// The module writes a rabbitmq.conf of its own for it, and waits for the listener's line in the log.
func encrypted(ctx context.Context) error {
	directory, err := os.MkdirTemp("", "certificates")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	issued, err := issue(directory)
	if err != nil {
		return err
	}
	container, err := rabbitmq.Run(ctx, image, rabbitmq.WithSSL(rabbitmq.SSLSettings{
		CACertFile: issued.ca, CertFile: issued.certificate, KeyFile: issued.key,
		VerificationMode: rabbitmq.SSLVerificationModePeer, FailIfNoCert: true, VerificationDepth: 1,
	}))
	defer remove(container)
	if err != nil {
		return err
	}
	url, err := container.AmqpsURL(ctx)
	if err != nil {
		return err
	}
	// Docker's host may go by another name than the certificate's.
	config := &tls.Config{RootCAs: issued.roots, ServerName: "localhost"}
	if _, err = amqp.DialTLS(url, config); err == nil {
		return fmt.Errorf("a client without a certificate came in")
	}
	config.Certificates = issued.client
	return roundTrip(amqp.DialTLS(url, config))
}

func roundTrip(connection *amqp.Connection, err error) error {
	if err != nil {
		return err
	}
	defer connection.Close()
	channel, err := connection.Channel()
	if err != nil {
		return err
	}
	queue, err := channel.QueueDeclare("", false, false, true, false, nil)
	if err != nil {
		return err
	}
	deliveries, err := channel.Consume(queue.Name, "", true, false, false, false, nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err = channel.PublishWithContext(ctx, "", queue.Name, false, false, amqp.Publishing{Body: []byte("hello")})
	if err != nil {
		return err
	}
	select {
	case delivery := <-deliveries:
		if string(delivery.Body) != "hello" {
			return fmt.Errorf("not what was sent: %q", delivery.Body)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("nothing came")
	}
}

func remove(container *rabbitmq.RabbitMQContainer) {
	if err := testcontainers.TerminateContainer(container); err != nil {
		log.Print(err)
	}
}
