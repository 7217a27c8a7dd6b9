// Declaring and deleting queues and exchanges, and what is refused.
package main

import (
	"fmt"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

var declaring = []check{
	{"queue-server-named", func(c *amqp.Connection) {
		ch := channel(c)
		first := must1(ch.QueueDeclare("", false, false, true, false, nil))
		second := must1(ch.QueueDeclare("", false, false, true, false, nil))
		equal("prefix of "+first.Name, strings.HasPrefix(first.Name, "amq.gen-"), true)
		equal("same name twice", first.Name == second.Name, false)
	}},

	{"queue-counts", func(c *amqp.Connection) {
		ch := confirming(c)
		name := queue(ch, nil)
		fill(ch, name, "a", "b", "c")
		equal("declare-ok", inspect(ch, name), amqp.Queue{Name: name, Messages: 3})
		equal("purged", must1(ch.QueuePurge(name, false)), 3)
		fill(ch, name, "d")
		equal("deleted", must1(ch.QueueDelete(name, false, false, false)), 1)
		equal("deleted again", must1(ch.QueueDelete(name, false, false, false)), 0)
	}},

	{"queue-passive-404", func(c *amqp.Connection) {
		name := unique("missing")
		_, err := channel(c).QueueDeclarePassive(name, false, false, false, false, nil)
		refused(err, 404, fmt.Sprintf("NOT_FOUND - no queue '%s' in vhost '/'", name))
	}},

	{"queue-inequivalent-406", func(c *amqp.Connection) {
		name := unique("declared")
		must1(channel(c).QueueDeclare(name, false, false, false, false, amqp.Table{"x-max-length": int32(5)}))
		_, err := channel(c).QueueDeclare(name, true, false, false, false, amqp.Table{"x-max-length": int32(5)})
		refused(err, 406, fmt.Sprintf("PRECONDITION_FAILED - inequivalent arg 'durable' for queue '%s' in vhost '/': received 'true' but current is 'false'", name))
		_, err = channel(c).QueueDeclare(name, false, false, false, false, amqp.Table{"x-max-length": int64(6)})
		refused(err, 406, fmt.Sprintf("PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue '%s' in vhost '/': received '6' but current is '5'", name))
		// Another integer width with the same value is equivalent.
		must1(channel(c).QueueDeclare(name, false, false, false, false, amqp.Table{"x-max-length": int64(5)}))
		must1(channel(c).QueueDelete(name, false, false, false))
	}},

	{"queue-argument-invalid-406", func(c *amqp.Connection) {
		_, err := channel(c).QueueDeclare(unique("bad"), false, false, true, false, amqp.Table{"x-message-ttl": int32(-1)})
		refused(err, 406, "PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue '")
	}},

	{"queue-exclusive-405", func(c *amqp.Connection) {
		name := queue(channel(c), nil)
		stranger := connect()
		_, err := channel(stranger).QueueDeclarePassive(name, false, false, true, false, nil)
		refused(err, 405, fmt.Sprintf("RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '%s' in vhost '/'", name))
		must(stranger.Close())
	}},

	{"queue-reserved-403", func(c *amqp.Connection) {
		_, err := channel(c).QueueDeclare("amq.interop", false, false, true, false, nil)
		refused(err, 403, "ACCESS_REFUSED - queue name 'amq.interop' contains reserved prefix 'amq.*'")
	}},

	{"queue-delete-conditions", func(c *amqp.Connection) {
		name := queue(channel(c), nil)
		fill(confirming(c), name, "x")
		_, err := channel(c).QueueDelete(name, false, true, false)
		refused(err, 406, fmt.Sprintf("PRECONDITION_FAILED - queue '%s' in vhost '/' not empty", name))
		must1(channel(c).Consume(name, "", false, false, false, false, nil))
		_, err = channel(c).QueueDelete(name, true, false, false)
		refused(err, 406, fmt.Sprintf("PRECONDITION_FAILED - queue '%s' in vhost '/' in use", name))
	}},

	{"queue-auto-delete", func(c *amqp.Connection) {
		ch, name := channel(c), unique("auto")
		must1(ch.QueueDeclare(name, false, true, false, false, nil))
		must1(ch.Consume(name, "only", true, false, false, false, nil))
		must(ch.Cancel("only", false))
		_, err := ch.QueueDeclarePassive(name, false, true, false, false, nil)
		refused(err, 404, "NOT_FOUND - no queue")
	}},

	{"exchange-passive-404", func(c *amqp.Connection) {
		name := unique("missing")
		err := channel(c).ExchangeDeclarePassive(name, "direct", false, false, false, false, nil)
		refused(err, 404, fmt.Sprintf("NOT_FOUND - no exchange '%s' in vhost '/'", name))
	}},

	{"exchange-inequivalent-406", func(c *amqp.Connection) {
		name := unique("x")
		must(channel(c).ExchangeDeclare(name, "direct", false, false, false, false, nil))
		err := channel(c).ExchangeDeclare(name, "fanout", false, false, false, false, nil)
		refused(err, 406, fmt.Sprintf("PRECONDITION_FAILED - inequivalent arg 'type' for exchange '%s' in vhost '/': received 'fanout' but current is 'direct'", name))
		must(channel(c).ExchangeDelete(name, false, false))
	}},

	{"publish-missing-exchange-404", func(c *amqp.Connection) {
		ch, name := channel(c), unique("missing")
		closed := ch.NotifyClose(make(chan *amqp.Error, 1))
		must(ch.Publish(name, "k", false, false, text("lost")))
		refused(next("channel close", closed), 404, fmt.Sprintf("NOT_FOUND - no exchange '%s' in vhost '/'", name))
	}},

	{"channel-error-isolated", func(c *amqp.Connection) {
		healthy := channel(c)
		name := queue(healthy, nil)
		failing := channel(c)
		_, err := failing.QueueDeclarePassive(unique("missing"), false, false, false, false, nil)
		refused(err, 404, "NOT_FOUND")
		equal("failed channel closed", failing.IsClosed(), true)
		equal("other channel", inspect(healthy, name).Name, name)
		equal("new channel", inspect(channel(c), name).Name, name)
	}},
}

func inspect(ch *amqp.Channel, name string) amqp.Queue {
	return must1(ch.QueueDeclarePassive(name, false, false, true, false, nil))
}
