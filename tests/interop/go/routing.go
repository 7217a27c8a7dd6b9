// The exchange types and how bindings select queues.
package main

import amqp "github.com/rabbitmq/amqp091-go"

var routing = []check{
	{"exchange-default", func(c *amqp.Connection) {
		ch := confirming(c)
		name := queue(ch, nil)
		fill(ch, name, "by name")
		equal("bodies", drain(ch, name), []string{"by name"})
	}},

	{"exchange-direct", func(c *amqp.Connection) {
		ch := confirming(c)
		source, name := exchange(ch, "direct"), queue(ch, nil)
		bind(ch, name, "red", source, nil)
		bind(ch, name, "blue", source, nil)
		publishKeys(ch, source, "red", "green", "blue", "Red")
		equal("bodies", drain(ch, name), []string{"red", "blue"})
	}},

	{"exchange-fanout", func(c *amqp.Connection) {
		ch := confirming(c)
		source, left, right := exchange(ch, "fanout"), queue(ch, nil), queue(ch, nil)
		bind(ch, left, "", source, nil)
		bind(ch, right, "ignored", source, nil)
		publishKeys(ch, source, "any")
		equal("left", drain(ch, left), []string{"any"})
		equal("right", drain(ch, right), []string{"any"})
	}},

	{"exchange-topic", func(c *amqp.Connection) {
		ch := confirming(c)
		source, star, hash := exchange(ch, "topic"), queue(ch, nil), queue(ch, nil)
		bind(ch, star, "stock.*.nyse", source, nil)
		bind(ch, hash, "stock.#", source, nil)
		publishKeys(ch, source, "stock", "stock.usd.nyse", "stock.nyse", "stock.usd.eu.nyse", "bond.usd.nyse")
		equal("star", drain(ch, star), []string{"stock.usd.nyse"})
		equal("hash", drain(ch, hash), []string{"stock", "stock.usd.nyse", "stock.nyse", "stock.usd.eu.nyse"})
	}},

	{"exchange-headers", func(c *amqp.Connection) {
		ch := confirming(c)
		source, all, any := exchange(ch, "headers"), queue(ch, nil), queue(ch, nil)
		bind(ch, all, "", source, amqp.Table{"x-match": "all", "kind": "report", "pages": int32(3)})
		bind(ch, any, "", source, amqp.Table{"x-match": "any", "kind": "report", "pages": int32(3)})
		for _, message := range []amqp.Publishing{
			// The width of an integer does not matter, its value does.
			{Body: []byte("both"), Headers: amqp.Table{"kind": "report", "pages": int64(3), "extra": true}},
			{Body: []byte("kind"), Headers: amqp.Table{"kind": "report", "pages": int32(4)}},
			{Body: []byte("pages"), Headers: amqp.Table{"pages": int16(3)}},
			{Body: []byte("neither"), Headers: amqp.Table{"kind": "note"}},
		} {
			equal("confirm", send(ch, source, "", message), true)
		}
		equal("all", drain(ch, all), []string{"both"})
		equal("any", drain(ch, any), []string{"both", "kind", "pages"})
	}},

	{"exchange-to-exchange", func(c *amqp.Connection) {
		ch := confirming(c)
		source, middle, name := exchange(ch, "topic"), exchange(ch, "fanout"), queue(ch, nil)
		bind(ch, name, "", middle, nil)
		must(ch.ExchangeBind(middle, "log.#", source, false, nil))
		publishKeys(ch, source, "log.error", "trace.x", "log")
		equal("bodies", drain(ch, name), []string{"log.error", "log"})
		must(ch.ExchangeUnbind(middle, "log.#", source, false, nil))
		// The source was declared auto-delete and has lost its last binding.
		refused(ch.ExchangeDeclarePassive(source, "topic", false, true, false, false, nil), 404, "NOT_FOUND - no exchange")
	}},

	{"exchange-alternate", func(c *amqp.Connection) {
		ch := confirming(c)
		spare, name, source := exchange(ch, "fanout"), queue(ch, nil), unique("direct")
		bind(ch, name, "", spare, nil)
		must(ch.ExchangeDeclare(source, "direct", false, false, false, false, amqp.Table{"alternate-exchange": spare}))
		publishKeys(ch, source, "nowhere")
		equal("bodies", drain(ch, name), []string{"nowhere"})
		must(ch.ExchangeDelete(source, false, false))
	}},

	{"exchange-internal-403", func(c *amqp.Connection) {
		ch, name := channel(c), unique("internal")
		must(ch.ExchangeDeclare(name, "fanout", false, false, true, false, nil))
		closed := ch.NotifyClose(make(chan *amqp.Error, 1))
		must(ch.Publish(name, "", false, false, text("x")))
		refused(next("channel close", closed), 403, "ACCESS_REFUSED - cannot publish to internal exchange '"+name+"' in vhost '/'")
		must(channel(c).ExchangeDelete(name, false, false))
	}},

	{"unbind-stops-routing", func(c *amqp.Connection) {
		ch := confirming(c)
		name := queue(ch, nil)
		bind(ch, name, name, "amq.direct", nil)
		publishKeys(ch, "amq.direct", name)
		equal("bound", drain(ch, name), []string{name})
		must(ch.QueueUnbind(name, name, "amq.direct", nil))
		publishKeys(ch, "amq.direct", name)
		equal("unbound", drain(ch, name), []string{})
	}},
}

func exchange(ch *amqp.Channel, kind string) string {
	name := unique(kind)
	must(ch.ExchangeDeclare(name, kind, false, true, false, false, nil))
	return name
}

func bind(ch *amqp.Channel, name, key, source string, args amqp.Table) {
	must(ch.QueueBind(name, key, source, false, args))
}

// publishKeys publishes one message per key, with the key as its body.
func publishKeys(ch *amqp.Channel, source string, keys ...string) {
	for _, key := range keys {
		equal("confirm", send(ch, source, key, text(key)), true)
	}
}
