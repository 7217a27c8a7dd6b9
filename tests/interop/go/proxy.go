// A TCP relay in front of the broker whose connections can be cut, so that a
// client sees a network failure the broker did not announce.
package main

import (
	"io"
	"net"
	"sync"
)

type relay struct {
	listener net.Listener
	target   string
	mutex    sync.Mutex
	open     []net.Conn
}

func startRelay(target string) *relay {
	r := &relay{listener: must1(net.Listen("tcp", "127.0.0.1:0")), target: target}
	go r.accept()
	return r
}

func (r *relay) address() string { return r.listener.Addr().String() }

func (r *relay) accept() {
	for {
		near, err := r.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", r.target)
		if err != nil {
			near.Close()
			continue
		}
		r.mutex.Lock()
		r.open = append(r.open, near, far)
		r.mutex.Unlock()
		go pipe(near, far)
		go pipe(far, near)
	}
}

func pipe(into, from net.Conn) {
	io.Copy(into, from)
	into.Close()
}

// cut drops every connection; new ones are still accepted.
func (r *relay) cut() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, conn := range r.open {
		conn.Close()
	}
	r.open = nil
}

func (r *relay) close() {
	r.listener.Close()
	r.cut()
}
