// Package broker holds what all examples need: connecting, and giving up when
// something fails.
package broker

import (
	"log"
	"os"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Open connects to AMQP_URL and opens a channel; ending the program closes both.
func Open() (*amqp.Connection, *amqp.Channel) {
	url := os.Getenv("AMQP_URL")
	if url == "" {
		url = "amqp://guest:guest@localhost:5672/%2f"
	}
	connection := Must(amqp.Dial(url))
	return connection, Must(connection.Channel())
}

// Must returns the value, or ends the program with the error.
func Must[A any](value A, err error) A {
	Check(err)
	return value
}

// Check ends the program when there is an error.
func Check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// OwnQueue declares a queue that the broker names and removes with this connection.
func OwnQueue(channel *amqp.Channel) string {
	return Must(channel.QueueDeclare("", false, false, true, false, nil)).Name
}
