// Publish and subscribe: a fanout exchange copies each message into every queue bound to it.
package main

import (
	"context"
	"fmt"
	"os"
	"sync"

	"leveret/examples/broker"

	amqp "github.com/rabbitmq/amqp091-go"
)

var (
	exchange = fmt.Sprintf("example.news.%d", os.Getpid())
	news     = []string{"spring is here", "the clover is up"}
)

func main() {
	connection, channel := broker.Open()
	defer connection.Close()
	broker.Check(channel.ExchangeDeclare(exchange, "fanout", false, true, false, false, nil))

	var reading sync.WaitGroup
	for _, name := range []string{"Anna", "Boris"} {
		subscribe(connection, name, &reading)
	}

	// The publisher names the exchange only: it need not know who listens.
	for _, text := range news {
		message := amqp.Publishing{Body: []byte(text)}
		broker.Check(channel.PublishWithContext(context.Background(), exchange, "", false, false, message))
	}
	reading.Wait()
}

// subscribe reads all the news from a queue of its own. What was published
// before the queue was bound is not for it.
func subscribe(connection *amqp.Connection, name string, reading *sync.WaitGroup) {
	channel := broker.Must(connection.Channel())
	queue := broker.OwnQueue(channel)
	broker.Check(channel.QueueBind(queue, "", exchange, false, nil))
	deliveries := broker.Must(channel.Consume(queue, "", true, false, false, false, nil))
	reading.Add(1)
	go func() {
		defer reading.Done()
		for range news {
			fmt.Printf("%s: %s\n", name, (<-deliveries).Body)
		}
	}()
}
