// Topic routing: keys are words between dots; '*' in a binding stands for one word, '#' for any number.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"leveret/examples/broker"

	amqp "github.com/rabbitmq/amqp091-go"
)

func main() {
	connection, channel := broker.Open()
	defer connection.Close()
	exchange := fmt.Sprintf("example.logs.%d", os.Getpid())
	broker.Check(channel.ExchangeDeclare(exchange, "topic", false, true, false, false, nil))

	patterns := []string{"kitchen.#", "*.*.error", "garden.#", "#"}
	queues := map[string]string{}
	for _, pattern := range patterns {
		queues[pattern] = broker.OwnQueue(channel)
		broker.Check(channel.QueueBind(queues[pattern], pattern, exchange, false, nil))
	}

	// Confirms tell when all messages are in their queues.
	broker.Check(channel.Confirm(false))
	for _, key := range []string{"kitchen.oven.error", "kitchen.lamp.info", "garden.pump.error", "garden"} {
		message := amqp.Publishing{Body: []byte("something happened")}
		confirm := broker.Must(channel.PublishWithDeferredConfirmWithContext(context.Background(), exchange, key, false, false, message))
		confirm.Wait()
	}

	for _, pattern := range patterns {
		fmt.Printf("%-10s gets %s\n", pattern, strings.Join(keysIn(channel, queues[pattern]), ", "))
	}
}

// keysIn empties the queue and returns the routing keys of its messages.
func keysIn(channel *amqp.Channel, queue string) (keys []string) {
	for {
		message, found, err := channel.Get(queue, true)
		broker.Check(err)
		if !found {
			return keys
		}
		keys = append(keys, message.RoutingKey)
	}
}
