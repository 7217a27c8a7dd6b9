// A work queue: tasks wait in one queue, and idle workers take them one at a time.
//
// Each worker holds at most one task that it has not acknowledged (prefetch 1), so a slow task does
// not keep quick ones waiting behind it. A task is acknowledged when it is done: had its worker died
// before that, the broker would give the task to another one.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"leveret/examples/broker"

	amqp "github.com/rabbitmq/amqp091-go"
)

var queue = fmt.Sprintf("example.tasks.%d", os.Getpid())

func main() {
	connection, channel := broker.Open()
	defer connection.Close()
	broker.Must(channel.QueueDeclare(queue, true, false, false, false, nil))

	done := make(chan bool)
	var workers []*amqp.Channel
	for _, name := range []string{"worker 1", "worker 2"} {
		workers = append(workers, startWorker(connection, name, done))
	}

	tasks := []string{"0.3", "0.05", "0.05", "0.05", "0.05", "0.05"}
	for _, seconds := range tasks {
		// Persistent messages in a durable queue also survive a restart of the broker.
		task := amqp.Publishing{Body: []byte(seconds), DeliveryMode: amqp.Persistent}
		broker.Check(channel.PublishWithContext(context.Background(), "", queue, false, false, task))
	}
	for range tasks {
		<-done
	}
	for _, worker := range workers {
		broker.Check(worker.Close())
	}
	broker.Must(channel.QueueDelete(queue, false, false, false))
}

func startWorker(connection *amqp.Connection, name string, done chan<- bool) *amqp.Channel {
	channel := broker.Must(connection.Channel())
	broker.Check(channel.Qos(1, 0, false))
	deliveries := broker.Must(channel.Consume(queue, "", false, false, false, false, nil))
	go func() {
		for task := range deliveries {
			seconds := broker.Must(strconv.ParseFloat(string(task.Body), 64))
			time.Sleep(time.Duration(seconds * float64(time.Second)))
			broker.Check(task.Ack(false))
			fmt.Printf("%s has done %s s of work\n", name, task.Body)
			done <- true
		}
	}()
	return channel
}
