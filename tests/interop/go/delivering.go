// Consuming: prefetch, acknowledgement, redelivery, cancellation, priorities.
package main

import (
	"fmt"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

var delivering = []check{
	{"prefetch-exact", func(c *amqp.Connection) {
		ch := confirming(c)
		name := queue(ch, nil)
		fill(ch, name, "0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
		must(ch.Qos(3, 0, false))
		inbox := consume(ch, name, "")
		held := take(inbox, 3)
		// What is no longer ready has been delivered, so this is exact.
		equal("ready", inspect(ch, name).Messages, 7)
		must(held[1].Ack(true))
		equal("next", bodies(take(inbox, 2)), []string{"3", "4"})
		equal("ready", inspect(ch, name).Messages, 5)
	}},

	{"prefetch-shared", func(c *amqp.Connection) {
		ch := confirming(c)
		name := queue(ch, nil)
		fill(ch, name, "0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
		must(ch.Qos(3, 0, true))
		first, second := consume(ch, name, "first"), consume(ch, name, "second")
		// The limit is the channel's: three in all, however they are shared out.
		for got := 0; got < 3; got++ {
			select {
			case <-first:
			case <-second:
			case <-time.After(waitLimit):
				fail("only %d deliveries", got)
			}
		}
		equal("ready", inspect(ch, name).Messages, 7)
	}},

	{"ack-settles", func(c *amqp.Connection) {
		ch := confirming(c)
		name := queue(ch, nil)
		fill(ch, name, "a", "b")
		held := take(consume(ch, name, ""), 2)
		must(held[0].Ack(false))
		must(ch.Close())
		other := channel(c)
		left, found, err := other.Get(name, true)
		must(err)
		equal("left", []any{found, string(left.Body), left.Redelivered}, []any{true, "b", true})
		equal("then", drain(other, name), []string{})
	}},

	{"nack-requeue-redelivered", func(c *amqp.Connection) {
		ch := confirming(c)
		name := queue(ch, nil)
		fill(ch, name, "one", "two", "three")
		inbox := consume(ch, name, "")
		held := take(inbox, 3)
		equal("first time", redelivered(held), []bool{false, false, false})
		must(held[2].Nack(true, true))
		again := take(inbox, 3)
		equal("order", bodies(again), []string{"one", "two", "three"})
		equal("second time", redelivered(again), []bool{true, true, true})
		must(again[2].Ack(true))
	}},

	{"reject-dead-letters", func(c *amqp.Connection) {
		ch := confirming(c)
		grave := queue(ch, nil)
		name := queue(ch, amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": grave})
		fill(ch, name, "bad")
		inbox := consume(ch, grave, "")
		message, _, err := ch.Get(name, false)
		must(err)
		must(message.Reject(false))
		dead := take(inbox, 1)[0]
		deaths, _ := dead.Headers["x-death"].([]any)
		equal("deaths", len(deaths), 1)
		death, _ := deaths[0].(amqp.Table)
		equal("death", []any{death["reason"], death["queue"], death["count"]}, []any{"rejected", name, int64(1)})
		equal("first death queue", dead.Headers["x-first-death-queue"], name)
	}},

	{"ttl-dead-letters", func(c *amqp.Connection) {
		ch := channel(c)
		grave := queue(ch, nil)
		name := queue(ch, amqp.Table{"x-message-ttl": int32(50), "x-dead-letter-exchange": "", "x-dead-letter-routing-key": grave})
		inbox := consume(ch, grave, "")
		must(ch.Publish("", name, false, false, text("late")))
		deaths, _ := take(inbox, 1)[0].Headers["x-death"].([]any)
		equal("reason", deaths[0].(amqp.Table)["reason"], "expired")
	}},

	{"recover-redelivers", func(c *amqp.Connection) {
		ch := confirming(c)
		name := queue(ch, nil)
		fill(ch, name, "again")
		inbox := consume(ch, name, "")
		take(inbox, 1)
		must(ch.Recover(true))
		equal("redelivered", redelivered(take(inbox, 1)), []bool{true})
	}},

	{"ack-unknown-406", func(c *amqp.Connection) {
		ch := channel(c)
		closed := ch.NotifyClose(make(chan *amqp.Error, 1))
		must(ch.Ack(42, false))
		refused(next("channel close", closed), 406, "PRECONDITION_FAILED - unknown delivery tag 42")
	}},

	{"get-and-empty", func(c *amqp.Connection) {
		ch := confirming(c)
		name := queue(ch, nil)
		fill(ch, name, "a", "b")
		message, found, err := ch.Get(name, false)
		must(err)
		equal("found", found, true)
		equal("get-ok", []any{string(message.Body), message.MessageCount, message.Exchange, message.RoutingKey}, []any{"a", uint32(1), "", name})
		must(message.Ack(false))
		equal("rest", drain(ch, name), []string{"b"})
	}},

	{"consume-no-ack", func(c *amqp.Connection) {
		ch := confirming(c)
		name := queue(ch, nil)
		fill(ch, name, "a", "b", "c")
		inbox := must1(ch.Consume(name, "", true, false, false, false, nil))
		equal("bodies", bodies(take(inbox, 3)), []string{"a", "b", "c"})
		must(ch.Close())
		equal("left", inspect(channel(c), name).Messages, 0)
	}},

	{"consume-exclusive-403", func(c *amqp.Connection) {
		ch := channel(c)
		name := queue(ch, nil)
		must1(ch.Consume(name, "", false, true, false, false, nil))
		_, err := channel(c).Consume(name, "", false, false, false, false, nil)
		refused(err, 403, fmt.Sprintf("ACCESS_REFUSED - queue '%s' in vhost '/' in exclusive use", name))
	}},

	{"consumer-cancelled-on-delete", func(c *amqp.Connection) {
		ch := channel(c)
		name := queue(ch, nil)
		cancelled := ch.NotifyCancel(make(chan string, 1))
		inbox := consume(ch, name, "watching")
		must1(channel(c).QueueDelete(name, false, false, false))
		equal("cancelled tag", next("cancel", cancelled), "watching")
		if delivery, open := <-inbox; open {
			fail("unexpected delivery %q", delivery.Body)
		}
		// The channel outlives its consumer.
		queue(ch, nil)
	}},

	{"consumer-cancel-stops", func(c *amqp.Connection) {
		ch := confirming(c)
		name := queue(ch, nil)
		inbox := consume(ch, name, "chosen")
		must(ch.Cancel("chosen", false))
		fill(ch, name, "kept")
		equal("kept", drain(ch, name), []string{"kept"})
		if delivery, open := <-inbox; open {
			fail("unexpected delivery %q", delivery.Body)
		}
	}},

	{"consumer-priority", func(c *amqp.Connection) {
		sender, low, high := confirming(c), channel(c), channel(c)
		name := queue(sender, nil)
		must(high.Qos(2, 0, false))
		second := must1(low.Consume(name, "", false, false, false, false, amqp.Table{"x-priority": int32(1)}))
		first := must1(high.Consume(name, "", false, false, false, false, amqp.Table{"x-priority": int32(10)}))
		fill(sender, name, "0", "1", "2", "3")
		equal("high", bodies(take(first, 2)), []string{"0", "1"})
		equal("low", bodies(take(second, 2)), []string{"2", "3"})
	}},

	{"rpc-direct-reply-to", func(c *amqp.Connection) {
		server, client := channel(c), channel(c)
		requests := queue(server, nil)
		incoming := must1(server.Consume(requests, "", true, false, false, false, nil))
		go func() {
			for request := range incoming {
				value, _ := strconv.Atoi(string(request.Body))
				answer := text(strconv.Itoa(value * 2))
				answer.CorrelationId = request.CorrelationId
				_ = server.Publish("", request.ReplyTo, false, false, answer)
			}
		}()
		replies := must1(client.Consume("amq.rabbitmq.reply-to", "", true, false, false, false, nil))
		for id, value := range []string{"21", "4"} {
			request := amqp.Publishing{Body: []byte(value), ReplyTo: "amq.rabbitmq.reply-to", CorrelationId: strconv.Itoa(id)}
			must(client.Publish("", requests, false, false, request))
		}
		answers := take(replies, 2)
		equal("answers", bodies(answers), []string{"42", "8"})
		equal("correlation", []string{answers[0].CorrelationId, answers[1].CorrelationId}, []string{"0", "1"})
	}},

	{"order-kept", func(c *amqp.Connection) {
		ch := channel(c)
		name := queue(ch, nil)
		inbox := must1(ch.Consume(name, "", true, false, false, false, nil))
		for i := 0; i < 2000; i++ {
			must(ch.Publish("", name, false, false, text(strconv.Itoa(i))))
		}
		for i, body := range bodies(take(inbox, 2000)) {
			equal("position", body, strconv.Itoa(i))
		}
	}},
}

func consume(ch *amqp.Channel, name, tag string) <-chan amqp.Delivery {
	return must1(ch.Consume(name, tag, false, false, false, false, nil))
}

func redelivered(messages []amqp.Delivery) []bool {
	flags := make([]bool, 0, len(messages))
	for _, message := range messages {
		flags = append(flags, message.Redelivered)
	}
	return flags
}
