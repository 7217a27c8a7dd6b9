// Headers routing: bindings compare header values; 'x-match' says whether all or any must agree.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"leveret/examples/broker"

	amqp "github.com/rabbitmq/amqp091-go"
)

type named struct {
	name   string
	values amqp.Table
}

var (
	bindings = []named{
		{"colour and A4", amqp.Table{"x-match": "all", "colour": true, "format": "A4"}},
		{"colour or A4", amqp.Table{"x-match": "any", "colour": true, "format": "A4"}},
	}
	documents = []named{
		{"poster", amqp.Table{"colour": true, "format": "A1"}},
		{"letter", amqp.Table{"colour": false, "format": "A4"}},
		{"photo", amqp.Table{"colour": true, "format": "A4", "pages": 1}},
		{"receipt", amqp.Table{"colour": false, "format": "A7"}},
	}
)

func main() {
	connection, channel := broker.Open()
	defer connection.Close()
	exchange := fmt.Sprintf("example.documents.%d", os.Getpid())
	broker.Check(channel.ExchangeDeclare(exchange, "headers", false, true, false, false, nil))

	queues := map[string]string{}
	for _, binding := range bindings {
		queues[binding.name] = broker.OwnQueue(channel)
		broker.Check(channel.QueueBind(queues[binding.name], "", exchange, false, binding.values))
	}

	// Confirms tell when all messages are in their queues.
	broker.Check(channel.Confirm(false))
	for _, document := range documents {
		// The routing key plays no part here.
		message := amqp.Publishing{Body: []byte(document.name), Headers: document.values}
		confirm := broker.Must(channel.PublishWithDeferredConfirmWithContext(context.Background(), exchange, "", false, false, message))
		confirm.Wait()
	}

	for _, binding := range bindings {
		fmt.Printf("%s: %s\n", binding.name, strings.Join(bodiesIn(channel, queues[binding.name]), ", "))
	}
}

// bodiesIn empties the queue and returns the bodies of its messages.
func bodiesIn(channel *amqp.Channel, queue string) (bodies []string) {
	for {
		message, found, err := channel.Get(queue, true)
		broker.Check(err)
		if !found {
			return bodies
		}
		bodies = append(bodies, string(message.Body))
	}
}
