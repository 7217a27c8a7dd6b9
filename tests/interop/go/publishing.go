// Confirms, returned messages and transactions.
package main

import (
	"strconv"

	amqp "github.com/rabbitmq/amqp091-go"
)

var publishing = []check{
	{"confirm-single", func(c *amqp.Connection) {
		ch := confirming(c)
		name := queue(ch, nil)
		message := text("sure")
		message.DeliveryMode = amqp.Persistent
		equal("acked", send(ch, "", name, message), true)
		equal("bodies", drain(ch, name), []string{"sure"})
	}},

	{"confirm-many", func(c *amqp.Connection) {
		ch := confirming(c)
		name := queue(ch, nil)
		confirms := ch.NotifyPublish(make(chan amqp.Confirmation, 500))
		for i := 0; i < 500; i++ {
			must(ch.Publish("", name, false, false, text(strconv.Itoa(i))))
		}
		for tag := uint64(1); tag <= 500; tag++ {
			equal("confirmation", next("confirm", confirms), amqp.Confirmation{DeliveryTag: tag, Ack: true})
		}
		equal("messages", inspect(ch, name).Messages, 500)
	}},

	{"confirm-nack-when-full", func(c *amqp.Connection) {
		ch := confirming(c)
		name := queue(ch, amqp.Table{"x-max-length": int32(1), "x-overflow": "reject-publish"})
		equal("first", send(ch, "", name, text("fits")), true)
		equal("second", send(ch, "", name, text("too much")), false)
		equal("bodies", drain(ch, name), []string{"fits"})
	}},

	{"mandatory-return", func(c *amqp.Connection) {
		ch, key := confirming(c), unique("nowhere")
		returns := ch.NotifyReturn(make(chan amqp.Return, 1))
		message := text("back")
		message.MessageId = "m-1"
		confirm := must1(ch.PublishWithDeferredConfirm("amq.direct", key, true, false, message))
		next("confirm", confirm.Done())
		equal("acked", confirm.Acked(), true)
		// The return precedes its confirm, so it is already here.
		equal("returned", len(returns), 1)
		returned := <-returns
		equal("return", []any{returned.ReplyCode, returned.ReplyText, returned.Exchange, returned.RoutingKey, returned.MessageId, string(returned.Body)},
			[]any{uint16(312), "NO_ROUTE", "amq.direct", key, "m-1", "back"})
	}},

	{"tx-commit-rollback", func(c *amqp.Connection) {
		ch := channel(c)
		name := queue(ch, nil)
		must(ch.Tx())
		must(ch.Publish("", name, false, false, text("dropped")))
		must(ch.TxRollback())
		must(ch.Publish("", name, false, false, text("kept")))
		equal("before commit", inspect(channel(c), name).Messages, 0)
		must(ch.TxCommit())
		equal("after commit", drain(channel(c), name), []string{"kept"})
	}},

	{"tx-acknowledgement", func(c *amqp.Connection) {
		filler := confirming(c)
		name := queue(filler, nil)
		fill(filler, name, "settled", "open")
		ch := channel(c)
		must(ch.Tx())
		held := take(consume(ch, name, ""), 2)
		must(held[0].Ack(false))
		must(ch.TxCommit())
		must(held[1].Ack(false))
		must(ch.TxRollback())
		must(ch.Close())
		equal("left", drain(channel(c), name), []string{"open"})
	}},

	{"tx-on-confirm-channel-406", func(c *amqp.Connection) {
		refused(confirming(c).Tx(), 406, "PRECONDITION_FAILED - cannot switch from confirm to tx mode")
	}},
}
