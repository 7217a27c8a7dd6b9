// Properties, header field types and bodies survive the trip unchanged.
package main

import (
	"bytes"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

var content = []check{
	{"properties-round-trip", func(c *amqp.Connection) {
		sent := amqp.Publishing{
			ContentType: "text/plain", ContentEncoding: "utf-8", DeliveryMode: 2, Priority: 7, CorrelationId: "corr-1",
			ReplyTo: "answers", Expiration: "600000", MessageId: "id-1", Timestamp: time.Unix(1700000000, 0),
			Type: "greeting", UserId: "guest", AppId: "interop", Body: []byte("x"),
		}
		got := roundTrip(c, sent)
		equal("properties", amqp.Publishing{
			ContentType: got.ContentType, ContentEncoding: got.ContentEncoding, DeliveryMode: got.DeliveryMode,
			Priority: got.Priority, CorrelationId: got.CorrelationId, ReplyTo: got.ReplyTo, Expiration: got.Expiration,
			MessageId: got.MessageId, Timestamp: got.Timestamp, Type: got.Type, UserId: got.UserId, AppId: got.AppId, Body: got.Body,
		}, sent)
	}},

	{"user-id-forged-406", func(c *amqp.Connection) {
		ch := channel(c)
		closed := ch.NotifyClose(make(chan *amqp.Error, 1))
		must(ch.Publish("", unique("any"), false, false, amqp.Publishing{UserId: "somebody"}))
		refused(next("channel close", closed), 406, "PRECONDITION_FAILED - user_id property set to 'somebody' but authenticated user was 'guest'")
	}},

	{"expiration-invalid-406", func(c *amqp.Connection) {
		ch := channel(c)
		closed := ch.NotifyClose(make(chan *amqp.Error, 1))
		must(ch.Publish("", unique("any"), false, false, amqp.Publishing{Expiration: "soon"}))
		refused(next("channel close", closed), 406, "PRECONDITION_FAILED - invalid expiration 'soon'")
	}},

	{"header-types-round-trip", func(c *amqp.Connection) {
		headers := amqp.Table{
			"string": "żółw", "empty": "", "true": true, "false": false, "void": nil,
			"b": int8(-7), "B": byte(200), "s": int16(-300), "u": uint16(60000), "I": int32(-70000), "i": uint32(4000000000),
			"l": int64(-5000000000), "f": float32(0.5), "d": 2.25, "x": []byte{0, 255, 10},
			"D": amqp.Decimal{Scale: 2, Value: 314}, "T": time.Unix(1700000000, 0),
			"A": []any{"a", int32(1), []any{true, nil}, amqp.Table{"deep": "table"}},
			"F": amqp.Table{"inner": amqp.Table{"most": int64(1)}, "also": "here"},
		}
		got := roundTrip(c, amqp.Publishing{Headers: headers}).Headers
		equal("number of headers", len(got), len(headers))
		for name, want := range headers {
			equal(name, got[name], want)
		}
	}},

	{"body-large", func(c *amqp.Connection) {
		body := make([]byte, 5<<20)
		for i := range body {
			body[i] = byte(i % 251)
		}
		got := roundTrip(c, amqp.Publishing{Body: body})
		equal("length", len(got.Body), len(body))
		equal("same bytes", bytes.Equal(got.Body, body), true)
	}},

	{"body-empty", func(c *amqp.Connection) {
		got := roundTrip(c, amqp.Publishing{Type: "nothing"})
		equal("message", []any{len(got.Body), got.Type}, []any{0, "nothing"})
	}},
}

// roundTrip sends one message through a queue and fetches it again.
func roundTrip(c *amqp.Connection, message amqp.Publishing) amqp.Delivery {
	ch := confirming(c)
	name := queue(ch, nil)
	equal("confirm", send(ch, "", name, message), true)
	got, found, err := ch.Get(name, true)
	must(err)
	equal("found", found, true)
	return got
}
