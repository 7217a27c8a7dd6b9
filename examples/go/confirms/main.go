// Publisher confirms: knowing that the broker has taken a message, could not route it, or refused it.
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
	broker.Check(channel.Confirm(false))
	returns := channel.NotifyReturn(make(chan amqp.Return, 1))

	// A queue for two messages that refuses more, instead of dropping the oldest.
	limits := amqp.Table{"x-max-length": 2, "x-overflow": "reject-publish"}
	queue := broker.Must(channel.QueueDeclare("", false, false, true, false, limits)).Name

	for _, text := range []string{"first", "second", "third"} {
		if publish(channel, queue, text) {
			fmt.Printf("%s: confirmed\n", text)
		} else {
			fmt.Printf("%s: refused, the queue is full\n", text)
		}
	}

	// No queue gets this one. A return comes before its confirm.
	publish(channel, queue+".misspelt", "fourth")
	fmt.Printf("fourth: returned, %s\n", (<-returns).ReplyText)
}

// publish waits for the broker's answer. 'mandatory', the first of the two
// flags, asks for messages back that no queue would get.
func publish(channel *amqp.Channel, key, text string) bool {
	message := amqp.Publishing{Body: []byte(text)}
	confirm := broker.Must(channel.PublishWithDeferredConfirmWithContext(context.Background(), "", key, true, false, message))
	return confirm.Wait()
}
