// The smallest exchange of a message: into a queue by its name, and out again.
package main

import (
	"context"
	"fmt"

	"leveret/examples/broker"

	amqp "github.com/rabbitmq/amqp091-go"
)

func main() {
	connection, channel := broker.Open()
	defer connection.Close()

	queue := broker.OwnQueue(channel)

	// The default exchange, "", takes the routing key for a queue's name.
	message := amqp.Publishing{Body: []byte("Hello, hare!")}
	broker.Check(channel.PublishWithContext(context.Background(), "", queue, false, false, message))

	deliveries := broker.Must(channel.Consume(queue, "", true, false, false, false, nil))
	fmt.Printf("received: %s\n", (<-deliveries).Body)
}
