// Opening, refusing, keeping alive, losing and closing connections.
package main

import (
	"net/url"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

var connecting = []check{
	{"connect-announces-server", func(c *amqp.Connection) {
		equal("product", c.Properties["product"], "RabbitMQ")
		version, _ := c.Properties["version"].(string)
		equal("dotted version", strings.Count(version, ".") >= 1, true)
		capabilities, _ := c.Properties["capabilities"].(amqp.Table)
		for _, name := range []string{
			"publisher_confirms", "exchange_exchange_bindings", "basic.nack", "consumer_cancel_notify",
			"connection.blocked", "consumer_priorities", "authentication_failure_close", "per_consumer_qos", "direct_reply_to",
		} {
			equal(name, capabilities[name], true)
		}
	}},

	{"login-refused", func(*amqp.Connection) {
		_, err := amqp.Dial(variant(func(u *url.URL) { u.User = url.UserPassword("guest", "not-the-password") }))
		// The client does not announce authentication_failure_close, so the broker
		// only drops the connection; the client then supplies these words.
		refused(err, 403, "username or password not allowed")
	}},

	{"vhost-unknown", func(*amqp.Connection) {
		_, err := amqp.Dial(variant(func(u *url.URL) { u.Path, u.RawPath = "/no-such-vhost", "" }))
		refused(err, 530, "NOT_ALLOWED - vhost no-such-vhost not found")
	}},

	{"login-amqplain", func(*amqp.Connection) {
		plain := &amqp.AMQPlainAuth{Username: "guest", Password: "guest"}
		c := must1(amqp.DialConfig(brokerURL, amqp.Config{SASL: []amqp.Authentication{plain}}))
		channel(c)
		must(c.Close())
	}},

	{"tune-negotiated", func(*amqp.Connection) {
		c := must1(amqp.DialConfig(brokerURL, amqp.Config{ChannelMax: 3, FrameSize: 8192}))
		equal("frame size", c.Config.FrameSize, 8192)
		equal("channel max", c.Config.ChannelMax, uint16(3))
		ch := confirming(c)
		name := queue(ch, nil)
		fill(ch, name, strings.Repeat("x", 50000))
		equal("body length", len(drain(ch, name)[0]), 50000)
		must(c.Close())
	}},

	{"update-secret", func(c *amqp.Connection) {
		must(c.UpdateSecret("guest", "rotated"))
		queue(channel(c), nil)
	}},

	{"channels-independent", func(c *amqp.Connection) {
		names := map[string]bool{}
		for i := 0; i < 50; i++ {
			ch := channel(c)
			names[queue(ch, nil)] = true
			if i%2 == 0 {
				must(ch.Close())
			}
		}
		equal("queues", len(names), 50)
	}},

	{"heartbeat-idle", func(*amqp.Connection) {
		c := must1(amqp.DialConfig(brokerURL, amqp.Config{Heartbeat: time.Second}))
		lost := c.NotifyClose(make(chan *amqp.Error, 1))
		// The time itself is what is tested: both sides must keep the link alive.
		select {
		case err := <-lost:
			fail("lost while idle: %v", err)
		case <-time.After(5 * time.Second):
		}
		queue(channel(c), nil)
		must(c.Close())
	}},

	{"recovery-after-cut", func(*amqp.Connection) { recoverAfterCut() }},

	{"reconnect-after-close", func(*amqp.Connection) {
		name := unique("handed-over")
		for _, body := range []string{"first", "second"} {
			c := connect()
			ch := confirming(c)
			// Exclusive queues go with their connection, so the name is free again.
			declared := must1(ch.QueueDeclare(name, false, false, true, false, nil))
			equal("left over", declared.Messages, 0)
			fill(ch, name, body)
			equal("body", drain(ch, name), []string{body})
			must(c.Close())
		}
	}},

	{"close-clean", func(*amqp.Connection) {
		c := connect()
		ch := channel(c)
		closed := c.NotifyClose(make(chan *amqp.Error, 1))
		must(ch.Close())
		must(c.Close())
		if err := next("close notice", closed); err != nil {
			fail("a clean close reported %v", err)
		}
	}},
}

// variant is the broker's URL with some parts replaced.
func variant(change func(*url.URL)) string {
	parsed := must1(url.Parse(brokerURL))
	change(parsed)
	return parsed.String()
}

// recoverAfterCut lets the client's own recovery bring back connection,
// channel, queue, binding and consumer after the network failed.
func recoverAfterCut() {
	proxy := startRelay(must1(url.Parse(brokerURL)).Host)
	defer proxy.close()
	c := must1(amqp.DialConfig(variant(func(u *url.URL) { u.Host = proxy.address() }), amqp.Config{
		Recovery: &amqp.Recovery{
			ReconnectionConfig: &amqp.ReconnectionConfig{MaxRetryCount: 20, RetryInterval: 100 * time.Millisecond},
		},
	}))
	defer c.Close()
	states := make(chan *amqp.StateChanged, 16)
	c.NotifyStateChange(states)

	ch := channel(c)
	name := queue(ch, nil)
	must(ch.QueueBind(name, name, "amq.direct", false, nil))
	inbox := must1(ch.Consume(name, "", true, false, false, false, nil))
	roundTrip := func(body string) {
		must(ch.Publish("amq.direct", name, false, false, text(body)))
		equal("body", bodies(take(inbox, 1)), []string{body})
	}
	roundTrip("before")
	proxy.cut()
	for next("recovery", states).To != amqp.StateOpen {
	}
	roundTrip("after")
}
