// Request and reply by direct reply-to: answers come straight to the asking channel, without a queue.
//
// The client consumes from the pseudo-queue 'amq.rabbitmq.reply-to' and names it as reply-to in its
// requests; the broker replaces that by an address that leads back to this channel alone.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"leveret/examples/broker"

	amqp "github.com/rabbitmq/amqp091-go"
)

const replyTo = "amq.rabbitmq.reply-to"

func main() {
	serving, server := broker.Open()
	defer serving.Close()
	queue := fmt.Sprintf("example.squares.%d", os.Getpid())
	broker.Must(server.QueueDeclare(queue, false, true, false, false, nil))
	requests := broker.Must(server.Consume(queue, "", false, false, false, false, nil))
	go serve(server, requests)

	asking, client := broker.Open()
	defer asking.Close()
	// Consume first, without acknowledgements, and then publish on the very same channel.
	replies := broker.Must(client.Consume(replyTo, "", true, false, false, false, nil))
	for number := 0; number < 5; number++ {
		text := strconv.Itoa(number)
		request := amqp.Publishing{Body: []byte(text), ReplyTo: replyTo, CorrelationId: text}
		broker.Check(client.PublishWithContext(context.Background(), "", queue, false, false, request))
	}
	for number := 0; number < 5; number++ {
		reply := <-replies
		fmt.Printf("%s squared is %s\n", reply.CorrelationId, reply.Body)
	}
}

func serve(channel *amqp.Channel, requests <-chan amqp.Delivery) {
	for request := range requests {
		number := broker.Must(strconv.Atoi(string(request.Body)))
		// The correlation id goes back unchanged: it tells the client which answer this is.
		reply := amqp.Publishing{Body: []byte(strconv.Itoa(number * number)), CorrelationId: request.CorrelationId}
		broker.Check(channel.PublishWithContext(context.Background(), "", request.ReplyTo, false, false, reply))
		broker.Check(request.Ack(false))
	}
}
