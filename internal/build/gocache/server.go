package gocache

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// request and response are messages of the Go command and to it, each a line of JSON. Source: cmd/go/internal/cacheprog
type request struct {
	ID                 int64
	Command            string
	ActionID, OutputID []byte
	// BodySize is the number of bytes that follow, in another line, as a JSON string in base64.
	BodySize int64
}

type response struct {
	ID            int64
	Err           string   `json:",omitempty"`
	KnownCommands []string `json:",omitempty"`
	Miss          bool     `json:",omitempty"`
	OutputID      []byte   `json:",omitempty"`
	Size          int64    `json:",omitempty"`
	DiskPath      string   `json:",omitempty"`
}

// requestSize is the most bytes of a request, without its body.
const requestSize = 64 << 10

// answers is what the Go command is answered from.
type answers interface {
	// get returns what there is of an action, and its file. It may wait until that has arrived.
	get(action id) (o object, name string, ok bool)
	// put stores an object, whose content is in body, and returns its file.
	put(o object, body io.Reader) (name string, err error)
}

// serve answers the Go commands that connect, until the listener is closed, and they are.
func serve(listener net.Listener, from answers) {
	var all sync.WaitGroup
	for {
		conn, err := listener.Accept()
		if err != nil {
			break // it was closed
		}
		all.Go(func() {
			defer conn.Close()
			_ = (&connection{Conn: conn, from: from}).serve() // the Go command reports what it misses
		})
	}
	all.Wait()
}

// connection is one to a Go command.
type connection struct {
	net.Conn
	from answers
	mu   sync.Mutex // of what is written
}

func (c *connection) serve() error {
	if err := c.respond(response{KnownCommands: []string{"get", "put", "close"}}); err != nil {
		return err
	}
	in := bufio.NewReaderSize(c.Conn, requestSize)
	var waiting sync.WaitGroup
	defer waiting.Wait()
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(line) == 1 {
			continue
		}
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			return err
		}
		if r.Command == "close" {
			waiting.Wait()
			return c.respond(response{ID: r.ID})
		}
		o := object{size: r.BodySize}
		copy(o.action[:], r.ActionID)
		copy(o.output[:], r.OutputID)
		if len(r.ActionID) != len(o.action) || r.Command == "put" && len(r.OutputID) != len(o.output) || r.BodySize < 0 {
			return fmt.Errorf("a request that is not understood: %s", r.Command)
		}
		if r.Command == "get" {
			waiting.Go(func() { _ = c.get(r.ID, o.action) }) // reading ends, too, once nothing can be written
			continue
		}
		answer := response{ID: r.ID}
		if answer.DiskPath, err = c.body(in, o); err != nil {
			answer.Err = err.Error()
		}
		if err := c.respond(answer); err != nil {
			return err
		}
	}
}

func (c *connection) get(request int64, action id) error {
	o, name, ok := c.from.get(action)
	if !ok {
		return c.respond(response{ID: request, Miss: true})
	}
	return c.respond(response{ID: request, OutputID: o.output[:], Size: o.size, DiskPath: name})
}

// body puts the object whose body follows.
func (c *connection) body(in *bufio.Reader, o object) (name string, err error) {
	var text io.Reader = eof{}
	if o.size > 0 {
		if b, err := in.ReadByte(); err != nil || b == '\n' {
			if b, err = in.ReadByte(); err != nil || b != '"' {
				return "", errors.Join(err, errForeign)
			}
		}
		text = io.LimitReader(in, int64(base64.StdEncoding.EncodedLen(int(o.size))))
	}
	name, err = c.from.put(o, base64.NewDecoder(base64.StdEncoding, text))
	if _, left := io.Copy(io.Discard, text); left != nil {
		return "", errors.Join(err, left)
	}
	if o.size > 0 {
		if b, end := in.ReadByte(); end != nil || b != '"' {
			return "", errors.Join(err, end, errForeign)
		}
	}
	return name, err
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

func (c *connection) respond(r response) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err = c.Write(append(text, '\n'))
	return err
}
