// Runs checks one after another, each under its own time limit, and reports
// one line per check. A check fails by panicking, which 'must' and the other
// helpers here do; nothing else in the program panics on purpose.
package main

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	checkLimit = 15 * time.Second
	waitLimit  = 5 * time.Second
)

var (
	brokerURL = os.Getenv("AMQP_URL")
	run       = fmt.Sprintf("go-%d-%d", os.Getpid(), time.Now().UnixNano())
	serial    int
)

// A check gets a connection of its own, closed when it ends.
type check struct {
	name string
	body func(c *amqp.Connection)
}

// unique returns a name no other run uses.
func unique(what string) string {
	serial++
	return fmt.Sprintf("interop.%s.%s.%d", run, what, serial)
}

func fail(format string, values ...any) {
	panic(fmt.Sprintf(format, values...))
}

func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func must1[A any](a A, err error) A {
	must(err)
	return a
}

func equal(what string, got, want any) {
	if !reflect.DeepEqual(got, want) {
		fail("%s: got %#v, want %#v", what, got, want)
	}
}

// next takes one value from a channel, or fails after the time limit.
func next[A any](what string, from <-chan A) A {
	select {
	case value := <-from:
		return value
	case <-time.After(waitLimit):
		fail("timed out: %s", what)
		panic("unreachable")
	}
}

// refused expects the broker's reply code and the given part of its text.
func refused(err error, code int, text string) {
	refusal, ok := err.(*amqp.Error)
	if !ok {
		fail("expected %d %s, got %v", code, text, err)
	}
	if refusal.Code != code || !strings.Contains(refusal.Reason, text) {
		fail("expected %d %s, got %d %s", code, text, refusal.Code, refusal.Reason)
	}
}

func connect() *amqp.Connection { return must1(amqp.Dial(brokerURL)) }

func channel(c *amqp.Connection) *amqp.Channel { return must1(c.Channel()) }

// confirming opens a channel in confirm mode.
func confirming(c *amqp.Connection) *amqp.Channel {
	ch := channel(c)
	must(ch.Confirm(false))
	return ch
}

// queue declares an exclusive queue with a name of its own.
func queue(ch *amqp.Channel, args amqp.Table) string {
	return must1(ch.QueueDeclare(unique("q"), false, false, true, false, args)).Name
}

// send publishes on a confirm channel and waits for the broker's answer.
func send(ch *amqp.Channel, exchange, key string, message amqp.Publishing) bool {
	confirm := must1(ch.PublishWithDeferredConfirm(exchange, key, false, false, message))
	next("confirm", confirm.Done())
	return confirm.Acked()
}

func text(body string) amqp.Publishing { return amqp.Publishing{Body: []byte(body)} }

// fill puts the bodies into the queue and waits until all are confirmed.
func fill(ch *amqp.Channel, name string, bodies ...string) {
	for _, body := range bodies {
		equal("confirm", send(ch, "", name, text(body)), true)
	}
}

// drain returns the bodies of all the queue holds, fetched with basic.get.
func drain(ch *amqp.Channel, name string) []string {
	bodies := []string{}
	for {
		message, found, err := ch.Get(name, true)
		must(err)
		if !found {
			return bodies
		}
		bodies = append(bodies, string(message.Body))
	}
}

// take waits for n deliveries and returns them.
func take(from <-chan amqp.Delivery, n int) []amqp.Delivery {
	taken := make([]amqp.Delivery, 0, n)
	for len(taken) < n {
		taken = append(taken, next(fmt.Sprintf("delivery %d of %d", len(taken)+1, n), from))
	}
	return taken
}

func bodies(messages []amqp.Delivery) []string {
	all := make([]string, 0, len(messages))
	for _, message := range messages {
		all = append(all, string(message.Body))
	}
	return all
}

// perform runs one check and returns why it failed, or nothing.
func perform(c check) (why string) {
	done := make(chan string, 1)
	connection, err := amqp.Dial(brokerURL)
	if err != nil {
		return err.Error()
	}
	defer connection.Close()
	go func() {
		defer func() {
			if failure := recover(); failure != nil {
				done <- strings.ReplaceAll(fmt.Sprint(failure), "\n", " | ")
				return
			}
			done <- ""
		}()
		c.body(connection)
	}()
	select {
	case why = <-done:
		return why
	case <-time.After(checkLimit):
		return "timed out"
	}
}

func main() {
	all := [][]check{connecting, routing, declaring, delivering, publishing, content}
	count, failed := 0, 0
	for _, group := range all {
		for _, c := range group {
			count++
			if why := perform(c); why != "" {
				failed++
				fmt.Printf("not ok %s: %s\n", c.name, why)
				continue
			}
			fmt.Printf("ok %s\n", c.name)
		}
	}
	fmt.Printf("checks: %d\n", count)
	if failed > 0 {
		os.Exit(1)
	}
}
