package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// network is what lies between the tools and the registry: it counts the bytes that pass, and can be as slow as one between machines.
type network struct {
	listener net.Listener
	to       string
	moved    atomic.Int64
	// delay is how long a byte takes one way, and pace how many pass in a second, each way; 0 for what this machine does.
	delay    time.Duration
	pace     int64
	up, down lane
}

// lane is a direction.
type lane struct {
	mu   sync.Mutex
	free time.Time // when what was sent so far has passed
}

// slow is a network of 100 MB a second, on which an answer takes 20 ms.
const (
	slowDelay = 10 * time.Millisecond
	slowPace  = 100e6
)

func newNetwork(to string, slow bool) (*network, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n := &network{listener: listener, to: to}
	if slow {
		n.delay, n.pace = slowDelay, slowPace
	}
	go n.serve()
	return n, nil
}

func (n *network) serve() {
	for {
		conn, err := n.listener.Accept()
		if err != nil {
			return
		}
		go n.connect(conn)
	}
}

func (n *network) connect(conn net.Conn) {
	defer conn.Close()
	registry, err := net.Dial("tcp", n.to)
	if err != nil {
		return
	}
	defer registry.Close()
	var both sync.WaitGroup
	both.Go(func() { n.pass(registry, conn, &n.up) })
	both.Go(func() { n.pass(conn, registry, &n.down) })
	both.Wait()
}

// packet is what was read at once, and when it arrives.
type packet struct {
	bytes   []byte
	arrives time.Time
}

// pass passes on what comes from one side, until that ends.
func (n *network) pass(to, from net.Conn, l *lane) {
	way := make(chan packet, 1024)
	go func() {
		defer close(way)
		for {
			buf := make([]byte, 32<<10)
			read, err := from.Read(buf)
			if read > 0 {
				n.moved.Add(int64(read))
				way <- packet{buf[:read], n.arrival(l, read)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range way {
		time.Sleep(time.Until(p.arrives))
		if _, err := to.Write(p.bytes); err != nil {
			_ = from.Close() // so that nobody waits for room
			break
		}
	}
	for range way { // what nobody wants
	}
	if tcp, ok := to.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}

// arrival is when bytes that are sent now arrive.
func (n *network) arrival(l *lane, bytes int) time.Time {
	now := time.Now()
	if n.pace == 0 {
		return now
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(int64(bytes) * int64(time.Second) / n.pace))
	return l.free.Add(n.delay)
}

// transfer is how long bytes take that do not come from the registry.
func (n *network) transfer(bytes int64) time.Duration {
	if n.pace == 0 {
		return 0
	}
	return 2*n.delay + time.Duration(bytes*int64(time.Second)/n.pace)
}

func (n *network) close() error {
	if err := n.listener.Close(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
